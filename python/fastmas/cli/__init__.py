"""The command line: run, replay, explain, bench, rings and simulate."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from fastmas.errors import FastmasError

__all__ = ["main"]


def _give_up_output() -> None:
    """Nobody reads any more, as in `fastmas run | head -1`: what is still buffered goes nowhere."""
    with suppress(OSError, ValueError):  # an output that is no file has nothing to give up
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the process' exit status.

    Parameters
    ----------
    arguments : sequence of str or None
        Without the program's name; None takes them from `sys.argv`.

    Returns
    -------
    int
        0 done, 1 a check found a difference, 2 bad input, 130 interrupted.
    """
    from fastmas.cli.arguments import parse

    options = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        status = int(options.command(options))
        sys.stdout.flush()  # here, where a reader that has left is no error
        return status
    except FastmasError as error:
        print(f"fastmas {options.verb}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        _give_up_output()
        return 0
    except OSError as error:
        print(f"fastmas {options.verb}: {error.strerror or error}: {error.filename}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"fastmas {options.verb}: interrupted", file=sys.stderr)
        return 130
