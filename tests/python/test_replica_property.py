"""Random logs: the books add up to the millionth, whatever happens, and replicas stay equal to the byte."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replica_log import CAPITAL, DAY, INSTRUMENTS, Entry, Log, holds_identity, replay, update

from fastmas.errors import FastmasError
from fastmas.messages import Cancel, Fill, Order, OrderKind, OrderStatus, OrderUpdate, Replace
from fastmas.replica import AtMarket, Limits, TradingState, commands, portfolio
from fastmas.replica.books import COUNTERS, Books
from fastmas.replica.portfolio import Portfolio, Position, book_fill

UNIT = {instrument: increment * size for instrument, increment, size in INSTRUMENTS}


def any_limits(rng: random.Random) -> Limits:
    """Limits that let most baskets through, each of them set half of the time."""
    given = {
        "max_position_lots": rng.randint(100, 600),
        "max_gross_notional": rng.randint(10**9, 10**10),
        "max_leverage_bps": rng.randint(10_000, 40_000),
        "max_orders": rng.randint(3, 9),
        "max_daily_loss": rng.randint(10**8, 10**9),
        "min_cash": rng.randint(-(10**9), 10**8),
    }
    kept = {name: value for name, value in given.items() if rng.random() < 0.3}
    return Limits(**kept, allow_short=rng.random() < 0.6)


def any_step(rng: random.Random) -> tuple[Any, ...]:
    """A step of a script: what it is about, and numbers for its details."""
    verb = rng.choices(
        ["intent", "fill", "repeat", "update", "marks", "kill", "limits", "parameters", "bust", "reconcile", "garbage"],
        [30, 40, 5, 8, 20, 1, 2, 2, 3, 2, 3],
    )[0]
    details: dict[str, Any] = {
        "intent": {rng.choice([*UNIT] * 9 + [99]): rng.randint(-40, 90) for _ in range(rng.randint(1, 3))},
        "fill": (rng.randrange(9), rng.randint(3_000, 30_000), rng.choice([5, 30, 10**6]), rng.randint(-50, 9_999)),
        "repeat": rng.randrange(30),
        "update": (rng.randrange(9), rng.choice([*OrderStatus, 7]), rng.randrange(3)),
        "marks": {i: rng.randint(3_000, 30_000) for i in UNIT if rng.random() < 0.7} or {1: 1},
        "kill": rng.random() < 0.3,
        "limits": any_limits(rng),
        "parameters": [rng.gauss(0, 1) for _ in range(rng.choice([2, 2, 2, 3]))],
        "bust": rng.randrange(30),
        "reconcile": rng.randrange(9),
        "garbage": rng.randbytes(rng.randrange(40)),
    }
    return verb, details[verb]


def script_of(seed: int, length: int) -> tuple[Limits, list[tuple[Any, ...]]]:
    rng = random.Random(seed)
    return any_limits(rng), [any_step(rng) for _ in range(length)]


seeds, lengths = st.integers(0, 2**32), st.integers(5, 90)


class Restless(AtMarket):
    """Rests limit orders, changes its mind about them, and answers some of its fills; all of it from the log alone."""

    name = "restless"

    def act(self, committed: Any, ctx: Any) -> Any:
        rng = random.Random(committed.index)
        asked = rng.sample(ctx.orders_in_flight, min(2, len(ctx.orders_in_flight)))
        for order in asked:
            if rng.random() < 0.5:
                yield Cancel(order.client_order_id)
            else:
                price = rng.randint(1, 20_000) if order.limit_price and rng.random() < 0.5 else 0
                yield Replace(order.client_order_id, rng.randint(1, 150), price)
        for order in super().act(committed, ctx):
            if rng.random() < 0.5:
                yield order.replace(kind=OrderKind.LIMIT, limit_price=rng.randint(3_000, 30_000))
            else:
                yield order

    def on_report(self, report: Any, ctx: Any) -> Any:
        if report.client_order_id % 5 == 0 and ctx.holding(report.instrument) > 0:
            return Order(instrument=report.instrument, side=-1, quantity=1)
        if report.client_order_id % 7 == 0:
            raise ValueError("no answer to this one")
        return None


class Play:
    """Plays steps against a log, with a model of cash that knows fills and nothing else."""

    def __init__(self, settle_after_ns: int, opening: Limits, actions: Any = None) -> None:
        self.log = Log(opening, actions, settle_after_ns=settle_after_ns, fail_after_ns=settle_after_ns)
        self.sent: list[Any] = []
        self.fills: list[Fill] = []
        self.booked: dict[tuple[int, int], Fill] = {}
        self.now_ns = DAY

    def command(self, step: tuple[Any, ...]) -> bytes | None:
        verb, detail = step
        working = self.log.state.orders_in_flight
        self.now_ns += DAY // 3
        if verb == "intent":
            return commands.encode_intent(commands.Intent(self.now_ns, detail))
        if verb == "fill" and working:
            at, price, quantity, fee = detail
            order = working[at % len(working)]
            costs = {"fee": fee, "slippage": -fee // 2}
            fill = self.log.fill(order, price, min(quantity, order.quantity), ts_ns=self.now_ns, **costs)
            self.fills.append(fill)
            return commands.encode_reports([fill])
        if verb == "repeat" and self.fills:
            return commands.encode_reports([self.fills[detail % len(self.fills)]])
        if verb == "update" and working:
            order = working[detail[0] % len(working)]
            return commands.encode_reports([update(order, detail[1], detail[2])])
        if verb == "marks":
            return commands.encode_marks(self.now_ns, list(detail), list(detail.values()))
        if verb == "kill":
            return commands.encode_kill(detail)
        if verb == "limits":
            return commands.encode_limits(detail)
        if verb == "parameters":
            return commands.encode_parameters({"risk": detail})
        if verb == "bust" and self.fills:
            fill = self.fills[detail % len(self.fills)]
            return commands.encode_bust([(fill.client_order_id, fill.execution_id)])
        if verb == "reconcile":
            return commands.encode_reconcile([o.client_order_id for o in working[:detail]], self.fills[-1:])
        return detail if verb == "garbage" else None

    def play(self, step: tuple[Any, ...]) -> None:
        command = self.command(step)
        if command is None:
            return
        state = self.log.state
        before, fills = state.snapshot(), state.counters["fills"]
        try:
            self.log.commit(command)
        except FastmasError:
            self.log.entries.pop()
            assert state.snapshot() == before
            return
        if state.counters["fills"] > fills:
            fill = self.fills[-1] if step[0] != "repeat" else self.fills[step[1] % len(self.fills)]
            assert self.booked.setdefault((fill.client_order_id, fill.execution_id), fill) is fill

    def check(self, settled_at_once: bool) -> None:
        state = self.log.state
        assert state.balanced and holds_identity(state)
        ids = [order.client_order_id for order in state.orders_in_flight]
        assert len(set(ids)) == len(ids)
        if settled_at_once:
            spent = sum(f.side * f.price * f.quantity * UNIT[f.instrument] for f in self.booked.values())
            fees, slippage = (sum(getattr(f, cost) for f in self.booked.values()) for cost in ("fee", "slippage"))
            assert (state.cash, state.fees, state.slippage) == (CAPITAL - spent - fees - slippage, fees, slippage)
            for instrument in UNIT:
                lots = sum(f.side * f.quantity for f in self.booked.values() if f.instrument == instrument)
                assert state.holding(instrument) == lots
                if not state.limits.allow_short and step_allows(self.log.entries):
                    assert lots >= 0


def step_allows(entries: list[Entry]) -> bool:
    """Whether no limits of this log ever allowed a short sale."""
    decoded = [commands.decode(entry.command) for entry in entries]
    rows = [row.limits if isinstance(row, commands.Open) else row for row in decoded]
    return not any(row.allow_short for row in rows if isinstance(row, Limits))


@pytest.mark.parametrize("settle_after_ns", [0, DAY])
@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=seeds, length=lengths)
def test_every_identity_holds_after_every_command(settle_after_ns: int, seed: int, length: int) -> None:
    opening, script = script_of(seed, length)
    run = Play(settle_after_ns, opening, Restless() if seed % 2 else None)
    for step in script:
        run.play(step)
        run.check(settle_after_ns == 0)


def test_the_scripts_reach_everything() -> None:
    """A property over logs in which nothing happens proves nothing."""
    seen: Counter[str] = Counter()
    for seed in range(40):
        opening, script = script_of(seed, 90)
        run = Play(DAY * (seed % 2), opening, Restless() if seed % 3 else None)
        for step in script:
            run.play(step)
        seen.update(run.log.state.counters)
        seen["short"] += any(lots < 0 for lots in run.log.state.holdings().values())
    never = {name for name in COUNTERS if not seen[name]} - {"expired"}
    assert not never and seen["fills"] > 200 and seen["short"] > 3, seen


@pytest.mark.parametrize("settle_after_ns", [0, DAY])
@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=seeds, length=lengths, cut=st.integers(0, 90))
def test_three_replicas_and_one_that_was_restored_are_equal(
    settle_after_ns: int, seed: int, length: int, cut: int
) -> None:
    opening, script = script_of(seed, length)
    actions = Restless() if seed % 2 else AtMarket()
    run = Play(settle_after_ns, opening, actions)
    for step in script:
        run.play(step)
    entries, kept = run.log.entries, run.log.state.snapshot()
    assert [replay(entries, actions).snapshot() for _ in range(2)] == [kept, kept]
    late = [entry._replace(time_ns=entry.time_ns + 7) for entry in entries]
    assert replay(late, actions).snapshot() == kept, "no intent here expires, so times change nothing"
    restored = TradingState(actions)
    restored.restore(replay(entries[: cut + 1], actions).snapshot())
    for entry in entries[cut + 1 :]:
        restored.apply(entry)
    assert restored.snapshot() == kept and restored.digest() == run.log.state.digest()


lot = st.integers(-200, 200).filter(bool)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.tuples(lot, st.integers(1, 10**7)), max_size=30))
def test_average_cost_loses_nothing(fills: list[tuple[int, int]]) -> None:
    position, cash = Position(), 0
    for signed_lots, price in fills:
        before = position
        position, cost_change, realised = book_fill(position, signed_lots, price)
        cash -= signed_lots * price
        assert -signed_lots * price + cost_change == realised
        assert position.cost == before.cost + cost_change and position.realised == before.realised + realised
        assert cash + position.cost == position.realised, "the identity, to the millionth"
        assert position.lots == before.lots + signed_lots
        assert (position.cost > 0) == (position.lots > 0) or position.cost == 0
        if position.lots == 0:
            assert position.cost == 0, "the last lot takes every remainder with it"


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=12), st.data())
def test_a_cost_leaves_in_proportion(costs: list[int], data: Any) -> None:
    lots, cost = len(costs), sum(costs)
    sold = data.draw(st.integers(1, lots - 1))
    booking = book_fill(Position(lots, cost), -sold, 1)
    assert -booking.cost_change == cost * sold // lots
    short = book_fill(Position(-lots, -cost), sold, 1)
    assert short.cost_change == cost * sold // lots, "longs and shorts are mirror images"


# -- divergence ------------------------------------------------------------------------------------------------------


def trading_days() -> list[Entry]:
    log = Log()
    for day in range(1, 8):
        reply = log.intend({1: 10 * day, 2: 7 * (day % 3)}, ts_ns=day * DAY)
        log.report(*(log.fill(order, 10_003 + day, ts_ns=day * DAY) for order in reply.orders))
        log.mark(day * DAY + 1, {1: 10_003 + day, 2: 20_000 - day, 7: 5_001})
    return log.entries


def heads(state: TradingState, entries: list[Entry]) -> list[bytes]:
    out = []
    for entry in entries:
        state.apply(entry)
        out.append(state.digest())
    return out


def first_difference(mine: list[bytes], other: list[bytes]) -> int:
    return next(at for at, (a, b) in enumerate(zip(mine, other, strict=True)) if a != b)


def test_a_planted_rounding_of_marks_shows_at_its_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = trading_days()
    good = heads(TradingState(), entries)
    honest = Portfolio.revalued

    def rounded(self: Portfolio, ids: tuple[int, ...], prices: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
        return honest(self, ids, tuple(price // 10 * 10 for price in prices))

    monkeypatch.setattr(Portfolio, "revalued", rounded)
    bad = heads(TradingState(), entries)
    kinds = [type(commands.decode(entry.command)).__name__ for entry in entries]
    crooked = next(at for at, entry in enumerate(entries) if kinds[at] == "Marks" and at > 1)
    assert first_difference(good, bad) == crooked
    assert good[crooked:] != bad[crooked:] and not set(good[crooked:]) & set(bad[crooked:]), "heads never meet again"


def test_marks_of_what_nobody_holds_are_in_the_head_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """Effects that differed once differ in every head after, also when the states are equal again."""
    log = Log()
    log.mark(2, {1: 10_001})
    log.mark(3, {1: 10_010})
    good = heads(TradingState(), log.entries)
    honest = Portfolio.revalued
    monkeypatch.setattr(
        Portfolio, "revalued", lambda self, ids, prices: honest(self, ids, (prices[0] // 10 * 10, *prices[1:]))
    )
    bad = heads(TradingState(), log.entries)
    assert first_difference(good, bad) == 2 and good[3] != bad[3]


def test_a_planted_rounding_of_a_fill_shows_at_its_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = trading_days()
    good = heads(TradingState(), entries)
    honest = portfolio.book_fill

    def rounded(position: Position, signed_lots: int, unit_value: int) -> Any:
        return honest(position, signed_lots, unit_value)._replace(position=position._replace(realised=1))

    monkeypatch.setattr("fastmas.replica.books.book_fill", rounded)
    with pytest.raises(FastmasError, match="the portfolio holds 0 lots that cost 0, the ledger 10 lots"):
        heads(TradingState(), entries)
    monkeypatch.setattr("fastmas.replica.books.book_fill", honest)
    assert heads(TradingState(), entries) == good


def test_a_planted_rounding_of_prices_shows_at_the_first_fill(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = trading_days()
    good = heads(TradingState(), entries)
    honest = Books.trade
    monkeypatch.setattr(Books, "trade", lambda self, fill: honest(self, fill.replace(price=fill.price // 10 * 10)))
    bad = heads(TradingState(), entries)
    kinds = [type(commands.decode(entry.command)).__name__ for entry in entries]
    assert first_difference(good, bad) == kinds.index("Reports")


@pytest.mark.parametrize("field", ["price", "fee", "quantity"])
def test_every_field_of_a_fill_is_in_the_head(field: str) -> None:
    log = Log()
    (order,) = log.intend({1: 10}).orders
    fill = log.fill(order, 10_000, 5, fee=9)
    kept = log.state.snapshot()
    seen = set()
    for value in (getattr(fill, field), getattr(fill, field) - 1):
        log.state.restore(kept)
        log.state.apply(Entry(9, 0, commands.encode_reports([fill.replace(**{field: value})])))
        seen.add(log.state.digest())
    assert len(seen) == 2


def test_an_update_shows_in_the_head_of_a_replica_that_misread_it() -> None:
    """Effects name what became of each order, so a state machine that treats one update differently differs at once."""
    log = Log()
    (order,) = log.intend({1: 10}).orders
    kept = log.state.snapshot()
    acknowledged = OrderUpdate(order.client_order_id, 2, 1, OrderStatus.ACKNOWLEDGED)
    first = log.report(acknowledged)
    log.state.restore(kept)
    log.state._books.orders.request_cancel(order.client_order_id)  # type: ignore[union-attr]
    log.entries.pop()
    assert log.report(acknowledged).touched != first.touched
