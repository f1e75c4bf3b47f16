"""A team in a directory: what is in it, and beside that what is known of it.

model.safetensors   every array, named `agent.part`
config.json         agents, resolved settings, shares, hash of the vocabulary, digests of the arrays
items.json          ids of the items in row order
folding.*           what items that come after the training are folded in by
record.json         id, time, versions, metrics, what the training depended on

All but the last are the content, whose hash is the id. Nothing is ever unpickled.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgrec.data.vocabulary import Vocabulary
from kgrec.errors import ModelError
from kgrec.model.arrays import Arrays, arrays_of, describe, is_packed, kernel_of, named, under
from kgrec.model.checkpoint import (
    MappedFile,
    read_arrays,
    read_json,
    write_whole,
    writing_directory,
)
from kgrec.model.coordinator import Coordinator
from kgrec.model.folding.files import described, write_folding
from kgrec.model.gate import Gate
from kgrec.model.profile import ContextPriors, Profile
from kgrec.model.ranker import Ranker
from kgrec.model.record import (
    CONTENT_FILE,
    FORMAT,
    OLD_FORMAT,
    OLD_METRICS_FILE,
    PACKED_FORMAT,
    RECORD_FILE,
    REPLACE,
    ModelRecord,
    TrainingKey,
    array_digests,
    broken,
    check_format,
    content_id,
    is_id,
    read_record,
)
from kgrec.model.rejection import RejectionWeights
from kgrec.model.team import Team
from kgrec.version import __version__

logger = logging.getLogger("kgrec.model")

_ARRAYS_FILE, _ITEMS_FILE = "model.safetensors", "items.json"
_PART = 1 << 20
"""So many numbers are checked at a time, so that the check needs no copy of an array."""
_GATE = "coordinator.gate."
_RANKER = "ranker."
_PROFILE = "profile."
_CONTEXTS = "contexts."
_OLD_RANKER_ARRAYS = {
    "attend": "attention_weights",
    "say": "value_weights",
    "alike": "popularity_weights",
    "usual": "item_mean",
}


def save_team(team: Team, directory: Path, *, key: TrainingKey | None = None) -> ModelRecord:
    """Write a team whole; what the directory held before stays when that fails.

    Args:
        key: what the training depended on, so that it can be found again.

    Raises:
        ModelError: the place cannot be written.
    """
    content, arrays = _content(team)
    _write_folder(directory, team, content, arrays, key)
    return read_record(directory)


def save_model(team: Team, models: Path, *, key: TrainingKey | None = None) -> ModelRecord:
    """Write a team into the folder of models, under its id.

    Where that very model is there already its content stays, and only what is known of it is
    written anew: it may be in service.

    Args:
        models: `<home>/models`.

    Raises:
        ModelError: the place cannot be written.
    """
    content, arrays = _content(team)
    folder = models / content_id(content)
    try:
        load_team(folder)
    except ModelError:
        _write_folder(folder, team, content, arrays, key)
    else:
        write_whole(folder / RECORD_FILE, _json(_record(team, folder.name, key)))
    return read_record(folder)


def team_id(team: Team) -> str:
    """Return the id of a team: the hash of what `save_model` would write."""
    return content_id(_content(team)[0])


def map_weights(directory: Path) -> MappedFile:
    """Map the arrays of a model, for `load_team`; raises ModelError where that cannot be."""
    return MappedFile(directory / _ARRAYS_FILE)


def load_team(directory: Path, weights: MappedFile | None = None) -> Team:
    """Read a team, and check every byte against its id and every number for being finite.

    One of the older format has no digests, so its numbers alone are checked.

    Args:
        weights: the mapped arrays, which processes share; they are read into memory without.

    Raises:
        ModelError: a file is missing or broken, the parts do not belong together, or what is in
            the folder is not what was saved.
    """
    content = read_json(directory / CONTENT_FILE)
    old = check_format(content, directory) == OLD_FORMAT
    if not old:
        _check_id(directory, content)
    items = _read_items(directory, content)
    if weights is None:
        arrays, about = read_arrays(directory / _ARRAYS_FILE)
    else:
        arrays, about = weights.arrays, weights.about
    if old:
        logger.warning(
            "model %s is of format %d, which names it by data and settings; it is read as format "
            "%d, and `kgrec train` writes that",
            directory.name,
            OLD_FORMAT,
            FORMAT,
        )
        content, arrays = _migrated(directory, content, arrays)
    else:
        _check_arrays(directory, content, arrays, about)
    _check_finite(directory, arrays)
    try:
        metrics = read_json(directory / OLD_METRICS_FILE) if old else _metrics(directory)
        return _team(content, items, arrays, metrics)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise broken(directory, error) from None


def _team(
    content: Mapping[str, Any], items: Vocabulary, arrays: Arrays, metrics: Mapping[str, Any]
) -> Team:
    kernels = tuple(kernel_of(entry, arrays, len(items)) for entry in content["kernels"])
    shares = [float(content["shares"][kernel.agent]) for kernel in kernels]
    gate = Gate.load(under(_GATE, arrays)) if content["gate"] else None
    ranker = content["ranker"] and Ranker.load(content["ranker"], under(_RANKER, arrays))
    declared = content.get("profile")
    profile = declared and Profile.load(declared, under(_PROFILE, arrays))
    rejected = content.get("rejection")
    rejection = RejectionWeights.load(rejected) if rejected else None
    coordinator, config = Coordinator(shares, gate), content["config"]
    parts = items, kernels, coordinator, config, metrics, ranker, profile
    known = content.get("contexts")
    contexts = ContextPriors.load(known, under(_CONTEXTS, arrays)) if known else None
    return Team(*parts, rejection=rejection, contexts=contexts)


def _content(team: Team) -> tuple[dict[str, Any], Arrays]:
    """Return what `config.json` holds and the arrays; together with the ids this is the model."""
    arrays: Arrays = {}
    for kernel in team.kernels:
        arrays.update(arrays_of(kernel))
    if team.coordinator.gate is not None:
        arrays.update(named(_GATE, team.coordinator.gate.arrays()))
    if team.ranker is not None:
        arrays.update(named(_RANKER, team.ranker.arrays()))
    if team.contexts is not None:
        arrays.update(named(_CONTEXTS, team.contexts.arrays()))
    if team.profile is not None:
        arrays.update(named(_PROFILE, team.profile.arrays()))
    content = {
        "format": PACKED_FORMAT if is_packed(arrays) else FORMAT,
        "items": {"count": len(team.items), "hash": team.items.hash},
        "kernels": [describe(kernel) for kernel in team.kernels],
        "shares": team.weights,
        "gate": team.coordinator.gate is not None,
        "ranker": None if team.ranker is None else team.ranker.settings(),
        "profile": None if team.profile is None else team.profile.settings(),
        "config": dict(team.config),
        "arrays": array_digests(arrays),
        "folding": None if team.folding is None else described(team.folding)[2],
    }
    if team.rejection is not None:  # absent from models of before, whose ids stay what they are
        content["rejection"] = team.rejection.settings()
    if team.contexts is not None:
        content["contexts"] = team.contexts.settings()
    plain: dict[str, Any] = json.loads(json.dumps(content))  # tuples as the lists they come back as
    return plain, arrays


def _write_folder(
    directory: Path,
    team: Team,
    content: Mapping[str, Any],
    arrays: Arrays,
    key: TrainingKey | None,
) -> None:
    from safetensors.numpy import save_file

    model_id = content_id(content)
    with writing_directory(directory) as folder:
        save_file(arrays, folder / _ARRAYS_FILE, {"model_id": model_id})
        if team.folding is not None:
            write_folding(folder, *described(team.folding)[:2])
        ids = {"hash": team.items.hash, "ids": list(team.items.ids)}
        for name, value in (
            (CONTENT_FILE, content),
            (_ITEMS_FILE, ids),
            (RECORD_FILE, _record(team, model_id, key)),
        ):
            (folder / name).write_text(_json(value), encoding="utf-8")


def _record(team: Team, model_id: str, key: TrainingKey | None) -> dict[str, Any]:
    return {
        "model_id": model_id,
        "created_at": datetime.now(UTC).isoformat(),
        "kgrec": __version__,
        "metrics": dict(team.metrics),
        "key": None if key is None else key.model_dump(),
    }


def _metrics(directory: Path) -> dict[str, Any]:
    return read_record(directory).metrics


def _check_id(directory: Path, content: Mapping[str, Any]) -> None:
    known = read_record(directory).model_id
    found = content_id(content)
    names = {known, directory.name} if is_id(directory.name) else {known}
    if names != {found}:
        raise ModelError(
            f"{directory / CONTENT_FILE} is damaged: the model is not the one it is named after",
            value=f"{found}, expected {' and '.join(sorted(names - {found}))}",
            remedy=REPLACE,
        )


def _check_arrays(
    directory: Path, content: Mapping[str, Any], arrays: Arrays, about: Mapping[str, str]
) -> None:
    expected, model_id = content["arrays"], content_id(content)
    found = array_digests(arrays)
    if about.get("model_id") != model_id or found != expected:
        names = {n for n in {*found, *expected} if found.get(n) != expected.get(n)}
        raise ModelError(
            f"{directory / _ARRAYS_FILE} is damaged: its weights are not those of the model",
            value=", ".join(sorted(names)) or f"{about.get('model_id')}, expected {model_id}",
            remedy=REPLACE,
        )


def _check_finite(directory: Path, arrays: Arrays) -> None:
    names = [
        name
        for name, array in arrays.items()
        if np.issubdtype(array.dtype, np.floating) and not _finite(array)
    ]
    if names:
        raise ModelError(
            f"{directory / _ARRAYS_FILE} holds weights that are no finite numbers",
            value=", ".join(sorted(names)),
            remedy=REPLACE,
        )


def _finite(array: NDArray[Any]) -> bool:
    flat = array.reshape(-1)
    parts = range(0, len(flat), _PART)
    return all(bool(np.isfinite(flat[begin : begin + _PART]).all()) for begin in parts)


def _migrated(
    directory: Path, content: Mapping[str, Any], arrays: Arrays
) -> tuple[dict[str, Any], Arrays]:
    """Give what the older format holds the names of today."""
    if "weights" not in content:
        raise broken(directory, KeyError("weights"))
    renamed = {f"{_RANKER}{old}": f"{_RANKER}{new}" for old, new in _OLD_RANKER_ARRAYS.items()}
    return (
        {**content, "shares": content["weights"]},
        {renamed.get(name, name): array for name, array in arrays.items()},
    )


def _read_items(directory: Path, content: Mapping[str, Any]) -> Vocabulary:
    ids = read_json(directory / _ITEMS_FILE).get("ids", [])
    items = Vocabulary(ids)
    expected = content.get("items", {}).get("hash")
    if items.hash != expected:
        raise ModelError(
            f"{directory / _ITEMS_FILE} is damaged: the items are not those of the model",
            value=f"{items.hash}, expected {expected}",
            remedy=REPLACE,
        )
    return items


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"
