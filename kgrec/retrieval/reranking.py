"""Reranking: rules that reorder the best items by something else than the score, each on record.

A rule is a `Reranker` and a line in `RERANKERS`; the rules run in that order, over the best `pool`
items for each that is shown. Diversity is maximal marginal relevance (Carbonell and Goldstein 1998)
over the scores, brought to [0, 1]; the similarity of two items is the team's own, or that of their
facts or texts.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kgrec.retrieval.knobs import Knobs
from kgrec.retrieval.query import Query
from kgrec.retrieval.records import Move


@dataclass(frozen=True)
class Step:
    """What one rule did to the place of an item.

    Attributes:
        rule: name of the reranker.
        before, after: places among the candidates, from 0.
        why, nearest: as of the `Pick` that the rule returned.
    """

    rule: str
    before: int
    after: int
    why: str | None = None
    nearest: int | None = None


@dataclass(frozen=True)
class Pick:
    """One item that may be shown.

    Attributes:
        position: its place in the order of scores, from 0.
        rule: the reranker that moved it last; None where none did.
        why: the rule's reason of the move; None leaves it to `nearest`.
        nearest: the position of the item above it that it is most similar to, where diversity
            moved it down; None where it did not.
        steps: what each rule did to it, which `picks` keeps.
    """

    position: int
    rule: str | None = None
    why: str | None = None
    nearest: int | None = None
    steps: tuple[Step, ...] = ()

    @property
    def alike(self) -> tuple[int, ...]:
        """The positions of the items that its steps name."""
        return tuple(step.nearest for step in self.steps if step.nearest is not None)


Reranker = Callable[[Query, list[Pick]], list[Pick]]
"""Reorders the best items of a query; returns them as they are where the knobs do not ask for it.

Every pick of the input should be in the result, once. What a rule moves it marks with its name and
a reason. A rule with the name of a knob runs where that knob is set.
"""

RERANKERS: dict[str, str] = {
    # name: module:function, a `Reranker`
    "novelty": "kgrec.retrieval.reranking:by_novelty",
    "diversity": "kgrec.retrieval.reranking:by_diversity",
    "calibration": "kgrec.retrieval.calibration:by_calibration",
    "quota": "kgrec.retrieval.limits:by_quota",
    "floor": "kgrec.retrieval.limits:by_floor",
}
LIMITS = ("quota", "floor")
"""Rules that look further than the pool, since what they promise must hold where it can."""
FURTHEST = 5_000
"""So many of the best candidates are looked at by these."""


def picks(query: Query, pool: int) -> list[Pick]:
    """Pick the items of a page, in their order.

    The candidates are reranked in blocks, so that no page repeats an item of another; with a quota
    or a floor the other rules rerank the first block alone.

    Args:
        pool: a block has so many items for each that is shown.
    """
    knobs, number = query.knobs, len(query.scored)
    size, end = knobs.k * pool, min(knobs.offset + knobs.k, number)
    rules = {name: place for name, place in RERANKERS.items() if _is_set(knobs, name)}
    if not rules:
        return [Pick(position) for position in range(knobs.offset, end)]
    limited = [name for name in rules if name in LIMITS]
    first = 0 if limited else knobs.offset // size * size
    found: list[Pick] = []
    for start in range(first, min(end, size) if limited else end, size):
        block = [Pick(position) for position in range(start, min(start + size, number))]
        for name, place in rules.items():
            if name not in limited:
                block = _reranked(query, block, name, place, start)
        found += block
    if limited:
        found += [Pick(position) for position in range(len(found), min(number, FURTHEST))]
        for name in limited:
            found = _reranked(query, found, name, rules[name], 0)
    return found[knobs.offset - first : knobs.offset - first + knobs.k]


def _is_set(knobs: Knobs, name: str) -> bool:
    return name not in Knobs.model_fields or bool(getattr(knobs, name))


def _reranked(query: Query, ranked: list[Pick], name: str, place: str, first: int) -> list[Pick]:
    """Run a rule and keep on record what it moved."""
    rerank: Reranker = pkgutil.resolve_name(place)
    before = {pick.position: n for n, pick in enumerate(ranked)}
    found = []
    for n, pick in enumerate(rerank(query, [Pick(pick.position) for pick in ranked])):
        old = ranked[before[pick.position]]
        steps, moved = old.steps, before[pick.position] != n
        if moved:
            ends = (first + before[pick.position], first + n)
            steps += (Step(pick.rule or name, *ends, pick.why, pick.nearest),)
        last = replace(pick, rule=pick.rule or name) if moved else old
        found.append(replace(last, steps=steps))
    return found


def moves(pick: Pick, rank: int, titles: Mapping[int, str]) -> tuple[Move, ...]:
    """Return what reranking did to the rank of an item that is shown.

    Args:
        rank: from 1, as shown.
        titles: of the items that the picks name, by their position in the order of scores.
    """
    if pick.position == rank - 1:
        return ()
    found = []
    for step in pick.steps:
        why = step.why or "others moved past it, or made room"
        if step.nearest is not None:
            why = f"alike: {titles[step.nearest]}"
        ranks = {"from_rank": step.before + 1, "to_rank": step.after + 1}
        found.append(Move(rule=step.rule, why=why, **ranks))
    return tuple(found)


def worth(query: Query, ranked: Sequence[Pick]) -> NDArray[np.float64]:
    """Return what the places of a ranking are worth: their scores, brought to [0, 1], [C].

    The n-th place has the n-th best score, so a rule weighs its own aim against the order that the
    rules before it made.
    """
    scores = np.sort(query.scored.scores[[pick.position for pick in ranked]])[::-1]
    span = float(np.ptp(scores)) if len(scores) else 0.0
    return (scores - scores.min()) / span if span > 0 else np.zeros(len(scores))


def by_novelty(query: Query, ranked: list[Pick]) -> list[Pick]:
    """Trade score for self-information by the novelty of the query; a `Reranker`.

    Vargas and Castells (2011), "Rank and relevance in novelty and diversity metrics": -log2 of the
    share of interactions that an item has, with one more for each, so that none is infinite. Both
    sides are brought to [0, 1] over the items that are reranked.
    """
    novelty = query.knobs.novelty
    if not novelty or not ranked:
        return ranked
    counts = query.traits.interactions(query.scored.rows[[pick.position for pick in ranked]])
    surprise = -np.log2(counts + 1.0)
    span = float(np.ptp(surprise))
    new = (surprise - surprise.min()) / span if span > 0 else np.zeros(len(ranked))
    order = np.argsort(-((1 - novelty) * worth(query, ranked) + novelty * new), kind="stable")
    return [
        Pick(ranked[n].position, "novelty", f"{counts[n]} interactions") for n in order.tolist()
    ]


def by_diversity(query: Query, ranked: list[Pick]) -> list[Pick]:
    """Trade score for dissimilarity by the diversity of the query; a `Reranker`."""
    diversity = query.knobs.diversity
    if not diversity or not ranked:
        return ranked
    likeness = pkgutil.resolve_name(f"kgrec.retrieval.likeness:by_{query.knobs.diversity_by}")
    rows = query.scored.rows[[pick.position for pick in ranked]]
    of = query.live.team if query.knobs.diversity_by == "model" else query.traits
    alike: NDArray[np.float64] = likeness(of, rows)
    chosen = diversify(worth(query, ranked), alike, diversity=diversity)
    found = []
    for to, index in enumerate(chosen):
        position = ranked[index].position
        if index < to:
            above = chosen[:to]
            nearest = ranked[above[int(np.argmax(alike[index, above]))]].position
            found.append(Pick(position, "diversity", nearest=nearest))
        else:
            found.append(Pick(position, "diversity", "less like what stands above it"))
    return found


def diversify(
    scores: NDArray[np.float64], alike: NDArray[np.float64], *, diversity: float
) -> list[int]:
    """Choose items one after another and return their places.

    Args:
        scores: in falling order, in [0, 1], [C].
        alike: float64 [C, C] in [0, 1].
        diversity: 0 keeps the order of the scores, 1 uses unlikeness alone.
    """
    nearest = np.zeros(len(scores))
    left = np.ones(len(scores), dtype=np.bool_)
    chosen: list[int] = []
    for _ in range(len(scores)):
        gain = np.where(left, (1 - diversity) * scores - diversity * nearest, -np.inf)
        best = int(np.argmax(gain))
        chosen.append(best)
        left[best] = False
        nearest = np.maximum(nearest, alike[best])
    return chosen
