"""Decision parameters theta and the point where agents stop changing theirs in answer to one another's.

theta_1 = f1(D); theta_2 = f2(theta_1, theta_3); theta_3 = f3(theta_1, theta_2): each agent's vector is a function of
the others'. `fixed_point` iterates all of them at once (Jacobi: no agent is first) with damping, for a bounded number
of rounds, and says which agents are to blame when it does not settle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmas.errors import ConfigError, FixedPointError

__all__ = ["FixedPoint", "check_iteration", "fixed_point"]

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """Where the iteration came to rest.

    Attributes
    ----------
    parameters : dict of str to float64 vector
        One vector an agent, read-only.
    rounds : int
        Rounds until every agent moved by no more than the tolerance.
    residual : float
        The largest move of the last round, in units of max(1, |theta|).
    residuals : tuple of float
        The same, each round.
    """

    parameters: dict[str, Vector]
    rounds: int
    residual: float
    residuals: tuple[float, ...]


def _as_vector(value: Any, name: str, length: int | None) -> Vector:
    vector = np.array(value, dtype=np.float64, ndmin=1)
    if vector.ndim != 1 or (length is not None and len(vector) != length):
        shape = f"({length if length is not None else 'n'},)"
        raise ConfigError(f"agent {name!r} must give a parameter vector of shape {shape}, got shape {vector.shape}")
    return vector


def check_iteration(max_rounds: int, tolerance: float, damping: float) -> None:
    """Refuse options of the iteration that cannot work; a world does so before it starts."""
    if not 0.0 <= damping < 1.0:
        raise ConfigError(
            f"damping must be in [0, 1), got {damping!r}; 0 takes each answer as it is, 0.5 halves every step"
        )
    if max_rounds < 1:
        raise ConfigError(f"max_rounds must be at least 1, got {max_rounds!r}")
    if not tolerance > 0.0:
        raise ConfigError(f"tolerance must be positive, got {tolerance!r}; try 1e-9")


def fixed_point(
    functions: Mapping[str, Callable[[Mapping[str, Vector]], Any]],
    initial: Mapping[str, Any],
    *,
    max_rounds: int = 100,
    tolerance: float = 1e-9,
    damping: float = 0.0,
) -> FixedPoint:
    """Iterate theta_i = f_i(thetas) for all agents at once until none moves.

    Parameters
    ----------
    functions : mapping of agent name to callable
        `f(thetas) -> vector`; gets all vectors of the round, returns its agent's next one.
    initial : mapping of agent name to array_like
        Where to start; the same names as `functions`.
    max_rounds : int, default 100
        Rounds before it gives up.
    tolerance : float, default 1e-9
        The largest move, relative to max(1, |theta|), that counts as rest.
    damping : float in [0, 1), default 0
        Share of the old vector kept each round: 0 takes f's answer as it is, 0.5 halves every step.

    Returns
    -------
    FixedPoint

    Raises
    ------
    ConfigError
        Names that differ, shapes that change, numbers out of range.
    FixedPointError
        A vector that is not finite, or no rest within `max_rounds`; names the agents that still move.

    Examples
    --------
    >>> import fastmas as fm
    >>> functions = {"risk": lambda t: 0.5 * t["size"], "size": lambda t: 1.0 - t["risk"]}
    >>> point = fm.fixed_point(functions, {"risk": 0.0, "size": 0.0}, damping=0.3)
    >>> [round(float(point.parameters[name][0]), 6) for name in ("risk", "size")]
    [0.333333, 0.666667]
    """
    if not functions or set(functions) != set(initial):
        raise ConfigError(
            "functions and initial must name the same agents, at least one, "
            f"got {sorted(functions)} and {sorted(initial)}"
        )
    check_iteration(max_rounds, tolerance, damping)
    names = sorted(functions)
    thetas = {name: _as_vector(initial[name], name, None) for name in names}
    residuals: list[float] = []
    for round_ in range(1, max_rounds + 1):
        for vector in thetas.values():
            vector.flags.writeable = False
        following: dict[str, Vector] = {}
        moves: dict[str, float] = {}
        for name in names:
            answer = _as_vector(functions[name](dict(thetas)), name, len(thetas[name]))
            answer = damping * thetas[name] + (1.0 - damping) * answer if damping else answer
            if not np.all(np.isfinite(answer)):
                raise FixedPointError(
                    f"the parameter iteration diverged in round {round_}: agent {name!r} gave {answer.tolist()}; "
                    "bound its function, or raise damping"
                )
            scale = np.maximum(1.0, np.abs(answer))
            moves[name] = float(np.max(np.abs(answer - thetas[name]) / scale, initial=0.0))
            following[name] = answer
        thetas = following
        residuals.append(max(moves.values()))
        if residuals[-1] <= tolerance:
            for vector in thetas.values():
                vector.flags.writeable = False
            return FixedPoint(thetas, round_, residuals[-1], tuple(residuals))
    restless = ", ".join(f"{name!r} by {move:.3g}" for name, move in sorted(moves.items()) if move > tolerance)
    raise FixedPointError(
        f"the parameter iteration did not settle in {max_rounds} rounds (tolerance {tolerance:g}): "
        f"still moving: {restless}; raise damping (now {damping:g}) or max_rounds"
    )
