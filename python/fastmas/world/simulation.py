"""The simulated world: one thread, virtual time, the same agents that run live."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from fastmas.errors import ConfigError
from fastmas.parameters import check_iteration
from fastmas.replica import Limits
from fastmas.world.faults import Faults
from fastmas.world.report import Report
from fastmas.world.run import Run
from fastmas.world.wiring import wire

__all__ = ["Simulation"]


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


class Simulation:
    """Runs agents over recorded market data, through consensus, to a venue and the ledger; bit for bit reproducible.

    Parameters
    ----------
    feed : BarFeed or Bars
        Market data.
    venue : Venue
        Where orders go, e.g. `fastmas.market.BarVenue`.
    replicas : int, default 3
        Nodes that agree on every command and each keep the books.
    protocol : str, default "raft"
    seed : int, default 7
        Of the agents' random streams.
    network_seed : int, default 0
        Of delays, losses and elections between the replicas; changes no decision and no booking.
    capital : int, default 10_000_000
        In whole units of `currency`.
    currency : str, default "USD"
    limits : Limits or None
        Pre-trade limits; None refuses baskets that would borrow cash or sell short, and nothing else.
    faults : Faults or None
        What goes wrong below: message loss, a leader crash.
    audit : path or None
        Where to write the audit file; None writes none.
    keep : iterable of str
        Names of agents whose messages the report keeps.
    max_rounds, tolerance, damping
        Of the parameter iteration, see `fastmas.fixed_point`.
    progress : callable (sessions done, sessions in all) or None
    meta : mapping or None
        Goes into the audit's header.

    Examples
    --------
    >>> import fastmas as fm
    >>> bars = fm.Bars.sample(["KO", "PEP"]).window("2015-01-01", "2016-12-31")
    >>> venue = fm.BarVenue(bars.instruments, fee_bps=1, slippage_bps=4)
    >>> calm = fm.Simulation(feed=bars, venue=venue).run(fm.strategies.Momentum(fast=10, slow=30))
    >>> lossy = fm.Simulation(feed=bars, venue=venue, network_seed=1, faults=fm.Faults(loss=0.05))
    >>> lossy.run(fm.strategies.Momentum(fast=10, slow=30)).ledger_head == calm.ledger_head
    True
    """

    def __init__(
        self,
        *,
        feed: Any,
        venue: Any,
        replicas: int = 3,
        protocol: str = "raft",
        seed: int = 7,
        network_seed: int = 0,
        capital: int = 10_000_000,
        currency: str = "USD",
        limits: Limits | None = None,
        faults: Faults | None = None,
        audit: str | Path | None = None,
        keep: Iterable[str] = (),
        max_rounds: int = 100,
        tolerance: float = 1e-9,
        damping: float = 0.0,
        progress: Callable[[int, int], None] | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        self.bars = getattr(feed, "bars", feed)
        if not hasattr(self.bars, "records") or not hasattr(self.bars, "instruments"):
            raise ConfigError(f"feed must be Bars or a BarFeed, got {feed!r}; try Bars.sample()")
        if len(self.bars.records) == 0:
            raise ConfigError("feed has no bars; widen the window or the choice of instruments")
        if isinstance(venue, type):
            raise ConfigError(f"venue must be a venue, got the class {venue.__name__}; try {venue.__name__}(...)")
        for verb in ("submit", "cancel", "replace", "on_bars", "knows", "fresh"):
            if not callable(getattr(venue, verb, None)):
                raise ConfigError(
                    f"venue must have submit, cancel, replace, on_bars, knows and fresh, got {venue!r}; try "
                    "BarVenue(...)"
                )
        traded = {one.id for one in getattr(venue, "instruments", self.bars.instruments)}
        for one in self.bars.instruments:
            if one.id not in traded:
                raise ConfigError(f"venue must trade what the feed has, got none for {one}; give it bars.instruments")
        if not _is_whole(capital) or capital <= 0:
            raise ConfigError(f"capital must be a whole positive number of {currency}, got {capital!r}")
        for name, number in (("replicas", replicas), ("network_seed", network_seed)):
            if not _is_whole(number):
                raise ConfigError(f"{name} must be an int, got {number!r}")
        for name, value, kind in (("limits", limits, Limits), ("faults", faults, Faults)):
            if value is not None and not isinstance(value, kind):
                raise ConfigError(f"{name} must be a {kind.__name__} or None, got {value!r}; try {kind.__name__}(...)")
        if isinstance(keep, str):
            raise ConfigError(f"keep must be names of agents, got the text {keep!r}; give [{keep!r}]")
        check_iteration(max_rounds, tolerance, damping)
        self.venue = venue
        self.replicas = replicas
        self.protocol = protocol
        self.seed = seed
        self.network_seed = network_seed
        self.capital = capital
        self.currency = currency
        self.limits = limits if limits is not None else Limits(min_cash=0)
        self.faults = faults if faults is not None else Faults()
        self.audit = Path(audit) if audit is not None else None
        self.keep = frozenset(keep)
        self.iteration: dict[str, Any] = {"max_rounds": max_rounds, "tolerance": tolerance, "damping": damping}
        self.progress = progress
        self.meta = dict(meta or {})

    def run(self, agents: Any) -> Report:
        """Run the agents over the whole feed.

        Agents remember what they have seen: give each run new ones, or it starts with the memory of the run before.
        (Actions are copied for each replica, and start afresh.)

        Parameters
        ----------
        agents : agents of all four stages, or a ready-made strategy

        Returns
        -------
        Report

        Raises
        ------
        WiringError
            The agents do not fit together.
        AgentError
            An agent raised, or returned what its stage may not.
        """
        return Run(self, wire(agents)).run()
