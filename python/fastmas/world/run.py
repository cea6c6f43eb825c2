"""One run of a simulated world: its kernel, its replicas, its venue, and what passes between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from fastmas._core.kernel import Kernel
from fastmas.audit import AuditWriter
from fastmas.consensus import Cluster
from fastmas.errors import AgentError, ConfigError, FastmasError
from fastmas.messages import (
    Bar,
    Cancel,
    Committed,
    Fill,
    Intent,
    Observation,
    Order,
    OrderStatus,
    OrderUpdate,
    RejectReason,
    Replace,
    Review,
    Signal,
    Wakeup,
)
from fastmas.parameters import fixed_point
from fastmas.replica import TradingState, commands
from fastmas.world.context import AgentContext, stream
from fastmas.world.faults import FaultInjector, Link
from fastmas.world.gateway import Gateway
from fastmas.world.journal import JournaledState
from fastmas.world.recorder import Recorder
from fastmas.world.report import MICRO, Report, StageLatency
from fastmas.world.wiring import FEED, Wiring

__all__ = ["Run"]

# Within one instant lower ranks settle first: the market moves, the books are marked, then the agents look.
RANK_FEED, RANK_VENUE, RANK_ORDERS, RANK_SETTLE, RANK_REPORTS = 0, 10, 11, 20, 25
RANK_PERCEPTION, RANK_REASONING, RANK_DECISION, RANK_GATEWAY, RANK_RECORDER = 30, 40, 50, 60, 90

EMITS: dict[str, tuple[type, ...]] = {
    "Perception": (Observation, Wakeup),
    "Reasoning": (Signal, Observation, Wakeup),
    "Decision": (Intent, Review, Wakeup),
}


class Run:
    """One run's moving parts; a `Simulation` itself never changes."""

    def __init__(self, world: Any, wiring: Wiring) -> None:
        self.world = world
        self.wiring = wiring
        self.venue = world.venue.fresh()
        self.sessions = np.unique(world.bars.records["ts_ns"])
        self.audit = AuditWriter(world.audit, seed=world.seed, meta=self._meta()) if world.audit is not None else None
        self.kernel = Kernel(self.audit)
        self.recorder = Recorder(world.bars)
        self.injector = FaultInjector(world.faults)
        self.built = 0
        self.cluster = Cluster(
            self._build_state,
            nodes=world.replicas,
            protocol=world.protocol,
            seed=world.network_seed,
            loss=world.faults.loss,
        )
        self.gateway = Gateway(
            self.cluster, self.audit, self._send_committed, self._send_order, self.venue.knows, self._wake_actions
        )
        self.link = Link(world.faults.loss, world.network_seed)
        self.updates: list[Fill | OrderUpdate] = []
        self.under_way: dict[int, tuple[int, Order | Cancel | Replace]] = {}  # by id, with the id it first left under
        self.failure: FastmasError | None = None
        self.contexts: dict[str, AgentContext] = {}
        self._wire_kernel()

    def _meta(self) -> dict[str, Any]:
        return {
            **self.world.meta,
            "bars": self.world.bars.digest().hex(),
            "instruments": {str(one.id): one.symbol for one in self.world.bars.instruments},
            "replicas": self.world.replicas,
            "protocol": self.world.protocol,
            "network_seed": self.world.network_seed,
            "agents": [agent.name for agent in self.wiring.agents],
        }

    def _build_state(self) -> JournaledState:
        """Called once a node, in order of node, and again when one restarts."""
        state = TradingState(actions=self.wiring.action)
        self.built += 1
        plant = self.world.faults.divergence
        return JournaledState(state if plant is None else plant(self.built, state))

    # -- wiring -----------------------------------------------------------------------------------------------------

    def _wire_kernel(self) -> None:
        k = self.kernel
        self.feed_node = k.add_node(FEED, None, rank=RANK_FEED)
        self.venue_node = k.add_node(
            "venue", self._own(self._on_bars), rank=RANK_VENUE, mode="slice", emits=(Fill, OrderUpdate)
        )
        self.orders_node = k.add_node("venue.orders", self._own(self._on_order), rank=RANK_ORDERS)
        self.outbox_node = k.add_node("outbox", None, rank=RANK_GATEWAY, emits=(Order, Cancel, Replace))
        self.consensus_node = k.add_node("consensus", None, rank=RANK_GATEWAY, emits=(Committed,))
        self.settle_node = settle = k.add_node(
            "settle", self._own(self._on_settle), rank=RANK_SETTLE, mode="join", emits=(Fill, OrderUpdate)
        )
        gateway = k.add_node("gateway", self._own(self._on_decision), rank=RANK_GATEWAY)
        self.alarm_node = k.add_node("alarm", None, rank=RANK_GATEWAY, on_wakeup=self._on_alarm)
        k.subscribe(self.venue_node, self.feed_node)
        k.subscribe(self.orders_node, self.outbox_node)
        k.subscribe(settle, self.feed_node)
        k.subscribe(settle, self.venue_node)
        nodes: dict[str, tuple[int, ...]] = {FEED: (self.feed_node,)}
        ranks = {"Perception": RANK_PERCEPTION, "Reasoning": RANK_REASONING, "Decision": RANK_DECISION}
        for agent in self.wiring.above_the_line:
            nodes[agent.name] = self._add_agent(agent, ranks[agent.stage])
            for source in self.wiring.sources[agent.name]:
                for origin in nodes[source]:
                    k.subscribe(nodes[agent.name][0], origin)
        for agent in self.wiring.decision:
            for origin in nodes[agent.name]:
                k.subscribe(gateway, origin)
        for name in sorted(self.world.keep):
            if name not in nodes or name == FEED:
                raise ConfigError(
                    f"keep names {name!r}, which is no agent above the consensus line; there are {sorted(nodes)}"
                )
            keeper = k.add_node(f"keep.{name}", self.recorder.keeper(name), rank=RANK_RECORDER)
            for origin in nodes[name]:
                k.subscribe(keeper, origin)
        k.add_feed(self.feed_node, self.world.bars.records, Bar)

    def _add_agent(self, agent: Any, rank: int) -> tuple[int, ...]:
        k = self.kernel
        context = self.contexts[agent.name] = AgentContext(self.gateway, stream(self.world.seed, agent.name))
        options: dict[str, Any] = {
            "context": context,
            "latency": agent.latency_ns,
            "on_wakeup": getattr(agent, "on_wakeup", None),
            "emits": EMITS[agent.stage],
        }
        batches = getattr(agent, "perceive_many", None) if agent.stage == "Perception" else None
        handler = batches or getattr(agent, agent.method)
        mode: Literal["each", "slice", "join"] = "join" if agent.join else "slice" if batches else "each"
        node = k.add_node(agent.name, handler, rank=rank, mode=mode, **options)
        on_report = getattr(agent, "on_report", None)
        if on_report is None:
            return (node,)
        reports = k.add_node(f"{agent.name}.reports", on_report, rank=RANK_REPORTS, **options)
        k.subscribe(reports, self.venue_node)
        k.subscribe(reports, self.settle_node)
        return (node, reports)

    # -- handlers ---------------------------------------------------------------------------------------------------

    def _on_bars(self, bars: Any, ctx: Any) -> None:
        base = self.kernel.inputs[0]
        self._deliver_what_is_under_way()
        for report in self.venue.on_bars(bars, self.kernel.now_ns):
            row = int(np.searchsorted(bars["instrument"], report.instrument))
            # An order can expire while its instrument has no bar: then it is the order's own doing.
            seen = row < len(bars) and bars["instrument"][row] == report.instrument
            causes = (*self.gateway.causes_of(report.client_order_id), *((base + row,) if seen else ()))
            self._emit_report(self.venue_node, report, causes)

    def _emit_report(self, node: int, report: Fill | OrderUpdate, causes: tuple[int, ...]) -> None:
        k = self.kernel
        self.recorder.on_report(report, k.post(node, report, at_ns=k.now_ns, causes=causes, origin=k.origin))

    @staticmethod
    def _is_receipt(update: OrderUpdate) -> bool:
        """Whether it says no more than that the venue has the order, which changes nothing."""
        return update.status == OrderStatus.ACKNOWLEDGED or update.reason == RejectReason.DUPLICATE

    def _on_order(self, message: Any, ctx: Any) -> None:
        """The link to the venue: an order or its acknowledgement may be lost, and is sent again under the same id."""
        key = self.kernel.inputs[0]
        turn, _ = self.under_way.pop(key, (key, message))
        if not self._overtakes(message, turn) and not self.link.loses():
            self._deliver(message)
            if not self.link.loses():
                return
        self._send_order(message, self.kernel.now_ns + self.world.faults.retry_after_ns, self.kernel.inputs, turn)

    def _overtakes(self, message: Any, turn: int) -> bool:
        """Whether something that was sent before to the same order is under way: what a venue answers hangs on both."""
        key = message.client_order_id
        return any(sent < turn and other.client_order_id == key for sent, other in self.under_way.values())

    def _deliver(self, message: Any) -> None:
        venue, now_ns = self.venue, self.kernel.now_ns
        if type(message) is Order:
            reports = venue.submit(message, now_ns)
        elif type(message) is Cancel:
            reports = venue.cancel(message, now_ns)
        else:
            reports = venue.replace(message, now_ns)
        for report in reports:
            if type(report) is Fill or not self._is_receipt(report):
                self.updates.append(report)
            else:
                self.recorder.on_report(report)

    def _deliver_what_is_under_way(self) -> None:
        """Before the market moves: what was decided before these bars has reached the venue, however slow the network.

        When an order takes effect follows from its decision and the latencies of agents and venue. How long replicas
        took to agree on it, or how often it was lost, decides no fill; what arrives again later the venue refuses.
        """
        under_way, self.under_way = self.under_way, {}
        for _, message in sorted(under_way.values(), key=itemgetter(0)):
            self._deliver(message)

    def _on_settle(self, messages: list[Any], ctx: Any) -> None:
        """Reports first, then marks: the agents of this instant see books that are up to date.

        What the venue said of orders since the last slice is committed here too, in order of order id: when it arrived
        depends on the network, and nothing that is committed may.
        """
        now_ns = self.kernel.now_ns
        fills = [message for message in messages if not isinstance(message, np.ndarray)]
        arrived = sorted(self.updates, key=lambda update: (update.ts_ns, update.client_order_id))
        updates = [update for update in arrived if update.ts_ns <= now_ns]
        self.updates = arrived[len(updates) :]  # a venue that is far away has not got these orders yet
        for update in updates:
            self._emit_report(self.settle_node, update, self.gateway.causes_of(update.client_order_id))
        proposals = [commands.encode_reports([*updates, *fills])] if updates or fills else []
        for bars in messages:
            if isinstance(bars, np.ndarray):
                proposals.append(commands.encode_marks(now_ns, bars["instrument"], bars["close"]))
        self.injector.before_session(self.cluster)
        self.gateway.propose(proposals, now_ns, self.kernel.inputs)
        self.recorder.on_marks(now_ns, self.gateway.books)
        if self.world.progress is not None:
            self.world.progress(len(self.recorder), len(self.sessions))

    def _on_decision(self, message: Any, ctx: Any) -> None:
        now_ns, causes = self.kernel.now_ns, self.kernel.inputs
        if type(message) is Review:
            self._review(now_ns, causes)
            return
        self.injector.before_intent(self.cluster, now_ns)
        reply = self.gateway.propose_intent(message, now_ns, causes)
        self.recorder.on_intent(message, reply)

    def _wake_actions(self, at_ns: int) -> None:
        """An action below the line asked to be woken: through the log, like everything it sees."""
        self.kernel.post(self.alarm_node, Wakeup(max(at_ns, self.kernel.now_ns)))

    def _on_alarm(self, ctx: Any) -> None:
        now_ns = self.kernel.now_ns
        self.gateway.propose([commands.encode_wake(now_ns)], now_ns, self.kernel.inputs)

    # -- parameters -------------------------------------------------------------------------------------------------

    def _review(self, now_ns: int, causes: tuple[int, ...]) -> None:
        thinkers = {agent.name: agent for agent in self.wiring.above_the_line if agent.name in self.gateway.parameters}
        if not thinkers:
            raise ConfigError("a review needs agents with parameters; set initial_parameters on at least one")
        functions = {name: partial(self._update, agent, now_ns) for name, agent in thinkers.items()}
        point = fixed_point(functions, self.gateway.parameters, **self.world.iteration)
        self._fix_parameters(point.parameters, now_ns, causes)
        self.recorder.on_review(now_ns, point)

    def _update(self, agent: Any, now_ns: int, thetas: Mapping[str, Any]) -> Any:
        try:
            return agent.update_parameters(MappingProxyType(thetas), self.contexts[agent.name])
        except Exception as error:
            raise AgentError(
                f"agent {agent.name!r} failed in update_parameters at now_ns={now_ns}: {type(error).__name__}: {error}"
            ) from error

    def _fix_parameters(self, parameters: Mapping[str, Any], now_ns: int, causes: tuple[int, ...]) -> None:
        self.gateway.propose([commands.encode_parameters(parameters)], now_ns, causes)
        self.gateway.parameters = self.gateway.books.parameters

    # -- the run ----------------------------------------------------------------------------------------------------

    def run(self) -> Report:
        started = time.perf_counter()
        with self.audit if self.audit is not None else nullcontext():  # an audit of a run that failed stays unsealed
            first_ns = int(self.sessions[0])
            instruments = [(i.id, i.price_increment_micro, i.lot_size) for i in self.world.bars.instruments]
            opening = commands.encode_open(
                self.world.currency, self.world.capital * MICRO, instruments, self.world.limits
            )
            self.gateway.propose([opening], first_ns, ())
            initial = {
                agent.name: np.atleast_1d(np.asarray(agent.initial_parameters, dtype=np.float64))
                for agent in self.wiring.above_the_line
                if agent.initial_parameters is not None
            }
            if initial:
                self._fix_parameters(initial, first_ns, ())
            self._run_kernel()
            self.injector.finish(self.cluster)
            self.cluster.settle()
        return self._report(self.audit.head if self.audit is not None else None, time.perf_counter() - started)

    def _run_kernel(self) -> None:
        try:
            self.kernel.run()
        except AgentError:
            if self.failure is not None:  # of the world's own nodes: what went wrong is not an agent's fault
                raise self.failure from None
            raise

    def _own(self, handler: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """A handler of the world's own: its errors reach the caller as they are."""

        def handle(message: Any, ctx: Any) -> Any:
            try:
                return handler(message, ctx)
            except FastmasError as error:
                self.failure = error
                raise

        return handle

    def _report(self, audit_head: bytes | None, elapsed_s: float) -> Report:
        stage_of = {agent.name: agent.stage for agent in self.wiring.above_the_line}
        stats = self.kernel.stats()
        latencies = tuple(
            StageLatency(
                name, stage_of[name], row["calls"], row["p50_ns"], row["p99_ns"], row["p999_ns"], row["max_ns"]
            )
            for name, row in stats.items()
            if name in stage_of
        )
        live = [node for node in self.cluster.nodes if node not in self.cluster.poisoned]
        states = {node: self.cluster.machine(node).state for node in live}
        columns = self.recorder.columns()
        return Report(
            audit_head=audit_head,
            ledger_head=self.gateway.books.head,
            replica_heads={node: state.head for node, state in states.items()},
            balanced=all(state.balanced for state in states.values()),
            decisions=len(self.recorder.intents),
            commits=self.gateway.commits,
            messages=sum(row["emitted"] for row in stats.values()),
            orders=self.gateway.orders,
            elapsed_s=elapsed_s,
            counters=dict(self.gateway.books.counters),
            instruments=self.recorder.instruments,
            capital_micro=self.world.capital * MICRO,
            ts_ns=columns["ts_ns"],
            equity_micro=columns["equity"],
            cash_micro=columns["cash"],
            costs_micro=columns["costs"],
            holdings=columns["holdings"],
            fill_records=tuple(self.recorder.fills),
            updates=tuple(self.recorder.updates),
            intents=tuple(self.recorder.intents),
            reviews=tuple(self.recorder.reviews),
            parameter_names={agent.name: tuple(agent.parameter_names) for agent in self.wiring.above_the_line},
            kept={name: tuple(messages) for name, messages in self.recorder.kept.items()},
            latencies=latencies,
            burst_ns=np.array(self.gateway.burst_ns, dtype=np.int64),
            messages_per_decision=np.array(self.gateway.messages_per_decision, dtype=np.int64),
            cluster_stats=dict(self.cluster.stats),
            leader_changes=self.gateway.leader_changes,
            resent=self.gateway.resent,
            lost=self.link.lost,
            crashed=tuple(self.injector.crashed),
            poisoned=dict(self.cluster.poisoned),
            audit=self.world.audit,
            first_fill_id=self.recorder.first_fill_id,
        )

    def _send_committed(self, message: Any, at_ns: int, causes: tuple[int, ...]) -> int:
        return self.kernel.post(self.consensus_node, message, at_ns=at_ns, causes=causes)

    def _send_order(self, message: Any, at_ns: int, causes: tuple[int, ...], turn: int | None = None) -> int:
        message_id = self.kernel.post(self.outbox_node, message, at_ns=at_ns, causes=causes)
        self.under_way[message_id] = (message_id if turn is None else turn, message)
        return message_id
