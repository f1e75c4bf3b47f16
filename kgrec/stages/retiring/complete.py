"""The load of a complete source: what it no longer holds is retired, unless that is too much."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kgrec.config import FrozenModel
from kgrec.data.interactions.spool import InteractionSpool
from kgrec.data.rejects import Rejects
from kgrec.errors import RetirementError
from kgrec.graph.pages import user_pages
from kgrec.graph.store import GraphStore, Step
from kgrec.progress import SILENT, Progress
from kgrec.stages.loading.facts import FactChanges, Tally, batched
from kgrec.stages.loading.table import Completeness, PreparedSource, TableLoad
from kgrec.stages.retiring.keeping import Interaction, Retirer

_ITEMS_A_STEP = 200
_INTERACTIONS_A_STEP = 5_000
_USERS_A_READ = 500
_IDS_A_PAGE = 10_000


class Vanishing(FrozenModel):
    """What a complete table no longer holds of what its source held before.

    Attributes:
        items, facts, interactions: how many are gone; the facts of items that go not counted.
        of_items, of_facts, of_interactions: of how many.
    """

    items: int = 0
    of_items: int = 0
    facts: int = 0
    of_facts: int = 0
    interactions: int = 0
    of_interactions: int = 0

    @property
    def share(self) -> float:
        """The largest of the shares of items, facts and interactions that are gone."""
        counts = (
            (self.items, self.of_items),
            (self.facts, self.of_facts),
            (self.interactions, self.of_interactions),
        )
        return max(gone / max(every, 1) for gone, every in counts)

    @property
    def described(self) -> str:
        """The counts in words."""
        counts = {
            "items": (self.items, self.of_items),
            "facts": (self.facts, self.of_facts),
            "interactions": (self.interactions, self.of_interactions),
        }
        listed = [
            f"{gone:,} of {every:,} {name} ({gone / every:.0%})"
            for name, (gone, every) in counts.items()
            if gone
        ]
        return ", ".join(listed) or "nothing"


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
        RetirementError: more than `max_retired` of its items, facts or interactions would go.
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
    emptied = load.empty_items(left)
    tally.withdrawn += emptied.withdrawn
    with progress.task(f"retire items of {source.title}", len(gone)) as task:
        for part in batched(gone, _ITEMS_A_STEP):
            store.write_all(retirer.items(part))
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
    """Return what is gone, the items of the source, and those of others that lose what it gave."""
    source, seen = prepared.source, set[str]()
    follow = _Follower(Retirer(store, run_id, source.title), dry=True)
    rules = Completeness(seen.add, follow.steps, follow.interactions, dry=True)
    with (
        tempfile.TemporaryDirectory(prefix="kgrec-") as folder,
        Rejects(Path(folder) / "rejects.jsonl") as rejects,
    ):
        load = TableLoad(store, prepared, run_id, rejects, 0, progress, rules)
        load.run()
        is_catalog = source.kind == "catalog"
        held = list(_own_items(store, source.title)) if is_catalog else []
        partly = list(_partly_own_items(store, source.title)) if is_catalog else []
        gone, left = ([one for one in ids if one not in seen] for ids in (held, partly))
        load.empty_items(left)
    found = Vanishing(
        items=len(gone),
        of_items=len(held),
        facts=follow.withdrawn,
        of_facts=follow.owned,
        interactions=follow.retired,
        of_interactions=follow.known,
    )
    return found, gone, left


def _own_items(store: GraphStore, source: str) -> Iterator[str]:
    return _pages(store, "retiring/items_of_source", _names(source))


def _partly_own_items(store: GraphStore, source: str) -> Iterator[str]:
    given = {**_names(source), "origin": f"={source}"}
    return _pages(store, "retiring/items_partly_of_source", given)


def _names(source: str) -> dict[str, str]:
    return {"title": f"title={source}", "facts": f"column:{source}."}


def _pages(store: GraphStore, statement: str, given: dict[str, Any]) -> Iterator[str]:
    after = ""
    while True:
        rows = store.read(statement, after=after, limit=_IDS_A_PAGE, **given)
        if not rows or not rows[0]["ids"]:
            return
        yield from rows[0]["ids"]
        after = max(rows[0]["ids"])
