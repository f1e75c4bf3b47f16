"""The load of a complete source: what it no longer holds is retired, unless that is too much."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kgrec.config import FrozenModel
from kgrec.data.interactions.spool import InteractionSpool
from kgrec.data.rejects import Rejects
from kgrec.data.sources import Source
from kgrec.errors import RetirementError
from kgrec.graph.pages import user_pages
from kgrec.graph.store import GraphStore, Step
from kgrec.progress import SILENT, Progress
from kgrec.schema import load_schema
from kgrec.stages.loading.facts import FactChanges, Tally, batched
from kgrec.stages.loading.reading import PreparedSource
from kgrec.stages.loading.table import Completeness, TableLoad
from kgrec.stages.retiring.keeping import Interaction, Retirer

_NODES_A_STEP = 200
_OF_NODES = ("catalog", "users", "entities")
_INTERACTIONS_A_STEP = 5_000
_USERS_A_READ = 500
_IDS_A_PAGE = 10_000


class Vanishing(FrozenModel):
    """What a complete table no longer holds of what its source held before.

    Attributes:
        items, users, entities, facts, interactions: how many are gone; the facts of items that go,
            and what users that go did, not counted.
        of_items, of_users, of_entities, of_facts, of_interactions: of how many.
    """

    items: int = 0
    of_items: int = 0
    users: int = 0
    of_users: int = 0
    entities: int = 0
    of_entities: int = 0
    facts: int = 0
    of_facts: int = 0
    interactions: int = 0
    of_interactions: int = 0

    @property
    def share(self) -> float:
        """The largest of the shares that are gone."""
        return max(gone / max(every, 1) for _, gone, every in self._counts())

    @property
    def described(self) -> str:
        """The counts in words."""
        listed = [
            f"{gone:,} of {every:,} {name} ({gone / every:.0%})"
            for name, gone, every in self._counts()
            if gone
        ]
        return ", ".join(listed) or "nothing"

    def _counts(self) -> Iterator[tuple[str, int, int]]:
        for name in ("items", "users", "entities", "facts", "interactions"):
            yield name, getattr(self, name), getattr(self, f"of_{name}")


def vanishing(
    store: GraphStore, prepared: PreparedSource, *, progress: Progress = SILENT
) -> Vanishing:
    """Compare a complete table with what the graph holds of its source; nothing is written."""
    return _dry(store, prepared, "dry", progress)[0]


def load_complete(
    store: GraphStore,
    prepared: PreparedSource,
    run_id: str,
    rejects: Rejects,
    lines: int,
    progress: Progress = SILENT,
) -> tuple[Tally, TableLoad]:
    """Load a complete table, and retire what it no longer holds.

    Raises:
        RetirementError: more than `max_retired` of what it held would go.
    """
    source = prepared.source
    found, gone, left = _dry(store, prepared, run_id, progress)
    if found.share > source.max_retired:
        raise RetirementError(
            f"{source.title} no longer holds {found.described} of what it held before, and at "
            f"most {source.max_retired:.0%} may be retired by one load",
            value=f"{found.share:.0%}",
            remedy=f"If that is meant, give --max-retired {found.share:.2f} (`max_retired` of the "
            "source); if the file is only a part, leave --complete out.",
        )
    retirer = Retirer(store, run_id, source.title)
    follow = _Follower(retirer)
    rules = Completeness(lambda _: None, follow.steps, follow.interactions)
    load = TableLoad(store, prepared, run_id, rejects, lines, progress, rules)
    tally = load.run()
    emptied = load.empty_entities(gone) if source.kind == "entities" else load.empty_items(left)
    tally.withdrawn += emptied.withdrawn
    steps: Callable[[list[str]], list[Step]] = {
        "users": retirer.users,
        "entities": lambda part: retirer.descriptions(part, load.own_properties()),
    }.get(source.kind, retirer.items)
    with progress.task(f"retire {source.kind} of {source.title}", len(gone)) as task:
        for part in batched(gone, _NODES_A_STEP):
            store.write_all(steps(part))
            task.advance(len(part))
    tally.retired = len(gone) + follow.retired
    return tally, load


class _Follower:
    """Retires beside a load, or only counts."""

    def __init__(self, retirer: Retirer, *, dry: bool = False) -> None:
        self.retirer, self.dry = retirer, dry
        self.owned = self.withdrawn = self.retired = self.known = 0

    def steps(self, changes: FactChanges) -> list[Step]:
        self.owned += changes.owned
        self.withdrawn += changes.withdrawn
        return [] if self.dry else self.retirer.facts(changes.gone)

    def interactions(self, spool: InteractionSpool) -> None:
        for part in batched(self._gone(spool), _INTERACTIONS_A_STEP):
            self.retired += len(part)
            if not self.dry:
                self.retirer.store.write_all(self.retirer.interactions(part))

    def _gone(self, spool: InteractionSpool) -> Iterator[Interaction]:
        store, source = self.retirer.store, self.retirer.source
        for page in user_pages(store):
            for users in batched(page["ids"], _USERS_A_READ):
                rows = store.read("retiring/interactions_of_source", users=users, source=source)
                for one in Interaction.of_rows(rows):
                    self.known += 1
                    if not spool.has(one.user, one.item, one.kind, one.time):
                        yield one


def _dry(
    store: GraphStore, prepared: PreparedSource, run_id: str, progress: Progress
) -> tuple[Vanishing, list[str], list[str]]:
    """Return what is gone, the nodes of the source, and items of others that lose what it gave."""
    source, seen = prepared.source, set[str]()
    follow = _Follower(Retirer(store, run_id, source.title), dry=True)
    rules = Completeness(seen.add, follow.steps, follow.interactions, dry=True)
    with Rejects(None) as rejects:
        load = TableLoad(store, prepared, run_id, rejects, 0, progress, rules)
        load.run()
        held, partly = list(_own_nodes(store, source)), list[str]()
        if source.kind == "catalog":
            partly = list(_partly_own_items(store, source.title))
        gone, left = ([one for one in ids if one not in seen] for ids in (held, partly))
        load.empty_items(left)
        if source.kind == "entities":
            load.empty_entities(gone)
    name = {"catalog": "items"}.get(source.kind, source.kind)
    counts = {name: len(gone), f"of_{name}": len(held)} if source.kind in _OF_NODES else {}
    found = Vanishing(
        **counts,
        facts=follow.withdrawn,
        of_facts=follow.owned,
        interactions=follow.retired,
        of_interactions=follow.known,
    )
    return found, gone, left


def _own_nodes(store: GraphStore, source: Source) -> Iterator[str]:
    """Yield the ids of the items, users or entities that a source holds."""
    if source.kind == "catalog":
        yield from _pages(store, "retiring/items_of_source", _names(source.title))
    elif source.kind in _OF_NODES:
        labels, keys = load_schema().labels, load_schema().core.keys
        label = labels.user if source.kind == "users" else labels.entity
        slots, given = {"label": label, "key": keys[label]}, {"source": source.title}
        yield from _pages(store, "retiring/held_by", given, slots)


def _partly_own_items(store: GraphStore, source: str) -> Iterator[str]:
    given = {**_names(source), "origin": f"={source}"}
    return _pages(store, "retiring/items_partly_of_source", given)


def _names(source: str) -> dict[str, str]:
    return {"title": f"title={source}", "facts": f"column:{source}."}


def _pages(
    store: GraphStore, statement: str, given: dict[str, Any], slots: dict[str, str] | None = None
) -> Iterator[str]:
    after = ""
    while True:
        rows = store.read(statement, slots or {}, after=after, limit=_IDS_A_PAGE, **given)
        if not rows or not rows[0]["ids"]:
            return
        yield from rows[0]["ids"]
        after = max(rows[0]["ids"])
