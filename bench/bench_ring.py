"""What does a ring cost a Python program, against what it would use otherwise?

``ring-pair``: one message in and out again, in one thread: the price of the calls. ``ring-empty-call``: looking into an
empty ring, against appending to a deque. ``ring-batch``: 256 messages of 64 bytes in and out, against copying the same
bytes twice. ``ring-threads``: messages from one thread to another, both of which wait for each other: the price of
handing over, dominated by the interpreter's lock. multiprocessing.Pipe stands
for what crosses processes; its messages are pickled.
"""

from __future__ import annotations

import multiprocessing
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

import numpy as np
import pytest

from fastmas.records import Record, i64, u32
from fastmas.ring import BroadcastRing, SpscRing


class Message(Record):
    """64 bytes, as a quote with a few more fields."""

    ts_ns: i64
    instrument: u32
    bid: i64 = 0
    ask: i64 = 0
    bid_size: i64 = 0
    ask_size: i64 = 0
    sequence: i64 = 0
    origin: i64 = 0


MESSAGE = Message(1, 2, 3, 4)
ROWS = np.zeros(256, Message.dtype)
PAIRS = 1_000
CROSSINGS = 5_000
ROUNDS = 15
WAIT_S = 60.0


def describe(benchmark: Any, items: int, rival: bool) -> None:
    benchmark.extra_info.update(items=items, item="message", rival=rival)


# ---- one thread, one message


def spsc_record() -> tuple[Callable[[Any], Any], Callable[[], Any], Any]:
    ring = SpscRing(Message, 1024)
    return ring.try_push, ring.try_pop, MESSAGE


def spsc_bytes() -> tuple[Callable[[Any], Any], Callable[[], Any], Any]:
    ring = SpscRing(Message, 1024)
    return ring.try_push, ring.try_pop, bytes(MESSAGE)


def spsc_row() -> tuple[Callable[[Any], Any], Callable[[], Any], Any]:
    ring = SpscRing(Message.dtype, 1024)
    return ring.try_push, ring.try_pop, ROWS[0]


def broadcast_record() -> tuple[Callable[[Any], Any], Callable[[], Any], Any]:
    feed = BroadcastRing(Message, 1024)
    return feed.try_publish, feed.subscribe("reader").try_pop, MESSAGE


def rival_deque() -> tuple[Callable[[Any], Any], Callable[[], Any], Any]:
    line: deque[Message] = deque()
    return line.append, line.popleft, MESSAGE


def rival_simple_queue() -> tuple[Callable[[Any], Any], Callable[[], Any], Any]:
    line: queue.SimpleQueue[Message] = queue.SimpleQueue()
    return line.put, line.get_nowait, MESSAGE


def rival_pipe() -> tuple[Callable[[Any], Any], Callable[[], Any], Any]:
    reader, writer = multiprocessing.Pipe(duplex=False)
    return writer.send_bytes, reader.recv_bytes, bytes(MESSAGE)


@pytest.mark.benchmark(group="ring-pair", warmup=True)
@pytest.mark.parametrize(
    "make", [spsc_record, spsc_bytes, spsc_row, broadcast_record, rival_deque, rival_simple_queue, rival_pipe]
)
def bench_pair(benchmark: Any, make: Callable[[], tuple[Callable[[Any], Any], Callable[[], Any], Any]]) -> None:
    put, get, message = make()

    def run() -> None:
        for _ in range(PAIRS):
            put(message)
            get()

    describe(benchmark, PAIRS, make.__name__.startswith("rival"))
    benchmark.pedantic(run, rounds=ROUNDS, warmup_rounds=2)


# ---- one thread, a call that finds nothing to do


def empty_try_pop() -> None:
    ring = SpscRing(Message, 1024)
    for _ in repeat(None, PAIRS):
        ring.try_pop()


def empty_subscriber() -> None:
    reader = BroadcastRing(Message, 1024).subscribe("reader")
    for _ in repeat(None, PAIRS):
        reader.try_pop()


def rival_method_that_does_nothing() -> None:
    """The conjugate of an int is the int: what the interpreter takes for any call into C, so the floor."""
    number = 1
    for _ in repeat(None, PAIRS):
        number.conjugate()


def rival_deque_append() -> None:
    line: deque[Message] = deque()
    for _ in repeat(None, PAIRS):
        line.append(MESSAGE)


@pytest.mark.benchmark(group="ring-empty-call", warmup=True)
@pytest.mark.parametrize("run", [empty_try_pop, empty_subscriber, rival_deque_append, rival_method_that_does_nothing])
def bench_empty_call(benchmark: Any, run: Callable[[], None]) -> None:
    """Written as methods are called, for the interpreter specialises that; the object's making is a thousandth."""
    describe(benchmark, PAIRS, run.__name__.startswith("rival"))
    benchmark.pedantic(run, rounds=ROUNDS, warmup_rounds=2)


# ---- one thread, batches


def batch_spsc() -> Callable[[], None]:
    ring, out = SpscRing(Message, 1024), np.empty(256, Message.dtype)

    def run() -> None:
        ring.push_many(ROWS)
        ring.pop_many(out=out)

    return run


def batch_broadcast() -> Callable[[], None]:
    feed, out = BroadcastRing(Message, 1024), np.empty(256, Message.dtype)
    reader = feed.subscribe("reader")

    def run() -> None:
        feed.publish_many(ROWS)
        reader.poll(out=out)

    return run


def rival_two_copies() -> Callable[[], None]:
    source, middle, out = ROWS.view("u1"), np.empty(256 * 64, "u1"), np.empty(256 * 64, "u1")

    def run() -> None:
        np.copyto(middle, source)
        np.copyto(out, middle)

    return run


def rival_deque_of_rows() -> Callable[[], None]:
    line: deque[bytes] = deque()
    messages = [bytes(MESSAGE)] * 256

    def run() -> None:
        line.extend(messages)
        for _ in range(256):
            line.popleft()

    return run


@pytest.mark.benchmark(group="ring-batch")
@pytest.mark.parametrize("make", [batch_spsc, batch_broadcast, rival_two_copies, rival_deque_of_rows])
def bench_batch(benchmark: Any, make: Callable[[], Callable[[], None]]) -> None:
    once = make()

    def run() -> None:
        for _ in range(100):
            once()

    describe(benchmark, 25_600, make.__name__.startswith("rival"))
    benchmark.pedantic(run, rounds=ROUNDS, warmup_rounds=2)


# ---- two threads: `send` runs in the other one


def threads_singles() -> tuple[Callable[[], None], Callable[[], None]]:
    ring = SpscRing(Message, 1024)

    def send() -> None:
        for _ in range(CROSSINGS):
            ring.push(MESSAGE, WAIT_S)

    def receive() -> None:
        for _ in range(CROSSINGS):
            ring.pop(WAIT_S)

    return send, receive


def threads_batches() -> tuple[Callable[[], None], Callable[[], None]]:
    ring = SpscRing(Message, 1024)
    rows = np.zeros(CROSSINGS, Message.dtype)

    def send() -> None:
        ring.push_many(rows, WAIT_S)

    def receive() -> None:
        out, got = np.empty(1024, Message.dtype), 0
        while got < CROSSINGS:
            got += len(ring.pop_many(out=out, timeout_s=WAIT_S))

    return send, receive


def rival_simple_queue_threads() -> tuple[Callable[[], None], Callable[[], None]]:
    line: queue.SimpleQueue[Message] = queue.SimpleQueue()

    def send() -> None:
        for _ in range(CROSSINGS):
            line.put(MESSAGE)

    def receive() -> None:
        for _ in range(CROSSINGS):
            line.get(timeout=WAIT_S)

    return send, receive


def rival_queue_threads() -> tuple[Callable[[], None], Callable[[], None]]:
    line: queue.Queue[Message] = queue.Queue(1024)

    def send() -> None:
        for _ in range(CROSSINGS):
            line.put(MESSAGE, timeout=WAIT_S)

    def receive() -> None:
        for _ in range(CROSSINGS):
            line.get(timeout=WAIT_S)

    return send, receive


def rival_pipe_threads() -> tuple[Callable[[], None], Callable[[], None]]:
    reader, writer = multiprocessing.Pipe(duplex=False)
    message = bytes(MESSAGE)

    def send() -> None:
        for _ in range(CROSSINGS):
            writer.send_bytes(message)

    def receive() -> None:
        for _ in range(CROSSINGS):
            reader.recv_bytes()

    return send, receive


@pytest.fixture
def other_thread() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Hands work to a thread that is there already: starting one would be measured too."""
    work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()

    def serve() -> None:
        while (task := work.get()) is not None:
            task()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield work.put
    work.put(None)
    thread.join()


@pytest.mark.benchmark(group="ring-threads")
@pytest.mark.parametrize(
    "make", [threads_singles, threads_batches, rival_simple_queue_threads, rival_queue_threads, rival_pipe_threads]
)
def bench_threads(benchmark: Any, make: Callable[[], Any], other_thread: Callable[[Callable[[], None]], None]) -> None:
    send, receive = make()

    def run() -> None:
        other_thread(send)
        receive()

    describe(benchmark, CROSSINGS, make.__name__.startswith("rival"))
    benchmark.pedantic(run, rounds=ROUNDS, warmup_rounds=2)
