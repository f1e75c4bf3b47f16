"""Facts, links and new entities into the graph: one relation for each head, type and tail.

The counts of a load, kept while it runs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from kgrec.data.records import LinkRecord, Node
from kgrec.graph.pages import Ends, RelationTypes, fact_pages, relation_types
from kgrec.graph.redirects import Redirects, redirects_of
from kgrec.graph.store import GraphStore, Step
from kgrec.schema import NodeKind, load_schema
from kgrec.stages.loading.corrected import CORRECTION, corrections_of

T = TypeVar("T")


@dataclass
class Tally:
    """Counts of one load.

    Attributes:
        rows: all rows of the file, whatever became of them.
        created, updated, unchanged: items, users, entities, interactions or links.
        repeated: interactions that stand in the file more than once, of which the last one counts;
            rows of items and entities whose facts were joined with those of a row before, or that
            give a fact once more, beside columns that are not read.
        users, items: created because interactions name them.
        entities: created because facts or links name them.
        facts, links: created or changed.
        withdrawn: facts and links that a source held before and no longer holds.
        retired: items and interactions that a complete source no longer holds.
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
    links: int = 0
    withdrawn: int = 0
    retired: int = 0

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
_CREATE = "ingest/create_facts"
_HEADS_A_READ = 2_000


Head = tuple[NodeKind, str]
"""Kind and id of the node that a fact or link leads from."""


_Key = tuple[NodeKind, str, str, NodeKind, str]
"""Kind and id of the head, relation, kind and id of the tail."""


class _Known(NamedTuple):
    confidence: float
    source: str
    extractor: str
    evidence: str

    def record(self, key: _Key) -> LinkRecord:
        """Return the fact or link that it is."""
        ends = (Node(*key[:2]), key[2], Node(*key[3:]))
        return LinkRecord(*ends, self.confidence, self.source, self.extractor, self.evidence)


@dataclass(frozen=True)
class FactChanges:
    """What has to be written so that the graph holds some facts and links.

    Attributes:
        steps: for `GraphStore.write_all`.
        created_alone: how many facts the steps must create that are not merged.
        heads: nodes whose facts or links change.
        losing: nodes of which one is withdrawn.
        gone: what is withdrawn; ends without their names.
        owned: how many facts and links the sources held for the nodes before.
        created, updated, withdrawn: how many facts and links.
    """

    steps: list[Step]
    created_alone: int
    heads: frozenset[Head]
    losing: frozenset[Head]
    gone: tuple[LinkRecord, ...]
    owned: int
    created: int
    updated: int
    withdrawn: int

    @property
    def written(self) -> int:
        """How many facts and links are created or changed."""
        return self.created + self.updated


def no_steps(changes: FactChanges) -> list[Step]:
    """Return nothing that changes of facts bring with them."""
    return []


def fact_changes(
    store: GraphStore,
    records: Iterable[LinkRecord],
    run_id: str,
    *,
    withdraw: Mapping[Head, frozenset[str]],
    ends: Sequence[Ends] = (("item", "entity"),),
    fresh: Collection[Head] = frozenset(),
) -> FactChanges:
    """Compare facts and links with the graph. Of two sources of one, the more confident stays.

    An end that was merged into another node counts as that one. What a person confirmed
    stays, and what a person rejected goes, whatever the sources hold.

    Args:
        records: between nodes that are there, or are created by steps before these; entities
            that they lead to or from are created.
        withdraw: node to sources; what such a source held for the node before, and is not among
            `records`, is withdrawn.
        ends: kinds of node between which the sources may have held something before.
        fresh: nodes that steps before these create, or fail; they have no facts yet.
    """
    if redirects := redirects_of(store):
        records = [now for one in records if (now := redirects.link(one)) is not None]
        withdraw = _withdraw_now(redirects, withdraw)
    records = list(records)
    given = {one.head.id for one in records if one.head.kind == "item"}
    given |= {node for kind, node in withdraw if kind == "item"}
    corrected = corrections_of(store, given, redirects)
    refused = {_key(one) for one in corrected.rejected}
    # What a person confirmed comes first, so that no equally confident source replaces it.
    keyed = [(_key(one), one) for one in [*corrected.confirmed, *records]]
    keyed = [pair for pair in keyed if pair[0] not in refused] if refused else keyed
    alone = _distinct(pair for pair in keyed if pair[0][:2] in fresh) if fresh else {}
    if alone:
        keyed = [pair for pair in keyed if pair[0][:2] not in fresh]
    wanted = _distinct(keyed)
    heads = {key[:2] for key in wanted} | withdraw.keys()
    pairs = dict.fromkeys([*ends, *((key[0], key[3]) for key in wanted)])
    known = _known_facts(store, heads, list(pairs)) if heads else {}
    held = {(key, fact.source) for key, fact in keyed} if known else set()
    # A source that holds something again replaces its earlier record, even with less confidence;
    # one that holds it no longer leaves it to another.
    weaker = [
        key
        for key, fact in wanted.items()
        if key in known
        and known[key].source in withdraw.get(key[:2], ())
        and (
            (key, known[key].source) not in held
            or (fact.source == known[key].source and fact.confidence < known[key].confidence)
        )
    ]
    new = {key: fact for key, fact in wanted.items() if _differs(fact, known.get(key))}
    new |= {key: wanted[key] for key in weaker}
    gone = [
        key
        for key, fact in known.items()
        if key in refused or (key not in wanted and fact.source in withdraw.get(key[:2], ()))
    ]
    withdrawal = _withdrawal_steps([*gone, *weaker], known)
    created = _creation_steps(alone, run_id)
    entities = _entity_steps([*alone.values(), *new.values()])
    steps = [*withdrawal, *entities, *created, *_fact_steps(new, run_id)]
    changed = frozenset(key[:2] for key in [*alone, *new, *gone])
    lost = frozenset(key[:2] for key in gone)
    updated = sum(key in known for key in new)
    owned = sum(fact.source in withdraw.get(key[:2], ()) for key, fact in known.items())
    left = tuple(known[key].record(key) for key in gone)
    counts = (len(alone) + len(new) - updated, updated, len(gone))
    return FactChanges(steps, len(alone), changed, lost, left, owned, *counts)


def _withdraw_now(
    redirects: Redirects, withdraw: Mapping[Head, frozenset[str]]
) -> dict[Head, frozenset[str]]:
    found: dict[Head, frozenset[str]] = {}
    for (kind, node), sources in withdraw.items():
        head = (kind, redirects.of(kind, node))
        found[head] = found.get(head, frozenset()) | sources
    return found


def written_alone(steps: Iterable[Step], answers: Iterable[list[dict[str, Any]]]) -> int:
    """Return how many facts the steps of a transaction created that are not merged."""
    pairs = zip(steps, answers, strict=True)
    return sum(int(rows[0]["written"]) for step, rows in pairs if step[0] == _CREATE and rows)


def created_entities(steps: Iterable[Step], answers: Iterable[list[dict[str, Any]]]) -> int:
    """Return how many entities the steps of a transaction created."""
    pairs = zip(steps, answers, strict=True)
    return sum(
        int(rows[0]["created"]) for step, rows in pairs if step[0] == "ingest/create_entities"
    )


def _key(fact: LinkRecord) -> _Key:
    head, relation, tail, *_ = fact
    return head[0], head[1], relation, tail[0], tail[1]


def _distinct(keyed: Iterable[tuple[_Key, LinkRecord]]) -> dict[_Key, LinkRecord]:
    found: dict[_Key, LinkRecord] = {}
    for key, fact in keyed:
        if key not in found or fact.confidence > found[key].confidence:
            found[key] = fact
    return found


def _known_facts(
    store: GraphStore, heads: Iterable[Head], pairs: Iterable[Ends]
) -> dict[_Key, _Known]:
    known: dict[_Key, _Known] = {}
    types = relation_types(store)
    by_kind: dict[NodeKind, list[str]] = defaultdict(list)
    for kind, node in sorted(heads):
        by_kind[kind].append(node)
    for ends in pairs:
        for batch in batched(by_kind[ends[0]], _HEADS_A_READ):
            known |= _known_between(store, batch, types, ends)
    return known


def _known_between(
    store: GraphStore, heads: Sequence[str], types: RelationTypes, ends: Ends
) -> dict[_Key, _Known]:
    known = {}
    for page in fact_pages(store, heads, types, ends):
        keys = zip(page["heads"], page["relations"], page["tails"], strict=True)
        columns = ("confidences", "sources", "extractors", "evidence")
        values = zip(*(page[column] for column in columns), strict=True)
        for (head, relation, tail), value in zip(keys, values, strict=True):
            known[ends[0], heads[head], relation, ends[1], tail] = _Known(*value)
    return known


def _differs(fact: LinkRecord, known: _Known | None) -> bool:
    if known is None or fact.confidence > known.confidence:
        return True
    if fact.source == CORRECTION != known.source:
        return True
    if (fact.source, fact.confidence) != (known.source, known.confidence):
        return False
    return (fact.extractor, fact.evidence) != (known.extractor, known.evidence)


def _entity_steps(records: Iterable[LinkRecord]) -> list[Step]:
    nodes = (node for record in records for node in (record.head, record.tail))
    return entity_steps(node for node in nodes if node.kind == "entity")


def entity_steps(entities: Iterable[Node]) -> list[Step]:
    """Return steps that create the entities that are not there."""
    types: dict[str, dict[str, str]] = defaultdict(dict)
    for node in entities:
        types[node.type].setdefault(node.id, node.name)
    return [
        ("ingest/create_entities", {"entity_type": entity_type}, {"rows": rows})
        for entity_type, names in types.items()
        for rows in batched(
            ({"entity_id": one, "name": name} for one, name in names.items()), FACTS_A_STATEMENT
        )
    ]


def _fact_steps(facts: Mapping[_Key, LinkRecord], run_id: str) -> list[Step]:
    relations: dict[tuple[str, Ends], list[dict[str, Any]]] = defaultdict(list)
    # By tail, so that the relations of an entity that many nodes share come together.
    for key, fact in sorted(facts.items(), key=lambda pair: pair[0][3:]):
        row = {"head": key[1], "tail": key[4], "confidence": fact.confidence}
        row |= {"source": fact.source, "extractor": fact.extractor, "evidence": fact.evidence}
        relations[fact.relation, (key[0], key[3])].append(row)
    return [
        ("ingest/upsert_facts", _slots(*kind), {"rows": rows, "run_id": run_id})
        for kind, all_rows in relations.items()
        for rows in batched(all_rows, FACTS_A_STATEMENT)
    ]


def _creation_steps(facts: Mapping[_Key, LinkRecord], run_id: str) -> Iterator[Step]:
    """Yield steps that create facts of nodes which have none; those alike come together."""
    kinds: dict[tuple[Any, ...], list[_Key]] = defaultdict(list)
    for key, fact in facts.items():
        kinds[*fact[3:], key[2], (key[0], key[3])].append(key)
    for (confidence, source, extractor, evidence, relation, ends), every in kinds.items():
        given = {"confidence": confidence, "source": source, "extractor": extractor}
        given |= {"evidence": evidence, "run_id": run_id}
        for keys in batched(every, FACTS_A_STATEMENT):
            tails: dict[str, int] = {}
            heads: dict[str, list[int]] = defaultdict(list)
            for key in keys:
                heads[key[1]].append(tails.setdefault(key[4], len(tails)))
            groups = [{"head": head, "places": places} for head, places in heads.items()]
            rows = {"tails": list(tails), "groups": groups}
            yield _CREATE, _slots(relation, ends), {**rows, **given}


def _withdrawal_steps(keys: Iterable[_Key], known: Mapping[_Key, _Known]) -> list[Step]:
    relations: dict[tuple[str, Ends], list[dict[str, str]]] = defaultdict(list)
    for key in keys:
        row = {"head": key[1], "tail": key[4], "source": known[key].source}
        relations[key[2], (key[0], key[3])].append(row)
    return [
        ("ingest/delete_facts", _slots(*kind), {"rows": rows}) for kind, rows in relations.items()
    ]


def _slots(relation: str, ends: Ends) -> dict[str, str]:
    return {**load_schema().core.end_slots(*ends), "relation": relation}
