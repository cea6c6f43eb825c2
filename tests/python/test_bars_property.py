"""Properties of bars: no look-ahead in stale flags, and the table readers agree with a dumb one."""

from __future__ import annotations

import io

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fastmas.errors import DataError
from fastmas.market import checks
from fastmas.market.bars import Bars
from fastmas.market.reader import read_table
from fastmas.market.table import from_csv_bytes
from fastmas.messages import BarFlag


@given(st.lists(st.booleans(), max_size=300), st.integers(1, 6), st.integers(5, 80))
def test_stale_flags_equal_a_dumb_implementation(moves: list[bool], stale_after: int, window: int) -> None:
    unchanged = np.array([False, *moves])
    expected = []
    for row in range(len(unchanged)):
        run = 0
        while run < row and unchanged[row - run]:
            run += 1
        share = unchanged[row - window + 1 : row + 1].mean() if row >= window else 0.0
        expected.append(run >= stale_after or share > 0.5)
    assert checks.stale_bars(unchanged, stale_after, window).tolist() == expected


@given(st.lists(st.booleans(), min_size=1, max_size=200), st.data())
def test_stale_flags_never_look_ahead(moves: list[bool], data: st.DataObject) -> None:
    unchanged = np.array([False, *moves])
    cut = data.draw(st.integers(1, len(unchanged)))
    altered = unchanged.copy()
    altered[cut:] = ~altered[cut:]
    before, after = checks.stale_bars(unchanged, 3, 20), checks.stale_bars(altered, 3, 20)
    assert before[:cut].tobytes() == after[:cut].tobytes()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(st.integers(1, 60), min_size=3, max_size=3), min_size=2, max_size=60),
    st.data(),
)
def test_altering_later_rows_leaves_earlier_bars_bit_identical(rows: list[list[int]], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(rows)))
    days = np.busday_offset("2020-01-02", np.arange(len(rows)), roll="forward")

    def bars_of(table: list[list[int]]) -> Bars:
        out = io.StringIO("Date,A,B,C\n")
        out.seek(0, io.SEEK_END)
        for day, row in zip(days, table, strict=True):
            out.write(f"{day}," + ",".join(f"{price / 4}" for price in row) + "\n")
        return Bars(*read_table(from_csv_bytes(out.getvalue().encode(), "p.csv"), {"stale_after": 2}))

    altered = rows[:cut] + [[price + 1 for price in row] for row in rows[cut:]]
    before, after = bars_of(rows), bars_of(altered)
    assert before.records[: 3 * cut].tobytes() == after.records[: 3 * cut].tobytes()
    assert (before.digest() == after.digest()) == (cut == len(rows))
    stale = (before.records["flags"] & BarFlag.STALE) != 0
    np.testing.assert_array_equal(before.stale.reshape(-1), stale)


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=50), st.sampled_from([1000, 10_000, 250]))
def test_grid_rounds_to_the_nearest_step(prices: list[float], increment_micro: int) -> None:
    table = from_csv_bytes(b"Date,A\n2020-01-02,1\n", "p.csv")
    values = np.maximum(np.array(prices), increment_micro / 1e6)
    ticks, rounded, worst = checks.to_grid(table, "A", values, np.arange(len(values)), increment_micro)
    assert (np.abs(ticks * increment_micro / 1e6 - values) <= increment_micro / 2e6 * (1 + 1e-9)).all()
    assert 0 <= rounded <= len(prices)
    assert 0.0 <= worst <= 0.5


@given(
    st.lists(
        st.lists(
            st.one_of(st.floats(0.001, 1e9).map(repr), st.sampled_from(["", "nan", "NA", " 2.5", "1e3", "x"])),
            min_size=2,
            max_size=2,
        ),
        min_size=1,
        max_size=30,
    )
)
def test_the_fast_reader_agrees_with_the_careful_one(rows: list[list[str]]) -> None:
    days = np.busday_offset("2020-01-02", np.arange(len(rows)), roll="forward")
    body = "".join(f"{day},{','.join(row)}\n" for day, row in zip(days, rows, strict=True))
    found = []
    for header in ("Date,A,B\n", '"Date",A,B\n'):  # a quote sends it to the careful reader
        table = from_csv_bytes((header + body).encode(), "p.csv")
        try:
            found.append([table.floats(name).tobytes() for name in ("A", "B")])
        except DataError as error:
            found.append([str(error).encode()])
    assert found[0] == found[1]
