// What shared rings there are, and putting away those that nobody uses.
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <system_error>

#include "base/errors.hpp"
#include "ringbuffer/file_lock.hpp"
#include "ringbuffer/segment.hpp"
#include "ringbuffer/segment_file.hpp"
#include "ringbuffer/segment_table.hpp"

namespace fastmas::ringbuffer {
namespace {

// A file of the directory that is a ring's by its name.
struct Found {
    std::string name;  // of the ring; of a draft its file's
    std::string path;
    bool draft = false;
};

std::vector<Found> ring_files() {
    const std::string directory = ring_directory();
    const std::unique_ptr<DIR, int (*)(DIR*)> open(opendir(directory.c_str()), &closedir);
    if (open == nullptr)
        throw std::system_error(errno, std::generic_category(), "cannot list shared rings in " + directory);
    std::vector<Found> found;
    while (const dirent* const entry = readdir(open.get())) {
        const std::string_view file = entry->d_name;
        const std::string path = directory + "/" + std::string(file);
        if (file.starts_with(kDraftPrefix)) found.push_back({std::string(file), path, true});
        if (!file.starts_with(kFilePrefix)) continue;
        std::string name(1, '/');
        name += file.substr(kFilePrefix.size());
        try {
            check_name(name);
            found.push_back({name, path, false});
        } catch (const base::ConfigError&) {
            // none of ours: no ring can have this name
        }
    }
    std::sort(found.begin(), found.end(), [](const Found& a, const Found& b) { return a.name < b.name; });
    return found;
}

// Root may look at everybody's rings and put them away: for that nothing is mapped.
bool looks_after_all() noexcept {
    return geteuid() == 0;
}

// A RoleEntry read from the file.
struct RawEntry {
    std::uint32_t held;
    std::int32_t pid;
    std::uint64_t incarnation;
    char name[RoleEntry::kNameBytes];
};
static_assert(sizeof(RawEntry) == sizeof(RoleEntry));

std::optional<RawEntry> read_entry(int fd, Role role) {
    const auto at = offsetof(RegionHeader, roles) + static_cast<std::size_t>(role.place) * sizeof(RoleEntry);
    RawEntry entry{};
    if (pread(fd, &entry, sizeof entry, static_cast<off_t>(at)) != static_cast<ssize_t>(sizeof entry))
        return std::nullopt;
    return entry;
}

RoleState state_of_entry(int fd, Role role, RawEntry& entry) {
    while (true) {
        if (holder_of(fd, LockByte::role(role), LockType::exclusive).held) return RoleState::alive;
        const auto after = read_entry(fd, role);
        if (!after) return RoleState::absent;
        const bool same = after->held == entry.held && after->incarnation == entry.incarnation;
        entry = *after;
        if (!same) continue;
        if (entry.held == 0) return RoleState::absent;
        return entry.held == 1 ? RoleState::dead : RoleState::left;
    }
}

void add_holders(SegmentInfo& info, int fd, const Attachment* known) {
    for (std::int32_t place = 0; place < kRoles; ++place) {
        const Role role{place};
        auto entry = read_entry(fd, role);
        if (!entry || entry->held == 0) continue;
        const bool here = known != nullptr && known->holders[static_cast<std::size_t>(place)].load(
                                                  // [L5 relaxed] the table's mutex is held
                                                  std::memory_order_relaxed) != nullptr;
        const RoleState state = here ? RoleState::alive : state_of_entry(fd, role, *entry);
        info.holders.push_back({role, state, entry->pid, {entry->name, strnlen(entry->name, sizeof entry->name)}});
    }
}

// Under the table's mutex. False when it is gone.
bool look_at(SegmentTable& table, const Found& found, SegmentInfo& info) {
    const auto id = id_at(found.path);
    if (!id) return false;
    const auto known = table.find(*id);
    Descriptor opened;
    if (known == nullptr) {
        opened = table.open(found.path, found.name, false);
        if (!opened) return false;
    }
    const int fd = known != nullptr ? known->file.get() : opened.get();
    struct stat status {};
    fstat(fd, &status);
    info.bytes = static_cast<std::int64_t>(status.st_size);
    if (is_strangers(status) && !looks_after_all()) refuse_strangers(status, found.path, found.name);
    const auto head = read_head(fd);
    const bool used = known != nullptr || holder_of(fd, LockByte::kPresent, LockType::exclusive).held;
    if (state_of_region(head) == RegionState::unfinished) {
        info.state = used ? "in use" : "unfinished";
        return true;
    }
    info.spec = read_header(head, static_cast<std::uint64_t>(status.st_size), found.name);
    info.state = used ? "in use" : "stale";
    add_holders(info, fd, known.get());
    return true;
}

// Under the table's mutex.
bool clean_one(SegmentTable& table, const Found& found) {
    const auto id = id_at(found.path);
    if (!id || table.find(*id) != nullptr) return false;
    const Descriptor file = table.open(found.path, found.name, true);
    struct stat status {};
    if (!file || fstat(file.get(), &status) != 0 || (is_strangers(status) && !looks_after_all())) return false;
    if (state_of_region(read_head(file.get())) == RegionState::foreign) return false;
    return remove_if_unused(file.get(), found.path, found.name);
}

}  // namespace

std::vector<SegmentInfo> Segment::list() {
    SegmentTable& table = SegmentTable::instance();
    std::vector<SegmentInfo> all;
    for (const Found& found : ring_files()) {
        SegmentInfo info;
        info.name = found.name;
        const std::lock_guard lock(table.mutex);
        try {
            if (!look_at(table, found, info)) continue;
        } catch (const std::exception& error) {
            info.state = "foreign";
            info.why = error.what();
        }
        all.push_back(std::move(info));
    }
    return all;
}

std::vector<std::string> Segment::clean() {
    SegmentTable& table = SegmentTable::instance();
    std::vector<std::string> removed;
    for (const Found& found : ring_files()) {
        const std::lock_guard lock(table.mutex);
        try {
            if (clean_one(table, found)) removed.push_back(found.name);
        } catch (const std::exception&) {
            // not ours to remove, or a stopped process is just removing it: list() says what is wrong with it
        }
    }
    return removed;
}

}  // namespace fastmas::ringbuffer
