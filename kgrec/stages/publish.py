"""Publish a trained team: blue and green vectors, suggestions, one switch.

The idle vector property and its index are filled, then the suggestions, then one transaction
moves `live`; what idle models suggest, neither live nor being published, is removed afterwards.
A publish that was killed is run again and goes on; readers see the old model whole until the
switch and the new one after it.
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
from kgrec.graph.pages import item_pages, vector_pages
from kgrec.graph.setup import ensure_vector_index
from kgrec.graph.store import GraphStore, Step
from kgrec.model.team import Suggestions, Team
from kgrec.progress import SILENT, Progress

SLOTS = ("vector_a", "vector_b")
VECTORS_A_BATCH = 1_000
SUGGESTIONS_A_BATCH = 4_000


class PublishedModel(FrozenModel):
    """A model that the graph knows.

    Attributes:
        slot: the vector property that it fills; None when it is neither live nor being published.
        created_at: milliseconds since 1970 of its first publication.
    """

    model_id: str
    live: bool
    slot: str | None = None
    metrics: str | None = None
    created_at: int | None = None


class Publication(FrozenModel):
    """What a publish did.

    Attributes:
        changed: False when the model was live already and whole.
        missing: items of the model that the graph lacks.
        untrained: items of the graph that the model does not know.
        removed: suggestions of older models that were removed.
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
    seconds: float = 0.0


def published_models(store: GraphStore) -> list[PublishedModel]:
    """Return every model that was published, the live one first."""
    rows = store.read("publish/models")
    return [PublishedModel.model_validate({**row, "live": bool(row["live"])}) for row in rows]


def publish(
    store: GraphStore,
    team: Team,
    model_id: str,
    *,
    suggests_per_item: int = 20,
    progress: Progress = SILENT,
) -> Publication:
    """Write a team to the graph and make it the live model.

    Running it again changes nothing; running it after it was killed completes it. To roll back,
    publish the older model.

    Args:
        team: the trained team.
        model_id: its name; the same name always means the same team.
        suggests_per_item: at most so many suggestions of each agent an item.

    Raises:
        ModelError: the graph and the model have no item in common, or another publish took over.
    """
    begun = time.perf_counter()
    live = next((model for model in published_models(store) if model.live), None)
    label = _label(team, model_id)
    in_graph = {i for page in item_pages(store, label=label) for i in page["ids"]}
    if live is not None and live.model_id == model_id:
        _, written = _write_suggestions(
            store, team, in_graph, model_id, suggests_per_item, progress
        )
        return Publication(
            model_id=model_id,
            slot=live.slot,
            changed=bool(written),
            suggestions=written,
            removed=_remove_old(store, progress),
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
    _claim(store, team, model_id, slot)
    dimensions = _write_vectors(store, team, rows, model_id, slot, progress)
    suggestions, _ = _write_suggestions(
        store, team, in_graph, model_id, suggests_per_item, progress
    )
    _switch(store, model_id, slot)
    return Publication(
        model_id=model_id,
        slot=slot,
        changed=True,
        items=len(rows),
        missing=len(team.items) - len(rows),
        untrained=len(in_graph) - len(rows),
        dimensions=dimensions,
        suggestions=suggestions,
        removed=_remove_old(store, progress),
        seconds=time.perf_counter() - begun,
    )


def _label(team: Team, model_id: str) -> str | None:
    given = dict(team.config.get("selection") or {})
    return parse_config(Selection, given, origin=f"selection of model {model_id!r}").label


def _claim(store: GraphStore, team: Team, model_id: str, slot: str) -> None:
    model = {
        "model_id": model_id,
        "slot": slot,
        "metrics": json.dumps(dict(team.metrics), default=str),
        "created_at": datetime.now(UTC),
    }
    store.write_all(
        [
            ("publish/claim_slot", {}, {"model_id": model_id, "slot": slot}),
            ("publish/upsert_model", {}, model),
        ]
    )


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
                raise _taken_over(model_id)
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


def _switch(store: GraphStore, model_id: str, slot: str) -> None:
    options = {"model_id": model_id, "slot": slot}
    answers = store.write_all(
        [("publish/retire_models", {}, options), ("publish/go_live", {}, options)]
    )
    if not answers[-1]:
        raise _taken_over(model_id)


def _remove_old(store: GraphStore, progress: Progress) -> int:
    """Remove what idle models suggest; one that holds a slot is live or being published."""
    removed = 0
    with progress.task("remove old suggestions") as task:
        while True:
            idle = [model.model_id for model in published_models(store) if model.slot is None]
            rows = store.write(
                "publish/delete_old_suggestions", models=idle, limit=SUGGESTIONS_A_BATCH
            )
            deleted = int(rows[0]["deleted"]) if rows else 0
            if not deleted:
                return removed
            removed += deleted
            task.advance(deleted)


def _taken_over(model_id: str) -> ModelError:
    return ModelError(
        "another publish took the place of this one",
        value=model_id,
        remedy="Let it finish, then publish again.",
    )


def _batches(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for first in range(0, len(values), size):
        yield values[first : first + size]
