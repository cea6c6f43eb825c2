"""Market data that ships with the package; `README.md` beside this file says what they are and whose."""

from __future__ import annotations

from importlib import resources

from fastmas.errors import ConfigError

__all__ = ["names", "read"]


def names() -> list[str]:
    """File names of the data sets that `read` knows."""
    folder = resources.files(__name__)
    return sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".csv.gz"))


def read(name: str) -> bytes:
    """Return the bytes of one shipped data set, as stored.

    Parameters
    ----------
    name : str
        One of `names()`.
    """
    if name not in names():
        raise ConfigError(f"no data set {name!r} ships with the package; there are {', '.join(names())}")
    return resources.files(__name__).joinpath(name).read_bytes()
