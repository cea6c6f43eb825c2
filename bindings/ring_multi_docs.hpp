// The docstrings of MpscRing and MpmcRing, where they differ from the other rings'. Their first line is the signature
// that inspect reads; their examples are run by a test.
#pragma once

namespace fastmas::bindings::docs {

inline constexpr const char* kMpscRing =
    R"(MpscRing(dtype, capacity, *, wait='adaptive', overflow='refuse')
--

A ring from many producers to one consumer.

Every record that went in comes out once and whole, those of one producer in their order. A full ring refuses: nothing is
ever dropped, unless that is asked for. In this process any thread pushes and one thread pops; `create` and `attach` make
and find one between processes, with up to 64 producers.

A producer that is killed delays nobody for long: who waits for it finds out within a second and passes over the record
that it had not finished, which `skipped` counts. `PeerDeadError` is raised only when nobody is left at the other end and
one of those who were there died.

Parameters
----------
dtype : numpy.dtype or type[Record]
    What a record is, as for `SpscRing`.
capacity : int
    How many records fit: a power of two >= 2.
wait : {'adaptive', 'spin', 'yield', 'block'}
    What calls do that have to wait, as for `SpscRing`.
overflow : {'refuse', 'drop_newest'}
    What a full ring does with the next record, as for `SpscRing`.

Examples
--------
>>> import numpy as np
>>> from fastmas.ring import MpscRing
>>> ring = MpscRing(np.int64, capacity=4)
>>> ring.push_many(np.arange(6))
4
>>> ring.pop_many(max_records=3)
array([0, 1, 2])
>>> ring.pop(), ring.try_pop() is None
(np.int64(3), True)
>>> ring.pushed, ring.popped, ring.skipped, ring.lost
(4, 4, 0, 0)
)";

inline constexpr const char* kMpmcRing =
    R"(MpmcRing(dtype, capacity, *, wait='adaptive', overflow='refuse')
--

A ring from many producers to many consumers, each record to one of them.

Every record that went in comes out at most once and whole; each consumer gets those of one producer in their order. A full
ring refuses: nothing is ever dropped, unless that is asked for. In this process any thread pushes and pops; `create` and
`attach` make and find one between processes, with up to 64 at each end.

Whoever is killed delays nobody for long: who waits for it finds out within a second. The record that a killed producer had
not finished is passed over and counted in `skipped`; one that a killed consumer had taken and not yet returned is given
to nobody else and counted in `lost`. `PeerDeadError` is raised only when nobody is left at the other end and one of those
who were there died.

Parameters
----------
dtype : numpy.dtype or type[Record]
    What a record is, as for `SpscRing`.
capacity : int
    How many records fit: a power of two >= 2.
wait : {'adaptive', 'spin', 'yield', 'block'}
    What calls do that have to wait, as for `SpscRing`.
overflow : {'refuse', 'drop_newest'}
    What a full ring does with the next record, as for `SpscRing`.

Examples
--------
>>> import numpy as np
>>> from fastmas.ring import MpmcRing
>>> work = MpmcRing(np.int64, capacity=8)
>>> work.push_many(np.arange(5))
5
>>> work.pop_many(max_records=3), work.pop(), work.was_size
(array([0, 1, 2]), np.int64(3), 1)
)";

inline constexpr const char* kPushManyOfMany = R"(push_many($self, /, records, timeout_s=0.0)
--

Push as many records as fit, in order; those of other producers may come in between.

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

inline constexpr const char* kCreateMpsc =
    R"(create($type, /, name, dtype, capacity, *, role='producer', wait='adaptive', overflow='refuse')
--

Make a ring in shared memory, for any number of producers up to 64 and one consumer.

Parameters
----------
name : str
    Begins with a slash, as in ``shm_open``; then letters, digits, ``.``, ``_`` and ``-``.
dtype, capacity, wait, overflow
    As for `MpscRing` itself. The dtype, or the Record class's name and fields, is written into the ring.
role : {'producer', 'consumer'}
    Which end this object is: one of the producers, or the consumer.

Raises
------
RingBusyError
    A ring of that name is in use. One that nobody uses any more is replaced.

Examples
--------
>>> import numpy as np
>>> from fastmas.ring import MpscRing
>>> with MpscRing.create("/fastmas-example-many", np.int64, capacity=8, role="consumer") as orders:
...     one = MpscRing.attach("/fastmas-example-many", role="producer")  # as a rule in other processes
...     two = MpscRing.attach("/fastmas-example-many", role="producer")
...     one.push(np.int64(1))
...     two.push(np.int64(2))
...     one.close()
...     orders.pop(), orders.pop(), orders.peer_state, orders.dead_peers
(np.int64(1), np.int64(2), 'alive', 0)
)";

inline constexpr const char* kCreateMpmc =
    R"(create($type, /, name, dtype, capacity, *, role='producer', wait='adaptive', overflow='refuse')
--

Make a ring in shared memory, for any number of producers and consumers up to 64 each.

Parameters
----------
name : str
    Begins with a slash, as in ``shm_open``; then letters, digits, ``.``, ``_`` and ``-``.
dtype, capacity, wait, overflow
    As for `MpmcRing` itself. The dtype, or the Record class's name and fields, is written into the ring.
role : {'producer', 'consumer'}
    Which end this object is one of.

Raises
------
RingBusyError
    A ring of that name is in use. One that nobody uses any more is replaced.

Examples
--------
>>> import numpy as np
>>> from fastmas.ring import MpmcRing
>>> with MpmcRing.create("/fastmas-example-work", np.int64, capacity=8) as work:
...     one = MpmcRing.attach("/fastmas-example-work")  # as a rule in other processes
...     two = MpmcRing.attach("/fastmas-example-work")
...     work.push_many(np.arange(3)), one.pop(), two.pop(), one.pop()
(3, np.int64(0), np.int64(1), np.int64(2))
)";

inline constexpr const char* kAttachMpsc =
    R"(attach($type, /, name, *, role='consumer', dtype=None, wait='adaptive')
--

Take part in a ring in shared memory.

When the consumer left, or died, the next one goes on where it stopped: what it popped does not come again.

Parameters
----------
name : str
    As given to `create`.
role : {'producer', 'consumer'}
    As one more producer, or as the consumer.
dtype : numpy.dtype or type[Record], optional
    What a record must be. By default what the ring says: the Record class of that name and layout that this process
    knows, or a numpy dtype.
wait : {'adaptive', 'spin', 'yield', 'block'}
    How calls of this object wait; the others have their own way.

Raises
------
RingGoneError
    There is no ring of that name.
RingBusyError
    A process that lives is the consumer, or all 64 places of producers are held.
ConfigError
    The ring is of another kind or dtype.
)";

inline constexpr const char* kAttachMpmc =
    R"(attach($type, /, name, *, role='consumer', dtype=None, wait='adaptive')
--

Take part in a ring in shared memory, as one more producer or consumer.

Parameters
----------
name : str
    As given to `create`.
role : {'producer', 'consumer'}
    At which end.
dtype : numpy.dtype or type[Record], optional
    What a record must be. By default what the ring says: the Record class of that name and layout that this process
    knows, or a numpy dtype.
wait : {'adaptive', 'spin', 'yield', 'block'}
    How calls of this object wait; the others have their own way.

Raises
------
RingGoneError
    There is no ring of that name.
RingBusyError
    All 64 places of that end are held.
ConfigError
    The ring is of another kind or dtype.
)";

}  // namespace fastmas::bindings::docs
