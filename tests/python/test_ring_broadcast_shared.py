"""Broadcast rings in shared memory and their overflow policies, all ends in this process."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from ring_processes import PATIENCE_S, Proof, files_of, new_name, proofs

from fastmas.errors import ConfigError, DeadlineError, EvictedError, RingBusyError, RingGoneError
from fastmas.ring import BroadcastRing, SpscRing

POLICIES = ["refuse", "drop_newest", "overwrite_oldest", "evict"]


@pytest.fixture
def name() -> Iterator[str]:
    name = new_name()
    yield name
    gc.collect()
    assert files_of(name) == []


def of(policy: Any, shared: str | None, dtype: Any = np.int64, capacity: int = 4, **more: Any) -> BroadcastRing:
    if shared is None:
        return BroadcastRing(dtype, capacity, overflow=policy, **more)
    return BroadcastRing.create(shared, dtype, capacity, overflow=policy, **more)


@pytest.fixture(params=["in process", "shared"])
def shared(request: pytest.FixtureRequest, name: str) -> str | None:
    """The name of the ring, or None for one of this process."""
    return name if request.param == "shared" else None


# ---- policies


@pytest.mark.parametrize("policy", POLICIES)
def test_who_keeps_up_gets_everything(shared: str | None, policy: Any) -> None:
    with of(policy, shared, Proof, 8) as feed:
        one, two = feed.subscribe("one"), feed.subscribe("two")
        for lap in range(0, 40, 4):
            feed.publish(Proof.of(lap))
            assert feed.try_publish(Proof.of(lap + 1))
            assert feed.publish_many(proofs(lap + 2, 2)) == 2
            assert (one.lag, feed.subscribers) == (4, {"one": 4, "two": 4})
            assert [one.pop(), one.try_pop()] == [Proof.of(lap), Proof.of(lap + 1)]
            np.testing.assert_array_equal(one.poll(), proofs(lap + 2, 2))
            np.testing.assert_array_equal(two.poll(), proofs(lap, 4))
        assert one.try_pop() is None
        assert (feed.published, feed.dropped, feed.evicted, feed.overflow) == (40, 0, 0, policy)
        assert (one.received, one.lost, one.joined_at, one.lag, one.evicted) == (40, 0, 0, 0, False)
        one.close()
        two.close()


def test_a_ring_that_refuses_says_who_is_in_the_way(shared: str | None) -> None:
    with of("refuse", shared) as feed:
        slow, fast = feed.subscribe("slow"), feed.subscribe("fast")
        assert feed.publish_many(np.arange(6)) == 4
        assert len(fast.poll()) == 4
        assert not feed.try_publish(np.int64(4))
        text = r"^the ring stayed full for 0.01 s: subscriber 'slow' is 4 records behind; poll it, close it, or give"
        with pytest.raises(DeadlineError, match=text):
            feed.publish(np.int64(4), timeout_s=0.01)
        assert feed.dropped == 0
        slow.close()
        feed.publish(np.int64(4))
        assert fast.pop() == 4


def test_what_does_not_fit_is_dropped_and_counted(shared: str | None) -> None:
    with of("drop_newest", shared) as feed:
        slow = feed.subscribe("slow")
        assert feed.publish_many(np.arange(6)) == 4
        assert feed.dropped == 2
        feed.publish(np.int64(6))  # does not wait
        assert not feed.try_publish(np.int64(7))
        assert (feed.dropped, feed.published) == (4, 4)
        np.testing.assert_array_equal(slow.poll(), [0, 1, 2, 3])
        feed.publish(np.int64(8))
        assert (slow.pop(), slow.received, feed.dropped) == (8, 5, 4)


def test_the_oldest_is_overwritten_and_each_reader_knows_its_loss(shared: str | None) -> None:
    with of("overwrite_oldest", shared) as feed:
        slow, fast = feed.subscribe("slow"), feed.subscribe("fast")
        for sequence in range(3):
            feed.publish(np.int64(sequence))
        np.testing.assert_array_equal(fast.poll(), [0, 1, 2])
        assert feed.publish_many(np.arange(3, 9)) == 6
        assert (slow.lag, slow.lost) == (9, 0)  # not noticed yet
        assert slow.pop() == 5
        assert (slow.lost, slow.received) == (5, 1)
        np.testing.assert_array_equal(slow.poll(max_records=2), [6, 7])
        np.testing.assert_array_equal(fast.poll(), [5, 6, 7, 8])
        assert (fast.lost, fast.received) == (2, 7)
        assert (slow.pop(), slow.try_pop(), slow.received + slow.lost) == (8, None, 9)
        assert feed.dropped == feed.evicted == 0


def test_who_lags_too_far_is_put_out(shared: str | None) -> None:
    with of("evict", shared, capacity=8, max_lag_records=3) as feed:
        assert feed.max_lag_records == 3
        slow, fast = feed.subscribe("slow"), feed.subscribe("fast")
        assert feed.publish_many(np.arange(3)) == 3
        assert (slow.evicted, slow.pop(), len(fast.poll())) == (False, 0, 3)
        feed.publish(np.int64(3))
        assert (feed.evicted, feed.subscribers) == (0, {"slow": 3, "fast": 1})
        feed.publish(np.int64(4))
        assert (feed.evicted, slow.evicted, feed.subscribers) == (1, True, {"fast": 2})
        assert repr(slow) == "<Subscriber 'slow', put out>"
        called = "ring '" + shared + "'" if shared else "the ring"
        text = f"^subscriber 'slow' was put out of {called}: it fell more than max_lag_records=3 behind; close it and"
        for read in (lambda: slow.pop(timeout_s=1), slow.try_pop, slow.poll):
            with pytest.raises(EvictedError, match=text):
                read()
        assert (slow.received, slow.lost) == (1, 0)
        np.testing.assert_array_equal(fast.poll(), [3, 4])
        slow.close()
        again = feed.subscribe("slow")
        feed.publish(np.int64(5))
        assert (again.pop(), again.joined_at, again.resumed, feed.evicted) == (5, 5, False, 1)


def test_a_subscriber_that_waits_and_is_put_out(shared: str | None) -> None:
    """Two batches at once, each as long as it may lag, come between two of its looks: it must hear of that."""
    with of("evict", shared, capacity=8, max_lag_records=4) as feed:
        slow = feed.subscribe("slow")
        seen: list[object] = []

        def wait() -> None:
            try:
                while True:
                    seen.append(slow.pop(timeout_s=PATIENCE_S))
            except EvictedError as error:
                seen.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        while not slow.evicted:
            feed.publish_many(np.arange(8))
        thread.join()
        assert isinstance(seen[-1], EvictedError)


@pytest.mark.parametrize("policy", ["overwrite_oldest", "evict"])
def test_a_record_of_any_size_survives_copying_by_words(shared: str | None, policy: Any) -> None:
    for size in (1, 7, 8, 9, 40, 129):
        dtype = np.dtype(f"V{size}")
        with of(policy, shared, dtype, 2) as feed:
            subscriber = feed.subscribe("one")
            record = bytes(range(size))
            feed.publish(record)
            assert bytes(subscriber.pop()) == record
            feed.publish(record[::-1])
            assert subscriber.poll().tobytes() == record[::-1]
            subscriber.close()
        gc.collect()


# ---- what may be asked for


def test_options_that_make_no_sense() -> None:
    text = r"^overflow must be 'refuse', 'drop_newest', 'overwrite_oldest' or 'evict', got 'forget'$"
    with pytest.raises(ConfigError, match=text):
        BroadcastRing(np.int64, 4, overflow="forget")  # type: ignore[arg-type]
    text = r"^max_lag_records is for a ring whose overflow is 'evict', got 3; leave it out or take that overflow$"
    with pytest.raises(ConfigError, match=text):
        BroadcastRing(np.int64, 4, max_lag_records=3)
    for wrong in (5, 0, -2):
        text = rf"^max_lag_records must be 1 to the capacity of 4 records, got {wrong or -1}$"
        with pytest.raises(ConfigError, match=text):
            BroadcastRing(np.int64, 4, overflow="evict", max_lag_records=wrong)
    assert BroadcastRing(np.int64, 4, overflow="evict").max_lag_records == 4
    assert BroadcastRing(np.int64, 4).max_lag_records is None
    text = r"^role must be 'producer' or 'observer', got 'consumer'; an observer subscribes$"
    with pytest.raises(ConfigError, match=text):
        BroadcastRing.create("/never", np.int64, 4, role="consumer")  # type: ignore[arg-type]
    for policy in ("overwrite_oldest", "evict"):
        text = f"^required=True keeps records for a subscriber that died, which a ring with overflow='{policy}'"
        with pytest.raises(ConfigError, match=text):
            of(policy, None).subscribe("audit", required=True)


# ---- shared


def test_roles_and_names(name: str) -> None:
    with pytest.raises(RingGoneError, match=f"^there is no ring '{name}'"):
        BroadcastRing.attach(name)
    with BroadcastRing.create(name, Proof, 8) as feed:
        assert (feed.role, feed.name, feed.closed, feed.peer_state) == ("producer", name, False, "alive")
        assert repr(feed) == f"<BroadcastRing '{name}' of Proof, capacity 8, producer>"
        observer = BroadcastRing.attach(name)
        assert (observer.role, observer.record_type, observer.peer_alive) == ("observer", Proof, True)
        text = rf"^this end of ring '{name}' has no role and cannot push; use the other end, or attach with role="
        with pytest.raises(ConfigError, match=text):
            observer.try_publish(Proof.of(0))
        with pytest.raises(RingBusyError, match=rf"'{name}'"):
            BroadcastRing.attach(name, role="producer")
        with pytest.raises(RingBusyError, match=rf"^ring '{name}' is in use"):
            BroadcastRing.create(name, Proof, 8)
        with pytest.raises(ConfigError, match="spsc"):
            SpscRing.attach(name)
        with pytest.raises(ConfigError, match="float64"):
            BroadcastRing.attach(name, dtype=np.float64)
        with observer.subscribe("risk") as risk:
            with pytest.raises(RingBusyError, match="'risk'"):
                feed.subscribe("risk")
            feed.publish(Proof.of(0))
            assert (risk.pop(), risk.ring, risk.name) == (Proof.of(0), observer, "risk")
        with pytest.raises(ConfigError, match=r"^subscriber 'risk' is closed; subscribe again$"):
            risk.pop()
        with pytest.raises(ConfigError, match="47"):
            feed.subscribe("a" * 48)
    assert observer.peer_state == "left"
    with BroadcastRing.attach(name, role="producer") as heir:  # goes on after what was published
        late = observer.subscribe("late")
        heir.publish(Proof.of(1))
        assert (heir.published, late.pop(), late.joined_at) == (2, Proof.of(1), 1)
        observer.close()
        assert late.closed
        assert heir.subscribers == {}


def test_places_run_out_and_come_back(shared: str | None) -> None:
    with of("refuse", shared) as feed:
        everyone = [feed.subscribe(f"s{i}") for i in range(64)]
        error = RingBusyError if shared else ConfigError
        with pytest.raises(error, match="close one first"):
            feed.subscribe("one too many")
        everyone[17].close()
        assert feed.subscribe("again").joined_at == 0
        assert len(feed.subscribers) == 63  # `again` went at once


def test_closing_wakes_who_waits(shared: str | None) -> None:
    feed = of("refuse", shared, wait="block")
    subscriber = feed.subscribe("one")
    failed: list[BaseException] = []

    def wait() -> None:
        try:
            subscriber.pop(timeout_s=PATIENCE_S)
        except ConfigError as error:
            failed.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    feed.close()
    thread.join()
    assert [str(error) for error in failed] == ["subscriber 'one' is closed; subscribe again"]
    with pytest.raises(ConfigError, match="is closed; "):
        feed.try_publish(np.int64(1))
    with pytest.raises(ConfigError, match="is closed; "):
        feed.subscribe("two")
