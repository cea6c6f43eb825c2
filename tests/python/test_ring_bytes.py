"""ByteRing: frames of any size, in process and between processes that die."""

from __future__ import annotations

import doctest
import gc
import inspect
import pickle
import threading
from collections import deque
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ring_processes import PATIENCE_S, Script, files_of, new_name

import fastmas
from fastmas.errors import ConfigError, DeadlineError, PeerDeadError, RingBusyError, RingGoneError
from fastmas.ring import ByteRing, SpscRing


@pytest.fixture
def name() -> Iterator[str]:
    name = new_name()
    yield name
    gc.collect()
    assert files_of(name) == []


def frame_of(number: int) -> bytes:
    """Its size and its bytes are functions of the number."""
    return bytes((number * 31 + i * 7) % 256 for i in range(number * 37 % 200))


# ---- one process


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([64, 128, 1024]),
    st.lists(st.one_of(st.none(), st.integers(0, 504), st.binary(max_size=24)), max_size=200),
)
def test_frames_against_a_deque(capacity: int, steps: list[int | bytes | None]) -> None:
    ring, model = ByteRing(capacity), deque[bytes]()
    for number, step in enumerate(steps):
        if step is None:
            assert ring.try_pop() == (model.popleft() if model else None)
            continue
        frame = bytes([1 + number % 250]) * min(step, ring.max_frame_bytes) if isinstance(step, int) else step
        pushed = ring.try_push(frame)
        assert pushed or ring.was_bytes > 0
        if pushed:
            model.append(frame)
        assert ring.pushed - ring.popped == len(model)
    assert ring.pop_many() == list(model)
    assert ring.was_empty
    assert ring.was_bytes == 0
    assert ring.try_push(bytes(ring.max_frame_bytes))


def test_anything_with_bytes_in_one_piece_is_a_frame() -> None:
    ring = ByteRing(256)
    for frame in (b"ab", bytearray(b"cd"), memoryview(b"xefx")[1:3], np.frombuffer(b"gh", "u1"), b""):
        ring.push(frame)
    assert ring.pop_many() == [b"ab", b"cd", b"ef", b"gh", b""]
    rule = "a frame must be bytes in one piece: bytes, bytearray, a contiguous array, got <class '"
    for wrong in ("text", 7, None, memoryview(b"abcd")[::2]):
        with pytest.raises(ConfigError, match=rule):
            ring.try_push(wrong)  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=rule):
            ring.push(wrong)  # type: ignore[arg-type]
    assert ring.was_empty


def test_what_is_too_large_is_refused_with_the_bound() -> None:
    ring = ByteRing(128)
    assert ring.max_frame_bytes == 56
    text = "a frame in a ring of 128 bytes must have at most 56, got 57; send it in parts or take a larger ring"
    for push in (ring.try_push, ring.push):
        with pytest.raises(ConfigError, match=text):
            push(bytes(57))
    for capacity, wrong in ((100, "power of two >= 2, got 100; try 128"), (32, "at least 64 bytes, got 32; try 64")):
        with pytest.raises(ConfigError, match=wrong):
            ByteRing(capacity)
    with pytest.raises(ConfigError, match="capacity_bytes must be an integer"):
        ByteRing("large")  # type: ignore[arg-type]


@pytest.mark.parametrize("shared", [False, True])
def test_what_does_not_fit_is_dropped_when_that_is_asked_for(name: str, shared: bool) -> None:
    ring = ByteRing.create(name, 64, overflow="drop_newest") if shared else ByteRing(64, overflow="drop_newest")
    assert (ring.overflow, ring.dropped, ByteRing(64).overflow) == ("drop_newest", 0, "refuse")
    for first in b"abcd":
        ring.push(bytes([first]) * 16)
    assert not ring.try_push(b"e" * 16)
    assert (ring.pushed, ring.dropped) == (2, 3)
    with ByteRing.attach(name) if shared else ring as into:
        assert into.overflow == "drop_newest"
        assert into.pop_many() == [b"a" * 16, b"b" * 16]
    ring.close()
    text = "overflow must be 'refuse' or 'drop_newest', got 'evict'"
    for make in (lambda: ByteRing(64, overflow="evict"), lambda: ByteRing.create(name, 64, overflow="evict")):  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=text):
            make()


def test_pop_into_a_buffer() -> None:
    ring, buffer = ByteRing(256), bytearray(b"." * 8)
    ring.push(b"hello")
    ring.push(b"much too long")
    assert ring.pop_into(buffer) == 5
    assert buffer == b"hello..."
    with pytest.raises(ConfigError, match="must hold the frame, which has 13 bytes, got one of 8; the frame is still"):
        ring.pop_into(buffer)
    array = np.zeros(16, "u1")
    assert ring.pop_into(array, 0) == 13
    assert bytes(array[:13]) == b"much too long"
    assert ring.pop_into(array, 0) is None
    with pytest.raises(DeadlineError, match=r"no frame came within 0\.01 s; push one or give a longer timeout_s"):
        ring.pop_into(array, 0.01)
    for wrong in (b"read only", "text", memoryview(bytearray(4))[::2]):
        with pytest.raises(ConfigError, match="a buffer must be writable bytes in one piece: a bytearray, an array"):
            ring.pop_into(wrong, 0)  # type: ignore[arg-type]


def test_waiting_ends_with_room_a_frame_or_the_deadline() -> None:
    ring = ByteRing(64)
    ring.push(bytes(24))
    with pytest.raises(
        DeadlineError, match=r"the ring of 64 bytes had no room for a frame of 24 for 0\.01 s; pop from it or give"
    ):
        ring.push(bytes(24), timeout_s=0.01)
    assert ring.pop() == bytes(24)
    with pytest.raises(DeadlineError, match=r"no frame came within 0\.01 s"):
        ring.pop(timeout_s=0.01)
    assert ring.pop_many(timeout_s=0.01) == []
    with pytest.raises(ConfigError, match="max_frames must be >= 1, got 0"):
        ring.pop_many(0)
    got: list[bytes] = []
    consumer = threading.Thread(target=lambda: got.extend(ring.pop(PATIENCE_S) for _ in range(400)))
    consumer.start()
    for number in range(400):
        ring.push(frame_of(number)[:24], PATIENCE_S)
    consumer.join()
    assert got == [frame_of(number)[:24] for number in range(400)]


def test_a_closed_ring_refuses() -> None:
    with ByteRing(64) as ring:
        assert (ring.closed, ring.role, ring.name, ring.wait) == (False, "both", None, "adaptive")
    assert ring.closed
    for call in (lambda: ring.try_push(b""), lambda: ring.push(b""), ring.try_pop, ring.pop, ring.pop_many):
        with pytest.raises(ConfigError, match="the ring is closed; make another one"):
            call()
    with pytest.raises(ConfigError, match="the ring is closed"):
        ring.pop_into(bytearray(8))


def test_the_type_is_final_and_complete() -> None:
    assert fastmas.ByteRing is ByteRing
    with pytest.raises(TypeError, match="not an acceptable base type"):
        type("Derived", (ByteRing,), {})
    for make in (ByteRing.__new__, object.__new__):
        with pytest.raises(TypeError):
            make(ByteRing)
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(ByteRing(64))
    for member, value in [("", ByteRing), *vars(ByteRing).items()]:
        if member.startswith("__"):
            continue
        text = inspect.getdoc(value) or ""
        assert text, f"ByteRing.{member} has no docstring"
        test = doctest.DocTestParser().get_doctest(text, {}, f"ByteRing.{member}", None, 0)
        assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


class _PopsWhenCollected:
    def __init__(self, ring: ByteRing, got: list[bytes | None]) -> None:
        self.itself, self.ring, self.got = self, ring, got

    def __del__(self) -> None:
        self.got.append(self.ring.try_pop())


def test_a_collection_in_the_middle_of_a_batch_takes_no_frame_twice() -> None:
    """The list of a batch is tracked by the collector, whose finalisers may pop from the same ring."""
    ring = ByteRing(4096)
    frames = [bytes([number]) * 3 for number in range(100)]
    taken: list[bytes | None] = []
    threshold = gc.get_threshold()
    try:
        for frame in frames:
            ring.push(frame)
        gc.set_threshold(1)
        for _ in range(20):
            _PopsWhenCollected(ring, taken)
            batch = ring.pop_many(3)
            assert batch == sorted(batch)
            taken.extend(batch)
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    taken.extend(ring.pop_many())
    assert sorted(frame for frame in taken if frame is not None) == frames


# ---- two processes

PRODUCE = """
import sys
from test_ring_bytes import frame_of
from ring_processes import PATIENCE_S
from fastmas.ring import ByteRing
with ByteRing.attach(sys.argv[1], role="producer", wait=sys.argv[2]) as ring:
    for number in range(int(sys.argv[3])):
        ring.push(frame_of(number), PATIENCE_S)
    print("pushed", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("wait", ["adaptive", "spin", "yield", "block"])
def test_frames_from_another_process(name: str, wait: str) -> None:
    with (
        ByteRing.create(name, 512, role="consumer", wait=wait) as ring,  # type: ignore[arg-type]
        Script(PRODUCE, name, wait, "600") as producer,
    ):
        for number in range(600):
            assert ring.pop(PATIENCE_S) == frame_of(number)
        assert producer.line() == "pushed"
        assert ring.peer_state == "alive"
        producer.say("")
        assert producer.end() == ("", 0)
        assert (ring.peer_state, ring.peer_alive) == ("left", False)


def test_a_dead_producer_is_told_after_its_last_frame_and_replaced(name: str) -> None:
    with ByteRing.create(name, 4096, role="consumer") as ring:
        with Script(PRODUCE, name, "adaptive", "20") as producer:
            assert producer.line() == "pushed"
            producer.kill()
        assert ring.pop_many(5, timeout_s=PATIENCE_S) == [frame_of(number) for number in range(5)]
        assert [ring.pop(PATIENCE_S) for _ in range(15)] == [frame_of(number) for number in range(5, 20)]
        text = f"the producer of ring '{name}' died: process {producer.pid} ended without closing it"
        for pop in (ring.pop, lambda: ring.pop_many(timeout_s=None), lambda: ring.pop_into(bytearray(8))):
            with pytest.raises(PeerDeadError, match=text):
                pop()
        with pytest.raises(PeerDeadError, match=text):
            while True:
                assert ring.try_pop() is None
        assert ring.peer_state == "dead"
        with ByteRing.attach(name, role="producer") as again:
            again.push(b"goes on")
            assert (again.pushed, ring.pop(PATIENCE_S), ring.peer_state) == (21, b"goes on", "alive")


CONSUME = """
import sys
from ring_processes import PATIENCE_S
from fastmas.ring import ByteRing
ring = ByteRing.attach(sys.argv[1])
print([len(ring.pop(PATIENCE_S)) for _ in range(3)], flush=True)
sys.stdin.readline()
"""


def test_a_dead_consumer_is_told_and_replaced_without_repeating(name: str) -> None:
    with ByteRing.create(name, 256) as ring:
        for size in (1, 2, 3, 4, 5):
            ring.push(bytes(size))
        with Script(CONSUME, name) as consumer:
            assert consumer.line() == "[1, 2, 3]"
            consumer.kill()
        while ring.pushed < 100:
            try:
                ring.push(bytes(60))
            except PeerDeadError as error:
                assert f"the consumer of ring '{name}' died" in str(error)
                break
        with pytest.raises(PeerDeadError):
            while True:
                assert not ring.try_push(bytes(60))
        with ByteRing.attach(name) as again:
            assert again.pop_many(2) == [bytes(4), bytes(5)]


def test_attach_says_what_is_wrong(name: str) -> None:
    with pytest.raises(RingGoneError, match=name):
        ByteRing.attach(name)
    with ByteRing.create(name, 256) as ring:
        assert repr(ring) == f"<ByteRing '{name}' of 256 bytes, producer>"
        with pytest.raises(RingBusyError, match=name):
            ByteRing.create(name, 256)
        with pytest.raises(RingBusyError, match="producer"):
            ByteRing.attach(name, role="producer")
        with pytest.raises(ConfigError, match=r"spsc|bytes"):
            SpscRing.attach(name)
        with pytest.raises(ConfigError, match="cannot pop; use the other end, or attach with role='consumer'"):
            ring.try_pop()
        with ByteRing.attach(name) as other, pytest.raises(ConfigError, match="cannot push"):
            other.try_push(b"")
    with SpscRing.create(name, np.int64, 8), pytest.raises(ConfigError, match=r"spsc|bytes"):
        ByteRing.attach(name)
