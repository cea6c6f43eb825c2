"""What a run looks like: tables for the terminal and a self-contained page."""

from fastmas.report.page import write_page
from fastmas.report.study import Difference, Drill, Line, Study, TailRisk
from fastmas.report.tables import Table, tables
from fastmas.report.terminal import print_study

__all__ = ["Difference", "Drill", "Line", "Study", "Table", "TailRisk", "print_study", "tables", "write_page"]
