"""Proving to somebody who has only the head that one record is in the file."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

from fastmas._core import audit as _core
from fastmas.audit.reader import RECORD_HEADER, AuditFile
from fastmas.audit.schema import canonical_json
from fastmas.audit.verification import digest_of
from fastmas.errors import AuditError

__all__ = ["InclusionProof", "check_inclusion", "inclusion_proof"]


@dataclass(frozen=True)
class InclusionProof:
    """One record, its Merkle path (RFC 9162) in its block, and the chain from that block to the head.

    Attributes
    ----------
    record
        The record's bytes as they stand in the file.
    leaf, count
        The record's place in its block, and the block's size.
    path
        Sibling digests from the leaf up.
    block
        The block's number.
    previous
        The head before it.
    later
        Size and root of each block after it.
    """

    record: bytes
    leaf: int
    count: int
    path: tuple[bytes, ...]
    block: int
    previous: bytes
    later: tuple[tuple[int, bytes], ...]

    def to_json(self) -> str:
        """Canonical JSON text, digests in hex."""
        return canonical_json(
            {
                "block": self.block,
                "count": self.count,
                "later": [[count, root.hex()] for count, root in self.later],
                "leaf": self.leaf,
                "path": [digest.hex() for digest in self.path],
                "previous": self.previous.hex(),
                "record": self.record.hex(),
            }
        )

    @staticmethod
    def from_json(text: str) -> InclusionProof:
        """Decode a proof from somebody else: a proof (which may still be wrong) or `AuditError`."""
        try:
            value: dict[str, Any] = json.loads(text)
            proof = InclusionProof(
                bytes.fromhex(value["record"]),
                value["leaf"],
                value["count"],
                tuple(bytes.fromhex(digest) for digest in value["path"]),
                value["block"],
                bytes.fromhex(value["previous"]),
                tuple((count, bytes.fromhex(root)) for count, root in value["later"]),
            )
        except (ValueError, TypeError, KeyError, RecursionError, AttributeError) as error:
            raise AuditError(f"this is no inclusion proof: {error!r:.200}") from error
        numbers = [proof.leaf, proof.count, proof.block, *(count for count, _ in proof.later)]
        digests = [proof.previous, *proof.path, *(root for _, root in proof.later)]
        if any(type(number) is not int or not 0 <= number < 1 << 32 for number in numbers):
            raise AuditError("this is no inclusion proof: its numbers are not numbers of records and blocks")
        if any(len(digest) != 32 for digest in digests):
            raise AuditError("this is no inclusion proof: a digest in it has not 32 bytes")
        return proof


def inclusion_proof(source: str | os.PathLike[str] | AuditFile, id: int) -> InclusionProof:
    """The proof that the message of that id is in the file; `AuditError` when its block is damaged or not sealed."""
    file = source if isinstance(source, AuditFile) else AuditFile(source)
    record = file.record(id)
    if record.block >= file.blocks:
        raise AuditError(f"record {record.sequence} is in no sealed block of {file.path}: there is no proof for it yet")
    footer = file.footers[record.block]
    first, count = int(footer["first_sequence"]), int(footer["count"])
    leaves = [_core.leaf_hash(other.raw) for other in file.records(first, first + count)]
    if _core.merkle_root(leaves) != footer["root"].tobytes():
        raise AuditError(f"block {record.block} of {file.path} was altered: its Merkle root is wrong")
    leaf = record.sequence - first
    later = tuple((int(row["count"]), row["root"].tobytes()) for row in file.footers[record.block + 1 :])
    path = tuple(_core.inclusion_path(leaves, leaf))
    return InclusionProof(record.raw, leaf, count, path, record.block, footer["previous"].tobytes(), later)


def check_inclusion(proof: InclusionProof, head: bytes | str) -> bool:
    """True when the proof leads from its record to the head; `AuditError` when it does not.

    Needs no file: give it the head that you trust.
    """
    if len(proof.record) < RECORD_HEADER.size:
        raise AuditError("the proof's record is shorter than a record can be")
    root = _core.root_from_path(_core.leaf_hash(proof.record), proof.leaf, proof.count, list(proof.path))
    if root is None:
        raise AuditError(f"the proof's path cannot be that of leaf {proof.leaf} of {proof.count}")
    current = _core.chain_head(proof.previous, proof.block, proof.count, root)
    for block, (count, later_root) in enumerate(proof.later, proof.block + 1):
        current = _core.chain_head(current, block, count, later_root)
    if current != digest_of(head):
        raise AuditError("the proof does not lead to this head: the record was altered, or it is another file's")
    return True
