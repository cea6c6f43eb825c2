"""Bars as a feed: what a driver puts into its event queue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from fastmas.errors import ConfigError
from fastmas.market.bars import Bars
from fastmas.market.instrument import Instrument
from fastmas.messages import Bar

__all__ = ["BarFeed"]


class BarFeed:
    """Hands a driver the bars of one or several sources, in time order; each known at its close.

    Bars of equal time make one slice: an agent that takes slices gets all instruments of a session in one call.

    Parameters
    ----------
    *sources : Bars
        Merged; two prices for the same bar are refused.

    Attributes
    ----------
    bars : Bars
    record_type : type
        `Bar`.

    Examples
    --------
    >>> from fastmas.market.bars import Bars
    >>> from fastmas.market.feed import BarFeed
    >>> feed = BarFeed(Bars.sample(["KO", "PEP"]))
    >>> len(feed.records), [one.symbol for one in feed.instruments], feed.record_type.__name__
    (16626, ['KO', 'PEP'], 'Bar')
    """

    record_type = Bar

    def __init__(self, *sources: Bars) -> None:
        strange = [source for source in sources if not isinstance(source, Bars)]
        if strange or not sources:
            got = type(strange[0]).__name__ if strange else "nothing"
            raise ConfigError(
                f"a bar feed takes one or more Bars, got {got}; make one with Bars.from_csv or from_frame"
            )
        self.bars = sources[0] if len(sources) == 1 else Bars.merge(*sources)

    @property
    def instruments(self) -> Sequence[Instrument]:
        """What the bars are of, in the order of their ids."""
        return self.bars.instruments

    @property
    def records(self) -> NDArray[Any]:
        """All bars as one read-only array of `Bar.dtype`, sorted by (ts_ns, instrument)."""
        return self.bars.records

    def digest(self) -> bytes:
        """SHA-256 over instruments and bars, 32 bytes."""
        return self.bars.digest()

    def __repr__(self) -> str:
        return f"<BarFeed of {self.bars!r}>"
