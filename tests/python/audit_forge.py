"""The audit format once more, in plain Python from docs/audit-format.md: a second opinion, and a forger's tool."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field

RECORD = struct.Struct("<IIQQqIII")
FOOTER = struct.Struct("<4sIQQQI32s32s32s")
TRAILER = struct.Struct("<4sIQQQ32s")


def _after_eight_bits(crc: int) -> int:
    for _ in range(8):
        crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc


_TABLE = [_after_eight_bits(byte) for byte in range(256)]


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def sealed(data: bytes) -> bytes:
    """With the checksum of all but itself put at bytes 4 to 8."""
    return data[:4] + struct.pack("<I", crc32c(data[:4] + data[8:])) + data[8:]


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def merkle_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 9162 §2.1.1, word for word."""
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0])
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\1" + merkle_root(leaves[:split]) + merkle_root(leaves[split:]))


def header_bytes(json: bytes) -> bytes:
    data = b"FMAUDIT1" + struct.pack("<II", 1, len(json)) + json
    return data + struct.pack("<I", crc32c(data))


def record_bytes(
    sequence: int,
    payload: bytes,
    id: int = 0,
    ts_ns: int = 0,
    type: int = 6,
    count: int = 1,
    causes: tuple[int, ...] = (),
) -> bytes:
    length = RECORD.size + 8 * len(causes) + len(payload)
    head = RECORD.pack(length, 0, sequence, id, ts_ns, type, count, len(causes))
    return sealed(head + struct.pack(f"<{len(causes)}Q", *causes) + payload)


def renumbered(record: bytes, sequence: int) -> bytes:
    return sealed(record[:8] + struct.pack("<Q", sequence) + record[16:])


def with_payload_byte_flipped(record: bytes) -> bytes:
    return sealed(record[:-1] + bytes([record[-1] ^ 1]))


@dataclass
class Block:
    records: list[bytes]
    footer: bytes = b""

    def copy(self) -> Block:
        return Block(list(self.records), self.footer)


@dataclass
class Forgery:
    """A file taken apart; `compose` puts the parts back as they are, `rebuilt_from` makes them fit again."""

    header: bytes
    blocks: list[Block] = field(default_factory=list)
    trailer: bytes = b""

    @staticmethod
    def of(data: bytes) -> Forgery:
        end = 20 + int.from_bytes(data[12:16], "little")
        forgery = Forgery(data[:end])
        block = Block([])
        while end < len(data):
            tag = data[end : end + 4]
            if tag == b"FMEN":
                forgery.trailer = data[end : end + TRAILER.size]
                assert end + TRAILER.size == len(data)
                break
            if tag == b"FMBK":
                block.footer = data[end : end + FOOTER.size]
                forgery.blocks.append(block)
                block = Block([])
                end += FOOTER.size
            else:
                length = int.from_bytes(tag, "little")
                block.records.append(data[end : end + length])
                end += length
        return forgery

    def compose(self) -> bytes:
        return self.header + b"".join(b"".join(b.records) + b.footer for b in self.blocks) + self.trailer

    def sequences(self, block: int) -> range:
        first = sum(len(b.records) for b in self.blocks[:block])
        return range(first, first + len(self.blocks[block].records))

    def rebuild(
        self, first: int = 0, last: int | None = None, *, renumber: bool = True, trailer: bool = True
    ) -> Forgery:
        """Recompute what follows from the records for the blocks `first` to `last`, and the trailer."""
        stop = len(self.blocks) if last is None else last + 1
        head = sha256(self.header) if first == 0 else FOOTER.unpack(self.blocks[first - 1].footer)[-1]
        for number in range(first, stop):
            block, sequences = self.blocks[number], self.sequences(number)
            if renumber:
                block.records = [renumbered(r, s) for r, s in zip(block.records, sequences, strict=True)]
            root = merkle_root(block.records)
            count = len(block.records)
            previous, head = head, sha256(head + struct.pack("<QI", number, count) + root)
            size = sum(map(len, block.records))
            block.footer = sealed(FOOTER.pack(b"FMBK", 0, number, sequences.start, size, count, previous, root, head))
        if trailer:
            size = len(self.compose()) - len(self.trailer) + TRAILER.size
            records = sum(len(b.records) for b in self.blocks)
            self.trailer = sealed(TRAILER.pack(b"FMEN", 0, len(self.blocks), records, size, head))
        return self

    @property
    def head(self) -> bytes:
        return FOOTER.unpack(self.blocks[-1].footer)[-1] if self.blocks else sha256(self.header)
