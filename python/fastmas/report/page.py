"""A study as one self-contained HTML page: opens without a network, plots can be zoomed."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmas.report.study import Study
from fastmas.report.tables import Table, tables

__all__ = ["write_page"]

STYLE = """
:root { color-scheme: light; --ink: #1c2330; --quiet: #5d6778; --line: #dfe3ea; --accent: #1f5fbf; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1120px; padding: 32px 24px 80px; color: var(--ink); background: #fff;
       font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 40px 0 2px; }
p.caption { color: var(--quiet); margin: 0 0 10px; max-width: 86ch; }
ul.caveats { background: #fff8e6; border-left: 4px solid #e0a100; margin: 16px 0; padding: 10px 14px 10px 32px; }
details { color: var(--quiet); margin: 8px 0; } details ul { margin: 6px 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 5px 12px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--quiet); font-weight: 500; } th:first-child, td:first-child { text-align: left; }
table.words td { text-align: left; } tr:first-child td { font-weight: 600; }
table.plain tr:first-child td { font-weight: 400; }
code { background: #f3f5f8; padding: 2px 6px; border-radius: 4px; font-size: 13px; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
"""
COLOURS = ("#1f5fbf", "#8a94a6", "#d9822b", "#3d9970", "#9b59b6", "#c0392b", "#16a3b8")


def _times(ts_ns: NDArray[np.int64]) -> Any:
    return ts_ns.astype("datetime64[ns]").astype("datetime64[D]")


def _figures(study: Study) -> list[tuple[str, str, Any]]:
    import plotly.graph_objects as go

    def figure(y_title: str, **axis: Any) -> Any:
        fig = go.Figure()
        fig.update_layout(
            template="plotly_white",
            height=360,
            margin={"l": 60, "r": 20, "t": 10, "b": 40},
            legend={"orientation": "h", "y": 1.08},
            hovermode="x unified",
            yaxis={"title": y_title, **axis},
        )
        return fig

    times = _times(study.ts_ns)
    equity = figure("1 at the start (log)", type="log")
    drawdown = figure("below the last high", tickformat=".0%")
    for number, (name, curve) in enumerate(study.curves.items()):
        line = {"color": COLOURS[number % len(COLOURS)], "width": 2 if number == 0 else 1.2}
        equity.add_trace(go.Scatter(x=times, y=np.round(curve, 5), name=name, line=line))
        fall = curve / np.maximum.accumulate(curve) - 1.0
        drawdown.add_trace(go.Scatter(x=times, y=np.round(fall, 5), name=name, line=line))
    exposure = figure("stocks over equity", tickformat=".0%")
    exposure.add_trace(
        go.Scatter(x=times, y=np.round(study.exposure, 5), name="exposure", line={"color": COLOURS[0], "width": 1.2})
    )
    found = [
        ("Equity", "Logarithmic: equal distances are equal percentages.", equity),
        ("Drawdown", "How far below its last high each curve stands.", drawdown),
        ("Exposure", "Share of equity in stocks; the rest is cash, which earns nothing.", exposure),
    ]
    if study.tail_risk:
        days = _times(study.risk_ts_ns)
        risk = figure("share of equity", tickformat=".1%")
        risk.add_trace(
            go.Scatter(
                x=days,
                y=np.round(study.pnl, 5),
                name="profit or loss of the day",
                mode="markers",
                marker={"size": 2.5, "color": "#b9c1cd"},
            )
        )
        for number, model in enumerate(study.tail_risk):
            colour = COLOURS[0] if number == 0 else COLOURS[2]
            risk.add_trace(
                go.Scatter(
                    x=days, y=np.round(-model.var, 5), name=f"-VaR, {model.name}", line={"color": colour, "width": 1.2}
                )
            )
        breaches = study.tail_risk[0].breaches
        risk.add_trace(
            go.Scatter(
                x=days[breaches],
                y=np.round(study.pnl[breaches], 5),
                name=f"breaches, {study.tail_risk[0].name}",
                mode="markers",
                marker={"size": 6, "color": COLOURS[5], "symbol": "x-thin-open"},
            )
        )
        found.append(
            (
                "Value at risk and its breaches",
                "A dot below the line lost more than the evening before said one day in a hundred would.",
                risk,
            )
        )
    if study.thetas:
        theta = figure("parameter")
        for agent, (ts_ns, values) in study.thetas.items():
            for column in range(values.shape[1]):
                theta.add_trace(
                    go.Scatter(
                        x=_times(ts_ns),
                        y=np.round(values[:, column], 6),
                        name=_theta_name(study, agent, column, values.shape[1]),
                        mode="lines",
                        line={"shape": "hv", "width": 1.4, "color": COLOURS[len(theta.data) % len(COLOURS)]},
                    )
                )
        found.append(("Theta over time", "Decision parameters as the log fixed them; they change nowhere else.", theta))
    if len(study.messages_per_decision):
        messages = figure("messages", rangemode="tozero")
        messages.add_trace(
            go.Scatter(
                x=np.arange(1, len(study.messages_per_decision) + 1),
                y=study.messages_per_decision,
                name="consensus messages a decision",
                mode="lines",
                line={"color": COLOURS[0], "width": 1.2},
            )
        )
        messages.update_layout(xaxis={"title": "decision"})
        found.append(
            ("Messages per decision", "What three replicas said to one another to agree on each basket.", messages)
        )
    return found


def _theta_name(study: Study, agent: str, column: int, width: int) -> str:
    names = study.theta_names.get(agent, ())
    if len(names) == width:
        return f"{agent}: {names[column]}"
    return f"{agent}[{column}]" if width > 1 else agent


def _table(table: Table) -> str:
    words = not any(table.columns)
    head = "" if words else "<tr>" + "".join(f"<th>{html.escape(column)}</th>" for column in table.columns) + "</tr>"
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    kind = "words plain" if words else "" if table.heading.startswith("Performance") else "plain"
    return (
        f"<h2>{html.escape(table.heading)}</h2><p class=caption>{html.escape(table.caption)}</p>"
        f'<div class=scroll><table class="{kind}"><thead>{head}</thead><tbody>{body}</tbody></table></div>'
    )


def write_page(study: Study, path: str | Path, commands: tuple[str, ...] = ()) -> Path:
    """Write a study as one HTML file that needs no network.

    Parameters
    ----------
    study : Study
    path : path
    commands : tuple of str
        Runnable lines to show at the end.

    Returns
    -------
    Path
    """
    import plotly.io as pio
    from plotly.offline import get_plotlyjs

    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width, initial-scale=1">',
        f"<title>{html.escape(study.title)}</title><style>{STYLE}</style><script>{get_plotlyjs()}</script></head><body>",
        f"<h1>{html.escape(study.title)}</h1><p class=caption>{study.sessions:,} sessions, {study.first} to "
        f"{study.last}</p>",
    ]
    if study.caveats:
        parts.append(
            "<ul class=caveats>" + "".join(f"<li>{html.escape(text)}</li>" for text in study.caveats) + "</ul>"
        )
    parts.extend(f"<p class=caption>{html.escape(note)}</p>" for note in study.notes)
    if study.problems:
        items = "".join(f"<li>{html.escape(text)}</li>" for text in study.problems)
        parts.append(
            "<details><summary>What the feed found in the data "
            f"({len(study.problems)})</summary><ul>{items}</ul></details>"
        )
    drawn = tables(study)
    parts.append(_table(drawn[0]))
    for heading, caption, figure in _figures(study):
        plot = pio.to_html(
            figure, full_html=False, include_plotlyjs=False, config={"displaylogo": False, "responsive": True}
        )
        parts.append(f"<h2>{html.escape(heading)}</h2><p class=caption>{html.escape(caption)}</p>{plot}")
    parts.extend(_table(table) for table in drawn[1:])
    if commands:
        parts.append(
            "<h2>Look for yourself</h2>"
            + "".join(f"<p><code>{html.escape(command)}</code></p>" for command in commands)
        )
    parts.append("</body></html>")
    path = Path(path)
    path.write_text("".join(parts), encoding="utf-8")
    return path
