"""fastmas.agree over the synod: what it returns, what it survives, what it refuses."""

import numpy as np
import pytest

from fastmas.consensus import agree
from fastmas.errors import ConfigError, NoQuorumError

FIVE = {name: np.random.default_rng(i).normal(size=1000) for i, name in enumerate("edcba")}


class Broken:
    """Looks like an array and is none."""

    def __array__(self, dtype=None, copy=None):
        raise ValueError("no numbers here")


def test_it_fixes_one_of_the_proposals_bit_for_bit_and_any_may_win():
    winners = set()
    for seed in range(40):
        agreement = agree(FIVE, seed=seed)
        winners.add(agreement.proposer)
        assert agreement.theta.tobytes() == FIVE[agreement.proposer].tobytes()
        assert not agreement.theta.flags.writeable
    assert winners == set(FIVE)


def test_paxos_is_the_default_and_the_seed_decides():
    first, second = agree(FIVE, seed=3), agree(FIVE, protocol="paxos", seed=3)
    assert (first.trace, first.proposer) == (second.trace, second.proposer)


def test_undisturbed_it_takes_one_ballot_of_five_messages_an_acceptor():
    for nodes in (1, 2, 3, 5, 7):
        agreement = agree({str(k): [float(k)] for k in range(nodes)}, seed=nodes)
        assert (agreement.messages, agreement.rounds) == (5 * (nodes - 1), 1)
        assert agreement.ballot == (1, agreement.proposer)


def test_the_trace_labels_the_four_phases_in_order():
    agreement = agree({"a": [1.0], "b": [2.0], "c": [3.0]}, seed=2)
    phases = [step.phase for step in agreement.trace]
    assert phases == ["prepare"] * 4 + ["request"] * 2 + ["response"] * 2 + ["decide"] * 2
    messages = [step.message for step in agreement.trace]
    assert messages == ["prepare"] * 2 + ["promise"] * 2 + ["accept"] * 2 + ["accepted"] * 2 + ["decided"] * 2
    leader = agreement.ballot[1]
    for step in agreement.trace:
        assert step.ballot == agreement.ballot
        assert (step.source == leader) == (step.message in ("prepare", "accept", "decided"))
    times = [step.time_ns for step in agreement.trace]
    assert times == sorted(times)


@pytest.mark.parametrize("crashes", [0, 1, 2])
@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_lost_messages_and_crashed_proposers_cost_ballots_and_change_nothing_else(crashes, loss):
    rounds = set()
    for seed in range(150):
        agreement = agree(FIVE, seed=seed, loss=loss, duplication=loss / 2, reordering=loss, crashes=crashes)
        rounds.add(agreement.rounds)
        assert agreement.theta.tobytes() == FIVE[agreement.proposer].tobytes()
        assert agreement.messages == len(agreement.trace)
    assert (max(rounds) > 1) == (crashes > 0 or loss > 0)


def test_a_value_outlives_the_proposer_that_died_with_it():
    # chosen in a ballot that somebody else led: adopted from an acceptor that had it
    adopted = [a for a in (agree(FIVE, seed=seed, crashes=1) for seed in range(100)) if a.ballot[1] != a.proposer]
    assert adopted
    for agreement in adopted:
        assert any(step.message == "accept" and step.ballot[1] == agreement.proposer for step in agreement.trace)


def test_refusals_are_responses():
    steps = [step for seed in range(60) for step in agree(FIVE, seed=seed, loss=0.4, crashes=2).trace]
    refusals = [step for step in steps if step.message == "refuse"]
    assert refusals
    assert {step.phase for step in refusals} == {"response"}


@pytest.mark.parametrize("protocol", ["paxos", "raft"])
def test_every_protocol_fixes_a_proposal_and_says_what_it_took(protocol):
    agreement = agree({"risk": [1, 2, 3], "strategy": [4, 5, 6]}, protocol=protocol, seed=1)
    assert agreement.theta.tolist() in ([1, 2, 3], [4, 5, 6])
    assert (agreement.ballot is None) == (protocol == "raft")
    assert agreement.messages == len(agreement.trace) > 0
    assert agreement.rounds >= 1
    assert {step.phase for step in agreement.trace} == {"prepare", "request", "response", "decide"}


@pytest.mark.parametrize("protocol", ["paxos", "raft"])
def test_shapes_types_and_bits_survive(protocol):
    nan_free = np.array([[-0.0, np.inf], [5e-324, -np.inf]])
    agreement = agree({"only": nan_free}, protocol=protocol)
    assert agreement.theta.shape == (2, 2)
    assert agreement.theta.tobytes() == nan_free.tobytes()
    for dtype in ("<f4", ">f8", "<i2", "<u8"):
        theta = agree({"a": np.arange(4, dtype=dtype), "b": np.arange(4, dtype=dtype)}, protocol=protocol).theta
        assert (theta.dtype, theta.tolist()) == (np.dtype(dtype), [0, 1, 2, 3])
    assert agree({"a": 2.5}, protocol=protocol).theta.shape == ()
    assert agree({"a": []}, protocol=protocol).theta.shape == (0,)
    assert agree({"a": np.arange(6.0).reshape(2, 3).T}, protocol=protocol).theta.tolist() == [[0, 3], [1, 4], [2, 5]]


def test_equal_proposals_belong_to_the_first_by_name():
    assert {agree({"b": [1.0], "a": [1.0], "c": [1.0]}, seed=seed).proposer for seed in range(10)} == {"a"}


def test_its_repr_is_short():
    text = repr(agree({"a": np.arange(1000.0), "b": np.arange(1000.0)}, seed=1))
    assert text == "Agreement(theta=[  0.,   1., ..., 998., 999.], proposer='a', ballot=(1, 'a'), messages=5, rounds=1)"


def test_names_may_hold_anything():
    agreement = agree({"a\0b": [1.0], "ü": [1.5]}, protocol="raft", seed=1)
    assert agreement.proposer in ("a\0b", "ü")


def test_tolerance_is_exact_and_inclusive():
    assert agree({"a": [1.0], "b": [1.5]}, tolerance=np.float32(0.5)).theta.shape == (1,)
    assert agree({"a": [1.0], "b": [1.5]}, tolerance=0.5).theta.shape == (1,)
    assert agree({"a": [np.inf], "b": [np.inf]}, tolerance=0).theta.item() == np.inf
    big = np.array([2**63], dtype=np.uint64)
    text = "proposals may lie 0 apart, got 1; iterate further or raise tolerance"
    with pytest.raises(ConfigError, match=text):
        agree({"a": big, "b": big + np.uint64(1)}, tolerance=0)
    low, high = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    with pytest.raises(ConfigError, match=f"may lie 10 apart, got {2**64 - 1}"):
        agree({"a": [low], "b": [high]}, tolerance=10)
    with pytest.raises(ConfigError, match="may lie 1 apart, got inf"):
        agree({"a": [np.inf], "b": [0.0]}, tolerance=1)


@pytest.mark.parametrize(
    ("proposals", "arguments", "text"),
    [
        ({"a": [1.0]}, {"protocol": "bft"}, "protocol='bft' is not built yet; use 'paxos'"),
        ({"a": [1.0]}, {"protocol": "zab"}, "protocol must be 'paxos', 'raft' or 'bft', got 'zab'; use 'paxos'"),
        ({"": [1.0]}, {}, r"agents have names, got ''; pass \{agent name: vector\}"),
        ({1: [1.0]}, {}, r"agents have names, got 1; pass \{agent name: vector\}"),
        ({str(k): [1.0] for k in range(64)}, {}, "agree takes at most 63 proposals, got 64; agree in groups"),
        ([[1.0], [2.0]], {}, r"are a mapping of agent name to vector, got list; pass \{agent name: vector\}"),
        (np.ones((2, 3)), {}, r"are a mapping of agent name to vector, got ndarray; pass \{agent name: vector\}"),
        (None, {}, "are a mapping of agent name to vector, got NoneType"),
        ({}, {}, r"agree needs at least one proposal, got none; pass \{agent name: vector\}"),
        (
            {"a": [[1.0, 2.0], [3.0]]},
            {},
            r"is an array of numbers, got list from 'a' that is none \(.*\); pass a list of equally long lists",
        ),
        (
            {"a": np.ma.masked_array([1.0, 2.0], mask=[False, True])},
            {},
            r"proposals have no mask, got a masked array from 'a'; pass proposal\.filled\(x\), or what is not masked",
        ),
        ({"a": np.ma.masked}, {}, "proposals have no mask, got a masked array from 'a'"),
        ({"a": np.array([1.0, "x"], dtype=object)}, {}, "must be numbers, got dtype object from 'a'; pass float64"),
        ({"a": None}, {}, "must be numbers, got dtype object from 'a'; pass float64 vectors"),
        ({"a": "1.0"}, {}, "must be numbers, got dtype <U3 from 'a'; pass float64 vectors"),
        ({"a": [True]}, {}, "must be numbers, got dtype bool from 'a'; pass float64 vectors"),
        ({"a": [1j]}, {}, "must be numbers, got dtype complex128 from 'a'; pass float64 vectors"),
        ({"a": {"b": 1.0}}, {}, "must be numbers, got dtype object from 'a'; pass float64 vectors"),
        ({"a": Broken()}, {}, r"got Broken from 'a' that is none \(no numbers here\)"),
        (
            {"a": [1.0, 2.0], "b": [1.0]},
            {},
            r"must agree in shape and dtype, got \(2,\) float64 from 'a' and \(1,\) float64 from 'b'; pass vectors of",
        ),
        ({"a": [1.0], "b": [1]}, {}, "must agree in shape and dtype, got .* float64 from 'a' and .* int64 from 'b'"),
        ({"a": [1.0]}, {"tolerance": "small"}, "tolerance must be at least 0, got 'small'; None means no limit"),
        ({"a": [1.0]}, {"seed": 1.5}, r"seed must be an int, got 1\.5; try seed=1"),
        ({"a": [1.0]}, {"crashes": 0.5}, r"crashes must be an int, got 0\.5; try crashes=1"),
        ({"a": [1.0]}, {"tolerance": -1}, "tolerance must be at least 0, got -1; None means no limit"),
        ({"a": [1.0]}, {"tolerance": float("nan")}, "tolerance must be at least 0, got nan; None means no limit"),
        ({"a": [1.0]}, {"crashes": -1}, "crashes must be at least 0, got -1; leave it out for none"),
        (
            {"a": [1.0], "b": [1.0], "c": [1.0]},
            {"crashes": 2},
            "at most 1 of 3 agents may crash at once, got crashes=2; take fewer, or more agents",
        ),
        ({"a": [1.0]}, {"loss": 1.0}, r"loss must be at least 0 and below 1, got 1\.0; try 0\.05"),
        ({"a": [1.0]}, {"reordering": -0.1}, r"reordering must be at least 0 and below 1, got -0\.1; try 0\.05"),
        (
            {"a": [1.0]},
            {"protocol": "raft", "duplication": 0.1},
            "protocol='raft' takes loss only; use protocol='paxos', or a Cluster",
        ),
    ],
)
def test_what_cannot_work_is_refused(proposals, arguments, text):
    with pytest.raises(ConfigError, match=text):
        agree(proposals, **arguments)


def test_it_gives_up_in_the_end():
    text = "no agreement within 60000 ms of virtual time: [01] of 5 agents know a decision; lower the loss"
    with pytest.raises(NoQuorumError, match=text):
        agree(FIVE, seed=1, loss=0.999)
