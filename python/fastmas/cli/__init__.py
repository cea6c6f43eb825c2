"""The command line: `fastmas run`, `fastmas replay`, `fastmas explain`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from fastmas.errors import FastmasError

__all__ = ["main"]


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
        return int(options.command(options))
    except FastmasError as error:
        print(f"fastmas {options.verb}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 0
    except OSError as error:
        print(f"fastmas {options.verb}: {error.strerror or error}: {error.filename}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"fastmas {options.verb}: interrupted", file=sys.stderr)
        return 130
