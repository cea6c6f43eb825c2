"""Writing and reading audit files."""

from __future__ import annotations

import json
import platform
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from audit_forge import Block, Forgery, header_bytes, record_bytes
from hypothesis import given, settings
from hypothesis import strategies as st

from fastmas import audit
from fastmas._core import audit as core
from fastmas.errors import AuditError, ConfigError, InvariantError, StorageError
from fastmas.messages import Bar, Committed, Intent, Observation, Signal
from fastmas.records import Record, f64, i64, u32

BARS = np.zeros(3, Bar.dtype)
BARS["ts_ns"] = 5
BARS["instrument"] = [4, 7, 9]
BARS["close"] = [100, 200, 300]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.audit"


def test_what_was_written_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastmas.audit.decoders._decoders", {})  # a world registers one for commands; these are none
    intent = Intent(6, {7: 10}, 9)
    with audit.AuditWriter(path, seed=7, meta={"k": [1, None]}) as writer:
        assert writer.append(Bar, BARS, id=1, ts_ns=5, count=3) == 1  # 0 is the schema
        writer.append(Observation, Observation(7, 5, {"mid": 1.5}).to_bytes(), id=4, ts_ns=5, causes=(2,))
        writer.append(Intent, intent.to_bytes(), id=5, ts_ns=6, causes=[4])
        writer.append(Committed, Committed(1, 7, intent).to_bytes(), id=6, ts_ns=7, causes=iter([5]))
        writer.append_command(1, 7, b"h" * 32, b"command", causes=(5,))
        writer.note({"b": 1, "a": "é"}, ts_ns=8)
        assert writer.records == 7
    with audit.read(path) as file:
        assert file.header["seed"] == 7 and file.header["meta"] == {"k": [1, None]}
        assert file.header["numpy"] == np.__version__ and file.header["python"] == platform.python_version()
        assert file.header["cpu"] == core.cpu_features() and file.closed and file.head == writer.head
        assert [record.type_name for record in file.records()] == [
            "Schema", "Bar", "Observation", "Intent", "Committed", "Command", "Note",
        ]  # fmt: skip
        bars = file.record(1)
        assert (bars.sequence, bars.id, bars.count, bars.row, bars.ts_ns, bars.causes) == (1, 1, 3, 0, 5, ())
        assert np.array_equal(bars.table(), BARS) and bars.payload == BARS.tobytes()
        assert bars.fields["close"] == 100 and bars.row_fields(2)["close"] == 300
        assert file.record(2).row == 1 and file.record(2).fields["instrument"] == 7
        assert file.record(4).fields == {"instrument": 7, "ts_ns": 5, "mid": 1.5}
        assert file.record(4).causes == (2,)
        assert file.record(5).fields == {"ts_ns": 6, "valid_until_ns": 9, "targets": {7: 10}}
        assert file.record(6).fields["index"] == 1 and file.record(6).fields["targets"] == {7: 10}
        assert file[5].fields == {"index": 1, "time_ns": 7, "ledger_head": "68" * 32, "command": b"command"}
        assert file[6].fields == {"a": "é", "b": 1} and file[6].ts_ns == 8 and file[6].id == 0
        assert file.schemas[16].name == "Bar" and file.schemas[16].dtype == Bar.dtype
        assert [r.sequence for r in file.records(2, 4)] == [2, 3]
        assert [r.sequence for r in file.records(type="Bar")] == [r.sequence for r in file.records(type=16)] == [1]


def test_the_bytes_are_those_of_the_format(path: Path) -> None:
    with audit.AuditWriter(path, seed=1) as writer:
        writer.append(99, b"payload", id=5, ts_ns=-3, causes=(1, 4), count=2)
        writer.flush()
        writer.note({"a": 1})
    data = path.read_bytes()
    header = header_bytes(Forgery.of(data).header[16:-4])
    blocks = [
        Block([record_bytes(0, b"payload", 5, -3, 99, 2, (1, 4))]),
        Block([record_bytes(1, b'{"a":1}', type=6)]),
    ]
    assert Forgery(header, blocks).rebuild().compose() == data


numbers = st.integers(0, 2**64 - 2**33)
records = st.lists(
    st.tuples(
        st.binary(max_size=200),
        numbers,
        st.integers(-(2**63), 2**63 - 1),
        st.integers(0, 2**32 - 1),
        st.integers(1, 2**32 - 1),
        st.booleans(),
    ),
    max_size=20,
)


@settings(max_examples=60, deadline=None)
@given(records)
def test_whatever_is_appended_stands_in_the_file(
    tmp_path_factory: pytest.TempPathFactory, wanted: list[tuple[bytes, int, int, int, int, bool]]
) -> None:
    path = tmp_path_factory.mktemp("audit") / "a"
    blocks = [Block([])]
    with audit.AuditWriter(path) as writer:
        for sequence, (payload, id_, ts_ns, type_, count, seal) in enumerate(wanted):
            causes = (1, id_ - 1) if id_ > 2 else ()
            writer.append(type_, payload, id=id_, ts_ns=ts_ns, causes=causes, count=count)
            blocks[-1].records.append(record_bytes(sequence, payload, id_, ts_ns, type_, count, causes))
            if seal:
                writer.flush()
                blocks.append(Block([]))
    forgery = Forgery(Forgery.of(path.read_bytes()).header, [block for block in blocks if block.records]).rebuild()
    assert path.read_bytes() == forgery.compose()
    assert audit.verify(path, forgery.head).records == len(wanted)


def test_two_runs_alike_have_one_head_and_another_seed_another(tmp_path: Path) -> None:
    heads = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        with audit.AuditWriter(tmp_path / name, seed=seed) as writer:
            writer.append(Bar, BARS, id=1, count=3)
        heads.append(writer.head)
    assert heads[0] == heads[1] != heads[2]


def test_type_numbers_are_fixed_or_given_in_order_of_first_use(path: Path) -> None:
    class Tilt(Record):
        ts_ns: i64
        weight: f64

    class Twin(Record):
        ts_ns: i64
        weight: f64

    def tilt_again() -> type:
        class Tilt(Record):
            ts_ns: i64
            weight: f64

        return Tilt

    with audit.AuditWriter(path) as writer:
        assert [writer.type_id(cls) for cls in (Observation, Intent, Committed)] == [2, 3, 5]
        assert [writer.type_id(cls) for cls in (Signal, Tilt, Signal, Twin, tilt_again())] == [16, 17, 16, 18, 17]
        assert writer.records == 3
    assert {number: schema.name for number, schema in audit.read(path).schemas.items()} == {
        16: "Signal",
        17: "Tilt",
        18: "Twin",
    }


@pytest.mark.parametrize("cls", [int, audit.AuditWriter, "Bar"])
def test_what_is_no_message_class_is_refused(path: Path, cls: type) -> None:
    with (
        pytest.raises(ConfigError, match="an audit takes Record classes, Observation, Intent and Committed, got"),
        audit.AuditWriter(path) as writer,
    ):
        writer.type_id(cls)


@pytest.mark.parametrize(
    ("append", "text"),
    [
        (lambda w: w.append(99, b"", id=3, causes=(3,)), "is the id of an earlier message, got cause 3 of id 3"),
        (lambda w: w.append(99, b"", id=3, causes=(1, 7)), "is the id of an earlier message, got cause 7 of id 3"),
        (lambda w: w.append(99, b"", causes=(0,)), "a cause is the id of an earlier message, got cause 0 of id 0"),
        (lambda w: w.append(99, b"", count=0), "an audit record holds count >= 1 rows, got 0"),
        (lambda w: w.append(99, b"", id=2**64 - 1, count=2), "ids are 64 bits wide, got id 18446744073709551615 with"),
        (lambda w: w.append(99, bytes(2**26)), "an audit record holds at most 67108864 bytes, got 67108864 of payload"),
        (lambda w: w.append(-1, b""), "an audit record has u32 type and count, u64 id"),
        (lambda w: w.append(99, b"", id=1.5), "an audit record has u32 type and count, u64 id"),
        (lambda w: w.append(99, "text"), "and a bytes-like payload, got type=99, 'text'"),
        (lambda w: w.append_command(1, 2, b"head", b""), "a ledger head has 32 bytes, got 4"),
        (lambda w: w.append_command(-1, 2, bytes(32), b""), "a command has u64 index and i64 time_ns, got -1 and 2"),
        (lambda w: w.note({"a": float("nan")}), r"a note holds JSON values only \(no NaN\), got"),
    ],
)  # fmt: skip
def test_a_record_that_breaks_a_rule_is_refused_and_nothing_is_appended(
    path: Path, append: Callable[[audit.AuditWriter], object], text: str
) -> None:
    with audit.AuditWriter(path) as writer:
        with pytest.raises(ConfigError, match=text):
            append(writer)
        assert writer.records == 0
        assert writer.append(99, b"x", id=1) == 0
    assert audit.verify(path).records == 1


def test_a_closed_audit_takes_nothing(path: Path) -> None:
    writer = audit.AuditWriter(path)
    head = writer.close()
    assert writer.closed and writer.close() == writer.head == head
    with pytest.raises(ConfigError, match="is closed; append before close"):
        writer.append(99, b"")
    with pytest.raises(InvariantError, match="is closed; append before close"):
        writer.flush()


def test_a_file_that_exists_is_not_overwritten_unasked(path: Path) -> None:
    path.write_text("mine")
    with pytest.raises(
        ConfigError, match=r"an audit file is never overwritten, but .* exists; give another path, or overwrite=True"
    ):
        audit.AuditWriter(path)
    assert path.read_text() == "mine"
    audit.AuditWriter(path, overwrite=True).close()
    assert audit.verify(path).ok


def test_overwriting_leaves_an_open_reader_its_file(path: Path) -> None:
    with audit.AuditWriter(path) as writer:
        writer.append(99, b"old", id=1)
    with audit.read(path) as file:
        audit.AuditWriter(path, overwrite=True).close()
        assert file.record(1).payload == b"old"


def test_a_place_that_takes_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot create the audit file") as caught:
        audit.AuditWriter(tmp_path / "nowhere" / "run.audit")
    assert caught.value.errno == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_stops_the_writer_for_good(tmp_path: Path) -> None:
    # /dev/full exists already, which the writer refuses: a limit on the file's size fails in the same place
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    writer = audit.AuditWriter(tmp_path / "run.audit")
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        with pytest.raises(InvariantError, match="can take no more: write failed: File too large"):
            for _ in range(5000):
                writer.append(99, bytes(100))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    for again in (writer.flush, writer.close, lambda: writer.append(99, b"")):
        with pytest.raises(InvariantError, match="can take no more: write failed"):
            again()
    with pytest.raises(AuditError, match="no trailer"):
        audit.verify(tmp_path / "run.audit")


@pytest.mark.parametrize("meta", [{"a": object()}, {"a": float("inf")}, {"a": {1, 2}}])
def test_meta_is_json(path: Path, meta: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"meta holds JSON values only \(no NaN\), got"):
        audit.AuditWriter(path, meta=meta)
    assert not path.exists()


def test_a_header_has_a_limit(path: Path) -> None:
    with pytest.raises(ConfigError, match="an audit header holds at most 1048576 bytes of JSON, got"):
        audit.AuditWriter(path, meta={"a": "x" * 2**20})


def test_the_header_is_canonical_json(path: Path) -> None:
    audit.AuditWriter(path, meta={"z": 1, "a": 2}).close()
    text = Forgery.of(path.read_bytes()).header[16:-4].decode()
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))


def test_synchronous_files_are_the_same_files(tmp_path: Path) -> None:
    for name, sync in (("a", False), ("b", True)):
        with audit.AuditWriter(tmp_path / name, sync=sync) as writer:
            writer.append(99, b"x", id=1)
            writer.flush()
            writer.append(99, b"y", id=2)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_block_is_sealed_early_when_it_grows_large(path: Path) -> None:
    with audit.AuditWriter(path) as writer:
        for _ in range(8):
            writer.append(99, bytes(300_000))
    assert [len(block.records) for block in Forgery.of(path.read_bytes()).blocks] == [4, 4]
    assert audit.verify(path).ok
    assert [len(record.payload) for record in audit.read(path).records()] == [300_000] * 8


def test_a_record_longer_than_the_readers_window(path: Path) -> None:
    with audit.AuditWriter(path) as writer:
        for id_, size in enumerate((3, 5_000_000, 400, 600, 1_048_532, 1_048_533, 7), 1):
            writer.append(99, bytes([id_]) * size, id=id_)
    assert audit.verify(path).records == 7
    with audit.read(path) as file:
        for record in file.records():
            assert record.payload == file[record.sequence].payload == bytes([record.id]) * len(record.payload)
        assert [len(r.payload) for r in file.records()] == [3, 5_000_000, 400, 600, 1_048_532, 1_048_533, 7]


def test_a_file_that_grows_shorter_while_it_is_read_is_no_crash(path: Path) -> None:
    with audit.AuditWriter(path) as writer:
        for id_ in range(1, 101):
            writer.append(99, bytes(1000), id=id_)
    with audit.read(path) as file:
        with path.open("r+b") as other:
            other.truncate(50_000)
        with pytest.raises(AuditError, match=r"record 99 of .* changed while it was read"):
            file.record(100)
        with pytest.raises(AuditError, match="changed while it was read"):
            list(file.records())


def test_a_byte_that_changes_after_opening_is_found(path: Path) -> None:
    with audit.AuditWriter(path) as writer:
        writer.append(99, b"payload", id=1)
    with audit.read(path) as file:
        data = path.read_bytes()
        path.write_bytes(data.replace(b"payload", b"Payload"))
        with pytest.raises(AuditError, match=r"record 0 of .* changed while it was read"):
            file.record(1)


def test_a_long_walk_can_be_interrupted(path: Path) -> None:
    class Alarm(Exception):
        pass

    def ring(*_: object) -> None:
        raise Alarm

    with audit.AuditWriter(path) as writer:
        core.drive(writer._sink, 200_000, 100)
    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.002)
        with pytest.raises(Alarm):
            audit.verify(path)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_an_id_that_is_not_there(path: Path) -> None:
    with audit.AuditWriter(path) as writer:
        writer.append(99, b"", id=3)
        writer.append(Bar, BARS, id=7, count=3)
    with audit.read(path) as file:
        for id_ in (0, 1, 4, 6, 10, 2**64, -1):
            with pytest.raises(ConfigError, match=f"has the id {id_}; ids run from 3 to 9"):
                file.record(id_)
        assert [file.record(id_).row for id_ in (7, 8, 9)] == [0, 1, 2]
        with pytest.raises(IndexError, match="record 3 of 3"):
            file[3]
        with pytest.raises(ConfigError, match=r"no record type of .* is named 'Fill'; there are Bar, Command"):
            list(file.records(type="Fill"))
        with pytest.raises(ConfigError, match="record 2 has rows 0 to 2, got 3"):
            file[2].row_fields(3)
        with pytest.raises(ConfigError, match="only records of Record types have a table, record 0 is a type 99"):
            file[0].table()
    audit.AuditWriter(path, overwrite=True).close()
    with pytest.raises(ConfigError, match="ids run from 1 on, but it holds no message"):
        audit.read(path).record(1)


def test_ids_may_come_in_any_order(path: Path) -> None:
    with audit.AuditWriter(path) as writer:
        for id_, count in ((50, 5), (10, 3), (30, 1), (13, 1)):
            writer.append(99, bytes([id_]), id=id_, count=count)
    with audit.read(path) as file:
        assert [file.record(id_).sequence for id_ in (50, 54, 10, 11, 13, 30)] == [0, 0, 1, 1, 3, 2]


@pytest.mark.parametrize("twice", [1, 4, 10])
def test_an_id_that_two_records_have_is_found(path: Path, twice: int) -> None:
    with audit.AuditWriter(path) as writer:
        for id_, count in ((1, 10), (20, 1), (twice, 1)):
            writer.append(99, b"", id=id_, count=count)
    with (
        audit.read(path) as file,
        pytest.raises(AuditError, match=rf"two records of .* have the id {twice}; record 2 is"),
    ):
        file.record(20)


def test_the_capsule_keeps_the_writer_alive(path: Path) -> None:
    writer = audit.AuditWriter(path)
    sink = writer._sink
    assert "fastmas.RecordSink" in repr(sink)
    del writer
    with pytest.raises(AuditError, match="no trailer"):
        audit.verify(path)
    del sink


def test_records_of_an_unclosed_block_can_be_read(path: Path) -> None:
    class Probe(Record):
        a: u32

    with pytest.raises(KeyError), audit.AuditWriter(path) as writer:
        writer.append(Probe, bytes(Probe(7)), id=1)
        raise KeyError
    data = path.read_bytes()
    path.write_bytes(data[: -132 - 3])  # as a crash in the middle of a write leaves it: no footer, half a record
    with audit.read(path) as file:
        assert (file.closed, file.sealed_records, len(file), file.blocks) == (False, 0, 1, 0)
        assert "the file ends inside a record" in file.tail
    path.write_bytes(data[:-132])
    with audit.read(path) as file:
        assert (file.closed, file.sealed_records, len(file)) == (False, 0, 2)
        assert file.record(1).fields == {"a": 7} and file.record(1).block == 0
        with pytest.raises(AuditError, match="is in no sealed block"):
            audit.inclusion_proof(file, 1)
