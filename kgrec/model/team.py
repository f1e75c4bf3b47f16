"""The team: kernels and a coordinator over one catalogue: scores, their parts, vectors.

score(u, i) = Σ_k α_k(u) · (Σ_{h ∈ H} w_k,h · v_h · S_k(h, i) + b_k,i)
              + what rejected items and the ranker add
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from kgrec.data.dataset import FloatArray, IntArray
from kgrec.data.vocabulary import Vocabulary
from kgrec.errors import ModelError
from kgrec.model.coordinator import Blend, Coordinator
from kgrec.model.folding.inductive import Folding
from kgrec.model.histories import Histories, as_histories
from kgrec.model.kernel import Kernel
from kgrec.model.profile import ContextPriors, Profile
from kgrec.model.ranker import Ranker
from kgrec.model.rejection import RejectionWeights
from kgrec.model.scorer import Scorer


@dataclass(frozen=True)
class Suggestions:
    """The strongest sparse weights of one agent, an edge a row.

    Attributes:
        agent: name.
        item, other: rows of the history item and of the item whose score it adds to, int64 [N].
        weight: float32 [N], positive.
    """

    agent: str
    item: IntArray
    other: IntArray
    weight: FloatArray

    def __iter__(self) -> Iterator[Any]:
        return iter((self.agent, self.item, self.other, self.weight))


@dataclass(frozen=True, eq=False)
class Team:
    """Kernels and the coordinator's weights over one vocabulary of items.

    Attributes:
        items: ids in row order.
        kernels: one an agent, [A].
        coordinator: weights in the order of `kernels`.
        config: the resolved configuration: agents, their settings with what validation chose.
        metrics: what was measured while fitting.
        ranker: reorders the best; None where none was better than the agents.
        profile: scores items for a user without a history by what they declare; None where the
            users of the training data declare nothing.
        folding: computes the parts of items that came after the training; None of a team that was
            loaded (`kgrec.model.folding.files.load_folding` reads it) or cannot.
        rejection: how much rejected items count; None where they do not.
        contexts: what device and scenario of a request add; None where nothing is known of them.
    """

    items: Vocabulary
    kernels: tuple[Kernel, ...]
    coordinator: Coordinator
    config: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    ranker: Ranker | None = None
    profile: Profile | None = None
    folding: Folding | None = None
    rejection: RejectionWeights | None = None
    contexts: ContextPriors | None = None

    def __post_init__(self) -> None:
        if not self.kernels:
            raise ModelError("a team needs at least one agent")
        if len(self.kernels) != len(self.coordinator.weights):
            raise ModelError("a team has kernels without weights, or the reverse")
        for kernel in self.kernels:
            if kernel.num_items != len(self.items):
                raise ModelError(
                    f"agent {kernel.agent!r} knows {kernel.num_items} items, "
                    f"the catalogue has {len(self.items)}"
                )

    @property
    def agents(self) -> tuple[str, ...]:
        return tuple(kernel.agent for kernel in self.kernels)

    @property
    def weights(self) -> dict[str, float]:
        """The fixed share of each agent, summing to one; a gate moves it from user to user."""
        return dict(zip(self.agents, map(float, self.coordinator.weights), strict=True))

    def scores(self, histories: Histories | sp.csr_matrix) -> FloatArray:
        """Score every item for a batch of histories.

        Args:
            histories: B histories, or CSR float32 [B, I] of weights, usually 1, without context.

        Returns:
            float32 [B, I]; items of the history are not masked.
        """
        histories = as_histories(histories)
        weights = [kernel.weights(histories) for kernel in self.active]
        read = list(zip(self.active, weights, strict=True))
        sums = [kernel.sums(histories, each) for kernel, each in read]
        blend = self.coordinator.blend(self.kernels, histories, self.probing, weights, sums)
        alpha = blend.alpha[self.coordinator.active].astype(np.float32)  # [A', B]
        scores: FloatArray | None = None
        for factor, (kernel, each), summed in zip(alpha, read, sums, strict=True):
            if not factor.any():
                continue
            part = kernel.scores(histories, sums=summed)
            part *= factor[:, None]
            scores = part if scores is None else np.add(scores, part, out=scores)
            counts = self.rejection
            rejected = None if counts is None else counts.weighted(histories, each)
            if rejected is not None:
                scores += factor[:, None] * kernel.summed(rejected)
        if scores is None:
            scores = np.zeros((histories.shape[0], len(self.items)), dtype=np.float32)
        if self.ranking is not None:
            self.ranking.reorder(self.active, histories, scores)
        return scores

    def scorer(self, history: Histories, moment: Mapping[str, str] | None = None) -> Scorer:
        """Have the active agents read one history, which may be empty; see `Scorer`.

        Args:
            moment: values of the context by field; see `ContextPriors`.

        Raises:
            DataError: there are several histories.
        """
        known = self.coordinator, self.ranker, self.rejection
        added = self.contexts.prior(moment) if self.contexts is not None and moment else None
        return Scorer.of(history, self.kernels, *known, added)

    def blend(self, histories: Histories) -> Blend:
        """Return the shares of the agents for each history, which sum to one, and α, [A, B]."""
        return self.coordinator.blend(self.kernels, histories, self.probing)

    @cached_property
    def probing(self) -> list[Kernel]:
        """The active kernels over the gate's probes, by which the gate sees whether they agree."""
        return self.coordinator.probing(self.kernels)

    @property
    def ranking(self) -> Ranker | None:
        """The ranker where it moves anything; one may be there for the values alone."""
        return self.ranker if self.ranker is not None and self.ranker.blend else None

    @cached_property
    def active(self) -> list[Kernel]:
        """The kernels of the agents that have a share."""
        return [self.kernels[k] for k in self.coordinator.active]

    def warm_up(self) -> None:
        """Compute what is kept and does not depend on a history, so that forks share it."""
        for kernel in self.active:
            _ = kernel.second_moment, kernel.rows_with_centred, kernel.squared_lengths
            if kernel.rows is not None:
                _ = kernel.columns

    def item_vectors(self) -> FloatArray:
        """Return the vectors to put under a vector index, float32 [I, D + 1].

        The item factors of all agents side by side and a dimension for each prior; the last
        dimension, √(M² − ‖v‖²), gives all rows the length M, so that the order of the cosine
        with `Scorer.vector` is the order of the inner product (Bachrach et al. 2014).
        """
        blocks = [block for kernel in self.active for block in item_blocks(kernel)]
        empty = np.zeros((len(self.items), 0), dtype=np.float32)
        vectors = np.hstack([empty, *blocks]).astype(np.float64)
        square = (vectors**2).sum(axis=1)
        largest = float(square.max(initial=0.0)) or 1.0
        lift = np.sqrt(np.maximum(largest - square, 0.0))
        return np.asarray(np.hstack([vectors, lift[:, None]]), dtype=np.float32)

    def suggestions(self, per_item: int = 50) -> Iterator[Suggestions]:
        """Yield, for each active agent that has sparse rows, the strongest of them.

        Args:
            per_item: at most so many positive weights of each history item.
        """
        for kernel in self.active:
            if kernel.rows is not None:
                yield _strongest(kernel.agent, kernel.rows, per_item)


def item_blocks(kernel: Kernel) -> Iterator[FloatArray]:
    """Yield the blocks of a kernel in the vectors of a vector index, [I, D] each."""
    if kernel.item_factors is not None:
        yield np.asarray(kernel.item_factors)
    if kernel.prior is not None:
        yield kernel.prior[:, None]


def _strongest(agent: str, rows: sp.csr_matrix, per_item: int) -> Suggestions:
    item = np.repeat(np.arange(rows.shape[0], dtype=np.int64), np.diff(rows.indptr))
    positive = (rows.data > 0) & (rows.indices != item)
    item, other, weight = item[positive], rows.indices[positive], rows.data[positive]
    order = np.lexsort((-weight, item))
    item, other, weight = item[order], other[order], weight[order]
    start = np.searchsorted(item, item)
    kept = np.arange(len(item)) - start < per_item
    return Suggestions(agent, item[kept], other[kept].astype(np.int64), weight[kept])
