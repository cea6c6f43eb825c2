"""`fastmas rings ls` and `fastmas rings clean`: rings in shared memory, and what killed processes left of them."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fastmas.ring import RingInfo, clean_rings, list_rings

__all__ = ["clean", "ls"]

UNITS = ("B", "KiB", "MiB", "GiB")
STEP = 1024
SHORT = 24
WIDE = 400


def _size(count: int) -> str:
    """`count` bytes in the largest unit that leaves at least one."""
    value, unit = float(count), 0
    while value >= STEP and unit + 1 < len(UNITS):
        value, unit = value / STEP, unit + 1
    return f"{value:.1f} {UNITS[unit]}" if unit else f"{count} B"


def _dtype(ring: RingInfo, terminal: bool) -> str:
    """On a terminal its beginning; --json has all of it."""
    text = ring.dtype or ""
    return f"{text[: SHORT - 1]}…" if terminal and len(text) > SHORT else text


def _holders(ring: RingInfo) -> str:
    """A line for each end that was ever held."""
    many = {role for role in ("producer", "consumer") if sum(held.role == role for held in ring.holders) > 1}
    return "\n".join(
        " ".join(
            filter(
                None,
                (held.role, str(held.place) if held.role in many else "", held.name, str(held.pid), held.state),
            )
        )
        for held in ring.holders
    )


def ls(options: argparse.Namespace) -> int:
    """Show every ring in shared memory."""
    rings = list_rings()
    if options.json:
        print(json.dumps([dataclasses.asdict(ring) for ring in rings]))
        return 0
    if not rings:
        print("no rings in shared memory")
        return 0
    # Where the terminal is narrow, names and dtypes give way; in a pipe nothing does.
    terminal = Console(file=sys.stdout, highlight=False)
    console = terminal if terminal.is_terminal else Console(file=sys.stdout, highlight=False, width=WIDE)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("name", overflow="fold", min_width=10)
    for column in ("state", "kind"):
        table.add_column(column, no_wrap=True)
    table.add_column("dtype", overflow="fold", min_width=10)
    for column in ("capacity", "size"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("holders: pid, state", no_wrap=True)
    for ring in rings:
        capacity = "" if ring.capacity is None else f"{ring.capacity:,}"
        about = (ring.name, ring.state, ring.kind or "", _dtype(ring, console.is_terminal), capacity, _size(ring.bytes))
        table.add_row(*(escape(text) for text in about), escape(_holders(ring)))
    console.print(table)
    for ring in rings:
        if ring.why:
            print(ring.why)
    stale = sum(ring.state in ("stale", "unfinished") for ring in rings)
    if stale:
        print(f"{stale} of no living process: `fastmas rings clean` removes {'it' if stale == 1 else 'them'}")
    return 0


def clean(options: argparse.Namespace) -> int:
    """Remove the rings that no process has open."""
    removed = clean_rings()
    if options.json:
        print(json.dumps(removed))
        return 0
    for name in removed:
        print(f"removed {name}")
    if not removed:
        left = list_rings()
        foreign = sum(ring.state == "foreign" for ring in left)
        why = [f"{foreign} foreign, which `fastmas rings ls` explains"] if foreign else []
        if foreign < len(left):
            why.insert(0, f"every {'other ' if foreign else ''}ring is open in a living process")
        print(f"nothing to remove: {'; '.join(why) or 'there are no rings'}")
    return 0
