"""`fastmas replay` and `fastmas explain`: what an audit file says."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from fastmas import audit
from fastmas.cli.settings import AgentSpec
from fastmas.errors import ConfigError, ReplicaDivergedError
from fastmas.world import replay as replay_audit
from fastmas.world.wiring import wire

__all__ = ["explain", "replay"]


def _actions(path: Path) -> tuple[Any, ...]:
    """Build the action agents that the audit's header names."""
    meta = audit.read(path).header.get("meta", {})
    specs = meta.get("actions")
    if not isinstance(specs, list):
        raise ConfigError(
            f"{path} does not say which action agents it ran with; replay it from Python: fastmas.replay(path, "
            "actions=[...])"
        )
    return wire([AgentSpec(spec, arguments).build() for spec, arguments in specs]).action


def replay(options: argparse.Namespace) -> int:
    """Verify the chain, apply every commit again, compare every head."""
    started = time.perf_counter()
    try:
        found = replay_audit(options.audit, _actions(options.audit))
    except ReplicaDivergedError as error:
        print(f"fastmas replay: {error}", file=sys.stderr)
        return 1
    elapsed_s = time.perf_counter() - started
    if options.json:
        result = {
            "audit_head": found.audit_head.hex(),
            "ledger_head": found.ledger_head.hex(),
            "commits": found.commits,
            "records": found.records,
            "blocks": found.blocks,
            "balanced": found.balanced,
            "elapsed_s": round(elapsed_s, 3),
        }
        print(json.dumps(result))
        return 0
    print(f"{options.audit}: {found.records:,} records in {found.blocks:,} blocks, chain intact")
    print(f"{found.commits:,} commits applied again in {elapsed_s:.1f} s; the head was the recorded one after each")
    print(f"ledger head  {found.ledger_head.hex()}")
    print(f"audit head   {found.audit_head.hex()}")
    print(f"debits = credits: {'yes' if found.balanced else 'NO'}")
    return 0


def explain(options: argparse.Namespace) -> int:
    """Print a record and what led to it."""
    text = str(audit.explain(options.audit, _record_id(options.audit, options.id), max_depth=options.depth))
    with audit.read(options.audit) as file:
        symbols = file.header.get("meta", {}).get("instruments", {})
    print(re.sub(r"\binstrument=(\d+)\b", lambda found: _with_symbol(found, symbols), text))
    return 0


def _with_symbol(found: re.Match[str], symbols: dict[str, str]) -> str:
    symbol = symbols.get(found[1])
    return found[0] if symbol is None else f"{found[0]} ({symbol})"


def _record_id(path: Path, text: str) -> int:
    if text == "last":
        with audit.read(path) as file:
            fills = [number for number, schema in file.schemas.items() if schema.name == "Fill"]
            ids = file.ids[np.isin(file.types, fills)]
        if not len(ids):
            raise ConfigError(f"{path} has no fills; give the id of another record")
        return int(ids.max())
    try:
        return int(text)
    except ValueError:
        raise ConfigError(f"an id is a whole number or 'last', got {text!r}") from None
