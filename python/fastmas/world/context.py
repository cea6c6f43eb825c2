"""What an agent above the consensus line can see of its world."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.random import PCG64, Generator  # here: numpy loads it lazily, in a place where an interrupt is lost
from numpy.typing import NDArray

from fastmas._core import kernel

__all__ = ["AgentContext", "Books", "stream"]


class Books(Protocol):
    """The committed state, read-only, as one live replica holds it."""

    @property
    def cash(self) -> int: ...
    @property
    def equity(self) -> int: ...
    def position(self, instrument: int, /) -> int: ...
    def holding(self, instrument: int, /) -> int: ...


class Committed(Protocol):
    """Where the contexts read; the gateway moves it on at every commit."""

    books: Books
    parameters: Mapping[str, NDArray[np.float64]]


def stream(seed: int, name: str) -> Generator:
    """Random stream of one agent: a function of the world's seed and the agent's name only."""
    digest = hashlib.sha256(f"fastmas rng {seed} {name}".encode()).digest()
    return Generator(PCG64(int.from_bytes(digest[:16], "little")))


class AgentContext(kernel.Context):
    """Implements `fastmas.agent.Context`; the kernel sets `now_ns` before each call."""

    __slots__ = ("_committed", "_rng")
    _committed: Committed
    _rng: Generator

    def __init__(self, committed: Committed, rng: Generator) -> None:
        super().__init__()
        object.__setattr__(self, "_committed", committed)
        object.__setattr__(self, "_rng", rng)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a context is frozen: {name} cannot be set; an agent keeps its state on itself")

    @property
    def rng(self) -> Generator:
        return self._rng

    @property
    def parameters(self) -> Mapping[str, NDArray[np.float64]]:
        return self._committed.parameters

    @property
    def cash(self) -> int:
        return self._committed.books.cash

    @property
    def equity(self) -> int:
        return self._committed.books.equity

    def position(self, instrument: int) -> int:
        return self._committed.books.position(instrument)

    def holding(self, instrument: int) -> int:
        return self._committed.books.holding(instrument)
