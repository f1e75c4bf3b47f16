"""The graph around a node, and the paths between two items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import AfterValidator

from kgrec.data.records import MAX_ID
from kgrec.errors import NotFoundError
from kgrec.graph.pages import relation_types, type_of
from kgrec.graph.store import GraphStore
from kgrec.retrieval.paths import PathConfig, read_paths
from kgrec.schema import NodeKind, load_schema
from kgrec.serving import parameters as cursors
from kgrec.serving.catalogue import unknown_item
from kgrec.serving.config import MAX_PAGE
from kgrec.serving.graph_answers import (
    GraphNode,
    GraphPath,
    GraphPathStep,
    Neighbour,
    NeighbourPage,
    PathList,
    RelationCount,
)
from kgrec.serving.limits import expensive
from kgrec.serving.parameters import Cursor
from kgrec.serving.problems import InvalidRequestError
from kgrec.serving.schemas import Id, without_controls
from kgrec.serving.security import Role, require
from kgrec.serving.service import CurrentEngine

router = APIRouter(prefix="/v1", tags=["graph"], dependencies=[Depends(require(Role.READ))])

MAX_DEGREE = 20_000
"""Relations that a node may have for its neighbours to be put in order."""
MAX_PATHS = 100

NodeId = Annotated[
    str,
    Path(min_length=1, max_length=MAX_ID, examples=["person:george-lucas"]),
    AfterValidator(without_controls),
]


@router.get("/nodes/{kind}/{node_id:id}/neighbours")
def get_neighbours(
    engine: CurrentEngine,
    kind: NodeKind,
    node_id: NodeId,
    relation: Annotated[
        Sequence[str],
        Query(max_length=50, description="Types of relation; may be sent more than once."),
    ] = (),
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
    cursor: Cursor = None,
) -> NeighbourPage:
    """Return what a node is tied to by facts and links, and a user by interactions too.

    The interactions of an item come where `relation=INTERACTED` is sent.
    """
    store = engine.store
    counts = _counts(store, kind, node_id)
    types = list(relation) or sorted({one.relation for one in counts} - _of_users(kind))
    degree = sum(one.count for one in counts if one.relation in types)
    if degree > MAX_DEGREE:
        raise InvalidRequestError(
            f"the node has more than {MAX_DEGREE} such relations",
            value=degree,
            remedy="Send `relation` for a part of them, or POST /v1/queries/items_of_entity.",
        )
    after_relation, after_id, after_mark = cursors.decode(cursor, ["", "", ""])
    rows = store.read(
        "serving/node_neighbours",
        _slots(kind),
        id=node_id,
        relations=types,
        after_relation=after_relation,
        after_id=after_id,
        after_mark=after_mark,
        limit=limit + 1,
    )
    following = None
    if len(rows) > limit:
        last = rows[limit - 1]
        following = cursors.encode([last["relation"], last["id"], last["mark"]])
    return NeighbourPage(
        degree=counts, items=[_neighbour(row) for row in rows[:limit]], next=following
    )


@router.get("/paths", dependencies=[Depends(expensive)])
def get_paths(
    engine: CurrentEngine,
    start: Annotated[Id, Query(alias="from", description="Id of an item.", examples=["50"])],
    end: Annotated[Id, Query(alias="to", description="Id of an item.", examples=["181"])],
    hops: Annotated[int, Query(ge=1, le=4, description="Relations of a path at most.")] = 3,
    limit: Annotated[int, Query(ge=1, le=MAX_PATHS)] = 20,
) -> PathList:
    """Return the paths of facts and links between two items, as explanations have them."""
    found = engine.store.read("recommend/titles", items=[start, end])
    nodes = {row["item_id"]: _node("item", row["item_id"], row["title"], row) for row in found}
    for item_id in (start, end):
        if item_id not in nodes:
            raise unknown_item(item_id)
    titles = {item_id: node.name for item_id, node in nodes.items()}
    paths = (
        read_paths(
            engine.store,
            {start: titles[start]},
            {end: titles[end]},
            config=PathConfig(max_hops=hops),
        )
        if start != end
        else []
    )
    items = [
        GraphPath(
            weight=path.weight,
            degree=path.degree,
            steps=[
                GraphPathStep(
                    relation=step.relation,
                    forward=step.forward,
                    node=GraphNode(
                        kind=step.node.kind,
                        id=step.node.id,
                        name=step.node.name,
                        type=nodes[step.node.id].type
                        if step.node.kind == "item" and step.node.id in nodes
                        else step.node.type,
                    ),
                    confidence=step.confidence,
                    source=step.source,
                    evidence=step.evidence,
                )
                for step in path.steps
            ],
        )
        for path in paths[:limit]
    ]
    return PathList(start=nodes[start], end=nodes[end], items=items)


def _of_users(kind: NodeKind) -> set[str]:
    return set() if kind == "user" else {load_schema().relations.interacted}


def _counts(store: GraphStore, kind: NodeKind, node_id: str) -> list[RelationCount]:
    types = [*relation_types(store).names, load_schema().relations.interacted]
    rows = store.read("serving/relation_counts", _slots(kind), id=node_id, relations=types)
    if not rows:
        raise NotFoundError(
            f"there is no such {kind}", value=node_id, remedy=f"GET /v1/{_LISTS[kind]} lists them."
        )
    return [
        RelationCount(
            relation=row["relation"],
            direction="out" if row["outgoing"] else "in",
            count=row["count"],
        )
        for row in rows
        if row["count"]
    ]


_LISTS: dict[NodeKind, str] = {"item": "items", "entity": "entities", "user": "users"}


def _slots(kind: NodeKind) -> dict[str, str]:
    slots = load_schema().core.end_slots(kind, kind)
    return {name: slots[name] for name in ("head", "head_key")}


def _neighbour(row: dict[str, Any]) -> Neighbour:
    return Neighbour(
        relation=row["relation"],
        direction="out" if row["outgoing"] else "in",
        node=_node(row["kind"], row["id"], row["name"], row),
        confidence=row["confidence"],
        source=row["source"],
        evidence=row["evidence"],
    )


def _node(kind: NodeKind, node_id: str, name: str, row: dict[str, Any]) -> GraphNode:
    shared = load_schema().core.label_of(kind)
    return GraphNode(kind=kind, id=node_id, name=name, type=type_of(row["labels"], shared))
