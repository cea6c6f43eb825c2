"""Reading and writing the replicated state's bytes: little-endian, canonical, every read bounds-checked.

A command or snapshot may come from anywhere. Whatever is wrong with it is a `ConfigError` that says where; nothing
is read past the end, and nothing is left over.
"""

from __future__ import annotations

import struct
from typing import Any

from fastmas.errors import ConfigError

__all__ = ["Reader", "Writer"]


class Writer:
    """Appends fields to a growing buffer."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def pack(self, layout: str, *values: Any) -> None:
        self._parts.append(struct.pack("<" + layout, *values))

    def raw(self, data: bytes) -> None:
        self._parts.append(data)

    def sized(self, data: bytes) -> None:
        """Bytes with their length before them."""
        self._parts.append(struct.pack("<I", len(data)))
        self._parts.append(data)

    def text(self, text: str) -> None:
        self.sized(text.encode("utf-8"))

    def bytes(self) -> bytes:
        return b"".join(self._parts)


class Reader:
    """Takes fields off the front of a buffer."""

    __slots__ = ("_at", "_data", "_what")

    def __init__(self, data: bytes, what: str) -> None:
        if not isinstance(data, bytes):
            raise ConfigError(f"a {what} is bytes, got {type(data).__name__}")
        self._data = data
        self._at = 0
        self._what = what

    def unpack(self, layout: str) -> tuple[Any, ...]:
        layout = "<" + layout
        self._need(struct.calcsize(layout))
        values = struct.unpack_from(layout, self._data, self._at)
        self._at += struct.calcsize(layout)
        return values

    def raw(self, size: int) -> bytes:
        self._need(size)
        self._at += size
        return self._data[self._at - size : self._at]

    def count(self, each: int) -> int:
        """A number of items of at least `each` bytes: checked against what is left, before anything is made of it."""
        (count,) = self.unpack("I")
        if count * each > self.left:
            raise ConfigError(
                f"this {self._what} announces {count} items of {each} bytes and has {self.left} left: cut or damaged"
            )
        return int(count)

    def sized(self) -> bytes:
        return self.raw(self.count(1))

    def text(self) -> str:
        data = self.sized()
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ConfigError(f"this {self._what} holds text that is not UTF-8: {data[:20]!r}") from error

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def end(self) -> None:
        if self.left:
            raise ConfigError(f"this {self._what} has {self.left} bytes after its end: damaged, or of another version")

    def _need(self, size: int) -> None:
        if size > self.left:
            raise ConfigError(
                f"this {self._what} ends at byte {len(self._data)}, byte {self._at + size} is needed: cut or damaged"
            )
