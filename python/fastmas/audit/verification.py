"""Proving that an audit file is whole, or finding where it is not."""

from __future__ import annotations

import os
from dataclasses import dataclass

from fastmas._core import audit as _core
from fastmas.errors import ConfigError

__all__ = ["Verification", "digest_of", "verify"]


@dataclass(frozen=True)
class Verification:
    """What was proved of an audit file.

    Attributes
    ----------
    ok
        Everything: the file is closed, and nothing in it was altered.
    closed
        It has its trailer. Without it only the sealed blocks were verified.
    records, blocks
        How many were verified.
    head
        The hash over all of them.
    verified_bytes, file_bytes
        Less than the file when it is not closed.
    tail
        What ended a file without trailer.
    """

    ok: bool
    closed: bool
    records: int
    blocks: int
    head: bytes
    verified_bytes: int
    file_bytes: int
    tail: str = ""

    def __str__(self) -> str:
        proved = f"{self.records} records in {self.blocks} blocks, head {self.head.hex()}"
        if self.ok:
            return f"whole: {proved}"
        return (
            f"not closed: {self.tail}; verified up to its last sealed block: {proved}; "
            f"{self.file_bytes - self.verified_bytes} bytes after it are not covered"
        )


def digest_of(head: bytes | str) -> bytes:
    """A head from its 32 bytes or their hex text."""
    try:
        digest = bytes.fromhex(head) if isinstance(head, str) else bytes(head)
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"a head is 32 bytes or 64 hex digits, got {head!r:.80}; copy it as it was printed"
        ) from error
    if len(digest) != 32:
        raise ConfigError(f"a head is 32 bytes or 64 hex digits, got {head!r:.80}; copy it as it was printed")
    return digest


def verify(
    path: str | os.PathLike[str], head: bytes | str | None = None, *, allow_unclosed: bool = False
) -> Verification:
    """Check every byte of an audit file; raise `AuditError` at the first that is wrong, naming block and record.

    Flipped bytes, missing, added, repeated and re-ordered records and blocks, a cut or an appended end are found, also
    when checksums were made to fit. Who rewrites the whole file from some block on can make it agree with itself: only
    a head that was kept elsewhere finds that.

    Parameters
    ----------
    path
        The file.
    head
        The head that it must have.
    allow_unclosed
        Accept a file whose writer did not finish: it is verified up to its last sealed block, and `ok` is False.
    """
    known = None if head is None else digest_of(head)
    walk = _core.walk(os.fspath(path), head=known, allow_unclosed=allow_unclosed)
    verified = walk.file_bytes if walk.closed else walk.sealed_bytes
    return Verification(
        walk.closed, walk.closed, walk.records, walk.blocks, walk.head, verified, walk.file_bytes, walk.tail
    )
