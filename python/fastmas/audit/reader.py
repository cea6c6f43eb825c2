"""Reading an audit file."""

from __future__ import annotations

import os
import struct
import weakref
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmas._core import audit as _core
from fastmas.audit.decoders import decode, table_of
from fastmas.audit.schema import FIXED_TYPES, SCHEMA, Schema, load_json
from fastmas.errors import AuditError, ConfigError

__all__ = ["AuditFile", "AuditRecord", "read"]

RECORD_HEADER = struct.Struct("<IIQQqIII")
READ_BYTES = 1 << 20
FOOTER = np.dtype(
    {
        "names": ["block", "first_sequence", "record_bytes", "count", "previous", "root", "head"],
        "formats": ["<u8", "<u8", "<u8", "<u4", "V32", "V32", "V32"],
        "offsets": [8, 16, 24, 32, 36, 68, 100],
        "itemsize": 132,
    }
)


@dataclass(frozen=True)
class AuditRecord:
    """One record of an audit file.

    Attributes
    ----------
    sequence
        Its place in the file, from 0.
    id
        Of the message; of its first row when it is a batch; 0 when it has none.
    count
        Rows in the batch; row k has the id ``id + k``.
    row
        The row that was asked for by its id; 0 otherwise.
    causes
        The ids it was made from.
    raw
        The whole record as it stands in the file.
    """

    sequence: int
    block: int
    offset: int
    id: int
    ts_ns: int
    type: int
    type_name: str
    count: int
    causes: tuple[int, ...]
    payload: bytes = field(repr=False)
    raw: bytes = field(repr=False)
    schema: Schema | None = field(repr=False, default=None)
    row: int = 0

    @cached_property
    def fields(self) -> dict[str, Any]:
        """The decoded fields of the row; `AuditError` when the payload cannot be decoded."""
        return self.row_fields(self.row)

    def row_fields(self, row: int) -> dict[str, Any]:
        """The decoded fields of one row of a batch."""
        if not 0 <= row < self.count:
            raise ConfigError(f"record {self.sequence} has rows 0 to {self.count - 1}, got {row}; name one of them")
        return decode(self.type, self.type_name, self.schema, self.payload, row, self.count)

    def table(self) -> np.ndarray[Any, np.dtype[np.void]]:
        """All rows of a `Record` type as a structured array."""
        if self.schema is None:
            raise ConfigError(
                f"only records of Record types have a table, record {self.sequence} is a {self.type_name}; use fields"
            )
        return table_of(self.schema, self.payload, self.count)


class AuditFile:
    """An audit file, open for reading; checksums and order were checked, hashes are `verify`'s job.

    Iterate with `records`, look up with `record`. A file whose writer did not finish can be read as well: `closed` is
    False then, and records after the last sealed block are vouched for by nothing but their checksums.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        walk = _core.walk(self.path, check_hashes=False, allow_unclosed=True, with_index=True)
        self.header: dict[str, Any] = load_json(walk.json, "the header")
        self.header_bytes: int = walk.header_bytes
        self.header_hash: bytes = walk.header_hash
        self.closed: bool = walk.closed
        self.head: bytes = walk.head
        self.blocks: int = walk.blocks
        self.tail: str = walk.tail
        self.sealed_records: int = walk.records
        self.ids: NDArray[np.uint64] = walk.ids
        self.types: NDArray[np.uint32] = walk.types
        self.counts: NDArray[np.uint32] = walk.counts
        self._offsets = walk.offsets
        self.footers = np.frombuffer(walk.footers, FOOTER)
        self._block_starts: list[int] = self.footers["first_sequence"].tolist()
        self._file = os.open(self.path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        self._finalizer = weakref.finalize(self, os.close, self._file)
        self.schemas: dict[int, Schema] = {}
        for sequence in np.flatnonzero(self.types == SCHEMA):
            schema = Schema.from_bytes(self[int(sequence)].payload)
            if schema.type in self.schemas:
                raise AuditError(
                    f"type {schema.type} has two schemas: {self.schemas[schema.type].name!r} and {schema.name!r}"
                )
            self.schemas[schema.type] = schema

    def __len__(self) -> int:
        """How many records there are."""
        return len(self._offsets)

    def type_name(self, type: int) -> str:
        """What a type number stands for in this file."""
        if type in self.schemas:
            return self.schemas[type].name
        return FIXED_TYPES.get(type, f"type {type}")

    def __getitem__(self, sequence: int) -> AuditRecord:
        """The record at a place in the file."""
        if not 0 <= sequence < len(self):
            raise IndexError(f"record {sequence} of {len(self)}")
        offset = int(self._offsets[sequence])
        data = os.pread(self._file, 512, offset)
        length = int.from_bytes(data[:4], "little")
        if length > len(data) == 512:
            data += os.pread(self._file, length - len(data), offset + len(data))
        return self._parse(sequence, offset, data[:length])

    def records(
        self, start: int = 0, stop: int | None = None, *, type: int | str | None = None
    ) -> Iterator[AuditRecord]:
        """Yield the records from `start` up to `stop`, read as they are asked for; of one type if it is given."""
        stop = len(self) if stop is None else min(stop, len(self))
        wanted = None if type is None else self._type_numbers(type)
        places = np.arange(max(start, 0), max(start, stop, 0))
        if wanted is not None:
            places = places[np.isin(self.types[places], wanted)]
        window, window_offset = b"", 0
        for sequence in places.tolist():
            offset = int(self._offsets[sequence])
            at = offset - window_offset
            length = int.from_bytes(window[at : at + 4], "little") if at + 4 <= len(window) else 0
            if length == 0 or at + length > len(window):
                window, window_offset, at = os.pread(self._file, READ_BYTES, offset), offset, 0
                length = int.from_bytes(window[:4], "little")
                if length > len(window) == READ_BYTES:
                    window = os.pread(self._file, length, offset)
            yield self._parse(sequence, offset, window[at : at + length])

    def record(self, id: int) -> AuditRecord:
        """The record of a message id; for a row of a batch the batch, with `row` set."""
        found = self.place_of(id)
        if found is None:
            raise ConfigError(f"no message of {self.path} has the id {id}; ids run from {self._id_range()}")
        sequence, row = found
        record = self[sequence]
        return record if row == 0 else replace(record, row=row)

    def block_of(self, sequence: int) -> int:
        """The number of the block that a record is in; the number of sealed blocks when it is in none."""
        return bisect_right(self._block_starts, sequence) - 1 if sequence < self.sealed_records else self.blocks

    def close(self) -> None:
        """Close the file; what was read stays."""
        self._finalizer()

    def __enter__(self) -> AuditFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _type_numbers(self, type: int | str) -> list[int]:
        if isinstance(type, int):
            return [type]
        known = FIXED_TYPES | {number: schema.name for number, schema in self.schemas.items()}
        numbers = [number for number, name in known.items() if name == type]
        if not numbers:
            raise ConfigError(
                f"no record type of {self.path} is named {type!r}; there are {', '.join(sorted(set(known.values())))}"
            )
        return numbers

    @cached_property
    def _by_id(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.int64]]:
        """First ids in ascending order, the ids after the last of each, and where the records are."""
        places = np.flatnonzero(self.ids)
        order = places[np.argsort(self.ids[places], kind="stable")]
        first = self.ids[order]
        after = first + self.counts[order]
        if np.any(shared := np.maximum.accumulate(after[:-1]) > first[1:]):
            again = int(np.argmax(shared)) + 1
            raise AuditError(
                f"two records of {self.path} have the id {first[again]}; record {order[again]} is one of them"
            )
        return first, after, order

    def place_of(self, id: int) -> tuple[int, int] | None:
        """The sequence number and row of a message id, None when there is no such message."""
        first, after, order = self._by_id
        if not 0 < id < 1 << 64:
            return None
        place = int(np.searchsorted(first, np.uint64(id), side="right")) - 1
        if place < 0 or id >= int(after[place]):
            return None
        return int(order[place]), id - int(first[place])

    def _id_range(self) -> str:
        first, after, _ = self._by_id
        return f"{int(first[0])} to {int(after.max()) - 1}" if len(first) else "1 on, but it holds no message"

    def _parse(self, sequence: int, offset: int, data: bytes) -> AuditRecord:
        if len(data) < RECORD_HEADER.size or int.from_bytes(data[:4], "little") != len(data):
            raise AuditError(f"record {sequence} of {self.path} changed while it was read (byte {offset})")
        _, checksum, stored, id_, ts_ns, type_, count, cause_count = RECORD_HEADER.unpack_from(data)
        end = RECORD_HEADER.size + 8 * cause_count
        view = memoryview(data)
        if checksum != _core.crc32c(view[8:], _core.crc32c(view[:4])) or stored != sequence or end > len(data):
            raise AuditError(f"record {sequence} of {self.path} changed while it was read (byte {offset})")
        causes = struct.unpack_from(f"<{cause_count}Q", data, RECORD_HEADER.size)
        return AuditRecord(
            sequence, self.block_of(sequence), offset, id_, ts_ns, type_, self.type_name(type_), count, causes,
            data[end:], data, self.schemas.get(type_),
        )  # fmt: skip


def read(path: str | os.PathLike[str]) -> AuditFile:
    """Open an audit file; `AuditError` when it is damaged.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from fastmas.audit import AuditWriter, read
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "run.audit"
    >>> with AuditWriter(path) as writer:
    ...     _ = writer.note({"text": "hello"})
    >>> [record.fields for record in read(path).records()]
    [{'text': 'hello'}]
    """
    return AuditFile(path)
