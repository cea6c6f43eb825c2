"""The main job's agents as plain calls, session by session, on a book of whole lots: no kernel, consensus or ledger."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastmas.market.bars import Bars
from fastmas.messages import Intent, Observation, Review
from fastmas.parameters import FixedPoint, fixed_point
from fastmas.strategies import (
    Blend,
    Breadth,
    MomentumSignal,
    Returns,
    ReversionSignal,
    RiskModel,
    Volatility,
)


class PlainContext:
    """What an agent sees; every figure can be set."""

    def __init__(self, equity: int = 10_000_000 * 10**6) -> None:
        self.now_ns = 0
        self.equity = self.cash = equity
        self.parameters: dict[str, np.ndarray] = {}
        self.held: dict[int, int] = {}
        self.rng = np.random.default_rng(0)

    def position(self, instrument: int) -> int:
        return self.held.get(instrument, 0)

    holding = position


class Desk:
    """Perception, reasoning and decision over bars; intents fill at the next close, at `cost_bps`.

    `trail` holds every message the agents returned, as bytes, one list a session.
    """

    def __init__(self, bars: Bars, cost_bps: float = 5.0, **blend: Any) -> None:
        self.bars = bars
        self.cost_bps = cost_bps
        self.perception = [Breadth(), Returns(), Volatility()]
        self.momentum, self.reversion = MomentumSignal(), ReversionSignal()
        self.risk, self.blend = RiskModel(), Blend(**blend)
        self.learners = (self.momentum, self.reversion, self.risk, self.blend)
        self.ctx = PlainContext()
        self.ctx.parameters = {agent.name: np.array(agent.initial_parameters) for agent in self.learners}
        self.trail: list[list[bytes]] = []
        self.equity: list[float] = []
        self.intents: list[Intent] = []
        self.points: list[FixedPoint] = []
        self.risks: list[Observation | None] = []
        self.units: dict[int, int] = {one.id: one.price_increment_micro * one.lot_size for one in bars.instruments}

    def run(self, before_session: Callable[[int], None] | None = None) -> Desk:
        records = self.bars.records
        starts = np.searchsorted(records["ts_ns"], self.bars.sessions)
        prices: dict[int, int] = {}
        pending: Intent | None = None
        for session, (start, stop) in enumerate(zip(starts, [*starts[1:], len(records)], strict=True)):
            if before_session is not None:
                before_session(session)
            bars = records[start:stop]
            self.ctx.now_ns = int(bars["ts_ns"][0])
            prices.update(zip(bars["instrument"].tolist(), bars["close"].tolist(), strict=True))
            if pending is not None:
                self._fill(pending, prices, set(bars["instrument"].tolist()))
            self.ctx.equity = self.ctx.cash + sum(
                lots * prices[one] * self.units[one] for one, lots in self.ctx.held.items()
            )
            self.equity.append(self.ctx.equity / 1e6)
            pending = self._session(bars)
        return self

    def _fill(self, intent: Intent, prices: dict[int, int], there: set[int]) -> None:
        for instrument, lots in intent.targets.items():
            if instrument not in there:
                continue
            change = lots - self.ctx.held.get(instrument, 0)
            value = change * prices[instrument] * self.units[instrument]
            self.ctx.cash -= value + round(abs(value) * self.cost_bps / 1e4)
            self.ctx.held[instrument] = lots

    def _session(self, bars: Any) -> Intent | None:
        seen = {agent.name: agent.perceive_many(bars, self.ctx) for agent in self.perception}
        views = [agent.reason(seen["returns"], self.ctx) for agent in (self.momentum, self.reversion)]
        risk = self.risk.reason([seen[name] for name in self.risk.subscribes], self.ctx)
        self.risks.append(risk)
        joined = [message for message in (views[0], seen["returns"], views[1], risk) if message is not None]
        answer = self.blend.decide(joined, self.ctx)
        answers = answer if isinstance(answer, list) else [] if answer is None else [answer]
        messages = [*seen.values(), *views, risk, *answers]
        self.trail.append([encode(message) for message in messages if message is not None])
        intent = next((one for one in answers if isinstance(one, Intent)), None)
        if intent is not None:
            self.intents.append(intent)
        if any(isinstance(one, Review) for one in answers):
            point = self.review()
            self.points.append(point)
            self.ctx.parameters = dict(point.parameters)
        return intent

    def review(self, start: dict[str, np.ndarray] | None = None, **options: Any) -> FixedPoint:
        functions = {
            agent.name: (lambda thetas, agent=agent: agent.update_parameters(thetas, self.ctx))
            for agent in self.learners
        }
        return fixed_point(functions, start or self.ctx.parameters, **options)


def encode(message: Any) -> bytes:
    if isinstance(message, np.ndarray):
        return message.tobytes()
    return message.to_bytes() if hasattr(message, "to_bytes") else bytes(message)
