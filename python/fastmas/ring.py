"""Rings: how records travel between agents, without locks and without being encoded.

:class:`SpscRing` joins one producer to one consumer; :class:`BroadcastRing` joins one producer to any number of
subscribers, each of which sees every record. Both are made for a numpy dtype or a :class:`~fastmas.records.Record`
class, take single records and batches, and never drop anything: a full ring refuses, which the producer sees.

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

from fastmas._core.ring import BroadcastRing, SpscRing, Subscriber

__all__ = ["BroadcastRing", "SpscRing", "Subscriber"]
