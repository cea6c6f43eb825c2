"""Each error of rings in shared memory, and of the options of all: the rule, the value given, the cure."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from ring_processes import Proof, files_of, new_name

from fastmas.errors import ConfigError, FastmasError, PeerDeadError, RingBusyError, RingGoneError
from fastmas.records import Record, i64
from fastmas.ring import BroadcastRing, SpscRing


@pytest.fixture
def name() -> Iterator[str]:
    name = new_name()
    yield name
    gc.collect()
    assert files_of(name) == []


def refused(text: str, call: Callable[[], Any], error: type[Exception] = ConfigError) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}"):
        call()


def test_the_options_of_a_ring() -> None:
    make: Any = SpscRing
    refused("layout must be 'contiguous' or 'sequenced', got 'dense'", lambda: make(Proof, 4, layout="dense"))
    refused("layout must be 'contiguous' or 'sequenced', got None", lambda: make(Proof, 4, layout=None))
    refused("wait must be 'adaptive', 'spin', 'yield' or 'block', got 'poll'", lambda: make(Proof, 4, wait="poll"))
    refused("overflow must be 'refuse' or 'drop_newest', got 'evict'", lambda: make(Proof, 4, overflow="evict"))
    with pytest.raises(TypeError, match=r"takes at most 2 positional arguments, got 3"):
        make(Proof, 4, "sequenced")


def test_the_options_of_an_end(name: str) -> None:
    create: Any = SpscRing.create
    attach: Any = SpscRing.attach
    refused("role must be 'producer' or 'consumer', got 'both'", lambda: create(name, Proof, 4, role="both"))
    refused("the name of a shared ring must be a string as '/prices', got 7", lambda: create(7, Proof, 4))
    refused("the name of a shared ring must be a string as '/prices', got None", lambda: SpscRing.unlink(None))  # type: ignore[arg-type]
    refused("capacity must be a power of two >= 2, got 3; try 4", lambda: create(name, Proof, 3))
    refused("dtype must not hold Python objects", lambda: create(name, "O", 4))
    with create(name, Proof, 4):
        refused("role must be 'producer' or 'consumer', got 1", lambda: attach(name, role=1))
        refused("wait must be 'adaptive', 'spin', 'yield' or 'block', got 1", lambda: attach(name, wait=1))
        with pytest.raises(TypeError, match=r"unexpected keyword argument 'layout'"):
            attach(name, layout="sequenced")
    with pytest.raises(TypeError, match=r"is missing the argument 'capacity'"):
        create(name, Proof)


@pytest.mark.parametrize("bad", ["prices", "/", "/a/b", "/a b", "/" + "x" * 300, "", "/ü", "/a\0b"])
def test_names(bad: str) -> None:
    for call in (lambda: SpscRing.create(bad, Proof, 4), lambda: SpscRing.attach(bad), lambda: SpscRing.unlink(bad)):
        with pytest.raises(ConfigError, match="name"):
            call()


def test_a_dtype_that_is_not_the_rings(name: str) -> None:
    class Quote(Record):
        sequence: i64
        mixed: i64

    with SpscRing.create(name, Proof, 4):
        layout = "[('sequence', '<i8'), ('mixed', '<u8'), ('again', '<i8'), ('inverse', '<u8')]"
        refused(
            f"dtype mismatch: ring '{name}' holds Proof {layout}, got int64; attach with that dtype, or with none",
            lambda: SpscRing.attach(name, dtype=np.int64),
        )
        refused(
            f"dtype mismatch: ring '{name}' holds Proof {layout}, got Quote [('sequence', '<i8'), ('mixed', '<i8')];",
            lambda: SpscRing.attach(name, dtype=Quote),
        )
        refused("dtype must be a numpy dtype or a Record class", lambda: SpscRing.attach(name, dtype="nonsense"))
    with SpscRing.create(name, np.int64, 4):
        refused(
            f"dtype mismatch: ring '{name}' holds int64, got float64;",
            lambda: SpscRing.attach(name, dtype=np.float64),
        )
    with SpscRing.create(name, Quote, 4):

        class Trade(Record):  # the same bytes, and another meaning
            sequence: i64
            mixed: i64

        refused(f"dtype mismatch: ring '{name}' holds Quote", lambda: SpscRing.attach(name, dtype=Trade))
        assert SpscRing.attach(name).record_type is Quote


def test_a_refused_attach_leaves_the_role_free_and_the_ring_there(name: str) -> None:
    with SpscRing.create(name, Proof, 4) as out:
        with pytest.raises(ConfigError):
            SpscRing.attach(name, dtype=np.int64)
        assert out.peer_state == "absent"
        with SpscRing.attach(name) as into:
            out.push(Proof.of(3))
            assert into.pop() == Proof.of(3)


def test_a_dtype_whose_description_is_too_long(name: str) -> None:
    wide = np.dtype([(f"a_field_with_a_long_name_{i}", "<i8") for i in range(200)])
    with pytest.raises(
        ConfigError, match=r"^the description of a shared ring's dtype must have at most 3071 characters, got \d+; use"
    ):
        SpscRing.create(name, wide, 4)
    assert SpscRing(wide, 4).capacity == 4


def test_the_wrong_end(name: str) -> None:
    with SpscRing.create(name, Proof, 4) as out, SpscRing.attach(name) as into:
        for call in (
            lambda: into.try_push(Proof.of(0)),
            lambda: into.push(Proof.of(0)),
            lambda: into.push_many(Proof.as_array([])),
        ):
            refused(
                f"this end of ring '{name}' has the role 'consumer' and cannot push; use the other end, or attach with "
                "role='producer'",
                call,
            )
        for call in (out.try_pop, out.pop, out.pop_many):
            refused(
                f"this end of ring '{name}' has the role 'producer' and cannot pop; use the other end, or attach with "
                "role='consumer'",
                call,
            )


def test_a_closed_end(name: str) -> None:
    out = SpscRing.create(name, Proof, 4)
    into = SpscRing.attach(name)
    inside = SpscRing(Proof, 4)
    for ring in (out, into, inside):
        ring.close()
    for call in (lambda: out.try_push(Proof.of(0)), lambda: out.push(Proof.of(0)), into.try_pop, into.pop):
        refused(f"ring '{name}' is closed; attach to it or create it again", call)
    for call in (lambda: inside.push_many(b""), inside.pop_many, inside.claim(1).__enter__, inside.peek(1).__enter__):
        refused("the ring is closed; make another one", call)


def test_what_is_there_is_no_ring_of_that_kind(name: str) -> None:
    refused(f"there is no ring '{name}'; create it first", lambda: SpscRing.attach(name), RingGoneError)
    with SpscRing.create(name, Proof, 4):
        refused(
            f"consumer 0 of ring '{name}' is held by process {os.getpid()}",
            lambda: [SpscRing.attach(name), SpscRing.attach(name)],
            RingBusyError,
        )
        refused(f"ring '{name}' is in use", lambda: SpscRing.create(name, Proof, 4), RingBusyError)


def test_the_classes_of_the_errors() -> None:
    for kind, builtin in (
        (PeerDeadError, ConnectionError),
        (RingGoneError, FileNotFoundError),
        (RingBusyError, Exception),
    ):
        assert issubclass(kind, FastmasError)
        assert issubclass(kind, builtin)
        assert not issubclass(kind, ConfigError)


@pytest.mark.parametrize("wrong", [None, 1, "x", [], object(), 1.5])
def test_what_is_no_ring_or_no_record(wrong: Any) -> None:
    ring = SpscRing(Proof, 4)
    for method in ("try_push", "push", "push_many", "try_pop", "pop", "close", "claim"):
        with pytest.raises(TypeError):
            getattr(SpscRing, method)(wrong)
    for call in (ring.try_push, ring.push, ring.push_many):
        with pytest.raises(ConfigError):
            call(wrong)
    for kind in (SpscRing, BroadcastRing):
        with pytest.raises(TypeError):
            kind.__new__(wrong)
