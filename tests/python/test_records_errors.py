"""What a declaration or a construction may not be, and the words it is told so in."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

import numpy as np
import pytest

from fastmas.errors import ConfigError
from fastmas.records import Length, Record, bool_, f64, i64, record_type_of_dtype, u8, u32


class Tick(Record):
    ts_ns: i64
    instrument: u32
    price: f64 = 0.0


class Mixed(Record):
    flag: bool_ = False
    code: Annotated[bytes, Length(4)] = b"none"
    levels: Annotated[tuple[f64, ...], Length(3)] = (0.0, 0.0, 0.0)


def declare(name: str = "Made", /, bases: tuple[type, ...] = (Record,), **body: Any) -> Any:
    return type(Record)(name, bases, {"__module__": __name__, **body})


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class Awkward:
    """Numbers whose conversion goes wrong in a way of its own."""

    def __index__(self) -> int:
        raise ZeroDivisionError("own trouble")

    def __float__(self) -> float:
        raise ZeroDivisionError("own trouble")


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: Tick(), "Tick needs values for all fields without a default, missing: ts_ns, instrument"),
        (lambda: Tick(instrument=1), "Tick needs values for all fields without a default, missing: ts_ns"),
        (lambda: Tick(1, 2, 3.0, 4), "Tick takes at most 3 values (ts_ns, instrument, price), got 4"),
        (lambda: Tick(1, 2, prise=3.0), "Tick has no field 'prise'; its fields are ts_ns, instrument, price"),
        (
            lambda: Tick(1, 2, ts_ns=3),
            "Tick got two values for field 'ts_ns', one by position and one by name; drop one",
        ),
        (
            lambda: Tick(1, 2.5),
            "Tick.instrument must be an integer (u32), got 2.5 of type float; round it and convert it with int()",
        ),
        (
            lambda: Tick(None, 2),
            "Tick.ts_ns must be an integer (i64), got None of type NoneType; round it and convert it with int()",
        ),
        (
            lambda: Tick(1, 2, "3"),
            "Tick.price must be a number (f64), got '3' of type str; convert it with float()",
        ),
        (
            lambda: Tick(1, 2, 10**400),
            "Tick.price must be from -1.7976931348623157e308 to 1.7976931348623157e308 (f64), "
            f"got 1{'0' * 79}...; scale the value",
        ),
        (
            lambda: Tick(1, -1),
            "Tick.instrument must be from 0 to 4294967295 (u32), got -1; "
            "scale the value or declare the field with a wider type",
        ),
        (
            lambda: Mixed(1),
            "Mixed.flag must be a bool (bool_), got 1 of type int; pass True or False, as bool(value) gives",
        ),
        (
            lambda: Mixed(code=b"abc"),
            "Mixed.code must be exactly 4 bytes, got b'abc' of 3; pad it with value.ljust(4, b'\\0')",
        ),
        (lambda: Mixed(code="abcd"), "Mixed.code must be exactly 4 bytes, got 'abcd' of type str; encode it first"),
        (
            lambda: Mixed(levels=(1.0, 2.0)),
            "Mixed.levels must be a sequence of exactly 3 f64 values, got 2 values; its length is part of the layout",
        ),
        (
            lambda: Mixed(levels=1.0),
            "Mixed.levels must be a sequence of exactly 3 f64 values, got 1.0 of type float",
        ),
        (
            lambda: Mixed(levels="123"),
            "Mixed.levels must be a sequence of exactly 3 f64 values, got '123' of type str",
        ),
        (
            lambda: Mixed(levels=(1.0, "2", 3.0)),
            "Mixed.levels must be a number (f64), got '2' of type str; convert it with float()",
        ),
        (
            lambda: Tick(10**5000, 1),
            "Tick.ts_ns must be from -9223372036854775808 to 9223372036854775807 (i64), got int (no repr)",
        ),
        (
            lambda: Tick(1, 2, Unprintable()),
            "Tick.price must be a number (f64), got Unprintable (no repr) of type Unprintable",
        ),
        (lambda: Record(), "Record cannot be built itself: declare a class of it with fields, such as"),
        (lambda: Record.__new__(Record), "Record cannot be built itself"),
        (lambda: Record.from_bytes(b""), "Record has no layout of its own: call this on a class of it that has fields"),
        (
            lambda: Tick.from_bytes(b"12"),
            "Tick.from_bytes needs exactly 24 bytes, got 2; "
            "for rows use from_array(numpy.frombuffer(data, Tick.dtype))",
        ),
        (
            lambda: Tick.from_bytes("12"),
            "Tick.from_bytes needs a bytes-like object of 24 bytes, got '12' of type str",
        ),
        (
            lambda: Tick.from_row((1, 2, 3.0)),
            "Tick.from_row needs the dtype Tick.dtype, got (1, 2, 3.0) of type tuple; "
            "convert the array with array.astype(Tick.dtype)",
        ),
        (lambda: Tick.from_array(np.zeros(2)), "Tick.from_array needs the dtype Tick.dtype, got dtype('float64')"),
        (
            lambda: Tick.from_row(np.zeros(2, Tick.dtype)),
            "Tick.from_row needs one row, got an array of shape (2,); use from_array",
        ),
        (
            lambda: Tick.as_array([Tick(1, 2), Mixed()]),
            "Tick.as_array needs records of Tick only, got Mixed(flag=False, code=b'none', levels=(0.0, 0.0, 0.0)) "
            "of type Mixed at position 1",
        ),
        (lambda: Tick.as_array(3), "Tick.as_array needs an iterable of records, got 3 of type int"),
        (
            lambda: Tick(1, 2).replace(4),
            "Tick.replace takes fields by name only, got 1 values by position; write replace(ts_ns=...)",
        ),
        (lambda: Tick(1, 2).replace(prise=4), "Tick has no field 'prise'; its fields are ts_ns, instrument, price"),
        (lambda: Tick(1, 2).replace(instrument=-4), "Tick.instrument must be from 0 to 4294967295 (u32), got -4"),
        (lambda: Length(0), "Length must be an int from 1 to 65536, the bytes of a record, got 0"),
        (lambda: Length(2.5), "Length must be an int from 1 to 65536, the bytes of a record, got 2.5"),
    ],
)
def test_what_a_construction_may_not_be(build: Any, text: str) -> None:
    with pytest.raises(ConfigError, match="^" + re.escape(text)):
        build()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: declare(), "Made must declare at least one field, such as 'ts_ns: i64'"),
        (
            lambda: declare(__annotations__={"x": int}),
            "Made.x must be declared with a type of fixed size, got <class 'int'>; use i8, i16, i32, i64, u8,",
        ),
        (
            lambda: declare(__annotations__={"x": Annotated[str, Length(3)]}),
            "Made.x must be declared with a type of fixed size, got ",
        ),
        (
            lambda: declare(__annotations__={"x": Annotated[tuple[f64, f64], Length(3)]}),
            "Made.x must be declared with a type of fixed size, got ",
        ),
        (
            lambda: declare(__annotations__={"x": Annotated[bytes, 0]}),
            "Made.x must be declared with a type of fixed size, got ",
        ),
        (
            lambda: declare(__annotations__={"x": "i65"}),
            "annotation of Made.x cannot be evaluated: 'i65'; name a type that can be seen where the class is defined",
        ),
        (
            lambda: declare(__annotations__={"x": u8}, x=256),
            "default of Made.x must be from 0 to 255 (u8), got 256; scale the value",
        ),
        (
            lambda: declare(__annotations__={"x": u8, "y": u8}, x=1),
            "Made.y must have a default because 'x' before it has one; give it one or move it up",
        ),
        (
            lambda: declare(__annotations__={"dtype": u8}),
            "Made cannot have a field named 'dtype': Record uses that name itself; choose another",
        ),
        (lambda: declare(__annotations__={"__len__": u8}), "Made cannot have a field named '__len__'"),
        (
            lambda: declare(__annotations__={f"x{i}": u8 for i in range(65)}),
            "Made must have at most 64 fields; put values of one kind into an array",
        ),
        (
            lambda: declare(__annotations__={"x": Annotated[tuple[f64, ...], Length(8192)], "y": u8}),
            "Made must have at most 65536 bytes, but its field 'y' ends at byte 65537; "
            "move large data out of the record",
        ),
        (
            lambda: declare("More", bases=(Tick,), __annotations__={"x": u8}),
            "More cannot inherit from Tick: a record's layout is its identity; declare a new Record with all fields",
        ),
        (
            lambda: declare("Both", bases=(Record, dict), __annotations__={"x": u8}),
            "Both must have Record as its only base, got 2 bases; put shared behaviour into functions",
        ),
        (
            lambda: declare(__annotations__={"x": u8}, __slots__=("y",)),
            "Made must not define __slots__: its fields are its only storage",
        ),
        (
            lambda: declare(__annotations__={"x": u8}, __init__=lambda self: None),
            "Made must not define __init__: a record is made of its fields alone; "
            "write a classmethod that returns a record",
        ),
        (lambda: declare(__annotations__={"x": u8}, __del__=lambda self: None), "Made must not define __del__"),
    ],
)
def test_what_a_declaration_may_not_be(make: Any, text: str) -> None:
    with pytest.raises(ConfigError, match="^" + re.escape(text)):
        make()


def test_an_annotation_that_cannot_be_evaluated_names_its_cause() -> None:
    with pytest.raises(ConfigError) as caught:
        declare(__annotations__={"x": "nowhere.i64"})
    assert isinstance(caught.value.__cause__, NameError)


def test_the_trouble_of_a_value_is_not_hidden() -> None:
    for build in (
        lambda: Tick(Awkward(), 1),
        lambda: Tick(1, 2, Awkward()),
        lambda: Mixed(levels=(0.0, Awkward(), 0.0)),
        lambda: declare(__annotations__={"x": i64}, x=Awkward()),
    ):
        with pytest.raises(ZeroDivisionError, match="own trouble"):
            build()


def test_a_list_that_shrinks_while_it_is_read_is_refused() -> None:
    class Shrinking:
        def __float__(self) -> float:
            values.clear()
            return 1.0

    values: list[Any] = [Shrinking(), 2.0, 3.0]
    with pytest.raises(RuntimeError, match="sequence changed size while a record was built from it"):
        Mixed(levels=values)


def test_records_are_immutable() -> None:
    tick = Tick(1, 2)
    with pytest.raises(
        AttributeError,
        match=re.escape(
            "records are immutable: make a new one with replace(price=...), "
            "or declare class Tick(Record, writable=True)"
        ),
    ):
        tick.price = 3.0  # type: ignore[misc]
    with pytest.raises(AttributeError, match="records are immutable: make a new one"):
        del tick.price
    with pytest.raises(AttributeError, match="Tick has no field 'prise', and records are immutable"):
        tick.prise = 3.0  # type: ignore[attr-defined]
    with pytest.raises((AttributeError, TypeError)):
        object.__setattr__(tick, "price", 3.0)
    with pytest.raises(AttributeError):
        Tick.__dict__["price"].__set__(tick, 3.0)
    with pytest.raises((AttributeError, TypeError)):
        tick.__class__ = Mixed  # type: ignore[assignment]
    with pytest.raises(TypeError):
        object.__dict__["__class__"].__set__(tick, Mixed)
    with pytest.raises(TypeError):
        memoryview(tick)[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        np.frombuffer(tick, np.uint8)[0] = 1
    with pytest.raises(AttributeError):
        Tick.dtype = None  # type: ignore[misc, assignment]
    assert tick == Tick(1, 2)


def test_no_back_door_makes_an_unfilled_record() -> None:
    with pytest.raises(TypeError, match=r"object\.__new__\(Tick\) is not safe"):
        object.__new__(Tick)
    with pytest.raises(ConfigError, match="missing: ts_ns, instrument"):
        Tick.__new__(Tick)
    with pytest.raises(TypeError):
        type.__new__(type(Record), "Made", (Record,), {})
    with pytest.raises(TypeError):
        Tick.price.__get__(Mixed())  # type: ignore[attr-defined]
    base = Record.__mro__[1]
    with pytest.raises(ConfigError, match="Record cannot be built itself"):
        type("Impostor", (base,), {})()
    assert type.__call__(Tick, 1, instrument=2) == Tick(1, 2)
    assert Tick.__new__(Tick, 1, instrument=2) == Tick(1, 2)


def test_no_instance_can_be_made_before_the_class_is_complete() -> None:
    class Eager:
        def __set_name__(self, owner: Any, name: str) -> None:
            owner(1)

    with pytest.raises((ConfigError, RuntimeError)) as caught:
        declare(__annotations__={"x": u8}, eager=Eager())
    error = caught.value if isinstance(caught.value, ConfigError) else caught.value.__cause__
    assert str(error) == "Made cannot be built while its class statement still runs"


def test_hostile_bytes_are_refused_and_name_the_byte() -> None:
    good = bytes(Mixed(True, b"abcd", (1.0, 2.0, 3.0)))
    assert Mixed.from_bytes(bytearray(good)).flag is True
    with pytest.raises(ConfigError, match=r"^bytes are no Mixed: bool at byte 0 is neither 0 nor 1; pass bytes that"):
        Mixed.from_bytes(b"\x02" + good[1:])
    with pytest.raises(ConfigError, match=r"^bytes are no Mixed: padding byte 7 is not zero; pass bytes that"):
        Mixed.from_bytes(good[:7] + b"\x01" + good[8:])
    row = np.frombuffer(b"\x02" + good[1:7] + b"\x01" + good[8:], Mixed.dtype)[0]
    assert bytes(Mixed.from_row(row)) == good


def test_record_itself_has_no_layout() -> None:
    for name in ("dtype", "schema", "size_bytes", "fields", "fingerprint"):
        with pytest.raises(AttributeError, match=f"Record has no {name}: only classes of it with fields have one"):
            getattr(Record, name)


def test_class_variables_are_no_fields() -> None:
    class Counted(Record):
        per_lot: ClassVar[int] = 100
        lots: i64

    assert Counted.fields == ("lots",)
    assert Counted(3).per_lot == 100


def test_an_object_that_is_no_dtype_has_no_record_type() -> None:
    assert record_type_of_dtype([]) is None  # type: ignore[arg-type]
    assert record_type_of_dtype(np.dtype("i8")) is None
