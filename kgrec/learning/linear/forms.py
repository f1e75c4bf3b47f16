"""Solvers of the linear agent's weights, and the choice of its ridge and weight of knowledge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from kgrec.metrics.ranking import Values
from kgrec.metrics.validation import Objective, Validation
from kgrec.progress import Task


@dataclass(frozen=True)
class Setting:
    """What the weights are solved with.

    Attributes:
        ridge: λ of an item of mean popularity.
        knowledge: weight of the knowledge features beside the users.
        dropout: see `Evidence.gram`.
    """

    ridge: float
    knowledge: float
    dropout: float = 0.0


Scorer = Callable[[sp.csr_matrix], FloatArray]
"""Histories, CSR [B, I], to the scores of the items of a sample, float32 [B, S]."""


class Form(Protocol):
    """A solver of the weights B.

    Attributes:
        name: name in the configuration.
        drops_out: whether it can be solved with dropout.
        evidence: what the weights are solved from.
        sample: rows of the items that settings are chosen on, int64 [S].
    """

    name: ClassVar[str]
    drops_out: ClassVar[bool]
    evidence: Evidence
    sample: IntArray

    def scorer(self, setting: Setting) -> Scorer:
        """Solve for the items of `sample`; return what scores them."""

    def solve(self, setting: Setting, task: Task) -> tuple[dict[str, Any], FloatArray]:
        """Return the fields of the kernel by name, and the diagonal of (G + Λ)⁻¹, float32 [I]."""


class DenseForm:
    """B from the inverse of the whole Gram matrix; the strongest weights are kept."""

    name: ClassVar[str] = "dense"
    drops_out: ClassVar[bool] = True

    def __init__(self, evidence: Evidence, row_size: int, search_items: int) -> None:
        self.evidence, self._row_size = evidence, row_size
        self.sample = _most_popular(evidence, search_items)

    def scorer(self, setting: Setting) -> Scorer:
        weights = closed_form(self._gram(self.sample, setting))
        return lambda histories: np.asarray(histories[:, self.sample] @ weights, dtype=np.float32)

    def solve(self, setting: Setting, task: Task) -> tuple[dict[str, Any], FloatArray]:
        everything = np.arange(self.evidence.num_items)
        weights, inverse = closed_form_of(self._gram(everything, setting))
        return {"rows": strongest(weights, self._row_size, by_size=True)}, inverse

    def _gram(self, items: IntArray, setting: Setting) -> FloatArray:
        return self.evidence.gram(items, setting.ridge, setting.knowledge, setting.dropout)


class SparseForm:
    """B block by block; each item is regressed on similar items."""

    name: ClassVar[str] = "sparse"
    drops_out: ClassVar[bool] = True

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

    def scorer(self, setting: Setting) -> Scorer:
        # By row: a product with rows of another order would turn it around for every batch.
        weights = self._weights(self._tried, setting)[0][:, self.sample].tocsr()
        return lambda histories: np.asarray((histories @ weights).toarray(), dtype=np.float32)

    def solve(self, setting: Setting, task: Task) -> tuple[dict[str, Any], FloatArray]:
        weights, inverse = self._weights(self._blocks, setting, task)
        return {"rows": weights.tocsr()}, inverse

    def _weights(
        self, blocks: list[ItemBlock], setting: Setting, task: Task | None = None
    ) -> tuple[sp.csc_matrix, FloatArray]:
        def advance() -> None:
            if task is not None:
                task.advance()

        return solve_blocks(
            self.evidence,
            blocks,
            setting.ridge,
            setting.knowledge,
            self._config.column_size,
            dropout=setting.dropout,
            workers=self._workers,
            advance=advance,
        )


class LowRankForm:
    """B over the leading eigenvectors, as factors."""

    name: ClassVar[str] = "low-rank"
    drops_out: ClassVar[bool] = False

    def __init__(self, evidence: Evidence, rank: int, search_sample: int, seed: int) -> None:
        self.evidence = evidence
        order = np.random.default_rng(seed).permutation(evidence.num_items)
        self.sample = np.sort(order[:search_sample])
        self._decomposed = lru_cache(maxsize=1)(
            lambda knowledge: LowRank.of(evidence, knowledge, rank, seed)
        )

    def scorer(self, setting: Setting) -> Scorer:
        history, item, _ = self._decomposed(setting.knowledge).factors(setting.ridge)
        candidates = item[self.sample].T

        def scores(histories: sp.csr_matrix) -> FloatArray:
            return np.asarray((histories @ history) @ candidates, dtype=np.float32)

        return scores

    def solve(self, setting: Setting, task: Task) -> tuple[dict[str, Any], FloatArray]:
        decomposed = self._decomposed(setting.knowledge)
        history, item, own = decomposed.factors(setting.ridge)
        # The similarity of an item to itself is 0, so the diagonal of the product is subtracted.
        rows = sp.csr_matrix(sp.diags_array(-own), dtype=np.float32)
        fields = {"history_factors": history, "item_factors": item, "rows": rows}
        return fields, decomposed.inverse_diagonal(setting.ridge)


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

    def values(self, setting: Setting) -> Values:
        """Return the metric of each user, float64 [B]."""
        scores = self.form.scorer(setting)
        return self.held_out.values_by(lambda users: scores(self.histories[users]))


def _restricted(interactions: Interactions, items: IntArray, num_items: int) -> Interactions:
    place = np.full(num_items, -1, dtype=np.int64)
    place[items] = np.arange(len(items))
    kept = interactions.take(place[interactions.item] >= 0)
    return replace(kept, item=place[kept.item])


class LinearSearch:
    """Measures settings on the validation part, each once.

    Args:
        values: returns the metric of each user by a setting, float64 [B].
    """

    def __init__(self, values: Callable[[Setting], Values], task: Task) -> None:
        self._values, self._task = values, task
        self._tried: dict[Setting, Values] = {}

    def measure(self, setting: Setting) -> float:
        """Return the metric of a setting."""
        return float(self.values(setting).mean())

    def values(self, setting: Setting) -> Values:
        """Return the metric of each user by a setting."""
        if setting not in self._tried:
            self._tried[setting] = self._values(setting)
            self._task.advance()
            best = max(float(values.mean()) for values in self._tried.values())
            self._task.describe(f"validation {best:.4f}")
        return self._tried[setting]

    def ridge(self, start: Setting, *, most: int = 8) -> Setting:
        """Find the best ridge by steps of factor 4, then 2, with at most `most` measurements."""
        best = start
        for factor in (4.0, 2.0):
            for step in (1.0 / factor, factor):
                begun = best
                while len(self._tried) < most:
                    other = replace(best, ridge=best.ridge * step)
                    if self.measure(other) <= self.measure(best):
                        break
                    best = other
                if best != begun:
                    break
        return best

    def dropout(self, start: Setting, choices: Sequence[float]) -> Setting:
        """Raise the dropout while users gain by more than noise, and lower the ridge with it."""
        best = start
        for dropout in choices:
            more = replace(best, dropout=dropout)
            if not self._gains(more, best):
                break
            best = max((more, replace(more, ridge=more.ridge / 4)), key=self.measure)
        return best

    def _gains(self, setting: Setting, other: Setting) -> bool:
        gain = self.values(setting) - self.values(other)
        return bool(gain.mean() > gain.std() / np.sqrt(len(gain)))
