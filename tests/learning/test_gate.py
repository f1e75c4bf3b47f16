"""Weights that differ from user to user: learned, kept only where they help, and exact."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from kgrec.data.dataset import FloatArray, Interactions
from kgrec.data.vocabulary import Vocabulary
from kgrec.explain.rescoring import Rescoring
from kgrec.learning.blending.shortlists import AgentScores
from kgrec.learning.blending.weights import (
    CoordinatorConfig,
    GateConfig,
    choose_coordinator,
    choose_weights,
)
from kgrec.metrics.validation import Objective, Validation
from kgrec.model.coordinator import Coordinator
from kgrec.model.gate import Gate, state_names, user_state
from kgrec.model.histories import Histories
from kgrec.model.kernel import Kernel
from kgrec.model.storage import load_team, save_team
from kgrec.model.team import Team

USERS, ITEMS = 400, 60


def cells(seed: int) -> FloatArray:
    return np.random.default_rng(seed).random((ITEMS, ITEMS), dtype=np.float32)


def wanted_of(validation: Validation) -> Interactions:
    row, item = validation.truth.nonzero()
    return Interactions(validation.users[row], item, np.ones(len(row), np.float32), row * 0)


@pytest.fixture
def problem() -> tuple[list[Kernel], Validation, Histories]:
    """One agent is right where histories are short, the other where they are long."""
    rng = np.random.default_rng(4)
    short, long = cells(1), cells(2)
    rows, targets = [], []
    for user in range(USERS):
        had = rng.choice(ITEMS, 2 if user % 2 else 12, replace=False)
        rows += [(user, int(item)) for item in had]
        similarity = (short if user % 2 else long)[had].sum(axis=0)
        similarity[had] = -1.0
        targets.append(int(similarity.argmax()))
    user, item = np.array(rows, dtype=np.int64).T
    ones = np.ones(len(user), dtype=np.float32)
    histories = Histories.of(Interactions(user, item, ones, item * 0), USERS, ITEMS)
    everybody = np.arange(USERS)
    wanted = Interactions(everybody, np.array(targets), np.ones(USERS, np.float32), everybody)
    kernels = [Kernel("short", rows=sp.csr_matrix(short)), Kernel("long", rows=sp.csr_matrix(long))]
    return kernels, Validation(histories, wanted, Objective(k=5)), histories


def test_a_gate_listens_to_who_is_right_for_the_user(
    problem: tuple[list[Kernel], Validation, Histories],
) -> None:
    kernels, validation, histories = problem
    coordinator, measured = choose_coordinator(kernels, validation, CoordinatorConfig())
    assert coordinator.gate is not None
    assert measured["team"] > measured["fixed"] + 0.1
    shares = coordinator.blend(kernels, histories).shares
    np.testing.assert_allclose(shares.sum(axis=0), 1.0)
    assert shares[0, 1::2].mean() > 0.8 > 0.2 > shares[0, ::2].mean()


def test_lists_of_the_best_items_lead_to_the_same_choice(
    problem: tuple[list[Kernel], Validation, Histories], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where not all scores fit in memory, a few best items of each agent decide the same."""
    kernels, whole, histories = problem
    monkeypatch.setattr("kgrec.metrics.validation._BATCH_CELLS", 7 * ITEMS)
    few = Validation(histories, wanted_of(whole), Objective(k=5, kept_cells=1))
    config = CoordinatorConfig(gate=GateConfig(use="never"))
    chosen, measured = choose_coordinator(kernels, whole, config)
    for best in (ITEMS, 12):
        lists = AgentScores.of(kernels, few, best=best)
        assert lists.scores[0].shape == (USERS, 2 * best)
        weights, found = choose_weights(kernels, lists, config)
        assert weights == chosen.weights.tolist()
        assert found == pytest.approx({name: measured[name] for name in found})
    on_some = CoordinatorConfig(gate=GateConfig(most_users=300))
    gated, values = choose_coordinator(kernels, few, on_some)
    assert gated.gate is not None
    assert values["team"] > values["fixed"] + 0.1


def test_without_a_reason_there_is_no_gate(
    problem: tuple[list[Kernel], Validation, Histories],
) -> None:
    kernels, validation, _ = problem
    alike = [kernels[0], Kernel("long", rows=kernels[0].rows)]
    coordinator, _ = choose_coordinator(alike, validation, CoordinatorConfig())
    assert coordinator.gate is None
    never = CoordinatorConfig(gate=GateConfig(use="never"))
    coordinator, measured = choose_coordinator(kernels, validation, never)
    assert coordinator.gate is None
    assert measured["team"] == measured["fixed"]


def gated_team() -> Team:
    rng = np.random.default_rng(8)
    factors = rng.normal(size=(2, 9, 4)).astype(np.float32)
    rows = sp.csr_matrix(rng.random((9, 9)) * (rng.random((9, 9)) < 0.5), dtype=np.float32)
    kernels = (
        Kernel("factors", factors[0], factors[1], history_power=0.5),
        Kernel("rows", rows=rows, prior=rng.normal(size=9).astype(np.float32)),
    )
    number = len(state_names(["factors", "rows"]))
    gate = Gate(
        np.array([3, 8, 1, 0]),
        rng.normal(size=number),
        rng.random(number),
        rng.normal(size=(2, number + 1)),
    )
    return Team(Vocabulary(f"i{n}" for n in range(9)), kernels, Coordinator([0.6, 0.4], gate))


def history() -> Histories:
    return Histories.one(
        [5, 0, 7, 2], 9, at=np.array([40, 10, 30, 20]) * 86_400_000, now=50 * 86_400_000
    )


def test_what_is_explained_is_what_is_scored() -> None:
    team, every = gated_team(), np.arange(9)
    expected = team.scores(history())[0]
    scorer = team.scorer(history())
    np.testing.assert_allclose(scorer.contributions(every).total, expected, atol=1e-4)
    np.testing.assert_allclose(scorer.scores(), expected, atol=1e-4)
    each = np.arange(4)[:, None]
    change = team.scores(history().without(each))[:, 8] - expected[8]
    effects = Rescoring.of(team, scorer, np.array([8])).deletion_effects
    np.testing.assert_allclose(effects, change, atol=1e-4)
    pairs = np.array(list(combinations(range(4), 2)))
    rescored = Rescoring.of(team, scorer, every).scores(pairs)
    np.testing.assert_allclose(rescored, team.scores(history().without(pairs)), atol=1e-4)


def test_a_gate_is_stored(tmp_path: Path) -> None:
    team = gated_team()
    save_team(team, tmp_path / "model")
    again = load_team(tmp_path / "model")
    np.testing.assert_array_equal(again.scores(history()), team.scores(history()))


def test_an_agent_with_nothing_to_say_leaves_its_share_to_the_others() -> None:
    team = gated_team()
    mute = Kernel("factors", np.zeros((9, 4), np.float32), np.zeros((9, 4), np.float32))
    with_mute = Team(team.items, (mute, team.kernels[1]), Coordinator([0.6, 0.4]))
    active = with_mute.blend(history())
    assert active.shares[:, 0].tolist() == [0.0, 1.0]
    assert active.alpha[0, 0] == 0.0


def test_the_state_of_a_user_by_hand() -> None:
    day = 86_400_000
    taken = Histories.one([0, 1, 2], 9, at=[day, 3 * day, 0], now=4 * day + day // 4)
    probed = np.array([[[1.0, 2.0, 3.0]], [[3.0, 2.0, 1.0]]])
    state = user_state(taken, np.array([[1.0], [np.e]]), probed)[0]
    expected = {
        "length": np.log(4),
        "recency": np.log1p(30),
        "span": np.log1p(48),
        "timed": 1.0,
        "hour_sin": 1.0,
        "hour_cos": 0.0,
        "weekend": 0.0,  # the fifth of January 1970 was a Monday
        "spread of a": 0.0,
        "spread of b": 1.0,
        "agreement of a": -1.0,
        "agreement of b": -1.0,
    }
    assert tuple(expected) == state_names(["a", "b"])
    np.testing.assert_allclose(state, list(expected.values()), atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000))
def test_a_state_does_not_depend_on_the_batch(seed: int) -> None:
    rng = np.random.default_rng(seed)
    user, item = rng.integers(0, 5, 30), rng.integers(0, 9, 30)
    at = rng.integers(0, 10**12, 30) * rng.integers(0, 2, 30)
    taken = Interactions(user, item, np.ones(30, np.float32), at)
    histories = Histories.of(taken, 5, 9, now=rng.integers(0, 10**12, 5))
    team = gated_team()
    shares = team.blend(histories).shares
    for row in range(5):
        alone = team.blend(histories[row : row + 1]).shares[:, 0]
        np.testing.assert_allclose(shares[:, row], alone, rtol=1e-6)
