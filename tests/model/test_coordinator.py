from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from kgrec.data.dataset import FloatArray, Interactions
from kgrec.learning.blending.shortlists import AgentScores
from kgrec.learning.blending.weights import CoordinatorConfig, choose_weights
from kgrec.metrics.validation import Objective, Validation
from kgrec.model.coordinator import Coordinator
from kgrec.model.kernel import Kernel

USERS, ITEMS = 40, 30


def kernel(name: str, weights: FloatArray) -> Kernel:
    return Kernel(name, rows=sp.csr_matrix(weights))


@pytest.fixture
def problem() -> tuple[FloatArray, Validation]:
    """Every user had item u % ITEMS and wants the next one."""
    users = np.arange(USERS, dtype=np.int64)
    had = users % ITEMS
    ones = np.ones(USERS, dtype=np.float32)
    train = sp.csr_matrix((ones, (users, had)), shape=(USERS, ITEMS))
    wanted = Interactions(users, (had + 1) % ITEMS, ones, users)
    right = np.roll(np.eye(ITEMS, dtype=np.float32), 1, axis=1)
    return right, Validation(train, wanted, Objective(k=5))


def noise(seed: int) -> FloatArray:
    return np.random.default_rng(seed).random((ITEMS, ITEMS), dtype=np.float32)


def test_an_agent_that_knows_nothing_gets_no_share(
    problem: tuple[FloatArray, Validation],
) -> None:
    right, validation = problem
    kernels = [kernel("noise", noise(1)), kernel("right", right)]
    given = AgentScores.of(kernels, validation)
    weights, metrics = choose_weights(kernels, given, CoordinatorConfig())
    assert weights == [0.0, 1.0]
    assert metrics["right"] == metrics["team"] == 1.0
    assert metrics["noise"] < 0.5


def test_agents_that_know_half_each_are_heard_both(
    problem: tuple[FloatArray, Validation],
) -> None:
    right, validation = problem
    first, second = right.copy(), right.copy()
    first[ITEMS // 2 :] = noise(2)[ITEMS // 2 :]
    second[: ITEMS // 2] = noise(3)[: ITEMS // 2]
    kernels = [kernel("first", first), kernel("second", second)]
    given = AgentScores.of(kernels, validation)
    weights, metrics = choose_weights(kernels, given, CoordinatorConfig())
    assert min(weights) > 0
    assert sum(weights) == pytest.approx(1.0)
    assert metrics["team"] > max(metrics["first"], metrics["second"])


def test_given_weights_are_taken_as_they_are(problem: tuple[FloatArray, Validation]) -> None:
    right, validation = problem
    config = CoordinatorConfig(weights={"a": 3.0, "b": 1.0})
    kernels = [kernel("a", right), kernel("b", right)]
    weights, _ = choose_weights(kernels, AgentScores.of(kernels, validation), config)
    assert weights == [0.75, 0.25]


def test_attention_makes_agents_comparable_for_every_user() -> None:
    rng = np.random.default_rng(1)
    kernels = [kernel("small", noise(1)), kernel("large", 100 * noise(2))]
    histories = sp.csr_matrix((rng.random((6, ITEMS)) < 0.2).astype(np.float32))
    alpha = Coordinator([0.5, 0.5]).blend(kernels, histories).alpha
    for attention, each in zip(alpha, kernels, strict=True):
        scores = attention[:, None] * each.scores(histories)
        np.testing.assert_allclose(scores.std(axis=1), 0.5, rtol=1e-4)


def test_an_agent_that_says_the_same_of_all_items_has_no_attention() -> None:
    flat = kernel("flat", np.ones((ITEMS, ITEMS), dtype=np.float32))
    empty = sp.csr_matrix((2, ITEMS), dtype=np.float32)
    assert not Coordinator([1.0]).blend([flat], empty).alpha.any()
