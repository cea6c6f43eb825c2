"""Comparing two runs: where they first part."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np

from fastmas.audit.reader import AuditFile, AuditRecord
from fastmas.errors import AuditError

__all__ = ["Difference", "diff"]


@dataclass(frozen=True)
class Difference:
    """Where two audit files first differ.

    Attributes
    ----------
    header
        What differs between the headers: name to the two values.
    sequence
        The first record that differs; None when only the headers do.
    first, second
        That record in either file; None in a file that ends before it.
    fields
        What differs between the two: name to the two values.
    """

    header: dict[str, tuple[Any, Any]]
    sequence: int | None
    first: AuditRecord | None
    second: AuditRecord | None
    fields: dict[str, tuple[Any, Any]]

    def __str__(self) -> str:
        lines = [f"header: {name} is {a!r} and {b!r}" for name, (a, b) in self.header.items()]
        if self.sequence is None:
            return "\n".join([*lines, "all records are equal"])
        where = [f"{record.type_name} {record.id}" if record else "no record" for record in (self.first, self.second)]
        lines.append(f"record {self.sequence} is the first that differs: {where[0]} and {where[1]}")
        lines += [f"  {name}: {a!r} and {b!r}" for name, (a, b) in self.fields.items()]
        return "\n".join(lines)


def _parting(a: dict[str, Any], b: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = [*a, *(name for name in b if name not in a)]
    # by their text, so that a NaN equals itself
    return {name: (a.get(name), b.get(name)) for name in names if repr(a.get(name)) != repr(b.get(name))}


def _described(record: AuditRecord) -> dict[str, Any]:
    described: dict[str, Any] = {
        "type": record.type_name,
        "id": record.id,
        "ts_ns": record.ts_ns,
        "count": record.count,
        "causes": record.causes,
    }
    try:
        for row in range(record.count):
            prefix = "" if record.count == 1 else f"row {row} "
            described |= {prefix + name: value for name, value in record.row_fields(row).items()}
    except AuditError:
        described["payload"] = record.payload
    return described


def _equal_blocks(a: AuditFile, b: AuditFile) -> int:
    """How many blocks at the start hold the same records, by their roots."""
    blocks = min(len(a.footers), len(b.footers))
    same = (a.footers["root"][:blocks] == b.footers["root"][:blocks]) & (
        a.footers["count"][:blocks] == b.footers["count"][:blocks]
    )
    return blocks if same.all() else int(np.argmin(same))


def diff(first: str | os.PathLike[str] | AuditFile, second: str | os.PathLike[str] | AuditFile) -> Difference | None:
    """The first difference between two audit files, None when header and records are the same.

    Blocks of equal roots are skipped: verify both files first if you do not trust them.
    """
    a = first if isinstance(first, AuditFile) else AuditFile(first)
    b = second if isinstance(second, AuditFile) else AuditFile(second)
    header = _parting(a.header, b.header)
    skipped = _equal_blocks(a, b)
    start = 0 if skipped == 0 else int(a.footers["first_sequence"][skipped - 1] + a.footers["count"][skipped - 1])
    for ours, theirs in zip_longest(a.records(start), b.records(start)):
        if ours is not None and theirs is not None:
            if ours.raw == theirs.raw:
                continue
            return Difference(header, ours.sequence, ours, theirs, _parting(_described(ours), _described(theirs)))
        return Difference(header, (ours or theirs).sequence, ours, theirs, {})
    return Difference(header, None, None, None, {}) if header else None
