"""Whatever bytes come in, a value or an AuditError comes out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from audit_forge import Block, Forgery, header_bytes, record_bytes
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastmas import audit
from fastmas.audit.schema import Schema
from fastmas.errors import AuditError
from fastmas.messages import Bar, Intent, Observation

MANY = settings(max_examples=150, deadline=None, derandomize=True)


def whole_file(path: Path) -> bytes:
    with audit.AuditWriter(path, overwrite=True) as writer:
        writer.append(Bar, bytes(Bar(ts_ns=1, instrument=2)), id=1)
        writer.append(Observation, Observation(2, 1, {"mid": 1.0}).to_bytes(), id=2, causes=(1,))
        writer.append(Intent, Intent(1, {2: 3}).to_bytes(), id=3, causes=(2,))
        writer.append_command(1, 1, bytes(32), b"c", id=4, causes=(3,))
        writer.note({"a": [1, 2]})
    return path.read_bytes()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "run.audit"


def read_everything(path: Path) -> None:
    """Use all that reads a file; only an AuditError may come of it."""
    for attempt in (audit.verify, lambda p: audit.verify(p, allow_unclosed=True)):
        try:
            attempt(path)
        except AuditError as error:
            assert str(error)
    try:
        file = audit.read(path)
    except AuditError:
        return
    with file:
        for record in file.records():
            for use in (lambda r: r.fields, lambda r: r.table() if r.schema else None):
                try:
                    use(record)
                except AuditError as error:
                    assert str(error)
            try:
                if record.id and file.place_of(record.id) is not None:
                    assert audit.explain(file, record.id).text
                    audit.check_inclusion(audit.inclusion_proof(file, record.id), file.head)
            except AuditError as error:
                assert str(error)


@MANY
@given(st.data())
def test_edited_files(path: Path, data: st.DataObject) -> None:
    raw = bytearray(whole_file(path))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        what = data.draw(st.sampled_from(["set", "cut", "drop", "insert"]))
        if what == "set":
            raw[at] = data.draw(st.integers(0, 255))
        elif what == "cut":
            del raw[at:]
        elif what == "drop":
            del raw[at : at + data.draw(st.integers(1, 50))]
        else:
            raw[at:at] = data.draw(st.binary(max_size=60))
        if not raw:
            break
    path.write_bytes(bytes(raw))
    read_everything(path)


@MANY
@given(st.binary(max_size=300))
def test_any_bytes_as_a_file(path: Path, raw: bytes) -> None:
    for prefix in (b"", b"FMAUDIT1", header_bytes(b"{}")):
        path.write_bytes(prefix + raw)
        read_everything(path)


fields = st.lists(
    st.tuples(
        st.text(max_size=5),
        st.sampled_from(
            ["<i8", "<f8", "|i1", "|b1", "S3", "(2,)<u4", "O", "<M8[ns]", "(0,)<i8", "|V8", "<i8, <i8", ""]
        ),
        st.integers(-1, 70),
    ),
    max_size=4,
)
schema_texts = st.one_of(
    st.text(max_size=60),
    st.builds(
        lambda fields, size: json.dumps({"name": "X", "size": size, "fields": fields}),
        fields,
        st.one_of(st.integers(-1, 80), st.just(2**70), st.none()),
    ),
)


@MANY
@given(schema_texts, st.binary(max_size=80), st.integers(1, 3))
@example('{"name":"X","size":8,"fields":[["a","<i8",0],["a","<i8",0]]}', bytes(8), 1)
@example('{"name":"X","size":8,"fields":[["a","<i8",1]]}', bytes(8), 1)
@example('{"name":"X","size":1e300,"fields":[["a","<i8",1]]}', bytes(8), 1)
@example('{"name":"X","size":1048576,"fields":[["a","(9999999,)S9999999",0]]}', bytes(8), 1)
@example("[" * 100_000, b"", 1)
@example('"\ud800"', b"", 1)
def test_any_schema_and_rows(path: Path, text: str, rows: bytes, count: int) -> None:
    payload = json.dumps({"name": "X", "schema": text, "sha256": digest_of(text), "type": 16, "version": 1}).encode()
    records = [record_bytes(0, payload, type=1), record_bytes(1, rows, id=1, type=16, count=count)]
    path.write_bytes(Forgery(header_bytes(b"{}"), [Block(records)]).rebuild().compose())
    read_everything(path)


def digest_of(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@MANY
@given(st.integers(0, 7), st.binary(max_size=120), st.integers(1, 2**32 - 1))
@example(1, b"[" * 100_000, 1)
@example(6, b'{"a":' * 100_000, 1)
@example(6, b'{"a":1e999,"b":-0,"c":123456789012345678901234567890}', 2)
@example(1, json.dumps({"name": "X", "schema": "{}", "sha256": "0" * 64, "type": 16, "version": 1}).encode(), 1)
def test_any_payload_of_a_fixed_type(path: Path, type_: int, payload: bytes, count: int) -> None:
    records = [record_bytes(0, payload, id=1, type=type_, count=count)]
    path.write_bytes(Forgery(header_bytes(b"{}"), [Block(records)]).rebuild().compose())
    read_everything(path)


@MANY
@given(st.one_of(st.binary(max_size=80), st.just(b"[]"), st.just(b'{"meta":NaN}')))
@example(b"{" * 100_000)
def test_any_header(path: Path, text: bytes) -> None:
    path.write_bytes(Forgery(header_bytes(text)).rebuild().compose())
    read_everything(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["record", "leaf", "count", "path", "block", "previous", "later"]), inner, max_size=7
        )
    ),
    max_leaves=20,
)


@MANY
@given(st.one_of(st.text(max_size=50), json_values.map(json.dumps)))
@example("[" * 100_000)
@example(
    json.dumps(
        {"record": "00" * 44, "leaf": 0, "count": 1, "path": [], "block": 2**64, "previous": "00" * 32, "later": []}
    )
)
@example(
    json.dumps(
        {"record": "00" * 44, "leaf": True, "count": 1, "path": [], "block": 0, "previous": "00" * 32, "later": []}
    )
)
@example(
    json.dumps(
        {"record": "00" * 44, "leaf": 0, "count": 1, "path": [], "block": 0, "previous": "00", "later": [[1, "00"]]}
    )
)
def test_any_text_as_a_proof(text: str) -> None:
    with pytest.raises(AuditError, match="proof"):
        audit.check_inclusion(audit.InclusionProof.from_json(text), bytes(32))


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"type": 3}, "a schema has a type from 16 on and version 1, got 3 and 1"),
        ({"version": 2}, "got 16 and 2"),
        ({"sha256": "0" * 64}, "the schema of 'X' does not match its SHA-256"),
        ({"name": 5}, "a schema record holds name, schema, sha256, type, version, got"),
        ({"more": 1}, "a schema record holds name, schema, sha256, type, version, got"),
    ],
)
def test_a_schema_that_breaks_a_rule(changed: dict[str, object], text: str) -> None:
    value = json.loads(Schema(16, "X", "{}").to_bytes()) | changed
    with pytest.raises(AuditError, match=text):
        Schema.from_bytes(json.dumps(value).encode())


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{}", "has no size or no fields"),
        ('{"size":8,"fields":[1]}', r"has a field that is not \[name, format, offset\]: 1"),
        ('{"size":8,"fields":[[1,2,3]]}', r"has a field that is not \[name, format, offset\]: \[1, 2, 3\]"),
        ('{"size":8,"fields":[["a","O",0]]}', "has the field 'a' of unknown format 'O' at 0"),
        ('{"size":8,"fields":[["a","<i8",8]]}', "has the field 'a' of unknown format '<i8' at 8"),
        ('{"size":8,"fields":[["a","<i8",1]]}', "is no layout"),
        ('{"size":8,"fields":[["a","<i4",0],["a","<i4",4]]}', "is no layout"),
    ],
)
def test_a_layout_that_is_none(text: str, error: str) -> None:
    with pytest.raises(AuditError, match=error):
        _ = Schema(16, "X", text).dtype


def test_two_schemas_of_one_type_are_refused(path: Path) -> None:
    records = [record_bytes(k, Schema(16, name, "{}").to_bytes(), type=1) for k, name in enumerate("XY")]
    path.write_bytes(Forgery(header_bytes(b"{}"), [Block(records)]).rebuild().compose())
    assert audit.verify(path).ok
    with pytest.raises(AuditError, match="type 16 has two schemas: 'X' and 'Y'"):
        audit.read(path)
