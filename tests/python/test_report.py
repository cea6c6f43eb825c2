"""Tables and page of a study: what they say, that they fit, that they load nothing and let nothing in."""

from __future__ import annotations

import dataclasses
import datetime
import io
import json
import math
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from fastmas.cli.main_job import build_world, load_bars
from fastmas.cli.settings import Settings
from fastmas.cli.study import build_study
from fastmas.report import Difference, Drill, Line, Study, TailRisk, print_study, tables, write_page

VOID = {"meta", "br", "img", "hr", "link", "input"}
PLOTS = (
    "Equity",
    "Drawdown",
    "Exposure",
    "Value at risk and its breaches",
    "Theta over time",
    "Messages per decision",
)
HEADINGS = (
    "Performance, 2001-01-02 to 2004-12-31",
    "Is the difference more than chance?",
    "Each decade",
    "At other costs",
    "Value at risk, 99 %, one day",
    "Agreement",
    "Time in each agent",
    "Failure drill, 2004-01-02 to 2004-12-31",
)


@pytest.fixture(scope="module")
def real():
    """The main job over seven years of three stocks: long enough for value at risk."""
    first, last = datetime.date(2010, 1, 4), datetime.date(2016, 6, 30)
    settings = Settings(instruments=("AAPL", "KO", "PG"), first=first, last=last)
    bars = load_bars(settings)
    report = build_world(settings, bars).run(settings.build_agents())
    return build_study(settings, bars, report, [(0.0, report)], None), report, bars


def line(name, **changes):
    values = {
        "caption": "one way to hold them",
        "total_return": 0.5,
        "annual_return": 0.1234,
        "volatility": 0.2,
        "sharpe": 0.6,
        "sharpe_low": -0.1,
        "sharpe_high": 1.3,
        "max_drawdown": 0.35,
        "turnover": 1.25,
        "costs": 0.0012,
    }
    return Line(name=name, **(values | changes))


def made(sessions=40, **changes):
    """A study with something in every table and plot."""
    days = np.datetime64("2001-01-02") + np.arange(sessions).astype("timedelta64[D]")

    ts_ns = days.astype("datetime64[ns]").astype(np.int64)
    stream = np.random.Generator(np.random.PCG64(1))
    curve = np.cumprod(1.0 + stream.normal(0.0, 0.01, sessions))
    lines = tuple(line(name) for name in ("run", "buy and hold", "equal weight", "equal wt, vol. target"))
    pnl = stream.normal(0.0, 0.01, sessions)
    var = np.full(sessions, 0.015)
    risks = tuple(
        TailRisk(name, var, var * 1.2, pnl < -var, 0.4, lr, p)
        for name, lr, p in (("filtered by EWMA 0.94", 1.23, 0.267), ("plain historical", 7.5, 0.006))
    )
    report = SimpleNamespace(
        replica_heads={1: b"\1" * 32, 2: b"\1" * 32, 3: b"\1" * 32},
        cluster_stats={"messages": 24_000},
        decisions=36, commits=3_000, orders=300, fill_records=tuple(range(299)), messages=123_456, balanced=True,
        poisoned={},
        latencies=(SimpleNamespace(agent="blend", stage="Decision", calls=1008, p50_ns=1500, p99_ns=9e5, p999_ns=2e6),),
    )  # fmt: skip
    study = Study(
        report=report,
        title="a study",
        first="2001-01-02",
        last="2004-12-31",
        sessions=sessions,
        lines=lines,
        decades=(("2000s", lines),),
        at_costs=((0.0, lines[0]), (5.0, lines[0]), (20.0, lines[0])),
        differences=tuple(Difference(other.name, -0.0123, -1.85) for other in lines[1:]),
        tail_risk=risks,
        risk_ts_ns=ts_ns,
        pnl=pnl,
        ts_ns=ts_ns,
        curves={one.name: curve for one in lines},
        exposure=np.full(sessions, 0.9),
        thetas={"blend": (ts_ns[:5], np.zeros((5, 2))), "risk_model": (ts_ns[:5], np.ones((5, 1)))},
        theta_names={"blend": ("tilt", "budget")},
        messages_per_decision=np.full(36, 8.0),
        drill=Drill(
            first="2004-01-02", last="2004-12-31", loss=0.05, crashed=(3,), leader_changes=1, decisions=12, orders=68,
            lost=4, resent=4, refused=3, duplicates=0, same_ledger_head=True, naive_orders=74, naive_duplicates=6,
            naive_excess_lots=24_552, naive_wrong_positions=4,
        ),
        caveats=("These are survivors.",),
        problems=("RRC is stale from 1990 to 1991",),
        notes=("Something is left out.",),
    )  # fmt: skip
    return dataclasses.replace(study, **changes)


def printed(study, width):
    out = io.StringIO()
    print_study(study, Console(file=out, width=width, highlight=False))
    return out.getvalue()


# -- tables -----------------------------------------------------------------------------------------------------------


def test_every_table_has_a_caption_and_as_many_cells_as_columns():
    drawn = tables(made())
    assert tuple(table.heading for table in drawn) == HEADINGS
    for table in drawn:
        assert len(table.caption.split()) >= 5
        assert table.caption.endswith(".")
        assert {len(row) for row in table.rows} == {len(table.columns)}
        assert all(isinstance(cell, str) for row in table.rows for cell in row)


def test_cells_say_what_the_figures_are():
    performance, difference, decades, costs, risk, agreement, times, drill = tables(made())
    assert performance.rows[0] == ("run", "12.3 %", "20.0 %", "0.60 ± 0.70", "35.0 %", "1.25", "0.12 %")
    assert "run: one way to hold them." in performance.caption
    assert difference.rows[0] == ("buy and hold", "-1.2 %", "-1.85")
    assert decades.columns[1:] == ("run", "buy and hold", "equal weight", "equal wt, vol. target")
    assert decades.rows[0][:2] == ("2000s", "12.3 % / 0.60")
    assert [row[0] for row in costs.rows] == ["0 bps", "5 bps", "20 bps"]
    count = made().tail_risk[0].count
    assert risk.rows[0] == ("filtered by EWMA 0.94", f"{count} of 40", "0.4", "1.23", "0.267", "passes")
    assert risk.rows[1][-1] == "rejected"
    cells = {row[0]: row[1:] for row in agreement.rows}
    assert cells["decisions"][0] == "36"
    assert cells["orders / fills"][0] == "300 / 299"
    assert cells["messages of consensus"] == ("24,000", "8.0 a commit")
    assert cells["a decision"][0] == "8.0"
    assert cells["replica heads"][0] == "01" * 8
    assert cells["debits = credits"][0] == "yes"
    assert times.rows == (("blend (decision)", "1,008", "1.5", "900.0", "2,000.0"),)
    found = {row[0]: row[1:] for row in drill.rows}
    assert found["orders sent twice that took effect"] == ("0", "6")
    assert found["lots traded by mistake"] == ("0", "24,552")
    assert found["books against an undisturbed run"] == ("identical", "not reproducible")
    assert "leader 3 killed inside a basket" in drill.caption


def test_bad_news_is_not_hidden():
    broken = made()
    broken.report.balanced = False
    broken.report.replica_heads[2] = b"\2" * 32
    broken.report.poisoned = {2: "replica 2 diverged at commit index 17: its digest differs"}
    broken = dataclasses.replace(broken, drill=dataclasses.replace(broken.drill, same_ledger_head=False, duplicates=3))
    drawn = {table.heading.partition(",")[0]: {row[0]: row[1:] for row in table.rows} for table in tables(broken)}
    agreement, drill = drawn["Agreement"], drawn["Failure drill"]
    assert agreement["debits = credits"][0] == "NO"
    assert agreement["replica heads"][0] == f"{'01' * 8}, {'02' * 8}"
    assert "3 replicas, 2 distinct" in agreement["replica heads"][1]
    assert agreement["stopped replicas"] == ("1", "replica 2 diverged at commit index 17: its digest differs")
    assert drill["books against an undisturbed run"][0] == "DIFFERENT"
    assert drill["orders sent twice that took effect"][0] == "3"
    assert drill["lots traded by mistake"][0] == "?"
    assert drill["positions that are not what was decided"][0] == "?"


def test_what_is_not_there_is_left_out_and_what_has_no_value_is_a_dash():
    flat = line("run", sharpe=math.nan, sharpe_low=math.nan, sharpe_high=math.nan)
    bare = made(
        lines=(flat,), decades=(), tail_risk=(), drill=None, differences=(Difference("buy and hold", 0.1, math.nan),)
    )
    drawn = tables(bare)
    assert [table.heading.partition(",")[0] for table in drawn] == [
        "Performance", "Is the difference more than chance?", "At other costs", "Agreement", "Time in each agent",
    ]  # fmt: skip
    assert drawn[0].rows[0][3] == "-"
    assert drawn[1].rows[0][2] == "-"


# -- terminal ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_shows_whole_words_within_its_width(width):
    text = printed(made(), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    words = [word for table in tables(made()) for row in table.rows for cell in row for word in cell.split()]
    words += [word for table in tables(made()) for word in (*table.caption.split(), *" ".join(table.columns).split())]
    shown = set(text.split())
    assert [word for word in words if word not in shown] == []
    assert text.index("These are survivors.") < text.index("Something is left out.") < text.index("Performance,")


def test_rows_of_figures_stay_on_one_line_at_80_columns():
    text = printed(made(), 80)
    for start in ("run ", "buy and hold ", "equal weight ", "equal wt, vol. target ", "filtered by EWMA 0.94 "):
        rows = [row for row in text.splitlines() if row.startswith(start)]
        assert rows
        assert all(re.search(r"[%\d]$|passes$", row.rstrip()) for row in rows)


def test_the_real_study_fits_too(real):
    study, _, _ = real
    for width in (80, 120):
        text = printed(study, width)
        assert "…" not in text
        assert max(map(len, text.splitlines())) <= width


# -- a real study -----------------------------------------------------------------------------------------------------


def test_figures_of_a_real_study_can_be_recomputed(real):
    study, report, bars = real
    first = int(np.searchsorted(report.ts_ns, report.intents[0][0].ts_ns))
    equity = report.equity_micro[first:].astype(float)
    run = study.lines[0]
    returns = equity[1:] / equity[:-1] - 1.0
    years = len(returns) / 252
    assert run.total_return == pytest.approx(equity[-1] / equity[0] - 1.0)
    assert run.annual_return == pytest.approx((equity[-1] / equity[0]) ** (1 / years) - 1.0)
    assert run.volatility == pytest.approx(returns.std(ddof=1) * np.sqrt(252))
    assert run.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1) * np.sqrt(252))
    assert run.max_drawdown == pytest.approx((1.0 - equity / np.maximum.accumulate(equity)).max())
    paid = (report.costs_micro[-1] - report.costs_micro[first]) / 1e6
    assert paid == pytest.approx(sum(fill.fee + fill.slippage for fill in report.fill_records) / 1e6)
    assert 0.0 < run.costs < 0.01
    traded = sum(fill.price * fill.quantity / 1000 for fill in report.fill_records)
    assert run.turnover == pytest.approx(traded / (equity.mean() / 1e6) / (len(equity) / 252) / 2, rel=0.05)
    hold = study.curves["buy and hold"]
    assert len(hold) == len(equity) == len(study.ts_ns) == len(study.exposure) == study.sessions
    assert hold[0] == 1.0
    held = (report.holdings[first:] * np.round(bars.closes[first:] * 1000) * 1000).sum(axis=1) / equity
    assert study.exposure == pytest.approx(held, abs=1e-9)


def test_value_at_risk_of_a_real_study(real):
    study, report, _ = real
    filtered, plain = study.tail_risk
    assert len(filtered.var) == len(study.pnl) == len(study.risk_ts_ns) > 200
    assert set(study.risk_ts_ns.tolist()) <= set(report.ts_ns.tolist())
    for risk in (filtered, plain):
        assert np.array_equal(risk.breaches, study.pnl < -risk.var)
        assert (risk.es >= risk.var).all()
        assert risk.expected == pytest.approx(len(risk.var) / 100)
    # The figure of a day is of that day's close, not of the evening before.
    day = int(np.argmin(study.pnl))
    at = int(np.searchsorted(report.ts_ns, study.risk_ts_ns[day]))
    change = report.equity_micro[at] / report.equity_micro[at - 1] - 1.0
    assert study.pnl[day] == pytest.approx(change, abs=2e-3)


# -- the page ---------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Checks nesting; collects what would be loaded, headings and text outside scripts."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.loads, self.headings, self.text, self.tags = [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.loads += [value for name, value in attrs if name in ("src", "href", "data", "action", "srcset")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)
        if self.open and self.open[-1] in ("h1", "h2"):
            self.headings.append(data)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = write_page(made(), tmp_path_factory.mktemp("page") / "report.html", ("fastmas explain run.fma 7",))
    return path.read_text(encoding="utf-8")


def test_the_page_is_well_formed_and_loads_nothing(page):
    parsed = Page(page)
    assert parsed.open == []
    assert parsed.loads == []
    assert page.startswith("<!doctype html><html lang=en>")
    style = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert not re.search(r"<script[^>]*\bsrc\b", page)


def test_every_plot_and_table_is_on_the_page_in_order(page):
    parsed = Page(page)
    wanted = ["a study", HEADINGS[0], *PLOTS, *HEADINGS[1:], "Look for yourself"]
    assert parsed.headings == wanted
    assert page.count("plotly-graph-div") >= len(PLOTS)
    captions = [attrs for tag, attrs in parsed.tags if tag == "p" and attrs.get("class") == "caption"]
    assert len(captions) >= len(PLOTS) + len(HEADINGS)
    text = " ".join(parsed.text)
    for words in ("These are survivors.", "Something is left out.", "RRC is stale", "fastmas explain run.fma 7"):
        assert words in text


def figures(page):
    """What each plot is drawn from: the traces of every Plotly.newPlot call, decoded."""
    decoder = json.JSONDecoder()
    found = []
    for start in re.finditer(r"Plotly\.newPlot\(\s*\"[0-9a-f-]+\",\s*", page):
        traces, _ = decoder.raw_decode(page, start.end())
        found.append(traces)
    return found


def test_plots_are_drawn_from_the_studys_figures(page):
    equity, drawdown, exposure, risk, theta, messages = figures(page)
    names = ["run", "buy and hold", "equal weight", "equal wt, vol. target"]
    assert [trace["name"] for trace in equity] == [trace["name"] for trace in drawdown] == names
    assert [trace["name"] for trace in exposure] == ["exposure"]
    assert [trace["name"] for trace in risk] == [
        "profit or loss of the day",
        "-VaR, filtered by EWMA 0.94",
        "-VaR, plain historical",
        "breaches, filtered by EWMA 0.94",
    ]
    assert [trace["name"] for trace in theta] == ["blend: tilt", "blend: budget", "risk_model"]
    assert len({trace["line"]["color"] for trace in theta}) == 3
    assert [trace["name"] for trace in messages] == ["consensus messages a decision"]


def test_a_plot_without_data_is_left_out(tmp_path):
    bare = made(
        tail_risk=(), thetas={}, messages_per_decision=np.zeros(0), drill=None, notes=(), caveats=(), problems=()
    )
    text = write_page(bare, tmp_path / "page.html").read_text(encoding="utf-8")
    assert len(figures(text)) == 3
    assert not set(PLOTS[3:]) & set(Page(text).headings)
    assert "Look for yourself" not in text


def test_parameters_without_names_are_numbered(tmp_path):
    text = write_page(made(theta_names={}), tmp_path / "page.html").read_text(encoding="utf-8")
    assert [trace["name"] for trace in figures(text)[4]] == ["blend[0]", "blend[1]", "risk_model"]


HOSTILE = "</script><script>alert('x')</script><img src=http://evil.example/x onerror=alert(1)>&amp;\""


def test_hostile_text_stays_text(tmp_path):
    hostile = made(
        title=HOSTILE,
        caveats=(HOSTILE,),
        problems=(HOSTILE,),
        notes=(HOSTILE,),
        lines=(line(HOSTILE, caption=HOSTILE),),
        decades=((HOSTILE, (line(HOSTILE),)),),
        curves={HOSTILE: np.ones(40)},
        thetas={HOSTILE: (made().ts_ns[:2], np.zeros((2, 1)))},
        theta_names={HOSTILE: (HOSTILE,)},
        tail_risk=(dataclasses.replace(made().tail_risk[0], name=HOSTILE),),
    )
    hostile.report.poisoned = {2: HOSTILE}
    hostile.report.latencies[0].agent = HOSTILE
    text = write_page(hostile, tmp_path / "page.html", (HOSTILE,)).read_text(encoding="utf-8")
    parsed = Page(text)
    assert parsed.open == []
    assert parsed.loads == []
    assert not any(tag == "img" for tag, _ in parsed.tags)
    assert HOSTILE not in text
    assert len([tag for tag, _ in parsed.tags if tag == "script"]) == len(
        [
            tag
            for tag, _ in Page(write_page(made(), tmp_path / "b.html").read_text(encoding="utf-8")).tags
            if tag == "script"
        ]
    )
    assert parsed.headings[0] == HOSTILE


def test_the_page_of_a_study_is_the_same_twice(tmp_path):
    """But for the ids that plotly draws for its elements."""
    one, two = (write_page(made(), tmp_path / name).read_text(encoding="utf-8") for name in ("a.html", "b.html"))
    ids = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
    assert ids.sub("", one) == ids.sub("", two)
