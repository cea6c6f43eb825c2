"""Messages of fixed layout: :class:`Record` and the types of its fields.

A record's bytes are laid out as a C compiler lays out a struct of the same fields, padded with zeros to a multiple of
8, little-endian. They live on rings, in logs and in the audit as they are: nothing is encoded.

>>> from fastmas.records import Record, f64, i64, u32
>>> class Tilt(Record):
...     ts_ns: i64
...     instrument: u32
...     weight: f64 = 1.0
>>> tilt = Tilt(ts_ns=1, instrument=7)
>>> tilt
Tilt(ts_ns=1, instrument=7, weight=1.0)
>>> Tilt.from_bytes(bytes(tilt)) == tilt
True
>>> tilt.replace(weight=0.5).weight
0.5
>>> Tilt.dtype.itemsize, Tilt.dtype.names
(24, ('ts_ns', 'instrument', 'weight'))
>>> Tilt.schema
'{"name":"Tilt","size":24,"fields":[["ts_ns","<i8",0],["instrument","<u4",8],["weight","<f8",16]]}'

Fixed bytes and arrays say their length:

>>> from typing import Annotated
>>> from fastmas.records import Length
>>> class Depth(Record):
...     venue: Annotated[bytes, Length(4)]
...     bids: Annotated[tuple[i64, ...], Length(3)] = (0, 0, 0)
>>> Depth(b"XNYS", [5, 4, 3]).bids
(5, 4, 3)

Rows of numpy and records convert both ways, and a dtype leads back to its class:

>>> from fastmas.records import record_type_of_dtype
>>> rows = Tilt.as_array([Tilt(1, 7), Tilt(2, 8, -0.5)])
>>> rows["weight"]
array([ 1. , -0.5])
>>> Tilt.from_row(rows[1]), record_type_of_dtype(rows.dtype) is Tilt
(Tilt(ts_ns=2, instrument=8, weight=-0.5), True)

A record cannot be changed, so it can be shared, and can be a key of a dict. A class that says so can be assigned to,
with the same checks as in construction; its records have no hash, and agents do not send them. Type checkers know
`writable=True` by the name it has in PEP 681, `frozen=False`; either word will do.

>>> class Draft(Record, frozen=False):
...     ts_ns: i64
...     weight: f64 = 1.0
>>> draft = Draft(1)
>>> draft.weight /= 4
>>> draft, Draft.writable
(Draft(ts_ns=1, weight=0.25), True)

A layout never changes: give a changed record a new name, so that what was written before can still be read.
"""

from __future__ import annotations

from typing import Annotated, Self, TypeAlias

from fastmas._core.records import Record, record_type_of_dtype
from fastmas.errors import ConfigError

__all__ = [
    "Length",
    "Record",
    "bool_",
    "f32",
    "f64",
    "i8",
    "i16",
    "i32",
    "i64",
    "record_type_of_dtype",
    "u8",
    "u16",
    "u32",
    "u64",
]

MAX_LENGTH = 65536


class Length(int):
    """How many items fixed bytes or a fixed array have: ``Annotated[bytes, Length(16)]``.

    Parameters
    ----------
    items : int
        From 1 to 65536, the most bytes that a record can have.

    Examples
    --------
    >>> from typing import Annotated
    >>> from fastmas import Length, Record, f64
    >>> class Curve(Record):
    ...     name: Annotated[bytes, Length(4)]
    ...     rates: Annotated[tuple[f64, ...], Length(2)]
    >>> Curve(b"EUR ", (0.02, 0.025)).rates
    (0.02, 0.025)
    """

    def __new__(cls, items: int) -> Self:
        if not isinstance(items, int) or not 1 <= items <= MAX_LENGTH:
            raise ConfigError(f"Length must be an int from 1 to {MAX_LENGTH}, the bytes of a record, got {items!r}")
        return super().__new__(cls, items)


# To a type checker these are int, float and bool; to Record they carry the width.
i8: TypeAlias = Annotated[int, "i8"]
i16: TypeAlias = Annotated[int, "i16"]
i32: TypeAlias = Annotated[int, "i32"]
i64: TypeAlias = Annotated[int, "i64"]
u8: TypeAlias = Annotated[int, "u8"]
u16: TypeAlias = Annotated[int, "u16"]
u32: TypeAlias = Annotated[int, "u32"]
u64: TypeAlias = Annotated[int, "u64"]
f32: TypeAlias = Annotated[float, "f32"]
f64: TypeAlias = Annotated[float, "f64"]
bool_: TypeAlias = Annotated[bool, "bool_"]
