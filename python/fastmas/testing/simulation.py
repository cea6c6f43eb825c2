"""Clusters under faults from Python: one seed, or one script, of a protocol; and what its clients saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastmas._core.simulation import (
    script_of_seed,
    simulate_script,
    simulate_seed,
    simulated_protocols,
    trace_of_seed,
)
from fastmas.testing.linearizability import Operation

if TYPE_CHECKING:
    from fastmas._core.simulation import Outcome as Outcome

__all__ = [
    "client_history",
    "script_of_seed",
    "simulate_script",
    "simulate_seed",
    "simulated_protocols",
    "trace_of_seed",
]


def client_history(outcome: Outcome) -> list[Operation]:
    """What the clients of a simulated cluster saw, for `check_linearizable`.

    Parameters
    ----------
    outcome : dict
        Of `simulate_seed` or `simulate_script`. The simulated machine answers a request with how many have taken
        effect, itself included, and a read with how many have.

    Returns
    -------
    list of Operation
        One for each request or read that was sent, in the order of sending; those that were never answered have no
        `return_ns`.

    Examples
    --------
    >>> outcome = simulate_seed("raft", seed=1, seconds=1)
    >>> len(client_history(outcome)) >= outcome["answered"]
    True
    """
    return [
        Operation(
            request=b"read" if is_read else b"count",
            call_ns=call_ns,
            return_ns=return_ns if return_ns >= 0 else None,
            reply=b"%d" % answer if return_ns >= 0 else None,
            client=client,
            is_read=is_read,
        )
        for client, _, is_read, call_ns, return_ns, answer in outcome["history"]
    ]
