"""What people decided of pairs: kept in the graph, and read in terms of the nodes of today."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from kgrec.errors import ConfigError, NotFoundError
from kgrec.graph.redirects import merges, redirects_of
from kgrec.graph.store import GraphStore
from kgrec.stages.resolving.merging import MergeKind, Pair, merge


def decision_id(kind: str, one: str, other: str) -> str:
    """Return the id of what is decided of two nodes, in any order."""
    return "/".join([kind, *sorted((one, other))])


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
