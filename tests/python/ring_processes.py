"""What the tests of shared rings share: names that are gone afterwards, records that prove themselves, processes."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from fastmas.records import Record, i64, u64

PATIENCE_S = 60.0  # far more than anything here takes
SANITIZED = "libasan" in os.environ.get("LD_PRELOAD", "")  # .ci/run python-asan: a fork takes ten times as long
_numbers = itertools.count()


class Proof(Record):
    """Every field is a function of the sequence: a record that is torn, or of another place, shows."""

    sequence: i64
    mixed: u64
    again: i64
    inverse: u64

    @classmethod
    def of(cls, sequence: int) -> Proof:
        return cls(sequence, mixed(sequence), sequence, mixed(sequence) ^ (2**64 - 1))


def kill_rounds(usual: int) -> int:
    """How often a test kills a process: as usual, or as RING_KILL_ROUNDS says; a sanitizer finds the same in fewer."""
    return int(os.environ.get("RING_KILL_ROUNDS", usual // 5 if SANITIZED else usual))


def mixed(sequence: int) -> int:
    return ((sequence + 1) * 0x9E3779B97F4A7C15) & (2**64 - 1)


def proofs(first: int, count: int) -> np.ndarray[Any, Any]:
    rows = np.zeros(count, Proof.dtype)
    sequence = np.arange(first, first + count)
    rows["sequence"] = rows["again"] = sequence
    rows["mixed"] = (sequence.astype("u8") + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    rows["inverse"] = ~rows["mixed"]
    return rows


def new_name() -> str:
    return f"/test-{os.getpid()}-{next(_numbers)}"


def files_of(name: str) -> list[Path]:
    """What a ring of that name has left in shared memory."""
    return list(Path("/dev/shm").glob(f"*fastmas.{name[1:]}*"))


@contextmanager
def forked(body: Callable[[], None]) -> Iterator[int]:
    """A child that runs `body` and ends without a word, as one that is killed would; its number. Reaped at the end."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            body()
            status = 0
        finally:
            os._exit(status)
    try:
        yield pid
    finally:
        kill(pid)


def kill(pid: int) -> None:
    """SIGKILL, and reaped: after this its locks are gone."""
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


class Script:
    """A Python process of its own, spoken to by lines."""

    def __init__(self, text: str, *arguments: str) -> None:
        here = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            [sys.executable, "-c", text, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": here},
        )

    def __enter__(self) -> Script:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.process.kill()
        self.process.communicate()

    @property
    def pid(self) -> int:
        return self.process.pid

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def say(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> tuple[str, int]:
        """Waits for it: what it printed last, and its code."""
        rest, _ = self.process.communicate(timeout=PATIENCE_S)
        return rest, self.process.returncode
