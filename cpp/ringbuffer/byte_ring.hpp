// A ring between one producer and one consumer for frames of any size: encoded messages, text, pictures.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

#include "base/errors.hpp"
#include "ringbuffer/byte_frames.hpp"
#include "ringbuffer/sequence.hpp"
#include "ringbuffer/slots.hpp"
#include "ringbuffer/stream_rest.hpp"

namespace fastmas::ringbuffer {

// What the two sides share, besides the bytes that follow it. No pointers. Positions are bytes since the beginning.
template <class Memory>
struct ByteControl {
    template <class T>
    using Atom = typename Memory::template Atom<T>;

    struct alignas(kLineBytes) Producer {
        Sequence next = 0;             // where the next frame goes
        Sequence seen = 0;             // how far the consumer was when last looked at
        std::int64_t count = 0;        // frames pushed so far
        Atom<Sequence> written{0};     // `next`, for others to see
        Atom<std::int64_t> pushed{0};  // `count`, for others to see
    };
    struct alignas(kLineBytes) Consumer {
        Sequence next = 0;       // where the next frame begins
        Sequence after = 0;      // where the frame that front() showed ends
        Sequence shown = 0;      // what `consumed` says
        std::int64_t count = 0;  // frames popped so far
        StreamRest rest;
        Atom<Sequence> read{0};        // `next`, for others to see: exact
        Atom<std::int64_t> popped{0};  // `count`, for others to see
    };

    Producer producer;
    Consumer consumer;
    alignas(kLineBytes) Atom<Sequence> consumed{0};  // everything below may be overwritten; behind by a few frames
};

// Guarantees: every frame that a push accepted is popped once, whole, in order, in one piece: also where the ring
// wraps. A push that finds no room says so and changes nothing. Who may call what: try_push() and has_room() one thread
// at a time, the producer; front(), pop_front() and try_pop() one thread at a time, the consumer; was_*() and the
// counters any thread. Use it for what has no fixed layout; records of one layout are cheaper in SpscRing. A frame
// takes its bytes, rounded up to eight, and eight more; none may be larger than about half of the ring, so that each
// fits wherever it begins. Progress: wait-free, both sides; O(bytes). A death between a push or pop and its note of it
// leaves the count, not the frames, behind by one.
template <class Memory = HardwareMemory>
class ByteRing {
  public:
    enum class Popped { nothing, done, too_long };

    // The only way to make a shape for this ring. Throws base::ConfigError with the rule, the value and the cure.
    static RingShape shape(std::int64_t capacity_bytes) { return ByteFrames<Memory>::shape(capacity_bytes); }
    static std::size_t body_bytes(RingShape shape) noexcept { return sizeof(Control) + shape.bytes(); }
    // Lays an empty ring down in zeroed memory that starts on a line.
    static void format(std::byte* body, RingShape shape) noexcept {
        new (body) Control;
        ByteFrames<Memory>(body + sizeof(Control), shape).end_at(0);
    }

    // A ring of this process.
    explicit ByteRing(RingShape shape) : ByteRing(Block(body_bytes(shape)), shape) {}
    // A view of a ring that format() laid down and that outlives it: shared memory. Owns nothing, changes nothing.
    ByteRing(std::byte* body, RingShape shape) noexcept
        : control_(std::launder(reinterpret_cast<Control*>(body))), frames_(body + sizeof(Control), shape) {}
    ByteRing(const ByteRing&) = delete;
    ByteRing& operator=(const ByteRing&) = delete;
    ~ByteRing() = default;

    std::int64_t capacity() const noexcept { return frames_.capacity(); }
    // A frame of up to so many bytes fits, at the latest when the ring is empty.
    std::size_t max_frame_bytes() const noexcept { return frames_.max_bytes(); }

    // ---- producer

    // Throws base::ConfigError when the frame is larger than max_frame_bytes().
    bool try_push(const std::byte* data, std::size_t bytes) {
        auto& own = control_->producer;
        frames_.check_size(bytes);
        const std::int64_t total = frames_.taken_by(own.next, bytes);
        if (!fits(total)) return false;
        Memory::kill_point("push: room seen");
        frames_.write(own.next, data, bytes);
        Memory::kill_point("push: published");
        note_pushed(own.next + total, own.count + 1);
        return true;
    }

    // Whether a frame of so many bytes fits now; once it does, it goes on to.
    bool has_room(std::size_t bytes) noexcept { return fits(frames_.taken_by(control_->producer.next, bytes)); }

    // Where the next frame will go.
    Sequence next_to_push() const noexcept { return control_->producer.next; }

    // Takes the role over from a producer that is gone, wherever it was: goes on after the last frame that is complete.
    // The hand-over (the role's lock) has to order what the last one did before this. Throws base::InvariantError as
    // front() does.
    void resume_producer() {
        auto& own = control_->producer;
        const Sequence next = frames_.end_of(exactly_read());
        // [Y6 relaxed] only the producer writes them, and the hand-over orders the last one's stores
        const bool noted = own.written.load(std::memory_order_relaxed) == next;
        note_pushed(next, pushed() + (noted ? 0 : 1));
        own.seen = exactly_read();
    }

    // ---- consumer

    // The oldest frame in place; it stays valid and unchanged until pop_front(). Throws base::InvariantError when
    // something else has written to the ring's memory.
    ByteFrame front() {
        auto& own = control_->consumer;
        ByteFrame frame{nullptr, 0};
        const std::int64_t taken = frames_.look(own.next, &frame);
        if (taken == 0) show_empty();
        own.after = own.next + taken;
        return frame;
    }

    // For a consumer whose producer stands still while it looks, as threads of one interpreter do: then a look away
    // from a stream is time lost.
    void never_rest() noexcept { longest_rest_ = 0; }

    // Where the frame that front() shows begins: who sees it changed knows that the frame was popped meanwhile.
    Sequence next_to_pop() const noexcept { return control_->consumer.next; }

    // Gives the bytes of the frame that front() showed back to the producer; only after front() gave one.
    void pop_front() noexcept {
        auto& own = control_->consumer;
        const Sequence next = own.after;
        Memory::kill_point("pop: read");
        // [Y3 release] pairs with [Y3 acquire] in exactly_read(): our reads of a frame end before it is overwritten.
        // Linearization point of a pop: who replaces us goes on from here.
        own.read.store(next, std::memory_order_release);
        Memory::kill_point("pop: given back");
        own.next = next;
        own.popped.store(++own.count, std::memory_order_relaxed);  // [Y5 relaxed] for others to show
        Memory::kill_point("pop: counted");
        if (next - own.shown >= capacity() / 8) show();
    }

    // Copies the oldest frame out, if `room` bytes are enough for it; says how many it has in any case but nothing.
    Popped try_pop(std::byte* out, std::size_t room, std::size_t* bytes) {
        const ByteFrame frame = front();
        if (frame.data == nullptr) return Popped::nothing;
        *bytes = frame.bytes;
        if (frame.bytes > room) return Popped::too_long;
        Memory::kill_point("pop: frame seen");
        if (frame.bytes != 0) Memory::read(out, frame.data, frame.bytes);
        pop_front();
        return Popped::done;
    }

    // Takes the role over from a consumer that is gone, wherever it was: goes on after the last frame that it gave
    // back, so nothing comes twice. The hand-over has to order what it did before this.
    void resume_consumer() noexcept {
        // [Y6 relaxed] only the consumer writes it, and the hand-over orders the last one's stores
        control_->consumer.next = control_->consumer.read.load(std::memory_order_relaxed);
        show();
    }

    // ---- any thread: what was true a moment ago

    // Frames.
    std::int64_t pushed() const noexcept {
        return control_->producer.pushed.load(std::memory_order_relaxed);  // [Y5 relaxed] a count to show
    }
    std::int64_t popped() const noexcept {
        return control_->consumer.popped.load(std::memory_order_relaxed);  // [Y5 relaxed] a count to show
    }
    // Bytes in use, with what frames take besides their own: from 0 to capacity().
    std::int64_t was_bytes() const noexcept {
        // [Y5 relaxed] positions to show; no frame is read by them
        const Sequence read = control_->consumer.read.load(std::memory_order_relaxed);
        const Sequence written =
            control_->producer.written.load(std::memory_order_relaxed);  // [Y5 relaxed] a position to show
        return std::clamp<std::int64_t>(written - read, 0, capacity());
    }
    // Whether a frame was there, by the consumer's own lines only: for who waits in a loop.
    bool was_readable() const noexcept {
        // [Y5 relaxed] a position to look at; nothing is read there
        return frames_.was_there(control_->consumer.read.load(std::memory_order_relaxed));
    }
    bool was_empty() const noexcept { return was_bytes() == 0; }
    // Whether a frame of so many bytes would not have fitted. Any thread may ask, so it reads both positions.
    bool was_full_for(std::size_t bytes) const noexcept {
        const Sequence written =
            control_->producer.written.load(std::memory_order_relaxed);  // [Y5 relaxed] a position to show
        const Sequence read =
            control_->consumer.read.load(std::memory_order_relaxed);  // [Y5 relaxed] a position to show
        return frames_.taken_by(written, bytes) > frames_.room(written, read);
    }

  private:
    using Control = ByteControl<Memory>;

    ByteRing(Block&& block, RingShape shape) noexcept : ByteRing(formatted(block, shape), shape) {
        block_ = std::move(block);
    }
    static std::byte* formatted(Block& block, RingShape shape) noexcept {
        format(block.data(), shape);
        return block.data();
    }

    void note_pushed(Sequence next, std::int64_t frames) noexcept {
        auto& own = control_->producer;
        own.next = next;
        own.count = frames;
        own.written.store(next, std::memory_order_relaxed);  // [Y5 relaxed] for others to show
        Memory::kill_point("push: position noted");
        own.pushed.store(frames, std::memory_order_relaxed);  // [Y5 relaxed] for others to show
    }

    void show() noexcept {
        auto& own = control_->consumer;
        own.shown = own.next;
        // [Y4 release] pairs with [Y4 acquire] in fits(): our reads of a frame end before it is overwritten.
        control_->consumed.store(own.next, std::memory_order_release);
        Memory::kill_point("pop: shown");
    }

    // Shows the producer all the room there is, since we may be about to sleep.
    void show_empty() noexcept {
        auto& own = control_->consumer;
        if (own.shown != own.next) show();
        own.rest.template nothing_at<Memory>(own.count, longest_rest_);
    }

    Sequence exactly_read() const noexcept {
        // [Y3 acquire] pairs with [Y3 release] in pop_front(): the consumer is done with every byte below it.
        return control_->consumer.read.load(std::memory_order_acquire);
    }

    // Whether there is room for `total` bytes; the consumer's own line is read only when what it shows is too little.
    bool fits(std::int64_t total) noexcept {
        auto& own = control_->producer;
        if (total <= frames_.room(own.next, own.seen)) return true;
        // [Y4 acquire] pairs with [Y4 release] in show(): the consumer is done with every byte below it.
        own.seen = std::max(own.seen, control_->consumed.load(std::memory_order_acquire));
        if (total > frames_.room(own.next, own.seen)) own.seen = exactly_read();
        return total <= frames_.room(own.next, own.seen);
    }

    Block block_;  // of a ring that owns its memory
    Control* control_;
    ByteFrames<Memory> frames_;
    int longest_rest_ = StreamRest::kLongest;

    static_assert(std::is_trivially_destructible_v<Control>, "nobody ends the life of a ring in shared memory");
};

static_assert(sizeof(ByteControl<HardwareMemory>) == 3 * kLineBytes, "each side's own line, and the shared one");

}  // namespace fastmas::ringbuffer
