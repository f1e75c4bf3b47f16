"""The collaborative agent: light graph convolution with items as histories."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from kgrec.agents.base import AgentConfig, FitContext, NothingToLearnError
from kgrec.agents.convolution import Edges, Graph, HistoryNetwork
from kgrec.agents.features import cosine_rows, degree_features
from kgrec.agents.kernel import Kernel
from kgrec.data.dataset import IntArray
from kgrec.evaluation.validation import Objective
from kgrec.training.loop import Schedule, seeded, train
from kgrec.training.losses import softmax_loss
from kgrec.training.sparse import csr_tensor


class CollaborativeConfig(AgentConfig):
    """Settings of the collaborative agent.

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


class CollaborativeAgent:
    """Learns item vectors by predicting hidden edges of a history from the edges that are left.

    No vector belongs to a user; a history is the sum of its items. An item that loses all its
    edges in a step trains as an item nobody has had yet.
    """

    name: ClassVar[str] = "collaborative"
    Config: ClassVar[type[CollaborativeConfig]] = CollaborativeConfig

    def __init__(self, config: CollaborativeConfig | None = None) -> None:
        self.config = config or CollaborativeConfig()

    def fit(self, context: FitContext) -> Kernel:
        """Train the network and return its kernel; see `Agent.fit`."""
        if not len(context.train.interactions):
            raise NothingToLearnError("the collaborative agent needs interactions")
        problem = _Problem(context, self.config)
        return max((problem.train(tau) for tau in self._taus(context)), key=_validated).kernel

    def _taus(self, context: FitContext) -> tuple[float, ...]:
        if self.config.tau is not None:
            return (self.config.tau,)
        choices = self.config.tau_choices
        return choices[:1] if context.validation is None else choices


@dataclass(frozen=True)
class _Candidate:
    kernel: Kernel
    metric: float


def _validated(candidate: _Candidate) -> float:
    return candidate.metric


class _Problem:
    """One data set, for several trainings."""

    def __init__(self, context: FitContext, config: CollaborativeConfig) -> None:
        self.config, self.context = config, context
        self.matrix = context.train.matrix()
        self.edges = Edges.of(self.matrix)
        self.features = degree_features(context.train)
        self.cosine = cosine_rows(context.train, config.row_size)
        self.graph = Graph.of(self.edges, config.kappa, context.device)
        self.held_out = context.held_out(config.objective)

    def train(self, tau: float) -> _Candidate:
        """Train a network with this temperature from scratch."""
        context, config = self.context, self.config
        with seeded(context.seed):
            network = HistoryNetwork(
                context.train.num_items,
                self.features,
                embedding_dim=config.embedding_dim,
                tau=tau,
                history_power=config.history_power,
                device=context.device,
            )
            draws = self._losses(network, np.random.default_rng(context.seed))
            trained = train(
                network,
                lambda: next(draws),
                config.schedule,
                measure=(lambda: self.measure(network)) if self.held_out else None,
                stop_after=config.steps,
                name=f"collaborative: τ {tau:g}",
                progress=context.progress,
            )
        kernel = self.kernel(network, {"tau": tau, "steps": trained.steps})
        return _Candidate(kernel, trained.best or 0.0)

    def _losses(self, network: HistoryNetwork, rng: np.random.Generator) -> Iterator[Tensor]:
        while True:
            hidden = rng.random(len(self.edges.user)) < self.config.drop
            yield self.loss(network, hidden, self._draw_users(hidden, rng))

    def _draw_users(self, hidden: NDArray[np.bool_], rng: np.random.Generator) -> IntArray:
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
        scores = network(Graph.of(kept, self.config.kappa, device), *self._inputs(histories))
        scores[_positions(histories)] = -torch.inf
        row, item = _positions(self.edges.where(hidden).matrix()[users])
        return softmax_loss(scores, row.to(device), item.to(device))

    def _inputs(self, histories: sp.csr_matrix) -> tuple[Tensor, Tensor | None]:
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
            CollaborativeAgent.name,
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
