"""Peers that factorise the matrix of users and items, from the package `implicit`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from peers.base import (
    Fitted,
    Grid,
    Problem,
    Settings,
    Unavailable,
    Vectors,
    fit_in_steps,
    search,
)


def _require_implicit() -> None:
    try:
        import implicit.cpu.als
        import implicit.cpu.bpr  # noqa: F401
        from threadpoolctl import threadpool_limits
    except ImportError:
        raise Unavailable("implicit is not installed (pip install implicit)") from None
    threadpool_limits(1, "blas")  # implicit has threads of its own and asks for this


class ALS:
    """Implicit's weighted alternating least squares (Hu, Koren, Volinsky, ICDM 2008).

    Grid after Rendle et al., RecSys 2022, "Revisiting the Performance of iALS".
    """

    grid: ClassVar[Grid] = {
        "factors": (64, 8, 16, 32, 128, 256),
        "regularization": (1.0, 0.1, 10.0, 30.0),
        "alpha": (1.0, 5.0, 20.0, 60.0),
    }

    def prepare(self, problem: Problem) -> None:
        _require_implicit()

    def fit(self, problem: Problem) -> Fitted:
        return search(problem, self.grid, lambda settings: _als(problem, settings))


def _als(problem: Problem, settings: Settings) -> Fitted:
    from implicit.cpu.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        iterations=5, num_threads=problem.threads, random_state=problem.seed, **settings
    )
    advance = _advance(problem, model)
    return fit_in_steps(problem, advance, settings, epochs=100, every=5, patience=2)


class BPR:
    """Implicit's Bayesian personalised ranking (Rendle et al., UAI 2009)."""

    grid: ClassVar[Grid] = {
        "learning_rate": (0.05, 0.003, 0.01, 0.1),
        "regularization": (0.01, 0.001, 0.03),
        "factors": (64, 32, 128),
    }

    def prepare(self, problem: Problem) -> None:
        _require_implicit()

    def fit(self, problem: Problem) -> Fitted:
        return search(problem, self.grid, lambda settings: _bpr(problem, settings))


def _bpr(problem: Problem, settings: Settings) -> Fitted:
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(
        iterations=20,
        num_threads=problem.threads,
        random_state=np.random.default_rng(problem.seed),  # moves on from one call to the next
        **settings,
    )
    advance = _advance(problem, model)
    return fit_in_steps(problem, advance, settings, epochs=600, every=20, patience=3)


def _advance(problem: Problem, model: Any) -> Callable[[], tuple[Vectors, float]]:
    """Train a model of implicit some iterations more; it goes on from where it was."""

    def advance() -> tuple[Vectors, float]:
        begun = time.perf_counter()
        model.fit(problem.train, show_progress=False)
        seconds = time.perf_counter() - begun
        return Vectors(model.user_factors.copy(), model.item_factors.copy()), seconds

    return advance
