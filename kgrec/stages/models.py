"""The trained models on disk and in the graph: list, show, prune and roll back."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kgrec.config import FrozenModel
from kgrec.data.selection import Selection
from kgrec.errors import ModelError, NotFoundError
from kgrec.graph.setup import check_whole
from kgrec.graph.store import GraphStore
from kgrec.model.record import ModelRecord, read_record
from kgrec.model.storage import load_team
from kgrec.progress import SILENT, Progress
from kgrec.stages.publish import (
    Publication,
    PublishedModel,
    previous_model,
    publish,
    published_models,
    remove_old_suggestions,
    switch,
)


class ModelEntry(FrozenModel):
    """One model: its state in the graph and its stored record.

    Attributes:
        live: whether it is the live model.
        previous: whether `roll_back` makes it live.
        slot: the vector property that it fills in the graph.
        trained_at: when its training ended; None when its files are not on this machine.
        published_at: when it was first published; None when it never was.
        record: its stored record; None when its files are missing or broken.
        problem: why existing files have no record.
    """

    model_id: str
    live: bool = False
    previous: bool = False
    slot: str | None = None
    trained_at: datetime | None = None
    published_at: datetime | None = None
    record: ModelRecord | None = None
    problem: str = ""


class Pruned(FrozenModel):
    """What was removed, or would be.

    Attributes:
        removed: ids.
        kept: ids of what stays on this machine.
        size: bytes that it frees.
        done: False after a dry run.
    """

    removed: tuple[str, ...]
    kept: tuple[str, ...]
    size: int
    done: bool


def trained_models(models: Path) -> dict[str, datetime]:
    """Return the models in a folder with the time when they were written, the newest first."""
    files = [path for path in models.glob("[!.]*/config.json") if path.is_file()]
    times = {path.parent.name: path.stat().st_mtime for path in files}
    newest = sorted(times, key=lambda name: (times[name], name), reverse=True)
    return {name: datetime.fromtimestamp(times[name], UTC) for name in newest}


def choose_model(models: Path, model_id: str | None = None, *, domain: str | None = None) -> str:
    """Return the named model, or the newest.

    Args:
        domain: the newest must have learned this domain; None means any.

    Raises:
        NotFoundError: there is no such model, or none at all.
    """
    there = trained_models(models)
    if model_id is None:
        wanted = Selection(domain=domain).domain
        fitting = (name for name in there if wanted is None or _domain(models / name) == wanted)
        newest = next(fitting, None)
        if newest is not None:
            return newest
    if model_id is not None and model_id in there:
        return model_id
    if model_id is None:
        what = "no model has been trained" + (f" for {domain}" if domain else "")
        raise NotFoundError(f"{what} yet", remedy="Train one first: kgrec train.")
    known = f"Known: {', '.join(there)}." if there else "Train one first: kgrec train."
    raise NotFoundError("there is no such model", value=model_id, remedy=known)


def _domain(folder: Path) -> str | None:
    try:
        return read_record(folder).domain
    except ModelError:  # a broken one has no domain; `list_models` reports it
        return None


def list_models(store: GraphStore, models: Path) -> list[ModelEntry]:
    """Return every model, trained here or published to the graph; the live one first."""
    there = trained_models(models)
    known = published_models(store)
    published = {model.model_id: model for model in known}
    former = previous_model(known)
    before = None if former is None else former.model_id
    names = [*published, *(name for name in there if name not in published)]
    return [_entry(name, models, published.get(name), previous=name == before) for name in names]


def _entry(
    model_id: str, models: Path, known: PublishedModel | None, *, previous: bool
) -> ModelEntry:
    record, problem = None, ""
    if (models / model_id).is_dir():
        try:
            record = read_record(models / model_id)
        except ModelError as error:
            problem = str(error)
    at = None if known is None else known.created_at
    return ModelEntry(
        model_id=model_id,
        live=known is not None and known.live,
        previous=previous,
        slot=None if known is None else known.slot,
        trained_at=None if record is None else record.created_at,
        published_at=None if at is None else datetime.fromtimestamp(at / 1000, UTC),
        record=record,
        problem=problem,
    )


def show_model(
    store: GraphStore, models: Path, model_id: str | None = None, *, every_byte: bool = False
) -> ModelEntry:
    """Return one model.

    Args:
        model_id: None means the live one, or the newest where none is live.
        every_byte: check all that is on disk against the id.

    Raises:
        NotFoundError: there is no such model.
        ModelError: its files are broken, or do not match the id.
    """
    entries = list_models(store, models)
    if model_id is None:
        live = [entry.model_id for entry in entries if entry.live]
        model_id = live[0] if live else choose_model(models)
    found = next((entry for entry in entries if entry.model_id == model_id), None)
    if found is None:
        known = ", ".join(entry.model_id for entry in entries)
        remedy = f"Known: {known}." if known else "Train one first: kgrec train."
        raise NotFoundError("there is no such model", value=model_id, remedy=remedy)
    if every_byte:
        load_team(models / found.model_id)
    return found


def prune_models(
    store: GraphStore, models: Path, keep: int = 3, *, dry_run: bool = False
) -> Pruned:
    """Remove models from this machine, and their records from the graph.

    The live model, the previous one, those that hold vectors in the graph and the newest stay.

    Args:
        keep: how many of the newest stay.
        dry_run: only report what would be removed.
    """
    there = trained_models(models)
    known = published_models(store)
    former = previous_model(known)
    needed = {model.model_id for model in known if model.live or model.slot is not None}
    needed |= {former.model_id} if former is not None else set()
    kept = needed | set(list(there)[:keep])
    removed = [name for name in there if name not in kept]
    size = sum(_size(models / name) for name in removed)
    if removed and not dry_run:
        remove_old_suggestions(store)
        for name in removed:
            gone = models / f".{name}.pruned"
            (models / name).rename(gone)  # whole or not at all
            shutil.rmtree(gone)
        store.write("publish/delete_models", models=removed)
    stay = tuple(name for name in there if name in kept)
    return Pruned(removed=tuple(removed), kept=stay, size=size, done=not dry_run)


def roll_back(
    store: GraphStore,
    models: Path,
    *,
    suggests_per_item: int = 20,
    progress: Progress = SILENT,
) -> Publication:
    """Make the previously live model live again.

    One transaction where the graph still holds its vectors and suggestions; otherwise they are
    written first. A second call switches back.

    Raises:
        NotFoundError: no model was live before.
        ModelError: its files are not on this machine, or another publish claimed the slot.
        GraphError: an import into the graph is unfinished, and the kinds below it.
    """
    check_whole(store)
    begun = time.perf_counter()
    former = previous_model(published_models(store))
    if former is None:
        raise NotFoundError(
            "no model was live before the present one",
            remedy="`kgrec models list` shows what there is; `kgrec publish ID` makes one live.",
        )
    folder = models / former.model_id
    if not folder.is_dir():
        raise ModelError(
            "the model that was live before is not on this machine",
            value=former.model_id,
            remedy=f"Copy its folder into {models}, or publish another one.",
        )
    if former.slot is None or not former.ready:
        team = load_team(folder)
        options: Mapping[str, Any] = {"suggests_per_item": suggests_per_item, "progress": progress}
        return publish(store, team, former.model_id, **options)
    record = read_record(folder)
    switch(store, former.model_id, former.slot)
    return Publication(
        model_id=former.model_id,
        slot=former.slot,
        changed=True,
        items=record.items,
        instant=True,
        seconds=time.perf_counter() - begun,
    )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
