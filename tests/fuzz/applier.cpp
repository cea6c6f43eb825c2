// State that was stored or sent: sessions and counters from any bytes, or a refusal.
#include "consensus/applier.hpp"

#include "base/errors.hpp"
#include "fuzz.hpp"

using namespace fastmas::consensus;

namespace {

struct Keep : StateMachine {
    std::vector<std::byte> state;
    Result apply(const Command&) override { return {}; }
    Payload snapshot() override { return Payload(state); }
    void restore(std::span<const std::byte> bytes) override { state.assign(bytes.begin(), bytes.end()); }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes = fastmas::fuzz::as_bytes(data, size);
    Applier applier(std::make_unique<Keep>());
    try {
        applier.restore(1, Payload(bytes));
    } catch (const fastmas::base::InvariantError&) {
        return 0;
    }
    FUZZ_CHECK(std::ranges::equal(applier.snapshot().bytes(), bytes));
    return 0;
}
