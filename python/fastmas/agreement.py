"""One vector for all agents: what may be agreed on, how an agreement came about, and the synod behind it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmas._core.consensus import agree as _synod
from fastmas.errors import ConfigError, NoQuorumError

__all__ = ["Agreement", "Step", "checked_proposals", "synod"]

# The four phases that agents see, by the synod's messages; docs/paxos.md maps them to Lamport's.
_PHASES = {
    "prepare": "prepare",
    "promise": "prepare",
    "accept": "request",
    "accepted": "response",
    "refuse": "response",
    "decided": "decide",
}


class Step(NamedTuple):
    """One message of an agreement, in the order of sending.

    `phase` is "prepare", "request", "response" or "decide"; `message` is the protocol's own word for it.
    """

    phase: str
    message: str
    source: str
    target: str
    ballot: tuple[int, str] | None
    time_ns: int


@dataclass(frozen=True, slots=True, repr=False)
class Agreement:
    """What agents agreed on, and what it took.

    Attributes
    ----------
    theta : ndarray
        Bit for bit one of the proposals; read-only.
    proposer : str
        Whose it was; of several that proposed the same bits, the first by name.
    ballot : (int, str) or None
        The ballot in which it was chosen: its number and the agent that led it. None when the protocol has none.
    messages : int
        How many were sent, lost ones included.
    rounds : int
        How many ballots were begun, by all agents; 1 unless messages were lost or a proposer crashed.
    trace : tuple of Step
        Every message in the order of sending.

    Examples
    --------
    >>> from fastmas.consensus import agree
    >>> agreement = agree({"risk": [0.5, 1.0], "strategy": [0.4, 1.0]}, seed=7)
    >>> agreement.proposer in ("risk", "strategy"), agreement.theta.shape
    (True, (2,))
    >>> agreement.rounds, agreement.messages, [step.phase for step in agreement.trace]
    (1, 5, ['prepare', 'prepare', 'request', 'response', 'decide'])
    """

    theta: NDArray[Any]
    proposer: str
    ballot: tuple[int, str] | None
    messages: int
    rounds: int
    trace: tuple[Step, ...]

    def __repr__(self) -> str:
        theta = np.array2string(self.theta, separator=", ", threshold=8, edgeitems=2)
        return (
            f"Agreement(theta={theta}, proposer={self.proposer!r}, ballot={self.ballot}, messages={self.messages}, "
            f"rounds={self.rounds})"
        )


def _apart(arrays: Iterable[NDArray[Any]]) -> float | int:
    """How far the proposals lie apart in the component where they differ most."""
    stack = np.stack(list(arrays))
    if stack.size == 0:
        return 0
    low, high = stack.min(axis=0), stack.max(axis=0)
    if stack.dtype.kind in "iu":  # exactly, and without wrapping
        return max(int(b) - int(a) for a, b in zip(low.flat, high.flat, strict=True))
    with np.errstate(invalid="ignore", over="ignore"):
        return float(np.max(np.where(low == high, 0.0, high - low)))


def _as_vector(name: str, proposal: ArrayLike) -> NDArray[Any]:
    """Return the proposal as an array of numbers; a ConfigError says why it is none."""
    if isinstance(proposal, np.ma.MaskedArray):
        raise ConfigError(
            f"proposals have no mask, got a masked array from {name!r}; pass proposal.filled(x), or what is not masked"
        )
    try:
        array = np.asarray(proposal)
    except (TypeError, ValueError) as error:  # ragged, or an __array__ that fails
        raise ConfigError(
            f"a proposal is an array of numbers, got {type(proposal).__name__} from {name!r} that is none "
            f"({error}); pass a list of equally long lists, or an ndarray"
        ) from error
    if array.dtype.kind not in "fiu":
        raise ConfigError(f"proposals must be numbers, got dtype {array.dtype} from {name!r}; pass float64 vectors")
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise ConfigError(f"proposals must not contain NaN, got one from {name!r}; check the agent's iteration")
    return array


def checked_proposals(proposals: Mapping[str, ArrayLike], tolerance: float | None) -> dict[str, NDArray[Any]]:
    """Return the proposals as arrays by name; a ConfigError says why they cannot be agreed on."""
    if not isinstance(proposals, Mapping):
        raise ConfigError(
            f"proposals are a mapping of agent name to vector, got {type(proposals).__name__}; "
            "pass {agent name: vector}"
        )
    if not proposals:
        raise ConfigError("agree needs at least one proposal, got none; pass {agent name: vector}")
    if len(proposals) > 63:
        raise ConfigError(f"agree takes at most 63 proposals, got {len(proposals)}; agree in groups")
    for name in proposals:
        if not isinstance(name, str) or not name:
            raise ConfigError(f"agents have names, got {name!r}; pass {{agent name: vector}}")
    if tolerance is not None and (not isinstance(tolerance, (int, float, np.number)) or not tolerance >= 0):
        raise ConfigError(f"tolerance must be at least 0, got {tolerance!r}; None means no limit")
    names = sorted(proposals)
    arrays = {name: _as_vector(name, proposals[name]) for name in names}
    first = arrays[names[0]]
    for name, array in arrays.items():
        if array.shape != first.shape or array.dtype != first.dtype:
            raise ConfigError(
                f"proposals must agree in shape and dtype, got {first.shape} {first.dtype} from {names[0]!r} "
                f"and {array.shape} {array.dtype} from {name!r}; pass vectors of one shape and dtype"
            )
    if tolerance is not None:
        apart = _apart(arrays.values())
        if not apart <= tolerance:
            raise ConfigError(f"proposals may lie {tolerance} apart, got {apart}; iterate further or raise tolerance")
    return arrays


def synod(
    arrays: Mapping[str, NDArray[Any]], seed: int, loss_ppm: int, duplicate_ppm: int, reorder_ppm: int, crashes: int
) -> Agreement:
    """Let the agents agree by the single-decree synod; see `fastmas.agree`."""
    for name, value in (("seed", seed), ("crashes", crashes)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise ConfigError(f"{name} must be an int, got {value!r}; try {name}=1")
    names = list(arrays)
    outcome = _synod(
        [array.tobytes() for array in arrays.values()],
        int(seed) & (2**64 - 1),
        loss_ppm,
        duplicate_ppm,
        reorder_ppm,
        crashes,
    )
    if isinstance(outcome, str):
        raise NoQuorumError(outcome)
    raw, proposer, (number, leader), messages, rounds, _, trace = outcome
    first = arrays[names[0]]
    return Agreement(
        theta=np.frombuffer(raw, dtype=first.dtype).reshape(first.shape),
        proposer=names[proposer],
        ballot=(number, names[leader]),
        messages=messages,
        rounds=rounds,
        trace=tuple(
            [
                Step(_PHASES[kind], kind, names[source], names[target], (ballot, names[led]), time_ns)
                for kind, source, target, ballot, led, time_ns in trace
            ]
        ),
    )
