"""A kernel that is slow and plain: what `fastmas._core.kernel.Kernel` must do, said in the fewest lines.

Everything pending is in one list that is searched from end to end, each row of a batch is an entry of its own, and a
join is complete when a search of that list finds nothing it must wait for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastmas._core.kernel import Context
from fastmas._core.records import record_type_of_dtype
from fastmas.messages import Wakeup


@dataclass
class Sent:
    """A message with what the kernel knows of it."""

    message: Any
    id: int
    origin: int
    source: str
    type: type

    @property
    def count(self) -> int:
        return len(self.message) if isinstance(self.message, np.ndarray) else 1


@dataclass
class Node:
    name: str
    handler: Callable[[Any, Any], Any] | None
    rank: int
    mode: str
    delays: Any
    on_wakeup: Callable[[Any], Any] | None
    context: Context
    listeners: list[tuple[int, tuple[type, ...] | None]] = field(default_factory=list)


@dataclass
class Entry:
    """Something that will happen: kind is feed, row, whole, arrive, join or wake."""

    key: tuple[Any, ...]
    kind: str
    node: int
    sent: Any
    row: int = 0


class ReferenceKernel:
    def __init__(self, *, seed: int = 0) -> None:
        self.seed, self.nodes, self.pending, self.buffers = seed, [], [], {}
        self.scheduled: set[tuple[int, int]] = set()
        self.feeds: list[tuple[int, np.ndarray, type]] = []
        self.early: list[tuple[Any, int, int]] = []
        self.sequence, self.next_id, self.now_ns, self.running = 0, 1, -(2**63), False
        self.inputs, self.origin, self.last_ids = (), None, ()

    def add_node(self, name, handler, *, rank, mode="each", latency=0, on_wakeup=None):  # type: ignore[no-untyped-def]
        delays = (
            iter([latency] * 2_000)
            if isinstance(latency, int)
            else iter(latency.samples(2_000, seed=self.seed, name=name))
        )
        self.nodes.append(Node(name, handler, rank, mode, delays, on_wakeup, Context()))
        return len(self.nodes) - 1

    def subscribe(self, target, source, types=None):  # type: ignore[no-untyped-def]
        self.nodes[source].listeners.append((target, types))

    def add_feed(self, node, rows, record_type):  # type: ignore[no-untyped-def]
        self.feeds.append((node, rows, record_type))

    def put(self, time_ns: int, kind: str, node: int, sent: Any, rows: int = 1) -> None:
        for row in range(rows):
            self.pending.append(Entry((time_ns, self.nodes[node].rank, self.sequence, row), kind, node, sent, row))
        self.sequence += 1

    def emit(self, node: int, message: Any, time_ns: int, origin: int | None) -> int:
        kind = record_type_of_dtype(message.dtype) if isinstance(message, np.ndarray) else type(message)
        sent = Sent(message, self.next_id, origin or self.next_id, self.nodes[node].name, kind)
        self.next_id += sent.count
        if not self.running:
            self.early.append((sent, time_ns, node))
        else:
            self.route(sent, time_ns, node)
        return sent.id

    def route(self, sent: Sent, time_ns: int, node: int) -> None:
        if sent.type is Wakeup:
            self.put(sent.message.at_ns, "wake", node, sent)
            return
        for target, types in self.nodes[node].listeners:
            if types is None or issubclass(sent.type, types):
                mode = self.nodes[target].mode
                if mode == "each":
                    self.put(time_ns, "row", target, sent, sent.count)
                else:
                    self.put(time_ns, "whole" if mode == "slice" else "arrive", target, sent)

    def post(self, node, message, *, at_ns=None, causes=(), origin=None):  # type: ignore[no-untyped-def]
        return self.emit(node, message, self.now_ns if at_ns is None else at_ns, origin)

    def call(self, node: int, inputs: tuple[int, ...], origin: int, *arguments: Any) -> None:
        self.inputs, self.origin = inputs, origin
        me = self.nodes[node]
        result = (me.handler if arguments else me.on_wakeup)(*arguments, Context(self.now_ns))  # type: ignore[misc]
        if not isinstance(result, list):
            result = [result]
        ids, delay = [], None
        for message in result:
            if message is None or (isinstance(message, np.ndarray) and len(message) == 0):
                continue
            if isinstance(message, Wakeup):
                ids.append(self.emit(node, message, 0, None))
                continue
            delay = next(me.delays) if delay is None else delay
            ids.append(self.emit(node, message, self.now_ns + delay, origin))
        self.last_ids = tuple(ids)

    def must_wait(self, join: int, origin: int) -> bool:
        rank = self.nodes[join].rank
        on_the_way = any(
            e.kind not in ("join", "feed")
            and e.sent.origin == origin
            and (self.nodes[e.node].rank < rank or (e.node == join and e.kind == "arrive"))
            for e in self.pending
        )
        below = any(o == origin and self.nodes[j].rank < rank for (j, o), held in self.buffers.items() if held)
        return on_the_way or below

    def schedule_joins(self) -> None:
        for join, origin in sorted(key for key, held in self.buffers.items() if held):
            if (join, origin) not in self.scheduled and not self.must_wait(join, origin):
                self.scheduled.add((join, origin))
                self.put(self.now_ns, "join", join, origin)

    def handle(self, entry: Entry) -> int:
        node, sent = entry.node, entry.sent
        if entry.kind == "feed":
            source, rows, _ = self.feeds[node]
            self.emit(source, rows[rows["ts_ns"] == self.now_ns], self.now_ns + next(self.nodes[source].delays), None)
            return 0
        if entry.kind == "arrive":
            self.buffers.setdefault((node, sent.origin), []).append(sent)
            return 0
        if entry.kind == "row":
            message = sent.message
            if isinstance(message, np.ndarray):
                message = sent.type.from_row(message[entry.row])  # type: ignore[attr-defined]
            self.call(node, (sent.id + entry.row,), sent.origin, message)
        elif entry.kind == "whole":
            message = sent.message
            if not isinstance(message, np.ndarray) and hasattr(sent.type, "dtype"):
                message = np.frombuffer(bytes(message), sent.type.dtype)
            self.call(node, (sent.id,), sent.origin, message)
        elif entry.kind == "wake":
            self.call(node, (sent.id,), sent.origin)
        else:
            self.scheduled.discard((node, sent))
            if self.must_wait(node, sent):
                return 0
            held = sorted(self.buffers[node, sent], key=lambda s: (s.source, s.id))
            self.call(node, tuple(s.id for s in held), sent, [s.message for s in held])
            self.buffers[node, sent] = []
        return 1

    def run(self, until_ns: int | None = None) -> int:
        if not self.running:
            self.running = True
            for index, (_, rows, _) in enumerate(self.feeds):
                for ts_ns in np.unique(rows["ts_ns"]).tolist():
                    self.pending.append(Entry((ts_ns, -1, index, 0), "feed", index, None))
            for sent, time_ns, node in self.early:
                self.route(sent, time_ns, node)
        calls = 0
        while self.pending:
            entry = min(self.pending, key=lambda e: e.key)
            if until_ns is not None and entry.key[0] > until_ns:
                break
            self.now_ns = entry.key[0]
            # In the list until it has been handled: what a handler posts must not find its own instant finished.
            entry_done = self.handle(entry)
            self.pending.remove(entry)
            calls += entry_done
            self.schedule_joins()
        self.inputs, self.origin = (), None
        return calls
