"""Two processes for one contender, each on its core, started afresh and told what to do over pipes."""

from __future__ import annotations

import importlib.util
import multiprocessing
import multiprocessing.connection
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from .link import Contender, Place
from .worker import serve

ANSWER_S = 60.0  # no task takes a tenth of that, so a pair that takes longer hangs


class Failed(Exception):
    """The contender cannot be measured; the text says why."""


def why_missing(contender: Contender) -> str:
    """Why it cannot be tried at all; empty when it can."""
    if not contender.needs or importlib.util.find_spec(contender.needs.partition(".")[0]) is not None:
        return ""
    return f"not installed: pip install {contender.install}"


def siblings(cpu: int) -> set[int]:
    """The processors that share a core with this one."""
    path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    try:
        parts = [part.partition("-") for part in path.read_text().strip().split(",")]
        return {n for first, dash, last in parts for n in range(int(first), int(last if dash else first) + 1)}
    except (OSError, ValueError):
        return {cpu}


def two_cores() -> list[int] | None:
    """Two processors of different cores if there are any, else two; None where processes cannot be pinned."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        return [usable[0], usable[0]]
    first = usable[0]
    other = next((cpu for cpu in usable[1:] if cpu not in siblings(first)), usable[1])
    return [first, other]


class Pair:
    def __init__(self, contender: Contender, place: Place, cpus: list[int] | None) -> None:
        self.contender = contender
        context = multiprocessing.get_context("spawn")
        self.processes: list[Any] = []
        self.pipes: list[Any] = []
        self.batches = False
        self.calm = True  # in the last task: neither process was preempted
        try:
            self.shared = contender.shared(place)
        except Exception as error:
            raise Failed(f"{type(error).__name__}: {error}") from error
        for side in (0, 1):
            ours, theirs = context.Pipe()
            arguments = (theirs, contender.open, self.shared, side, cpus[side] if cpus else None)
            process = context.Process(target=serve, args=arguments, daemon=True)
            process.start()
            theirs.close()
            self.processes.append(process)
            self.pipes.append(ours)

    def _answer(self, side: int) -> Any:
        try:
            if not self.pipes[side].poll(ANSWER_S):
                raise Failed(f"no answer within {ANSWER_S:g} s")
            done, value = self.pipes[side].recv()
        except (EOFError, OSError):
            self.processes[side].join(1)
            raise Failed(f"its process ended with status {self.processes[side].exitcode}") from None
        if not done:
            raise Failed(value)
        found, calm = value
        self.calm = self.calm and calm
        return found

    def _tell(self, side: int, task: Any) -> None:
        try:
            self.pipes[side].send(task)
        except OSError:
            raise Failed(f"its process ended with status {self.processes[side].exitcode}") from None

    def open(self) -> None:
        """Side 0 creates, then side 1 attaches."""
        for side in (0, 1):
            self._tell(side, "open")
            self.batches = self._answer(side)

    def start(self, name: str, side: int, *arguments: Any) -> None:
        self._tell(side, (name, *arguments))

    def run(self, name: str, *arguments: Any) -> tuple[Any, Any]:
        """Both sides do their part of a task; what each found. The other one's trouble is told if there is any."""
        self.calm = True
        for side in (1, 0):
            self._tell(side, (name, *arguments))
        # A side that fails leaves the other one waiting for a message that never comes: hear the failure first.
        first = self._first_ready()
        results = {first: self._answer(first)}
        results[1 - first] = self._answer(1 - first)
        return results[0], results[1]

    def _first_ready(self) -> int:
        ready = multiprocessing.connection.wait(self.pipes, ANSWER_S)
        return self.pipes.index(ready[0]) if ready else 0

    def answer(self, side: int) -> Any:
        return self._answer(side)

    def close(self) -> None:
        """End both, by force if they hang in a contender's call, and remove what they left."""
        for side in (0, 1):
            with suppress(OSError):
                self.pipes[side].send(None)
        for process in self.processes:
            process.join(2)
            if process.is_alive():
                process.kill()
                process.join()
        with suppress(Exception):  # it may never have been made
            self.contender.cleanup(self.shared)
