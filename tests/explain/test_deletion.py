"""Deletion effects of what a ranker reorders: bounds decide as scoring every candidate does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from kgrec.explain import deletion
from kgrec.explain.deletion import deletion_effects
from kgrec.explain.rescoring import Rescoring
from kgrec.model.histories import HistoryReader
from kgrec.model.redundancy_reader import RedundancyReader
from kgrec.model.scorer import Scorer
from kgrec.retrieval.history import Event, as_history
from kgrec.retrieval.query import Query
from tests.explain.test_attribution import ITEMS, asked, random_team
from tests.model.test_removal import reader


def uneven(seed: int) -> RedundancyReader:
    """Return a reader of items so unlike in size that some weights are negative."""
    rng = np.random.default_rng(seed)
    sizes = np.exp(2 * rng.normal(size=(ITEMS, 1)))
    return RedundancyReader((sizes * (1.0 + rng.normal(size=(ITEMS, 3)))).astype(np.float32))


_READERS: dict[str, Callable[[int], HistoryReader]] = {"sequence": reader, "redundancy": uneven}


def made(seed: int, length: int, top: int, *, read: str = "") -> Query:
    """Return a query to a random team whose ranker reorders the first `top` candidates.

    Args:
        read: by which reader one of its agents weighs the items of a history, if any.
    """
    team = random_team(seed, ranked=True, top=top)
    if read:
        kernels = list(team.kernels)
        kernels[1] = replace(kernels[1], attention=_READERS[read](seed))
        team = replace(team, kernels=tuple(kernels))
    rows = np.random.default_rng(seed).permutation(ITEMS)
    events = [Event(f"i{n}", f"Item {n}") for n in rows[:length]]
    return asked(team, as_history(events, team.items), np.sort(rows[length:]))


@pytest.mark.parametrize("length", [1, 2, 7, 20])
@pytest.mark.parametrize("top", [1, 3, 8, 200])
@pytest.mark.parametrize("read", ["", *_READERS])
def test_the_effects_are_those_of_scoring_every_candidate(
    read: str, top: int, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided: list[bool] = []
    stays = deletion._stays

    def noted(*given: object) -> np.ndarray:
        found = stays(*given)  # type: ignore[arg-type]
        decided.extend(found.tolist())
        return found

    monkeypatch.setattr(deletion, "_stays", noted)
    for seed in range({"sequence": 8, "redundancy": 30}.get(read, 20)):
        query = made(seed, length, top, read=read)
        for position in range(min(top + 2, len(query.candidates))):
            found, wide = deletion_effects(query, position), Rescoring.of_query(query, position, 0)
            assert found is not None
            assert wide is not None
            whole = wide.effects(float(query.scored.scores[position]))
            assert np.abs(found - whole).max() < (1e-5 if read else 1e-9)  # readers are float32
    assert all(decided) == (top == 200)  # a candidate at the edge may leave
    assert top == 1 or length < 7 or any(decided)


def test_what_is_at_the_edge_does_leave_what_is_reordered() -> None:
    wrong = 0
    for seed in range(20):
        query = made(seed, 7, 3)
        wide = Rescoring.of_query(query, 2, 0)
        assert wide is not None
        assert isinstance(query.scorer, Scorer)
        alone = Rescoring.of(query.live.team, query.scorer, query.scored.rows[[2]])
        wrong += int(np.abs(alone.deletion_effects - wide.deletion_effects).max() > 1e-6)
    assert wrong
