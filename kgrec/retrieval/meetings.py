"""The heaviest path of each pair of an item and a history item, as a list needs it for its reasons.

Nearly all knowledge paths are meetings: facts of both items that lead to one entity. A list looks
for them between ten items and a hundred history items, so where the catalogue is in memory they are
joined as arrays, and only paths over links are walked one by one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import IntArray
from kgrec.graph.store import GraphStore
from kgrec.model.histories import runs
from kgrec.retrieval.knowledge_path import KnowledgePath
from kgrec.retrieval.neighbourhood import Edge, Neighbourhood, Place
from kgrec.retrieval.paths import FoundPath, PathConfig, PathSearch, find_paths, weight_order
from kgrec.retrieval.snapshot import Snapshot, Ties


@dataclass(frozen=True, eq=False, slots=True)
class MeetingPath:
    """The heaviest meeting of an item and a history item, read from memory when it is named."""

    weight: float
    _found: Callable[[], FoundPath]

    def path(self) -> FoundPath:
        """Return the path."""
        return self._found()

    def record(self) -> KnowledgePath:
        """Return the path as it leaves kgrec."""
        return self._found().record()


def best_paths(
    source: GraphStore | Neighbourhood,
    history: Mapping[str, str],
    items: Mapping[str, str],
    sources: Mapping[str, Collection[str]],
    *,
    num_items: int | None = None,
    meanings: Mapping[str, str] | None = None,
    config: PathConfig | None = None,
) -> dict[str, dict[str, FoundPath | MeetingPath]]:
    """Find the heaviest path of each pair of an item and a history item.

    Args:
        source, history, items, num_items, meanings, config: see `find_paths`.
        sources: ids of the history items that matter for an item, by its id.

    Returns:
        by the id of the item, then by that of the history item.
    """
    best: dict[str, dict[str, FoundPath | MeetingPath]] = {item: {} for item in items}
    if not history or not items:
        return best
    config = config or PathConfig()
    if not isinstance(source, Snapshot):
        for path in find_paths(
            source,
            history,
            items,
            num_items=num_items,
            meanings=meanings,
            config=config,
            sources=sources,
        ):
            best[path.item_id].setdefault(path.history_id, path)
        return best
    search = PathSearch(source, config, num_items, meanings)
    search.named = {**history, **items}
    if config.max_hops > 1:
        for item, event, joined in _meetings(search, source, list(history), list(items), sources):
            best[item][event] = joined
    ends, starts = _near_links(source, history, items)
    if ends or starts:
        paths = search.paths(
            history if ends else {event: history[event] for event in starts},
            items if starts else {item: items[item] for item in ends},
            sources,
            meetings=False,
        )
        for path in paths:
            known = best[path.item_id].get(path.history_id)
            before = known.path() if isinstance(known, MeetingPath) else known
            if before is None or weight_order(path) < weight_order(before):
                best[path.item_id][path.history_id] = path
    return best


def _meetings(
    search: PathSearch,
    snapshot: Snapshot,
    history: Sequence[str],
    items: Sequence[str],
    sources: Mapping[str, Collection[str]],
) -> Iterator[tuple[str, str, MeetingPath]]:
    """Yield the heaviest meeting of each item and history item that have one."""
    nodes = snapshot.nodes["item"]
    ends, starts = nodes.rows(items), nodes.rows(history)
    place = {each: n for n, each in enumerate(history)}
    allowed = np.zeros((len(items), len(history)), dtype=np.bool_)
    for n, item in enumerate(items):
        allowed[n, [place[each] for each in sources[item]]] = True
    allowed &= (ends >= 0)[:, None] & (starts >= 0)
    most = search.config.max_degree
    joined = join_meetings(snapshot, ends, starts, allowed, size=search.size, max_degree=most)
    columns = (joined.item, joined.history, joined.weight)
    for n, (to, past, weight) in enumerate(zip(*(one.tolist() for one in columns), strict=True)):
        item, event = items[to], history[past]
        yield (
            item,
            event,
            MeetingPath(weight, partial(_path, search, snapshot, joined, n, item, event)),
        )


def _path(
    search: PathSearch, snapshot: Snapshot, joined: Meetings, n: int, item: str, event: str
) -> FoundPath:
    """Return a meeting as the search would have walked it."""
    behind, ahead = (edge_at(snapshot, int(one[n])) for one in (joined.behind, joined.ahead))
    places: tuple[Place, ...] = (("item", event), behind.to, ("item", item))
    back = ahead._replace(to=places[2], outgoing=not ahead.outgoing)
    return FoundPath(places, (behind, back), int(joined.degree[n]), float(joined.weight[n]), search)


def _near_links(
    snapshot: Snapshot, history: Mapping[str, str], items: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """Return the items, and the history items, from which a path over a link may lead."""
    linked, row = snapshot.links_of_items, snapshot.nodes["item"].row
    near = linked | snapshot.items_near_links
    ends = [item for item in items if near[row.get(item, -1)]] if near.any() else []
    starts = [event for event in history if linked[row.get(event, -1)]] if linked.any() else []
    return ends, starts


@dataclass(frozen=True, eq=False)
class Meetings:
    """The heaviest meeting of each pair of an item and a history item that have one, [M] pairs.

    Attributes:
        item, history: positions among the given items and history items, int64 [M].
        entity: row of the entity, int64 [M].
        degree: how many relations lead from items to it, int64 [M].
        weight: as of `KnowledgePath`, float64 [M].
        ahead, behind: positions in the ties of items with entities of the relation at the item,
            and of the relation at the history item, int64 [M].
    """

    item: IntArray
    history: IntArray
    entity: IntArray
    degree: IntArray
    weight: NDArray[np.float64]
    ahead: IntArray
    behind: IntArray


def join_meetings(
    snapshot: Snapshot,
    items: IntArray,
    history: IntArray,
    allowed: NDArray[np.bool_],
    *,
    size: int,
    max_degree: int,
) -> Meetings:
    """Find where items meet history items, and keep the heaviest meeting of each pair.

    Args:
        items, history: rows of the snapshot, [C] and [H].
        allowed: which pairs are looked at, bool [C, H].
        size: of the catalogue, which rarity is measured against.
        max_degree: entities and items of more relations are passed by.
    """
    ties = snapshot.ties["item", "entity"]
    of_item, ahead = _relations(ties, items, max_degree)
    of_history, behind = _relations(ties, history, max_degree)
    left, right = _joined(ties.to[ahead], ties.to[behind])
    item, past = of_item[left], of_history[right]
    degree = np.maximum(snapshot.entity_degrees[ties.to[ahead[left]]], 1)
    kept = allowed[item, past] & (degree <= max_degree) & (items[item] != history[past])
    item, past, degree, left, right = (one[kept] for one in (item, past, degree, left, right))
    ahead, behind = ahead[left], behind[right]
    entity = ties.to[ahead]
    weight = _rarity(degree, size) * (ties.confidence[behind] * ties.confidence[ahead])
    order = np.lexsort((ahead, behind, snapshot.entity_order[entity], -weight, past, item))
    pair = item[order] * len(history) + past[order]
    best = order[np.flatnonzero(np.diff(pair, prepend=-1))]
    columns = (item, past, entity, degree, weight, ahead, behind)
    return Meetings(*(column[best] for column in columns))


def edge_at(snapshot: Snapshot, position: int) -> Edge:
    """Return the relation at a position in the ties of items with entities, as it is walked."""
    ties, words = snapshot.ties["item", "entity"], snapshot.words
    return Edge(
        ("entity", snapshot.nodes["entity"].ids[ties.to[position]]),
        bool(ties.outgoing[position]),
        words[ties.relation[position]],
        float(ties.confidence[position]),
        words[ties.source[position]],
        words[ties.evidence[position]],
    )


def _relations(ties: Ties, rows: IntArray, max_degree: int) -> tuple[IntArray, IntArray]:
    """Return the relations of some nodes, hubs left out: position in `rows`, and in the ties."""
    start = ties.start[rows]
    number = ties.start[rows + 1] - start
    number[number > max_degree] = 0
    owner = np.repeat(np.arange(len(rows)), number)
    return owner, runs(start, number)


def _joined(one: IntArray, other: IntArray) -> tuple[IntArray, IntArray]:
    """Return the positions at which two columns hold the same value, each pair once."""
    order = np.argsort(other, kind="stable")
    known = other[order]
    first = np.searchsorted(known, one, "left")
    number = np.searchsorted(known, one, "right") - first
    return np.repeat(np.arange(len(one)), number), order[runs(first, number)]


def _rarity(degree: IntArray, size: int) -> NDArray[np.float64]:
    """Return log(size / degree), by the function that a walked path uses, to the last bit."""
    known, place = np.unique(degree, return_inverse=True)
    return np.array([math.log(max(size, n + 1) / n) for n in known.tolist()])[place]
