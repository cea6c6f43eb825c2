"""A study in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from fastmas.report.study import Study
from fastmas.report.tables import tables

__all__ = ["print_study"]


def _print_point(console: Console, text: str, style: str) -> None:
    """One point of a list; what wraps stays under its first word."""
    point = RichTable.grid(padding=(0, 1, 0, 0))
    point.add_row(Text("  ·", style=style), Text(text, style=style))
    console.print(point)


def print_study(study: Study, console: Console) -> None:
    """Print the caveats first, then every table under a caption in plain words."""
    console.print(Text(study.title, style="bold"))
    for caveat in study.caveats:
        _print_point(console, caveat, "yellow")
    for problem in study.problems:
        _print_point(console, f"data: {problem}", "dim")
    for note in study.notes:
        _print_point(console, note, "")
    for table in tables(study):
        console.print()
        console.print(Text(table.heading, style="bold"))
        console.print(Text(table.caption, style="dim"))
        drawn = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=any(table.columns))
        for position, column in enumerate(table.columns):
            drawn.add_column(
                column, justify="left" if position == 0 or not any(table.columns) else "right", header_style=""
            )
        for row in table.rows:
            drawn.add_row(*(Text(cell) for cell in row))
        console.print(drawn)
