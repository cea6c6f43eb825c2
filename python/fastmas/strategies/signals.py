"""Reasoning agents of the main job that score instruments: momentum and mean reversion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmas.agent import Context, Reasoning
from fastmas.errors import ConfigError
from fastmas.messages import Signal
from fastmas.strategies.window import Window

__all__ = ["MOMENTUM", "REVERSION", "MomentumSignal", "ReversionSignal"]

MOMENTUM, REVERSION = 1, 2
MONTH = 21
MEMORY = 36.0  # months over which skill is averaged
# Of that average, when 20 instruments are ranked by chance: 1 / sqrt(19) a month, over an effective 71 months.
SKILL_ERROR = 0.027


class _Scorer(Reasoning):
    """Scores across instruments, and keeps track of how well its scores foretold the following month.

    Its parameter is its confidence in itself, in (0, 1): the logistic function of its skill in standard errors. Skill
    is the exponentially weighted mean rank correlation of its scores with the returns of the `MONTH` sessions after
    them, known one month late; without evidence the confidence is one half.
    """

    subscribes = ("returns",)
    initial_parameters = (0.5,)
    parameter_names = ("confidence",)
    source = 0

    def __init__(self, length: int) -> None:
        self._closes = Window(length + 1)
        self._scores = Window(MONTH + 1)
        self._age = 0
        self._skill = 0.0

    def score(self, closes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Raw score of each column out of `length + 1` closes, NaN where unknown."""
        raise NotImplementedError

    def reason(self, observation: Any, ctx: Context) -> Any:
        close = observation["close"]
        self._closes.push(close)
        if len(self._closes) < self._closes.length:
            return None
        raw = self.score(self._closes.rows)
        usable = ~np.isnan(raw) & (observation["tradable"] > 0.0)
        if usable.sum() < 2:
            return None
        score = np.full(len(raw), np.nan)
        chosen = raw[usable]
        spread = chosen.std()
        score[usable] = (chosen - chosen.mean()) / spread if spread > 0.0 else 0.0
        self._learn(score, close)
        ids = observation["ids"][usable]
        batch: Any = np.zeros(len(ids), dtype=Signal.dtype)
        batch["instrument"] = ids
        batch["ts_ns"] = ctx.now_ns
        batch["score"] = score[usable]
        batch["source"] = self.source
        return batch

    def _learn(self, score: NDArray[np.float64], close: NDArray[np.float64]) -> None:
        self._scores.push(score)
        self._age += 1
        if len(self._scores) <= MONTH or self._age % MONTH:
            return
        before = self._scores.rows[0]
        change = close / self._closes.rows[-1 - MONTH] - 1.0 if len(self._closes) > MONTH else close * np.nan
        known = ~np.isnan(before) & ~np.isnan(change[: len(before)])
        if known.sum() < 5:
            return
        ranks = [np.argsort(np.argsort(column[known])).astype(np.float64) for column in (before, change)]
        correlation = float(np.corrcoef(ranks[0], ranks[1])[0, 1])
        self._skill += (correlation - self._skill) / MEMORY

    def update_parameters(self, parameters: Mapping[str, NDArray[np.float64]], ctx: Context) -> NDArray[np.float64]:
        return np.array([1.0 / (1.0 + np.exp(-self._skill / SKILL_ERROR))])


class MomentumSignal(_Scorer):
    """Twelve months' return without the last one, as a z-score across instruments.

    Parameters
    ----------
    length, skip : int, default 252, 21
        Sessions looked back on, and the latest ones left out.
    """

    source = MOMENTUM

    def __init__(self, length: int = 252, skip: int = 21) -> None:
        if not 0 <= skip < length:
            raise ConfigError(f"momentum needs 0 <= skip < length, got length={length}, skip={skip}; try 252 and 21")
        super().__init__(length)
        self._skip = skip

    def score(self, closes: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(closes[-1 - self._skip] / closes[0] - 1.0)


class ReversionSignal(_Scorer):
    """Minus the return of the last five sessions, as a z-score across instruments.

    Parameters
    ----------
    length : int, default 5
    """

    source = REVERSION

    def __init__(self, length: int = 5) -> None:
        if length < 1:
            raise ConfigError(f"mean reversion needs a length of at least one session, got {length}; try 5")
        super().__init__(max(length, MONTH))
        self._length = length

    def score(self, closes: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(1.0 - closes[-1] / closes[-1 - self._length])
