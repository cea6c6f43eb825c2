"""`fastmas simulate`: clusters under faults, many seeds; the first that breaks a rule is shrunk to a script."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from fastmas.errors import ConfigError
from fastmas.testing.simulation import (
    script_of_seed,
    simulate_script,
    simulate_seed,
    simulated_protocols,
    trace_of_seed,
)

if TYPE_CHECKING:
    from fastmas.testing.simulation import Outcome

__all__ = ["simulate"]

AT_ZERO_COUNTS = 100  # seeds from which a row at zero is a failure
LONG_S, LEAST_COMMITS = 60, 200  # a seed of so many seconds commits so many commands, whatever its storms
MAX_SEED = 2**64 - 1


def _outcomes(protocol: str, seeds: range, seconds: int, jobs: int) -> Iterator[tuple[int, Outcome]]:
    """Every seed's outcome as it comes; not many more are begun than are wanted."""
    with ThreadPoolExecutor(jobs) as pool:
        left = iter(seeds)
        running: dict[Future[Outcome], int] = {}
        try:
            while True:
                while len(running) < 2 * jobs and (seed := next(left, None)) is not None:
                    running[pool.submit(simulate_seed, protocol, seed, seconds)] = seed
                if not running:
                    return
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield running.pop(future), future.result()
        finally:
            for future in running:
                future.cancel()


def _merge(total: dict[str, int], outcome: Outcome) -> None:
    for name, count in outcome["coverage"]:
        total[name] = total.get(name, 0) + count


def _table(total: dict[str, int], counts_zero: bool) -> Table:
    table = Table(box=box.SIMPLE, header_style="bold")
    table.add_column("what happened")
    table.add_column("times", justify="right")
    for name, count in total.items():
        mark = " [red]never[/]" if counts_zero and count == 0 else ""
        table.add_row(name + mark, f"{count:,}")
    return table


def _fail(options: argparse.Namespace, outcome: Outcome, seed: int | None) -> None:
    """Say what broke; leave the script behind."""
    err = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    if seed is not None:
        err.print(
            f"seed {seed} fails: fastmas simulate --protocol {options.protocol} --first {seed} --seeds 1 "
            f"--seconds {options.seconds}"
        )
    err.print(f"{outcome['phase']} phase: {outcome['failure']}")
    err.print(outcome["state"].rstrip())
    if seed is None:
        return
    path: Path = options.out / f"{options.protocol}-{seed}.script"
    options.out.mkdir(parents=True, exist_ok=True)
    path.write_text(f"# seed {seed}: {outcome['failure']}\n{outcome['script']}", encoding="utf-8")
    actions = sum(line.startswith("at ") for line in outcome["script"].splitlines())
    err.print(f"shrunk to {actions} actions: fastmas simulate --protocol {options.protocol} --script {path}")


def _run_script(options: argparse.Namespace) -> int:
    outcome = simulate_script(options.protocol, options.script.read_text(encoding="utf-8"))
    if options.json:
        print(json.dumps({"protocol": options.protocol, "script": str(options.script), **outcome, "history": None}))
    if not outcome["is_well"]:
        _fail(options, outcome, None)
        return 1
    if not options.json:
        total: dict[str, int] = {}
        _merge(total, outcome)
        Console().print(_table(total, False))
        print(f"{options.script}: nothing broken")
    return 0


def simulate(options: argparse.Namespace) -> int:
    """Run the seeds or the script; 1 when a rule was broken or something that must happen never did."""
    if options.protocol not in (known := simulated_protocols()):
        raise ConfigError(f"--protocol must be one of {', '.join(known)}, got {options.protocol}; choose one of them")
    if options.show_script:
        sys.stdout.write(script_of_seed(options.protocol, options.first, options.seconds))
        return 0
    if options.show_trace:
        sys.stdout.write(trace_of_seed(options.protocol, options.first, options.seconds))
        return 0
    if options.script is not None:
        return _run_script(options)
    if options.first + options.seeds - 1 > MAX_SEED:
        raise ConfigError(
            f"seeds end at {MAX_SEED}, got --first {options.first} and --seeds {options.seeds}; lower one"
        )
    jobs = options.jobs or os.cpu_count() or 1
    seeds = range(options.first, options.first + options.seeds)
    console = Console(stderr=True, quiet=options.quiet)
    console.print(
        f"{options.protocol}: seeds {seeds[0]} to {seeds[-1]}, {options.seconds} simulated seconds each, "
        f"{jobs} at a time"
    )
    total: dict[str, int] = {}
    simulated_s, answers, fewest, fewest_seed = 0.0, 2**63, 2**63, 0
    started = time.perf_counter()
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=40), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=options.quiet or not console.is_terminal) as bar:
        task = bar.add_task("seeds", total=len(seeds))
        for seed, outcome in _outcomes(options.protocol, seeds, options.seconds, jobs):
            if not outcome["is_well"]:
                bar.stop()
                _fail(options, outcome, seed)
                return 1
            _merge(total, outcome)
            simulated_s += outcome["simulated_s"]
            fewest, fewest_seed = min((fewest, fewest_seed), (outcome["commits"], seed))
            answers = min(answers, outcome["answered"])
            bar.advance(task)
    elapsed_s = time.perf_counter() - started
    never = [name for name, count in total.items() if count == 0] if len(seeds) >= AT_ZERO_COUNTS else []
    if options.json:
        row = {
            "protocol": options.protocol, "first": options.first, "seeds": options.seeds, "simulated_s": simulated_s,
            "elapsed_s": elapsed_s, "fewest_commits": fewest, "fewest_answers": answers, "coverage": total,
            "never": never,
        }  # fmt: skip
        print(json.dumps(row))
    else:
        Console().print(_table(total, bool(never)))
        print(
            f"{len(seeds):,} seeds, {simulated_s:,.0f} simulated seconds in {elapsed_s:.1f} s "
            f"({simulated_s / elapsed_s:,.0f} times real time); nothing broken; "
            f"at least {fewest:,} commands committed and {answers:,} requests answered a seed"
        )
    if options.seconds >= LONG_S and fewest < LEAST_COMMITS:
        print(
            f"seed {fewest_seed} committed only {fewest} commands in {options.seconds} s, {LEAST_COMMITS} must be: "
            f"fastmas simulate --protocol {options.protocol} --first {fewest_seed} --seeds 1 "
            f"--seconds {options.seconds}",
            file=sys.stderr,
        )
        return 1
    if never:
        print(f"never happened, so not tested: {', '.join(never)}", file=sys.stderr)
        return 1
    return 0
