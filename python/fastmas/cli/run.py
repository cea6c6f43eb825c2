"""`fastmas run`: the main job, or the system of a TOML file."""

from __future__ import annotations

import argparse
import json
import math
import os
import shlex
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path
from typing import Any

from rich.console import Console

from fastmas.cli.progress import Watch
from fastmas.cli.settings import Settings, read_system
from fastmas.errors import ConfigError, StorageError

__all__ = ["run"]

OVERRIDES = ("seed", "network_seed", "first", "last", "instruments", "data", "crash_leader_at", "loss")
OTHER_COSTS_BPS = (0.0, 20.0)


class _Terminal(Console):
    """Leaves a reader that has gone away to `main`; rich would end the process."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def run(options: argparse.Namespace) -> int:
    """Run, print the tables, write the page and the audit."""
    started = time.perf_counter()
    console = _Terminal(quiet=options.quiet, highlight=False, soft_wrap=False)
    settings = Settings() if options.system is None else read_system(options.system)
    settings = settings.override({name: getattr(options, name) for name in OVERRIDES})
    what = "the main job" if options.system is None else str(options.system)
    console.print(f"fastmas run: {what}", markup=False, soft_wrap=True)
    _make_folder(options.out)
    result = _work(settings, options, console)
    result = {**result, "elapsed_s": round(time.perf_counter() - started, 3)}
    (options.out / "result.json").write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    console.print(f"{result['elapsed_s']:.1f} s in all")
    if options.json:
        print(json.dumps(result, allow_nan=False), flush=True)
    return 0


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
        (path / "result.json").unlink(missing_ok=True)  # of an earlier run; also shows that the folder can be written
        (path / "result.json").touch()
    except OSError as error:
        raise StorageError(
            f"--out must be a directory that can be written, got {path}: {error.strerror}; choose another"
        ) from error


def _end_with_the_parent() -> None:
    """A helper whose parent was killed would wait for work for ever."""

    def watch() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _helper() -> Iterator[ProcessPoolExecutor]:
    """One process for what does not depend on the main run; when that fails or is interrupted, nobody waits for it."""
    before = set(active_children())
    with ProcessPoolExecutor(1, get_context("spawn"), initializer=_end_with_the_parent) as pool:
        # Ctrl-C reaches every process of the terminal; the helper is born with it blocked and leaves it to the parent.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            pool.submit(int)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in set(active_children()) - before:
                child.terminate()
            raise


def _work(settings: Settings, options: argparse.Namespace, console: Console) -> dict[str, Any]:
    # Heavy imports come after the first line is on the screen.
    from fastmas.cli.drill import run_drill
    from fastmas.cli.main_job import build_world, load_bars, run_at_cost
    from fastmas.cli.study import LEAST_SESSIONS, build_study
    from fastmas.report import print_study, write_page

    bars = load_bars(settings)
    sessions = len(bars.sessions)
    if sessions < LEAST_SESSIONS:
        raise ConfigError(f"a study needs {LEAST_SESSIONS} sessions, got {sessions}; widen --from and --to")
    settings.build_agents()  # what cannot be built is found before anything runs
    audit = options.out / "audit.fma"
    audit.unlink(missing_ok=True)
    with Watch(console, sessions, len(OTHER_COSTS_BPS) + 1) as watch, _helper() as pool:
        at_costs = [(bps, pool.submit(run_at_cost, settings, bps)) for bps in OTHER_COSTS_BPS]
        drill: Future[Any] = pool.submit(run_drill, settings)
        for future in (*(future for _, future in at_costs), drill):
            future.add_done_callback(lambda _: watch.other())
        report = build_world(settings, bars, audit=audit, progress=watch.session).run(settings.build_agents())
        at_cost_reports = [(bps, future.result()) for bps, future in at_costs]
        drilled = drill.result()
    study = build_study(settings, bars, report, at_cost_reports, drilled)
    quoted = shlex.quote(str(audit))
    commands = [f"fastmas replay {quoted}"]
    if report.first_fill_id is not None:
        commands.insert(0, f"fastmas explain {quoted} {report.first_fill_id}")
    print_study(study, console)
    page = write_page(study, options.out / "report.html", tuple(commands))
    console.print()
    console.print(f"page   {page}", markup=False, soft_wrap=True)
    console.print(f"audit  {audit}  head {_hex(report.audit_head)[:16]}", markup=False, soft_wrap=True)
    console.print("Look for yourself:")
    for command in commands:
        console.print(f"  {command}", markup=False, soft_wrap=True)
    return _summary(study, report, page, audit)


def _hex(head: bytes | None) -> str:
    return "" if head is None else head.hex()


def _date(ts_ns: int) -> str:
    return datetime.fromtimestamp(ts_ns / 1e9, tz=UTC).date().isoformat()


def _number(value: float) -> float | None:
    """JSON has no NaN: what is not defined is null."""
    return value if math.isfinite(value) else None


def _summary(study: Any, report: Any, page: Path, audit: Path) -> dict[str, Any]:
    """The object that `--json` prints."""
    line = study.lines[0]
    metrics: dict[str, Any] = {
        name: _number(getattr(line, name))
        for name in (
            "total_return",
            "annual_return",
            "volatility",
            "sharpe",
            "sharpe_low",
            "sharpe_high",
            "max_drawdown",
            "turnover",
            "costs",
        )
    }
    metrics["benchmarks"] = {
        other.name: {"annual_return": _number(other.annual_return), "sharpe": _number(other.sharpe)}
        for other in study.lines[1:]
    }
    metrics["tail_risk"] = {
        risk.name: {
            "breaches": risk.count,
            "expected": risk.expected,
            "kupiec_lr": risk.kupiec_lr,
            "p_value": risk.p_value,
        }
        for risk in study.tail_risk
    }
    drill = study.drill
    return {
        "audit_head": _hex(report.audit_head),
        "ledger_head": report.ledger_head.hex(),
        "replica_heads": {str(node): head.hex() for node, head in sorted(report.replica_heads.items())},
        "balanced": report.balanced,
        "decisions": report.decisions,
        "commits": report.commits,
        "orders": report.orders,
        "fills": len(report.fill_records),
        "messages": report.messages,
        "first_date": _date(int(report.ts_ns[0])),
        "last_date": _date(int(report.ts_ns[-1])),
        "metrics": metrics,
        "drill": None
        if drill is None
        else {
            "duplicates": drill.duplicates,
            "naive_duplicates": drill.naive_duplicates,
            "same_ledger_head": drill.same_ledger_head,
            "leader_changes": drill.leader_changes,
        },
        "poisoned": {str(node): text for node, text in report.poisoned.items()},
        "report": str(page),
        "audit": str(audit),
    }
