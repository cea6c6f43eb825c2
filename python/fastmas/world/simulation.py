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
        for verb in ("submit", "cancel", "replace", "on_bars", "knows", "fresh"):
            if not callable(getattr(venue, verb, None)):
                raise ConfigError(
                    f"venue must have submit, cancel, replace, on_bars, knows and fresh, got {venue!r}; try "
                    "BarVenue(...)"
                )
        if not isinstance(capital, int) or capital <= 0:
            raise ConfigError(f"capital must be a whole positive number of {currency}, got {capital!r}")
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
