"""What a load did to the graph, counted while it runs.

Facts and entities into the graph: one relation for each item, type and entity.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from kgrec.data.records import FactRecord
from kgrec.graph.store import GraphStore, Step

T = TypeVar("T")


@dataclass
class Tally:
    """Counts of one load.

    Attributes:
        rows: all rows of the file, whatever became of them.
        created, updated, unchanged: items, users or interactions.
        repeated: interactions that stand in the file more than once; the last one counts.
        users, items: created because interactions name them.
        entities, facts, withdrawn: entities and facts created or changed, and facts that a column
            held before and no longer holds.
    """

    rows: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    repeated: int = 0
    users: int = 0
    items: int = 0
    entities: int = 0
    facts: int = 0
    withdrawn: int = 0

    def add(self, other: Tally) -> None:
        """Count what another tally holds as well."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


def batched(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of at most `size` values."""
    iterator = iter(values)
    while batch := list(islice(iterator, size)):
        yield batch


FACTS_A_STATEMENT = 5_000
_ITEMS_A_READ = 2_000


class _Key(NamedTuple):
    item_id: str
    relation: str
    entity_id: str


@dataclass(frozen=True, slots=True)
class _Known:
    confidence: float
    source: str
    extractor: str
    evidence: str


@dataclass(frozen=True)
class FactChanges:
    """What has to be written so that the graph holds some facts.

    Attributes:
        steps: for `GraphStore.write_all`.
        items: whose facts change.
        losing: items of which a fact is withdrawn.
    """

    steps: list[Step]
    items: frozenset[str]
    losing: frozenset[str]
    facts: int
    withdrawn: int


def fact_changes(
    store: GraphStore,
    facts: Iterable[FactRecord],
    run_id: str,
    *,
    withdraw: Mapping[str, frozenset[str]],
) -> FactChanges:
    """Compare facts with the graph. Where two sources say the same, the more confident one stays.

    Args:
        facts: of items that are there, or are created by steps before these.
        withdraw: item to sources; what such a source said of the item before, and is not among
            `facts`, is withdrawn.
    """
    wanted = _distinct(facts)
    items = {key.item_id for key in wanted} | withdraw.keys()
    known = _known_facts(store, sorted(items))
    # What a source says again, it says instead of what it said before, even if it is less sure.
    weaker = [
        key
        for key, fact in wanted.items()
        if key in known
        and fact.source == known[key].source
        and fact.source in withdraw.get(key.item_id, ())
        and fact.confidence < known[key].confidence
    ]
    new = {key: fact for key, fact in wanted.items() if _differs(fact, known.get(key))}
    new |= {key: wanted[key] for key in weaker}
    gone = [
        key
        for key, fact in known.items()
        if key not in wanted and fact.source in withdraw.get(key.item_id, ())
    ]
    withdrawal = _withdrawal_steps([*gone, *weaker], known)
    steps = [*withdrawal, *_entity_steps(new), *_fact_steps(new, run_id)]
    changed = frozenset(key.item_id for key in [*new, *gone])
    lost = frozenset(key.item_id for key in gone)
    return FactChanges(steps, changed, lost, facts=len(new), withdrawn=len(gone))


def created_entities(steps: Iterable[Step], answers: Iterable[list[dict[str, Any]]]) -> int:
    """Return how many entities the steps of a transaction created."""
    pairs = zip(steps, answers, strict=True)
    return sum(
        int(rows[0]["created"]) for step, rows in pairs if step[0] == "ingest/create_entities"
    )


def _distinct(facts: Iterable[FactRecord]) -> dict[_Key, FactRecord]:
    found: dict[_Key, FactRecord] = {}
    for fact in facts:
        key = _Key(fact.item_id, fact.relation, fact.entity_id)
        if key not in found or fact.confidence > found[key].confidence:
            found[key] = fact
    return found


def _known_facts(store: GraphStore, items: list[str]) -> dict[_Key, _Known]:
    known: dict[_Key, _Known] = {}
    for batch in batched(items, _ITEMS_A_READ):
        for row in store.read("export/facts", items=batch):
            keys = zip(row["items"], row["relations"], row["entities"], strict=True)
            columns = ("confidences", "sources", "extractors", "evidence")
            values = zip(*(row[column] for column in columns), strict=True)
            for (item, relation, entity), value in zip(keys, values, strict=True):
                known[_Key(batch[item], relation, entity)] = _Known(*value)
    return known


def _differs(fact: FactRecord, known: _Known | None) -> bool:
    if known is None or fact.confidence > known.confidence:
        return True
    if (fact.source, fact.confidence) != (known.source, known.confidence):
        return False
    return (fact.extractor, fact.evidence) != (known.extractor, known.evidence)


def _entity_steps(facts: Mapping[_Key, FactRecord]) -> list[Step]:
    types: dict[str, dict[str, str]] = defaultdict(dict)
    for key, fact in facts.items():
        types[fact.entity_type].setdefault(key.entity_id, fact.name)
    return [
        ("ingest/create_entities", {"entity_type": entity_type}, {"rows": rows})
        for entity_type, names in types.items()
        for rows in batched(
            ({"entity_id": one, "name": name} for one, name in names.items()), FACTS_A_STATEMENT
        )
    ]


def _fact_steps(facts: Mapping[_Key, FactRecord], run_id: str) -> list[Step]:
    relations: dict[str, list[dict[str, Any]]] = defaultdict(list)
    # By entity, so that the relations of one that many items share come together.
    for key, fact in sorted(facts.items(), key=lambda pair: pair[0].entity_id):
        row = {"item_id": key.item_id, "entity_id": key.entity_id, "confidence": fact.confidence}
        row |= {"source": fact.source, "extractor": fact.extractor, "evidence": fact.evidence}
        relations[fact.relation].append(row)
    return [
        ("ingest/upsert_facts", {"relation": relation}, {"rows": rows, "run_id": run_id})
        for relation, all_rows in relations.items()
        for rows in batched(all_rows, FACTS_A_STATEMENT)
    ]


def _withdrawal_steps(keys: Iterable[_Key], known: Mapping[_Key, _Known]) -> list[Step]:
    relations: dict[str, list[dict[str, str]]] = defaultdict(list)
    for key in keys:
        row = {"item_id": key.item_id, "entity_id": key.entity_id, "source": known[key].source}
        relations[key.relation].append(row)
    return [
        ("ingest/delete_facts", {"relation": relation}, {"rows": rows})
        for relation, rows in relations.items()
    ]
