"""The training problem of the graph agents: predict supervision edges from message edges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import ClassVar, Literal

import numpy as np
import scipy.sparse as sp
import torch
from pydantic import Field
from torch import Tensor

from kgrec.data.dataset import IntArray, Interactions
from kgrec.learning.agent import AgentConfig, Choices, FitContext, NothingToLearnError, Range, Space
from kgrec.learning.link_prediction.batch_scores import BatchScores
from kgrec.learning.link_prediction.batches import (
    Batch,
    Batches,
    Budget,
    SampleConfig,
    SampledUsers,
    WholeGraph,
    stretched,
)
from kgrec.learning.link_prediction.convolution import Edges, Graph
from kgrec.learning.link_prediction.mean import mean_kernel
from kgrec.learning.link_prediction.network import HistoryNetwork
from kgrec.metrics.validation import Objective
from kgrec.model.folding.inductive import Inductive
from kgrec.model.kernel import Kernel, Source
from kgrec.training.loop import Schedule, seeded, train
from kgrec.training.losses import (
    ContrastConfig,
    LossConfig,
    RegulariseConfig,
    adversarial_loss,
    info_nce,
    noisy,
)

Build = Callable[[float], HistoryNetwork]
"""Builds a new network with this temperature τ; the caller seeds the random generators."""


class UntilItStands(Schedule):
    """A schedule whose steps the validation decides, up to four times the usual number."""

    steps: int = Field(default=480, ge=1)
    curve: Literal["step", "plateau", "cosine"] = "plateau"


class HiddenEdgesConfig(AgentConfig):
    """Settings of an agent that learns by predicting hidden edges.

    Attributes:
        tau: temperature of the cosine; None trains once with each of `tau_choices` and keeps the
            best, or uses the first of them without a validation part.
        steps: number of steps, at most those of the schedule; None stops early by the validation
            metric.
        history_power: p, exponent of the normalisation by the length of a history.
        kappa: κ, number of interactions at which an item's own embedding has weight one half.
        embedding_dim: size of the vectors.
        drop: share of the edges that are supervision edges in a step, the targets.
        cold: share of the items all of whose edges are supervision edges in a step as well.
        max_cells: maximum number of scores in a step; beyond it users are sampled.
        ensemble: number of networks with different seeds whose scores are averaged; settings are
            chosen with the first. None means one.
        loss: loss and negative sampling.
        regularise: regularisation.
        sample: sampling of large graphs.
    """

    searched: ClassVar[Mapping[str, Space]] = {
        "tau": Range(0.05, 2.0, log=True),
        "history_power": Range(0.0, 1.0),
        "drop": Range(0.1, 0.8),
        "kappa": Range(0.05, 20.0, log=True),
        "schedule.rate": Range(0.003, 0.1, log=True),
        "embedding_dim": Choices((32, 64, 128, 256)),
    }

    tau: float | None = Field(default=None, gt=0)
    tau_choices: tuple[float, ...] = Field(default=(0.3, 0.5), min_length=1)
    steps: int | None = Field(default=None, ge=1)
    history_power: float = Field(default=0.5, ge=0, le=1)
    kappa: float = Field(default=0.5, gt=0)
    embedding_dim: int = Field(default=128, ge=1)
    drop: float = Field(default=0.3, gt=0, lt=1)
    cold: float = Field(default=0.0, ge=0, lt=1)
    max_cells: int = Field(default=16_000_000, ge=1)
    ensemble: int | None = Field(default=None, ge=1)
    loss: LossConfig = LossConfig()
    regularise: RegulariseConfig = RegulariseConfig()
    sample: SampleConfig = SampleConfig()
    schedule: Schedule = Schedule()
    objective: Objective = Objective()


FALLS_AT = "schedule.falls_at"
"""The setting for the step at which the rate fell."""
_BEHIND = 0.97
"""A temperature is given up at a validation below this share of another's at the same step."""


@dataclass(frozen=True)
class _Candidate:
    kernel: Kernel
    metric: float
    course: Mapping[int, float]


def _validated(candidate: _Candidate) -> float:
    return candidate.metric


def _least(tried: Sequence[_Candidate]) -> dict[int, float]:
    """Return by step the metric below which another temperature is not worth going on with."""
    least: dict[int, float] = {}
    for each in tried:
        for step, value in each.course.items():
            least[step] = max(least.get(step, 0.0), _BEHIND * value)
    return least


class HiddenEdges:
    """One data set and one kind of network, for several trainings.

    Args:
        context: data and resources.
        config: settings of the training.
        name: name of the agent.
        build: builds a network of τ, with `config.history_power`, on the context's device.
        cosine: Kc, CSR float32 [I, I], multiplied by the network's `cosine_scale`, or None.
        reads: sources that the item vectors are learned from; see `Kernel`.

    Raises:
        NothingToLearnError: there are no interactions.
    """

    def __init__(
        self,
        context: FitContext,
        config: HiddenEdgesConfig,
        *,
        name: str,
        build: Build,
        cosine: sp.csr_matrix | None = None,
        reads: tuple[Source, ...] = ("interactions",),
    ) -> None:
        if not len(context.train.interactions):
            raise NothingToLearnError(f"the {name} agent needs interactions")
        self.context, self.config, self.name = context, config, name
        self.build, self.cosine, self.reads = build, cosine, reads
        self.edges = Edges.of_graph(context.hetero)
        self.held_out = context.held_out(config.objective)
        self.by_column = None if cosine is None else cosine.tocsc()

    def fit(self) -> Kernel:
        """Train with each candidate temperature; return the best kernel.

        With an `ensemble` the best temperature is trained again with other seeds.
        """
        tried: list[_Candidate] = []
        for tau, allotted in self.context.allotted(self.taus()):
            tried.append(self.train(tau, least=_least(tried), time_is_up=allotted.time_is_up))
        chosen = max(tried, key=_validated)
        best = chosen.kernel
        if self.held_out is not None:
            self.context.validated[self.name] = chosen.metric
        return self.mean([best, *self.further(best, (self.config.ensemble or 1) - 1)])

    def further(self, kernel: Kernel, number: int) -> list[Kernel]:
        """Train so many networks of other seeds, with what was chosen for the one of a kernel.

        Each ends by the validation part; where there is none, after the steps that were chosen.
        """
        chosen, blind = kernel.chosen, self.held_out is None
        tau, steps = float(chosen["tau"]), int(chosen["steps"]) if blind else None
        falls_at = chosen.get(FALLS_AT) if blind else None
        return [
            self.train(tau, seed=seed, steps=steps, falls_at=falls_at).kernel
            for seed in range(self.context.seed + 1, self.context.seed + 1 + number)
        ]

    def mean(self, kernels: Sequence[Kernel]) -> Kernel:
        """Return the mean of the kernels of several networks; the first is the one of the seed."""
        return mean_kernel(kernels)

    def taus(self) -> tuple[float, ...]:
        """Return the candidate temperatures."""
        if self.config.tau is not None:
            return (self.config.tau,)
        choices = self.config.tau_choices
        return choices[:1] if self.held_out is None else choices

    def learner(self, tau: float) -> EdgeLearner:
        """Return a training of a new network, step by step."""
        return EdgeLearner(self, tau)

    @cached_property
    def graph(self) -> Graph:
        """All edges."""
        return Graph.of(self.edges, self.config.kappa, self.context.device)

    def train(
        self,
        tau: float,
        *,
        seed: int | None = None,
        steps: int | None = None,
        falls_at: float | None = None,
        least: Mapping[int, float] | None = None,
        time_is_up: Callable[[], bool] | None = None,
    ) -> _Candidate:
        """Train a network with this temperature from scratch.

        Args:
            seed: seed; None means that of the context.
            steps: number of steps, without validation; None stops early.
            falls_at: of the schedule, where it is known.
            least: see `kgrec.training.loop.train`.
            time_is_up: the same; None means that of the context.
        """
        context, config, workers = self.context, self.config, self.context.workers
        look = self.held_out is not None and steps is None
        name = f"{self.name}: τ {tau:g}" + ("" if seed is None else f", seed {seed}")
        seed = context.seed if seed is None else seed
        with seeded(seed):
            network = self.build(tau)
            rng = np.random.default_rng(seed)
            # Two generators: one that all processes advance alike, and one for a process's share.
            own = rng if workers.world == 1 else np.random.default_rng([seed, workers.rank])
            batches = self.batches(network)
            schedule = self._schedule(batches)
            if falls_at is not None:
                schedule = schedule.model_copy(update={"falls_at": int(falls_at)})
            trained = train(
                network,
                workers.parallel(
                    network, lambda: self.loss(network, batches.sample_batch(network, rng), own)
                ),
                schedule,
                measure=(lambda: workers.once(lambda: self.measure(network))) if look else None,
                stop_after=steps or config.steps,
                name=name,
                progress=context.progress,
                generator=rng,
                row_wise=network.row_wise_parameters(),
                files=context.files(config),
                rest_every=batches.rest_every,
                least=least,
                time_is_up=(time_is_up or context.time_is_up) if look else lambda: False,
            )
        chosen: dict[str, float | int] = {"tau": tau, "steps": trained.steps}
        if schedule.curve == "plateau" and look:
            chosen[FALLS_AT] = trained.steps if trained.fell is None else trained.fell
        kernel = self.final_kernel(network, chosen)
        return _Candidate(kernel, trained.best or 0.0, trained.course)

    def batches(self, network: HistoryNetwork) -> Batches:
        """Return the sampler of batches: over the whole graph, or over samples of a large one."""
        config, edges = self.config, self.edges
        make: Callable[..., Batches] = WholeGraph
        if network.subgraphs and config.sample.applies(len(edges)):
            make = partial(SampledUsers, sample=config.sample)
        return make(
            edges=edges,
            budget=Budget.of(edges.num_items, edges.num_users, config.max_cells, config.loss),
            loss=config.loss,
            kappa=config.kappa,
            drop=config.drop,
            cold=config.cold,
            device=self.context.device,
            workers=self.context.workers,
        )

    def _schedule(self, batches: Batches) -> Schedule:
        if not isinstance(batches, SampledUsers):
            return self.config.schedule
        users = int((self.edges.user_degree() > 0).sum())
        schedule, sample = self.config.schedule, self.config.sample
        return stretched(schedule, sample, users, batches.budget.users)

    def loss(self, network: HistoryNetwork, batch: Batch, rng: np.random.Generator) -> Tensor:
        """Return the loss of predicting the hidden edges of a batch from the others."""
        scored = self.scored(network, batch, rng)
        vectors = network.item_vectors(batch.graph)
        return self.regularised(batch.share * scored.loss(vectors), scored, vectors, rng)

    def scored(
        self, network: HistoryNetwork, batch: Batch, rng: np.random.Generator
    ) -> BatchScores:
        """Return the scores of a batch, with dropout of history items."""
        dropout = self.config.regularise.history_dropout
        return BatchScores(
            network, batch, self.by_column, self.config.loss, dropout=dropout, rng=rng
        )

    def regularised(
        self, loss: Tensor, scored: BatchScores, vectors: Tensor, rng: np.random.Generator
    ) -> Tensor:
        """Return the loss with regularisation terms.

        Args:
            loss: loss of these item vectors by `scored`, times the share of the batch.
            vectors: [I, D].
        """
        settings, batch = self.config.regularise, scored.batch
        whole = loss
        if settings.adversary.weight:
            worst = adversarial_loss(loss, vectors, scored.loss, settings.adversary.epsilon)
            whole = whole + settings.adversary.weight * batch.share * worst
        if settings.contrast.weight:
            agreement = _contrast(scored.network, batch, vectors, settings.contrast, rng)
            whole = whole + settings.contrast.weight * agreement
        return whole

    def measure(self, network: HistoryNetwork) -> float:
        assert self.held_out is not None  # noqa: S101 - callers check that there is one
        return self.held_out.measure(self.kernel(network, {}).scores)

    def final_kernel(self, network: HistoryNetwork, chosen: dict[str, float | int]) -> Kernel:
        """Return the kernel of a trained network, with what items that come later need of it."""
        return replace(self.kernel(network, chosen), inductive=self.inductive(network))

    def inductive(self, network: HistoryNetwork) -> Inductive | None:
        """Return the formula of items that come later; None where the network has none in NumPy."""
        return None

    @torch.no_grad()
    def kernel(self, network: HistoryNetwork, chosen: dict[str, float | int]) -> Kernel:
        """Return the kernel of a network over all edges."""
        vectors = network.item_vectors(self.graph).cpu().numpy()
        scale = network.cosine_scale(self.graph)
        rows = None
        if self.cosine is not None and scale is not None:
            rows = sp.csr_matrix(self.cosine @ sp.diags_array(scale.cpu().numpy()))
        return Kernel(
            self.name,
            history_factors=np.asarray(vectors / network.tau, dtype=np.float32),
            item_factors=vectors,
            rows=rows,
            prior=network.prior(self.graph).cpu().numpy(),
            history_power=network.history_power,
            chosen=chosen,
            reads={"factors": self.reads, "rows": ("facts",), "prior": self.reads},
        )


class EdgeLearner:
    """One training of the problem, for joint training (`kgrec.learning.joint`)."""

    def __init__(self, problem: HiddenEdges, tau: float) -> None:
        self.problem, self.network = problem, problem.build(tau)
        self._batches = problem.batches(self.network)

    def loss(self, rng: np.random.Generator) -> Tensor:
        """Return the loss of a batch, sampled as in training alone."""
        return self.problem.loss(self.network, self._batches.sample_batch(self.network, rng), rng)

    def logits(self, visible: Interactions, users: IntArray) -> Tensor:
        """Score all items for the visible histories of users, float32 [B, I]."""
        problem, config = self.problem, self.problem.config
        kept = Edges.of(visible.matrix(problem.edges.num_users, problem.edges.num_items))
        graph, none = Graph.of(kept, config.kappa, problem.context.device), users[:0]
        batch = Batch(
            graph, kept.matrix()[users], none, none, None, None, len(kept), lambda _: graph
        )
        scored = BatchScores(self.network, batch, problem.by_column, LossConfig())
        return scored.scores(self.network.item_vectors(graph))

    def kernel(self, steps: int) -> Kernel:
        """Return the kernel after a number of steps."""
        return self.problem.final_kernel(self.network, {"tau": self.network.tau, "steps": steps})


def _contrast(
    network: HistoryNetwork,
    batch: Batch,
    vectors: Tensor,
    config: ContrastConfig,
    rng: np.random.Generator,
) -> Tensor:
    """Return the contrastive loss between two views of the items with a supervision edge."""
    items = np.unique(batch.item)
    if len(items) > config.items:
        items = rng.choice(items, config.items, replace=False)
    rows = torch.from_numpy(items).to(vectors.device)
    if config.view == "noise":
        views = [noisy(vectors[rows], config.noise) for _ in range(2)]
    else:
        masks = [rng.random(batch.edges) >= config.drop for _ in range(2)]
        views = [network.item_vectors(batch.thinned(mask))[rows] for mask in masks]
    return info_nce(views[0], views[1], config.temperature)
