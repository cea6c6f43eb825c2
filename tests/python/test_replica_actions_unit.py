"""The action agents below the line: what they may return, what they see, what they may remember."""

from __future__ import annotations

from typing import Any

import pytest
from replica_log import CAPITAL, Log, refused, update

from fastmas.errors import AgentError, ConfigError
from fastmas.messages import BUY, Cancel, Order, OrderKind, OrderStatus, RejectReason, Replace, Wakeup
from fastmas.replica import AtMarket, Limits, TradingState, commands


class Scripted(AtMarket):
    """Returns what it is told to, from `act`, `on_report` or `on_wakeup`."""

    def __init__(self, **answers: Any) -> None:
        self.act = lambda committed, ctx: answers.get("act", lambda ctx: None)(ctx)  # type: ignore[method-assign]
        self.on_report = lambda report, ctx: answers.get("report", lambda ctx: None)(ctx)
        self.on_wakeup = lambda ctx: answers.get("wakeup", lambda ctx: None)(ctx)


def limit_order(**extra: int) -> Order:
    values = {"instrument": 1, "side": BUY, "quantity": 10, "kind": OrderKind.LIMIT, "limit_price": 9_000}
    return Order(**{**values, **extra})


@pytest.mark.parametrize(
    ("order", "problem"),
    [
        (limit_order(instrument=3), "instrument 3 is not in these books"),
        (limit_order(side=0), "side must be 1 (buy) or -1 (sell), got 0"),
        (limit_order(quantity=0), "quantity must be a number of lots > 0, got 0"),
        (limit_order(kind=7), "kind must be an OrderKind, got 7"),
        (limit_order(limit_price=0), "a limit order has a limit price > 0 and a market order has 0, got 0"),
        (limit_order(kind=OrderKind.MARKET), "a limit order has a limit price > 0 and a market order has 0, got 9000"),
        (limit_order(client_order_id=5), "client_order_id must be left at 0, the commit numbers orders, got 5"),
        (limit_order(ts_ns=5), "ts_ns must be left at 0, it is when the basket was decided (1), got 5"),
    ],
)
def test_an_order_that_cannot_be_sent_is_an_error_that_changes_nothing(order: Order, problem: str) -> None:
    log = Log(actions=Scripted(act=lambda ctx: [limit_order(), order]))
    text = f"action 'scripted' cannot send an order from act: {problem}"
    refused(log, commands.encode_intent(commands.Intent(1, {1: 1})), AgentError, text)


def test_what_an_action_may_return() -> None:
    log = Log(actions=Scripted(act=lambda ctx: "buy"))
    text = "action 'scripted' returned str from act; an action may return Order, Cancel, Replace, Wakeup, an iterable"
    refused(log, commands.encode_intent(commands.Intent(1, {1: 1})), AgentError, text)


def test_an_action_that_raises_is_named_and_changes_nothing() -> None:
    def fail(ctx: Any) -> Any:
        yield limit_order()
        raise KeyError(f"at {object()!r}")

    log = Log(actions=Scripted(act=fail))
    text = "action 'scripted' raised KeyError in act: 'at <object object at 0x…>'"
    refused(log, commands.encode_intent(commands.Intent(1, {1: 1})), AgentError, text)


class Counting(AtMarket):
    """Counts what it is asked; `told` tells the replica."""

    def __init__(self) -> None:
        self.calls = 0

    def act(self, committed: Any, ctx: Any) -> Any:
        self.calls += 1
        return super().act(committed, ctx)


class Remembering(Counting):
    def snapshot(self) -> bytes:
        return self.calls.to_bytes(8, "little")

    def restore(self, data: bytes) -> None:
        self.calls = int.from_bytes(data, "little")


def test_an_action_must_tell_the_replica_what_it_remembers() -> None:
    log = Log(actions=Counting())
    text = "action 'counting' keeps state on itself across act; define snapshot() -> bytes and restore(data)"
    refused(log, commands.encode_intent(commands.Intent(1, {1: 1})), AgentError, text)


def test_what_an_action_remembers_is_part_of_the_state() -> None:
    mine = Remembering()
    log = Log(Limits(max_position_lots=5), actions=mine)
    log.intend({1: 1})
    kept = log.state.snapshot()
    assert log.intend({1: 100}).status == "rejected"
    assert mine.calls == 0, "a replica has its own copy"
    twin = TradingState(Remembering())
    twin.restore(kept)
    assert twin.snapshot() == kept
    with pytest.raises(ConfigError, match=r"holds state of action 'at_market', which has no restore\(data\)"):
        TradingState().restore(kept)
    with pytest.raises(ConfigError, match="holds 1 actions, this replica was built with 2; build it alike"):
        TradingState([AtMarket(), AtMarket()]).restore(kept)


def test_a_refused_basket_is_forgotten_by_its_action_too() -> None:
    log = Log(Limits(max_position_lots=5), actions=Remembering())
    log.intend({1: 1})
    before = log.state._actions.snapshot()
    assert log.intend({1: 100}).status == "rejected" and log.state._actions.snapshot() == before


def test_actions_see_each_others_orders() -> None:
    log = Log(actions=[AtMarket(), AtMarket()])
    assert [o.quantity for o in log.intend({1: 10}).orders] == [10]


def test_a_state_needs_actions() -> None:
    with pytest.raises(ConfigError, match=r"at least one action agent; try AtMarket\(\)"):
        TradingState([])
    with pytest.raises(ConfigError, match=r"actions must define act\(committed, ctx\), got 5; derive from fm.Action"):
        TradingState([5])


def test_cancel_and_replace() -> None:
    sent: list[Any] = [None]
    log = Log(actions=Scripted(act=lambda ctx: sent[0]))
    sent[0] = [limit_order(), limit_order(instrument=2)]
    first, second = log.intend({1: 1}).orders
    sent[0] = [Cancel(client_order_id=first.client_order_id), Replace(second.client_order_id, 20, 8_000)]
    reply = log.intend({1: 1}, ts_ns=50)
    assert [(c.client_order_id, c.ts_ns) for c in reply.cancels] == [(first.client_order_id, 50)]
    assert [(r.client_order_id, r.quantity, r.ts_ns) for r in reply.replaces] == [(second.client_order_id, 20, 50)]
    assert log.state.position(1) == 10, "until the venue confirms, the lots are in flight"
    assert log.state.position(2) == 20, "the larger of both quantities is in flight meanwhile"
    log.report(update(first, OrderStatus.CANCELLED), update(second, OrderStatus.REJECTED))
    assert log.state.position(1) == 0 and log.state.position(2) == 10, "the replacement was refused, the order stands"
    log.intend({1: 1})
    sent[0] = [Replace(second.client_order_id, 5, 8_000)]
    log.intend({1: 1})
    log.report(update(second, OrderStatus.REPLACED))
    assert log.state.position(2) == 5
    assert log.state.counters["cancels"] == 1 and log.state.counters["replaces"] == 2


def test_requests_queue_up_and_are_answered_in_their_order() -> None:
    sent: list[Any] = [limit_order()]
    log = Log(actions=Scripted(act=lambda ctx: sent[0]))
    (order,) = log.intend({1: 1}).orders
    mine = order.client_order_id
    for request, in_flight in [(Replace(mine, 30), 30), (Replace(mine, 20, 9_500), 30), (Cancel(mine), 30)]:
        sent[0] = request
        assert log.intend({1: 1}).status == "accepted" and log.state.position(1) == in_flight
    log.report(update(order, OrderStatus.REPLACED))
    assert log.state.position(1) == 30, "the first is taken, the second may be"
    log.report(log.fill(order, 9_000, 25), update(order, OrderStatus.REJECTED, RejectReason.BAD_QUANTITY))
    assert log.state.position(1) == 30, "20 was too few, 30 stands"
    log.report(update(order, OrderStatus.CANCELLED))
    assert log.state.position(1) == log.state.holding(1) == 25 and log.state.orders_in_flight == ()


def test_a_replacement_to_less_than_has_filled_meanwhile_ends_the_order() -> None:
    sent: list[Any] = [limit_order()]
    log = Log(actions=Scripted(act=lambda ctx: sent[0]))
    (order,) = log.intend({1: 1}).orders
    sent[0] = Replace(order.client_order_id, 4)
    log.intend({1: 1})
    log.report(log.fill(order, 9_000, 4), update(order, OrderStatus.REPLACED))
    assert log.state.position(1) == 4 and log.state.orders_in_flight == ()


def test_requests_for_orders_that_are_not_there_reject_the_basket() -> None:
    sent: list[Any] = [limit_order()]
    log = Log(actions=Scripted(act=lambda ctx: sent[0]))
    (order,) = log.intend({1: 1}).orders
    log.report(log.fill(order, 9_000, 4))
    mine = order.client_order_id
    for request, reason in [
        (Cancel(77), "order 77 cannot be cancelled: it is not in flight"),
        (Replace(77, 5, 1), "order 77 cannot be replaced: it is not in flight"),
        (Replace(mine, 4, 1), f"order {mine} cannot be replaced: 4 lots have filled and its new quantity counts them, "
                              "got 4; cancel it instead"),
        (Replace(mine, 9, -1), f"order {mine} cannot be replaced: a limit price is > 0, or 0 to keep it, and a market "
                               "order has none, got -1"),
        ((Cancel(mine), Replace(mine, 9, 1)), "one basket may cancel or replace an order once, got orders "
                                              f"[{mine}, {mine}]"),
    ]:  # fmt: skip
        sent[0] = request
        reply = log.intend({1: 1})
        assert (reply.status, reply.reason) == ("rejected", reason)


def test_a_replacement_that_filled_and_is_then_refused_ends_the_order() -> None:
    sent: list[Any] = [limit_order()]
    log = Log(actions=Scripted(act=lambda ctx: sent[0]))
    (order,) = log.intend({1: 1}).orders
    sent[0] = Replace(order.client_order_id, 30)
    log.intend({1: 1})
    log.report(log.fill(order, 9_000, 25), update(order, OrderStatus.REJECTED, RejectReason.BAD_QUANTITY))
    assert log.state.position(1) == 25 and log.state.orders_in_flight == ()


def test_a_report_lets_an_action_answer() -> None:
    again = Scripted(act=lambda ctx: limit_order(), report=lambda ctx: limit_order(quantity=ctx.holding(1)))
    log = Log(actions=again)
    (order,) = log.intend({1: 1}).orders
    reply = log.report(log.fill(order, 9_000, 4, ts_ns=77))
    assert [(o.quantity, o.ts_ns, o.client_order_id) for o in reply.orders] == [(4, 77, reply.index << 16)]
    assert log.report(log.fill(order, 9_000, 4, execution_id=1)).orders == [], "a repetition is no report"


def test_reports_stay_booked_when_an_action_fails() -> None:
    def fail(ctx: Any) -> Any:
        raise ValueError("no")

    log = Log(actions=Scripted(act=lambda ctx: limit_order(), report=fail))
    (order,) = log.intend({1: 1}).orders
    reply = log.report(log.fill(order, 9_000, 4))
    assert (reply.status, reply.reason) == ("accepted", "action 'scripted' raised ValueError in on_report: no")
    assert log.state.holding(1) == 4 and log.state.counters["agent_errors"] == 1


def test_reports_stay_booked_when_the_guard_refuses_the_answer() -> None:
    answers = Scripted(act=lambda ctx: limit_order(), report=lambda ctx: limit_order())
    log = Log(Limits(max_position_lots=10), actions=answers)
    (order,) = log.intend({1: 1}).orders
    reply = log.report(log.fill(order, 9_000, 4))
    assert reply.status == "accepted" and reply.reason.startswith("position: instrument 1 could reach 20 lots")
    assert log.state.holding(1) == 4 and reply.orders == [] and log.state.counters["rejected"] == 1


def test_wake_ups_go_through_the_log() -> None:
    asks = Scripted(act=lambda ctx: Wakeup(500), wakeup=lambda ctx: limit_order())
    log = Log(actions=asks)
    assert log.intend({1: 1}).wakeups == [500]
    (order,) = log.commit(commands.encode_wake(500)).orders
    assert order.ts_ns == 500
    log.commit(commands.encode_kill(True))
    assert log.commit(commands.encode_wake(501)).status == "rejected"


def test_the_context_of_an_action() -> None:
    seen: dict[str, Any] = {}

    def look(ctx: Any) -> None:
        seen.update(now=ctx.now_ns, cash=ctx.cash, equity=ctx.equity, mark=ctx.mark(1), theta=ctx.parameters["a"][0])
        with pytest.raises(AttributeError, match=r"has now_ns, .* and orders_in_flight, not 'rng'; what a replica"):
            _ = ctx.rng
        with pytest.raises(AttributeError):
            ctx.cash = 5

    log = Log(actions=Scripted(act=look))
    log.commit(commands.encode_parameters({"a": [0.5]}))
    log.intend({1: 1}, ts_ns=40, time_ns=42)
    assert seen == {"now": 40, "cash": CAPITAL, "equity": CAPITAL, "mark": 10_000, "theta": 0.5}
