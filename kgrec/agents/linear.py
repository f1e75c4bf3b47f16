"""The linear agent: a closed-form item-to-item filter with knowledge features."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from pydantic import Field

from kgrec.agents.base import AgentConfig, FitContext, NothingToLearnError
from kgrec.agents.features import degree_features, strongest
from kgrec.agents.kernel import Kernel
from kgrec.data.dataset import Dataset, FloatArray, IntArray
from kgrec.data.histories import Histories
from kgrec.errors import ModelError
from kgrec.evaluation.validation import Objective, Validation
from kgrec.progress import Task


class LinearConfig(AgentConfig):
    """Settings of the linear agent.

    Attributes:
        ridge: λ of an item of mean popularity; None begins at `ridge_start` and doubles or halves
            it while validation gains.
        ridge_power: λ_i = λ · (popularity_i / mean)^power.
        knowledge: weight of the knowledge features beside the users; None chooses.
        row_size: how many of the strongest weights of each history item are kept.
        max_items: the filter is solved for at most so many items, the most popular ones; memory
            grows with their square (8,000 take 1 GB), time with their cube.
        search_items: settings are chosen on at most so many of those.
    """

    ridge: float | None = Field(default=None, gt=0)
    ridge_start: float = Field(default=200.0, gt=0)
    ridge_power: float = 0.3
    knowledge: float | None = Field(default=None, ge=0)
    knowledge_choices: tuple[float, ...] = Field(default=(0.0, 3.0), min_length=1)
    row_size: int = Field(default=500, ge=1)
    max_items: int = Field(default=8_000, ge=1)
    search_items: int = Field(default=4_000, ge=1)
    objective: Objective = Objective()


class LinearAgent:
    """EASE (Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data").

    The Gram matrix is augmented with knowledge features as in the collective variant (Jeunen,
    Van Balen and Goethals 2020), and the ridge is larger for popular items. Only the strongest
    weights are kept, as sparse rows.
    """

    name: ClassVar[str] = "linear"
    Config: ClassVar[type[LinearConfig]] = LinearConfig

    def __init__(self, config: LinearConfig | None = None) -> None:
        self.config = config or LinearConfig()

    def fit(self, context: FitContext) -> Kernel:
        """Solve for the item-to-item weights; see `Agent.fit`."""
        train = context.train
        if not len(train.interactions):
            raise NothingToLearnError("the linear agent needs interactions")
        size = min(self.config.max_items, train.num_items)
        trial = _Problem(train, self.config, min(self.config.search_items, size))
        ridge, knowledge = self._choose(trial, context)
        problem = trial if len(trial.kept) == size else _Problem(train, self.config, size)
        weights = problem.solve(ridge, knowledge)
        chosen: dict[str, float | int] = {"ridge": ridge, "knowledge": knowledge}
        rows = problem.rows(weights, self.config.row_size)
        return Kernel(self.name, rows=rows, chosen=chosen)

    def _choose(self, problem: _Problem, context: FitContext) -> tuple[float, float]:
        config = self.config
        fixed = config.knowledge is not None or not problem.features.nnz
        weights = (config.knowledge or 0.0,) if fixed else config.knowledge_choices
        ridge, knowledge = config.ridge or config.ridge_start, weights[-1]
        held_out = context.held_out(config.objective)
        if held_out is None or (config.ridge is not None and len(weights) == 1):
            return ridge, knowledge
        with context.progress.task("linear: choose") as task:
            search = _Search(problem, held_out, task)
            if config.ridge is None:
                ridge = search.ridge(ridge, knowledge)
            return max(((ridge, weight) for weight in weights), key=search.measure)


class _Search:
    """Measures settings on the validation part, each once."""

    def __init__(self, problem: _Problem, held_out: Validation, task: Task) -> None:
        self._problem, self._held_out, self._task = problem, held_out, task
        self._tried: dict[tuple[float, float], float] = {}

    def measure(self, setting: tuple[float, float]) -> float:
        """Return the metric of a ridge and a weight of knowledge."""
        if setting not in self._tried:
            self._tried[setting] = self._problem.measure(*setting, self._held_out)
            self._task.advance()
            self._task.describe(f"validation {max(self._tried.values()):.4f}")
        return self._tried[setting]

    def ridge(self, start: float, knowledge: float, *, most: int = 6) -> float:
        """Double or halve the ridge while that gains, `most` times at the most."""
        best = start
        for factor in (0.5, 2.0):
            while len(self._tried) < most:
                if self.measure((best * factor, knowledge)) <= self.measure((best, knowledge)):
                    break
                best *= factor
            if best != start:
                break
        return best


class _Problem:
    """The Gram matrix of the most popular items, solved for several settings."""

    def __init__(self, train: Dataset, config: LinearConfig, size: int) -> None:
        matrix = train.matrix()
        self.num_items = train.num_items
        self.popularity = np.bincount(matrix.indices, minlength=self.num_items)
        self.kept = self._most_popular(size)
        self.matrix = matrix[:, self.kept]
        features = degree_features(train)
        self.features = features[self.kept] if features is not None else sp.csr_matrix((0, 0))
        mean = max(self.popularity[self.kept].mean(), 1e-9)
        share = np.maximum(self.popularity[self.kept], 1) / mean
        self.ridge_shape = (share**config.ridge_power).astype(np.float32)
        self._gram = np.asarray((self.matrix.T @ self.matrix).todense(), dtype=np.float32)

    def _most_popular(self, size: int) -> IntArray:
        order = np.argsort(-self.popularity, kind="stable")
        return np.sort(order[:size]).astype(np.int64)

    def solve(self, ridge: float, knowledge: float) -> FloatArray:
        """Return B, float32 [K, K] over the kept items, with a zero diagonal."""
        gram = self._gram.copy()
        if knowledge > 0 and self.features.nnz:
            gram += knowledge * (self.features @ self.features.T).toarray()
        gram[np.diag_indices_from(gram)] += ridge * self.ridge_shape
        try:
            factor = scipy.linalg.cho_factor(gram, lower=True, overwrite_a=True)
        except scipy.linalg.LinAlgError as error:
            raise ModelError(
                f"the item matrix cannot be inverted ({error})",
                value=ridge,
                remedy="Use a larger ridge.",
            ) from None
        inverse, status = scipy.linalg.lapack.spotri(factor[0], lower=1, overwrite_c=1)
        if status:
            raise ModelError("the item matrix cannot be inverted", value=ridge)
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        weights = inverse / -np.diag(inverse)
        np.fill_diagonal(weights, 0.0)
        return np.asarray(weights, dtype=np.float32)

    def measure(self, ridge: float, knowledge: float, held_out: Validation) -> float:
        weights = self.solve(ridge, knowledge)

        def score(histories: Histories) -> FloatArray:
            scores = np.zeros(histories.shape, dtype=np.float32)
            scores[:, self.kept] = histories.matrix[:, self.kept] @ weights
            return scores

        return held_out.measure(score)

    def rows(self, weights: FloatArray, row_size: int) -> sp.csr_matrix:
        """Keep the strongest weights of each row, as CSR float32 [I, I] over all items."""
        kept = sp.coo_matrix(strongest(weights, row_size, by_size=True))
        entries = (kept.data, (self.kept[kept.row], self.kept[kept.col]))
        return sp.csr_matrix(entries, shape=(self.num_items, self.num_items), dtype=np.float32)
