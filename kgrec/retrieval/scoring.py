"""The exact joint score of candidates, in memory, and its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import IntArray
from kgrec.model.team import Team, TeamParts
from kgrec.retrieval.history import Event, History


@dataclass(frozen=True, eq=False)
class Scored:
    """Candidates with exact scores, the best first; ties go by id.

    Attributes:
        ids, titles: of the candidates, [C].
        rows: int64 [C].
        scores: float64 [C], falling.
        reordered: whether the ranker reordered the candidate, bool [C].
    """

    ids: tuple[str, ...]
    titles: tuple[str, ...]
    rows: IntArray
    scores: NDArray[np.float64]
    reordered: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, eq=False)
class Shares:
    """The scores of a few candidates taken apart.

    Attributes:
        history: whose items the contributions are of.
        parts: of the candidates, in the order in which they were asked for.
    """

    history: History
    parts: TeamParts

    def by_agent(self, number: int) -> dict[str, float]:
        """Return what each agent says of a candidate, history and prior together."""
        parts = self.parts
        shares = parts.contributions[:, :, number].sum(axis=1) + parts.priors[:, number]
        return dict(zip(parts.agents, map(float, shares), strict=True))

    def by_event(self, number: int) -> list[tuple[Event, float]]:
        """Return what each history item says for a candidate, the largest share first."""
        shares = self.parts.contributions[:, :, number].sum(axis=0)
        order = np.argsort(-shares, kind="stable")
        return [(self.history.events[n], float(shares[n])) for n in order]


def score(
    team: Team,
    history: History,
    candidates: Mapping[str, str],
    *,
    attention: NDArray[np.float64] | None = None,
    with_priors: bool = True,
) -> Scored:
    """Score candidates and order them; memory for one row, however long the history.

    Args:
        candidates: id to title, all known to the team.
        attention: the team's for this history, where it is known.
        with_priors: False leaves out what speaks for an item whatever the history.
    """
    ids: Sequence[str] = sorted(candidates)
    rows = team.items.rows(ids)
    taken = history.taken(len(team.items))
    scores, reordered = team.standing(taken, rows, attention, with_priors=with_priors)
    order = np.argsort(-scores, kind="stable")
    chosen = tuple(ids[n] for n in order)
    titles = tuple(candidates[i] for i in chosen)
    return Scored(chosen, titles, rows[order], scores[order], reordered[order])


def take_apart(
    team: Team,
    history: History,
    scored: Scored,
    positions: Sequence[int],
    *,
    attention: NDArray[np.float64] | None = None,
    with_priors: bool = True,
) -> Shares:
    """Take the scores of the few items that are shown, [C], apart; see `score`.

    Below those that the ranker reorders it adds the same to each: history says nothing of it.

    Args:
        positions: of the items among the scored ones, [C].
    """
    place = np.asarray(positions, dtype=np.int64)
    parts = team.parts(history.taken(len(team.items)), scored.rows[place], attention=attention)
    if not with_priors:
        parts = replace(parts, priors=np.zeros_like(parts.priors))
    if team.ranking is not None:
        below = ~scored.reordered[place]
        parts.contributions[-1][:, below] = 0.0
        parts.priors[-1, below] += (scored.scores[place] - parts.total)[below]
    return Shares(history, parts)
