"""What rejected items count is chosen on held-out interactions, and is 0 where it is noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from kgrec.data.dataset import Dataset, Interactions
from kgrec.data.selection import kind_codes
from kgrec.data.vocabulary import Vocabulary
from kgrec.errors import ModelError
from kgrec.learning.blending.rejection import RejectionConfig, choose_rejection
from kgrec.learning.fit_team import fit_team
from kgrec.learning.team_config import TeamConfig
from kgrec.metrics.validation import Validation
from kgrec.model.coordinator import Coordinator
from kgrec.model.histories import Histories
from kgrec.model.kernel import Kernel
from kgrec.model.rejection import RejectionWeights
from kgrec.model.team import Team

USERS, ITEMS = 300, 120
GENRE, TONE = np.arange(ITEMS) % 6, np.arange(ITEMS) // 6 % 3


def of_kind(users: list[int], items: list[int], kind: str) -> Interactions:
    number = len(users)
    return Interactions(
        np.array(users, dtype=np.int64),
        np.array(items, dtype=np.int64),
        np.ones(number, dtype=np.float32),
        np.zeros(number, dtype=np.int64),
        np.repeat(kind_codes([kind]), number),
    )


def world(kind: str, *, planted: bool, seed: int = 5) -> tuple[Interactions, ...]:
    """Users who like a genre but for one tone, or whose rejections are of items drawn at random.

    Returns:
        history, held-out wanted items, rejected items, and held-out unwanted items.
    """
    rng = np.random.default_rng(seed)
    columns: list[tuple[list[int], list[int]]] = [([], []) for _ in range(4)]
    for user in range(USERS):
        genre, tone = rng.integers(6), rng.integers(3)
        liked = rng.permutation(np.flatnonzero((genre == GENRE) & (tone != TONE)))
        against = np.flatnonzero(tone == TONE) if planted else np.arange(ITEMS)
        against = rng.permutation(np.setdiff1d(against, liked))
        parts = liked[:4], liked[4:8], against[:4], against[4:8]
        for (users, items), part in zip(columns, parts, strict=True):
            users += [user] * len(part)
            items += part.tolist()
    kinds = ("purchase", "purchase", kind, kind)
    return tuple(of_kind(*each, k) for each, k in zip(columns, kinds, strict=True))


def team() -> Team:
    """One agent that knows genres and tones, which the histories leave open."""
    alike = (GENRE[:, None] == GENRE) + 0.5 * (TONE[:, None] == TONE)
    rows = sp.csr_matrix(alike.astype(np.float32))
    items = Vocabulary.of([f"i{n:03d}" for n in range(ITEMS)])
    return Team(items, (Kernel("linear", rows=rows, history_power=0.5),), Coordinator([1.0]))


def choose(
    kind: str, *, planted: bool, **settings: float
) -> tuple[RejectionWeights | None, dict[str, dict[str, float]]]:
    history, wanted, rejected, unwanted = world(kind, planted=planted)
    histories = Histories.of(history, USERS, ITEMS, rejected=rejected)
    config = RejectionConfig.model_validate(settings)
    return choose_rejection(team(), Validation(histories, wanted), unwanted, config)


@pytest.mark.parametrize("kind", ["dislike", "skip"])
def test_what_is_against_an_item_is_found(kind: str) -> None:
    weights, found = choose(kind, planted=True)
    assert weights is not None
    assert weights.by_kind == {kind: found[kind]["weight"]}
    assert found[kind]["weight"] < 0
    assert found[kind]["gain"] > 4 * found[kind]["error"]
    assert found[kind]["unwanted"] < 0
    assert found[kind]["users"] == USERS


def test_noise_counts_nothing() -> None:
    weights, found = choose("dislike", planted=False, standard_errors=2.0)
    assert weights is None
    assert found["dislike"]["weight"] == 0


def test_a_dislike_counts_as_a_low_value_where_there_is_no_dislike() -> None:
    weights, found = choose("rating", planted=True)
    assert weights is not None
    assert set(found) == {"rating"}
    assert weights.by_kind["dislike"] == weights.by_kind["rating"] < 0


def test_a_low_value_may_be_for_the_item_and_a_dislike_then_counts_nothing() -> None:
    history, wanted, _, _ = world("rating", planted=True)
    rng = np.random.default_rng(1)
    genre = {int(u): int(GENRE[i]) for u, i in zip(history.user, history.item, strict=True)}
    taken = {
        (int(u), int(i))
        for part in (history, wanted)
        for u, i in zip(part.user, part.item, strict=True)
    }
    pairs = [
        (user, int(item))
        for user in range(USERS)
        for item in rng.permutation(np.flatnonzero(genre[user] == GENRE))[:6]
        if (user, int(item)) not in taken
    ]
    users, items = [user for user, _ in pairs], [item for _, item in pairs]
    histories = Histories.of(history, USERS, ITEMS, rejected=of_kind(users, items, "rating"))
    thin = replace(histories, weight=histories.weight)
    noisy = team()
    rows = noisy.kernels[0].rows.toarray()
    rows += rng.normal(scale=1.5, size=rows.shape).astype(np.float32)
    noisy = replace(noisy, kernels=(replace(noisy.kernels[0], rows=sp.csr_matrix(rows)),))
    weights, _ = choose_rejection(noisy, Validation(thin, wanted), Interactions.empty())
    assert weights is not None
    assert weights.by_kind.keys() == {"rating"}
    assert weights.by_kind["rating"] > 0


def test_a_fit_keeps_the_weights_and_the_settings_name_them() -> None:
    history, wanted, rejected, unwanted = world("dislike", planted=True)
    ids = [f"u{n:03d}" for n in range(USERS)], [f"i{n:03d}" for n in range(ITEMS)]
    users, items = (Vocabulary.of(each) for each in ids)
    dataset = Dataset(users, items, history, rejected=rejected)
    config = TeamConfig(agents=("linear",), ranker={"use": "never"})
    found = fit_team(dataset, wanted, config, unwanted=unwanted)
    assert found.metrics["rejection"]["dislike"]["users"] == USERS
    fixed = config.model_copy(update={"rejection": RejectionConfig(fixed={"dislike": -0.3})})
    assert fit_team(dataset, wanted, fixed).rejection == RejectionWeights({"dislike": -0.3})
    never = config.model_copy(update={"rejection": RejectionConfig(use="never")})
    assert fit_team(dataset, wanted, never).rejection is None


def test_what_was_rejected_after_the_question_is_not_known() -> None:
    history, _, rejected, _ = world("dislike", planted=True)
    early = replace(rejected, at=np.full(len(rejected), 10, dtype=np.int64))
    now = np.where(np.arange(USERS) < 10, 5, 20).astype(np.int64)
    histories = Histories.of(history, USERS, ITEMS, now=now, rejected=early)
    assert histories.rejected is not None
    assert np.flatnonzero(np.diff(histories.rejected.start)).tolist() == list(range(10, USERS))


def test_weights_must_make_sense() -> None:
    for wrong in ({"shrug": -1.0}, {"dislike": float("nan")}):
        with pytest.raises(ModelError):
            RejectionWeights(wrong)
