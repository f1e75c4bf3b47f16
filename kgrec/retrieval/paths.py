"""Knowledge paths: history item → entity → recommended item, each read back from the graph."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kgrec.config import FrozenModel
from kgrec.graph.store import GraphStore
from kgrec.schema import load_schema


class PathConfig(FrozenModel):
    """Bounds of the search for paths.

    Attributes:
        max_degree: entities that more items share say too little of any two.
        catalogue: size of the catalogue that rarity is measured against when it is unknown.
    """

    max_degree: int = 1000
    catalogue: int = 10_000


class PathFact(FrozenModel):
    """One relation of the graph, as it was found.

    Attributes:
        meaning: the sentence of the relation, with `{item}` and `{entity}` in it.
        source, evidence: where it comes from, and the words that say it; empty where unknown.
    """

    item_id: str
    title: str
    relation: str
    entity_id: str
    entity: str
    entity_type: str
    confidence: float
    meaning: str
    source: str = ""
    evidence: str = ""


class KnowledgePath(FrozenModel):
    """Two facts that meet in one entity.

    Attributes:
        history: the fact of the history item.
        item: the fact of the recommended item.
        degree: how many items share the entity.
        weight: rarity of the entity, log(items / degree), times both confidences.
    """

    history: PathFact
    item: PathFact
    degree: int
    weight: float


def read_paths(
    store: GraphStore,
    history: Mapping[str, str],
    items: Mapping[str, str],
    *,
    num_items: int | None = None,
    meanings: Mapping[str, str] | None = None,
    config: PathConfig | None = None,
) -> list[KnowledgePath]:
    """Return every path from items of a history to items, the heaviest first.

    Args:
        history, items: id to title.
        num_items: size of the catalogue.
        meanings: sentence of each relation type; None takes those of the known domains.
    """
    config = config or PathConfig()
    if not history or not items:
        return []
    rows = store.read(
        "recommend/paths",
        history=list(history),
        items=list(items),
        max_degree=config.max_degree,
    )
    size = num_items or config.catalogue
    told = meanings_of(None) if meanings is None else meanings
    paths = [_path(row, history, items, size, told) for row in rows if row["entity"]]
    return sorted(paths, key=_order)


def meanings_of(domain: str | None) -> dict[str, str]:
    """Return the sentence of each relation type of the known domains, and of one more by name.

    Args:
        domain: name of a domain, or path of a domain file of the user's own.
    """
    schema = load_schema()
    domains = [*schema.domains.values()]
    if domain is not None:
        domains.append(schema.domain(domain))
    return {name: relation.meaning for each in domains for name, relation in each.relations.items()}


def _order(path: KnowledgePath) -> tuple[Any, ...]:
    return (-path.weight, path.item.item_id, path.history.item_id, path.item.entity_id)


def _path(
    row: Mapping[str, Any],
    history: Mapping[str, str],
    items: Mapping[str, str],
    size: int,
    meanings: Mapping[str, str],
) -> KnowledgePath:
    entity = {
        "entity_id": row["entity_id"],
        "entity": row["entity"],
        "entity_type": _type_of(row["labels"]),
    }
    item = PathFact(
        item_id=row["item_id"],
        title=items[row["item_id"]],
        relation=row["relation"],
        meaning=_meaning(row["relation"], meanings),
        confidence=row["confidence"],
        source=row["source"],
        evidence=row["evidence"],
        **entity,
    )
    met = PathFact(
        item_id=row["history_id"],
        title=history[row["history_id"]],
        relation=row["history_relation"],
        meaning=_meaning(row["history_relation"], meanings),
        confidence=row["history_confidence"],
        source=row["history_source"],
        evidence=row["history_evidence"],
        **entity,
    )
    rarity = math.log(max(size, row["degree"] + 1) / row["degree"])
    weight = rarity * item.confidence * met.confidence
    return KnowledgePath(history=met, item=item, degree=row["degree"], weight=weight)


def _meaning(relation: str, meanings: Mapping[str, str]) -> str:
    plain = f"{{item}} {relation.lower().replace('_', ' ')} {{entity}}"
    return meanings.get(relation, plain).rstrip(". ")


def _type_of(labels: Sequence[str]) -> str:
    shared = load_schema().labels.entity
    return next((label for label in sorted(labels) if label != shared), shared)
