"""Triples to rows: one for each item, a column for each predicate, sorted on disk by SQLite.

So triples in any order take bounded memory, and what becomes of a predicate is decided, shown and
counted as for any column.
"""

from __future__ import annotations

import itertools
import json
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from kgrec.data.origins.triples.reading import Triple, read_triples, rows_of
from kgrec.data.sources import Source, TripleSpec
from kgrec.data.tables.copies import LocalCopy
from kgrec.data.tables.files import SetAside, ignore
from kgrec.errors import DataError
from kgrec.progress import SILENT, Progress
from kgrec.schema import Domain

TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
_LABELS = (
    "http://www.w3.org/2000/01/rdf-schema#label",
    "http://www.w3.org/2004/02/skos/core#prefLabel",
    *(f"{scheme}://schema.org/name" for scheme in ("http", "https")),
    "http://xmlns.com/foaf/0.1/name",
    "http://purl.org/dc/terms/title",
    "http://purl.org/dc/elements/1.1/title",
)
_TEXTS = (
    "http://www.w3.org/2000/01/rdf-schema#comment",
    "http://dbpedia.org/ontology/abstract",
    *(f"{scheme}://schema.org/description" for scheme in ("http", "https")),
    "http://purl.org/dc/terms/description",
    "http://purl.org/dc/elements/1.1/description",
)
_LAST = 99
_ORDER = {"": _LAST} | {name: n for names in (_LABELS, _TEXTS) for n, name in enumerate(names)}
"""Of several predicates for a title or a text, the first counts; the name of a node is the last."""
_XSD = "http://www.w3.org/2001/XMLSchema#"
_WHOLE = frozenset({"integer", "int", "long", "short", "nonNegativeInteger", "positiveInteger"})
_BATCH = 10_000
_LOCAL = re.compile(r"[^/#:.]+(?=[/#:.]*$)")
_SIGN = re.compile(r"\W+")

_Row = tuple[str, str, str, str, str | None]
"""Item, predicate, object, kind and label of the object."""


@dataclass
class TripleRows:
    """Copies the triples of a file as rows of JSON lines.

    Attributes:
        columns: how predicates are called as columns; inverse ones begin with `^`.
        counts: how often each predicate leads from or to an item.
    """

    source: Source
    domain: Domain | None
    columns: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def spec(self) -> TripleSpec:
        return self.source.triples

    def copy(self, path: Path, kind: str, progress: Progress = SILENT) -> LocalCopy:
        """Return JSON lines with a row for each item.

        Args:
            kind: how the file holds triples.

        Raises:
            DataError: no subject is an item.
        """
        copy = LocalCopy(f"{path.name}.jsonl")
        with (
            copy.refused.open("w", encoding="utf-8") as refused,
            progress.task(f"sort {path.name}") as task,
        ):
            database = sqlite3.connect(copy.path.parent / ".triples.db")
            try:

                def set_aside(line: int, value: object, reason: str) -> None:
                    refused.write(json.dumps([line, str(value)[:500], reason]) + "\n")

                triples = read_triples(path, kind, self.source.layout, set_aside)
                self._store(database, triples, task.advance)
                self._label(database, path if kind == "kg" else None)
                self._choose(database, path, kind, set_aside)
                self._name(database)
                with copy.path.open("w", encoding="utf-8") as lines:
                    lines.writelines(
                        json.dumps(row, ensure_ascii=False) + "\n" for row in self._rows(database)
                    )
            finally:
                database.close()
                (copy.path.parent / ".triples.db").unlink(missing_ok=True)
        copy.notes = {
            self.columns[name]: f"{count:,} triples of {name}"
            for name, count in self.counts.items()
        }
        return copy

    def _store(self, database: sqlite3.Connection, triples: Iterator[Triple], on: Any) -> None:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -65536"):
            database.execute(f"PRAGMA {pragma}")
        database.execute("CREATE TABLE t (s TEXT, p TEXT, o TEXT, kind TEXT)")
        while batch := list(itertools.islice(triples, _BATCH)):
            database.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", batch)
            on(len(batch))
        database.execute("CREATE INDEX by_subject ON t (s)")
        database.execute("CREATE INDEX by_object ON t (o) WHERE kind = 'iri'")

    def _label(self, database: sqlite3.Connection, kg: Path | None) -> None:
        """Name nodes by their labels, in the language that is wanted, else in none, else any."""
        database.execute("CREATE TABLE label (s TEXT PRIMARY KEY, name TEXT) WITHOUT ROWID")
        names = kg.with_suffix(".entity") if kg is not None else None
        if names is not None and names.exists():
            pairs = (
                (row.get("entity_id", ""), row.get("name", ""))
                for _, row in rows_of(names, self.source.layout, ignore)
            )
            database.executemany("INSERT OR REPLACE INTO label VALUES (?, ?)", pairs)
        marks = ", ".join("?" * len(_LABELS))
        order = "CASE p " + " ".join(f"WHEN ? THEN {n}" for n in range(len(_LABELS))) + " END"
        database.execute(
            "INSERT OR IGNORE INTO label SELECT s, o FROM t "  # noqa: S608
            f"WHERE p IN ({marks}) AND kind NOT IN ('iri', 'blank') "
            f"ORDER BY CASE kind WHEN ? THEN 0 WHEN '' THEN 1 ELSE 2 END, {order}, kind, o",
            (*_LABELS, f"@{self.spec.language.lower()}", *_LABELS),
        )

    def _choose(
        self, database: sqlite3.Connection, path: Path, kind: str, set_aside: SetAside
    ) -> None:
        """Decide which subjects are items, and what their ids are."""
        database.execute("CREATE TABLE item (s TEXT, id TEXT, PRIMARY KEY (s, id)) WITHOUT ROWID")
        insert = "INSERT OR IGNORE INTO item VALUES (?, ?)"
        links = self.spec.links
        if links is None and kind == "kg" and path.with_suffix(".link").exists():
            links = path.with_suffix(".link")
        if links is not None:
            rows = rows_of(links, self.source.layout, set_aside)
            pairs = ((row.get("entity_id", ""), row.get("item_id", "")) for _, row in rows)
            database.executemany(insert, (pair for pair in pairs if all(pair)))
        elif kind == "kg":
            database.execute("INSERT INTO item SELECT DISTINCT s, s FROM t")
        else:
            wanted = self._types(database, path)
            base = self.spec.base
            marks = ", ".join("?" * len(wanted))
            found = database.execute(
                f"SELECT DISTINCT s FROM t WHERE p = ? AND o IN ({marks})",  # noqa: S608
                (TYPE, *wanted),
            )
            ids = ((s, s.removeprefix(base) if base else s) for (s,) in found.fetchall())
            database.executemany(insert, ids)
        if not database.execute("SELECT count(*) FROM item").fetchone()[0]:
            raise DataError("no subject of the triples is an item", value=str(path))

    def _types(self, database: sqlite3.Connection, path: Path) -> list[str]:
        """Return the types of the subjects that are items."""
        query = "SELECT o, count(*) FROM t WHERE p = ? GROUP BY o ORDER BY 2 DESC"
        counts = dict(database.execute(query, (TYPE,)).fetchall())
        given = self.spec.type
        names = {given} if given else set()
        if not given and self.domain is not None:
            names = {self.domain.item_label, self.domain.item_word}
        names = {name.casefold() for name in names}
        found = [one for one in counts if one.casefold() in names or local(one).casefold() in names]
        if not found:
            listed = ", ".join(f"{one} ({count:,})" for one, count in list(counts.items())[:10])
            raise DataError(
                "which subjects are items is not known",
                value=given or str(path),
                remedy=f"Name their type with --item-type, or `triples = {{ type = ... }}`, or "
                f"give --links. Types: {listed or 'none'}.",
            )
        return found

    def _name(self, database: sqlite3.Connection) -> None:
        """Decide how predicates are called: as given, as the domain has it, by their last part."""
        counted = itertools.chain(
            database.execute(
                "SELECT p, count(*) FROM t WHERE s IN (SELECT s FROM item) GROUP BY p"
            ),
            database.execute(
                "SELECT '^' || p, count(*) FROM t WHERE kind = 'iri' AND o IN (SELECT s FROM item) "
                "AND s NOT IN (SELECT s FROM item) GROUP BY p"
            ),
        )
        self.counts = dict(sorted(counted, key=lambda pair: (-pair[1], pair[0])))
        self.counts.pop(TYPE, None)
        given = self._given()
        used = {"item_id", *given.values()}
        for name in self.counts:
            if name in given:
                self.columns[name] = given[name]
                continue
            if name in _LABELS or name in _TEXTS:
                self.columns[name] = "title" if name in _LABELS else "description"
                continue
            short = local(name.lstrip("^")) + ("_of" if name.startswith("^") else "")
            short = _SIGN.sub("_", short).strip("_") or "predicate"
            numbered = (short if n == 1 else f"{short}_{n}" for n in itertools.count(1))
            self.columns[name] = next(one for one in numbered if one not in used)
            used.add(self.columns[name])

    def _given(self) -> dict[str, str]:
        """Return the columns of predicates that the source or the domain names."""
        found: dict[str, str] = {}
        if self.domain is not None:
            further: dict[str, tuple[str, ...]] = {
                name: one.columns for name, one in self.domain.relations.items()
            }
            for names in (further, self.domain.columns):
                for target, columns in names.items():
                    found |= {one: target for one in columns if "://" in one}
        found |= self.spec.predicates
        return {name: _column(target) for name, target in found.items()}

    def _rows(self, database: sqlite3.Connection) -> Iterator[dict[str, Any]]:
        rows = database.execute(
            "SELECT i.id, t.p, t.o, t.kind, l.name FROM item i JOIN t ON t.s = i.s "
            "LEFT JOIN label l ON l.s = t.o AND t.kind IN ('iri', 'blank') "
            "UNION ALL SELECT i.id, '', l.name, '', NULL FROM item i JOIN label l ON l.s = i.s "
            "UNION ALL SELECT i.id, '^' || t.p, t.s, 'iri', l.name FROM item i "
            "JOIN t ON t.o = i.s AND t.kind = 'iri' LEFT JOIN label l ON l.s = t.s "
            "WHERE t.s NOT IN (SELECT s FROM item) ORDER BY 1"
        )
        for item, found in itertools.groupby(rows, key=lambda row: str(row[0])):
            yield self._row(item, found)

    def _row(self, item: str, rows: Iterator[_Row]) -> dict[str, Any]:
        values: dict[str, list[tuple[int, str, Any]]] = {}
        for _, predicate, thing, kind, label in rows:
            column = "title" if not predicate else self.columns.get(predicate)
            value = _value(thing, kind, label)
            if column is None or value is None:
                continue
            rank = _ORDER.get(predicate, 0)
            values.setdefault(column, []).append((rank, kind, value))
        cells: dict[str, Any] = {"item_id": item}
        for column, all_found in values.items():
            best = min(rank for rank, _, _ in all_found)
            chosen = self._in_language([one for one in all_found if one[0] == best])
            distinct = list({json.dumps(one): one for one in chosen}.values())
            single = column == "title" or len(distinct) == 1
            cells[column] = distinct[0] if single else distinct
        return cells

    def _in_language(self, found: list[tuple[int, str, Any]]) -> list[Any]:
        """Return the values in the language that is wanted, else in none, else in the first."""
        languages = {kind for _, kind, _ in found if kind.startswith("@")}
        if not languages:
            return [value for _, _, value in found]
        wanted = f"@{self.spec.language.lower()}"
        of_wanted = sorted(
            one for one in languages if one == wanted or one.startswith(f"{wanted}-")
        )
        plain = any(not kind.startswith("@") for _, kind, _ in found)
        chosen = of_wanted[0] if of_wanted else ("" if plain else min(languages))
        return [
            value
            for _, kind, value in found
            if (kind == chosen if chosen else not kind.startswith("@"))
        ]


def local(iri: str) -> str:
    """Return the last part of an IRI, or of the dotted name of a relation."""
    found = _LOCAL.search(iri)
    return found[0] if found else iri


def _column(target: str) -> str:
    return target.lower() if target.isupper() else target


def _value(thing: str, kind: str, label: str | None) -> Any:
    if kind == "iri":
        name = label or unquote(thing.rpartition("/")[2].rpartition("#")[2]).replace("_", " ")
        return {"name": name, "id": thing} if name else None
    if kind == "blank":
        return {"name": label, "id": thing} if label else None
    if kind.startswith(_XSD):
        return _typed(thing, kind.removeprefix(_XSD))
    return thing


def _typed(text: str, kind: str) -> Any:
    try:
        if kind in _WHOLE:
            return int(text)
        if kind in ("decimal", "double", "float"):
            return float(text)
    except ValueError:
        return text
    return text
