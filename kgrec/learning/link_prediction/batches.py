"""Batches of link prediction: from the whole graph, or from a sample of its users.

A graph that is too large for one step is sampled by users. The convolution over a sample of an
item's users is noisy, and for most items the sample has no user at all. So the values come from a
convolution over the whole graph, which is refreshed every few steps, and the gradient flows through
the sample (variance reduction by historical activations, Chen et al. 2018, "Stochastic training of
graph convolutional networks"; users are sampled with all their edges, as the nodes of GraphSAINT,
Zeng et al. 2020). With all users in the sample and a fresh convolution, loss and gradient are those
of the whole graph.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from kgrec.config import FrozenModel
from kgrec.data.dataset import FloatArray, IntArray
from kgrec.learning.link_prediction.convolution import Edges, Graph
from kgrec.learning.link_prediction.network import HistoryNetwork
from kgrec.training.losses import LossConfig, inclusion, poisson_sample
from kgrec.training.optimisation import Schedule
from kgrec.training.workers import ALONE, Workers


@dataclass(frozen=True)
class Batch:
    """Message edges and supervision edges of a step; item rows are those of `graph`.

    Attributes:
        graph: graph of the message edges.
        histories: message edges of the users of the batch, binary CSR [B, I].
        row, item: history and item of the targets, int64 [T].
        candidates: the negatives, int64 [C]; None for all items.
        log_inclusion: log inclusion probability of each candidate, float32 [C].
        edges: number of edges of the graph.
        share: weight of the mean over these targets in the mean over all processes.
        thinned: returns the graph with the edges where a mask, bool [edges], is true.
    """

    graph: Graph
    histories: sp.csr_matrix
    row: IntArray
    item: IntArray
    candidates: IntArray | None
    log_inclusion: FloatArray | None
    edges: int
    thinned: Callable[[NDArray[np.bool_]], Graph]
    share: float = 1.0


@dataclass(frozen=True)
class Budget:
    """The size of the score matrix of a step.

    Attributes:
        users: number of rows.
        candidates: number of columns; None for all items.
        cells: maximum number of scores.
    """

    users: int
    candidates: int | None
    cells: int

    @classmethod
    def of(cls, num_items: int, num_users: int, max_cells: int, loss: LossConfig) -> Budget:
        count = loss.candidates
        if count is None and max_cells // num_items < min(loss.min_rows, num_users):
            count = loss.drawn
        if count is not None and count >= num_items:
            count = None
        return cls(max(1, max_cells // (count or num_items)), count, max_cells)


@dataclass(eq=False, kw_only=True)
class Batches(ABC):
    """Samples the batches of a training.

    Attributes:
        edges: edges of the training data.
        kappa: as in `Graph.of`.
        drop, cold: as in `hide`.
    """

    edges: Edges
    budget: Budget
    loss: LossConfig
    kappa: float
    drop: float
    cold: float = 0.0
    device: str
    workers: Workers = ALONE

    @property
    def rest_every(self) -> int:
        """Number of batches after which no state is kept, so that a checkpoint may be written."""
        return 1

    @cached_property
    def degree(self) -> IntArray:
        """Number of edges of each item, int64 [I]."""
        return self.edges.item_degree()

    @abstractmethod
    def sample_batch(self, network: HistoryNetwork, rng: np.random.Generator) -> Batch:
        """Return the batch of the next step."""


class WholeGraph(Batches):
    """Samples batches over the whole graph."""

    def sample_batch(self, network: HistoryNetwork, rng: np.random.Generator) -> Batch:
        """Hide edges, and return a batch of the users of hidden edges, or of as many as fit."""
        hidden = hide(self.edges, self.drop, self.cold, rng)
        users = np.unique(self.edges.user[hidden])
        if self.budget.users < len(users):
            users = np.sort(rng.choice(users, self.budget.users, replace=False))
        return self.batch(hidden, users, rng)

    def batch(self, hidden: NDArray[np.bool_], users: IntArray, rng: np.random.Generator) -> Batch:
        """Return the batch of users, int64 [B], whose hidden edges, bool [E], are the targets."""
        kept = self.edges.where(~hidden)
        targets = self.edges.where(hidden).matrix()
        users, share = shared(targets, users, self.workers)
        row, item = positions(targets[users])
        candidates, log_inclusion = negatives_of(
            self.degree, item, len(users), self.budget, self.loss, rng
        )
        return Batch(
            Graph.of(kept, self.kappa, self.device),
            kept.matrix()[users],
            row,
            item,
            candidates,
            log_inclusion,
            len(kept),
            lambda mask: Graph.of(kept.where(mask), self.kappa, self.device),
            share,
        )


def shared(targets: sp.csr_matrix, users: IntArray, workers: Workers) -> tuple[IntArray, float]:
    """Return the users of this process, and the weight of its mean loss among all processes.

    Args:
        targets: CSR [U, I].
        users: users of the step, int64 [B].
    """
    if workers.world == 1:
        return users, 1.0
    mine = workers.share(users)
    count = np.diff(targets.indptr)
    return mine, float(count[mine].sum() * workers.world / max(count[users].sum(), 1))


def hide(edges: Edges, drop: float, cold: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Sample the supervision edges of a step, bool [E].

    Args:
        drop: share of all edges.
        cold: share of the items all of whose edges are supervision edges as well.
    """
    hidden = rng.random(len(edges)) < drop
    if cold:
        hidden |= (rng.random(edges.num_items) < cold)[edges.item]
    return hidden


def negatives_of(
    degree: IntArray,
    targets: IntArray,
    rows: int,
    budget: Budget,
    loss: LossConfig,
    rng: np.random.Generator,
) -> tuple[IntArray | None, FloatArray | None]:
    """Sample the candidates of a step, with the log of their inclusion probabilities.

    Args:
        degree: interactions of each item, int64 [I].
        targets: items, int64 [T].
        rows: number of histories, each of which is scored with every candidate.

    Returns:
        candidates, int64 [C], and log probabilities, float32 [C]; None and None for all items.
    """
    if budget.candidates is None:
        return None, None
    power = loss.popularity_power
    if loss.sampler == "batch":
        chance = inclusion(degree, len(targets), "batch", power=power)
        sampled, kept = _thinned(np.unique(targets), budget.cells // max(rows, 1), rng)
        chance = chance * kept
    else:
        chance = inclusion(degree, budget.candidates, loss.sampler, power=power)
        sampled = poisson_sample(chance, rng)
    return sampled, np.log(chance[sampled]).astype(np.float32)


def _thinned(items: IntArray, most: int, rng: np.random.Generator) -> tuple[IntArray, float]:
    """Sample at most `most` items, at least one; also return the probability of each."""
    most = max(most, 1)
    if len(items) <= most:
        return items, 1.0
    return np.sort(rng.choice(items, most, replace=False)), most / len(items)


def positions(matrix: sp.csr_matrix) -> tuple[IntArray, IntArray]:
    """Return rows and columns of the entries, int64 [N] each."""
    row = np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))
    return row, matrix.indices.astype(np.int64)


class SampleConfig(FrozenModel):
    """Sampling of large graphs.

    Attributes:
        max_edges: number of edges above which a graph is sampled.
        refresh: steps between two convolutions over the whole graph, with the same supervision
            edges in all of them.
        epochs: minimum mean number of steps of a user; the schedule is stretched accordingly.
    """

    max_edges: int = Field(default=2_000_000, ge=0)
    refresh: int = Field(default=25, ge=1)
    epochs: float = Field(default=1.0, gt=0)

    def applies(self, num_edges: int) -> bool:
        """Whether a graph of so many edges is sampled."""
        return num_edges > self.max_edges


@dataclass(frozen=True)
class _Round:
    """The state between two convolutions over the whole graph.

    Attributes:
        kept, hidden: message edges and supervision edges, binary CSR [U, I].
        item_degree: number of message edges of each item, float32 [I].
        gate: float32 [I].
        convolved: the convolution over the whole graph, float32 [I, D].
        users: users of the next steps, one row a step, int64 [refresh, B].
    """

    kept: sp.csr_matrix
    hidden: sp.csr_matrix
    item_degree: FloatArray
    gate: FloatArray
    convolved: Tensor
    users: list[IntArray]


@dataclass(eq=False, kw_only=True)
class SampledUsers(Batches):
    """Samples batches over the edges of some users."""

    sample: SampleConfig

    def __post_init__(self) -> None:
        self._round: _Round | None = None
        self._place = np.full(self.edges.num_items, -1, dtype=np.int64)

    @property
    def rest_every(self) -> int:
        """Number of batches between two convolutions over the whole graph."""
        return self.sample.refresh

    def sample_batch(self, network: HistoryNetwork, rng: np.random.Generator) -> Batch:
        """Return the batch of the next users of the round; start a round where none are left."""
        if self._round is None or not self._round.users:
            hidden = hide(self.edges, self.drop, self.cold, rng)
            self._round = self._begin(network, hidden, rng)
        users = self._round.users.pop()
        return self.batch(self._round, users, rng)

    def _begin(
        self, network: HistoryNetwork, hidden: NDArray[np.bool_], rng: np.random.Generator
    ) -> _Round:
        targets = self.edges.where(hidden)
        order = rng.permutation(np.flatnonzero(targets.user_degree()))
        size = min(self.budget.users, len(order))
        chunks = [
            np.sort(np.take(order, np.arange(at, at + size), mode="wrap"))
            for at in size * np.arange(self.rest_every)
        ]
        kept = self.edges.where(~hidden)
        graph = Graph.of(kept, self.kappa, self.device)
        with torch.no_grad():
            convolved = network.conv(network.base(graph), graph)
        degree = kept.item_degree().astype(np.float32)
        gate = degree / (degree + self.kappa)
        return _Round(kept.matrix(), targets.matrix(), degree, gate, convolved, chunks)

    def batch(self, present: _Round, users: IntArray, rng: np.random.Generator) -> Batch:
        """Return the batch of distinct users, int64 [B]."""
        users, share = shared(present.hidden, users, self.workers)
        kept, hidden = present.kept[users], present.hidden[users]
        row, target = positions(hidden)
        candidates, log_inclusion = negatives_of(
            self.degree, target, len(users), self.budget, self.loss, rng
        )
        parts: list[IntArray] = [kept.indices.astype(np.int64), target]
        parts += [] if candidates is None else [candidates]
        items = np.unique(np.concatenate(parts))
        if candidates is None:
            items = np.arange(self.edges.num_items)
        self._place[items] = np.arange(len(items))
        owner, seen = positions(kept)
        edges = Edges(owner, self._place[seen], len(users), len(items))
        on_device = torch.from_numpy(items.astype(np.int64)).to(self.device)
        degree, convolved = present.item_degree[items], present.convolved[on_device]

        def graph_of(mask: NDArray[np.bool_] | None) -> Graph:
            """Return the graph of the sample, or of a part of its edges without cached values."""
            some = edges if mask is None else edges.where(mask)
            scale = (np.maximum(degree, 1.0) ** -0.5).astype(np.float32)
            # The sum over an item's sampled users is scaled to an estimate over all its users.
            present_degree = np.maximum(some.item_degree(), 1).astype(np.float32)
            back = (scale * degree / present_degree).astype(np.float32)
            graph = Graph.weighted(some, scale, back, present.gate[items], self.device)
            return replace(graph, items=on_device, convolved=convolved if mask is None else None)

        return Batch(
            graph_of(None),
            edges.matrix(),
            row,
            self._place[target],
            None if candidates is None else self._place[candidates],
            log_inclusion,
            len(edges),
            graph_of,
            share,
        )


def stretched(schedule: Schedule, sample: SampleConfig, num_users: int, per_step: int) -> Schedule:
    """Return the schedule, stretched where the epochs over all users need more steps."""
    needed = math.ceil(sample.epochs * num_users / per_step)
    return schedule if needed <= schedule.usual else schedule.stretched(needed / schedule.usual)
