"""Rebuild the replicated state from an audit's committed commands and compare heads, commit by commit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fastmas import audit
from fastmas.audit.writer import COMMAND_PREFIX
from fastmas.errors import AuditError, FastmasError, ReplicaDivergedError
from fastmas.replica import TradingState

__all__ = ["Replay", "replay"]


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay found.

    Attributes
    ----------
    commits : int
        Commands applied again.
    ledger_head : bytes
        Head of the rebuilt state; equal to the recorded one after every commit.
    audit_head : bytes
        Head of the file's own hash chain, checked before anything was applied.
    balanced : bool
        Debits equal credits in every currency.
    records, blocks : int
        Size of the file that was verified.
    """

    commits: int
    ledger_head: bytes
    audit_head: bytes
    balanced: bool
    records: int
    blocks: int


def _read_command(payload: bytes) -> tuple[int, int, bytes, bytes]:
    if len(payload) < COMMAND_PREFIX.size:
        raise AuditError(f"a command record has at least {COMMAND_PREFIX.size} bytes, got {len(payload)}")
    index, time_ns, head = COMMAND_PREFIX.unpack_from(payload)
    return index, time_ns, head, payload[COMMAND_PREFIX.size :]


def replay(path: str | Path, actions: Iterable[Any], *, progress: Callable[[int], None] | None = None) -> Replay:
    """Apply an audit's committed commands to a new state and compare its head after each with the recorded one.

    Parameters
    ----------
    path : path
        Audit file of a run.
    actions : iterable of Action
        The action agents of that run; they run below the consensus line and are part of what is rebuilt.
    progress : callable (commits so far) or None

    Returns
    -------
    Replay

    Raises
    ------
    AuditError
        The file is damaged or altered, or has no committed commands.
    ReplicaDivergedError
        The rebuilt state differs; names the first commit index at which it does.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import fastmas as fm
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "run.fma"
    >>> bars = fm.Bars.sample(["KO"]).window("2015-01-01", "2015-12-31")
    >>> world = fm.Simulation(feed=bars, venue=fm.BarVenue(bars.instruments), audit=path)
    >>> report = world.run(fm.strategies.Momentum(fast=10, slow=30))
    >>> fm.replay(path, [fm.AtMarket()]).ledger_head == report.ledger_head
    True
    """
    checked = audit.verify(path)
    state = TradingState(actions=tuple(actions))
    commits = 0
    file = audit.read(path)
    for record in file.records(type="Command"):
        index, time_ns, head, command = _read_command(record.payload)
        if index != commits + 1:
            raise AuditError(f"{path}: commit {index} follows commit {commits}; commands are missing from the audit")
        with suppress(FastmasError):  # a committed rejection, then and now; the head tells if it was none
            state.apply(SimpleNamespace(index=index, time_ns=time_ns, command=command))
        commits = index
        if state.head != head:
            raise ReplicaDivergedError(
                f"replay diverged at commit index {index}: the audit says head {head.hex()[:16]}, "
                f"the rebuilt state has {state.head.hex()[:16]}; are the action agents those of the run?"
            )
        if progress is not None and index % 512 == 0:
            progress(index)
    if commits == 0:
        raise AuditError(f"{path}: no committed commands in this audit; was it written by a world?")
    return Replay(commits, state.head, checked.head, state.balanced, checked.records, checked.blocks)
