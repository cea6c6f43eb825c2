// The docstrings of BroadcastRing and Subscriber. Their first line is the signature that inspect reads; their examples
// are run by a test.
#pragma once

namespace fastmas::bindings::docs {

inline constexpr const char* kBroadcastRing =
    R"(BroadcastRing(dtype, capacity, *, wait='adaptive', overflow='refuse', max_lag_records=None)
--

A ring from one producer to any number of subscribers, each of which sees every record.

Subscribers join and leave at any time. By default the producer never overwrites what a subscriber has not read: a full
ring refuses, nothing is ever dropped, and `subscribers` shows who is behind. The other policies never make it wait.

One thread publishes, and one thread uses each subscriber. At most 64 subscribers. The ring lives in this process; `create`
and `attach` make and find one between processes.

Parameters
----------
dtype : numpy.dtype or type[Record]
    What a record is, as for `SpscRing`.
capacity : int
    How many records fit: a power of two >= 2.
wait : {'adaptive', 'spin', 'yield', 'block'}
    What calls do that have to wait, as for `SpscRing`.
overflow : {'refuse', 'drop_newest', 'overwrite_oldest', 'evict'}
    What happens when a subscriber is a whole ring behind: the producer is told; the new record is dropped and counted in
    `dropped`; the oldest is overwritten, and each subscriber counts in `Subscriber.lost` what it missed; or the subscriber
    is put out as soon as it is more than `max_lag_records` behind, counted in `evicted`.
max_lag_records : int, optional
    Only with ``overflow='evict'``: 1 to `capacity`, which is the default. A batch counts at once.

Examples
--------
>>> import numpy as np
>>> from fastmas.ring import BroadcastRing
>>> feed = BroadcastRing(np.int64, capacity=4)
>>> risk, audit = feed.subscribe("risk"), feed.subscribe("audit")
>>> feed.publish_many(np.arange(6))
4
>>> risk.poll(max_records=3)
array([0, 1, 2])
>>> feed.subscribers
{'risk': 1, 'audit': 4}
>>> feed.try_publish(np.int64(4))
False
>>> audit.close()
>>> feed.try_publish(np.int64(4))
True
>>> risk.poll()
array([3, 4])

>>> quotes = BroadcastRing(np.int64, capacity=4, overflow="overwrite_oldest")
>>> display = quotes.subscribe("display")
>>> quotes.publish_many(np.arange(6))
6
>>> display.poll(), display.lost
(array([2, 3, 4, 5]), 2)
)";

inline constexpr const char* kBroadcastCreate =
    R"(create($type, /, name, dtype, capacity, *, role='producer', wait='adaptive', overflow='refuse', max_lag_records=None)
--

Make a ring in shared memory, from one process to many.

Parameters
----------
name : str
    Begins with a slash, as in ``shm_open``; then letters, digits, ``.``, ``_`` and ``-``.
dtype, capacity, wait, overflow, max_lag_records
    As for `BroadcastRing` itself. The dtype, or the Record class's name and fields, is written into the ring.
role : {'producer', 'observer'}
    Whether this object publishes, or leaves that to a process that attaches with ``role='producer'``.

Raises
------
RingBusyError
    A ring of that name is in use. One that nobody uses any more is replaced.

Examples
--------
>>> import numpy as np
>>> from fastmas.ring import BroadcastRing
>>> with BroadcastRing.create("/fastmas-feed", np.int64, capacity=8) as feed:
...     ring = BroadcastRing.attach("/fastmas-feed")  # as a rule in another process
...     risk = ring.subscribe("risk")
...     feed.publish(np.int64(7))
...     print(ring, feed.subscribers, risk.pop())
<BroadcastRing '/fastmas-feed' of int64, capacity 8, observer> {'risk': 1} 7
>>> risk.peer_state
'left'
>>> ring.close()
)";

inline constexpr const char* kBroadcastAttach =
    R"(attach($type, /, name, *, role='observer', dtype=None, wait='adaptive')
--

Open a ring in shared memory: to subscribe, or to publish where the last producer stopped.

Parameters
----------
name : str
    As given to `create`.
role : {'observer', 'producer'}
    An observer can `subscribe`, and look. There is one producer at a time; the next one goes on after the last record that
    was published.
dtype : numpy.dtype or type[Record], optional
    What a record must be. By default what the ring says.
wait : {'adaptive', 'spin', 'yield', 'block'}
    How calls of this object and its subscribers wait.

Raises
------
RingGoneError
    There is no ring of that name.
RingBusyError
    A process that lives is the producer.
ConfigError
    The ring is of another kind or dtype.
)";

inline constexpr const char* kTryPublish = R"(try_publish($self, record, /)
--

Publish one record if it fits; never waits.

Parameters
----------
record : Record, numpy row, or bytes-like
    Bytes must have exactly the ring's record size.

Returns
-------
bool
    False when a subscriber is a whole ring behind; nothing has changed then, or the record is counted in `dropped` with
    ``overflow='drop_newest'``.

Raises
------
PeerDeadError
    A required subscriber is a whole ring behind, and its process died.
)";

inline constexpr const char* kPublish = R"(publish($self, /, record, timeout_s=None)
--

Publish one record, waiting until it fits; only with ``overflow='refuse'`` can it have to wait.

Parameters
----------
record : Record, numpy row, or bytes-like
    As for `try_publish`.
timeout_s : float, optional
    How long to wait at most; None waits until there is room or a signal handler raises.

Raises
------
DeadlineError
    The ring stayed full; the text names the slowest subscriber. The record was not published.
PeerDeadError
    A required subscriber is a whole ring behind, and its process died. One that is not required is put out.
)";

inline constexpr const char* kPublishMany = R"(publish_many($self, /, records, timeout_s=0.0)
--

Publish as many records as fit, in order.

Parameters
----------
records : numpy.ndarray or bytes-like
    A one-dimensional array of the ring's dtype (copied first when it is not contiguous), or whole records as bytes.
timeout_s : float, optional
    How long to wait at most for room for the rest; None waits until all are out.

Returns
-------
int
    How many were published; the others are still the caller's, or dropped with ``overflow='drop_newest'``.

Raises
------
PeerDeadError
    As for `publish`, when none was published.
KeyboardInterrupt
    Or what else a signal handler raises while the call waits; its ``records_pushed`` is how many were out, if any.
)";

inline constexpr const char* kSubscribe = R"(subscribe($self, /, name, *, required=False)
--

Join the ring: every record published from now on will be seen.

In shared memory, a subscriber whose process died is put out when the producer would have to wait for it. Until then, or for
ever when it is required, who subscribes again under its name goes on exactly where it stopped (`Subscriber.resumed`).

Parameters
----------
name : str
    For `subscribers` and error texts; no two subscribers have the same. In shared memory at most 47 bytes.
required : bool
    Whether the producer keeps records for this subscriber even when its process died.

Returns
-------
Subscriber
    With ``overflow='refuse'`` it stops the producer when it falls a whole ring behind, until it is closed.

Raises
------
ConfigError
    The name is taken in this process, or the ring has 64 subscribers.
RingBusyError
    The same, in shared memory.
)";

inline constexpr const char* kSubscriber =
    R"(A subscriber's side of a `BroadcastRing`, made by `BroadcastRing.subscribe`.

It sees every record published between its join and its close, once, in order, unless the ring's ``overflow`` says
otherwise. Closing it, leaving its ``with`` block or dropping the last reference lets the producer go on without it.

Examples
--------
>>> import numpy as np
>>> from fastmas.ring import BroadcastRing
>>> feed = BroadcastRing(np.int64, capacity=8)
>>> with feed.subscribe("risk") as risk:
...     feed.publish(np.int64(7))
...     print(risk.lag, risk.pop(), risk.lag, risk.received)
1 7 0 1
>>> feed.subscribers
{}
)";

inline constexpr const char* kPoll = R"(poll($self, /, max_records=None, out=None, *, timeout_s=0.0)
--

Read up to `max_records` records, in order.

Parameters
----------
max_records : int, optional
    At most so many; by default as many as `out` or the ring can hold.
out : numpy.ndarray, optional
    A contiguous array of the ring's dtype to put them in, instead of a new one. What is not returned of it may have been
    written to.
timeout_s : float, optional
    How long to wait at most for the first record; None waits until one comes.

Returns
-------
numpy.ndarray
    The records read, possibly none; the beginning of `out` when that was given.

Raises
------
PeerDeadError, EvictedError
    As for `pop`, when there is nothing to read.
)";

inline constexpr const char* kSubscriberTryPop = R"(try_pop($self, /)
--

Read the next record; never waits.

Returns
-------
Record, numpy row or scalar, or None
    None when all has been read. What is returned owns its bytes.

Raises
------
PeerDeadError, EvictedError
    As for `pop`.
)";

inline constexpr const char* kSubscriberPop = R"(pop($self, /, timeout_s=None)
--

Read the next record, waiting until there is one.

Parameters
----------
timeout_s : float, optional
    How long to wait at most; None waits until a record comes or a signal handler raises.

Raises
------
DeadlineError
    No record came.
PeerDeadError
    The producer's process died, and all that it published has been read. When another takes its place, reading goes on.
EvictedError
    This subscriber was put out for its lag.
ConfigError
    The subscriber is closed, or was closed while this call waited.
)";

inline constexpr const char* kClose = R"(close($self, /)
--

Leave the ring; the producer no longer waits for this subscriber. Closing twice does nothing.
)";

}  // namespace fastmas::bindings::docs
