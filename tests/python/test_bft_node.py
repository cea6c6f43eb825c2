"""BftNode as Python drives it, with real signatures: liars, crashes, certificates for the outside."""

from __future__ import annotations

import doctest
import struct
import subprocess
import sys
import textwrap
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastmas._core.consensus import bft_statement
from fastmas.certificate import CertifiedGate, Decision, Validator, genesis_digest, verify_certificate
from fastmas.consensus import BftCommand, BftHardState, BftNode, BftSnapshot, Decided
from fastmas.errors import ConfigError, InvariantError

pytest.importorskip("cryptography")

from bft_machines import CHECKPOINT, SIGNERS, TICK_NS, Disk, Machines, validators_of, votes_in, votes_message

from fastmas.signatures import Ed25519Verifier, SignedCommands, command_statement, sign_command, verify_ed25519

PREVOTE, PRECOMMIT = 1, 2


@settings(max_examples=200, deadline=None, derandomize=True)
@given(messages=st.lists(st.binary(max_size=160), max_size=8), seed=st.integers(0, 2**32))
def test_a_node_drops_bytes_that_are_no_message(messages: list[bytes], seed: int) -> None:
    node = Machines(start=False).start(1)
    headed = [struct.pack("<IBBHII", 16 + len(m), 1, 1 + seed % 7, 0, 2, 1) + m for m in messages]
    assert node.signatures(messages) == []
    assert [node.step(message) for message in messages] == [False] * len(messages)
    node.signatures(headed)
    for message in headed:
        node.step(message)
    assert (node.height, node.round, node.commit_index) == (1, None, 0)


def test_every_flipped_byte_of_a_conversation_is_survived() -> None:
    machines = Machines()
    machines.propose(1, b"one", 1)
    machines.pump()
    heard = [message for _, to, message in machines.said if to == 2]
    assert len(heard) > 5
    for message in heard:
        for place in range(0, len(message), 5):
            node = Machines(start=False).start(2)
            altered = message[:place] + bytes([message[place] ^ 0x41]) + message[place + 1 :]
            node.signatures([altered])
            node.step(altered)
            assert node.commit_index == 0


def test_four_nodes_agree_and_anybody_can_check_it() -> None:
    machines = Machines(chain="exchange")
    assert machines.propose(2, b"buy 5", 1, expires_ns=10**12) == ("appended", 1)
    assert machines.propose(2, b"sell 5", 2) == ("appended", 2)
    machines.pump()
    assert [machines.commands(n) for n in (1, 2, 3, 4)] == [[b"buy 5", b"sell 5"]] * 4
    assert machines.propose(2, b"buy 5", 1, expires_ns=10**12)[0] == "appended"  # decided already: changes nothing
    machines.pump()
    entry = machines.committed[3][0]
    assert (entry.height, entry.index, entry.client, entry.sequence, entry.expires_ns) == (1, 1, 9, 1, 10**12)
    assert entry == machines.committed[1][0] and hash(entry) == hash(machines.committed[1][0])
    assert repr(entry) == "BftEntry(height=1, index=1, time_ns=0, kind='command', command=b'buy 5')"
    genesis = genesis_digest("exchange", machines.validators)
    assert machines.nodes[1].genesis == genesis
    gate = CertifiedGate(genesis, machines.validators)
    for decided in machines.decided[4]:
        decision = gate.admit(decided.block, decided.certificate)
        assert isinstance(decision, Decision) and decision.height == decided.height
        assert decision.commands == (b"buy 5", b"sell 5")
    assert (gate.admitted, gate.refused) == (1, 0)
    # the certificate of one chain proves nothing on another
    other = genesis_digest("another", machines.validators)
    decided = machines.decided[4][0]
    refused = verify_certificate(decided.block, decided.certificate, machines.validators, other)
    assert refused == "a signature is not the validator's"


def test_what_is_checked_ahead_changes_nothing_but_the_time() -> None:
    runs = []
    for ahead in (False, True):
        machines = Machines(ahead=ahead)
        for sequence in range(1, 6):
            machines.propose(1 + sequence % 4, b"%d" % sequence, sequence)
            machines.tick()
        runs.append(machines.said)
        for number, verifier in machines.verifiers.items():
            # each signature once: what step() asks for is known from the look ahead
            assert verifier.verified <= machines.nodes[number].verified if not ahead else True
            assert verifier.remembered >= machines.nodes[number].verified if ahead else True
    assert runs[0] == runs[1]


@pytest.mark.parametrize("ahead", [False, True])
def test_a_forged_or_altered_vote_is_dropped_and_counted(ahead: bool) -> None:
    machines = Machines(ahead=ahead)

    def alter(origin: int, to: int, message: bytes) -> bytes:
        if origin != 4 or not votes_in(message):
            return message
        return votes_message(4, to, [(*vote[:3], bytes(31) + b"\1", *vote[4:]) for vote in votes_in(message)])

    machines.change = alter
    machines.propose(1, b"one", 1)
    machines.pump()
    assert [machines.commands(n) for n in (1, 2, 3)] == [[b"one"]] * 3
    for number in (1, 2, 3):
        node = machines.nodes[number]
        assert node.peer(4)["forged"] >= 1 and node.dropped == node.peer(4)["forged"]
        assert (node.peer(1)["forged"], node.evidence) == (0, [])
    # a vote of node 2 that node 4 signs
    node = machines.nodes[1]
    statement = bft_statement(node.genesis, PREVOTE, 2, 0, bytes(32))
    forged = votes_message(4, 1, [(PREVOTE, 2, 0, bytes(32), 2, SIGNERS[4].sign(statement))])
    before = node.peer(4)["forged"]
    assert node.step(forged) is False
    assert node.peer(4)["forged"] == before + 1


def test_a_liar_gains_bounded_work() -> None:
    machines = Machines(max_wrong_messages=4)
    node, verifier = machines.nodes[1], machines.verifiers[1]
    flood = [
        votes_message(4, 1, [(PREVOTE, 1, 0, struct.pack("<QQQQ", k, j, 0, 1), 2, bytes(64)) for j in range(100)])
        for k in range(20)
    ]
    assert len(node.signatures(flood)) == 256
    machines.hand_in(1, flood)
    assert verifier.verified == 256  # of 2,000; and then nothing more of that peer in this tick
    assert (node.peer(4)["forged"], node.signatures(flood)) == (4, [])
    assert node.peer(4)["unread"] == 19
    assert machines.propose(2, b"one", 1)[0] == "appended"
    machines.pump()
    assert machines.commands(1) == [b"one"]


def test_equivocation_leaves_evidence_that_anybody_can_check() -> None:
    machines = Machines()

    def contradict(origin: int, to: int, message: bytes) -> bytes:
        votes = votes_in(message)
        if origin != 4 or not votes or votes[0][0] != PREVOTE:
            return message
        kind, height, round_, _, validator, _ = votes[0]
        nil = bft_statement(machines.nodes[1].genesis, kind, height, round_, bytes(32))
        return votes_message(4, to, [*votes, (kind, height, round_, bytes(32), validator, SIGNERS[4].sign(nil))])

    machines.change = contradict
    machines.propose(1, b"one", 1)
    machines.pump()
    assert [machines.commands(n) for n in (1, 2, 3)] == [[b"one"]] * 3
    (evidence,) = machines.nodes[1].evidence
    assert (evidence.kind, evidence.culprit, evidence.height, evidence.round) == ("prevote", 4, 1, 0)
    assert verify_ed25519([(SIGNERS[4].public_key, *signed) for signed in evidence.statements])
    assert len({statement for statement, _ in evidence.statements}) == 2
    assert machines.nodes[1].dropped == 0


@pytest.mark.parametrize("moment", ["proposal", "prevote", "precommit"])
def test_a_restarted_node_signs_nothing_twice(moment: str) -> None:
    """PITFALLS 35: whatever it had said is on disk, and it says the same again or nothing."""
    machines = Machines()
    proposer = machines.nodes[1].proposer
    # only this far does the conversation go
    stop = {"proposal": {1}, "prevote": {1}, "precommit": {1, 2}}[moment]

    def gate(origin: int, to: int, message: bytes) -> bytes | None:
        kind = 2 if votes_in(message) else message[5]
        if moment == "precommit" and votes_in(message) and votes_in(message)[0][0] == PRECOMMIT:
            return None
        return message if kind in stop | {6} else None

    machines.change = gate
    machines.propose(proposer, b"one", 1)
    machines.pump()
    said = {
        (vote[4], *vote[:3], vote[3]) for origin, _, m in machines.said for vote in votes_in(m) if vote[4] == origin
    }
    assert said
    for number in machines.nodes:
        machines.start(number)
    machines.change = lambda origin, to, message: message
    # another command, so that whoever forgot what it had said would say something else
    machines.propose(1, b"zero", 1, client=3)
    machines.tick(60)
    assert {n: machines.commands(n) for n in (1, 2, 3, 4)} == {n: machines.commands(1) for n in (1, 2, 3, 4)}
    values: dict[tuple[int, ...], set[bytes]] = {}
    for origin, _, message in machines.said:
        for kind, height, round_, value, validator, _ in votes_in(message):
            if origin == validator:
                values.setdefault((validator, kind, height, round_), set()).add(value)
    assert all(len(said) == 1 for said in values.values()), values
    assert machines.commands(1)
    assert all(node.evidence == [] for node in machines.nodes.values())


def test_a_node_comes_back_from_bytes_and_catches_up() -> None:
    machines = Machines(checkpoint_every=4)
    for sequence in range(1, 4):
        machines.propose(1, b"%d" % sequence, sequence)
        machines.pump()
    machines.start(2)
    assert machines.nodes[2].height == 4
    machines.pump()
    assert machines.commands(2) == [b"1", b"2", b"3"]  # applied again: its state machine begins anew
    del machines.nodes[3]
    for sequence in range(4, 11):
        machines.propose(1, b"%d" % sequence, sequence)
        machines.tick(30)  # where it would have been the proposer, a round goes by
    machines.start(3)
    machines.tick(20)
    # blocks up to height 8 are compacted away: a state that others vouch for stands for them
    assert machines.restored[3] == b"8"
    assert machines.commands(3)[-2:] == [b"9", b"10"]
    assert machines.nodes[3].height == machines.nodes[1].height == 11
    snapshot = BftSnapshot.from_bytes(machines.disks[3].snapshot or b"")
    assert (snapshot.index, snapshot.height, snapshot.state) == (8, 8, b"8")
    assert bytes(BftSnapshot.from_bytes(bytes(snapshot))) == bytes(snapshot)


def test_blocks_stay_stored_until_others_vouch_for_the_state_after_them() -> None:
    machines = Machines(checkpoint_every=2)
    machines.change = lambda origin, to, message: None if message[5] == CHECKPOINT else message
    for sequence in range(1, 6):
        machines.propose(1, b"%d" % sequence, sequence)
        machines.pump()
    # each has states of its own by now, and nobody has heard of another's
    for number in machines.nodes:
        assert BftSnapshot.from_bytes(machines.disks[number].snapshot or b"").height == 4
        assert machines.nodes[number].first_kept_height == 1
        assert len(machines.disks[number].decided) == 5
    # all start again from their stores, one of them from nothing: it still gets what it lacks
    machines.disks[4] = Disk()
    for number in machines.nodes:
        machines.start(number)
    machines.tick(40)
    assert machines.nodes[4].height == 6
    assert machines.commands(4) == [b"1", b"2", b"3", b"4", b"5"]
    machines.change = lambda origin, to, message: message
    machines.tick(40)
    assert [machines.nodes[number].first_kept_height for number in (1, 2, 3)] == [5, 5, 5]
    assert all(len(machines.disks[number].decided) == 1 for number in (1, 2, 3))
    # the proof outlives a crash: whoever comes back can help at once
    proven = machines.start(2).proven
    assert proven is not None and proven.height == 4 and bytes(proven) == machines.disks[2].proven


def test_stored_states_are_the_same_as_bytes() -> None:
    machines = Machines()
    machines.change = lambda origin, to, message: None if votes_in(message) else message
    machines.propose(machines.nodes[1].proposer, b"one", 1)
    machines.pump()
    for disk in machines.disks.values():
        hard_state = BftHardState.from_bytes(disk.hard_state)
        assert bytes(hard_state) == disk.hard_state and hard_state == BftHardState.from_bytes(bytes(hard_state))
        assert (hard_state.height, hard_state.round) == (1, 0)
        for place in range(len(disk.hard_state)):
            with pytest.raises(ConfigError, match=r"a hard state must be bytes that were made of one, but .*; restore"):
                BftHardState.from_bytes(disk.hard_state[:place])
    with pytest.raises(ConfigError, match="a decided block must be bytes that were made of one, but unknown version"):
        Decided.from_bytes(b"\7")
    with pytest.raises(ConfigError, match="a snapshot must be bytes that were made of one"):
        BftSnapshot.from_bytes(b"\1")


def test_validators_change_by_rule_and_the_gate_follows() -> None:
    allowed = Validator(5, 1, SIGNERS[5].public_key)

    def rule(command: BftCommand) -> bool:
        return command.kind == "command" or command.command == struct.pack("<IQ32s", *allowed)

    machines = Machines(rule=rule)
    node = machines.nodes[1]
    assert node.change_validator(Validator(6, 1, SIGNERS[6].public_key), client=9, sequence=1) == ("refused", 0)
    assert node.change_validator(allowed, client=9, sequence=1) == ("appended", 1)
    machines.pump()
    assert [entry.kind for entry in machines.committed[2]] == ["noop"]
    assert machines.nodes[2].validators == [tuple(one) for one in validators_of(range(1, 6))]
    gate = CertifiedGate(node.genesis, machines.validators)
    machines.propose(1, b"one", 2)
    machines.tick(60)
    for decided in machines.decided[1]:
        assert isinstance(gate.admit(decided.block, decided.certificate), Decision)
    assert [one.id for one in gate.validators] == [1, 2, 3, 4, 5]


def test_a_client_speaks_for_itself_and_its_signature_covers_the_session() -> None:
    genesis = genesis_digest("fastmas", validators_of(range(1, 5)))
    client = SIGNERS[10]
    rule = SignedCommands(genesis, {9: client.public_key}, Ed25519Verifier(threads=1))
    machines = Machines(rule=rule)
    session: dict[str, Any] = {"now_ns": 5, "client": 9, "sequence": 1, "acknowledged": 0, "expires_ns": 700}
    command = sign_command(client, genesis, b"buy", **session)
    node = machines.nodes[1]
    for name in session:
        altered = {**session, name: session[name] + 1}
        if name != "sequence":
            altered.pop("acknowledged") if name == "client" else None
        assert node.propose(command, **altered)[0] == "refused", name
    # with a later expiry the same request could take effect twice: once more when its client is forgotten
    assert node.propose(command, **{**session, "expires_ns": None})[0] == "refused"
    assert node.propose(command[:-1] + b"z", **session)[0] == "refused"
    assert node.propose(b"short", **session)[0] == "refused"
    assert node.propose(command, **session) == ("appended", 1)
    machines.pump()
    assert [rule.body(c) for c in machines.commands(4)] == [b"buy"]
    other = genesis_digest("another", validators_of(range(1, 5)))
    assert command_statement(other, b"buy", **session) != command_statement(genesis, b"buy", **session)
    with pytest.raises(ConfigError, match="a genesis digest is 32 bytes, got b'ab'; see genesis_digest"):
        SignedCommands(b"ab", {}, verify_ed25519)
    with pytest.raises(ConfigError, match="a genesis digest is 32 bytes, got None; see genesis_digest"):
        command_statement(None, b"buy", **session)  # type: ignore[arg-type]


def test_with_asynchronous_storage_nothing_is_applied_before_it_is_durable() -> None:
    node = BftNode(1, validators_of([1]), verify=verify_ed25519, signer=SIGNERS[1], async_storage=True)
    node.propose(b"one", client=9, sequence=1)
    ready = node.ready()
    assert (ready.write, ready.must_sync, ready.committed, len(ready.decided)) == (1, True, [], 1)
    node.advance()
    assert not node.has_ready()
    node.stored(ready.write)
    assert [entry.command for entry in node.ready().committed] == [b"one"]
    node.advance()
    with pytest.raises(ConfigError, match=r"stored\(\) takes the number of a write that was handed out, got 9 with 1"):
        node.stored(9)


def test_a_clock_bounds_what_comes_from_the_future() -> None:
    machines = Machines(max_clock_ahead_ns=TICK_NS)
    machines.tick()
    assert machines.propose(1, b"one", 1, now_ns=machines.now_ns + 2 * TICK_NS)[0] == "refused"
    assert machines.propose(1, b"one", 1, now_ns=machines.now_ns + TICK_NS)[0] == "appended"


class Fails:
    """A signer that is there until it is not."""

    public_key = SIGNERS[1].public_key

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def sign(self, statement: bytes) -> bytes:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("signer", "error", "text"),
    [
        (Fails(OSError("the module is unplugged")), OSError, "the module is unplugged"),
        (Fails("text"), ConfigError, "sign must return bytes, got str; return the signature's 64 bytes"),
        (Fails(b"ab"), ConfigError, "a signature has 64 bytes, got 2"),
    ],
)
def test_a_signer_that_fails_stops_the_node(signer: Fails, error: type[Exception], text: str) -> None:
    node = BftNode(1, validators_of([1]), verify=verify_ed25519, signer=signer)
    node.propose(b"one", client=9, sequence=1)
    with pytest.raises(error, match=text):
        node.ready()
    for call in (node.ready, node.advance, node.tick, lambda: node.height):
        with pytest.raises(
            InvariantError, match=r"node 1 stopped when its signer failed: .*; start it again from what"
        ):
            call()


def test_a_node_is_not_entered_twice() -> None:
    node: BftNode

    class Calls(Fails):
        def sign(self, statement: bytes) -> bytes:
            node.tick()
            return b""

    node = BftNode(1, validators_of([1]), verify=verify_ed25519, signer=Calls(None))
    node.propose(b"one", client=9, sequence=1)
    with pytest.raises(ConfigError, match="node 1 was called while it is in another call; call it from one thread"):
        node.ready()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: BftNode(1, [], verify=verify_ed25519), "there are 1 to 63 validators, got 0"),
        (lambda: BftNode(0, validators_of([1]), verify=verify_ed25519), "node ids start at 1, got 0; number"),
        (lambda: BftNode(1, validators_of([1]), verify=7), "verify must be callable, got int; pass"),
        (lambda: BftNode(1, validators_of([1]), verify=verify_ed25519, signer=7), "signer.sign must be callable, got"),
        (lambda: BftNode(1, validators_of([1]), verify=verify_ed25519, signer=SIGNERS[2]), "must be the one of valid"),
        (lambda: BftNode(1, validators_of([1]), verify=verify_ed25519, rule=7), "rule must be callable, got int; pass"),
        (lambda: BftNode(1, [(1, 1, b"ab")], verify=verify_ed25519), "a public key has 32 bytes, got 2; pass them"),
        (lambda: BftNode(1, validators_of([1]), verify=verify_ed25519, status_ticks=0), "status_ticks must be at leas"),
        (lambda: BftNode(1, validators_of([1]), verify=verify_ed25519).checkpoint(b""), "a checkpoint is taken once"),
        (lambda: BftNode(1, validators_of([1]), verify=verify_ed25519).advance(), "no ready() to advance past; call"),
        (lambda: Ed25519Verifier(threads=0), "threads must be at least 1, got 0; leave it out"),
        (lambda: Ed25519Verifier(cache_size=0), "cache_size must be at least 1, got 0; leave it out"),
    ],
)
def test_wrong_use_says_what_is_wrong(make: Any, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make()
    assert text in str(caught.value)


def test_verdicts_are_the_same_however_many_look() -> None:
    items = [(SIGNERS[1].public_key, b"%d" % k, SIGNERS[1].sign(b"%d" % (k - k % 3 // 2))) for k in range(40)]
    items += [(b"\xff" * 32, b"x", bytes(64)), (SIGNERS[1].public_key, b"x", b"short"), items[0]]
    expected = [k % 3 != 2 for k in range(40)] + [False, False, True]
    for threads in (1, 2, 5):
        verifier = Ed25519Verifier(threads=threads, cache_size=8)
        assert verifier.check(items) == expected
        assert (verifier.verified, verifier.remembered) == (42, 1)
        assert len(verifier._verdicts) == 8
        assert verifier(items[:2]) is True and verifier(items[:3]) is False
        verifier.close()
        assert verifier.check(items) == expected
    # one good signature says nothing about another over the same statement
    verifier, (key, statement, signature) = Ed25519Verifier(), items[0]
    assert verifier.check([items[0]]) == [True]
    assert verifier.check([(key, statement, bytes(64)), (SIGNERS[2].public_key, statement, signature)]) == [
        False,
        False,
    ]
    assert Ed25519Verifier().check([]) == []


def test_without_cryptography_all_else_works() -> None:
    script = """
        import sys
        sys.modules["cryptography"] = None
        import fastmas, fastmas.certificate, fastmas.signatures
        from fastmas.consensus import BftNode
        from fastmas.errors import ConfigError
        class Toy:
            public_key = bytes(32)
            def sign(self, statement): return bytes(64)
        node = BftNode(1, [(1, 1, bytes(32))], verify=lambda items: True, signer=Toy())
        print(node.propose(b"x", client=1, sequence=1), [e.command for e in node.ready().committed])
        for make in (lambda: fastmas.signatures.Ed25519Signer(bytes(32)), fastmas.signatures.Ed25519Verifier):
            try: make()
            except ConfigError as error: print(error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    cure = 'Ed25519 needs the cryptography package; pip install "fastmas[bft]"'
    assert done.stdout.splitlines() == ["('appended', 1) [b'x']", cure, cure]


def test_examples_run() -> None:
    import fastmas.signatures

    for module, value in (("consensus", BftNode), ("signatures", fastmas.signatures)):
        runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE, verbose=False)
        for test in doctest.DocTestFinder().find(value, module):
            runner.run(test)
        assert runner.failures == 0 and runner.tries >= 4
