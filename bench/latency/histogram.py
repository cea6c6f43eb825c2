"""A histogram of durations over all of 63 bits, with a relative error of at most 1/32: that of cpp/base in numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

PART_BITS = 5
PARTS = 1 << PART_BITS
BUCKETS = (64 - PART_BITS + 1) * PARTS


def bucket_of(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """The bucket of each value: those below 64 have one each, each power of two above is cut into 32."""
    # frexp rounds to 53 bits, which may lift a value over the next power of two: shifted down, none is that long.
    shift = np.maximum(np.frexp((values >> PART_BITS).astype(np.float64))[1].astype(np.int64) - 1, 0)
    big = values >= PARTS
    return np.where(big, (shift + 1) * PARTS + (values >> shift) - PARTS, values)


def last_of(bucket: int) -> int:
    """The largest value of a bucket."""
    if bucket < PARTS:
        return bucket
    shift = bucket // PARTS - 1
    return ((bucket % PARTS + PARTS + 1) << shift) - 1


class Histogram:
    """Counts of nanoseconds; adding is one pass of numpy, whatever the values are."""

    def __init__(self) -> None:
        self.counts = np.zeros(BUCKETS, np.int64)
        self.count = 0
        self.max = 0

    def add(self, values_ns: ArrayLike) -> None:
        # A clock that a hypervisor set back gives less than nothing; it counts as nothing.
        values = np.maximum(np.asarray(values_ns, np.int64), 0)
        if values.size:
            self.counts += np.bincount(bucket_of(values), minlength=BUCKETS)
            self.count += values.size
            self.max = max(self.max, int(values.max()))

    def merge(self, other: Histogram) -> None:
        self.counts += other.counts
        self.count += other.count
        self.max = max(self.max, other.max)

    def quantile(self, fraction: float) -> int:
        """The least value such that at least `fraction` of what was added is not above it; 0 when nothing was."""
        if not self.count:
            return 0
        below = np.cumsum(self.counts)
        bucket = int(np.searchsorted(below, max(fraction * self.count, 1)))
        return min(last_of(bucket), self.max) if bucket < BUCKETS else self.max

    def quantiles(self) -> dict[str, int]:
        return {
            "p50_ns": self.quantile(0.5),
            "p99_ns": self.quantile(0.99),
            "p999_ns": self.quantile(0.999),
            "max_ns": self.max,
        }

    def curve(self) -> list[list[float]]:
        """(share, nanoseconds) from the least to the largest, closer and closer to 1: what a plot needs."""
        shares = [1 - 10 ** (-step / 8) for step in range(1, 41)]
        kept = [share for share in shares if (1 - share) * self.count >= 1]
        return [[round(share, 7), self.quantile(share)] for share in kept]
