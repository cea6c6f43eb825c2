"""Contenders that do wrong, for the suite to find out; in a module of its own, for spawned processes import it."""

from __future__ import annotations

import importlib
import os
from functools import partial
from typing import Any

from fastmas.cli.bench import suite_package

_link = importlib.import_module(f"{suite_package()}.latency.link")
_rivals = importlib.import_module(f"{suite_package()}.latency.rivals")


def open_faulty(shared: Any, side: int, fault: str, after: int) -> Any:
    """A pipe whose answering end does something to message `after`."""
    link = _rivals.open_pipe(shared, side)
    if side == 0:
        return link
    receive, count, held = link.recv, 0, []

    def recv() -> bytes:
        nonlocal count
        count += 1
        if held:
            return held.pop()
        message = receive()
        if count != after:
            return message
        if fault == "lose":
            return receive()
        if fault == "swap":
            held.append(message)
            return receive()
        if fault == "tear":
            return message[:32] + receive()[32:]
        os._exit(3)

    link.recv = recv
    return link


def refuse(shared: Any, side: int) -> Any:
    raise RuntimeError("cannot be opened here")


def pipe(name: str, opens: Any, **more: Any) -> Any:
    return _link.Contender(name, "block", opens, lambda place: _rivals.SPAWN.Pipe(), **more)


def faulty(fault: str, after: int = 5_500) -> Any:
    return pipe(fault, partial(open_faulty, fault=fault, after=after))
