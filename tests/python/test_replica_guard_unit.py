"""The pre-trade guard, a rule at a time: the whole basket passes or none of it, and the rule is named."""

from __future__ import annotations

from typing import Any

import pytest
from replica_log import CAPITAL, DAY, Entry, Log, update

from fastmas.messages import BUY, SELL, Cancel, Fill, Intent, Order, OrderKind, OrderStatus, Replace
from fastmas.replica import AtMarket, Limits, TradingState, commands


class Sends(AtMarket):
    """Sends what it is told to."""

    def __init__(self, box: list[Any]) -> None:
        self.act = lambda committed, ctx: box[0]  # type: ignore[method-assign]


def order(side: int, quantity: int, instrument: int = 1, limit_price: int = 0) -> Order:
    kind = OrderKind.LIMIT if limit_price else OrderKind.MARKET
    return Order(instrument=instrument, side=side, quantity=quantity, kind=kind, limit_price=limit_price)


def refuse(log: Log, targets: dict[int, int], reason: str, ts_ns: int = 1) -> None:
    """The basket is refused with these words, whole, and only counters and head move."""
    before = (log.state.orders_in_flight, log.state.cash, log.state.holdings(), log.state.counters["orders"])
    rejected = log.state.counters["rejected"]
    reply = log.intend(targets, ts_ns)
    assert (reply.status, reply.reason) == ("rejected", reason)
    assert not reply.orders and not reply.cancels and not reply.replaces
    after = (log.state.orders_in_flight, log.state.cash, log.state.holdings(), log.state.counters["orders"])
    assert after == before and log.state.counters["rejected"] == rejected + 1


def test_the_kill_switch_stops_orders_but_not_cancels() -> None:
    box: list[Any] = [order(BUY, 5, limit_price=9_000)]
    log = Log(actions=Sends(box))
    (resting,) = log.intend({1: 0}).orders
    log.commit(commands.encode_kill(True))
    for request in (order(BUY, 1), order(SELL, 1), Replace(resting.client_order_id, 4, 9_000)):
        box[0] = request
        refuse(log, {1: 0}, "the kill switch is on: no order passes; cancels do")
    box[0] = Cancel(resting.client_order_id)
    assert len(log.intend({1: 0}).cancels) == 1
    box[0] = None
    assert log.intend({1: 0}).status == "accepted"


def test_an_instrument_without_a_mark_cannot_be_traded() -> None:
    log = Log(marked=False)
    log.mark(1, {1: 10_000})
    refuse(log, {1: 5, 2: 5}, "instrument 2 has no mark yet, so an order in it cannot be valued")
    assert log.intend({1: 5}).status == "accepted"


def test_order_notional_counts_the_lot_size_and_the_limit_price() -> None:
    box: list[Any] = [None]
    log = Log(Limits(max_order_notional=50_000_000), actions=Sends(box))
    box[0] = order(BUY, 1, 7)
    assert log.intend({1: 0}).status == "accepted"
    box[0] = [order(BUY, 1), order(BUY, 2, 7)]
    reason = "order notional: {} lots of instrument {} are worth {} millionths, the limit is 50000000"
    refuse(log, {1: 0}, reason.format(2, 7, 100_000_000))
    box[0] = order(BUY, 1, 7, limit_price=5_001)
    refuse(log, {1: 0}, reason.format(1, 7, 50_010_000))
    box[0] = order(BUY, 5, limit_price=10_000)
    (resting,) = log.intend({1: 0}).orders
    box[0] = Replace(resting.client_order_id, 6, 10_000)
    refuse(log, {1: 0}, reason.format(6, 1, 60_000_000))


def test_position_limit_holds_whichever_orders_fill() -> None:
    log = Log(Limits(max_position_lots=100, allow_short=True))
    assert log.intend({1: 60}).status == "accepted"
    refuse(log, {1: 101, 2: 1}, "position: instrument 1 could reach 101 lots (0 held, 101 to buy), the limit is 100")
    assert log.intend({1: 100}).status == "accepted"
    assert log.intend({1: 0}).status == "accepted", "100 lots to sell: -100 if nothing bought fills"
    refuse(log, {1: -1}, "position: instrument 1 could reach -101 lots (0 held, 101 to sell), the limit is 100")
    first, second, third = log.state.orders_in_flight
    log.report(log.fill(first, 10_000), log.fill(second, 10_000), log.fill(third, 10_000))
    assert log.state.holding(1) == 0 and log.intend({1: -100}).status == "accepted"


def test_a_limit_that_came_later_lets_positions_shrink() -> None:
    log = Log()
    log.trade(1, 100, 10_000)
    log.commit(commands.encode_limits(Limits(max_position_lots=10, max_gross_notional=1, max_leverage_bps=1)))
    assert log.intend({1: 50}).status == "accepted"
    refuse(log, {2: 11}, "position: instrument 2 could reach 11 lots (0 held, 11 to buy), the limit is 10")


def test_short_sales_need_leave() -> None:
    box: list[Any] = [order(SELL, 1)]
    log = Log(actions=Sends(box))
    reason = "short sale: instrument 1 could reach {} lots ({} held, {} to sell); allow_short is False"
    refuse(log, {1: 0}, reason.format(-1, 0, 1))
    box[0] = order(BUY, 10)
    (bought,) = log.intend({1: 0}).orders
    box[0] = order(SELL, 10)
    refuse(log, {1: 0}, reason.format(-10, 0, 10))
    log.report(log.fill(bought, 10_000))
    assert log.intend({1: 0}).status == "accepted"
    box[0] = order(SELL, 1)
    refuse(log, {1: 0}, reason.format(-1, 10, 11))
    allowed = Log(Limits(allow_short=True), actions=Sends(box))
    assert allowed.intend({1: 0}).status == "accepted"


def test_lots_that_will_settle_can_be_sold() -> None:
    log = Log(settle_after_ns=DAY)
    log.trade(1, 10, 10_000)
    assert log.state.holding(1) == 0 and log.intend({1: 0}).status == "accepted"
    refused = Log(settle_after_ns=DAY)
    refused.trade(1, 10, 10_000)
    refused.trade(1, -10, 10_000)
    assert refused.intend({1: -1}).orders == [], "AtMarket does not even try"


def test_gross_notional_counts_longs_shorts_and_flights() -> None:
    log = Log(Limits(max_gross_notional=300_000_000, allow_short=True))
    log.trade(1, 10, 10_000)
    assert log.intend({2: -5}).status == "accepted"
    assert log.intend({7: 2}).status == "accepted"
    refuse(log, {7: 3}, "gross notional: positions would be worth 350000000 millionths, the limit is 300000000")
    assert log.intend({1: 5, 7: 3}).status == "accepted", "a basket counts as a whole: less of one, more of another"


def test_leverage_is_gross_over_equity() -> None:
    log = Log(Limits(max_leverage_bps=10_000))
    assert log.intend({1: 50, 2: 25}).status == "accepted"
    reason = "leverage: positions would be worth {} millionths on an equity of {}, the limit is 10000 bps of it"
    refuse(log, {1: 51}, reason.format(1_010_000_000, CAPITAL))
    assert log.intend({1: 50, 2: 25}).orders == []
    bought = log.state.orders_in_flight
    log.report(*(log.fill(o, {1: 10_000, 2: 20_000}[o.instrument], fee=10) for o in bought))
    refuse(log, {1: 51}, reason.format(1_010_000_000, CAPITAL - 20))
    reply = log.intend({1: 20, 2: 40})
    assert [o.side for o in reply.orders] == [SELL, BUY], "sold for what is bought: no more exposure than before"


def test_daily_loss_counts_from_the_last_mark_of_the_day_before() -> None:
    log = Log(Limits(max_daily_loss=10_000_000))
    log.trade(1, 10, 10_000)
    log.mark(DAY, {1: 9_000})
    assert log.intend({1: 11}).status == "accepted", "exactly the limit"
    log.mark(DAY + 1, {1: 8_999})
    lost = "daily loss: 10010000 millionths are lost today, the limit is 10000000; "
    refuse(log, {2: 1}, lost + "only orders that reduce a position pass, and instrument 2 would grow")
    refuse(log, {1: 0, 2: 1}, lost + "only orders that reduce a position pass, and instrument 2 would grow")
    assert log.intend({1: 5}).status == "accepted"
    log.mark(2 * DAY, {1: 8_500})
    assert log.intend({2: 1}).status == "accepted", "a new day: 4_990_000 lost since yesterday's last mark"


def test_cash_must_last_for_everything_in_flight() -> None:
    log = Log(Limits(min_cash=100_000_000))
    assert log.intend({1: 60}).status == "accepted"
    reason = "cash: {} millionths would be left once everything in flight has filled, the least is 100000000"
    refuse(log, {2: 16}, reason.format(80_000_000))
    assert log.intend({2: 15}).status == "accepted"
    refuse(log, {1: 61}, reason.format(90_000_000))
    log.report(*(log.fill(o, {1: 10_000, 2: 20_000}[o.instrument]) for o in log.state.orders_in_flight))
    assert log.intend({1: 0, 2: 45}).status == "accepted", "proceeds of the basket's own sales count"
    refuse(log, {2: 46}, reason.format(80_000_000))


def test_cash_that_is_promised_to_a_contract_is_gone() -> None:
    log = Log(Limits(min_cash=0), settle_after_ns=DAY)
    log.trade(1, 60, 10_000, ts_ns=DAY)
    left = "would be left once everything in flight has filled, the least is 0"
    refuse(log, {2: 21}, f"cash: -20000000 millionths {left}")
    assert log.intend({2: 20}).status == "accepted"


def test_cash_takes_the_limit_price_of_what_rests() -> None:
    box: list[Any] = [order(BUY, 50, limit_price=15_000)]
    log = Log(Limits(min_cash=0), actions=Sends(box))
    (resting,) = log.intend({1: 0}).orders
    box[0] = order(BUY, 13, 2)
    left = "would be left once everything in flight has filled, the least is 0"
    refuse(log, {1: 0}, f"cash: -10000000 millionths {left}")
    box[0] = Replace(resting.client_order_id, 70, 15_000)
    refuse(log, {1: 0}, f"cash: -50000000 millionths {left}")
    box[0] = Replace(resting.client_order_id, 50, 21_000)
    refuse(log, {1: 0}, f"cash: -50000000 millionths {left}")
    box[0] = Replace(resting.client_order_id, 50, 20_000)
    assert log.intend({1: 0}).status == "accepted"


def test_order_rate_is_counted_by_decision_time() -> None:
    log = Log(Limits(max_orders=3, order_window_ns=100))
    assert len(log.intend({1: 1, 2: 1}, ts_ns=1_000).orders) == 2
    reason = "order rate: {} orders in the last 100 ns and {} in this basket, the limit is 3"
    refuse(log, {1: 2, 2: 2}, reason.format(2, 2), ts_ns=1_050)
    assert len(log.intend({1: 2}, ts_ns=1_050).orders) == 1
    refuse(log, {1: 3}, reason.format(3, 1), ts_ns=1_099)
    assert len(log.intend({1: 3}, ts_ns=1_100).orders) == 1
    refuse(log, {1: 4, 2: 4}, reason.format(2, 2), ts_ns=1_149)
    refuse(log, {1: 7, 2: 7, 7: 7}, reason.format(1, 3), ts_ns=1_150)


@pytest.mark.parametrize("status", [OrderStatus.CANCELLED, OrderStatus.REJECTED, OrderStatus.EXPIRED])
def test_what_an_ended_order_held_is_free_again(status: OrderStatus) -> None:
    log = Log(Limits(max_position_lots=10))
    (sent,) = log.intend({1: 10}).orders
    refuse(log, {1: 11}, "position: instrument 1 could reach 11 lots (0 held, 11 to buy), the limit is 10")
    log.report(log.fill(sent, 10_000, 4), update(sent, status))
    assert log.intend({1: 10}).orders[0].quantity == 6


def test_a_restored_replica_names_the_same_rule_in_the_same_words() -> None:
    """Which instrument a refusal names is part of the head: it must not hang on the order in which orders came."""
    opening = commands.encode_open("USD", CAPITAL, [(1, 1000, 1), (9, 1000, 1)], Limits(max_daily_loss=1))
    live, restored = TradingState(), TradingState()
    log = iter(range(1, 99))

    def apply(command: bytes, *states: TradingState) -> list[Any]:
        entry = Entry(next(log), 0, command)
        return [commands.decode_reply(state.apply(entry)) for state in states]

    apply(opening, live)
    apply(commands.encode_marks(1, [1, 9], [2_000, 2_000]), live)
    ((first, *_),) = (reply.orders for reply in apply(commands.encode_intent(Intent(1, {1: 10})), live))
    apply(commands.encode_intent(Intent(1, {9: 10})), live)
    apply(commands.encode_intent(Intent(1, {1: 20})), live)
    fill = Fill(
        execution_id=1, client_order_id=first.client_order_id, ts_ns=2, instrument=1, side=BUY, price=2_000, quantity=10
    )
    apply(commands.encode_reports([fill]), live)
    apply(commands.encode_marks(3, [1, 9], [1_000, 1_000]), live)
    restored.restore(live.snapshot())
    one, other = apply(commands.encode_intent(Intent(4, {1: 50, 9: 50})), live, restored)
    assert one.status == "rejected"
    assert "instrument 1 would grow" in one.reason
    assert other.reason == one.reason
    assert restored.digest() == live.digest()
