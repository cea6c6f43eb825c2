"""Linearizability (Herlihy and Wing 1990): did every request take effect at one moment between its call and its return?

The search is that of Wing and Gong (1993) with Lowe's memory of configurations seen (2017): exponential at worst, fast
for the histories that occur. Histories of independent keys are checked apart (`partition`), which is what keeps long
ones cheap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from fastmas.consensus import Entry
from fastmas.errors import ConfigError, DeadlineError

__all__ = ["Operation", "Verdict", "check_linearizable"]


class _Machine(Protocol):
    """A state machine whose state can be taken and put back."""

    def apply(self, entry: Entry, /) -> bytes | None: ...
    def snapshot(self) -> bytes: ...
    def restore(self, data: bytes, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Operation:
    """One request of one client, as the client saw it.

    Parameters
    ----------
    request : bytes
        What was proposed, or asked with `is_read`.
    call_ns : int
        When the client sent it.
    return_ns : int, optional
        When the client had the answer, not before `call_ns`. None when it never came: the request may have taken effect
        at any moment since, or never.
    reply : bytes, optional
        The answer; None stands for an empty one, and is ignored without `return_ns`.
    client : int, default 0
        Who asked; for the text of a verdict only.
    is_read : bool, default False
        The request went to `query(request)`, which changes nothing, instead of `apply`.
    was_rejected : bool, default False
        The answer was an exception.

    Examples
    --------
    >>> Operation(b"+2", call_ns=10, return_ns=30, reply=b"2").reply
    b'2'
    """

    request: bytes
    call_ns: int
    return_ns: int | None = None
    reply: bytes | None = None
    client: int = 0
    is_read: bool = False
    was_rejected: bool = False

    def __post_init__(self) -> None:
        """Refuse an answer from before the question."""
        if self.return_ns is not None and self.return_ns < self.call_ns:
            raise ConfigError(
                f"an operation returns at or after its call, got call_ns={self.call_ns}, return_ns={self.return_ns}; "
                "take both from one clock"
            )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `check_linearizable` found.

    Attributes
    ----------
    is_linearizable : bool
        Whether there is an order that explains every answer.
    order : tuple of Operation
        Such an order, of all that was answered or took effect; without one, the longest that explains the beginning.
    stuck : tuple of Operation
        Without an order: what had returned by the time the longest one ended and fits nowhere after it.
    steps : int
        Requests tried.
    """

    is_linearizable: bool
    order: tuple[Operation, ...]
    stuck: tuple[Operation, ...]
    steps: int

    def __bool__(self) -> bool:
        """True when the history is linearizable."""
        return self.is_linearizable

    def __str__(self) -> str:
        """Say what was found, with the operations that nothing explains."""
        if self.is_linearizable:
            return f"linearizable: {len(self.order)} operations, {self.steps} steps"
        lines = [f"not linearizable: after {len(self.order)} operations in order, none of these can come next:"]
        lines += [f"  {_line(operation)}" for operation in self.stuck]
        lines += ["the last in order were:", *(f"  {_line(operation)}" for operation in self.order[-5:])]
        return "\n".join(lines)


def _line(operation: Operation) -> str:
    verb = "read" if operation.is_read else "apply"
    answer = "no answer" if operation.return_ns is None else repr(operation.reply or b"")
    if operation.was_rejected and operation.return_ns is not None:
        answer = "rejected"
    return (
        f"client {operation.client}: {verb} {operation.request!r} -> {answer} "
        f"[{operation.call_ns} .. {operation.return_ns if operation.return_ns is not None else ''}]"
    )


class _Event:
    """A call or a return, in a list that events can be taken out of and put back into."""

    __slots__ = ("after", "before", "is_call", "number", "partner")

    def __init__(self, number: int, is_call: bool) -> None:
        self.number = number
        self.is_call = is_call
        self.partner: _Event | None = None
        self.before: _Event | None = None
        self.after: _Event | None = None


def _link(operations: list[Operation]) -> _Event:
    """All calls and returns in the order of time behind a head; answers that never came stand last."""
    keyed: list[tuple[tuple[float, int, int], _Event]] = []
    for number, operation in enumerate(operations):
        call, end = _Event(number, True), _Event(number, False)
        call.partner = end
        keyed.append(((operation.call_ns, 0, number), call))
        returned = operation.return_ns
        # at equal times the call comes first: the two were concurrent
        keyed.append(((math.inf if returned is None else returned, 1, number), end))
    head = last = _Event(-1, False)
    for _, event in sorted(keyed, key=lambda pair: pair[0]):
        last.after, event.before = event, last
        last = event
    return head


def _take_out(event: _Event) -> None:
    for one in (event, event.partner):
        assert one is not None
        assert one.before is not None
        one.before.after = one.after
        if one.after is not None:
            one.after.before = one.before


def _put_back(event: _Event) -> None:
    for one in (event.partner, event):
        assert one is not None
        assert one.before is not None
        one.before.after = one
        if one.after is not None:
            one.after.before = one


class _Model:
    """The state machine as a function of (state, request), each pair run once."""

    def __init__(self, factory: Callable[[], Any]) -> None:
        self._machine: Any = factory()
        for name in ("apply", "snapshot", "restore"):
            if not callable(getattr(self._machine, name, None)):
                raise ConfigError(
                    f"a state machine to check against needs apply, snapshot and restore, "
                    f"got {type(self._machine).__name__} without {name}; add it"
                )
        self.start: bytes = bytes(self._machine.snapshot())
        self._seen: dict[tuple[bytes, bytes, bool], tuple[bytes | None, bytes]] = {}

    def run(self, state: bytes, operation: Operation) -> tuple[bytes | None, bytes]:
        """Answer of an operation in a state (None: rejected), and the state after it."""
        key = (state, operation.request, operation.is_read)
        found = self._seen.get(key)
        if found is None:
            found = self._seen[key] = self._run(state, operation)
        return found

    def _run(self, state: bytes, operation: Operation) -> tuple[bytes | None, bytes]:
        machine = self._machine
        machine.restore(state)
        try:
            if operation.is_read:
                answer = machine.query(operation.request)
            else:
                answer = machine.apply(Entry(index=1, time_ns=operation.call_ns, command=operation.request))
        except Exception:  # a rejection is an answer like another
            return None, state
        return bytes(answer or b""), state if operation.is_read else bytes(machine.snapshot())


def _alike_before(operations: list[Operation]) -> list[int]:
    """For each request that was never answered the bit of the one called last before it with the same bytes, else 0.

    Such requests can stand for each other in every order, so one that was called later is taken only behind it.
    """
    bits = [0] * len(operations)
    last: dict[bytes, int] = {}
    for _, number in sorted((operation.call_ns, number) for number, operation in enumerate(operations)):
        operation = operations[number]
        if operation.return_ns is None:
            bits[number] = last.get(operation.request, 0)
            last[operation.request] = 1 << number
    return bits


def _explains(operation: Operation, answer: bytes | None) -> bool:
    if operation.return_ns is None:
        return True  # whatever it would have been, nobody saw it
    if operation.was_rejected or answer is None:
        return operation.was_rejected and answer is None
    return answer == (operation.reply or b"")


def _check(operations: list[Operation], model: _Model, max_steps: int) -> Verdict:
    head = _link(operations)
    state = model.start
    done = 0  # one bit an operation
    taken: list[tuple[_Event, bytes]] = []
    seen: set[tuple[int, bytes]] = set()
    longest: tuple[int, ...] = ()
    stuck: tuple[int, ...] = ()
    alike_before = _alike_before(operations)
    answered = sum(1 << n for n, operation in enumerate(operations) if operation.return_ns is not None)
    steps = 0
    event = head.after
    while done & answered != answered:
        assert event is not None
        if event.is_call:
            if alike_before[event.number] & ~done:
                event = event.after
                continue
            steps += 1
            if steps > max_steps:
                raise DeadlineError(
                    f"no verdict after max_steps={max_steps} requests tried; give partition= so that independent keys "
                    "are checked apart, or a shorter history"
                )
            answer, after = model.run(state, operations[event.number])
            now_done = done | 1 << event.number
            if _explains(operations[event.number], answer) and (now_done, after) not in seen:
                seen.add((now_done, after))
                taken.append((event, state))
                state, done = after, now_done
                _take_out(event)
                event = head.after
                continue
            event = event.after
            continue
        # a return whose call is not in the order yet: one of those before it was a wrong choice
        if len(taken) >= len(longest) or not stuck:
            longest = tuple(one.number for one, _ in taken)
            stuck = _open_calls(head, event)
        while True:
            if not taken:
                order = tuple(operations[n] for n in longest)
                return Verdict(False, order, tuple(operations[n] for n in stuck), steps)
            event, state = taken.pop()
            done &= ~(1 << event.number)
            _put_back(event)
            if not operations[event.number].is_read:
                break
            # a read that fits was no choice: it changes nothing, so an order with it later is one with it here, too
        event = event.after
    return Verdict(True, tuple(operations[one.number] for one, _ in taken), (), steps)


def _open_calls(head: _Event, end: _Event) -> tuple[int, ...]:
    """What could have come next: the calls before the first return."""
    found = []
    event = head.after
    while event is not None and event is not end:
        if event.is_call:
            found.append(event.number)
        event = event.after
    return tuple(found)


def check_linearizable(
    history: Iterable[Operation],
    machine: Callable[[], _Machine],
    *,
    partition: Callable[[Operation], Hashable] | None = None,
    max_steps: int = 10_000_000,
) -> Verdict:
    """Whether one machine that takes requests one at a time could have given all these answers.

    Parameters
    ----------
    history : iterable of Operation
        What the clients saw, in any order.
    machine : callable
        `machine() -> state machine` with `apply`, `snapshot` and `restore`, and `query` when there are reads; its
        answers may depend on its state and the request, not on `entry.index` or `entry.time_ns`.
    partition : callable, optional
        `partition(operation) -> key`: operations of different keys do not touch the same part of the state. Each key is
        checked alone, and the first that fails is the verdict.
    max_steps : int, default 10_000_000
        Requests to try for one key before giving up.

    Returns
    -------
    Verdict
        True when the history is linearizable; its text names what nothing explains.

    Raises
    ------
    ConfigError
        For a machine without snapshot or restore.
    DeadlineError
        After `max_steps`.

    References
    ----------
    J. M. Wing and C. Gong, Testing and verifying concurrent objects, 1993; G. Lowe, Testing for linearizability, 2017.

    Examples
    --------
    >>> class Sum:
    ...     def __init__(self):
    ...         self.sum = 0
    ...     def apply(self, entry):
    ...         self.sum += int(entry.command)
    ...         return str(self.sum).encode()
    ...     def query(self, question):
    ...         return str(self.sum).encode()
    ...     def snapshot(self):
    ...         return str(self.sum).encode()
    ...     def restore(self, data):
    ...         self.sum = int(data)
    >>> write = Operation(b"2", call_ns=0, return_ns=10, reply=b"2")
    >>> stale = Operation(b"", call_ns=11, return_ns=12, reply=b"0", is_read=True)
    >>> bool(check_linearizable([write], Sum)), bool(check_linearizable([write, stale], Sum))
    (True, False)
    """
    if max_steps < 1:
        raise ConfigError(f"max_steps must be at least 1, got {max_steps}; leave it out")
    model = _Model(machine)
    parts: dict[Hashable, list[Operation]] = {}
    for operation in history:
        if operation.is_read and not callable(getattr(model._machine, "query", None)):
            raise ConfigError("the history has reads, and the state machine has no query(request); add it")
        if operation.is_read and operation.return_ns is None:
            continue  # it changed nothing, and nobody saw what it said
        parts.setdefault(partition(operation) if partition is not None else None, []).append(operation)
    order: tuple[Operation, ...] = ()
    steps = 0
    for part in parts.values():
        verdict = _check(part, model, max_steps)
        steps += verdict.steps
        if not verdict:
            return Verdict(False, verdict.order, verdict.stuck, steps)
        order += verdict.order
    return Verdict(True, order, (), steps)
