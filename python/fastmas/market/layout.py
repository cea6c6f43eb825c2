"""The bytes of a bar record, as `fastmas.messages.Bar` lays them out."""

from __future__ import annotations

from enum import IntFlag

import numpy as np

__all__ = ["BAR_DTYPE", "BarFlag"]

BAR_DTYPE = np.dtype(
    [
        ("ts_ns", "<i8"),
        ("instrument", "<u4"),
        ("flags", "<u4"),
        ("open", "<i8"),
        ("high", "<i8"),
        ("low", "<i8"),
        ("close", "<i8"),
        ("volume", "<i8"),
    ],
    align=True,
)


class BarFlag(IntFlag):
    """What a bar says besides its prices."""

    STALE = 1
    HAS_OHLC = 2
    HAS_VOLUME = 4
