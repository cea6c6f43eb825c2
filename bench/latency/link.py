"""What a contender offers the two processes that measure it."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MESSAGE_BYTES = 64
PERIOD = 4093  # messages that differ; a prime, so that no batch or capacity hides a loss of as many
CAPACITY = 8192  # of each direction, where a contender can be told: nobody has to drop in a burst
BURST = 4096  # messages of a stream between two acknowledgements


@dataclass(frozen=True)
class Place:
    """Where a contender may put things: a folder for files, and a token no other contender has."""

    folder: Path
    token: str

    def path(self, name: str) -> str:
        return str(self.folder / f"{self.token}-{name}")


@dataclass
class Link:
    """One side's end of both directions.

    `send` and `recv` wait by themselves; with `polls`, `send` gives something false when there is no room and `recv`
    None when there is nothing, and the loops of the worker repeat them: calling a Python function of the contender's
    just to loop would be charged to it. What `recv` gives equals what the other side sent.
    """

    send: Callable[[Any], Any]
    recv: Callable[[], Any]
    make: Callable[[int], Any]
    polls: bool = False
    send_all: Callable[[int, int], Any] | None = None  # rows first..last of `rows()`, waiting
    recv_some: Callable[[], memoryview] | None = None  # their bytes, at least one row, waiting
    ask: Callable[[int], Any] | None = None  # a floor that has its own way: nanoseconds of each of n round trips
    answer: Callable[[int], None] | None = None
    close: Callable[[], None] = lambda: None
    keeps: Any = None  # what must live as long
    messages: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.messages = [self.make(number) for number in range(PERIOD)]


@dataclass(frozen=True)
class Contender:
    """`shared` runs in the parent and gives what both sides are handed; `open` runs in each: side 0 asks, 1 answers."""

    name: str
    waits: str  # "spin" or "block"
    open: Callable[[Any, int], Link]
    shared: Callable[[Place], Any] = lambda place: place
    rival: bool = True
    floor: bool = False
    needs: str = ""  # a module that may not be installed
    install: str = ""  # what pip calls it
    cleanup: Callable[[Any], None] = lambda shared: None


def plain_message(number: int) -> bytes:
    """64 bytes, all of them functions of the number, none of them zero at the end: some contenders trim those."""
    return struct.pack("<8q", *(number * factor + 1 for factor in range(1, 9)))[:63] + b"."


def plain_rows(count: int) -> bytes:
    return b"".join(itertools.islice(itertools.cycle([plain_message(number) for number in range(PERIOD)]), count))
