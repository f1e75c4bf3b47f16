"""A linear projection of sentence vectors, and a prior, that predict interactions.

    Z       = rownorm(X W),   b = X f
    score   = |H|^-p · Σ_h Z_h · Z_i / τ + b_i

with `X` the whitened sentence vectors, which are frozen, so that cold items are projected like any
other. `W` starts as the identity: untrained, `Z` is `X`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, dataclass

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from kgrec.config import FrozenModel
from kgrec.data.dataset import FloatArray, IntArray, Interactions
from kgrec.learning.link_prediction.batch_scores import powered
from kgrec.learning.link_prediction.convolution import Edges
from kgrec.metrics.validation import Objective, Validation
from kgrec.progress import SILENT, Progress
from kgrec.training.logs import TrainingFiles
from kgrec.training.loop import Schedule, seeded, train
from kgrec.training.losses import softmax_loss
from kgrec.training.sparse import aggregate, csr_tensor


class ProjectionConfig(FrozenModel):
    """Settings of the projection.

    Attributes:
        whitening: whitening of the sentence vectors, as in `SemanticConfig`.
        dim: maximum size of the projected vectors.
        tau: temperature τ of the cosine.
        dropout: dropout of the coordinates of the sentence vectors.
        prior_rate: learning rate of the prior, as a factor of that of the map; 0 learns none.
        drop: share of the interactions that are supervision edges in a step, the targets.
        unseen: share of the items that are held out for early stopping.
        max_items: maximum number of items that are scored in a step; beyond it they are sampled.
        max_cells: maximum number of scores in a step; beyond it users are sampled.
    """

    whitening: float = Field(default=0.5, ge=0, le=1)
    dim: int = Field(default=256, ge=1)
    tau: float = Field(default=0.5, gt=0)
    dropout: float = Field(default=0.5, ge=0, lt=1)
    prior_rate: float = Field(default=10.0, ge=0)
    drop: float = Field(default=0.3, gt=0, lt=1)
    unseen: float = Field(default=0.15, gt=0, lt=1)
    max_items: int = Field(default=20_000, ge=1)
    max_cells: int = Field(default=8_000_000, ge=1)
    schedule: Schedule = Schedule(
        steps=80, rate=0.001, warmup=5, check_every=10, check_from=10, patience=2, decay_at=1.0
    )


@dataclass(frozen=True)
class Projected:
    """The projected items.

    Attributes:
        vectors: Z, float32 [I, D].
        prior: b, float32 [I].
        steps: number of training steps.
        map: W, float32 [X, D].
        taste: f, float32 [X].
    """

    vectors: FloatArray
    prior: FloatArray
    steps: int
    map: FloatArray
    taste: FloatArray


class Projection(nn.Module):
    """The map and the prior, over fixed sentence vectors.

    Args:
        vectors: X, float32 [I, D], directions by descending variance; zero rows stay zero.
    """

    def __init__(self, vectors: FloatArray, config: ProjectionConfig, device: str = "cpu") -> None:
        super().__init__()
        self.config = config
        self.inputs = torch.from_numpy(vectors).to(device)
        width = vectors.shape[1]
        self.map = nn.Parameter(torch.eye(width, min(config.dim, width)))
        self.taste = nn.Parameter(torch.zeros(width))
        self.dropout = nn.Dropout(config.dropout)
        self.to(device)

    def forward(self, items: Tensor | slice = slice(None)) -> tuple[Tensor, Tensor]:
        """Return Z, [N, D], and b, [N], of some items."""
        known = self.dropout(self.inputs[items])
        mapped = nn.functional.normalize(known @ self.map, dim=1, eps=1e-6)  # [N, D]
        prior: Tensor = self.config.prior_rate * (known @ self.taste)
        return mapped, prior


def untrained(vectors: FloatArray, config: ProjectionConfig) -> Projected:
    """Return the whitened vectors without a projection."""
    return _result(Projection(vectors, config), 0)


def learn_projection(
    vectors: FloatArray,
    matrix: sp.csr_matrix,
    config: ProjectionConfig,
    *,
    history_power: float,
    steps: int | None = None,
    objective: Objective | None = None,
    seed: int = 2024,
    device: str = "cpu",
    progress: Progress = SILENT,
    files: TrainingFiles | None = None,
) -> Projected:
    """Learn to predict supervision edges from message edges, by a softmax over all items.

    Args:
        vectors: X, float32 [I, D].
        matrix: interactions, CSR [U, I].
        history_power: p.
        steps: number of steps, at most those of the schedule; None chooses it in a first training
            with held-out items, then trains on all items; it is 0 where the first training gains
            nothing over the identity.
        objective: metric of the held-out items.
        seed: seed of all random generators.
        files: logs and checkpoints.
    """
    learning = _Learning(vectors, config, history_power=history_power, seed=seed, device=device)
    watch = _Watch(progress, files)
    edges = Edges.of(matrix)
    if steps is None:
        steps = learning.steps(edges, objective, watch)
    if not steps or not matrix.nnz:
        return untrained(vectors, config)
    with seeded(seed):
        problem = _Problem(learning, edges)
        learned, _ = problem.train("semantic: project", watch, steps=steps)
    return _result(problem.network, learned)


@dataclass(frozen=True)
class _Watch:
    """Progress, logs and checkpoints of a training."""

    progress: Progress
    files: TrainingFiles | None


@dataclass(frozen=True)
class _Learning:
    """The common part of the trainings of one projection.

    Attributes:
        vectors: X, float32 [I, D].
        history_power: p.
        seed: seed of all random generators.
    """

    vectors: FloatArray
    config: ProjectionConfig
    _: KW_ONLY
    history_power: float
    seed: int
    device: str = "cpu"

    def steps(self, edges: Edges, objective: Objective | None, watch: _Watch) -> int:
        """Return the number of steps with the best metric of held-out items."""
        unseen = self._unseen(edges)
        hidden = unseen[edges.item]
        if not hidden.any() or hidden.all():
            return 0
        with seeded(self.seed):
            problem = _Problem(self, edges.where(~hidden))
            measure = _finds(problem, edges.where(hidden), unseen, objective)
            before = measure()
            steps, best = problem.train("semantic: how long", watch, measure=measure)
        return steps if best is not None and best > before else 0

    def _unseen(self, edges: Edges) -> NDArray[np.bool_]:
        """Sample the held-out items among those with interactions, bool [I]."""
        known = np.unique(edges.item)
        unseen = np.zeros(edges.num_items, dtype=np.bool_)
        rng = np.random.default_rng(self.seed)
        unseen[rng.choice(known, int(self.config.unseen * len(known)), replace=False)] = True
        return unseen


def _finds(
    problem: _Problem, hidden: Edges, unseen: NDArray[np.bool_], objective: Objective | None
) -> Callable[[], float]:
    """Return the validation metric: the ranking of held-out items among themselves."""
    columns = np.flatnonzero(unseen)
    ones = np.ones(len(hidden.user), dtype=np.float32)
    none = np.zeros(len(hidden.user), dtype=np.int64)
    place = np.cumsum(unseen) - 1
    wanted = Interactions(hidden.user, place[hidden.item].astype(np.int64), ones, none)
    size = (hidden.num_users, len(columns))
    start = np.zeros(size[0] + 1, dtype=np.int64)
    blank = sp.csr_matrix((ones[:0], none[:0], start), shape=size)
    held_out = Validation(blank, wanted, objective, seed=problem.learning.seed)
    histories = problem.histories(problem.edges)[held_out.users]

    def measure() -> float:
        mapped = _result(problem.network, 0)
        query = histories @ mapped.vectors / problem.config.tau  # [B, D]
        candidates, prior = mapped.vectors[columns].T, mapped.prior[columns]

        def scores(users: slice) -> FloatArray:
            return np.asarray(query[users] @ candidates + prior, dtype=np.float32)

        return float(held_out.values_by(scores).mean())

    return measure


@torch.no_grad()
def _result(network: Projection, steps: int) -> Projected:
    was = network.training
    network.eval()
    vectors, prior = (tensor.cpu().numpy() for tensor in network())
    network.train(was)
    learned = network.map, network.config.prior_rate * network.taste
    return Projected(vectors, prior, steps, *(part.cpu().numpy().copy() for part in learned))


class _Problem:
    """One training: a network, its edges and its random generator."""

    def __init__(self, learning: _Learning, edges: Edges) -> None:
        self.learning, self.edges = learning, edges
        self.config, self.device = learning.config, learning.device
        self.network = Projection(learning.vectors, learning.config, learning.device)
        self._rng = np.random.default_rng(learning.seed)
        self._learned = np.unique(edges.item)

    def train(
        self,
        name: str,
        watch: _Watch,
        *,
        steps: int | None = None,
        measure: Callable[[], float] | None = None,
    ) -> tuple[int, float | None]:
        """Return step and metric of the parameters that were kept."""
        losses = self._losses()
        trained = train(
            self.network,
            lambda: next(losses),
            self.config.schedule,
            measure=measure,
            stop_after=steps,
            name=name,
            progress=watch.progress,
            generator=self._rng,
            files=watch.files,
        )
        return trained.steps, trained.best

    def histories(self, edges: Edges) -> sp.csr_matrix:
        """Return |H|^-p for each item of a history, CSR float32 [U, I]."""
        return powered(edges.matrix(), self.learning.history_power)

    def _losses(self) -> Iterator[Tensor]:
        while True:
            hidden = self._rng.random(len(self.edges.user)) < self.config.drop
            users = np.unique(self.edges.user[hidden])
            fit = max(1, self.config.max_cells // min(len(self._learned), self.config.max_items))
            if len(users) > fit:
                users = np.sort(self._rng.choice(users, fit, replace=False))
            yield self.loss(hidden, users)

    def loss(self, hidden: NDArray[np.bool_], users: IntArray) -> Tensor:
        """Return the loss of predicting the supervision edges of users from their message edges.

        Args:
            hidden: whether an edge is a target, bool [E].
            users: rows, int64 [B].
        """
        histories = self.histories(self.edges.where(~hidden))[users]
        targets = self.edges.where(hidden).matrix()[users]
        items = self._items(histories, targets)
        histories, targets = histories[:, items], targets[:, items]
        vectors, prior = self.network(torch.from_numpy(items).to(self.device))
        kept, value = Edges.of(histories), torch.from_numpy(histories.data)
        weighted = csr_tensor(kept.user, kept.item, value, histories.shape, self.device)
        scores = aggregate(weighted, vectors) @ vectors.T / self.config.tau + prior  # [B, N]
        out = torch.tensor(-torch.inf, device=self.device)
        scores = scores.index_put(self._positions(kept), out)
        return softmax_loss(scores, *self._positions(Edges.of(targets)))

    def _positions(self, edges: Edges) -> tuple[Tensor, Tensor]:
        rows, items = torch.from_numpy(edges.user), torch.from_numpy(edges.item)
        return rows.to(self.device), items.to(self.device)

    def _items(self, kept: sp.csr_matrix, wanted: sp.csr_matrix) -> IntArray:
        """Return the items of the step: all training items, or a sample."""
        if len(self._learned) <= self.config.max_items:
            return self._learned
        own = np.union1d(kept.indices, wanted.indices)
        rest = np.setdiff1d(self._learned, own, assume_unique=True)
        room = max(0, min(len(rest), self.config.max_items - len(own)))
        return np.union1d(own, self._rng.choice(rest, room, replace=False)).astype(np.int64)
