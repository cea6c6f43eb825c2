// Paxos messages, of a log (first byte even) or of one synod: whatever the bytes, a refusal or a message that encodes
// to the very same bytes.
#include "consensus/paxos/codec.hpp"
#include "consensus/paxos/synod_message.hpp"
#include "fuzz.hpp"

using namespace fastmas::consensus::paxos;

namespace {

template <class M>
void check(std::span<const std::byte> bytes) {
    static M message;  // recycled, as a slot is
    if (decode(bytes, message) != nullptr) return;
    std::vector<std::byte> again;
    encode(message, again);
    FUZZ_CHECK(again.size() == encoded_size(message));
    FUZZ_CHECK(std::ranges::equal(again, bytes));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto bytes = fastmas::fuzz::as_bytes(data + 1, size - 1);
    if (data[0] % 2 == 0)
        check<Message>(bytes);
    else
        check<SynodMessage>(bytes);
    return 0;
}
