"""Settings made into a world: the data, the venue, the agents."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

from fastmas.cli.settings import Settings
from fastmas.errors import ConfigError
from fastmas.market.bars import Bars
from fastmas.market.venue import BarVenue
from fastmas.world import Faults, Report, Simulation

__all__ = ["build_venue", "build_world", "load_bars", "run_at_cost"]

EXCHANGE = ZoneInfo("America/New_York")


def load_bars(settings: Settings) -> Bars:
    """The market data of a run: the package's own, or the user's file, cut to the instruments and window asked for."""
    path = settings.data
    if path is None:
        bars = Bars.sample()
    elif path.suffix.lower() in (".parquet", ".pq"):
        bars = Bars.from_parquet(path)
    elif path.name.lower().endswith((".csv", ".csv.gz")):
        bars = Bars.from_csv(path)
    else:
        raise ConfigError(f"--data takes .csv, .csv.gz or .parquet, got {path.name!r}; rename the file or convert it")
    if settings.instruments is not None:
        bars = bars.select(settings.instruments)
    if settings.first is not None or settings.last is not None:
        bars = bars.window(*(None if day is None else day.isoformat() for day in (settings.first, settings.last)))
    return bars


def build_venue(settings: Settings, bars: Bars) -> BarVenue:
    return BarVenue(
        bars.instruments,
        fee_bps=settings.fee_bps,
        slippage_bps=settings.slippage_bps,
        volume_cap=settings.volume_cap,
    )


def midnight_ns(day: datetime.date) -> int:
    """The start of a day in exchange time."""
    return int(datetime.datetime(day.year, day.month, day.day, tzinfo=EXCHANGE).timestamp()) * 1_000_000_000


def build_world(
    settings: Settings,
    bars: Bars,
    *,
    audit: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Simulation:
    """A world of these settings over these bars."""
    crash = settings.crash_leader_at
    return Simulation(
        feed=bars,
        venue=build_venue(settings, bars),
        replicas=settings.replicas,
        protocol=settings.protocol,
        seed=settings.seed,
        network_seed=settings.network_seed,
        capital=settings.capital,
        currency=settings.currency,
        limits=settings.build_limits(),
        faults=Faults(loss=settings.loss, crash_leader_at_ns=None if crash is None else midnight_ns(crash)),
        audit=audit,
        max_rounds=settings.max_rounds,
        tolerance=settings.tolerance,
        damping=settings.damping,
        progress=progress,
        meta={"actions": [[spec.path, dict(spec.arguments)] for spec in settings.agents]},
    )


def run_at_cost(settings: Settings, bps: float) -> Report:
    """The same run, undisturbed and without an audit, at other total costs; safe to call in another process."""
    total = settings.fee_bps + settings.slippage_bps
    share = bps / total if total else 0.0
    at_cost = dataclasses.replace(
        settings,
        fee_bps=settings.fee_bps * share if total else bps,
        slippage_bps=settings.slippage_bps * share,
        loss=0.0,
        crash_leader_at=None,
    )
    return build_world(at_cost, load_bars(at_cost)).run(at_cost.build_agents())
