"""Whatever is done to an audit file is detected and located, also by who recomputes checksums."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from audit_forge import (
    FOOTER,
    TRAILER,
    Block,
    Forgery,
    crc32c,
    record_bytes,
    sealed,
    sha256,
    with_payload_byte_flipped,
)

from fastmas import audit
from fastmas.errors import AuditError, ConfigError, StorageError

BLOCKS, PER_BLOCK = 4, 5


def write(path: Path, blocks: int = BLOCKS, per_block: int = PER_BLOCK) -> bytes:
    with audit.AuditWriter(path, seed=7, meta={"of": "test"}) as writer:
        for block in range(blocks):
            for k in range(per_block):
                id_ = 10 * block + k + 1
                causes = range(max(1, id_ - k), id_)
                writer.append(99, f"record {block}/{k}".encode(), id=id_, ts_ns=1000 * id_, causes=causes)
            writer.flush()
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.audit"


@pytest.fixture
def data(path: Path) -> bytes:
    return write(path)


def damage_of(path: Path, data: bytes, head: bytes | None = None) -> AuditError:
    path.write_bytes(data)
    with pytest.raises(AuditError) as caught:
        audit.verify(path, head)
    return caught.value


def test_a_whole_file_verifies(path: Path, data: bytes) -> None:
    found = audit.verify(path)
    assert (found.ok, found.closed, found.records, found.blocks) == (True, True, BLOCKS * PER_BLOCK, BLOCKS)
    assert found.verified_bytes == found.file_bytes == len(data)
    assert audit.verify(path, found.head) == audit.verify(path, found.head.hex()) == found
    assert str(found) == f"whole: 20 records in 4 blocks, head {found.head.hex()}"


def test_the_format_is_what_the_forge_writes(path: Path, data: bytes) -> None:
    forgery = Forgery.of(data)
    assert forgery.compose() == data
    assert Forgery(forgery.header, [Block(b.records) for b in forgery.blocks]).rebuild().compose() == data
    assert audit.verify(path).head == forgery.head


def regions_of(data: bytes) -> list[tuple[str, int | None, int | None]]:
    """For each byte: what part of the file it is in, and the block and record that it belongs to."""
    forgery = Forgery.of(data)
    regions: list[tuple[str, int | None, int | None]] = [("header", None, None)] * len(forgery.header)
    sequence = 0
    for number, block in enumerate(forgery.blocks):
        for record in block.records:
            regions += [("record", number, sequence)] * len(record)
            sequence += 1
        regions += [("footer", number, None)] * len(block.footer)
    return regions + [("trailer", None, None)] * len(forgery.trailer)


def test_every_flipped_byte_is_found_where_it_is(path: Path, data: bytes) -> None:
    file = path.open("r+b", buffering=0)
    for offset, (region, block, sequence) in enumerate(regions_of(data)):
        os.pwrite(file.fileno(), bytes([data[offset] ^ (0x01, 0x80, 0xFF, 0x10)[offset % 4]]), offset)
        with pytest.raises(AuditError) as caught:
            audit.verify(path)
        error = caught.value
        os.pwrite(file.fileno(), data[offset : offset + 1], offset)
        if region == "record":
            assert (error.block, error.record) == (block, sequence), (offset, error)
        elif region == "footer":
            assert error.block == block, (offset, error)
        assert error.offset is not None and (region == "header" or error.offset <= offset), (offset, error)
    file.close()
    assert audit.verify(path).ok


def test_every_cut_is_found(path: Path, data: bytes) -> None:
    sealed_ends, forgery = {}, Forgery.of(data)
    end = len(forgery.header)
    sealed_ends[end] = 0
    for number, block in enumerate(forgery.blocks):
        end += sum(map(len, block.records)) + len(block.footer)
        sealed_ends[end] = number + 1
    for size in reversed(range(len(data))):
        os.truncate(path, size)
        with pytest.raises(AuditError) as caught:
            audit.verify(path)
        error = caught.value
        if size < len(forgery.header):
            continue
        whole = max(blocks for end, blocks in sealed_ends.items() if end <= size)
        assert re.match(
            f"no trailer: .*; verified are {whole} blocks of {whole * PER_BLOCK} records; the file was cut", str(error)
        )
        assert error.block == whole
        found = audit.verify(path, allow_unclosed=True)
        assert (found.ok, found.closed, found.blocks, found.records) == (False, False, whole, whole * PER_BLOCK)
        assert found.file_bytes == size and found.verified_bytes in sealed_ends
        assert str(found).startswith("not closed: ")


@pytest.mark.parametrize("extra", [b"\0", b"x" * 44, b"FMEN"])
def test_appended_bytes_are_found(path: Path, data: bytes, extra: bytes) -> None:
    assert f"{len(extra)} bytes were appended after the trailer (byte {len(data)})" in str(
        damage_of(path, data + extra)
    )


def test_an_appended_record_or_block_or_trailer_is_found(path: Path, data: bytes) -> None:
    forgery = Forgery.of(data)
    for extra in (
        record_bytes(20, b"late"),
        b"".join(forgery.blocks[0].records) + forgery.blocks[0].footer,
        forgery.trailer,
    ):
        assert "appended after the trailer" in str(damage_of(path, data + extra))


def drop_record(f: Forgery) -> None:
    del f.blocks[1].records[2]


def swap_records(f: Forgery) -> None:
    records = f.blocks[1].records
    records[2], records[3] = records[3], records[2]


def repeat_record(f: Forgery) -> None:
    f.blocks[1].records.insert(2, f.blocks[1].records[1])


def add_record(f: Forgery) -> None:
    f.blocks[1].records.insert(2, record_bytes(7, b"added", id=9))


def alter_record(f: Forgery) -> None:
    f.blocks[1].records[2] = with_payload_byte_flipped(f.blocks[1].records[2])


def drop_block(f: Forgery) -> None:
    del f.blocks[1]


def drop_last_block(f: Forgery) -> None:
    del f.blocks[-1]


def swap_blocks(f: Forgery) -> None:
    f.blocks[1], f.blocks[2] = f.blocks[2], f.blocks[1]


def repeat_block(f: Forgery) -> None:
    f.blocks.insert(2, f.blocks[1].copy())


def drop_footer(f: Forgery) -> None:
    f.blocks[1].footer = b""


def repeat_footer(f: Forgery) -> None:
    f.blocks.insert(2, Block([], f.blocks[1].footer))


def empty_block(f: Forgery) -> None:
    f.blocks[1].records.clear()


ATTACKS: list[tuple[Callable[[Forgery], None], str, int, int | None]] = [
    (drop_record, r"block 1: record 7 is missing: record 8 stands in its place", 1, 7),
    (swap_records, r"block 1: record 7 is out of order: record 8 stands in its place and it comes later", 1, 7),
    (repeat_record, r"block 1: record 6 stands a second time, where record 7 belongs", 1, 7),
    (add_record, r"block 1: record 7 stands a second time, where record 8 belongs", 1, 8),
    (alter_record, r"block 1 \(records 5 to 9\): its Merkle root is wrong: a record was altered", 1, None),
    (drop_block, r"block 1 is missing: block 2 stands in its place", 1, None),
    (drop_last_block, r"blocks are missing .* counts 4 blocks of 20 records, found 3 of 15", 3, None),
    (swap_blocks, r"block 1 is out of order: block 2 stands in its place and it comes later", 1, None),
    (repeat_block, r"block 1 stands a second time, where block 2 belongs", 2, None),
    (drop_footer, r"the footer of block 1 is missing: the footer of block 2 stands in its place", 1, None),
    (repeat_footer, r"the footer of block 1 stands a second time, where block 2 belongs", 2, None),
    (empty_block, r"block 1 is empty: its records are missing", 1, None),
]


@pytest.mark.parametrize(
    ("attack", "text", "block", "record"), ATTACKS, ids=lambda value: getattr(value, "__name__", "")
)
def test_an_attack_is_located(
    path: Path, data: bytes, attack: Callable[[Forgery], None], text: str, block: int, record: int | None
) -> None:
    forgery = Forgery.of(data)
    attack(forgery)
    error = damage_of(path, forgery.compose())
    with pytest.raises(AuditError, match=text):
        raise error
    assert (error.block, error.record) == (block, record)


def test_a_block_repeated_at_the_end_is_found(path: Path, data: bytes) -> None:
    forgery = Forgery.of(data)
    forgery.blocks.append(forgery.blocks[-1].copy())
    assert "block 3 stands a second time, where block 4 belongs" in str(damage_of(path, forgery.compose()))


def test_a_record_repeated_at_the_end_of_a_block_is_found(path: Path, data: bytes) -> None:
    forgery = Forgery.of(data)
    forgery.blocks[3].records.append(forgery.blocks[3].records[-1])
    assert "record 19 stands a second time, where record 20 belongs" in str(damage_of(path, forgery.compose()))


RECORD_ATTACKS = [drop_record, swap_records, repeat_record, add_record, alter_record]
BLOCK_ATTACKS = [drop_block, swap_blocks, repeat_block]


@pytest.mark.parametrize("attack", RECORD_ATTACKS)
def test_records_renumbered_with_checksums_made_to_fit_are_caught_by_the_block(
    path: Path, data: bytes, attack: Callable[[Forgery], None]
) -> None:
    forgery = Forgery.of(data)
    footers = [block.footer for block in forgery.blocks]
    attack(forgery)
    forgery.rebuild(trailer=False)  # renumber everything
    for block, footer in zip(forgery.blocks, footers, strict=True):
        block.footer = footer
    error = damage_of(path, forgery.compose())
    assert error.block == 1
    assert "Merkle root is wrong" in str(error) or "a record is missing or was added" in str(error)


@pytest.mark.parametrize("attack", [swap_records, alter_record])
def test_a_block_with_a_footer_made_to_fit_is_caught_by_the_next(
    path: Path, data: bytes, attack: Callable[[Forgery], None]
) -> None:
    forgery = Forgery.of(data)
    attack(forgery)
    forgery.rebuild(1, 1, trailer=False)
    error = damage_of(path, forgery.compose())
    assert "it does not continue from block 1: one of the two was rewritten" in str(error)
    assert error.block == 2


def test_a_last_block_made_to_fit_is_caught_by_the_trailer(path: Path, data: bytes) -> None:
    forgery = Forgery.of(data)
    forgery.blocks[3].records[0] = with_payload_byte_flipped(forgery.blocks[3].records[0])
    forgery.rebuild(3, 3, trailer=False)
    error = damage_of(path, forgery.compose())
    assert "the trailer's head is not that of the last block" in str(error) and error.block == 3


@pytest.mark.parametrize("attack", RECORD_ATTACKS + BLOCK_ATTACKS + [drop_last_block])
def test_a_file_rewritten_throughout_is_caught_by_the_head(
    path: Path, data: bytes, attack: Callable[[Forgery], None]
) -> None:
    known = audit.verify(path).head
    forgery = Forgery.of(data)
    attack(forgery)
    forgery.rebuild()
    path.write_bytes(forgery.compose())
    assert audit.verify(path).head == forgery.head != known  # by itself it looks whole
    assert "its head is not the one you know" in str(damage_of(path, forgery.compose(), known))


def test_an_altered_header_with_its_checksum_made_to_fit_is_caught_by_the_first_block(path: Path, data: bytes) -> None:
    forgery = Forgery.of(data)
    forgery.header = Forgery.of(write(path.with_name("other"))).header.replace(b'"seed":7', b'"seed":8')
    body = forgery.header[:-4]
    forgery.header = body + crc32c(body).to_bytes(4, "little")
    error = damage_of(path, forgery.compose())
    assert "block 0 (records 0 to 4): it does not continue from the header" in str(error) and error.block == 0


def test_a_footer_that_contradicts_itself_is_found(path: Path, data: bytes) -> None:
    forgery = Forgery.of(data)
    parts = list(FOOTER.unpack(forgery.blocks[2].footer))
    for place, value, text in (
        (6, sha256(b"previous"), "the head does not follow from it"),
        (8, sha256(b"head"), "the head does not follow from it"),
        (7, sha256(b"root"), "its Merkle root is wrong"),
        (5, 4, "a record is missing or was added"),
        (4, 1, "a record is missing or was added"),
        (3, 9, "a record is missing or was added"),
    ):
        changed = [*parts[:place], value, *parts[place + 1 :]]
        forgery.blocks[2].footer = sealed(FOOTER.pack(*changed))
        error = damage_of(path, forgery.compose())
        assert text in str(error) and error.block == 2


def test_a_trailer_that_contradicts_the_file_is_found(path: Path, data: bytes) -> None:
    forgery = Forgery.of(data)
    parts = list(TRAILER.unpack(forgery.trailer))
    for place, value, text in (
        (2, 5, "the trailer counts 5 blocks of 20 records, found 4 of 20"),
        (3, 19, "the trailer counts 4 blocks of 19 records, found 4 of 20"),
        (4, 1, "the trailer speaks of 1 bytes"),
        (5, bytes(32), "the trailer's head is not that of the last block"),
    ):
        forgery.trailer = sealed(TRAILER.pack(*parts[:place], value, *parts[place + 1 :]))
        assert text in str(damage_of(path, forgery.compose()))


def test_a_cause_that_is_no_earlier_id_is_found(path: Path, data: bytes) -> None:
    forgery = Forgery.of(data)
    forgery.blocks[1].records[2] = record_bytes(7, b"", id=13, causes=(13,))
    error = damage_of(path, forgery.rebuild().compose())
    assert "block 1, record 7 names the cause 13, which is no earlier id" in str(error)
    assert (error.block, error.record) == (1, 7)


def test_more_than_a_block_of_records_is_found(path: Path) -> None:
    with audit.AuditWriter(path) as writer:
        for _ in range(4097):
            writer.append(99, b"")
    forgery = Forgery.of(path.read_bytes())
    assert [len(block.records) for block in forgery.blocks] == [4096, 1]
    forgery.blocks = [Block(forgery.blocks[0].records + forgery.blocks[1].records, forgery.blocks[0].footer)]
    error = damage_of(path, forgery.compose())
    assert "its footer is missing: a block holds at most 4096 records" in str(error) and error.block == 0


def test_a_file_without_blocks_is_bound_to_its_header(path: Path) -> None:
    audit.AuditWriter(path, seed=1).close()
    data = path.read_bytes()
    assert audit.verify(path).records == 0
    forgery = Forgery.of(data)
    other = path.with_name("other")
    audit.AuditWriter(other, seed=2).close()
    forgery.header = Forgery.of(other.read_bytes()).header
    assert "the last block, the header or the trailer was rewritten" in str(damage_of(path, forgery.compose()))


@pytest.mark.parametrize("offset", [0, 8, 12, 20])
def test_a_damaged_header_says_so(path: Path, data: bytes, offset: int) -> None:
    altered = bytearray(data)
    altered[offset] ^= 0x40
    assert "header" in str(damage_of(path, bytes(altered)))


def test_another_version_is_named(path: Path, data: bytes) -> None:
    body = data[:8] + (2).to_bytes(4, "little") + data[12 : len(Forgery.of(data).header) - 4]
    error = damage_of(path, body + crc32c(body).to_bytes(4, "little"))
    assert "this is audit format version 2; only version 1 can be read" in str(error)


def test_a_run_that_raised_leaves_a_file_that_says_so(path: Path) -> None:
    with pytest.raises(RuntimeError, match="broke"), audit.AuditWriter(path) as writer:
        writer.append(99, b"one")
        raise RuntimeError("broke")
    with pytest.raises(AuditError, match=r"no trailer: the file ends here .* or its writer did not finish"):
        audit.verify(path)
    found = audit.verify(path, writer.head, allow_unclosed=True)
    assert (found.ok, found.records, found.head) == (False, 1, writer.head)
    with pytest.raises(AuditError, match="its head is not the one you know"):
        audit.verify(path, bytes(32), allow_unclosed=True)


def test_damage_in_the_middle_is_no_torn_end(path: Path, data: bytes) -> None:
    forgery = Forgery.of(data)
    unclosed = bytearray(data[: -len(forgery.trailer)])
    unclosed[len(forgery.header) + 20] ^= 1  # in the first record; sealed blocks follow
    path.write_bytes(bytes(unclosed))
    with pytest.raises(AuditError, match="block 0, record 0: the record's checksum is wrong"):
        audit.verify(path, allow_unclosed=True)
    with pytest.raises(AuditError, match="block 0, record 0: the record's checksum is wrong"):
        audit.read(path)


def test_a_length_that_points_past_the_end_is_no_torn_end(path: Path, data: bytes) -> None:
    altered = bytearray(data)
    altered[len(Forgery.of(data).header) + 2] ^= 0x10  # a million bytes longer
    path.write_bytes(bytes(altered))
    with pytest.raises(AuditError, match="block 0, record 0: the file ends inside a record"):
        audit.verify(path, allow_unclosed=True)


KILLED = """
import os, signal, sys
from fastmas import audit
writer = audit.AuditWriter(sys.argv[1])
for k in range(10_000):
    writer.append(99, k.to_bytes(8, "little"), id=k + 1)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_loses_at_most_the_block_under_construction(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, path], env=os.environ, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    found = audit.verify(path, allow_unclosed=True)
    assert (found.ok, found.records, found.blocks) == (False, 8192, 2)
    with audit.read(path) as file:
        assert not file.closed and len(file) == 8192
        assert file.record(8192).payload == (8191).to_bytes(8, "little")


@pytest.mark.parametrize("head", [b"short", "zz", "ab", 7, b"x" * 33])
def test_a_head_that_is_none_is_refused(path: Path, data: bytes, head: object) -> None:
    with pytest.raises(ConfigError, match="a head is 32 bytes or 64 hex digits, got"):
        audit.verify(path, head)  # type: ignore[arg-type]


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot open the audit file"):
        audit.verify(tmp_path / "nowhere")
    with pytest.raises(StorageError, match="an audit is a regular file"):
        audit.verify(tmp_path)
    (tmp_path / "empty").touch()
    with pytest.raises(AuditError, match="not an audit file"):
        audit.verify(tmp_path / "empty")
