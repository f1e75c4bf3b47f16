"""The training data as columns: interactions, facts, links and texts, by row index.

A `Dataset` is read from the graph (`kgrec.graph.training_data`) or from files
(`kgrec.data.atomic`); later code does not depend on which.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgrec.data.vocabulary import Vocabulary
from kgrec.errors import DataError

MAX_CATEGORIES = 64
"""Maximum number of distinct values of a categorical property."""
_FEW_CATEGORIES = 8
"""Number of distinct values up to which a property is categorical even with few users a value."""
_MANY_CATEGORIES = 32
"""Number of distinct texts beyond which texts that are all numbers, such as ages, are numeric."""
IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]
_NUMBER = re.compile(r"([0-9]{1,18})")
NameT = TypeVar("NameT", str, "LinkType")


@dataclass(frozen=True)
class Interactions:
    """Interactions of users with items: one row each.

    Attributes:
        user, item: row indices, int64 [E].
        value: rating, play count or 1, float32 [E].
        at: milliseconds since 1970 in UTC, int64 [E]; 0 where the time is unknown.
        kind, context: 1 + the position of the kind in `core.toml`, and of device and scenario in
            `Dataset.contexts`, int64 [E]; 0 where unknown; an empty column stands for zeros.
    """

    user: IntArray
    item: IntArray
    value: FloatArray
    at: IntArray
    kind: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    context: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def __post_init__(self) -> None:
        for name in ("kind", "context"):
            if not len(getattr(self, name)):
                object.__setattr__(self, name, np.zeros(len(self.user), dtype=np.int64))
        sizes = {len(column) for column in self._columns()}
        if len(sizes) != 1:
            raise DataError("columns of interactions differ in length", value=sorted(sizes))

    def __len__(self) -> int:
        return len(self.user)

    def _columns(self) -> tuple[IntArray | FloatArray, ...]:
        return tuple(getattr(self, column.name) for column in fields(self))

    @classmethod
    def empty(cls) -> Interactions:
        none = np.empty(0, dtype=np.int64)
        return cls(none, none, np.empty(0, dtype=np.float32), none)

    def take(self, rows: IntArray | NDArray[np.bool_]) -> Interactions:
        """Return the interactions at these positions, or where the mask is true."""
        return Interactions(*(column[rows] for column in self._columns()))  # type: ignore[arg-type]

    def concat(self, *others: Interactions) -> Interactions:
        """Return these interactions followed by others."""
        columns = zip(*(part._columns() for part in (self, *others)), strict=True)
        return Interactions(*(np.concatenate(column) for column in columns))

    def renumbered(self, user: IntArray, item: IntArray) -> Interactions:
        """Return them by the new rows of users [U] and items [I]."""
        return replace(self, user=user[self.user], item=item[self.item])

    def first_times(self, num_users: int) -> IntArray:
        """Return the time of each user's first interaction, int64 [U], as in `at`; 0 for none."""
        never = np.iinfo(np.int64).max
        first = np.full(num_users, never)
        np.minimum.at(first, self.user, self.at)
        return np.where(first < never, first, 0)

    def matrix(self, num_users: int, num_items: int) -> sp.csr_matrix:
        """Return the binary user-item matrix, CSR float32 [U, I]; repeated pairs count once."""
        data = np.ones(len(self), dtype=np.float32)
        matrix = sp.csr_matrix((data, (self.user, self.item)), shape=(num_users, num_items))
        matrix.sum_duplicates()
        matrix.data[:] = 1.0
        matrix.sort_indices()
        return matrix


@dataclass(frozen=True)
class Facts:
    """Typed edges from items to entities: one row a fact.

    Attributes:
        item, relation, entity: row indices, int64 [F]; `relation` indexes `relations`.
        confidence: float32 [F] in (0, 1].
        relations: relation types; an edge that leads to the item has its own type, with the suffix
            `~`.
    """

    item: IntArray
    relation: IntArray
    entity: IntArray
    confidence: FloatArray
    relations: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.item)

    @classmethod
    def empty(cls) -> Facts:
        none = np.empty(0, dtype=np.int64)
        return cls(none, none, none, np.empty(0, dtype=np.float32))

    def renumbered(self, item: IntArray, entity: IntArray) -> Facts:
        """Return them in order, by the new rows of items [I] and entities [N]."""
        relations, code = _sorted(self.relations)
        items, codes, entities = item[self.item], code[self.relation], entity[self.entity]
        order = np.lexsort((entities, codes, items))
        confidence = self.confidence[order]
        return Facts(items[order], codes[order], entities[order], confidence, tuple(relations))

    def features(self, num_items: int, num_entities: int, *, min_degree: int = 2) -> sp.csr_matrix:
        """Return item x (relation, entity) with confidences, CSR float32 [I, K].

        Features of fewer than `min_degree` items carry no similarity and are left out.
        """
        return self.keyed_features(num_items, num_entities, min_degree=min_degree)[0]

    def keyed_features(
        self, num_items: int, num_entities: int, *, min_degree: int = 2
    ) -> tuple[sp.csr_matrix, IntArray]:
        """Return `features`, and relation and entity of each, int64 [K, 2]."""
        key = self.relation * max(num_entities, 1) + self.entity
        distinct, column = np.unique(key, return_inverse=True)
        matrix = sp.csr_matrix(
            (self.confidence, (self.item, column)), shape=(num_items, len(distinct))
        )
        matrix.sum_duplicates()
        np.minimum(matrix.data, 1.0, out=matrix.data)
        held_by = np.bincount(matrix.indices, minlength=len(distinct))
        kept = np.flatnonzero(held_by >= min_degree)
        return matrix[:, kept].tocsr(), np.column_stack(
            np.divmod(distinct[kept], max(num_entities, 1))
        )


class LinkType(NamedTuple):
    """A relation type between two kinds of node: `user`, `item` or `entity`."""

    head: str
    relation: str
    tail: str


@dataclass(frozen=True)
class Links:
    """Typed edges of the graph beside facts: one row an edge.

    Entity to entity, item to item, user to user, user to entity: all edges but those from an item
    to its own entities.

    Attributes:
        head, tail: row indices into the vocabulary of their kind, int64 [L].
        relation: index into `types`, int64 [L].
        confidence: float32 [L] in (0, 1].
        types: relation types with the kinds of node at both ends.
    """

    head: IntArray
    relation: IntArray
    tail: IntArray
    confidence: FloatArray
    types: tuple[LinkType, ...] = ()

    def __len__(self) -> int:
        return len(self.head)

    @classmethod
    def empty(cls) -> Links:
        none = np.empty(0, dtype=np.int64)
        return cls(none, none, none, np.empty(0, dtype=np.float32))

    @classmethod
    def distinct(cls, edges: Mapping[tuple[LinkType, int, int], float]) -> Links:
        """Return edges in the order of the mapping: (type, head, tail) to confidence."""
        types = tuple(dict.fromkeys(kind for kind, _, _ in edges))
        number = {kind: n for n, kind in enumerate(types)}
        return cls(
            np.fromiter((head for _, head, _ in edges), dtype=np.int64, count=len(edges)),
            np.fromiter((number[kind] for kind, _, _ in edges), dtype=np.int64, count=len(edges)),
            np.fromiter((tail for _, _, tail in edges), dtype=np.int64, count=len(edges)),
            np.fromiter(edges.values(), dtype=np.float32, count=len(edges)),
            types,
        )

    def of(self, head: str, tail: str) -> Links:
        """Return the edges between these two kinds of node; `types` stays as it is."""
        wanted = [n for n, kind in enumerate(self.types) if (kind.head, kind.tail) == (head, tail)]
        rows = np.flatnonzero(np.isin(self.relation, wanted))
        return Links(
            self.head[rows], self.relation[rows], self.tail[rows], self.confidence[rows], self.types
        )

    def renumbered(self, rows: Mapping[str, IntArray]) -> Links:
        """Return them in order, by the new rows of each kind of node."""
        types, code = _sorted(self.types)
        head, tail = self.head.copy(), self.tail.copy()
        for number, kind in enumerate(self.types):
            of_type = self.relation == number
            head[of_type] = rows[kind.head][head[of_type]]
            tail[of_type] = rows[kind.tail][tail[of_type]]
        relation = code[self.relation]
        order = np.lexsort((tail, relation, head))
        confidence = self.confidence[order]
        return Links(head[order], relation[order], tail[order], confidence, tuple(types))


@dataclass(frozen=True)
class Column:
    """A declared property of all users, typed.

    Attributes:
        name: of the property.
        values: float32 [U] of a number, NaN where it is unknown; int64 [U] of a category, the row
            in `categories`, -1 where it is unknown.
        categories: the distinct values of a category, sorted; None for a number.
    """

    name: str
    values: FloatArray | IntArray
    categories: tuple[str, ...] | None = None

    @classmethod
    def of(cls, name: str, values: Sequence[object]) -> Column | None:
        """Return a property as a typed column, or None where it cannot be a feature.

        Numbers stay numbers; texts and booleans are categories. With many distinct values, texts
        that are all numbers become numbers. With too many, as of free text and codes, a property is
        no feature; lists, and properties that no user has, are none either.

        Args:
            values: of each user in row order; None or an empty text where it is unknown.
        """
        known = [value for value in values if value is not None and value != ""]
        if not known or any(isinstance(value, list | tuple) for value in known):
            return None
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
            return cls(name, _numbers(values))
        categories = tuple(sorted({str(value) for value in known}))
        few = max(_FEW_CATEGORIES, len(known) // 2)
        if len(categories) > min(_MANY_CATEGORIES, few):
            with suppress(ValueError):
                return cls(name, _numbers(values))
        if len(categories) > min(MAX_CATEGORIES, few):
            return None
        row = {category: n for n, category in enumerate(categories)}
        rows = (-1 if value is None or value == "" else row[str(value)] for value in values)
        return cls(name, np.fromiter(rows, dtype=np.int64, count=len(values)), categories)


def _numbers(values: Sequence[object]) -> FloatArray:
    numbers = (math.nan if v is None or v == "" else float(str(v)) for v in values)
    column = np.fromiter(numbers, dtype=np.float64, count=len(values)).astype(np.float32)
    return np.where(np.isfinite(column), column, np.float32(np.nan))


@dataclass(frozen=True)
class Dataset:
    """Vocabularies, interactions, facts and texts of one catalogue and its users.

    Attributes:
        links: typed edges beside facts.
        user_columns: declared properties of the users.
        rejected: pairs whose last interaction is a dislike, a skip or a low value.
        contexts: distinct values of `CONTEXT_FIELDS`, empty where unknown, of interactions.
        item_texts: title and description of each item, [I]; empty strings where there is none.
        entity_names: names in row order of `entities`, [N]; empty where entities have ids only.
    """

    users: Vocabulary
    items: Vocabulary
    interactions: Interactions
    entities: Vocabulary = field(default_factory=lambda: Vocabulary(()))
    facts: Facts = field(default_factory=Facts.empty)
    item_texts: tuple[str, ...] = ()
    entity_names: tuple[str, ...] = ()
    links: Links = field(default_factory=Links.empty)
    user_columns: tuple[Column, ...] = ()
    rejected: Interactions = field(default_factory=Interactions.empty)
    contexts: tuple[tuple[str, ...], ...] = ()

    @property
    def num_users(self) -> int:
        return len(self.users)

    @property
    def num_items(self) -> int:
        return len(self.items)

    def matrix(self) -> sp.csr_matrix:
        """Return the binary user-item matrix of the interactions, CSR float32 [U, I]."""
        return self.interactions.matrix(self.num_users, self.num_items)

    def features(self, *, min_degree: int = 2) -> sp.csr_matrix:
        """Return the knowledge features of the items, CSR float32 [I, K]."""
        return self.facts.features(self.num_items, len(self.entities), min_degree=min_degree)

    def described_items(self, max_names: int) -> list[str]:
        """Return the text of each item followed by distinct names of its entities, [I].

        Args:
            max_names: maximum number of names.
        """
        names: list[dict[str, None]] = [{} for _ in range(self.num_items)]
        if self.entity_names:
            for item, entity in zip(self.facts.item, self.facts.entity, strict=True):
                if self.entity_names[entity]:
                    names[item][self.entity_names[entity]] = None
        texts = self.item_texts or ("",) * self.num_items
        return [
            ". ".join(
                [text.strip().rstrip(".")] * bool(text.strip()) + [", ".join(known)] * bool(known)
            )
            for text, known in ((t, list(n)[:max_names]) for t, n in zip(texts, names, strict=True))
        ]

    def with_interactions(self, interactions: Interactions) -> Dataset:
        """Return the same catalogue with other interactions."""
        return replace(self, interactions=interactions)

    def in_canonical_order(self) -> Dataset:
        """Return the same data in an order that depends on nothing but the ids and the times.

        Users are in the natural order of ids (`u9` before `u10`), interactions by user, item and
        time, items in the order of their first interaction, and everything else by its ids and
        names. What is sampled and how floats are summed follows the order of rows: so the same data
        give the same figures from the graph and from files, in whatever order the lines stand.
        """
        users, user = _sorted(self.users.ids, natural_key)
        entities, entity = _sorted(self.entities.ids, natural_key)
        _, natural = _sorted(self.items.ids, natural_key)
        held = self.interactions
        held = held.take(np.lexsort((held.at, natural[held.item], user[held.user])))
        begun, first = np.unique(held.item, return_index=True)
        unseen = np.ones(self.num_items, dtype=np.bool_)
        unseen[begun] = False
        rest = np.flatnonzero(unseen)
        order = np.concatenate([begun[np.argsort(first)], rest[np.argsort(natural[rest])]])
        item = np.empty(self.num_items, dtype=np.int64)
        item[order] = np.arange(self.num_items)
        columns = tuple(
            replace(column, values=column.values[np.argsort(user)])
            for column in sorted(self.user_columns, key=lambda column: column.name)
        )
        return replace(
            self.with_interactions(held.renumbered(user, item)),
            users=Vocabulary(users),
            items=Vocabulary(self.items.take(order)),
            entities=Vocabulary(entities),
            facts=self.facts.renumbered(item, entity),
            item_texts=_moved(self.item_texts, item),
            entity_names=_moved(self.entity_names, entity),
            links=self.links.renumbered({"user": user, "item": item, "entity": entity}),
            user_columns=columns,
            rejected=self.rejected.renumbered(user, item),
        )


def natural_key(text: str) -> tuple[list[str | int], str]:
    """Return by what ids are sorted in natural order: numbers in them count as numbers."""
    parts = _NUMBER.split(text)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], text


def _sorted(
    names: Sequence[NameT], key: Callable[[NameT], Any] = lambda name: name
) -> tuple[list[NameT], IntArray]:
    """Return names in order, and the place there of each."""
    order = sorted(range(len(names)), key=lambda row: key(names[row]))
    place = np.empty(len(names), dtype=np.int64)
    place[order] = np.arange(len(names))
    return [names[row] for row in order], place


def _moved(texts: tuple[str, ...], place: IntArray) -> tuple[str, ...]:
    return tuple(texts[row] for row in np.argsort(place)) if texts else texts
