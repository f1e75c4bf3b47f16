"""Load a dump into an empty graph of any engine, and go on where a load was killed.

A node counts the rows that are loaded, in the transaction that loads them: so no row is created
twice and none is left out, wherever a load is stopped, and a graph that lacks a part is known by
that node (`kgrec.graph.setup.check_whole`). Models come last, so that nothing is served before.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from kgrec.config import FrozenModel
from kgrec.errors import ConfigError, DataError, GraphError
from kgrec.graph.dump.manifest import DumpedFile, damaged
from kgrec.graph.dump.opening import Dump
from kgrec.graph.dump.values import from_json, moment_of
from kgrec.graph.setup import (
    IMPORT,
    clear_nodes,
    count_graph,
    ensure_property_indexes,
    ensure_vector_index,
    make_schema,
    unfinished_import,
)
from kgrec.graph.store import GraphStore, Step
from kgrec.progress import SILENT, Progress, Task
from kgrec.schema import load_schema

_NODES_A_WRITE = 1_000
_RELATIONS_A_WRITE = 5_000
_CLEARING = -1


class ImportSummary(FrozenModel):
    """What was loaded.

    Attributes:
        path: the dump.
        nodes: how many of each label that has a key.
        relations: how many of each type.
        resumed: rows that an import which was stopped had loaded before.
        content: digest of what the dump holds.
        live_model: id of the model that is live in this graph; None where none is.
    """

    path: str
    nodes: dict[str, int]
    relations: dict[str, int]
    resumed: int
    content: str
    live_model: str | None


def import_graph(
    store: GraphStore, source: Path, *, replace: bool = False, progress: Progress = SILENT
) -> ImportSummary:
    """Load a dump; a load of the same dump that was stopped goes on.

    Args:
        source: a folder or a .zip that `export_graph` wrote.
        replace: whether what kgrec keeps in the graph already is deleted first.

    Raises:
        ConfigError: the graph is not empty, or holds a part of another dump, and `replace` is
            False.
        DataError: the dump is damaged, or of another version.
        GraphError: the kinds below it; or another import is under way.
    """
    with Dump(source) as dump:
        _check_vocabulary(dump)
        dump.check(progress)
        begun = _begin(store, dump, replace=replace, progress=progress)
        loader = _Load(store, dump, begun)
        with progress.task("import", dump.manifest.rows) as task:
            task.advance(begun)
            for one in _in_order(dump):
                loader.load(one, task)
        labels = _check_counts(store, dump)
        for name, domain in load_schema().domains.items():
            if domain.item_label in labels:
                ensure_property_indexes(store, name)
        store.write("dump/forget_import", name=IMPORT)
        live = store.read("recommend/live_model")
        return ImportSummary(
            path=str(source),
            nodes=dump.manifest.nodes,
            relations=dump.manifest.relations,
            resumed=begun,
            content=dump.manifest.content,
            live_model=live[0]["model_id"] if live else None,
        )


def _in_order(dump: Dump) -> list[DumpedFile]:
    """Return the files: nodes, relations, and at last the models."""
    model = load_schema().labels.model
    return sorted(dump.manifest.files, key=lambda one: (one.label == model, one.kind != "nodes"))


def _check_vocabulary(dump: Dump) -> None:
    core = load_schema().core
    for label, key in dump.manifest.keys.items():
        if core.keys.get(label) != key:
            raise damaged(dump.path, f"its label {label} with the key {key} is not known here")
    for one in dump.manifest.files:
        for label in (one.label,) if one.kind == "nodes" else (one.head, one.tail):
            if label not in dump.manifest.keys:
                raise damaged(dump.path, f"{one.path} is of the label {label!r}, which has no key")


def _begin(store: GraphStore, dump: Dump, *, replace: bool, progress: Progress) -> int:
    """Make the graph ready, and return how many rows of the dump it holds."""
    found = unfinished_import(store)
    if found is not None and found.dump == dump.digest and found.done >= 0 and not replace:
        make_schema(store)
        return found.done
    if found is not None and found.dump != dump.digest and not replace:
        raise ConfigError(
            "the graph holds a part of another dump, whose import is not finished",
            value=store.info().uri,
            remedy="Import that dump again to finish it, or give --replace.",
        )
    if found is None and not replace:
        _check_empty(store)
    state: dict[str, Any] = {"name": IMPORT, "dump": dump.digest}
    store.write("dump/set_import_state", done=_CLEARING, **state)
    make_schema(store)
    clear_nodes(store, progress)
    _release_properties(store)
    for slot, length in dump.manifest.vectors.items():
        ensure_vector_index(store, slot, length)
    store.write("dump/set_import_state", done=0, **state)
    return 0


def _release_properties(store: GraphStore) -> None:
    """Have the engine keep values as they are, whatever a domain has declared before."""
    schema = load_schema()
    names = {name for one in schema.domains.values() for name in one.item_properties}
    store.dialect.release_properties(store, schema.labels.item, dict.fromkeys(names, ""))


def _check_empty(store: GraphStore) -> None:
    core = load_schema().core
    nodes = count_graph(store).nodes
    own = {label: count for label, count in nodes.items() if label in core.keys}
    if own:
        held = ", ".join(f"{count:,} {label}" for label, count in own.items())
        raise ConfigError(
            "the graph is not empty",
            value=f"{store.info().uri}: {held}",
            remedy="Give --replace to delete what kgrec keeps in it, or name another graph.",
        )


def _check_counts(store: GraphStore, dump: Dump) -> frozenset[str]:
    """Compare what the graph holds with the dump, before it counts as whole; return its labels."""
    counts = count_graph(store)
    for label, number in dump.manifest.nodes.items():
        if counts.nodes.get(label, 0) != number:
            raise _differs(store, label, counts.nodes.get(label, 0), number)
    for relation, number in dump.manifest.relations.items():
        if counts.relations.get(relation, 0) != number:
            raise _differs(store, relation, counts.relations.get(relation, 0), number)
    return frozenset(counts.nodes)


def _differs(store: GraphStore, name: str, found: int, expected: int) -> GraphError:
    return GraphError(
        f"the graph holds {found:,} {name} and the dump {expected:,}: something else writes to it",
        value=store.info().uri,
        remedy="Stop servers and loads, and import again with --replace.",
    )


class _Load:
    def __init__(self, store: GraphStore, dump: Dump, begun: int) -> None:
        self._store, self._dump = store, dump
        self._keys = dump.manifest.keys
        self._done, self._passed = begun, 0

    def load(self, one: DumpedFile, task: Task) -> None:
        """Load what is not loaded of a file."""
        skip = min(max(self._done - self._passed, 0), one.rows)
        self._passed += one.rows
        if skip == one.rows:
            return
        size = _NODES_A_WRITE if one.kind == "nodes" else _RELATIONS_A_WRITE
        numbered = enumerate(self._dump.lines(one), 1)
        lines = islice(numbered, skip, None)
        while chunk := list(islice(lines, size)):
            rows = [self._row(one, number, line) for number, line in chunk]
            begin = self._done
            steps = list(self._steps(one, rows))
            self._write(one, steps, begin, chunk[0][0])
            task.advance(len(rows))

    def _write(self, one: DumpedFile, steps: Sequence[Step], begin: int, line: int) -> None:
        try:
            answers = self._store.write_all(steps)
        except GraphError as error:
            place = f"{one.path}, from line {line:,} on"
            raise type(error)(
                f"{error.what} ({place})", value=error.value, remedy=error.remedy
            ) from error
        written = sum(int(rows[0]["written"]) for rows in answers if rows)
        if written == self._done - begin:
            return
        if written:
            raise damaged(self._dump.path, f"{one.path} leads to nodes that the dump lacks")
        found = unfinished_import(self._store)
        if found is None or found.done != self._done:  # else it was committed, and not answered
            raise GraphError(
                "another import into this graph is under way",
                value=self._store.info().uri,
                remedy="Wait for its end.",
            )

    def _steps(self, one: DumpedFile, rows: Sequence[dict[str, Any]]) -> Iterator[Step]:
        if one.kind == "nodes":
            ordered = sorted(rows, key=_labels_of)
            for labels, group in groupby(ordered, _labels_of):
                named = ":".join([one.label, *(name for name in labels if name != one.label)])
                properties = [row["properties"] for row in group]
                yield "dump/create_nodes", {"labels": named}, self._counted(properties)
            return
        slots = {"head": one.head, "head_key": self._keys[one.head], "relation": one.relation}
        slots |= {"tail": one.tail, "tail_key": self._keys[one.tail]}
        yield "dump/create_relations", slots, self._counted(rows)

    def _counted(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        begin = self._done
        self._done += len(rows)
        return {"name": IMPORT, "begin": begin, "end": self._done, "rows": list(rows)}

    def _row(self, one: DumpedFile, number: int, line: bytes) -> dict[str, Any]:
        try:
            found = json.loads(line)
            properties = found["properties"]
            if one.kind == "nodes":
                if not isinstance(properties[self._keys[one.label]], str):
                    raise TypeError
                return {"labels": tuple(found["labels"]), "properties": from_json(properties)}
            at = moment_of(properties.get("at"))
            if at is not None:
                del properties["at"]
            row = {"head": found["head"], "tail": found["tail"], "at": at}
            return {**row, "properties": from_json(properties)}
        except DataError as error:
            raise damaged(self._dump.path, f"line {number} of {one.path}: {error}") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            what = f"line {number} of {one.path} is no line of a dump"
            raise damaged(self._dump.path, what) from None


def _labels_of(row: dict[str, Any]) -> tuple[str, ...]:
    labels: tuple[str, ...] = row["labels"]
    return labels
