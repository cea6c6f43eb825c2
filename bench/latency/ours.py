"""fastmas in the suite, and the floors: what the machine and the interpreter take without any of this."""

from __future__ import annotations

import mmap
import os
import time
from array import array
from functools import partial
from multiprocessing.reduction import DupFd
from typing import Any

import numpy as np

from fastmas.records import Record, i64
from fastmas.ring import SpscRing

from .link import BURST, CAPACITY, MESSAGE_BYTES, PERIOD, Contender, Link, Place, plain_message, plain_rows

BATCH = 256


class Message(Record):
    """The 64 bytes of `plain_message`, as fields."""

    sequence: i64
    a: i64
    b: i64
    c: i64
    d: i64
    e: i64
    f: i64
    g: i64


def open_rings(place: Place, side: int, layout: str, wait: str, polls: bool = False) -> Link:
    there, back = f"/{place.token}-there", f"/{place.token}-back"
    if side == 0:
        out = SpscRing.create(there, Message, CAPACITY, role="producer", layout=layout, wait=wait)
        into = SpscRing.create(back, Message, CAPACITY, role="consumer", layout=layout, wait=wait)
    else:
        into = SpscRing.attach(there, role="consumer", dtype=Message, wait=wait)
        out = SpscRing.attach(back, role="producer", dtype=Message, wait=wait)
    rows = np.frombuffer(plain_rows(BURST + PERIOD), Message.dtype)
    batch = np.empty(BATCH, Message.dtype)
    data = memoryview(batch.view("u1"))

    def send_all(first: int, last: int) -> None:
        start = first % PERIOD
        for at in range(start, start + last - first, BATCH):
            out.push_many(rows[at : min(at + BATCH, start + last - first)], None)

    def recv_some() -> memoryview:
        return data[: MESSAGE_BYTES * len(into.pop_many(out=batch, timeout_s=None))]

    def close() -> None:
        into.close()
        out.close()

    return Link(
        send=out.try_push if polls else out.push,
        recv=into.try_pop if polls else into.pop,
        make=lambda number: Message.from_bytes(plain_message(number)),
        polls=polls,
        send_all=send_all,
        recv_some=recv_some,
        close=close,
    )


def unlink_rings(place: Place) -> None:
    for direction in ("there", "back"):
        SpscRing.unlink(f"/{place.token}-{direction}")


def ring(name: str, layout: str, wait: str, polls: bool = False) -> Contender:
    return Contender(
        name,
        "block" if wait in ("block", "adaptive") else "spin",
        partial(open_rings, layout=layout, wait=wait, polls=polls),
        rival=False,
    )


LAYOUTS = ("sequenced", "contiguous")
OURS = [
    contender
    for layout in LAYOUTS
    for contender in (
        ring(f"SpscRing {layout}", layout, "spin"),
        ring(f"SpscRing {layout}, try_pop loop", layout, "spin", polls=True),
        ring(f"SpscRing {layout}, block", layout, "block"),
        ring(f"SpscRing {layout}, adaptive", layout, "adaptive"),
    )
]


# ---- floors


def make_line(place: Place) -> str:
    """A page of memory that both map: the first and the third cache line are used."""
    path = place.path("line")
    with open(path, "wb") as file:
        file.truncate(mmap.PAGESIZE)
    return path


def open_line(path: str) -> mmap.mmap:
    with open(path, "r+b") as file:
        return mmap.mmap(file.fileno(), mmap.PAGESIZE)


def open_cache_line(path: str, side: int) -> Link:
    from fastmas._core import floors

    line = open_line(path)

    def ask(trips: int) -> array[int]:
        took = array("q", bytes(8 * trips))
        floors.ask(line, took)
        return took

    turn = 0

    def answer(trips: int) -> None:
        nonlocal turn
        floors.answer(line, turn, trips)
        turn += 2 * trips

    return Link(send=int, recv=int, make=int, ask=ask, answer=answer)


def open_polled_integer(path: str, side: int) -> Link:
    """The same in Python: what the interpreter's own loop takes, with nothing called in it."""
    words = memoryview(open_line(path)).cast("q")
    done = 0

    def ask(trips: int) -> array[int]:
        nonlocal done
        took, clock = array("q", bytes(8 * trips)), time.perf_counter_ns
        for number in range(trips):
            done += 1
            start = clock()
            words[0] = done
            while words[16] != done:
                pass
            took[number] = clock() - start
        return took

    def answer(trips: int) -> None:
        nonlocal done
        for _ in range(trips):
            done += 1
            while words[0] != done:
                pass
            words[16] = done

    return Link(send=int, recv=int, make=int, ask=ask, answer=answer)


class EventFds:
    """Two descriptors that survive the way into a spawned process."""

    def __init__(self) -> None:
        self.held = [os.eventfd(0), os.eventfd(0)]

    def __getstate__(self) -> list[Any]:
        return [DupFd(descriptor) for descriptor in self.held]

    def __setstate__(self, state: list[Any]) -> None:
        self.held = [copy.detach() for copy in state]

    def close(self) -> None:
        for descriptor in self.held:
            os.close(descriptor)


def open_eventfds(shared: EventFds, side: int) -> Link:
    there, back = shared.held
    out, into = (there, back) if side == 0 else (back, there)
    return Link(
        send=partial(os.eventfd_write, out),
        recv=partial(os.eventfd_read, into),
        make=lambda number: number or 1,  # a count of nothing wakes nobody
        close=shared.close,
    )


FLOORS = [
    Contender("floor: cache line", "spin", open_cache_line, make_line, rival=True, floor=True),
    Contender("floor: integer polled from Python", "spin", open_polled_integer, make_line, rival=True, floor=True),
]
if hasattr(os, "eventfd"):
    FLOORS.append(
        Contender(
            "floor: eventfd",
            "block",
            open_eventfds,
            lambda place: EventFds(),
            rival=True,
            floor=True,
            cleanup=EventFds.close,
        )
    )
