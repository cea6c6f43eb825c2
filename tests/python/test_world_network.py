"""Whatever the network does to orders, cancels and replaces, the venue does the same: also when bars come fast."""

from __future__ import annotations

import datetime

import pytest
from worlds import some_bars

import fastmas as fm
from fastmas.audit import explain, read
from fastmas.messages import OrderKind, OrderStatus

SECOND = 1_000_000_000


class Now(fm.Perception):
    def perceive_many(self, bars, ctx):
        return fm.Observation(fm.UNIVERSE, ctx.now_ns, {"ids": bars["instrument"].astype(float)})


class Targets(fm.Decision):
    """Every other session, other lots of everything."""

    def __init__(self):
        self.session = 0

    def decide(self, seen, ctx):
        self.session += 1
        if self.session % 2:
            return fm.Intent(ctx.now_ns, {int(one): int(ctx.rng.integers(1, 99)) for one in seen["ids"]})
        return None


def agents(action):
    return [Now(), fm.reasoning(lambda seen, ctx: seen, name="mind"), Targets(), action]


def patient_bids(committed, ctx):
    for instrument, lots in committed.intent.targets.items():
        yield fm.Order(instrument, fm.BUY, lots, kind=OrderKind.LIMIT, limit_price=ctx.mark(instrument) * 98 // 100)


class CancelOne(fm.Action):
    """An intent cancels one order if there is any, else bids: an outbox of one message is the hardest to halve."""

    def act(self, committed, ctx):
        working = ctx.orders_in_flight
        return [fm.Cancel(working[0].client_order_id)] if working else list(patient_bids(committed, ctx))


class Reprice(fm.Action):
    def act(self, committed, ctx):
        working = ctx.orders_in_flight
        if not working:
            return list(patient_bids(committed, ctx))
        return [
            fm.Replace(
                client_order_id=order.client_order_id,
                quantity=order.quantity + 1,
                limit_price=ctx.mark(order.instrument) * 99 // 100,
            )
            for order in working
        ]


class ChangeOfMind(fm.Action):
    """Takes its first order back, and changes its second, a tenth of a second after it sent them."""

    def act(self, committed, ctx):
        return [*patient_bids(committed, ctx), fm.Wakeup(ctx.now_ns + SECOND // 10)]

    def on_wakeup(self, ctx):
        first, second, *_ = [order for order in ctx.orders_in_flight if order.ts_ns == ctx.now_ns - SECOND // 10]
        return [
            fm.Cancel(first.client_order_id),
            fm.Replace(client_order_id=second.client_order_id, quantity=200, limit_price=0),
        ]


def run(action, bars=None, **options):
    bars = some_bars().select(["KO", "PG", "XOM"]).window("2019-06-03", "2019-09-30") if bars is None else bars
    venue = fm.BarVenue(bars.instruments, fee_bps=1, slippage_bps=4)
    return fm.Simulation(feed=bars, venue=venue, **options).run(agents(action))


def same_books(calm, other):
    return (other.ledger_head, other.fill_records, set(other.replica_heads.values())) == (
        calm.ledger_head,
        calm.fill_records,
        {calm.ledger_head},
    )


@pytest.mark.parametrize("action", [CancelOne, Reprice, ChangeOfMind])
def test_no_request_is_lost_with_the_leader_that_sent_it(action):
    calm = run(action())
    assert calm.counters["updates"] > 10
    for intent, _ in calm.intents[1::6]:
        broken = run(action(), faults=fm.Faults(crash_leader_at_ns=intent.ts_ns, restart_after=2))
        assert broken.leader_changes
        assert same_books(calm, broken), f"leader crashed in the intent of {intent.ts_ns}"


@pytest.mark.parametrize("action", [CancelOne, Reprice, ChangeOfMind])
def test_a_request_that_overtakes_its_lost_order_waits_for_it(action):
    calm = run(action())
    assert calm.fill_records
    for seed in range(3):
        assert same_books(calm, run(action(), network_seed=seed, faults=fm.Faults(loss=0.3)))


@pytest.mark.parametrize("step_ns", [100_000, SECOND // 100, SECOND])
def test_bars_that_come_faster_than_replicas_agree_fill_the_same_orders(step_ns):
    """A fill's time follows from decision time plus latency, never from when a commit happened to arrive."""
    start = int(datetime.datetime(2020, 1, 2, 15, tzinfo=datetime.UTC).timestamp()) * SECOND
    slow = some_bars().select(["KO", "PG"]).window("2019-06-03", "2019-09-30")
    records = slow.records.copy()
    records["ts_ns"] = start + records["ts_ns"].searchsorted(records["ts_ns"]) // 2 * step_ns
    bars = fm.Bars(slow.instruments, records)
    calm = run(fm.AtMarket(), bars)
    assert len(calm.fill_records) == len([order for _, reply in calm.intents for order in reply.orders]) > 50
    assert same_books(calm, run(fm.AtMarket(), bars, network_seed=1))
    assert same_books(calm, run(fm.AtMarket(), bars, faults=fm.Faults(loss=0.3)))
    assert same_books(calm, run(fm.AtMarket(), bars, faults=fm.Faults(crash_leader_at_ns=calm.intents[7][0].ts_ns)))


class EveryHour(fm.AtMarket):
    """Winds its own clock: what wakes it is reckoned from `ctx.now_ns`, the only time it has."""

    def act(self, committed, ctx):
        return [fm.Wakeup(ctx.now_ns + 3600 * SECOND)]

    def on_wakeup(self, ctx):
        return [fm.Wakeup(ctx.now_ns + 3600 * SECOND)] if ctx.now_ns % (24 * 3600 * SECOND) else None


def test_the_time_of_an_action_comes_from_the_log_not_from_the_network():
    bars = some_bars().select(["KO"]).window("2019-06-03", "2019-06-14")
    calm = run(EveryHour(), bars)
    assert calm.commits > 30  # it was woken through the night
    assert same_books(calm, run(EveryHour(), bars, faults=fm.Faults(loss=0.3)))


def test_a_fill_after_a_replace_is_explained_by_its_order_and_by_the_replace(tmp_path):
    path = tmp_path / "run.audit"
    report = run(Reprice(), audit=path)
    changed = {u.client_order_id for u in report.updates if u.status == OrderStatus.REPLACED}
    with read(path) as file:
        fills = [record.id for record in file.records(type="Fill")]
    told = [str(explain(path, fill)) for fill in fills]
    both = [text for text in told if "Order" in text and "Replace" in text]
    assert all("Order" in text for text in told)
    assert len(both) == sum(fill.client_order_id in changed for fill in report.fill_records) > 0
