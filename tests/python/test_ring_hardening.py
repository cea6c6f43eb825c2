"""Rings against what nobody should do to them: damaged files, full file systems, views that change shape, deaths that
only a caller who drops or borrows could meet, an interpreter that ends in the middle of a call."""

from __future__ import annotations

import builtins
import gc
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import pytest
from ring_processes import PATIENCE_S, Proof, Script, files_of, forked, kill, new_name

from fastmas.errors import ConfigError, EvictedError, PeerDeadError
from fastmas.ring import BroadcastRing, ByteRing, MpmcRing, MpscRing, SpscRing

SOON_S = 10.0  # for what must be told within a second


@pytest.fixture
def name() -> Iterator[str]:
    name = new_name()
    yield name
    gc.collect()
    left = files_of(name)
    for file in left:
        file.unlink()
    assert left == []


def in_a_child(body: Callable[[], None]) -> None:
    """A child that turns for ever, with the interpreter's lock held or not, is killed, and fails the test."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            body()
            status = 0
        finally:
            os._exit(status)
    until = time.monotonic() + SOON_S
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            assert status == 0
            return
        if time.monotonic() > until:
            kill(pid)
            pytest.fail(f"the child was still at it after {SOON_S} s")
        time.sleep(0.001)


# ---- damage


@pytest.mark.parametrize("claims", ["|i1", "<U9", "<i4"])
@pytest.mark.parametrize("kind", [SpscRing, MpscRing, BroadcastRing])
def test_a_dtype_of_another_size_than_the_records_is_refused(name: str, kind: Any, claims: str) -> None:
    size = np.dtype(claims).itemsize
    text = f"ring '{name}' is damaged: its records have 8 bytes, its dtype {np.dtype(claims)} has {size}; remove it"

    def attach_to_the_damaged() -> None:
        (file,) = files_of(name)
        header = file.read_bytes().replace(b'"<f8"', f'"{claims}"'.encode(), 1)
        file.write_bytes(header)
        with pytest.raises(ConfigError, match=f"^{re.escape(text)}"):
            kind.attach(name)
        with pytest.raises(ConfigError, match=f"^{re.escape(text)}"):
            kind.attach(name, dtype=claims)

    with kind.create(name, "<f8", 8):
        in_a_child(attach_to_the_damaged)


def test_a_position_that_makes_no_sense_stays_within_the_ring(name: str) -> None:
    rows = np.arange(100_000)
    with SpscRing.create(name, np.int64, 8) as out, SpscRing.attach(name) as into:
        (file,) = files_of(name)
        control = file.stat().st_size - 8 * 8 - 512

        def damage(offset: int) -> Callable[[], None]:
            def write() -> None:
                with open(file, "r+b") as bytes_of_it:
                    bytes_of_it.seek(control + offset)
                    bytes_of_it.write((1 << 40).to_bytes(8, "little"))

            return write

        in_a_child(damage(256))  # what was published
        assert len(into.pop_many(max_records=100_000)) == 8
        in_a_child(damage(384))  # what was consumed
        assert out.push_many(rows) == 8


def test_a_subscriber_whose_position_was_changed_is_out(name: str) -> None:
    def read_with_a_changed_position() -> None:
        with BroadcastRing.create(name, np.int64, 8, overflow="evict") as feed:
            reader = feed.subscribe("reader")
            feed.publish_many(np.arange(3))
            (file,) = files_of(name)
            position = file.stat().st_size - 8 * 8 - 64 * 128

            def damage() -> None:
                with open(file, "r+b") as bytes_of_it:
                    bytes_of_it.seek(position)
                    assert bytes_of_it.read(8) == bytes(8)
                    bytes_of_it.seek(position)
                    bytes_of_it.write((1).to_bytes(8, "little"))

            in_a_child(damage)
            for read in (reader.try_pop, reader.pop, reader.poll):
                with pytest.raises(EvictedError, match="subscriber 'reader' was put out"):
                    read()

    in_a_child(read_with_a_changed_position)


def test_frames_that_lead_round_for_ever_end_after_a_lap(name: str) -> None:
    def pop_from_the_damaged() -> None:
        with ByteRing.create(name, 64) as out, ByteRing.attach(name) as into:
            out.push(b"")
            (file,) = files_of(name)
            words = file.stat().st_size - 64

            def damage() -> None:
                with open(file, "r+b") as bytes_of_it:
                    bytes_of_it.seek(words)
                    assert bytes_of_it.read(8) == (1).to_bytes(8, "little")  # a frame of no bytes
                    bytes_of_it.write((1).to_bytes(8, "little") * 7)

            in_a_child(damage)
            assert into.pop_many(max_frames=1_000_000) == [b""] * 8
            assert into.pop_many() == [b""] * 8

    in_a_child(pop_from_the_damaged)


def test_a_ring_whose_slots_are_too_large_is_refused(name: str) -> None:
    text = (
        r"^a ring must not be larger than 17179869184 bytes, got 1073741824 records of 1 bytes in slots of whole cache "
        r"lines, 687194\d+ bytes in all; take a smaller capacity$"
    )
    for make in (
        lambda: SpscRing(np.int8, 1 << 30, layout="sequenced"),
        lambda: MpmcRing(np.int8, 1 << 30),
        lambda: MpscRing.create(name, np.int8, 1 << 30),
    ):
        with pytest.raises(ConfigError, match=text):
            make()


FULL = """
import os, sys
import numpy as np
from fastmas.errors import StorageError
from fastmas.ring import SpscRing
with SpscRing.create("/fits", np.int64, 1024):
    for records in (1 << 17, 1 << 16, 1 << 15):  # 1 MiB does not fit beside what is there, half of one does
        try:
            SpscRing.create("/full", np.int64, records).close()
            print(records, "fits")
        except StorageError as error:
            print(records, error.errno, str(error).replace(os.environ["FASTMAS_RING_DIR"], "DIR"))
print(os.listdir(os.environ["FASTMAS_RING_DIR"]))
"""


def test_a_full_file_system_is_an_error_and_no_signal(tmp_path: Any) -> None:
    unshare, mount = shutil.which("unshare"), shutil.which("mount")
    if unshare is None or mount is None:
        pytest.skip("needs unshare and mount")
    python = f'{mount} -t tmpfs -o size=1m none \'{tmp_path}\' && exec "$0" -c "$1"'
    run = subprocess.run(
        [unshare, "--user", "--map-root-user", "--mount", "sh", "-c", python, sys.executable, FULL],
        env=os.environ | {"FASTMAS_RING_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    if "unshare" in run.stderr or "mount" in run.stderr:
        pytest.skip(run.stderr.strip())
    first, second, third, names = run.stdout.splitlines()
    assert first.startswith("131072 28 ") and second == "65536 fits", run
    assert re.search(r"cannot get \d+ bytes of shared memory; take a smaller capacity, or make DIR larger", first)
    assert (third, names, run.returncode) == ("32768 fits", "[]", 0)


def test_titles_of_fields_do_not_matter(name: str) -> None:
    titled = np.dtype([(("the price", "price"), "<f8"), ("size", "<i4")])
    with SpscRing.create(name, titled, 4) as out:

        def attach() -> None:
            with SpscRing.attach(name, dtype=titled) as into:
                assert into.dtype == titled

        in_a_child(attach)
        out.push_many(np.zeros(2, titled))


# ---- loans and arrays that change


def test_a_view_that_became_a_scalar_holds_its_side() -> None:
    ring = SpscRing(np.int64, capacity=4)
    text = r"^the view of claim\(\) must not be used after its with block"
    with pytest.raises(ConfigError, match=text), ring.claim(1) as view:
        view.shape = ()
    with pytest.raises(ConfigError, match=r"something still refers to that view"):
        ring.try_push(np.int64(1))
    view[()] = 7  # where nobody reads
    del view
    assert ring.push_many(np.arange(4)) == 4
    assert ring.pop_many().tolist() == [0, 1, 2, 3]


def test_an_out_that_shrinks_while_the_call_waits() -> None:
    ring = SpscRing(np.int64, capacity=1024)
    out = np.zeros(1000, np.int64)

    def shrink() -> None:
        out.resize(1, refcheck=False)
        ring.push_many(np.arange(1000))

    failed = threading.Timer(0.05, shrink)
    failed.start()
    with pytest.raises(ConfigError, match=r"^out was made smaller while the call was waiting; leave it alone"):
        ring.pop_many(out=out, timeout_s=PATIENCE_S)
    failed.join()
    assert ring.was_size == 1000


class Shrinking(np.ndarray[Any, Any]):
    """Gets smaller while a view of it is made."""

    def __array_finalize__(self, whole: Any) -> None:
        if whole is not None:
            whole.resize(1, refcheck=False)


NO_VIEW = r"^a slice of out must be a view of it, which that of a Sliced is not; use a plain numpy array$"


class Sliced(np.ndarray[Any, Any]):
    """Its slices are something else."""

    parts: ClassVar[list[Any]]

    def __getitem__(self, key: Any) -> Any:
        return self.parts.pop()


def test_an_out_that_shrinks_while_it_is_sliced() -> None:
    ring = SpscRing(np.int64, capacity=1024)
    ring.push_many(np.arange(500))
    out = Shrinking(1000, np.int64)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"^out was made smaller while the call was waiting; leave it alone"):
        ring.pop_many(out=out)
    assert ring.was_size == 500


def test_an_out_whose_slices_are_no_views_of_it() -> None:
    ring = SpscRing(np.int64, capacity=8)
    ring.push_many(np.arange(3))
    out = Sliced(4, np.int64)  # type: ignore[arg-type]
    numbers = np.zeros(3, np.int64)
    Sliced.parts = [None, 7, numbers, np.ndarray.__getitem__(out, slice(0, 2)), np.ndarray.reshape(out, (2, 2))]
    while Sliced.parts:
        with pytest.raises(ConfigError, match=NO_VIEW):
            ring.pop_many(out=out)
    assert ring.was_size == 3
    assert numbers.tolist() == [0, 0, 0]


def test_an_out_of_another_class_of_arrays() -> None:
    out = np.recarray(4, [("number", "<i8")])
    ring = SpscRing(out.dtype, capacity=8)
    ring.push_many(np.array([(1,), (2,)], out.dtype))
    rows = ring.pop_many(out=out)
    assert type(rows) is np.recarray
    assert rows.base is out
    assert rows.number.tolist() == [1, 2]


# ---- deaths


@pytest.mark.parametrize("kind", [SpscRing, MpscRing, MpmcRing, ByteRing])
def test_who_drops_what_does_not_fit_is_told_of_a_death(name: str, kind: Any) -> None:
    record = bytes(Proof.of(0))
    of = (128,) if kind is ByteRing else (Proof, 2)
    with kind.create(name, *of, overflow="drop_newest") as out:

        def consume() -> None:
            reader = kind.attach(name)
            time.sleep(PATIENCE_S)
            reader.close()

        with forked(consume) as pid:
            while not out.peer_alive:
                time.sleep(0.001)
            kill(pid)
            until = time.monotonic() + SOON_S
            with pytest.raises(PeerDeadError, match=rf"^the consumer of ring '{name}' died: process {pid} "):
                while time.monotonic() < until:
                    out.push(record)
        assert out.pushed > 0


@pytest.mark.parametrize("kind", [SpscRing, MpscRing, BroadcastRing])
def test_a_batch_that_a_death_cuts_short_says_how_much_went_in(name: str, kind: Any) -> None:
    with kind.create(name, np.int64, 4) as out:
        push_many = getattr(out, "push_many", None) or out.publish_many

        def hold_the_other_end() -> None:
            other = kind.attach(name)
            reader = other.subscribe("required", required=True) if kind is BroadcastRing else other
            while other.was_size < 4 if reader is other else reader.lag < 4:
                time.sleep(0.001)
            os.kill(os.getpid(), signal.SIGKILL)

        with forked(hold_the_other_end):
            while not (out.subscribers if kind is BroadcastRing else out.peer_alive):
                time.sleep(0.001)
            assert push_many(np.arange(10), timeout_s=PATIENCE_S) == 4
            with pytest.raises(PeerDeadError, match=" died: process "):
                push_many(np.arange(4, 10), timeout_s=PATIENCE_S)
        with kind.attach(name) as other:
            rest = other.subscribe("required", required=True).poll() if kind is BroadcastRing else other.pop_many()
            assert rest.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("verb", ["claim", "peek"])
def test_who_only_borrows_is_told_of_a_death(name: str, verb: str) -> None:
    claims = verb == "claim"
    with SpscRing.create(name, Proof, 2, role="producer" if claims else "consumer") as end:

        def hold_the_other_end() -> None:
            other = SpscRing.attach(name, role="consumer" if claims else "producer")
            time.sleep(PATIENCE_S)
            other.close()

        with forked(hold_the_other_end) as pid:
            while not end.peer_alive:
                time.sleep(0.001)
            kill(pid)
            until = time.monotonic() + SOON_S
            lent = 0
            with pytest.raises(PeerDeadError, match=rf"^the \w+ of ring '{name}' died: process {pid} "):
                while time.monotonic() < until:
                    with getattr(end, verb)(1) as view:
                        lent += len(view)
                    del view
            assert lent == (2 if claims else 0)


# ---- the interpreter's end, and imports that fail

DAEMONS = """
import threading, time
import numpy as np
from fastmas.errors import DeadlineError, RingGoneError
from fastmas.ring import ByteRing, SpscRing, list_rings

def look():
    while True:
        try:
            SpscRing.attach("/nobody-makes-this-ring")
        except RingGoneError:
            list_rings()

def wait(ring):
    while True:
        try:
            ring.pop_into(bytearray(8), timeout_s=0.001)
        except DeadlineError:
            pass

for _ in range(3):
    threading.Thread(target=look, daemon=True).start()
    threading.Thread(target=lambda: wait(ByteRing(64)), daemon=True).start()
time.sleep(0.1)
print("ends")
"""


@pytest.mark.skipif("ASAN_OPTIONS" in os.environ, reason="pthread_exit leaves AddressSanitizer's marks on stacks")
def test_daemon_threads_amid_calls_do_not_abort_the_exit() -> None:
    for _ in range(5):
        with Script(DAEMONS) as script:
            assert script.end() == ("ends\n", 0)


def test_a_first_pop_needs_nothing_to_be_imported() -> None:
    with Script(FIRST_POP) as script:
        assert script.end() == ("7\n", 0)


FIRST_POP = """
import builtins
import numpy as np
from fastmas.ring import SpscRing
ring = SpscRing(np.int64, 4)
ring.push(np.int64(7))

def refuse(*what):
    raise ImportError("not now")

real, builtins.__import__ = builtins.__import__, refuse
record = ring.pop()
builtins.__import__ = real
print(record)
"""


def test_an_interrupt_while_attaching_stays_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def interrupted(module: str, *rest: Any) -> Any:
        if module == "json":
            raise KeyboardInterrupt
        return real(module, *rest)

    with SpscRing.create(name, np.int64, 8):
        monkeypatch.setattr(builtins, "__import__", interrupted)
        with pytest.raises(KeyboardInterrupt):
            SpscRing.attach(name)
        monkeypatch.undo()


class Interrupts:
    """A number that the user interrupts while it is asked for."""

    def __float__(self) -> float:
        raise KeyboardInterrupt

    __index__ = __float__  # type: ignore[assignment]


def test_an_interrupt_while_an_argument_is_read_stays_one() -> None:
    ring, frames, argument = SpscRing(np.int64, 4), ByteRing(64), Interrupts()
    calls: list[Callable[[], Any]] = [
        lambda: ring.pop(timeout_s=argument),
        lambda: ring.pop_many(argument),
        lambda: frames.pop_many(argument),
        lambda: ring.claim(argument),
        lambda: SpscRing(np.int64, argument),  # type: ignore[arg-type]
    ]
    for call in calls:
        with pytest.raises(KeyboardInterrupt):
            call()


def readers_of(kind: Any) -> tuple[Any, Any, list[Callable[[], Any]]]:
    """A ring, who reads it, and every way to."""
    rows = np.dtype([("a", "<i8")])
    out = np.zeros(8, rows)
    if kind is BroadcastRing:
        feed = BroadcastRing(rows, 8)
        reader = feed.subscribe("reader")
        return feed.try_publish, reader, [reader.try_pop, reader.pop, reader.poll, lambda: reader.poll(out=out)]
    ring = ByteRing(256) if kind is ByteRing else kind(rows, 8)
    ways = [ring.try_pop, ring.pop, ring.pop_many]
    return ring.try_push, ring, [*ways, lambda: ring.pop_many(out=out)] if kind is not ByteRing else ways


@pytest.mark.parametrize("kind", [SpscRing, MpscRing, ByteRing, BroadcastRing])
def test_what_memory_was_missing_for_stays_in_the_ring(kind: Any) -> None:
    no_memory = pytest.importorskip("_testcapi")
    push, reader, ways = readers_of(kind)
    failures = 0
    for way in ways:
        for allocation in range(12):
            for _ in range(3):
                push(b"a record")
            before = reader.received if kind is BroadcastRing else reader.popped
            failed = False
            no_memory.set_nomemory(allocation, allocation + 1)
            try:
                got = way()
            except MemoryError:
                failed = True
            finally:
                no_memory.remove_mem_hooks()
            after = reader.received if kind is BroadcastRing else reader.popped
            count = 0 if failed else len(got) if isinstance(got, (np.ndarray, list)) else 1
            assert after - before == count
            failures += failed
            while reader.try_pop() is not None:
                pass
    assert failures > 0
