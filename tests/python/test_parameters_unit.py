"""The fixed point of decision parameters: settles, damps, and names who does not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastmas.errors import ConfigError, FixedPointError
from fastmas.parameters import fixed_point


def test_a_linear_map_settles_at_its_solution():
    matrix = np.array([[0.2, 0.3], [-0.1, 0.4]])
    offset = np.array([1.0, -2.0])
    exact = np.linalg.solve(np.eye(2) - matrix, offset)

    def one(thetas):
        return matrix[0, 0] * thetas["one"] + matrix[0, 1] * thetas["two"] + offset[0]

    def two(thetas):
        return matrix[1, 0] * thetas["one"] + matrix[1, 1] * thetas["two"] + offset[1]

    point = fixed_point({"one": one, "two": two}, {"one": 0.0, "two": 0.0}, tolerance=1e-13)
    assert point.parameters["one"][0] == pytest.approx(exact[0], abs=1e-12)
    assert point.parameters["two"][0] == pytest.approx(exact[1], abs=1e-12)
    assert point.residual <= 1e-13 < point.residuals[-2]
    assert point.rounds == len(point.residuals)
    assert not point.parameters["one"].flags.writeable


def test_every_agent_sees_the_round_before_and_not_the_one_being_made():
    seen = []

    def first(thetas):
        seen.append(float(thetas["second"][0]))
        return [1.0]

    fixed_point({"first": first, "second": lambda thetas: [5.0]}, {"first": 0.0, "second": 0.0})
    assert seen == [0.0, 5.0]


def test_damping_settles_what_oscillates():
    flip = {"a": lambda thetas: [1.0 - thetas["a"][0]]}
    with pytest.raises(
        FixedPointError, match=r"did not settle in 50 rounds .* still moving: 'a' by 1; raise damping \(now 0\)"
    ):
        fixed_point(flip, {"a": 0.0}, max_rounds=50)
    assert fixed_point(flip, {"a": 0.0}, damping=0.5).parameters["a"][0] == 0.5


def test_what_diverges_is_named_with_its_round():
    functions = {"calm": lambda thetas: [0.5], "wild": lambda thetas: thetas["wild"] ** 2}
    with (
        np.errstate(over="ignore"),
        pytest.raises(FixedPointError, match=r"diverged in round \d+: agent 'wild' gave \[inf\]"),
    ):
        fixed_point(functions, {"calm": 0.0, "wild": 10.0})


def test_only_the_restless_are_blamed():
    functions = {"calm": lambda thetas: [0.5], "restless": lambda thetas: thetas["restless"] + 1.0}
    with pytest.raises(FixedPointError) as caught:
        fixed_point(functions, {"calm": 0.0, "restless": 0.0}, max_rounds=5)
    assert "'restless'" in str(caught.value)
    assert "'calm'" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"damping": 1.0}, r"damping must be in \[0, 1\), got 1.0"),
        ({"damping": -0.1}, r"damping must be in \[0, 1\), got -0.1"),
        ({"max_rounds": 0}, "max_rounds must be at least 1, got 0"),
        ({"tolerance": 0.0}, "tolerance must be positive, got 0.0; try 1e-9"),
    ],
)
def test_options_out_of_range(options, text):
    with pytest.raises(ConfigError, match=text):
        fixed_point({"a": lambda thetas: [0.0]}, {"a": 0.0}, **options)


def test_names_and_shapes_must_fit():
    with pytest.raises(ConfigError, match=r"must name the same agents, at least one, got \['a'\] and \['b'\]"):
        fixed_point({"a": lambda thetas: [0.0]}, {"b": 0.0})
    with pytest.raises(ConfigError, match="must name the same agents"):
        fixed_point({}, {})
    with pytest.raises(ConfigError, match=r"agent 'a' must give a parameter vector of shape \(1,\), got shape \(2,\)"):
        fixed_point({"a": lambda thetas: [0.0, 1.0]}, {"a": 0.0})
    with pytest.raises(
        ConfigError, match=r"agent 'a' must give a parameter vector of shape \(n,\), got shape \(1, 2\)"
    ):
        fixed_point({"a": lambda thetas: [0.0]}, {"a": [[0.0, 1.0]]})


@given(
    st.lists(st.floats(-0.4, 0.4), min_size=4, max_size=4),
    st.lists(st.floats(-10, 10), min_size=2, max_size=2),
    st.floats(0.0, 0.8),
)
def test_a_contraction_settles_at_the_same_point_whatever_the_damping(entries, offset, damping):
    (a, b), (c, d) = np.reshape(entries, (2, 2))
    functions = {
        "one": lambda t: a * t["one"] + b * t["two"] + offset[0],
        "two": lambda t: c * t["one"] + d * t["two"] + offset[1],
    }
    point = fixed_point(functions, {"one": 0.0, "two": 0.0}, damping=damping, max_rounds=1000)
    exact = np.linalg.solve(np.eye(2) - np.reshape(entries, (2, 2)), offset)
    assert [point.parameters["one"][0], point.parameters["two"][0]] == pytest.approx(exact, abs=1e-6)
