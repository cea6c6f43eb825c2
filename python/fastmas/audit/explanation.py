"""Why something happened: the tree of causes behind a message."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastmas.audit.layout import one_line, render
from fastmas.audit.reader import AuditFile, AuditRecord
from fastmas.audit.schema import COMMAND, COMMITTED
from fastmas.errors import AuditError, ConfigError

__all__ = ["Explanation", "Node", "explain"]

MAX_LOOKED_AT = 4096  # causes of one message that are decoded to find those of the instrument asked about


@dataclass
class Node:
    """One message in a tree of causes.

    Attributes
    ----------
    type_name
        What it is; ``"missing"`` when the file has no message of that id.
    id, sequence, ts_ns, count
        Of its record; `id` is that of the batch when `rows` shows several of its rows.
    rows
        The rows that are shown, by their number in the batch; a message that is no batch has row 0.
    elided_rows
        How many rows of the batch are not shown.
    children
        What it was made from.
    elided
        How many causes are not shown, by type.
    above
        It stands further up as well, and its causes are shown there.
    """

    type_name: str
    id: int
    sequence: int | None = None
    ts_ns: int = 0
    count: int = 1
    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    elided_rows: int = 0
    children: list[Node] = field(default_factory=list)
    elided: dict[str, int] = field(default_factory=dict)
    above: bool = False

    def __str__(self) -> str:
        return one_line(self)


@dataclass(frozen=True)
class Explanation:
    """A tree of causes: `root` as nodes, `text` as lines."""

    root: Node
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass
class _Visit:
    """A message still to be put into the tree: its record and the rows of it that were named."""

    record: AuditRecord | None
    id: int
    rows: list[int]
    parent: Node | None
    depth: int


def _instrument_of(fields: dict[str, Any]) -> int | None:
    instrument = fields.get("instrument")
    return instrument if isinstance(instrument, int) else None


def _put_causes_where_first_shown(root: Node) -> None:
    """Move the causes of what is shown several times to where a reader, from top to bottom, meets it first.

    The tree grew level by level, so that its limits cut what is far away and not what is last.
    """
    holders: dict[int, Node] = {}
    stack = [root]
    while stack:
        node = stack.pop()
        if node.sequence is not None and not node.above:
            holders[node.sequence] = node
        stack.extend(node.children)
    met: set[int] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        if node.sequence is not None:
            holder = holders[node.sequence]
            if node.above and node.sequence not in met:
                node.children, node.elided, node.above = holder.children, holder.elided, False
                holder.children, holder.elided, holder.above = [], {}, True
            met.add(node.sequence)
        stack.extend(reversed(node.children))


class _Tracer:
    """Builds the tree, nearest causes first; what belongs to the instrument asked about comes first in each list."""

    def __init__(self, file: AuditFile, max_depth: int, max_children: int, max_nodes: int) -> None:
        self.file = file
        self.max_depth = max_depth
        self.max_children = max_children
        self.max_nodes = max_nodes
        self.instrument: int | None = None
        self.shown: set[int] = set()

    def tree(self, id: int) -> Node:
        record = self.file.record(id)
        self.instrument = _instrument_of(self.fields_of(record, record.row))
        root = Node("", 0)
        # A queue and not recursion: causes come from a file, and a file may chain a million of them.
        queue = [_Visit(record, id, [record.row], None, 0)]
        nodes = 0
        for visit in queue:
            node = self.node_of(visit)
            nodes += 1
            if visit.parent is None:
                root = node
            else:
                visit.parent.children.append(node)
            if visit.record is None or node.above:
                continue
            causes = self.grouped(visit.record.causes)
            room = 0 if visit.depth >= self.max_depth else min(self.max_children, self.max_nodes - len(queue))
            for record_, rows in causes[: max(room, 0)]:
                queue.append(_Visit(record_, rows[0], rows, node, visit.depth + 1))
            node.elided = dict(Counter(self.name_of(record_) for record_, _ in causes[max(room, 0) :]))
        _put_causes_where_first_shown(root)
        return root

    def fields_of(self, record: AuditRecord, row: int) -> dict[str, Any]:
        try:
            fields = record.row_fields(row)
        except AuditError as error:
            return {"undecodable": str(error)}
        if record.type == COMMITTED and (head := self.ledger_heads.get(fields.get("index", 0))):
            fields["ledger_head"] = head
        targets = fields.get("targets")
        if isinstance(targets, dict) and self.instrument in targets:  # first, as the end of the list may be cut
            fields["targets"] = {self.instrument: targets[self.instrument], **targets}
        return fields

    @property
    def ledger_heads(self) -> dict[int, str]:
        """The ledger's head after each command; commands need no id of their own to be found."""
        heads = self.file.__dict__.get("_ledger_heads")
        if heads is None:
            heads = {}
            for command in self.file.records(type=COMMAND):
                if len(command.payload) >= 48:
                    heads[int.from_bytes(command.payload[:8], "little")] = command.payload[16:48].hex()
            self.file.__dict__["_ledger_heads"] = heads
        return heads

    @staticmethod
    def name_of(record: AuditRecord | None) -> str:
        return "missing" if record is None else record.type_name

    def grouped(self, causes: tuple[int, ...]) -> list[tuple[AuditRecord | None, list[int]]]:
        """Causes by the record that they are in, those of the instrument asked about first, then in order of id."""
        by_sequence: dict[int, tuple[AuditRecord | None, list[int]]] = {}
        missing: list[tuple[AuditRecord | None, list[int]]] = []
        for cause in dict.fromkeys(causes):
            place = self.file.place_of(cause)
            if place is None:
                missing.append((None, [cause]))
                continue
            sequence, row = place
            if sequence in by_sequence:
                by_sequence[sequence][1].append(row)
            else:
                by_sequence[sequence] = (self.file[sequence], [row])
        groups = [by_sequence[sequence] for sequence in sorted(by_sequence)]
        groups.sort(key=lambda group: not self.is_of_instrument(group))
        return groups + missing

    def is_of_instrument(self, group: tuple[AuditRecord | None, list[int]]) -> bool:
        record, rows = group
        if record is None or self.instrument is None or len(rows) > MAX_LOOKED_AT:
            return False
        if record.count > 1 and rows == [0]:
            return True  # a batch named as a whole
        return any(_instrument_of(self.fields_of(record, row)) == self.instrument for row in rows)

    def node_of(self, visit: _Visit) -> Node:
        record = visit.record
        if record is None:
            return Node("missing", visit.id)
        node = Node(record.type_name, record.id, record.sequence, record.ts_ns, record.count)
        rows = self.rows_of(record, visit)
        node.rows = {row: self.fields_of(record, row) for row in rows}
        node.elided_rows = record.count - len(rows)
        node.above = record.sequence in self.shown and bool(record.causes)
        self.shown.add(record.sequence)
        return node

    def rows_of(self, record: AuditRecord, visit: _Visit) -> list[int]:
        """The rows to show: the one asked for, else those of the instrument it led to, else the first few named."""
        if visit.parent is None or record.count == 1:
            return visit.rows[:1]
        # A batch handed over as a whole is named by its first id, so row 0 stands for all.
        rows = np.arange(record.count) if visit.rows == [0] else np.array(visit.rows)
        try:
            table = record.table() if record.schema else None
        except AuditError:
            table = None
        if table is not None and "instrument" in (table.dtype.names or ()):
            # An observation of the whole market is of no instrument in the batch: then the one asked about counts.
            wanted = [_instrument_of(fields) for fields in visit.parent.rows.values()]
            for instrument in (*wanted, self.instrument):
                if instrument is not None and (matching := rows[table["instrument"][rows] == instrument]).size:
                    rows = matching
                    break
        return [int(row) for row in rows[: self.max_children]]


def explain(
    source: str | os.PathLike[str] | AuditFile,
    id: int,
    *,
    max_depth: int = 16,
    max_children: int = 4,
    max_nodes: int = 400,
) -> Explanation:
    """What led to the message `id`, as a tree: from a fill over order, commit, intent, signals, observations to bars.

    A cause always has a smaller id than what it caused, so the tree ends. Long lists are cut and counted, messages of
    the instrument asked about first; a message that several others name is shown once.

    Parameters
    ----------
    source
        A path or an open `AuditFile`.
    id
        Of a message, or of a row of a batch.
    max_depth, max_children, max_nodes
        How much of the tree is shown.
    """
    for name, limit in (("max_depth", max_depth), ("max_children", max_children), ("max_nodes", max_nodes)):
        if limit < 1:
            raise ConfigError(f"{name} must be >= 1, got {limit}; leave it out for the default")
    file = source if isinstance(source, AuditFile) else AuditFile(source)
    root = _Tracer(file, max_depth, max_children, max_nodes).tree(id)
    return Explanation(root, render(root))
