"""What does a Record cost to build and to read, against what Python offers for the same fields?

Rivals: a NamedTuple, a frozen dataclass with slots, a bare tuple (which has neither names nor checks) and struct.pack
(which gives the bytes, but no object to read). Each call is a loop of 1000, so that the loop, not the call of the
benchmark, is what surrounds the work; it costs every row the same 1-2 ns an item.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
import pytest

from fastmas.records import Record, f64, i32, i64, u32

ITEMS = 1000
TS_NS = 1_700_000_000_000_000_000


class TradeRecord(Record):
    ts_ns: i64
    instrument: u32
    side: i32
    price: i64
    quantity: i64
    weight: f64


class TradeNamedTuple(NamedTuple):
    ts_ns: int
    instrument: int
    side: int
    price: int
    quantity: int
    weight: float


@dataclass(frozen=True, slots=True)
class TradeDataclass:
    ts_ns: int
    instrument: int
    side: int
    price: int
    quantity: int
    weight: float


VALUES = (TS_NS, 7, 1, 101_250, 300, 0.5)
OURS = TradeRecord(*VALUES)
RIVALS: dict[str, Any] = {"namedtuple": TradeNamedTuple, "dataclass": TradeDataclass}


def by_position(make: Callable[..., Any]) -> None:
    ts_ns = TS_NS
    for _ in repeat(None, ITEMS):
        make(ts_ns, 7, 1, 101_250, 300, 0.5)


def by_name(make: Callable[..., Any]) -> None:
    ts_ns = TS_NS
    for _ in repeat(None, ITEMS):
        make(ts_ns=ts_ns, instrument=7, side=1, price=101_250, quantity=300, weight=0.5)


def tuple_display(_: object) -> None:
    ts_ns = TS_NS
    for _ in repeat(None, ITEMS):
        (ts_ns, 7, 1, 101_250, 300, 0.5)  # noqa: B018


def read_ts_ns(trade: Any) -> None:
    for _ in repeat(None, ITEMS):
        trade.ts_ns  # noqa: B018


def read_price(trade: Any) -> None:
    for _ in repeat(None, ITEMS):
        trade.price  # noqa: B018


def read_weight(trade: Any) -> None:
    for _ in repeat(None, ITEMS):
        trade.weight  # noqa: B018


def to_bytes(trade: TradeRecord) -> None:
    for _ in repeat(None, ITEMS):
        bytes(trade)


def pack(layout: struct.Struct) -> None:
    ts_ns = TS_NS
    for _ in repeat(None, ITEMS):
        layout.pack(ts_ns, 7, 1, 101_250, 300, 0.5)


def measure(
    benchmark: Any, work: Callable[[Any], object], argument: object, *, rival: bool, items: int = ITEMS
) -> None:
    benchmark.extra_info.update(items=items, item="record")
    if rival:
        benchmark.extra_info["rival"] = True
    benchmark.pedantic(work, args=(argument,), rounds=200, iterations=1, warmup_rounds=20)


@pytest.mark.benchmark(group="record: construct by position")
@pytest.mark.parametrize("name", ["record", "namedtuple", "dataclass", "tuple"])
def bench_construct_by_position(benchmark: Any, name: str) -> None:
    if name == "tuple":
        measure(benchmark, tuple_display, None, rival=True)
    else:
        measure(benchmark, by_position, RIVALS.get(name, TradeRecord), rival=name != "record")


@pytest.mark.benchmark(group="record: construct by name")
@pytest.mark.parametrize("name", ["record", "namedtuple", "dataclass"])
def bench_construct_by_name(benchmark: Any, name: str) -> None:
    measure(benchmark, by_name, RIVALS.get(name, TradeRecord), rival=name != "record")


@pytest.mark.benchmark(group="record: read a time stamp")
@pytest.mark.parametrize("name", ["record", "namedtuple", "dataclass"])
def bench_read_ts_ns(benchmark: Any, name: str) -> None:
    measure(benchmark, read_ts_ns, RIVALS.get(name, TradeRecord)(*VALUES), rival=name != "record")


@pytest.mark.benchmark(group="record: read a price")
@pytest.mark.parametrize("name", ["record", "namedtuple", "dataclass"])
def bench_read_price(benchmark: Any, name: str) -> None:
    measure(benchmark, read_price, RIVALS.get(name, TradeRecord)(*VALUES), rival=name != "record")


@pytest.mark.benchmark(group="record: read a float")
@pytest.mark.parametrize("name", ["record", "namedtuple", "dataclass"])
def bench_read_weight(benchmark: Any, name: str) -> None:
    measure(benchmark, read_weight, RIVALS.get(name, TradeRecord)(*VALUES), rival=name != "record")


@pytest.mark.benchmark(group="record: to bytes")
@pytest.mark.parametrize("name", ["record", "struct"])
def bench_to_bytes(benchmark: Any, name: str) -> None:
    if name == "record":
        measure(benchmark, to_bytes, OURS, rival=False)
    else:
        measure(benchmark, pack, struct.Struct("<qIiqqd"), rival=True)


@pytest.mark.benchmark(group="record: rows of numpy to objects")
@pytest.mark.parametrize("name", ["record", "tolist"])
def bench_rows_to_objects(benchmark: Any, name: str) -> None:
    rows = np.repeat(TradeRecord.as_array([OURS]), ITEMS)
    work = TradeRecord.from_array if name == "record" else np.ndarray.tolist
    measure(benchmark, work, rows, rival=name != "record")
