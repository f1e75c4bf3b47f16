"""Read what a report is about, in pages of keys: the graph holds one page at a time, and so do we.

Of each item, entity and user only a number or two stay here, so a million of them take some tens
of megabytes; examples are kept up to a bound.
"""

from __future__ import annotations

import heapq
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from kgrec.data.cells.values import is_nothing, null_words
from kgrec.graph.pages import fact_pages, key_pages, properties_in, relation_types, type_of
from kgrec.graph.setup import GraphCounts, count_graph
from kgrec.graph.store import GraphStore
from kgrec.progress import SILENT, Progress
from kgrec.schema import load_schema
from kgrec.stages.graph_report.doubles import Doubles
from kgrec.stages.retiring.restore import Retired, count_orphans, list_retired

EXAMPLES = 5
_A_PAGE = 2_000
_SAMPLED = 300
_EVIDENCE = 12
_MOST = 15
_FIRST_DAY = date(1970, 1, 1)
_LEAST_DAY, _MOST_DAY = (date.min - _FIRST_DAY).days, (date.max - _FIRST_DAY).days
_TITLES = null_words(("n/a", "#n/a", "nan", "null", "undefined", "<na>"))
"""What no item is called; films are called Unknown, Nil and None."""


class NodeExamples:
    """How many nodes something is true of, and some of them."""

    def __init__(self) -> None:
        self.count = 0
        self.shown: list[str] = []

    def add(self, example: str) -> None:
        self.count += 1
        if len(self.shown) < EXAMPLES:
            self.shown.append(example)


@dataclass(frozen=True)
class StatedFact:
    """A fact that was found in a text, with the words that state it."""

    item_id: str
    relation: str
    entity: str
    evidence: str
    extractor: str
    confidence: float


@dataclass
class GraphReading:
    """What was read of a graph.

    Attributes:
        degrees: for each of four counts how many nodes have which number.
        nothing: values that are words for nothing, by where they stand.
        hubs: the entities with most items: number, type, id, name; of each type the most.
        users: the users with most interactions: number and id.
        facts: how many by relation, source, extractor and tenths of the confidence.
        interactions: how many by kind and month; None for an unknown time.
        future: interactions that are later than now, by kind.
    """

    counts: GraphCounts
    degrees: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    nothing: dict[tuple[str, str], NodeExamples] = field(
        default_factory=lambda: defaultdict(NodeExamples)
    )
    untitled: NodeExamples = field(default_factory=NodeExamples)
    textless: NodeExamples = field(default_factory=NodeExamples)
    factless: NodeExamples = field(default_factory=NodeExamples)
    unknown: NodeExamples = field(default_factory=NodeExamples)
    hubs: dict[str, list[tuple[int, str, str]]] = field(default_factory=dict)
    types: Counter[str] = field(default_factory=Counter)
    users: list[tuple[int, str]] = field(default_factory=list)
    facts: Counter[tuple[str, str, str, int]] = field(default_factory=Counter)
    interactions: Counter[tuple[str, int | None]] = field(default_factory=Counter)
    future: Counter[str] = field(default_factory=Counter)
    items: Doubles = field(default_factory=Doubles)
    entities: Doubles = field(default_factory=Doubles)
    evidence: list[StatedFact] = field(default_factory=list)
    retired: list[Retired] = field(default_factory=list)
    orphans: int = 0


def read_graph(store: GraphStore, progress: Progress = SILENT) -> GraphReading:
    """Read all that a report is about."""
    reading = GraphReading(count_graph(store))
    core = load_schema().core
    total = sum(reading.counts.nodes.get(label, 0) for label in core.keys)
    with progress.task("read the graph", total) as task:
        for number in _read_items(store, reading):
            task.advance(number)
        for number in _read_entities(store, reading):
            task.advance(number)
        for number in _read_users(store, reading):
            task.advance(number)
    reading.retired = list_retired(store)
    reading.orphans = count_orphans(store)
    return reading


def _chunks(store: GraphStore, label: str) -> Iterator[list[str]]:
    for keys in key_pages(store, label):
        for first in range(0, len(keys), _A_PAGE):
            yield keys[first : first + _A_PAGE]


def _read_items(store: GraphStore, reading: GraphReading) -> Iterator[int]:
    words = null_words(None)
    properties = properties_in(store)
    dated = properties.index("year") if "year" in properties else None
    sample = _Sample(_SAMPLED)
    for keys in _chunks(store, load_schema().labels.item):
        [page] = store.read("report/items", keys=keys, properties=properties)
        columns = ("ids", "titles", "texts", "values", "facts", "interactions")
        for item, title, text, values, facts, users in zip(*map(page.get, columns), strict=True):
            _look_at_item(reading, words, item, title, text, facts, users)
            for name, value in zip(properties, values, strict=True):
                for one in value if isinstance(value, list) else (value,):
                    if is_nothing(one, words):
                        reading.nothing[f"property {name}", one].add(item)
            year = "" if dated is None or values[dated] is None else str(values[dated])
            reading.items.add(load_schema().labels.item, title, item, year)
            if facts:
                sample.offer(item)
        for row in store.read("report/facts", keys=keys):
            key = (row["relation"], row["source"], row["extractor"], int(row["tenths"]))
            reading.facts[key] += row["facts"]
        yield len(keys)
    reading.evidence = _evidence(store, sorted(sample.kept))


def _look_at_item(
    reading: GraphReading,
    words: frozenset[str],
    item: str,
    title: str,
    text: str,
    facts: int,
    users: int,
) -> None:
    reading.degrees["facts of an item"][facts] += 1
    reading.degrees["interactions of an item"][users] += 1
    if is_nothing(title, _TITLES):
        reading.nothing["title", title].add(item)
    if is_nothing(text, words):
        reading.nothing["description", text].add(item)
    if not title.strip():
        reading.untitled.add(item)
    if not text.strip():
        reading.textless.add(item)
    if not facts:
        reading.factless.add(item)
        if not users and not text.strip():
            reading.unknown.add(item)


def _read_entities(store: GraphStore, reading: GraphReading) -> Iterator[int]:
    label = load_schema().labels.entity
    words = null_words(None)
    for keys in _chunks(store, label):
        [page] = store.read("report/entities", keys=keys)
        columns = ("ids", "names", "labels", "items")
        for entity, name, labels, items in zip(*map(page.get, columns), strict=True):
            kind = type_of(labels, label)
            reading.types[kind] += 1
            reading.degrees["items of an entity"][items] += 1
            if is_nothing(name, words):
                reading.nothing[f"{kind} entity", name].add(entity)
            best = reading.hubs.setdefault(kind, [])
            _keep(best, (items, entity, name))
            reading.entities.add(kind, name, entity)
        yield len(keys)


def _read_users(store: GraphStore, reading: GraphReading) -> Iterator[int]:
    now = int(time.time() * 1000)
    for keys in _chunks(store, load_schema().labels.user):
        [page] = store.read("report/users", keys=keys)
        for user, number in zip(page["ids"], page["interactions"], strict=True):
            reading.degrees["interactions of a user"][number] += 1
            _keep(reading.users, (number, user))
        for row in store.read("report/interactions", keys=keys, now=now):
            month = None if row["day"] is None else _month_of(int(row["day"]))
            reading.interactions[row["kind"], month] += row["interactions"]
            if row["future"]:
                reading.future[row["kind"]] += row["interactions"]
        yield len(keys)


def _month_of(day: int) -> int:
    """Return the months since the year 0 of a day since 1970."""
    there = _FIRST_DAY + timedelta(days=min(max(day, _LEAST_DAY), _MOST_DAY))
    return there.year * 12 + there.month - 1


def _keep(best: list[Any], one: tuple[Any, ...]) -> None:
    """Keep the most of what comes, as a heap."""
    if len(best) < _MOST:
        heapq.heappush(best, one)
    else:
        heapq.heappushpop(best, one)


class _Sample:
    """So many of what is offered, each with the same chance, the same each time."""

    def __init__(self, size: int) -> None:
        self.kept: list[str] = []
        self._size, self._seen = size, 0
        self._draw = random.Random(0)  # noqa: S311 - a sample, no secret

    def offer(self, one: str) -> None:
        self._seen += 1
        if len(self.kept) < self._size:
            self.kept.append(one)
            return
        place = self._draw.randrange(self._seen)
        if place < self._size:
            self.kept[place] = one


def _evidence(store: GraphStore, items: list[str]) -> list[StatedFact]:
    found: dict[tuple[str, str], list[StatedFact]] = defaultdict(list)
    for page in fact_pages(store, items, relation_types(store)):
        columns = ("heads", "relations", "tails", "evidence", "extractors", "confidences")
        for row, relation, tail, evidence, extractor, sure in zip(
            *map(page.get, columns), strict=True
        ):
            if evidence:
                one = StatedFact(items[row], relation, tail, evidence, extractor, float(sure))
                found[relation, extractor].append(one)
    kept: list[StatedFact] = []  # some of each relation and way of finding it
    while found and len(kept) < _EVIDENCE:
        for key in sorted(found):
            if len(kept) < _EVIDENCE:
                kept.append(found[key].pop(0))
            if not found[key]:
                del found[key]
    return kept
