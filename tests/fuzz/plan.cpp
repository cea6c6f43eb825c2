// Scripts of simulations: any text gives a plan that is written and read back alike, or an error that names its line.
#include "consensus/simulation/plan.hpp"

#include "base/errors.hpp"
#include "fuzz.hpp"

using namespace fastmas::consensus;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Plan plan;
    try {
        plan = parse_plan({reinterpret_cast<const char*>(data), size}, "raft");
    } catch (const fastmas::base::ConfigError&) {
        return 0;
    }
    const std::string text = to_text(plan, "raft");
    FUZZ_CHECK(to_text(parse_plan(text, "raft"), "raft") == text);
    return 0;
}
