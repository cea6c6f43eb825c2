"""Rings against what nobody should do to them: damaged files, full file systems, views that change shape, deaths that
only a caller who drops or borrows could meet, an interpreter that ends in the middle of a call."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from ring_processes import files_of, new_name

from fastmas.ring import SpscRing

SOON_S = 10.0  # for what must be told within a second


@pytest.fixture
def name() -> Iterator[str]:
    name = new_name()
    yield name
    gc.collect()
    assert files_of(name) == []


def in_a_child(body: Callable[[], None]) -> None:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            body()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0


# ---- damage


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
