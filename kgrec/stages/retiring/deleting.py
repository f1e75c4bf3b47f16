"""A table whose rows name what is to go: items, users, entities, or interactions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from kgrec.data.cells.values import CellError
from kgrec.data.parsing import RowParser
from kgrec.data.records import InteractionRecord
from kgrec.data.rejects import Rejects
from kgrec.graph.redirects import redirects_of
from kgrec.graph.store import GraphStore
from kgrec.progress import Progress
from kgrec.schema import load_schema
from kgrec.stages.loading.facts import Tally, batched
from kgrec.stages.loading.items import OF_ANOTHER_DOMAIN
from kgrec.stages.loading.reading import PreparedSource
from kgrec.stages.retiring.keeping import Interaction, Retirer

_NODES_A_STEP = 200
_INTERACTIONS_A_STEP = 2_000


class Deletion:
    """Retires what the rows of a table name; what the graph lacks counts as unchanged.

    Args:
        store: the graph.
        prepared: the table.
        run_id: the run, under which all of it can be brought back.
        rejects: where rows of no use go.
        dry: whether what would go is only counted.

    Attributes:
        tally: what was done so far.
    """

    def __init__(
        self,
        store: GraphStore,
        prepared: PreparedSource,
        run_id: str,
        rejects: Rejects,
        *,
        dry: bool = False,
    ) -> None:
        self.dry = dry
        self.store, self.table, self.source = store, prepared.table, prepared.source
        self.parser = RowParser(prepared.plan, self.source, prepared.domain, load_schema().core)
        self.item_type = prepared.domain.item_label
        self.retirer = Retirer(store, run_id, self.source.title)
        self.rejects = rejects
        self.timed = prepared.plan.column("at") is not None
        self.kinds = prepared.plan.column("kind") is not None or bool(self.source.interaction)
        self.tally = Tally()

    def run(self, progress: Progress) -> Tally:
        """Retire, one transaction a batch."""
        with progress.task(f"delete by {self.source.title}") as task:
            if self.source.kind != "interactions":
                for part in batched(self._ids(), _NODES_A_STEP):
                    self._retire_nodes(part)
                    task.advance(len(part))
            else:
                for rows in batched(self._interactions(), _INTERACTIONS_A_STEP):
                    self._retire_interactions(rows)
                    task.advance(len(rows))
        return self.tally

    def _retire_nodes(self, part: list[tuple[int, str]]) -> None:
        if self.source.kind == "catalog":
            self._retire_items(part)
            return
        users, ids = self.source.kind == "users", [each for _, each in part]
        if users:
            found = self.store.read("ingest/users", users=ids, properties=[])
        else:
            found = self.store.read("ingest/entities", entities=ids, properties=[])
        there = [str(row["user_id" if users else "entity_id"]) for row in found]
        if there and not self.dry:
            steps = self.retirer.users if users else self.retirer.entities
            self.store.write_all(steps(there))
        self.tally.retired += len(there)
        self.tally.unchanged += len(ids) - len(there)

    def _retire_items(self, part: list[tuple[int, str]]) -> None:
        ids = [each for _, each in part]
        rows = self.store.read("ingest/items", items=ids, properties=[])
        labels = {row["item_id"]: row["labels"] for row in rows}
        for line, each in part:
            if each not in labels:
                self.tally.unchanged += 1
            elif self.item_type not in labels[each]:
                self._set_aside(line, each, OF_ANOTHER_DOMAIN)
        own = [each for each in ids if self.item_type in labels.get(each, ())]
        if own and not self.dry:
            self.store.write_all(self.retirer.items(own))
        self.tally.retired += len(own)

    def _retire_interactions(self, rows: list[tuple[int, InteractionRecord]]) -> None:
        items = redirects_of(self.store).items
        rows = [(n, replace(r, item_id=items.get(r.item_id, r.item_id))) for n, r in rows]
        pairs = dict.fromkeys((one.user_id, one.item_id) for _, one in rows)
        given = [{"user_id": user, "item_id": item} for user, item in pairs]
        held: dict[tuple[str, str], list[Interaction]] = {}
        found = self.store.read("retiring/interactions_of_pairs", pairs=given)
        for one in Interaction.of_rows(found):
            held.setdefault((one.user, one.item), []).append(one)
        gone: dict[Interaction, None] = {}
        for _, row in rows:
            named = [
                one for one in held.get((row.user_id, row.item_id), ()) if self._is_named(one, row)
            ]
            self.tally.unchanged += not named
            gone |= dict.fromkeys(named)
        if gone and not self.dry:
            self.store.write_all(self.retirer.interactions(list(gone)))
        self.tally.retired += len(gone)

    def _is_named(self, one: Interaction, row: InteractionRecord) -> bool:
        """Return whether a row names an interaction: by its time and kind, where it has them."""
        if self.timed and one.time != row.at:
            return False
        return not self.kinds or one.kind == row.kind

    def _ids(self) -> Iterator[tuple[int, str]]:
        seen: set[str] = set()
        for line, cells in self._rows():
            try:
                each = self._id(cells)
            except CellError as error:
                self._set_aside(line, error.value, error.reason)
                continue
            self.tally.repeated += each in seen
            if each not in seen:
                seen.add(each)
                yield line, each

    def _id(self, cells: dict[str, Any]) -> str:
        """Return the id of the node that a row names; raises CellError when it names none."""
        if self.source.kind == "users":
            return self.parser.user(cells, lambda *_: None).user_id
        if self.source.kind == "entities":
            return self.parser.entity(cells, lambda *_: None).node.id
        return self.parser.item_id(cells)

    def _interactions(self) -> Iterator[tuple[int, InteractionRecord]]:
        for line, cells in self._rows():
            try:
                yield line, self.parser.interaction(cells)
            except CellError as error:
                self._set_aside(line, error.value, error.reason)

    def _rows(self) -> Iterable[tuple[int, dict[str, Any]]]:
        for line, cells in self.table.rows(self._set_unreadable_aside):
            self.tally.rows += 1
            yield line, cells

    def _set_unreadable_aside(self, line: int, value: object, reason: str) -> None:
        self.tally.rows += 1
        self._set_aside(line, value, reason)

    def _set_aside(self, line: int, value: object, reason: str) -> None:
        self.rejects.add(self.table.shown, line, value, reason)
