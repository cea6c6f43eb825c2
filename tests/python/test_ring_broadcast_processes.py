"""Broadcast rings between real processes: every policy, deaths of either side at any moment, stops, forks."""

from __future__ import annotations

import gc
import mmap
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from ring_processes import PATIENCE_S, Proof, Script, files_of, forked, kill, kill_rounds, new_name, proofs

from fastmas.errors import ConfigError, DeadlineError, EvictedError, PeerDeadError
from fastmas.ring import BroadcastRing

TOLD_WITHIN_S = 1.0  # what is promised


@pytest.fixture
def name() -> Iterator[str]:
    name = new_name()
    yield name
    gc.collect()
    assert files_of(name) == []


READER = """
import sys
import numpy as np
from ring_processes import PATIENCE_S, Proof, proofs
from fastmas.errors import EvictedError
from fastmas.ring import BroadcastRing
name, who, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
ring = BroadcastRing.attach(name)
me = ring.subscribe(who)
assert me.joined_at == 0
print("ready", flush=True)
evictions = 0
while me.joined_at + me.received + me.lost < count:
    try:
        batch = me.poll(timeout_s=PATIENCE_S)
    except EvictedError:
        evictions += 1
        me.close()
        me = ring.subscribe(who)
        continue
    first = me.joined_at + me.received + me.lost - len(batch)
    np.testing.assert_array_equal(batch, proofs(first, len(batch)))
print(me.received, me.lost, evictions, flush=True)
"""


@pytest.mark.parametrize("policy", ["refuse", "drop_newest", "overwrite_oldest", "evict"])
def test_three_processes_read_what_one_publishes(name: str, policy: Any) -> None:
    count = 20_000
    with BroadcastRing.create(name, Proof, 256, overflow=policy) as feed:
        readers = [Script(READER, name, f"reader {i}", str(count)) for i in range(3)]
        try:
            for reader in readers:
                assert reader.line() == "ready"
            sent = 0
            while sent < count:
                want = min(64, count - sent)
                sent += feed.publish_many(proofs(sent, want), timeout_s=PATIENCE_S if policy == "refuse" else 0)
            ends = []
            for reader in readers:
                # Who was put out and joined after the last record waits for one more.
                while policy == "evict" and reader.process.poll() is None:
                    feed.try_publish(Proof.of(feed.published))
                ends.append(reader.end())
            assert [code for _, code in ends] == [0, 0, 0]
            told = [[int(number) for number in text.split()] for text, _ in ends]
        finally:
            for reader in readers:
                reader.__exit__()
        if policy != "evict":
            assert [received + lost for received, lost, _ in told] == [count] * 3
        if policy != "overwrite_oldest":
            assert [lost for _, lost, _ in told] == [0] * 3
        # Each may be put out once more between its last record and its exit.
        known = sum(evictions for _, _, evictions in told)
        assert known <= feed.evicted <= known + (len(readers) if policy == "evict" else 0)
        assert feed.subscribers == {}


# ---- death of a subscriber

SLEEPER = """
import sys, signal
from ring_processes import Proof
from fastmas.ring import BroadcastRing
name, who, required = sys.argv[1:]
ring = BroadcastRing.attach(name)
me = ring.subscribe(who, required=required == "yes")
print("ready", me.resumed, me.received, flush=True)
for line in sys.stdin:
    print(*(record.sequence for record in (me.pop(timeout_s=60.0) for _ in range(int(line)))), flush=True)
"""


def publish_all(feed: BroadcastRing) -> None:
    """Until the ring is full: somebody reads it, and so far not all."""
    for _ in range(feed.capacity + 1):
        if not feed.try_publish(Proof.of(feed.published)):
            return
    raise AssertionError("a ring took more than it holds: nobody is waited for")


Publish = Callable[[BroadcastRing], None]


def by_publish(feed: BroadcastRing) -> None:
    feed.publish(Proof.of(feed.published), timeout_s=PATIENCE_S)


def by_try_publish(feed: BroadcastRing) -> None:
    until = time.monotonic() + PATIENCE_S
    while not feed.try_publish(Proof.of(feed.published)):
        assert time.monotonic() < until


def by_publish_many(feed: BroadcastRing) -> None:
    until = time.monotonic() + PATIENCE_S
    while feed.publish_many(proofs(feed.published, 1)) == 0:
        assert time.monotonic() < until


VERBS = [by_publish, by_try_publish, by_publish_many]


def seconds_until_put_out(name: str, verb: Publish) -> float:
    with BroadcastRing.create(name, Proof, 4) as feed, Script(SLEEPER, name, "risk", "no") as sleeper:
        assert sleeper.line() == "ready False 0"
        publish_all(feed)
        assert feed.subscribers == {"risk": 4}
        sleeper.kill()
        began = time.monotonic()
        verb(feed)
        took = time.monotonic() - began
        assert (feed.evicted, feed.subscribers, feed.published) == (1, {}, 5)
        with Script(SLEEPER, name, "risk", "no") as again:  # too late to go on
            assert again.line() == "ready False 0"
    return took


@pytest.mark.parametrize("verb", VERBS)
def test_a_dead_subscriber_is_put_out_and_counted(name: str, verb: Publish) -> None:
    seconds_until_put_out(name, verb)


def seconds_until_named(name: str, verb: Publish) -> float:
    """The longer of two calls, the ring being full of what a required subscriber has not read."""
    took = 0.0
    with BroadcastRing.create(name, Proof, 4) as feed:
        with Script(SLEEPER, name, "audit", "yes") as sleeper:
            assert sleeper.line() == "ready False 0"
            publish_all(feed)
            sleeper.say("3")
            assert sleeper.line() == "0 1 2"
            publish_all(feed)
            sleeper.kill()
        text = (
            rf"^subscriber 'audit' of ring '{name}' died: process {sleeper.pid} ended without closing it, and it is "
            r"required; start it again under its name, and it goes on where it stopped$"
        )
        for _ in range(2):
            began = time.monotonic()
            with pytest.raises(PeerDeadError, match=text):
                verb(feed)
            took = max(took, time.monotonic() - began)
        assert (feed.evicted, feed.subscribers, feed.published) == (0, {"audit": 4}, 7)
        with Script(SLEEPER, name, "audit", "yes") as again:
            assert again.line() == "ready True 3"
            again.say("2")
            assert again.line() == "3 4"
            verb(feed)
            again.say("3")
            assert again.line() == "5 6 7"
    return took


@pytest.mark.parametrize("verb", VERBS)
def test_a_required_subscriber_that_died_is_named_and_waited_for(name: str, verb: Publish) -> None:
    seconds_until_named(name, verb)


@pytest.mark.measures
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("seconds", [seconds_until_put_out, seconds_until_named])
def test_a_dead_subscriber_is_noticed_within_a_second(name: str, seconds: Any, verb: Publish) -> None:
    assert seconds(name, verb) < TOLD_WITHIN_S


def test_who_comes_back_in_time_goes_on_where_it_was(name: str) -> None:
    with BroadcastRing.create(name, Proof, 8) as feed:
        with Script(SLEEPER, name, "risk", "no") as sleeper:
            assert sleeper.line() == "ready False 0"
            feed.publish_many(proofs(0, 5))
            sleeper.say("2")
            assert sleeper.line() == "0 1"
            sleeper.kill()
        with Script(SLEEPER, name, "risk", "no") as again:
            assert again.line() == "ready True 2"
            again.say("3")
            assert again.line() == "2 3 4"
        assert feed.evicted == 0


def test_a_dead_subscriber_does_not_make_a_ring_drop_for_ever(name: str) -> None:
    with BroadcastRing.create(name, Proof, 4, overflow="drop_newest") as feed:
        with Script(SLEEPER, name, "risk", "no") as sleeper:
            assert sleeper.line() == "ready False 0"
            assert feed.publish_many(proofs(0, 6)) == 4
            sleeper.kill()
        by_try_publish(feed)
        assert (feed.evicted, feed.published) == (1, 5)
        assert feed.dropped >= 2


def test_places_that_the_dead_hold_are_found_when_there_are_no_others(name: str) -> None:
    def take_all() -> None:
        ring = BroadcastRing.attach(name)
        held = [ring.subscribe(f"s{i}") for i in range(64)]
        os.kill(os.getpid(), signal.SIGKILL)
        del held

    with BroadcastRing.create(name, Proof, 4, overflow="overwrite_oldest") as feed:
        with forked(take_all) as child:
            os.waitpid(child, 0)
        assert len(feed.subscribers) == 64
        with feed.subscribe("alive") as alive:
            feed.publish(Proof.of(0))
            assert alive.pop() == Proof.of(0)
        assert feed.evicted == 64


# ---- death of the producer

PUBLISHER = """
import sys
from ring_processes import Proof, proofs
from fastmas.ring import BroadcastRing
name, = sys.argv[1:]
feed = BroadcastRing.attach(name, role="producer")
print("ready", feed.published, flush=True)
for line in sys.stdin:
    print(feed.publish_many(proofs(feed.published, int(line))), flush=True)
"""


def seconds_until_told(name: str) -> float:
    """The longest of four ways to read."""
    longest = 0.0
    with BroadcastRing.create(name, Proof, 8, role="observer") as ring, ring.subscribe("risk") as risk:
        assert (ring.peer_state, risk.peer_state) == ("absent", "absent")
        with pytest.raises(DeadlineError):
            risk.pop(timeout_s=0.01)
        sequence = 0
        reads: list[Callable[[], Any]] = [
            lambda: risk.pop(timeout_s=PATIENCE_S),
            risk.try_pop,
            lambda: risk.poll(max_records=1),
            lambda: risk.poll(max_records=1, timeout_s=PATIENCE_S),
        ]
        for read in reads:
            with Script(PUBLISHER, name) as publisher:
                assert publisher.line() == f"ready {sequence}"
                publisher.say("3")
                assert (publisher.line(), risk.peer_state) == ("3", "alive")
                publisher.kill()
            assert (risk.peer_state, risk.peer_alive) == ("dead", False)
            np.testing.assert_array_equal(risk.poll(max_records=2), proofs(sequence, 2))
            got = read()
            assert bytes(got) == bytes(Proof.of(sequence + 2))
            sequence += 3
            text = (
                rf"^the producer of ring '{name}' died: process {publisher.pid} ended without closing it; start another"
            )
            began = time.monotonic()
            with pytest.raises(PeerDeadError, match=text):
                while time.monotonic() < began + PATIENCE_S:
                    read()
            longest = max(longest, time.monotonic() - began)
        assert (risk.received, risk.lost) == (12, 0)
    return longest


def test_a_dead_producer_is_told_after_what_it_published(name: str) -> None:
    seconds_until_told(name)


@pytest.mark.measures
def test_a_dead_producer_is_told_within_a_second(name: str) -> None:
    assert seconds_until_told(name) < TOLD_WITHIN_S


def test_what_the_dead_published_while_a_reader_waits_comes_first(name: str) -> None:
    """Published and died between the reader's last look and its question: a signal is handled just there."""
    asleep = False
    with (
        BroadcastRing.create(name, Proof, 8, role="observer", wait="block") as ring,
        ring.subscribe("risk") as risk,
        Script(PUBLISHER, name) as publisher,
    ):
        assert publisher.line() == "ready 0"

        def publish_and_die(*_: object) -> None:
            if asleep:
                signal.setitimer(signal.ITIMER_REAL, 0)
                publisher.say("1")
                assert publisher.line() == "1"
                publisher.kill()

        before = signal.signal(signal.SIGALRM, publish_and_die)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
            asleep = True
            assert risk.pop(timeout_s=PATIENCE_S) == Proof.of(0)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        with pytest.raises(PeerDeadError):
            risk.pop(timeout_s=PATIENCE_S)


def test_who_was_put_out_by_one_that_died_hears_that_first(name: str) -> None:
    """The last look comes before the word of a death: here what it finds is that there is nothing to wait for."""
    with (
        BroadcastRing.create(name, Proof, 8, role="observer", overflow="evict") as ring,
        ring.subscribe("risk") as risk,
        Script(PUBLISHER, name) as publisher,
    ):
        assert publisher.line() == "ready 0"
        publisher.say("20")
        assert publisher.line() == "20"
        publisher.kill()
        for read in (risk.try_pop, risk.poll, lambda: risk.pop(timeout_s=PATIENCE_S)):
            with pytest.raises(EvictedError):
                read()


def test_a_producer_that_left_is_waited_for(name: str) -> None:
    with BroadcastRing.create(name, Proof, 8) as feed:
        ring = BroadcastRing.attach(name)
        risk = ring.subscribe("risk")
        feed.publish(Proof.of(0))
    assert (risk.pop(), risk.peer_state) == (Proof.of(0), "left")
    with pytest.raises(DeadlineError):
        risk.pop(timeout_s=0.2)
    with BroadcastRing.attach(name, role="producer") as feed:
        feed.publish(Proof.of(1))
        assert risk.pop() == Proof.of(1)
    ring.close()


# ---- a stopped process is not a dead one


def test_a_stopped_subscriber_is_waited_for(name: str) -> None:
    with BroadcastRing.create(name, Proof, 4) as feed, Script(SLEEPER, name, "risk", "no") as sleeper:
        assert sleeper.line() == "ready False 0"
        publish_all(feed)
        os.kill(sleeper.pid, signal.SIGSTOP)
        with pytest.raises(DeadlineError, match="'risk' is 4 records behind"):
            feed.publish(Proof.of(4), timeout_s=1.2)
        assert (feed.evicted, feed.subscribers) == (0, {"risk": 4})
        os.kill(sleeper.pid, signal.SIGCONT)
        sleeper.say("5")
        feed.publish(Proof.of(4), timeout_s=PATIENCE_S)
        assert sleeper.line() == "0 1 2 3 4"


def test_a_stopped_producer_is_waited_for(name: str) -> None:
    with (
        BroadcastRing.create(name, Proof, 4, role="observer") as ring,
        ring.subscribe("risk") as risk,
        Script(PUBLISHER, name) as publisher,
    ):
        assert publisher.line() == "ready 0"
        os.kill(publisher.pid, signal.SIGSTOP)
        with pytest.raises(DeadlineError):
            risk.pop(timeout_s=1.2)
        assert risk.peer_state == "alive"
        publisher.say("1")
        os.kill(publisher.pid, signal.SIGCONT)
        assert risk.pop(timeout_s=PATIENCE_S) == Proof.of(0)


# ---- forks


def test_a_forked_child_holds_nothing(name: str) -> None:
    with BroadcastRing.create(name, Proof, 4) as feed:
        held = [feed.subscribe("risk")]  # the only reference
        there, here = os.pipe()

        def child() -> None:
            text = "was opened before this process was forked off; attach to it here"
            for call in (held[0].pop, held[0].try_pop, lambda: feed.try_publish(Proof.of(9))):
                with pytest.raises(ConfigError, match=text):
                    call()
            del call
            held[0].close()
            held.clear()
            gc.collect()
            os.write(here, b"done")
            signal.pause()

        with forked(child):
            assert os.read(there, 4) == b"done"
            publish_all(feed)
            assert feed.subscribers == {"risk": 4}
            np.testing.assert_array_equal(held[0].poll(), proofs(0, 4))
        os.close(there)
        os.close(here)


# ---- killed at any moment


@pytest.mark.parametrize("policy", ["refuse", "overwrite_oldest"])
def test_subscribers_killed_at_any_moment(name: str, policy: Any) -> None:
    """What a reader got is noted when the call has returned; its heir goes on after that, and counts its losses."""
    rounds, dice = kill_rounds(60), random.Random(7)
    log = np.frombuffer(mmap.mmap(-1, 4096), np.int64)  # next sequence, received, mistakes, readers that were there
    with BroadcastRing.create(name, Proof, 16, overflow=policy) as feed:

        def read() -> None:
            risk = BroadcastRing.attach(name).subscribe("risk", required=policy == "refuse")
            begins = risk.joined_at + risk.received + risk.lost
            if risk.resumed and (risk.received - log[1] not in range(9) or begins < log[0]):
                log[2] += 1
            log[0], log[1] = begins, risk.received  # before it polls: it may be killed before it can note anything else
            log[3] += 1
            while True:
                batch = risk.poll(max_records=8, timeout_s=PATIENCE_S)
                after = risk.joined_at + risk.received + risk.lost
                first = after - len(batch)
                if first < log[0] or batch.tobytes() != proofs(first, len(batch)).tobytes():
                    log[2] += 1
                log[0], log[1] = after, risk.received

        for number in range(rounds):
            with forked(read) as child:
                until = time.monotonic() + dice.random() * 0.02
                while log[3] == number or time.monotonic() < until:
                    with suppress(PeerDeadError):  # until it is back
                        feed.publish_many(proofs(feed.published, dice.randrange(1, 9)))
                kill(child)
            assert log[2] == 0
        assert log[0] > 0
        assert feed.evicted == 0


def test_producers_killed_at_any_moment(name: str) -> None:
    rounds, dice = kill_rounds(60), random.Random(8)
    with BroadcastRing.create(name, Proof, 16, role="observer") as ring, ring.subscribe("risk") as risk:

        def write() -> None:
            feed = BroadcastRing.attach(name, role="producer")
            while True:
                feed.publish_many(proofs(feed.published, 1 + feed.published % 7), timeout_s=PATIENCE_S)

        expected = 0
        for _ in range(rounds):
            with forked(write) as child:
                until = time.monotonic() + dice.random() * 0.02
                began = expected
                while expected == began or time.monotonic() < until:
                    with suppress(PeerDeadError):  # until the next one is there
                        batch = risk.poll(timeout_s=PATIENCE_S)
                        np.testing.assert_array_equal(batch, proofs(expected, len(batch)))
                        expected += len(batch)
                kill(child)
            while risk.lag > 0:
                batch = risk.poll()
                np.testing.assert_array_equal(batch, proofs(expected, len(batch)))
                expected += len(batch)
        assert expected == ring.published == risk.received
