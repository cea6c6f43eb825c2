"""fastmas: multi-agent financial systems in Python on a C++ core.

Agents are plain objects that return messages; they agree by consensus and act on markets and contracts; the same agents
run in a deterministic simulation and live; every decision can be traced and replayed.
"""

from fastmas import audit, consensus, market, risk, strategies, testing
from fastmas.agent import (
    UNIVERSE,
    Action,
    Agent,
    Decision,
    Perception,
    Reasoning,
    action,
    decision,
    perception,
    reasoning,
)
from fastmas.consensus import Agreement, Cluster, agree
from fastmas.errors import ConfigError, FastmasError
from fastmas.market.bars import Bars
from fastmas.market.venue import BarVenue
from fastmas.messages import (
    BUY,
    SELL,
    Bar,
    Cancel,
    Committed,
    Fill,
    Intent,
    Observation,
    Order,
    OrderUpdate,
    Quote,
    Replace,
    Review,
    Signal,
    Trade,
    Wakeup,
)
from fastmas.parameters import fixed_point
from fastmas.records import Length, Record, bool_, f32, f64, i8, i16, i32, i64, u8, u16, u32, u64
from fastmas.replica import AtMarket, Limits
from fastmas.ring import BroadcastRing, ByteRing, MpmcRing, MpscRing, SpscRing
from fastmas.smart_contract import SmartContract
from fastmas.world import Faults, Live, Report, Simulation, replay

__all__ = [
    "BUY",
    "SELL",
    "UNIVERSE",
    "Action",
    "Agent",
    "Agreement",
    "AtMarket",
    "Bar",
    "BarVenue",
    "Bars",
    "BroadcastRing",
    "ByteRing",
    "Cancel",
    "Cluster",
    "Committed",
    "ConfigError",
    "Decision",
    "FastmasError",
    "Faults",
    "Fill",
    "Intent",
    "Length",
    "Limits",
    "Live",
    "MpmcRing",
    "MpscRing",
    "Observation",
    "Order",
    "OrderUpdate",
    "Perception",
    "Quote",
    "Reasoning",
    "Record",
    "Replace",
    "Report",
    "Review",
    "Signal",
    "Simulation",
    "SmartContract",
    "SpscRing",
    "Trade",
    "Wakeup",
    "action",
    "agree",
    "audit",
    "bool_",
    "consensus",
    "decision",
    "f32",
    "f64",
    "fixed_point",
    "i8",
    "i16",
    "i32",
    "i64",
    "market",
    "perception",
    "reasoning",
    "replay",
    "risk",
    "strategies",
    "testing",
    "u8",
    "u16",
    "u32",
    "u64",
]
