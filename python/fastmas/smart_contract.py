"""A contract among agents: it executes only what all of them have agreed on.

Each agent is a replica of a small state machine in a consensus cluster. `sync` agrees on one of the agents' views of
the contract's terms, bit for bit; `execute` commits the execution before any agent acts on it, so no agent acts
alone and none acts twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from fastmas.consensus import Cluster
from fastmas.errors import ConfigError, NotSyncedError

__all__ = ["AgentState", "ContractAgent", "SmartContract"]


class AgentState(StrEnum):
    """Where an agent of a contract stands."""

    IDLE = "idle"
    ACTIVE = "active"
    SYNCED = "synced"
    INACTIVE = "inactive"


class _Terms:
    """What the agents agree on: the first terms committed in an epoch, and how often they were executed."""

    def __init__(self) -> None:
        self.epoch = 0
        self.terms = b""
        self.executions = 0

    def apply(self, entry: Any) -> bytes:
        message = json.loads(entry.command)
        if message["kind"] == "terms":
            if message["epoch"] == self.epoch + 1:
                self.epoch += 1
                self.terms = message["terms"].encode()
        else:
            self.executions += 1
        return self.digest()

    def digest(self) -> bytes:
        return f"{self.epoch} {self.executions} ".encode() + self.terms

    def snapshot(self) -> bytes:
        return json.dumps([self.epoch, self.executions, self.terms.decode()]).encode()

    def restore(self, data: bytes) -> None:
        self.epoch, self.executions, terms = json.loads(data)
        self.terms = terms.encode()


class ContractAgent:
    """One party to a `SmartContract`.

    Attributes
    ----------
    number : int
        From 0.
    state : AgentState
        idle, active, synced or inactive.
    terms : dict
        The agent's own view of the contract's terms; after a sync the same at every agent.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.state = AgentState.IDLE
        self.terms: dict[str, Any] = {}

    def act(self) -> None:
        """Carry out the contract's action; override or replace to do more than say so."""
        print(f"Agent {self.number} executing action.")

    def __repr__(self) -> str:
        return f"<ContractAgent {self.number} {self.state}>"


class SmartContract:
    """A contract of `n_agents` agents that agree by consensus before any of them acts.

    Parameters
    ----------
    contract_id : str
    n_agents : int
        At least 1; more than half of them must be up to agree.
    terms : mapping or None
        What the contract says, JSON-serialisable; every agent starts from it.
    protocol : str, default "raft"
    seed : int, default 0
        Of the simulated network among the agents.

    Attributes
    ----------
    cluster : Cluster
        The replicas, one an agent, in the same order; crash, restart and partition them here.

    Raises
    ------
    ConfigError
        An empty id, fewer than one agent, terms that JSON cannot hold.
    NotSyncedError
        `execute` before `sync`, `sync` before `start`.

    Examples
    --------
    >>> import fastmas as fm
    >>> contract = fm.SmartContract("ABC123", 3)
    >>> contract.start()
    >>> contract.sync()
    >>> contract.execute()
    Agent 0 executing action.
    Agent 1 executing action.
    Agent 2 executing action.
    >>> contract.stop()
    >>> [str(agent.state) for agent in contract.agents]
    ['inactive', 'inactive', 'inactive']
    """

    def __init__(
        self,
        contract_id: str,
        n_agents: int,
        *,
        terms: Mapping[str, Any] | None = None,
        protocol: str = "raft",
        seed: int = 0,
    ) -> None:
        if not isinstance(contract_id, str) or not contract_id:
            raise ConfigError(f"contract_id must be a non-empty text, got {contract_id!r}; e.g. 'ABC123'")
        if not isinstance(n_agents, int) or isinstance(n_agents, bool) or n_agents < 1:
            raise ConfigError(f"a contract needs at least one agent, got n_agents={n_agents!r}")
        self.contract_id = contract_id
        self.cluster = Cluster(_Terms, nodes=n_agents, protocol=protocol, seed=seed)
        self.agents = tuple(ContractAgent(number) for number in range(n_agents))
        start = self._encode(terms or {})
        for agent in self.agents:
            agent.terms = json.loads(start)

    @property
    def executions(self) -> int:
        """How often the agreed terms have been executed."""
        return int(self._machine().executions)

    def start(self) -> None:
        """Bring every agent up: idle or inactive → active."""
        for agent in self.agents:
            if agent.state in (AgentState.IDLE, AgentState.INACTIVE):
                agent.state = AgentState.ACTIVE

    def sync(self) -> None:
        """Agree on the terms of one of the agents, bit for bit; every agent adopts them: active → synced.

        An agent whose node is down adopts nothing and stays active; sync again when it is back.
        """
        idle = [agent for agent in self.agents if agent.state in (AgentState.IDLE, AgentState.INACTIVE)]
        if idle:
            raise NotSyncedError(
                f"contract {self.contract_id!r} cannot sync: agent {idle[0].number} is {idle[0].state}; call "
                "start() first"
            )
        epoch = self._machine().epoch + 1
        for agent, _ in self._up():
            proposal = {"kind": "terms", "epoch": epoch, "agent": agent.number, "terms": self._encode(agent.terms)}
            self.cluster.propose(json.dumps(proposal, sort_keys=True).encode())
        self.cluster.settle()
        for agent, node in self._up():
            agent.terms = json.loads(self.cluster.machine(node).terms)
            agent.state = AgentState.SYNCED

    def execute(self) -> None:
        """Commit one execution of the agreed terms, then let every agent act on it whose node is up."""
        for agent in self.agents:
            if agent.state is not AgentState.SYNCED:
                raise NotSyncedError(
                    f"contract {self.contract_id!r} cannot execute: agent {agent.number} is {agent.state}, not synced; "
                    "call start() and sync() first"
                )
        self.cluster.propose(b'{"kind": "execute"}')
        for agent, _ in self._up():
            agent.act()

    def stop(self) -> None:
        """Take every agent out: → inactive. Starting again needs a new sync."""
        for agent in self.agents:
            agent.state = AgentState.INACTIVE

    def _machine(self) -> Any:
        if self.cluster.leader is None:  # it crashed; another one is elected as time passes
            self.cluster.settle()
        return self.cluster.machine(self.cluster.leader or self.cluster.nodes[0])

    def _up(self) -> list[tuple[ContractAgent, int]]:
        pairs = zip(self.agents, self.cluster.nodes, strict=True)
        return [(agent, node) for agent, node in pairs if self.cluster.is_up(node)]

    def _encode(self, terms: Mapping[str, Any]) -> str:
        try:
            return json.dumps(dict(terms), sort_keys=True, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"terms of contract {self.contract_id!r} must be what JSON can hold: {error}") from None
