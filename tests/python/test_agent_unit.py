"""Agents are plain objects: names, stages, functions as stages, and the errors of each."""

from __future__ import annotations

import numpy as np
import pytest

from fastmas.agent import Action, Agent, Decision, Perception, Reasoning, action, decision, perception, reasoning
from fastmas.errors import ConfigError


class HTTPQuoteFeed(Perception):
    pass


class _Hidden(Decision):
    pass


def test_a_name_is_the_class_in_snake_case():
    assert HTTPQuoteFeed().name == "http_quote_feed"
    assert _Hidden().name == "hidden"
    agent = HTTPQuoteFeed()
    agent.name = "quotes-2"
    assert agent.name == "quotes-2"
    assert HTTPQuoteFeed().name == "http_quote_feed"


@pytest.mark.parametrize("name", ["", "2nd", "a b", "x" * 64, None, "é"])
def test_a_name_is_a_letter_and_at_most_62_more(name):
    with pytest.raises(ConfigError, match="an agent's name must be a letter followed by at most 62 letters"):
        HTTPQuoteFeed().name = name


@pytest.mark.parametrize(
    ("make", "base", "method"),
    [
        (perception, Perception, "perceive"),
        (reasoning, Reasoning, "reason"),
        (decision, Decision, "decide"),
        (action, Action, "act"),
    ],
)
def test_a_function_is_a_stage(make, base, method):
    def double(message, ctx):
        return message * 2

    agent = make(double, join=True, subscribes=("other",), latency_ns=5)
    assert isinstance(agent, base)
    assert agent.name == "double"
    assert (agent.join, agent.subscribes, agent.latency_ns) == (True, ("other",), 5)
    assert getattr(agent, method)(21, None) == 42
    assert make(lambda message, ctx: None).name == "lambda"
    assert make(double, name="mine").name == "mine"


def test_functions_and_options_are_checked():
    with pytest.raises(ConfigError, match=r"fm\.decision takes a function of \(message, ctx\), got 7"):
        decision(7)
    with pytest.raises(ConfigError, match=r"fm\.decision knows name, join, .* got \['latency'\]"):
        decision(lambda message, ctx: None, latency=5)


@pytest.mark.parametrize(
    ("agent", "method", "text"),
    [
        (Perception(), "perceive", r"Perception defines neither perceive\(record, ctx\) nor perceive_many"),
        (Reasoning(), "reason", r"Reasoning does not define reason\(observation, ctx\)"),
        (Decision(), "decide", r"Decision does not define decide\(signal, ctx\)"),
        (Action(), "act", r"Action does not define act\(committed, ctx\)"),
    ],
)
def test_a_stage_without_its_method_says_so(agent, method, text):
    with pytest.raises(ConfigError, match=text):
        getattr(agent, method)(None, None)


def test_parameters_stay_as_they_are_by_default():
    agent = HTTPQuoteFeed()
    theta = {"http_quote_feed": np.array([1.0, 2.0])}
    assert agent.update_parameters(theta, None) is theta["http_quote_feed"]
    assert Agent.initial_parameters is None
