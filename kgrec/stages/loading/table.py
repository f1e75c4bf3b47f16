"""The load of one table: its rows as records, batch by batch, to the loader of their kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from kgrec.data.interactions.spool import InteractionSpool
from kgrec.data.parsing import Report
from kgrec.data.records import (
    EntityRecord,
    ItemRecord,
    Node,
    UserRecord,
)
from kgrec.data.rejects import Rejects
from kgrec.data.spool import LinkSpool
from kgrec.graph.redirects import redirects_of
from kgrec.graph.store import GraphStore, Step
from kgrec.progress import Progress
from kgrec.stages.loading.facts import FactChanges, Tally, batched, no_steps
from kgrec.stages.loading.interactions import InteractionLoader
from kgrec.stages.loading.items import ITEMS_A_BATCH, ItemLoader
from kgrec.stages.loading.links import LinkLoader
from kgrec.stages.loading.nodes import ENTITIES_A_BATCH, USERS_A_BATCH, EntityLoader, UserLoader
from kgrec.stages.loading.reading import Parse, PreparedSource, RecordT, TableReading


@dataclass(frozen=True)
class Completeness:
    """What the load of a complete table does beside loading.

    Attributes:
        on_node: called with the id of each item, user or entity that the table holds.
        follow: see `ItemLoader`.
        on_interactions: called with all interactions of the table, after they are written.
        dry: whether nothing is written.
    """

    on_node: Callable[[str], None]
    follow: Callable[[FactChanges], list[Step]]
    on_interactions: Callable[[InteractionSpool], None]
    dry: bool = False


class TableLoad:
    """The load of one table.

    Args:
        complete: of a source that is declared complete.
    """

    def __init__(
        self,
        store: GraphStore,
        prepared: PreparedSource,
        run_id: str,
        rejects: Rejects,
        lines: int,
        progress: Progress,
        complete: Completeness | None = None,
    ) -> None:
        self.store = store
        self.complete = complete
        self.source = prepared.source
        self.item_type = prepared.domain.item_label
        self.run_id = run_id
        self.progress = progress
        self.domain = prepared.domain
        self.redirects = redirects_of(store)
        self.reading = TableReading(prepared, rejects, lines, progress, self.redirects)
        self.parser = self.reading.parser

    def run(self) -> Tally:
        tally = {
            "catalog": self._items,
            "users": self._users,
            "interactions": self._interactions,
            "entities": self._entities,
            "relations": self._links,
        }[self.source.kind]()
        tally.rows = self.reading.rows
        return tally

    def _items(self) -> Tally:
        parse = self._item if self.complete is None else self._whole_item
        write = self._item_loader().write
        return self._load(parse, lambda one: one.item_id, write, ITEMS_A_BATCH)

    def _item_loader(self) -> ItemLoader:
        rules = self.complete
        return ItemLoader(
            self.store,
            self.item_type,
            self.run_id,
            self.reading.set_aside,
            source=self.source.title,
            guessed=self.parser.plan.guessed,
            spare=self.reading.set_cell_aside,
            complete=rules is not None,
            follow=no_steps if rules is None else rules.follow,
            dry=rules is not None and rules.dry,
        )

    def _item(self, cells: dict[str, Any], report: Report) -> ItemRecord:
        return self.redirects.item(self.parser.item(cells, report))

    def _whole_item(self, cells: dict[str, Any], report: Report) -> ItemRecord:
        """Return an item that empties what its row leaves empty."""
        item = self._item(cells, report)
        if self.complete is not None:
            self.complete.on_node(item.item_id)
        nothing = self._nothing_of(item.item_id)
        properties = {**nothing.properties, **item.properties}
        filling = frozenset(properties) if item.merged else item.filling
        return replace(item, properties=properties, sources=nothing.sources, filling=filling)

    def _nothing_of(self, item_id: str) -> ItemRecord:
        """Return an item of which the table holds nothing but the id."""
        plan = self.parser.plan
        names = [role.becomes for role in plan.properties]
        names += ["description"] if plan.column("description") else []
        nothing: dict[str, Any] = dict.fromkeys(names)  # Cypher removes what is set to null
        return ItemRecord(item_id, nothing, sources=self._sources)

    def empty_items(self, ids: Iterable[str]) -> Tally:
        """Take out of items what their source gave before and no longer holds a row of."""
        tally = Tally()
        nothing = ((0, self._nothing_of(each)) for each in ids)
        for part in self._item_loader().write(batched(nothing, ITEMS_A_BATCH)):
            tally.add(part)
        return tally

    def empty_entities(self, ids: Iterable[str]) -> Tally:
        """Take the links of entities that their source no longer holds a row of."""
        tally, loader = Tally(), self._entity_loader()
        for part in batched(ids, ENTITIES_A_BATCH):
            gone = [EntityRecord(Node("entity", each), {}, (), self._sources) for each in part]
            tally.add(loader.write([(0, one) for one in gone]))
        return tally

    def _users(self) -> Tally:
        rules = self.complete
        held_by = "" if rules is None else self.source.title
        loader = UserLoader(self.store, held_by, dry=rules is not None and rules.dry)
        parse = self.parser.user if rules is None else self._whole_user
        write = partial(map, loader.write)
        return self._load(parse, lambda one: one.user_id, write, USERS_A_BATCH)

    def _whole_user(self, cells: dict[str, Any], report: Report) -> UserRecord:
        user = self.parser.user(cells, report)
        if self.complete is not None:
            self.complete.on_node(user.user_id)
        return replace(user, properties={**self._empty(), **user.properties})

    def _entities(self) -> Tally:
        loader = self._entity_loader()
        parse = self._entity if self.complete is None else self._whole_entity
        write = partial(map, loader.write)
        return self._load(parse, lambda one: one.node.id, write, ENTITIES_A_BATCH)

    def _entity_loader(self) -> EntityLoader:
        rules = self.complete
        if rules is None:
            return EntityLoader(self.store, self.run_id)
        return EntityLoader(self.store, self.run_id, self.source.title, rules.follow, rules.dry)

    def _entity(self, cells: dict[str, Any], report: Report) -> EntityRecord:
        return self.redirects.entity(self.parser.entity(cells, report))

    def _whole_entity(self, cells: dict[str, Any], report: Report) -> EntityRecord:
        entity = self._entity(cells, report)
        if self.complete is not None:
            self.complete.on_node(entity.node.id)
        properties = {**self._empty(), **entity.properties}
        filling = frozenset(properties) if entity.merged else entity.filling
        return replace(entity, properties=properties, sources=self._sources, filling=filling)

    @property
    def _sources(self) -> frozenset[str]:
        """What the table may hold facts or links of a node as."""
        return frozenset(one.source for one in self.parser.plan.relations)

    def _empty(self) -> dict[str, Any]:
        """Return the properties of the table without values; Cypher removes what is null."""
        return dict.fromkeys(self.own_properties())

    def own_properties(self) -> list[str]:
        """Return the properties that the table has columns of, the name of an entity left out."""
        plan = self.parser.plan
        names = [role.becomes for role in plan.properties]
        return [*names, *(["aliases"] if plan.column("aliases") else [])]

    def _load(
        self,
        parse: Parse[RecordT],
        key: Callable[[RecordT], str],
        write: Callable[[Iterable[list[tuple[int, RecordT]]]], Iterator[Tally]],
        size: int,
    ) -> Tally:
        tally = Tally()
        with self.progress.task(f"load {self.source.title}", self.reading.lines) as task:
            for part in write(batched(self.reading.records(task, parse, key), size)):
                tally.add(part)
        tally.repeated = self.reading.joined
        return tally

    def _interactions(self) -> Tally:
        tally, title = Tally(), self.source.title
        loader = InteractionLoader(
            self.store, self.item_type, self.source.create_items, self.reading.set_aside
        )
        loader.source = title if self.complete is not None else ""
        with InteractionSpool(self.redirects.items) as spool:
            self.reading.interactions(spool)
            distinct = len(spool)
            tally.repeated = spool.received - distinct
            if self.complete is None or not self.complete.dry:
                with self.progress.task(f"load {title}", distinct) as task:
                    for part in loader.write(spool):
                        tally.add(part)
                        task.advance(part.created + part.updated + part.unchanged)
            if self.complete is not None:
                self.complete.on_interactions(spool)
        return tally

    def _links(self) -> Tally:
        tally, title = Tally(), self.source.title
        names = [self.source.relation] if self.source.relation else list(self.domain.relations)
        core, refuse = self.reading.core, self.reading.set_aside
        ends = dict.fromkeys(core.ends_of(self.domain.relations[name]) for name in names)
        loader = LinkLoader(self.store, self.item_type, self.run_id, tuple(ends), refuse)
        with LinkSpool() as spool:
            spool.add(self.reading.links())
            distinct = len(spool)
            tally.repeated = spool.received - distinct
            with self.progress.task(f"load {title}", distinct) as task:
                for part in loader.write(spool):
                    tally.add(part)
                    task.advance(part.created + part.updated + part.unchanged)
        return tally
