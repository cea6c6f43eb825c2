"""The tables of a study, once: the terminal and the page both draw these."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from fastmas.report.study import Line, Study

__all__ = ["Table", "tables"]


@dataclass(frozen=True, slots=True)
class Table:
    """A heading, a caption in plain words, column names and rows of text; the first column is left-aligned."""

    heading: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def _percent(value: float, digits: int = 1) -> str:
    return f"{100 * value:.{digits}f} %"


def _plain(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "-"


def _sharpe(line: Line) -> str:
    """With its 95 % interval, which is symmetric; of a curve that never moves there is none."""
    if not math.isfinite(line.sharpe):
        return "-"
    return f"{line.sharpe:.2f} ± {(line.sharpe_high - line.sharpe_low) / 2:.2f}"


def _line(line: Line) -> tuple[str, ...]:
    return (
        line.name,
        _percent(line.annual_return),
        _percent(line.volatility),
        _sharpe(line),
        _percent(line.max_drawdown),
        f"{line.turnover:.2f}",
        _percent(line.costs, 2),
    )


LINE_COLUMNS = ("", "return", "volat.", "Sharpe ±95%", "drawdown", "turnover", "costs")


def _performance(study: Study) -> Table:
    return Table(
        f"Performance, {study.first} to {study.last}",
        "All a year, drawdown the worst, Sharpe with its 95 % interval. Same window, costs, fill rule and idle cash "
        "for every row; the run's own warm-up is left out for all. "
        + " ".join(f"{line.name}: {line.caption}." for line in study.lines if line.caption),
        LINE_COLUMNS,
        tuple(_line(line) for line in study.lines),
    )


def _differences(study: Study) -> Table:
    return Table(
        "Is the difference more than chance?",
        "Mean daily return of the run less the benchmark's, a year; t by Newey-West. Between -2 and 2 it may "
        "well be chance.",
        ("against", "a year", "t"),
        tuple((d.benchmark, _percent(d.annual_difference), _plain(d.t_statistic)) for d in study.differences),
    )


def _decades(study: Study) -> Table:
    names = tuple(line.name for line in study.lines)
    rows = tuple(
        (label, *(f"{_percent(line.annual_return)} / {_plain(line.sharpe)}" for line in lines))
        for label, lines in study.decades
    )
    return Table("Each decade", "Return a year / Sharpe. One good decade is not a strategy.", ("", *names), rows)


def _costs(study: Study) -> Table:
    return Table(
        "At other costs",
        "The run again with fees and slippage of that many hundredths of a percent of what is traded.",
        ("costs", *LINE_COLUMNS[1:]),
        tuple((f"{bps:g} bps", *_line(line)[1:]) for bps, line in study.at_costs),
    )


def _tail_risk(study: Study) -> Table:
    rows = tuple(
        (
            risk.name,
            f"{risk.count} of {len(risk.breaches)}",
            f"{risk.expected:.1f}",
            f"{risk.kupiec_lr:.2f}",
            f"{risk.p_value:.3f}",
            "passes" if risk.p_value >= 0.05 else "rejected",
        )
        for risk in study.tail_risk
    )
    return Table(
        "Value at risk, 99 %, one day",
        "Days that lost more than the evening before said only one day in a hundred would; Kupiec's test asks if "
        "the count fits.",
        ("model", "breaches", "expected", "LR", "p", "at 5 %"),
        rows,
    )


def _agreement(study: Study) -> Table:
    report = study.report
    heads = sorted({head.hex()[:16] for head in report.replica_heads.values()})
    messages = report.cluster_stats.get("messages", 0)
    mean = float(study.messages_per_decision.mean()) if len(study.messages_per_decision) else 0.0
    rows = [
        ("decisions", f"{report.decisions:,}", "baskets proposed by the decision agents"),
        ("commits", f"{report.commits:,}", "commands that a majority of replicas agreed on and all applied"),
        (
            "orders / fills",
            f"{report.orders:,} / {len(report.fill_records):,}",
            "sent by the leader's gateway / executed by the venue",
        ),
        ("messages of agents", f"{report.messages:,}", "everything the feed, agents, gateway and venue emitted"),
        ("messages of consensus", f"{messages:,}", f"{messages / max(report.commits, 1):.1f} a commit"),
        ("a decision", f"{mean:.1f}", "messages of consensus that it took to agree on one basket, on average"),
        (
            "replica heads",
            ", ".join(heads),
            f"{len(report.replica_heads)} replicas, {len(heads)} distinct: 1 means they agree bit for bit",
        ),
        (
            "debits = credits",
            "yes" if report.balanced else "NO",
            "in every currency, at every replica, after every commit",
        ),
    ]
    if report.poisoned:
        rows.append(("stopped replicas", str(len(report.poisoned)), "; ".join(report.poisoned.values())))
    return Table(
        "Agreement",
        "What crossed the consensus line, and whether the replicas hold the same books.",
        ("", "", ""),
        tuple(rows),
    )


def _latencies(study: Study) -> Table:
    rows = tuple(
        (
            f"{row.agent} ({row.stage.lower()})",
            f"{row.calls:,}",
            *(f"{ns / 1000:,.1f}" for ns in (row.p50_ns, row.p99_ns, row.p999_ns)),
        )
        for row in study.report.latencies
    )
    return Table(
        "Time in each agent",
        "Wall-clock microseconds in the agent's own Python, on this machine; not part of what the run computes.",
        ("agent", "calls", "p50", "p99", "p99.9"),
        rows,
    )


def _drill(study: Study) -> Table | None:
    drill = study.drill
    if drill is None:
        return None
    crashed = ", ".join(str(node) for node in drill.crashed) or "none"
    same = "identical" if drill.same_ledger_head else "DIFFERENT"
    rows = (
        ("orders sent twice that took effect", str(drill.duplicates), str(drill.naive_duplicates)),
        ("lots traded by mistake", "0" if drill.duplicates == 0 else "?", f"{drill.naive_excess_lots:,}"),
        (
            "positions that are not what was decided",
            "0" if drill.same_ledger_head else "?",
            str(drill.naive_wrong_positions),
        ),
        ("orders accepted by the venue", f"{drill.orders:,}", f"{drill.naive_orders:,}"),
        ("orders sent again / refused as known", f"{drill.resent} / {drill.refused}", "no ids to refuse by"),
        ("books against an undisturbed run", same, "not reproducible"),
    )
    return Table(
        f"Failure drill, {drill.first} to {drill.last}",
        f"{drill.decisions} decisions again with {_percent(drill.loss, 0)} of messages lost ({drill.lost} to or "
        "from the venue) and "
        f"leader {crashed} killed inside a basket, {drill.leader_changes} change(s) of leader; beside a primary "
        "and a standby without consensus.",
        ("", "fastmas", "naive fail-over"),
        rows,
    )


def tables(study: Study) -> list[Table]:
    """The tables of a study, in reading order; those without rows are left out."""
    everything: list[Any] = [
        _performance(study),
        _differences(study),
        _decades(study),
        _costs(study),
        _tail_risk(study),
        _agreement(study),
        _latencies(study),
        _drill(study),
    ]
    return [table for table in everything if table is not None and table.rows]
