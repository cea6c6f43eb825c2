"""How record classes and records come and go: traps of the class statement, references, memory, threads, pickles."""

from __future__ import annotations

import copy
import ctypes
import gc
import inspect
import json
import os
import pickle
import subprocess
import sys
import sysconfig
import threading
import tracemalloc
import types
import weakref
from typing import Annotated, Any

import numpy as np
import pytest

from fastmas import messages
from fastmas.errors import ConfigError
from fastmas.records import Length, Record, bool_, f64, i64, record_type_of_dtype, u8, u32

HAVE_GC = 1 << 14


class Tick(Record):
    ts_ns: i64
    instrument: u32
    price: f64 = 0.0
    lifecycle: u8 = 0  # so that no class of another test has an equal dtype


class Ragged(Record):
    """Every kind of field that needs care: padding, bool, bytes, arrays."""

    flag: bool_
    code: Annotated[bytes, Length(3)]
    big: i64
    levels: Annotated[tuple[i64, ...], Length(2)]
    tail: u8 = 7


def define(name: str = "Made", **annotations: Any) -> Any:
    return type(Record)(name, (Record,), {"__module__": __name__, "__annotations__": annotations or {"x": i64}})


def test_instances_have_no_dict_no_weak_references_and_no_collector_header() -> None:
    tick = Tick(1, 2)
    assert not hasattr(tick, "__dict__")
    with pytest.raises(TypeError, match="weak reference"):
        weakref.ref(tick)
    assert Tick.__flags__ & HAVE_GC == 0
    assert not gc.is_tracked(tick)
    assert Tick.__basicsize__ == object.__basicsize__ + Tick.size_bytes
    assert sys.getsizeof(tick) == object.__basicsize__ + 32


def test_class_variants_of_the_class_statement() -> None:
    made = types.new_class("Made", (Record,), {}, lambda body: body.update(__annotations__={"x": i64}))
    assert made(3).x == 3
    assert define(x="i64", y="Annotated[bytes, Length(2)]")(3, b"ab").y == b"ab"

    local = f64

    class Local(Record):
        x: local  # type: ignore[valid-type]
        y: Annotated[tuple[local, ...], Length(1)]  # type: ignore[valid-type]

    assert Local(1, (2.0,)).y == (2.0,)


def test_super_and_class_cells_work_in_methods() -> None:
    class Shouting(Record):
        x: i64

        def __repr__(self) -> str:
            return super().__repr__().upper()

        def kind(self) -> type:
            return __class__  # type: ignore[name-defined, no-any-return]

    assert repr(Shouting(1)) == "SHOUTING(X=1)"
    assert Shouting(1).kind() is Shouting


def test_match_statement_and_repr_round_trip() -> None:
    match Tick(1, 2, 0.1):
        case Tick(ts_ns, instrument, price=price):
            assert (ts_ns, instrument, price) == (1, 2, 0.1)
    ragged = Ragged(True, b"a\0c", -5, (1, 2))
    assert repr(ragged) == "Ragged(flag=True, code=b'a\\x00c', big=-5, levels=(1, 2), tail=7)"
    assert eval(repr(ragged)) == ragged


def test_descriptors_and_signature_say_what_the_fields_are() -> None:
    assert Tick.fields == ("ts_ns", "instrument", "price", "lifecycle")
    assert Tick.__dict__["instrument"].__doc__ == "u32 at byte 8"
    assert Tick.__dict__["price"].__get__(Tick(1, 2, 4.5)) == 4.5
    signature = inspect.signature(Tick)
    assert list(signature.parameters) == ["ts_ns", "instrument", "price", "lifecycle"]
    assert signature.parameters["price"].default == 0.0
    assert signature.parameters["ts_ns"].default is inspect.Parameter.empty


def test_schema_is_enough_to_read_the_bytes() -> None:
    schema = json.loads(Ragged.schema)
    assert Ragged.schema == json.dumps(schema, separators=(",", ":"))
    assert (schema["name"], schema["size"]) == ("Ragged", Ragged.size_bytes)
    names, formats, offsets = zip(*schema["fields"], strict=True)
    dtype = np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": schema["size"]})
    row = np.frombuffer(Ragged(True, b"abc", 9, (1, 2)), dtype)[0]
    assert (row["flag"], row["code"], row["big"], list(row["levels"]), row["tail"]) == (True, b"abc", 9, [1, 2], 7)


def test_records_of_different_classes_are_never_equal() -> None:
    left, right = define("Left"), define("Right")
    assert left(1) == left(1)
    assert left(1) != right(1)
    assert hash(left(1)) != hash(right(1))
    assert left(1) != 1
    with pytest.raises(TypeError):
        left(1) < left(2)  # type: ignore[operator]  # noqa: B015


def test_hash_is_the_same_in_every_process() -> None:
    script = (
        "from fastmas.records import Record, i64\n"
        "class Tick(Record):\n"
        "    ts_ns: i64\n"
        "print(hash(Tick(-17)), hash(Tick(2**62)), Tick.fingerprint)\n"
    )
    path = {**os.environ, "PYTHONPATH": ":".join(filter(None, sys.path))}
    seen = {
        subprocess.run(
            [sys.executable, "-c", script], env=path | {"PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1


def test_the_dtype_leads_back_to_the_class() -> None:
    rows = Tick.as_array([Tick(1, 2)])
    assert record_type_of_dtype(rows.dtype) is Tick
    assert record_type_of_dtype(rows[::-1].copy().dtype) is Tick
    assert record_type_of_dtype(pickle.loads(pickle.dumps(rows)).dtype) is Tick
    assert record_type_of_dtype(messages.Bar.dtype) is messages.Bar


def test_equal_dtypes_of_two_classes_are_told_apart_by_identity_only() -> None:
    left, right = define("Left", only_here=i64), define("Right", only_here=i64)
    assert left.dtype == right.dtype
    assert record_type_of_dtype(left.dtype) is left
    assert record_type_of_dtype(right.dtype) is right
    assert record_type_of_dtype(copy.deepcopy(np.dtype(left.dtype.descr))) is None
    del right
    gc.collect()
    assert record_type_of_dtype(np.dtype(left.dtype.descr)) is left


def test_a_class_that_is_defined_again_replaces_the_one_before() -> None:
    before = define("Again", again=i64)
    after = define("Again", again=i64)
    assert record_type_of_dtype(np.dtype(after.dtype.descr)) is after
    assert record_type_of_dtype(before.dtype) is after


def test_unused_classes_are_collected_with_their_records() -> None:
    cls = define("Gone", gone=i64)
    dtype = np.dtype(cls.dtype.descr)
    many = [cls(i) for i in range(200)]
    alive = weakref.ref(cls)
    row = many[3].to_row()
    del cls, many
    gc.collect()
    assert alive() is not None  # the row still holds a record
    del row
    gc.collect()
    assert alive() is None
    assert record_type_of_dtype(dtype) is None


def test_a_record_keeps_its_class_and_a_view_keeps_its_record() -> None:
    record = define("Held")(5)
    gc.collect()
    view = memoryview(record)
    array = np.frombuffer(record, np.int64)
    del record
    others = [define("Held")(6) for _ in range(100)]
    assert view.tobytes() == (5).to_bytes(8, "little")
    assert array[0] == 5
    assert len(others) == 100


def test_reference_counts_of_class_and_values_balance() -> None:
    big = 2**61 + 12345
    count_class, count_value = sys.getrefcount(Tick), sys.getrefcount(big)
    held = [Tick(big, 2, 0.5) for _ in range(300)]
    assert sys.getrefcount(Tick) == count_class + 300
    assert sys.getrefcount(big) == count_value
    del held
    for _ in range(300):
        with pytest.raises(ConfigError):
            Tick(big, -1)
        with pytest.raises(ConfigError):
            Tick(big, instrument=1, nothing=2)
        Tick.from_bytes(bytes(Tick(big, 1)))
        copy.copy(Tick(big, 1).replace(price=1.0))
    assert sys.getrefcount(Tick) == count_class
    assert sys.getrefcount(big) == count_value


def exercise() -> None:
    record = Ragged(True, b"abc", 2**40, (1, 2))
    _ = record.flag, record.code, record.big, record.levels, record.tail
    assert Ragged.from_bytes(bytes(record)) == record
    assert Ragged.from_array(Ragged.as_array([record, record])) == [record, record]
    assert Ragged.from_row(record.to_row()) == record
    assert pickle.loads(pickle.dumps(record)) == record
    assert record.replace(big=1).big == 1
    hash(record), repr(record), inspect.signature(Ragged), Ragged.schema, Ragged.dtype, Ragged.fields
    for bad in ({"big": "x"}, {"nothing": 1}, {"levels": (1, "x")}, {"code": b""}, {"big": 2**70}):
        with pytest.raises(ConfigError):
            record.replace(**bad)
    with pytest.raises(AttributeError):
        record.big = 3  # type: ignore[misc]
    with pytest.raises(ConfigError):
        Ragged.from_bytes(b"\xff" * Ragged.size_bytes)


def grown(action: Any, rounds: int) -> int:
    """Blocks of memory that `rounds` calls leave behind, the least of several runs: caches fill up, leaks go on."""
    found = []
    for _ in range(6):
        before = sys.getallocatedblocks()
        for _ in range(rounds):
            action()
        gc.collect()
        found.append(sys.getallocatedblocks() - before)
    return min(found)


@pytest.mark.measures
def test_nothing_leaks_in_use() -> None:
    assert grown(exercise, 200) < 100  # less than half a block a call


@pytest.mark.measures
def test_nothing_leaks_from_classes() -> None:
    def use() -> None:
        cls = define("Brief", brief=i64)
        cls.from_bytes(bytes(cls(1)))
        with pytest.raises(ConfigError):
            define("Failed", x=i64, y=int)

    assert grown(use, 100) < 50


class HeapInfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in ("arena", "a", "b", "c", "mapped", "d", "e", "in_use", "free", "f")]


@pytest.mark.measures
def test_no_layout_outlives_its_class() -> None:
    """The layout of a class is C++ memory, which the interpreter does not count."""
    heap = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if heap is None or sysconfig.get_config_var("Py_GIL_DISABLED"):
        pytest.skip("the C library does not say how much of its heap is in use, or the interpreter frees later")
    heap.restype = HeapInfo

    def grown_bytes(rounds: int) -> int:
        before = heap().in_use
        for _ in range(rounds):
            define("Brief", brief=i64)
        gc.collect()
        return int(heap().in_use) - int(before)

    assert min(grown_bytes(300) for _ in range(6)) < 300 * 32


def test_the_free_list_is_bounded() -> None:
    cls = define("Many", many=i64)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        held = [cls(i) for i in range(10_000)]
        del held
        assert tracemalloc.get_traced_memory()[0] - before < 64 * 64
    finally:
        tracemalloc.stop()


def test_a_reused_record_has_nothing_of_the_one_before() -> None:
    for _ in range(3):
        records = [Ragged(True, b"\xff\xff\xff", -1, (-1, -1), 255) for _ in range(70)]
        del records
        assert bytes(Ragged(False, b"\0\0\0", 0, (0, 0), 0)) == bytes(Ragged.size_bytes)


def test_threads_build_and_read_without_mixing_up() -> None:
    wrong: list[object] = []

    def work(seed: int) -> None:
        for i in range(5_000):
            record = Tick(seed * 1_000_000 + i, seed, i * 0.5)
            if (record.ts_ns, record.instrument, record.price) != (seed * 1_000_000 + i, seed, i * 0.5):
                wrong.append(record)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_pickle_of_another_layout_is_refused() -> None:
    restore, (cls, fingerprint, data) = Tick(1, 2).__reduce__()  # type: ignore[misc]
    assert restore(cls, fingerprint, data) == Tick(1, 2)
    with pytest.raises(
        ConfigError, match=r"Tick was pickled with another layout than it has now \(\{\"name\":\"Tick\""
    ):
        restore(cls, fingerprint ^ 1, data)


def test_every_message_round_trips() -> None:
    classes = [value for value in vars(messages).values() if isinstance(value, type(Record)) and value is not Record]
    assert len(classes) >= 10
    for cls in classes:
        record = cls(*range(1, len(cls.fields) + 1))
        assert cls.from_bytes(bytes(record)) == record
        assert pickle.loads(pickle.dumps(record)) == record
        assert record_type_of_dtype(cls.dtype) is cls
