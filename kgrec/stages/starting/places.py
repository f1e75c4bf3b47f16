"""What `kgrec init` is to look at: files, folders, addresses, and the tables of databases."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kgrec.data.origins.address import holds_secret, is_address, is_database, shown
from kgrec.data.origins.query import table_names
from kgrec.data.origins.triples.reading import FORMATS
from kgrec.data.tables.packing import unpacked_suffix
from kgrec.errors import ConfigError, DataError

SUFFIXES = frozenset(
    [
        ".csv",
        ".tsv",
        ".tab",
        ".txt",
        ".dat",
        ".data",
        ".inter",
        ".item",
        ".user",
        ".json",
        ".jsonl",
        ".ndjson",
        ".parquet",
        ".pq",
        *FORMATS,
    ]
)
"""How files end that are looked at in a folder; each may be packed (.gz, .zst, ...)."""
_FROM = re.compile(r"\bFROM\s+[\"`\[]?([\w.]+)", re.IGNORECASE)


@dataclass(frozen=True)
class QueriedTable:
    """A table of a database, or what a query of it returns.

    Attributes:
        query: SQL, or the name of a table.
    """

    address: str
    query: str

    @property
    def name(self) -> str:
        """The name of the table, or of the first one of the query."""
        found = _FROM.search(self.query)
        return (found[1] if found else self.query).rpartition(".")[2]


Place = Path | str | QueriedTable
"""A file, the address of one, or a table of a database."""


def places_of(names: Sequence[Path | str], queries: Sequence[str] = ()) -> list[Place]:
    """Return files, for a folder the files in it that may be tables, addresses, and tables.

    Args:
        queries: SQL, or names of tables, of the databases; all of their tables when empty.

    Raises:
        DataError: there is no such file or database, or it holds no table.
        ConfigError: an address holds a password, which a pipeline file would hold too, or there
            are queries and no database.
    """
    found: list[Place] = []
    for name in names:
        if isinstance(name, str) and is_address(name):
            _check_address(name)
            found += _of_address(name, queries)
            continue
        path = Path(name)
        if not path.exists():
            raise DataError("there is no such file", value=str(path), remedy="Check the path.")
        found += [path] if path.is_file() else _of_folder(path)
    if queries and not any(isinstance(one, QueriedTable) for one in found):
        raise ConfigError(
            "a query is of a database, and none is named",
            value=queries[0],
            remedy="Name one, such as sqlite:///shop.db.",
        )
    return list(dict.fromkeys(found))


def _of_address(address: str, queries: Sequence[str]) -> list[Place]:
    if not is_database(address):
        return [address]
    tables = queries or table_names(address)
    if not tables:
        raise DataError("the database holds no table", value=shown(address))
    return [QueriedTable(address, one) for one in tables]


def _of_folder(folder: Path) -> list[Path]:
    inside = [one for one in folder.iterdir() if one.is_file()]
    found = sorted(one for one in inside if unpacked_suffix(one) in SUFFIXES)
    if not found:
        raise DataError(
            "the folder holds no table",
            value=str(folder),
            remedy=f"Tables end in {', '.join(sorted(SUFFIXES))}.",
        )
    return found


def _check_address(address: str) -> None:
    if holds_secret(address):
        raise ConfigError(
            "the pipeline file would hold what the address has of secrets",
            value=shown(address),
            remedy="Put it into a variable of the environment, and write ${NAME} in its place.",
        )
