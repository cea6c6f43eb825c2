"""Records whose class says writable=True: what can be assigned, what stays as it was, and who must not share one."""

from __future__ import annotations

import copy
import pickle
import re
import sys
from collections.abc import Callable, Hashable
from typing import Annotated, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastmas._core.kernel import Kernel
from fastmas.errors import ConfigError
from fastmas.records import Length, Record, bool_, f32, f64, i64, u8, u32


class Tilt(Record, writable=True):
    ts_ns: i64
    instrument: u32 = 0
    weight: f64 = 1.0
    flag: bool_ = False
    code: Annotated[bytes, Length(3)] = b"abc"
    levels: Annotated[tuple[u8, ...], Length(3)] = (1, 2, 3)
    ratio: f32 = 0.0

    @property
    def seconds(self) -> float:
        return self.ts_ns / 1e9

    @seconds.setter
    def seconds(self, value: float) -> None:
        self.ts_ns = int(value * 1e9)  # type: ignore[misc]


class Typed(Record, frozen=False):
    """Said as PEP 681 says it: a type checker sees that the assignments below are allowed."""

    ts_ns: i64
    weight: f64 = 1.0


class Frozen(Record):
    ts_ns: i64
    weight: f64 = 1.0


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "ts_ns": st.integers(-(2**63), 2**63 - 1),
        "instrument": st.integers(0, 2**32 - 1),
        "weight": st.floats(),
        "flag": st.booleans(),
        "code": st.binary(min_size=3, max_size=3),
        "levels": st.lists(st.integers(0, 255), min_size=3, max_size=3).map(tuple),
        "ratio": st.floats(width=32),
    },
)


@given(VALUES)
def test_assigned_fields_are_those_of_a_record_built_with_them(values: dict[str, Any]) -> None:
    tilt = Tilt(7)
    for name, value in values.items():
        setattr(tilt, name, value)
    expected = Tilt(**{"ts_ns": 7, **values})
    assert tilt == expected
    assert bytes(tilt) == bytes(expected)
    assert repr(tilt) == repr(expected)
    assert pickle.loads(pickle.dumps(tilt)) == expected


REFUSED = [
    ("ts_ns", 2**63),
    ("ts_ns", 1.5),
    ("instrument", -1),
    ("instrument", 2**32),
    ("weight", "1"),
    ("weight", 10**400),
    ("flag", 1),
    ("code", b"ab"),
    ("code", "abc"),
    ("levels", (1, 2)),
    ("levels", (9, 9, 256)),
    ("levels", 5),
    ("ratio", 1e300),
]


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_a_value_that_does_not_fit_is_refused_as_by_construction_and_changes_nothing(name: str, value: Any) -> None:
    with pytest.raises(ConfigError) as built:
        Tilt(**{"ts_ns": 7, name: value})
    tilt = Tilt(7)
    for assign in (
        lambda: setattr(tilt, name, value),
        lambda: Tilt.__dict__[name].__set__(tilt, value),
    ):
        with pytest.raises(ConfigError, match="^" + re.escape(str(built.value)) + "$"):
            assign()
        assert bytes(tilt) == bytes(Tilt(7))


def test_the_trouble_of_a_value_is_not_hidden_and_an_array_is_assigned_whole_or_not_at_all() -> None:
    class Awkward:
        def __index__(self) -> int:
            seen.append(tilt.levels)
            raise ZeroDivisionError("own trouble")

    seen: list[tuple[int, ...]] = []
    tilt = Tilt(7)
    with pytest.raises(ZeroDivisionError, match="own trouble"):
        tilt.levels = (9, 9, Awkward())  # type: ignore[misc, assignment]
    assert seen == [(1, 2, 3)]
    assert tilt == Tilt(7)


def test_what_cannot_be_assigned_or_deleted() -> None:
    class Other(Record, writable=True):
        ts_ns: i64

    tilt: Any = Tilt(7)
    for change, error, text in [
        (lambda: delattr(tilt, "weight"), AttributeError, "Tilt.weight cannot be deleted: a record has all its fields"),
        (lambda: Tilt.__dict__["weight"].__delete__(tilt), AttributeError, "Tilt.weight cannot be deleted"),
        (
            lambda: setattr(tilt, "wait", 1),
            AttributeError,
            "Tilt has no field 'wait'; its fields are ts_ns, inst",
        ),
        (lambda: delattr(tilt, "wait"), AttributeError, "Tilt has no field 'wait'"),
        (lambda: setattr(tilt, "replace", 1), AttributeError, "read-only"),
        (lambda: Tilt.__dict__["ts_ns"].__set__(Other(1), 2), TypeError, "doesn't apply to"),
        (lambda: setattr(tilt, "__class__", Other), TypeError, "__class__ assignment"),
        (lambda: object.__setattr__(tilt, "weight", 1.0), TypeError, "can't apply this __setattr__"),
        (lambda: memoryview(tilt).__setitem__(0, 1), TypeError, "read-only"),
    ]:
        with pytest.raises(error, match=re.escape(text)):
            change()
    assert tilt == Tilt(7)


def test_a_property_of_the_class_can_be_set() -> None:
    tilt = Tilt(0)
    tilt.seconds = 1.5
    assert tilt.ts_ns == 1_500_000_000
    name = "".join(["ts", "_ns"])  # not the interned one
    setattr(tilt, name, 2)
    assert tilt.ts_ns == 2


def test_it_has_no_hash_and_says_why() -> None:
    with pytest.raises(
        TypeError,
        match=re.escape(
            "unhashable type: 'Tilt': its fields can be assigned; use bytes(record) as the key, or a Record that is "
            "not writable"
        ),
    ):
        hash(Tilt(7))
    assert not isinstance(Tilt(7), Hashable)
    assert isinstance(Frozen(7), Hashable)

    class Named(Record, writable=True):
        ts_ns: i64

        def __hash__(self) -> int:
            return 5

    assert hash(Named(1)) == 5


def test_copies_and_rows_do_not_follow() -> None:
    tilt = Tilt(7)
    row, copies = tilt.to_row(), [copy.copy(tilt), copy.deepcopy(tilt), tilt.replace()]
    view = memoryview(tilt)
    before = bytes(view)
    tilt.ts_ns = 8  # type: ignore[misc]
    assert copies == [Tilt(7)] * 3
    assert row["ts_ns"] == 7
    with pytest.raises(ValueError, match="read-only"):
        row["ts_ns"] = 9
    assert bytes(view) != before  # a view follows, as views do
    frozen = Frozen(7)
    assert copy.copy(frozen) is frozen


def test_the_layout_does_not_depend_on_it() -> None:
    def declare(**keywords: Any) -> Any:
        body = {"__module__": __name__, "__annotations__": {"ts_ns": i64, "weight": f64}}
        return type(Record)("Made", (Record,), body, **keywords)

    plain, writable = declare(), declare(writable=True)
    assert (plain.writable, writable.writable, declare(frozen=True).writable) == (False, True, False)
    assert (plain.schema, plain.fingerprint, plain.dtype) == (writable.schema, writable.fingerprint, writable.dtype)
    assert writable.from_bytes(bytes(plain(1, 2.0))) == writable(1, 2.0)
    assert np.array_equal(writable.as_array([writable(1, 2.0)]), plain.as_array([plain(1, 2.0)]))


def test_type_checkers_know_it_as_frozen_false() -> None:
    typed = Typed(1)
    typed.weight = 0.5
    typed.ts_ns += 1
    assert typed == Typed(2, 0.5)
    assert Typed.writable


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        (
            {"writeable": True},
            "Made takes the class keyword writable=True (or frozen=False, which type checkers know) and no other, got "
            "{'writeable': True}",
        ),
        ({"writable": 1}, "Made takes the class keyword writable=True (or frozen=False, which type checkers know)"),
        (
            {"writable": True, "frozen": True},
            "Made must be writable or frozen, got {'writable': True, 'frozen': True}; drop one",
        ),
    ],
)
def test_class_keywords_that_are_refused(keywords: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match="^" + re.escape(text)):
        type(Record)("Made", (Record,), {"__annotations__": {"x": u8}}, **keywords)


def test_a_class_that_is_writable_has_no_subclass_either() -> None:
    with pytest.raises(ConfigError, match=r"^More cannot inherit from Tilt: a record's layout is its identity"):

        class More(Tilt):
            x: u8


def test_references_balance() -> None:
    class Made(Record, writable=True):
        x: i64
        levels: Annotated[tuple[i64, ...], Length(2)] = (0, 0)

    def use() -> None:
        made.x = value
        made.levels = levels
        for wrong in ({"x": "1"}, {"levels": (1, "2")}):
            with pytest.raises(ConfigError):
                setattr(made, *next(iter(wrong.items())))

    value, levels, made = 2**40, (2**50, 2**51), Made(1)
    use()
    before = [sys.getrefcount(held) for held in (value, levels, Made, made)]
    for _ in range(50):
        use()
    assert [sys.getrefcount(held) for held in (value, levels, Made, made)] == before


def post(message: Any) -> None:
    kernel = Kernel()
    node = kernel.add_node("source", None, rank=0)
    kernel.post(node, message)


def feed(rows: Any) -> None:
    kernel = Kernel()
    kernel.add_feed(kernel.add_node("source", None, rank=0), rows, Tilt)


@pytest.mark.parametrize(
    ("send", "text"),
    [
        (
            lambda: post(Tilt(7)),
            "agent 'source' returned Tilt, which is declared writable: its receivers share a message, so it must not "
            "change; declare class Tilt(Record) without writable=True",
        ),
        (lambda: post(Tilt.as_array([Tilt(7)])), "agent 'source' returned Tilt, which is declared writable"),
        (
            lambda: feed(Tilt.as_array([Tilt(7)])),
            "a feed's Record must not be writable, for its receivers share a message, and Tilt is; "
            "declare class Tilt(Record) without writable=True",
        ),
    ],
)
def test_agents_do_not_send_what_can_change(send: Callable[[], None], text: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(text)):
        send()
