"""What a run was: its heads, its books over time, what was decided and filled, and how long handlers took."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmas.messages import Fill, Intent, OrderUpdate
from fastmas.parameters import FixedPoint

__all__ = ["Report", "StageLatency"]

MICRO = 1_000_000


def _frame(columns: dict[str, NDArray[Any]], index: NDArray[np.int64] | None) -> Any:
    """A pandas DataFrame where pandas is installed, else the columns as a dict of arrays."""
    try:
        import pandas as pd
    except ImportError:
        return columns if index is None else {"ts_ns": index, **columns}
    if index is None:
        return pd.DataFrame(columns)
    times = pd.to_datetime(index, utc=True).tz_convert("America/New_York")
    return pd.DataFrame(columns, index=pd.DatetimeIndex(times, name="time"))


@dataclass(frozen=True, slots=True)
class StageLatency:
    """Wall-clock time in one agent's handler, ns; measured, never part of what a run computes."""

    agent: str
    stage: str
    calls: int
    p50_ns: float
    p99_ns: float
    p999_ns: float
    max_ns: float


@dataclass(frozen=True)
class Report:
    """Result of `Simulation.run`.

    Attributes
    ----------
    audit_head : bytes or None
        Head of the audit's hash chain, which covers the whole run; None without an audit.
    ledger_head : bytes
        Head over committed commands and their effects, as the leader holds it.
    replica_heads : dict of node to bytes
        The same at every live replica.
    balanced : bool
        Debits equal credits in every currency, at every live replica.
    decisions, commits, orders, messages : int
        Intents proposed, commands committed, orders sent, messages emitted.
    counters : dict of str to int
        What the replicated state counted: accepted, rejected, expired intents and so on.
    ts_ns : ndarray of int64, shape (sessions,)
    equity_micro, cash_micro, costs_micro : ndarray of int64, shape (sessions,)
        Millionths of the currency unit, after the session's fills and marks.
    holdings : ndarray of int64, shape (sessions, instruments)
        Lots.
    poisoned : dict of node to str
        Replicas that stopped, and why.
    parameter_names : dict of agent to tuple of str
        What the entries of its parameter vector are called; empty where they are numbered.

    Examples
    --------
    >>> import fastmas as fm
    >>> bars = fm.Bars.sample(["KO"]).window("2015-01-01", "2015-12-31")
    >>> world = fm.Simulation(feed=bars, venue=fm.BarVenue(bars.instruments, fee_bps=1))
    >>> report = world.run(fm.strategies.Momentum(fast=10, slow=30))
    >>> report.orders == len(report.fill_records) > 0, report.balanced, len(report.replica_heads)
    (True, True, 3)
    >>> report.equity_micro.shape == report.ts_ns.shape, report.holdings.shape
    (True, (252, 1))
    """

    audit_head: bytes | None
    ledger_head: bytes
    replica_heads: dict[int, bytes]
    balanced: bool
    decisions: int
    commits: int
    messages: int
    orders: int
    elapsed_s: float
    counters: dict[str, int]
    instruments: tuple[Any, ...]
    capital_micro: int
    ts_ns: NDArray[np.int64]
    equity_micro: NDArray[np.int64]
    cash_micro: NDArray[np.int64]
    costs_micro: NDArray[np.int64]
    holdings: NDArray[np.int64]
    fill_records: tuple[Fill, ...]
    updates: tuple[OrderUpdate, ...]
    intents: tuple[tuple[Intent, Any], ...]
    reviews: tuple[tuple[int, FixedPoint], ...]
    parameter_names: dict[str, tuple[str, ...]]
    kept: dict[str, tuple[Any, ...]]
    latencies: tuple[StageLatency, ...]
    burst_ns: NDArray[np.int64]
    messages_per_decision: NDArray[np.int64]
    cluster_stats: dict[str, int]
    leader_changes: int
    resent: int
    lost: int
    crashed: tuple[int, ...]
    poisoned: dict[int, str]
    audit: Path | None
    first_fill_id: int | None

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        return tuple(instrument.symbol for instrument in self.instruments)

    @cached_property
    def equity(self) -> Any:
        """Equity, cash and costs so far, in currency units, by time; a DataFrame when pandas is there."""
        return _frame(
            {
                "equity": self.equity_micro / MICRO,
                "cash": self.cash_micro / MICRO,
                "costs": self.costs_micro / MICRO,
            },
            self.ts_ns,
        )

    @cached_property
    def positions(self) -> Any:
        """Lots held after each session, one column a symbol; a DataFrame when pandas is there."""
        return _frame({symbol: self.holdings[:, k] for k, symbol in enumerate(self.symbols)}, self.ts_ns)

    @cached_property
    def fills(self) -> Any:
        """Every execution, in order; a DataFrame when pandas is there."""
        dtype = Fill.dtype
        rows = np.frombuffer(b"".join(map(bytes, self.fill_records)), dtype=dtype)
        symbol_of = {instrument.id: instrument.symbol for instrument in self.instruments}
        columns = {name: rows[name] for name in dtype.names or () if not name.startswith("_")}
        columns["symbol"] = np.array([symbol_of[int(i)] for i in rows["instrument"]], dtype=object)
        return _frame(columns, None)

    @cached_property
    def returns(self) -> NDArray[np.float64]:
        """Simple return of each session after the first, shape (sessions - 1,)."""
        equity = self.equity_micro.astype(np.float64)
        return np.asarray(equity[1:] / equity[:-1] - 1.0)
