"""The trading state on a real cluster: loss, crashes, restarts and compaction change no book and no head."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

import pytest
from replica_log import CAPITAL, DAY, INSTRUMENTS

from fastmas.consensus import Cluster
from fastmas.errors import AgentError, ConfigError
from fastmas.messages import Fill, Intent
from fastmas.replica import AtMarket, Limits, TradingState, commands, decode_reply
from fastmas.replica.portfolio import Portfolio


def trade(cluster: Any, days: int, before: Callable[[int], None] = lambda day: None) -> list[int]:
    """Rebalance every day; fills, marks and the next basket go in as one burst. Client order ids, in order."""
    rng = random.Random(5)
    opening = commands.encode_open("USD", CAPITAL, INSTRUMENTS, Limits(max_leverage_bps=20_000, allow_short=True))
    cluster.propose(opening)
    sent: list[int] = []
    orders: list[Any] = []
    for day in range(1, days + 1):
        before(day)
        prices = {1: rng.randint(8_000, 12_000), 2: rng.randint(18_000, 22_000), 7: rng.randint(4_000, 6_000)}
        fills = [
            Fill(
                execution_id=o.client_order_id,
                client_order_id=o.client_order_id,
                ts_ns=day * DAY,
                instrument=o.instrument,
                side=o.side,
                price=prices[o.instrument],
                quantity=o.quantity,
                fee=7,
            )
            for o in orders
        ]
        burst = [commands.encode_reports(fills), commands.encode_marks(day * DAY, list(prices), list(prices.values()))]
        targets = {i: rng.randint(-20, 40) for i in prices}
        burst.append(commands.encode_intent(Intent(day * DAY, targets)))
        *_, answer = cluster.propose_many(burst, at_ns=day * DAY)
        orders = decode_reply(answer).orders
        sent += [order.client_order_id for order in orders]
    return sent


def calm() -> tuple[list[int], bytes]:
    cluster = Cluster(TradingState, nodes=1)
    return trade(cluster, 25), cluster.machine(1).head


@pytest.mark.parametrize("seed", range(6))
def test_the_network_changes_no_head_and_no_order(seed: int) -> None:
    cluster = Cluster(TradingState, nodes=3, seed=seed, loss=0.05, duplication=0.05, reordering=0.1, snapshot_every=10)

    def trouble(day: int) -> None:
        if day % 8 == 3:
            cluster.crash_leader_during_next()
        for node in cluster.nodes:
            if day % 8 == 6 and not cluster.is_up(node):
                cluster.restart(node)

    sent = trade(cluster, 25, trouble)
    cluster.settle()
    assert (sent, cluster.machine(cluster.leader).head) == calm()  # type: ignore[arg-type]
    snapshots = {cluster.machine(node).snapshot() for node in cluster.nodes if cluster.is_up(node)}
    assert len(snapshots) == 1 and not cluster.poisoned and len(set(sent)) == len(sent)


class Rounding(TradingState):
    """A replica that keeps prices to the cent."""

    def apply(self, entry: Any) -> bytes:
        honest = Portfolio.revalued

        def rounded(self: Portfolio, ids: tuple[int, ...], prices: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
            return honest(self, ids, tuple(price // 10 * 10 for price in prices))

        Portfolio.revalued = rounded  # type: ignore[method-assign]
        try:
            return super().apply(entry)
        finally:
            Portfolio.revalued = honest  # type: ignore[method-assign]


def test_a_replica_that_rounds_is_stopped_at_its_first_marks() -> None:
    built = iter([TradingState, Rounding, TradingState])
    cluster = Cluster(lambda: next(built)(), nodes=3, seed=1)
    trade(cluster, 5)
    assert list(cluster.poisoned) == [2]
    assert re.search(r"replica 2 diverged at commit index 3\b", cluster.poisoned[2])
    assert cluster.machine(1).head == cluster.machine(3).head


class Fussy(AtMarket):
    def act(self, committed: Any, ctx: Any) -> Any:
        if committed.intent.targets.get(7):
            raise ValueError("not this one")
        return super().act(committed, ctx)


def test_what_raises_is_a_committed_rejection_on_every_replica() -> None:
    cluster = Cluster(lambda: TradingState(Fussy()), nodes=3)
    with pytest.raises(ConfigError, match="the books are not open"):
        cluster.propose(commands.encode_kill(True))
    cluster.propose(commands.encode_open("USD", CAPITAL, INSTRUMENTS, Limits()))
    cluster.propose(commands.encode_marks(1, [1, 7], [10, 10]))
    with pytest.raises(AgentError, match="action 'fussy' raised ValueError in act: not this one"):
        cluster.propose(commands.encode_intent(Intent(1, {7: 1})))
    assert len(decode_reply(cluster.propose(commands.encode_intent(Intent(1, {1: 1})))).orders) == 1
    cluster.settle()
    assert cluster.rejections == 2 and not cluster.poisoned
    assert len({cluster.machine(node).head for node in cluster.nodes}) == 1
