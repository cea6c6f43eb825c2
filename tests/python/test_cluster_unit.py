"""fastmas.consensus.Cluster, one behaviour a test, by every protocol."""

import functools
import pickle

import pytest

from fastmas import consensus
from fastmas.consensus import Entry, agree
from fastmas.errors import (
    ConfigError,
    FastmasError,
    InvariantError,
    LedgerError,
    NoQuorumError,
    ReplicaDivergedError,
)

Cluster = consensus.Cluster


@pytest.fixture(autouse=True, params=["raft", "paxos"])
def protocol(request, monkeypatch):
    monkeypatch.setitem(globals(), "Cluster", functools.partial(consensus.Cluster, protocol=request.param))
    return request.param


class Limit:
    """Counts what it was told and remembers how."""

    def __init__(self):
        self.used = 0
        self.entries = []

    def apply(self, entry):
        self.entries.append((entry.index, entry.time_ns, entry.command))
        self.used += int(entry.command)
        return str(self.used).encode()

    def snapshot(self):
        return pickle.dumps((self.used, self.entries))

    def restore(self, data):
        self.used, self.entries = pickle.loads(data)


def test_a_command_is_applied_by_every_replica_and_answered():
    cluster = Cluster(Limit, nodes=3, seed=7)
    assert cluster.propose(b"40") == b"40"
    assert cluster.propose(b"2") == b"42"
    assert [cluster.machine(node).used for node in cluster.nodes] == [42, 42, 42]
    assert [cluster.applied(node) for node in cluster.nodes] == [2, 2, 2]


def test_each_node_has_a_machine_of_its_own():
    cluster = Cluster(Limit)
    assert len({id(cluster.machine(node)) for node in cluster.nodes}) == 3


def test_entries_count_from_one_without_gaps_whatever_the_elections_add():
    cluster = Cluster(Limit, seed=1)
    cluster.propose(b"1")
    cluster.crash(cluster.leader)
    cluster.propose(b"1")
    assert cluster.epoch >= 2
    entries = cluster.machine(cluster.leader).entries
    assert [entry[0] for entry in entries] == [1, 2]


def test_time_is_stamped_by_the_leader_and_reaches_at_ns():
    cluster = Cluster(Limit, seed=1, start_ns=1_000)
    assert cluster.now_ns == 1_000
    cluster.propose(b"1", at_ns=5_000_000_000)
    cluster.propose(b"1", at_ns=7)
    cluster.propose(b"1", at_ns=631_152_000_000_000_000)
    times = [entry[1] for entry in cluster.machine(1).entries]
    assert times[0] == 5_000_000_000
    assert times == sorted(times)
    assert times[2] == 631_152_000_000_000_000
    assert all(cluster.machine(node).entries == cluster.machine(1).entries for node in cluster.nodes)


def test_a_term_is_rafts(protocol):
    cluster = Cluster(Limit)
    if protocol == "raft":
        assert cluster.term == cluster.epoch >= 1
        return
    with pytest.raises(ConfigError, match=r"protocol='paxos' has no terms; use cluster\.epoch"):
        _ = cluster.term


def test_a_quiet_cluster_has_no_ticks():
    cluster = Cluster(Limit, seed=1)
    cluster.propose(b"1")
    before = cluster.stats
    for day in range(1, 1000):
        cluster.propose(b"1", at_ns=day * 86_400_000_000_000)
    after = cluster.stats
    assert after["messages"] - before["messages"] <= 8.2 * 999
    # a burst lasts well under a millisecond, a tick is 10 ms: the days between cost nothing
    assert after["ticks"] - before["ticks"] < 3 * 999 * 0.1


def test_same_seed_same_history():
    def history(seed):
        cluster = Cluster(Limit, seed=seed, loss=0.1)
        cluster.crash_leader_during_next()
        cluster.propose_many([b"1"] * 50)
        return cluster.now_ns, cluster.stats

    assert history(3) == history(3)
    assert history(3) != history(4)


def test_a_burst_keeps_its_order_and_last_burst_is_two_delays():
    cluster = Cluster(Limit, seed=2, delay_ns=(100_000, 100_000))
    assert cluster.propose_many([b"1", b"10", b"100"]) == [b"1", b"11", b"111"]
    assert cluster.last_burst_ns == 200_000
    assert cluster.propose_many([]) == []


def test_crash_and_restart_bring_a_replica_back():
    cluster = Cluster(Limit, seed=5)
    cluster.propose(b"1")
    victim = cluster.leader
    cluster.crash(victim)
    assert not cluster.is_up(victim)
    assert cluster.applied(victim) == 0
    cluster.propose(b"2")
    cluster.restart(victim)
    cluster.settle()
    assert cluster.machine(victim).used == 3


def test_restart_of_all_nodes_loses_nothing():
    cluster = Cluster(Limit, seed=5)
    cluster.propose_many([b"1"] * 10)
    for node in cluster.nodes:
        cluster.crash(node)
    assert cluster.leader is None
    for node in cluster.nodes:
        cluster.restart(node)
    assert cluster.propose(b"1") == b"11"


def test_a_minority_cannot_commit_and_a_majority_can():
    cluster = Cluster(Limit, nodes=5, seed=5)
    old = cluster.leader
    others = [node for node in cluster.nodes if node != old]
    cluster.partition({old, others[0]})
    assert cluster.propose(b"1") == b"1"
    assert cluster.leader in others[1:]
    assert cluster.applied(old) == 0
    cluster.heal()
    cluster.settle()
    assert [cluster.applied(node) for node in cluster.nodes] == [1] * 5


def test_without_a_quorum_it_says_so_and_nothing_is_applied():
    cluster = Cluster(Limit, seed=5)
    cluster.partition({1}, {2}, {3})
    text = (
        r"no quorum within 10000 ms of virtual time: at most 1 of 3 "
        r"nodes.*2 are needed.*may still commit later"
    )
    with pytest.raises(NoQuorumError, match=text):
        cluster.propose(b"1")
    assert [cluster.applied(node) for node in cluster.nodes] == [0, 0, 0]
    cluster.heal()
    assert int(cluster.propose(b"10")) in (10, 11)


def test_a_link_can_be_cut_one_way():
    cluster = Cluster(Limit, seed=5)
    follower = next(node for node in cluster.nodes if node != cluster.leader)
    cluster.cut(cluster.leader, follower)
    cluster.propose(b"1")
    assert cluster.applied(follower) == 0
    assert cluster.stats["cut"] > 0


@pytest.mark.parametrize("seed", range(60))
def test_a_leader_that_dies_in_the_middle_loses_and_doubles_nothing(seed):
    cluster = Cluster(Limit, seed=seed, loss=0.1 * (seed % 3))
    cluster.propose(b"0")
    before = cluster.stats["crashes"]
    cluster.crash_leader_during_next()
    assert cluster.propose_many([b"1"] * 20) == [str(i + 1).encode() for i in range(20)]
    assert cluster.stats["crashes"] == before + 1
    (dead,) = [node for node in cluster.nodes if not cluster.is_up(node)]
    cluster.restart(dead)
    cluster.settle()
    assert [cluster.machine(node).used for node in cluster.nodes] == [20, 20, 20]


class Picky:
    def __init__(self):
        self.applied = 0

    def apply(self, entry):
        kind = entry.command.decode()
        if kind == "ledger":
            raise LedgerError("would overdraw cash")
        if kind == "config":
            raise ConfigError("unknown command, got 'config'; use another")
        if kind == "value":
            raise ValueError("seven")
        self.applied += 1


@pytest.mark.parametrize(
    ("command", "kind", "text"),
    [
        (b"ledger", LedgerError, "^would overdraw cash$"),
        (b"config", ConfigError, "^unknown command, got 'config'; use another$"),
        (b"value", FastmasError, "^the command was rejected by every replica: ValueError: seven$"),
    ],
)
def test_an_exception_from_apply_is_a_committed_rejection(command, kind, text):
    cluster = Cluster(Picky)
    with pytest.raises(kind, match=text):
        cluster.propose(command)
    assert cluster.rejections == 1
    assert cluster.poisoned == {}
    assert [cluster.applied(node) for node in cluster.nodes] == [1, 1, 1]
    assert cluster.propose(b"fine") == b""


def test_a_rejection_in_a_burst_stops_nothing():
    cluster = Cluster(Picky)
    replies = cluster.propose_many([b"a", b"ledger", b"b"], return_exceptions=True)
    assert replies[0] == replies[2] == b""
    assert isinstance(replies[1], LedgerError)
    with pytest.raises(LedgerError):
        cluster.propose_many([b"ledger", b"b"])
    assert cluster.machine(1).applied == 3
    assert cluster.rejections == 2


def diverging(node_to_spoil, method="apply"):
    """Machines of which the nth one built goes wrong from its third command on."""
    built = []

    class Machine(Limit):
        def __init__(self):
            super().__init__()
            built.append(self)
            self.spoilt = len(built) == node_to_spoil

        def apply(self, entry):
            reply = super().apply(entry)
            if self.spoilt and entry.index >= 3:
                if method == "apply":
                    return reply + b"!"
                if method == "invariant":
                    raise InvariantError("debits 3 != credits 2")
                if method == "memory":
                    raise MemoryError("no room")
                if method == "type":
                    return 3
            return reply

        def digest(self):
            is_wrong = self.spoilt and method == "digest" and self.entries[-1][0] >= 3
            return b"wrong" if is_wrong else str(self.used).encode()

    return Machine


@pytest.mark.parametrize("node", [1, 2, 3])
@pytest.mark.parametrize("method", ["apply", "digest"])
def test_a_replica_that_differs_from_the_majority_stops_and_is_named(node, method):
    cluster = Cluster(diverging(node, method), seed=node)
    assert cluster.propose_many([b"1"] * 5) == [b"1", b"2", b"3", b"4", b"5"]
    reason = f"replica {node} diverged at commit index 3: its result or digest differs from the majority's"
    assert cluster.poisoned == {node: reason}
    assert not cluster.is_up(node)
    assert cluster.propose(b"1") == b"6"
    with pytest.raises(InvariantError, match=f"replica {node} diverged at commit index 3"):
        cluster.restart(node)


@pytest.mark.parametrize(
    ("method", "text"),
    [
        ("invariant", "replica 2 stopped at commit index 3: InvariantError: debits 3 != credits 2"),
        ("memory", "replica 2 stopped at commit index 3: MemoryError: no room"),
        ("type", "replica 2 stopped at commit index 3: apply must return bytes or None, got int; encode the reply"),
    ],
)
def test_a_replica_that_breaks_stops_and_the_others_go_on(method, text):
    cluster = Cluster(diverging(2, method))
    assert cluster.propose_many([b"1"] * 5)[-1] == b"5"
    assert cluster.poisoned == {2: text}


def test_without_a_majority_of_equal_results_it_raises_for_good():
    numbers = iter(range(10))

    class Odd:
        def __init__(self):
            self.number = next(numbers)

        def apply(self, entry):
            return str(self.number).encode()

    cluster = Cluster(Odd)
    text = "replicas diverged at commit index 1 and no majority agrees; the state machine is not deterministic"
    with pytest.raises(ReplicaDivergedError, match=text):
        cluster.propose(b"1")
    with pytest.raises(InvariantError, match="replicas diverged at commit index 1"):
        cluster.propose(b"1")


def test_when_every_replica_breaks_it_raises():
    class Broken:
        def apply(self, entry):
            raise InvariantError("no")

    text = "too few healthy replicas are left for a majority: replica 1 stopped at commit index 1: InvariantError: no"
    with pytest.raises(ReplicaDivergedError, match=text):
        Cluster(Broken).propose(b"1")


def test_an_interrupt_in_apply_is_passed_on_and_ends_the_cluster():
    class Slow:
        def apply(self, entry):
            raise KeyboardInterrupt

    cluster = Cluster(Slow)
    with pytest.raises(KeyboardInterrupt):
        cluster.propose(b"1")
    with pytest.raises(InvariantError, match="the cluster was interrupted in the middle of an apply; build a new one"):
        cluster.propose(b"1")


@pytest.mark.parametrize("call", [lambda c: c.propose(b"1"), lambda c: c.crash(1), lambda c: c.settle()])
def test_a_state_machine_cannot_call_its_own_cluster(call):
    cluster = None

    class Nosy:
        def apply(self, entry):
            call(cluster)

    cluster = Cluster(Nosy)
    with pytest.raises(ConfigError, match="the cluster was called from inside one of its own state machines"):
        cluster.propose(b"1")
    assert cluster.poisoned == {}


def test_snapshots_compact_and_bring_a_laggard_up_to_date():
    cluster = Cluster(Limit, seed=3, snapshot_every=10)
    victim = next(node for node in cluster.nodes if node != cluster.leader)
    cluster.propose(b"1")
    cluster.crash(victim)
    cluster.propose_many([b"1"] * 5)
    for _ in range(50):
        cluster.propose(b"1")
    cluster.restart(victim)
    cluster.settle()
    assert cluster.stats["snapshots_installed"] == 1
    assert cluster.stats["snapshots_taken"] > 3
    assert [cluster.machine(node).entries for node in cluster.nodes] == [cluster.machine(cluster.leader).entries] * 3
    assert cluster.propose(b"1") == b"57"


def test_one_node_is_a_cluster():
    cluster = Cluster(Limit, nodes=1)
    assert cluster.propose(b"3") == b"3"
    assert cluster.stats["messages"] == 0


def test_entry_is_a_value():
    entry = Entry(index=1, time_ns=2, command=b"x")
    assert (entry.index, entry.time_ns, entry.command) == (1, 2, b"x")
    assert entry == Entry(1, 2, b"x") != Entry(2, 2, b"x")
    assert hash(entry) == hash(Entry(1, 2, b"x"))
    assert pickle.loads(pickle.dumps(entry)) == entry
    assert repr(entry) == "Entry(index=1, time_ns=2, command=b'x')"
    with pytest.raises(AttributeError):
        entry.index = 3
    with pytest.raises(TypeError):
        Entry(1, 2, "x")


def test_agree_fixes_one_of_the_proposals_bit_for_bit():
    proposals = {"risk": [0.1, 0.2], "strategy": [0.3, 0.1 + 0.2]}
    winners = set()
    for seed in range(10):
        agreement = agree(proposals, seed=seed)
        winners.add(agreement.proposer)
        assert agreement.theta.tolist() == proposals[agreement.proposer]
        assert not agreement.theta.flags.writeable
        assert agreement.trace
    assert winners == {"risk", "strategy"}


def test_agree_takes_one_agent_and_integers():
    assert agree({"only": [1, 2, 3]}).theta.tolist() == [1, 2, 3]
