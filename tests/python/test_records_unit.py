"""Records: construction, reads, bytes, numpy and pickle, on one class each test can see."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from fastmas.errors import ConfigError
from fastmas.records import Record, f64, i64, u32


class Tilt(Record):
    """A view of one instrument."""

    ts_ns: i64
    instrument: u32
    weight: f64 = 1.0

    @property
    def is_long(self) -> bool:
        return self.weight > 0

    def flipped(self) -> Tilt:
        return self.replace(weight=-self.weight)


def test_positional_keyword_and_default_construction_agree() -> None:
    expected = Tilt(1, 7, 1.0)
    assert Tilt(ts_ns=1, instrument=7) == expected
    assert Tilt(1, weight=1.0, instrument=7) == expected
    assert (expected.ts_ns, expected.instrument, expected.weight) == (1, 7, 1.0)


def test_methods_and_properties_of_the_class_work() -> None:
    assert Tilt(1, 7).is_long
    assert not Tilt(1, 7).flipped().is_long


def test_bytes_are_those_of_numpy() -> None:
    tilt = Tilt(3, 9, -2.5)
    row = np.zeros(1, Tilt.dtype)
    row[0] = (3, 9, -2.5)
    assert bytes(tilt) == row.tobytes()
    assert Tilt.from_row(row[0]) == tilt
    assert Tilt.from_bytes(bytes(tilt)) == tilt
    assert Tilt.from_array(Tilt.as_array([tilt, tilt])) == [tilt, tilt]


def test_pickle_and_copy() -> None:
    tilt = Tilt(3, 9, -2.5)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(tilt, protocol)) == tilt
    assert copy.copy(tilt) is tilt
    assert copy.deepcopy(tilt) is tilt


def test_annotations_need_no_future_import() -> None:
    source = "class Plain(Record):\n    x: i64\n    y: f64 = 2.0\n"
    names: dict[str, Any] = {"Record": Record, "i64": i64, "f64": f64, "__name__": __name__}
    exec(compile(source, "plain", "exec", dont_inherit=True), names)
    assert names["Plain"](1).y == 2.0
    late = "class Late(Record):\n    x: Defined\nDefined = None\n"
    with pytest.raises((ConfigError, NameError)):
        exec(compile(late, "late", "exec", dont_inherit=True), names)
