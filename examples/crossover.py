"""The four stages as small classes: a moving-average crossover on one stock."""

import fastmas as fm

DAY = 86_400_000_000_000


class Price(fm.Perception):
    def perceive(self, bar, ctx):
        return fm.Observation(bar.instrument, ctx.now_ns, {"close": bar.close / 1000})


class Crossover(fm.Reasoning):
    def __init__(self, fast, slow):
        self.fast, self.slow, self.prices = fast, slow, []

    def reason(self, observation, ctx):
        self.prices = [*self.prices[-self.slow + 1 :], observation["close"]]
        if len(self.prices) < self.slow:
            return None
        score = sum(self.prices[-self.fast :]) / self.fast - sum(self.prices) / self.slow
        return fm.Signal(observation.instrument, ctx.now_ns, score)


class AllOrNothing(fm.Decision):
    def decide(self, signal, ctx):
        want = 1_000 if signal.score > 0 else 0
        if want == ctx.position(signal.instrument):
            return None
        return fm.Intent(ctx.now_ns, {signal.instrument: want}, valid_until_ns=ctx.now_ns + DAY)


bars = fm.Bars.sample().select(["AAPL"]).window("2015-01-01", "2022-12-31")
venue = fm.BarVenue(bars.instruments, fee_bps=1, slippage_bps=4)
world = fm.Simulation(feed=bars, venue=venue, replicas=3, protocol="raft", seed=7, capital=200_000)
report = world.run([Price(), Crossover(10, 30), AllOrNothing(), fm.AtMarket()])

print(f"{report.decisions} decisions, {report.orders} orders, {len(report.fill_records)} fills")
print(f"equity {report.equity_micro[-1] / 1e6:,.2f} USD, books balanced: {report.balanced}")
print("replicas agree:", len(set(report.replica_heads.values())) == 1)
