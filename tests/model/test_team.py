from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_kernel import random_histories, random_kernel

from kgrec.data.vocabulary import Vocabulary
from kgrec.errors import ModelError
from kgrec.model.coordinator import Coordinator
from kgrec.model.histories import Histories
from kgrec.model.storage import load_team, save_team
from kgrec.model.team import Team

ITEMS = Vocabulary(f"item {n}" for n in range(9))


def random_team(seed: int) -> Team:
    forms = [(True, False, False), (False, True, True), (True, True, True)]
    kernels = [
        replace(random_kernel(seed + n, factors=f, rows=r, prior=p), agent=f"agent{n}")
        for n, (f, r, p) in enumerate(forms)
    ]
    weights = np.random.default_rng(seed).dirichlet(np.ones(3))
    return Team(ITEMS, tuple(kernels), Coordinator(weights.tolist()), {"seed": seed}, {"ndcg": 1.0})


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 100_000))
def test_parts_sum_to_the_scores(seed: int) -> None:
    team, history = random_team(seed), random_histories(seed, users=1)
    scorer = team.scorer(Histories.from_matrix(history))
    parts = scorer.contributions(np.arange(9))
    expected = team.scores(history)[0]
    assert parts.by_item.shape == (3, history.nnz, 9)
    scale = np.abs(parts.by_item).sum(axis=(0, 1)).max() + 1.0
    np.testing.assert_allclose(parts.total, scorer.scores(), atol=1e-9 * scale)
    np.testing.assert_allclose(parts.total, expected, rtol=1e-5, atol=1e-6 * scale)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 100_000))
def test_taking_a_history_item_away_changes_the_score_by_its_part(seed: int) -> None:
    team = random_team(seed)
    team = replace(team, kernels=tuple(replace(k, history_power=0.0) for k in team.kernels))
    whole = team.scorer(Histories.one([1, 4, 6], 9)).contributions(np.array([2, 3]))
    for agent in range(3):
        alpha = whole.alpha[agent]
        less = team.kernels[agent].similarity(np.array([1, 6]), np.array([2, 3]))
        expected = whole.by_item[agent].sum(axis=0) - alpha * less.sum(axis=0)
        np.testing.assert_allclose(whole.by_item[agent, 1], expected, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 100_000))
def test_cosine_order_is_the_order_of_the_scores_without_sparse_rows(seed: int) -> None:
    team, history = random_team(seed), random_histories(seed, users=1)
    vectors = team.item_vectors().astype(np.float64)
    query = team.scorer(Histories.from_matrix(history)).vector().astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(lengths, lengths[0], rtol=1e-5)
    alpha = team.coordinator.blend(team.kernels, history).alpha[:, 0]
    expected = np.zeros(9)
    for weight, kernel in zip(alpha, team.kernels, strict=True):
        bare = kernel if kernel.item_factors is None else replace(kernel, rows=None)
        if kernel.item_factors is None:
            assert kernel.prior is not None
            expected += weight * kernel.prior
        else:
            expected += weight * bare.scores(history)[0]
    np.testing.assert_allclose(vectors @ query, expected, rtol=1e-4, atol=1e-4)
    assert vectors.shape[1] == query.shape[0] == 4 + 1 + 4 + 1 + 1


def test_agents_without_a_share_neither_count_nor_are_stored_in_vectors() -> None:
    team = replace(random_team(2), coordinator=Coordinator([1.0, 0.0, 0.0]))
    assert team.item_vectors().shape == (9, 5)
    scorer = team.scorer(Histories.one([1, 2], 9))
    assert scorer.vector().shape == (5,)
    assert list(team.suggestions()) == []
    assert not scorer.contributions(np.array([3])).by_item[1:].any()


def test_suggestions_are_the_strongest_positive_rows() -> None:
    team = random_team(8)
    found = {s.agent: s for s in team.suggestions(per_item=2)}
    assert set(found) == {"agent1", "agent2"}
    rows = team.kernels[1].rows
    assert rows is not None
    for item in range(9):
        row = rows[[item]].toarray()[0]
        row[item] = 0.0
        mine = found["agent1"].item == item
        expected = np.sort(row[row > 0])[::-1][:2]
        np.testing.assert_array_equal(found["agent1"].weight[mine], expected)
        np.testing.assert_array_equal(row[found["agent1"].other[mine]], expected)


def test_a_team_is_the_same_after_saving_and_loading(tmp_path: Path) -> None:
    team = random_team(4)
    save_team(team, tmp_path / "models" / "one")
    again = load_team(tmp_path / "models" / "one")
    histories = random_histories(1)
    np.testing.assert_array_equal(team.scores(histories), again.scores(histories))
    assert again.items == team.items
    assert again.weights == team.weights
    assert again.config == team.config
    assert again.metrics == team.metrics
    assert [k.chosen for k in again.kernels] == [k.chosen for k in team.kernels]


def test_saving_again_replaces_the_old_model_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    save_team(random_team(4), tmp_path / "one")
    save_team(random_team(5), tmp_path / "one")
    assert load_team(tmp_path / "one").config == {"seed": 5}
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_another_vocabulary_is_refused(tmp_path: Path) -> None:
    save_team(random_team(4), tmp_path)
    ids = json.loads((tmp_path / "items.json").read_text())
    ids["ids"].reverse()
    (tmp_path / "items.json").write_text(json.dumps(ids))
    with pytest.raises(ModelError, match="items are not those of the model"):
        load_team(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "items.json", "model.safetensors", "record.json"])
@pytest.mark.parametrize("content", [None, b"", b"{\xff", b"[1]"])
def test_a_broken_or_missing_file_is_a_model_error(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    save_team(random_team(4), tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError):
        load_team(tmp_path)


def test_a_place_that_cannot_be_written_is_a_model_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot be written"):
        save_team(random_team(4), tmp_path / "file" / "one")
