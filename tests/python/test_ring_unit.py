"""Rings from Python, one thread: what goes in, what comes out, and that it owns its bytes."""

from __future__ import annotations

import doctest
import inspect
import pickle
from typing import Any

import numpy as np
import pytest

import fastmas.ring
from fastmas.records import Record, f64, i64, u32
from fastmas.ring import BroadcastRing, SpscRing, Subscriber

TRADE = np.dtype([("ts_ns", "<i8"), ("instrument", "<u4"), ("price", "<i8"), ("quantity", "<i8")])  # 28 bytes, packed


class Tick(Record):
    ts_ns: i64
    instrument: u32
    price: f64 = 0.0


def trades(count: int, start: int = 0) -> np.ndarray[Any, Any]:
    rows = np.zeros(count, TRADE)
    for name in TRADE.names or ():
        rows[name] = np.arange(start, start + count) * 3 + len(name)
    return rows


def test_the_example_of_the_design() -> None:
    ring = SpscRing(TRADE, capacity=1024)
    assert ring.push_many(np.zeros(256, TRADE)) == 256
    batch = ring.pop_many(max_records=64)
    assert batch.shape == (64,)
    assert batch.dtype == TRADE
    feed = BroadcastRing(TRADE, capacity=4096)
    risk = feed.subscribe("risk")
    assert feed.publish_many(batch) == 64
    assert risk.lag == 64
    assert len(risk.poll(max_records=60)) == 60
    assert risk.lag == 4


def test_batches_come_out_as_they_went_in_over_many_laps() -> None:
    ring = SpscRing(TRADE, 16)
    sent = popped = 0
    for size in [1, 16, 7, 5, 11, 3] * 40:
        rows = trades(size, sent)
        assert ring.push_many(rows) == size
        sent += size
        got = ring.pop_many(16)
        np.testing.assert_array_equal(got, trades(len(got), popped))
        popped += len(got)
    assert ring.pushed == ring.popped == sent == popped


def test_a_full_ring_takes_what_fits_and_drops_nothing() -> None:
    ring = SpscRing(TRADE, 4)
    assert ring.push_many(trades(6)) == 4
    assert ring.push_many(trades(1)) == 0
    assert ring.try_push(trades(1)[0]) is False
    assert (ring.was_size, ring.was_full, ring.was_empty) == (4, True, False)
    np.testing.assert_array_equal(ring.pop_many(), trades(4))
    assert (ring.was_size, ring.was_full, ring.was_empty) == (0, False, True)
    assert ring.try_pop() is None
    assert len(ring.pop_many()) == 0


def test_records_of_the_class_go_in_and_come_out() -> None:
    ring = SpscRing(Tick, 4)
    assert ring.record_type is Tick
    assert ring.dtype == Tick.dtype
    ticks = [Tick(i, 7, i / 2) for i in range(4)]
    assert [ring.try_push(tick) for tick in ticks] == [True] * 4
    assert ring.try_push(ticks[0]) is False
    assert [ring.try_pop() for _ in range(5)] == [*ticks, None]
    ring.push(ticks[3])
    popped = ring.pop()
    assert type(popped) is Tick
    assert popped == ticks[3]


def test_a_ring_of_a_class_takes_rows_bytes_and_arrays_too() -> None:
    ring = SpscRing(Tick, 8)
    rows = np.zeros(2, Tick.dtype)
    rows["ts_ns"] = [5, 6]
    assert ring.try_push(rows[0])
    assert ring.try_push(bytes(Tick(7, 1)))
    assert ring.try_push(bytearray(bytes(Tick(8, 1))))
    assert ring.try_push(np.array(rows[1]))
    assert ring.push_many(rows) == 2
    assert [ring.pop().ts_ns for _ in range(6)] == [5, 7, 8, 6, 5, 6]


def test_a_ring_of_a_dtype_takes_records_of_that_layout_and_gives_rows() -> None:
    ring = SpscRing(Tick.dtype, 2)
    assert ring.record_type is None
    assert ring.try_push(Tick(3, 4, 0.5))
    row = ring.try_pop()
    assert isinstance(row, np.void)
    assert row.dtype == Tick.dtype
    assert row.tolist()[:3] == (3, 4, 0.5)


@pytest.mark.parametrize(
    "value",
    [np.int64(-5), np.float32(1.5), np.uint8(200), np.bool_(True), np.datetime64(12, "ns"), np.bytes_(b"abc")],
    ids=lambda value: type(value).__name__,
)
def test_plain_dtypes_give_numpy_scalars(value: np.generic) -> None:
    ring = SpscRing(value.dtype, 2)
    ring.push(value)
    popped = ring.pop()
    assert popped == value
    assert popped.dtype == value.dtype


def test_void_and_big_endian_dtypes_keep_their_bytes() -> None:
    ring = SpscRing("V5", 2)
    ring.push(b"abcde")
    assert bytes(ring.pop()) == b"abcde"
    big = SpscRing(">i4", 2)
    big.push_many(np.array([1, -2], ">i4"))
    assert big.pop() == 1
    assert big.pop_many().tolist() == [-2]


def test_what_is_popped_owns_its_bytes() -> None:
    """A view of a slot would change when the next lap writes it."""
    for ring, first in ((SpscRing(TRADE, 2), trades(1)[0]), (SpscRing(np.int64, 2), np.int64(0))):
        ring.push(first)
        single = ring.pop()
        ring.push_many(np.array([first], ring.dtype))
        batch = ring.pop_many()
        expected = single.tolist()
        for i in range(1, 9):
            ring.push_many(trades(1, i) if ring.dtype == TRADE else np.array([i]))
            ring.pop_many()
        assert single.tolist() == expected
        assert batch[0].tolist() == expected


def test_what_is_pushed_is_copied() -> None:
    ring = SpscRing(TRADE, 2)
    rows = trades(2)
    ring.push_many(rows)
    rows["price"] = -1
    np.testing.assert_array_equal(ring.pop_many(), trades(2))


def test_arrays_that_are_not_contiguous_are_copied_in_order() -> None:
    ring = SpscRing(np.int64, 16)
    whole = np.arange(20)
    assert ring.push_many(whole[::2]) == 10
    assert ring.push_many(whole[::-5]) == 4
    assert ring.pop_many().tolist() == [*range(0, 20, 2), 19, 14, 9, 4]


def test_bytes_of_many_records() -> None:
    ring = SpscRing(TRADE, 8)
    assert ring.push_many(trades(3).tobytes()) == 3
    assert ring.push_many(b"") == 0
    assert ring.push_many(np.zeros(0, TRADE)) == 0
    np.testing.assert_array_equal(ring.pop_many(), trades(3))


def test_out_is_filled_and_its_beginning_returned() -> None:
    ring = SpscRing(np.int64, 8)
    out = np.full(4, -1)
    ring.push_many(np.arange(6))
    assert ring.pop_many(out=out) is out
    assert out.tolist() == [0, 1, 2, 3]
    rest = ring.pop_many(out=out)
    assert rest.tolist() == [4, 5]
    assert rest.base is out
    assert out.tolist() == [4, 5, 2, 3]
    assert ring.pop_many(out=out).shape == (0,)
    ring.push_many(np.arange(6))
    assert ring.pop_many(2, out).tolist() == [0, 1]
    assert ring.pop_many(100, out).tolist() == [2, 3, 4, 5]


def test_subscribers_see_everything_since_their_join() -> None:
    feed = BroadcastRing(Tick, 4)
    feed.publish(Tick(0, 0))
    risk = feed.subscribe("risk")
    assert risk.try_pop() is None
    feed.publish(Tick(1, 0))
    audit = feed.subscribe("audit")
    feed.publish(Tick(2, 0))
    assert (risk.joined_at, audit.joined_at) == (1, 2)
    assert feed.subscribers == {"risk": 2, "audit": 1}
    assert [risk.pop().ts_ns, risk.pop().ts_ns, risk.try_pop()] == [1, 2, None]
    assert audit.poll()["ts_ns"].tolist() == [2]
    assert (risk.received, audit.received, feed.published) == (2, 1, 3)


def test_the_producer_waits_for_the_slowest_until_it_leaves() -> None:
    feed = BroadcastRing(np.int64, 2)
    slow, fast = feed.subscribe("slow"), feed.subscribe("fast")
    assert feed.publish_many(np.arange(3)) == 2
    assert fast.poll().tolist() == [0, 1]
    assert feed.try_publish(np.int64(2)) is False
    assert slow.pop() == 0
    assert feed.try_publish(np.int64(2)) is True
    slow.close()
    slow.close()
    assert slow.closed
    assert feed.publish_many(np.array([3])) == 1
    assert fast.poll().tolist() == [2, 3]


def test_dropping_or_leaving_a_subscriber_frees_its_name_and_place() -> None:
    feed = BroadcastRing(np.int64, 2)
    for _ in range(200):
        with feed.subscribe("a") as subscriber:
            assert feed.subscribers == {"a": 0}
        assert subscriber.closed
        subscriber = feed.subscribe("a")
        del subscriber
        assert feed.subscribers == {}
    assert feed.publish_many(np.arange(100)) == 2


def test_a_subscriber_keeps_its_ring_alive() -> None:
    subscriber = BroadcastRing(np.int64, 2).subscribe("only")
    assert subscriber.ring.publish_many(np.arange(2)) == 2
    assert subscriber.poll().tolist() == [0, 1]
    assert subscriber.ring.subscribers == {"only": 0}


def test_names_and_reprs() -> None:
    assert repr(SpscRing(Tick, 4)) == "SpscRing(Tick, capacity=4)"
    assert repr(SpscRing(np.int64, 4)) == "SpscRing(int64, capacity=4)"
    feed = BroadcastRing(Tick, 8)
    assert repr(feed) == "BroadcastRing(Tick, capacity=8)"
    subscriber = feed.subscribe("risk")
    assert repr(subscriber) == "<Subscriber 'risk', lag 0>"
    assert subscriber.name == "risk"
    subscriber.close()
    assert repr(subscriber) == "<Subscriber 'risk', closed>"
    assert SpscRing.__module__ == "fastmas.ring"
    assert (feed.capacity, feed.record_type, feed.dtype) == (8, Tick, Tick.dtype)


def test_rings_are_final_whole_and_not_to_be_pickled() -> None:
    for kind in (SpscRing, BroadcastRing, Subscriber):
        with pytest.raises(TypeError, match="not an acceptable base type"):
            type("Derived", (kind,), {})
        with pytest.raises(TypeError):
            kind.__new__(kind)
        with pytest.raises(TypeError):
            object.__new__(kind)
    with pytest.raises(TypeError, match=r"cannot create 'fastmas\.ring\.Subscriber' instances"):
        Subscriber()
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(SpscRing(Tick, 2))


@pytest.mark.parametrize("kind", [SpscRing, BroadcastRing, Subscriber])
def test_every_member_is_documented_and_its_examples_run(kind: type) -> None:
    for name, member in [("", kind), *vars(kind).items()]:
        if name.startswith("__"):
            continue
        text = inspect.getdoc(member) or ""
        assert text, f"{kind.__name__}.{name} has no docstring"
        test = doctest.DocTestParser().get_doctest(text, {}, f"{kind.__name__}.{name}", None, 0)
        assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


def test_the_module_exports_its_types() -> None:
    assert {"BroadcastRing", "SpscRing", "Subscriber"} <= set(fastmas.ring.__all__)
