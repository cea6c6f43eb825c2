"""How much does it cost to record a message, and what of it is the hash and what the disk?

Small records (one cause, 32 bytes of payload) go through the sink as an emitter written in C++ calls it. The floors, in
the same run: the same bytes through one `write()` a block, and the same bytes through SHA-256, which any hash chain
over them must pay (`hashlib`, in large pieces: the least it can be).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastmas import audit
from fastmas._core import audit as core

RECORDS = 200_000
PAYLOAD = 32
RECORD_BYTES = 44 + 8 + PAYLOAD
BLOCK = 4096


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory where there is one: the format is measured, not the disk."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() and os.access(shared, os.W_OK) else None) as name:
        yield Path(name)


def recorded(benchmark: Any, *, rival: bool = False) -> None:
    benchmark.extra_info.update(items=RECORDS, item="record", **({"rival": True} if rival else {}))


@pytest.mark.benchmark(group="audit append")
def bench_append_through_the_sink(benchmark: Any, folder: Path) -> None:
    recorded(benchmark)

    def setup() -> tuple[tuple[audit.AuditWriter], dict[str, object]]:
        return (audit.AuditWriter(folder / "sink.audit", overwrite=True),), {}

    def run(writer: audit.AuditWriter) -> None:
        core.drive(writer._sink, RECORDS, PAYLOAD)
        writer.close()

    benchmark.pedantic(run, setup=setup, rounds=15, warmup_rounds=2)
    assert audit.verify(folder / "sink.audit").records == RECORDS


@pytest.mark.benchmark(group="audit append")
def bench_write_the_same_bytes(benchmark: Any, folder: Path) -> None:
    recorded(benchmark, rival=True)
    piece = os.urandom(RECORD_BYTES * BLOCK)

    def run() -> None:
        with open(folder / "raw", "wb", buffering=0) as file:
            for _ in range(RECORDS // BLOCK + 1):
                file.write(piece)

    benchmark.pedantic(run, rounds=15, warmup_rounds=2)


@pytest.mark.benchmark(group="audit append")
def bench_sha256_of_the_same_bytes(benchmark: Any) -> None:
    recorded(benchmark, rival=True)
    piece = os.urandom(RECORD_BYTES * BLOCK)

    def run() -> None:
        digest = hashlib.sha256()
        for _ in range(RECORDS // BLOCK + 1):
            digest.update(piece)

    benchmark.pedantic(run, rounds=15, warmup_rounds=2)


@pytest.mark.benchmark(group="audit append")
def bench_sha256_of_each_record(benchmark: Any) -> None:
    """The least that RFC 9162 leaf hashes cost from Python: a digest a record, without tree, checksum or file."""
    recorded(benchmark, rival=True)
    record = os.urandom(RECORD_BYTES + 1)

    def run() -> None:
        sha256 = hashlib.sha256
        for _ in range(RECORDS):
            sha256(record).digest()

    benchmark.pedantic(run, rounds=10, warmup_rounds=1)


@pytest.fixture
def written(folder: Path) -> Path:
    path = folder / "run.audit"
    with audit.AuditWriter(path) as writer:
        core.drive(writer._sink, RECORDS, PAYLOAD)
    return path


@pytest.mark.benchmark(group="audit verify")
def bench_verify(benchmark: Any, written: Path) -> None:
    recorded(benchmark)
    benchmark.pedantic(audit.verify, (written,), rounds=15, warmup_rounds=2)


@pytest.mark.benchmark(group="audit read")
def bench_open_for_reading(benchmark: Any, written: Path) -> None:
    recorded(benchmark)
    benchmark.pedantic(lambda: audit.read(written).close(), rounds=15, warmup_rounds=2)


@pytest.mark.benchmark(group="audit read")
def bench_explain(benchmark: Any, written: Path) -> None:
    """From the path: opening, indexing and tracing one message."""
    recorded(benchmark)
    benchmark.pedantic(audit.explain, (written, RECORDS), rounds=10, warmup_rounds=1)
