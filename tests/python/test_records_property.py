"""Records against numpy: any layout, any values, compared byte for byte."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastmas import records
from fastmas.errors import ConfigError
from fastmas.records import Length, Record

INTEGERS = ("i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64")
KINDS = (*INTEGERS, "f32", "f64", "bool_")
CODES = {kind: kind[0] + str(int(kind[1:]) // 8) for kind in KINDS[:-1]} | {"bool_": "?"}


@dataclass(frozen=True)
class Declared:
    """A field as declared and as numpy has it; `shape` is "" for a scalar, "array" or "bytes"."""

    kind: str
    length: int
    shape: str

    @property
    def annotation(self) -> Any:
        if self.shape == "bytes":
            return Annotated[bytes, Length(self.length)]
        scalar = getattr(records, self.kind)
        return Annotated[tuple[scalar, ...], Length(self.length)] if self.shape else scalar

    @property
    def format(self) -> Any:
        if self.shape == "bytes":
            return f"S{self.length}"
        return (CODES[self.kind], (self.length,)) if self.shape else CODES[self.kind]

    def values(self) -> st.SearchStrategy[Any]:
        if self.shape == "bytes":
            return st.binary(min_size=self.length, max_size=self.length)
        scalars = scalar_values(self.kind)
        if self.shape:
            return st.lists(scalars, min_size=self.length, max_size=self.length).map(tuple)
        return scalars


def scalar_values(kind: str) -> st.SearchStrategy[Any]:
    if kind == "bool_":
        return st.booleans()
    if kind in ("f32", "f64"):
        return st.floats(width=32 if kind == "f32" else 64)
    limits = np.iinfo(CODES[kind])
    return st.integers(int(limits.min), int(limits.max))


FIELDS = st.builds(Declared, st.sampled_from(KINDS), st.integers(1, 5), st.sampled_from(("", "", "", "array", "bytes")))


def make(fields: list[Declared], **defaults: Any) -> Any:
    annotations = {f"f{i}": field.annotation for i, field in enumerate(fields)}
    return type(Record)("Made", (Record,), {"__annotations__": annotations, "__module__": __name__, **defaults})


def aligned(fields: list[Declared]) -> np.dtype[Any]:
    """What numpy makes of the fields, then padded to 8 bytes as a record is."""
    plain = np.dtype([(f"f{i}", field.format) for i, field in enumerate(fields)], align=True)
    assert plain.fields is not None and plain.names is not None
    offsets = [plain.fields[name][1] for name in plain.names]
    return np.dtype(
        {
            "names": plain.names,
            "formats": [field.format for field in fields],
            "offsets": offsets,
            "itemsize": -(-plain.itemsize // 8) * 8,
        },
        align=True,
    )


def same(left: Any, right: Any) -> bool:
    """Equal, with a NaN equal to a NaN and the signs of zeros told apart."""
    if isinstance(left, tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float):
        return (math.isnan(left) and math.isnan(right)) or (
            left == right and math.copysign(1, left) == math.copysign(1, right)
        )
    return type(left) is type(right) and bool(left == right)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_layout_and_bytes_are_those_of_numpy(data: st.DataObject) -> None:
    fields = data.draw(st.lists(FIELDS, min_size=1, max_size=12))
    values = [data.draw(field.values()) for field in fields]
    cls = make(fields)
    dtype = aligned(fields)
    assert cls.dtype == dtype
    assert cls.dtype.isalignedstruct
    assert cls.size_bytes == dtype.itemsize

    record = cls(*values)
    for i, value in enumerate(values):
        assert same(getattr(record, f"f{i}"), value)
        assert same(getattr(record, "".join(["f", str(i)])), value)  # by a name that is not interned

    row = np.zeros(1, dtype)  # zeros: numpy leaves padding alone
    for i, value in enumerate(values):
        row[f"f{i}"][0] = value
    assert bytes(record) == row.tobytes()
    assert memoryview(record) == row.tobytes()

    by_name = {f"f{i}": value for i, value in enumerate(values)}
    shuffled = data.draw(st.permutations(list(by_name)))
    assert cls(**{name: by_name[name] for name in shuffled}) == record
    split = data.draw(st.integers(0, len(values)))
    assert cls(*values[:split], **{name: by_name[name] for name in shuffled if int(name[1:]) >= split}) == record


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.data())
def test_rows_with_dirty_padding_give_canonical_records(data: st.DataObject) -> None:
    fields = data.draw(st.lists(FIELDS, min_size=1, max_size=8))
    cls = make(fields)
    filler = data.draw(st.binary(min_size=cls.size_bytes, max_size=cls.size_bytes))
    row = np.frombuffer(bytearray(filler), cls.dtype)
    record = cls.from_row(row[0])
    clean = np.zeros(1, cls.dtype)
    for i, field in enumerate(fields):
        if field.kind == "bool_" and field.shape != "bytes":
            clean[f"f{i}"] = np.frombuffer(row[f"f{i}"].tobytes(), np.uint8).reshape(row[f"f{i}"].shape) != 0
        else:
            size = cls.dtype[f"f{i}"].itemsize
            start = cls.dtype.fields[f"f{i}"][1]
            clean.view(np.uint8)[start : start + size] = row.view(np.uint8)[start : start + size]
    assert bytes(record) == clean.tobytes()
    assert cls.from_array(row) == [record]
    assert cls.from_bytes(bytes(record)) == record
    assert hash(cls.from_bytes(bytes(record))) == hash(record)
    if bytes(record) != filler:
        with pytest.raises(ConfigError, match=r"bytes are no Made: (padding byte \d+ is not zero|bool at byte \d+ is)"):
            cls.from_bytes(filler)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_arrays_of_records_come_back(data: st.DataObject) -> None:
    fields = data.draw(st.lists(FIELDS, min_size=1, max_size=5))
    cls = make(fields)
    made = [cls(*[data.draw(field.values()) for field in fields]) for _ in range(data.draw(st.integers(0, 4)))]
    array = cls.as_array(made)
    assert array.dtype is cls.dtype
    assert array.shape == (len(made),)
    assert array.tobytes() == b"".join(made)
    assert cls.from_array(array) == made
    assert cls.from_array(array[::-1]) == made[::-1]
    assert [cls.from_row(row) for row in array] == made
    assert [cls.from_row(record.to_row()) for record in made] == made


@pytest.mark.parametrize("kind", INTEGERS)
def test_integer_ranges_end_where_they_should(kind: str) -> None:
    limits = np.iinfo(CODES[kind])
    low, high = int(limits.min), int(limits.max)
    cls = make([Declared(kind, 1, "")])
    array = make([Declared(kind, 2, "array")])
    for value in {low, low + 1, -1, 0, 1, high - 1, high, 2**29, 2**30, 2**31, 2**60, 2**62, -(2**30), -(2**60)}:
        if low <= value <= high:
            assert cls(value).f0 == value
            assert cls(f0=value).f0 == value
            assert cls(np.array([value], CODES[kind])[0]).f0 == value
            assert array((value, 0)).f0 == (value, 0)
    for value in (low - 1, high + 1, 2**64, -(2**63) - 1, 10**30, -(10**30), 2**63 if kind != "u64" else -1):
        text = rf"^Made\.f0 must be from {low} to {high} \({kind}\), got {value}; scale the value"
        for attempt in (lambda v=value: cls(v), lambda v=value: cls(f0=v), lambda v=value: array((0, v))):
            with pytest.raises(ConfigError, match=text):
                attempt()


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.floats(), st.floats())
def test_equality_and_hash_are_those_of_the_bytes(left: float, right: float) -> None:
    cls = make([Declared("f64", 1, "")])
    equal = struct.pack("<d", left) == struct.pack("<d", right)
    assert (cls(left) == cls(right)) is equal
    assert (cls(left) != cls(right)) is not equal
    assert (hash(cls(left)) == hash(cls(right))) is equal


def test_f32_rounds_as_numpy_and_refuses_what_only_f64_can_hold() -> None:
    cls = make([Declared("f32", 1, "")])
    assert cls(0.1).f0 == float(np.float32(0.1))
    assert cls(math.inf).f0 == math.inf
    assert math.isnan(cls(math.nan).f0)
    with pytest.raises(
        ConfigError, match=r"Made\.f0 must be from -3\.4028235e38 to 3\.4028235e38 \(f32\), got 1e\+39; scale"
    ):
        cls(1e39)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_defaults_and_replace(data: st.DataObject) -> None:
    fields = data.draw(st.lists(FIELDS, min_size=1, max_size=6))
    values = [data.draw(field.values()) for field in fields]
    others = [data.draw(field.values()) for field in fields]
    first = data.draw(st.integers(0, len(fields)))
    cls = make(fields, **{f"f{i}": values[i] for i in range(first, len(fields))})
    record = cls(*values[:first])
    assert record == cls(*values)
    changed = data.draw(st.sets(st.integers(0, len(fields) - 1)))
    expected = [others[i] if i in changed else values[i] for i in range(len(fields))]
    assert record.replace(**{f"f{i}": others[i] for i in changed}) == cls(*expected)
    assert record == cls(*values)
