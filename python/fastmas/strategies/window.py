"""Rolling rows over a universe that grows when an instrument lists."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Universe", "Window"]


class Universe:
    """Columns in order of first appearance; a column never moves."""

    def __init__(self) -> None:
        self.ids = np.zeros(0, dtype=np.int64)
        self._column: dict[int, int] = {}
        self._seen: bytes = b""
        self._columns = np.zeros(0, dtype=np.intp)

    def columns(self, ids: NDArray[Any]) -> NDArray[np.intp]:
        """Column of each id; ids not seen before get the next ones."""
        key = ids.tobytes()
        if key == self._seen:
            return self._columns
        for instrument in ids.tolist():
            if instrument not in self._column:
                self._column[instrument] = len(self._column)
        self.ids = np.array(list(self._column), dtype=np.int64)
        self._seen = key
        self._columns = np.array([self._column[instrument] for instrument in ids.tolist()], dtype=np.intp)
        return self._columns

    def __len__(self) -> int:
        return len(self._column)


class Window:
    """The last `length` rows of float64, oldest first, as one contiguous view; NaN where nothing is known.

    Rows go into a buffer twice as long, which is moved down when it is full: pushing is O(1) on average and reading
    copies nothing.
    """

    def __init__(self, length: int) -> None:
        self.length = length
        self._rows = np.full((2 * length, 0), np.nan)
        self._end = 0

    def push(self, row: NDArray[np.float64]) -> None:
        """Append a row; a longer row than before widens the window, NaN in the past."""
        missing = len(row) - self._rows.shape[1]
        if missing > 0:
            self._rows = np.hstack([self._rows, np.full((2 * self.length, missing), np.nan)])
        if self._end == 2 * self.length:
            self._rows[: self.length] = self._rows[self.length :]
            self._end = self.length
        self._rows[self._end] = row
        self._end += 1

    @property
    def rows(self) -> NDArray[np.float64]:
        """View of the rows there are, at most `length`; valid until the next push."""
        return self._rows[max(0, self._end - self.length) : self._end]

    def __len__(self) -> int:
        return min(self._end, self.length)
