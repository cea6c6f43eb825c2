// Blocks, Merkle trees and the walk over them; runs under AddressSanitizer too, where hostile bytes are tried.
#include "audit/block_builder.hpp"

#include <string>
#include <string_view>
#include <vector>

#include "audit/verification.hpp"
#include "base/errors.hpp"
#include "base/prng.hpp"
#include "check.hpp"

using namespace fastmas::audit;
using fastmas::base::ConfigError;
using fastmas::base::Prng;

namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

std::string hex(const Digest& digest) {
    std::string text;
    for (const std::byte byte : digest) {
        text += "0123456789abcdef"[std::to_integer<unsigned>(byte) >> 4];
        text += "0123456789abcdef"[std::to_integer<unsigned>(byte) & 15];
    }
    return text;
}

// MTH of RFC 9162 §2.1.1, as it is written there.
Digest dumb_root(std::span<const Digest> leaves) {
    if (leaves.empty()) return sha256({});
    if (leaves.size() == 1) return leaves[0];
    std::size_t split = 1;
    while (split * 2 < leaves.size()) split *= 2;
    return node_hash(dumb_root(leaves.first(split)), dumb_root(leaves.subspan(split)));
}

std::vector<Digest> some_leaves(std::size_t count) {
    std::vector<Digest> leaves;
    for (std::size_t i = 0; i < count; ++i) leaves.push_back(leaf_hash(bytes_of(std::to_string(i))));
    return leaves;
}

void extend(std::vector<std::byte>& file, std::span<const std::byte> bytes) {
    file.insert(file.end(), bytes.begin(), bytes.end());
}

// A file of `blocks` blocks with a few records each.
std::vector<std::byte> some_file(std::uint64_t blocks) {
    std::vector<std::byte> file = make_header("{}");
    BlockBuilder builder(file);
    std::uint64_t id = 1;
    for (std::uint64_t block = 0; block < blocks; ++block) {
        for (int k = 0; k < 3; ++k, ++id) {
            const std::vector<std::uint64_t> causes =
                id > 1 ? std::vector<std::uint64_t>{id - 1} : std::vector<std::uint64_t>{};
            builder.append(id, 7, 16, 1, causes, bytes_of("payload"));
        }
        extend(file, builder.seal());
    }
    std::array<std::byte, kTrailerBytes> trailer;
    write_trailer({builder.blocks(), builder.records(), file.size() + kTrailerBytes, builder.head()}, trailer);
    extend(file, trailer);
    return file;
}

Walk walk_bytes(std::span<const std::byte> bytes, const WalkOptions& options = {}) {
    MemorySource source(bytes);
    return walk(source, options);
}

}  // namespace

// The eight entries and roots that Certificate Transparency's implementations are tested with.
TEST(merkle_roots_are_those_of_certificate_transparency) {
    const std::vector<std::vector<unsigned char>> entries = {
        {},
        {0x00},
        {0x10},
        {0x20, 0x21},
        {0x30, 0x31},
        {0x40, 0x41, 0x42, 0x43},
        {0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57},
        {0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f}};
    const std::vector<std::string> roots = {"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                                            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
                                            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
                                            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
                                            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
                                            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
                                            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
                                            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};
    MerkleTree tree;
    CHECK_EQUAL(hex(tree.root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (std::size_t i = 0; i < entries.size(); ++i) {
        tree.add(leaf_hash(std::as_bytes(std::span(entries[i]))));
        CHECK_EQUAL(hex(tree.root()), roots[i]);
    }
}

TEST(the_tree_that_keeps_no_leaves_agrees_with_the_definition) {
    const std::vector<Digest> leaves = some_leaves(300);
    MerkleTree tree;
    for (std::size_t count = 0; count <= leaves.size(); ++count) {
        CHECK(tree.root() == dumb_root(std::span(leaves).first(count)));
        CHECK(merkle_root(std::span(leaves).first(count)) == tree.root());
        if (count < leaves.size()) tree.add(leaves[count]);
    }
    tree.clear();
    tree.add(leaves[5]);
    CHECK(tree.root() == leaves[5]);
}

TEST(a_path_leads_to_the_root_from_its_leaf_and_place_only) {
    const std::vector<Digest> leaves = some_leaves(40);
    for (std::size_t count = 1; count <= leaves.size(); ++count) {
        const std::span<const Digest> some = std::span(leaves).first(count);
        const Digest root = dumb_root(some);
        for (std::size_t i = 0; i < count; ++i) {
            std::vector<Digest> path = inclusion_path(some, i);
            CHECK(root_from_path(leaves[i], i, count, path) == root);
            CHECK(root_from_path(leaves[(i + 1) % 40], i, count, path) != root);
            for (std::size_t j = 0; j < count; ++j) CHECK(j == i || root_from_path(leaves[i], j, count, path) != root);
            CHECK(!root_from_path(leaves[i], count, count, path));
            path.push_back(root);
            CHECK(!root_from_path(leaves[i], i, count, path));  // too long
            path.pop_back();
            if (!path.empty()) {
                path.pop_back();
                CHECK(!root_from_path(leaves[i], i, count, path));  // too short
            }
        }
    }
}

TEST(a_record_stands_in_the_block_byte_for_byte) {
    const std::vector<std::byte> header = make_header("{}");
    BlockBuilder builder(header);
    const std::vector<std::uint64_t> causes = {1, 0x0807060504030201};
    builder.append(0x1817161514131211, -2, 0x24232221, 3, causes, bytes_of("pay"));
    const std::span<const std::byte> block = builder.seal();
    CHECK_EQUAL(block.size(), 44U + 16U + 3U + kFooterBytes);
    const RecordView record{block.first(63)};
    CHECK_EQUAL(record.length(), 63U);
    CHECK_EQUAL(record.checksum(), checksum_around(record.bytes));
    CHECK_EQUAL(record.sequence(), 0U);
    CHECK_EQUAL(record.id(), 0x1817161514131211U);
    CHECK_EQUAL(record.ts_ns(), -2);
    CHECK_EQUAL(record.type(), 0x24232221U);
    CHECK_EQUAL(record.count(), 3U);
    CHECK_EQUAL(record.cause_count(), 2U);
    CHECK_EQUAL(record.cause(1), 0x0807060504030201U);
    CHECK(std::to_integer<int>(block[16]) == 0x11 && std::to_integer<int>(block[23]) == 0x18);  // little-endian
    const auto footer = read_footer(block.subspan(63).first<kFooterBytes>());
    CHECK(footer.has_value());
    CHECK(footer->root == leaf_hash(record.bytes));
    CHECK(footer->previous == sha256(header));
    CHECK(footer->head == chain_head(sha256(header), 0, 1, footer->root));
    CHECK(footer->head == builder.head());
    CHECK_EQUAL(footer->record_bytes, 63U);
}

TEST(a_block_is_full_at_4096_records_or_a_mebibyte) {
    BlockBuilder many(make_header("{}"));
    for (std::uint32_t i = 0; i < kMaxBlockRecords; ++i) {
        CHECK(!many.full());
        many.append(0, 0, 16, 1, {}, {});
    }
    CHECK(many.full());
    (void)many.seal();
    CHECK(many.empty() && !many.full());
    BlockBuilder large(make_header("{}"));
    const std::vector<std::byte> payload(kSealAtBytes - kRecordHeaderBytes - 1);
    large.append(0, 0, 16, 1, {}, payload);
    CHECK(!large.full());
    large.append(0, 0, 16, 1, {}, {});
    CHECK(large.full());
}

TEST(a_refused_record_changes_nothing) {
    BlockBuilder builder(make_header("{}"));
    const std::vector<std::uint64_t> late = {5};
    CHECK_THROWS(builder.append(5, 0, 16, 1, late, {}), ConfigError, "a cause is the id of an earlier message");
    CHECK_THROWS(builder.append(1, 0, 16, 0, {}, {}), ConfigError, "count >= 1 rows, got 0");
    CHECK_THROWS(builder.append(~0ULL, 0, 16, 1, {}, {}), ConfigError, "ids are 64 bits wide");
    CHECK(builder.empty());
    CHECK_EQUAL(builder.records(), 0U);
}

TEST(a_walk_sees_every_record_and_the_head) {
    const std::vector<std::byte> file = some_file(5);
    Index index;
    WalkOptions options;
    options.index = &index;
    const Walk seen = walk_bytes(file, options);
    CHECK(seen.closed);
    CHECK_EQUAL(seen.records, 15U);
    CHECK_EQUAL(seen.blocks, 5U);
    CHECK_EQUAL(index.ids.size(), 15U);
    CHECK_EQUAL(index.ids[14], 15U);
    CHECK_EQUAL(index.footers.size(), 5U);
    CHECK(index.footers[4].head == seen.head);
    CHECK_EQUAL(seen.sealed_bytes + kTrailerBytes, file.size());
}

TEST(no_altered_bit_passes_and_no_bytes_crash_the_walk) {
    const std::vector<std::byte> file = some_file(3);
    std::vector<std::byte> altered = file;
    for (std::size_t bit = 0; bit < 8 * file.size(); ++bit) {
        altered[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
        CHECK_THROWS(walk_bytes(altered), Damage, "");
        altered[bit / 8] = file[bit / 8];
    }
    CHECK(walk_bytes(altered).closed);
    for (std::size_t size = 0; size < file.size(); ++size)
        CHECK_THROWS(walk_bytes(std::span(file).first(size)), Damage, "");
}

TEST(hostile_bytes_give_damage_and_nothing_else) {
    Prng prng(2024);
    const std::vector<std::byte> file = some_file(3);
    WalkOptions lenient;
    lenient.allow_unclosed = true;
    int whole = 0;
    for (int round = 0; round < 20'000; ++round) {
        std::vector<std::byte> bytes = file;
        const std::uint64_t edits = 1 + prng.below(6);
        for (std::uint64_t edit = 0; edit < edits; ++edit) {
            const std::size_t at = prng.below(bytes.size());
            switch (prng.below(5)) {
                case 0:
                    bytes[at] = static_cast<std::byte>(prng.next());
                    break;
                case 1:
                    bytes.resize(at + 1);
                    break;
                case 2:
                    bytes.erase(bytes.begin() + static_cast<std::ptrdiff_t>(at));
                    break;
                case 3:
                    bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), bytes[prng.below(bytes.size())]);
                    break;
                default:  // a length, count or number that was chosen to hurt, with a checksum made to fit
                    if (at + kRecordHeaderBytes <= bytes.size()) {
                        store(bytes.data() + at,
                              static_cast<std::uint32_t>(prng.chance_ppm(500'000) ? ~0U : prng.below(200)));
                        const std::size_t size = std::min<std::size_t>(bytes.size() - at, 8 + prng.below(200));
                        store(bytes.data() + at + 4, checksum_around(std::span(bytes).subspan(at, size)));
                    }
            }
        }
        for (const WalkOptions& options : {WalkOptions{}, lenient}) {
            try {
                (void)walk_bytes(bytes, options);
                ++whole;
            } catch (const Damage&) {
                continue;
            }
        }
    }
    CHECK(whole > 0);  // some cuts leave sealed blocks, which the lenient walk accepts
}

TEST_MAIN
