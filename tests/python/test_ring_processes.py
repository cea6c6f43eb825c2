"""Rings between real processes: order and content, deaths at any moment, stops, forks, exits."""

from __future__ import annotations

import gc
import mmap
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from ring_processes import PATIENCE_S, Proof, Script, files_of, forked, kill, kill_rounds, mixed, new_name, proofs

from fastmas.errors import ConfigError, DeadlineError, PeerDeadError, RingBusyError
from fastmas.ring import SpscRing

LAYOUTS = ["contiguous", "sequenced"]
WAITS = ["adaptive", "spin", "yield", "block"]


@pytest.fixture
def name() -> Iterator[str]:
    name = new_name()
    yield name
    gc.collect()
    assert files_of(name) == []


ECHO = """
import sys
from ring_processes import PATIENCE_S, Proof
from fastmas.ring import SpscRing
there, back, wait = sys.argv[1:]
into, out = SpscRing.attach(there, wait=wait), SpscRing.attach(back, role="producer", wait=wait)
assert into.record_type is Proof
print("ready", flush=True)
for _ in range(int(sys.stdin.readline())):
    out.push(into.pop(timeout_s=PATIENCE_S), timeout_s=PATIENCE_S)
print(into.peer_state, flush=True)
"""


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("wait", WAITS)
def test_there_and_back(name: str, layout: Any, wait: Any) -> None:
    """Each waits for the other all the time; with a ring of two, for room as well."""
    rounds = 100 if wait == "spin" else 300  # spinning with fewer cores than processes takes its time
    with (
        SpscRing.create(name, Proof, 2, layout=layout, wait=wait) as out,
        SpscRing.create(name + "-back", Proof, 2, role="consumer", layout=layout, wait=wait) as into,
        Script(ECHO, name, name + "-back", wait) as echo,
    ):
        assert echo.line() == "ready"
        echo.say(str(2 * rounds))
        for sequence in range(rounds):
            out.push(Proof.of(sequence), timeout_s=PATIENCE_S)
            assert into.pop(timeout_s=PATIENCE_S) == Proof.of(sequence)
        sent = got = 0
        while got < rounds:  # and with as many on the way as fit
            while sent < rounds and out.try_push(Proof.of(sent)):
                sent += 1
            assert into.pop(timeout_s=PATIENCE_S) == Proof.of(got)
            got += 1
        assert echo.line() == "alive"
        assert echo.end()[1] == 0
        assert (out.peer_state, into.peer_state) == ("left", "left")


STREAM = """
import sys
from ring_processes import PATIENCE_S, proofs
from fastmas.ring import SpscRing
name, count = sys.argv[1], int(sys.argv[2])
with SpscRing.attach(name, role="producer") as out:
    rows = proofs(0, count)
    first = out.push_many(rows[: count // 2], timeout_s=PATIENCE_S)
    for sequence in range(first, count):
        out.push(rows[sequence], timeout_s=PATIENCE_S)
"""


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("capacity", [4, 1024])
def test_a_stream_in_batches_and_singles(name: str, layout: Any, capacity: int) -> None:
    count = 40_000
    with (
        SpscRing.create(name, Proof, capacity, role="consumer", layout=layout) as into,
        Script(STREAM, name, str(count)) as stream,
    ):
        got = 0
        expected = proofs(0, count)
        while got < count:
            batch = into.pop_many(timeout_s=PATIENCE_S)
            np.testing.assert_array_equal(batch, expected[got : got + len(batch)])
            got += len(batch)
            if got < count and (record := into.try_pop()) is not None:
                assert record == Proof.of(got)
                got += 1
        assert stream.end() == ("", 0)
        assert (into.popped, into.peer_state) == (count, "left")


# ---- death

HOLDER = """
import os, sys
from ring_processes import Proof
from fastmas.ring import SpscRing
name, role, grandchild = sys.argv[1:]
ring = SpscRing.attach(name, role=role)
if role == "producer":
    ring.push(Proof.of(0))
if grandchild == "yes" and os.fork() == 0:
    print("ready", os.getpid(), flush=True)
    sys.stdin.read()  # lives, with a copy of everything its parent had
    os._exit(0)
if grandchild == "no":
    print("ready", 0, flush=True)
import signal
signal.pause()
"""


def seconds_until_told(name: str, role: Any, wait: Any, grandchild: str) -> float:
    """How long after the death the last of three calls had raised."""
    mine: Any = "consumer" if role == "producer" else "producer"
    with (
        SpscRing.create(name, Proof, 2, role=mine, wait=wait) as ring,
        Script(HOLDER, name, role, grandchild) as holder,
    ):
        ready, survivor = holder.line().split()
        assert (ready, ring.peer_state) == ("ready", "alive")
        holder.kill()
        killed = time.monotonic()
        if role == "producer":
            assert ring.pop() == Proof.of(0), "what it had pushed is there"
            calls: list[Callable[[], Any]] = [
                lambda: ring.pop(timeout_s=PATIENCE_S),
                lambda: ring.pop_many(timeout_s=PATIENCE_S),
                lambda: try_until(ring),
            ]
            text = f"the producer of ring '{name}' died: process {holder.pid} ended without closing it; start another"
        else:
            assert ring.push_many(proofs(0, 2)) == 2, "there was room"
            calls = [
                lambda: ring.push(Proof.of(2), timeout_s=PATIENCE_S),
                lambda: ring.push_many(proofs(2, 1), timeout_s=PATIENCE_S),
                lambda: try_until(ring),
            ]
            text = f"the consumer of ring '{name}' died: process {holder.pid} ended without closing it; start another"
        for call in calls:
            with pytest.raises(PeerDeadError, match=text):
                call()
        told = time.monotonic() - killed
        assert (ring.peer_state, ring.peer_alive) == ("dead", False)
        if survivor != "0":
            os.kill(int(survivor), signal.SIGKILL)
        return told


@pytest.mark.parametrize("grandchild", ["yes", "no"])
@pytest.mark.parametrize("role", ["producer", "consumer"])
@pytest.mark.parametrize("wait", WAITS)
def test_a_peer_that_was_killed_is_told(name: str, role: Any, wait: Any, grandchild: str) -> None:
    """Also when a child that it forked lives on: that has inherited neither the role nor its lock."""
    seconds_until_told(name, role, wait, grandchild)


@pytest.mark.measures
@pytest.mark.parametrize("role", ["producer", "consumer"])
@pytest.mark.parametrize("wait", WAITS)
def test_a_peer_that_was_killed_is_told_within_a_second(name: str, role: Any, wait: Any) -> None:
    assert seconds_until_told(name, role, wait, "yes") < 1


def try_until(ring: SpscRing) -> None:
    """A loop of calls that never wait, as a busy poller has it."""
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up:
        if ring.role == "producer":
            assert ring.try_push(Proof.of(9)) is False
        else:
            assert ring.try_pop() is None


def wait_for(condition: Callable[[], bool]) -> None:
    """Until another process has come so far."""
    give_up = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up
        os.sched_yield()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_who_takes_the_place_of_the_dead_goes_on(name: str, layout: Any) -> None:
    with SpscRing.create(name, Proof, 4, role="consumer", layout=layout) as into:

        def push_and_die() -> None:
            out = SpscRing.attach(name, role="producer")
            while True:
                out.push(Proof.of(out.pushed))

        got = 0
        for _ in range(3):
            with forked(push_and_die) as pid:
                wait_for(lambda: into.peer_alive)
                for _ in range(10):
                    assert into.pop(timeout_s=PATIENCE_S) == Proof.of(got)
                    got += 1
                kill(pid)
            with pytest.raises(PeerDeadError):
                while True:
                    assert into.pop() == Proof.of(got)
                    got += 1
        with SpscRing.attach(name, role="producer") as out:
            assert into.try_pop() is None
            assert out.pushed == got
            out.push(Proof.of(got))
            assert into.pop() == Proof.of(got)


def rounds_of_killed_producers(name: str, layout: Any, rounds: int) -> None:
    """Whatever it was doing, the consumer sees every sequence once, in order, whole; its successor goes on."""
    dice = random.Random(7)
    got = 0
    with SpscRing.create(name, Proof, 16, role="consumer", layout=layout, wait="yield") as into:

        def produce() -> None:
            out = SpscRing.attach(name, role="producer", wait="spin")
            dice = random.Random(out.pushed)
            while True:
                sequence = out.pushed
                if dice.random() < 0.5:
                    out.push(Proof.of(sequence))
                elif layout == "contiguous" and dice.random() < 0.5:
                    with out.claim(5) as view:
                        view[:] = proofs(sequence, len(view))
                else:
                    out.push_many(proofs(sequence, 7))

        for _ in range(rounds):
            with forked(produce) as pid:
                wait_for(lambda: into.peer_alive)
                assert into.pop(timeout_s=PATIENCE_S) == Proof.of(got)
                got += 1
                moment = time.perf_counter() + dice.random() * 0.004
                while time.perf_counter() < moment:
                    for row in into.pop_many(dice.randint(1, 8)):
                        assert row == proofs(got, 1)[0]
                        got += 1
                kill(pid)
            with pytest.raises(PeerDeadError):
                while True:
                    assert into.pop(timeout_s=PATIENCE_S) == Proof.of(got)
                    got += 1


def rounds_of_killed_consumers(name: str, layout: Any, rounds: int) -> None:
    """Each notes what it got where its death cannot reach: no record comes twice, at most the last batch of each is
    lost, and what comes is whole and in order."""
    dice = random.Random(11)
    sent = 0
    most = 9
    seen = np.frombuffer(mmap.mmap(-1, 1 << 26), "u1")  # shared with the children; far more than is sent
    with SpscRing.create(name, Proof, 16, layout=layout, wait="yield") as out:

        def consume() -> None:
            into = SpscRing.attach(name, wait="spin")
            dice = random.Random(into.popped)
            last = -1
            while True:
                batch = [into.pop()] if dice.random() < 0.5 else into.pop_many(most, timeout_s=None)
                for record in batch:
                    row = np.frombuffer(bytes(record), Proof.dtype)[0]
                    sequence = int(row["sequence"])
                    ok = row == proofs(sequence, 1)[0] and sequence > last
                    seen[sequence] += 1 if ok else 100
                    last = sequence

        for _ in range(rounds):
            with forked(consume) as pid:
                wait_for(lambda: out.peer_alive)
                target = out.popped + 1
                while out.popped < target:
                    sent += out.push_many(proofs(sent, 8))
                moment = time.perf_counter() + dice.random() * 0.004
                while time.perf_counter() < moment:
                    sent += out.push_many(proofs(sent, dice.randint(1, 8)))
                kill(pid)
            with pytest.raises(PeerDeadError):
                while True:
                    out.push(Proof.of(sent), timeout_s=PATIENCE_S)
                    sent += 1
        assert int(seen.max()) == 1, "a record came twice, torn or out of order"
        delivered = int(seen.sum())
        assert out.popped - rounds * most <= delivered <= out.popped


KILLED = [rounds_of_killed_producers, rounds_of_killed_consumers]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("body", KILLED)
def test_killed_at_random_moments(name: str, layout: Any, body: Callable[[str, Any, int], None]) -> None:
    body(name, layout, kill_rounds(40))


@pytest.mark.long
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("body", KILLED)
def test_killed_at_thousands_of_random_moments(name: str, layout: Any, body: Callable[[str, Any, int], None]) -> None:
    body(name, layout, kill_rounds(4000))


# ---- what is not death


@pytest.mark.parametrize("wait", WAITS)
def test_a_stopped_process_is_not_dead_and_loses_nothing(name: str, wait: Any) -> None:
    count = 3_000

    def produce() -> None:
        out = SpscRing.attach(name, role="producer", wait=wait)
        for sequence in range(count):
            out.push(Proof.of(sequence), timeout_s=PATIENCE_S)
        out.close()

    with SpscRing.create(name, Proof, 8, role="consumer", wait=wait) as into, forked(produce) as pid:
        got = 0
        for stop in (500, 1500):
            while got < stop:
                assert into.pop(timeout_s=PATIENCE_S) == Proof.of(got)
                got += 1
            os.kill(pid, signal.SIGSTOP)
            assert os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1])
            with pytest.raises(DeadlineError):  # after what it had pushed: a wait of several looks at the peer
                while True:
                    assert into.pop(timeout_s=0.2) == Proof.of(got)
                    got += 1
            assert into.peer_state == "alive"
            with pytest.raises(RingBusyError, match=f"held by process {pid}"):
                SpscRing.attach(name, role="producer")
            os.kill(pid, signal.SIGCONT)
        while got < count:
            assert into.pop(timeout_s=PATIENCE_S) == Proof.of(got)
            got += 1


def test_a_second_holder_is_refused_across_processes(name: str) -> None:
    with SpscRing.create(name, Proof, 4) as out, Script(HOLDER, name, "consumer", "no") as holder:
        assert holder.line() == "ready 0"
        with pytest.raises(RingBusyError, match=f"consumer 0 of ring '{name}' is held by process {holder.pid}"):
            SpscRing.attach(name)
        with pytest.raises(RingBusyError, match="in use"):
            SpscRing.create(name, Proof, 4)
        out.push(Proof.of(0))
        holder.kill()
        with SpscRing.attach(name) as into:
            assert into.pop() == Proof.of(0)


def test_a_forked_child_cannot_touch_its_parents_end(name: str) -> None:
    report_in, report_out = os.pipe()
    with SpscRing.create(name, Proof, 4) as out, SpscRing.attach(name) as into:
        out.push(Proof.of(0))

        def misuse() -> None:
            lines = []
            for call in (
                lambda: out.try_push(Proof.of(1)),
                lambda: out.push(Proof.of(1)),
                lambda: out.push_many(proofs(1, 1)),
                lambda: out.claim(1).__enter__(),
                into.try_pop,
                into.pop,
                into.pop_many,
                lambda: into.peek(1).__enter__(),
            ):
                try:
                    call()
                    lines.append("nothing was raised")
                except ConfigError as refusal:
                    lines.append(str(refusal))
            out.close(), into.close()
            try:
                SpscRing.attach(name)
            except RingBusyError as refusal:
                lines.append(str(refusal))
            os.write(report_out, "\n".join(lines).encode())

        with forked(misuse) as pid:
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        os.close(report_out)
        with open(report_in) as report:
            *refusals, busy = report.read().split("\n")
        text = f"ring '{name}' was opened before this process was forked off; attach to it here"
        assert refusals == [text] * 8
        assert f"consumer 0 of ring '{name}' is held by process {os.getpid()}" in busy
        assert (out.peer_state, into.peer_state, out.was_size) == ("alive", "alive", 1)
        assert into.pop() == Proof.of(0)


EXITS = """
import sys, threading
import numpy as np
from fastmas.ring import SpscRing
how = sys.argv[2]
ring = SpscRing.create(sys.argv[1], np.int64, 2) if how != "attached" else SpscRing.attach(sys.argv[1])
loop = [ring]
loop.append(loop)
if how == "waiting":
    ring.push_many(np.arange(2))
    entered = threading.Event()
    threading.Thread(target=lambda: (entered.set(), ring.push(np.int64(2))), daemon=True).start()
    entered.wait()
if how == "raising":
    raise SystemExit(3)
"""


@pytest.mark.parametrize("how", ["quiet", "waiting", "raising"])
def test_an_interpreter_that_exits_leaves_nothing(name: str, how: str) -> None:
    with Script(EXITS, name, how) as script:
        assert script.end() == ("", 3 if how == "raising" else 0)
    assert files_of(name) == []


def test_an_interpreter_that_exits_has_left_and_not_died(name: str) -> None:
    with SpscRing.create(name, np.int64, 2) as out:
        with Script(EXITS, name, "attached") as script:
            assert script.end() == ("", 0)
        assert out.peer_state == "left"


def test_proofs_prove_themselves() -> None:
    assert bytes(Proof.of(5)) == proofs(5, 1).tobytes()
    assert mixed(1) != mixed(2)
