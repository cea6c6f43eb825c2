"""`fastmas bench`: the short form of the latency suite, which lives in fastmas.bench."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

import fastmas
from fastmas.errors import ConfigError

__all__ = ["bench"]


def suite_package() -> str:
    """The package that holds the suite: part of a wheel, a neighbour of the package in a source tree."""
    if importlib.util.find_spec("fastmas.bench") is not None:
        return "fastmas.bench"
    root = Path(fastmas.__file__).parents[2]
    if not (root / "bench" / "latency" / "suite.py").is_file():
        raise ConfigError("the benches are not installed beside this fastmas; install its wheel: pip install fastmas")
    sys.path.insert(0, str(root))  # spawned processes inherit it
    return "bench"


def _part(package: str, name: str) -> Any:
    return importlib.import_module(f"{package}.{name}")


def bench(options: argparse.Namespace) -> int:
    """Run the suite; tables on stdout, progress on stderr."""
    package = suite_package()
    # All of them now: what is missing shows before the measurement, not after it.
    suite, report, plot, machine = (
        _part(package, name) for name in ("latency.suite", "latency.report", "latency.plot", "machine")
    )
    wanted = suite.contenders()
    if options.only:
        wanted = [one for one in wanted if one.floor or any(word in one.name.lower() for word in options.only)]
        if all(one.floor for one in wanted):
            names = ", ".join(one.name for one in suite.contenders() if not one.floor)
            raise ConfigError(f"--only must name a contender, got {','.join(options.only)!r}; there are {names}")
    if options.out is not None:
        try:
            options.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"--out must be a directory that can be written, got {options.out}: {error.strerror}; choose another"
            ) from error
    progress = Console(stderr=True, quiet=options.quiet)
    with progress.status("two processes for each contender") as status:
        outcome = suite.Suite(suite.FULL if options.full else suite.SHORT, wanted, status.update).run()
    document = report.as_document(outcome, machine.machine())
    if options.out is not None:
        (options.out / "latency.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        caption = (
            f"{document['machine']['cpu_model']}, load average {outcome.load[0]:g} before and {outcome.load[1]:g} after"
        )
        picture = plot.draw(outcome.rows, caption)
        (options.out / "latency.svg").write_text(picture, encoding="utf-8")
    if options.json:
        print(json.dumps(document))
    else:
        console = Console()
        report.show(outcome, console)
        if options.out is not None:
            console.print(f"written: {options.out / 'latency.json'}, {options.out / 'latency.svg'}")
    return 0
