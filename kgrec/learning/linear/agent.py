"""The linear agent: a closed-form item-to-item filter with knowledge features."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from kgrec.learning.agent import AgentConfig, FitContext, NothingToLearnError, Range, Space
from kgrec.learning.knowledge_features import HOP_DECAY
from kgrec.learning.linear.blocks import BlockConfig
from kgrec.learning.linear.forms import (
    DenseForm,
    Form,
    LinearSearch,
    LinearTrial,
    LowRankForm,
    Setting,
    SparseForm,
)
from kgrec.learning.linear.gram import Evidence, WeightConfig
from kgrec.metrics.validation import Objective
from kgrec.model.folding.regression import RegressionFormula
from kgrec.model.kernel import Kernel, Part, Source

FormName = Literal["dense", "sparse", "low-rank"]


class LinearConfig(AgentConfig):
    """Settings of the linear agent.

    Attributes:
        form: `dense` solves for all items at once; `sparse` for blocks of similar items;
            `low-rank` over the leading eigenvectors. `auto` is dense up to `dense_items` items,
            and sparse beyond.
        dense_items: maximum number of items of the dense form under `auto`. Its memory grows with
            the square of the items (8,000 need 1 GB), its time with their cube.
        ridge: λ of an item of mean popularity; None starts at `ridge_start` and multiplies or
            divides by 4, then by 2, while the validation metric improves.
        weights: weights of users, values and popular items.
        knowledge: weight of the knowledge features beside the users; None chooses. At 0 a cold
            item cannot be reached, so the default choices have no 0.
        dropout: share of a history that is hidden from the regression, in expectation; None tries
            `dropout_choices` one after the other while they gain by more than noise. Not in the
            low-rank form.
        hop_decay: weight of features from links; 0 uses no links; None chooses among
            `hop_decay_choices`, where there are links.
        row_size: dense form: number of weights that are kept of each history item.
        blocks: sparse form: partition of the catalogue into blocks.
        rank: low-rank form: number of eigenvectors.
        search_items: dense form: number of the most popular items that settings are chosen on.
        search_sample: other forms: approximate number of sampled items that settings are chosen
            on (whole blocks in the sparse form). On too few the chosen ridge is too large.
    """

    searched: ClassVar[Mapping[str, Space]] = {
        "weights.user_power": Range(0.0, 1.0),
        "weights.ridge_power": Range(0.0, 1.0),
        "weights.value_power": Range(0.0, 1.0),
        "ridge": Range(1.0, 20_000.0, log=True),
    }

    form: Literal["auto", "dense", "sparse", "low-rank"] = "auto"
    dense_items: int = Field(default=8_000, ge=1)
    ridge: float | None = Field(default=None, gt=0)
    ridge_start: float = Field(default=200.0, gt=0)
    weights: WeightConfig = WeightConfig()
    knowledge: float | None = Field(default=None, ge=0)
    knowledge_choices: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        default=(0.1, 3.0), min_length=1
    )
    dropout: float | None = Field(default=None, ge=0, lt=1)
    dropout_choices: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (0.5, 0.75, 0.9)
    hop_decay: float | None = Field(default=None, ge=0, le=1)
    hop_decay_choices: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(
        default=(HOP_DECAY, 0.0), min_length=1
    )
    row_size: int = Field(default=500, ge=1)
    blocks: BlockConfig = BlockConfig()
    rank: int = Field(default=256, ge=1)
    search_items: int = Field(default=4_000, ge=1)
    search_sample: int = Field(default=40_000, ge=1)
    objective: Objective = Objective()


class LinearAgent:
    """EASE (Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data").

    The Gram matrix is augmented with knowledge features as in the collective variant (Jeunen,
    Van Balen and Goethals 2020), and the ridge is larger for popular items. Items without
    interactions are reached through their features, in every form. The forms beyond dense are in
    `kgrec.learning.linear.forms` and `kgrec.learning.linear.blocks`.
    """

    name: ClassVar[str] = "linear"
    Config: ClassVar[type[LinearConfig]] = LinearConfig

    def __init__(self, config: LinearConfig | None = None) -> None:
        self.config = config or LinearConfig()

    def fit(self, context: FitContext) -> Kernel:
        """Solve for the item-to-item weights; see `Agent.fit`."""
        if not len(context.train.interactions):
            raise NothingToLearnError("the linear agent needs interactions")
        form, setting, chosen = self._chosen(context)
        with context.progress.task(f"linear: solve, {form.name}") as task:
            parts, inverse = form.solve(setting, task)
        learned_from: tuple[Source, ...] = ("interactions",)
        if chosen["knowledge"]:  # with weight 0 the kernel does not depend on facts
            learned_from = ("interactions", "facts")
        reads: dict[Part, tuple[Source, ...]] = {"factors": learned_from, "rows": learned_from}
        factors = parts.get("history_factors")
        formula = RegressionFormula(
            diagonal=inverse,
            ridge=float(chosen["ridge"] * form.evidence.cold_shape),
            knowledge=float(chosen["knowledge"]),
            decay=float(chosen.get("hop_decay", 0.0)),
            row_size=self.config.row_size,
            factors=0 if factors is None else int(factors.shape[1]),
        )
        return Kernel(self.name, chosen=chosen, reads=reads, inductive=formula, **parts)

    def _chosen(self, context: FitContext) -> tuple[Form, Setting, dict[str, float | int]]:
        """Return the form and the setting with the best validation metric, and all by name."""
        best: tuple[float, Form, Setting, dict[str, float | int]] | None = None
        ridge = self.config.ridge
        for decay in self._decays(context):
            evidence = Evidence.of(context.train, self.config.weights, decay)
            form = self._form(evidence, context)
            found, metric = self._choose(form, evidence, context, ridge)
            chosen: dict[str, float | int] = {"ridge": found.ridge, "knowledge": found.knowledge}
            if found.dropout:
                chosen["dropout"] = found.dropout
            if len(context.train.links):
                chosen["hop_decay"] = decay
            if best is None or metric > best[0]:
                best = metric, form, found, chosen
            ridge = found.ridge  # the ridge of the first decay suits the others as well
        assert best is not None  # noqa: S101 - there is at least one decay
        return best[1:]

    def _decays(self, context: FitContext) -> tuple[float, ...]:
        config = self.config
        if config.hop_decay is not None:
            return (config.hop_decay,)
        undecided = context.validation is None or not len(context.validation)
        if undecided or not len(context.train.links):
            return config.hop_decay_choices[:1]
        return config.hop_decay_choices

    def _form(self, evidence: Evidence, context: FitContext) -> Form:
        config = self.config
        name = config.form
        if name == "auto":
            name = "dense" if evidence.num_items <= config.dense_items else "sparse"
        if name == "dense":
            return DenseForm(evidence, config.row_size, config.search_items)
        if name == "low-rank":
            return LowRankForm(evidence, config.rank, config.search_sample, context.seed)
        # Not from the chosen settings: given as settings, they must lead to the same blocks.
        nearness = config.ridge_start, config.knowledge_choices[-1]
        with context.progress.task("linear: cut into blocks"):
            return SparseForm(
                evidence,
                config.blocks,
                nearness,
                config.search_sample,
                context.seed,
                workers=os.cpu_count() or 1,
            )

    def _knowledge_choices(self, evidence: Evidence) -> tuple[float, ...]:
        if self.config.knowledge is not None or not evidence.features.nnz:
            return (self.config.knowledge or 0.0,)
        return self.config.knowledge_choices

    def _choose(
        self, form: Form, evidence: Evidence, context: FitContext, ridge: float | None
    ) -> tuple[Setting, float]:
        """Return the setting and, where measured, its metric."""
        config = self.config
        weights = self._knowledge_choices(evidence)
        dropouts = config.dropout_choices if form.drops_out and config.dropout is None else ()
        dropout = (config.dropout or 0.0) if form.drops_out else 0.0
        begun = Setting(ridge or config.ridge_start, weights[-1], dropout)
        several = len(weights) > 1 or len(self._decays(context)) > 1 or len(dropouts) > 0
        settled = config.ridge is not None and not several
        if settled or context.validation is None or not len(context.validation):
            return begun, 0.0
        trial = LinearTrial.of(form, context, config.objective)
        if not len(trial.held_out):
            return begun, 0.0
        with context.progress.task("linear: choose") as task:
            search = LinearSearch(trial.values, task)
            if ridge is None:
                begun = search.ridge(begun)
            best = max((replace(begun, knowledge=w) for w in weights), key=search.measure)
            best = search.dropout(best, dropouts)
            return best, search.measure(best)
