"""A replica's state machine with a short memory of what it applied, so that the gateway can audit exactly that."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

__all__ = ["Applied", "JournaledState"]

KEEP = 256


@dataclass(frozen=True, slots=True)
class Applied:
    """One applied command, and the state's head after it; a rejected one left the head as it was."""

    index: int
    time_ns: int
    command: bytes
    head: bytes


class JournaledState:
    """Forwards to a `TradingState`; remembers the last applied commands (not those a snapshot brought)."""

    __slots__ = ("journal", "state")

    def __init__(self, state: Any) -> None:
        self.state = state
        self.journal: deque[Applied] = deque(maxlen=KEEP)

    def apply(self, entry: Any) -> bytes:
        try:
            reply: bytes = self.state.apply(entry)
        finally:
            self.journal.append(Applied(entry.index, entry.time_ns, entry.command, self.state.head))
        return reply

    def snapshot(self) -> bytes:
        return bytes(self.state.snapshot())

    def restore(self, data: bytes) -> None:
        self.journal.clear()
        self.state.restore(data)

    def digest(self) -> bytes:
        return bytes(self.state.digest())
