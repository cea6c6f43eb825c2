"""What a simulated run lets go wrong below the consensus line."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastmas.errors import ConfigError

__all__ = ["FaultInjector", "Faults", "Link"]


@dataclass(frozen=True, slots=True)
class Faults:
    """Faults of one run. None of them may change what is decided or booked.

    Attributes
    ----------
    loss : float in [0, 0.5]
        Share of messages between replicas, and between the gateway and the venue, that are lost.
    crash_leader_at_ns : int or None
        The leader crashes in the middle of the first intent at or after this time.
    restart_after : int
        Sessions until the crashed replica is started again.
    retry_after_ns : int
        How long the gateway waits for the venue's answer before it sends an order again.
    divergence : callable (node, state) -> state, or None
        Wraps or replaces a replica's state; for planting a bug and seeing it caught.

    Examples
    --------
    >>> import fastmas as fm
    >>> fm.Faults(loss=0.05).restart_after
    5
    """

    loss: float = 0.0
    crash_leader_at_ns: int | None = None
    restart_after: int = 5
    retry_after_ns: int = 1_000_000_000
    divergence: Callable[[int, Any], Any] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.loss, (int, float)) or not 0.0 <= self.loss <= 0.5:
            raise ConfigError(
                f"loss must be a share between 0 and 0.5, got {self.loss!r}; 0.05 loses one message in twenty"
            )
        if not isinstance(self.restart_after, int) or self.restart_after < 1:
            raise ConfigError(f"restart_after must be at least one session, got {self.restart_after!r}")
        if not isinstance(self.retry_after_ns, int) or self.retry_after_ns < 1:
            raise ConfigError(f"retry_after_ns must be at least 1 ns, got {self.retry_after_ns!r}")
        if self.crash_leader_at_ns is not None and not isinstance(self.crash_leader_at_ns, int):
            raise ConfigError(
                f"crash_leader_at_ns must be an int, ns since 1970 UTC, got {self.crash_leader_at_ns!r}; "
                "try int(bars.sessions[100])"
            )


class FaultInjector:
    """Carries out the faults of one run on its cluster."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._down: int | None = None
        self._down_for = 0
        self.crashed: list[int] = []

    def before_intent(self, cluster: Any, now_ns: int) -> None:
        """Crash the leader inside the next proposal, once, when its time has come."""
        at_ns = self._faults.crash_leader_at_ns
        if at_ns is None or now_ns < at_ns or self.crashed:
            return
        self._down = cluster.leader
        self.crashed.append(cluster.leader)
        cluster.crash_leader_during_next()

    def before_session(self, cluster: Any) -> None:
        """Start a crashed replica again when it has been down long enough."""
        if self._down is None:
            return
        self._down_for += 1
        if self._down_for >= self._faults.restart_after:
            cluster.restart(self._down)
            self._down = None

    def finish(self, cluster: Any) -> None:
        """At the end of a run: start what is still down, so that every replica holds the last commit."""
        if self._down is not None:
            cluster.restart(self._down)
            self._down = None


class Link:
    """A lossy line; its losses are a function of the network seed."""

    def __init__(self, loss: float, seed: int) -> None:
        self._loss = loss
        self._stream = random.Random(f"fastmas link {seed}")
        self.lost = 0

    def loses(self) -> bool:
        if self._loss and self._stream.random() < self._loss:
            self.lost += 1
            return True
        return False
