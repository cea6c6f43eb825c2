"""A tree of causes as lines of text."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from fastmas.audit.explanation import Node

__all__ = ["one_line", "render", "time_text"]

MAX_VALUE = 120
MAX_ITEMS = 4
WHOLE_UNIVERSE = 2**32 - 1  # as an instrument


def time_text(ts_ns: int) -> str:
    """Nanoseconds since 1970 as UTC, to the second when there is nothing below it."""
    seconds, rest = divmod(ts_ns, 1_000_000_000)
    try:
        text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return f"{ts_ns} ns"
    return f"{text}.{rest:09d}Z" if rest else f"{text}Z"


def _value_text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, bytes):
        return value.hex() if len(value) <= 8 else f"{value[:8].hex()}… ({len(value)} bytes)"
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        items = [f"{key}: {_value_text(item)}" for key, item in list(value.items())[:MAX_ITEMS]]
        return "{" + ", ".join(items) + _more(len(value)) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value_text(item) for item in value[:MAX_ITEMS]) + _more(len(value)) + "]"
    # one line, whatever a file holds: no control character reaches a terminal
    text = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in str(value))
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}…"


def _more(count: int) -> str:
    return f", … {count - MAX_ITEMS} more" if count > MAX_ITEMS else ""


def _fields_text(fields: Mapping[str, Any], ts_ns: int) -> str:
    parts = []
    for name, value in fields.items():
        if name in ("ts_ns", "time_ns") and value == ts_ns:
            continue  # stands in the line already
        if name == "instrument" and value == WHOLE_UNIVERSE:
            parts.append("instrument=all")
            continue
        is_time = name.endswith("_ns") and isinstance(value, int) and value > 10**17
        parts.append(f"{_value_text(name)}={time_text(value) if is_time else _value_text(value)}")
    return " ".join(parts)


def one_line(node: Node) -> str:
    """What a node is, without its causes."""
    name = _value_text(node.type_name)
    if node.sequence is None:
        return f"{name}: no message of this file has the id {node.id}"
    ids = f" {node.id}" if node.id else ""
    if node.count == 1:
        return f"{name}{ids} at {time_text(node.ts_ns)} {_fields_text(node.rows[0], node.ts_ns)}".rstrip()
    if len(node.rows) == 1:
        (row, fields), *_ = node.rows.items()
        what = f"{name} {node.id + row} (row {row} of {node.count})"
        return f"{what} at {time_text(node.ts_ns)} {_fields_text(fields, node.ts_ns)}".rstrip()
    return f"{name} {node.id} to {node.id + node.count - 1} ({node.count} rows) at {time_text(node.ts_ns)}"


def _notes(node: Node) -> list[str]:
    lines = []
    if len(node.rows) > 1:
        lines += [f"row {row}: {_fields_text(fields, node.ts_ns)}" for row, fields in node.rows.items()]
        if node.elided_rows:
            lines.append(f"… {node.elided_rows} more rows")
    return lines


def render(root: Node) -> str:
    """The tree, one line a node; written without recursion, as trees may be deep."""
    lines: list[str] = []
    stack: list[tuple[str, str, Node | str]] = [("", "", root)]  # prefix of this line, prefix of those below, what
    while stack:
        prefix, below, what = stack.pop()
        if isinstance(what, str):
            lines.append(prefix + what)
            continue
        lines.append(prefix + one_line(what) + (" (causes: see above)" if what.above else ""))
        if what.above:
            continue
        entries: list[Node | str] = [*_notes(what), *what.children]
        if what.elided:
            entries.append(
                "… " + ", ".join(f"{count} more {_value_text(name)}" for name, count in sorted(what.elided.items()))
            )
        for place in range(len(entries) - 1, -1, -1):
            last = place == len(entries) - 1
            stack.append((below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "), entries[place]))
    return "\n".join(lines)
