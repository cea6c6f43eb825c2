#include "ringbuffer/segment.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "ringbuffer/file_lock.hpp"
#include "ringbuffer/kill_point.hpp"
#include "ringbuffer/segment_file.hpp"
#include "ringbuffer/segment_table.hpp"

namespace fastmas::ringbuffer {
namespace {

[[noreturn]] void refuse_name(std::string_view name, pid_t pid) {
    throw SegmentBusy("ring '" + std::string(name) + "' is in use" + by_process(pid) +
                      "; attach to it, close it there, or take another name");
}

[[noreturn]] void refuse_missing(std::string_view name) {
    throw SegmentGone("there is no ring '" + std::string(name) +
                      "'; create it first (`fastmas rings ls` shows what there is)");
}

// Removes what stands in the way of a new ring of this name if nobody uses it, and says who does otherwise. Under the
// table's mutex.
void make_room(SegmentTable& table, const std::string& path, std::string_view name) {
    while (const auto id = id_at(path)) {
        if (table.find(*id) != nullptr) refuse_name(name, getpid());
        const Descriptor file = table.open(path, name, true);
        if (!file) continue;
        const LockHolder holder = holder_of(file.get(), LockByte::kPresent, LockType::exclusive);
        if (holder.exclusive) {
            lock_soon(file.get(), LockByte::kPresent, LockType::shared, std::string(name));  // it is being removed
            continue;
        }
        if (holder.held) refuse_name(name, holder.pid);
        if (state_of_region(read_head(file.get())) == RegionState::foreign)
            throw SegmentError("cannot create ring '" + std::string(name) + "': " + path +
                               " is not the file of a ring; remove it or take another name");
        remove_if_unused(file.get(), path, name);
    }
}

}  // namespace

Segment::Segment(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Segment::~Segment() {
    close();
}

std::shared_ptr<Segment> Segment::create(std::string_view name, const RegionSpec& spec,
                                         const std::function<void(std::byte* body)>& format) {
    spec.check();
    SegmentTable& table = SegmentTable::instance();
    auto made = std::make_shared<Attachment>();
    made->name = name;
    made->path = path_of(name);
    made->spec = spec;
    made->took_part = true;
    {
        const std::lock_guard lock(table.mutex);
        make_room(table, made->path, name);  // before the work, to refuse at once
    }
    Draft draft(ring_directory());
    made->map = Mapping::of_new_file(draft.fd(), spec.region_bytes());
    FASTMAS_KILL_POINT("create: mapped");
    RegionHeader& header = write_header(made->map.data(), spec);
    format(made->map.data() + sizeof(RegionHeader));
    finish_header(header);

    struct stat status {};
    fstat(draft.fd(), &status);
    made->id = id_of(status);
    const std::lock_guard lock(table.mutex);
    while (!draft.publish(made->path)) make_room(table, made->path, name);
    made->file = draft.take();
    table.add(made);
    return SegmentAccess::make(std::move(made));
}

std::shared_ptr<Segment> Segment::attach(std::string_view name, RingKind expected_kind,
                                         const std::function<void(const RegionSpec&)>& check) {
    const std::string path = path_of(name);
    SegmentTable& table = SegmentTable::instance();
    std::shared_ptr<Segment> segment;
    while (segment == nullptr) {
        const std::lock_guard lock(table.mutex);
        const auto id = id_at(path);
        if (!id) refuse_missing(name);
        if (auto known = table.find(*id)) {
            if (known->spec.kind != expected_kind) {
                const auto* head = reinterpret_cast<const std::byte*>(&known->header());
                (void)read_header({head, sizeof(RegionHeader)}, known->map.bytes(), name, expected_kind);
            }
            if (check) check(known->spec);
            segment = SegmentAccess::make(std::move(known));
            continue;
        }
        Descriptor file = table.open(path, name, true);
        if (!file) continue;
        FASTMAS_KILL_POINT("attach: opened");
        // Looked at before we are there: who refuses a ring must not be the last one to leave it.
        struct stat status {};
        fstat(file.get(), &status);
        if (is_strangers(status)) refuse_strangers(status, path, name);
        auto spec = read_header(read_head(file.get()), static_cast<std::uint64_t>(status.st_size), name, expected_kind);
        if (check) check(spec);
        lock_soon(file.get(), LockByte::kPresent, LockType::shared, std::string(name));
        FASTMAS_KILL_POINT("attach: present");
        if (id_at(path) != id_of(status)) continue;  // removed meanwhile, perhaps made anew

        auto made = std::make_shared<Attachment>();
        made->name = name;
        made->path = path;
        made->map = Mapping(file.get(), spec.region_bytes());
        made->spec = std::move(spec);
        made->id = id_of(status);
        made->file = std::move(file);
        table.add(made);
        segment = SegmentAccess::make(std::move(made));
    }
    segment->impl_->at->map.prefault();
    FASTMAS_KILL_POINT("attach: mapped");
    return segment;
}

bool Segment::unlink(std::string_view name) {
    const std::string path = path_of(name);
    SegmentTable& table = SegmentTable::instance();
    const std::lock_guard lock(table.mutex);
    while (const auto id = id_at(path)) {
        if (const auto known = table.find(*id)) {
            if (remove_name(known->file.get(), path, name)) return true;
            continue;
        }
        const Descriptor file = table.open(path, name, true);
        if (file && remove_name(file.get(), path, name)) return true;
    }
    return false;
}

void Segment::close() noexcept {
    // [F3 acq_rel] pairs with itself: of several that close, one does it
    if (impl_->closed.exchange(true, std::memory_order_acq_rel)) return;
    SegmentTable& table = SegmentTable::instance();
    const std::lock_guard lock(table.mutex);
    Attachment& at = *impl_->at;
    if (at.generation == table.generation())
        for (std::int32_t place = 0; place < kRoles; ++place) leave_locked(Role{place});
    table.drop(at);
}

const std::string& Segment::name() const noexcept {
    return impl_->at->name;
}
const RegionSpec& Segment::spec() const noexcept {
    return impl_->at->spec;
}
RegionHeader& Segment::header() const noexcept {
    return impl_->at->header();
}
std::byte* Segment::body() const noexcept {
    return impl_->at->map.data() + sizeof(RegionHeader);
}

bool Segment::usable() const noexcept {
    // [F3 acquire] pairs with [F3 acq_rel] in close(): a race of use and close is the caller's
    return !impl_->closed.load(std::memory_order_acquire) &&
           impl_->at->generation == SegmentTable::instance().generation();
}

}  // namespace fastmas::ringbuffer
