"""Train: read the graph as columns, hold out a validation part, fit a team, save it.

A model's id is the hash of its content. Its training key is a hash of data, settings, source code
and library versions; where a model with the same key exists, nothing is trained.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from kgrec.config import FrozenModel, parse_config
from kgrec.data.dataset import Dataset, Interactions
from kgrec.data.protocols import split_by_ratio, split_by_time
from kgrec.data.selection import Selection
from kgrec.errors import DataError, ModelError
from kgrec.graph.store import GraphStore
from kgrec.graph.training_data import read_dataset
from kgrec.learning.fit_team import fit_team
from kgrec.learning.registry import agent_class
from kgrec.learning.team_config import TeamConfig, encoder_content, encoder_of
from kgrec.model.record import CONTENT_FILE, ModelRecord, TrainingKey, canonical, read_record
from kgrec.model.storage import save_model
from kgrec.model.team import Team
from kgrec.progress import SILENT, Progress
from kgrec.training.workers import ALONE, Workers
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
"""Files and folders of the package that a trained model depends on."""
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
        except ModelError:  # a broken model cannot be reused; `models show` reports it
            continue
    return found


def data_fingerprint(dataset: Dataset) -> str:
    """Hash all training data."""
    digest = hashlib.sha256()
    for part in _texts(dataset):
        digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
    for column in _columns(dataset):
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()[:16]


@cache
def code_digest() -> str:
    """Hash the source code that a trained model depends on."""
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
    for context in dataset.contexts:
        yield from context
    for column in dataset.user_columns:
        yield column.name
        yield from column.categories or ()


def _columns(dataset: Dataset) -> Iterator[NDArray[Any]]:
    held, facts, links = dataset.interactions, dataset.facts, dataset.links
    against = dataset.rejected
    yield from (held.user, held.item, held.value, held.at, held.kind, held.context)
    yield from (against.user, against.item, against.value, against.at, against.kind)
    yield from (facts.item, facts.relation, facts.entity, facts.confidence)
    yield from (links.head, links.relation, links.tail, links.confidence)
    yield from (column.values for column in dataset.user_columns)


def _encoder(config: TeamConfig) -> str:
    """Return the identifier of the text encoder, empty where no agent reads texts."""
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


class TrainConfig(TeamConfig):
    """Settings of a training on the graph: its data, validation part and team.

    Attributes:
        validation: share of each user's interactions in the validation part; 0 holds out none.
        order: whether these are random, the latest ones, or all interactions of a share of the
            items: then the team is chosen for items that come after the training.
        kinds: kinds of interaction that count; None means all.
        at_least: least value, by kind, of an interaction that is a positive.
    """

    validation: float = Field(default=0.1, ge=0.0, le=0.5)
    order: Literal["random", "time", "items"] = "random"
    kinds: tuple[str, ...] | None = None
    at_least: dict[str, float] = Field(default_factory=lambda: Selection().at_least)
    refit: bool = True

    def team(self) -> TeamConfig:
        """Return the settings of the team alone."""
        return TeamConfig(**{name: getattr(self, name) for name in TeamConfig.model_fields})

    def selection(self, domain: str | None) -> Selection:
        """Return which interactions are learned from."""
        values = {"domain": domain, "kinds": self.kinds, "at_least": self.at_least}
        return parse_config(Selection, values, origin="[train]")


class TrainSummary(FrozenModel):
    """The result of a training; figures of the model are those of its record.

    Attributes:
        trained: False when a model of the same data, settings and code was there already.
        reason: why it was trained, or that it was found.
        metrics: metrics of the fit.
        shares: fixed share of each agent, summing to 1.
        failed: agents of the settings that could not be fitted, with the reason.
    """

    model_id: str
    trained: bool
    reason: str = ""
    users: int
    items: int
    interactions: int
    facts: int
    metrics: dict[str, Any]
    shares: dict[str, float]
    failed: dict[str, str] = Field(default_factory=dict)
    seconds: float


def train(
    store: GraphStore,
    domain: str | None = None,
    config: TrainConfig | None = None,
    *,
    home: Path,
    force: bool = False,
    progress: Progress = SILENT,
    workers: Workers = ALONE,
    logs: Path | None = None,
) -> TrainSummary:
    """Train a team on the graph and keep it under `<home>/models/<model_id>/`.

    Args:
        domain: name of a domain, whose items alone are learned; None means all items.
        force: train even where a model of the same data, settings and code is there.
        workers: the processes that train together; the first reads and writes.
        logs: folder for a log of every training.

    A killed training resumes from the checkpoints of its agents under
    `<home>/checkpoints/<digest of the key>/`, which are removed when the model is saved.

    Raises:
        DataError: the graph holds no items, or no positive interactions.
        ConfigError: an agent, a setting or the device is unknown.
        ModelError: no agent can be fitted, or the model cannot be written.
    """
    begun = time.perf_counter()
    config = config or TrainConfig()
    selection = config.selection(domain)
    dataset = workers.once(lambda: read_dataset(store, selection, progress=progress))
    _check(dataset)
    models = home / "models"

    def look() -> tuple[TrainingKey, str | None, str]:
        key = training_key(dataset, config, selection)
        if force:
            return key, None, "it was requested"
        return key, *find_trained(models, key, selection.domain)

    # By the first process alone: the settings of another one name another GPU.
    key, found, reason = workers.once(look)
    if found is None:
        checkpoints = home / "checkpoints" / key.digest
        team = _fit(dataset, config, home / "cache", progress, workers, logs, checkpoints)
        team = replace(team, config={**team.config, "selection": selection.model_dump()})
        record = workers.once(lambda: save_model(team, models, key=key))
        workers.once(lambda: shutil.rmtree(checkpoints, ignore_errors=True))
    else:
        record = workers.once(lambda: read_record(models / found))
    workers.once(lambda: os.utime(models / record.model_id / CONTENT_FILE))  # now the newest
    seconds = round(time.perf_counter() - begun, 3)
    return _summary(record, dataset, reason, trained=found is None, seconds=seconds)


def _summary(
    record: ModelRecord, dataset: Dataset, reason: str, *, trained: bool, seconds: float
) -> TrainSummary:
    return TrainSummary(
        model_id=record.model_id,
        trained=trained,
        reason=reason,
        users=dataset.num_users,
        items=dataset.num_items,
        interactions=len(dataset.interactions),
        facts=len(dataset.facts),
        metrics=record.metrics,
        shares=record.shares,
        failed=record.failed,
        seconds=seconds,
    )


def _fit(
    dataset: Dataset,
    config: TrainConfig,
    cache: Path,
    progress: Progress,
    workers: Workers,
    logs: Path | None,
    checkpoints: Path,
) -> Team:
    encode = encoder_of(config, cache_dir=cache / "vectors", progress=progress)
    part, held_out = held_apart(dataset, config)
    unwanted = Interactions.empty()
    if held_out is not None:
        rejected, unwanted = _split(part.rejected, config, part.num_items)
        part = replace(part, rejected=rejected)
    requested = None
    if held_out is not None and config.order == "time":
        requested = held_out.first_times(dataset.num_users)
    return fit_team(
        part,
        held_out,
        config.team(),
        requested=requested,
        unwanted=unwanted,
        encode=encode,
        progress=progress,
        workers=workers,
        logs=logs,
        checkpoints=checkpoints,
    )


def held_apart(dataset: Dataset, config: TrainConfig) -> tuple[Dataset, Interactions | None]:
    """Return the training part and the validation part, if any."""
    if not config.validation:
        return dataset, None
    learned, held_out = _split(dataset.interactions, config, dataset.num_items)
    return dataset.with_interactions(learned), held_out


def _split(interactions: Interactions, config: TrainConfig, num_items: int) -> list[Interactions]:
    ratios = (1.0 - config.validation, config.validation)
    if config.order == "time":
        return split_by_time(interactions, ratios)
    if config.order == "items":
        chance = np.random.default_rng(config.seed).random(num_items)
        hidden = chance[interactions.item] < config.validation
        return [interactions.take(~hidden), interactions.take(hidden)]
    return split_by_ratio(interactions, ratios, seed=config.seed)


def _check(dataset: Dataset) -> None:
    if not len(dataset.interactions):
        raise DataError(
            "the graph holds no interaction that is a positive",
            value=f"{dataset.num_users} users, {dataset.num_items} items",
            remedy="Ingest interactions, or lower `at_least` in [train].",
        )
