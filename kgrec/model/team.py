"""The team: kernels and a coordinator over one catalogue: scores, their parts, vectors.

score(u, i) = Σ_k α_k(u) · (Σ_{h ∈ H} w_k,h · v_h · S_k(h, i) + b_k,i) + what the ranker adds
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from kgrec.data.dataset import FloatArray, IntArray
from kgrec.data.vocabulary import Vocabulary
from kgrec.errors import ModelError
from kgrec.model.coordinator import Blend, Coordinator
from kgrec.model.histories import Histories, as_histories, one_history
from kgrec.model.kernel import Kernel
from kgrec.model.ranker import Ranker

RANKER = "ranker"
"""What stands in the place of an agent's name for what the ranker adds."""


@dataclass(frozen=True)
class TeamParts:
    """Scores taken apart by agent and by history item.

    Attributes:
        agents: names, [A]; the last is `RANKER` where there is one.
        weights: the attention α_k(u) that each agent's numbers were multiplied by, float64 [A].
        contributions: float64 [A, H, C].
        priors: what each agent says of a candidate whatever the history, float64 [A, C].
    """

    agents: tuple[str, ...]
    weights: NDArray[np.float64]
    contributions: NDArray[np.float64]
    priors: NDArray[np.float64]

    @property
    def total(self) -> NDArray[np.float64]:
        """The scores, float64 [C]: the sum over agents of contributions and priors."""
        return np.asarray(self.contributions.sum(axis=(0, 1)) + self.priors.sum(axis=0))


@dataclass(frozen=True)
class Suggestions:
    """The strongest sparse weights of one agent, an edge a row.

    Attributes:
        agent: name.
        item, other: rows of the history item and of the item it speaks for, int64 [N].
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
    """

    items: Vocabulary
    kernels: tuple[Kernel, ...]
    coordinator: Coordinator
    config: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    ranker: Ranker | None = None

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
        alpha = self.blend(histories).alpha.astype(np.float32)  # [A, B]
        scores = np.zeros((histories.shape[0], len(self.items)), dtype=np.float32)
        for attention, kernel in zip(alpha, self.kernels, strict=True):
            if attention.any():
                scores += attention[:, None] * kernel.scores(histories)
        if self.ranking is not None:
            self.ranking.reorder(self.active, histories, scores)
        return scores

    def parts(
        self,
        history: Histories | ArrayLike,
        candidates: ArrayLike,
        weights: FloatArray | None = None,
        attention: NDArray[np.float64] | None = None,
        *,
        ranked: bool = True,
    ) -> TeamParts:
        """Take scores apart.

        The ranker stands beside the agents, as if all candidates were among those that it reorders.

        Args:
            history: one history, or rows of its distinct items, [H]; may be empty.
            candidates: rows of the items to score, [C].
            weights: weight of each history item, [H], where only rows are given; 1 when absent.
            attention: what `attention` says of this history, where the caller knows it.
            ranked: False leaves the ranker out.

        Returns:
            parts whose `total` is the score of each candidate.
        """
        given = one_history(history, len(self.items), weights)
        wanted = np.asarray(candidates, dtype=np.int64)
        alpha = self.attention(given) if attention is None else attention
        contributions = np.zeros((len(alpha), len(given.item), len(wanted)))
        priors = np.zeros((len(alpha), len(wanted)))
        for k, kernel in enumerate(self.kernels):
            if alpha[k] > 0:
                similarity, prior = kernel.parts(given, wanted)
                contributions[k], priors[k] = alpha[k] * similarity, alpha[k] * prior
        parts = TeamParts(self.agents, alpha, contributions, priors)
        if self.ranking is None or not ranked:
            return parts
        reading = self.ranking.read(self.active, given, wanted)
        return TeamParts(
            (*parts.agents, RANKER),
            np.append(alpha, self.ranking.blend),
            np.concatenate([contributions, reading.contributions()[None]]),
            np.concatenate([priors, reading.priors[None]]),
        )

    def totals(
        self,
        history: Histories | ArrayLike,
        candidates: IntArray,
        attention: NDArray[np.float64] | None = None,
        *,
        with_priors: bool = True,
    ) -> NDArray[np.float64]:
        """Score candidates as `scores` does, float64 [C]; see `standing`."""
        return self.standing(history, candidates, attention, with_priors=with_priors)[0]

    def standing(
        self,
        history: Histories | ArrayLike,
        candidates: IntArray,
        attention: NDArray[np.float64] | None = None,
        *,
        with_priors: bool = True,
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Score candidates in memory for one row; the ranker, if there is one, reorders the best.

        Args:
            history: one history, or rows of its distinct items, [H]; may be empty.
            candidates: rows of the items to score, [C].
            attention: what `attention` says of this history, where the caller knows it.
            with_priors: False leaves out what speaks for an item whatever the history.

        Returns:
            the scores, float64 [C], and which candidates the ranker reordered, bool [C].
        """
        given = one_history(history, len(self.items))
        alpha = self.attention(given) if attention is None else attention
        scores, reordered = np.zeros(len(candidates)), np.zeros(len(candidates), dtype=np.bool_)
        for weight, kernel in zip(alpha, self.kernels, strict=True):
            if weight > 0:
                similarity, prior = kernel.totals(given, candidates)
                scores += weight * (similarity + prior if with_priors else similarity)
        if self.ranking is not None:
            best = self.ranking.chosen(candidates, scores)
            reordered[best] = True
            scores += self.ranking.added(
                self.active, given, candidates, best, with_priors=with_priors
            )
        return scores, reordered

    def expected_values(
        self, history: Histories | ArrayLike, candidates: IntArray
    ) -> NDArray[np.float64] | None:
        """Return what value the user would give candidates (rows, [C]), float64 [C].

        None where the interactions give no values.
        """
        if self.ranker is None:
            return None
        given = one_history(history, len(self.items))
        return self.ranker.expected(self.active, given, candidates)

    def attention(
        self, history: Histories | ArrayLike, weights: FloatArray | None = None
    ) -> NDArray[np.float64]:
        """Return the attention α_k(u) of each agent for one history, float64 [A]; see `parts`."""
        return self.blend(one_history(history, len(self.items), weights)).alpha[:, 0]

    def blend(self, histories: Histories) -> Blend:
        """Return the shares of the agents for each history, which sum to one, and α, [A, B]."""
        return self.coordinator.blend(self.kernels, histories, self.probing)

    @cached_property
    def probing(self) -> list[Kernel]:
        """What the coordinator asks the agents that are heard to see whether they agree."""
        return self.coordinator.probing(self.kernels)

    @property
    def ranking(self) -> Ranker | None:
        """The ranker where it moves anything; one may be there for the values alone."""
        return self.ranker if self.ranker is not None and self.ranker.blend else None

    @cached_property
    def active(self) -> list[Kernel]:
        """The kernels of the agents that have a share."""
        return [self.kernels[k] for k in self.coordinator.active]

    def item_vectors(self) -> FloatArray:
        """Return the vectors to put under a vector index, float32 [I, D + 1].

        The item factors of all agents side by side and a dimension for each prior; the last
        dimension, √(M² − ‖v‖²), gives all rows the length M, so that the order of the cosine
        with `query_vector` is the order of the inner product (Bachrach et al. 2014).
        """
        blocks = [block for kernel in self.active for block in _item_block(kernel)]
        empty = np.zeros((len(self.items), 0), dtype=np.float32)
        vectors = np.hstack([empty, *blocks]).astype(np.float64)
        square = (vectors**2).sum(axis=1)
        largest = float(square.max(initial=0.0)) or 1.0
        lift = np.sqrt(np.maximum(largest - square, 0.0))
        return np.asarray(np.hstack([vectors, lift[:, None]]), dtype=np.float32)

    def query_vector(
        self,
        history: Histories | ArrayLike,
        weights: FloatArray | None = None,
        attention: NDArray[np.float64] | None = None,
    ) -> FloatArray:
        """Return the query that belongs to `item_vectors`, float32 [D + 1]; see `parts`.

        Its inner product with an item's vector is the score without the sparse rows. It is the
        zero vector when no agent has anything to say; an index must not be asked then.
        """
        given = one_history(history, len(self.items), weights)
        alpha = self.attention(given) if attention is None else attention
        blocks: list[NDArray[np.float64]] = []
        for weight, active, kernel in zip(
            self.coordinator.weights, alpha, self.kernels, strict=True
        ):
            if weight <= 0:
                continue
            if kernel.history_factors is not None:
                values = kernel.weights(given).astype(np.float64)
                blocks.append(active * (values @ kernel.history_factors[given.item]))
            if kernel.prior is not None:
                blocks.append(np.array([active]))
        return np.concatenate([*blocks, np.zeros(1)]).astype(np.float32)

    def suggestions(self, per_item: int = 50) -> Iterator[Suggestions]:
        """Yield, for each agent that is heard and has sparse rows, the strongest of them.

        Args:
            per_item: at most so many positive weights of each history item.
        """
        for kernel in self.active:
            if kernel.rows is not None:
                yield _strongest(kernel.agent, kernel.rows, per_item)


def _item_block(kernel: Kernel) -> Iterator[FloatArray]:
    if kernel.item_factors is not None:
        yield kernel.item_factors
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
