"""Items into the graph, with their facts, a batch while the next is compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from kgrec.data.records import TEXT_SOURCE, ItemRecord
from kgrec.deadline import in_thread
from kgrec.errors import GraphConstraintError
from kgrec.graph.store import GraphStore, Step
from kgrec.stages.loading.facts import (
    FactChanges,
    Tally,
    created_entities,
    fact_changes,
    no_steps,
    written_alone,
)
from kgrec.stages.loading.nodes import differs, sendable

ITEMS_A_BATCH = 2_000
OF_ANOTHER_DOMAIN = "the id belongs to an item of another domain"
ORIGINS = "origins"
"""The property of an item that names the source of each other one, as `title=films`."""
EVIDENCE = "evidence"
"""The property of an item that has the words of a text for each one that a text gave."""

Refuse = Callable[[int, object, str], None]
"""Called with the line, the value and the reason of a record that cannot be written."""


@dataclass(frozen=True, slots=True)
class _Known:
    labels: Sequence[str]
    properties: Mapping[str, Any]


_Line = tuple[int, ItemRecord]


@dataclass(frozen=True)
class _Changes:
    """What one batch of items changes.

    Attributes:
        lines: those that are not refused.
        steps: for `GraphStore.write_all`.
        touched: ids of items that change.
        alone: whether items are created that must not be there.
        facts_alone: how many facts of such items must be created.
    """

    lines: Sequence[_Line]
    tally: Tally
    steps: list[Step]
    touched: set[str]
    alone: bool
    facts_alone: int


_UnderWay = tuple[_Changes, "Future[int | None]"]


@dataclass(frozen=True)
class ItemLoader:
    """Writes items of one domain.

    Args:
        item_type: the item label of the domain.
        run_id: the run whose facts these are.
        refuse: called for each record that cannot be written.
        source: what the table is called; each property of an item names the source that gave it.
        guessed: properties whose columns were guessed; they replace none of another source.
        spare: called for each property that is left as another source gave it.
        complete: whether the table holds all of its source, so that what a row leaves empty and
            the source gave before is gone.
        follow: steps of the same transaction that changes of facts bring with them.
        dry: whether changes are only counted.
    """

    store: GraphStore
    item_type: str
    run_id: str
    refuse: Refuse
    source: str
    guessed: frozenset[str] = frozenset()
    spare: Refuse = lambda line, value, reason: None
    complete: bool = False
    follow: Callable[[FactChanges], list[Step]] = no_steps
    dry: bool = False

    def write(self, batches: Iterable[Sequence[_Line]]) -> Iterator[Tally]:
        """Write items with distinct ids, one transaction a batch; yield the counts of each batch.

        Unchanged items are not written. While one batch is written, the next is compared with the
        graph.

        Args:
            batches: of lines and items.
        """
        under_way: _UnderWay | None = None
        with ThreadPoolExecutor(1) as writer:
            for batch in batches:
                changes = self._changes(batch)
                if under_way is not None:
                    yield self._written(*under_way)
                under_way = changes, in_thread(writer, self._store, changes)
            if under_way is not None:
                yield self._written(*under_way)

    def _changes(self, batch: Sequence[_Line], *, merge: bool = False) -> _Changes:
        """Compare items with the graph.

        Args:
            merge: whether items and facts that are not there are looked for again where they are
                written.
        """
        names = sorted({name for _, item in batch for name in item.properties})
        known = self._known([item.item_id for _, item in batch], [*names, ORIGINS, EVIDENCE])
        lines = [
            (line, self._own(line, item, known.get(item.item_id)))
            for line, item in batch
            if self._is_writable(line, item, known)
        ]
        items = [item for _, item in lines]
        new = [item.item_id for item in items if item.item_id not in known]
        changes = fact_changes(
            self.store,
            (fact.link for item in items for fact in item.facts),
            self.run_id,
            withdraw={("item", one.item_id): one.sources for one in items if one.item_id in known},
            fresh=() if merge else {("item", item_id) for item_id in new},
        )
        values = {item_id: found.properties for item_id, found in known.items()}
        changed = [item for item in items if differs(item.properties, values.get(item.item_id))]
        tally = Tally(facts=changes.written, withdrawn=changes.withdrawn, created=len(new))
        touched = {item.item_id for item in changed} | {item for _, item in changes.heads}
        tally.updated = len(touched - set(new))
        tally.unchanged = len(items) - tally.created - tally.updated
        given = self._item_steps(new, changed, values, merge=merge)
        steps = [*given, *changes.steps, *self.follow(changes)]
        if changes.losing:
            # A withdrawn fact may have replaced one that the text states as well: read it again.
            losing = sorted(item for _, item in changes.losing)
            steps.append(("ingest/read_again", {}, {"items": losing}))
        alone = bool(new) and not merge
        return _Changes(lines, tally, steps, touched, alone, changes.created_alone)

    def _store(self, changes: _Changes) -> int | None:
        """Write a batch; return how many entities it created, None where others were quicker."""
        if not changes.steps or self.dry:
            return 0
        try:
            answers = self.store.write_all(changes.steps, changes.touched)
        except GraphConstraintError:
            if not changes.alone:
                raise
            return None
        if written_alone(changes.steps, answers) != changes.facts_alone:
            return None
        return created_entities(changes.steps, answers)

    def _written(self, changes: _Changes, stored: Future[int | None]) -> Tally:
        entities = stored.result()
        if entities is None:
            # Others created one of its items, or deleted one of its entities, in the meantime.
            changes = self._changes(changes.lines, merge=True)
            entities = self._store(changes)
        changes.tally.entities = entities or 0
        return changes.tally

    def _known(self, ids: list[str], names: list[str]) -> dict[str, _Known]:
        rows = self.store.read("ingest/items", items=ids, properties=names)
        return {
            row["item_id"]: _Known(row["labels"], dict(zip(names, row["values"], strict=True)))
            for row in rows
        }

    def _is_writable(self, line: int, item: ItemRecord, known: Mapping[str, _Known]) -> bool:
        found = known.get(item.item_id)
        if found is None and "title" not in item.properties:
            reason = "title is missing, and there is no such item yet"
            self.refuse(line, item.item_id, reason)
            return False
        if found is not None and self.item_type not in found.labels:
            self.refuse(line, item.item_id, OF_ANOTHER_DOMAIN)
            return False
        return True

    def _own(self, line: int, item: ItemRecord, known: _Known | None) -> ItemRecord:
        """Return an item without guessed properties that another source gave otherwise."""
        item = self._emptied(item, known) if self.complete else item
        item = self._filling(item, known) if item.filling and known is not None else item
        if known is None or not self.guessed & item.properties.keys():
            return item
        origins = _origins(known.properties)
        kept = {
            name
            for name in self.guessed & item.properties.keys()
            if origins.get(name, self.source) not in (self.source, TEXT_SOURCE)
            and differs({name: item.properties[name]}, known.properties)
        }
        for name in sorted(kept):
            reason = (
                f"the {name} that {origins[name]} gave is kept, as this column is guessed; "
                f"--column {name}=COLUMN replaces it"
            )
            self.spare(line, item.properties[name], reason)
        left = {name: value for name, value in item.properties.items() if name not in kept}
        return replace(item, properties=left) if kept else item

    def _filling(self, item: ItemRecord, known: _Known) -> ItemRecord:
        """Return an item without what is of a merged one, where another source gave its own."""
        origins = _origins(known.properties)
        kept = {
            name
            for name in item.filling
            if known.properties.get(name) is not None
            and origins.get(name) not in (self.source, TEXT_SOURCE)
        }
        left = {name: value for name, value in item.properties.items() if name not in kept}
        return replace(item, properties=left)

    def _emptied(self, item: ItemRecord, known: _Known | None) -> ItemRecord:
        """Return an item that empties only what its own source gave before."""
        origins = _origins(known.properties) if known is not None else {}
        given: Mapping[str, Any] = item.properties
        properties = {
            name: value
            for name, value in given.items()
            if value is not None or origins.get(name) == self.source
        }
        return replace(item, properties=properties)

    def _item_steps(
        self,
        new: Sequence[str],
        changed: Sequence[ItemRecord],
        values: Mapping[str, Mapping[str, Any]],
        *,
        merge: bool,
    ) -> list[Step]:
        rows: list[dict[str, Any]] = []
        whole: list[dict[str, Any]] = []
        unknown = set() if merge else set(new)
        for item in changed:
            origins = _origins(values.get(item.item_id, {}))
            origins |= dict.fromkeys(item.properties, self.source)
            gone = {name for name, value in item.properties.items() if value is None}
            kept = {name for name in origins if not (self.complete and name in gone)}
            named = sorted(f"{name}={origins[name]}" for name in kept)
            properties = {**sendable(item.properties), ORIGINS: named}
            if words := values.get(item.item_id, {}).get(EVIDENCE):
                mine = item.properties.keys()
                properties[EVIDENCE] = [one for one in words if one.partition("=")[0] not in mine]
            place = whole if item.item_id in unknown else rows
            place.append({"item_id": item.item_id, "properties": properties})
        steps: list[Step] = []
        label = {"item_type": self.item_type}
        if whole:
            steps.append(("ingest/create_whole_items", label, {"rows": whole}))
        elif new:
            steps.append(("ingest/create_items", label, {"items": new}))
        if rows:
            steps.append(("ingest/set_items", {}, {"rows": rows}))
        hidden = [item.item_id for item in changed if item.properties.get("available") is False]
        if hidden:
            steps.append(("recommend/delete_recommended_items", {}, {"items": hidden}))
        return steps


def _origins(properties: Mapping[str, Any]) -> dict[str, str]:
    """Return the sources of an item's properties, by property."""
    return pairs_of(properties.get(ORIGINS))


def pairs_of(given: Sequence[str] | None) -> dict[str, str]:
    """Return what a list of `name=value` has of each name."""
    pairs = (one.partition("=") for one in given or ())
    return {name: value for name, _, value in pairs}
