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


class MeetingPath:
    """The heaviest meeting of an item and a history item, read from memory when it is named.

    Attributes:
        weight: as of `KnowledgePath`.
    """

    __slots__ = ("_found", "_number", "weight")

    def __init__(self, weight: float, found: Callable[[int], FoundPath], number: int) -> None:
        self.weight = weight
        self._found = found
        self._number = number

    def path(self) -> FoundPath:
        """Return the path."""
        return self._found(self._number)

    def record(self) -> KnowledgePath:
        """Return the path as it leaves kgrec."""
        return self.path().record()


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
    starts, ends = _link_ends(source, list(history), list(items), config)
    if starts:
        paths = search.paths(
            {event: history[event] for event in starts},
            {item: items[item] for item in ends},
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
    found = partial(_path, search, snapshot, joined, items, history)
    columns = (joined.item, joined.history, joined.weight)
    for n, (to, past, weight) in enumerate(zip(*(one.tolist() for one in columns), strict=True)):
        yield items[to], history[past], MeetingPath(weight, found, n)


def _path(
    search: PathSearch,
    snapshot: Snapshot,
    joined: Meetings,
    items: Sequence[str],
    history: Sequence[str],
    n: int,
) -> FoundPath:
    """Return a meeting as the search would have walked it."""
    behind, ahead = (edge_at(snapshot, int(one[n])) for one in (joined.behind, joined.ahead))
    start: Place = ("item", history[joined.history[n]])
    end: Place = ("item", items[joined.item[n]])
    places = (start, behind.to, end)
    back = ahead._replace(to=end, outgoing=not ahead.outgoing)
    return FoundPath(places, (behind, back), int(joined.degree[n]), float(joined.weight[n]), search)


def _link_ends(
    snapshot: Snapshot, history: Sequence[str], items: Sequence[str], config: PathConfig
) -> tuple[list[str], list[str]]:
    """Return the history items and the items between which a path over a link may lead.

    Few items have a link near them, and fewer history items are within its reach, so most lists
    need no walk at all. What is returned may hold more than what a path leads between.
    """
    linked, near = snapshot.links_of_items, snapshot.items_near_links
    if not linked.any() and not near.any():
        return [], []
    past, to = (snapshot.nodes["item"].rows(each) for each in (history, items))
    within = (past >= 0) & linked[past]
    ends = (to >= 0) & (linked | near)[to]
    if ends.any():
        within = past >= 0  # longer paths may lead anywhere
        if config.max_hops <= 3:
            within &= linked[past] | _reached(snapshot, to[ends], config.max_degree)[past]
    starts = [event for event, chosen in zip(history, within.tolist(), strict=True) if chosen]
    if ((past >= 0) & linked[past]).any():
        return starts, list(items)
    return starts, [item for item, chosen in zip(items, ends.tolist(), strict=True) if chosen]


def _reached(snapshot: Snapshot, ends: IntArray, max_degree: int) -> NDArray[np.bool_]:
    """Return the items that paths of three relations over a link lead to from some, bool [I]."""
    items, entities = (np.zeros(len(snapshot.nodes[k].ids), np.bool_) for k in ("item", "entity"))
    linked, facts = snapshot.ties["item", "item"], snapshot.ties["item", "entity"]
    first = _others(linked, ends)
    items[first] = items[_others(linked, first)] = True
    entities[_others(facts, first)] = True
    entities[_others(snapshot.ties["entity", "entity"], _others(facts, ends))] = True
    entities &= snapshot.entity_degrees <= max_degree
    items[_others(snapshot.ties["entity", "item"], np.flatnonzero(entities))] = True
    return items


def _others(ties: Ties, rows: IntArray) -> IntArray:
    """Return what the relations of some nodes lead to, int64 [E]."""
    return ties.to[_relations(ties, rows)[1]]


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


def _relations(
    ties: Ties, rows: IntArray, max_degree: int | None = None
) -> tuple[IntArray, IntArray]:
    """Return the relations of some nodes, hubs left out: position in `rows`, and in the ties."""
    start = ties.start[rows]
    number = ties.start[rows + 1] - start
    if max_degree is not None:
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
