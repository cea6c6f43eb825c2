"""MpscRing and MpmcRing between processes that are killed at random moments: nothing twice, nothing torn, no gap."""

from __future__ import annotations

import gc
import itertools
import mmap
import os
import random
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from ring_processes import kill_rounds

from fastmas.errors import ConfigError, PeerDeadError, RingBusyError, RingGoneError
from fastmas.records import Record, i64, u64
from fastmas.ring import MpmcRing, MpscRing

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="shared memory is POSIX")
KINDS = [MpscRing, MpmcRing]
PATIENCE_S = 60.0  # far more than anything here takes
_numbers = itertools.count()


class Proof(Record):
    """The last two fields are functions of the first two: a torn record shows."""

    producer: i64
    sequence: i64
    mixed: u64
    inverse: u64


# Long to copy, so that a kill often finds a producer or a consumer in the middle of a record.
LARGE = np.dtype([("producer", "i8"), ("sequence", "i8"), ("mixed", "u8", 32768), ("inverse", "u8")])


def mixed(producer: Any, sequence: Any) -> Any:
    return (np.uint64(sequence) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) ^ (np.uint64(producer) << np.uint64(40))


def proofs(producer: int, first: int, count: int, dtype: np.dtype[Any] = Proof.dtype) -> np.ndarray[Any, Any]:
    rows = np.zeros(count, dtype)
    rows["producer"] = producer
    rows["sequence"] = np.arange(first, first + count)
    with np.errstate(over="ignore"):
        number = mixed(rows["producer"].astype("u8"), rows["sequence"].astype("u8"))
    rows["mixed"] = number if rows["mixed"].ndim == 1 else number[:, None]
    rows["inverse"] = ~number
    return rows


def check_whole(rows: np.ndarray[Any, Any]) -> None:
    with np.errstate(over="ignore"):
        expected = mixed(rows["producer"].astype("u8"), rows["sequence"].astype("u8"))
    assert (rows["mixed"] == (expected if rows["mixed"].ndim == 1 else expected[:, None])).all()
    assert (rows["inverse"] == ~expected).all()


@pytest.fixture
def name() -> Iterator[str]:
    name = f"/test-multi-{os.getpid()}-{next(_numbers)}"
    yield name
    for child in list(Child.alive.values()):
        child.kill()
    gc.collect()
    assert list(Path("/dev/shm").glob(f"*fastmas.{name[1:]}*")) == []


class Child:
    """A forked process that runs `body` and ends without closing what that returns, as one that is killed does."""

    alive: ClassVar[dict[int, Child]] = {}

    def __init__(self, body: Callable[[], object]) -> None:
        self.pid = os.fork()
        self.alive[self.pid] = self
        if self.pid == 0:
            status = 1
            try:
                kept = body()  # noqa: F841
                status = 0
            finally:
                os._exit(status)

    def kill(self) -> None:
        """It must have been well until then."""
        os.kill(self.pid, signal.SIGKILL)
        assert self.end() == -signal.SIGKILL

    def end(self) -> int:
        del self.alive[self.pid]
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class Ledger:
    """What was received: each producer's records in order, whole, and none twice."""

    def __init__(self) -> None:
        self.next: dict[int, int] = defaultdict(int)

    def take(self, ring: Any) -> None:
        rows = ring.pop_many(timeout_s=PATIENCE_S)
        assert len(rows), "nothing came"
        self.add(rows)

    def add(self, rows: np.ndarray[Any, Any]) -> None:
        check_whole(rows)
        for producer, sequence in zip(rows["producer"].tolist(), rows["sequence"].tolist(), strict=True):
            assert sequence == self.next[producer], f"producer {producer}"
            self.next[producer] += 1


def push_for_ever(kind: Any, name: str, producer: int) -> Callable[[], None]:
    """Batches and single records in turn, until it is killed."""

    def body() -> None:
        ring = kind.attach(name, role="producer")
        for sequence in itertools.count(step=6):
            rows = proofs(producer, sequence, 6, ring.dtype)
            ring.push_many(rows[:4], timeout_s=None)
            ring.push(rows[4])
            ring.push(rows[5])

    return body


def write_down(name: str, log: mmap.mmap, most: int) -> Callable[[], None]:
    """A consumer that notes the sequence of each record it got, until it is killed."""

    def body() -> None:
        ring = MpmcRing.attach(name)
        seen = np.frombuffer(log, np.int64)
        while True:
            rows = ring.pop_many(max_records=most, timeout_s=None)
            check_whole(rows)
            count = int(seen[0])
            seen[1 + count : 1 + count + len(rows)] = rows["sequence"] + 1
            seen[0] = count + len(rows)

    return body


# ---- who is there


@pytest.mark.parametrize("kind", KINDS)
def test_many_processes_push_and_all_of_it_arrives(name: str, kind: Any) -> None:
    each, producers = 3_000, 4

    def body(producer: int) -> None:
        with kind.attach(name, role="producer") as ring:
            rows = proofs(producer, 0, each)
            assert ring.push_many(rows, timeout_s=PATIENCE_S) == each

    with kind.create(name, Proof, 64, role="consumer") as ring:
        assert (ring.role, ring.peer_state, ring.peer_alive) == ("consumer", "absent", False)
        children = [Child(lambda producer=producer: body(producer)) for producer in range(producers)]  # type: ignore[misc]
        ledger = Ledger()
        while sum(ledger.next.values()) < each * producers:
            ledger.take(ring)
        assert [child.end() for child in children] == [0] * producers
        assert ring.peer_state == "left"
        assert (ring.pushed, ring.popped, ring.skipped, ring.lost) == (each * producers, each * producers, 0, 0)
        assert ledger.next == dict.fromkeys(range(producers), each)


def test_consumers_overtake_one_another_and_miss_nothing(name: str) -> None:
    """What one has seen another takes, all the time: single records in between batches."""
    count, consumers = 6_000, 3
    logs = [mmap.mmap(-1, 8 * (count + 1)) for _ in range(consumers)]
    rows = proofs(0, 0, count)
    with MpmcRing.create(name, Proof, 8) as ring:
        children = [Child(write_down(name, log, 8)) for log in logs]
        sequence = 0
        while sequence < count:
            sequence += ring.push_many(rows[sequence : sequence + 1 + sequence % 5], timeout_s=PATIENCE_S)
            if sequence % 2:
                sequence += ring.push_many(rows[sequence : sequence + 1], timeout_s=PATIENCE_S)
        noted = [np.frombuffer(log, np.int64) for log in logs]
        until = time.monotonic() + PATIENCE_S
        while sum(int(numbers[0]) for numbers in noted) < count and time.monotonic() < until:
            os.sched_yield()
        for child in children:
            child.kill()
        everything = np.concatenate([numbers[1:][numbers[1:] > 0] - 1 for numbers in noted])
        assert sorted(everything.tolist()) == list(range(count))
        assert (ring.pushed, ring.popped, ring.lost) == (count, count, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_roles_and_their_refusals(name: str, kind: Any) -> None:
    with pytest.raises(RingGoneError, match=r"there is no ring"):
        kind.attach(name)
    with kind.create(name, Proof, 4) as first, kind.attach(name, role="producer") as second:
        assert repr(first) == f"<{kind.__name__} '{name}' of Proof, capacity 4, producer>"
        with pytest.raises(ConfigError, match=r"has the role 'producer' and cannot pop; use the other end"):
            first.try_pop()
        with pytest.raises(RingBusyError, match=r"is in use by process \d+"):
            kind.create(name, Proof, 4)
        other = MpmcRing if kind is MpscRing else MpscRing
        with pytest.raises(ConfigError, match=r"mpsc|mpmc"):
            other.attach(name)
        with pytest.raises(ConfigError):
            kind.attach(name, dtype=np.int64)
        with kind.attach(name, dtype=Proof) as consumer:
            assert (first.peer_state, consumer.peer_state) == ("alive", "alive")
            if kind is MpscRing:
                with pytest.raises(RingBusyError, match=r"consumer 0 .* is held by process \d+"):
                    kind.attach(name)
            first.push(proofs(0, 0, 1)[0])
            second.push(proofs(1, 0, 1)[0])
            assert [consumer.pop().producer for _ in range(2)] == [0, 1]
        assert first.peer_state == "left"


def test_there_are_64_places(name: str) -> None:
    with MpscRing.create(name, np.int64, 2) as first:
        others = [MpscRing.attach(name, role="producer") for _ in range(63)]
        with pytest.raises(RingBusyError, match=r"all 64 places for producers of ring '.*' are taken; close one first"):
            MpscRing.attach(name, role="producer")
        others.pop().close()
        others.append(MpscRing.attach(name, role="producer"))
        for ring in others:
            ring.close()
        assert first.try_push(np.int64(1))


# ---- deaths


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_producer_dies(name: str, kind: Any) -> None:
    """What it had pushed still comes; then, and only when nobody is left, the consumer is told."""
    with kind.create(name, Proof, 64, role="consumer") as ring:

        def body() -> object:
            ring = kind.attach(name, role="producer")
            ring.push_many(proofs(0, 0, 3))
            return ring

        assert Child(body).end() == 0
        second = kind.attach(name, role="producer")
        assert ring.pop_many(timeout_s=PATIENCE_S)["sequence"].tolist() == [0, 1, 2]
        assert (ring.peer_state, ring.peer_alive, ring.dead_peers) == ("alive", True, 1)
        assert ring.pop_many(timeout_s=0.2).tolist() == []  # one died, one lives: nothing to raise
        second.close()
        assert (ring.peer_state, ring.peer_alive, ring.dead_peers) == ("dead", False, 1)
        for call in (ring.pop, ring.pop_many, lambda: [ring.try_pop() for _ in itertools.count()]):
            with pytest.raises(PeerDeadError, match=rf"the producer of ring '{name}' died: process \d+ ended without"):
                while True:
                    call()
        with kind.attach(name, role="producer") as third:
            third.push(proofs(9, 0, 1)[0])
            assert ring.pop(timeout_s=PATIENCE_S).producer == 9


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_consumer_dies(name: str, kind: Any) -> None:
    with kind.create(name, np.int64, 2) as ring:
        assert Child(lambda: kind.attach(name)).end() == 0
        assert ring.push_many(np.arange(2)) == 2
        for call in (lambda: ring.push(np.int64(2)), lambda: [ring.try_push(np.int64(2)) for _ in itertools.count()]):
            with pytest.raises(PeerDeadError, match=rf"the consumer of ring '{name}' died"):
                call()
        with pytest.raises(PeerDeadError):
            ring.push_many(np.arange(2), timeout_s=PATIENCE_S)
        with kind.attach(name) as heir:
            assert heir.pop_many().tolist() == [0, 1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [1, 2])
def test_producers_are_killed_and_the_others_go_on(name: str, kind: Any, seed: int) -> None:
    """Three push without end; one after the other is killed in the middle, and another comes: so many times, and on
    until three were in the middle of a record."""
    rounds, at_once = kill_rounds(60), 3
    rng = random.Random(seed)
    with kind.create(name, LARGE, 8, role="consumer") as ring:
        ledger = Ledger()
        children = {run: Child(push_for_ever(kind, name, run)) for run in range(at_once)}
        for run in itertools.count(at_once):
            if run >= at_once + (rounds if ring.skipped >= 3 else 50 * rounds):
                break
            wanted = ring.popped + rng.randrange(60)
            while ring.popped < wanted or ledger.next[run - 1] == 0:
                ledger.take(ring)
            for _ in range(rng.randrange(40)):  # mostly until a record is being pushed, which cannot be popped yet
                rows = ring.pop_many(max_records=1)
                ledger.add(rows)
                if len(rows) == 0 and not ring.was_empty:
                    break
            children.pop(rng.choice(list(children))).kill()
            children[run] = Child(push_for_ever(kind, name, run))
        for child in children.values():
            child.kill()
        with pytest.raises(PeerDeadError):
            while True:
                ledger.take(ring)
        received = sum(ledger.next.values())
        assert (ring.pushed, ring.popped, ring.was_size, ring.lost) == (received, received, 0, 0)
        assert 3 <= ring.skipped <= run
        assert (ring.peer_state, ring.dead_peers > 0) == ("dead", True)


def test_consumers_are_killed_and_nothing_comes_twice(name: str) -> None:
    """Consumers write down what they got; one after the other is killed, and another comes: so many times, and on
    until three were in the middle of a record."""
    rounds, at_once, most = kill_rounds(100), 2, 4
    rng = random.Random(3)
    logs: list[mmap.mmap] = []

    def consumer() -> Child:
        logs.append(mmap.mmap(-1, 8 << 12))
        return Child(write_down(name, logs[-1], most))

    def push(ring: Any, count: int) -> int:
        assert ring.push_many(proofs(0, ring.pushed, count, LARGE), timeout_s=PATIENCE_S) == count
        return count

    with MpmcRing.create(name, LARGE, 8) as ring:
        children = [consumer() for _ in range(at_once)]
        kills = 0
        while kills < (rounds if ring.lost >= 3 else 30 * rounds):
            kills += 1
            for _ in range(rng.randrange(1, 12)):
                push(ring, rng.randint(1, 6))
            popped = ring.popped
            while rng.random() < 0.99 and ring.popped == popped and not ring.was_empty:
                pass  # mostly until a record is being popped
            children.pop(rng.randrange(at_once)).kill()
            children.append(consumer())
        for child in children:
            child.kill()
        rest: list[int] = []
        with MpmcRing.attach(name) as last:
            rest += last.pop_many()["sequence"].tolist()
            for _ in range(8):  # a lap: whatever a dead one still holds is in the way
                push(ring, 1)
                rest.append(int(last.pop(timeout_s=PATIENCE_S)["sequence"]))
        sequence = ring.pushed
        got = [np.frombuffer(log, np.int64)[1:] - 1 for log in logs]
        got = [numbers[numbers >= 0] for numbers in got]
        for numbers in got:
            assert (np.diff(numbers) > 0).all()
        everything = np.concatenate([*got, rest])
        assert len(np.unique(everything)) == len(everything)
        assert ring.was_size == 0
        assert ring.popped + ring.lost == sequence
        kills += at_once
        # Of each that was killed: one batch, taken or returned and not yet written down.
        assert sequence - most * kills <= len(everything) <= ring.popped
        assert 3 <= ring.lost <= kills


@pytest.mark.parametrize("kind", KINDS)
def test_a_stopped_producer_is_not_dead(name: str, kind: Any) -> None:
    with kind.create(name, Proof, 8, role="consumer") as ring:
        child = Child(push_for_ever(kind, name, 0))
        ledger = Ledger()
        while ledger.next[0] < 100:
            ledger.take(ring)
        os.kill(child.pid, signal.SIGSTOP)
        os.waitpid(child.pid, os.WUNTRACED)
        while len(rows := ring.pop_many(timeout_s=0.3)):
            ledger.add(rows)
        assert (ring.peer_state, ring.skipped) == ("alive", 0)
        os.kill(child.pid, signal.SIGCONT)
        while ledger.next[0] < 500:
            ledger.take(ring)
        child.kill()
