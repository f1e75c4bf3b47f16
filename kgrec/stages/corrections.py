"""Corrections of facts by a person: confirm, reject, or name another entity in its place.

They are kept in the graph, survive whatever is loaded or extracted later, and are examples to
train an extractor on.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from kgrec.config import Record
from kgrec.data.records import LinkRecord, Node
from kgrec.errors import ConfigError, NotFoundError
from kgrec.graph.pages import fact_pages, pages_of_items, relation_types
from kgrec.graph.redirects import redirects_of
from kgrec.graph.setup import ensure_schema
from kgrec.graph.store import GraphStore, Step
from kgrec.schema import Domain, load_schema
from kgrec.stages.loading.corrected import CONFIRMED, CORRECTION, REJECTED
from kgrec.stages.loading.facts import fact_changes

Verdict = Literal["confirm", "reject", "change"]
_A_PAGE = 1_000
_SURE = 0.9
"""Confidence from which a fact beside a corrected one is an example as well."""
_MOST_NAMED = 10


class CorrectionDone(Record):
    """What a correction did.

    Attributes:
        name, entity_id: of the entity that the fact is about.
        instead: the entity that took its place, empty where none did.
        written, withdrawn: facts that the graph holds since, and no longer.
    """

    item_id: str
    relation: str
    entity_id: str
    name: str
    verdict: Verdict
    instead: str = ""
    written: int = 0
    withdrawn: int = 0


class CorrectedText(Record):
    """The text of an item of which facts were corrected, and the names that it may hold.

    Attributes:
        names: of each relation, by the facts that the graph holds with confidence.
    """

    id: str
    text: str
    names: dict[str, list[str]]


def correct(
    store: GraphStore,
    item_id: str,
    relation: str,
    entity: str,
    verdict: Verdict,
    *,
    instead: str = "",
    domain: Domain | None = None,
) -> CorrectionDone:
    """Confirm or reject a fact of an item, or put another entity in its place.

    Args:
        relation: a relation type from the items to one entity type.
        entity: its name, or its id. A fact that is confirmed need not be there yet.
        instead: name of the other entity, where the verdict is `change`.
        domain: that of the item, where the graph's labels do not show it.

    Raises:
        NotFoundError: there is no such item, or it has no such fact.
        ConfigError: the domain has no such relation, or `instead` does not fit the verdict.
    """
    if (verdict == "change") != bool(instead.strip()):
        raise ConfigError("another name is given with `change`, and only then", value=instead)
    redirects = redirects_of(store)
    item_id, entity = redirects.of("item", item_id), redirects.of("entity", entity)
    kind = _tail_type(store, item_id, relation, domain)
    facts = _facts_of(store, item_id, relation)
    node = redirects.node(_named(entity, kind, facts))
    if node.id not in facts and verdict != "confirm":
        names = ", ".join(sorted(one.tail.name for one in facts.values())[:_MOST_NAMED])
        raise NotFoundError(
            f"the item has no such fact of {relation}",
            value=entity,
            remedy=f"It has: {names}." if names else "It has none.",
        )
    evidence = facts[node.id].evidence if node.id in facts else ""
    rows = [_row(item_id, relation, node, verdict, instead.strip(), evidence)]
    other = redirects.node(Node.entity(kind, " ".join(instead.split())))
    if verdict == "change":
        if other.id == node.id:
            raise ConfigError("the other name is the same entity", value=instead)
        rows.append(_row(item_id, relation, other, "confirm", "", ""))
    ensure_schema(store)
    kept: Step = ("corrections/keep", {}, {"rows": rows, "at": datetime.now(UTC)})
    store.write_all([kept], set())
    # With the correction in the graph, the facts follow from it as they do in every load.
    head = Node("item", item_id)
    changes = fact_changes(store, [], CORRECTION, withdraw={head[:2]: frozenset()})
    store.write_all(changes.steps, {item_id})
    return CorrectionDone(
        item_id=item_id,
        relation=relation,
        entity_id=node.id,
        name=node.name,
        verdict=verdict,
        instead=other.name if verdict == "change" else "",
        written=changes.written,
        withdrawn=changes.withdrawn,
    )


def corrected_texts(store: GraphStore) -> Iterator[CorrectedText]:
    """Yield the texts of all items of which facts were corrected, as examples to train on.

    The names of a text are those of corrected facts and of others that are confident. Where a fact
    was rejected its name is none of them, so that it is learned not to be one.
    """
    items: dict[str, None] = {}
    after = ""
    while rows := store.read("corrections/page", after=after, limit=_A_PAGE):
        items |= dict.fromkeys(str(row["item_id"]) for row in rows)
        after = str(rows[-1]["correction_id"])
    names = _names_of(store, list(items))
    for page in pages_of_items(store, list(items)):
        for item_id, text in zip(page["ids"], page["descriptions"], strict=True):
            if text:
                yield CorrectedText(id=item_id, text=text, names=dict(names[item_id]))


def _names_of(store: GraphStore, items: Sequence[str]) -> dict[str, dict[str, list[str]]]:
    sure: list[tuple[str, str, str]] = []
    for page in fact_pages(store, items, relation_types(store)):
        columns = (page["heads"], page["relations"], page["tails"], page["confidences"])
        sure += [
            (items[row], relation, tail)
            for row, relation, tail, confidence in zip(*columns, strict=True)
            if confidence >= _SURE
        ]
    shown = _entity_names(store, sorted({tail for *_, tail in sure}))
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for item, relation, tail in sure:
        if tail in shown:
            found[item][relation].append(shown[tail])
    return found


def _entity_names(store: GraphStore, entities: Sequence[str]) -> dict[str, str]:
    rows = store.read("recommend/entity_names", entities=list(entities)) if entities else []
    return {str(row["entity_id"]): str(row["name"]) for row in rows}


def _tail_type(store: GraphStore, item_id: str, relation: str, domain: Domain | None) -> str:
    rows = store.read("serving/item", item_id=item_id, shared=[])
    if not rows:
        raise NotFoundError("there is no such item", value=item_id)
    labels = set(rows[0]["labels"])
    known = load_schema().domains.values()
    fitting = [domain] if domain else [one for one in known if one.item_label in labels]
    for one in fitting:
        if relation in one.facts:
            return one.facts[relation].tail
    names = ", ".join(name for one in fitting for name in one.facts)
    raise ConfigError(
        "no relation of this name leads from the item to an entity",
        value=relation,
        remedy=f"These do: {names}." if names else "Name the domain of the item (--domain).",
    )


def _facts_of(store: GraphStore, item_id: str, relation: str) -> dict[str, LinkRecord]:
    """Return the facts of an item in one relation, by the id of the entity."""
    found: dict[str, tuple[float, str, str, str]] = {}
    for page in fact_pages(store, [item_id], relation_types(store)):
        columns = ("confidences", "sources", "extractors", "evidence")
        values = zip(*(page[column] for column in columns), strict=True)
        facts = zip(page["relations"], page["tails"], values, strict=True)
        found |= {tail: value for name, tail, value in facts if name == relation}
    names = _entity_names(store, sorted(found))
    head = Node("item", item_id)
    return {
        tail: LinkRecord(head, relation, Node("entity", tail, "", names.get(tail, tail)), *value)
        for tail, value in found.items()
    }


def _named(entity: str, kind: str, facts: dict[str, LinkRecord]) -> Node:
    """Return the entity of an id or name, of the item's own ones first."""
    own = Node.entity(kind, " ".join(entity.split()))
    if entity in facts:
        return Node("entity", entity, kind, facts[entity].tail.name)
    if own.id in facts:
        return Node("entity", own.id, kind, facts[own.id].tail.name)
    alike = [one.tail for one in facts.values() if one.tail.name.casefold() == entity.casefold()]
    return Node("entity", alike[0].id, kind, alike[0].name) if len(alike) == 1 else own


def _row(
    item_id: str, relation: str, node: Node, verdict: Verdict, instead: str, evidence: str
) -> dict[str, Any]:
    key = json.dumps([item_id, relation, node.id]).encode()
    return {
        "correction_id": hashlib.blake2b(key, digest_size=12).hexdigest(),
        "item_id": item_id,
        "relation": relation,
        "entity_id": node.id,
        "entity_type": node.type,
        "name": node.name,
        "verdict": CONFIRMED if verdict == "confirm" else REJECTED,
        "instead": instead,
        "evidence": evidence or "",
    }
