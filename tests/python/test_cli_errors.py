"""Bad input ends with status 2 and one line that says the rule, the value and the cure; never with a traceback."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from cli_tools import COMMAND, CROSSOVER, SHORT, environment, fastmas_command

from fastmas.cli import main

WINDOW = SHORT[:4]


def assert_refused(outcome, verb, pattern):
    assert outcome.status == 2
    assert outcome.out.count("\n") <= 4  # the first line, and a progress bar that got nowhere
    assert "Traceback" not in outcome.err
    assert re.fullmatch(rf"fastmas {verb}: {pattern}\n", outcome.err), outcome.err


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        (("--instruments", "AAPL,NOPE"), r"symbols must be among AAPL, AMD, .*, XOM, got 'NOPE'"),
        (
            ("--from", "2020-01-01", "--to", "2019-01-01"),
            "first must not be later than last, got '2020-01-01' and '2019-01-01'; swap them",
        ),
        (
            ("--from", "2031-01-01"),
            "no bars from '2031-01-01' to None; these run from 1990-01-02 to 2022-12-28",
        ),
        (
            ("--from", "2020-01-01", "--to", "2020-02-01"),
            "a study needs 60 sessions, got 21; widen --from and --to",
        ),
        (("--data", "nowhere.csv"), "cannot read nowhere.csv: No such file or directory; check the path"),
        (("--data", "nowhere.parquet"), "cannot read nowhere.parquet: .*; check .*"),
        (("--data", "x.xls"), r"--data takes \.csv, \.csv\.gz or \.parquet, got 'x\.xls'; rename .* or convert it"),
        (("nowhere.toml",), "No such file or directory: nowhere.toml"),
        ((".",), r"Is a directory: \."),
        (("--out", "file"), "--out must be a directory that can be written, got file: File exists; choose another"),
        (("--out", "file/below"), "--out must be .*, got file/below: Not a directory; choose another"),
        (("--seed", "x"), "argument --seed: invalid int value: 'x'; see fastmas run --help"),
        (("--from", "yesterday"), "argument --from: a date is YYYY-MM-DD, got 'yesterday'; see fastmas run --help"),
        (("--loss", "2"), "argument --loss: a loss is a share between 0 and 0.5, got '2'; 0.05 loses .*"),
        (("--loss", "much"), "argument --loss: a loss is a share between 0 and 0.5, got 'much'; .*"),
        (("--instruments", ","), "argument --instruments: instruments are symbols .* got ','; e.g. AAPL,MSFT; see .*"),
    ],
)
def test_options(arguments, pattern, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("here already")
    out = () if "--out" in arguments else ("--out", "out")
    outcome = fastmas_command("run", *arguments, *out)
    assert_refused(outcome, "run", pattern)


BAD_AGENTS = """
import fastmas as fm

def see(bar, ctx):
    return fm.Observation(bar.instrument, ctx.now_ns, {"close": float(bar.close)})

class Raises(fm.Perception):
    def perceive(self, bar, ctx):
        raise ZeroDivisionError("no price is zero")

class Sees(fm.Perception):
    perceive = staticmethod(see)

class Up(fm.Reasoning):
    initial_parameters = (1.0,)
    def reason(self, seen, ctx):
        return fm.Signal(seen.instrument, ctx.now_ns, 1.0)
    def update_parameters(self, parameters, ctx):
        return 2.0 * parameters["down"]

class Down(fm.Decision):
    initial_parameters = (1.0,)
    def decide(self, signal, ctx):
        return fm.Review(ctx.now_ns)
    def update_parameters(self, parameters, ctx):
        return -parameters["up"]

class Breaks(Down):
    def update_parameters(self, parameters, ctx):
        raise KeyError("momentum")
"""


def agents(*names):
    return "".join(f'[[agents]]\ntype = "bad_agents:{name}"\n' for name in names) + (
        '[[agents]]\ntype = "fastmas.strategies:AtMarket"\n'
    )


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("seed =", r"system\.toml is not valid TOML: .*"),
        ('[world]\nprotocol = "pacts"\n' + CROSSOVER, "protocol must be .*'raft'.*got 'pacts'.*"),
        ("[world]\nreplicas = 0\n" + CROSSOVER, "nodes must be 1 to 63, got 0; 3 or 5 is usual"),
        ("[world]\ncapital = 0\n" + CROSSOVER, "capital must be a whole positive number of USD, got 0"),
        (
            "[venue]\nfee_bps = -1\n" + CROSSOVER,
            r"fee_bps must be a number of basis points in \[0, 10000\), got -1; .*",
        ),
        ("[venue]\nvolume_cap = 0.1\n" + CROSSOVER, "volume_cap needs bars with volume, .*; leave volume_cap out .*"),
        ("[faults]\nloss = 0.9\n" + CROSSOVER, "loss must be a share between 0 and 0.5, got 0.9; 0.05 loses .*"),
        ("[parameters]\ndamping = 1.5\n" + CROSSOVER, r"damping must be in \[0, 1\), got 1\.5; 0 takes .*"),
        ("[parameters]\nmax_rounds = 0\n" + CROSSOVER, "max_rounds must be at least 1, got 0"),
        ("[limits]\nmax_leverage_bps = -1\n" + CROSSOVER, "max_leverage_bps must be an int from 0 .*, got -1"),
        ("[feed]\nfrom = 2020-01-01T00:00:00\n" + CROSSOVER, r"system\.toml: feed\.from must be date, got .*"),
        (
            CROSSOVER.replace("fast = 5", "fast = 50"),
            "a crossover needs 1 <= fast < slow, got fast=50, slow=15; try .*",
        ),
        (agents("Raises", "Up", "Down"), r"agent 'raises' failed at now_ns=\d+: ZeroDivisionError: no price is zero"),
        (
            agents("Sees", "Up", "Down"),
            r"the parameter iteration did not settle in 100 rounds \(tolerance 1e-09\): still moving: 'down' by .*, "
            r"'up' by .*; raise damping \(now 0\) or max_rounds",
        ),
        (
            agents("Sees", "Up", "Breaks").replace("Breaks", 'Breaks"\nname = "down'),
            r"agent 'down' failed in update_parameters at now_ns=\d+: KeyError: 'momentum'",
        ),
        (agents("Sees", "Up"), "a world needs at least one agent of each stage; Decision is missing: add .*"),
    ],
)
def test_systems(text, pattern, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "bad_agents.py").write_text(BAD_AGENTS)
    (tmp_path / "system.toml").write_text(text)
    window = () if "[feed]" in text else WINDOW
    assert_refused(fastmas_command("run", "system.toml", *window, "--out", "out"), "run", pattern)
    sys.modules.pop("bad_agents", None)


def test_a_command_or_an_option_that_does_not_exist():
    assert (
        fastmas_command("run", "--speed", "9").err == "fastmas: unrecognized arguments: --speed; see fastmas --help\n"
    )
    outcome = fastmas_command("fly")
    assert outcome.status == 2
    assert outcome.err.startswith("fastmas: argument COMMAND: invalid choice: 'fly'")
    assert fastmas_command().err == "fastmas: the following arguments are required: COMMAND; see fastmas --help\n"


def test_an_interrupt_in_process_is_130(monkeypatch, capsys):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr("fastmas.cli.run.run", interrupted)
    assert main(["run"]) == 130
    assert capsys.readouterr().err == "fastmas run: interrupted\n"


def test_a_helper_does_not_outlive_a_killed_parent(tmp_path):
    process = subprocess.Popen(
        [*COMMAND, "run", *SHORT, "--out", str(tmp_path)],
        stdout=subprocess.PIPE,
        env=environment(),
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "audit.fma").exists() and time.monotonic() < deadline:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.02)
        process.kill()
        process.communicate(timeout=30)
        with pytest.raises(ProcessLookupError):
            while time.monotonic() < deadline:
                os.killpg(process.pid, 0)
                signal.sigtimedwait([], 0.05)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def test_ctrl_c_ends_it_and_its_helper_at_once(tmp_path):
    process = subprocess.Popen(
        [*COMMAND, "run", "--out", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment(), start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout.readline() == "fastmas run: the main job\n"
        deadline = time.monotonic() + 60
        while not (tmp_path / "audit.fma").exists() and time.monotonic() < deadline:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.02)
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process of the group
        _, err = process.communicate(timeout=30)
        # CPython ends itself by the signal when the interrupt fell into an exec(); a shell calls both 130.
        assert process.returncode in (130, -signal.SIGINT)
        assert err.strip() == "fastmas run: interrupted"
        with pytest.raises(ProcessLookupError):
            while time.monotonic() < deadline:
                os.killpg(process.pid, 0)  # the helper is gone too
                signal.sigtimedwait([], 0.02)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


HANGS = """
import multiprocessing
import threading

import fastmas as fm

class Hangs(fm.Perception):
    def perceive(self, bar, ctx):
        if multiprocessing.parent_process() is not None:
            threading.Event().wait(60)
        raise ZeroDivisionError("here, not in the helper")
"""


def test_an_error_does_not_wait_for_the_helper(tmp_path):
    (tmp_path / "hanging_agents.py").write_text(HANGS)
    heard = 'subscribes = ["hangs"]\n'
    agents = "".join(
        f'[[agents]]\ntype = "{path}"\n{more}'
        for path, more in (
            ("hanging_agents:Hangs", ""),
            ("fastmas.strategies:MomentumSignal", heard),
            ("fastmas.strategies:Blend", heard),
            ("fastmas.strategies:AtMarket", ""),
        )
    )
    (tmp_path / "system.toml").write_text(agents)
    here = environment()
    here["PYTHONPATH"] = os.pathsep.join((str(tmp_path), here["PYTHONPATH"]))
    done = subprocess.run(
        [*COMMAND, "run", "system.toml", *WINDOW], capture_output=True, text=True, cwd=tmp_path, env=here, timeout=30,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert re.fullmatch(r"fastmas run: agent 'hangs' failed .*: here, not in the helper\n", done.stderr), done.stderr


def test_the_first_line_is_out_before_anything_heavy(tmp_path):
    script = """
        import sys

        class Out:
            seen = None
            flushed = False
            encoding = "utf-8"
            def write(self, text):
                if Out.seen is None and text.strip():
                    Out.seen = text, {"plotly", "pandas", "polars", "pyarrow", "scipy"} & set(sys.modules)
                return len(text)
            def flush(self):
                Out.flushed = Out.flushed or Out.seen is not None
            def isatty(self):
                return False

        class Loads:
            def find_spec(self, name, path=None, target=None):
                if name in ("plotly", "pandas", "fastmas.cli.main_job"):
                    assert Out.flushed, name
                return None

        sys.meta_path.insert(0, Loads())
        out, sys.stdout = sys.stdout, Out()
        from fastmas.cli import main
        status = main(["run", "--instruments", "NOPE", "--out", sys.argv[1]])
        print(status, Out.seen, Out.flushed, file=out)
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)], capture_output=True, text=True,
        env=environment(), check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == "2 ('fastmas run: the main job\\n', set()) True\n"
