"""What machine a result is from. Needs nothing that is not there after a plain install."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import Any


def first_value(path: str, key: str) -> str:
    """The value of the first `key : value` line of a file of /proc; empty where there is none."""
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def version_of(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def compiler() -> str:
    """What built the interpreter; the extension is built by `c++`, whose first line is asked for too."""
    try:
        done = subprocess.run(["c++", "--version"], capture_output=True, text=True, check=False, timeout=10)
        ours = done.stdout.splitlines()[0] if done.stdout else ""
    except (OSError, subprocess.TimeoutExpired):
        ours = ""
    return f"{ours} (interpreter: {platform.python_compiler()})".strip()


def machine() -> dict[str, Any]:
    """CPU, compiler, versions and load: what a reader needs to judge a number, and no name of the machine."""
    governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    return {
        "cpu_model": first_value("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else [],
        "governor": governor.read_text().strip() if governor.is_file() else "",
        "compiler": compiler(),
        "optimised": "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or ""),
        "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "versions": {name: version_of(name) for name in ("fastmas", "numpy", "pytest-benchmark")},
        "python": sys.version.split()[0],
    }
