"""Sealed links: what comes over one was sent by its other end, unchanged, once and in order.

An outer envelope between two parties that share a secret, HMAC-SHA256: for the links between nodes and for client
sessions. It proves nothing to anybody else, so what nodes say in it stays signed: a vote is passed on to others, an
envelope is not.
"""

from __future__ import annotations

import hmac
import struct

from fastmas.errors import ConfigError

_SEQUENCE = struct.Struct("<Q")
_ENDS = struct.Struct("<QQ")
_TAG_BYTES = 32
_LEAST = _SEQUENCE.size + _TAG_BYTES


class SealedLink:
    """One end of a link; the other has the same secret, and the same numbers and nonces the other way round.

    An envelope is 40 bytes longer than what is in it: its number and a tag over both. Envelopes may get lost; one that
    comes again, or after a later one, is dropped. Both ends draw a nonce for each connection and tell it before all
    else, openly: keys are derived from both, one for each direction, so that nothing of another connection, of before a
    restart, or sent back to who sent it, opens. Sans-IO, not thread-safe.

    Parameters
    ----------
    secret : bytes
        At least 32 bytes, of this pair alone.
    me, peer : int
        Who the two ends are: numbers of nodes, or of clients.
    my_nonce, peer_nonce : bytes
        16 bytes each, never used before: `os.urandom(16)`.

    Attributes
    ----------
    opened : int
        Envelopes that were good.
    forged : int
        Dropped: altered, cut short, of another link or connection.
    replayed : int
        Dropped: good, but come before, or overtaken by a later one.

    Examples
    --------
    >>> from fastmas.links import SealedLink
    >>> one = SealedLink(bytes(32), 1, 2, b"a" * 16, b"b" * 16)  # a secret that nobody knows, nonces that nobody used
    >>> two = SealedLink(bytes(32), 2, 1, b"b" * 16, b"a" * 16)
    >>> envelope = one.seal(b"vote")
    >>> two.open(envelope), two.open(envelope), two.open(b"hello")
    (b'vote', None, None)
    >>> two.opened, two.replayed, two.forged
    (1, 1, 1)
    """

    def __init__(self, secret: bytes, me: int, peer: int, my_nonce: bytes, peer_nonce: bytes) -> None:
        for name, value in (("secret", secret), ("my_nonce", my_nonce), ("peer_nonce", peer_nonce)):
            if not isinstance(value, bytes):
                raise ConfigError(f"a link's {name} must be bytes, got {type(value).__name__}; see os.urandom")
        if len(secret) < 32:
            raise ConfigError(f"a link's secret has at least 32 bytes, got {len(secret)}; make one with os.urandom(32)")
        if len(my_nonce) != 16 or len(peer_nonce) != 16:
            raise ConfigError(
                f"nonces have 16 bytes, got {len(my_nonce)} and {len(peer_nonce)}; make one with os.urandom(16)"
            )
        for end in (me, peer):
            if not isinstance(end, int) or not 0 <= end < 1 << 64:
                raise ConfigError(f"the ends of a link are numbers from 0 on, below 2**64, got {end!r}")
        if my_nonce == peer_nonce or me == peer:
            raise ConfigError("the ends of a link differ in number and nonce; give each its own")
        self._out = self._key(secret, me, peer, my_nonce, peer_nonce)
        self._in = self._key(secret, peer, me, peer_nonce, my_nonce)
        self._sent = self._seen = 0
        self.opened = self.forged = self.replayed = 0

    @staticmethod
    def _key(secret: bytes, origin: int, to: int, origin_nonce: bytes, to_nonce: bytes) -> bytes:
        return hmac.digest(secret, b"fastmas/link/1" + _ENDS.pack(origin, to) + origin_nonce + to_nonce, "sha256")

    def seal(self, message: bytes) -> bytes:
        """Return the envelope to send; each has the next number."""
        self._sent += 1
        body = _SEQUENCE.pack(self._sent) + message
        return body + hmac.digest(self._out, body, "sha256")

    def open(self, envelope: bytes) -> bytes | None:
        """Return what is in it, or None for one that is dropped and counted; hostile bytes never raise."""
        body, tag = envelope[:-_TAG_BYTES], envelope[-_TAG_BYTES:]
        # the tag first, in constant time: a number by itself says nothing
        if len(envelope) < _LEAST or not hmac.compare_digest(hmac.digest(self._in, body, "sha256"), tag):
            self.forged += 1
            return None
        (sequence,) = _SEQUENCE.unpack_from(body)
        if sequence <= self._seen:
            self.replayed += 1
            return None
        self._seen = sequence
        self.opened += 1
        return body[_SEQUENCE.size :]
