"""Filters drawn at random, with what passes them by brute force over what was read of a graph."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from kgrec.graph.pages import entity_pages, fact_pages, item_pages, relation_types
from kgrec.graph.store import GraphStore
from kgrec.schema import Domain, load_schema

Drawn = tuple[str, set[str]]


@dataclass
class Facts:
    """Facts of items as sets of ids, by column and name.

    Attributes:
        every: all items.
        years: year of each item that has one.
        one: items by column and name of an entity.
        over: items by column, column of the entity between, and name.
    """

    every: set[str] = field(default_factory=set)
    years: dict[str, int] = field(default_factory=dict)
    one: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    over: dict[tuple[str, str, str], set[str]] = field(default_factory=lambda: defaultdict(set))

    @classmethod
    def read(cls, store: GraphStore, domain: str = "movies") -> Facts:
        """Read a graph, edge by edge, by the export's statements."""
        found, words = cls(), load_schema().domain(domain)
        for page in item_pages(store, properties=["year"]):
            found.every.update(page["ids"])
            pairs = zip(page["ids"], page["values"], strict=True)
            found.years.update({item: year for item, (year,) in pairs if year is not None})
        names: dict[str, str] = {}
        for page in entity_pages(store):
            names.update(zip(page["ids"], page["names"], strict=True))
        types = relation_types(store)
        onward: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for page in fact_pages(store, entities := sorted(names), types, ("entity", "entity")):
            for row, relation, tail in zip(
                page["heads"], page["relations"], page["tails"], strict=True
            ):
                head = entities[row]
                column = _column(words, relation, head.partition(":")[0])
                onward[head].add((column, names[tail]))
        for page in fact_pages(store, items := sorted(found.every), types):
            for row, relation, tail in zip(
                page["heads"], page["relations"], page["tails"], strict=True
            ):
                column = _column(words, relation, "")
                found.one[column, names[tail]].add(items[row])
                for second, name in onward[tail]:
                    found.over[relation.lower(), second, name].add(items[row])
        return found


def draw(rng: np.random.Generator, facts: Facts, depth: int = 3) -> Drawn:
    """Draw a filter; its text, and the ids of the items that pass it."""
    kind = rng.random()
    if depth == 0 or kind < 0.25:
        return _condition(rng, facts)
    if kind < 0.4:
        text, items = draw(rng, facts, depth - 1)
        return f"not ({text})", facts.every - items
    (one, left), (two, right) = draw(rng, facts, depth - 1), draw(rng, facts, depth - 1)
    if kind < 0.7:
        return f"({one}) and ({two})", left & right
    return f"({one} or {two})", left | right


def _condition(rng: np.random.Generator, facts: Facts) -> Drawn:
    low, high = (int(n) for n in np.sort(rng.choice(sorted(set(facts.years.values())), 2)))
    years: list[tuple[str, Callable[[int], bool]]] = [
        (f"year={low}..{high}", lambda year: low <= year <= high),
        (f"year>={low}", lambda year: year >= low),
        (f"year < {high}", lambda year: year < high),
        (f"year={low}|{high}", lambda year: year in (low, high)),
    ]
    kind = int(rng.integers(8))
    if kind < len(years):
        text, holds = years[kind]
        return text, {item for item, year in facts.years.items() if holds(year)}
    if kind == 4 and facts.over:
        column, second, name = _of(rng, sorted(facts.over))
        return f"{column}.{second} = {_quoted(name)}", set(facts.over[column, second, name])
    column, name = _of(rng, sorted(facts.one))
    others = sorted(other for at, other in facts.one if at == column)
    other = others[int(rng.integers(len(others)))]
    if kind == 5:
        items = facts.one[column, name] | facts.one[column, other]
        return f"{column}={_quoted(name)}|{_quoted(other)}", set(items)
    if kind == 6:
        return f"{column}!={_quoted(name)}", facts.every - facts.one[column, name]
    return f"{column}={_quoted(name)}", set(facts.one[column, name])


def _of(rng: np.random.Generator, keys: list) -> tuple:  # type: ignore[type-arg]
    return keys[int(rng.integers(len(keys)))]  # type: ignore[no-any-return]


def _quoted(name: str) -> str:
    return f'"{name}"' if '"' not in name else name


def _column(domain: Domain, relation: str, head: str) -> str:
    known = domain.relations_of(head).get(relation)
    return known.columns[0] if known is not None and known.columns else relation.lower()
