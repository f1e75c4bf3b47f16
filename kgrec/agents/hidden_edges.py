"""The training problem of the gradient agents: hide edges, predict them from the edges left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from kgrec.agents.base import AgentConfig, FitContext, NothingToLearnError
from kgrec.agents.convolution import Edges, Graph, HistoryNetwork
from kgrec.agents.kernel import Kernel
from kgrec.data.dataset import IntArray
from kgrec.evaluation.validation import Objective
from kgrec.training.loop import Schedule, seeded, train
from kgrec.training.losses import softmax_loss
from kgrec.training.sparse import csr_tensor

Build = Callable[[float], HistoryNetwork]
"""Makes a fresh network with this temperature τ; random draws are fixed around the call."""


class HiddenEdgesConfig(AgentConfig):
    """Settings of an agent that learns by predicting hidden edges.

    Attributes:
        tau: temperature of the cosine; None trains once with each of `tau_choices` and keeps the
            best; the first of them is taken where there is no validation part.
        steps: steps to train; None stops early by the validation part.
        history_power: p, how a history's length is divided out.
        kappa: interactions at which an item is half known by its users.
        embedding_dim: size of the vectors.
        drop: share of the edges that are hidden in a step and are its targets.
        row_size: how many items speak for an item by their knowledge, the most alike.
        max_cells: at most so many scores in a step; more users than fit are drawn by chance.
    """

    tau: float | None = Field(default=None, gt=0)
    tau_choices: tuple[float, ...] = Field(default=(0.3, 0.5), min_length=1)
    steps: int | None = Field(default=None, ge=1)
    history_power: float = Field(default=0.5, ge=0, le=1)
    kappa: float = Field(default=0.5, gt=0)
    embedding_dim: int = Field(default=128, ge=1)
    drop: float = Field(default=0.3, gt=0, lt=1)
    row_size: int = Field(default=50, ge=1)
    max_cells: int = Field(default=16_000_000, ge=1)
    schedule: Schedule = Schedule()
    objective: Objective = Objective()


@dataclass(frozen=True)
class _Candidate:
    kernel: Kernel
    metric: float


def _validated(candidate: _Candidate) -> float:
    return candidate.metric


class HiddenEdges:
    """One data set and one kind of network, for several trainings.

    Args:
        context: what there is to learn from.
        config: how to learn.
        name: of the agent whose kernel is made.
        build: makes a network of τ; `config.history_power` and the context's device are its too.
        cosine: Kc, CSR float32 [I, I], which the network weighs by its `cosine_scale`, or None.

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
    ) -> None:
        if not len(context.train.interactions):
            raise NothingToLearnError(f"the {name} agent needs interactions")
        self.context, self.config, self.name = context, config, name
        self.build, self.cosine = build, cosine
        self.matrix = context.train.matrix()
        self.edges = Edges.of(self.matrix)
        self.graph = Graph.of(self.edges, config.kappa, context.device)
        self.held_out = context.held_out(config.objective)

    def fit(self) -> Kernel:
        """Train with each temperature that comes into question; return the best kernel."""
        return max((self.train(tau) for tau in self._taus()), key=_validated).kernel

    def _taus(self) -> tuple[float, ...]:
        if self.config.tau is not None:
            return (self.config.tau,)
        choices = self.config.tau_choices
        return choices[:1] if self.held_out is None else choices

    def train(self, tau: float) -> _Candidate:
        """Train a network with this temperature from scratch."""
        context, config = self.context, self.config
        with seeded(context.seed):
            network = self.build(tau)
            draws = self._losses(network, np.random.default_rng(context.seed))
            trained = train(
                network,
                lambda: next(draws),
                config.schedule,
                measure=(lambda: self.measure(network)) if self.held_out else None,
                stop_after=config.steps,
                name=f"{self.name}: τ {tau:g}",
                progress=context.progress,
            )
        kernel = self.kernel(network, {"tau": tau, "steps": trained.steps})
        return _Candidate(kernel, trained.best or 0.0)

    def _losses(self, network: HistoryNetwork, rng: np.random.Generator) -> Iterator[Tensor]:
        while True:
            hidden = rng.random(len(self.edges.user)) < self.config.drop
            yield self.loss(network, hidden, self.draw_users(hidden, rng))

    def draw_users(self, hidden: NDArray[np.bool_], rng: np.random.Generator) -> IntArray:
        """Return users who have a hidden edge, all of them or as many as fit in memory."""
        users = np.unique(self.edges.user[hidden])
        fit = max(1, self.config.max_cells // self.edges.num_items)
        return users if fit >= len(users) else np.sort(rng.choice(users, fit, replace=False))

    def loss(self, network: HistoryNetwork, hidden: NDArray[np.bool_], users: IntArray) -> Tensor:
        """Return the loss of predicting the hidden edges of these users from the others.

        Args:
            hidden: which edges are targets and nowhere in the graph, bool [E].
            users: rows of users who have a hidden edge, [B].
        """
        device = self.context.device
        kept = self.edges.where(~hidden)
        histories = kept.matrix()[users]
        scores = network(Graph.of(kept, self.config.kappa, device), *self.inputs(histories))
        scores[_positions(histories)] = -torch.inf
        row, item = _positions(self.edges.where(hidden).matrix()[users])
        return softmax_loss(scores, row.to(device), item.to(device))

    def inputs(self, histories: sp.csr_matrix) -> tuple[Tensor, Tensor | None]:
        """Return what the network takes beside the graph.

        Args:
            histories: binary CSR [B, I].

        Returns:
            |H|^-p for each item of a history, CSR [B, I], and that times Kc, [B, I], or None.
        """
        entries = Edges.of(histories)
        length = np.maximum(np.diff(histories.indptr), 1).astype(np.float32)
        scale = length**-self.config.history_power
        values = torch.from_numpy(scale[entries.user])
        device = self.context.device
        weighted = csr_tensor(entries.user, entries.item, values, histories.shape, device)
        if self.cosine is None:
            return weighted, None
        product = sp.diags_array(scale) @ histories @ self.cosine
        cosine = torch.from_numpy(product.toarray().astype(np.float32, copy=False))
        return weighted, cosine.to(device)

    def measure(self, network: HistoryNetwork) -> float:
        assert self.held_out is not None  # noqa: S101 - callers ask only when there is one
        return self.held_out.measure(self.kernel(network, {}).scores)

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
        )


def _positions(matrix: sp.csr_matrix) -> tuple[Tensor, Tensor]:
    entries = Edges.of(matrix)
    return torch.from_numpy(entries.user), torch.from_numpy(entries.item)
