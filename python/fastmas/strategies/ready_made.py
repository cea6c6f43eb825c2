"""Ready-made systems: the four agents in one call."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastmas.agent import Agent, Context, Decision, Perception, Reasoning
from fastmas.errors import ConfigError
from fastmas.messages import Intent, Observation, Signal
from fastmas.replica import AtMarket
from fastmas.strategies.window import Window

__all__ = ["Momentum"]

HALF_DAY_NS = 12 * 3600 * 1_000_000_000


class _Close(Perception):
    """The close of each bar, in price increments."""

    def perceive(self, record: Any, ctx: Context) -> Observation:
        return Observation(record.instrument, ctx.now_ns, {"close": float(record.close)})


class _Crossover(Reasoning):
    """Fast over slow moving average, less one."""

    def __init__(self, fast: int, slow: int) -> None:
        self._fast, self._slow = fast, slow
        self._windows: dict[int, Window] = {}

    def reason(self, observation: Any, ctx: Context) -> Signal | None:
        window = self._windows.setdefault(observation.instrument, Window(self._slow))
        window.push(np.array([observation["close"]]))
        if len(window) < self._slow:
            return None
        rows = window.rows
        score = float(rows[-self._fast :].mean() / rows.mean() - 1.0)
        return Signal(observation.instrument, ctx.now_ns, score)


class _LongWhilePositive(Decision):
    """A fixed number of lots while the score is positive, none otherwise."""

    def __init__(self, lots: int) -> None:
        self._lots = lots

    def decide(self, signal: Any, ctx: Context) -> Intent | None:
        lots = self._lots if signal.score > 0.0 else 0
        if lots == ctx.position(signal.instrument):
            return None
        return Intent(ctx.now_ns, {signal.instrument: lots}, ctx.now_ns + HALF_DAY_NS)


class Momentum:
    """Holds `lots` of every instrument whose fast moving average is above its slow one.

    Parameters
    ----------
    fast, slow : int
        Sessions; fast must be the smaller.
    lots : int, default 100

    Examples
    --------
    >>> import fastmas as fm
    >>> [agent.name for agent in fm.strategies.Momentum(fast=10, slow=30).agents()]
    ['close', 'crossover', 'long_while_positive', 'at_market']
    """

    def __init__(self, fast: int, slow: int, lots: int = 100) -> None:
        if not 1 <= fast < slow:
            raise ConfigError(f"a crossover needs 1 <= fast < slow, got fast={fast!r}, slow={slow!r}; try 10 and 30")
        if lots < 1:
            raise ConfigError(f"lots must be at least 1, got {lots!r}")
        self._fast, self._slow, self._lots = fast, slow, lots

    def agents(self) -> list[Agent]:
        """New agents of the four stages."""
        return [_Close(), _Crossover(self._fast, self._slow), _LongWhilePositive(self._lots), AtMarket()]
