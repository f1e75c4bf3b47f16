"""What a step of the hidden-edges problem learns from, drawn from the whole graph."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgrec.agents.convolution import Edges, Graph, HistoryNetwork
from kgrec.data.dataset import FloatArray, IntArray
from kgrec.training.candidates import draw, inclusion
from kgrec.training.losses import LossConfig
from kgrec.training.workers import ALONE, Workers


@dataclass(frozen=True)
class Batch:
    """The edges that are left, and the hidden ones to find; items are those of the graph.

    Attributes:
        graph: of the edges that are left.
        histories: what is left of the users of the batch, binary CSR [B, I].
        row, item: the targets, int64 [T].
        candidates: the negatives, int64 [C]; None takes all items.
        log_inclusion: logarithm of the probability of each to be a candidate, float32 [C].
        edges: how many the graph is made of.
        share: what the mean over these targets counts in the mean over the processes.
        thinned: makes the graph again of the edges where a mask, bool [edges], is true.
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
    """How many users and candidates a step has room for.

    Attributes:
        users: rows of the score matrix.
        candidates: its columns; None for all items.
        cells: what it holds at most.
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
    """Draws the steps of a training.

    Attributes:
        edges: of the training data.
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
        """After so many draws nothing is remembered from one to the next."""
        return 1

    @cached_property
    def degree(self) -> IntArray:
        """Edges of each item, int64 [I]."""
        return self.edges.item_degree()

    @abstractmethod
    def draw(self, network: HistoryNetwork, rng: np.random.Generator) -> Batch:
        """Return what the next step learns from."""


class WholeGraph(Batches):
    """Draws steps in which every edge has a part."""

    def draw(self, network: HistoryNetwork, rng: np.random.Generator) -> Batch:
        """Hide edges, and take the users who have one, or as many of them as fit."""
        hidden = hide(self.edges, self.drop, self.cold, rng)
        users = np.unique(self.edges.user[hidden])
        if self.budget.users < len(users):
            users = np.sort(rng.choice(users, self.budget.users, replace=False))
        return self.batch(hidden, users, rng)

    def batch(self, hidden: NDArray[np.bool_], users: IntArray, rng: np.random.Generator) -> Batch:
        """Return the step in which these edges, bool [E], are targets of these users, [B]."""
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
    """Return this process's users, and what its targets' mean counts among all processes.

    Args:
        targets: CSR [U, I].
        users: of the step, [B].
    """
    if workers.world == 1:
        return users, 1.0
    mine = workers.share(users)
    count = np.diff(targets.indptr)
    return mine, float(count[mine].sum() * workers.world / max(count[users].sum(), 1))


def hide(edges: Edges, drop: float, cold: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw the edges to hide, bool [E].

    Args:
        drop: share of all edges.
        cold: share of the items all of whose edges are hidden beside those.
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
    """Draw the candidates of a step, and return how likely each was to be one.

    Args:
        degree: interactions of each item, int64 [I].
        targets: items, int64 [T].
        rows: histories of the step, all of which are scored with every candidate.
    """
    if budget.candidates is None:
        return None, None
    power = loss.popularity_power
    if loss.sampler == "batch":
        chance = inclusion(degree, len(targets), "batch", power=power)
        drawn, kept = _thinned(np.unique(targets), budget.cells // max(rows, 1), rng)
        chance = chance * kept
    else:
        chance = inclusion(degree, budget.candidates, loss.sampler, power=power)
        drawn = draw(chance, rng)
    return drawn, np.log(chance[drawn]).astype(np.float32)


def _thinned(items: IntArray, most: int, rng: np.random.Generator) -> tuple[IntArray, float]:
    """Return at most so many items, at least one, and the chance of each to be among them."""
    most = max(most, 1)
    if len(items) <= most:
        return items, 1.0
    return np.sort(rng.choice(items, most, replace=False)), most / len(items)


def positions(matrix: sp.csr_matrix) -> tuple[IntArray, IntArray]:
    """Return rows and columns of the entries, int64 [N] each."""
    row = np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))
    return row, matrix.indices.astype(np.int64)
