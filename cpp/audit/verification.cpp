#include "audit/verification.hpp"

#include "audit/merkle.hpp"
#include "audit/misplaced.hpp"

namespace fastmas::audit {
namespace {

constexpr std::uint64_t kProgressBytes = std::uint64_t{1} << 20;

std::string number(std::uint64_t value) {
    return std::to_string(value);
}

// The state of one walk: what has been proved so far, and the block being read.
class Walker {
  public:
    Walker(ByteSource& source, const WalkOptions& options) : source_(source), options_(options) {}

    Walk run() {
        walk_.file_bytes = source_.size();
        walk_.header = read_header(source_);
        walk_.head = walk_.header.hash;
        walk_.sealed_bytes = walk_.header.bytes;
        Scanner scanner(source_, walk_.header.bytes);
        std::uint64_t next_progress = kProgressBytes;
        while (true) {
            const Item& item = scanner.next();
            if (item.offset >= next_progress && options_.progress) {
                options_.progress();
                next_progress = item.offset + kProgressBytes;
            }
            switch (item.kind) {
                case ItemKind::record:
                    take(item);
                    break;
                case ItemKind::footer:
                    seal(item);
                    break;
                case ItemKind::trailer:
                    finish(item);
                    return std::move(walk_);
                case ItemKind::end:
                    finish_without_trailer(item, "the file ends here");
                    return std::move(walk_);
                case ItemKind::damage:
                    finish_without_trailer(item, item.damage);
                    return std::move(walk_);
            }
        }
    }

  private:
    std::string block_name() const { return "block " + number(walk_.blocks); }
    std::uint64_t next_sequence() const { return walk_.records + count_; }

    Damage damaged_block(const Item& item, const std::string& what) const {
        return Damage(block_name() + " (records " + number(walk_.records) + " to " + number(next_sequence() - 1) +
                          "): " + what + " (byte " + number(item.offset) + ")",
                      item.offset, walk_.blocks);
    }

    void take(const Item& item) {
        const RecordView& record = item.record;
        if (record.sequence() != next_sequence()) {
            throw misplaced_record(source_,
                                   {walk_.blocks, walk_.sealed_bytes, next_sequence(), item.offset, count_ == 0},
                                   record.sequence());
        }
        if (count_ == kMaxBlockRecords)
            throw damaged_block(item, "its footer is missing: a block holds at most 4096 records");
        for (std::size_t i = 0; i < record.cause_count(); ++i) {
            const std::uint64_t cause = record.cause(i);
            if (cause == 0 || (record.id() != 0 && cause >= record.id())) {
                throw Damage(block_name() + ", record " + number(record.sequence()) + " names the cause " +
                                 number(cause) + ", which is no earlier id (byte " + number(item.offset) + ")",
                             item.offset, walk_.blocks, record.sequence());
            }
        }
        if (options_.check_hashes) tree_.add(leaf_hash(record.bytes));
        if (options_.index) {
            options_.index->offsets.push_back(item.offset);
            options_.index->ids.push_back(record.id());
            options_.index->types.push_back(record.type());
            options_.index->counts.push_back(record.count());
        }
        ++count_;
    }

    void seal(const Item& item) {
        const Footer& footer = item.footer;
        if (footer.block != walk_.blocks) {
            const std::string here = "the footer of block " + number(footer.block);
            throw Damage(footer.block < walk_.blocks ? here + " stands a second time, where " + block_name() +
                                                           " belongs (byte " + number(item.offset) + ")"
                                                     : "the footer of " + block_name() + " is missing: " + here +
                                                           " stands in its place (byte " + number(item.offset) + ")",
                         item.offset, walk_.blocks);
        }
        if (count_ == 0) {
            throw Damage(block_name() + " is empty: its records are missing (byte " + number(item.offset) + ")",
                         item.offset, walk_.blocks);
        }
        if (footer.first_sequence != walk_.records || footer.count != count_ ||
            footer.record_bytes != item.offset - walk_.sealed_bytes) {
            throw damaged_block(item, "its footer speaks of " + number(footer.count) + " records from " +
                                          number(footer.first_sequence) + " on in " + number(footer.record_bytes) +
                                          " bytes, found " + number(count_) + " in " +
                                          number(item.offset - walk_.sealed_bytes) +
                                          ": a record is missing or was added");
        }
        if (options_.check_hashes && tree_.root() != footer.root) {
            throw damaged_block(item, "its Merkle root is wrong: a record was altered and its checksum made to fit");
        }
        if (chain_head(footer.previous, footer.block, footer.count, footer.root) != footer.head)
            throw damaged_block(
                item, "its footer was altered and its checksum made to fit: the head does not follow from it");
        if (footer.previous != walk_.head) {
            throw damaged_block(
                item,
                walk_.blocks == 0
                    ? "it does not continue from the header: the header was altered, or this is another file's block"
                    : "it does not continue from block " + number(walk_.blocks - 1) + ": one of the two was rewritten");
        }
        walk_.head = footer.head;
        walk_.records += count_;
        walk_.sealed_bytes = item.offset + kFooterBytes;
        ++walk_.blocks;
        count_ = 0;
        tree_.clear();
        if (options_.index) options_.index->footers.push_back(footer);
    }

    void finish(const Item& item) {
        const Trailer& trailer = item.trailer;
        if (count_ != 0) throw damaged_block(item, "its footer is missing: the trailer stands in its place");
        if (trailer.blocks != walk_.blocks || trailer.records != walk_.records) {
            throw Damage("blocks are missing or were added at the end: the trailer counts " + number(trailer.blocks) +
                             " blocks of " + number(trailer.records) + " records, found " + number(walk_.blocks) +
                             " of " + number(walk_.records) + " (byte " + number(item.offset) + ")",
                         item.offset, walk_.blocks);
        }
        if (trailer.head != walk_.head) {
            throw Damage("the trailer's head is not that of the last block: the last block" +
                             std::string(walk_.blocks == 0 ? ", the header" : "") +
                             " or the trailer was rewritten (byte " + number(item.offset) + ")",
                         item.offset, walk_.blocks == 0 ? 0 : walk_.blocks - 1);
        }
        const std::uint64_t end = item.offset + kTrailerBytes;
        if (end != walk_.file_bytes) {
            throw Damage(
                number(walk_.file_bytes - end) + " bytes were appended after the trailer (byte " + number(end) + ")",
                end);
        }
        if (trailer.file_bytes != end)
            throw Damage("the trailer speaks of " + number(trailer.file_bytes) + " bytes, the file has " + number(end),
                         item.offset);
        walk_.closed = true;
        check_head();
    }

    void finish_without_trailer(const Item& item, const std::string& what) {
        if (item.kind == ItemKind::damage && has_seal_after(source_, item.offset)) {
            throw Damage(block_name() + ", record " + number(next_sequence()) + ": " + what + " (byte " +
                             number(item.offset) + ")",
                         item.offset, walk_.blocks, next_sequence());
        }
        walk_.tail =
            what + " (byte " + number(item.offset) + "), in " + block_name() + " at record " + number(next_sequence());
        if (!options_.allow_unclosed) {
            throw Damage("no trailer: " + walk_.tail + "; verified are " + number(walk_.blocks) + " blocks of " +
                             number(walk_.records) +
                             " records; the file was cut or its end altered, or its writer did not finish",
                         item.offset, walk_.blocks, next_sequence());
        }
        check_head();
    }

    void check_head() const {
        if (options_.head && *options_.head != walk_.head) {
            throw Damage(
                "the file agrees with itself, but its head is not the one you know: it was rewritten, or it is "
                "another run's",
                walk_.sealed_bytes);
        }
    }

    ByteSource& source_;
    const WalkOptions& options_;
    Walk walk_;
    MerkleTree tree_;
    std::uint64_t count_ = 0;  // records of the block being read
};

}  // namespace

Walk walk(ByteSource& source, const WalkOptions& options) {
    return Walker(source, options).run();
}

}  // namespace fastmas::audit
