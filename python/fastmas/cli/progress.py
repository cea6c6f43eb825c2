"""How far a run is: a bar that moves on a terminal, one line each tenth in a file or a pipe."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["Watch"]

TENTHS = 10
EVERY = 64


class Watch:
    """Shows progress while it is entered.

    Parameters
    ----------
    console : Console
        Quiet consoles show nothing.
    sessions : int
        Of the main run.
    others : int
        Runs in the helper process.
    """

    def __init__(self, console: Console, sessions: int, others: int) -> None:
        self._console = console
        self._sessions = sessions
        self._started = time.perf_counter()
        self._tenth = 0
        self._moving = console.is_terminal and not console.quiet
        columns = (TextColumn("{task.description:<22}"), BarColumn(bar_width=40), MofNCompleteColumn())
        self._progress = Progress(*columns, TimeElapsedColumn(), console=console, disable=not self._moving)
        self._simulate = self._progress.add_task("simulate", total=sessions)
        self._others = self._progress.add_task("other costs, drill", total=others)

    def __enter__(self) -> Watch:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def session(self, done: int, total: int) -> None:
        """The main run has finished `done` sessions."""
        if self._moving:
            if done % EVERY == 0 or done == self._sessions:
                self._progress.update(self._simulate, completed=done)
            return
        tenth = done * TENTHS // self._sessions
        if tenth > self._tenth or done == 1:
            self._tenth = tenth
            elapsed_s = time.perf_counter() - self._started
            self._console.print(f"simulated {done:>7,} of {self._sessions:,} sessions, {elapsed_s:.1f} s")

    def other(self) -> None:
        """The helper has finished one of its runs."""
        self._progress.advance(self._others)
