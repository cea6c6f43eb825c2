"""What a run is made of: the main job's own choice, a system file's, and what the command line overrides."""

from __future__ import annotations

import dataclasses
import datetime
import importlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastmas.agent import Agent
from fastmas.errors import ConfigError
from fastmas.replica import Limits

__all__ = ["AgentSpec", "Settings", "read_system"]


@dataclasses.dataclass(frozen=True, slots=True)
class AgentSpec:
    """An agent or strategy by import path, and the arguments it is built with."""

    path: str
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def build(self) -> Any:
        """Import and construct it.

        Raises
        ------
        ConfigError
            A path that leads nowhere, or arguments that its constructor does not take.
        """
        module_name, _, qualified = self.path.partition(":")
        if not qualified:
            raise ConfigError(
                f"an agent's type is 'module:Class', got {self.path!r}; e.g. 'fastmas.strategies:Momentum'"
            )
        try:
            target: Any = importlib.import_module(module_name)
            for part in qualified.split("."):
                target = getattr(target, part)
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"agent {self.path!r} cannot be imported: {error}; is its folder on PYTHONPATH?"
            ) from error
        arguments = dict(self.arguments)
        options = {
            key: arguments.pop(key)
            for key in ("name", "subscribes", "latency_ns")
            if key in arguments and self._is_option(target, key)
        }
        try:
            agent = target(**arguments)
        except TypeError as error:
            raise ConfigError(f"agent {self.path!r} does not take {arguments}: {error}") from error
        for key, value in options.items():
            setattr(agent, key, tuple(value) if key == "subscribes" else value)
        return agent

    @staticmethod
    def _is_option(target: Any, key: str) -> bool:
        """Whether a key is an attribute of every agent rather than an argument of this one's constructor."""
        if not (isinstance(target, type) and issubclass(target, Agent)):
            return False
        code = getattr(target.__init__, "__code__", None)
        return code is None or key not in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


MAIN_JOB: tuple[AgentSpec, ...] = tuple(
    AgentSpec(f"fastmas.strategies:{name}")
    for name in (
        "Returns",
        "Volatility",
        "Breadth",
        "MomentumSignal",
        "ReversionSignal",
        "RiskModel",
        "Blend",
        "AtMarket",
    )
)


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """Everything that decides what a run computes."""

    agents: tuple[AgentSpec, ...] = MAIN_JOB
    data: Path | None = None
    instruments: tuple[str, ...] | None = None
    first: datetime.date | None = None
    last: datetime.date | None = None
    seed: int = 7
    network_seed: int = 0
    replicas: int = 3
    protocol: str = "raft"
    capital: int = 10_000_000
    currency: str = "USD"
    fee_bps: float = 1.0
    slippage_bps: float = 4.0
    volume_cap: float | None = None
    limits: Mapping[str, Any] = dataclasses.field(
        default_factory=lambda: {"max_leverage_bps": 10_000, "max_orders": 100}
    )
    loss: float = 0.0
    crash_leader_at: datetime.date | None = None
    max_rounds: int = 100
    tolerance: float = 1e-9
    damping: float = 0.0

    @property
    def is_main_job(self) -> bool:
        return self.agents is MAIN_JOB

    def override(self, options: Mapping[str, Any]) -> Settings:
        """The same with the command line's choices, where it made any."""
        chosen = {key: value for key, value in options.items() if value is not None}
        return dataclasses.replace(self, **chosen)

    def build_agents(self) -> list[Any]:
        return [spec.build() for spec in self.agents]

    def build_limits(self) -> Limits:
        known = [field.name for field in dataclasses.fields(Limits)]
        unknown = sorted(set(self.limits) - set(known))
        if unknown:
            raise ConfigError(f"limits knows {known}, got {unknown}")
        return Limits(**{"min_cash": 0, **self.limits})


SECTIONS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "world": {"seed": int, "network_seed": int, "replicas": int, "protocol": str, "capital": int, "currency": str},
    "feed": {"data": str, "instruments": list, "from": datetime.date, "to": datetime.date},
    "venue": {"fee_bps": (int, float), "slippage_bps": (int, float), "volume_cap": (int, float)},
    "faults": {"loss": (int, float), "crash_leader_at": datetime.date},
    "parameters": {"max_rounds": int, "tolerance": float, "damping": (int, float)},
}
RENAMED = {"from": "first", "to": "last"}


def read_system(path: Path) -> Settings:
    """Read a system file.

    Parameters
    ----------
    path : path
        TOML with tables `world`, `feed`, `venue`, `limits`, `faults`, `parameters` and a list of `agents`; see
        `docs/system-file.md`.

    Returns
    -------
    Settings

    Raises
    ------
    ConfigError
        Not TOML, an unknown table or key, a value of the wrong type, no agents.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error}") from error
    unknown = sorted(set(document) - set(SECTIONS) - {"agents", "limits"})
    if unknown:
        raise ConfigError(
            f"{path}: a system file has the tables {sorted([*SECTIONS, 'agents', 'limits'])}, got {unknown}"
        )
    values: dict[str, Any] = {}
    for section, keys in SECTIONS.items():
        table = document.get(section, {})
        if not isinstance(table, dict):
            raise ConfigError(f"{path}: {section} must be a table, write [{section}]")
        for key, value in table.items():
            if key not in keys:
                raise ConfigError(f"{path}: [{section}] knows {sorted(keys)}, got {key!r}")
            wanted = keys[key]
            if not isinstance(value, wanted) or isinstance(value, (bool, datetime.datetime)):
                names = " or ".join(kind.__name__ for kind in (wanted if isinstance(wanted, tuple) else (wanted,)))
                raise ConfigError(f"{path}: {section}.{key} must be {names}, got {value!r}")
            values[RENAMED.get(key) or key] = value
    if "data" in values:
        values["data"] = (path.parent / values["data"]).resolve()
    if "instruments" in values:
        values["instruments"] = tuple(values["instruments"])
    values["limits"] = document.get("limits", {})
    values["agents"] = _agents(path, document.get("agents"))
    return Settings(**values)


def _agents(path: Path, tables: Any) -> tuple[AgentSpec, ...]:
    if not isinstance(tables, list) or not tables:
        raise ConfigError(f'{path}: a system file lists its agents: [[agents]] with type = "module:Class" for each')
    specs = []
    for number, table in enumerate(tables, 1):
        if not isinstance(table, dict) or not isinstance(table.get("type"), str):
            raise ConfigError(f'{path}: agent {number} has no type; write type = "module:Class"')
        specs.append(AgentSpec(table["type"], {key: value for key, value in table.items() if key != "type"}))
    return tuple(specs)
