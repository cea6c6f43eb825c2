"""Every memory order of the core and its bindings says what it pairs with, docs/memory-order.md says which test needs
it, and a planted bug weakens it."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "docs" / "memory-order.md"
ORDER = re.compile(r"memory_order_(\w+)")
LABEL = re.compile(r"\[([A-Z]\d+) (relaxed|acquire|release|acq_rel|seq_cst)\]")
CALL = re.compile(r"\.(load|store|exchange|fetch_\w+|compare_exchange_\w+)\(")
RELEASES = {"release", "acq_rel"}
ACQUIRES = {"acquire", "acq_rel"}


@dataclass(frozen=True)
class Use:
    """A memory order in the code, and the comment that belongs to its statement."""

    where: str
    order: str
    comment: str


def statement_comment(lines: list[str], index: int) -> str:
    """The comment on the line, or above the statement that the line is part of."""
    texts = [lines[index].partition("//")[2]]
    above = index - 1
    # Up over the rest of the statement: lines of code that do not end one.
    while above >= 0 and (code := lines[above].partition("//")[0].strip()) and not code.endswith((";", "{", "}", ":")):
        texts.append(lines[above].partition("//")[2])
        above -= 1
    while above >= 0 and lines[above].strip().startswith("//"):
        texts.append(lines[above].partition("//")[2])
        above -= 1
    return " ".join(text.strip() for text in reversed(texts))


def uses_in(source: str, name: str) -> list[Use]:
    lines = source.splitlines()
    return [
        Use(f"{name}:{number}", order, statement_comment(lines, number - 1))
        for number, line in enumerate(lines, 1)
        for order in ORDER.findall(line.partition("//")[0])
    ]


def ends_in(uses: list[Use]) -> set[tuple[str, str]]:
    """The labels that stand at their own order."""
    return {(label, order) for use in uses for label, order in LABEL.findall(use.comment) if order == use.order}


def violations(source: str, name: str = "ring.hpp", others: Set[tuple[str, str]] = frozenset()) -> list[str]:
    """What is wrong with the memory orders of one file; `others` are the ends that stand in other files."""
    found = []
    uses = uses_in(source, name)
    labels = ends_in(uses) | others
    for use in uses:
        mine = [match for match in LABEL.finditer(use.comment) if match.group(2) == use.order]
        if use.order == "seq_cst":
            found.append(f"{use.where}: seq_cst hides which orders are needed; say them")
        if not mine:
            found.append(f"{use.where}: {use.order} has no label [X1 {use.order}] in the comment of its statement")
            continue
        label, rest = mine[0].group(1), use.comment[mine[0].end() :]
        if use.order == "relaxed":
            if len(rest.split()) < 4:
                found.append(f"{use.where}: [{label} relaxed] gives no reason")
            continue
        if use.order == "acq_rel" and "pairs with itself" in rest:  # a read-modify-write that meets its like
            continue
        if f"[{label} " not in rest or "pairs with" not in rest:
            found.append(f"{use.where}: [{label} {use.order}] does not say what it pairs with")
        ends = {order for other, order in labels if other == label}
        if use.order in RELEASES and not ends & ACQUIRES:
            found.append(f"{use.where}: [{label} {use.order}] has no acquiring end")
        if use.order in ACQUIRES and not ends & RELEASES:
            found.append(f"{use.where}: [{label} {use.order}] has no releasing end")
    code = "\n".join(line.partition("//")[0] for line in source.splitlines())
    if "std::atomic" in code or "Atom<" in code or uses:
        for call in CALL.finditer(code):
            if "memory_order" not in code[call.end() : code.find(";", call.end())]:
                number = code.count("\n", 0, call.start()) + 1
                found.append(f"{name}:{number}: {call.group(1)}() without a memory order is seq_cst in disguise")
    return found


SOURCES = sorted(
    path
    for folder in ("cpp", "bindings")
    for path in (ROOT / folder).rglob("*.[ch]pp")
    if re.search(r"memory_order|std::atomic", path.read_text(encoding="utf-8"))
)


ENDS = {end for path in SOURCES for end in ends_in(uses_in(path.read_text(encoding="utf-8"), path.name))}


def test_the_rings_are_among_the_sources() -> None:
    assert {"spsc_ring.hpp", "broadcast_ring.hpp", "ring_end.hpp"} <= {path.name for path in SOURCES}
    assert sum(len(uses_in(path.read_text(encoding="utf-8"), path.name)) for path in SOURCES) >= 20


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_memory_orders_are_labelled(path: Path) -> None:
    assert violations(path.read_text(encoding="utf-8"), path.name, ENDS) == []


def table_rows() -> dict[str, list[str]]:
    rows = [line.strip("| ").split(" | ") for line in TABLE.read_text(encoding="utf-8").splitlines()]
    return {row[0]: row for row in rows if re.fullmatch(r"[A-Z]\d+", row[0])}


def test_the_table_lists_every_label_and_no_other() -> None:
    assert set(table_rows()) == {label for label, _ in ENDS}


def test_a_label_belongs_to_one_folder() -> None:
    folders: dict[str, set[str]] = defaultdict(set)
    for path in SOURCES:
        for label, _ in ends_in(uses_in(path.read_text(encoding="utf-8"), path.name)):
            folders[label].add(path.parent.relative_to(ROOT).as_posix())
    assert {label: places for label, places in folders.items() if len(places) > 1} == {}


def test_the_tests_that_the_table_names_exist() -> None:
    named = 0
    for label, row in table_rows().items():
        for file, test in re.findall(r"`(\w+)`: `(\w+)`", row[-1]):
            source = ROOT / "tests" / "cpp" / f"{file}.cpp"
            assert source.is_file(), f"{label} names tests/cpp/{file}.cpp"
            assert f"TEST({test})" in source.read_text(encoding="utf-8"), f"{label} names the test {test}"
            named += 1
    assert named >= 10


# Halves that keep a load from reading a store that comes after it, which no machine does, nor the model: docs.
NOT_SHOWN = {
    ("cpp/ringbuffer/wake_point.hpp", "flag_.exchange(1, std::memory_order_acq_rel);", "release"),
    ("cpp/ringbuffer/wake_point.hpp", "if (flag_.exchange(0, std::memory_order_acq_rel) == 0) [[likely]]", "acquire"),
}


def weakened_by(bug: dict[str, str], source: str) -> Iterator[tuple[int, str]]:
    """Where in the source the bug puts another memory order, and which."""
    begin = source.find(bug["find"])
    there = list(ORDER.finditer(bug["find"]))
    instead = ORDER.findall(bug["replace"])
    if begin >= 0 and len(there) == len(instead):
        for old, new in zip(there, instead, strict=True):
            if old.group(1) != new:
                yield begin + old.start(), new


def unplanted(source: str, bugs: list[dict[str, str]], exempt: Set[str] = frozenset()) -> list[tuple[str, str]]:
    """The statements and the halves of their orders that no bug takes away, but for labels that are exempt."""
    instead: dict[int, set[str]] = defaultdict(set)
    for bug in bugs:
        for position, order in weakened_by(bug, source):
            instead[position].add(order)
    found = []
    lines = source.splitlines(keepends=True)
    begin = 0
    for number, line in enumerate(lines, 1):
        for match in ORDER.finditer(line.partition("//")[0]):
            order = match.group(1)
            labels = {label for label, other in LABEL.findall(statement_comment(lines, number - 1)) if other == order}
            for half, orders in (("acquire", ACQUIRES), ("release", RELEASES)):
                if order in orders and not labels & exempt and not instead[begin + match.start()] - orders:
                    found.append((line.strip(), half))
        begin += len(line)
    return found


def test_every_order_is_weakened_by_a_planted_bug() -> None:
    bugs = defaultdict(list)
    for path in (ROOT / "tests" / "mutation").glob("*.toml"):
        for bug in tomllib.loads(path.read_text(encoding="utf-8"))["bug"]:
            bugs[bug["file"]].append(bug)
    exempt = {label for label, row in table_rows().items() if row[-1].startswith("nothing")}
    assert {"S1", "B2", "W1"}.isdisjoint(exempt)
    left_out = {
        (name, *found)
        for path in SOURCES
        for name in [path.relative_to(ROOT).as_posix()]
        for found in unplanted(path.read_text(encoding="utf-8"), bugs[name], exempt)
    }
    assert left_out == NOT_SHOWN


def test_what_counts_as_planted() -> None:
    source = "// [W1 acq_rel] pairs with itself\nflag.exchange(1, std::memory_order_acq_rel);\n"
    line = "flag.exchange(1, std::memory_order_acq_rel);"
    both = [(line, "acquire"), (line, "release")]
    assert unplanted(source, []) == both
    bug = {"find": "memory_order_acq_rel", "replace": "memory_order_release"}
    assert unplanted(source, [bug]) == both[1:]
    assert unplanted(source, [bug, bug | {"replace": "memory_order_acquire"}]) == []
    assert unplanted(source, [bug | {"replace": "memory_order_relaxed"}]) == []
    assert unplanted(source, [bug | {"find": "fetch_add(memory_order_acq_rel"}]) == both
    assert unplanted(source, [], {"W1"}) == []


GOOD = """
    // [S1 release] pairs with [S1 acquire] in pop(): who sees the index sees the record.
    tail_.store(next, std::memory_order_release);
    // [S1 acquire] pairs with [S1 release] in push(): the record is written.
    seen = tail_.load(
        std::memory_order_acquire);
    return head_.load(std::memory_order_relaxed);  // [S2 relaxed] only this thread writes it
"""


def test_what_the_lint_lets_pass_and_what_not() -> None:
    assert violations(GOOD) == []

    def broken(old: str, new: str) -> str:
        assert GOOD.count(old) == 1
        (only,) = violations(GOOD.replace(old, new))
        return only

    assert broken("[S2 relaxed] only this thread writes it", "") == (
        "ring.hpp:7: relaxed has no label [X1 relaxed] in the comment of its statement"
    )
    assert "gives no reason" in broken("only this thread writes it", "fine")
    assert "does not say what it pairs with" in broken("pairs with [S1 acquire] in pop()", "for pop()")
    weak = violations(GOOD.replace("next, std::memory_order_release", "next, std::memory_order_relaxed"))
    assert [text.partition(": ")[2] for text in weak] == [
        "relaxed has no label [X1 relaxed] in the comment of its statement",
        "[S1 acquire] has no releasing end",
    ]
    silent = violations(GOOD.replace("std::memory_order_acquire", ""))
    assert silent[-1] == "ring.hpp:5: load() without a memory order is seq_cst in disguise"
    assert any("seq_cst hides" in text for text in violations(GOOD.replace("order_relaxed", "order_seq_cst")))
    one_end = "\n".join(GOOD.splitlines()[:3])
    assert violations(one_end) == ["ring.hpp:3: [S1 release] has no acquiring end"]
