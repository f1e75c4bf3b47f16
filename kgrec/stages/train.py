"""Train: the graph as columns, a part held out to choose on, a team, its files.

A model is named by the data and the settings it was trained on, so training again on the same
graph finds the model there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from dataclasses import replace
from itertools import chain, count
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from kgrec import __version__
from kgrec.config import FrozenModel, parse_config
from kgrec.data.dataset import Dataset, Interactions
from kgrec.data.protocols import split_by_ratio, split_by_time
from kgrec.data.selection import Selection
from kgrec.errors import DataError
from kgrec.graph.store import GraphStore
from kgrec.graph.training_data import read_dataset
from kgrec.learning.fit_team import fit_team
from kgrec.learning.registry import agent_class
from kgrec.learning.team_config import TeamConfig, encoder_content, encoder_of
from kgrec.model.team import Team
from kgrec.progress import SILENT, Progress
from kgrec.training.workers import ALONE, Workers


class TrainConfig(TeamConfig):
    """What is learned from, what is held out, and who is in the team.

    Attributes:
        validation: share of each user's interactions that choices are made on; 0 holds out none.
        order: whether those are drawn at random or are the latest.
        kinds: kinds of interaction that count; None takes all.
        at_least: the least value, by kind, with which an interaction speaks for its item.
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
    """What a training did.

    Attributes:
        trained: False when this very model was there already.
        metrics: what was measured while fitting.
    """

    model_id: str
    trained: bool
    users: int
    items: int
    interactions: int
    facts: int
    metrics: dict[str, Any]
    weights: dict[str, float]
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
        domain: name of a domain, whose items alone are learned; None takes all items.
        force: train even where this model is there already; the new one gets a name of its own,
            as files of a model that may be live are never replaced.
        workers: the processes that train together; the first reads and writes.
        logs: folder that takes a log of every training.

    A training that was killed goes on where it was: the state of the agents lies under
    `<home>/checkpoints/<model_id>/` until the model is saved.

    Raises:
        DataError: the graph holds no items, or no interactions that speak for one.
        ConfigError: an agent, a setting or the device is unknown.
        ModelError: no agent finds anything to learn from, or the model cannot be written.
    """
    begun = time.perf_counter()
    config = config or TrainConfig()
    selection = config.selection(domain)
    dataset = workers.once(lambda: read_dataset(store, selection, progress=progress))
    _check(dataset)

    def name() -> str:
        found = f"{_word(domain)}-{_fingerprint(dataset, config, selection)}"
        return _unused(home / "models", found) if force else found

    model_id = workers.once(name)  # the settings of another process name another GPU
    folder = home / "models" / model_id
    known = workers.once(lambda: (folder / "config.json").is_file()) and not force
    if known:
        team = Team.load(folder)
        os.utime(folder / "config.json")  # the newest model is the one that was asked for last
    else:
        checkpoints = home / "checkpoints" / model_id
        team = _fit(dataset, config, home / "cache", progress, workers, logs, checkpoints)
        team = replace(team, config={**team.config, "selection": selection.model_dump()})
        workers.once(lambda: team.save(folder))
        workers.once(lambda: shutil.rmtree(checkpoints, ignore_errors=True))
    return TrainSummary(
        model_id=model_id,
        trained=not known,
        users=dataset.num_users,
        items=dataset.num_items,
        interactions=len(dataset.interactions),
        facts=len(dataset.facts),
        metrics=dict(team.metrics),
        weights=team.weights,
        seconds=round(time.perf_counter() - begun, 3),
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
            "the graph holds no interaction that speaks for an item",
            value=f"{dataset.num_users} users, {dataset.num_items} items",
            remedy="Ingest interactions, or lower `at_least` in [train].",
        )


def _word(domain: str | None) -> str:
    return Path(domain).stem if domain else "all"


def _unused(models: Path, model_id: str) -> str:
    names = chain([model_id], (f"{model_id}-{number}" for number in count(2)))
    return next(name for name in names if not (models / name).exists())


def _encoder(config: TrainConfig) -> str:
    """Say what texts are encoded with, where an agent reads any."""
    reading = any(agent_class(name).Config.reads_texts for name in config.agents)
    return encoder_content(config) if reading else ""


def _fingerprint(dataset: Dataset, config: TrainConfig, selection: Selection) -> str:
    """Hash everything that the team depends on, in any process the same."""
    digest = hashlib.sha256()
    parts = [__version__, config.model_dump_json(), selection.model_dump_json(), _encoder(config)]
    parts += [vocabulary.hash for vocabulary in (dataset.users, dataset.items, dataset.entities)]
    parts += [*dataset.facts.relations, *dataset.item_texts, *dataset.entity_names]
    for part in parts:
        digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
    taken, facts = dataset.interactions, dataset.facts
    columns = (taken.user, taken.item, taken.value, taken.at, taken.kind)
    for column in (*columns, facts.item, facts.relation, facts.entity, facts.confidence):
        digest.update(column.tobytes())
    return digest.hexdigest()[:12]
