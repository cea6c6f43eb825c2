"""The commands' options."""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["parse"]


def _date(text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"a date is YYYY-MM-DD, got {text!r}") from None


def _loss(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0.0 <= share <= 0.5:
        raise argparse.ArgumentTypeError(f"a loss is a share between 0 and 0.5, got {text!r}; 0.05 loses one in twenty")
    return share


def _symbols(text: str) -> tuple[str, ...]:
    symbols = tuple(symbol.strip() for symbol in text.split(",") if symbol.strip())
    if not symbols:
        raise argparse.ArgumentTypeError(f"instruments are symbols separated by commas, got {text!r}; e.g. AAPL,MSFT")
    return symbols


def _words(text: str) -> tuple[str, ...]:
    words = tuple(word.strip().lower() for word in text.split(",") if word.strip())
    if not words:
        raise argparse.ArgumentTypeError(f"names are separated by commas, got {text!r}; e.g. subetha,pipe")
    return words


def _whole(text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise argparse.ArgumentTypeError(f"a whole number of at least {least} is needed, got {text!r}")
    return value


def _count(text: str) -> int:
    return _whole(text, 1)


def _seed(text: str) -> int:
    return _whole(text, 0)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line instead of repeating every option."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def _add_run(commands: Any) -> None:
    from fastmas.cli.run import run

    command = commands.add_parser(
        "run",
        help="run the main job, or the system of a TOML file",
        description="Market data, agents, consensus, orders, settlement, audit; then an honest table and a page.",
    )
    command.add_argument("system", nargs="?", type=Path, metavar="SYSTEM.toml", help="a system of your own")
    command.add_argument("--seed", type=int, help="of the agents' random streams (default 7)")
    command.add_argument(
        "--network-seed", type=int, help="of the network between replicas (default 0); changes no decision"
    )
    command.add_argument("--from", dest="first", type=_date, metavar="DATE", help="first session")
    command.add_argument("--to", dest="last", type=_date, metavar="DATE", help="last session")
    command.add_argument("--instruments", type=_symbols, metavar="A,B,...", help="symbols to trade (default all)")
    command.add_argument("--data", type=Path, metavar="FILE", help="bars of your own: CSV or Parquet")
    command.add_argument(
        "--crash-leader-at", type=_date, metavar="DATE", help="kill the leader inside the first intent from then on"
    )
    command.add_argument("--loss", type=_loss, metavar="SHARE", help="share of messages lost, e.g. 0.05")
    command.add_argument(
        "--out", type=Path, metavar="DIR", default=Path("fastmas-run"), help="where results go (default ./fastmas-run)"
    )
    command.add_argument("--quiet", action="store_true", help="no progress, no table")
    command.add_argument("--json", action="store_true", help="last line of stdout is one JSON object")
    command.set_defaults(command=run)


def _add_replay(commands: Any) -> None:
    from fastmas.cli.inspect import replay

    command = commands.add_parser(
        "replay",
        help="rebuild a run from its audit and compare heads",
        description="Verify the chain, apply every commit again.",
    )
    command.add_argument("audit", type=Path, metavar="AUDIT")
    command.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    command.set_defaults(command=replay)


def _add_explain(commands: Any) -> None:
    from fastmas.cli.inspect import explain

    command = commands.add_parser(
        "explain",
        help="print the chain of causes of a record",
        description="From a fill back to the bars that led to it.",
    )
    command.add_argument("audit", type=Path, metavar="AUDIT")
    command.add_argument("id", metavar="ID", help="a message id, or 'last' for the last fill")
    command.add_argument("--depth", type=int, default=12, help="how many causes deep (default 12)")
    command.set_defaults(command=explain)


def _add_bench(commands: Any) -> None:
    from fastmas.cli.bench import bench

    command = commands.add_parser(
        "bench",
        help="measure messages between two processes here, beside what else Python offers",
        description="Round trips, streams and an open loop through rings, rivals and the floors of this machine.",
    )
    command.add_argument("--full", action="store_true", help="minutes instead of seconds, for numbers to keep")
    command.add_argument(
        "--only", type=_words, metavar="A,B,...", help="contenders whose name has one of these; floors always run"
    )
    command.add_argument("--out", type=Path, metavar="DIR", help="write latency.json and latency.svg there")
    command.add_argument("--quiet", action="store_true", help="no progress")
    command.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    command.set_defaults(command=bench)


def _add_rings(commands: Any) -> None:
    from fastmas.cli.rings import clean, ls

    command = commands.add_parser(
        "rings",
        help="show the rings in shared memory, remove what killed processes left",
        description="Rings between processes: who holds which end, and whose process is no more.",
    )
    verbs = command.add_subparsers(dest="rings_verb", required=True, metavar="ls|clean")
    for name, run, text in (
        ("ls", ls, "show each ring: kind, dtype, capacity, size, holders with process and state"),
        ("clean", clean, "remove the rings that no process has open"),
    ):
        verb = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        verb.add_argument("--json", action="store_true", help="print one JSON array instead of text")
        verb.set_defaults(command=run)


def _add_simulate(commands: Any) -> None:
    from fastmas.cli.simulate import simulate

    command = commands.add_parser(
        "simulate",
        help="run consensus clusters under faults, many seeds, and look for a broken rule",
        description="Loss, partitions, crashes, pauses, wrong clocks; every rule is checked after every step.",
    )
    command.add_argument("--protocol", default="raft", help="which one (default raft)")
    command.add_argument("--seeds", type=_count, default=100, metavar="N", help="how many (default 100)")
    command.add_argument("--first", type=_seed, default=0, metavar="SEED", help="the first of them (default 0)")
    command.add_argument("--seconds", type=_count, default=60, metavar="S", help="simulated, a seed (default 60)")
    command.add_argument("--jobs", type=_count, metavar="N", help="seeds at a time (default: as many as CPUs)")
    command.add_argument("--script", type=Path, metavar="FILE", help="run a script instead of seeds")
    command.add_argument("--show-script", action="store_true", help="print what --first would do, as a script")
    command.add_argument(
        "--show-trace",
        action="store_true",
        help="print what Raft's nodes do in --first, as JSON lines for a model checker",
    )
    command.add_argument(
        "--out", type=Path, metavar="DIR", default=Path("fastmas-simulate"),
        help="where the script of a failing seed goes (default ./fastmas-simulate)",
    )  # fmt: skip
    command.add_argument("--quiet", action="store_true", help="no progress")
    command.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    command.set_defaults(command=simulate)


def _version() -> str:
    try:
        return version("fastmas")
    except PackageNotFoundError:
        return "(not installed: run from its source tree)"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; exits with status 2 and a usage line when it makes no sense."""
    parser = _Parser(
        prog="fastmas", description="Multi-agent financial systems that agree, and can prove what they did."
    )
    parser.add_argument("--version", action="version", version=f"fastmas {_version()}")
    commands = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    for add in (_add_run, _add_replay, _add_explain, _add_bench, _add_rings, _add_simulate):
        add(commands)
    return parser.parse_args(list(arguments))
