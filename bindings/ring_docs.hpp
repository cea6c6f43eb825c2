// The docstrings of fastmas.ring. Their first line is the signature that inspect reads; their examples are run by a
// test.
#pragma once

namespace fastmas::bindings::docs {

inline constexpr const char* kSpscRing =
    R"(SpscRing(dtype, capacity, *, layout='contiguous', wait='adaptive', overflow='refuse')
--

A ring between one producer and one consumer.

Every record that went in comes out once, whole and in order. A full ring refuses: nothing is ever dropped, unless that is
asked for. Pushing and popping never wait, except in the plain verbs, which take ``timeout_s``.

One thread pushes and one thread pops; they may be the same. The ring lives in this process; `create` and `attach` make
and find one between processes.

Parameters
----------
dtype : numpy.dtype or type[Record]
    What a record is: anything that makes a numpy dtype of fixed size, or a Record class. In the second case `try_pop` and
    `pop` give Records.
capacity : int
    How many records fit: a power of two >= 2.
layout : {'contiguous', 'sequenced'}
    Records one after the other, for batches; or each on cache lines of its own, for single records between processes.
wait : {'adaptive', 'spin', 'yield', 'block'}
    What calls do that have to wait: turn on the spot, turn and offer the core, sleep, or the three in that order.
overflow : {'refuse', 'drop_newest'}
    What a full ring does with the next record: leave it to the producer, who is told; or drop it and count it in
    `dropped`: then nothing waits for room.

Raises
------
ConfigError
    The capacity is no power of two, or the dtype holds Python objects.

Examples
--------
>>> import numpy as np
>>> from fastmas.ring import SpscRing
>>> TRADE = np.dtype([("ts_ns", "<i8"), ("price", "<i8")])
>>> ring = SpscRing(TRADE, capacity=1024)
>>> ring.push_many(np.array([(1, 100), (2, 101), (3, 99)], TRADE))
3
>>> ring.pop_many(max_records=2)["price"]
array([100, 101])
>>> ring.try_pop()["price"]
np.int64(99)
>>> ring.try_pop() is None
True

With a Record class, records come out as they went in:

>>> from fastmas.records import Record, i64
>>> class Tick(Record):
...     ts_ns: i64
...     price: i64
>>> ticks = SpscRing(Tick, capacity=2)
>>> ticks.try_push(Tick(1, 100)), ticks.try_push(Tick(2, 101)), ticks.try_push(Tick(3, 102))
(True, True, False)
>>> ticks.pop()
Tick(ts_ns=1, price=100)
)";

inline constexpr const char* kTryPush = R"(try_push($self, record, /)
--

Push one record if it fits; never waits.

Parameters
----------
record : Record, numpy row, or bytes-like
    Bytes must have exactly the ring's record size.

Returns
-------
bool
    False when the ring is full; nothing has changed then.
)";

inline constexpr const char* kPush = R"(push($self, /, record, timeout_s=None)
--

Push one record, waiting until it fits.

Parameters
----------
record : Record, numpy row, or bytes-like
    As for `try_push`.
timeout_s : float, optional
    How long to wait at most; None waits until there is room or a signal handler raises.

Raises
------
DeadlineError
    The ring stayed full; the record was not pushed.
)";

inline constexpr const char* kPushMany = R"(push_many($self, /, records, timeout_s=0.0)
--

Push as many records as fit, in order.

Parameters
----------
records : numpy.ndarray or bytes-like
    A one-dimensional array of the ring's dtype (copied first when it is not contiguous), or whole records as bytes.
timeout_s : float, optional
    How long to wait at most for room for the rest; None waits until all are in.

Returns
-------
int
    How many went in; the others are still the caller's.

Raises
------
KeyboardInterrupt
    Or what else a signal handler raises while the call waits; its ``records_pushed`` is how many were in, if any.
)";

inline constexpr const char* kTryPop = R"(try_pop($self, /)
--

Pop the oldest record; never waits.

Returns
-------
Record, numpy row or scalar, or None
    None when the ring is empty. What is returned owns its bytes.
)";

inline constexpr const char* kPop = R"(pop($self, /, timeout_s=None)
--

Pop the oldest record, waiting until there is one.

Parameters
----------
timeout_s : float, optional
    How long to wait at most; None waits until a record comes or a signal handler raises.

Raises
------
DeadlineError
    No record came.
)";

inline constexpr const char* kPopMany = R"(pop_many($self, /, max_records=None, out=None, *, timeout_s=0.0)
--

Pop up to `max_records` records, in order.

Parameters
----------
max_records : int, optional
    At most so many; by default as many as `out` or the ring can hold.
out : numpy.ndarray, optional
    A contiguous array of the ring's dtype to put them in, instead of a new one.
timeout_s : float, optional
    How long to wait at most for the first record; None waits until one comes.

Returns
-------
numpy.ndarray
    The records popped, possibly none; the beginning of `out` when that was given.
)";

}  // namespace fastmas::bindings::docs
