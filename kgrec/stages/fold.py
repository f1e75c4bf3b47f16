"""Fold: items that came, or changed, after the training into the live model, without a training.

Which items these are is found in the graph alone: those that the model does not know, or knows by
another text or other facts, and that are not folded in as they are now. So nothing is lost where a
run is killed; the next one finds the same items. Their parts are written to a file beside the
model, then their vectors and suggestions to the graph, and last the name of the file to the model's
node, by which every server sees them. A process that follows looks at the items alone that the last
changes of the catalogue were confined to, while the graph names all of these.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgrec.config import FrozenModel, parse_config
from kgrec.data.selection import Selection
from kgrec.errors import KGRecError, ModelError
from kgrec.graph.pages import item_id_pages
from kgrec.graph.setup import check_whole
from kgrec.graph.store import CATALOGUE, GraphStore, Step
from kgrec.model.folding.extension import folded_suggestions, folded_vectors, longest_vector
from kgrec.model.folding.files import load_folded, load_folding, save_folded
from kgrec.model.folding.inductive import Encode, Folding, marks_of
from kgrec.model.folding.overlay import FoldedItems, fold_items, revise_items
from kgrec.model.storage import load_team
from kgrec.model.team import Team
from kgrec.progress import SILENT, Progress
from kgrec.stages.item_texts import ItemTexts
from kgrec.stages.new_items import chosen_of, read_items

logger = logging.getLogger("kgrec.fold")

ROWS_A_WRITE = 500
LOOK_S = 0.25
RESTS_S = (1.0, 60.0)
"""Seconds between two looks at the graph, and after one that failed, at first and at most."""
_RESTS_FOR = 1.0
"""A search of the trained items for changes is followed by a rest of so many times its length."""
_TEXT = 8
"""Digits of a mark that stand for the text."""


class FoldConfig(FrozenModel):
    """How items are folded in.

    Attributes:
        extract: whether their texts are read for facts first.
        suggests_per_item: maximum number of suggestions of each agent from an item, and to it.
    """

    extract: bool = True
    suggests_per_item: int = 20


class FoldSummary(FrozenModel):
    """What a run did.

    Attributes:
        model_id: the live model; None where there is none.
        folded: how many items were folded in, or again because they changed.
        revised: how many trained items were folded in because they changed.
        removed: how many folded items the graph no longer has.
        total: how many are folded in now.
        facts: how many facts and links were found in their texts.
        problem: why nothing can be folded in; empty where it can.
    """

    model_id: str | None = None
    folded: int = 0
    revised: int = 0
    removed: int = 0
    total: int = 0
    facts: int = 0
    problem: str = ""
    seconds: float = 0.0

    @property
    def changed(self) -> bool:
        """Whether the folded items are others now."""
        return bool(self.folded or self.revised or self.removed)


@dataclass(frozen=True, eq=False)
class _Model:
    """The live model, as far as folding needs it."""

    model_id: str
    slot: str
    team: Team
    folding: Folding | None
    selection: Selection
    encode: Encode
    square: float


class Folder:
    """Folds items in, again and again: models, names and encoder stay in memory.

    Args:
        store: the graph.
        home: models and vectors of texts are kept below it.
        own_process: whether the process does nothing else; then spaCy is imported without torch,
            which no layer of our pipelines needs, and is ready in half the time.
    """

    def __init__(
        self,
        store: GraphStore,
        home: Path,
        config: FoldConfig | None = None,
        *,
        own_process: bool = False,
    ) -> None:
        self.store, self.home = store, home
        self.config = config or FoldConfig()
        self._texts = ItemTexts(store, home, own_process=own_process)
        self._model: _Model | None = None
        self._folded = ("", FoldedItems())
        self._rests_until = 0.0

    def warm_up(self) -> None:
        """Load the model and what reads texts, before the first item comes."""
        rows = self.store.read("recommend/live_model")
        model = self._live(rows[0]) if rows else None
        if model is None or model.folding is None:
            return
        try:
            model.encode(["A first text."])
            if self.config.extract and model.selection.domain is not None:
                self._texts.reading(model.selection.domain)
        except (ModelError, ImportError) as error:
            logger.warning("texts of new items cannot be read: %s", error)

    def moment(self) -> tuple[Any, ...]:
        """Return model and revision of the catalogue: while they stay, there is nothing to do."""
        [row] = self.store.read("recommend/state", user_id="", revision=CATALOGUE)
        return row["model_id"], row["slot"], row["folded"], row["revision"]

    def follow(self, goes_on: Callable[[], bool]) -> None:
        """Fold in what comes, as long as `goes_on`; failures are logged, and tried again."""
        seen: tuple[Any, ...] = ()
        warm, waits, rest, named = False, False, RESTS_S[0], None
        while goes_on():
            try:
                now, due = self.moment(), time.monotonic() >= self._rests_until
                if now != seen or (waits and due):
                    items = None if waits and due else self._touched(seen, now)
                    done = self.run(trained=due or items is not None, items=items)
                    if done.changed:
                        count = done.folded + done.revised
                        logger.info("%d items folded in, %d removed", count, done.removed)
                    seen, waits = now, waits if items is not None else not due
                elif named != now[-1] and self._texts.renew():  # no change waits for the names
                    named = now[-1]
                if not warm:
                    warm = True
                    self.warm_up()
                    continue
                rest = RESTS_S[0]
                time.sleep(LOOK_S)
            except (KGRecError, ImportError) as error:
                logger.warning("items wait to be folded in: %s", error)
                time.sleep(rest)
                rest = min(2 * rest, RESTS_S[1])

    def _touched(self, seen: tuple[Any, ...], now: tuple[Any, ...]) -> frozenset[str] | None:
        """Return the only items that have changed between two moments; None where others may."""
        if seen[:2] != now[:2] or None in (seen[-1], now[-1]):
            return None
        row = self.store.read("recommend/changes", revision=CATALOGUE, seen=seen[-1])
        pairs = [each.partition(" ") for each in row[0]["items"]] if row else None
        if pairs is None:
            return None
        changed = frozenset(item for number, _, item in pairs if int(number) > seen[-1])
        return changed | self._texts.unread

    def run(
        self,
        progress: Progress = SILENT,
        *,
        trained: bool = True,
        items: Collection[str] | None = None,
    ) -> FoldSummary:
        """Fold in what is not folded in as it is now.

        Args:
            trained: whether trained items are searched for changes too, which reads the texts and
                facts of all of them.
            items: the only ones that are looked at; all when absent.

        Raises:
            ModelError: the model is damaged, or its text encoder fails.
            GraphError: an import into the graph is unfinished, and the kinds below it.
        """
        check_whole(self.store)
        begun = time.perf_counter()
        rows = self.store.read("recommend/live_model")
        if not rows:
            return FoldSummary(problem="no model is live")
        model = self._live(rows[0])
        if model.folding is None:
            return FoldSummary(model_id=model.model_id, problem=_OLD)
        name = rows[0]["folded"] or ""
        ids = list(self._item_ids(model) if items is None else items)
        new = [each for each in ids if each not in model.team.items]
        done, name = self._fold_new(model, model.folding, new, name, items, progress)
        if trained and model.folding.marks:
            started = time.monotonic()
            old = [each for each in ids if each in model.team.items]
            done = self._fold_changed(model, model.folding, old, name, items, done, progress)
            if items is None:
                took = time.monotonic() - started
                self._rests_until = started + (1 + _RESTS_FOR) * took
        return done.model_copy(update={"seconds": time.perf_counter() - begun})

    def _fold_new(
        self,
        model: _Model,
        folding: Folding,
        new: Sequence[str],
        name: str,
        items: Collection[str] | None,
        progress: Progress,
    ) -> tuple[FoldSummary, str]:
        """Fold in items that the training did not know; also return what is folded in then."""
        known = self._known(model, name)
        facts = self._extract(model, new, progress)
        data = read_items(self.store, new, model.selection)
        marks = dict(zip(data.items.ids, marks_of(data), strict=True))
        before = dict(zip(known.ids, known.marks, strict=True))
        changed = [each for each in data.items.ids if before.get(each) != marks[each]]
        own = {each for each in known.ids if each not in model.team.items}
        gone = sorted((own if items is None else own & set(items)) - marks.keys())
        if changed or gone:
            left = {*changed, *gone}
            kept = known.only([each for each in known.ids if each not in left])
            part = chosen_of(self.store, data, changed)
            with progress.task("fold items in", len(changed)) as task:
                now = [marks[each] for each in changed]
                fresh = fold_items(model.team, folding, part, model.encode, now)
                task.advance(len(changed))
            name = self._write(model, kept.and_others(fresh), changed, gone, name)
        done = FoldSummary(
            model_id=model.model_id,
            folded=len(changed),
            removed=len(gone),
            total=len((own | marks.keys()) - set(gone)),
            facts=facts,
        )
        return done, name

    def _fold_changed(
        self,
        model: _Model,
        folding: Folding,
        trained: Sequence[str],
        name: str,
        items: Collection[str] | None,
        done: FoldSummary,
        progress: Progress,
    ) -> FoldSummary:
        """Fold in trained items whose text or facts have changed; return what was done in all."""
        known = self._known(model, name)
        first = dict(zip(model.team.items.ids, folding.marks, strict=True))
        before = first | dict(zip(known.ids, known.marks, strict=True))
        data = read_items(self.store, trained, model.selection)
        marks = dict(zip(data.items.ids, marks_of(data), strict=True))
        moved = [each for each in data.items.ids if marks[each] != before[each]]
        rewritten = [e for e in moved if marks[e][:_TEXT] != before[e][:_TEXT]]
        facts = self._extract(model, rewritten, progress)
        if rewritten:
            data = read_items(self.store, moved, model.selection)
            marks |= zip(data.items.ids, marks_of(data), strict=True)
        left = self._texts.unread  # as they were until they are read, so that nothing is lost
        changed = [
            each
            for each in data.items.ids
            if each not in left and marks[each] not in (before[each], first[each])
        ]
        again = [
            e
            for e in known.ids
            if e in first and marks.get(e, first[e]) == first[e] and (items is None or e in items)
        ]
        if changed or again:
            fresh_ids = {*changed, *again}
            kept = known.only([each for each in known.ids if each not in fresh_ids])
            own = [marks[each] for each in changed]
            part = chosen_of(self.store, data, changed)
            fresh = revise_items(model.team, folding, part, model.encode, own)
            self._write(model, kept.and_others(fresh), changed, again, name)
        counts = {"facts": done.facts + facts, "revised": len(changed)}
        return done.model_copy(update=counts | {"removed": done.removed + len(again)})

    def _live(self, row: dict[str, Any]) -> _Model:
        model_id, slot = str(row["model_id"]), str(row["slot"])
        kept = self._model
        if kept is not None and (kept.model_id, kept.slot) == (model_id, slot):
            return kept
        folder = self.home / "models" / model_id
        team, folding = load_team(folder), load_folding(folder)
        given = dict(team.config.get("selection") or {})
        selection = parse_config(Selection, given, origin=f"selection of model {model_id!r}")
        self._model = _Model(
            model_id,
            slot,
            team,
            folding,
            selection,
            self._texts.encoder(team.config),
            longest_vector(team),
        )
        return self._model

    def _known(self, model: _Model, name: str) -> FoldedItems:
        """Return what is folded in by the graph; nothing where its file is not here."""
        if not name:
            return FoldedItems()
        key = f"{model.model_id}/{name}"
        if self._folded[0] != key:
            try:
                self._folded = key, load_folded(self.home / "models" / model.model_id, name)
            except ModelError as error:
                logger.warning("all items are folded in again: %s", error)
                return FoldedItems()
        return self._folded[1]

    def _item_ids(self, model: _Model) -> Iterator[str]:
        for page in item_id_pages(self.store, label=model.selection.label):
            yield from page["ids"]

    def _extract(self, model: _Model, items: Sequence[str], progress: Progress) -> int:
        """Read texts where they are new; return the number of facts."""
        if not self.config.extract or model.selection.domain is None or not items:
            return 0
        return self._texts.extract(model.selection.domain, items, progress)

    def _write(
        self,
        model: _Model,
        folded: FoldedItems,
        changed: Sequence[str],
        gone: Sequence[str],
        before: str,
    ) -> str:
        """Write file, vectors and suggestions, and then the name that makes them known.

        Returns:
            the name.

        Raises:
            ModelError: another model claimed the vectors, or another run was faster.
        """
        name = save_folded(self.home / "models" / model.model_id, folded)
        part = folded.only(changed)
        shared = {"model_id": model.model_id}
        vectors = dict(zip(changed, folded_vectors(model.team, part, model.square), strict=True))
        own_again = [each for each in gone if each in model.team.items]
        if own_again:  # as the training left them
            places = model.team.items.rows(own_again)
            vectors |= zip(own_again, model.team.item_vectors()[places], strict=True)
        edges = list(folded_suggestions(model.team, part, self.config.suggests_per_item))
        stale = [*changed, *gone]
        for first in range(0, len(stale), ROWS_A_WRITE):
            some = stale[first : first + ROWS_A_WRITE]
            steps: list[Step] = [
                ("publish/delete_folded_suggestions", {}, {"items": some, **shared})
            ]
            own = set(some)
            rows = [edge for edge in edges if edge["folded"] in own]
            if rows:
                steps.append(("publish/create_folded_suggestions", {}, {"rows": rows, **shared}))
            sent = [
                {"item_id": each, "vector": vectors[each].tolist()}
                for each in some
                if each in vectors and len(vectors[each]) > 1
            ]
            if sent:
                given = {"rows": sent, "slot": model.slot, **shared}
                steps.append(("publish/set_vectors", {"slot": model.slot}, given))
            self.store.write_all(steps)
        switch: dict[str, Any] = {"slot": model.slot, "folded": name, "before": before, **shared}
        if not self.store.write("publish/set_folded", **switch):
            raise ModelError(
                "another run folded items in, or another model went live meanwhile",
                value=model.model_id,
                remedy="Run kgrec fold again.",
            )
        self._folded = f"{model.model_id}/{name}", folded
        return name


_OLD = (
    "the live model is of a format before 5, which lacks what items are folded in by; train again"
)
