"""Solvers of the linear agent's weights, and the choice of its ridge and weight of knowledge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar, Protocol

import numpy as np
import scipy.sparse as sp

from kgrec.data.dataset import FloatArray, IntArray, Interactions
from kgrec.learning.agent import FitContext
from kgrec.learning.knowledge_features import strongest
from kgrec.learning.linear.blocks import BlockConfig, ItemBlock, LowRank, cut, solve_blocks
from kgrec.learning.linear.gram import Evidence, closed_form, closed_form_of
from kgrec.metrics.validation import Objective, Validation
from kgrec.progress import Task

Scorer = Callable[[sp.csr_matrix], FloatArray]
"""Histories, CSR [B, I], to the scores of the items of a sample, float32 [B, S]."""


class Form(Protocol):
    """A solver of the weights B.

    Attributes:
        name: name in the configuration.
        evidence: what the weights are solved from.
        sample: rows of the items that settings are chosen on, int64 [S].
    """

    name: ClassVar[str]
    evidence: Evidence
    sample: IntArray

    def scorer(self, ridge: float, knowledge: float) -> Scorer:
        """Solve for the items of `sample`; return what scores them."""

    def solve(
        self, ridge: float, knowledge: float, task: Task
    ) -> tuple[dict[str, Any], FloatArray]:
        """Return the fields of the kernel by name, and the diagonal of (G + Λ)⁻¹, float32 [I]."""


class DenseForm:
    """B from the inverse of the whole Gram matrix; the strongest weights are kept."""

    name: ClassVar[str] = "dense"

    def __init__(self, evidence: Evidence, row_size: int, search_items: int) -> None:
        self.evidence, self._row_size = evidence, row_size
        self.sample = _most_popular(evidence, search_items)

    def scorer(self, ridge: float, knowledge: float) -> Scorer:
        weights = closed_form(self.evidence.gram(self.sample, ridge, knowledge))
        return lambda histories: np.asarray(histories[:, self.sample] @ weights, dtype=np.float32)

    def solve(
        self, ridge: float, knowledge: float, task: Task
    ) -> tuple[dict[str, Any], FloatArray]:
        everything = np.arange(self.evidence.num_items)
        weights, inverse = closed_form_of(self.evidence.gram(everything, ridge, knowledge))
        return {"rows": strongest(weights, self._row_size, by_size=True)}, inverse


class SparseForm:
    """B block by block; each item is regressed on similar items."""

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
        self.evidence, self._config, self._workers = evidence, config, workers
        self._blocks = cut(evidence, config, nearness, seed)
        self._tried = _some(self._blocks, search_sample, seed)
        self.sample = np.sort(np.concatenate([block.targets for block in self._tried]))

    def scorer(self, ridge: float, knowledge: float) -> Scorer:
        weights = self._weights(self._tried, ridge, knowledge)[0][:, self.sample]
        return lambda histories: np.asarray((histories @ weights).toarray(), dtype=np.float32)

    def solve(
        self, ridge: float, knowledge: float, task: Task
    ) -> tuple[dict[str, Any], FloatArray]:
        weights, inverse = self._weights(self._blocks, ridge, knowledge, task)
        return {"rows": weights.tocsr()}, inverse

    def _weights(
        self, blocks: list[ItemBlock], ridge: float, knowledge: float, task: Task | None = None
    ) -> tuple[sp.csc_matrix, FloatArray]:
        def advance() -> None:
            if task is not None:
                task.advance()

        return solve_blocks(
            self.evidence,
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
        self.evidence = evidence
        order = np.random.default_rng(seed).permutation(evidence.num_items)
        self.sample = np.sort(order[:search_sample])
        self._decomposed = lru_cache(maxsize=1)(
            lambda knowledge: LowRank.of(evidence, knowledge, rank, seed)
        )

    def scorer(self, ridge: float, knowledge: float) -> Scorer:
        history, item, _ = self._decomposed(knowledge).factors(ridge)
        candidates = item[self.sample].T

        def scores(histories: sp.csr_matrix) -> FloatArray:
            return np.asarray((histories @ history) @ candidates, dtype=np.float32)

        return scores

    def solve(
        self, ridge: float, knowledge: float, task: Task
    ) -> tuple[dict[str, Any], FloatArray]:
        history, item, own = self._decomposed(knowledge).factors(ridge)
        # The similarity of an item to itself is 0, so the diagonal of the product is subtracted.
        rows = sp.csr_matrix(sp.diags_array(-own), dtype=np.float32)
        fields = {"history_factors": history, "item_factors": item, "rows": rows}
        return fields, self._decomposed(knowledge).inverse_diagonal(ridge)


def _most_popular(evidence: Evidence, size: int) -> IntArray:
    order = np.argsort(-evidence.popularity, kind="stable")
    return np.sort(order[:size]).astype(np.int64)


def _some(blocks: list[ItemBlock], items: int, seed: int) -> list[ItemBlock]:
    """Sample blocks until they hold about `items` targets."""
    order = np.random.default_rng(seed).permutation(len(blocks))
    held = np.cumsum([len(blocks[place].targets) for place in order])
    return [blocks[place] for place in np.sort(order[: 1 + int(np.searchsorted(held, items))])]


@dataclass(frozen=True, eq=False)
class LinearTrial:
    """Ranks the items of a form's sample for users with a target among them.

    Attributes:
        held_out: the validation part, restricted to the sample.
        histories: histories of its users over all items, CSR [B, I].
    """

    form: Form
    held_out: Validation
    histories: sp.csr_matrix

    @classmethod
    def of(cls, form: Form, context: FitContext, objective: Objective) -> LinearTrial:
        """Restrict the validation part of a context to the sample of a form."""
        assert context.validation is not None  # noqa: S101 - the caller looked
        matrix = context.histories.matrix
        held_out = Validation(
            sp.csr_matrix(matrix[:, form.sample]),
            _restricted(context.validation, form.sample, matrix.shape[1]),
            objective,
            seed=context.seed,
        )
        return cls(form, held_out, matrix[held_out.users])

    def measure(self, ridge: float, knowledge: float) -> float:
        """Return the metric of a ridge and a weight of knowledge."""

        scores = self.form.scorer(ridge, knowledge)
        values = self.held_out.values_by(lambda users: scores(self.histories[users]))
        return float(values.mean())


def _restricted(interactions: Interactions, items: IntArray, num_items: int) -> Interactions:
    place = np.full(num_items, -1, dtype=np.int64)
    place[items] = np.arange(len(items))
    kept = interactions.take(place[interactions.item] >= 0)
    return replace(kept, item=place[kept.item])


class LinearSearch:
    """Measures settings on the validation part, each once.

    Args:
        measure: returns the metric of a ridge and a weight of knowledge.
    """

    def __init__(self, measure: Callable[[float, float], float], task: Task) -> None:
        self._measure, self._task = measure, task
        self._tried: dict[tuple[float, float], float] = {}

    def measure(self, setting: tuple[float, float]) -> float:
        """Return the metric of a ridge and a weight of knowledge."""
        if setting not in self._tried:
            self._tried[setting] = self._measure(*setting)
            self._task.advance()
            self._task.describe(f"validation {max(self._tried.values()):.4f}")
        return self._tried[setting]

    def ridge(self, start: float, knowledge: float, *, most: int = 8) -> float:
        """Return the best ridge by steps of factor 4, then 2, with at most `most` measurements."""
        best = start
        for factor in (4.0, 2.0):
            for step in (1.0 / factor, factor):
                begun = best
                while len(self._tried) < most and self._gains(best, best * step, knowledge):
                    best *= step
                if best != begun:
                    break
        return best

    def _gains(self, ridge: float, other: float, knowledge: float) -> bool:
        return self.measure((other, knowledge)) > self.measure((ridge, knowledge))
