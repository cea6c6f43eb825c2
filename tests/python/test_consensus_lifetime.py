"""What holds a node or a cluster and is held by it is collected; what is given in a wrong form is refused."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from fastmas.certificate import CertifiedGate, CommittedRead, Validator, genesis_digest
from fastmas.consensus import BftNode, Cluster
from fastmas.errors import ConfigError
from fastmas.links import SealedLink
from fastmas.signatures import SignedCommands, sign_command

KEY = bytes(range(32))


class Replica:
    """As one is written: its node calls its own methods."""

    public_key: Any = KEY

    def __init__(self, **use: Any) -> None:
        wanted = {name: self if name == "signer" else getattr(self, name) for name in use}
        self.node = BftNode(1, [(1, 1, KEY)], **{"verify": lambda items: True, **wanted})

    def rule(self, command: object) -> bool:
        return True

    def verify(self, items: object) -> bool:
        return True

    def sign(self, statement: bytes) -> bytes:
        return bytes(64)


class Desk:
    """A cluster whose machines know whose they are."""

    def __init__(self) -> None:
        self.cluster = Cluster(self.machine, nodes=3)
        self.cluster.propose(b"x")

    def machine(self) -> Any:
        desk = self

        class Machine:
            def __init__(self) -> None:
                self.desk = desk

            def apply(self, entry: object) -> bytes:
                return b""

        return Machine()


@pytest.mark.parametrize(
    "make",
    [lambda: Replica(rule=1), lambda: Replica(verify=1), lambda: Replica(signer=1), Desk],
    ids=["rule", "verify", "signer", "machines"],
)
def test_a_cycle_through_it_is_collected(make: Any) -> None:
    held = make()
    seen = weakref.ref(held)
    gc.collect()
    assert seen() is held  # and works on
    del held
    gc.collect()
    assert seen() is None


@pytest.mark.parametrize("key", [None, "x" * 32, bytearray(32), KEY[1:]])
def test_a_signers_key_in_a_wrong_form(key: Any) -> None:
    class Other(Replica):
        public_key = key

    with pytest.raises(ConfigError, match=r"public.key"):
        Other(signer=1)


@pytest.mark.parametrize("genesis", [b"x", "x" * 32, b""])
def test_a_genesis_in_a_wrong_form(genesis: Any) -> None:
    validators = [Validator(1, 1, KEY)]
    for make in (CertifiedGate, CommittedRead):
        with pytest.raises(ConfigError, match="genesis"):
            make(genesis, validators)
    if isinstance(genesis, bytes):
        with pytest.raises(ConfigError, match="genesis"):
            sign_command(None, genesis, b"buy", now_ns=0, client=1, sequence=1)


@pytest.mark.parametrize("key", [b"short", "x" * 32, KEY.hex()])
def test_a_clients_key_in_a_wrong_form(key: Any) -> None:
    """It would be taken for a key under which nobody signs."""
    with pytest.raises(ConfigError, match="client 7"):
        SignedCommands(genesis_digest("exchange", [Validator(1, 1, KEY)]), {7: key}, lambda items: True)


@pytest.mark.parametrize("end", [-1, 1 << 64])
def test_a_links_end_in_a_wrong_form(end: int) -> None:
    with pytest.raises(ConfigError, match="ends of a link"):
        SealedLink(bytes(32), end, 2, b"a" * 16, b"b" * 16)
