"""The leader's gateway: carries intents, venue reports, marks and parameters across the consensus line and back.

It holds no books of its own. What it knows of orders and holdings it reads from the replicated state; after a change of
leader it compares the orders that the state believes in flight with what the venue knows, and sends again what never
arrived. A venue refuses a client order id that it has seen, so nothing takes effect twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmas.audit import AuditWriter
from fastmas.consensus import Cluster
from fastmas.errors import ConfigError, InvariantError
from fastmas.messages import Committed, Intent, Order
from fastmas.replica import commands
from fastmas.world.journal import Applied

__all__ = ["COMMAND_ID", "Gateway"]

COMMAND_ID = 1 << 62
"""Audit records of committed commands have the id `COMMAND_ID + commit index`, clear of the kernel's own ids."""

Send = Callable[[Any, int, tuple[int, ...]], int]
"""Emits a message into the kernel: (message, at_ns, causes) -> id."""


class Gateway:
    """Proposes, audits what was committed, and sends the outbox to the venue.

    Parameters
    ----------
    cluster : Cluster of JournaledState
    audit : AuditWriter or None
    send_committed, send_order : Send
    venue_knows : callable (client_order_id) -> bool
    wake_at : callable (at_ns)
        Has the actions' wake-up proposed at a time.
    """

    def __init__(
        self,
        cluster: Cluster,
        audit: AuditWriter | None,
        send_committed: Send,
        send_order: Send,
        venue_knows: Callable[[int], bool],
        wake_at: Callable[[int], None],
    ) -> None:
        self._cluster = cluster
        self._audit = audit
        self._send_committed = send_committed
        self._send_order = send_order
        self._venue_knows = venue_knows
        self._wake_at = wake_at
        self._leader: int | None = None
        self._audited = 0
        self._order_ids: dict[int, int] = {}
        self._request_ids: dict[int, int] = {}
        self.books: Any = None
        self.parameters: Mapping[str, NDArray[np.float64]] = MappingProxyType({})
        self.commits = 0
        self.orders = 0
        self.leader_changed = False
        self.leader_changes = 0
        self.resent = 0
        self.burst_ns: list[int] = []
        self.messages_per_decision: list[int] = []

    # -- up: proposals ----------------------------------------------------------------------------------------------

    def propose(self, proposals: list[bytes], now_ns: int, causes: tuple[int, ...]) -> list[commands.Reply]:
        """Commit commands in one burst, in order, each exactly once; send the orders that they led to.

        Raises
        ------
        NoQuorumError
            Too few replicas can talk to one another.
        ReplicaDivergedError
            No majority of replicas agrees on what a command did.
        """
        replies, committed_ns = self._commit(proposals, now_ns, causes)
        for reply in replies:
            self._send_outbox(reply, committed_ns, causes)
        return replies

    def propose_intent(self, intent: Intent, now_ns: int, causes: tuple[int, ...]) -> commands.Reply:
        """Commit one basket; its orders name the `Committed` as their cause, and that names the intent.

        An agent with a latency decides at one time and speaks at a later one: the basket counts from the later.
        """
        if intent.ts_ns > now_ns:
            raise ConfigError(
                f"an intent must not be dated in the future, got ts_ns={intent.ts_ns} at {now_ns}; use ctx.now_ns"
            )
        if intent.ts_ns < now_ns:
            intent = Intent(now_ns, intent.targets, intent.valid_until_ns)
        before = self._cluster.stats["messages"]
        (reply,), committed_ns = self._commit([commands.encode_intent(intent)], now_ns, causes)
        self.messages_per_decision.append(self._cluster.stats["messages"] - before)
        if reply.status == "accepted":
            committed = Committed(reply.index, self._last.time_ns, intent)
            self._send_outbox(reply, committed_ns, (self._send_committed(committed, committed_ns, causes),))
        return reply

    def _commit(self, proposals: list[bytes], now_ns: int, causes: tuple[int, ...]) -> tuple[list[commands.Reply], int]:
        answers = self._cluster.propose_many(proposals, at_ns=now_ns, return_exceptions=True)
        self.burst_ns.append(self._cluster.last_burst_ns)
        leader = self._leader_with(self.commits + len(answers))
        self.leader_changed = self._leader not in (None, leader)
        self.leader_changes += self.leader_changed
        self._leader = leader
        machine = self._cluster.machine(leader)
        self.books = machine.state
        self._record(machine.journal, causes)
        self.commits += len(answers)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return [commands.decode_reply(answer) for answer in answers], now_ns + self._cluster.last_burst_ns

    def _leader_with(self, commits: int) -> int:
        """The leader, once it has applied that many commands.

        A leader may die between its answer and the next one's election, and a new one may be elected before it has
        applied what the old one answered: both need time, not a decision.
        """
        leader = self._cluster.leader
        if leader is None or self._cluster.applied(leader) < commits:
            self._cluster.settle()
            leader = self._cluster.leader
        if leader is None or self._cluster.applied(leader) < commits:
            raise InvariantError(
                f"the cluster answered {commits} commands, but its leader has not applied them; this is a bug in the "
                "consensus driver"
            )
        return leader

    def _record(self, journal: Any, causes: tuple[int, ...]) -> None:
        fresh: list[Applied] = []
        for applied in reversed(journal):
            if applied.index <= self._audited:
                break
            fresh.append(applied)
        for applied in reversed(fresh):
            if applied.index != self._audited + 1:
                raise InvariantError(
                    f"commit {applied.index} follows {self._audited} in the leader's journal; the audit would "
                    "have a gap"
                )
            self._audited = applied.index
            self._last: Applied = applied
            if self._audit is not None:
                self._audit.append_command(
                    applied.index,
                    applied.time_ns,
                    applied.head,
                    applied.command,
                    id=COMMAND_ID + applied.index,
                    causes=causes,
                )

    # -- down: the outbox -------------------------------------------------------------------------------------------

    def _send_outbox(self, reply: commands.Reply, committed_ns: int, causes: tuple[int, ...]) -> None:
        messages = (*reply.cancels, *reply.replaces, *reply.orders)
        self.orders += len(reply.orders)
        for at_ns in reply.wakeups:
            self._wake_at(at_ns)
        if self.leader_changed:
            # The leader that died may have sent any part of the outbox; half is the hardest case for its successor.
            messages = messages[: len(messages) // 2]
        for message in messages:
            self._send(message, committed_ns, causes)
        if self.leader_changed:
            for order in reply.orders:
                self._order_ids.setdefault(order.client_order_id, causes[0])
            self.reconcile(committed_ns)
            # Of a cancel or replace the venue's orders do not say whether it arrived: all are sent, and what it has
            # seen it refuses. The new leader applied the same commit, so it has the same outbox.
            for request in (*reply.cancels, *reply.replaces):
                self._send(request, committed_ns, causes)
                self.resent += 1

    def reconcile(self, now_ns: int) -> None:
        """What a new leader does first: send again every order in flight that the venue does not know.

        Orders that are still under way to the venue are sent twice by this; it refuses the second by its id.
        """
        for order in self.books.orders_in_flight:
            if not self._venue_knows(order.client_order_id):
                self._send(order, now_ns, (self._order_ids[order.client_order_id],))
                self.resent += 1

    def _send(self, message: Any, at_ns: int, causes: tuple[int, ...]) -> None:
        sent = self._order_ids if type(message) is Order else self._request_ids
        sent[message.client_order_id] = self._send_order(message, at_ns, causes)

    def causes_of(self, client_order_id: int) -> tuple[int, ...]:
        """Message ids under which an order and the last request to change it left, for the causes of its reports."""
        ids = (sent.get(client_order_id) for sent in (self._order_ids, self._request_ids))
        return tuple(sent_id for sent_id in ids if sent_id is not None)
