"""Worlds run agents: `Simulation` in virtual time, `Live` in real time."""

from fastmas.world.command_text import describe_command
from fastmas.world.faults import Faults
from fastmas.world.live import Live
from fastmas.world.replay import Replay, replay
from fastmas.world.report import Report, StageLatency
from fastmas.world.simulation import Simulation
from fastmas.world.wiring import Wiring, wire

__all__ = [
    "Faults",
    "Live",
    "Replay",
    "Report",
    "Simulation",
    "StageLatency",
    "Wiring",
    "describe_command",
    "replay",
    "wire",
]
