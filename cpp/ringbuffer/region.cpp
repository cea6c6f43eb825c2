#include "ringbuffer/region.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#include "base/errors.hpp"

namespace fastmas::ringbuffer {
namespace {

constexpr std::uint64_t kFnvOffset = 0xCBF29CE484222325;
constexpr std::uint64_t kFnvPrime = 0x100000001B3;

void mix(std::uint64_t& hash, std::uint64_t value) {
    for (int byte = 0; byte < 8; ++byte) {
        hash = (hash ^ (value & 0xFFU)) * kFnvPrime;
        value >>= 8U;
    }
}

struct KindName {
    RingKind kind;
    std::string_view text;
    std::string_view python;  // the class that makes and attaches it
};
constexpr std::array kKinds{
    KindName{RingKind::spsc, "spsc", "SpscRing"},   KindName{RingKind::mpsc, "mpsc", "MpscRing"},
    KindName{RingKind::mpmc, "mpmc", "MpmcRing"},   KindName{RingKind::broadcast, "broadcast", "BroadcastRing"},
    KindName{RingKind::bytes, "bytes", "ByteRing"},
};

const KindName* find_kind(std::uint32_t number) {
    const auto found = std::find_if(kKinds.begin(), kKinds.end(), [number](const KindName& known) {
        return static_cast<std::uint32_t>(known.kind) == number;
    });
    return found == kKinds.end() ? nullptr : &*found;
}

bool known_overflow(RingKind kind, std::uint32_t number) {
    const auto largest = kind == RingKind::broadcast ? Overflow::evict : Overflow::drop_newest;
    return number >= static_cast<std::uint32_t>(Overflow::refuse) && number <= static_cast<std::uint32_t>(largest);
}

// Copies of the fields of a header that may be hostile: nothing of it is used as an enum or a size before it is
// checked.
class RawHeader {
  public:
    explicit RawHeader(std::span<const std::byte> bytes) : bytes_(bytes) {}

    template <class T>
    T get(std::size_t offset) const {
        T value{};
        std::memcpy(&value, bytes_.data() + offset, sizeof value);
        return value;
    }
    std::string text(std::size_t offset, std::size_t length) const {
        return {reinterpret_cast<const char*>(bytes_.data()) + offset, length};
    }

  private:
    std::span<const std::byte> bytes_;
};

[[noreturn]] void refuse(std::string_view name, const std::string& text) {
    throw SegmentError("ring '" + std::string(name) + "' " + text);
}

[[noreturn]] void refuse_damaged(std::string_view name, const std::string& what) {
    refuse(name, "is damaged: " + what + "; remove it (SpscRing.unlink, `fastmas rings clean`) and create it anew");
}

template <class T>
std::string number(T value) {
    return std::to_string(value);
}

}  // namespace

std::uint64_t layout_hash() {
    static const std::uint64_t hash = [] {
        std::uint64_t sum = kFnvOffset;
        for (const std::size_t fact : {sizeof(RegionHeader),
                                       sizeof(RoleEntry),
                                       sizeof(WakePoint<HardwareMemory>),
                                       kLineBytes,
                                       static_cast<std::size_t>(kMaxProducers),
                                       static_cast<std::size_t>(kRoles),
                                       RegionHeader::kDtypeBytes,
                                       RoleEntry::kNameBytes,
                                       offsetof(RegionHeader, version),
                                       offsetof(RegionHeader, layout_hash),
                                       offsetof(RegionHeader, kind),
                                       offsetof(RegionHeader, capacity),
                                       offsetof(RegionHeader, region_bytes),
                                       offsetof(RegionHeader, dtype),
                                       offsetof(RegionHeader, dropped),
                                       offsetof(RegionHeader, readable),
                                       offsetof(RegionHeader, consumers_sleep),
                                       offsetof(RegionHeader, writable),
                                       offsetof(RegionHeader, producers_sleep),
                                       offsetof(RegionHeader, roles),
                                       offsetof(RoleEntry, pid),
                                       offsetof(RoleEntry, incarnation),
                                       offsetof(RoleEntry, name)})
            mix(sum, fact);
        for (const KindName& known : kKinds)
            for (const SlotLayout slots : {SlotLayout::contiguous, SlotLayout::sequenced})
                for (const RingShape shape : {RingShape{2, 8}, RingShape{1024, 200}}) {
                    try {
                        mix(sum, body_bytes(known.kind, slots, shape));
                    } catch (const base::ConfigError&) {
                        mix(sum, 0);  // a kind that this build does not have in this layout
                    }
                }
        return sum;
    }();
    return hash;
}

void RegionSpec::check() const {
    RingShape::checked(shape.capacity, static_cast<std::int64_t>(shape.slot_bytes));
    if (find_kind(static_cast<std::uint32_t>(kind)) == nullptr)
        throw base::ConfigError("a ring's kind must be 1 to 5, got " + number(static_cast<std::uint32_t>(kind)));
    if (!known_overflow(kind, static_cast<std::uint32_t>(overflow)))
        throw base::ConfigError(
            "a ring's overflow must be refuse or drop_newest, of a broadcast ring also "
            "overwrite_oldest or evict, got number " +
            number(static_cast<std::uint32_t>(overflow)) + " for a " + std::string(kind_text(kind)) + " ring");
    if (dtype.size() > RegionHeader::kDtypeBytes)
        throw base::ConfigError("the text of a shared ring's dtype must have at most " +
                                number(RegionHeader::kDtypeBytes) + " bytes, got " + number(dtype.size()) +
                                "; take fewer or shorter field names");
    if (overflow != Overflow::evict && max_lag_records != 0)
        throw base::ConfigError("max_lag_records is for a ring whose overflow is 'evict', got " +
                                number(max_lag_records) + "; leave it out or take that overflow");
    if (overflow == Overflow::evict && (max_lag_records < 1 || max_lag_records > shape.capacity))
        throw base::ConfigError("max_lag_records must be 1 to the capacity of " + number(shape.capacity) +
                                " records, got " + number(max_lag_records));
    constexpr std::size_t kControlBytes = std::size_t{1} << 20U;  // more than the control block of any kind takes
    if (const std::size_t bytes = body_bytes(); bytes > RingShape::kMaxRingBytes + kControlBytes)
        throw base::ConfigError("a ring must not be larger than " + number(RingShape::kMaxRingBytes) + " bytes, got " +
                                number(shape.capacity) + " records of " + number(shape.slot_bytes) +
                                " bytes in slots of whole cache lines, " + number(bytes) +
                                " bytes in all; take a smaller capacity");
}

std::size_t RegionSpec::body_bytes() const {
    return ringbuffer::body_bytes(kind, slots, shape);
}

std::size_t RegionSpec::region_bytes() const {
    return sizeof(RegionHeader) + body_bytes();
}

void RegionSpec::require_dtype(std::string_view wanted, std::string_view name) const {
    if (dtype == wanted) return;
    refuse(name, "carries records of " + dtype + ", not of " + std::string(wanted) +
                     "; attach with the dtype that it was created with, or without one");
}

RegionHeader& write_header(std::byte* region, const RegionSpec& spec) {
    auto& header = *new (region) RegionHeader;
    header.version = RegionHeader::kVersion;
    header.header_bytes = sizeof(RegionHeader);
    header.layout_hash = layout_hash();
    header.kind = spec.kind;
    header.slots = spec.slots;
    header.overflow = spec.overflow;
    header.dtype_bytes = static_cast<std::uint32_t>(spec.dtype.size());
    header.capacity = spec.shape.capacity;
    header.record_bytes = static_cast<std::int64_t>(spec.shape.slot_bytes);
    header.region_bytes = static_cast<std::int64_t>(spec.region_bytes());
    header.max_lag_records = spec.max_lag_records;
    std::memcpy(header.dtype, spec.dtype.data(), spec.dtype.size());
    return header;
}

void finish_header(RegionHeader& header) noexcept {
    // Nobody else can see the region yet: what makes it visible (link(), or handing the pointer over) orders this.
    header.magic = RegionHeader::kMagic;
}

RegionState state_of_region(std::span<const std::byte> head) noexcept {
    std::uint64_t magic = 0;
    if (!head.empty()) std::memcpy(&magic, head.data(), std::min(head.size(), sizeof magic));
    if (magic == RegionHeader::kMagic && head.size() >= sizeof magic) return RegionState::complete;
    return magic == 0 ? RegionState::unfinished : RegionState::foreign;
}

RegionSpec read_header(std::span<const std::byte> head, std::uint64_t file_bytes, std::string_view name,
                       std::optional<RingKind> expected) {
    switch (state_of_region(head)) {
        case RegionState::unfinished:
            refuse(name, "was never finished: its creator ended first; create it again");
        case RegionState::foreign:
            refuse(name, "is no ring: its file begins with other bytes than FMSRING1; take another name");
        case RegionState::complete:
            break;
    }
    // The version before all else: another version may have a shorter header.
    const RawHeader raw(head);
    constexpr std::size_t kUpToVersion = offsetof(RegionHeader, version) + sizeof(RegionHeader::version);
    if (head.size() < kUpToVersion)
        refuse_damaged(name, "its file has " + number(file_bytes) + " bytes, its header alone has " +
                                 number(sizeof(RegionHeader)));
    const auto version = raw.get<std::uint32_t>(offsetof(RegionHeader, version));
    if (version != RegionHeader::kVersion)
        refuse(name, "was made by a fastmas whose rings have version " + number(version) + ", this one's have " +
                         number(RegionHeader::kVersion) + "; use one fastmas on both sides");
    if (head.size() < sizeof(RegionHeader))
        refuse_damaged(name, "its file has " + number(file_bytes) + " bytes, its header alone has " +
                                 number(sizeof(RegionHeader)));
    const auto header_bytes = raw.get<std::uint32_t>(offsetof(RegionHeader, header_bytes));
    const auto hash = raw.get<std::uint64_t>(offsetof(RegionHeader, layout_hash));
    if (header_bytes != sizeof(RegionHeader) || hash != layout_hash())
        refuse(name, "was laid out by another build: header of " + number(header_bytes) + " bytes and layout " +
                         number(hash) + " there, " + number(sizeof(RegionHeader)) + " and " + number(layout_hash()) +
                         " here; use one build of fastmas on both sides");

    const auto kind_number = raw.get<std::uint32_t>(offsetof(RegionHeader, kind));
    const KindName* const kind = find_kind(kind_number);
    if (kind == nullptr) refuse_damaged(name, "its kind is " + number(kind_number) + ", kinds are 1 to 5");
    if (expected && *expected != kind->kind)
        refuse(name, "is a ring of kind " + std::string(kind->text) + ", not " + std::string(kind_text(*expected)) +
                         "; attach to it with " + std::string(kind->python));
    RegionSpec spec;
    spec.kind = kind->kind;
    const auto slots = raw.get<std::uint32_t>(offsetof(RegionHeader, slots));
    if (slots != static_cast<std::uint32_t>(SlotLayout::contiguous) &&
        slots != static_cast<std::uint32_t>(SlotLayout::sequenced))
        refuse_damaged(name, "its slot layout is " + number(slots) + ", layouts are 1 and 2");
    spec.slots = static_cast<SlotLayout>(slots);
    const auto overflow = raw.get<std::uint32_t>(offsetof(RegionHeader, overflow));
    if (!known_overflow(spec.kind, overflow))
        refuse_damaged(name, "its overflow policy is " + number(overflow) + ", which a " + std::string(kind->text) +
                                 " ring does not have");
    spec.overflow = static_cast<Overflow>(overflow);

    const auto dtype_bytes = raw.get<std::uint32_t>(offsetof(RegionHeader, dtype_bytes));
    if (dtype_bytes > RegionHeader::kDtypeBytes)
        refuse_damaged(name, "its dtype has " + number(dtype_bytes) + " bytes of text, at most " +
                                 number(RegionHeader::kDtypeBytes) + " fit");
    spec.dtype = raw.text(offsetof(RegionHeader, dtype), dtype_bytes);
    spec.max_lag_records = raw.get<std::int64_t>(offsetof(RegionHeader, max_lag_records));
    const auto region_bytes = raw.get<std::int64_t>(offsetof(RegionHeader, region_bytes));
    std::size_t needed = 0;
    try {
        // checked() bounds both factors, so nothing below can overflow.
        spec.shape = RingShape::checked(raw.get<std::int64_t>(offsetof(RegionHeader, capacity)),
                                        raw.get<std::int64_t>(offsetof(RegionHeader, record_bytes)));
        spec.check();
        needed = spec.region_bytes();
    } catch (const base::ConfigError& error) {
        refuse_damaged(name, error.what());
    }
    if (region_bytes < 0 || static_cast<std::uint64_t>(region_bytes) != needed)
        refuse_damaged(name, "it says that it has " + number(region_bytes) + " bytes, a " + std::string(kind->text) +
                                 " ring of " + number(spec.shape.capacity) + " records of " +
                                 number(spec.shape.slot_bytes) + " bytes has " + number(needed));
    if (file_bytes < needed)
        refuse_damaged(name, "its file has " + number(file_bytes) + " bytes, its header says " + number(needed));
    return spec;
}

std::string_view kind_text(RingKind kind) noexcept {
    const KindName* const known = find_kind(static_cast<std::uint32_t>(kind));
    return known == nullptr ? "unknown" : known->text;
}

std::string role_text(Role role) {
    return (role.side() == Side::producer ? "producer " : "consumer ") + number(role.index());
}

}  // namespace fastmas::ringbuffer
