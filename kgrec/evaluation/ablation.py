"""Ablation: the team beside each agent alone, without each agent, and without its knowledge.

Knowledge, facts and texts, is removed, or shuffled among the items.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.data.dataset import Dataset, Facts
from kgrec.data.vocabulary import Vocabulary
from kgrec.errors import ModelError
from kgrec.evaluation.measure import HeldOutQueries, Measurement, measure
from kgrec.evaluation.report import Metric
from kgrec.learning.agent import Encode, with_settings
from kgrec.learning.fit_team import fit_team
from kgrec.learning.registry import build_agent
from kgrec.learning.team_config import TeamConfig
from kgrec.metrics.intervals import Difference, compare
from kgrec.metrics.ranking import Values
from kgrec.model.kernel import Kernel
from kgrec.model.team import Team
from kgrec.progress import SILENT, Progress

Knowledge = Literal["full", "none", "shuffled", "no-facts", "no-text"]


def audited(dataset: Dataset, knowledge: Knowledge, *, seed: int) -> Dataset:
    """Return the data set with its knowledge reduced.

    Args:
        knowledge: `full` changes nothing; `none` removes facts and texts; `no-facts` and `no-text`
            remove one of them; `shuffled` permutes facts and texts among the items, which keeps
            their distribution.
        seed: seed of the permutation.
    """
    if knowledge == "full":
        return dataset
    if knowledge == "shuffled":
        return _shuffled(dataset, seed)
    if knowledge in ("none", "no-facts"):
        dataset = replace(dataset, entities=Vocabulary(()), facts=Facts.empty(), entity_names=())
    if knowledge in ("none", "no-text"):
        dataset = replace(dataset, item_texts=())
    return dataset


def _shuffled(dataset: Dataset, seed: int) -> Dataset:
    moved = np.random.default_rng(seed).permutation(dataset.num_items)
    texts = list(dataset.item_texts)
    for row, text in enumerate(dataset.item_texts):
        texts[moved[row]] = text
    facts = replace(dataset.facts, item=moved[dataset.facts.item])
    return replace(dataset, facts=facts, item_texts=tuple(texts))


METRICS = ("recall", "ndcg", "mrr")
TEAM = "team"


@dataclass(frozen=True)
class Variant:
    """One row of the table.

    Attributes:
        agents: names.
        knowledge: what remains of facts and texts; see `audited`.
        gate, ranker: False disables them; True leaves the configuration as it is.
        equal: whether all agents have the same share, so that nothing is chosen.
    """

    name: str
    agents: tuple[str, ...]
    knowledge: Knowledge = "full"
    gate: bool = True
    ranker: bool = True
    equal: bool = False

    def config(self, team: TeamConfig) -> TeamConfig:
        """Return the configuration of the team with what this variant changes."""
        coordinator, ranker = team.coordinator, team.ranker
        if not self.gate:
            gate = coordinator.gate.model_copy(update={"use": "never"})
            coordinator = coordinator.model_copy(update={"gate": gate})
        if self.equal:
            weights = dict.fromkeys(self.agents, 1.0)
            coordinator = coordinator.model_copy(update={"weights": weights})
        if not self.ranker:
            ranker = ranker.model_copy(update={"use": "never"})
        changed = {"agents": self.agents, "coordinator": coordinator, "ranker": ranker}
        return team.model_copy(update=changed)


class AblationRow(FrozenModel):
    """The measurement of one variant.

    Attributes:
        at: `k` to metric to its value.
        among_cold: the same where the cold items alone are ranked, if the split has such.
        less_team: `k` to metric to the difference from the team; Holm's correction is over the
            variants.
        seconds: of fitting; agents that were fitted before on the same data are not fitted again.
        failed: why there is nothing to measure.
    """

    name: str
    at: dict[int, dict[str, Metric]] = Field(default_factory=dict)
    among_cold: dict[int, dict[str, Metric]] = Field(default_factory=dict)
    less_team: dict[int, dict[str, Difference]] = Field(default_factory=dict)
    seconds: float = 0.0
    failed: str | None = None


class AblationReport(FrozenModel):
    """The team first, then its variants."""

    rows: tuple[AblationRow, ...]


def variants(
    agents: tuple[str, ...], *, facts: bool, texts: bool, gate: bool, ranker: bool
) -> Iterator[Variant]:
    """Yield the variants of a team, none of them and no name twice.

    Args:
        agents: those that were fitted.
        facts, texts: whether the data has them.
        gate, ranker: whether the team uses them.
    """
    if len(agents) > 1:
        for name in agents:
            yield Variant(f"{name} alone", (name,), gate=False, ranker=False)
    if len(agents) > 2:
        for name in agents:
            yield Variant(f"without {name}", tuple(other for other in agents if other != name))
    if ranker:
        yield Variant("without ranker", agents, ranker=False)
    if gate:
        yield Variant("weights alike for all", agents, gate=False)
    if len(agents) > 1:
        yield Variant("equal weights", agents, gate=False, ranker=False, equal=True)
    if facts and texts:
        yield Variant("without facts", agents, "no-facts")
        yield Variant("without texts", agents, "no-text")
    if facts or texts:
        # An agent has the name "knowledge", so what is left out is named.
        known = [name for name, there in (("facts", facts), ("texts", texts)) if there]
        yield Variant(f"without {' and '.join(known)}", agents, "none")
        yield Variant("shuffled knowledge", agents, "shuffled")


def ablate(
    team: Team,
    whole: Measurement,
    queries: HeldOutQueries,
    config: TeamConfig,
    fitted: dict[str, Kernel],
    *,
    knowledge: bool = True,
    encode: Encode | None = None,
    progress: Progress = SILENT,
) -> AblationReport:
    """Fit every variant as the team was fitted, and measure it.

    Args:
        team: the whole team, and `whole` its measurement.
        config: its configuration. Settings that a search found hold for every variant; no variant
            searches.
        fitted: its kernels by agent, as `fit_team` collected them; a variant on the same data
            reuses them, which is exact, and the coordinator chooses again.
        knowledge: whether to fit also on less knowledge, which takes as long as all the rest.
    """
    train = queries.data.train
    agents = tuple(name for name in dict.fromkeys(config.agents) if name in fitted)
    config, fitted = _as_found(team, config, fitted)
    planned = list(
        variants(
            agents,
            facts=knowledge and bool(len(train.facts)),
            texts=knowledge and any(train.item_texts),
            gate=team.coordinator.gate is not None,
            ranker=team.ranker is not None,
        )
    )
    rows = [_row(TEAM, whole, 0.0)]
    values = {}
    with progress.task("ablate", len(planned)) as task:
        for variant in planned:
            task.describe(variant.name)
            row, found = _measured(variant, queries, config, fitted, encode, progress)
            rows.append(row)
            if found is not None:
                values[row.name] = found.values
            task.advance()
    return AblationReport(rows=tuple(_compared(rows, values, whole, queries)))


def _as_found(
    team: Team, config: TeamConfig, fitted: dict[str, Kernel]
) -> tuple[TeamConfig, dict[str, Kernel]]:
    """Return the configuration that a search ended with, and the kernels that are still of it."""
    found = team.metrics["search"].get("settings", {})
    settings = dict(config.settings)
    for name, changed in found.items():
        before = build_agent(name, settings.get(name)).config.model_dump()
        settings[name] = with_settings(before, changed)
    kept = {name: kernel for name, kernel in fitted.items() if name not in found}
    return config.model_copy(update={"settings": settings, "budget": None}), kept


def _measured(
    variant: Variant,
    queries: HeldOutQueries,
    config: TeamConfig,
    fitted: dict[str, Kernel],
    encode: Encode | None,
    progress: Progress,
) -> tuple[AblationRow, Measurement | None]:
    data = queries.data
    begun = time.perf_counter()
    try:
        ranker = fit_team(
            audited(data.train, variant.knowledge, seed=queries.seed),
            data.valid,
            variant.config(config),
            given=data.valid_given,
            requested=data.requests(data.valid),
            fitted=fitted if variant.knowledge == "full" else None,
            encode=encode,
            progress=progress,
        )
    except ModelError as error:
        return AblationRow(name=variant.name, failed=str(error)), None
    seconds = round(time.perf_counter() - begun, 3)
    found = measure(ranker, queries, progress)
    return _row(variant.name, found, seconds), found


def _row(name: str, found: Measurement, seconds: float) -> AblationRow:
    cold = found.among_cold.at if found.among_cold is not None else {}
    return AblationRow(
        name=name, at=_chosen(found.ranking.at), among_cold=_chosen(cold), seconds=seconds
    )


def _chosen(at: dict[int, dict[str, Metric]]) -> dict[int, dict[str, Metric]]:
    return {k: {name: metrics[name] for name in METRICS} for k, metrics in at.items()}


def _compared(
    rows: list[AblationRow],
    values: dict[str, dict[int, dict[str, Values]]],
    team: Measurement,
    queries: HeldOutQueries,
) -> Iterator[AblationRow]:
    less: dict[str, dict[int, dict[str, Difference]]] = {
        name: {k: {} for k in queries.ks} for name in values
    }
    for k in queries.ks if values else ():
        for metric in METRICS:
            ours = {name: each[k][metric] for name, each in values.items()}
            theirs = dict.fromkeys(ours, team.values[k][metric])
            for name, difference in compare(ours, theirs, seed=queries.seed).items():
                less[name][k][metric] = difference
    for row in rows:
        yield row.model_copy(update={"less_team": less.get(row.name, {})})
