"""What holds for every committed file: short, clean of left-overs, and of one version."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE_DIRS = ("cpp", "bindings", "python", "tests", "bench", "examples")
SOURCE_SUFFIXES = {".py", ".pyi", ".cpp", ".hpp", ""}
MAX_LINES = 500

# Spelt in halves, so that this file may be searched like every other.
LEFT_OVERS = ["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]
PRIVATE_PATHS = [
    "/wo" + "rk/", "/tmp" + "/w/", "/ro" + "ot/", "/opt/" + "wheels", "/opt/" + "pypi", "/Us" + "ers/", "/ho" + "me/",
    ".py" + "env",
]  # fmt: skip


def committed() -> list[Path]:
    """Files that git tracks or would track; from an sdist, everything but build products."""
    listing = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=False,
    )
    if listing.returncode == 0:
        paths = [ROOT / name for name in os.fsdecode(listing.stdout).split("\0") if name]
    else:
        skipped = {"build", "dist", "__pycache__", ".git", ".venv", ".pytest_cache", ".hypothesis"}
        paths = [path for path in ROOT.rglob("*") if not skipped & set(path.relative_to(ROOT).parts)]
    return sorted(path for path in paths if path.is_file())


def text_of(path: Path) -> str | None:
    """The file's text, or None when it is not text."""
    data = path.read_bytes()
    if b"\0" in data[:4096] or path.suffix in (".gz", ".png", ".whl", ".so"):
        return None
    return data.decode("utf-8")


def left_overs(text: str) -> list[str]:
    return [word for word in LEFT_OVERS if re.search(rf"\b{word}\b", text)]


def private_paths(text: str) -> list[str]:
    return [path for path in PRIVATE_PATHS if path in text]


FILES = committed()


def test_there_is_something_to_check() -> None:
    assert len(FILES) > 20
    assert Path(__file__).resolve() in FILES


def test_source_files_are_short() -> None:
    long = []
    for path in FILES:
        relative = path.relative_to(ROOT)
        if relative.parts[0] in SOURCE_DIRS and path.suffix in SOURCE_SUFFIXES and (text := text_of(path)) is not None:
            lines = text.count("\n") + 1
            if lines > MAX_LINES:
                long.append(f"{relative} has {lines} lines; a file has one job and at most {MAX_LINES} lines: split it")
    assert not long, "\n".join(long)


def test_no_left_overs_and_no_private_paths() -> None:
    found = []
    for path in FILES:
        if (text := text_of(path)) is None:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if words := left_overs(line) + private_paths(line):
                found.append(f"{path.relative_to(ROOT)}:{number} has {', '.join(words)}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("word", LEFT_OVERS)
def test_the_search_finds_left_overs(word: str) -> None:
    assert left_overs(f"x = 1  # {word}: later") == [word]
    assert left_overs(f"x = 1  # PRE{word}S") == []


def test_the_search_finds_private_paths() -> None:
    for path in PRIVATE_PATHS:
        assert path in private_paths(f"see {path}main/file")
    assert private_paths("see ../data/file and https://example.org/a") == []


def test_folders_have_names_that_say_something() -> None:
    said_nothing = {"utils", "common", "helpers", "manager", "core", "misc"}
    names = [path.relative_to(ROOT) for path in FILES]
    bad = [name for name in names if name.stem in said_nothing or set(name.parent.parts) & said_nothing]
    assert not bad, f"name these after their job: {bad}"


def project_version() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def test_the_changelog_has_this_version() -> None:
    headings = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.M)
    assert headings[0] == "Unreleased"
    assert project_version() in headings or headings == ["Unreleased"]


def test_the_installed_version_is_this_one() -> None:
    try:
        installed = metadata.version("fastmas")
    except metadata.PackageNotFoundError:
        pytest.skip("fastmas is not installed here: it runs from the source tree")
    assert installed == project_version()


def test_the_licence_is_the_one_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    for name in project["license-files"]:
        assert (ROOT / name).is_file()


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="an sdist has no CI")
def test_scripts_are_executable() -> None:
    for name in (".ci/run", "tests/mutation/run", "bench/run_all"):
        path = ROOT / name
        assert os.access(path, os.X_OK), f"{name} must be executable: git update-index --chmod=+x {name}"
        assert path.read_text(encoding="utf-8").startswith("#!"), name


def test_actions_are_pinned_by_commit() -> None:
    loose = []
    for path in sorted((ROOT / ".github" / "workflows").glob("*.yml")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = re.search(r"uses:\s*(\S+)", line)
            if match and not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", match[1]):
                loose.append(f"{path.name}:{number} {match[1]}: pin the action by its full commit")
    assert not loose, "\n".join(loose)
