"""Which agent listens to which: checked before the first event, with errors that name what is missing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fastmas.agent import Action, Agent, Decision, Perception, Reasoning
from fastmas.errors import WiringError

__all__ = ["Wiring", "wire"]

STAGES: tuple[type[Agent], ...] = (Perception, Reasoning, Decision, Action)
FEED = "feed"


@dataclass(frozen=True, slots=True)
class Wiring:
    """The agents of a world by stage, in order of name, and the names each one listens to."""

    perception: tuple[Any, ...]
    reasoning: tuple[Any, ...]
    decision: tuple[Any, ...]
    action: tuple[Any, ...]
    sources: dict[str, tuple[str, ...]]

    @property
    def above_the_line(self) -> tuple[Any, ...]:
        return self.perception + self.reasoning + self.decision

    @property
    def agents(self) -> tuple[Any, ...]:
        return self.above_the_line + self.action


def _flatten(agents: Any) -> list[Agent]:
    if isinstance(agents, Agent):
        return [agents]
    ready_made = getattr(agents, "agents", None)
    if callable(ready_made) and not isinstance(agents, type):
        return _flatten(ready_made())
    if isinstance(agents, type) and issubclass(agents, Agent):
        raise WiringError(f"a world takes agents, got the class {agents.__name__}; pass {agents.__name__}()")
    if isinstance(agents, Iterable) and not isinstance(agents, (str, bytes)):
        return [agent for item in agents for agent in _flatten(item)]
    if callable(agents):
        name = getattr(agents, "__name__", "function")
        raise WiringError(f"a world takes agents, got the function {name}; say its stage, e.g. fm.decision({name})")
    raise WiringError(f"a world takes agents, got {agents!r}; derive from fm.Perception, Reasoning, Decision or Action")


def _stage_index(agent: Agent) -> int:
    for index, stage in enumerate(STAGES):
        if isinstance(agent, stage):
            return index
    raise WiringError(
        f"agent {agent.name!r} has no stage; derive {type(agent).__name__} from fm.Perception, Reasoning, "
        "Decision or Action"
    )


def wire(agents: Any) -> Wiring:
    """Sort agents into stages and connect them.

    Parameters
    ----------
    agents : agent, strategy or (nested) iterable of those

    Returns
    -------
    Wiring

    Raises
    ------
    WiringError
        A stage without agents, two agents of one name, a subscription to an agent that is not there or not upstream.
    """
    flat = _flatten(agents)
    by_name: dict[str, Agent] = {}
    for agent in flat:
        if agent.name in by_name:
            raise WiringError(
                f"agent names must differ, got {agent.name!r} twice; set .name on one of them (random streams "
                "depend on it)"
            )
        if agent.name == FEED:
            raise WiringError("an agent cannot be named 'feed', which is the market data's own name; set .name")
        by_name[agent.name] = agent
    stages: list[list[Agent]] = [[], [], [], []]
    for agent in flat:
        stages[_stage_index(agent)].append(agent)
    for stage, members in zip(STAGES, stages, strict=True):
        if not members:
            kind = stage.__name__
            raise WiringError(
                f"a world needs at least one agent of each stage; {kind} is missing: "
                f"add a subclass of fm.{kind}, or fm.{kind.lower()}(function)"
            )
        members.sort(key=lambda agent: agent.name)
    sources: dict[str, tuple[str, ...]] = {}
    for index, members in enumerate(stages):
        upstream = {agent.name for group in stages[:index] for agent in group}
        before = [FEED] if index == 0 else [agent.name for agent in stages[index - 1]]
        for agent in members:
            sources[agent.name] = _sources(agent, before, upstream, by_name)
    perception, reasoning, decision, action = (tuple(members) for members in stages)
    return Wiring(perception, reasoning, decision, action, sources)


def _sources(agent: Agent, before: list[str], upstream: set[str], by_name: dict[str, Agent]) -> tuple[str, ...]:
    if agent.subscribes is None:
        return tuple(before)
    if isinstance(agent.subscribes, str):
        raise WiringError(f"subscribes of agent {agent.name!r} must be a tuple of names, got {agent.subscribes!r}")
    names = tuple(dict.fromkeys(agent.subscribes))
    for name in names:
        if name == FEED and isinstance(agent, Perception):
            continue
        if name not in by_name:
            raise WiringError(
                f"agent {agent.name!r} subscribes to {name!r}, which is not in this world; there are {sorted(by_name)}"
            )
        if name not in upstream:
            raise WiringError(
                f"agent {agent.name!r} ({agent.stage}) subscribes to {name!r} ({by_name[name].stage}), which is "
                "not upstream; "
                "messages flow Perception, Reasoning, Decision, Action"
            )
    if not names:
        raise WiringError(
            f"agent {agent.name!r} subscribes to nothing; leave subscribes at None to hear the stage before"
        )
    return names
