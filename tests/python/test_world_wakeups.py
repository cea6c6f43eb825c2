"""An action asks to be woken: through the log, once, on every replica."""

from __future__ import annotations

from worlds import some_bars

import fastmas as fm

HOUR = 3_600_000_000_000


class Patient(fm.Action):
    """Buys half at once and asks to be woken for the rest."""

    def __init__(self):
        self.rest = {}

    def snapshot(self):
        return repr(sorted(self.rest.items())).encode()

    def restore(self, data):
        self.rest = dict(eval(data, {"__builtins__": {}}))

    def act(self, committed, ctx):
        for instrument, lots in committed.intent.targets.items():
            self.rest[instrument] = lots - lots // 2
            yield fm.Order(instrument, 1, lots // 2)
        yield fm.Wakeup(at_ns=committed.intent.ts_ns + HOUR)

    def on_wakeup(self, ctx):
        for instrument, lots in sorted(self.rest.items()):
            yield fm.Order(instrument, 1, lots)
        self.rest = {}


def buys_once(bar, ctx):
    return fm.Observation(bar.instrument, ctx.now_ns, {"first": ctx.now_ns})


def test_a_woken_action_sends_the_rest_exactly_once():
    bars = some_bars().select(["KO"]).window("2019-06-03", "2019-06-28")
    bought = []

    def decide(observation, ctx):
        if bought:
            return None
        bought.append(ctx.now_ns)
        return fm.Intent(ctx.now_ns, {observation.instrument: 101})

    agents = [
        fm.perception(buys_once, name="eye"),
        fm.reasoning(lambda observation, ctx: observation, name="mind"),
        fm.decision(decide, name="will"),
        Patient(),
    ]
    report = fm.Simulation(feed=bars, venue=fm.BarVenue(bars.instruments)).run(agents)
    assert [fill.quantity for fill in report.fill_records] == [50, 51]
    assert len({fill.ts_ns for fill in report.fill_records}) == 1  # both reached the next close
    assert len({fill.client_order_id >> 16 for fill in report.fill_records}) == 2  # ids of two commits
    assert int(report.holdings[-1, 0]) == 101
    assert len(set(report.replica_heads.values())) == 1
