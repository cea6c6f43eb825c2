"""Random worlds against books kept a second way: odd units, gaps, stale bars, caps, far venues, changes of mind."""

from __future__ import annotations

import random

import numpy as np
import pytest

import fastmas as fm
from fastmas.market.instrument import Instrument
from fastmas.messages import BUY, SELL, Bar, BarFlag, OrderKind, RejectReason
from fastmas.world.run import Run
from fastmas.world.wiring import wire

DAY = 86_400_000_000_000
HOUR = DAY // 24
UNITS = (Instrument(2, "CHEAP", 0.01, 100), Instrument(5, "PLAIN", 0.001, 1), Instrument(9, "DEAR", 1.0, 10))


def random_bars(seed, sessions=70):
    stream = np.random.Generator(np.random.PCG64(seed))
    bars = []
    for one in UNITS:
        price = int(stream.choice([50, 20_000, 3_000_000]))
        for session in range(sessions):
            if stream.random() < 0.1:
                continue
            start = max(2, int(price * stream.normal(1, 0.02)))
            price = max(2, int(start * stream.normal(1, 0.02)))
            stale = BarFlag.STALE if stream.random() < 0.05 else 0
            bars.append(
                Bar(
                    ts_ns=(17_000 + session) * DAY,
                    instrument=one.id,
                    open=start,
                    high=max(start, price) + int(stream.integers(0, 3)),
                    low=max(1, min(start, price) - int(stream.integers(0, 3))),
                    close=price,
                    volume=int(stream.integers(0, 3000)),
                    flags=BarFlag.HAS_OHLC | BarFlag.HAS_VOLUME | stale,
                )
            )
    bars.sort(key=lambda bar: (bar.ts_ns, bar.instrument))
    return fm.Bars(UNITS, np.frombuffer(b"".join(map(bytes, bars)), Bar.dtype))


class Whims(fm.Decision):
    join = True

    def decide(self, signals, ctx):
        if ctx.rng.random() < 0.5:
            return None
        targets = {signal.instrument: int(ctx.rng.integers(-300, 300)) for signal in signals}
        return fm.Intent(ctx.now_ns, targets, ctx.now_ns + DAY)


class Wild(fm.Action):
    """Everything an action may do, by chance, and the same on every replica."""

    def __init__(self):
        self.dice = random.Random(1)

    def snapshot(self):
        return repr(self.dice.getstate()).encode()

    def restore(self, data):
        self.dice.setstate(eval(data, {"__builtins__": {}}))

    def act(self, committed, ctx):
        dice = self.dice
        for order in ctx.orders_in_flight:
            what = dice.random()
            if what < 0.25:
                yield fm.Cancel(order.client_order_id)
            elif what < 0.5:
                limit = max(1, ctx.mark(order.instrument) * dice.randint(95, 105) // 100) if order.limit_price else 0
                yield fm.Replace(
                    client_order_id=order.client_order_id, quantity=dice.randint(1, 400), limit_price=limit
                )
        for instrument, target in committed.intent.targets.items():
            lots, mark = target - ctx.position(instrument), ctx.mark(instrument)
            if not lots or not mark:
                continue
            until = committed.intent.ts_ns + dice.choice([0, DAY // 2, 3 * DAY]) if dice.random() < 0.4 else 0
            order = fm.Order(instrument, BUY if lots > 0 else SELL, abs(lots), valid_until_ns=until)
            if dice.random() < 0.6:
                order = order.replace(kind=OrderKind.LIMIT, limit_price=max(1, mark * dice.randint(96, 104) // 100))
            yield order
        if dice.random() < 0.3:
            yield fm.Wakeup(ctx.now_ns + dice.choice([1, 1_000_000_000, DAY + 5]))

    def on_wakeup(self, ctx):
        return [fm.Cancel(order.client_order_id) for order in ctx.orders_in_flight[: self.dice.randint(0, 2)]]

    def on_report(self, report, ctx):
        if type(report) is fm.OrderUpdate and self.dice.random() < 0.2:
            return fm.Order(report.instrument, BUY, 1)
        return None


def run(bars, seed, **options):
    venue = fm.BarVenue(
        bars.instruments,
        fee_bps=(0, 1.37, 25)[seed % 3],
        slippage_bps=(3.3, 0)[seed % 2],
        volume_cap=(0.1, None, 1.0)[seed % 3],
        latency_ns=(0, HOUR, 2 * DAY)[seed % 3],
        session_ns=(None, 6 * HOUR)[seed % 2],
    )
    world = fm.Simulation(
        feed=bars,
        venue=venue,
        seed=seed,
        capital=10_000_000 if seed % 4 else 1_000_000_000,
        limits=fm.Limits(allow_short=seed % 2 == 0),
        **options,
    )
    score = fm.reasoning(lambda seen, ctx: fm.Signal(seen.instrument, ctx.now_ns, 0.0), name="score")
    price = fm.perception(lambda bar, ctx: fm.Observation(bar.instrument, ctx.now_ns, {"close": bar.close}), name="eye")
    moving = Run(world, wire([price, score, Whims(), Wild()]))
    return moving, moving.run()


@pytest.mark.parametrize("seed", [0, 2, 4, 5, 8, 13])
def test_random_worlds_have_the_books_of_a_plain_sum_under_any_network(seed):
    bars = random_bars(seed)
    moving, report = run(bars, seed)
    value = {one.id: one.price_increment_micro * one.lot_size for one in UNITS}
    cash, held, last = report.capital_micro, dict.fromkeys(value, 0), dict.fromkeys(value, 0)
    fills = list(report.fill_records)
    for session, ts_ns in enumerate(report.ts_ns):
        rows = {int(row["instrument"]): row for row in bars.records[bars.records["ts_ns"] == ts_ns]}
        while fills and fills[0].ts_ns <= ts_ns:
            fill = fills.pop(0)
            row = rows[fill.instrument]
            assert row["low"] <= fill.price <= row["high"]
            assert not row["flags"] & BarFlag.STALE
            cash -= fill.side * fill.price * fill.quantity * value[fill.instrument] + fill.fee + fill.slippage
            held[fill.instrument] += fill.side * fill.quantity
        last |= {instrument: int(row["close"]) for instrument, row in rows.items()}
        assert report.cash_micro[session] == cash
        assert report.equity_micro[session] == cash + sum(held[one] * last[one] * value[one] for one in value)
        assert report.holdings[session].tolist() == list(held.values())
    assert not fills and report.fill_records and report.balanced
    assert seed % 2 == 0 or (report.holdings >= 0).all()
    assert all(order.ts_ns <= intent.ts_ns for intent, reply in report.intents for order in reply.orders)

    # What the books believe to be in flight is what rests at the venue, but for what is not said yet.
    untold = {update.client_order_id for update in moving.updates}
    believed = {order.client_order_id for order in moving.gateway.books.orders_in_flight} - untold
    assert believed == {entry.order.client_order_id for entry in moving.venue.open_orders()}
    assert report.counters["refused_reports"] == 0

    for network_seed in range(2):
        crash_at = report.intents[len(report.intents) // (network_seed + 2)][0].ts_ns
        faults = fm.Faults(loss=0.3, crash_leader_at_ns=crash_at, restart_after=1 + network_seed * 4)
        _, broken = run(bars, seed, network_seed=network_seed, faults=faults)
        assert broken.ledger_head == report.ledger_head
        assert set(broken.replica_heads.values()) == {report.ledger_head}
        assert broken.fill_records == report.fill_records


class Late(fm.Action):
    """One order that is too old when it arrives far away; for each refusal, one that is not."""

    def act(self, committed, ctx):
        if ctx.orders_in_flight or not ctx.mark(5):
            return None
        return fm.Order(5, BUY, 1, valid_until_ns=ctx.now_ns + DAY)

    def on_report(self, report, ctx):
        return fm.Order(5, BUY, 2) if type(report) is fm.OrderUpdate else None


def test_books_learn_of_a_refusal_when_it_has_happened_at_a_venue_that_is_far_away():
    bars = random_bars(1)
    agents = [
        fm.perception(lambda bar, ctx: fm.Observation(5, ctx.now_ns, {"close": bar.close}), name="eye"),
        fm.reasoning(lambda seen, ctx: seen, name="mind"),
        fm.decision(lambda seen, ctx: fm.Intent(ctx.now_ns, {5: 1}), name="will"),
        Late(),
    ]
    report = fm.Simulation(feed=bars, venue=fm.BarVenue(bars.instruments, latency_ns=2 * DAY)).run(agents)
    refused = [update for update in report.updates if update.reason == RejectReason.EXPIRED]
    decided = {order.client_order_id: order.ts_ns for _, reply in report.intents for order in reply.orders}
    assert refused and [update.ts_ns - decided[update.client_order_id] for update in refused] == [2 * DAY] * len(
        refused
    )
    assert {fill.quantity for fill in report.fill_records} == {2}
    assert min(fill.ts_ns for fill in report.fill_records) > refused[0].ts_ns + 2 * DAY
