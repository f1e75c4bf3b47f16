"""Whether a model is there already: one key over all that a training depends on.

A trained model is used again only where data, settings, the source that learns and the libraries
that compute are the same.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import Dataset
from kgrec.data.selection import Selection
from kgrec.errors import ModelError
from kgrec.learning.registry import agent_class
from kgrec.learning.team_config import TeamConfig, encoder_content
from kgrec.model.record import ModelRecord, TrainingKey, canonical, read_record
from kgrec.version import __version__

_CODE = (
    "learning",
    "training",
    "metrics",
    "model",
    "data/dataset.py",
    "data/protocols.py",
    "data/selection.py",
    "export/pyg.py",
    "text/encoder.py",
    "stages/train.py",
)
"""What learns or decides what is learned from, below the package; files or folders."""
_LIBRARIES = ("numpy", "scipy", "torch", "torch-geometric", "transformers")


def training_key(dataset: Dataset, config: TeamConfig, selection: Selection) -> TrainingKey:
    """Return the key of a training; in any process the same."""
    settings = config.model_dump(mode="json") | {"selection": selection.model_dump(mode="json")}
    return TrainingKey(
        data=data_fingerprint(dataset),
        settings={name: _hash(canonical(value)) for name, value in settings.items()},
        encoder=_encoder(config),
        code=code_digest(),
        versions=_versions(),
    )


def find_trained(models: Path, key: TrainingKey, domain: str | None) -> tuple[str | None, str]:
    """Look for a model of this key.

    Args:
        models: `<home>/models`.
        domain: name of the domain that is learned.

    Returns:
        the id of the newest such model and the word "found"; or None and why it is trained, which
        names what differs from the newest model of the domain.
    """
    records = sorted(known_models(models).values(), key=lambda one: one.created_at, reverse=True)
    same = [record for record in records if record.key == key]
    if same:
        return same[0].model_id, "found"
    of_domain = [record for record in records if record.domain == domain]
    if not of_domain:
        return None, "there is no model of these items yet"
    newest = of_domain[0]
    if newest.key is None:
        return None, f"what {newest.model_id} was trained with is not known"
    return None, f"unlike {newest.model_id}: {'; '.join(key.changes(newest.key))}"


def known_models(models: Path) -> dict[str, ModelRecord]:
    """Return the records of all models in a folder by the folder's name; broken ones are left."""
    found = {}
    for path in sorted(models.glob("[!.]*/config.json")):
        try:
            found[path.parent.name] = read_record(path.parent)
        except ModelError:  # what is broken is of no use again, and `models show` names it
            continue
    return found


def data_fingerprint(dataset: Dataset) -> str:
    """Hash all that may be learned from."""
    digest = hashlib.sha256()
    for part in _texts(dataset):
        digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
    for column in _columns(dataset):
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()[:16]


@cache
def code_digest() -> str:
    """Hash the source of everything that learns."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for name in _CODE:
        place = root / name
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(path.relative_to(root).as_posix().encode() + b"\0")
            digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _texts(dataset: Dataset) -> Iterator[str]:
    for vocabulary in (dataset.users, dataset.items, dataset.entities):
        yield vocabulary.hash
    yield from dataset.facts.relations
    yield from dataset.item_texts
    yield from dataset.entity_names
    for kind in dataset.links.types:
        yield from kind
    for column in dataset.user_columns:
        yield column.name
        yield from column.categories or ()


def _columns(dataset: Dataset) -> Iterator[NDArray[Any]]:
    held, facts, links = dataset.interactions, dataset.facts, dataset.links
    yield from (held.user, held.item, held.value, held.at, held.kind)
    yield from (facts.item, facts.relation, facts.entity, facts.confidence)
    yield from (links.head, links.relation, links.tail, links.confidence)
    yield from (column.values for column in dataset.user_columns)


def _encoder(config: TeamConfig) -> str:
    """Say what texts are encoded with, where an agent reads any."""
    reading = any(agent_class(name).Config.reads_texts for name in config.agents)
    return _hash(encoder_content(config)) if reading else ""


def _versions() -> dict[str, str]:
    found = {"kgrec": __version__, "python": platform.python_version(), **_installed()}
    return dict(sorted(found.items()))


def _installed() -> Mapping[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # an extra that is not here computes nothing here
            continue
    return found


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
