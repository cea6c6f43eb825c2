"""From payload bytes to fields with names, for people."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fastmas._core.kernel import Committed, Intent, Observation
from fastmas.audit.schema import COMMAND, COMMITTED, INTENT, NOTE, OBSERVATION, SCHEMA, Schema, load_json
from fastmas.errors import AuditError, FastmasError

__all__ = ["register_decoder"]

Decoder = Callable[[bytes], Mapping[str, Any]]

COMMAND_PREFIX = struct.Struct("<Qq32s")
_decoders: dict[str, Decoder] = {}


def register_decoder(type_name: str, function: Decoder) -> None:
    """Have the payloads of a type decoded by `function(payload: bytes) -> mapping of names to values`.

    A `Record` is decoded from its schema without one. The decoder of ``"Command"`` gets the command's bytes, without
    the index, time and ledger head that the audit puts before them. A later registration replaces an earlier one.
    """
    _decoders[type_name] = function


def _decode_command(payload: bytes) -> dict[str, Any]:
    if len(payload) < COMMAND_PREFIX.size:
        raise AuditError(f"a command record has at least {COMMAND_PREFIX.size} bytes of payload, got {len(payload)}")
    index, time_ns, head = COMMAND_PREFIX.unpack_from(payload)
    command = payload[COMMAND_PREFIX.size :]
    fields = {"index": index, "time_ns": time_ns, "ledger_head": head.hex()}
    decoder = _decoders.get("Command")
    return fields | (dict(decoder(command)) if decoder else {"command": command})


def _decode_observation(payload: bytes) -> dict[str, Any]:
    observation = Observation.from_bytes(payload)
    return {"instrument": observation.instrument, "ts_ns": observation.ts_ns, **observation.values}


def _intent_fields(intent: Intent) -> dict[str, Any]:
    return {"ts_ns": intent.ts_ns, "valid_until_ns": intent.valid_until_ns, "targets": dict(intent.targets)}


def _decode_committed(payload: bytes) -> dict[str, Any]:
    committed = Committed.from_bytes(payload)
    return {"index": committed.index, "time_ns": committed.time_ns, **_intent_fields(committed.intent)}


_FIXED: dict[int, Decoder] = {
    SCHEMA: lambda payload: load_json(payload, "a schema record"),
    OBSERVATION: _decode_observation,
    INTENT: lambda payload: _intent_fields(Intent.from_bytes(payload)),
    COMMAND: _decode_command,
    COMMITTED: _decode_committed,
    NOTE: lambda payload: load_json(payload, "a note"),
}


def row_fields(row: np.void) -> dict[str, Any]:
    """One row of a structured array as Python values."""
    assert row.dtype.names is not None
    return {name: row[name].tolist() for name in row.dtype.names}


def table_of(schema: Schema, payload: bytes, count: int) -> np.ndarray[Any, np.dtype[np.void]]:
    """The rows of a record of a `Record` type."""
    if len(payload) != count * schema.dtype.itemsize:
        raise AuditError(
            f"{count} rows of {schema.name!r} take {count * schema.dtype.itemsize} bytes, the record has {len(payload)}"
        )
    return np.frombuffer(payload, schema.dtype)


def decode(type_: int, type_name: str, schema: Schema | None, payload: bytes, row: int, count: int) -> dict[str, Any]:
    """The fields of one row; whatever the bytes are, fields or an `AuditError` come out."""
    try:
        if schema is not None:
            table = table_of(schema, payload, count)
            custom = _decoders.get(type_name)
            return dict(custom(table[row].tobytes())) if custom else row_fields(table[row])
        if type_ in _FIXED:
            custom = _decoders.get(type_name) if type_ != COMMAND else None
            return dict((custom or _FIXED[type_])(payload))
        custom = _decoders.get(type_name)
        return dict(custom(payload)) if custom else {"payload": payload}
    except AuditError:
        raise
    except (FastmasError, ValueError, TypeError, KeyError, IndexError, ArithmeticError, struct.error) as error:
        raise AuditError(f"the payload of a {type_name} cannot be decoded: {error}") from error
