"""The checker of histories: known good ones, known bad ones, and every small one against trying all orders."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from counting import Count
from hypothesis import given, settings
from hypothesis import strategies as st

from fastmas.consensus import Entry
from fastmas.errors import ConfigError, DeadlineError
from fastmas.testing import Operation, check_linearizable


class Register:
    """One value: b"w3" writes 3 and answers nothing, b"r" reads; b"c12" writes 2 if it is 1, and is rejected if not."""

    def __init__(self) -> None:
        self.value = b"0"

    def apply(self, entry: Entry) -> bytes | None:
        verb, rest = entry.command[:1], entry.command[1:]
        if verb == b"w":
            self.value = rest
            return None
        if verb == b"r":
            return self.value
        if self.value != rest[:1]:
            raise ValueError("another value")
        self.value = rest[1:]
        return b"ok"

    def query(self, question: bytes) -> bytes:
        return self.value

    def snapshot(self) -> bytes:
        return self.value

    def restore(self, data: bytes) -> None:
        self.value = data


def write(value: int, call: int, end: int | None) -> Operation:
    return Operation(b"w%d" % value, call, end)


def read(value: int, call: int, end: int | None) -> Operation:
    return Operation(b"", call, end, b"%d" % value, is_read=True)


def swap(old: int, new: int, call: int, end: int | None, done: bool = True) -> Operation:
    return Operation(b"c%d%d" % (old, new), call, end, b"ok" if done else None, was_rejected=not done)


GOOD = {
    "nothing": [],
    "one after the other": [write(1, 0, 1), read(1, 2, 3), write(2, 4, 5), read(2, 6, 7)],
    "a read during a write sees the old value": [write(1, 0, 10), read(0, 2, 3)],
    "a read during a write sees the new value": [write(1, 0, 10), read(1, 2, 3)],
    "old, then new, during one write": [write(1, 0, 10), read(0, 1, 2), read(1, 3, 4)],
    "two writes at once, seen in either order": [write(1, 0, 10), write(2, 0, 10), read(2, 11, 12)],
    "no answer, and it took effect later": [write(1, 0, None), read(0, 5, 6), read(1, 7, 8)],
    "two at once, and the second one first": [write(1, 0, 10), write(2, 0, 10), read(1, 20, 21)],
    "two without an answer, the second one first": [write(1, 0, None), write(2, 0, None), read(2, 5, 6), read(1, 7, 8)],
    "two alike without an answer, and both took effect": [
        write(1, 0, None),
        write(1, 1, None),
        read(1, 5, 6),
        write(2, 7, 8),
        read(1, 9, 10),
    ],
    "no answer, and it never took effect": [write(1, 0, None), read(0, 5, 6), read(0, 70, 80)],
    "touching in time is at once": [write(1, 0, 5), read(0, 5, 6)],
    "one of two swaps wins": [swap(0, 1, 0, 9), swap(0, 2, 0, 9, done=False), read(1, 10, 11)],
    "a swap without an answer explains a rejection": [swap(0, 1, 0, None), swap(0, 2, 5, 9, done=False)],
}
BAD = {
    "a stale read": [write(1, 0, 1), read(0, 2, 3)],
    "a value nobody wrote": [write(1, 0, 1), read(2, 0, 3)],
    "new, then old, during one write": [write(1, 0, 10), read(1, 1, 2), read(0, 3, 4)],
    "two readers disagree on the order": [
        write(1, 0, 20), write(2, 0, 20), read(1, 1, 2), read(2, 3, 4), read(1, 5, 6),
    ],
    "no answer, took effect, and was undone": [write(1, 0, None), read(1, 5, 6), read(0, 7, 8)],
    "both swaps win": [swap(0, 1, 0, 9), swap(0, 2, 0, 9)],
    "a swap is rejected without a reason": [swap(0, 2, 0, 9, done=False)],
    "a request takes effect twice": [swap(0, 1, 0, 1), swap(1, 0, 2, 3), read(1, 4, 5)],
    "read from the future": [read(1, 0, 1), write(1, 2, 3)],
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_known_good_histories(name: str) -> None:
    verdict = check_linearizable(GOOD[name], Register)
    assert verdict, str(verdict)
    answered = [operation for operation in GOOD[name] if operation.return_ns is not None]
    assert set(answered) <= set(verdict.order)
    assert is_legal(verdict.order)


@pytest.mark.parametrize("name", BAD)
def test_known_bad_histories(name: str) -> None:
    verdict = check_linearizable(BAD[name], Register)
    assert not verdict
    assert verdict.stuck
    assert "none of these can come next" in str(verdict)


def is_legal(order: tuple[Operation, ...]) -> bool:
    """The order respects time and a machine gives these answers in it."""
    for first, second in itertools.combinations(order, 2):
        if second.return_ns is not None and second.return_ns < first.call_ns:
            return False
    machine = Register()
    for operation in order:
        try:
            if operation.is_read:
                answer: bytes | None = machine.query(operation.request)
            else:
                answer = machine.apply(Entry(1, 0, operation.request)) or b""
        except ValueError:
            answer = None
        if operation.return_ns is None:
            continue
        expected = None if operation.was_rejected else operation.reply or b""
        if answer != expected:
            return False
    return True


def by_trying_all_orders(history: list[Operation]) -> bool:
    answered = [operation for operation in history if operation.return_ns is not None]
    silent = [operation for operation in history if operation.return_ns is None]
    for count in range(len(silent) + 1):
        for some in itertools.combinations(silent, count):
            if any(is_legal(order) for order in itertools.permutations([*answered, *some])):
                return True
    return False


times = st.integers(0, 8)


@st.composite
def operations(draw: st.DrawFn) -> Operation:
    call = draw(times)
    end = draw(st.one_of(st.none(), st.integers(call, 9)))
    kind = draw(st.sampled_from("wrc"))
    a, b = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    if kind == "w":
        return write(a, call, end)
    if kind == "r":
        return read(a, call, end)
    return swap(a, b, call, end, done=draw(st.booleans()))


@settings(max_examples=1_000, deadline=None, derandomize=True)
@given(st.lists(operations(), max_size=5))
def test_small_histories_agree_with_trying_all_orders(history: list[Operation]) -> None:
    verdict = check_linearizable(history, Register)
    assert bool(verdict) == by_trying_all_orders(history)
    if verdict:
        assert is_legal(verdict.order)


def test_unanswered_requests_that_are_alike_are_tried_in_one_order() -> None:
    # 30 of which any 15 took effect: 155 million choices, were they told apart
    history = [Operation(b"more", at, client=at) for at in range(30)]
    history += [Operation(b"more", 100 + 10 * at, 105 + 10 * at, b"%d" % (16 + at)) for at in range(20)]
    verdict = check_linearizable(history, Count)
    assert verdict, str(verdict)
    assert [operation.client for operation in verdict.order[:15]] == list(range(15))
    assert verdict.steps < 1_000
    history[-1] = Operation(b"more", 290, 295, b"99")
    assert not check_linearizable(history, Count)


def test_unanswered_reads_are_left_out() -> None:
    history = [Operation(b"", at, is_read=True) for at in range(500)]
    verdict = check_linearizable([*history, Operation(b"more", 900, 901, b"1")], Count)
    assert verdict
    assert len(verdict.order) == 1


class Keys:
    """Registers by name: b"a=3" writes, b"a" reads."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def apply(self, entry: Entry) -> bytes | None:
        key, _, value = entry.command.decode().partition("=")
        self.values[key] = value
        return None

    def query(self, question: bytes) -> bytes:
        return self.values.get(question.decode(), "").encode()

    def snapshot(self) -> bytes:
        return ";".join(f"{key}={value}" for key, value in sorted(self.values.items())).encode()

    def restore(self, data: bytes) -> None:
        self.values = dict(part.split("=") for part in data.decode().split(";") if part)


def test_independent_keys_are_checked_apart() -> None:
    history = []
    for key in "abcdefgh":
        for number in range(40):
            at = number * 10
            history.append(Operation(f"{key}={number}".encode(), at, at + 30))
            history.append(Operation(key.encode(), at + 25, at + 28, str(number).encode(), is_read=True))
    verdict = check_linearizable(history, Keys, partition=lambda operation: operation.request[:1])
    assert verdict, str(verdict)
    assert len(verdict.order) == len(history)
    stale = Operation(b"c", 1_000, 1_001, b"3", is_read=True)
    verdict = check_linearizable([*history, stale], Keys, partition=lambda operation: operation.request[:1])
    assert not verdict
    assert stale in verdict.stuck


def test_a_search_that_takes_too_long_says_so() -> None:
    history = [write(n % 3, 0, 100) for n in range(14)] + [read(7, 0, 100)]
    with pytest.raises(DeadlineError, match="no verdict after max_steps=500 requests tried; give partition="):
        check_linearizable(history, Register, max_steps=500)


def test_the_memory_of_configurations_keeps_equal_writes_cheap() -> None:
    history = [write(n % 2, 0, 100) for n in range(14)] + [read(7, 0, 100)]
    # 15! orders; of configurations there are no more than subsets times values
    assert not check_linearizable(history, Register, max_steps=2**15 * 2 * 16)


def test_wrong_use_is_refused() -> None:
    class Bare:
        def apply(self, entry: Entry) -> bytes | None:
            return None

    class Blind(Bare):
        def snapshot(self) -> bytes:
            return b""

        def restore(self, data: bytes) -> None:
            pass

    machine: Any = Bare
    with pytest.raises(ConfigError, match="needs apply, snapshot and restore, got Bare without snapshot; add it"):
        check_linearizable([], machine)
    with pytest.raises(ConfigError, match=r"the state machine has no query\(request\); add it"):
        check_linearizable([read(0, 0, 1)], Blind)
    with pytest.raises(ConfigError, match="max_steps must be at least 1, got 0"):
        check_linearizable([], Register, max_steps=0)
    with pytest.raises(ConfigError, match="got call_ns=5, return_ns=4; take both from one clock"):
        write(1, 5, 4)
