"""What agents can do in a world, and what becomes of it: reports, wake-ups, joins, latencies, parameters, refusals."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pytest

import fastmas as fm
from fastmas import audit
from fastmas._core.kernel import LatencyModel
from fastmas.errors import AgentError, FixedPointError
from fastmas.market.bars import Bars
from fastmas.market.venue import BarVenue
from fastmas.messages import Fill, OrderStatus, OrderUpdate
from fastmas.replica import Limits

HOUR = 3_600_000_000_000
DAY = 24 * HOUR


@cache
def bars(*symbols, last="2019-01-31"):
    return Bars.sample(list(symbols or ("KO", "PG"))).window("2019-01-02", last)


def run(agents, market=None, **options):
    market = bars() if market is None else market
    venue = BarVenue(market.instruments, fee_bps=1, slippage_bps=4)
    return fm.Simulation(feed=market, venue=venue, **options).run(agents)


class Eye(fm.Perception):
    def perceive(self, bar, ctx):
        return fm.Observation(bar.instrument, ctx.now_ns, {"close": float(bar.close)})


class Mind(fm.Reasoning):
    def reason(self, seen, ctx):
        return fm.Signal(seen.instrument, ctx.now_ns, seen["close"])


class Will(fm.Decision):
    """Proposes what its plan says for the n-th session, once a session."""

    join = True

    def __init__(self, plan):
        self.plan = plan
        self.session = -1
        self.positions = []

    def decide(self, signals, ctx):
        self.session += 1
        self.positions.append({signal.instrument: ctx.position(signal.instrument) for signal in signals})
        made = self.plan.get(self.session)
        return made(ctx) if callable(made) else None


def buy(lots, **options):
    """Plan: that many lots of the first instrument."""
    return lambda ctx: fm.Intent(ctx.now_ns, {bars().instruments[0].id: lots}, **options)


def named(agent, name, **attributes):
    agent.name = name
    for key, value in attributes.items():
        setattr(agent, key, value)
    return agent


def four(plan, **replaced):
    agents = {"eye": Eye(), "mind": Mind(), "will": Will(plan), "hand": fm.AtMarket()} | replaced
    return [named(agent, name) for name, agent in agents.items()]


def ids():
    return [one.id for one in bars().instruments]


# -- reports and wake-ups ---------------------------------------------------------------------------------------------


def test_every_agent_above_the_line_may_hear_reports_before_it_sees_the_bar_of_the_fill():
    heard = []

    class Listens(Eye):
        def on_report(self, report, ctx):
            heard.append(("report", type(report), report.ts_ns == ctx.now_ns, ctx.holding(report.instrument)))

        def perceive(self, bar, ctx):
            heard.append(("bar", ctx.holding(bar.instrument)))
            return super().perceive(bar, ctx)

    report = run(four({0: buy(5)}, eye=Listens()))
    assert len(report.fill_records) == 1
    at = heard.index(("report", Fill, True, 5))  # the books are ahead of the report
    assert heard.count(("report", Fill, True, 5)) == 1
    assert heard[at - 1] == ("bar", 0)
    assert heard[at + 1] == ("bar", 5)


def test_a_report_may_lead_to_a_message_of_the_agents_own_stage():
    class Answers(Mind):
        def on_report(self, report, ctx):
            return fm.Signal(report.instrument, ctx.now_ns, -1.0) if type(report) is Fill else None

    report = run(four({0: buy(5)}, mind=Answers()), keep=["mind"])
    signals = [signal for signal in report.kept["mind"] if signal.score == -1.0]
    assert [signal.ts_ns for signal in signals] == [report.fill_records[0].ts_ns]


def test_wake_ups_come_in_virtual_time_and_see_the_books():
    woken = []

    class Sleeps(Will):
        def decide(self, signals, ctx):
            super().decide(signals, ctx)
            return fm.Wakeup(ctx.now_ns + 2 * HOUR) if self.session == 0 else None

        def on_wakeup(self, ctx):
            woken.append(ctx.now_ns)
            return fm.Intent(ctx.now_ns, {ids()[0]: 7})

    report = run(four({}, will=Sleeps({})))
    assert woken == [int(bars().sessions[0]) + 2 * HOUR]
    (intent, reply), (fill,) = report.intents[0], report.fill_records
    assert intent.ts_ns == woken[0]
    assert reply.status == "accepted"
    assert (fill.ts_ns, fill.quantity) == (bars().sessions[1], 7)


def test_a_wake_up_without_a_handler_is_refused():
    text = "agent 'will' returned a Wakeup and has no on_wakeup; define on_wakeup(ctx)"
    with pytest.raises(AgentError, match=re.escape(text)):
        run(four({0: lambda ctx: fm.Wakeup(ctx.now_ns + HOUR)}))


# -- who hears whom ---------------------------------------------------------------------------------------------------


def test_several_agents_a_stage_arrive_in_order_of_name_in_one_join():
    sources = []

    class Collects(Will):
        def decide(self, signals, ctx):
            sources.append([(signal.source, signal.instrument) for signal in signals])

    class Says(fm.Reasoning):
        def __init__(self, source):
            self.source = source

        def reason(self, seen, ctx):
            return fm.Signal(seen.instrument, ctx.now_ns, 0.0, self.source)

    minds = [named(Says(3), "b"), named(Says(9), "a"), named(Says(5), "c", subscribes=("other_eye",))]
    run([Eye(), named(Eye(), "other_eye"), *minds, Collects({}), fm.AtMarket()])
    first, second = ids()
    assert len(sources) == len(bars().sessions)
    # "a" and "b" hear both eyes, "c" one of them.
    expected = [(9, first), (9, second)] * 2 + [(3, first), (3, second)] * 2 + [(5, first), (5, second)]
    assert all(sorted(seen) == sorted(expected) for seen in sources)
    assert all([source for source, _ in seen] == [source for source, _ in expected] for seen in sources)


def test_several_decision_agents_each_commit_their_own_basket():
    first, second = ids()
    one = Will({0: lambda ctx: fm.Intent(ctx.now_ns, {first: 3})})
    two = Will({0: lambda ctx: fm.Intent(ctx.now_ns, {second: 4})})
    report = run([Eye(), Mind(), named(one, "one"), named(two, "two"), fm.AtMarket()])
    assert [dict(intent.targets) for intent, _ in report.intents] == [{first: 3}, {second: 4}]
    assert [reply.index for _, reply in report.intents] == sorted(reply.index for _, reply in report.intents)
    assert report.holdings[-1].tolist() == [3, 4]


@pytest.mark.parametrize("name", ["venue", "gateway", "settle", "outbox"])
def test_names_of_the_worlds_own_parts_are_taken(name):
    with pytest.raises(fm.ConfigError, match=re.escape(repr(name))):
        run([named(Eye(), name), Mind(), Will({}), fm.AtMarket()])


def test_kept_messages_belong_to_an_agent_above_the_line():
    with pytest.raises(
        fm.ConfigError, match=r"keep names 'hand', which is no agent above .* there are \['eye', 'feed'"
    ):
        run(four({}), keep=["hand"])


# -- latencies --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("latency", "low", "high"),
    [
        (5 * HOUR, 5 * HOUR, 5 * HOUR),
        (LatencyModel.constant(5 * HOUR), 5 * HOUR, 5 * HOUR),
        (LatencyModel.uniform(HOUR, 2 * HOUR), HOUR, 2 * HOUR),
        (LatencyModel.exponential(HOUR, minimum_ns=HOUR), HOUR, 20 * HOUR),
    ],
)
def test_a_basket_counts_from_when_it_was_spoken(latency, low, high):
    def plan():
        return {k: buy(k + 1) for k in range(0, 12, 3)}

    def spoken():
        report = run(four(plan(), will=named(Will(plan()), "will", latency_ns=latency)))
        assert all(
            fill.ts_ns > intent.ts_ns for (intent, _), fill in zip(report.intents, report.fill_records, strict=True)
        )
        with_orders = [(intent.ts_ns, order.ts_ns) for intent, reply in report.intents for order in reply.orders]
        return report, [order_ns - decided_ns for decided_ns, order_ns in with_orders]

    report, delays = spoken()
    assert len(delays) == 4
    assert all(low <= delay <= high for delay in delays)
    again, same = spoken()
    assert same == delays
    assert again.ledger_head == report.ledger_head


def test_a_latency_beyond_the_next_close_is_filled_a_session_later():
    report = run(four({0: buy(1)}, will=named(Will({0: buy(1)}), "will", latency_ns=DAY + HOUR)))
    assert [fill.ts_ns for fill in report.fill_records] == [bars().sessions[2]]


# -- parameters -------------------------------------------------------------------------------------------------------


def test_parameters_change_at_a_review_and_nowhere_else():
    seen = []

    class Learns(Mind):
        initial_parameters = (1.0, 0.0)

        def reason(self, message, ctx):
            seen.append((ctx.now_ns, ctx.parameters[self.name].tolist()))
            return super().reason(message, ctx)

        def update_parameters(self, parameters, ctx):
            return np.array([0.5 * parameters["will"][0], ctx.position(ids()[0])])

    class Wills(Will):
        initial_parameters = 2.0

        def update_parameters(self, parameters, ctx):
            return 1.0 + 0.5 * parameters["mind"][:1]

    plan = {0: buy(5), 4: lambda ctx: fm.Review(ctx.now_ns)}
    report = run(four(plan, mind=Learns(), will=Wills(plan)))
    ((reviewed_ns, point),) = report.reviews
    assert reviewed_ns == bars().sessions[4]
    assert point.parameters["mind"].tolist() == pytest.approx([2 / 3, 5.0])
    assert point.parameters["will"].tolist() == pytest.approx([4 / 3])
    assert {tuple(theta) for ts_ns, theta in seen if ts_ns <= reviewed_ns} == {(1.0, 0.0)}
    assert {tuple(theta) for ts_ns, theta in seen if ts_ns > reviewed_ns} == {tuple(point.parameters["mind"].tolist())}
    assert report.parameter_names == {"eye": (), "mind": (), "will": ()}


def test_parameters_are_read_only():
    class Writes(Mind):
        initial_parameters = (1.0,)

        def reason(self, message, ctx):
            ctx.parameters[self.name][0] = 2.0

    with pytest.raises(AgentError, match=r"agent 'mind' failed .*read-only"):
        run(four({}, mind=Writes()))


def test_a_review_without_parameters():
    with pytest.raises(fm.ConfigError, match="a review needs agents with parameters; set initial_parameters on at"):
        run(four({0: lambda ctx: fm.Review(ctx.now_ns)}))


def test_an_update_that_raises_names_its_agent():
    class Forgets(Mind):
        initial_parameters = (1.0,)

        def update_parameters(self, parameters, ctx):
            return parameters["nobody"]

    with pytest.raises(AgentError, match=r"agent 'mind' failed in update_parameters at now_ns=\d+: KeyError: 'nobod"):
        run(four({0: lambda ctx: fm.Review(ctx.now_ns)}, mind=Forgets()))


def test_an_update_of_another_length_and_one_that_is_not_finite():
    class Grows(Mind):
        initial_parameters = (1.0,)
        answer = (1.0, 2.0)

        def update_parameters(self, parameters, ctx):
            return self.answer

    plan = {0: lambda ctx: fm.Review(ctx.now_ns)}
    with pytest.raises(
        fm.ConfigError, match=r"agent 'mind' must give a parameter vector of shape \(1,\), got shape \(2"
    ):
        run(four(plan, mind=Grows()))
    grows = Grows()
    grows.answer = (float("nan"),)
    with pytest.raises(FixedPointError, match=r"diverged in round 1: agent 'mind' gave \[nan\]"):
        run(four(plan, mind=grows))


# -- what the guard and the clock refuse ------------------------------------------------------------------------------


def test_a_rejected_basket_changes_nothing_and_says_the_rule():
    unit = int(bars().closes[0, 0] * 1e6)
    limits = Limits(max_order_notional=10 * unit)
    report = run(four({0: buy(100), 3: buy(5)}), limits=limits)
    (_, refused), (_, accepted) = report.intents
    assert (refused.status, accepted.status) == ("rejected", "accepted")
    assert re.match(
        r"order notional: 100 lots of instrument \d+ are worth \d+ millionths, the limit is \d+", refused.reason
    )
    assert refused.orders == []
    assert (report.decisions, report.orders, report.counters["rejected"]) == (2, 1, 1)
    assert report.holdings[-1].tolist() == [5, 0]
    assert report.balanced


def test_more_than_the_cash_there_is():
    report = run(four({0: buy(10)}), capital=100, limits=Limits(min_cash=0))
    assert report.intents[0][1].status == "rejected"
    assert report.intents[0][1].reason.startswith("cash: -")
    assert report.cash_micro[-1] == 100_000_000


def test_an_intent_past_its_time_commits_as_expired():
    plan = {0: lambda ctx: fm.Intent(ctx.now_ns, {ids()[0]: 5}, ctx.now_ns + HOUR)}
    report = run(four(plan, will=named(Will(plan), "will", latency_ns=2 * HOUR)))
    assert [reply.status for _, reply in report.intents] == ["expired"]
    assert (report.orders, report.counters["expired"], len(report.fill_records)) == (0, 1, 0)


def until_next_noon(committed, ctx):
    """Orders that are good for less than a day, so that no daily bar comes in time."""
    until_ns = committed.intent.ts_ns + 20 * HOUR
    return [fm.Order(i, fm.BUY, lots, valid_until_ns=until_ns) for i, lots in sorted(committed.intent.targets.items())]


def test_an_order_that_outlives_its_basket_expires_at_the_venue():
    report = run(four({0: buy(5)}, hand=fm.action(until_next_noon)))
    assert [reply.status for _, reply in report.intents] == ["accepted"]
    assert report.fill_records == ()
    assert [update.status for update in report.updates if update.status != OrderStatus.ACKNOWLEDGED] == [
        OrderStatus.EXPIRED
    ]
    assert report.holdings[-1].tolist() == [0, 0]
    assert report.cash_micro[-1] == report.capital_micro


@pytest.mark.parametrize("column", [0, 1])
def test_an_order_may_expire_while_its_instrument_has_no_bar(tmp_path, column):
    market = bars()
    absent = ids()[column]
    gone = (market.records["instrument"] == absent) & (market.records["ts_ns"] > market.sessions[3])
    market = Bars(market.instruments, market.records[~gone], market.problems)
    plan = {3: lambda ctx: fm.Intent(ctx.now_ns, {absent: 5})}
    report = run(four(plan, hand=fm.action(until_next_noon)), market, audit=tmp_path / "run.fma")
    assert report.fill_records == ()
    expired = [update for update in report.updates if update.status == OrderStatus.EXPIRED]
    assert [update.instrument for update in expired] == [absent]
    with audit.read(tmp_path / "run.fma") as file:
        (record,) = [
            record
            for record in file.records(type="OrderUpdate")
            if OrderUpdate.from_bytes(record.payload) == expired[0]
        ]
        causes = [file.schemas[file.record(cause).type].name for cause in record.causes]
    assert causes == ["Order"]  # and no bar of another instrument


def test_an_intent_dated_in_the_future():
    text = r"an intent must not be dated in the future, got ts_ns=\d+ at \d+; use ctx\.now_ns"
    with pytest.raises(fm.ConfigError, match=text):
        run(four({0: lambda ctx: fm.Intent(ctx.now_ns + 1, {ids()[0]: 5})}))


def test_an_instrument_that_is_not_there():
    report = run(four({0: lambda ctx: fm.Intent(ctx.now_ns, {999: 5})}))
    assert report.intents[0][1].status == "rejected"
    assert "999" in report.intents[0][1].reason
    assert report.orders == 0


# -- odd answers ------------------------------------------------------------------------------------------------------


def test_none_an_empty_list_and_nan_are_answers():
    class Blind(Eye):
        def perceive(self, bar, ctx):
            return [] if bar.instrument == ids()[0] else fm.Observation(bar.instrument, ctx.now_ns, {"close": np.nan})

    scores = []

    class Notes(Will):
        def decide(self, signals, ctx):
            scores.extend(signal.score for signal in signals)

    report = run(four({}, eye=Blind(), will=Notes({})), keep=["eye"])
    assert len(report.kept["eye"]) == len(scores) == len(bars().sessions)
    assert np.isnan(scores).all()
    assert report.decisions == 0
    assert report.equity_micro.tolist() == [report.capital_micro] * len(bars().sessions)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (1.5, r"agent 'will' returned 1\.5 \(float\) at now_ns=\d+; it may return None, "),
        ("buy", r"agent 'will' returned 'buy' \(str\)"),
        (fm.Signal(1, 1, 1.0), r"agent 'will' returned .*Signal.*it may return None, .*Intent"),
        (fm.Order(1, fm.BUY, 1), r"agent 'will' returned .*Order.*it may return None, .*Intent"),
    ],
)
def test_a_decision_returns_intents(answer, text):
    with pytest.raises(AgentError, match=text):
        run(four({0: lambda ctx: answer}))


def test_a_context_is_frozen_and_its_books_are_those_of_the_last_commit():
    found = {}

    def look(ctx):
        with pytest.raises(
            AttributeError, match="a context is frozen: cash cannot be set; an agent keeps its state on"
        ):
            ctx.cash = 1
        found.update(cash=ctx.cash, equity=ctx.equity, held=ctx.holding(ids()[0]), position=ctx.position(ids()[0]))

    report = run(four({0: buy(5), 1: look}), capital=1_000)
    assert found == {"cash": report.cash_micro[1], "equity": report.equity_micro[1], "held": 5, "position": 5}


def test_positions_count_orders_in_flight_and_holdings_do_not():
    found = []

    class Looks(Will):
        def on_wakeup(self, ctx):
            found.append((ctx.position(ids()[0]), ctx.holding(ids()[0])))

    plan = {0: lambda ctx: [fm.Intent(ctx.now_ns, {ids()[0]: 5}), fm.Wakeup(ctx.now_ns + HOUR)]}
    run(four(plan, will=Looks(plan)))
    assert found == [(5, 0)]
