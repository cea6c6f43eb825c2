"""docs/add-an-agent.md ends with the commonest mistakes: each is made here, and must say what stands there."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fastmas as fm
from fastmas.errors import AgentError, FastmasError

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "add-an-agent.md"


def f(signal: Any, ctx: Any) -> Any:
    return None


class Close(fm.Perception):
    def perceive(self, bar: Any, ctx: Any) -> Any:
        return fm.Observation(bar.instrument, ctx.now_ns, {"close": float(bar.close)})


class Reversal(fm.Reasoning):
    def __init__(self, answer: Callable[[Any], Any] = lambda ctx: None) -> None:
        self.answer = answer

    def reason(self, observation: Any, ctx: Any) -> Any:
        return self.answer(ctx)


class Ahead(fm.Decision):
    def decide(self, signal: Any, ctx: Any) -> Any:
        return fm.Intent(ctx.now_ns + 1, {signal.instrument: 1})


def fail(ctx: Any) -> Any:
    raise ZeroDivisionError("nothing to divide by")


REST: list[Any] = [fm.decision(f), fm.AtMarket()]


def said(agents: list[Any]) -> tuple[FastmasError, str]:
    bars = fm.Bars.sample(["AAPL"]).window("2020-01-01", "2020-01-15")
    world = fm.Simulation(feed=bars, venue=fm.BarVenue(bars.instruments), capital=100_000)
    with pytest.raises(FastmasError) as caught:
        world.run(agents)
    return caught.value, str(caught.value)


def documented(start: str) -> str:
    """The whole text of the table's entry that contains `start`, as a pattern: "…" stands for anything."""
    texts = re.findall(r"\| `([^`]+)`", DOCUMENT.read_text(encoding="utf-8").partition("## Commonest mistakes")[2])
    (text,) = [text for text in texts if start in text]
    return ".*".join(re.escape(part) for part in text.split("…"))


@pytest.mark.parametrize(
    ("agents", "start"),
    [
        ([Close(), Reversal, *REST], "got the class"),
        ([Close(), Reversal(), f, fm.AtMarket()], "got the function"),
        ([Close(), Reversal(), Reversal(), *REST], "agent names must differ"),
        ([Close(), Reversal(), fm.AtMarket()], "at least one agent of each stage"),
        ([Close(), Reversal(lambda ctx: 0.5), *REST], "returned 0.5"),
        ([Close(), Reversal(fail), *REST], "failed at"),
        ([Close(), Reversal(lambda ctx: fm.Wakeup(ctx.now_ns + 1)), *REST], "returned a Wakeup"),
        ([Close(), Reversal(lambda ctx: fm.Signal(1, ctx.now_ns, 1.0)), Ahead(), fm.AtMarket()], "dated in the future"),
    ],
)
def test_a_mistake_says_what_the_document_says(agents: list[Any], start: str) -> None:
    error, text = said(agents)
    assert re.search(documented(start), text), text
    if start == "failed at":
        assert isinstance(error, AgentError) and isinstance(error.__cause__, ZeroDivisionError)


def test_every_entry_of_the_table_is_made_here() -> None:
    table = DOCUMENT.read_text(encoding="utf-8").partition("## Commonest mistakes")[2]
    messages = re.findall(r"^\| [^|]+ \| `([^`]+)`", table, flags=re.M)
    assert len(messages) == 8
