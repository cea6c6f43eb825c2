"""Agents and systems to start from: the main job's eight agents, and ready-made systems."""

from fastmas.replica import AtMarket
from fastmas.strategies.blend import Blend
from fastmas.strategies.perceive import Breadth, Returns, Volatility
from fastmas.strategies.ready_made import Momentum
from fastmas.strategies.risk_model import RiskModel
from fastmas.strategies.signals import MOMENTUM, REVERSION, MomentumSignal, ReversionSignal

__all__ = [
    "MOMENTUM",
    "REVERSION",
    "AtMarket",
    "Blend",
    "Breadth",
    "Momentum",
    "MomentumSignal",
    "Returns",
    "ReversionSignal",
    "RiskModel",
    "Volatility",
]
