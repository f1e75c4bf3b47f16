"""Train: the graph as columns, a part held out to choose on, a team, its files.

A model is named by its content, and found again by what it was trained with (`training_key`), so
that training again on the same graph with the same settings and code does nothing.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from kgrec.config import FrozenModel, parse_config
from kgrec.data.dataset import Dataset, Interactions
from kgrec.data.protocols import split_by_ratio, split_by_time
from kgrec.data.selection import Selection
from kgrec.errors import DataError
from kgrec.graph.store import GraphStore
from kgrec.graph.training_data import read_dataset
from kgrec.learning.fit_team import fit_team
from kgrec.learning.team_config import TeamConfig, encoder_of
from kgrec.model.record import CONTENT_FILE, ModelRecord, TrainingKey, read_record
from kgrec.model.storage import save_model
from kgrec.model.team import Team
from kgrec.progress import SILENT, Progress
from kgrec.stages.training_key import find_trained, training_key
from kgrec.training.workers import ALONE, Workers


class TrainConfig(TeamConfig):
    """What is learned from, what is held out, and who is in the team.

    Attributes:
        validation: share of each user's interactions that choices are made on; 0 holds out none.
        order: whether those are drawn at random or are the latest.
        kinds: kinds of interaction that count; None means all.
        at_least: least value, by kind, of an interaction that is a positive.
    """

    validation: float = Field(default=0.1, ge=0.0, le=0.5)
    order: Literal["random", "time"] = "random"
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
    """What a training did; what it reports of the model is the model's record.

    Attributes:
        trained: False when a model of the same data, settings and code was there already.
        reason: why it was trained, or that it was found.
        metrics: what was measured while fitting.
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

    A training that was killed goes on where it was: the state of the agents lies under
    `<home>/checkpoints/<digest of the key>/` until the model is saved.

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
    requested = None
    if held_out is not None and config.order == "time":
        requested = held_out.first_times(dataset.num_users)
    return fit_team(
        part,
        held_out,
        config.team(),
        requested=requested,
        encode=encode,
        progress=progress,
        workers=workers,
        logs=logs,
        checkpoints=checkpoints,
    )


def held_apart(dataset: Dataset, config: TrainConfig) -> tuple[Dataset, Interactions | None]:
    """Return the data to learn from and the interactions that choices are made on, if any."""
    if not config.validation:
        return dataset, None
    ratios = (1.0 - config.validation, config.validation)
    if config.order == "time":
        learned, held_out = split_by_time(dataset.interactions, ratios)
    else:
        learned, held_out = split_by_ratio(dataset.interactions, ratios, seed=config.seed)
    return dataset.with_interactions(learned), held_out


def _check(dataset: Dataset) -> None:
    if not len(dataset.interactions):
        raise DataError(
            "the graph holds no interaction that is a positive",
            value=f"{dataset.num_users} users, {dataset.num_items} items",
            remedy="Ingest interactions, or lower `at_least` in [train].",
        )
