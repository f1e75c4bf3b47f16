"""Quotas and floors: at most, or at least, so many items of a group on a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kgrec.retrieval.filters import Limit, parse_limit
from kgrec.retrieval.query import Query
from kgrec.retrieval.reranking import Pick

_CHUNK = 256
"""So many items at a time are looked up, as far as the page reaches."""


_Group = tuple[Limit, str]
"""A limit and an entity, or no entity where what passes a filter is the group."""


def by_quota(query: Query, ranked: list[Pick]) -> list[Pick]:
    """Put off what is over a quota to a later page; a `Reranker`.

    Where only such items are left the list ends. With floors, `by_floor` does both, page by page.
    """
    return ranked if query.knobs.floor else _limited(query, ranked)


def by_floor(query: Query, ranked: list[Pick]) -> list[Pick]:
    """Raise the best items of a group onto a page that has too few; a `Reranker`.

    What makes room is the last item that no floor needs. No item is raised over a quota.
    """
    return _limited(query, ranked)


def _limited(query: Query, ranked: list[Pick]) -> list[Pick]:
    knobs = query.knobs
    floors = _Groups(query, ranked, knobs.floor)
    quotas = _Groups(query, ranked, knobs.quota, each=True)
    left, found = list(range(len(ranked))), list[int]()
    marks: dict[int, tuple[str, str]] = {}
    while left and len(found) < knobs.offset + knobs.k:
        page, left, over = _page(left, knobs.k, quotas)
        marks.update((n, ("quota", f"over the quota {text}")) for n, text in over.items())
        for limit in floors.limits:
            while sum((limit, "") in floors.of(n) for n in page) < limit.number:
                swap = _swap(page, left, limit, floors, quotas)
                if swap is None:
                    break
                out, into = swap
                page = sorted([*(n for n in page if n != out), into])
                left = sorted([out, *(n for n in left if n != into)])
                marks[into] = ("floor", f"at least {limit.text}")
                marks[out] = ("floor", f"makes room for {limit.text}")
        found += page
        if len(page) < knobs.k:
            left = []
    return [Pick(ranked[n].position, *marks.get(n, ())) for n in [*found, *left]]


def _page(
    left: Sequence[int], k: int, quotas: _Groups
) -> tuple[list[int], list[int], dict[int, str]]:
    """Return the first k that break no quota, the others, and the quota that some would break."""
    counts: Counter[_Group] = Counter()
    page: list[int] = []
    over: dict[int, str] = {}
    for place, n in enumerate(left):
        if len(page) == k:
            return page, [*over, *left[place:]], over
        full = quotas.full(n, counts)
        if full is None:
            page.append(n)
            counts.update(quotas.of(n))
        else:
            over[n] = full
    return page, [*over], over


def _swap(
    page: Sequence[int], rest: Sequence[int], limit: Limit, groups: _Groups, quotas: _Groups
) -> tuple[int, int] | None:
    """Return an item that can leave a page, and the best one that can take its place."""
    counts: Counter[_Group] = Counter(group for n in page for group in groups.of(n))
    spare = [
        n
        for n in reversed(page)
        if (limit, "") not in groups.of(n)
        and all(counts[other] > other[0].number for other in groups.of(n))
    ]
    for into in rest if spare else ():
        if (limit, "") not in groups.of(into):
            continue
        for out in spare:
            held = Counter(group for n in page if n != out for group in quotas.of(n))
            if quotas.full(into, held) is None:
                return out, into
    return None


class _Groups:
    """Which groups of the limits of a query its candidates belong to."""

    def __init__(
        self, query: Query, ranked: Sequence[Pick], texts: Sequence[str], *, each: bool = False
    ) -> None:
        domain = query.live.selection.domain
        self.limits = [parse_limit(text, domain, each=each) for text in texts]
        self.traits = query.traits
        self.rows = query.scored.rows[[pick.position for pick in ranked]]
        self.masks: dict[Limit, NDArray[np.bool_]] = {
            limit: self.traits.passing(limit.group)
            for limit in self.limits
            if limit.group is not None
        }
        self.by_entity = [limit for limit in self.limits if limit.group is None]
        self.known: dict[int, list[_Group]] = {}

    def of(self, n: int) -> list[_Group]:
        """Return the groups of the n-th candidate: limits, or a limit and an entity."""
        if n not in self.known:
            some = np.arange(n, min(n + _CHUNK, len(self.rows)))
            rows = self.rows[some]
            for row, at in zip(rows.tolist(), some.tolist(), strict=True):
                self.known[at] = [(limit, "") for limit, mask in self.masks.items() if mask[row]]
            for limit in self.by_entity:
                entities = self.traits.entities(rows, limit.relations)
                for at, names in zip(some.tolist(), entities, strict=True):
                    self.known[at] += [(limit, name) for name in names]
        return self.known[n]

    def full(self, n: int, counts: Counter[_Group]) -> str | None:
        """Return the limit that another item would break, where one would."""
        for group in self.of(n):
            if counts[group] >= group[0].number:
                return group[0].text
        return None
