"""No look-ahead: the future changes nothing before it, and planted cheats are seen."""

from __future__ import annotations

import numpy as np
import pytest
from worlds import main_agents, run, some_bars

import fastmas as fm
from fastmas.market.bars import Bars
from fastmas.market.venue import BarVenue
from fastmas.strategies import MomentumSignal, ReversionSignal
from fastmas.strategies.signals import MONTH
from fastmas.strategies.window import Window


def future_changed(bars, from_session):
    """The same bars until a session, other prices from there on."""
    records = bars.records.copy()
    later = records["ts_ns"] >= bars.sessions[from_session]
    stream = np.random.Generator(np.random.PCG64(3))
    records["close"][later] = (records["close"][later] * stream.uniform(0.7, 1.3, later.sum())).astype(np.int64)
    return Bars(bars.instruments, records, bars.problems)


def past_of(report, cut):
    """Everything that was decided or booked before a time, as one comparable value."""
    session = int(np.searchsorted(report.ts_ns, cut))
    return (
        [(intent.ts_ns, dict(intent.targets)) for intent, _ in report.intents if intent.ts_ns < cut],
        [fill for fill in report.fill_records if fill.ts_ns < cut],
        report.equity_micro[:session].tolist(),
        [[(n, v.tolist()) for n, v in point.parameters.items()] for ts, point in report.reviews if ts < cut],
    )


def looks_ahead(make_agents):
    """Whether changing the future changes the past; the test that the cheats below must trip.

    The future begins one session after a decision: whoever peeks by as little as one session is seen.
    """
    bars = some_bars()
    honest = run(bars, make_agents(bars))
    decided = honest.intents[len(honest.intents) // 2][0].ts_ns
    first_changed = int(np.searchsorted(bars.sessions, decided)) + 1
    cut = int(bars.sessions[first_changed])
    changed = future_changed(bars, first_changed)
    other = run(changed, make_agents(changed))
    assert honest.ledger_head != other.ledger_head  # the change arrived at all
    return past_of(honest, cut) != past_of(other, cut)


def test_the_main_job_does_not_look_ahead():
    assert not looks_ahead(lambda bars: main_agents())


class FullSampleScore(MomentumSignal):
    """Cheat: standardises by the whole sample's standard deviation."""

    def __init__(self, bars):
        super().__init__()
        self.name = "momentum_signal"
        closes = bars.closes
        self._spread = np.nanstd(np.diff(np.log(closes), axis=0), axis=0)

    def score(self, closes):
        return super().score(closes) / self._spread


class ShiftedSignal(ReversionSignal):
    """Cheat: gives today the score of tomorrow."""

    def __init__(self, bars):
        super().__init__()
        self.name = "reversion_signal"
        self._tomorrow = iter(np.vstack([bars.closes[1:], bars.closes[-1:]]) * 1000)
        self._ahead = Window(MONTH + 1)

    def reason(self, observation, ctx):
        self._ahead.push(next(self._tomorrow))
        return super().reason(observation, ctx)

    def score(self, closes):
        return super().score(self._ahead.rows)


@pytest.mark.parametrize("cheat", [FullSampleScore, ShiftedSignal])
def test_planted_cheats_are_seen(cheat):
    def agents(bars):
        crooked = cheat(bars)
        return [agent for agent in main_agents() if agent.name != crooked.name] + [crooked]

    assert looks_ahead(agents)


class SameCloseVenue(BarVenue):
    """Cheat: fills an order at the very close it was decided on."""

    def fresh(self):
        return SameCloseVenue(self.instruments, fee_bps=1, slippage_bps=4)

    def on_bars(self, bars, now_ns):
        self._last = {int(row["instrument"]): int(row["close"]) for row in bars}
        return []

    def submit(self, order, now_ns):
        self._count = getattr(self, "_count", 0) + 1
        price = self._last[order.instrument]
        yield fm.Fill(
            self._count, order.client_order_id, order.ts_ns, order.instrument, order.side, price, order.quantity
        )


def fills_too_early(report, latency_ns=0):
    decided = {order.client_order_id: intent.ts_ns for intent, reply in report.intents for order in reply.orders}
    return [fill for fill in report.fill_records if fill.ts_ns <= decided[fill.client_order_id] + latency_ns]


def test_a_fill_at_the_same_close_is_seen():
    bars = some_bars()
    venue = SameCloseVenue(bars.instruments)
    report = fm.Simulation(feed=bars, venue=venue).run(main_agents())
    assert len(fills_too_early(report)) == len(report.fill_records) > 0


def test_every_fill_is_later_than_its_decision_plus_latency():
    latency_ns = 3_600_000_000_000
    agents = main_agents()
    agents[6].latency_ns = latency_ns
    report = run(agents=agents)
    assert report.fill_records
    assert fills_too_early(report, latency_ns) == []
    assert fills_too_early(run()) == []


def test_fills_are_at_the_next_close_and_never_at_the_one_decided_on():
    bars = some_bars()
    report = run()
    sessions = bars.sessions
    close = {(int(row["ts_ns"]), int(row["instrument"])): int(row["close"]) for row in bars.records}
    decided = {order.client_order_id: intent.ts_ns for intent, reply in report.intents for order in reply.orders}
    for fill in report.fill_records:
        at = int(np.searchsorted(sessions, decided[fill.client_order_id]))
        assert fill.ts_ns == sessions[at + 1]
        assert fill.price == close[fill.ts_ns, fill.instrument]
