"""Whatever bytes come in, a message or a ConfigError comes out; and every message survives the round trip."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from fastmas._core.kernel import Committed, Intent, Observation
from fastmas.errors import ConfigError

i64 = st.integers(-(2**63), 2**63 - 1)
u32 = st.integers(0, 2**32 - 1)
arrays = st.one_of(npst.arrays(np.float64, st.integers(0, 5)), npst.arrays(np.int64, st.integers(0, 5)))
names = st.text(min_size=1, max_size=20).filter(lambda name: name.isprintable() and "\ud800" not in name)
observations = st.builds(Observation, u32, i64, st.dictionaries(names, st.one_of(st.floats(), arrays), max_size=5))
intents = st.builds(Intent, i64, st.dictionaries(u32, i64, max_size=6), i64)
committeds = st.builds(Committed, st.integers(1, 2**64 - 1), i64, intents)
TYPES = (Observation, Intent, Committed)


@settings(deadline=None)
@given(st.one_of(observations, intents, committeds))
def test_round_trip(message: Observation | Intent | Committed) -> None:
    data = message.to_bytes()
    again = type(message).from_bytes(data)
    assert again == message and again.to_bytes() == data and hash(again) == hash(message)


def reference_bytes(intent: Intent) -> bytes:
    out = struct.pack("<qqI", intent.ts_ns, intent.valid_until_ns, len(intent.targets))
    return out + b"".join(struct.pack("<Iq", i, lots) for i, lots in sorted(intent.targets.items()))


@given(intents)
def test_an_intent_encodes_as_a_dumb_implementation_does(intent: Intent) -> None:
    assert intent.to_bytes() == reference_bytes(intent)


def decode_or_refuse(type_: type, data: bytes) -> None:
    try:
        message = type_.from_bytes(data)  # type: ignore[attr-defined]
    except ConfigError as error:
        assert str(error).startswith("not the bytes of a")
    else:
        assert message.to_bytes() == data, "two encodings of one message"


@settings(deadline=None)
@given(st.sampled_from(TYPES), st.binary(max_size=80))
def test_random_bytes(type_: type, data: bytes) -> None:
    decode_or_refuse(type_, data)


@settings(deadline=None, max_examples=200)
@given(st.one_of(observations, intents, committeds), st.randoms(use_true_random=False))
def test_mutated_bytes(message: Observation | Intent | Committed, rng: random.Random) -> None:
    data = bytearray(message.to_bytes())
    for _ in range(rng.randint(1, 3)):
        kind = rng.randrange(4)
        if kind == 0:
            data[rng.randrange(len(data))] = rng.randrange(256)
        elif kind == 1:
            del data[rng.randrange(len(data)) :]
            data += b"\0" * (not data)
        elif kind == 2:
            data += rng.randbytes(rng.randint(1, 9))
        else:
            at = rng.randrange(len(data))
            data[at : at + 4] = struct.pack("<I", rng.choice([0, 1, 2**16, 2**31, 2**32 - 1]))
    for type_ in TYPES:
        decode_or_refuse(type_, bytes(data))


@pytest.mark.parametrize("type_", TYPES)
def test_every_truncation_is_refused(type_: type) -> None:
    intent = Intent(1, {2: 3, 4: 5}, 6)
    whole = {
        Observation: Observation(1, 2, {"a": 1.0, "b": np.arange(3)}),
        Intent: intent,
        Committed: Committed(1, 2, intent),
    }
    data = whole[type_].to_bytes()
    for length in range(len(data)):
        with pytest.raises(ConfigError, match="they end too early"):
            type_.from_bytes(data[:length])  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="there are bytes left over"):
        type_.from_bytes(data + b"\0")  # type: ignore[attr-defined]


def header(count: int) -> bytes:
    return struct.pack("<IIq", 1, count, 2)


def value(name: bytes, kind: int, count: int, data: bytes) -> bytes:
    return struct.pack("<HHI", len(name), kind, count) + name + data


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (
            header(2) + value(b"b", 0, 1, b"\0" * 8) + value(b"a", 0, 1, b"\0" * 8),
            "names must have 1 to 255 bytes and ascend",
        ),
        (header(2) + 2 * value(b"a", 0, 1, b"\0" * 8), "names must have 1 to 255 bytes and ascend"),
        (header(1) + value(b"", 0, 1, b"\0" * 8), "names must have 1 to 255 bytes and ascend"),
        (header(1) + value(b"a" * 256, 0, 1, b"\0" * 8), "names must have 1 to 255 bytes and ascend"),
        (header(1) + value(b"a", 3, 1, b"\0" * 8), "unknown kind of value"),
        (header(1) + value(b"a", 0, 2, b"\0" * 16), "unknown kind of value"),
        (header(1) + value(b"\xff", 0, 1, b"\0" * 8), "a name is not UTF-8"),
        (header(1) + value(b"\xed\xa0\x80", 0, 1, b"\0" * 8), "a name is not UTF-8"),
        (header(2**32 - 1), "they end too early"),
        (header(1) + struct.pack("<HHI", 1, 1, 2**32 - 1) + b"a", "they end too early"),
    ],
)
def test_an_observation_has_one_encoding(data: bytes, text: str) -> None:
    with pytest.raises(ConfigError, match=f"not the bytes of an Observation: {text}"):
        Observation.from_bytes(data)


def test_an_intent_has_one_encoding() -> None:
    for pair in [(3, 3), (4, 3)]:
        data = struct.pack("<qqI", 0, 0, 2) + b"".join(struct.pack("<Iq", i, 1) for i in pair)
        with pytest.raises(ConfigError, match="not the bytes of an Intent: instruments must ascend"):
            Intent.from_bytes(data)
    with pytest.raises(ConfigError, match="not the bytes of a Committed: its index counts from 1"):
        Committed.from_bytes(struct.pack("<QqqqI", 0, 0, 0, 0, 0))
    with pytest.raises(ConfigError, match="not the bytes of an Intent: they end too early"):
        Intent.from_bytes(struct.pack("<qqI", 0, 0, 2**32 - 1))


def test_from_bytes_takes_buffers_only() -> None:
    data = Intent(1, {2: 3}).to_bytes()
    assert Intent.from_bytes(memoryview(data)) == Intent.from_bytes(bytearray(data))
    with pytest.raises(TypeError, match="bytes-like object is required"):
        Intent.from_bytes("text")  # type: ignore[arg-type]
