"""What does one command cost a replica: marks, a basket, its fills, and how much of it is not the books?

The rival row is a state machine that only hashes: it chains SHA-256 over the command. What is above it is decoding,
booking, checking the identity and writing down the effects. 20 instruments, each held; all limits are set.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from itertools import count
from typing import Any, NamedTuple

import pytest

from fastmas.messages import Fill, Intent
from fastmas.replica import Limits, TradingState, commands, decode_reply

INSTRUMENTS = range(20)
LIMITS = Limits(
    max_position_lots=10**9, max_order_notional=10**15, max_gross_notional=10**16, max_leverage_bps=10**5,
    max_orders=10**6, max_daily_loss=10**12, min_cash=-(10**14),
)  # fmt: skip


class Entry(NamedTuple):
    index: int
    time_ns: int
    command: bytes


class Hashing:
    """The least that a replicated state can do."""

    def __init__(self) -> None:
        self.head = bytes(32)

    def apply(self, entry: Entry) -> bytes:
        self.head = sha256(self.head + entry.command).digest()
        return self.head


class Books:
    """A state on 20 instruments, 100 lots held of each."""

    def __init__(self) -> None:
        self.state = TradingState()
        self.index = count(1)
        self.executions = count(1)
        self.commit(commands.encode_open("USD", 10**13, [(i, 1000, 1) for i in INSTRUMENTS], LIMITS))
        self.commit(commands.encode_marks(1, INSTRUMENTS, [10_000 + i for i in INSTRUMENTS]))
        self.commit(self.fills(self.commit(self.basket(120))))

    def entry(self, command: bytes) -> Entry:
        return Entry(next(self.index), 0, command)

    def commit(self, command: bytes) -> bytes:
        return self.state.apply(self.entry(command))

    def basket(self, lots: int) -> bytes:
        """Half of the instruments up by 10 lots, half down: 20 orders."""
        return commands.encode_intent(Intent(1, {i: lots + (10 if i % 2 else -10) for i in INSTRUMENTS}))

    def fills(self, answer: bytes) -> bytes:
        assert len(decode_reply(answer).orders) == len(INSTRUMENTS)
        return self.fill_all()

    def fill_all(self) -> bytes:
        """Fills of every order in flight."""
        return commands.encode_reports(
            [
                Fill(next(self.executions), o.client_order_id, 1, o.instrument, o.side, 10_000, o.quantity, 5, 7)
                for o in self.state.orders_in_flight
            ]
        )


def measure(benchmark: Any, apply: Callable[[Entry], bytes], prepare: Callable[[], Entry], rounds: int = 300) -> None:
    """One call a round, its input made outside the clock."""
    benchmark.extra_info.update(items=1, item="command")
    benchmark.pedantic(apply, setup=lambda: ((prepare(),), {}), rounds=rounds, warmup_rounds=20)


@pytest.mark.benchmark(group="replica: marks of 20")
def bench_marks(benchmark: Any) -> None:
    books, session = Books(), count(2)

    def prepare() -> Entry:
        day = next(session)
        return books.entry(commands.encode_marks(day, INSTRUMENTS, [10_000 + day + i for i in INSTRUMENTS]))

    measure(benchmark, books.state.apply, prepare, rounds=2000)


@pytest.mark.benchmark(group="replica: marks of 20")
def bench_marks_hashed_only(benchmark: Any) -> None:
    command = commands.encode_marks(2, INSTRUMENTS, [10_000 + i for i in INSTRUMENTS])
    measure(benchmark, Hashing().apply, lambda: Entry(1, 0, command), rounds=2000)
    benchmark.extra_info["rival"] = True


@pytest.mark.benchmark(group="replica: intent of 20")
def bench_intent(benchmark: Any) -> None:
    books, step = Books(), count()

    def prepare() -> Entry:
        if books.state.orders_in_flight:
            books.commit(books.fill_all())
        return books.entry(books.basket(100 + 20 * (next(step) % 2)))

    measure(benchmark, books.state.apply, prepare)


@pytest.mark.benchmark(group="replica: intent of 20")
def bench_intent_hashed_only(benchmark: Any) -> None:
    command = commands.encode_intent(Intent(1, dict.fromkeys(INSTRUMENTS, 100)))
    measure(benchmark, Hashing().apply, lambda: Entry(1, 0, command))
    benchmark.extra_info["rival"] = True


@pytest.mark.benchmark(group="replica: reports of 20 fills")
def bench_reports(benchmark: Any) -> None:
    books, step = Books(), count()

    def prepare() -> Entry:
        answer = books.commit(books.basket(100 + 20 * (next(step) % 2)))
        return books.entry(books.fills(answer))

    measure(benchmark, books.state.apply, prepare)


@pytest.mark.benchmark(group="replica: reports of 20 fills")
def bench_reports_hashed_only(benchmark: Any) -> None:
    fill = Fill(1, 1 << 16, 1, 0, 1, 10_000, 10, 5, 7)
    command = commands.encode_reports([fill] * 20)
    measure(benchmark, Hashing().apply, lambda: Entry(1, 0, command))
    benchmark.extra_info["rival"] = True


@pytest.mark.benchmark(group="replica: snapshot")
def bench_snapshot(benchmark: Any) -> None:
    books = Books()
    benchmark.extra_info.update(items=1, item="snapshot", bytes=len(books.state.snapshot()))
    benchmark(books.state.snapshot)


@pytest.mark.benchmark(group="replica: snapshot")
def bench_restore(benchmark: Any) -> None:
    books = Books()
    data = books.state.snapshot()
    benchmark.extra_info.update(items=1, item="restore", bytes=len(data))
    benchmark(books.state.restore, data)
