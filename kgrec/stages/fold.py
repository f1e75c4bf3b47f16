"""Fold: items that came after the training into the live model, without a training.

Which items these are is found in the graph alone: those that the model does not know, and that are
not folded in as they are now. So nothing is lost where a run is killed; the next one finds the same
items. Their parts are written to a file beside the model, then their vectors and suggestions to the
graph, and last the name of the file to the model's node, by which every server sees them.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgrec.config import FrozenModel, parse_config
from kgrec.data.dataset import FloatArray
from kgrec.data.selection import Selection
from kgrec.errors import KGRecError, ModelError
from kgrec.graph.pages import item_id_pages
from kgrec.graph.store import CATALOGUE, GraphStore, Step
from kgrec.model.folding.extension import folded_suggestions, folded_vectors, longest_vector
from kgrec.model.folding.files import load_folded, load_folding, save_folded
from kgrec.model.folding.inductive import Encode, Folding
from kgrec.model.folding.overlay import FoldedItems, fold_items
from kgrec.model.storage import load_team
from kgrec.model.team import Team
from kgrec.progress import SILENT, Progress
from kgrec.schema import load_schema
from kgrec.stages.new_items import chosen_of, marks_of, read_items
from kgrec.text.bert import numpy_encoder
from kgrec.text.models import SENTENCE_MODEL

if TYPE_CHECKING:
    from kgrec.text.pipeline import Extractor

logger = logging.getLogger("kgrec.fold")

ROWS_A_WRITE = 500
LOOK_S = 0.25
RESTS_S = (1.0, 60.0)
"""Seconds between two looks at the graph, and after one that failed, at first and at most."""
NAMES_LAST_S = 600.0
"""Seconds for which the names that texts are searched for are not read again."""


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
        removed: how many folded items the graph no longer has.
        total: how many are folded in now.
        facts: how many facts and links were found in their texts.
        problem: why nothing can be folded in; empty where it can.
    """

    model_id: str | None = None
    folded: int = 0
    removed: int = 0
    total: int = 0
    facts: int = 0
    problem: str = ""
    seconds: float = 0.0

    @property
    def changed(self) -> bool:
        """Whether the folded items are others now."""
        return bool(self.folded or self.removed)


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
        self._own_process = own_process
        self._model: _Model | None = None
        self._folded = ("", FoldedItems())
        self._extractor: tuple[float, Extractor] | None = None

    def warm_up(self) -> None:
        """Load the model and what reads texts, before the first item comes."""
        rows = self.store.read("recommend/live_model")
        model = self._live(rows[0]) if rows else None
        if model is None or model.folding is None:
            return
        try:
            model.encode(["A first text."])
            if self.config.extract and model.selection.domain is not None:
                extractor = self._reader(model.selection.domain)
                list(extractor.read([]))
        except (ModelError, ImportError) as error:
            logger.warning("texts of new items cannot be read: %s", error)

    def moment(self) -> tuple[object, ...]:
        """Return model and revision of the catalogue: while they stay, there is nothing to do."""
        [row] = self.store.read("recommend/state", user_id="", revision=CATALOGUE)
        return row["model_id"], row["slot"], row["folded"], row["revision"]

    def follow(self, goes_on: Callable[[], bool]) -> None:
        """Fold in what comes, as long as `goes_on`; failures are logged, and tried again."""
        seen: tuple[object, ...] = ()
        warm, rest = False, RESTS_S[0]
        while goes_on():
            try:
                now = self.moment()
                if now != seen:
                    done = self.run()
                    if done.changed:
                        logger.info("%d items folded in, %d removed", done.folded, done.removed)
                    seen = now
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

    def run(self, progress: Progress = SILENT) -> FoldSummary:
        """Fold in what is not folded in as it is now.

        Raises:
            ModelError: the model is damaged, or its text encoder fails.
            GraphError: the kinds below it.
        """
        begun = time.perf_counter()
        rows = self.store.read("recommend/live_model")
        if not rows:
            return FoldSummary(problem="no model is live")
        model = self._live(rows[0])
        if model.folding is None:
            return FoldSummary(model_id=model.model_id, problem=_OLD)
        known = self._known(model, rows[0]["folded"] or "")
        new = [each for each in self._item_ids(model) if each not in model.team.items]
        facts = self._extract(model, new, progress)
        data = read_items(self.store, new, model.selection)
        marks = dict(zip(data.items.ids, marks_of(data), strict=True))
        before = dict(zip(known.ids, known.marks, strict=True))
        changed = [each for each in data.items.ids if before.get(each) != marks[each]]
        gone = [each for each in known.ids if each not in marks]
        if changed or gone:
            kept = known.only([e for e in known.ids if e in marks and before[e] == marks[e]])
            part = chosen_of(data, changed)
            with progress.task("fold items in", len(changed)) as task:
                own = [marks[each] for each in changed]
                fresh = fold_items(model.team, model.folding, part, model.encode, own)
                task.advance(len(changed))
            self._write(model, kept.and_others(fresh), changed, gone, rows[0]["folded"] or "")
        return FoldSummary(
            model_id=model.model_id,
            folded=len(changed),
            removed=len(gone),
            total=len(marks),
            facts=facts,
            seconds=time.perf_counter() - begun,
        )

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
            model_id, slot, team, folding, selection, self._encoder(team), longest_vector(team)
        )
        return self._model

    def _encoder(self, team: Team) -> Encode:
        """Return the text encoder that a team was trained with, loaded when it is first used."""
        name = str(team.config.get("encoder", SENTENCE_MODEL))
        cache_dir = self.home / "cache" / "vectors"

        def encode(texts: Sequence[str]) -> FloatArray:
            try:
                found = numpy_encoder(name, cache_dir)
            except ImportError:  # the package that cuts texts into tokens
                found = None
            if found is not None:
                return found(texts)
            # Imports torch, which a team that reads no texts does not need.
            from kgrec.learning.team_config import TeamConfig, encoder_of

            names = {name: each for name, each in team.config.items() if name in _ENCODER}
            config = parse_config(TeamConfig, names, origin="settings of the live model")
            return encoder_of(config, cache_dir=cache_dir)(texts)

        return encode

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
        """Read the texts of new items, where they are new as well; return the number of facts."""
        if not self.config.extract or model.selection.domain is None or not items:
            return 0
        domain = load_schema().domain(model.selection.domain)
        try:
            extractor = self._reader(model.selection.domain)
            from kgrec.stages.extract import extract  # a server may lack what parses texts
        except (ModelError, ImportError) as error:
            logger.warning("texts of new items are not read for facts: %s", error)
            return 0
        found = extract(self.store, domain, items=items, extractor=extractor, progress=progress)
        return sum(found.facts.values())

    def _reader(self, name: str) -> Extractor:
        if self._own_process:
            _import_spacy_alone()
        from kgrec.stages.extract import ExtractConfig, known_names
        from kgrec.text.pipeline import Extractor

        kept, now = self._extractor, time.monotonic()
        if kept is None or now - kept[0] > NAMES_LAST_S:
            domain = load_schema().domain(name)
            names = known_names(self.store, domain)
            kept = now, Extractor(domain, names=names, model=ExtractConfig().model)
            self._extractor = kept
        return kept[1]

    def _write(
        self,
        model: _Model,
        folded: FoldedItems,
        changed: Sequence[str],
        gone: Sequence[str],
        before: str,
    ) -> None:
        """Write file, vectors and suggestions, and then the name that makes them known.

        Raises:
            ModelError: another model claimed the vectors, or another run was faster.
        """
        name = save_folded(self.home / "models" / model.model_id, folded)
        part = folded.only(changed)
        shared = {"model_id": model.model_id}
        vectors = folded_vectors(model.team, part, model.square)
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
                {"item_id": each, "vector": vectors[n].tolist()}
                for n, each in enumerate(changed)
                if each in own and vectors.shape[1] > 1
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


def _import_spacy_alone() -> None:
    """Import spaCy without torch, which its layers of numbers import wherever it is installed."""
    if "torch" in sys.modules or "spacy" in sys.modules:
        return
    sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        import spacy  # noqa: F401
    finally:
        del sys.modules["torch"]


_ENCODER = ("encoder", "device")
_OLD = (
    "the live model is of a format before 5, which lacks what items are folded in by; train again"
)
