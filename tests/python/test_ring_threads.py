"""Rings between Python threads: order and content under contention, waits that wake, deadlines, Ctrl-C, leaks."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import pytest
from ring_processes import files_of, new_name

from fastmas.errors import ConfigError, DeadlineError
from fastmas.records import Record, i64, u64
from fastmas.ring import BroadcastRing, SpscRing, Subscriber

PATIENCE_S = 60.0  # far more than anything here takes: a deadline in these tests is a lost wake-up


class Stamped(Record):
    """Every field is a function of producer and sequence."""

    producer: u64
    sequence: i64
    mixed: u64


def mixed(producer: int, sequence: int) -> int:
    return ((sequence ^ (producer << 40)) * 0x9E3779B97F4A7C15) & (2**64 - 1)


def stamped(producer: int, sequence: int) -> Stamped:
    return Stamped(producer, sequence, mixed(producer, sequence))


def stamped_rows(producer: int, first: int, count: int) -> np.ndarray[Any, Any]:
    rows = np.zeros(count, Stamped.dtype)
    for i in range(count):
        rows[i] = (producer, first + i, mixed(producer, first + i))
    return rows


@contextmanager
def running(*bodies: Callable[[], None]) -> Iterator[None]:
    """Threads whose exceptions are this test's."""
    failures: list[BaseException] = []

    def guarded(body: Callable[[], None]) -> None:
        try:
            body()
        except BaseException as failure:  # handed on below
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(body,), daemon=True) for body in bodies]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "a thread hangs"
    if failures:
        raise failures[0]


@pytest.mark.parametrize("capacity", [2, 64])
def test_singles_between_threads(capacity: int) -> None:
    ring = SpscRing(Stamped, capacity)
    count = 20_000

    def produce() -> None:
        for sequence in range(count):
            ring.push(stamped(1, sequence), timeout_s=PATIENCE_S)

    with running(produce):
        for sequence in range(count):
            assert ring.pop(timeout_s=PATIENCE_S) == stamped(1, sequence)
    assert ring.was_empty


@pytest.mark.parametrize("capacity", [4, 256])
def test_batches_between_threads(capacity: int) -> None:
    ring = SpscRing(Stamped, capacity)
    rows = stamped_rows(2, 0, 20_000)

    def produce() -> None:
        assert ring.push_many(rows, timeout_s=PATIENCE_S) == len(rows)

    got = 0
    with running(produce):
        out = np.zeros(100, Stamped.dtype)
        while got < len(rows):
            batch = ring.pop_many(out=out, timeout_s=PATIENCE_S)
            assert len(batch) > 0, "a lost wake-up"
            np.testing.assert_array_equal(batch, rows[got : got + len(batch)])
            got += len(batch)
    assert got == ring.popped == len(rows)


def test_broadcast_between_threads_while_others_come_and_go() -> None:
    feed = BroadcastRing(Stamped, 16)
    count = 5_000
    stop = threading.Event()
    stays = [feed.subscribe("one"), feed.subscribe("two")]

    def follow(subscriber: Subscriber) -> Callable[[], None]:
        def body() -> None:
            for sequence in range(count):
                assert subscriber.pop(timeout_s=PATIENCE_S) == stamped(3, sequence)
            assert subscriber.received == count

        return body

    def visit() -> None:
        while not stop.is_set():
            with feed.subscribe("visitor") as visitor:
                for _ in range(5):
                    expected = visitor.joined_at + visitor.received
                    batch = visitor.poll(max_records=3, timeout_s=0.002)
                    np.testing.assert_array_equal(batch, stamped_rows(3, expected, len(batch)))

    with running(*(follow(subscriber) for subscriber in stays), visit):
        for sequence in range(count):
            feed.publish(stamped(3, sequence), timeout_s=PATIENCE_S)
        stop.set()
    assert feed.published == count


@pytest.mark.measures
def test_ping_pong_loses_no_wake_up() -> None:
    """Both sides sleep before nearly every record; woken only by the bound, this would take minutes."""
    there, back = SpscRing(np.int64, 2), SpscRing(np.int64, 2)
    rounds = 400

    def answer() -> None:
        for _ in range(rounds):
            back.push(there.pop(timeout_s=PATIENCE_S), timeout_s=PATIENCE_S)

    start = time.monotonic()
    with running(answer):
        for i in range(rounds):
            there.push(np.int64(i))
            assert back.pop(timeout_s=PATIENCE_S) == i
    assert time.monotonic() - start < rounds * 0.025, "wake-ups came from the bound of the sleep, not from the push"


@pytest.mark.measures
def test_hot_calls_wake_who_sleeps() -> None:
    """try_push() and try_pop() of a record of the ring's class: their last step is their own."""
    there, back, rounds = SpscRing(Stamped, 2), SpscRing(Stamped, 2), 400

    def answer() -> None:
        for _ in range(rounds):
            assert back.try_push(there.pop(timeout_s=PATIENCE_S))

    start = time.monotonic()
    with running(answer):
        for i in range(rounds):
            assert there.try_push(stamped(1, i))
            assert back.pop(timeout_s=PATIENCE_S) == stamped(1, i)
    assert time.monotonic() - start < rounds * 0.025, "a push woke nobody"

    def produce() -> None:
        for i in range(rounds):
            there.push(stamped(1, i), timeout_s=PATIENCE_S)

    start = time.monotonic()
    with running(produce):
        for i in range(rounds):
            while there.was_size < min(2, rounds - i):
                time.sleep(0)  # until the producer sleeps again, or is about to
            assert there.try_pop() == stamped(1, i)
    assert time.monotonic() - start < rounds * 0.025, "a pop woke nobody"


@pytest.mark.measures
@pytest.mark.parametrize("waits", [("block", "block"), ("spin", "block"), ("block", "yield"), ("adaptive", "spin")])
def test_ping_pong_in_shared_memory_loses_no_wake_up(waits: Any) -> None:
    """Who only spins need not be woken; who sleeps must be, also by who spins."""
    names = new_name(), new_name()
    with ExitStack() as stack:
        out = stack.enter_context(SpscRing.create(names[0], np.int64, 2, wait=waits[0]))
        into = stack.enter_context(SpscRing.create(names[1], np.int64, 2, wait=waits[0], role="consumer"))
        there = stack.enter_context(SpscRing.attach(names[0], wait=waits[1]))
        back = stack.enter_context(SpscRing.attach(names[1], wait=waits[1], role="producer"))
        rounds = 200

        def answer() -> None:
            for _ in range(rounds):
                back.push(there.pop(timeout_s=PATIENCE_S), timeout_s=PATIENCE_S)

        start = time.monotonic()
        with running(answer):
            for i in range(rounds):
                out.push(np.int64(i), timeout_s=PATIENCE_S)
                assert into.pop(timeout_s=PATIENCE_S) == i
        assert time.monotonic() - start < rounds * 0.025, "wake-ups came from the bound of the sleep"


def test_waiting_for_room_ends_with_the_pop_that_makes_it() -> None:
    ring = SpscRing(np.int64, 2)
    ring.push_many(np.arange(2))
    entered = threading.Event()

    def produce() -> None:
        entered.set()
        ring.push(np.int64(2), timeout_s=PATIENCE_S)

    with running(produce):
        entered.wait()
        assert [ring.pop(timeout_s=PATIENCE_S) for _ in range(3)] == [0, 1, 2]


WAIT_S = 0.8


def longest_pause_during(wait: Callable[[], Any]) -> float:
    """How long another thread stands still while this call waits in vain."""
    longest = 0.0
    done = threading.Event()

    def hold() -> None:
        with pytest.raises(DeadlineError):
            wait()
        done.set()

    last = time.monotonic()  # before the start: the other may hold the lock before start() returns
    with running(hold):
        while not done.is_set():
            now = time.monotonic()
            longest, last = max(longest, now - last), now
    return longest


@pytest.mark.measures
def test_other_threads_run_while_one_waits() -> None:
    ring = SpscRing(np.int64, 2)
    assert longest_pause_during(lambda: ring.pop(timeout_s=WAIT_S)) < WAIT_S / 2


def test_a_deadline_is_kept() -> None:
    ring = SpscRing(np.int64, 2)
    start = time.monotonic()
    with pytest.raises(DeadlineError):
        ring.pop(timeout_s=0.12)
    assert time.monotonic() - start >= 0.12


def test_closing_a_subscriber_ends_its_wait_and_frees_the_producer() -> None:
    feed = BroadcastRing(np.int64, 2)
    reader = feed.subscribe("reader")
    waiting = threading.Event()

    def wait() -> None:
        waiting.set()
        with pytest.raises(ConfigError, match="subscriber 'reader' is closed; subscribe again"):
            reader.pop(timeout_s=PATIENCE_S)

    with running(wait):
        waiting.wait()
        reader.close()

    slow = feed.subscribe("slow")
    feed.publish_many(np.arange(2))
    publishing = threading.Event()

    def publish() -> None:
        publishing.set()
        feed.publish(np.int64(2), timeout_s=PATIENCE_S)

    with running(publish):
        publishing.wait()
        slow.close()
    assert feed.published == 3


# Another thread sends the signal; it gets to run when the call lets go of the interpreter's lock, so during the wait.
BLOCKED = """
import numpy as np, os, signal, sys, threading
from fastmas.ring import BroadcastRing, SpscRing
state, wait, name = sys.argv[1:]
if name == "-":
    out = into = SpscRing(np.int64, 2, wait=wait)
else:
    out, into = SpscRing.create(name, np.int64, 2, wait=wait), SpscRing.attach(name, wait=wait)
feed = BroadcastRing(np.int64, 2)
reader = feed.subscribe("reader")
if state == "full":
    out.push_many(np.arange(2)), feed.publish_many(np.arange(2))
begin = threading.Event()
threading.Thread(target=lambda: (begin.wait(), os.kill(os.getpid(), signal.SIGINT)), daemon=True).start()
try:
    begin.set()
    {call}
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def interrupt(call: str, wait: str, name: str) -> None:
    script = BLOCKED.format(call=call)
    command = [sys.executable, "-c", script, "full" if "full" in call else "empty", wait, name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (done.stdout, done.returncode) == ("interrupted\n", 0), done.stderr
    assert name == "-" or files_of(name) == []


@pytest.mark.parametrize(
    "call",
    [
        "into.pop()",
        "into.pop_many(timeout_s=None)",
        "out.push(np.int64(1))  # full",
        "out.push_many(np.arange(1), timeout_s=None)  # full",
        "reader.pop()",
        "reader.poll(timeout_s=None)",
        "feed.publish(np.int64(1))  # full",
    ],
)
def test_ctrl_c_ends_a_wait(call: str) -> None:
    interrupt(call, "adaptive", "-")


@pytest.mark.parametrize("wait", ["adaptive", "spin", "yield", "block"])
@pytest.mark.parametrize("shared", [False, True])
def test_ctrl_c_ends_every_kind_of_wait(wait: str, shared: bool) -> None:
    interrupt("into.pop()", wait, new_name() if shared else "-")
    interrupt("out.push(np.int64(1))  # full", wait, new_name() if shared else "-")


@pytest.mark.parametrize("wait", ["adaptive", "spin", "yield", "block"])
@pytest.mark.parametrize("layout", ["contiguous", "sequenced"])
def test_every_kind_of_wait_between_threads(wait: Any, layout: Any) -> None:
    there, back = SpscRing(np.int64, 2, wait=wait, layout=layout), SpscRing(np.int64, 2, wait=wait, layout=layout)
    rounds = 200

    def answer() -> None:
        for _ in range(rounds):
            back.push(there.pop(timeout_s=PATIENCE_S), timeout_s=PATIENCE_S)

    with running(answer):
        for i in range(rounds):
            there.push(np.int64(i), timeout_s=PATIENCE_S)
            assert back.pop(timeout_s=PATIENCE_S) == i


@pytest.mark.measures
@pytest.mark.parametrize("wait", ["adaptive", "spin", "yield", "block"])
def test_other_threads_run_while_one_turns(wait: Any) -> None:
    with SpscRing.create(new_name(), np.int64, 2, role="consumer", wait=wait) as ring:
        assert longest_pause_during(lambda: ring.pop(timeout_s=WAIT_S)) < WAIT_S / 2


@pytest.mark.parametrize("wait", ["adaptive", "spin", "yield", "block"])
@pytest.mark.parametrize("shared", [False, True])
def test_closing_a_ring_ends_the_waits_on_it(wait: Any, shared: bool) -> None:
    if shared:
        name = new_name()
        out, into = SpscRing.create(name, np.int64, 2, wait=wait), SpscRing.attach(name, wait=wait)
    else:
        out = into = SpscRing(np.int64, 2, wait=wait)
    waiting = threading.Event()

    def wait_for_a_record() -> None:
        waiting.set()
        with pytest.raises(ConfigError, match="is closed"):
            into.pop(timeout_s=PATIENCE_S)

    with running(wait_for_a_record):
        waiting.wait()
        into.close()
    if shared:
        into = SpscRing.attach(name)
    else:
        out = into = SpscRing(np.int64, 2, wait=wait)
    out.push_many(np.arange(2))
    waiting.clear()

    def wait_for_room() -> None:
        waiting.set()
        with pytest.raises(ConfigError, match="is closed"):
            out.push(np.int64(2), timeout_s=PATIENCE_S)

    with running(wait_for_room):
        waiting.wait()
        out.close()
    into.close()


def test_a_signal_handler_that_does_not_raise_lets_the_wait_go_on() -> None:
    ring = SpscRing(np.int64, 2)
    seen: list[int] = []
    previous = signal.signal(signal.SIGUSR1, lambda number, _: (seen.append(number), ring.push(np.int64(9)))[0])
    try:
        with running(lambda: os.kill(os.getpid(), signal.SIGUSR1)):
            assert ring.pop(timeout_s=PATIENCE_S) == 9
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert seen == [signal.SIGUSR1]


def test_popping_survives_a_finaliser_that_pops() -> None:
    """Making the result may run Python code; what it pops must not be popped twice, and nothing skipped."""
    ring = SpscRing(np.int64, 64)
    ring.push_many(np.arange(64))
    got: list[int] = []

    class Popper:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            if (value := ring.try_pop()) is not None:
                got.append(int(value))

    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        while (value := ring.try_pop()) is not None:
            got.append(int(value))
            Popper()
    finally:
        gc.set_threshold(*threshold)
        gc.collect()
    assert sorted(got) == list(range(64))


@pytest.mark.parametrize("layout", ["contiguous", "sequenced"])
@pytest.mark.parametrize("dtype", [np.dtype("<i8"), np.dtype([("a", "<i8")])])
def test_popping_survives_a_finaliser_that_closes(layout: Any, dtype: Any) -> None:
    """The record is neither given out nor given back: who takes the role over gets it."""
    name = new_name()
    out, into = SpscRing.create(name, dtype, 64, layout=layout), SpscRing.attach(name)
    out.push_many(np.arange(64).view(dtype))
    got = 0

    class Closer:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            into.close()

    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        Closer()
        with pytest.raises(ConfigError, match="is closed"):
            while True:
                rows = into.pop_many(1)
                assert rows.view("<i8").tolist() == [got]
                got += 1
    finally:
        gc.set_threshold(*threshold)
    with SpscRing.attach(name) as successor:
        assert successor.pop_many().view("<i8").tolist() == list(range(got, 64))
    out.close()
