"""The smallest state machine whose answers tell of its history."""

from __future__ import annotations

from fastmas.consensus import Entry


class Count:
    """Answers a request with how many have taken effect; the same one twice with the same number."""

    def __init__(self) -> None:
        self.count = 0

    def apply(self, entry: Entry) -> bytes:
        self.count += 1
        return b"%d" % self.count

    def query(self, request: bytes) -> bytes:
        return b"%d" % self.count

    def snapshot(self) -> bytes:
        return b"%d" % self.count

    def restore(self, data: bytes) -> None:
        self.count = int(data)
