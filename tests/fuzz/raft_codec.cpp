// Raft messages: whatever the bytes, a refusal or a message that encodes to the very same bytes.
#include "consensus/raft/codec.hpp"
#include "fuzz.hpp"

using namespace fastmas::consensus::raft;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static Message message;  // recycled, as a slot is
    const auto bytes = fastmas::fuzz::as_bytes(data, size);
    if (decode(bytes, message) != nullptr) return 0;
    std::vector<std::byte> again;
    encode(message, again);
    FUZZ_CHECK(again.size() == encoded_size(message));
    FUZZ_CHECK(std::ranges::equal(again, bytes));
    return 0;
}
