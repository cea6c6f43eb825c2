"""Committed commands in words, for whoever reads an audit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fastmas.audit import register_decoder
from fastmas.messages import Intent
from fastmas.replica import Limits, commands

__all__ = ["describe_command"]


def describe_command(data: bytes) -> Mapping[str, Any]:
    """Kind and contents of an encoded command.

    Examples
    --------
    >>> from fastmas.replica import commands
    >>> describe_command(commands.encode_marks(5, [1, 2], [100, 200]))
    {'kind': 'marks', 'ts_ns': 5, 'prices': {1: 100, 2: 200}}
    """
    command = commands.decode(data)
    kind = type(command).__name__.lower()
    if isinstance(command, commands.Marks):
        prices = dict(zip(command.instruments, command.prices, strict=True))
        return {"kind": kind, "ts_ns": command.ts_ns, "prices": prices}
    if isinstance(command, Intent):
        targets = dict(command.targets)
        return {"kind": kind, "ts_ns": command.ts_ns, "valid_until_ns": command.valid_until_ns, "targets": targets}
    if isinstance(command, Limits):
        return {"kind": kind, **asdict(command)}
    return {"kind": kind, **command._asdict()}


register_decoder("Command", describe_command)
