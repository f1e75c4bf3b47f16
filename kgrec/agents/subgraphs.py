"""Steps drawn from a graph that is too large for one: a sample of its users at a time.

The convolution over a sample of an item's users is noisy, and for most items the sample holds no
user at all. So the values come from one convolution over the whole graph, which is made anew every
few steps, and the gradient flows through the sample (variance reduction by historical activations,
Chen et al. 2018, "Stochastic training of graph convolutional networks"; users are drawn whole, as
the nodes of GraphSAINT, Zeng et al. 2020). With all users in the sample and a fresh convolution
loss and gradient are those of the whole graph.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from kgrec.agents.batches import Batch, Batches, hide, negatives_of, positions, shared
from kgrec.agents.convolution import Edges, Graph, HistoryNetwork, convolve
from kgrec.config import FrozenModel
from kgrec.data.dataset import FloatArray, IntArray
from kgrec.training.schedule import Schedule


class SampleConfig(FrozenModel):
    """When and how steps see a part of the graph only.

    Attributes:
        max_edges: a graph with more edges is sampled.
        refresh: steps between two convolutions over the whole graph; in all of them the same
            edges are hidden.
        epochs: how often a user is in a step, at least on average; the schedule is stretched for
            it.
    """

    max_edges: int = Field(default=2_000_000, ge=0)
    refresh: int = Field(default=25, ge=1)
    epochs: float = Field(default=1.0, gt=0)

    def applies(self, num_edges: int) -> bool:
        """Whether a graph of so many edges is sampled."""
        return num_edges > self.max_edges


@dataclass(frozen=True)
class _Round:
    """What holds until the next convolution over the whole graph.

    Attributes:
        kept, hidden: binary CSR [U, I].
        item_degree: of the kept edges, float32 [I].
        gate: float32 [I].
        convolved: [I, D].
        users: who is in the steps to come, one row a step, int64 [refresh, B].
    """

    kept: sp.csr_matrix
    hidden: sp.csr_matrix
    item_degree: FloatArray
    gate: FloatArray
    convolved: Tensor
    users: list[IntArray]


@dataclass(eq=False, kw_only=True)
class SampledUsers(Batches):
    """Draws steps that see the edges of some users."""

    sample: SampleConfig

    def __post_init__(self) -> None:
        self._round: _Round | None = None
        self._place = np.full(self.edges.num_items, -1, dtype=np.int64)

    @property
    def rest_every(self) -> int:
        """Draws between two convolutions over the whole graph."""
        return self.sample.refresh

    def draw(self, network: HistoryNetwork, rng: np.random.Generator) -> Batch:
        """Take the next users of the round, or begin a round."""
        if self._round is None or not self._round.users:
            hidden = hide(self.edges, self.drop, self.cold, rng)
            self._round = self._begin(network, hidden, rng)
        users = self._round.users.pop()
        return self.batch(self._round, users, rng)

    def _begin(
        self, network: HistoryNetwork, hidden: NDArray[np.bool_], rng: np.random.Generator
    ) -> _Round:
        targets = self.edges.where(hidden)
        asked = rng.permutation(np.flatnonzero(targets.user_degree()))
        size = min(self.budget.users, len(asked))
        chunks = [
            np.sort(np.take(asked, np.arange(at, at + size), mode="wrap"))
            for at in size * np.arange(self.rest_every)
        ]
        kept = self.edges.where(~hidden)
        graph = Graph.of(kept, self.kappa, self.device)
        with torch.no_grad():
            convolved = convolve(graph, network.base(graph))
        degree = kept.item_degree().astype(np.float32)
        gate = degree / (degree + self.kappa)
        return _Round(kept.matrix(), targets.matrix(), degree, gate, convolved, chunks)

    def batch(self, present: _Round, users: IntArray, rng: np.random.Generator) -> Batch:
        """Return the step of these users, int64 [B], who are distinct."""
        users, share = shared(present.hidden, users, self.workers)
        kept, hidden = present.kept[users], present.hidden[users]
        row, target = positions(hidden)
        candidates, log_inclusion = negatives_of(
            self.degree, target, len(users), self.budget, self.loss, rng
        )
        parts = [kept.indices, target] + ([] if candidates is None else [candidates])
        items = np.unique(np.concatenate(parts))
        if candidates is None:
            items = np.arange(self.edges.num_items)
        self._place[items] = np.arange(len(items))
        owner, taken = positions(kept)
        edges = Edges(owner, self._place[taken], len(users), len(items))
        on_device = torch.from_numpy(items.astype(np.int64)).to(self.device)
        degree, convolved = present.item_degree[items], present.convolved[on_device]

        def graph_of(mask: NDArray[np.bool_] | None) -> Graph:
            """Return the graph of the sample, or of some of its edges and without the cache."""
            some = edges if mask is None else edges.where(mask)
            scale = np.maximum(degree, 1.0) ** -0.5
            # The sample's sum over an item's users is scaled up to that over all of them.
            back = scale * degree / np.maximum(some.item_degree(), 1).astype(np.float32)
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
    """Return the schedule, longer where it has to be for all users to have their turn."""
    needed = math.ceil(sample.epochs * num_users / per_step)
    return schedule if needed <= schedule.steps else schedule.stretched(needed / schedule.steps)
