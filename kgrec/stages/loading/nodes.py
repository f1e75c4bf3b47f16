"""Users, and entities with their links, into the graph; how properties are compared and sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kgrec.data.records import EntityRecord, UserRecord, Value
from kgrec.graph.pages import HELD_BY
from kgrec.graph.statements import plain
from kgrec.graph.store import GraphStore, Step
from kgrec.stages.loading.facts import (
    FactChanges,
    Head,
    Tally,
    created_entities,
    entity_steps,
    fact_changes,
    no_steps,
)

USERS_A_BATCH = 5_000
ENTITIES_A_BATCH = 2_000


def differs(properties: Mapping[str, Value], known: Mapping[str, Any] | None) -> bool:
    """Return whether the graph holds other values; what a row leaves out does not count."""
    if known is None:
        return True
    return any(plain(known.get(name)) != value for name, value in sendable(properties).items())


def sendable(properties: Mapping[str, Value]) -> dict[str, Any]:
    """Return properties as values that the driver accepts."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in properties.items()
    }


def _held(properties: Mapping[str, Any], known: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return properties with the mark of the complete source that holds a node; it may empty them.

    A node that another complete source holds stays its own.
    """
    holder = known.get(HELD_BY)
    left = {n: value for n, value in properties.items() if value is not None or holder == source}
    return {**left, HELD_BY: source} if holder in (None, source) else left


def _lacked(entity: EntityRecord, known: Mapping[str, Any]) -> EntityRecord:
    """Return an entity without what a row of a merged one holds and the graph knows."""
    held = {name for name in entity.filling if known.get(name) is not None}
    left = {name: value for name, value in entity.properties.items() if name not in held}
    return replace(entity, properties=left)


@dataclass(frozen=True)
class UserLoader:
    """Writes users.

    Args:
        held_by: the complete source that holds them, "" for one that is not complete.
        dry: whether changes are only counted.
    """

    store: GraphStore
    held_by: str = ""
    dry: bool = False

    def write(self, batch: Sequence[tuple[int, UserRecord]]) -> Tally:
        """Write users with distinct ids in one transaction; unchanged ones are not written.

        Args:
            batch: line and user.
        """
        users = [user for _, user in batch]
        marks = {HELD_BY} if self.held_by else set()
        names = sorted({name for user in users for name in user.properties} | marks)
        ids = [user.user_id for user in users]
        known: dict[str, dict[str, Any]] = {
            row["user_id"]: dict(zip(names, row["values"], strict=True))
            for row in self.store.read("ingest/users", users=ids, properties=names)
        }
        if self.held_by:
            held = [
                _held(one.properties, known.get(one.user_id, {}), self.held_by) for one in users
            ]
            users = [replace(u, properties=h) for u, h in zip(users, held, strict=True)]
        changed = [user for user in users if differs(user.properties, known.get(user.user_id))]
        if changed and not self.dry:
            rows = [
                {"user_id": user.user_id, "properties": sendable(user.properties)}
                for user in changed
            ]
            self.store.write("ingest/upsert_users", rows=rows)
        created = len(users) - len(known)
        updated = len(changed) - created
        return Tally(created=created, updated=updated, unchanged=len(known) - updated)


@dataclass(frozen=True)
class EntityLoader:
    """Writes entities and their links.

    Args:
        run_id: the run whose links these are.
        held_by, dry: as of `UserLoader`.
        follow: as of `ItemLoader`.
    """

    store: GraphStore
    run_id: str
    held_by: str = ""
    follow: Callable[[FactChanges], list[Step]] = no_steps
    dry: bool = False

    def write(self, batch: Sequence[tuple[int, EntityRecord]]) -> Tally:
        """Write entities with distinct ids in one transaction; unchanged ones are not written.

        Args:
            batch: line and entity.
        """
        entities = [entity for _, entity in batch]
        marks = {HELD_BY} if self.held_by else set()
        names = sorted({name for entity in entities for name in entity.properties} | marks)
        ids = [entity.node.id for entity in entities]
        known: dict[str, dict[str, Any]] = {
            row["entity_id"]: dict(zip(names, row["values"], strict=True))
            for row in self.store.read("ingest/entities", entities=ids, properties=names)
        }
        if self.held_by:
            held = [_held(e.properties, known.get(e.node.id, {}), self.held_by) for e in entities]
            entities = [replace(e, properties=h) for e, h in zip(entities, held, strict=True)]
        entities = [
            _lacked(one, known.get(one.node.id, {})) if one.filling else one for one in entities
        ]
        changed = [one for one in entities if differs(one.properties, known.get(one.node.id))]
        withdraw: dict[Head, frozenset[str]] = {
            ("entity", one.node.id): one.sources for one in entities if one.node.id in known
        }
        links = [link for one in entities for link in one.links]
        changes = fact_changes(
            self.store, links, self.run_id, withdraw=withdraw, ends=(("entity", "entity"),)
        )
        rows = [
            {"entity_id": one.node.id, "properties": sendable(one.properties)} for one in changed
        ]
        new = [one.node for one in entities if one.node.id not in known]
        steps = entity_steps(new)
        if rows:
            steps.append(("ingest/set_entities", {}, {"rows": rows}))
        steps += [*changes.steps, *self.follow(changes)]
        tally = Tally(created=len(new), links=changes.written, withdrawn=changes.withdrawn)
        touched = {one.node.id for one in changed} | {one for _, one in changes.heads}
        tally.updated = len(touched - {node.id for node in new})
        tally.unchanged = len(entities) - tally.created - tally.updated
        if steps and not self.dry:
            # Those of the table are created first; links create what else they name.
            answers = self.store.write_all(steps)
            tally.entities = max(0, created_entities(steps, answers) - len(new))
        return tally
