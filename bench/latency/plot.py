"""The picture of a run: latency over the share of messages that were at least that quick, as SVG written by hand.

A page of plotly needs megabytes of script to show two dozen lines; this file opens everywhere and diffs.
"""

from __future__ import annotations

import itertools
import math
from html import escape
from typing import Any

Row = dict[str, Any]

WIDTH, HEIGHT, LEFT, TOP, BOTTOM, KEY = 1120, 430, 64, 56, 44, 370
MARKS = (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999)
FLOOR = "#9aa0a6"
OURS = ("#0b6e4f", "#2ca58d", "#7fc8a9", "#14452f", "#57a773", "#9bd1b8")
RIVALS = ("#c1440e", "#d98e04", "#7a5195", "#374c80", "#bc5090", "#8c564b", "#5c677d", "#b08968")
TITLES = {
    "process-round-trip-spin": "Round trip, spinning",
    "process-round-trip-block": "Round trip, blocking",
    "process-open-loop-spin": "One way from the moment a message was due, spinning, one every 20 µs",
    "process-open-loop-block": "One way from the moment a message was due, blocking, one every 200 µs",
}


def nines(share: float) -> float:
    """0 at none, 1 at 90 %, 2 at 99 %: the tail is what a reader looks for."""
    return -math.log10(max(1 - share, 1e-5))


def label(ns: float) -> str:
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            return f"{ns / size:g} {unit}"
    return f"{ns:g} ns"


class Panel:
    """One group of rows, drawn from `top` down."""

    def __init__(self, title: str, rows: list[Row], top: int, colours: dict[str, str]) -> None:
        self.title, self.top, self.colours = title, top, colours
        self.rows = sorted((row for row in rows if len(row["curve"]) > 1), key=lambda row: float(row["p50_ns"]))
        values = [ns for row in self.rows for _, ns in row["curve"] if ns > 0]
        self.low = math.floor(math.log10(min(values, default=100)))
        self.high = max(math.ceil(math.log10(max(values, default=1000))), self.low + 1)
        self.right = max((nines(row["curve"][-1][0]) for row in self.rows), default=3.0)

    def x(self, share: float) -> float:
        return LEFT + nines(share) / self.right * (WIDTH - LEFT - KEY)

    def y(self, ns: float) -> float:
        share = (math.log10(max(ns, 1)) - self.low) / (self.high - self.low)
        return self.top + HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def draw(self) -> list[str]:
        parts = [f'<text x="{LEFT}" y="{self.top + 30}" class="title">{escape(self.title)}</text>']
        end, floor = WIDTH - KEY, self.top + HEIGHT - BOTTOM
        for power in range(self.low, self.high + 1):
            y = self.y(10.0**power)
            parts.append(f'<line x1="{LEFT}" x2="{end}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
            parts.append(
                f'<text x="{LEFT - 8}" y="{y + 4:.1f}" class="axis" text-anchor="end">{label(10.0**power)}</text>'
            )
        for share in MARKS:
            if nines(share) > self.right + 1e-9:
                continue
            x = self.x(share)
            parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{self.top + TOP}" y2="{floor}" class="grid"/>')
            text = f"{100 * share:g} %"
            parts.append(f'<text x="{x:.1f}" y="{floor + 18}" class="axis" text-anchor="middle">{text}</text>')
        for number, row in enumerate(self.rows):
            colour = self.colours[row["name"]]
            dash = ' stroke-dasharray="5 4"' if row.get("floor") else ""
            wide = 2 if row["rival"] else 3
            points = " ".join(f"{self.x(share):.1f},{self.y(ns):.1f}" for share, ns in row["curve"])
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{wide}"{dash}/>')
            y = self.top + TOP + 8 + 20 * number
            pen = f'stroke="{colour}" stroke-width="{wide}"{dash}'
            parts.append(f'<line x1="{end + 18}" x2="{end + 42}" y1="{y}" y2="{y}" {pen}/>')
            weight = "" if row["rival"] else ' font-weight="bold"'
            text = escape(row["name"]) + ": " + label(float(f"{row['p50_ns']:.3g}"))
            parts.append(f'<text x="{end + 50}" y="{y + 4}" class="key"{weight}>{text}</text>')
        return parts


def colours_of(rows: list[Row]) -> dict[str, str]:
    """A colour for each name, the same in all panels."""
    mine, theirs = itertools.cycle(OURS), itertools.cycle(RIVALS)
    found: dict[str, str] = {}
    for row in rows:
        if row["name"] not in found:
            found[row["name"]] = FLOOR if row.get("floor") else next(theirs if row["rival"] else mine)
    return found


def draw(rows: list[Row], caption: str) -> str:
    """The whole picture, from rows as the suite gives them; names are followed by their medians."""
    colours = colours_of(rows)
    groups = [(group, [row for row in rows if row["group"] == group and row.get("curve")]) for group in TITLES]
    panels = [
        Panel(TITLES[group], found, 34 + HEIGHT * n, colours)
        for n, (group, found) in enumerate(g for g in groups if g[1])
    ]
    height = 34 + HEIGHT * len(panels)
    style = (
        "text{font-family:system-ui,sans-serif;fill:#202124}.title{font-size:16px;font-weight:600}"
        ".axis{font-size:12px;fill:#5f6368}.key{font-size:12.5px}.grid{stroke:#e3e5e8;stroke-width:1}"
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
        f"<style>{style}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="24" class="axis">{escape(caption)}</text>',
    ]
    for panel in panels:
        parts += panel.draw()
    return "\n".join([*parts, "</svg>", ""])
