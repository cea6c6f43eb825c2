"""Makes pytest collect `bench_*.py` here, from a checkout and a wheel; writes down what machine a result is from."""

from __future__ import annotations

from typing import Any

import pytest

from .machine import machine


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("python_files", "bench_*.py")
    config.addinivalue_line("python_functions", "bench_*")


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    machine_info.pop("node", None)  # a host's name says nothing about its speed
    machine_info.update(machine())


def pytest_benchmark_update_json(config: pytest.Config, benchmarks: Any, output_json: dict[str, Any]) -> None:
    """State the cost of one item beside the cost of a call: a call that handles 1,000 messages is no latency."""
    for entry in output_json["benchmarks"]:
        if items := entry["extra_info"].get("items"):
            entry["extra_info"]["ns_per_item"] = round(entry["stats"]["median"] * 1e9 / items, 1)
