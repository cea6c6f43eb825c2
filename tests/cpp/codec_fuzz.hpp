// What every message codec must do with its own bytes and with hostile ones. `make(random)` draws a message.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "base/payload.hpp"
#include "base/prng.hpp"
#include "check.hpp"

namespace fastmas::testing {

inline base::Payload random_payload(base::Prng& random) {
    const std::size_t sizes[] = {0, 1, 16, 40, 41, 300};
    std::vector<std::byte> bytes(sizes[random.below(6)]);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.next());
    return base::Payload(bytes);
}

template <class M>
std::vector<std::byte> encoded(const M& message) {
    std::vector<std::byte> bytes;
    encode(message, bytes);
    return bytes;
}

// The first four bytes of a message are its length.
inline void set_length(std::vector<std::byte>& bytes) {
    const auto size = static_cast<std::uint32_t>(bytes.size());
    if (bytes.size() >= sizeof size) std::memcpy(bytes.data(), &size, sizeof size);
}

// What was encoded decodes to itself, also into a message that was used before.
template <class Make>
void check_round_trips(Make make, std::uint64_t seed, std::uint64_t times) {
    base::Prng random(seed);
    decltype(make(random)) decoded;
    for (std::uint64_t i = 0; i < times; ++i) {
        const auto message = make(random);
        const auto bytes = encoded(message);
        CHECK_EQUAL(bytes.size(), encoded_size(message));
        const char* problem = decode(bytes, decoded);
        CHECK_EQUAL(std::string(problem == nullptr ? "" : problem), "");
        CHECK(decoded == message);
    }
}

// Every prefix and every extension is refused, with the length as it was and with one that matches.
template <class Make>
void check_cuts(Make make, std::uint64_t seed, std::uint64_t times) {
    base::Prng random(seed);
    decltype(make(random)) decoded;
    for (std::uint64_t i = 0; i < times; ++i) {
        auto bytes = encoded(make(random));
        for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
            std::vector<std::byte> prefix(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(cut));
            CHECK(decode(prefix, decoded) != nullptr);
            set_length(prefix);
            CHECK(decode(prefix, decoded) != nullptr);
        }
        bytes.push_back(std::byte{0});
        CHECK(decode(bytes, decoded) != nullptr);
        set_length(bytes);
        CHECK(decode(bytes, decoded) != nullptr);
    }
}

inline void edit(std::vector<std::byte>& bytes, base::Prng& random) {
    const std::size_t at = random.below(bytes.size());
    switch (random.below(4)) {
        case 0:
            bytes[at] ^= static_cast<std::byte>(1U << random.below(8));
            break;
        case 1:
            bytes[at] = static_cast<std::byte>(random.next());
            break;
        case 2:
            bytes.resize(1 + at);
            break;
        case 3:
            bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), static_cast<std::byte>(random.next()));
            break;
    }
}

// Canonical: what decodes at all encodes to the same bytes again, so two different strings never mean one message.
template <class Make>
void check_hostile_bytes(Make make, std::uint64_t seed, std::uint64_t times) {
    base::Prng random(seed);
    decltype(make(random)) decoded;
    std::uint64_t accepted = 0, refused = 0;
    for (std::uint64_t i = 0; i < times; ++i) {
        auto bytes = encoded(make(random));
        for (std::uint64_t edits = 1 + random.below(4); edits > 0; --edits) edit(bytes, random);
        if (random.below(2) == 1) set_length(bytes);
        // an exact copy on the heap, so that AddressSanitizer sees a read past the end
        const std::vector<std::byte> exact(bytes);
        if (decode(exact, decoded) == nullptr) {
            ++accepted;
            CHECK(encoded(decoded) == exact);
        } else {
            ++refused;
        }
    }
    CHECK(accepted > 0 && refused > 0);
}

}  // namespace fastmas::testing
