// Runs a fuzz target without a fuzzer: every input of a corpus file (a line each, in hexadecimal), and every one again
// with some bytes changed, from a seed. What CI does with every compiler and sanitizer.
//
//   fuzz_TARGET CORPUS.hex [CHANGES an input]
#include <fstream>
#include <iostream>
#include <string>

#include "base/prng.hpp"
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

void run(const std::vector<std::uint8_t>& input) {
    // in a block of its own size, so that a sanitizer sees a read past the end
    const std::vector<std::uint8_t> exact(input);
    LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

std::vector<std::uint8_t> change(std::vector<std::uint8_t> input, fastmas::base::Prng& random) {
    for (std::uint64_t i = 1 + random.below(4); i > 0; --i) {
        const std::size_t at = random.below(input.size() + 1);
        const auto place = input.begin() + static_cast<std::ptrdiff_t>(at);
        const auto byte = static_cast<std::uint8_t>(random.next());
        switch (random.below(4)) {
            case 0:
                input.insert(place, byte);
                break;
            case 1:
                input.resize(at);
                break;
            default:
                if (at < input.size())
                    input[at] = random.below(2) != 0 ? byte : static_cast<std::uint8_t>(input[at] + 1);
        }
    }
    return input;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::cerr << "usage: " << argv[0] << " CORPUS.hex [CHANGES]\n";
        return 2;
    }
    std::ifstream file(argv[1]);
    const std::uint64_t changes = argc > 2 ? std::stoull(argv[2]) : 200;
    fastmas::base::Prng random(1);
    std::uint64_t inputs = 0, executions = 0;
    for (std::string line; std::getline(file, line); ++inputs) {
        std::vector<std::uint8_t> input;
        for (std::size_t i = 0; i + 1 < line.size(); i += 2)
            input.push_back(static_cast<std::uint8_t>(std::stoul(line.substr(i, 2), nullptr, 16)));
        run(input);
        for (std::uint64_t i = 0; i < changes; ++i) run(change(input, random));
        executions += 1 + changes;
    }
    std::cout << inputs << " inputs, " << executions << " executions\n";
    if (inputs == 0) std::cerr << "no inputs in " << argv[1] << "\n";
    return inputs == 0 ? 1 : 0;
}
