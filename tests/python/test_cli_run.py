"""`fastmas run` from the command line to its tables, files and last line."""

from __future__ import annotations

import json
import shlex

import pytest
from cli_tools import CROSSOVER, SHORT, SMALL, fastmas_command

from fastmas.market.bars import Bars

KEYS = {
    "audit_head", "ledger_head", "replica_heads", "balanced", "decisions", "commits", "orders", "fills", "messages",
    "first_date", "last_date", "elapsed_s", "metrics", "report", "audit",
}  # fmt: skip
HEADINGS = (
    "Performance,",
    "Is the difference more than chance?",
    "Each decade",
    "At other costs",
    "Agreement",
    "Time in each agent",
    "Failure drill,",
)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The main job over two years and four stocks, tables and JSON."""
    out = tmp_path_factory.mktemp("small run") / "made"  # a blank in the path, and a directory that is not there yet
    return fastmas_command("run", *SMALL, "--out", out, "--json"), out


def test_the_last_line_is_one_json_object_with_everything_in_it(small):
    outcome, out = small
    assert outcome.status == 0
    assert outcome.err == ""
    result = outcome.last
    assert set(result) >= KEYS
    assert result["balanced"] is True
    assert sorted(result["replica_heads"]) == ["1", "2", "3"]
    assert set(result["replica_heads"].values()) == {result["ledger_head"]}
    assert len(bytes.fromhex(result["audit_head"])) == len(bytes.fromhex(result["ledger_head"])) == 32
    assert result["orders"] == result["fills"] > 12
    assert result["decisions"] == 12  # the first session of each month of 2020
    assert result["commits"] > 505  # one mark a session, and more
    assert (result["first_date"], result["last_date"]) == ("2019-01-02", "2020-12-31")
    assert 0.0 < result["elapsed_s"] < 600.0
    assert result["report"] == str(out / "report.html")
    assert result["audit"] == str(out / "audit.fma")
    assert result["metrics"]["sharpe_low"] < result["metrics"]["sharpe"] < result["metrics"]["sharpe_high"]
    assert set(result["metrics"]["benchmarks"]) == {"buy and hold", "equal weight", "equal wt, vol. target"}
    assert result["drill"]["duplicates"] == 0 < result["drill"]["naive_duplicates"]
    assert result["drill"]["same_ledger_head"] is True
    assert json.loads((out / "result.json").read_text()) == result


def test_tables_in_reading_order_after_the_caveats(small):
    text = small[0].out
    assert text.splitlines()[0] == "fastmas run: the main job"
    assert [line.split()[1] for line in text.splitlines() if line.startswith("simulated")][-1] == "505"
    assert text.count("\nsimulated") == 11  # the first session, then every tenth
    places = [text.index(words) for words in ("survivors", "evidence that the", *HEADINGS, "Look for yourself:")]
    assert places == sorted(places)
    assert "No value at risk: it is forecast from 1,000 sessions" in text
    assert "nan" not in text.lower().replace("finance", "")
    assert "…" not in text


def test_the_two_lines_at_the_end_run_as_they_stand(small):
    outcome, _ = small
    lines = [shlex.split(line) for line in outcome.out.splitlines() if line.startswith("  fastmas ")]
    assert [line[1] for line in lines] == ["explain", "replay"]
    explained = fastmas_command(*lines[0][1:])
    assert explained.status == 0
    assert explained.out.startswith("Fill")
    replayed = fastmas_command(*lines[1][1:])
    assert replayed.status == 0
    assert outcome.last["ledger_head"] in replayed.out
    assert outcome.last["audit_head"] in replayed.out


def test_another_network_with_losses_and_a_crash_books_the_same(small, tmp_path):
    outcome = fastmas_command(
        "run", *SMALL, "--out", tmp_path, "--json", "--quiet",
        "--network-seed", "3", "--loss", "0.05", "--crash-leader-at", "2020-12-01",
    )  # fmt: skip
    assert outcome.status == 0
    assert len(outcome.out.splitlines()) == 1  # quiet: nothing but the object
    assert outcome.last["ledger_head"] == small[0].last["ledger_head"]
    assert outcome.last["audit_head"] != small[0].last["audit_head"]
    assert set(outcome.last["replica_heads"].values()) == {outcome.last["ledger_head"]}
    assert sorted(outcome.last["replica_heads"]) == ["1", "2", "3"]  # the crashed one is back at the end
    assert outcome.last["metrics"] == small[0].last["metrics"]
    header = fastmas_command("explain", outcome.last["audit"], "last")
    assert header.status == 0


def test_bars_of_your_own_from_csv_and_parquet(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    bars = Bars.sample(["KO", "PG"]).window("2019-01-02", "2019-06-28")
    frame = pandas.DataFrame(bars.closes.round(3), columns=list(bars.symbols))
    frame.insert(0, "date", [str(day) for day in bars.dates])
    frame.to_csv(tmp_path / "bars.csv", index=False)
    frame.to_parquet(tmp_path / "bars.parquet", index=False)
    (tmp_path / "system.toml").write_text(CROSSOVER)
    results = {}
    for name in ("bars.csv", "bars.parquet"):
        outcome = fastmas_command(
            "run", tmp_path / "system.toml", "--data", tmp_path / name, "--out", tmp_path / "out", "--json"
        )
        assert outcome.status == 0, outcome.err
        assert outcome.out.splitlines()[0] == f"fastmas run: {tmp_path / 'system.toml'}"
        assert "fastmas: a system of agents" in outcome.out
        assert "Whether these prices contain dividends" in outcome.out
        results[name] = outcome.last
    assert results["bars.csv"]["ledger_head"] == results["bars.parquet"]["ledger_head"]
    assert results["bars.csv"]["orders"] > 2
    assert (results["bars.csv"]["first_date"], results["bars.csv"]["last_date"]) == ("2019-01-02", "2019-06-28")


def test_no_decision_at_all_still_ends_with_a_table(tmp_path):
    (tmp_path / "bars.csv").write_text(
        "date,AAA,BBB\n"
        + "".join(f"2019-0{1 + k // 28}-{1 + k % 28:02},{10 + k % 3},{20 + k % 5}\n" for k in range(84))
    )
    outcome = fastmas_command(
        "run", "--data", tmp_path / "bars.csv", "--out", tmp_path / "out", "--json", "--crash-leader-at", "2019-02-01"
    )
    assert outcome.status == 0, outcome.err
    assert "No leader was killed: nothing was decided from 2019-02-01 on." in outcome.out
    assert "No agent decided anything in this window" in outcome.out
    assert "No failure drill" in outcome.out
    assert "Failure drill," not in outcome.out
    (row,) = [line.split() for line in outcome.out.splitlines() if line.startswith("run  ")][:1]
    assert row == ["run", "0.0", "%", "0.0", "%", "-", "0.0", "%", "0.00", "0.00", "%"]
    assert "NaN" not in outcome.out
    result = outcome.last
    assert (result["decisions"], result["orders"], result["fills"], result["drill"]) == (0, 0, 0, None)
    assert result["metrics"]["sharpe"] is None
    assert "fastmas explain" not in outcome.out  # there is no fill to explain
    assert fastmas_command("explain", result["audit"], "last").err == (
        f"fastmas explain: {result['audit']} has no fills; give the id of another record\n"
    )


def test_a_system_file_with_everything_the_command_line_can_override(tmp_path):
    (tmp_path / "system.toml").write_text(
        '[world]\nseed = 3\n[feed]\ninstruments = ["AAPL"]\nfrom = 2010-01-04\n[faults]\nloss = 0.2\n' + CROSSOVER
    )
    outcome = fastmas_command(
        "run", tmp_path / "system.toml", *SHORT, "--seed", "4", "--loss", "0", "--out", tmp_path, "--json", "--quiet"
    )
    assert outcome.status == 0, outcome.err
    assert (outcome.last["first_date"], outcome.last["last_date"]) == ("2019-01-02", "2019-04-30")
    plain = tmp_path / "plain.toml"
    plain.write_text(CROSSOVER)
    arguments = ("run", plain, *SHORT, "--out", tmp_path / "other", "--json", "--quiet", "--seed")
    assert fastmas_command(*arguments, "4").last["audit_head"] == outcome.last["audit_head"]
    assert fastmas_command(*arguments, "5").last["audit_head"] != outcome.last["audit_head"]
