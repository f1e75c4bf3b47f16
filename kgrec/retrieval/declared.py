"""A list for a user without a history, scored by what the user declares.

The team's profile scores every item (`kgrec.model.profile`); the score is a sum over declared
values, whose contributions are the reasons of the list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import IntArray
from kgrec.graph.store import GraphStore
from kgrec.model.profile import Profile
from kgrec.retrieval.history import History
from kgrec.retrieval.live import LiveModel
from kgrec.retrieval.records import Reason, Recommendation, signed_share, signed_shares

PROFILE = "profile"
_POPULARITY = "popularity"
_LEAST = 0.05
"""A value is named where it accounts for this share of the score."""


@dataclass(frozen=True)
class Declared:
    """What a user declares, as the profile of a model knows it.

    Attributes:
        rows: of the values in the profile, int64 [V].
        words: of each value, as what users have in common: `of occupation student`.
    """

    rows: IntArray
    words: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)


def read_declared(store: GraphStore, profile: Profile, user_id: str) -> Declared:
    """Read what a user declares; empty where that is nothing the profile knows."""
    found = store.read("recommend/declared", user_id=user_id)
    if not found:
        return Declared(np.empty(0, dtype=np.int64), ())
    names: Mapping[str, str] = dict(zip(found[0]["entities"], found[0]["names"], strict=True))
    rows = profile.values(found[0]["properties"], names)
    words = (profile.words(int(row)) for row in rows)
    return Declared(
        rows, tuple(f"who like {names[word]}" if word in names else f"of {word}" for word in words)
    )


def by_profile(
    store: GraphStore,
    live: LiveModel,
    history: History,
    declared: Declared,
    passing: frozenset[str] | None,
    k: int,
) -> tuple[tuple[Recommendation, ...], int]:
    """Return the best unseen items by what is declared, and how many items were scored.

    Args:
        passing: ids of the items that pass the filters; None without a filter.
    """
    profile, items = live.team.profile, live.team.items
    assert profile is not None  # noqa: S101 - what is declared was read by it
    scores = profile.scores(declared.rows)
    allowed = np.ones(len(items), dtype=np.bool_)
    if passing is not None:
        allowed[:] = False
        allowed[items.rows([item for item in passing if item in items])] = True
    seen = items.rows(history.seen_ids)
    allowed[seen[seen >= 0]] = False
    order = np.argsort(-scores, kind="stable")
    order = order[allowed[order]].astype(np.int64)
    kept, titles = _present(store, items.take(order), order, k)
    parts, priors = profile.parts(declared.rows, kept)
    recommended = tuple(
        _recommendation(rank, item, titles[item], scores[row], declared, parts[:, n], priors[n])
        for n, (rank, item, row) in enumerate(
            zip(range(1, len(kept) + 1), items.take(kept), kept, strict=True)
        )
    )
    return recommended, len(order)


def _present(
    store: GraphStore, ids: Sequence[str], order: IntArray, k: int
) -> tuple[IntArray, dict[str, str]]:
    """Return the rows of the first k items that the graph still has, and titles by id."""
    kept: list[int] = []
    titles: dict[str, str] = {}
    for start in range(0, len(ids), 2 * k):
        page = list(ids[start : start + 2 * k])
        found = store.read("recommend/titles", items=page)
        titles |= {row["item_id"]: row["title"] or row["item_id"] for row in found}
        kept += [int(order[start + n]) for n, item in enumerate(page) if item in titles]
        if len(kept) >= k:
            break
    return np.array(kept[:k], dtype=np.int64), titles


def _recommendation(
    rank: int,
    item_id: str,
    title: str,
    score: float,
    declared: Declared,
    parts: NDArray[np.float64],
    prior: float,
) -> Recommendation:
    contributions = {PROFILE: float(parts.sum()), _POPULARITY: float(prior)}
    whole = float(np.abs(parts).sum()) + abs(float(prior))
    reasons = [
        Reason(
            kind="profile",
            contribution=float(parts[n]),
            share=signed_share(float(parts[n]), whole),
            words=f"chosen more by users {declared.words[n]}",
        )
        for n in np.argsort(-parts, kind="stable")
        if signed_share(float(parts[n]), whole) >= _LEAST
    ]
    share = signed_share(float(prior), whole)
    popular = "popular with everybody"
    reasons.append(Reason(kind="popularity", contribution=float(prior), share=share, words=popular))
    return Recommendation(
        rank=rank,
        item_id=item_id,
        title=title,
        score=float(score),
        contributions=contributions,
        signed_shares=signed_shares(contributions),
        reasons=tuple(reasons),
    )
