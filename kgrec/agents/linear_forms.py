"""The forms in which the linear agent's weights are solved for and kept."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar, Protocol

import numpy as np
import scipy.sparse as sp

from kgrec.agents.linear_blocks import Block, BlockConfig, cut, solve_blocks
from kgrec.agents.linear_gram import Evidence
from kgrec.agents.linear_lowrank import LowRank
from kgrec.agents.linear_solve import closed_form
from kgrec.agents.neighbours import strongest
from kgrec.data.dataset import FloatArray, IntArray
from kgrec.progress import Task


class Form(Protocol):
    """One way to the weights B.

    Attributes:
        name: as in the configuration.
        sample: the items that settings are chosen on, rows, int64 [S].
    """

    name: ClassVar[str]
    sample: IntArray

    def scores(self, histories: sp.csr_matrix, ridge: float, knowledge: float) -> FloatArray:
        """Return what histories, CSR [B, I], say of the items of `sample`, float32 [B, S]."""

    def solve(self, ridge: float, knowledge: float, task: Task) -> dict[str, Any]:
        """Return the kernel's parts, by the names of its fields."""


class DenseForm:
    """B as the inverse of the whole Gram matrix gives it; the strongest weights are kept."""

    name: ClassVar[str] = "dense"

    def __init__(self, evidence: Evidence, row_size: int, search_items: int) -> None:
        self._evidence, self._row_size = evidence, row_size
        self.sample = _most_popular(evidence, search_items)

    def scores(self, histories: sp.csr_matrix, ridge: float, knowledge: float) -> FloatArray:
        weights = closed_form(self._evidence.gram(self.sample, ridge, knowledge))
        return np.asarray(histories[:, self.sample] @ weights, dtype=np.float32)

    def solve(self, ridge: float, knowledge: float, task: Task) -> dict[str, Any]:
        everything = np.arange(self._evidence.num_items)
        weights = closed_form(self._evidence.gram(everything, ridge, knowledge))
        return {"rows": strongest(weights, self._row_size, by_size=True)}


class SparseForm:
    """B block by block; each item is solved for among the items that go with it."""

    name: ClassVar[str] = "sparse"

    def __init__(
        self,
        evidence: Evidence,
        config: BlockConfig,
        nearness: tuple[float, float],
        search_sample: int,
        seed: int,
        *,
        workers: int = 1,
    ) -> None:
        self._evidence, self._config, self._workers = evidence, config, workers
        self._blocks = cut(evidence, config, nearness, seed)
        self._tried = _some(self._blocks, search_sample, seed)
        self.sample = np.sort(np.concatenate([block.targets for block in self._tried]))

    def scores(self, histories: sp.csr_matrix, ridge: float, knowledge: float) -> FloatArray:
        weights = self._weights(self._tried, ridge, knowledge)
        return np.asarray((histories @ weights[:, self.sample]).toarray(), dtype=np.float32)

    def solve(self, ridge: float, knowledge: float, task: Task) -> dict[str, Any]:
        return {"rows": self._weights(self._blocks, ridge, knowledge, task).tocsr()}

    def _weights(
        self, blocks: list[Block], ridge: float, knowledge: float, task: Task | None = None
    ) -> sp.csc_matrix:
        def advance() -> None:
            if task is not None:
                task.advance()

        return solve_blocks(
            self._evidence,
            blocks,
            ridge,
            knowledge,
            self._config.column_size,
            workers=self._workers,
            advance=advance,
        )


class LowRankForm:
    """B over the leading eigenvectors, as factors."""

    name: ClassVar[str] = "low-rank"

    def __init__(self, evidence: Evidence, rank: int, search_sample: int, seed: int) -> None:
        self._evidence = evidence
        order = np.random.default_rng(seed).permutation(evidence.num_items)
        self.sample = np.sort(order[:search_sample])
        self._decomposed = lru_cache(maxsize=1)(
            lambda knowledge: LowRank.of(evidence, knowledge, rank, seed)
        )

    def scores(self, histories: sp.csr_matrix, ridge: float, knowledge: float) -> FloatArray:
        history, item, _ = self._decomposed(knowledge).factors(ridge)
        return np.asarray((histories @ history) @ item[self.sample].T, dtype=np.float32)

    def solve(self, ridge: float, knowledge: float, task: Task) -> dict[str, Any]:
        history, item, own = self._decomposed(knowledge).factors(ridge)
        # An item says nothing of itself: the product's diagonal is taken away again.
        rows = sp.csr_matrix(sp.diags_array(-own), dtype=np.float32)
        return {"history_factors": history, "item_factors": item, "rows": rows}


def _most_popular(evidence: Evidence, size: int) -> IntArray:
    order = np.argsort(-evidence.popularity, kind="stable")
    return np.sort(order[:size]).astype(np.int64)


def _some(blocks: list[Block], items: int, seed: int) -> list[Block]:
    """Draw blocks until they hold about so many targets."""
    order = np.random.default_rng(seed).permutation(len(blocks))
    held = np.cumsum([len(blocks[place].targets) for place in order])
    return [blocks[place] for place in np.sort(order[: 1 + int(np.searchsorted(held, items))])]
