"""What threads may share, all at once.

With the interpreter's lock a formality; without it (tests/free_threaded/run) the test of what the lock used to keep.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fastmas.records import Record, f64, i64, record_type_of_dtype, u32, u64
from fastmas.ring import BroadcastRing, SpscRing

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
