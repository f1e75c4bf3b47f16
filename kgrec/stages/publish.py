"""Publish a trained team: blue and green vectors, suggestions, one switch.

The idle vector property and its index are filled, then the suggestions, then one transaction
switches `live`. The model that was live before keeps its property and its suggestions, so that one
transaction makes it live again; those of older models are removed. A killed publish is completed by
running it again; readers see the old model until the switch, and the new one after it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from kgrec.config import FrozenModel, parse_config
from kgrec.data.selection import Selection
from kgrec.errors import ModelError
from kgrec.graph.pages import item_id_pages, vector_pages
from kgrec.graph.setup import check_whole, ensure_property_indexes, ensure_vector_index
from kgrec.graph.store import GraphStore, Step
from kgrec.model.team import Suggestions, Team
from kgrec.progress import SILENT, Progress

SLOTS = ("vector_a", "vector_b")
VECTORS_A_BATCH = 1_000
SUGGESTIONS_A_BATCH = 4_000
ITEMS_A_BATCH = 500
"""Whose old suggestions are removed in one transaction."""


class PublishedModel(FrozenModel):
    """A model that the graph knows.

    Attributes:
        slot: the vector property that it fills; None when another model holds it.
        ready: whether vectors and suggestions of a model with a slot are whole.
        suggests: whether there may be suggestions of it.
        metrics, shares, settings: of its record, as JSON.
        created_at: milliseconds since 1970 of its first publication.
        live_at: when it went live last; None when it never did.
    """

    model_id: str
    live: bool
    slot: str | None = None
    ready: bool = False
    suggests: bool = True
    metrics: str | None = None
    shares: str | None = None
    settings: str | None = None
    created_at: int | None = None
    live_at: int | None = None


class Publication(FrozenModel):
    """What a publish did.

    Attributes:
        changed: False when the model was live already and whole.
        missing: items of the model that the graph lacks.
        untrained: items of the graph that the model does not know.
        removed: suggestions of older models that were removed.
        instant: whether the model was in the graph still, and the switch was all there was to do.
    """

    model_id: str
    slot: str | None
    changed: bool
    items: int = 0
    missing: int = 0
    untrained: int = 0
    dimensions: int = 0
    suggestions: int = 0
    removed: int = 0
    instant: bool = False
    seconds: float = 0.0


def published_models(store: GraphStore) -> list[PublishedModel]:
    """Return every model that was published, the live one first."""
    rows = store.read("publish/models")
    return [
        PublishedModel.model_validate(
            row | {name: bool(row[name]) for name in ("live", "ready", "suggests")}
        )
        for row in rows
    ]


def previous_model(published: Sequence[PublishedModel]) -> PublishedModel | None:
    """Return the model that was live before the present one, None where there was none."""
    retired = [model for model in published if not model.live and model.live_at is not None]
    return max(retired, key=lambda model: model.live_at or 0, default=None)


def publish(
    store: GraphStore,
    team: Team,
    model_id: str,
    *,
    suggests_per_item: int = 20,
    progress: Progress = SILENT,
) -> Publication:
    """Write a team to the graph and make it the live model.

    Running it again changes nothing; running it after it was killed completes it. To go back to
    the model before, see `kgrec.stages.models.roll_back`.

    Args:
        team: the trained team.
        model_id: its id; the same id always means the same team.
        suggests_per_item: maximum number of suggestions of each agent for an item.

    Raises:
        ModelError: graph and model have no item in common, or another publish claimed the slot.
        GraphError: an import into the graph is unfinished, and the kinds below it.
    """
    check_whole(store)
    begun = time.perf_counter()
    live = next((model for model in published_models(store) if model.live), None)
    selection = _selection(team, model_id)
    label = selection.label
    in_graph = {item for page in item_id_pages(store, label=label) for item in page["ids"]}
    if live is not None and live.model_id == model_id:
        store.write_all([("publish/describe_model", {}, _described(team, model_id))])
        _, written = _write_suggestions(
            store, team, in_graph, model_id, suggests_per_item, progress
        )
        return Publication(
            model_id=model_id,
            slot=live.slot,
            changed=bool(written),
            suggestions=written,
            removed=remove_old_suggestions(store, progress),
            seconds=time.perf_counter() - begun,
        )
    slot = SLOTS[1] if live is not None and live.slot == SLOTS[0] else SLOTS[0]
    rows = np.flatnonzero([item in in_graph for item in team.items.ids])
    if not len(rows):
        raise ModelError(
            "the graph and the model have no item in common",
            value=model_id,
            remedy="Ingest the catalogue that the model was trained on, or train again.",
        )
    ensure_property_indexes(store, selection.domain)
    _claim(store, team, model_id, slot)
    dimensions = _write_vectors(store, team, rows, model_id, slot, progress)
    suggestions, _ = _write_suggestions(
        store, team, in_graph, model_id, suggests_per_item, progress
    )
    switch(store, model_id, slot)
    return Publication(
        model_id=model_id,
        slot=slot,
        changed=True,
        items=len(rows),
        missing=len(team.items) - len(rows),
        untrained=len(in_graph) - len(rows),
        dimensions=dimensions,
        suggestions=suggestions,
        removed=remove_old_suggestions(store, progress),
        seconds=time.perf_counter() - begun,
    )


def _selection(team: Team, model_id: str) -> Selection:
    given = dict(team.config.get("selection") or {})
    return parse_config(Selection, given, origin=f"selection of model {model_id!r}")


def _claim(store: GraphStore, team: Team, model_id: str, slot: str) -> None:
    described = _described(team, model_id)
    model = {
        "model_id": model_id,
        "slot": slot,
        "metrics": described["metrics"],
        "created_at": datetime.now(UTC),
    }
    store.write_all(
        [
            ("publish/claim_slot", {}, {"model_id": model_id, "slot": slot}),
            ("publish/upsert_model", {}, model),
            ("publish/describe_model", {}, described),
        ]
    )


def _described(team: Team, model_id: str) -> dict[str, str]:
    """Return the properties of a Model node, which are those of the stored record."""
    return {
        "model_id": model_id,
        "metrics": json.dumps(dict(team.metrics), default=str),
        "shares": json.dumps(team.weights),
        "settings": json.dumps(dict(team.config), default=str),
    }


def _write_vectors(
    store: GraphStore,
    team: Team,
    rows: Sequence[int] | np.ndarray[Any, np.dtype[np.int64]],
    model_id: str,
    slot: str,
    progress: Progress,
) -> int:
    vectors = team.item_vectors()
    dimensions = int(vectors.shape[1])
    if dimensions < 2:  # the lift alone: no agent has factors, and there is nothing to look up
        _clear(store, slot, keep=frozenset(), dimensions=dimensions)
        return 0
    items = team.items.take(list(rows))
    _clear(store, slot, keep=frozenset(items), dimensions=dimensions)
    ensure_vector_index(store, slot, dimensions)
    with progress.task("write vectors", len(items)) as task:
        for batch in _batches(range(len(items)), VECTORS_A_BATCH):
            sent = [{"item_id": items[n], "vector": vectors[rows[n]].tolist()} for n in batch]
            written = store.write(
                "publish/set_vectors", {"slot": slot}, rows=sent, model_id=model_id, slot=slot
            )
            if not written or not written[0]["written"]:
                raise _superseded(model_id)
            task.advance(len(batch))
    return dimensions


def _clear(store: GraphStore, slot: str, *, keep: frozenset[str], dimensions: int) -> None:
    """Remove vectors that the new model would not overwrite, or that do not fit its index."""
    stale = [
        item
        for page in vector_pages(store, slot)
        for item, size in zip(page["ids"], page["sizes"], strict=True)
        if item not in keep or size != dimensions
    ]
    for batch in _batches(stale, VECTORS_A_BATCH):
        store.write("publish/clear_vectors", {"slot": slot}, items=list(batch))


def _write_suggestions(
    store: GraphStore,
    team: Team,
    in_graph: set[str],
    model_id: str,
    per_item: int,
    progress: Progress,
) -> tuple[int, int]:
    """Return how many suggestions there are now, and how many of them were written."""
    edges = _edges(team, in_graph, per_item)
    items = list(edges)
    total = sum(map(len, edges.values()))
    written = 0
    with progress.task("write suggestions", total) as task:
        for batch in _batches(items, max(SUGGESTIONS_A_BATCH // max(per_item, 1), 1)):
            counted = store.read("publish/count_suggestions", items=list(batch), model_id=model_id)
            there = {row["item_id"]: row["suggestions"] for row in counted}
            left = [item for item in batch if there.get(item, 0) != len(edges[item])]
            partial = [item for item in left if item in there]
            sent = [edge for item in left for edge in edges[item]]
            shared = {"model_id": model_id}
            steps: list[Step] = []
            if partial:
                steps.append(("publish/delete_suggestions_of", {}, {"items": partial, **shared}))
            if sent:
                steps.append(("publish/create_suggestions", {}, {"rows": sent, **shared}))
            if steps:
                store.write_all(steps)
            written += len(sent)
            task.advance(sum(len(edges[item]) for item in batch))
    return total, written


def _edges(team: Team, in_graph: set[str], per_item: int) -> dict[str, list[dict[str, Any]]]:
    edges: dict[str, list[dict[str, Any]]] = {}
    for part in team.suggestions(per_item):
        for item, row in _rows(team, part):
            if item in in_graph and row["item"] in in_graph:
                edges.setdefault(item, []).append(row)
    return edges


def _rows(team: Team, part: Suggestions) -> Iterator[tuple[str, dict[str, Any]]]:
    ids = team.items.ids
    columns = (part.item.tolist(), part.other.tolist(), part.weight.tolist())
    for item, other, weight in zip(*columns, strict=True):
        row = {"history": ids[item], "item": ids[other], "agent": part.agent, "weight": weight}
        yield ids[item], row


def switch(store: GraphStore, model_id: str, slot: str) -> None:
    """Make a model live whose vectors and suggestions are written, in one transaction.

    Raises:
        ModelError: another model claimed the slot.
    """
    options = {"model_id": model_id, "slot": slot}
    answers = store.write_all(
        [
            ("publish/retire_models", {}, options),
            ("publish/go_live", {}, {**options, "at": datetime.now(UTC)}),
        ]
    )
    if not answers[-1]:
        raise _superseded(model_id)


def remove_old_suggestions(store: GraphStore, progress: Progress = SILENT) -> int:
    """Remove the suggestions of models without a slot; those with one may become live at once.

    Without such models nothing is read; otherwise the suggestions of each item are read once.

    Returns:
        how many were removed.
    """
    removed = 0
    with progress.task("remove old suggestions") as task:
        idle = _idle_with_suggestions(store)
        if not idle:
            return 0
        for page in item_id_pages(store):
            for batch in _batches(page["ids"], ITEMS_A_BATCH):
                still = _idle_with_suggestions(store) & idle  # one may be published again meanwhile
                rows = store.write(
                    "publish/delete_old_suggestions", items=list(batch), models=sorted(still)
                )
                deleted = int(rows[0]["deleted"]) if rows else 0
                removed += deleted
                task.advance(deleted)
        store.write("publish/note_no_suggestions", models=sorted(idle))
    return removed


def _idle_with_suggestions(store: GraphStore) -> set[str]:
    idle = (model for model in published_models(store) if model.slot is None)
    return {model.model_id for model in idle if model.suggests}


def _superseded(model_id: str) -> ModelError:
    return ModelError(
        "another publish claimed the vector property of this one",
        value=model_id,
        remedy="Let it finish, then publish again.",
    )


def _batches(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for first in range(0, len(values), size):
        yield values[first : first + size]
