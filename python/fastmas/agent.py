"""Agents: four stages, each a plain object that *returns* messages and never sends.

A stage method takes one message and a context and returns a message, an iterable of messages, or None::

    Perception.perceive(record, ctx)       -> Observation
    Reasoning.reason(observation, ctx)     -> Signal | Observation
    Decision.decide(signal, ctx)           -> Intent
    Action.act(committed, ctx)             -> Order | Cancel | Replace     (runs on every replica, integers only)

so a unit test of an agent is a plain call, and the same object runs in a simulation and live. Any stage may also return
`Wakeup(at_ns)`, and may define `on_wakeup(ctx)` and `on_report(report, ctx)`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from fastmas.errors import ConfigError

__all__ = [
    "UNIVERSE",
    "Action",
    "Agent",
    "Context",
    "Decision",
    "Perception",
    "Reasoning",
    "action",
    "decision",
    "perception",
    "reasoning",
]

UNIVERSE = 0xFFFF_FFFF
"""The `instrument` of an observation that is about all instruments at once."""


class Context(Protocol):
    """The whole outside of an agent above the consensus line. Frozen; calling it has no effect on the world."""

    @property
    def now_ns(self) -> int:
        """Time of the message being handled, in ns since 1970 UTC; never the wall clock."""

    @property
    def rng(self) -> np.random.Generator:
        """The agent's own random stream, derived from (seed, agent name)."""

    @property
    def parameters(self) -> Mapping[str, NDArray[np.float64]]:
        """Every agent's parameters as the log last fixed them, by agent name."""

    @property
    def cash(self) -> int:
        """Cash as last committed, in millionths of the currency unit."""

    @property
    def equity(self) -> int:
        """Cash plus holdings at their last committed marks, in millionths of the currency unit."""

    def position(self, instrument: int) -> int:
        """Lots held of an instrument, orders in flight included, as last committed."""

    def holding(self, instrument: int) -> int:
        """Lots held of an instrument, without orders in flight, as last committed."""


class Agent:
    """What the four stages have in common. Derive from a stage, not from this.

    Attributes
    ----------
    name : str
        Unique among the agents of a world; by default the class name in snake_case. Random streams depend on it.
    join : bool
        When True the stage method gets one list a time slice: all messages that descend from the same instant of the
        feed, ordered by agent, once nothing upstream is still in flight.
    subscribes : tuple of str or None
        Names of the agents to listen to; None means every agent of the stage before (and of the same stage never).
    latency_ns : int or a latency model
        How long after its input the agent's output leaves, in virtual time.
    initial_parameters : array_like of float or None
        The agent's parameter vector before the first review; None means it has none.
    parameter_names : tuple of str
        What its entries are called in reports; empty means that they are numbered.

    Examples
    --------
    >>> from fastmas.agent import Reasoning
    >>> class MeanReversion(Reasoning):
    ...     latency_ns = 1_000
    >>> MeanReversion().name, MeanReversion().stage, MeanReversion().latency_ns
    ('mean_reversion', 'Reasoning', 1000)
    """

    join: bool = False
    subscribes: tuple[str, ...] | None = None
    latency_ns: Any = 0
    initial_parameters: Any = None
    parameter_names: tuple[str, ...] = ()
    stage: ClassVar[str] = ""
    method: ClassVar[str] = ""
    _name: str | None = None

    @property
    def name(self) -> str:
        if self._name is not None:
            return self._name
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", type(self).__name__).lower().strip("_")

    @name.setter
    def name(self, name: str) -> None:
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.\-]{0,62}", name):
            raise ConfigError(
                "an agent's name must be a letter followed by at most 62 letters, digits, '_', '.' or '-', "
                f"got {name!r}"
            )
        self._name = name

    def update_parameters(self, parameters: Mapping[str, NDArray[np.float64]], ctx: Context) -> NDArray[np.float64]:
        """theta_i = f_i(theta of the others): called round after round until no agent's vector moves.

        Parameters
        ----------
        parameters : mapping of agent name to float64 vector
            The vectors of this round.
        ctx : Context

        Returns
        -------
        ndarray of float64
            The agent's next vector, of the same length. The default keeps what it has.
        """
        return parameters[self.name]


class Perception(Agent):
    """Gathers and cleans market data: define `perceive(record, ctx)`, or `perceive_many(records, ctx)` for slices.

    Examples
    --------
    >>> from fastmas.agent import Perception
    >>> from fastmas.messages import Observation, Quote
    >>> class Mid(Perception):
    ...     def perceive(self, quote, ctx):
    ...         return Observation(quote.instrument, quote.ts_ns, {"mid": (quote.bid + quote.ask) / 2})
    >>> Mid().perceive(Quote(ts_ns=1, instrument=7, bid=99, ask=101), None)["mid"]
    100.0
    """

    stage = "Perception"
    method = "perceive"

    def perceive(self, record: Any, ctx: Context) -> Any:
        name = type(self).__name__
        raise ConfigError(f"{name} defines neither perceive(record, ctx) nor perceive_many(records, ctx)")


class Reasoning(Agent):
    """Builds risk models and strategy signals out of observations.

    Examples
    --------
    >>> from fastmas.agent import Reasoning
    >>> from fastmas.messages import Observation, Signal
    >>> class AboveHundred(Reasoning):
    ...     def reason(self, observation, ctx):
    ...         return Signal(observation.instrument, observation.ts_ns, 1.0 if observation["mid"] > 100 else -1.0)
    >>> AboveHundred().reason(Observation(7, 1, {"mid": 101.0}), None).score
    1.0
    """

    stage = "Reasoning"
    method = "reason"

    def reason(self, observation: Any, ctx: Context) -> Any:
        raise ConfigError(f"{type(self).__name__} does not define reason(observation, ctx)")


class Decision(Agent):
    """Combines signals into one intent: target holdings in lots.

    Examples
    --------
    >>> from fastmas.agent import Decision
    >>> from fastmas.messages import Intent, Signal
    >>> class OneLot(Decision):
    ...     def decide(self, signal, ctx):
    ...         return Intent(signal.ts_ns, {signal.instrument: 1 if signal.score > 0 else 0})
    >>> dict(OneLot().decide(Signal(7, 1, 0.5), None).targets)
    {7: 1}
    """

    stage = "Decision"
    method = "decide"

    def decide(self, signal: Any, ctx: Context) -> Any:
        raise ConfigError(f"{type(self).__name__} does not define decide(signal, ctx)")


class Action(Agent):
    """Turns what was committed into orders. Runs on every replica, on integers, without random numbers.

    Examples
    --------
    >>> from fastmas.agent import Action
    >>> from fastmas.messages import BUY, SELL, Committed, Intent, Order
    >>> class Flatten(Action):
    ...     def act(self, committed, ctx):
    ...         held = {i: ctx.holding(i) for i in committed.intent.targets}
    ...         return [Order(i, SELL if lots > 0 else BUY, abs(lots)) for i, lots in held.items() if lots]
    >>> class Books:
    ...     def holding(self, instrument):
    ...         return 5
    >>> Flatten().act(Committed(1, 10, Intent(10, {7: 0})), Books())[0].quantity
    5
    """

    stage = "Action"
    method = "act"

    def act(self, committed: Any, ctx: Any) -> Any:
        raise ConfigError(f"{type(self).__name__} does not define act(committed, ctx)")


def _from_function(base: type[Agent], function: Callable[[Any, Any], Any], options: dict[str, Any]) -> Any:
    if not callable(function):
        raise ConfigError(f"fm.{base.stage.lower()} takes a function of (message, ctx), got {function!r}")
    unknown = set(options) - {"name", "join", "subscribes", "latency_ns", "initial_parameters"}
    if unknown:
        raise ConfigError(
            f"fm.{base.stage.lower()} knows name, join, subscribes, latency_ns and initial_parameters, "
            f"got {sorted(unknown)}"
        )
    agent = base()
    default = getattr(function, "__name__", "").strip("<>_") or base.stage.lower()
    agent.name = options.pop("name", default)
    for option, value in options.items():
        setattr(agent, option, value)
    setattr(agent, base.method, function)
    return agent


def perception(function: Callable[[Any, Context], Any], **options: Any) -> Perception:
    """Make a perception agent of a function `(record, ctx) -> Observation`.

    Parameters
    ----------
    function : callable
    **options
        `name`, `join`, `subscribes`, `latency_ns`, `initial_parameters` as in `Agent`.

    Examples
    --------
    >>> import fastmas as fm
    >>> mid = fm.perception(lambda quote, ctx: (quote.bid + quote.ask) / 2, name="mid")
    >>> mid.perceive(fm.Quote(ts_ns=1, instrument=7, bid=99, ask=101), None)
    100.0
    """
    return _from_function(Perception, function, options)  # type: ignore[no-any-return]


def reasoning(function: Callable[[Any, Context], Any], **options: Any) -> Reasoning:
    """Make a reasoning agent of a function `(observation, ctx) -> Signal`.

    Parameters
    ----------
    function : callable
    **options
        As in `perception`.

    Examples
    --------
    >>> import fastmas as fm
    >>> def distance(seen, ctx):
    ...     return fm.Signal(seen.instrument, seen.ts_ns, seen["mid"] - 100)
    >>> agent = fm.reasoning(distance)
    >>> agent.reason(fm.Observation(7, 1, {"mid": 101.0}), None).score
    1.0
    """
    return _from_function(Reasoning, function, options)  # type: ignore[no-any-return]


def decision(function: Callable[[Any, Context], Any], **options: Any) -> Decision:
    """Make a decision agent of a function `(signal, ctx) -> Intent`.

    Parameters
    ----------
    function : callable
    **options
        As in `perception`.

    Examples
    --------
    >>> import fastmas as fm
    >>> agent = fm.decision(lambda signal, ctx: fm.Intent(signal.ts_ns, {signal.instrument: 1}), name="one_lot")
    >>> agent.name, agent.decide(fm.Signal(7, 1, 0.5), None).targets[7]
    ('one_lot', 1)
    """
    return _from_function(Decision, function, options)  # type: ignore[no-any-return]


def action(function: Callable[[Any, Any], Any], **options: Any) -> Action:
    """Make an action agent of a function `(committed, ctx) -> Order | Cancel | Replace`.

    Parameters
    ----------
    function : callable
    **options
        As in `perception`.

    Examples
    --------
    >>> import fastmas as fm
    >>> def buyer(committed, ctx):
    ...     return [fm.Order(i, fm.BUY, lots) for i, lots in committed.intent.targets.items()]
    >>> agent = fm.action(buyer)
    >>> agent.act(fm.Committed(1, 10, fm.Intent(10, {7: 3})), None)[0].quantity
    3
    """
    return _from_function(Action, function, options)  # type: ignore[no-any-return]
