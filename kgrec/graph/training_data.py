"""The graph as a `Dataset`: vocabularies in the order of ids, facts and links as columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from kgrec.data.dataset import (
    Column,
    Dataset,
    Facts,
    FloatArray,
    IntArray,
    Interactions,
    Links,
    LinkType,
)
from kgrec.data.selection import Selection, kind_codes, last_of_pairs, standing
from kgrec.data.vocabulary import Vocabulary
from kgrec.errors import DataError
from kgrec.graph.pages import (
    Ends,
    entity_pages,
    fact_pages,
    interaction_pages,
    item_pages,
    relation_types,
    user_pages,
)
from kgrec.graph.setup import check_whole
from kgrec.graph.store import GraphStore
from kgrec.progress import SILENT, Progress
from kgrec.schema import ENDS, NodeKind, load_schema

_LINKED: tuple[Ends, ...] = tuple(e for e in ENDS if set(e) != {"item", "entity"})
"""Ends of links; between items and entities there are facts."""


def read_dataset(
    store: GraphStore, selection: Selection | None = None, *, progress: Progress = SILENT
) -> Dataset:
    """Read what the agents learn from.

    Vocabularies are in the order of ids, so the same graph gives the same hashes. Interactions
    that are not positive (`Selection`) are left out, and so are pairs whose last interaction is
    not; those whose last interaction rejects the item are kept apart.

    Args:
        store: the graph.
        selection: domain and kinds of interaction.

    Raises:
        DataError: the graph holds no item of the domain.
        GraphError: an import into the graph is unfinished.
    """
    check_whole(store)
    selection = selection or Selection()
    items, texts = _read_items(store, selection.label)
    if not len(items):
        raise DataError(
            "the graph holds no items",
            value=selection.domain,
            remedy="Ingest a catalogue first: kgrec run PIPELINE, or kgrec ingest catalog FILE.",
        )
    users, columns = _read_users(store, progress)
    interactions, rejected, contexts = _read_interactions(store, users, items, selection, progress)
    rows: dict[NodeKind, Vocabulary] = {"user": users, "item": items}
    reader = _KnowledgeReader(store, rows, selection.domain, progress)
    facts, links, entities, names = reader.read()
    known = users, items, interactions, entities, facts, texts, names, links, columns
    return Dataset(*known, rejected, contexts)


def _read_items(store: GraphStore, label: str | None) -> tuple[Vocabulary, tuple[str, ...]]:
    texts: dict[str, str] = {}
    for page in item_pages(store, label=label):
        words = zip(page["titles"], page["descriptions"], strict=True)
        lines = (". ".join(filter(None, pair)) for pair in words)
        texts.update(zip(page["ids"], lines, strict=True))
    ids = sorted(texts)
    return Vocabulary(ids), tuple(texts[i] for i in ids)


def _read_users(store: GraphStore, progress: Progress) -> tuple[Vocabulary, tuple[Column, ...]]:
    """Return the users and their properties that are of use as features."""
    found: dict[str, dict[str, Any]] = {}
    for page in user_pages(store):
        found.update(zip(page["ids"], page["values"], strict=True))
    ids = sorted(found)
    names = {name for values in found.values() for name in values}
    columns, left_out = [], []
    for name in sorted(names - {load_schema().core.keys[load_schema().labels.user]}):
        column = Column.of(name, [found[user].get(name) for user in ids])
        if column is None:
            left_out.append(name)
        else:
            columns.append(column)
    if left_out:
        with progress.task("read properties of users", 1) as task:
            task.describe(f"neither numbers nor categories: {', '.join(left_out)}")
            task.advance()
    return Vocabulary(ids), tuple(columns)


def _read_interactions(
    store: GraphStore,
    users: Vocabulary,
    items: Vocabulary,
    selection: Selection,
    progress: Progress,
) -> tuple[Interactions, Interactions, tuple[tuple[str, ...], ...]]:
    """Return the positive interactions, the pairs that are rejected, and their contexts."""
    contexts: dict[tuple[str, ...], int] = {("", ""): 0}
    parts, none = [Interactions.empty()], np.empty(0, dtype=np.bool_)
    positive, rejected = [none], [none]
    for page in interaction_pages(store, users.ids, progress):
        rows = items.rows(page["items"])
        part = Interactions(
            np.asarray(page["users"], dtype=np.int64),
            rows,
            np.asarray(page["values"], dtype=np.float32),
            np.asarray(page["times"], dtype=np.int64),
            kind_codes(page["kinds"]),
            _context_codes(contexts, page["devices"], page["scenarios"]),
        )
        parts.append(part.take(rows >= 0))
        positive.append(selection.positive(page["kinds"], page["values"])[rows >= 0])
        rejected.append(selection.rejected(page["kinds"], page["values"])[rows >= 0])
    columns = parts[0].concat(*parts[1:])
    keys = columns.user * len(items) + columns.item
    kept = standing(keys, columns.at, np.concatenate(positive))
    against = last_of_pairs(keys, columns.at) & np.concatenate(rejected)
    ranked = sorted(contexts)  # whatever the order in which pages come; the empty one is first
    moved = np.empty(len(ranked), dtype=np.int64)
    moved[[contexts[each] for each in ranked]] = np.arange(len(ranked))
    columns = replace(columns, context=moved[columns.context])
    return _in_order(columns.take(kept)), _in_order(columns.take(against)), tuple(ranked[1:])


def _context_codes(
    codes: dict[tuple[str, ...], int], devices: Sequence[str], scenarios: Sequence[str]
) -> IntArray:
    """Number the contexts of interactions, int64 [E]; those that are new are added to `codes`."""
    pairs = zip(devices, scenarios, strict=True)
    found = (codes.setdefault(pair, len(codes)) for pair in pairs)
    return np.fromiter(found, dtype=np.int64, count=len(devices))


def _in_order(columns: Interactions) -> Interactions:
    return columns.take(np.lexsort((columns.item, columns.at, columns.user)))


class _Edges(NamedTuple):
    """Columns of facts or links: rows or codes of the ends, code of the relation, confidence."""

    head: IntArray
    relation: IntArray
    tail: IntArray
    confidence: FloatArray

    @classmethod
    def concat(cls, parts: Sequence[_Edges]) -> _Edges:
        none = np.empty(0, dtype=np.int64)
        first = cls(none, none, none, np.empty(0, dtype=np.float32))
        return cls(*map(np.concatenate, zip(first, *parts, strict=True)))

    def take(self, rows: IntArray | NDArray[np.bool_]) -> _Edges:
        head, relation, tail, confidence = self
        return _Edges(head[rows], relation[rows], tail[rows], confidence[rows])

    def in_order(self, head: IntArray, relation: IntArray, tail: IntArray) -> _Edges:
        """Return the edges with these columns, sorted by head, relation and tail."""
        changed = _Edges(head, relation, tail, self.confidence)
        return changed.take(np.lexsort((tail, relation, head)))


class _KnowledgeReader:
    """Reads facts, and the links that lead on from their entities.

    What leads from an entity to an item is a fact of that item, of a type with the suffix `~`.
    Links of entities that no chain of links ties to an item of the domain are left out.
    """

    def __init__(
        self,
        store: GraphStore,
        rows: Mapping[NodeKind, Vocabulary],
        domain: str | None,
        progress: Progress,
    ) -> None:
        self._store = store
        self._rows = rows
        self._types = relation_types(store, domain)
        self._progress = progress
        self._entities: _Codes[str] = _Codes()

    def read(self) -> tuple[Facts, Links, Vocabulary, tuple[str, ...]]:
        """Return facts, links, the entities that they reach and the names of these."""
        relations: _Codes[str] = _Codes()
        kinds: _Codes[LinkType] = _Codes()
        facts = self._edges("item", "entity", (), relations.of)
        names: dict[str, str] = {}
        heads: list[str] = []
        if self._types.between("entity", "entity") or self._types.between("entity", "item"):
            names = _entity_names(self._store)
            heads = sorted(names)
        of_items = self._edges(
            "entity", "item", heads, lambda found: relations.of(f"{name}~" for name in found)
        )
        facts = _Edges.concat(
            [facts, _Edges(of_items.tail, of_items.relation, of_items.head, of_items.confidence)]
        )
        parts = [
            self._edges(
                head,
                tail,
                heads,
                lambda found, head=head, tail=tail: kinds.of(  # type: ignore[misc]
                    LinkType(head, name, tail) for name in found
                ),
            )
            for head, tail in _LINKED
        ]
        links, kept = self._tied(_Edges.concat(parts), kinds.values, facts.tail)
        return self._columns(facts, links, kept, relations, kinds, names)

    def _edges(
        self,
        head: NodeKind,
        tail: NodeKind,
        entities: Sequence[str],
        code: Callable[[Sequence[str]], IntArray],
    ) -> _Edges:
        """Read what leads from one kind of node to another, without ends of other domains."""
        heads = entities if head == "entity" else self._rows[head].ids
        parts = []
        for page in fact_pages(self._store, heads, self._types, (head, tail), self._progress):
            starts = np.asarray(page["heads"], dtype=np.int64)
            if head == "entity":
                starts = self._entities.of([heads[row] for row in page["heads"]])
            ends = page["tails"]
            part = _Edges(
                starts,
                code(page["relations"]),
                self._entities.of(ends) if tail == "entity" else self._rows[tail].rows(ends),
                np.asarray(page["confidences"], dtype=np.float32),
            )
            parts.append(part.take(part.tail >= 0))
        return _Edges.concat(parts)

    def _tied(
        self, links: _Edges, kinds: Sequence[LinkType], of_facts: IntArray
    ) -> tuple[_Edges, NDArray[np.bool_]]:
        """Return links without loose entities, and which entities, by code, are to be kept."""
        kept = np.zeros(len(self._entities), dtype=np.bool_)
        kept[of_facts] = True
        if not len(links.head):
            return links, kept
        head_is, tail_is = _entity_ends(kinds)[:, links.relation]
        both = head_is & tail_is
        chains = sp.coo_matrix(
            (np.ones(both.sum(), np.int8), (links.head[both], links.tail[both])),
            shape=(len(kept), len(kept)),
        )
        _, part = connected_components(chains, directed=False)
        kept = np.isin(part, part[kept])
        fine = np.ones(len(links.head), dtype=np.bool_)
        fine[head_is] &= kept[links.head[head_is]]
        fine[tail_is] &= kept[links.tail[tail_is]]
        links = links.take(fine)
        head_is, tail_is = _entity_ends(kinds)[:, links.relation]
        reached = np.zeros(len(kept), dtype=np.bool_)
        for column in (of_facts, links.head[head_is], links.tail[tail_is]):
            reached[column] = True
        return links, reached

    def _columns(
        self,
        facts: _Edges,
        links: _Edges,
        kept: NDArray[np.bool_],
        relations: _Codes[str],
        kinds: _Codes[LinkType],
        names: Mapping[str, str],
    ) -> tuple[Facts, Links, Vocabulary, tuple[str, ...]]:
        ids = sorted(self._entities.values[code] for code in np.flatnonzero(kept))
        entities = Vocabulary(ids)
        row = entities.rows(self._entities.values)
        types, of_fact = relations.in_order()
        link_types, of_link = kinds.in_order()
        facts = facts.in_order(facts.head, of_fact[facts.relation], row[facts.tail])
        head_is, tail_is = _entity_ends(kinds.values)[:, links.relation]
        head, tail = links.head.copy(), links.tail.copy()
        head[head_is], tail[tail_is] = row[head[head_is]], row[tail[tail_is]]
        links = links.in_order(head, of_link[links.relation], tail)
        if ids and not names:
            names = _entity_names(self._store)
        return (
            Facts(facts.head, facts.relation, facts.tail, facts.confidence, tuple(types)),
            Links(links.head, links.relation, links.tail, links.confidence, tuple(link_types)),
            entities,
            tuple(names.get(i, "") for i in ids),
        )


def _entity_ends(kinds: Sequence[LinkType]) -> NDArray[np.bool_]:
    """Return whether head and tail of each type are entities, [2, types]."""
    ends = [[kind.head == "entity" for kind in kinds], [kind.tail == "entity" for kind in kinds]]
    return np.array(ends, dtype=np.bool_)


def _entity_names(store: GraphStore) -> dict[str, str]:
    return {
        i: name
        for page in entity_pages(store)
        for i, name in zip(page["ids"], page["names"], strict=True)
    }


KeyT = TypeVar("KeyT", bound="str | LinkType")


class _Codes(Generic[KeyT]):
    """Numbers for values that stream by, so that no column of strings is kept."""

    def __init__(self) -> None:
        self._codes: dict[KeyT, int] = {}

    def __len__(self) -> int:
        return len(self._codes)

    @property
    def values(self) -> list[KeyT]:
        """The values in the order of their numbers."""
        return list(self._codes)

    def of(self, values: Iterable[KeyT]) -> IntArray:
        codes = self._codes
        return np.fromiter((codes.setdefault(value, len(codes)) for value in values), np.int64)

    def in_order(self) -> tuple[list[KeyT], IntArray]:
        """Return the values sorted, and for each number the position of its value there."""
        values = sorted(self._codes)
        position = {value: n for n, value in enumerate(values)}
        return values, np.array([position[value] for value in self._codes], dtype=np.int64)
