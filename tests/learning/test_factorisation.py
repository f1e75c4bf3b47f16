"""The factorisation agent: its factors are those of least squares, and so are its scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from tastes import Popularity, Tastes, tastes

from kgrec.data.dataset import Interactions
from kgrec.learning.agent import FitContext, NothingToLearnError
from kgrec.learning.factorisation import agent as module
from kgrec.learning.factorisation.agent import FactorisationAgent, FactorisationConfig
from kgrec.learning.factorisation.als import (
    AlsSetting,
    AlternatingLeastSquares,
    of_features,
    solve_rows,
)
from kgrec.learning.fit_team import fit_team
from kgrec.learning.registry import build_agent
from kgrec.learning.team_config import TeamConfig
from kgrec.metrics.validation import Objective
from kgrec.model.histories import Histories
from kgrec.model.redundancy_reader import RedundancyReader, padded
from kgrec.model.remaining import Remaining
from kgrec.model.storage import load_team, save_team

SETTING = AlsSetting(factors=6, unobserved=0.2, ridge=1.5)
SETTLED = {"factors": 6, "unobserved": 0.2, "ridge": 1.5}


@pytest.fixture(scope="module")
def world() -> Tastes:
    return tastes()


def drawn(lengths: list[int], width: int, seed: int = 3) -> sp.csr_matrix:
    """Draw a matrix whose rows have these numbers of entries."""
    rng = np.random.default_rng(seed)
    item = np.concatenate([np.sort(rng.choice(width, n, replace=False)) for n in lengths])
    start = np.concatenate([[0], np.cumsum(lengths)])
    return sp.csr_matrix((np.ones(len(item)), item.astype(np.int64), start), (len(lengths), width))


def solved(known: np.ndarray, other: np.ndarray, unobserved: float, ridge: float) -> np.ndarray:
    """Solve the least squares of one row, as the normal equations have it."""
    seen = other[known > 0]
    system = unobserved * other.T @ other + seen.T @ seen + ridge * np.eye(other.shape[1])
    return np.asarray(np.linalg.solve(system, seen.sum(axis=0)))


def test_each_row_is_solved_by_its_normal_equations() -> None:
    matrix = drawn([0, 1, 2, 5, 6, 7, 30, 40, 0, 3], 40)
    other = np.random.default_rng(1).normal(size=(40, 6))
    ridge = np.linspace(0.5, 4.0, 10)
    given = torch.as_tensor(other, dtype=torch.float32)
    found = solve_rows(matrix, given, 0.2, ridge).numpy()
    for row, known in enumerate(matrix.toarray()):
        np.testing.assert_allclose(
            found[row], solved(known, other, 0.2, float(ridge[row])), atol=1e-4
        )
    assert not found[[0, 8]].any()


def test_every_entry_of_a_row_is_in_one_batch() -> None:
    lengths = [4, 0, 1, 9, 2, 2, 0, 30, 5]
    start = drawn(lengths, 40).indptr.astype(np.int64)
    for cells in (1, 50, 1 << 20):
        places = [entries[held] for _, entries, held in padded(start, 6, cells)]
        assert sorted(np.concatenate(places)) == list(range(sum(lengths)))


def test_sweeps_lower_the_loss(world: Tastes) -> None:
    known = world.train.matrix()
    solver = AlternatingLeastSquares(known, 0.0, seed=1, device="cpu")
    binary = known.toarray() > 0

    def loss(sweeps: int) -> float:
        item = solver.item_factors(SETTING, sweeps).astype(np.float64)
        user = np.stack([solved(row, item, SETTING.unobserved, SETTING.ridge) for row in binary])
        scores = user @ item.T
        fit = np.square(1 - scores)[binary].sum() + SETTING.unobserved * np.square(scores).sum()
        return float(fit + SETTING.ridge * (np.square(user).sum() + np.square(item).sum()))

    losses = [loss(sweeps) for sweeps in (1, 2, 4, 8)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.98 * losses[0]


def test_scores_are_those_of_the_user_who_is_solved_from_the_history(world: Tastes) -> None:
    kernel = FactorisationAgent(FactorisationConfig(**SETTLED)).fit(FitContext(world.train))
    solver = AlternatingLeastSquares(world.train.matrix(), 0.5, seed=2024, device="cpu")
    item = solver.item_factors(SETTING, 8).astype(np.float64)
    histories = FitContext(world.train).histories
    scores, known = kernel.scores(histories), world.train.matrix().toarray()
    warm = known.sum(axis=0) > 0
    for user in range(0, len(histories), 7):
        wanted = item @ solved(known[user], item, SETTING.unobserved, SETTING.ridge)
        np.testing.assert_allclose(scores[user, warm], wanted[warm], atol=2e-4)
    one = histories[[5]]
    parts = kernel.weights(one).astype(float)[:, None] * kernel.similarity(
        one.item, np.arange(len(warm))
    )
    np.testing.assert_allclose(parts.sum(axis=0), scores[5], atol=1e-5)
    assert kernel.attention is not None
    assert not kernel.attention.reads_time


def test_alike_items_share_the_weight_of_one() -> None:
    vectors = np.array([[3.0, 0.0], [3.0, 0.0], [3.0, 0.0], [0.0, 3.0]], dtype=np.float32)
    reader = RedundancyReader(vectors)
    together = reader.weights(Histories.one([0, 1, 2, 3], 4))
    np.testing.assert_allclose(together[:3], 1 / (1 + 3 * 9), rtol=1e-5)
    np.testing.assert_allclose(together[3], 1 / (1 + 9), rtol=1e-5)
    none = reader.weights(Histories.one([], 4))
    assert len(none) == 0


@pytest.mark.parametrize("length", [1, 3, 6, 7, 30])
def test_the_parts_of_a_history_are_read_as_if_written_out(length: int) -> None:
    rng = np.random.default_rng(length)
    reader = RedundancyReader(rng.normal(size=(40, 6)).astype(np.float32))
    history = Histories.one(rng.choice(40, length, replace=False), 40)
    removed = np.arange(length)[:, None]
    left = Remaining(history, removed)
    found = reader.weights_without(left)
    wanted = left.spread_out(reader.weights(left.histories))
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert not found[removed[:, 0], removed[:, 0]].any()


def test_a_regression_predicts_vectors_from_features() -> None:
    rng = np.random.default_rng(4)
    features = drawn([3] * 200, 30)
    known = np.arange(200) < 150
    z = (features @ rng.normal(size=(30, 4))).astype(np.float32)
    found = of_features(features, z, known, 0.01)
    exact = np.linalg.solve(
        (features[known].T @ features[known]).toarray() + 0.01 * np.eye(30),
        features[known].T @ z[known],
    )
    np.testing.assert_allclose(features[~known] @ found, features[~known] @ exact, atol=0.1)
    assert np.abs(features[~known] @ found - z[~known]).mean() < 0.05 * np.abs(z).mean()


def test_cold_items_are_recommended_by_their_facts(world: Tastes) -> None:
    kernel = FactorisationAgent(FactorisationConfig(**SETTLED)).fit(FitContext(world.train))
    cold = np.array(world.cold)
    taste = cold % 4
    scores = kernel.scores(FitContext(world.train).histories)[:, cold]
    own = taste[scores.argmax(axis=1)] == np.arange(len(scores)) % 4
    assert own.mean() > 0.8
    assert kernel.sources("factors") == ("interactions", "facts")


def test_it_finds_tastes_by_what_it_chose_on_the_validation_part(world: Tastes) -> None:
    context = FitContext(world.train, world.valid)
    kernel = build_agent("factorisation").fit(context)
    held_out = context.held_out(Objective())
    assert held_out is not None
    found = held_out.measure(kernel.scores)
    assert found > 1.2 * held_out.measure(Popularity(world).scores)
    assert context.validated["factorisation"] == pytest.approx(found)
    again = build_agent("factorisation", dict(kernel.chosen)).fit(FitContext(world.train))
    histories = world.train.matrix()
    np.testing.assert_allclose(again.scores(histories), kernel.scores(histories), rtol=1e-4)
    other = build_agent("factorisation", {"ridge": 500.0, "factors": 1}).fit(context)
    assert found > held_out.measure(other.scores)


def test_it_is_searched_no_further_where_it_is_far_behind(
    world: Tastes, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []
    solve = module._Solver.kernel

    def noted(self: module._Solver, setting: AlsSetting, sweeps: int) -> object:
        tried.append(sweeps)
        return solve(self, setting, sweeps)

    monkeypatch.setattr(module._Solver, "kernel", noted)
    context = FitContext(world.train, world.valid)
    build_agent("factorisation").fit(replace(context, validated={"linear": 9.0}))
    assert tried == [4, 8]
    tried.clear()
    build_agent("factorisation").fit(replace(context, validated={}))
    assert len(tried) > 6


def test_a_team_with_it_is_stored_and_read_again(world: Tastes, tmp_path: Path) -> None:
    config = TeamConfig(agents=("factorisation",), settings={"factorisation": SETTLED})
    team = fit_team(world.train, None, config)
    save_team(team, tmp_path / "model")
    histories = FitContext(world.train).histories[:9]
    np.testing.assert_array_equal(
        load_team(tmp_path / "model").scores(histories), team.scores(histories)
    )


def test_it_needs_interactions(world: Tastes) -> None:
    assert "factorisation" in TeamConfig().agents
    nothing = world.train.with_interactions(Interactions.empty())
    with pytest.raises(NothingToLearnError):
        build_agent("factorisation").fit(FitContext(nothing))
