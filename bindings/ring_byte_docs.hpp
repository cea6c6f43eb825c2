// The docstrings of fastmas.ring.ByteRing. Their first line is the signature that inspect reads; their examples are run
// by a test.
#pragma once

namespace fastmas::bindings::docs {

inline constexpr const char* kByteRing =
    R"(ByteRing(capacity_bytes, *, wait='adaptive', overflow='refuse')
--

A ring between one producer and one consumer for frames of any size.

A frame is a run of bytes: an encoded message, a text, a pickle. What was pushed comes out once, whole and in order; a
ring without room for a frame refuses it. Records of one layout go faster through an `SpscRing`.

One thread pushes and one thread pops; they may be the same. The ring lives in this process; `create` and `attach` make
and find one between processes.

Parameters
----------
capacity_bytes : int
    A power of two >= 64. A frame takes its length, rounded up to eight, and eight bytes more, and may be about half as
    large as the ring: see `max_frame_bytes`.
wait : {'adaptive', 'spin', 'yield', 'block'}
    What calls do that have to wait: turn on the spot, turn and offer the core, sleep, or the three in that order.
overflow : {'refuse', 'drop_newest'}
    What a full ring does with the next frame: leave it to the producer, who is told; or drop it and count it in
    `dropped`: then nothing waits for room.

Raises
------
ConfigError
    The capacity is no power of two, or too small.

Examples
--------
>>> from fastmas.ring import ByteRing
>>> ring = ByteRing(1024)
>>> ring.try_push(b"short"), ring.try_push(bytearray(300))
(True, True)
>>> ring.try_pop(), len(ring.pop()), ring.try_pop()
(b'short', 300, None)
>>> ring.push(bytes(600))
Traceback (most recent call last):
fastmas.errors.ConfigError: a frame in a ring of 1024 bytes must have at most 504, got 600; send it in parts or take a larger ring
)";

inline constexpr const char* kByteTryPush = R"(try_push($self, frame, /)
--

Push a frame if there is room for it.

Parameters
----------
frame : bytes-like
    Anything with a contiguous buffer; its bytes are copied.

Returns
-------
bool
    False, and nothing has changed, when there was no room.

Raises
------
ConfigError
    The frame is larger than `max_frame_bytes`, or no bytes.
PeerDeadError
    There was no room, and the consumer's process died.
)";

inline constexpr const char* kBytePush = R"(push($self, frame, timeout_s=None)
--

Push a frame, waiting for room.

Parameters
----------
frame : bytes-like
    Anything with a contiguous buffer; its bytes are copied.
timeout_s : float, optional
    How long to wait; None waits for ever.

Raises
------
DeadlineError
    There was no room in time.
ConfigError
    The frame is larger than `max_frame_bytes`, or no bytes.
PeerDeadError
    There was no room, and the consumer's process died.
)";

inline constexpr const char* kByteTryPop = R"(try_pop($self, /)
--

Pop the oldest frame if there is one.

Returns
-------
bytes or None
    None when there was none.

Raises
------
PeerDeadError
    There was none, and the producer's process died.
)";

inline constexpr const char* kBytePop = R"(pop($self, timeout_s=None)
--

Pop the oldest frame, waiting for one.

Parameters
----------
timeout_s : float, optional
    How long to wait; None waits for ever.

Returns
-------
bytes
    The frame.

Raises
------
DeadlineError
    None came in time.
PeerDeadError
    There was none, and the producer's process died.
)";

inline constexpr const char* kBytePopMany = R"(pop_many($self, max_frames=None, *, timeout_s=0.0)
--

Pop the frames that are there.

Parameters
----------
max_frames : int, optional
    No more than so many; by default all. Never more than about the ring's capacity in one call.
timeout_s : float, optional
    How long to wait for the first one; None waits for ever.

Returns
-------
list of bytes
    Oldest first; empty when there were none.

Raises
------
PeerDeadError
    There was none, and the producer's process died.

Examples
--------
>>> from fastmas.ring import ByteRing
>>> ring = ByteRing(256)
>>> for text in ("a", "bb", "ccc"):
...     ring.push(text.encode())
>>> ring.pop_many(2), ring.pop_many(), ring.pop_many()
([b'a', b'bb'], [b'ccc'], [])
)";

inline constexpr const char* kBytePopInto = R"(pop_into($self, buffer, timeout_s=None)
--

Pop the oldest frame into a buffer, waiting for one.

Parameters
----------
buffer : writable bytes-like
    A bytearray, a memoryview or an array of at least `max_frame_bytes`, or of as many as frames have.
timeout_s : float, optional
    How long to wait; None waits for ever, 0 does not.

Returns
-------
int or None
    How many bytes the frame has, which are the first of the buffer. None when there was no frame and `timeout_s` is 0.

Raises
------
ConfigError
    The frame is longer than the buffer; it is still in the ring.
DeadlineError
    None came in time.
PeerDeadError
    There was none, and the producer's process died.

Examples
--------
>>> from fastmas.ring import ByteRing
>>> ring, buffer = ByteRing(256), bytearray(16)
>>> ring.push(b"hello")
>>> bytes(buffer[:ring.pop_into(buffer)])
b'hello'
>>> ring.pop_into(buffer, 0)
)";

inline constexpr const char* kByteCreate =
    R"(create($type, /, name, capacity_bytes, *, role='producer', wait='adaptive', overflow='refuse')
--

Make a ring in shared memory, for one process at each end.

Parameters
----------
name : str
    Begins with a slash, as in ``shm_open``; then letters, digits, ``.``, ``_`` and ``-``.
capacity_bytes, wait, overflow
    As for `ByteRing` itself.
role : {'producer', 'consumer'}
    Which end this object is.

Raises
------
RingBusyError
    A ring of that name is in use. One that nobody uses any more is replaced.

Examples
--------
>>> from fastmas.ring import ByteRing
>>> with ByteRing.create("/fastmas-example-bytes", 4096) as out:
...     with ByteRing.attach("/fastmas-example-bytes") as into:  # as a rule in another process
...         out.push(b"hello")
...         print(into, into.pop())
<ByteRing '/fastmas-example-bytes' of 4096 bytes, consumer> b'hello'
)";

inline constexpr const char* kByteAttach = R"(attach($type, /, name, *, role='consumer', wait='adaptive')
--

Take an end of a ring in shared memory.

When the last holder of that end left, or died, this goes on where it stopped: what it popped does not come again, what
it pushed is there.

Parameters
----------
name : str
    As given to `create`.
role : {'producer', 'consumer'}
    Which end.
wait : {'adaptive', 'spin', 'yield', 'block'}
    How calls of this object wait; the other end has its own way.

Raises
------
RingGoneError
    There is no ring of that name.
RingBusyError
    A process that lives holds that end.
ConfigError
    The ring is of another kind.
)";

}  // namespace fastmas::bindings::docs
