"""Whoever changes a ring wakes who sleeps for that: every verb of every ring, by the header's words and not by time."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ring_processes import files_of, new_name

from fastmas.errors import DeadlineError
from fastmas.records import Record, i64
from fastmas.ring import BroadcastRing, ByteRing, MpmcRing, MpscRing, SpscRing

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/maps")

READABLE, WRITABLE = 3328, 3456  # WakePoint readable, writable of RegionHeader (region.hpp): flag, epoch


@pytest.fixture
def name() -> Iterator[str]:
    name = new_name()
    yield name
    gc.collect()
    assert files_of(name) == []


def wake_point(name: str, offset: int) -> tuple[int, int]:
    """Whether somebody said that it sleeps there, and how often somebody was woken. Read where this process has the
    ring: who opens a ring's file beside it gives all of its locks back."""
    (path,) = files_of(name)
    file = path.stat()
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, _, begin, device, inode, *_ = line.split()
        major, minor = (int(number, 16) for number in device.split(":"))
        if (int(inode), os.makedev(major, minor), int(begin, 16)) == (file.st_ino, file.st_dev, 0):
            words = ctypes.string_at(int(addresses.partition("-")[0], 16) + offset, 8)
            return int.from_bytes(words[:4], sys.byteorder), int.from_bytes(words[4:], sys.byteorder)
    raise AssertionError(f"{path} is not mapped")


def claim(ring: SpscRing) -> None:
    with ring.claim(1) as view:
        view[:] = 1


def peek(ring: SpscRing) -> None:
    with ring.peek(1):
        pass


def fill(ring: Any) -> None:
    try:
        while True:
            (ring.publish if isinstance(ring, BroadcastRing) else ring.push)(some(ring), 0)
    except DeadlineError:
        pass


class One(Record):
    """Of a ring made for a class its own instances take the shortest way in and out."""

    number: i64


def some(ring: Any) -> Any:
    if isinstance(ring, ByteRing):
        return b"12345678"
    return np.int64(1) if ring.record_type is None else One(1)


def make(kind: Any, of: Any, name: str) -> tuple[Any, Any]:
    if kind is ByteRing:
        return ByteRing.create(name, 64, wait="block"), ByteRing.attach(name, wait="block")
    out = kind.create(name, of, 4, wait="block")
    return out, out.subscribe("reader") if kind is BroadcastRing else kind.attach(name, wait="block")


Verb = Callable[[Any], Any]
PUSHES: dict[Any, list[Verb]] = {
    kind: [lambda r: r.push(some(r)), lambda r: r.try_push(some(r)), lambda r: r.push_many(np.ones(2, r.dtype))]
    for kind in (SpscRing, MpscRing, MpmcRing)
}
PUSHES[SpscRing].append(claim)
PUSHES[ByteRing] = [lambda r: r.push(b""), lambda r: r.try_push(b"frame")]
PUSHES[BroadcastRing] = [
    lambda r: r.publish(some(r)),
    lambda r: r.try_publish(some(r)),
    lambda r: r.publish_many(np.ones(2, r.dtype)),
]
POPS: dict[Any, list[Verb]] = {
    kind: [lambda r: r.pop(), lambda r: r.try_pop(), lambda r: r.pop_many()] for kind in (SpscRing, MpscRing, MpmcRing)
}
POPS[SpscRing] += [peek, lambda r: r.pop_many(out=np.zeros(2, r.dtype))]
POPS[ByteRing] = [
    lambda r: r.pop(),
    lambda r: r.try_pop(),
    lambda r: r.pop_into(bytearray(8)),
    lambda r: r.pop_many(),
]
POPS[BroadcastRing] = [lambda r: r.pop(), lambda r: r.try_pop(), lambda r: r.poll(), lambda r: r.close()]


def each(verbs: dict[Any, list[Verb]]) -> list[Any]:
    return [
        pytest.param(kind, of, verb, id=f"{kind.__name__}-{of.__name__}-{number}")
        for kind, all_of_them in verbs.items()
        for of in ([bytes] if kind is ByteRing else [np.int64, One])
        for number, verb in enumerate(all_of_them)
    ]


@pytest.mark.parametrize(("kind", "of", "push"), each(PUSHES))
def test_who_sleeps_for_a_record_is_woken(name: str, kind: Any, of: Any, push: Verb) -> None:
    out, into = make(kind, of, name)
    for _ in range(2):
        while wake_point(name, READABLE)[0] == 0:  # until it came so far as to sleep
            with pytest.raises(DeadlineError):
                into.pop(0.01)
        _, epoch = wake_point(name, READABLE)
        push(out)
        assert wake_point(name, READABLE) == (0, epoch + 1)
        while into.try_pop() is not None:
            pass
    into.close(), out.close()


@pytest.mark.parametrize(("kind", "of", "pop"), each(POPS))
def test_who_sleeps_for_room_is_woken(name: str, kind: Any, of: Any, pop: Verb) -> None:
    out, into = make(kind, of, name)
    fill(out)
    while wake_point(name, WRITABLE)[0] == 0:
        with pytest.raises(DeadlineError):
            (out.publish if kind is BroadcastRing else out.push)(some(out), 0.01)
    _, epoch = wake_point(name, WRITABLE)
    pop(into)
    assert wake_point(name, WRITABLE) == (0, epoch + 1)
    into.close(), out.close()
