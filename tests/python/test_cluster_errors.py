"""Every text that a wrong use of fastmas.consensus can give."""

import pytest

from fastmas.consensus import Cluster, agree
from fastmas.errors import ConfigError, NoQuorumError


class Echo:
    def apply(self, entry):
        return entry.command


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"protocol": "zab"}, r"protocol must be 'raft', 'paxos' or 'bft', got 'zab'; use 'raft'"),
        ({"nodes": 0}, r"nodes must be 1 to 63, got 0; 3 or 5 is usual"),
        ({"nodes": 64}, r"nodes must be 1 to 63, got 64; 3 or 5 is usual"),
        ({"loss": 1.0}, r"loss must be at least 0 and below 1, got 1\.0; try 0\.05"),
        ({"loss": float("nan")}, r"loss must be at least 0 and below 1, got nan; try 0\.05"),
        ({"duplication": -0.1}, r"duplication must be at least 0 and below 1, got -0\.1; try 0\.05"),
        ({"reordering": 2}, r"reordering must be at least 0 and below 1, got 2; try 0\.05"),
        ({"delay_ns": (5, 4)}, r"delay_ns must be \(low, high\) with 0 <= low <= high < 60 s, got \(5, 4\); try"),
        ({"tick_ns": 0}, r"tick_ns must be 1 to 10\*\*15, got 0; leave it out for the default"),
        ({"timeout_ns": -1}, r"timeout_ns must be 1 to 10\*\*15, got -1; leave it out for the default"),
        ({"snapshot_every": 0}, r"snapshot_every must be at least 1, got 0; None means never"),
        ({"start_ns": 2**63}, r"start_ns must lie within ±2\*\*62 ns, got 9223372036854775808; give ns since 1970 UTC"),
    ],
)
def test_options_that_cannot_work(arguments, text):
    with pytest.raises(ConfigError, match=text):
        Cluster(Echo, **arguments)


def test_factory_must_build_state_machines():
    text = (
        r"factory must be callable and build a state machine, got .*; "
        r"pass the class, not an instance"
    )
    with pytest.raises(ConfigError, match=text):
        Cluster(Echo())
    text = (
        r"a state machine needs apply\(entry\), got dict for node 1; "
        r"add def apply\(self, entry\) -> bytes"
    )
    with pytest.raises(ConfigError, match=text):
        Cluster(dict)


def test_an_exception_of_the_factory_is_passed_on():
    def factory():
        raise ZeroDivisionError("no machine")

    with pytest.raises(ZeroDivisionError, match="no machine"):
        Cluster(factory)


def test_nodes_that_do_not_exist_or_are_not_there():
    cluster = Cluster(Echo)
    calls = (cluster.crash, cluster.restart, cluster.machine, cluster.applied, lambda node: cluster.partition({node}))
    for call in calls:
        with pytest.raises(ConfigError, match=r"nodes are numbered 1 to 3, got 4; see cluster\.nodes"):
            call(4)
    with pytest.raises(ConfigError, match=r"nodes are numbered 1 to 3, got None"):
        cluster.crash(None)
    with pytest.raises(ConfigError, match=r"node 2 is running; crash it first"):
        cluster.restart(2)
    cluster.crash(2)
    with pytest.raises(ConfigError, match=r"node 2 is down already; restart it first"):
        cluster.crash(2)
    with pytest.raises(ConfigError, match=r"node 2 is down and has no state machine; restart it first"):
        cluster.machine(2)


def test_commands_are_bytes_of_a_bounded_size():
    cluster = Cluster(Echo)
    with pytest.raises(TypeError):
        cluster.propose("text")
    with pytest.raises(ConfigError, match="a command has at most 16777216 bytes; propose it in parts"):
        cluster.propose(bytes(16 * 2**20 + 1))
    big = bytes(2**20)
    assert cluster.propose(big) == big
    assert cluster.applied(1) == 1


def test_at_ns_is_bounded():
    with pytest.raises(ConfigError, match=r"at_ns must lie within"):
        Cluster(Echo).propose(b"", at_ns=2**62)


def test_settle_says_when_it_cannot():
    cluster = Cluster(Echo)
    cluster.crash(1)
    cluster.crash(2)
    text = (
        r"the cluster does not settle within 1000000000 ns of virtual "
        r"time; restart\(\) or heal\(\) enough nodes"
    )
    with pytest.raises(NoQuorumError, match=text):
        cluster.settle(1_000_000_000)


def test_the_dead_answer_nothing():
    cluster = Cluster(Echo, timeout_ns=1_000_000_000)
    for node in cluster.nodes:
        cluster.crash(node)
    with pytest.raises(NoQuorumError, match="no quorum within 1000 ms of virtual time: at most 0 of 3 nodes"):
        cluster.propose(b"x")


@pytest.mark.parametrize(
    ("proposals", "arguments", "text"),
    [
        ({}, {}, "agree needs at least one proposal, got none; pass"),
        (
            {"a": [1.0], "b": [1.0, 2.0]},
            {},
            r"agree in shape and dtype, got \(1,\) float64 from 'a' and \(2,\) float64 from 'b'",
        ),
        (
            {"a": [1.0], "b": [1]},
            {},
            r"agree in shape and dtype, got \(1,\) float64 from 'a' and \(1,\) int64 from 'b'",
        ),
        ({"a": [1.0], "b": [float("nan")]}, {}, r"must not contain NaN, got one from 'b'; check the agent's iteration"),
        ({"a": ["x"]}, {}, r"proposals must be numbers, got dtype <U1 from 'a'; pass float64 vectors"),
        ({"a": [1.0], "b": [2.0]}, {"tolerance": 0.5}, r"may lie 0\.5 apart, got 1\.0; iterate further or raise"),
    ],
)
def test_agree_refuses_what_cannot_be_agreed_on(proposals, arguments, text):
    with pytest.raises(ConfigError, match=text):
        agree(proposals, **arguments)
