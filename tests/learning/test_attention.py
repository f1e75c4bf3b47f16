"""A kernel whose history items count by their age: everything must hold that holds without."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any, ClassVar, Self

import numpy as np
import pytest
from numpy.typing import NDArray

from kgrec.data.dataset import FloatArray
from kgrec.data.vocabulary import Vocabulary
from kgrec.errors import ModelError
from kgrec.explain.rescoring import Rescoring
from kgrec.model.coordinator import Coordinator
from kgrec.model.histories import Histories, load_reader
from kgrec.model.kernel import Kernel
from kgrec.model.moments import Moments
from kgrec.model.team import Team

ITEMS = 9


class Recent:
    """Weights that sum to one and halve with each item that came after."""

    name: ClassVar[str] = "recent"

    def weights(self, histories: Histories) -> FloatArray:
        newer = np.zeros(len(histories.item))
        for row in range(len(histories)):
            part = slice(histories.start[row], histories.start[row + 1])
            newer[part] = (-histories.at[part]).argsort().argsort()
        weights = 0.5**newer
        total = np.bincount(histories.owner, weights=weights, minlength=len(histories))
        return np.asarray(weights / total[histories.owner], dtype=np.float32)

    def settings(self) -> dict[str, Any]:
        return {}

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {}

    @classmethod
    def load(cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        return cls()


def recent_team() -> Team:
    rng = np.random.default_rng(3)
    factors = rng.normal(size=(2, 2, ITEMS, 4)).astype(np.float32)
    prior = rng.normal(size=ITEMS).astype(np.float32)
    kernels = (
        Kernel("reader", factors[0, 0], factors[0, 1], prior=prior, attention=Recent()),
        Kernel("plain", factors[1, 0], factors[1, 1], history_power=0.5),
    )
    return Team(Vocabulary(f"i{n}" for n in range(ITEMS)), kernels, Coordinator([0.7, 0.3]))


def history() -> Histories:
    return Histories.one([5, 0, 7, 2], ITEMS, at=[40, 10, 30, 20])


def test_the_order_matters() -> None:
    team = recent_team()
    turned = Histories.one([5, 0, 7, 2], ITEMS, at=[10, 40, 20, 30])
    assert not np.allclose(team.scores(history()), team.scores(turned))


def test_parts_and_totals_are_the_scores() -> None:
    team, every = recent_team(), np.arange(ITEMS)
    expected = team.scores(history())[0]
    scorer = team.scorer(history())
    np.testing.assert_allclose(scorer.contributions(every).total, expected, atol=1e-5)
    np.testing.assert_allclose(scorer.scores(), expected, atol=1e-5)
    query = scorer.vector().astype(np.float64)
    np.testing.assert_allclose(team.item_vectors() @ query, expected, atol=1e-4)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_spreads_without_some_items_are_those_of_the_scores(number: int) -> None:
    kernel = recent_team().kernels[0]
    sets = list(combinations(range(4), number))
    removed = np.array(sets, dtype=np.int64).reshape(len(sets), number)
    expected = kernel.scores(history().without(removed)).astype(np.float64).std(axis=1)
    np.testing.assert_allclose(
        Moments.of(kernel, history()).spreads(removed), expected, rtol=1e-4, atol=1e-5
    )


def test_taking_an_item_out_changes_the_score_as_said() -> None:
    team = recent_team()
    whole = team.scores(history())[0, 8]
    each = np.arange(4)[:, None]
    expected = team.scores(history().without(each))[:, 8] - whole
    scorer = team.scorer(history())
    effects = Rescoring.of(team, scorer, np.array([8])).deletion_effects
    np.testing.assert_allclose(effects, expected, atol=1e-5)
    pairs = np.array(list(combinations(range(4), 2)))
    rescored = Rescoring.of(team, scorer, np.arange(ITEMS)).scores(pairs)
    np.testing.assert_allclose(rescored, team.scores(history().without(pairs)), atol=1e-5)


def test_a_reader_that_there_is_not_is_an_error() -> None:
    with pytest.raises(ModelError, match="does not know"):
        load_reader("palimpsest", {}, {})
