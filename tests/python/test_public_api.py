"""The public names: curated, sorted, documented, and every example in a docstring runs."""

from __future__ import annotations

import contextlib
import doctest
import enum
import importlib
import inspect
import io
import pkgutil
import re
from types import ModuleType
from typing import Any, get_origin

import pytest

import fastmas
from fastmas.records import Record

MAX_NAMES = 70
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def walk() -> list[str]:
    names = [info.name for info in pkgutil.walk_packages(fastmas.__path__, "fastmas.")]
    skipped = ("fastmas._core.", "fastmas.bench")
    return sorted(name for name in names if not name.startswith(skipped) and not name.endswith(".__main__"))


MODULES = walk()
PUBLIC: list[str] = list(fastmas.__all__)


def sort_key(name: str) -> tuple[int, list[tuple[str, int]]]:
    """Constants, then classes, then the rest, numbers by value: the order that the linter writes."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2
    return kind, [(text, int(digits or 0)) for text, digits in re.findall(r"(\D+)(\d*)", name)]


def is_message(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, Record)


def needs_examples(value: Any) -> bool:
    """Functions and classes; not exceptions and enumerations, whose names say it all."""
    if inspect.isclass(value):
        return not issubclass(value, (BaseException, enum.Enum))
    return callable(value)


def parameters_of(value: Any) -> list[str]:
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):  # extension types may have none
        return []
    return [name for name in signature.parameters if name not in ("self", "cls", "args", "kwargs")]


def members_of(value: Any) -> list[tuple[str, Any]]:
    """The public methods and properties that a class defines itself."""
    if not inspect.isclass(value):
        return []
    return [(name, member) for name, member in vars(value).items() if not name.startswith("_") and callable(member)]


def run_examples(label: str, text: str, names: dict[str, Any]) -> str:
    """Run the examples of a docstring; what went wrong, or nothing."""
    test = doctest.DocTestParser().get_doctest(text, dict(names), label, None, 0)
    out = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()):
        doctest.DocTestRunner(optionflags=FLAGS, verbose=False).run(test, out=out.write)
    return out.getvalue()


def test_the_list_is_sorted_short_and_true() -> None:
    assert sorted(PUBLIC, key=sort_key) == PUBLIC
    assert len(set(PUBLIC)) == len(PUBLIC) <= MAX_NAMES
    assert [name for name in PUBLIC if not hasattr(fastmas, name)] == []
    assert [name for name in PUBLIC if name.startswith("_") and name != "__version__"] == []


@pytest.mark.parametrize("name", MODULES)
def test_lists_of_modules_are_sorted_and_true(name: str) -> None:
    module = importlib.import_module(name)
    if name.startswith("fastmas._core"):
        return
    names = list(getattr(module, "__all__", []))
    assert sorted(names, key=sort_key) == names, f"{name}.__all__ must be sorted"
    assert [entry for entry in names if not hasattr(module, entry)] == []
    assert (module.__doc__ or "").strip(), f"{name} must say in its docstring what it is for"


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_are_documented(name: str) -> None:
    value = getattr(fastmas, name)
    if isinstance(value, (int, str)) or get_origin(value) is not None:
        return  # constants, and names for field types, have no docstring of their own
    text = inspect.getdoc(value) or ""
    assert text.strip(), f"fastmas.{name} has no docstring"
    if not needs_examples(value) or isinstance(value, ModuleType):
        return
    assert re.search(r"^Examples\n-{8}$", text, re.M) and ">>> " in text, f"fastmas.{name} needs an Examples section"
    if parameters_of(value) and not is_message(value):
        assert re.search(r"^(Parameters|Attributes)\n-{10}$", text, re.M), f"fastmas.{name} needs a Parameters section"


@pytest.mark.parametrize("name", PUBLIC)
def test_examples_of_public_names_run(name: str) -> None:
    """Those of extension types too, which doctest's own finder does not see."""
    value = getattr(fastmas, name)
    if isinstance(value, ModuleType):
        return
    home = vars(importlib.import_module(getattr(value, "__module__", "fastmas")))
    names = {**home, "fm": fastmas, **{public: getattr(fastmas, public) for public in PUBLIC}}
    wrong = run_examples(f"fastmas.{name}", inspect.getdoc(value) or "", names)
    for member, function in members_of(value):
        wrong += run_examples(f"fastmas.{name}.{member}", inspect.getdoc(function) or "", names)
    assert not wrong, wrong


@pytest.mark.parametrize("name", [name for name in MODULES if not name.startswith("fastmas._core")])
def test_examples_in_modules_run(name: str) -> None:
    module = importlib.import_module(name)
    wrong = io.StringIO()
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        with contextlib.redirect_stdout(io.StringIO()):
            doctest.DocTestRunner(optionflags=FLAGS, verbose=False).run(test, out=wrong.write)
    assert not wrong.getvalue(), wrong.getvalue()


def test_a_wrong_example_is_seen() -> None:
    assert "Expected" in run_examples("x", ">>> 1 + 1\n3", {})
    assert run_examples("x", ">>> 1 + 1\n2", {}) == ""
