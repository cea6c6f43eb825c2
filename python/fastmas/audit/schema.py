"""Types of audit records: the fixed ones, and the table that says what the bytes of the others mean."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fastmas.errors import AuditError

__all__ = ["FIRST_RECORD_TYPE", "FIXED_TYPES", "Schema"]

SCHEMA, OBSERVATION, INTENT, COMMAND, COMMITTED, NOTE = range(1, 7)
FIXED_TYPES = {
    SCHEMA: "Schema",
    OBSERVATION: "Observation",
    INTENT: "Intent",
    COMMAND: "Command",
    COMMITTED: "Committed",
    NOTE: "Note",
}
FIRST_RECORD_TYPE = 16

MAX_ROW_BYTES = 1 << 20
MAX_FIELDS = 4096
# Scalars, fixed bytes, and one-dimensional arrays of scalars: what a Record can hold, and nothing else numpy knows.
_FORMAT = re.compile(
    r"(?:\((?P<length>[1-9][0-9]{0,6}),\))?(?P<scalar>\|[iu]1|<[iu][248]|<f[48]|\|b1|\|?S[1-9][0-9]{0,6})"
)


def canonical_json(value: Any) -> str:
    """One text for one value: sorted keys, no spaces, ASCII, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def load_json(text: str | bytes, what: str) -> dict[str, Any]:
    """Decode a JSON object from bytes that may be anything."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AuditError(f"{what} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise AuditError(f"{what} is not a JSON object")
    return value


@dataclass(frozen=True)
class Schema:
    """One type of record: its number in the file, its name and its layout.

    Parameters
    ----------
    type
        What stands in a record's type field; 16 or more.
    name
        The name of the `Record` class.
    text
        Its `Record.schema`: canonical JSON of name, size and fields.
    version
        Of the layout; layouts never change, so it is 1.
    """

    type: int
    name: str
    text: str
    version: int = 1

    def to_bytes(self) -> bytes:
        """The payload of a schema record."""
        digest = hashlib.sha256(self.text.encode()).hexdigest()
        value = {"name": self.name, "schema": self.text, "sha256": digest, "type": self.type, "version": self.version}
        return canonical_json(value).encode()

    @staticmethod
    def from_bytes(payload: bytes) -> Schema:
        """Decode a schema record; any bytes give a schema or an `AuditError`."""
        value = load_json(payload, "a schema record")
        kinds = {"name": str, "schema": str, "sha256": str, "type": int, "version": int}
        if value.keys() != kinds.keys() or any(type(value[key]) is not kind for key, kind in kinds.items()):
            raise AuditError(f"a schema record holds {', '.join(kinds)}, got {', '.join(map(str, value))}")
        schema = Schema(value["type"], value["name"], value["schema"], value["version"])
        if not FIRST_RECORD_TYPE <= schema.type < 1 << 32 or schema.version != 1:
            raise AuditError(
                f"a schema has a type from {FIRST_RECORD_TYPE} on and version 1, got {schema.type} and {schema.version}"
            )
        try:
            digest = hashlib.sha256(schema.text.encode()).hexdigest()
        except UnicodeEncodeError as error:
            raise AuditError(f"the schema of type {schema.type} is not text: {error}") from error
        if digest != value["sha256"]:
            raise AuditError(f"the schema of {schema.name!r} does not match its SHA-256")
        return schema

    @cached_property
    def dtype(self) -> np.dtype[np.void]:
        """The layout as numpy knows it, from the text alone; `AuditError` when the text is no layout."""
        value = load_json(self.text, f"the schema of {self.name!r}")
        size, fields = value.get("size"), value.get("fields")
        if (
            type(size) is not int
            or not 0 < size <= MAX_ROW_BYTES
            or not isinstance(fields, list)
            or not fields
            or len(fields) > MAX_FIELDS
        ):
            raise AuditError(f"the schema of {self.name!r} has no size or no fields")
        names, formats, offsets = [], [], []
        for field in fields:
            if not isinstance(field, list) or len(field) != 3:
                raise AuditError(
                    f"the schema of {self.name!r} has a field that is not [name, format, offset]: {field!r:.80}"
                )
            name, form, offset = field
            if not isinstance(name, str) or not isinstance(form, str) or type(offset) is not int:
                raise AuditError(
                    f"the schema of {self.name!r} has a field that is not [name, format, offset]: {field!r:.80}"
                )
            if not _FORMAT.fullmatch(form) or not 0 <= offset < size:
                raise AuditError(
                    f"the schema of {self.name!r} has the field {name!r:.80} of unknown format {form!r:.80} at {offset}"
                )
            names.append(name)
            formats.append(form)
            offsets.append(offset)
        try:
            # numpy checks that names differ and that fields end within the size
            return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": size})
        except (ValueError, TypeError, OverflowError, MemoryError, UnicodeError) as error:
            raise AuditError(f"the schema of {self.name!r} is no layout: {error}") from error
