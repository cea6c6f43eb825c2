// When a reader that has caught up with its writer looks again.
#pragma once

#include <algorithm>

#include "ringbuffer/sequence.hpp"

namespace fastmas::ringbuffer {

// Each look at a position that the writer is about to move takes the line from it: a reader that is as fast as the
// writer and looks at once finds one record at a time, and each costs two crossings. So who has caught up with a stream
// looks away for a moment, longer as long as the stream goes on, and finds many at once. Where messages come one at a
// time, waited for, there is no stream, and every look counts: then it never rests.
// It stands on the reader's own line: anywhere else it would share one with what the writer reads.
class StreamRest {
  public:
    static constexpr int kShortest = 4;
    static constexpr int kLongest = 64;  // one to two microseconds

    // After a look that found nothing, where `next` is what would have been read. `longest` is 0 for a reader whose
    // writer stands still meanwhile.
    template <class Memory>
    void nothing_at(Sequence next, int longest) noexcept {
        if (longest == 0) return;
        const Sequence came = next - caught_up_;
        caught_up_ = next;
        if (came == 0) turns_ = kShortest;  // nor at the look before: no stream, or its end
        if (came <= 1) return;
        const int turns = std::min(turns_, longest);
        for (int turn = 0; turn < turns; ++turn) Memory::relax();
        turns_ = 2 * turns;
    }

  private:
    Sequence caught_up_ = 0;
    int turns_ = kShortest;
};

}  // namespace fastmas::ringbuffer
