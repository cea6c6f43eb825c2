"""Each error of the rings: the rule, the value given, the cure."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fastmas.errors import ConfigError, DeadlineError
from fastmas.records import Record, i64
from fastmas.ring import BroadcastRing, MpmcRing, MpscRing, SpscRing


class Tick(Record):
    ts_ns: i64
    price: i64


class Tock(Record):
    ts_ns: i64
    price: i64


def refused(text: str, call: Callable[[], Any]) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(text)}"):
        call()


@pytest.mark.parametrize("kind", [SpscRing, BroadcastRing])
def test_capacity(kind: type[SpscRing]) -> None:
    refused("capacity must be a power of two >= 2, got 1000; try 1024", lambda: kind(Tick, capacity=1000))
    refused("capacity must be a power of two >= 2, got 1; try 2", lambda: kind(Tick, 1))
    refused("capacity must be a power of two >= 2, got 0; try 2", lambda: kind(Tick, 0))
    refused("capacity must be a power of two >= 2, got -4; try 2", lambda: kind(Tick, -4))
    refused("capacity must be an integer from", lambda: kind(Tick, 2.0))  # type: ignore[arg-type]
    refused("capacity must be an integer from", lambda: kind(Tick, 2**70))
    refused("a ring must not be larger than 17179869184 bytes, got", lambda: kind(Tick, 2**40))
    with pytest.raises(TypeError, match=r"is missing the argument 'capacity'"):
        kind(Tick)  # type: ignore[call-arg]


@pytest.mark.parametrize("kind", [SpscRing, BroadcastRing])
def test_dtype(kind: type[SpscRing]) -> None:
    refused("dtype must not hold Python objects, which cannot live in a ring, got object", lambda: kind(object, 2))
    refused("dtype must not hold Python objects", lambda: kind([("a", "O"), ("b", "<i8")], 2))
    refused("dtype must not be an array, got ('<i8', (3,)); make it the field", lambda: kind(("<i8", (3,)), 2))
    refused("dtype must be a numpy dtype or a Record class, got 'nonsense'", lambda: kind("nonsense", 2))
    refused("dtype must be a numpy dtype or a Record class, got None", lambda: kind(None, 2))
    refused("Record itself has no fields; make the ring for a subclass of it", lambda: kind(Record, 2))
    refused("a record must have 1 to 1048576 bytes, got 0;", lambda: kind("V0", 2))
    refused(
        "a record must have 1 to 1048576 bytes, got 1048577; send what is larger in parts", lambda: kind("V1048577", 2)
    )


def test_dtype_mismatch() -> None:
    ring = SpscRing(Tick, 4)
    text = "dtype mismatch: the ring holds Tick, got a Tock; make a ring for it"
    refused(text, lambda: ring.try_push(Tock(1, 2)))
    refused(text, lambda: ring.push(Tock(1, 2), timeout_s=0))
    refused(
        "dtype mismatch: the ring holds Tick, got int64; convert it with astype()", lambda: ring.push_many(np.arange(2))
    )
    refused(
        "dtype mismatch: the ring holds Tick, got [('a', '<i8')",
        lambda: ring.try_push(np.zeros(1, [("a", "<i8"), ("b", "<i8")])[0]),
    )
    integers = SpscRing(np.int64, 4)
    refused("dtype mismatch: the ring holds int64, got a Tick", lambda: integers.try_push(Tick(1, 2)))
    refused("dtype mismatch: the ring holds int64, got float64", lambda: integers.try_push(np.float64(1)))
    refused("dtype mismatch: the ring holds int64, got uint64", lambda: integers.push_many(np.zeros(2, np.uint64)))
    refused("dtype mismatch: the ring holds int64, got >i8", lambda: integers.push_many(np.zeros(2, ">i8")))
    refused("dtype mismatch: the ring holds int64, got object", lambda: integers.push_many(np.array([1, 2], object)))
    refused("dtype mismatch: the ring holds int64, got float64", lambda: integers.pop_many(out=np.zeros(4)))
    assert ring.pushed == integers.pushed == 0
    # Same fields elsewhere in the row are not the same dtype.
    layout = {"names": ["a", "b"], "formats": ["<i8", "<i8"], "itemsize": 16}
    rows = SpscRing(np.dtype({**layout, "offsets": [0, 8]}), 2)
    refused("dtype mismatch", lambda: rows.push_many(np.zeros(1, np.dtype({**layout, "offsets": [8, 0]}))))


def test_records_that_are_none() -> None:
    ring = SpscRing(Tick, 4)
    refused("a record of this ring must be a Tick or 16 bytes, got None", lambda: ring.try_push(None))  # type: ignore[arg-type]
    refused("a record of this ring must be a Tick or 16 bytes, got 'text'", lambda: ring.try_push("text"))  # type: ignore[arg-type]
    refused("a record of this ring must be a Tick or 16 bytes, got 7", lambda: ring.push(7))  # type: ignore[arg-type]
    refused("a record of this ring must have 16 bytes, got 15", lambda: ring.try_push(bytes(15)))
    refused("a record of this ring must have 16 bytes, got 17", lambda: ring.try_push(bytearray(17)))
    refused("one record is wanted, got an array; use push_many()", lambda: ring.try_push(np.zeros(1, Tick.dtype)))
    refused("a record of this ring must be a Tick or 16 bytes", lambda: ring.try_push(memoryview(bytes(32))[::2]))
    assert ring.was_empty


def test_batches_that_are_none() -> None:
    ring = SpscRing(Tick, 4)
    refused(
        "records must be an array of Tick or bytes, got list; use numpy.array(records, ring.dtype)",
        lambda: ring.push_many([Tick(1, 2)]),
    )  # type: ignore[arg-type]
    refused("records must be an array of Tick or bytes, got NoneType", lambda: ring.push_many(None))  # type: ignore[arg-type]
    refused("records must have a multiple of 16 bytes, got 17", lambda: ring.push_many(bytes(17)))
    refused(
        "records must be a one-dimensional array, got 2 dimensions; ravel() it",
        lambda: ring.push_many(np.zeros((2, 2), Tick.dtype)),
    )
    refused(
        "records must be a one-dimensional array, got 0 dimensions", lambda: ring.push_many(np.zeros((), Tick.dtype))
    )
    assert ring.was_empty


def test_where_batches_go() -> None:
    ring = SpscRing(np.int64, 4)
    ring.push_many(np.arange(4))
    shape = "out must be one-dimensional, contiguous and writeable; use numpy.empty(n, ring.dtype)"
    refused(shape, lambda: ring.pop_many(out=np.zeros((2, 2), np.int64)))
    refused(shape, lambda: ring.pop_many(out=np.zeros(4, np.int64)[::2]))
    frozen = np.zeros(4, np.int64)
    frozen.flags.writeable = False
    refused(shape, lambda: ring.pop_many(out=frozen))
    refused("out must be a numpy array, got bytearray", lambda: ring.pop_many(out=bytearray(32)))  # type: ignore[arg-type]
    refused("out must have room for a record, got length 0", lambda: ring.pop_many(out=np.zeros(0, np.int64)))
    refused("max_records must be >= 1, got 0", lambda: ring.pop_many(0))
    refused("max_records must be >= 1, got -1", lambda: ring.pop_many(max_records=-1))
    refused("max_records must be an integer from", lambda: ring.pop_many(1.5))  # type: ignore[arg-type]
    assert ring.was_size == 4


@pytest.mark.parametrize("timeout_s", [-1, -0.001, float("nan"), "soon"])
def test_timeouts_that_are_none(timeout_s: Any) -> None:
    ring = SpscRing(np.int64, 2)
    feed = BroadcastRing(np.int64, 2)
    reader = feed.subscribe("reader")
    calls: list[Callable[[], Any]] = [
        lambda: ring.pop(timeout_s=timeout_s),
        lambda: ring.pop_many(timeout_s=timeout_s),
        lambda: ring.push(np.int64(1), timeout_s=timeout_s),
        lambda: ring.push_many(np.arange(1), timeout_s=timeout_s),
        lambda: feed.publish(np.int64(1), timeout_s=timeout_s),
        lambda: feed.publish_many(np.arange(1), timeout_s=timeout_s),
        lambda: reader.poll(timeout_s=timeout_s),
        lambda: reader.pop(timeout_s=timeout_s),
    ]
    for call in calls:
        refused(f"timeout_s must be None or a number of seconds >= 0, got {timeout_s!r}", call)
    assert ring.pushed == feed.published == 0


def test_deadlines() -> None:
    ring = SpscRing(np.int64, 2)
    with pytest.raises(DeadlineError, match=r"^no record came within 0.01 s; push one or give a longer timeout_s$"):
        ring.pop(timeout_s=0.01)
    with pytest.raises(TimeoutError):
        ring.pop(timeout_s=0)
    assert ring.pop_many(timeout_s=0.01).shape == (0,)
    ring.push_many(np.arange(2))
    with pytest.raises(
        DeadlineError, match=r"^the ring of 2 records stayed full for 0.01 s; pop from it or give a longer"
    ):
        ring.push(np.int64(3), timeout_s=0.01)
    assert ring.push_many(np.arange(5), timeout_s=0.01) == 0
    assert ring.pop_many().tolist() == [0, 1]


def test_deadlines_of_a_broadcast_name_the_slowest() -> None:
    feed = BroadcastRing(np.int64, 2)
    risk, audit = feed.subscribe("risk"), feed.subscribe("audit")
    feed.publish_many(np.arange(2))
    risk.poll(1)
    with pytest.raises(
        DeadlineError,
        match=r"^the ring stayed full for 0.01 s: subscriber 'audit' is 2 records behind; poll it, close it, or",
    ):
        feed.publish(np.int64(3), timeout_s=0.01)
    audit.poll()
    feed.publish(np.int64(2), timeout_s=0.01)
    assert audit.pop() == 2
    with pytest.raises(DeadlineError, match=r"^no record came within 0.01 s; publish one or give a longer timeout_s$"):
        audit.pop(timeout_s=0.01)


def test_subscribers() -> None:
    feed = BroadcastRing(np.int64, 2)
    risk = feed.subscribe("risk")
    refused(
        "the names of subscribers must differ, got 'risk' again; choose another or close it",
        lambda: feed.subscribe("risk"),
    )
    refused("a subscriber's name must be a string that is not empty, got ''", lambda: feed.subscribe(""))
    refused("a subscriber's name must be a string that is not empty, got 3", lambda: feed.subscribe(3))  # type: ignore[arg-type]
    others = [feed.subscribe(str(i)) for i in range(63)]
    refused(
        "a broadcast ring takes at most 64 subscribers and has them; close one first",
        lambda: feed.subscribe("one more"),
    )
    others.pop().close()
    assert not feed.subscribe("one more").closed
    risk.close()
    for call in (risk.poll, risk.pop, risk.try_pop, lambda: risk.lag):
        refused("subscriber 'risk' is closed; subscribe again", call)
    assert risk.received == 0


def test_arguments_are_matched_like_those_of_any_function() -> None:
    ring = SpscRing(np.int64, 2)
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'timeout'"):
        ring.pop(timeout=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"takes at most 2 positional arguments, got 3"):
        ring.pop_many(1, None, 0.0)  # type: ignore[misc]
    with pytest.raises(TypeError):
        ring.try_push()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        ring.try_pop(1)  # type: ignore[call-arg]


# ---- an interrupt amid a batch


class Stubborn(Exception):
    """Takes no attributes."""

    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError("no attributes")


def publishing() -> tuple[Any, Any, list[Any]]:
    feed = BroadcastRing(np.int64, 4)
    return feed.publish_many, lambda: feed.published, [feed.subscribe("reader")]


def pushing(kind: Any, **options: Any) -> Any:
    def make() -> tuple[Any, Any, list[Any]]:
        ring = kind(np.int64, 4, **options)
        return ring.push_many, lambda: ring.pushed, []

    return make


@pytest.mark.parametrize("error", [KeyboardInterrupt, Stubborn])
@pytest.mark.parametrize(
    "make",
    [pushing(SpscRing), pushing(SpscRing, layout="sequenced"), pushing(MpscRing), pushing(MpmcRing), publishing],
    ids=["spsc", "sequenced", "mpsc", "mpmc", "broadcast"],
)
def test_an_interrupt_says_how_much_of_a_batch_was_in(make: Any, error: type[BaseException]) -> None:
    push_many, pushed, _kept = make()

    def interrupt(*_: object) -> None:
        if pushed() == 4:
            raise error

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for count in (4, 0):  # the ring is full then, and there is nothing to say
            expected = count if count > 0 and error is KeyboardInterrupt else None
            signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
            with pytest.raises(error) as caught:
                push_many(np.arange(9), timeout_s=None)
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert getattr(caught.value, "records_pushed", None) == expected
            notes = [] if expected is None else ["4 of 9 records were in already (records_pushed)"]
            assert getattr(caught.value, "__notes__", []) == notes
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
