"""Where the data files of kgrec are: inside an installed wheel, or at the top of a checkout."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from kgrec.errors import ConfigError

_PACKAGE = Path(__file__).resolve().parent


@cache
def resource_dir(name: str) -> Path:
    """Return the folder `name` (`graph_schema`, `pipelines`) that belongs to this kgrec.

    Raises:
        ConfigError: the installation carries no such folder.
    """
    for folder in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise ConfigError(
        "this installation of kgrec lacks a folder of data files",
        value=name,
        remedy="Install kgrec again.",
    )
