"""Which trained models there are on disk, and which of them the graph knows."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from kgrec.config import FrozenModel
from kgrec.data.selection import Selection
from kgrec.errors import NotFoundError
from kgrec.graph.store import GraphStore
from kgrec.model.checkpoint import read_json
from kgrec.stages.publish import published_models


class ModelEntry(FrozenModel):
    """One model.

    Attributes:
        trained_at: when its files were written; None when they are not on this machine.
        published_at: when it was first published; None when it never was.
    """

    model_id: str
    live: bool = False
    slot: str | None = None
    trained_at: datetime | None = None
    published_at: datetime | None = None


def trained_models(models: Path) -> dict[str, datetime]:
    """Return the models in a folder with the time when they were written, the newest first."""
    files = [path for path in models.glob("*/config.json") if path.is_file()]
    times = {path.parent.name: path.stat().st_mtime for path in files}
    newest = sorted(times, key=lambda name: (times[name], name), reverse=True)
    return {name: datetime.fromtimestamp(times[name], UTC) for name in newest}


def choose_model(models: Path, model_id: str | None = None, *, domain: str | None = None) -> str:
    """Return the named model, or the newest.

    Args:
        domain: the newest must have learned this domain; None takes any.

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
    config = read_json(folder / "config.json").get("config", {})
    return (config.get("selection") or {}).get("domain")


def list_models(store: GraphStore, models: Path) -> list[ModelEntry]:
    """Return every model, trained here or published to the graph; the live one first."""
    there = trained_models(models)
    published = {model.model_id: model for model in published_models(store)}
    entries = []
    for name in [*published, *(name for name in there if name not in published)]:
        known = published.get(name)
        at = None if known is None else known.created_at
        entries.append(
            ModelEntry(
                model_id=name,
                live=known is not None and known.live,
                slot=None if known is None else known.slot,
                trained_at=there.get(name),
                published_at=None if at is None else datetime.fromtimestamp(at / 1000, UTC),
            )
        )
    return entries
