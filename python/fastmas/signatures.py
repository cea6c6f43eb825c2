"""Ed25519 for BFT: signers, a verifier that checks each signature once and many in parallel, clients' commands.

A `BftNode` is given a signer and a verifier and knows nothing of keys. These need the `cryptography` package:
`pip install "fastmas[bft]"`.
"""

from __future__ import annotations

import hashlib
import os
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from fastmas.errors import ConfigError

if TYPE_CHECKING:
    from fastmas._core.consensus import BftCommand

Item = tuple[bytes, bytes, bytes]  # public key, statement, signature
Verify = Callable[[list[Item]], bool]

_COMMAND = struct.Struct("<8s32sQQQqq32s")
_NEVER = 2**63 - 1
_SIGNATURE_BYTES = 64
_MAX_KEYS = 4096
_WORTH_SHARING = 4  # signatures: handing some to a thread and getting the verdicts takes as long as checking one


def _ed25519() -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise ConfigError('Ed25519 needs the cryptography package; pip install "fastmas[bft]"') from error
    return ed25519


class Ed25519Signer:
    """A validator's or a client's secret key; needs the `cryptography` package (`pip install "fastmas[bft]"`).

    Parameters
    ----------
    secret : bytes
        32 bytes; whoever has them signs in this validator's name.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) != 32:
            raise ConfigError(f"an Ed25519 secret has 32 bytes, got {len(secret)}; make one with os.urandom(32)")
        self._key = _ed25519().Ed25519PrivateKey.from_private_bytes(secret)

    @property
    def public_key(self) -> bytes:
        """The 32 bytes that others check its signatures with."""
        key: bytes = self._key.public_key().public_bytes_raw()
        return key

    def sign(self, statement: bytes) -> bytes:
        """Return the signature, 64 bytes; the same for the same statement."""
        signature: bytes = self._key.sign(statement)
        return signature


class Ed25519Verifier:
    """Checks Ed25519 signatures: each once, many in parallel; needs the `cryptography` package.

    Calling it says whether all of [(public key, statement, signature)] are good, which is what a `BftNode` or a
    `CertifiedGate` is given. `check` says it of each. Both are pure functions of what they are given: which verdicts
    are remembered, and how many threads look, changes the time it takes and nothing else. May be called from several
    threads.

    Parameters
    ----------
    threads : int, optional
        How many signatures are looked at at once, the caller's thread included; the processors there are. The library
        releases the interpreter's lock meanwhile.
    cache_size : int, default 65_536
        How many verdicts are remembered, good and bad, the oldest forgotten first: 300 bytes each.

    Attributes
    ----------
    verified : int
        Signatures that were checked.
    remembered : int
        Verdicts that were known already.

    Examples
    --------
    >>> from fastmas.signatures import Ed25519Signer, Ed25519Verifier
    >>> signer = Ed25519Signer(bytes(range(32)))
    >>> good = (signer.public_key, b"buy", signer.sign(b"buy"))
    >>> verifier = Ed25519Verifier()
    >>> verifier.check([good, (signer.public_key, b"sell", good[2])])
    [True, False]
    >>> verifier([good]), verifier.verified, verifier.remembered
    (True, 2, 1)
    """

    def __init__(self, *, threads: int | None = None, cache_size: int = 65_536) -> None:
        if threads is not None and threads < 1:
            raise ConfigError(f"threads must be at least 1, got {threads}; leave it out for all processors")
        if cache_size < 1:
            raise ConfigError(f"cache_size must be at least 1, got {cache_size}; leave it out for the default")
        self._from_bytes = _ed25519().Ed25519PublicKey.from_public_bytes
        from cryptography.exceptions import InvalidSignature

        self._invalid = InvalidSignature
        self._threads = threads or os.cpu_count() or 1
        self._cache_size = cache_size
        self._verdicts: dict[Item, bool] = {}
        self._keys: dict[bytes, Any] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._pool_of = 0  # process
        self._lock = threading.Lock()
        self.verified = self.remembered = 0

    def __call__(self, items: list[Item]) -> bool:
        """Return whether all are good."""
        return all(self.check(items))

    def check(self, items: Sequence[Item]) -> list[bool]:
        """Return whether each is good, in their order."""
        with self._lock:
            known = [self._verdicts.get(item) for item in items]
            wanted = list(dict.fromkeys(item for item, verdict in zip(items, known, strict=True) if verdict is None))
            self.remembered += len(items) - len(wanted)
            self.verified += len(wanted)
        if not wanted:
            return [verdict is True for verdict in known]
        found = dict(zip(wanted, self._look_at(wanted), strict=True))
        with self._lock:
            self._verdicts.update(found)
            while len(self._verdicts) > self._cache_size:
                del self._verdicts[next(iter(self._verdicts))]
        return [found[item] if verdict is None else verdict for item, verdict in zip(items, known, strict=True)]

    def close(self) -> None:
        """End its threads; it goes on without them."""
        with self._lock:
            self._threads = 1
            pool, self._pool = self._pool, None
            is_ours = self._pool_of == os.getpid()
        if pool is not None and is_ours:
            pool.shutdown()

    def _look_at(self, items: list[Item]) -> list[bool]:
        # the first part is this thread's; all parts are put together in their order
        share, others = len(items), []
        if len(items) >= _WORTH_SHARING:
            with self._lock:  # close() comes before all of them or after
                share = -(-len(items) // self._threads)
                for first in range(share, len(items), share):
                    others.append(self._helpers().submit(self._look_at_each, items[first : first + share]))
        verdicts = self._look_at_each(items[:share])
        for other in others:
            verdicts += other.result()
        return verdicts

    def _helpers(self) -> ThreadPoolExecutor:
        # a forked process has the pool and none of its threads
        if self._pool is None or self._pool_of != os.getpid():
            self._pool, self._pool_of = ThreadPoolExecutor(self._threads - 1, "fastmas-verify"), os.getpid()
        return self._pool

    def _look_at_each(self, items: list[Item]) -> list[bool]:
        verdicts = []
        for key, statement, signature in items:
            try:
                self._public(key).verify(signature, statement)
            except (self._invalid, ValueError):
                verdicts.append(False)
            else:
                verdicts.append(True)
        return verdicts

    def _public(self, key: bytes) -> Any:
        known = self._keys.get(key)
        if known is None:
            known = self._from_bytes(key)
            if len(self._keys) < _MAX_KEYS:
                self._keys[key] = known
        return known


def verify_ed25519(items: list[Item]) -> bool:
    """Return whether all of [(public key, statement, signature)] are good; needs `cryptography`."""
    return Ed25519Verifier(threads=1)(items)


def checked_genesis(genesis: bytes) -> bytes:
    """Return the digest, or refuse what cannot be one."""
    if not isinstance(genesis, bytes) or len(genesis) != 32:
        raise ConfigError(f"a genesis digest is 32 bytes, got {genesis!r}; see genesis_digest")
    return genesis


def command_statement(
    genesis: bytes,
    body: bytes,
    *,
    now_ns: int,
    client: int,
    sequence: int,
    acknowledged: int = 0,
    expires_ns: int | None = None,
) -> bytes:
    """Return the 112 bytes that a client signs to ask for something.

    They bind the chain, the client's time and the whole session, the expiry included: with another expiry the same
    request could take effect a second time.
    """
    checked_genesis(genesis)
    expiry = _NEVER if expires_ns is None else expires_ns
    digest = hashlib.sha256(body).digest()
    return _COMMAND.pack(b"fmascmd1", genesis, client, sequence, acknowledged, expiry, now_ns, digest)


def sign_command(
    signer: Any,
    genesis: bytes,
    body: bytes,
    *,
    now_ns: int,
    client: int,
    sequence: int,
    acknowledged: int = 0,
    expires_ns: int | None = None,
) -> bytes:
    """Return a command that `SignedCommands` allows: the signature, then the body.

    `BftNode.propose` is given it with the very same numbers.
    """
    statement = command_statement(
        genesis,
        body,
        now_ns=now_ns,
        client=client,
        sequence=sequence,
        acknowledged=acknowledged,
        expires_ns=expires_ns,
    )
    signature: bytes = signer.sign(statement)
    return signature + body


class SignedCommands:
    """A rule for `BftNode`: commands are their client's own, by a signature over the command and the whole session.

    Changes of the validators are refused: where there are to be any, wrap it in a rule of your own.

    Parameters
    ----------
    genesis : bytes
        `genesis_digest` of the chain.
    clients : mapping of int to bytes
        The public key of each client; others are refused. The same on all nodes, for ever: a rule is a pure function.
    verify : callable
        As a `BftNode` is given it: `Ed25519Verifier`.
    """

    def __init__(self, genesis: bytes, clients: Mapping[int, bytes], verify: Verify) -> None:
        checked_genesis(genesis)
        for client, key in clients.items():
            if not isinstance(key, bytes) or len(key) != 32:
                raise ConfigError(f"a client's public key is 32 bytes, got {key!r} for client {client}; see public_key")
        self._genesis, self._clients, self._verify = genesis, dict(clients), verify

    def __call__(self, command: BftCommand) -> bool:
        """Return whether the command may stand in a block."""
        key = self._clients.get(command.client)
        if command.kind != "command" or key is None or len(command.command) < _SIGNATURE_BYTES:
            return False
        statement = command_statement(
            self._genesis,
            self.body(command.command),
            now_ns=command.time_ns,
            client=command.client,
            sequence=command.sequence,
            acknowledged=command.acknowledged,
            expires_ns=command.expires_ns,
        )
        return self._verify([(key, statement, command.command[:_SIGNATURE_BYTES])])

    @staticmethod
    def body(command: bytes) -> bytes:
        """Return a command without its signature."""
        return command[_SIGNATURE_BYTES:]
