"""Resolve: the nodes of a graph that are one are merged, and unsure pairs are left to a person.

One merge is one transaction, so a run that was killed goes on when it is run again. A run goes on
until it finds nothing more, since a merged node has more neighbours by which others are known; so
the same run once more changes nothing.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.errors import ConfigError, NotFoundError
from kgrec.graph.redirects import merges, redirects_of
from kgrec.graph.setup import ensure_schema
from kgrec.graph.store import GraphStore
from kgrec.progress import SILENT, Progress
from kgrec.stages.resolving.finding import ScoredPair, Two, scored_pairs, types_of
from kgrec.stages.resolving.merging import MergeKind, Pair, decision_id, merge

AT_LEAST = 0.95
"""The least probability of a pair that is merged."""
REVIEWED = 0.2
"""The least probability of a pair that a person should look at."""
_RULED_OUT = 0.001
_ROUNDS = 10


class DoublePair(FrozenModel):
    """A pair that was merged, or is to be looked at.

    Attributes:
        merge_id: by which it can be undone; None where it is not merged.
        left, right: ids; of a merged pair that of the kept node first.
    """

    kind: MergeKind
    type: str
    left: str
    right: str
    names: tuple[str, str]
    score: float
    reasons: tuple[str, ...]
    merge_id: str | None = None


class ResolveSummary(FrozenModel):
    """What a run found.

    Attributes:
        merged: in the order of merging; of a dry run the pairs that would be.
        review: undecided pairs, the most probable first.
    """

    merged: tuple[DoublePair, ...] = ()
    review: tuple[DoublePair, ...] = ()
    types: dict[str, int] = Field(default_factory=dict)
    seconds: float = 0.0


def resolve_graph(
    store: GraphStore,
    kind: MergeKind = "entity",
    types: Sequence[str] = (),
    *,
    at_least: float = AT_LEAST,
    dry_run: bool = False,
    progress: Progress = SILENT,
) -> ResolveSummary:
    """Merge the nodes of each type that are one.

    Args:
        kind: entities, or items.
        types: labels of the types; all that the graph holds when empty.
        at_least: the least probability of a pair that is merged.
        dry_run: only find them.

    Returns:
        The merged pairs, and those that a person should look at.

    Raises:
        ConfigError: the graph has no such type.
        GraphError: an import into the graph is unfinished, and the kinds below it.
    """
    begun = time.perf_counter()
    ensure_schema(store)
    done: list[DoublePair] = []
    review: list[DoublePair] = []
    counts: Counter[str] = Counter()
    for own_type in _chosen(store, kind, types):
        for _ in range(_ROUNDS):
            found = list(_undecided(store, kind, own_type, progress))
            merged, rest = _Merging(store, kind, at_least, dry_run).run(found)
            done += merged
            counts[own_type] += len(merged)
            if dry_run or not merged:
                break
        review += [_shown(pair) for pair in rest if pair.score >= REVIEWED]
    review.sort(key=lambda pair: (-pair.score, pair.left, pair.right))
    seconds = time.perf_counter() - begun
    return ResolveSummary(
        merged=tuple(done), review=tuple(review), types=dict(counts), seconds=round(seconds, 2)
    )


def _chosen(store: GraphStore, kind: MergeKind, types: Sequence[str]) -> list[str]:
    known = types_of(store, kind)
    for name in types:
        if name not in known:
            raise ConfigError(
                f"the graph holds no {kind} of this type",
                value=name,
                remedy=f"Types: {', '.join(known) or 'none'}.",
            )
    return list(types) or known


def _undecided(
    store: GraphStore, kind: MergeKind, own_type: str, progress: Progress
) -> Iterator[ScoredPair]:
    """Yield pairs; of one that a person decided the score is 1 or 0."""
    decided = decisions(store, kind)
    for pair in scored_pairs(store, kind, own_type, progress=progress):
        same = decided.get((pair.left, pair.right))
        if same is None:
            yield pair
        else:
            why = ("a person confirmed it",) if same else ("a person rejected it",)
            yield replace(pair, score=float(same), reasons=why)


def _shown(pair: ScoredPair) -> DoublePair:
    return DoublePair(
        kind=pair.kind,
        type=pair.type,
        left=pair.left,
        right=pair.right,
        names=pair.names,
        score=round(pair.score, 6),
        reasons=pair.reasons,
    )


@dataclass
class _Merging:
    """Merges pairs, the most probable first; nothing that is two becomes one by way of a third."""

    store: GraphStore
    kind: MergeKind
    at_least: float
    dry_run: bool
    _groups: dict[str, list[str]] = field(default_factory=dict)
    _degrees: dict[str, int] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)
    _stable: set[str] = field(default_factory=set)
    _apart: set[Two] = field(default_factory=set)

    def run(self, pairs: Sequence[ScoredPair]) -> tuple[list[DoublePair], list[ScoredPair]]:
        """Return what was merged, and the pairs that were not and are not ruled out."""
        ordered = sorted(pairs, key=lambda pair: (-pair.score, pair.left, pair.right))
        self._apart = {(p.left, p.right) for p in pairs if p.score < _RULED_OUT}
        for pair in pairs:
            ends = (pair.left, pair.right)
            self._degrees |= zip(ends, pair.degrees, strict=True)
            self._names |= zip(ends, pair.names, strict=True)
        self._stable = {one.kept for one in merges(self.store) if one.kind == self.kind}
        done, rest = [], []
        for pair in ordered:
            one, other = (self._groups.get(node, [node]) for node in (pair.left, pair.right))
            if pair.score < self.at_least or self._is_apart(one, other):
                rest.append(pair)
            elif one is not other:
                merged = self._merge(pair, one, other)
                done += [merged] if merged is not None else []
        groups = self._groups
        left = [p for p in rest if groups.get(p.left, p.left) is not groups.get(p.right, p.right)]
        return done, left

    def _is_apart(self, one: Sequence[str], other: Sequence[str]) -> bool:
        return any((a, b) in self._apart or (b, a) in self._apart for a in one for b in other)

    def _merge(self, pair: ScoredPair, one: list[str], other: list[str]) -> DoublePair | None:
        ends = sorted((one, other), key=lambda group: group[0])
        kept, gone = sorted(ends, key=lambda group: self._rank(group[0]), reverse=True)
        left, right = kept[0], gone[0]
        merge_id = None
        if not self.dry_run:
            try:
                given = Pair(self.kind, left, right, pair.score, pair.reasons)
                merge_id = merge(self.store, given)
            except NotFoundError:  # it has vanished in the meantime
                return None
        self._degrees[left] += self._degrees[right]
        joined = [*kept, *gone]
        self._groups |= dict.fromkeys(joined, joined)
        names = (self._names[left], self._names[right])
        changes = {"left": left, "right": right, "names": names, "merge_id": merge_id}
        return _shown(pair).model_copy(update=changes)

    def _rank(self, node: str) -> tuple[bool, int, int, int]:
        """Return what makes a node the one to keep: kept before, many relations, spelled out."""
        name = self._names[node]
        accents = sum(not sign.isascii() for sign in name)
        return node in self._stable, self._degrees[node], len(name), accents


def decisions(store: GraphStore, kind: MergeKind) -> dict[tuple[str, str], bool]:
    """Return whether pairs are one, by ids in their order; a merged node counts as the kept one."""
    redirects, found = redirects_of(store), dict[tuple[str, str], bool]()
    for row in store.read("resolve/decisions", kind=kind):
        one, other = sorted(redirects.of(kind, row[end]) for end in ("left", "right"))
        if one != other:
            # What keeps two apart outweighs what would make them one.
            found[one, other] = bool(row["same"]) and found.get((one, other), True)
    return found


def reject(store: GraphStore, kind: MergeKind, one: str, other: str) -> None:
    """Note that two nodes are not one.

    Raises:
        ConfigError: they are merged.
        NotFoundError: one of them was never there.
    """
    redirects = redirects_of(store)
    if redirects.of(kind, one) == redirects.of(kind, other):
        known = next(m for m in merges(store) if m.kind == kind and m.merged in (one, other))
        raise ConfigError(
            "the two are merged",
            value=f"{one}, {other}",
            remedy=f"kgrec resolve undo '{known.merge_id}' --reject",
        )
    _check(store, kind, [redirects.of(kind, one), redirects.of(kind, other)])
    _decide(store, kind, one, other, same=False)


def confirm(store: GraphStore, pair: Pair) -> str:
    """Note that two nodes are one, and merge them.

    Returns:
        The id of the merge.

    Raises:
        NotFoundError: one of them is not there.
    """
    redirects = redirects_of(store)
    kept, merged = (redirects.of(pair.kind, node) for node in (pair.kept, pair.merged))
    if kept == merged:
        raise ConfigError(
            "the two are merged already",
            value=f"{pair.kept}, {pair.merged}",
            remedy="There is nothing left to do.",
        )
    _check(store, pair.kind, [kept, merged])
    now = replace(pair, kept=kept, merged=merged)
    _decide(store, pair.kind, pair.kept, pair.merged, same=True)
    return merge(store, now)


def _decide(store: GraphStore, kind: MergeKind, one: str, other: str, *, same: bool) -> None:
    left, right = sorted((one, other))
    store.write(
        "resolve/decide",
        decision_id=decision_id(kind, one, other),
        kind=kind,
        left=left,
        right=right,
        same=same,
        at=datetime.now(UTC),
    )


def _check(store: GraphStore, kind: MergeKind, ids: list[str]) -> None:
    if kind == "item":
        rows = store.read("ingest/items", items=ids, properties=[])
    else:
        rows = store.read("ingest/entities", entities=ids, properties=[])
    there = {row[f"{kind}_id"] for row in rows}
    for one in ids:
        if one not in there:
            raise NotFoundError(
                f"there is no such {kind}",
                value=one,
                remedy="kgrec resolve review lists the pairs, with --items those of items.",
            )
