"""Rings in shared memory, both ends in this process: what is made, found, taken over, closed and left behind."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
from ring_processes import Proof, files_of, new_name, proofs

from fastmas.errors import ConfigError, PeerDeadError, RingBusyError, RingGoneError
from fastmas.records import Length, Record, f64, i64, u8
from fastmas.ring import SpscRing

LAYOUTS = ["contiguous", "sequenced"]


@pytest.fixture
def name() -> Iterator[str]:
    name = new_name()
    yield name
    gc.collect()
    assert files_of(name) == []


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("wait", ["adaptive", "spin", "yield", "block"])
def test_what_one_end_pushes_the_other_pops(name: str, layout: Any, wait: Any) -> None:
    with SpscRing.create(name, Proof, 8, layout=layout, wait=wait) as out, SpscRing.attach(name, wait=wait) as into:
        for lap in range(0, 40, 4):
            out.push(Proof.of(lap))
            assert out.try_push(Proof.of(lap + 1))
            assert out.push_many(proofs(lap + 2, 2)) == 2
            assert [into.pop(), into.try_pop()] == [Proof.of(lap), Proof.of(lap + 1)]
            np.testing.assert_array_equal(into.pop_many(), proofs(lap + 2, 2))
        assert (out.pushed, into.popped, into.was_empty) == (40, 40, True)
        assert out.push_many(proofs(40, 9)) == 8
        assert out.try_push(Proof.of(48)) is False
        assert (out.was_full, into.was_size) == (True, 8)
        np.testing.assert_array_equal(into.pop_many(), proofs(40, 8))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_the_ends_say_of_themselves(name: str, layout: Any) -> None:
    out = SpscRing.create(name, Proof, 4, layout=layout, wait="spin", overflow="drop_newest")
    assert (out.name, out.role, out.closed, out.capacity) == (name, "producer", False, 4)
    assert (out.layout, out.wait, out.overflow, out.record_type) == (layout, "spin", "drop_newest", Proof)
    assert (out.peer_state, out.peer_alive) == ("absent", False)
    assert repr(out) == f"<SpscRing '{name}' of Proof, capacity 4, producer>"
    into = SpscRing.attach(name)
    assert (into.name, into.role, into.wait, into.overflow) == (name, "consumer", "adaptive", "drop_newest")
    assert (into.record_type, into.layout, into.dtype) == (Proof, layout, Proof.dtype)
    assert (out.peer_state, out.peer_alive, into.peer_state) == ("alive", True, "alive")
    into.close()
    into.close()
    assert (out.peer_state, out.peer_alive, into.closed) == ("left", False, True)
    assert repr(into) == f"<SpscRing '{name}' of Proof, capacity 4, closed>"
    out.close()
    inside = SpscRing(Proof, 4)
    assert (inside.name, inside.role, inside.peer_state, inside.dropped) == (None, "both", "alive", 0)
    inside.close()
    assert inside.closed


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_end_that_is_taken_over_goes_on_where_it_was(name: str, layout: Any) -> None:
    out = SpscRing.create(name, Proof, 8, layout=layout)
    into = SpscRing.attach(name)
    sent = got = 0
    for lap in range(20):
        sent += out.push_many(proofs(sent, 1 + lap % 8))
        assert into.pop() == Proof.of(got)
        got += 1
        if lap % 3 == 0:
            into.close()
            into = SpscRing.attach(name, role="consumer")
        if lap % 4 == 0:
            out.close()
            out = SpscRing.attach(name, role="producer")
        for row in into.pop_many(3):
            assert row == proofs(got, 1)[0]
            got += 1
    assert (out.pushed, out.popped, into.was_size) == (sent, got, sent - got)


def test_the_consumer_may_be_there_first(name: str) -> None:
    with SpscRing.create(name, np.int64, 4, role="consumer") as into:
        assert (into.role, into.peer_state, into.try_pop()) == ("consumer", "absent", None)
        with SpscRing.attach(name, role="producer") as out:
            out.push(np.int64(5))
        assert (into.pop(), into.peer_state) == (5, "left")
        assert into.try_pop() is None, "a producer that left may come back"


def test_a_role_has_one_holder_and_a_name_one_ring(name: str) -> None:
    with SpscRing.create(name, np.int64, 4) as out:
        with pytest.raises(RingBusyError, match=f"producer 0 of ring '{name}' is held by process {os.getpid()}"):
            SpscRing.attach(name, role="producer")
        with SpscRing.attach(name), pytest.raises(RingBusyError, match="consumer 0"):
            SpscRing.attach(name)
        with pytest.raises(RingBusyError, match=f"ring '{name}' is in use"):
            SpscRing.create(name, np.int64, 4)
        out.push(np.int64(1))
    with pytest.raises(RingGoneError, match=f"there is no ring '{name}'") as gone:
        SpscRing.attach(name)
    assert isinstance(gone.value, FileNotFoundError)
    assert isinstance(PeerDeadError("x"), ConnectionError)
    with SpscRing.create(name, "<f4", 2) as other:
        assert (other.pushed, other.dtype) == (0, np.dtype("<f4"))


def test_unlink_removes_the_name_and_not_the_ring(name: str) -> None:
    out = SpscRing.create(name, np.int64, 4)
    into = SpscRing.attach(name)
    assert SpscRing.unlink(name) is True
    assert SpscRing.unlink(name) is False
    out.push(np.int64(3))
    assert into.pop() == 3
    with pytest.raises(RingGoneError):
        SpscRing.attach(name)
    with SpscRing.create(name, np.int64, 4) as other:
        assert other.pushed == 0
        out.push(np.int64(4))
        assert (into.pop(), other.was_size) == (4, 0)


def test_dropping_the_last_reference_closes(name: str) -> None:
    out = SpscRing.create(name, np.int64, 4)
    into = SpscRing.attach(name)
    del out
    gc.collect()
    assert into.peer_state == "left"
    del into
    gc.collect()
    assert files_of(name) == []


class Mixed(Record):
    flag: u8
    price: f64
    bars: Annotated[tuple[i64, ...], Length(3)]


NESTED = np.dtype([("when", "M8[ns]"), ("pair", [("a", ">i4"), ("b", "S3")]), ("grid", "<f4", (2, 3)), ("raw", "V5")])
SPREAD = np.dtype({"names": ["b", "a"], "formats": ["<i4", "<i8"], "offsets": [16, 4], "itemsize": 32})


@pytest.mark.parametrize(
    "dtype", [np.dtype("<i8"), np.dtype(">u2"), np.dtype("?"), np.dtype("M8[us]"), np.dtype("V7"), NESTED, SPREAD, "U4"]
)
def test_the_dtype_is_found_again(name: str, dtype: Any) -> None:
    with SpscRing.create(name, dtype, 4) as out, SpscRing.attach(name, dtype=dtype) as same:
        same.close()
        with SpscRing.attach(name) as into:
            assert into.dtype == out.dtype == np.dtype(dtype)
            assert into.record_type is None
            rows = np.frombuffer(np.random.default_rng(3).bytes(2 * out.dtype.itemsize), "u1")
            assert out.push_many((rows & 1).tobytes()) == 2
            assert into.pop_many().tobytes() == (rows & 1).tobytes()


def test_a_record_class_is_found_by_name_and_layout(name: str) -> None:
    with SpscRing.create(name, Mixed, 4) as out, SpscRing.attach(name) as into:
        assert into.record_type is Mixed
        out.push(Mixed(1, 2.5, (1, 2, 3)))
        assert into.pop() == Mixed(1, 2.5, (1, 2, 3))
        into.close()
        with SpscRing.attach(name, dtype=Mixed.dtype) as rows:
            assert rows.record_type is None
            rows.close()
        with SpscRing.attach(name, dtype=Mixed) as given:
            assert given.record_type is Mixed
    with SpscRing.create(name, Mixed.dtype, 4), SpscRing.attach(name, dtype=Mixed) as given:
        assert given.record_type is Mixed


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_ring_that_drops_the_newest_counts_it_and_never_waits(name: str, layout: Any, shared: bool) -> None:
    if shared:
        out = SpscRing.create(name, Proof, 4, layout=layout, overflow="drop_newest")
        into = SpscRing.attach(name)
    else:
        out = into = SpscRing(Proof, 4, layout=layout, overflow="drop_newest")
    assert out.push_many(proofs(0, 6), timeout_s=None) == 4
    assert (out.dropped, into.dropped) == (2, 2)
    out.push(Proof.of(6))
    assert out.try_push(Proof.of(7)) is False
    assert (out.dropped, out.pushed, into.dropped) == (4, 4, 4)
    np.testing.assert_array_equal(into.pop_many(), proofs(0, 4))
    out.push(Proof.of(8))
    assert (into.pop(), out.dropped) == (Proof.of(8), 4)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="there is nothing to read it from")
def test_every_page_is_there_before_the_first_record(name: str) -> None:
    """A first lap that meets page faults is slow: who attaches has to touch the pages for itself."""
    size = 4 << 20

    def look() -> None:
        with SpscRing.attach(name):
            total, inside = 0, False
            for line in Path("/proc/self/smaps").read_text().splitlines():
                if not line.split(" ")[0].endswith(":"):  # the head of a mapping
                    inside = f"fastmas.{name[1:]}" in line
                elif inside and line.startswith("Rss:"):
                    total += int(line.split()[1]) * 1024
            assert total >= size

    with SpscRing.create(name, "V64", size // 64):
        pid = os.fork()
        if pid == 0:
            try:
                look()
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_closed_end_still_says_what_it_was(name: str) -> None:
    out = SpscRing.create(name, Proof, 4)
    out.push(Proof.of(0))
    out.close()
    assert (out.pushed, out.was_size, out.capacity, out.name, out.dtype) == (1, 1, 4, name, Proof.dtype)
    with pytest.raises(ConfigError, match="is closed"):
        out.push(Proof.of(1))
