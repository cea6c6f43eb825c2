"""TradingState, command by command: what is booked, what is answered, what is left alone."""

from __future__ import annotations

import numpy as np
import pytest
from replica_log import CAPITAL, DAY, INSTRUMENTS, Entry, Log, holds_identity, refused, replay, update

from fastmas.errors import ConfigError, InvariantError, LedgerError
from fastmas.messages import (
    BUY,
    SELL,
    Fill,
    OrderStatus,
    RejectReason,
)
from fastmas.replica import Limits, TradingState, commands
from fastmas.replica.reply import STATUSES

# -- opening ---------------------------------------------------------------------------------------------------------


def test_opening_books_the_capital() -> None:
    state = Log(marked=False).state
    assert (state.cash, state.capital, state.equity, state.currency) == (CAPITAL, CAPITAL, CAPITAL, "USD")
    assert state.holdings() == {} and state.marks == {} and state.balanced and state.opened
    assert [tuple(row) for row in state.instruments] == INSTRUMENTS


def test_books_open_once_and_first() -> None:
    state = TradingState()
    with pytest.raises(ConfigError, match=r"the books are not open: the first command must be encode_open\(\.\.\.\)"):
        state.apply(Entry(1, 0, commands.encode_kill(True)))
    with pytest.raises(ConfigError, match="the books are not open"):
        _ = state.cash
    log = Log()
    again = commands.encode_open("EUR", 1, INSTRUMENTS, Limits())
    refused(log, again, ConfigError, "the books are open already, in USD; a log opens them once")


# -- baskets ---------------------------------------------------------------------------------------------------------


def test_a_basket_becomes_orders_sells_first_numbered_by_its_commit() -> None:
    log = Log()
    log.trade(2, 30, 20_000)
    reply = log.intend({1: 50, 2: 10, 7: 4}, ts_ns=99, time_ns=12345)
    assert [(o.instrument, o.side, o.quantity) for o in reply.orders] == [(2, SELL, 20), (1, BUY, 50), (7, BUY, 4)]
    assert [o.client_order_id for o in reply.orders] == [reply.index << 16 | k for k in range(3)]
    assert {o.ts_ns for o in reply.orders} == {99}, "decided when the intent was, not when the commit happened"
    assert reply.status == "accepted" and reply.reason == "" and reply.head == log.state.head
    assert log.state.orders_in_flight == tuple(reply.orders)
    assert (log.state.holding(1), log.state.position(1)) == (0, 50)
    assert (log.state.holding(2), log.state.position(2)) == (30, 10)


def test_an_intent_that_repeats_itself_sends_nothing() -> None:
    log = Log()
    assert len(log.intend({1: 50}).orders) == 1
    assert log.intend({1: 50}).orders == []
    (order,) = log.intend({1: 80}).orders
    assert order.quantity == 30, "orders in flight count as held"


def test_at_market_sells_no_more_than_it_is_sure_to_hold() -> None:
    log = Log()
    log.trade(1, 10, 10_000)
    assert log.intend({1: 50}).orders[0].quantity == 40
    assert [(o.side, o.quantity) for o in log.intend({1: 5}).orders] == [(SELL, 10)], "the 40 may never fill"
    assert log.intend({1: 5}).orders == []
    log.commit(commands.encode_limits(Limits(allow_short=True)))
    assert [(o.side, o.quantity) for o in log.intend({1: 5}).orders] == [(SELL, 35)]


def test_an_intent_past_its_validity_expires_and_is_counted() -> None:
    log = Log()
    assert log.intend({1: 5}, valid_until_ns=100, time_ns=100).status == "accepted"
    reply = log.intend({1: 50}, valid_until_ns=100, time_ns=101)
    assert (reply.status, reply.orders) == ("expired", [])
    assert reply.reason == "the intent was valid until 100 ns"
    assert log.state.counters["expired"] == 1 and log.state.counters["intents"] == 2
    assert log.state.position(1) == 5


def test_an_unknown_instrument_rejects_the_whole_basket() -> None:
    log = Log()
    reply = log.intend({1: 5, 99: 1})
    assert (reply.status, reply.reason, reply.orders) == ("rejected", "instrument 99 is not in these books", [])
    assert log.state.counters["rejected"] == 1 and log.state.position(1) == 0
    with pytest.raises(ConfigError, match=r"instrument 99 is not in these books; they were opened with 3: \[1, 2, 7\]"):
        log.state.position(99)


def test_when_a_commit_happened_is_not_in_the_head() -> None:
    log = Log()
    log.trade(1, 10, 10_500)
    later = [entry._replace(time_ns=entry.time_ns + 10**15) for entry in log.entries]
    assert replay(later).snapshot() == log.state.snapshot()


# -- fills -----------------------------------------------------------------------------------------------------------


def test_a_fill_moves_cash_lots_fees_and_gains() -> None:
    log = Log()
    log.trade(7, 4, 5_000, fee=100, slippage=20)
    assert log.state.cash == CAPITAL - 4 * 5_000 * 1000 * 10 - 120
    assert (log.state.fees, log.state.slippage, log.state.realised) == (100, 20, 0)
    reply = log.trade(7, -1, 6_000)
    assert log.state.realised == 1_000 * 1000 * 10 == reply.totals.realised
    log.mark(DAY, {7: 7_000})
    assert log.state.unrealised == 3 * 2_000 * 1000 * 10
    assert holds_identity(log.state) and log.state.balanced
    assert log.state.holdings() == {7: 3} and log.state.marks == {1: 10_000, 2: 20_000, 7: 7_000}


def test_a_rebate_and_a_price_improvement_are_negative_costs() -> None:
    log = Log()
    log.trade(1, 10, 10_000, fee=-30, slippage=-5)
    assert (log.state.fees, log.state.slippage) == (-30, -5) and holds_identity(log.state)


def test_a_fill_without_a_mark_is_marked_at_its_price() -> None:
    log = Log()
    (order,) = log.intend({1: 3}).orders
    log.report(log.fill(order, 10_777))
    assert log.state.marks[1] == 10_000, "a mark that there is stays"
    assert log.state.unrealised == -3 * 777 * 1000


def test_crossing_zero_closes_and_opens() -> None:
    log = Log(Limits(allow_short=True))
    log.trade(1, 10, 10_000)
    log.trade(1, -15, 11_000)
    assert log.state.holding(1) == -5 and log.state.realised == 10 * 1_000 * 1000
    log.trade(1, 5, 10_500)
    assert log.state.holding(1) == 0 and log.state.realised == 10 * 1_000 * 1000 + 5 * 500 * 1000
    assert log.state.unrealised == 0 and log.state.cash == CAPITAL + log.state.realised


def test_remainders_leave_with_the_last_lot() -> None:
    log = Log()
    (order,) = log.intend({1: 3}).orders
    log.report(log.fill(order, 10_000, 1), log.fill(order, 10_000, 1), log.fill(order, 10_001, 1))
    for _ in range(3):
        log.trade(1, -1, 10_000)
        assert holds_identity(log.state)
    assert log.state.realised == -1000 and log.state.cash == CAPITAL - 1000


def test_partial_fills_add_up_and_the_order_leaves_when_done() -> None:
    log = Log()
    (order,) = log.intend({1: 10}).orders
    log.report(log.fill(order, 10_000, 4))
    assert (log.state.holding(1), log.state.position(1)) == (4, 10) and log.state.orders_in_flight == (order,)
    log.report(log.fill(order, 10_000, 6))
    assert (log.state.holding(1), log.state.position(1)) == (10, 10) and log.state.orders_in_flight == ()


def test_a_repeated_execution_is_booked_once() -> None:
    log = Log()
    (order,) = log.intend({1: 10}).orders
    first = log.fill(order, 10_000, 4)
    log.report(first, first)
    log.report(first)
    assert log.state.holding(1) == 4
    last = log.fill(order, 10_000, 6)
    log.report(last)
    log.report(last, update(order, OrderStatus.CANCELLED))
    assert log.state.holding(1) == 10 and log.state.counters["duplicate_reports"] == 4
    assert log.state.counters["fills"] == 2 and log.state.counters["refused_reports"] == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_order_id": 900 << 16},
        {"instrument": 2},
        {"side": SELL},
        {"price": 0},
        {"quantity": 0},
        {"quantity": 11},
        {"quantity": -1},
        {"ts_ns": -1},
    ],
)
def test_a_fill_that_cannot_be_true_is_dropped_and_counted(wrong: dict[str, int]) -> None:
    log = Log()
    (order,) = log.intend({1: 10}).orders
    log.report(log.fill(order, wrong.pop("price", 10_000), **wrong))
    assert log.state.counters["refused_reports"] == 1 and log.state.counters["fills"] == 0
    assert log.state.holding(1) == 0 and log.state.cash == CAPITAL and log.state.position(1) == 10


def test_an_overflowing_fill_undoes_the_whole_command() -> None:
    log = Log()
    orders = log.intend({1: 5, 2: 2**40}).orders
    good, bad = log.fill(orders[0], 10_000), log.fill(orders[1], 2**40)
    refused(log, commands.encode_reports([good, bad]), LedgerError, "would overflow a 64-bit total; nothing was")
    far = log.fill(orders[1], 10_000, fee=2**63 - 1)
    refused(log, commands.encode_reports([good, far]), LedgerError, "would overflow a 64-bit total")
    assert log.state.position(1) == 5 and log.report(good).status == "accepted" and log.state.holding(1) == 5


# -- order updates ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [OrderStatus.REJECTED, OrderStatus.CANCELLED, OrderStatus.EXPIRED])
def test_an_order_that_the_venue_ends_is_no_longer_in_flight(status: OrderStatus) -> None:
    log = Log()
    (order,) = log.intend({1: 10}).orders
    log.report(log.fill(order, 10_000, 3), update(order, status))
    assert log.state.position(1) == log.state.holding(1) == 3 and log.state.orders_in_flight == ()


def test_a_refused_second_copy_leaves_the_first_order_alone() -> None:
    log = Log()
    (order,) = log.intend({1: 10}).orders
    log.report(update(order, OrderStatus.REJECTED, RejectReason.DUPLICATE))
    log.report(update(order, OrderStatus.ACKNOWLEDGED))
    assert log.state.orders_in_flight == (order,) and log.state.counters["updates"] == 2


def test_an_update_that_cannot_be_true_is_counted() -> None:
    log = Log()
    (order,) = log.intend({1: 10}).orders
    log.report(update(order, 9), update(order, 0))  # type: ignore[arg-type]
    assert log.state.counters["refused_reports"] == 2 and log.state.orders_in_flight == (order,)


# -- marks -----------------------------------------------------------------------------------------------------------


def test_marks_of_some_instruments_leave_the_others() -> None:
    log = Log()
    log.mark(2, {7: 1})
    assert log.state.marks == {1: 10_000, 2: 20_000, 7: 1}


def test_marks_refuse_the_past_and_the_unknown() -> None:
    log = Log()
    log.mark(5, {1: 1})
    log.mark(5, {1: 2})
    refused(log, commands.encode_marks(4, [1], [1]), ConfigError, "marks must not go back in time: last 5 ns, got 4")
    refused(log, commands.encode_marks(6, [3], [1]), ConfigError, "instrument 3 is not in these books")


def test_a_mark_that_overflows_changes_nothing() -> None:
    log = Log()
    log.trade(1, 10, 10_000)
    too_high = commands.encode_marks(9, [1], [2**60])
    refused(log, too_high, LedgerError, "would overflow 64 bits; nothing was changed")
    assert log.mark(9, {1: 2**46}).status == "accepted" and holds_identity(log.state)


# -- settlement ------------------------------------------------------------------------------------------------------


def test_settlement_after_two_days() -> None:
    log = Log(settle_after_ns=2 * DAY)
    log.trade(1, 10, 10_000, ts_ns=DAY, fee=7)
    assert (log.state.holding(1), log.state.position(1), log.state.cash, log.state.fees) == (0, 10, CAPITAL, 0)
    assert len(log.state.unsettled) == 1 and log.intend({1: 10}).orders == []
    log.mark(3 * DAY - 1, {1: 12_000})
    assert log.state.holding(1) == 0 and log.state.equity == CAPITAL
    log.mark(3 * DAY, {1: 12_000})
    assert (log.state.holding(1), log.state.fees, log.state.unsettled) == (10, 7, ())
    assert log.state.equity == CAPITAL + 10 * 2_000 * 1000 - 7 and holds_identity(log.state)
    assert log.state.counters["settled"] == 1


def test_a_bust_voids_what_has_not_settled() -> None:
    log = Log(settle_after_ns=DAY)
    log.trade(1, 10, 10_000, ts_ns=DAY)
    (fill,) = log.state.unsettled
    assert log.commit(commands.encode_bust([(fill.client_order_id, fill.execution_id)])).status == "accepted"
    assert log.state.position(1) == 0 and log.state.counters["busted"] == 1 and log.state.balanced
    text = "has no pending contract to void: it has settled, or never happened; a settled trade is corrected by"
    refused(log, commands.encode_bust([(fill.client_order_id, fill.execution_id)]), ConfigError, text)
    log.mark(5 * DAY, {1: 12_000})
    assert log.state.equity == CAPITAL


def test_an_undeliverable_contract_waits_and_then_expires() -> None:
    log = Log(Limits(min_cash=0), settle_after_ns=DAY, fail_after_ns=DAY)
    log.trade(1, 50, 10_000, ts_ns=DAY)
    log.mark(DAY, {1: 10_000})
    (order,) = log.intend({2: 1}).orders
    log.report(log.fill(order, 20_000, ts_ns=DAY, fee=CAPITAL))  # cannot be paid for
    log.mark(2 * DAY, {1: 10_000})
    assert log.state.counters["settled"] == 1 and len(log.state.unsettled) == 1
    log.mark(3 * DAY, {1: 10_000})
    assert log.state.unsettled == () and log.state.counters["failed"] == 1
    assert log.state.holding(2) == 0 and log.state.balanced and holds_identity(log.state)


def test_proceeds_of_a_sale_pay_for_a_purchase_of_the_same_day() -> None:
    later = Log(Limits(min_cash=0), settle_after_ns=DAY)
    later.trade(1, 100, 10_000, ts_ns=1)
    later.mark(2 * DAY, {1: 10_000})
    assert later.state.cash == 0
    orders = later.intend({1: 0, 2: 50}, ts_ns=2 * DAY).orders
    assert [o.side for o in orders] == [SELL, BUY]
    later.report(later.fill(orders[1], 20_000, ts_ns=2 * DAY), later.fill(orders[0], 10_000, ts_ns=2 * DAY))
    later.mark(3 * DAY, {1: 10_000})
    assert later.state.holdings() == {2: 50} and later.state.cash == 0


# -- parameters and administration -----------------------------------------------------------------------------------


def test_parameters_are_fixed_bit_for_bit() -> None:
    log = Log()
    theta = np.array([0.1 + 0.2, -0.0, 5e-324])
    reply = log.commit(commands.encode_parameters({"risk": theta, "blend": [1.0]}))
    assert log.state.parameters["risk"].tobytes() == theta.tobytes() and list(log.state.parameters) == ["blend", "risk"]
    assert theta.tobytes() in reply.touched
    with pytest.raises(ValueError, match="read-only"):
        log.state.parameters["risk"][0] = 1.0
    log.commit(commands.encode_parameters({"blend": [2.0]}))
    assert log.state.parameters["blend"][0] == 2.0 and len(log.state.parameters["risk"]) == 3
    text = "parameters of 'blend' are 1 numbers since they were first fixed, got 2"
    refused(log, commands.encode_parameters({"blend": [1, 2]}), ConfigError, text)


def test_limits_and_kill_switch_come_through_the_log() -> None:
    log = Log()
    log.commit(commands.encode_limits(Limits(max_position_lots=5)))
    log.commit(commands.encode_kill(True))
    assert log.state.limits == Limits(max_position_lots=5) and log.state.killed
    log.commit(commands.encode_kill(False))
    assert not log.state.killed and log.state.counters["commands"] == 5


# -- reconciliation --------------------------------------------------------------------------------------------------


def test_reconciliation_books_sends_again_and_cancels_strays() -> None:
    log = Log()
    lost, filled, open_there = log.intend({1: 1, 2: 2, 7: 7}).orders
    fill = log.fill(filled, 20_000)
    stray = 5 << 40
    reply = log.commit(commands.encode_reconcile([open_there.client_order_id, stray], [fill]))
    assert reply.orders == [lost] and [c.client_order_id for c in reply.cancels] == [stray]
    assert log.state.holding(2) == 2 and reply.reason == ""
    again = log.commit(commands.encode_reconcile([o.client_order_id for o in (lost, open_there)], [fill]))
    assert again.orders == [] and log.state.counters["duplicate_reports"] == 1


def test_reconciliation_names_orders_that_vanished() -> None:
    log = Log()
    (order,) = log.intend({1: 10}).orders
    log.report(update(order, OrderStatus.ACKNOWLEDGED))
    reply = log.commit(commands.encode_reconcile([], []))
    assert reply.orders == [] and log.state.orders_in_flight == (order,)
    vanished = f"[{order.client_order_id}]"
    assert reply.reason == f"the venue neither has nor ended orders {vanished}, which it had acknowledged"


# -- the log's side --------------------------------------------------------------------------------------------------


def test_a_commit_is_applied_once() -> None:
    log = Log()
    with pytest.raises(InvariantError, match="commit 2 was applied before: the last was 2"):
        log.state.apply(log.entries[-1])
    for call in (log.state.snapshot, log.state.digest, lambda: log.state.apply(log.entries[-1])):
        with pytest.raises(InvariantError, match="commit 2 was applied before"):
            call()


def test_books_that_do_not_add_up_poison_the_state() -> None:
    log = Log()
    log.trade(1, 10, 10_000)
    log.state._books.portfolio.cost += 1  # type: ignore[union-attr]
    with pytest.raises(InvariantError, match=r"the books do not add up: cash 900000000 \+ holdings"):
        log.mark(DAY, {1: 10_000})
    with pytest.raises(InvariantError, match="the books do not add up"):
        log.state.digest()


def test_positions_are_checked_against_the_ledger() -> None:
    log = Log()
    log.trade(1, 10, 10_000)
    books = log.state._books
    assert books is not None
    books.portfolio.positions = (books.portfolio.positions[0]._replace(lots=11), *books.portfolio.positions[1:])
    with pytest.raises(InvariantError, match=r"instrument 1: the portfolio holds 16 lots .* the ledger 15 lots"):
        log.trade(1, 5, 10_000)


def test_statuses_are_words() -> None:
    assert STATUSES == ("accepted", "rejected", "expired")


def test_a_late_fill_of_an_ended_order_is_not_booked() -> None:
    log = Log()
    (order,) = log.intend({1: 10}).orders
    log.report(update(order, OrderStatus.CANCELLED))
    log.report(log.fill(order, 10_000))
    assert log.state.holding(1) == 0 and log.state.counters["duplicate_reports"] == 1


def test_a_fill_is_a_record() -> None:
    with pytest.raises(ConfigError, match="a report is a Fill or an OrderUpdate, got 5"):
        commands.encode_reports([5])  # type: ignore[list-item]
    assert Fill.dtype.itemsize == 64


def test_an_order_that_is_refused_is_over_whatever_was_asked_of_it_since() -> None:
    """The cancel's own refusal comes later, and finds the order gone."""
    log = Log()
    (order,) = log.intend({1: 10}).orders
    log.state._books.orders.request_cancel(order.client_order_id)
    log.report(update(order, OrderStatus.REJECTED, RejectReason.EXPIRED))
    assert log.state.orders_in_flight == () and log.state.position(1) == 0
    log.report(update(order, OrderStatus.REJECTED, RejectReason.UNKNOWN_ORDER))
    assert log.state.counters["duplicate_reports"] == 1
