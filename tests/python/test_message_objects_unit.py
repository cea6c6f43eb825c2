"""Observation, Intent and Committed: what they keep, refuse and say."""

from __future__ import annotations

import copy
import pickle
import re
import sys
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from fastmas._core.kernel import Committed, Intent, Observation
from fastmas.errors import ConfigError

I64_MAX = 2**63 - 1
I64_MIN = -(2**63)


def test_an_observation_gives_back_what_it_was_made_of() -> None:
    o = Observation(7, 10, {"mid": 100.5, "curve": np.array([1.0, 2.0]), "ids": np.array([3, 4])})
    assert (o.instrument, o.ts_ns, o["mid"]) == (7, 10, 100.5)
    assert list(o.values) == ["mid", "curve", "ids"]
    assert o["curve"].dtype == np.float64 and o["ids"].dtype == np.int64
    assert "mid" in o and "bid" not in o
    assert Observation(instrument=7, ts_ns=10, values=o.values) == o
    assert repr(Observation(7, 10, {"mid": 1.5})) == "Observation(instrument=7, ts_ns=10, values={'mid': 1.5})"


def test_numbers_of_every_kind_become_floats() -> None:
    o = Observation(0, 0, {"int": 3, "f32": np.float32(0.5), "i8": np.int8(-1), "f64": np.float64(2.5), "bool": True})
    assert dict(o.values) == {"int": 3.0, "f32": 0.5, "i8": -1.0, "f64": 2.5, "bool": 1.0}
    assert {type(v) for v in o.values.values()} == {float}


def test_an_observation_keeps_a_copy_that_cannot_be_written() -> None:
    array, values = np.array([1.0, 2.0]), {"a": 1.0}
    o = Observation(0, 0, {"x": array, **values})
    array[0] = 9.0
    assert o["x"].tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match="read-only"):
        o["x"][0] = 5.0
    assert isinstance(o.values, MappingProxyType)
    with pytest.raises(AttributeError):
        o.ts_ns = 3  # type: ignore[misc]


def test_strided_and_unaligned_arrays_are_kept_right() -> None:
    packed = np.zeros(3, np.dtype([("flag", "u1"), ("x", "<f8")]))
    packed["x"] = [1, 2, 3]
    o = Observation(
        0, 0, {"odd": np.arange(6)[1::2], "back": np.arange(3.0)[::-1], "packed": packed["x"], "none": np.zeros(0)}
    )
    assert o["odd"].tolist() == [1, 3, 5] and o["back"].tolist() == [2.0, 1.0, 0.0]
    assert o["packed"].tolist() == [1.0, 2.0, 3.0] and o["none"].shape == (0,)
    assert Observation.from_bytes(o.to_bytes()) == o


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((-1, 0, {}), "instrument must be an integer from 0 to 2**32 - 1, got -1"),
        ((2**32, 0, {}), "instrument must be an integer from 0 to 2**32 - 1, got 4294967296"),
        ((1.0, 0, {}), "instrument must be an integer from 0 to 2**32 - 1, got 1.0"),
        ((1, 2**63, {}), "ts_ns must be an integer from -2**63 to 2**63 - 1, got 9223372036854775808"),
        ((1, 0, 5), "the values of an observation must be a mapping of names to numbers or arrays, got 5"),
        ((1, 0, {1: 2.0}), "a name in an observation must be a str of 1 to 255 bytes of UTF-8, got 1"),
        ((1, 0, {"": 2.0}), "a name in an observation must be a str of 1 to 255 bytes of UTF-8, got ''"),
        ((1, 0, {"x" * 256: 2.0}), "a name in an observation must be a str of 1 to 255 bytes of UTF-8"),
        ((1, 0, {"\ud800": 2.0}), "a name in an observation must be a str of 1 to 255 bytes of UTF-8"),
        ((1, 0, {"a": "1.5"}), "must be a float or a one-dimensional array, got '1.5' for 'a'"),
        ((1, 0, {"a": None}), "must be a float or a one-dimensional array, got None for 'a'"),
        ((1, 0, {"a": 1j}), "must be a float or a one-dimensional array, got 1j for 'a'"),
        ((1, 0, {"a": 10**400}), "must be a float or a one-dimensional array"),
        ((1, 0, {"a": np.zeros((2, 2))}), "'a' has 2 dimensions of float64; use .ravel() and .astype(np.float64)"),
        ((1, 0, {"a": np.array(1.0)}), "'a' has 0 dimensions of float64"),
        ((1, 0, {"a": np.zeros(2, "f4")}), "'a' has 1 dimensions of float32; use .ravel() and .astype(np.float64)"),
        ((1, 0, {"a": np.zeros(2, ">f8")}), "'a' has 1 dimensions of >f8"),
        ((1, 0, {"a": np.array(["x"], object)}), "'a' has 1 dimensions of object"),
    ],
)
def test_an_observation_refuses(arguments: tuple[Any, ...], text: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(text)):
        Observation(*arguments)


def test_an_observation_names_what_it_has_when_asked_for_what_it_has_not() -> None:
    with pytest.raises(KeyError, match=r"no 'bid' in this observation; it has \['mid'\]"):
        Observation(1, 0, {"mid": 1.0})["bid"]


def test_an_intent_keeps_its_targets_sorted_and_read_only() -> None:
    intent = Intent(5, {9: -3, 2: 7, np.uint32(4): np.int64(0)}, valid_until_ns=50)
    assert list(intent.targets.items()) == [(2, 7), (4, 0), (9, -3)]
    assert (intent.ts_ns, intent.valid_until_ns, Intent(5, {}).valid_until_ns) == (5, 50, 0)
    assert intent.targets is intent.targets and isinstance(intent.targets, MappingProxyType)
    assert repr(Intent(1, {2: 3})) == "Intent(ts_ns=1, targets={2: 3}, valid_until_ns=0)"
    assert Intent(ts_ns=5, targets={2: 7, 4: 0, 9: -3}, valid_until_ns=50) == intent
    assert Intent(I64_MIN, {0: I64_MAX, 2**32 - 1: I64_MIN}).targets == {0: I64_MAX, 2**32 - 1: I64_MIN}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((0, {1: 2**63}), "the lots of a target must be an integer from -2**63 to 2**63 - 1, got 9223372036854775808"),
        ((0, {1: 0.5}), "the lots of a target must be an integer from -2**63 to 2**63 - 1, got 0.5"),
        ((0, {-1: 5}), "an instrument in an intent must be an integer from 0 to 2**32 - 1, got -1"),
        ((0, {"A": 5}), "an instrument in an intent must be an integer from 0 to 2**32 - 1, got 'A'"),
        ((0, [1]), "the targets of an intent must be a mapping of instruments to lots, got [1]"),
        ((0, {}, 2**70), "valid_until_ns must be an integer from -2**63 to 2**63 - 1"),
        ((None, {}), "ts_ns must be an integer from -2**63 to 2**63 - 1, got None"),
    ],
)
def test_an_intent_refuses(arguments: tuple[Any, ...], text: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(text)):
        Intent(*arguments)


def test_an_intent_names_each_instrument_once() -> None:
    class Id:
        def __init__(self, value: int) -> None:
            self.value = value

        def __index__(self) -> int:
            return self.value

    with pytest.raises(ConfigError, match="an intent must name each instrument once, got instrument 3 twice"):
        Intent(0, {Id(3): 1, 3: 1})  # type: ignore[dict-item]


def test_a_committed_is_an_intent_at_its_place() -> None:
    intent = Intent(1, {2: 3})
    committed = Committed(4, 5, intent)
    assert (committed.index, committed.time_ns) == (4, 5) and committed.intent is intent
    assert repr(committed) == "Committed(index=4, time_ns=5, intent=Intent(ts_ns=1, targets={2: 3}, valid_until_ns=0))"
    assert Committed(2**64 - 1, 0, intent).index == 2**64 - 1
    with pytest.raises(ConfigError, match="the index of a committed intent counts from 1, got 0"):
        Committed(0, 5, intent)
    with pytest.raises(ConfigError, match=re.escape("what is committed must be an Intent, got {}")):
        Committed(1, 5, {})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=re.escape("index must be an integer from 0 to 2**64 - 1, got -1")):
        Committed(-1, 5, intent)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: Intent(), r"Intent\(\) is missing the argument 'ts_ns'"),
        (lambda: Intent(1), r"Intent\(\) is missing the argument 'targets'"),
        (lambda: Intent(1, {}, 0, 4), r"Intent\(\) takes at most 3 positional arguments, got 4"),
        (lambda: Intent(1, {}, size=3), r"Intent\(\) got an unexpected keyword argument 'size'"),
        (lambda: Intent(1, {}, ts_ns=3), r"Intent\(\) got multiple values for argument 'ts_ns'"),
        (lambda: Observation(1, 2), r"Observation\(\) is missing the argument 'values'"),
        (lambda: Committed(1, 2), r"Committed\(\) is missing the argument 'intent'"),
    ],
)
def test_wrong_signatures_are_type_errors(call: Any, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        call()


def test_the_types_are_final_and_immutable() -> None:
    for type_ in (Observation, Intent, Committed):
        with pytest.raises(TypeError):
            type("Derived", (type_,), {})
        with pytest.raises(TypeError):
            type_.extra = 1
    assert type(Intent.__new__(Intent, 1, {2: 3})) is Intent


def test_equality_is_that_of_the_bytes() -> None:
    nan = float("nan")
    assert Observation(1, 2, {"a": nan, "b": 1.0}) == Observation(1, 2, {"b": 1.0, "a": nan})
    assert Observation(1, 2, {"a": 0.0}) != Observation(1, 2, {"a": -0.0})
    assert Observation(1, 2, {"a": np.array([1])}) != Observation(1, 2, {"a": np.array([1.0])})
    assert Observation(1, 2, {"a": 1.0}) != Observation(1, 2, {"a": np.array([1.0])})
    assert Intent(1, {}) != Committed(1, 1, Intent(1, {})) and Intent(1, {}) != 5
    assert hash(Intent(1, {2: 3, 1: 1})) == hash(Intent(1, {1: 1, 2: 3}))
    with pytest.raises(TypeError, match="not supported between"):
        assert Intent(1, {}) < Intent(2, {})  # type: ignore[operator]


def test_pickle_and_copy_give_equal_messages() -> None:
    messages = [Observation(1, 2, {"x": np.arange(3)}), Intent(1, {2: 3}, 4), Committed(9, 8, Intent(1, {2: 3}, 4))]
    for message in messages:
        assert pickle.loads(pickle.dumps(message)) == message
        assert copy.deepcopy(message) == message


def test_the_encoding_is_pinned() -> None:
    """Audit files and logs outlive a version: a changed encoding is a new type, never a new meaning of old bytes."""
    assert Intent(1, {7: -2}, 3).to_bytes().hex() == "010000000000000003000000000000000100000007000000feffffffffffffff"
    assert Committed(5, 6, Intent(0, {})).to_bytes().hex() == "05000000000000000600000000000000" + "00" * 20
    assert Observation(2, 1, {"b": 1.5, "a": np.array([1, 2])}).to_bytes().hex() == (
        "02000000" "02000000" "0100000000000000"
        "0100" "0200" "02000000" "61" "0100000000000000" "0200000000000000"
        "0100" "0000" "01000000" "62" "000000000000f83f"
    )  # fmt: skip


@pytest.mark.measures
def test_messages_leak_no_references() -> None:
    def work() -> None:
        o = Observation(1, 2, {"x": np.arange(3.0), "y": 1.0})
        Observation.from_bytes(o.to_bytes())
        committed = Committed(1, 2, Intent(1, {2: 3}))
        assert committed.intent.targets and committed == Committed.from_bytes(committed.to_bytes())
        for bad in (b"", o.to_bytes()[:-1], o.to_bytes() + b"x"):
            with pytest.raises(ConfigError):
                Observation.from_bytes(bad)
        with pytest.raises(ConfigError):
            Observation(1, 2, {"x": 1.0, "y": "no"})  # type: ignore[dict-item]

    import gc
    import tracemalloc

    for _ in range(20):
        work()
    types = (Observation, Intent, Committed, np.dtype("f8"), np.dtype("i8"))
    gc.collect()
    before = [sys.getrefcount(t) for t in types]
    tracemalloc.start()
    for _ in range(200):
        work()
    gc.collect()
    first = tracemalloc.get_traced_memory()[0]
    for _ in range(1000):
        work()
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - first
    tracemalloc.stop()
    assert [sys.getrefcount(t) for t in types] == before
    assert grown < 20_000, f"{grown} bytes more after 1,000 rounds"
