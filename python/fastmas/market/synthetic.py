"""Made-up bars with open, high, low, close and volume, for tests and examples; the same seed gives the same bars."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmas.errors import ConfigError
from fastmas.market.bars import Bars
from fastmas.market.calendar import NYSE, SessionCalendar
from fastmas.market.instrument import Instrument
from fastmas.messages import Bar, BarFlag

__all__ = ["synthetic_bars"]

_STEPS = 8  # steps of the path inside a session; open is the first, close the last


def synthetic_bars(
    instruments: int = 4,
    sessions: int = 252,
    seed: int = 0,
    *,
    ohlcv: bool = True,
    start: date = date(2015, 1, 2),
    volatility: float = 0.2,
    correlation: float = 0.3,
    calendar: SessionCalendar = NYSE,
) -> Bars:
    """Draw correlated geometric random walks and cut them into daily bars.

    Parameters
    ----------
    instruments : int, default 4
        Named S1, S2, ... with ids from 1.
    sessions : int, default 252
        Consecutive sessions of `calendar` from `start` on.
    seed : int, default 0
    ohlcv : bool, default True
        False gives closes only.
    start : date
    volatility : float, default 0.2
        Annualised, 252 sessions a year.
    correlation : float in [0, 1), default 0.3
        Between any two instruments' returns.
    calendar : SessionCalendar, default NYSE

    Examples
    --------
    >>> from fastmas.market.synthetic import synthetic_bars
    >>> bars = synthetic_bars(instruments=2, sessions=3, seed=1)
    >>> len(bars), bars.has_ohlc, bars.has_volume
    (6, True, True)
    """
    if instruments < 1 or sessions < 1:
        raise ConfigError(f"instruments and sessions must be at least 1, got {instruments} and {sessions}")
    if not 0.0 <= correlation < 1.0 or not volatility > 0.0:
        raise ConfigError(
            f"volatility must be positive and correlation in [0, 1), got {volatility!r} and {correlation!r}"
        )
    rng = np.random.default_rng(seed)
    days = calendar.sessions(start, start + timedelta(days=2 * sessions + 14))[:sessions]
    shape = (sessions, _STEPS, instruments)
    scale = volatility / np.sqrt(252.0 * _STEPS)
    shocks = np.sqrt(correlation) * rng.standard_normal((*shape[:2], 1))
    shocks = shocks + np.sqrt(1.0 - correlation) * rng.standard_normal(shape)
    walk = np.cumsum((shocks * scale - scale**2 / 2).reshape(-1, instruments), axis=0).reshape(shape)
    ticks = np.maximum(1, np.rint(np.exp(walk) * rng.uniform(20.0, 200.0, instruments) * 1000.0)).astype(np.int64)

    records: NDArray[Any] = np.zeros((sessions, instruments), Bar.dtype)
    records["ts_ns"] = calendar.close_ns(days)[:, None]
    records["instrument"] = np.arange(1, instruments + 1)
    records["close"] = ticks[:, -1]
    if ohlcv:
        records["open"], records["high"], records["low"] = ticks[:, 0], ticks.max(axis=1), ticks.min(axis=1)
        records["volume"] = np.maximum(1, rng.lognormal(11.0, 0.5, (sessions, instruments))).astype(np.int64)
        records["flags"] = BarFlag.HAS_OHLC | BarFlag.HAS_VOLUME
    names = [Instrument(number, f"S{number}") for number in range(1, instruments + 1)]
    return Bars(names, records.reshape(-1))
