"""Loans: records written and read where they lie, and no way to reach a slot afterwards."""

from __future__ import annotations

import gc
import weakref
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
from ring_processes import Proof, new_name, proofs

from fastmas.errors import ConfigError, PeerDeadError, RingBusyError
from fastmas.ring import SpscRing

KEPT = (
    r"^the view of {}\(\) must not be used after its with block, but something else refers to it \(a slice, a row, a "
)
LENT = r"has lent slots by {}\(\), and something still refers to that view \(a slice, a row, a name\); delete it first$"


def test_what_is_claimed_is_pushed_and_what_is_peeked_at_is_popped() -> None:
    ring = SpscRing(Proof, 8)
    sent = got = 0
    for lap in range(40):
        with ring.claim(1 + lap % 8) as view:
            assert view.dtype == Proof.dtype
            assert len(view) <= 8 - (sent % 8), "up to the wrap"
            view[:] = proofs(sent, len(view))
            assert ring.pushed == sent, "not before the end of the block"
            sent += len(view)
        assert ring.pushed == sent
        with ring.peek(1 + lap % 5) as view:
            np.testing.assert_array_equal(view, proofs(got, len(view)))
            assert ring.popped == got
            got += len(view)
        assert ring.popped == got
    assert sent > 60
    np.testing.assert_array_equal(ring.pop_many(), proofs(got, sent - got))


def test_a_full_ring_lends_nothing_and_an_empty_one_neither() -> None:
    ring = SpscRing(np.int64, 4)
    with ring.peek(3) as view:
        assert view.shape == (0,)
    ring.push_many(np.arange(4))
    with ring.claim(3) as view:
        assert view.shape == (0,)
    with ring.peek(100) as view:
        assert view.tolist() == [0, 1, 2, 3]
    assert (ring.pushed, ring.popped) == (4, 4)


def test_the_view_is_of_the_slots_themselves_and_read_only_when_peeked() -> None:
    ring = SpscRing(np.int64, 4)
    with ring.claim(4) as first:
        address = first.ctypes.data
        first[:] = 7
    with ring.peek(4) as second:
        assert second.ctypes.data == address
        with pytest.raises(ValueError, match="read-only"):
            second[0] = 1
        with pytest.raises(ValueError, match="cannot set WRITEABLE"):
            second.flags.writeable = True


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("verb", ["claim", "peek"])
def test_after_its_block_a_view_is_empty(verb: str, fails: bool) -> None:
    ring = SpscRing(np.int64, 8)
    ring.push_many(np.arange(4))
    with ExitStack() as stack:
        if fails:
            stack.enter_context(pytest.raises(ZeroDivisionError))
        with getattr(ring, verb)(2) as view:
            assert len(view) == 2
            assert 1 / (not fails)
    assert view.shape == (0,)
    assert view.tolist() == []
    assert (ring.pushed, ring.popped) == ((4, 0) if fails else (6, 0) if verb == "claim" else (4, 2))
    with getattr(ring, verb)(2) as view:
        assert len(view) == 2


def slice_of(view: Any) -> Any:
    return view[1:]


def row_of(view: Any) -> Any:
    return view[0]


def field_of(view: Any) -> Any:
    return view["mixed"]


def buffer_of(view: Any) -> Any:
    return memoryview(view)


def itself(view: Any) -> Any:
    return [view]


def reshaped(view: Any) -> Any:
    return view.reshape(1, -1)[:, ::-1]


@pytest.mark.parametrize("keep", [slice_of, row_of, field_of, buffer_of, itself, reshaped])
@pytest.mark.parametrize("verb", ["claim", "peek"])
def test_a_view_that_lives_on_is_refused_and_holds_its_side(verb: str, keep: Any) -> None:
    ring = SpscRing(Proof, 8)
    ring.push_many(proofs(0, 4))
    with pytest.raises(ConfigError, match=KEPT.format(verb)), getattr(ring, verb)(3) as view:
        kept = keep(view)
    del view
    assert (ring.pushed, ring.popped) == (4, 0), "neither published nor given back"
    uses = [lambda: ring.try_push(Proof.of(4)), lambda: ring.push(Proof.of(4)), lambda: ring.push_many(proofs(4, 1))]
    if verb == "peek":
        uses = [ring.try_pop, ring.pop, ring.pop_many]
    for use in [*uses, getattr(ring, verb)(1).__enter__]:
        with pytest.raises(ConfigError, match=LENT.format(verb)):
            use()
    other = ring.try_pop if verb == "claim" else lambda: ring.try_push(Proof.of(4))
    assert other(), "the other side goes on"
    del kept
    assert uses[0](), "given back with the last of it"


def test_a_slice_is_found_when_the_view_itself_is_deleted() -> None:
    ring = SpscRing(np.int64, 8)
    with pytest.raises(ConfigError, match=KEPT.format("claim")), ring.claim(3) as view:
        kept = view[::2]
        del view
    kept[:] = 5
    del kept
    with ring.claim(3):
        pass
    assert ring.pushed == 3


@pytest.mark.parametrize("verb", ["claim", "peek"])
def test_a_block_that_raises_with_a_slice_alive_raises_its_own(verb: str) -> None:
    ring = SpscRing(np.int64, 8)
    ring.push_many(np.arange(3))
    kept = []
    with pytest.raises(KeyError), getattr(ring, verb)(3) as view:
        kept.append(view[1:])
        raise KeyError
    with pytest.raises(ConfigError, match=LENT.format(verb)):
        ring.try_push(np.int64(1)) if verb == "claim" else ring.try_pop()
    kept.clear()
    assert ring.try_push(np.int64(1))
    assert ring.try_pop() == 0


def test_a_side_lends_once_at_a_time_and_does_nothing_else_meanwhile() -> None:
    ring = SpscRing(np.int64, 8)
    ring.push_many(np.arange(3))
    with ring.claim(2) as view, ring.peek(2) as seen:
        view[:] = 9
        assert seen.tolist() == [0, 1]
        for call in (lambda: ring.try_push(np.int64(1)), lambda: ring.claim(1).__enter__()):
            with pytest.raises(
                ConfigError, match=r"^the ring has lent slots by claim\(\); leave that with block first$"
            ):
                call()
        for call in (ring.try_pop, ring.pop_many, lambda: ring.peek(1).__enter__()):
            with pytest.raises(
                ConfigError, match=r"^the ring has lent slots by peek\(\); leave that with block first$"
            ):
                call()
    assert ring.pop_many().tolist() == [2, 9, 9]


def test_a_loan_is_for_one_block() -> None:
    ring = SpscRing(np.int64, 8)
    loan = ring.claim(2)
    with pytest.raises(
        ConfigError, match=r"^the loan is over, or its with block was never entered; call claim\(\) again"
    ):
        loan.__exit__(None, None, None)
    with loan:
        pass
    with pytest.raises(ConfigError, match=r"^a loan is for one with block; call claim\(\) again$"):
        loan.__enter__()
    with pytest.raises(ConfigError, match=r"^the loan is over"):
        loan.__exit__(None, None, None)
    assert ring.pushed == 2


def test_a_loan_that_is_dropped_publishes_nothing() -> None:
    ring = SpscRing(np.int64, 8)
    loan = ring.claim(2)
    view = loan.__enter__()
    del loan
    assert (len(view), ring.pushed) == (0, 0)
    assert ring.try_push(np.int64(1))


def test_the_memory_outlives_the_ring_as_long_as_an_array_does() -> None:
    name = new_name()
    out = SpscRing.create(name, np.int64, 1024)
    kept = []
    with pytest.raises(ConfigError, match=KEPT.format("claim")), out.claim(1000) as view:
        kept.append(view[500:])
    out.close()
    gone = weakref.ref(type("Marker", (), {}))
    del out, view
    gc.collect()
    assert gone() is None
    kept[0][:] = 3  # would fault
    assert kept[0].sum() == 1500


def test_a_ring_is_not_closed_while_a_block_has_its_slots() -> None:
    name = new_name()
    ring = SpscRing.create(name, np.int64, 8)
    with (
        pytest.raises(ConfigError, match=r"has lent slots by claim\(\); leave that with block first$"),
        ring.claim(2) as view,
    ):
        view[:] = 1
        ring.close()
    assert (ring.pushed, len(view), ring.closed) == (0, 0, False)
    with pytest.raises(ConfigError, match=r"has lent slots by claim\(\)"), ring:
        loan = ring.claim(1)
        loan.__enter__()
    with pytest.raises(RingBusyError):
        SpscRing.attach(name, role="producer")
    del loan
    ring.close()
    assert ring.closed


def test_what_cannot_be_lent() -> None:
    ring = SpscRing(np.int64, 8)
    for number in (0, -1):
        with pytest.raises(ConfigError, match=rf"^claim\(\) takes a number of records >= 1, got {number}$"):
            ring.claim(number)
    with pytest.raises(ConfigError, match=r"^the number of records must be an integer from .* got 'x'$"):
        ring.peek("x")  # type: ignore[arg-type]
    sequenced = SpscRing(np.int64, 8, layout="sequenced")
    for verb, call in (("claim", sequenced.claim), ("peek", sequenced.peek)):
        text = rf"^{verb}\(\) lends slots that lie one after the other; make the ring with layout='contiguous'$"
        with pytest.raises(ConfigError, match=text):
            call(2)
    with pytest.raises(TypeError, match=r"cannot create 'fastmas\.ring\.Loan' instances"):
        type(ring.claim(1))()


def test_the_wrong_end_cannot_lend() -> None:
    name = new_name()
    with SpscRing.create(name, np.int64, 8) as out, SpscRing.attach(name) as into:
        with pytest.raises(ConfigError, match="cannot pop"), out.peek(1):
            pass
        with pytest.raises(ConfigError, match="cannot push"), into.claim(1):
            pass
        with out.claim(1) as view:
            view[0] = 4
        assert into.pop() == 4
    assert issubclass(PeerDeadError, OSError)
