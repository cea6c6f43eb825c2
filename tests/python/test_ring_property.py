"""Any sequence of calls on a ring does what it would do on a bounded deque."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule
from ring_processes import files_of, new_name

from fastmas.records import Record, i64, u32
from fastmas.ring import BroadcastRing, SpscRing, Subscriber

ROW = np.dtype([("sequence", "<i8"), ("low", "<u4")])  # 12 bytes: no slot but the first is aligned


class Numbered(Record):
    sequence: i64
    low: u32


def row_of(sequence: int) -> tuple[int, int]:
    return sequence, (sequence * 2654435761) & 0xFFFFFFFF


def rows(first: int, count: int) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    return np.array([row_of(first + i) for i in range(count)], ROW)


class SpscMachine(RuleBasedStateMachine):
    """One thread uses both sides; the model is a deque that refuses beyond the capacity, or drops.

    In process one object is both ends; in shared memory there are two, and either may be closed and taken again at any
    time without anything being lost or coming twice.
    """

    @initialize(
        power=st.integers(1, 5),
        layout=st.sampled_from(["contiguous", "sequenced"]),
        overflow=st.sampled_from(["refuse", "drop_newest"]),
        shared=st.booleans(),
    )
    def make(self, power: int, layout: Any, overflow: Any, shared: bool) -> None:
        self.capacity = 2**power
        self.lends = layout == "contiguous"
        self.drops = overflow == "drop_newest"
        self.name = new_name() if shared else None
        if self.name is None:
            self.out = self.into = SpscRing(ROW, self.capacity, layout=layout, overflow=overflow)
        else:
            self.out = SpscRing.create(self.name, ROW, self.capacity, layout=layout, overflow=overflow)
            self.into = SpscRing.attach(self.name)
        self.model: deque[tuple[int, int]] = deque()
        self.sent = self.popped = self.dropped = 0

    def teardown(self) -> None:
        if hasattr(self, "out"):
            self.out.close()
            self.into.close()
            assert self.name is None or files_of(self.name) == []

    @rule()
    def replace_producer(self) -> None:
        if self.name is not None:
            self.out.close()
            self.out = SpscRing.attach(self.name, role="producer", dtype=ROW)

    @rule()
    def replace_consumer(self) -> None:
        if self.name is not None:
            self.into.close()
            self.into = SpscRing.attach(self.name)

    @rule(count=st.integers(1, 40), fails=st.booleans())
    def claim(self, count: int, fails: bool) -> None:
        if not self.lends:
            return
        with suppress(KeyError), self.out.claim(count) as view:
            fits = len(view)
            assert fits == min(count, self.capacity - len(self.model), self.capacity - self.sent % self.capacity)
            view[:] = rows(self.sent, fits)
            if fails:
                raise KeyError
        if not fails:
            self.model.extend(row_of(self.sent + i) for i in range(fits))
            self.sent += fits

    @rule(count=st.integers(1, 40), fails=st.booleans())
    def peek(self, count: int, fails: bool) -> None:
        if not self.lends:
            return
        with suppress(KeyError), self.into.peek(count) as view:
            there = len(view)
            assert there == min(count, len(self.model), self.capacity - self.popped % self.capacity)
            assert view.tolist() == list(self.model)[:there]
            if fails:
                raise KeyError
        if not fails:
            for _ in range(there):
                self.model.popleft()
            self.popped += there

    @rule()
    def try_push(self) -> None:
        fits = len(self.model) < self.capacity
        assert self.out.try_push(rows(self.sent, 1)[0]) is fits
        if fits:
            self.model.append(row_of(self.sent))
            self.sent += 1
        else:
            self.dropped += self.drops

    @rule(count=st.integers(0, 40), step=st.sampled_from([1, 2, -1]), raw=st.booleans())
    def push_many(self, count: int, step: int, raw: bool) -> None:
        batch = rows(self.sent, count)
        spread = np.zeros(max(0, count * abs(step)), ROW)[::step][:count]
        spread[:] = batch
        fits = min(count, self.capacity - len(self.model))
        assert self.out.push_many(batch.tobytes() if raw else spread) == fits
        self.model.extend(row_of(self.sent + i) for i in range(fits))
        self.sent += fits
        self.dropped += (count - fits) * self.drops

    @rule()
    def try_pop(self) -> None:
        got = self.into.try_pop()
        if not self.model:
            assert got is None
            return
        assert got.tolist() == self.model.popleft()
        self.popped += 1

    @rule(most=st.integers(1, 40), into=st.integers(0, 40))
    def pop_many(self, most: int, into: int) -> None:
        out = np.zeros(into, ROW) if into else None
        got = self.into.pop_many(most, out)
        wanted = min(most, len(self.model), into or self.capacity)
        assert got.tolist() == [self.model.popleft() for _ in range(wanted)]
        self.popped += wanted

    @invariant()
    def counts(self) -> None:
        if not hasattr(self, "out"):
            return
        for ring in (self.out, self.into):
            assert (ring.pushed, ring.popped, ring.dropped) == (self.sent, self.popped, self.dropped)
            assert ring.was_size == len(self.model)
            assert ring.was_empty is (not self.model)
            assert ring.was_full is (len(self.model) == self.capacity)


class BroadcastMachine(RuleBasedStateMachine):
    """Subscribers join and leave at will; each is modelled by a deque of what it has not read."""

    subscribers: Bundle[tuple[Subscriber, deque[int]]] = Bundle("subscribers")

    @initialize(power=st.integers(1, 4))
    def make(self, power: int) -> None:
        self.capacity = 2**power
        self.feed = BroadcastRing(Numbered, self.capacity)
        self.unread: dict[str, deque[int]] = {}
        self.sent = self.joins = 0

    def room(self) -> int:
        return self.capacity - max((len(unread) for unread in self.unread.values()), default=0)

    @rule(target=subscribers)
    def join(self) -> tuple[Subscriber, deque[int]]:
        self.joins += 1
        name = f"s{self.joins}"
        subscriber = self.feed.subscribe(name)
        assert subscriber.joined_at == self.sent
        self.unread[name] = deque()
        return subscriber, self.unread[name]

    @rule(entry=consumes(subscribers))
    def leave(self, entry: tuple[Subscriber, deque[int]]) -> None:
        subscriber, unread = entry
        assert subscriber.received + subscriber.joined_at + len(unread) == self.sent
        subscriber.close()
        del self.unread[subscriber.name]

    @rule()
    def publish(self) -> None:
        fits = self.room() > 0
        assert self.feed.try_publish(Numbered(*row_of(self.sent))) is fits
        self.note(int(fits))

    @rule(count=st.integers(0, 20))
    def publish_many(self, count: int) -> None:
        batch = np.zeros(count, Numbered.dtype)
        for i in range(count):
            batch["sequence"][i], batch["low"][i] = row_of(self.sent + i)
        fits = min(count, self.room())
        assert self.feed.publish_many(batch) == fits
        self.note(fits)

    def note(self, count: int) -> None:
        for unread in self.unread.values():
            unread.extend(range(self.sent, self.sent + count))
        self.sent += count

    @rule(entry=subscribers, most=st.integers(1, 20))
    def poll(self, entry: tuple[Subscriber, deque[int]], most: int) -> None:
        subscriber, unread = entry
        got = subscriber.poll(most)
        wanted = [row_of(unread.popleft()) for _ in range(min(most, len(unread)))]
        assert list(zip(got["sequence"].tolist(), got["low"].tolist(), strict=True)) == wanted

    @rule(entry=subscribers)
    def try_pop(self, entry: tuple[Subscriber, deque[int]]) -> None:
        subscriber, unread = entry
        assert subscriber.try_pop() == (Numbered(*row_of(unread.popleft())) if unread else None)

    @invariant()
    def lags(self) -> None:
        if not hasattr(self, "feed"):
            return
        assert self.feed.published == self.sent
        assert self.feed.subscribers == {name: len(unread) for name, unread in self.unread.items()}


SETTINGS = settings(max_examples=100, stateful_step_count=40, deadline=None, derandomize=True)
TestSpsc = SpscMachine.TestCase
TestSpsc.settings = SETTINGS
TestBroadcast = BroadcastMachine.TestCase
TestBroadcast.settings = SETTINGS
