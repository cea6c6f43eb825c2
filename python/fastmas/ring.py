"""Rings: how records travel between agents, without locks and without being encoded.

:class:`SpscRing` joins one producer to one consumer; :class:`MpscRing` many producers to one consumer, and
:class:`MpmcRing` to many, each record to one of them; :class:`BroadcastRing` joins one producer to any number of
subscribers, each of which sees every record. All are made for a numpy dtype or a :class:`~fastmas.records.Record`
class, take single records and batches, and never drop anything: a full ring refuses, which the producer sees.

A ring made by ``create`` lives in shared memory, and ``attach`` takes its other end in another process. When that
process dies, calls raise :class:`~fastmas.errors.PeerDeadError` instead of waiting for ever.

The ``try_`` methods never wait. The plain verbs take ``timeout_s``; while they wait, other threads run, and Ctrl-C
works.

>>> import numpy as np
>>> from fastmas.ring import SpscRing
>>> ring = SpscRing(np.float64, capacity=4)
>>> ring.push_many(np.array([0.5, 1.5, 2.5]))
3
>>> ring.pop_many(out=np.empty(8))
array([0.5, 1.5, 2.5])
>>> ring.pop(timeout_s=0.01)
Traceback (most recent call last):
fastmas.errors.DeadlineError: no record came within 0.01 s; push one or give a longer timeout_s
"""

from __future__ import annotations

from dataclasses import dataclass

from fastmas._core.ring import (
    BroadcastRing,
    ByteRing,
    MpmcRing,
    MpscRing,
    SpscRing,
    Subscriber,
    clean_segments,
    list_segments,
)

__all__ = [
    "BroadcastRing",
    "ByteRing",
    "MpmcRing",
    "MpscRing",
    "RingHolder",
    "RingInfo",
    "SpscRing",
    "Subscriber",
    "clean_rings",
    "list_rings",
]


@dataclass(frozen=True)
class RingHolder:
    """Who holds, or last held, one end of a ring in shared memory.

    Attributes
    ----------
    role : str
        "producer" or "consumer" (of a broadcast ring: a subscriber).
    place : int
        Which of the ring's producers or consumers, from 0.
    pid : int
        The process.
    state : str
        "alive", "left" (it closed) or "dead" (its process ended without closing).
    name : str
        Of a subscriber; else empty.
    """

    role: str
    place: int
    pid: int
    state: str
    name: str


@dataclass(frozen=True)
class RingInfo:
    """A ring in shared memory, as it was when `list_rings` looked.

    Attributes
    ----------
    name : str
        As given to ``create``.
    state : str
        "in use", "stale" (no process has it open: its creator died), "unfinished" (its creator died while it made the
        ring) or "foreign" (a file with a ring's name that is none, or one of another fastmas or user).
    why : str
        Of a foreign one: what is wrong with it. Else empty.
    kind : str or None
        "spsc", "mpsc", "mpmc", "broadcast" or "bytes"; this and the next five are None where it cannot be told.
    layout, overflow : str or None
        As given to ``create``.
    dtype : str or None
        The Record class's name, or the dtype.
    capacity : int or None
        In records.
    record_bytes : int or None
        Of one record.
    bytes : int
        Of its file.
    holders : tuple of RingHolder
        Of every end that was ever held.
    """

    name: str
    state: str
    why: str
    kind: str | None
    layout: str | None
    overflow: str | None
    dtype: str | None
    capacity: int | None
    record_bytes: int | None
    bytes: int
    holders: tuple[RingHolder, ...]


def list_rings() -> list[RingInfo]:
    """Look at every ring in shared memory.

    Nothing is opened for use or changed. The command line shows the same: ``fastmas rings ls``.

    Returns
    -------
    list of RingInfo
        By name.

    Raises
    ------
    StorageError
        The directory of shared rings cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmas.ring import SpscRing, list_rings
    >>> with SpscRing.create("/fastmas-example-list", np.float64, capacity=8):
    ...     (ring,) = [ring for ring in list_rings() if ring.name == "/fastmas-example-list"]
    >>> ring.kind, ring.dtype, ring.capacity, ring.state, ring.holders[0].role, ring.holders[0].state
    ('spsc', 'float64', 8, 'in use', 'producer', 'alive')
    """
    return [
        RingInfo(
            name, state, why, kind, layout, overflow, dtype, capacity, record_bytes, size,
            tuple(RingHolder(role, place, pid, held, holder) for place, role, pid, held, holder in holders),
        )
        for (
            name, state, why, kind, layout, overflow, dtype, capacity, record_bytes, size, holders,
        ) in list_segments()
    ]  # fmt: skip


def clean_rings() -> list[str]:
    """Remove the rings in shared memory that no process has open: what killed processes left.

    A ring that any process has open stays, also while that process is stopped. The command line does the same:
    ``fastmas rings clean``.

    Returns
    -------
    list of str
        The names removed.

    Raises
    ------
    StorageError
        The directory of shared rings cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmas.ring import SpscRing, clean_rings
    >>> with SpscRing.create("/fastmas-example-clean", np.float64, capacity=8):
    ...     "/fastmas-example-clean" in clean_rings()
    False
    """
    return clean_segments()
