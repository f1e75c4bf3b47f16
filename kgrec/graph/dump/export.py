"""Write the whole graph to a dump, a page at a time.

Nodes come by the order of their keys, relations by the nodes that they leave; so that neither side
holds more than a page. What is written while the graph changes would be of no one moment: on the
embedded server writers wait, and elsewhere a change is noticed by its counts and its revision.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from kgrec.config import FrozenModel
from kgrec.errors import DataError, GraphError
from kgrec.graph.dump.manifest import MANIFEST, DumpedFile, Manifest
from kgrec.graph.dump.values import json_line, time_of, to_json
from kgrec.graph.dump.writing import LineWriter, new_dump
from kgrec.graph.pages import key_pages
from kgrec.graph.setup import check_whole, count_graph
from kgrec.graph.store import CATALOGUE, GraphStore
from kgrec.progress import SILENT, Progress, Task
from kgrec.schema import load_schema
from kgrec.version import __version__

_NODES_A_PAGE = 1_000
_RELATIONS_A_PAGE = 20_000
_FOREIGN = "relations to nodes that are not of kgrec"


class ExportSummary(FrozenModel):
    """What was written.

    Attributes:
        path: the dump.
        nodes: how many of each label that has a key.
        relations: how many of each type.
        left_out: what the graph holds beside, which is none of kgrec's, by kind.
        bytes: size of all files.
        content: digest of what they hold: equal graphs have equal ones, on any engine.
    """

    path: str
    nodes: dict[str, int]
    relations: dict[str, int]
    left_out: dict[str, int]
    bytes: int
    content: str


def export_graph(
    store: GraphStore, target: Path, *, replace: bool = False, progress: Progress = SILENT
) -> ExportSummary:
    """Write all that kgrec keeps in a graph to a dump.

    Args:
        target: a folder, or a file that ends in .zip.
        replace: whether a dump that is there may be replaced.

    Raises:
        ConfigError: there is something at the path already.
        DataError: the graph holds a value that a dump has no form for.
        GraphError: it changed meanwhile, or an import into it is unfinished.
    """
    with (
        new_dump(target, replace=replace) as folder,
        store.sole_writer(),
        ExitStack() as opened,
    ):
        check_whole(store)
        before = _state(store)
        exporter = _Export(store, folder, opened)
        files = [*exporter.nodes(progress), *exporter.relations(progress)]
        if _state(store) != before:
            raise GraphError(
                "the graph changed while it was exported",
                remedy="Export it again when nothing writes: stop servers and loads first.",
            )
        manifest = exporter.manifest(files)
        (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1), "utf-8")
    return ExportSummary(
        path=str(target),
        nodes=manifest.nodes,
        relations=manifest.relations,
        left_out=manifest.left_out,
        bytes=sum(one.bytes for one in files),
        content=manifest.content,
    )


def _state(store: GraphStore) -> tuple[Any, ...]:
    revision = store.read("recommend/revision", revision=CATALOGUE)
    return count_graph(store), revision


class _Export:
    def __init__(self, store: GraphStore, folder: Path, opened: ExitStack) -> None:
        core = load_schema().core
        self._store, self._folder, self._opened = store, folder, opened
        self._keys = {name: key for name, key in core.keys.items() if name != core.labels.revision}
        self._vectors = frozenset(
            name
            for table in core.properties.values()
            for name, kind in table.items()
            if kind == "vector"
        )
        self._lengths: dict[str, int] = {}
        self._left_out: dict[str, int] = {}

    def manifest(self, files: Sequence[DumpedFile]) -> Manifest:
        info = self._store.info()
        relations: dict[str, int] = {}
        for one in files:
            if one.relation:
                relations[one.relation] = relations.get(one.relation, 0) + one.rows
        contents = sorted(f"{one.path} {one.content}\n" for one in files)
        return Manifest(
            kgrec=__version__,
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            engine=info.engine,
            engine_version=info.version,
            keys=self._keys,
            vectors=self._lengths,
            left_out=self._left_out,
            nodes={one.label: one.rows for one in files if one.label},
            relations=relations,
            content=sha256("".join(contents).encode()).hexdigest(),
            files=tuple(files),
        )

    def nodes(self, progress: Progress) -> Iterator[DumpedFile]:
        for label, key in self._keys.items():
            total = self._store.read("admin/count_nodes", {"label": label})[0]["count"]
            about = {"path": f"nodes/{label}.jsonl.gz", "kind": "nodes", "label": label}
            writer = self._writer(about)
            with progress.task(f"export {label}", total) as task:
                for keys in key_pages(self._store, label):
                    for first in range(0, len(keys), _NODES_A_PAGE):
                        self._write_nodes(writer, keys[first : first + _NODES_A_PAGE])
                        task.advance(min(_NODES_A_PAGE, len(keys) - first))
            if writer.rows < total:
                self._left_out[f"{label} nodes without {key}"] = total - writer.rows
            yield writer.finish()

    def _writer(self, about: dict[str, str]) -> LineWriter:
        writer = LineWriter(self._folder, about)
        self._opened.callback(writer.discard)
        return writer

    def _write_nodes(self, writer: LineWriter, keys: Sequence[str]) -> None:
        label = writer.about["label"]
        slots = {"label": label, "key": self._keys[label]}
        [page] = self._store.read_exactly("dump/nodes", slots, keys=list(keys))
        for labels, properties in zip(page["labels"], page["properties"], strict=True):
            if len(self._keys.keys() & set(labels)) > 1:
                raise DataError(
                    "a node has labels of two kinds, which cannot be exported",
                    value=f"{properties[slots['key']]}: {', '.join(sorted(labels))}",
                    remedy="Remove one of the labels.",
                )
            for name in self._vectors & properties.keys():
                self._lengths[name] = len(properties[name])
            kept = to_json(properties, self._vectors)
            writer.write(json_line({"labels": sorted(labels), "properties": kept}))

    def relations(self, progress: Progress) -> Iterator[DumpedFile]:
        counts = count_graph(self._store).relations
        with progress.task("export relations", sum(counts.values())) as task:
            for label, key in self._keys.items():
                yield from self._relations_of(label, key, task)

    def _relations_of(self, label: str, key: str, task: Task) -> Iterator[DumpedFile]:
        writers: dict[tuple[str, str], LineWriter] = {}
        for keys in key_pages(self._store, label):
            for page in self._relation_pages(label, key, keys):
                self._write_relations(writers, label, page)
                task.advance(len(page["types"]))
        for _, writer in sorted(writers.items()):
            yield writer.finish()

    def _relation_pages(
        self, label: str, key: str, keys: Sequence[str]
    ) -> Iterator[dict[str, list[Any]]]:
        """Yield the relations that leave some nodes, about as many at a time."""
        slots = {"label": label, "key": key}
        [found] = self._store.read("dump/degrees", slots, keys=list(keys))
        chosen: list[str] = []
        number = 0
        for node, degree in zip(found["keys"], found["counts"], strict=True):
            if degree > _RELATIONS_A_PAGE:
                yield from self._pages_of_one(slots, node, degree)
                continue
            if number + degree > _RELATIONS_A_PAGE:
                yield self._page_of_many(slots, chosen)
                chosen, number = [], 0
            if degree:
                chosen.append(node)
                number += degree
        if chosen:
            yield self._page_of_many(slots, chosen)

    def _page_of_many(self, slots: dict[str, str], chosen: list[str]) -> dict[str, list[Any]]:
        given: dict[str, Any] = {"keys": chosen, "identified": self._keys}
        [page] = self._store.read_exactly("dump/relations", slots, **given)
        return {**page, "heads": [chosen[row] for row in page["heads"]]}

    def _pages_of_one(
        self, slots: dict[str, str], node: str, degree: int
    ) -> Iterator[dict[str, list[Any]]]:
        for skip in range(0, degree, _RELATIONS_A_PAGE):
            given: dict[str, Any] = {"skip": skip, "limit": _RELATIONS_A_PAGE, "node": node}
            given["identified"] = self._keys
            [page] = self._store.read_exactly("dump/relations_of_one", slots, **given)
            yield {**page, "heads": [node] * len(page["types"])}

    def _write_relations(
        self,
        writers: dict[tuple[str, str], LineWriter],
        head: str,
        page: dict[str, list[Any]],
    ) -> None:
        columns = ("heads", "types", "labels", "tails", "properties")
        for node, relation, tail, end, properties in zip(*map(page.get, columns), strict=True):
            if not tail or not end:
                self._left_out[_FOREIGN] = self._left_out.get(_FOREIGN, 0) + 1
                continue
            writer = writers.get((relation, tail))
            if writer is None:
                about = _about(head, relation, tail)
                writer = writers[relation, tail] = self._writer(about)
            at = properties.pop("at", None)
            kept = to_json(properties, self._vectors)
            if at is not None:
                kept["at"] = time_of(at)
            writer.write(json_line({"head": node, "tail": end, "properties": kept}))


def _about(head: str, relation: str, tail: str) -> dict[str, str]:
    path = f"relations/{head}-{relation}-{tail}.jsonl.gz"
    ends = {"head": head, "relation": relation, "tail": tail}
    return {"path": path, "kind": "relations", **ends}
