"""What threads may share, all at once.

With the interpreter's lock a formality; without it (tests/free_threaded/run) the test of what the lock used to keep.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import pytest

from fastmas.errors import ConfigError
from fastmas.records import Record, f64, i64, record_type_of_dtype, u32, u64
from fastmas.ring import BroadcastRing, MpmcRing, SpscRing

THREADS = 8
PATIENCE_S = 60.0


class Stamped(Record):
    producer: u64
    sequence: i64
    mixed: u64


class Draft(Record, frozen=False):
    ts_ns: i64
    number: i64 = 0
    weight: f64 = 0.0


def stamped(producer: int, sequence: int) -> Stamped:
    return Stamped(producer, sequence, ((sequence ^ (producer << 40)) * 0x9E3779B97F4A7C15) & (2**64 - 1))


def together(*bodies: Callable[[], None]) -> None:
    """All at once, from a barrier; the first exception is this test's."""
    failures: list[BaseException] = []
    barrier = threading.Barrier(len(bodies))

    def guarded(body: Callable[[], None]) -> None:
        try:
            barrier.wait(PATIENCE_S)
            body()
        except BaseException as failure:  # handed on below
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(body,), daemon=True) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "a thread hangs"
    if failures:
        raise failures[0]


def numbered(body: Callable[[int], None], count: int = THREADS) -> None:
    together(*[lambda number=number: body(number) for number in range(count)])  # type: ignore[misc]


def test_one_record_is_read_by_all() -> None:
    record = stamped(3, 17)
    others = [stamped(3, 17), stamped(3, 18)]

    def read(number: int) -> None:
        for _ in range(3_000):
            assert (record.producer, record.sequence) == (3, 17)
            assert record == others[0] and record != others[1] and hash(record) == hash(others[0])
            assert Stamped.from_bytes(bytes(record)) == record and record.replace(sequence=18).sequence == 18
            assert Stamped.from_row(record.to_row()) == record and repr(record).startswith("Stamped(")

    numbered(read)


def test_records_come_and_go_in_all_threads() -> None:
    """Allocation and release of one class's records: whatever keeps dead ones must not hand one out twice."""

    def churn(number: int) -> None:
        held: list[Stamped] = []
        for sequence in range(6_000):
            held.append(stamped(number, sequence))
            if sequence % 3 == 0:
                taken = held.pop(sequence % len(held))
                assert taken == stamped(number, taken.sequence)
        assert all(record == stamped(number, record.sequence) for record in held)

    numbered(churn)


def test_a_writable_record_of_each_thread() -> None:
    def write(number: int) -> None:
        draft = Draft(number)
        for value in range(6_000):
            draft.number = value
            draft.weight = value / 2
            assert (draft.ts_ns, draft.number, draft.weight) == (number, value, value / 2)

    numbered(write)


def test_classes_are_declared_and_found_in_all_threads() -> None:
    made: list[Any] = [None] * THREADS

    def declare(number: int) -> None:
        for turn in range(40):
            fields = {"ts_ns": i64, f"only_{number}_{turn}": u32}
            cls: Any = type(Record)(f"Made{number}", (Record,), {"__module__": __name__, "__annotations__": fields})
            assert record_type_of_dtype(cls.dtype) is cls
            assert record_type_of_dtype(np.dtype(cls.dtype.descr)) in (cls, None)
            made[number] = cls(turn, number)

    numbered(declare)
    assert [type(record).__name__ for record in made] == [f"Made{number}" for number in range(THREADS)]


def test_classes_with_equal_dtypes_are_not_lost() -> None:
    """All of them go into one list of candidates; an identical dtype must lead to its own class."""
    made: list[Any] = []

    def declare(number: int) -> None:
        for turn in range(25):
            name = f"Equal{number}_{turn}"
            annotations = {"same_in_all": i64}
            made.append(type(Record)(name, (Record,), {"__module__": __name__, "__annotations__": annotations}))

    numbered(declare)
    assert [cls for cls in made if record_type_of_dtype(cls.dtype) is not cls] == []


@pytest.mark.parametrize("capacity", [2, 256])
def test_many_rings_at_once(capacity: int) -> None:
    pairs, count = THREADS // 2, 3_000
    rings = [SpscRing(Stamped, capacity) for _ in range(pairs)]

    def produce(number: int) -> None:
        for sequence in range(count):
            rings[number].push(stamped(number, sequence), PATIENCE_S)

    def consume(number: int) -> None:
        for sequence in range(count):
            assert rings[number].pop(PATIENCE_S) == stamped(number, sequence)

    bodies: list[Callable[[], None]] = []
    for number in range(pairs):
        bodies.append(lambda number=number: produce(number))  # type: ignore[misc]
        bodies.append(lambda number=number: consume(number))  # type: ignore[misc]
    together(*bodies)
    assert [(ring.pushed, ring.popped) for ring in rings] == [(count, count)] * pairs


def test_batches_by_one_and_counters_by_all() -> None:
    ring, count = SpscRing(Stamped, 64), 20_000
    rows = Stamped.as_array([stamped(1, sequence) for sequence in range(count)])
    done = threading.Event()

    def produce() -> None:
        sent = 0
        while sent < count:
            sent += ring.push_many(rows[sent : sent + 48], PATIENCE_S)

    def consume() -> None:
        got, out = 0, np.empty(48, Stamped.dtype)
        while got < count:
            batch = ring.pop_many(out=out, timeout_s=PATIENCE_S)
            assert batch.tobytes() == rows[got : got + len(batch)].tobytes()
            got += len(batch)
        done.set()

    def watch() -> None:
        last = 0
        while not done.is_set():
            popped, pushed = ring.popped, ring.pushed
            assert last <= popped and popped - 64 <= pushed <= count
            last = popped

    together(produce, consume, watch, watch)


def test_subscribers_join_and_leave_from_all_threads() -> None:
    feed, count = BroadcastRing(Stamped, 128), 6_000
    done = threading.Event()

    def publish() -> None:
        for sequence in range(count):
            feed.publish(stamped(1, sequence), PATIENCE_S)
        done.set()

    def follow(number: int) -> None:
        turn = 0
        while not done.is_set():
            with feed.subscribe(f"{number}-{turn}") as reader:
                assert reader.name in feed.subscribers
                expected = None
                for _ in range(200):
                    record = reader.try_pop()
                    if record is None:
                        continue
                    assert expected is None or record.sequence == expected
                    assert record == stamped(1, record.sequence)
                    expected = record.sequence + 1
            turn += 1

    together(publish, *[lambda number=number: follow(number) for number in range(4)])  # type: ignore[misc]
    assert feed.subscribers == {}


def test_a_name_is_given_to_one_of_all_threads() -> None:
    feed = BroadcastRing(Stamped, 8)
    winners: list[int] = []
    held: list[object] = []

    def join(number: int) -> None:
        for turn in range(100):
            try:
                held.append(feed.subscribe(f"only-{turn}"))
            except ConfigError:
                continue
            winners.append(turn)
            if len(held) > 40:
                held.clear()  # they leave as they go, in whichever thread

    numbered(join)
    held.clear()
    assert feed.subscribers == {}
    assert set(winners) == set(range(100))


@pytest.mark.parametrize("overflow", ["refuse", "overwrite_oldest", "evict"])
def test_a_ring_is_closed_while_its_subscribers_read(overflow: str) -> None:
    """What they use stays where it was: they get records, or are told."""
    for _ in range(40):
        feed = BroadcastRing(Stamped, 64, overflow=overflow)
        readers = [feed.subscribe(f"{number}") for number in range(3)]
        feed.publish_many(Stamped.as_array([stamped(1, sequence) for sequence in range(60)]))
        told: list[int] = []

        def read(number: int) -> None:
            sequence = 0
            try:
                while True:  # what is read ends, and the ring is closed
                    record = readers[number].try_pop()  # noqa: B023 - called before the loop goes on
                    if record is not None:
                        assert record == stamped(1, sequence)
                        sequence += 1
            except ConfigError as error:
                assert "closed" in str(error)
                told.append(number)  # noqa: B023

        together(*[lambda number=number: read(number) for number in range(3)], feed.close, feed.close)  # type: ignore[misc]
        assert sorted(told) == [0, 1, 2] and all(reader.closed for reader in readers)


def test_both_ends_lend_at_once() -> None:
    """Each opens and closes its own gate, and not the other's."""
    ring, count = SpscRing(np.int64, 64), 4_000

    def produce() -> None:
        sent = 0
        while sent < count:
            with ring.claim(min(7, count - sent)) as view:
                view[:] = np.arange(sent, sent + len(view))
                with pytest.raises(ConfigError, match="lent"):
                    ring.try_push(np.int64(0))
                sent += len(view)

    def consume() -> None:
        got = 0
        while got < count:
            with ring.peek(5) as view:
                np.testing.assert_array_equal(view, np.arange(got, got + len(view)))
                with pytest.raises(ConfigError, match="lent"):
                    ring.try_pop()
                got += len(view)

    together(produce, consume)
    assert ring.popped == count


@pytest.mark.parametrize("dtype", [Stamped, Stamped.dtype])
def test_one_ring_of_many_producers_and_consumers(dtype: Any) -> None:
    ring, each = MpmcRing(dtype, 64), 3_000
    seen: list[list[int]] = [[] for _ in range(4)]
    left = threading.Semaphore(4 * each)

    def produce(number: int) -> None:
        for sequence in range(each):
            ring.push(stamped(number, sequence), PATIENCE_S)

    def consume(number: int) -> None:
        while left.acquire(blocking=False):
            record = ring.pop(PATIENCE_S)
            record = record if isinstance(record, Stamped) else Stamped.from_row(record)
            assert record == stamped(record.producer, record.sequence)
            seen[number].append(record.producer * each + record.sequence)

    bodies: list[Callable[[], None]] = []
    for number in range(4):
        bodies.append(lambda number=number: produce(number))  # type: ignore[misc]
        bodies.append(lambda number=number: consume(number))  # type: ignore[misc]
    together(*bodies)
    assert sorted(chain.from_iterable(seen)) == list(range(4 * each))
    assert ring.try_pop() is None and (ring.pushed, ring.popped) == (4 * each, 4 * each)
