// BFT messages, or blocks and certificates by themselves (by the first byte): whatever the bytes, a refusal or what
// encodes to the very same bytes.
#include "consensus/bft/codec.hpp"
#include "fuzz.hpp"

using namespace fastmas::consensus::bft;

namespace {

void same(const std::vector<std::byte>& again, std::span<const std::byte> bytes) {
    FUZZ_CHECK(std::ranges::equal(again, bytes));
}

void check(std::uint8_t kind, std::span<const std::byte> bytes) {
    static Message message;  // recycled, as a slot is
    std::vector<std::byte> again;
    if (kind % 4 == 1) {
        Block block;
        if (decode_block(bytes, block) != nullptr) return;
        encode_block(block, again);
        FUZZ_CHECK(again.size() == encoded_size(block));
    } else if (kind % 4 == 2) {
        Certificate certificate;
        if (decode_certificate(bytes, certificate) != nullptr) return;
        encode_certificate(certificate, again);
    } else {
        if (decode(bytes, message) != nullptr) return;
        encode(message, again);
        FUZZ_CHECK(again.size() == encoded_size(message));
    }
    same(again, bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size != 0) check(data[0], fastmas::fuzz::as_bytes(data + 1, size - 1));
    return 0;
}
