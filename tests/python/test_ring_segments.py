"""list_rings, clean_rings and `fastmas rings`: what is shown of rings in shared memory, and what is removed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import pytest
from cli_tools import environment, fastmas_command

import fastmas as fm
from fastmas.ring import RingInfo, SpscRing, clean_rings, list_rings

TRADE = np.dtype([("ts_ns", "<i8"), ("price", "<f8")])


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    """A directory of our own: nobody else's rings are listed or cleaned here."""
    monkeypatch.setenv("FASTMAS_RING_DIR", str(tmp_path))
    return tmp_path


@contextlib.contextmanager
def another_process(program):
    """Run a program that holds rings, until it says that it has them; killed at the end."""
    command = [sys.executable, "-c", textwrap.dedent(program) + "\nprint('ready', flush=True)\ninput()"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    ) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()
            process.wait()


HOLDER = """
    import numpy as np
    from fastmas.ring import SpscRing
    ring = SpscRing.create("/held", np.int64, 64)
"""


def test_a_ring_and_its_holders():
    with SpscRing.create("/feed", TRADE, 1024, role="consumer", overflow="drop_newest") as ring:
        (info,) = list_rings()
        assert isinstance(info, RingInfo)
        assert (info.name, info.state, info.why) == ("/feed", "in use", "")
        assert (info.kind, info.layout, info.overflow) == ("spsc", ring.layout, "drop_newest")
        assert (info.dtype, info.capacity, info.record_bytes) == (str(TRADE), 1024, 16)
        assert info.bytes == os.stat(Path(os.environ["FASTMAS_RING_DIR"]) / "fastmas.feed").st_size
        (held,) = info.holders
        assert (held.role, held.place, held.pid, held.state, held.name) == ("consumer", 0, os.getpid(), "alive", "")
        with SpscRing.attach("/feed", role="producer"):
            assert [holder.role for holder in list_rings()[0].holders] == ["producer", "consumer"]
        assert [holder.state for holder in list_rings()[0].holders] == ["left", "alive"]
        assert clean_rings() == []
    assert list_rings() == []


def test_a_record_class_is_shown_by_its_name():
    class SegmentTick(fm.Record):
        price: fm.i64

    with SpscRing.create("/ticks", SegmentTick, 8):
        assert list_rings()[0].dtype == "SegmentTick"


def test_what_a_killed_process_left_is_stale_and_removed():
    with another_process(HOLDER) as process:
        (alive,) = list_rings()
        assert (alive.state, alive.holders[0].state, alive.holders[0].pid) == ("in use", "alive", process.pid)
        assert clean_rings() == []
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        assert (list_rings()[0].state, list_rings()[0].holders[0].state, clean_rings()) == ("in use", "alive", [])
    (dead,) = list_rings()
    assert (dead.state, dead.holders[0].state, dead.holders[0].pid) == ("stale", "dead", process.pid)
    assert clean_rings() == ["/held"]
    assert list_rings() == clean_rings() == []


def test_other_files_are_named_and_left_alone(directory):
    (directory / "fastmas.x").write_bytes(b"something else")
    (directory / "fastmas.empty").write_bytes(b"")
    (directory / "other").write_bytes(b"")
    empty, foreign = list_rings()
    assert (empty.name, empty.state, empty.kind) == ("/empty", "unfinished", None)
    assert (foreign.name, foreign.state) == ("/x", "foreign")
    assert foreign.why == ("ring '/x' is no ring: its file begins with other bytes than FMSRING1; take another name")
    assert clean_rings() == ["/empty"]
    assert sorted(os.listdir(directory)) == ["fastmas.x", "other"]


ROOT, OWNER, STRANGER = 0, 12345, 12346


def as_user(user, body):
    """Run `body` in a child of that user; what it returned, as JSON has it."""
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setresuid(user, user, user)
            os.write(writable, json.dumps(body()).encode())
        finally:
            os._exit(0)
    os.close(writable)
    os.waitpid(pid, 0)
    with open(readable, "rb") as answer:
        return json.loads(answer.read())


@pytest.mark.skipif(os.geteuid() != ROOT, reason="only root can give a file to another user")
def test_another_users_ring_is_refused_shown_and_left_alone(monkeypatch, request):
    """Though its mode lets anybody write: whoever made it that way may have other plans for it."""
    directory = Path(tempfile.mkdtemp())  # not pytest's, which nobody else may enter
    request.addfinalizer(lambda: shutil.rmtree(directory))
    directory.chmod(0o777)
    monkeypatch.setenv("FASTMAS_RING_DIR", str(directory))
    with another_process(HOLDER):
        file = directory / "fastmas.held"
        file.chmod(0o666)
        os.chown(file, OWNER, -1)
        with pytest.raises(fm.errors.ConfigError, match=f"^{re.escape(strangers(file, ROOT))}$"):
            SpscRing.attach("/held")

    def look():
        try:
            SpscRing.attach("/held").close()
            refused = ""
        except fm.errors.ConfigError as error:
            refused = str(error)
        return [refused, *((ring.name, ring.state, ring.why) for ring in list_rings()), clean_rings()]

    text = strangers(file, STRANGER)
    assert as_user(STRANGER, look) == [text, ["/held", "foreign", text], []]
    assert file.exists()
    os.chown(file, ROOT, -1)
    kept = []  # open until the child is gone, or it would be the last to close it
    assert as_user(STRANGER, lambda: kept.append(SpscRing.attach("/held"))) is None  # root may write anything anyway
    os.chown(file, OWNER, -1)
    assert [ring.state for ring in list_rings()] == ["stale"]  # root looks after everybody's
    assert clean_rings() == ["/held"]


def strangers(file, user):
    return (
        f"ring '/held' belongs to user {OWNER}, this process to user {user}: who owns {file} can change it at any "
        "time; run both sides as one user, or take another name"
    )


def test_a_directory_that_cannot_be_read(monkeypatch):
    monkeypatch.setenv("FASTMAS_RING_DIR", "/nowhere")
    for call in (list_rings, clean_rings):
        with pytest.raises(fm.errors.StorageError, match="cannot list shared rings in /nowhere"):
            call()
    outcome = fastmas_command("rings", "ls")
    assert outcome.status == 2
    assert re.fullmatch("fastmas rings: .*cannot list shared rings in /nowhere.*\n", outcome.err)


def rows(text):
    """The words of each row of a table, without its rules."""
    return [line.split() for line in text.splitlines() if line.strip() and not set(line.strip()) <= {"─", " "}]


def test_ls_shows_each_ring():
    empty = fastmas_command("rings", "ls")
    assert (empty.status, empty.out) == (0, "no rings in shared memory\n")
    with SpscRing.create("/b.feed", np.float64, 1024), SpscRing.attach("/b.feed"), another_process(HOLDER) as process:
        outcome = fastmas_command("rings", "ls")
        assert (outcome.status, outcome.err) == (0, "")
        shown = rows(outcome.out)
        mine = [str(os.getpid()), "alive"]
        assert shown[0] == ["name", "state", "kind", "dtype", "capacity", "size", "holders:", "pid,", "state"]
        assert shown[1][:6] == ["/b.feed", "in", "use", "spsc", "float64", "1,024"]
        assert shown[1][7] == "KiB"
        assert shown[1][8:] == ["producer", *mine]
        assert shown[2] == ["consumer", *mine]
        assert shown[3][:6] == ["/held", "in", "use", "spsc", "int64", "64"]
        assert shown[3][8:] == ["producer", str(process.pid), "alive"]
        assert len(shown) == 4


def test_ls_and_clean_of_what_a_killed_process_left(directory):
    with another_process(HOLDER) as process:
        outcome = fastmas_command("rings", "clean")
        assert (outcome.status, outcome.out) == (0, "nothing to remove: every ring is open in a living process\n")
    shown = fastmas_command("rings", "ls").out
    assert f"producer {process.pid} dead" in shown
    assert shown.endswith("1 of no living process: `fastmas rings clean` removes it\n")
    assert fastmas_command("rings", "clean").out == "removed /held\n"
    assert fastmas_command("rings", "ls").out == "no rings in shared memory\n"
    assert fastmas_command("rings", "clean").out == "nothing to remove: there are no rings\n"
    (directory / "fastmas.x").write_bytes(b"something else")
    foreign = "1 foreign, which `fastmas rings ls` explains\n"
    assert fastmas_command("rings", "clean").out == f"nothing to remove: {foreign}"
    with another_process(HOLDER):
        out = fastmas_command("rings", "clean").out
        assert out == f"nothing to remove: every other ring is open in a living process; {foreign}"


def test_a_narrow_terminal_gives_up_the_dtype_first(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with SpscRing.create("/feed", TRADE, 1024):
        out = re.sub(r"\x1b\[[0-9;]*m", "", fastmas_command("rings", "ls").out)
    assert max(len(line.rstrip()) for line in out.splitlines()) <= 80
    for whole in ("/feed", "in use", "spsc", "1,024", f"producer {os.getpid()} alive"):
        assert whole in out


def test_json_is_what_the_functions_return():
    with SpscRing.create("/feed", TRADE, 1024):
        (shown,) = json.loads(fastmas_command("rings", "ls", "--json").out)
        assert shown["name"] == "/feed"
        assert shown["holders"] == [{"role": "producer", "place": 0, "pid": os.getpid(), "state": "alive", "name": ""}]
        assert json.loads(fastmas_command("rings", "clean", "--json").out) == []
    assert json.loads(fastmas_command("rings", "ls", "--json").out) == []


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        (("rings",), "fastmas rings: the following arguments are required: ls|clean; see fastmas rings --help\n"),
        (("rings", "rm"), r"fastmas rings: argument ls\|clean: invalid choice: 'rm' .*; see fastmas rings --help\n"),
    ],
)
def test_verbs(arguments, pattern):
    outcome = fastmas_command(*arguments)
    assert outcome.status == 2
    assert re.fullmatch(pattern.replace("ls|clean;", r"ls\|clean;"), outcome.err), outcome.err


def test_helpers_of_python_end_with_their_names_gone():
    """A program that ends without closing leaves nothing, also when an exception ends it."""
    for last_line in ("", "raise SystemExit(0)", "raise RuntimeError('crash')"):
        subprocess.run([sys.executable, "-c", textwrap.dedent(HOLDER) + last_line], env=environment(), check=False,
                       capture_output=True)  # fmt: skip
        assert list_rings() == []
