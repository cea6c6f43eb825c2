"""Run the command line inside the test's process, or as a process of its own."""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import fastmas
from fastmas.cli import main

SMALL = ("--from", "2019-01-02", "--to", "2020-12-31", "--instruments", "AAPL,KO,JPM,PG")
SHORT = ("--from", "2019-01-02", "--to", "2019-04-30", "--instruments", "KO,PG")
CROSSOVER = '[[agents]]\ntype = "fastmas.strategies:Momentum"\nfast = 5\nslow = 15\nlots = 100\n'


class Outcome(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def last(self) -> dict:
        return json.loads(self.out.splitlines()[-1])


def fastmas_command(*arguments: object) -> Outcome:
    """`fastmas ARGUMENTS`, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as exit:
            status = exit.code if isinstance(exit.code, int) else 1
    return Outcome(status, out.getvalue(), err.getvalue())


def environment(**more: str) -> dict[str, str]:
    """For a process that imports the package under test, wherever it stands."""
    paths = [str(Path(fastmas.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "COLUMNS": "100", **more}


COMMAND = (sys.executable, "-m", "fastmas.cli")
