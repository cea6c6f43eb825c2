"""The live world: not built yet, and says so."""

from __future__ import annotations

from typing import Any

from fastmas.errors import ConfigError

__all__ = ["Live"]


class Live:
    """Runs the agents of a `Simulation` on real time, rings and replicas. Not built yet.

    Parameters
    ----------
    **options
        Of the world; nothing is done with them yet.

    Raises
    ------
    ConfigError
        Always.

    Examples
    --------
    >>> import fastmas as fm
    >>> fm.Live(feed=None, venue=None, replica=None)
    Traceback (most recent call last):
        ...
    fastmas.errors.ConfigError: fm.Live is not built yet: ... use fm.Simulation
    """

    def __init__(self, **options: Any) -> None:
        raise ConfigError(
            "fm.Live is not built yet: the live driver needs shared-memory rings and networked replicas; use "
            "fm.Simulation"
        )
