"""Wiring: agents of four stages find one another, or an error says which one is missing."""

from __future__ import annotations

import re

import pytest

import fastmas as fm
from fastmas.errors import WiringError
from fastmas.world import wire


def look(record, ctx):
    return None


def four():
    return [
        fm.perception(look, name="eye"),
        fm.reasoning(look, name="mind"),
        fm.decision(look, name="will"),
        fm.action(look, name="hand"),
    ]


def test_each_stage_listens_to_the_one_before():
    wiring = wire(four())
    assert wiring.sources == {"eye": ("feed",), "mind": ("eye",), "will": ("mind",), "hand": ("will",)}
    assert [agent.name for agent in wiring.agents] == ["eye", "mind", "will", "hand"]


def test_order_of_the_list_and_nesting_do_not_matter():
    eye, mind, will, hand = four()
    other = fm.perception(look, name="another_eye")
    first = wire([eye, other, mind, will, hand])
    second = wire([hand, [will, (mind, other)], eye])
    assert first.sources == second.sources
    assert first.sources["mind"] == ("another_eye", "eye")
    assert [a.name for a in first.perception] == [a.name for a in second.perception] == ["another_eye", "eye"]


@pytest.mark.parametrize(("missing", "kind"), [(0, "Perception"), (1, "Reasoning"), (2, "Decision"), (3, "Action")])
def test_a_missing_stage_is_named(missing, kind):
    agents = four()
    del agents[missing]
    text = (
        f"a world needs at least one agent of each stage; {kind} is missing: "
        f"add a subclass of fm.{kind}, or fm.{kind.lower()}(function)"
    )
    with pytest.raises(WiringError, match=re.escape(text)):
        wire(agents)


def test_two_agents_of_one_name():
    with pytest.raises(WiringError, match="agent names must differ, got 'eye' twice"):
        wire([*four(), fm.perception(look, name="eye")])


def test_the_feed_keeps_its_name():
    agents = four()
    agents[0].name = "feed"
    with pytest.raises(WiringError, match="an agent cannot be named 'feed'"):
        wire(agents)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (fm.Decision, r"got the class Decision; pass Decision\(\)"),
        (look, r"got the function look; say its stage, e\.g\. fm\.decision\(look\)"),
        (7, "a world takes agents, got 7; derive from fm.Perception"),
        (fm.Agent(), "agent 'agent' has no stage; derive Agent from fm.Perception"),
    ],
)
def test_what_is_no_agent_is_refused(wrong, text):
    with pytest.raises(WiringError, match=text):
        wire([*four(), wrong])


def test_subscriptions_go_upstream_to_agents_that_are_there():
    agents = four()
    agents[2].subscribes = ("eye", "mind", "eye")
    assert wire(agents).sources["will"] == ("eye", "mind")
    agents[2].subscribes = ("ear",)
    with pytest.raises(WiringError, match=r"'will' subscribes to 'ear', which is not in this world; there are \['eye'"):
        wire(agents)
    agents[2].subscribes = ()
    with pytest.raises(WiringError, match="'will' subscribes to nothing"):
        wire(agents)
    agents[2].subscribes = "mind"
    with pytest.raises(WiringError, match="must be a tuple of names, got 'mind'"):
        wire(agents)
    agents[2].subscribes = None
    agents[1].subscribes = ("will",)
    with pytest.raises(
        WiringError, match=r"'mind' \(Reasoning\) subscribes to 'will' \(Decision\), which is not upstream"
    ):
        wire(agents)


def test_a_ready_made_strategy_brings_its_agents():
    class Strategy:
        def agents(self):
            return four()

    assert [agent.name for agent in wire(Strategy()).agents] == ["eye", "mind", "will", "hand"]


def test_live_says_that_it_is_not_built_yet():
    with pytest.raises(fm.ConfigError, match=r"fm\.Live is not built yet"):
        fm.Live(feed=None, venue=None, replica=None)
