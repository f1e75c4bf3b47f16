"""The exact joint score of candidates, in memory, and its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kgrec.agents.team import Team, TeamParts
from kgrec.data.dataset import IntArray
from kgrec.retrieval.history import Event, History


@dataclass(frozen=True, eq=False)
class Scored:
    """Candidates with exact scores, the best first; ties go by id.

    Attributes:
        ids, titles: of the candidates, [C].
        rows: int64 [C].
        parts: the scores taken apart, in the same order.
        scores: float64 [C], falling.
    """

    ids: tuple[str, ...]
    titles: tuple[str, ...]
    rows: IntArray
    parts: TeamParts
    scores: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ids)

    def by_agent(self, position: int) -> dict[str, float]:
        """Return what each agent says of a candidate, history and prior together."""
        parts = self.parts
        shares = parts.contributions[:, :, position].sum(axis=1) + parts.priors[:, position]
        return dict(zip(parts.agents, map(float, shares), strict=True))

    def by_event(self, position: int, history: History) -> list[tuple[Event, float]]:
        """Return what each history item says for a candidate, the largest share first."""
        shares = self.parts.contributions[:, :, position].sum(axis=0)
        order = np.argsort(-shares, kind="stable")
        return [(history.events[n], float(shares[n])) for n in order]


def score(
    team: Team, history: History, candidates: Mapping[str, str], *, with_priors: bool = True
) -> Scored:
    """Score candidates and order them.

    Args:
        candidates: id to title, all known to the team.
        with_priors: False leaves out what speaks for an item whatever the history.
    """
    ids: Sequence[str] = sorted(candidates)
    rows = team.items.rows(ids)
    parts = team.parts(history.rows, rows)
    if not with_priors:
        parts = replace(parts, priors=np.zeros_like(parts.priors))
    scores = parts.total
    order = np.argsort(-scores, kind="stable")
    parts = replace(
        parts, contributions=parts.contributions[:, :, order], priors=parts.priors[:, order]
    )
    chosen = tuple(ids[n] for n in order)
    return Scored(chosen, tuple(candidates[i] for i in chosen), rows[order], parts, scores[order])
