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

A layout never changes: give a changed record a new name, so that what was written before can still be read.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from fastmas._core.records import Length, Record, ScalarType

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
    "u8",
    "u16",
    "u32",
    "u64",
]

# To a type checker these are int, float and bool; to Record they carry the width.
i8: TypeAlias = Annotated[int, ScalarType("i8")]
i16: TypeAlias = Annotated[int, ScalarType("i16")]
i32: TypeAlias = Annotated[int, ScalarType("i32")]
i64: TypeAlias = Annotated[int, ScalarType("i64")]
u8: TypeAlias = Annotated[int, ScalarType("u8")]
u16: TypeAlias = Annotated[int, ScalarType("u16")]
u32: TypeAlias = Annotated[int, ScalarType("u32")]
u64: TypeAlias = Annotated[int, ScalarType("u64")]
f32: TypeAlias = Annotated[float, ScalarType("f32")]
f64: TypeAlias = Annotated[float, ScalarType("f64")]
bool_: TypeAlias = Annotated[bool, ScalarType("bool_")]
