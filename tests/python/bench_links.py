"""Contenders that do wrong, for the suite to find out; in a module of its own, for spawned processes import it."""

from __future__ import annotations

import importlib
import os
from functools import partial
from typing import Any

from fastmas.cli.bench import suite_package

_link = importlib.import_module(f"{suite_package()}.latency.link")
_rivals = importlib.import_module(f"{suite_package()}.latency.rivals")


def open_faulty(shared: Any, side: int, fault: str) -> Any:
    """A pipe whose answering end does something to the hundredth message that it takes in a row: one of a stream."""
    link = _rivals.open_pipe(shared, side)
    if side == 0:
        return link
    receive, give, count, held = link.recv, link.send, 0, []

    def recv() -> bytes:
        nonlocal count
        count += 1
        if held:
            return held.pop()
        message = receive()
        if count != 100:
            return message
        if fault == "lose":
            return receive()
        if fault == "swap":
            held.append(message)
            return receive()
        if fault == "tear":
            return message[:32] + receive()[32:]
        os._exit(3)

    def send(message: bytes) -> None:
        nonlocal count
        count = 0
        give(message)

    link.recv, link.send = recv, send
    return link


def refuse(shared: Any, side: int) -> Any:
    raise RuntimeError("cannot be opened here")


def pipe(name: str, opens: Any, **more: Any) -> Any:
    return _link.Contender(name, "block", opens, lambda place: _rivals.SPAWN.Pipe(), **more)


def faulty(fault: str) -> Any:
    return pipe(fault, partial(open_faulty, fault=fault))
