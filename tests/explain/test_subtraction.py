"""What is removed from a history is subtracted from the whole, where that gives the same scores."""

from __future__ import annotations

import numpy as np
import pytest

from kgrec.explain import rescoring
from kgrec.explain.explainer import Explainer
from kgrec.explain.rescoring import Rescoring
from kgrec.model.ranker import CandidateAttention
from kgrec.retrieval.recommender import Recommender
from tests.planted import Planted, user_id


@pytest.mark.parametrize("removed", [1, 2, 3])
def test_subtracting_gives_what_summing_anew_gives(
    live: Planted, removed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    explainer = Explainer(Recommender(live.store, live.models))
    for user in range(5):
        query, _ = explainer.query(user_id(user))
        length = len(query.history)
        sets = np.array([[(n + m) % length for m in range(removed)] for n in range(length)])
        monkeypatch.setattr(rescoring, "_CHEAPER", 0)
        subtracted = Rescoring.of_query(query, 0, 20)
        assert subtracted is not None
        found = subtracted.scores(sets)
        monkeypatch.setattr(rescoring, "_CHEAPER", length + 1)
        anew = Rescoring.of_query(query, 0, 20)
        assert anew is not None
        assert np.abs(found - anew.scores(sets)).max() < 1e-9


def test_a_nearly_empty_sum_is_taken_anew() -> None:
    strength = np.array([[1.0, 1.0], [1e-12, 1.0], [2e-12, 1.0]])
    similarity = np.array([[3.0, 1.0], [5.0, 2.0], [7.0, 3.0]])
    attention = CandidateAttention(strength, similarity, np.zeros(2))
    kept = np.array([[False, True, True]])
    assert attention.without(np.array([[0]])) == pytest.approx(attention.totals(kept), rel=1e-9)
