"""SealedLink: what is altered, replayed, overtaken or of another link is dropped and counted; nodes agree over it."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastmas.links
from fastmas.errors import ConfigError
from fastmas.links import SealedLink

SECRET, A, B = bytes(range(32)), b"a" * 16, b"b" * 16


def ends(secret: bytes = SECRET, one: int = 1, two: int = 2) -> tuple[SealedLink, SealedLink]:
    return SealedLink(secret, one, two, A, B), SealedLink(secret, two, one, B, A)


def counters(link: SealedLink) -> tuple[int, int, int]:
    return link.opened, link.forged, link.replayed


@settings(max_examples=100, deadline=None, derandomize=True)
@given(messages=st.lists(st.binary(max_size=80), max_size=6), hostile=st.lists(st.binary(max_size=120), max_size=6))
def test_what_was_sealed_opens_and_nothing_else(messages: list[bytes], hostile: list[bytes]) -> None:
    one, two = ends()
    for data in hostile:
        assert two.open(data) is None
    assert [two.open(one.seal(message)) for message in messages] == messages
    assert [one.open(two.seal(message)) for message in messages] == messages
    assert counters(two) == (len(messages), len(hostile), 0)


def test_every_altered_byte_is_seen() -> None:
    one, two = ends()
    good = one.seal(b"precommit")
    for place in range(len(good)):
        assert two.open(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]) is None
        assert two.open(good[:place]) is None
    assert counters(two) == (0, 2 * len(good), 0)
    assert two.open(good) == b"precommit"


def test_a_replayed_or_overtaken_envelope_is_dropped() -> None:
    one, two = ends()
    first, second, third = (one.seal(b"%d" % k) for k in range(3))
    assert two.open(first) == b"0"
    assert two.open(third) == b"2"  # the second got lost, or is late
    assert [two.open(late) for late in (second, first, third)] == [None, None, None]
    assert counters(two) == (2, 0, 3)
    assert two.open(one.seal(b"next")) == b"next"


@pytest.mark.parametrize(
    "other",
    [
        SealedLink(bytes(32), 1, 2, A, B),  # another secret
        SealedLink(SECRET, 3, 2, A, B),  # another sender
        SealedLink(SECRET, 1, 3, A, B),  # to somebody else
        SealedLink(SECRET, 1, 2, b"c" * 16, B),  # an earlier connection: either end began anew
        SealedLink(SECRET, 1, 2, A, b"c" * 16),
        SealedLink(SECRET, 2, 1, B, A),  # its own words, sent back
    ],
)
def test_of_another_link_nothing_opens(other: SealedLink) -> None:
    _, two = ends()
    assert two.open(other.seal(b"vote")) is None
    assert counters(two) == (0, 1, 0)


def test_tags_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    import hmac

    asked = []
    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: asked.append((a, b)) or real(a, b))
    one, two = ends()
    assert two.open(one.seal(b"x")) == b"x" and len(asked) == 1


def test_nodes_agree_over_sealed_links_and_a_liar_relays_signed_votes_only() -> None:
    pytest.importorskip("cryptography")
    from bft_machines import Machines

    machines = Machines()
    links = {
        (me, peer): SealedLink(bytes(sorted((me, peer))) * 16, me, peer, bytes([me]) * 16, bytes([peer]) * 16)
        for me in machines.nodes
        for peer in machines.nodes
        if me != peer
    }

    def carry(origin: int, to: int, message: bytes) -> bytes | None:
        envelope = links[origin, to].seal(message)
        assert links[to, origin].open(envelope[:-1] + bytes([envelope[-1] ^ 1])) is None
        assert links[to, origin].open(envelope) == message
        return None if links[to, origin].open(envelope) is not None else message

    machines.change = carry
    machines.propose(1, b"one", 1)
    machines.pump()
    assert [machines.commands(n) for n in machines.nodes] == [[b"one"]] * 4
    assert all(link.opened == link.forged == link.replayed > 0 for link in links.values())


def test_wrong_use_says_what_is_wrong() -> None:
    with pytest.raises(ConfigError, match="a link's secret has at least 32 bytes, got 3; make one with"):
        SealedLink(b"abc", 1, 2, A, B)
    with pytest.raises(ConfigError, match="nonces have 16 bytes, got 16 and 1; make one with"):
        SealedLink(SECRET, 1, 2, A, b"b")
    with pytest.raises(ConfigError, match="the ends of a link differ in number and nonce; give each its own"):
        SealedLink(SECRET, 1, 2, A, A)
    with pytest.raises(ConfigError, match="a link's secret must be bytes, got str"):
        SealedLink("s" * 32, 1, 2, A, B)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"the ends of a link are numbers from 0 on, below 2\*\*64, got None"):
        SealedLink(SECRET, 1, None, A, B)  # type: ignore[arg-type]


def test_examples_run() -> None:
    assert doctest.testmod(fastmas.links).failed == 0
