"""Peers in closed form, few lines each: popularity, item cosine, EASE."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp

from kgrec.data.dataset import FloatArray, IntArray
from peers.base import Fitted, Problem, Settings, dense, fit_once, search


class Popularity:
    """The items that most people had."""

    def prepare(self, problem: Problem) -> None:
        """Need nothing."""

    def fit(self, problem: Problem) -> Fitted:
        def build() -> Callable[[IntArray], FloatArray]:
            counts = np.bincount(problem.train.indices, minlength=problem.train.shape[1])
            return lambda users: np.tile(counts.astype(np.float32), (len(users), 1))

        return fit_once(problem, build, {})


class ItemCosine:
    """The items most alike, by who had them, to those of the history.

    Sarwar et al., WWW 2001. The number of neighbours is chosen.
    """

    def prepare(self, problem: Problem) -> None:
        """Need nothing."""

    def fit(self, problem: Problem) -> Fitted:
        def fit(settings: Settings) -> Fitted:
            def build() -> Callable[[IntArray], FloatArray]:
                likeness = _cosine(problem.train, int(settings["neighbours"]))
                return lambda users: dense(problem.train[users] @ likeness)

            return fit_once(problem, build, settings)

        return search(problem, {"neighbours": (50, 20, 100, 200, 400)}, fit)


def _cosine(train: sp.csr_matrix, neighbours: int) -> sp.csr_matrix:
    norm = np.sqrt(np.maximum(np.bincount(train.indices, minlength=train.shape[1]), 1))
    unit = train @ sp.diags_array(1.0 / norm)
    likeness = dense(sp.csr_matrix(unit.T @ unit))
    np.fill_diagonal(likeness, 0)
    last = min(neighbours, len(likeness) - 1)
    bar = -np.partition(-likeness, last, axis=1)[:, [last]]
    likeness[likeness < bar] = 0
    return sp.csr_matrix(likeness)


class Ease:
    """A linear model of the items upon each other, with a zero diagonal.

    Steck, WWW 2019, "Embarrassingly Shallow Autoencoders for Sparse Data". The ridge is chosen.
    """

    def prepare(self, problem: Problem) -> None:
        """Need nothing."""

    def fit(self, problem: Problem) -> Fitted:
        gram = dense(sp.csr_matrix(problem.train.T @ problem.train))

        def fit(settings: Settings) -> Fitted:
            def build() -> Callable[[IntArray], FloatArray]:
                weights = _ease(gram, float(settings["ridge"]))
                return lambda users: np.asarray(problem.train[users] @ weights, dtype=np.float32)

            return fit_once(problem, build, settings)

        return search(problem, {"ridge": (200.0, 20.0, 50.0, 100.0, 400.0, 800.0)}, fit)


def _ease(gram: FloatArray, ridge: float) -> FloatArray:
    inverse = np.linalg.inv(gram + ridge * np.eye(len(gram), dtype=np.float32))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return np.asarray(weights, dtype=np.float32)
