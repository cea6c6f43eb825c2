#include "ringbuffer/segment_table.hpp"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <thread>
#include <utility>

#include "ringbuffer/file_lock.hpp"
#include "ringbuffer/kill_point.hpp"

namespace fastmas::ringbuffer {

void Attachment::depart() noexcept {
    for (std::int32_t place = 0; !took_part && place < kRoles; ++place) {
        if (!is_dead(Role{place})) continue;
        unlock(file.get(), LockByte::kPresent);
        return;
    }
    try {
        remove_if_unused(file.get(), path, name);
    } catch (const std::exception&) {
        // A stopped process is just removing it, or the directory went: what is left, clean() finds.
    }
}

SegmentTable& SegmentTable::instance() {
    static SegmentTable& table = *new SegmentTable;
    return table;
}

SegmentTable::SegmentTable() {
    pthread_atfork(&before_fork, &after_fork_in_parent, &after_fork_in_child);
    std::atexit(&at_exit);
}

void SegmentTable::before_fork() noexcept {
    instance().mutex.lock();
}

void SegmentTable::after_fork_in_parent() noexcept {
    instance().mutex.unlock();
}

// The child has no lock on anything, and a descriptor that it closes later could be of a file that it has attached anew
// by then: so they are closed at once. The mappings stay until their Segments go.
void SegmentTable::after_fork_in_child() noexcept {
    SegmentTable& table = instance();
    // [F2 relaxed] the child has one thread
    table.generation_.fetch_add(1, std::memory_order_relaxed);
    for (const auto& attachment : table.all_) attachment->file.close();
    for (Descriptor& stray : table.strays_) stray.close();
    table.mutex.unlock();
}

// Roles that are still held now were not given back: when the process is gone their holder counts as dead. Other
// threads may still run, so nothing is unmapped or closed.
void SegmentTable::at_exit() noexcept {
    SegmentTable& table = instance();
    std::unique_lock lock(table.mutex, std::try_to_lock);
    for (int tries = 0; !lock && tries < 100; ++tries) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        (void)lock.try_lock();
    }
    if (!lock) return;
    for (const auto& attachment : table.all_) {
        if (attachment->generation == table.generation()) attachment->depart();
    }
}

std::uint32_t SegmentTable::generation() const noexcept {
    return generation_.load(std::memory_order_relaxed);  // [F2 relaxed] written while there is one thread
}

std::shared_ptr<Attachment> SegmentTable::find(FileId id) const {
    const auto found = std::find_if(all_.begin(), all_.end(), [&](const auto& attachment) {
        return attachment->id == id && attachment->generation == generation();
    });
    return found == all_.end() ? nullptr : *found;
}

void SegmentTable::add(std::shared_ptr<Attachment> attachment) {
    attachment->generation = generation();
    all_.push_back(std::move(attachment));
}

void SegmentTable::drop(Attachment& attachment) noexcept {
    if (--attachment.users > 0) return;
    if (attachment.generation == generation()) {
        attachment.depart();
        FASTMAS_KILL_POINT("close: name decided");
        const std::lock_guard closing(attachment.closing);
        attachment.file.close();
    }
    std::erase_if(all_, [&](const auto& known) { return known.get() == &attachment; });
}

Descriptor SegmentTable::open(const std::string& path, std::string_view name, bool writable) {
    Descriptor file = open_ring_file(path, name, writable);
    struct stat status {};
    if (file && (fstat(file.get(), &status) != 0 || find(id_of(status)) != nullptr)) strays_.push_back(std::move(file));
    return file;
}

std::shared_ptr<Segment> SegmentAccess::make(std::shared_ptr<Attachment> at) {
    auto impl = std::make_unique<Segment::Impl>();
    impl->at = std::move(at);
    Attachment& used = *impl->at;
    std::shared_ptr<Segment> segment(new Segment(std::move(impl)));
    ++used.users;
    return segment;
}

}  // namespace fastmas::ringbuffer
