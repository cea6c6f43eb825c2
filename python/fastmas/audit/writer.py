"""Writing an audit file."""

from __future__ import annotations

import os
import platform
import struct
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from fastmas._core import audit as _core
from fastmas._core.kernel import Committed, Intent, Observation
from fastmas.audit.schema import (
    COMMAND,
    COMMITTED,
    FIRST_RECORD_TYPE,
    INTENT,
    NOTE,
    OBSERVATION,
    SCHEMA,
    Schema,
    canonical_json,
)
from fastmas.errors import ConfigError

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["AuditWriter"]

COMMAND_PREFIX = struct.Struct("<Qq32s")


def _fastmas_version() -> str:
    try:
        return metadata.version("fastmas")
    except metadata.PackageNotFoundError:
        return "source tree"


class AuditWriter:
    """An audit file being written.

    Records are buffered and sealed in blocks of at most 4096: each block has a Merkle root and a head, which is a hash
    over all that was written before. A process that dies loses at most the block under construction. Use it from one
    thread. As a context manager it closes the file; when the body raises, it leaves the trailer out, and the file says
    that its run did not finish.

    Parameters
    ----------
    path
        A file that does not exist yet.
    seed
        The run's seed.
    meta
        What else is to stand in the header; JSON values only. Two runs have equal heads only if their headers are
        equal: put no clock, path or host name here.
    sync
        Wait for the disk after each block, so that a machine that dies loses no more than a process that dies.
    overwrite
        Put a new file in the place of one that exists.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from fastmas.audit import AuditWriter, read
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "run.audit"
    >>> with AuditWriter(path, seed=7, meta={"strategy": "momentum"}) as writer:
    ...     sequence = writer.note({"text": "hello"})
    >>> read(path).header["meta"], len(writer.head)
    ({'strategy': 'momentum'}, 32)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        seed: int | None = None,
        meta: Mapping[str, Any] | None = None,
        sync: bool = False,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(path)
        header = {
            "cpu": _core.cpu_features(),
            "fastmas": _fastmas_version(),
            "machine": platform.machine(),
            "meta": dict(meta or {}),
            "numpy": np.__version__,
            "python": platform.python_version(),
            "seed": seed,
        }
        try:
            text = canonical_json(header)
        except (TypeError, ValueError, RecursionError) as error:
            raise ConfigError(
                f"meta holds JSON values only (no NaN), got {meta!r:.200}: {error}; turn it into text"
            ) from error
        if overwrite:
            self.path.unlink(missing_ok=True)
        elif self.path.exists():
            raise ConfigError(
                f"an audit file is never overwritten, but {self.path} exists; give another path, or overwrite=True"
            )
        self._writer = _core.Writer(os.fspath(self.path), text, sync)
        self._types: dict[type, int] = {Observation: OBSERVATION, Intent: INTENT, Committed: COMMITTED}
        self._schemas: dict[str, int] = {}

    def type_id(self, cls: type) -> int:
        """The type number of a message class; writes the schema of a `Record` class when it first meets it."""
        found = self._types.get(cls)
        if found is not None:
            return found
        text = getattr(cls, "schema", None)
        if not isinstance(cls, type) or not isinstance(text, str):
            raise ConfigError(
                f"an audit takes Record classes, Observation, Intent and Committed, got {cls!r}; derive it from Record"
            )
        number = self._schemas.get(text)
        if number is None:  # two classes of one schema are one type
            number = FIRST_RECORD_TYPE + len(self._schemas)
            self.append(SCHEMA, Schema(number, cls.__name__, text).to_bytes())
            self._schemas[text] = number
        self._types[cls] = number
        return number

    def append(
        self,
        type: int | type,
        payload: Buffer,
        *,
        id: int = 0,
        ts_ns: int = 0,
        causes: Iterable[int] = (),
        count: int = 1,
    ) -> int:
        """Append one record and return its sequence number.

        Parameters
        ----------
        type
            A type number, or a class for `type_id`.
        payload
            Its bytes; `count` rows of a `Record`, one after the other.
        id
            The message's id, 0 when it has none; row k of a batch has the id ``id + k``.
        causes
            The ids that it was made from: smaller than `id`.
        """
        if self._writer.closed:
            raise ConfigError(f"the audit file {self.path} is closed; append before close()")
        number = type if isinstance(type, int) else self.type_id(type)
        sequence = self._writer.records
        try:
            self._writer.append(number, payload, id, ts_ns, list(causes), count)
        except TypeError as error:
            raise ConfigError(
                "an audit record has u32 type and count, u64 id and causes, i64 ts_ns and a bytes-like payload, got "
                f"type={number!r}, {payload!r:.40}, id={id!r}, ts_ns={ts_ns!r}, count={count!r}; use Python ints"
            ) from error
        return sequence

    def append_command(
        self, index: int, time_ns: int, head: bytes, command: bytes, *, id: int = 0, causes: Iterable[int] = ()
    ) -> int:
        """Append a committed command with the ledger's head after it was applied."""
        if len(head) != 32:
            raise ConfigError(
                f"a ledger head has 32 bytes, got {len(head)}; hand over the digest itself, not its hex text"
            )
        try:
            prefix = COMMAND_PREFIX.pack(index, time_ns, head)
        except struct.error as error:
            raise ConfigError(
                f"a command has u64 index and i64 time_ns, got {index!r} and {time_ns!r}; use Python ints"
            ) from error
        return self.append(COMMAND, prefix + command, id=id, ts_ns=time_ns, causes=causes)

    def note(self, value: Mapping[str, Any], *, ts_ns: int = 0) -> int:
        """Append a remark for the reader; JSON values only."""
        try:
            text = canonical_json(dict(value))
        except (TypeError, ValueError, RecursionError) as error:
            raise ConfigError(
                f"a note holds JSON values only (no NaN), got {value!r:.200}: {error}; turn it into text"
            ) from error
        return self.append(NOTE, text.encode(), ts_ns=ts_ns)

    def flush(self) -> None:
        """Seal the block under construction and write it. Where blocks end is part of the head."""
        self._writer.flush()

    def close(self) -> bytes:
        """Write the trailer and close the file; the head covers every byte before the trailer."""
        return self._writer.close()

    @property
    def head(self) -> bytes:
        """The head of the last sealed block, 32 bytes; final once the file is closed."""
        return self._writer.head

    @property
    def records(self) -> int:
        """How many records were appended."""
        return self._writer.records

    @property
    def closed(self) -> bool:
        """The file takes no more records."""
        return self._writer.closed

    @property
    def _sink(self) -> object:
        """A PyCapsule "fastmas.RecordSink" for emitters written in C++; it keeps the writer alive."""
        return _core.Writer.sink_of(self._writer)

    def __enter__(self) -> AuditWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._writer.abandon()
