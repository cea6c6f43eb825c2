"""What every replica runs below the consensus line: integers only, driven by the log alone.

`TradingState` is the state machine; `commands` makes what the log carries and reads what comes back.
"""

from __future__ import annotations

from fastmas.replica import commands
from fastmas.replica.actions import ActionContext, AtMarket
from fastmas.replica.commands import InstrumentTerms
from fastmas.replica.limits import Limits
from fastmas.replica.reply import Reply, decode_reply
from fastmas.replica.state import TradingState

__all__ = [
    "ActionContext",
    "AtMarket",
    "InstrumentTerms",
    "Limits",
    "Reply",
    "TradingState",
    "commands",
    "decode_reply",
]
