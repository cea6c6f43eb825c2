// The docstrings of what concerns rings in shared memory and loans. Their first line is the signature that inspect
// reads; their examples are run by a test.
#pragma once

namespace fastmas::bindings::docs {

inline constexpr const char* kCreate =
    R"(create($type, /, name, dtype, capacity, *, role='producer', layout='contiguous', wait='adaptive', overflow='refuse')
--

Make a ring in shared memory, for one process at each end.

Parameters
----------
name : str
    Begins with a slash, as in ``shm_open``; then letters, digits, ``.``, ``_`` and ``-``.
dtype, capacity, layout, wait, overflow
    As for `SpscRing` itself. The dtype, or the Record class's name and fields, is written into the ring.
role : {'producer', 'consumer'}
    Which end this object is.

Raises
------
RingBusyError
    A ring of that name is in use. One that nobody uses any more is replaced.

Examples
--------
>>> import numpy as np
>>> from fastmas.ring import SpscRing
>>> with SpscRing.create("/fastmas-example", np.int64, capacity=8) as out:
...     with SpscRing.attach("/fastmas-example") as into:  # as a rule in another process
...         out.push(np.int64(7))
...         print(into, into.pop(), out.peer_state)
...     out.peer_state
<SpscRing '/fastmas-example' of int64, capacity 8, consumer> 7 alive
'left'
)";

inline constexpr const char* kAttach =
    R"(attach($type, /, name, *, role='consumer', dtype=None, wait='adaptive')
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
dtype : numpy.dtype or type[Record], optional
    What a record must be. By default what the ring says: the Record class of that name and layout that this process
    knows, or a numpy dtype.
wait : {'adaptive', 'spin', 'yield', 'block'}
    How calls of this object wait; the other end has its own way.

Raises
------
RingGoneError
    There is no ring of that name.
RingBusyError
    A process that lives holds that end.
ConfigError
    The ring is of another kind or dtype.
)";

inline constexpr const char* kUnlink = R"(unlink(name, /)
--

Remove the name of a ring in shared memory.

Whoever has the ring open goes on with it; nobody can attach any more. Closing the last end does the same, so this is for
what a process that was killed has left.

Returns
-------
bool
    False when there was none.
)";

inline constexpr const char* kRingClose = R"(close($self, /)
--

Give the ring up; calls that wait on it, and all later ones, raise.

In shared memory the other end sees that this one left, and another process may take its place. The last one to close
removes the ring. Closing twice does nothing.
)";

inline constexpr const char* kClaim = R"(claim($self, records, /)
--

Lend slots to be written in place: the records are pushed when the ``with`` block ends.

The array that the block gets may be shorter than asked for, where the ring wraps or has less room, and empty when it is
full; what it holds at first means nothing. After the block it is empty. When the block raises, nothing is pushed. Needs
``layout='contiguous'``.

Parameters
----------
records : int
    How many records at most.

Returns
-------
context manager
    Its block gets an array of the ring's dtype. Until it ends, nothing else can push.

Raises
------
ConfigError
    At the end of the block: a slice, a row or a second name of the array lives on. Nothing was pushed, and nothing can be
    until it is gone.

Examples
--------
>>> import numpy as np
>>> from fastmas.ring import SpscRing
>>> ring = SpscRing(np.int64, capacity=8)
>>> with ring.claim(3) as view:
...     view[:] = [1, 2, 3]
>>> with ring.peek(8) as view:
...     print(view.sum(), ring.was_size)
6 3
>>> ring.was_size
0
)";

inline constexpr const char* kPeek = R"(peek($self, records, /)
--

Lend the oldest records where they are: they are popped when the ``with`` block ends.

The array that the block gets is read-only and may be shorter than asked for, where the ring wraps or has fewer, and empty
when there are none. After the block it is empty. When the block raises, nothing is popped. Needs
``layout='contiguous'``.

Parameters
----------
records : int
    How many records at most.

Returns
-------
context manager
    Its block gets an array of the ring's dtype. Until it ends, nothing else can pop.

Raises
------
ConfigError
    At the end of the block: a slice, a row or a second name of the array lives on. Nothing was popped, and nothing can be
    until it is gone.
)";

}  // namespace fastmas::bindings::docs
