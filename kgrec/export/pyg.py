"""A `Dataset` as torch-geometric's `HeteroData`, back again, and both in files.

Nodes are `user`, `item` and `entity`; an edge type is (head, relation, tail). The graph agents are
trained from this object (`kgrec.learning.agent.FitContext.hetero`), whether it was made in memory
or read from a folder.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

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
from kgrec.data.vocabulary import Vocabulary
from kgrec.schema import load_schema

with warnings.catch_warnings():
    # torch-geometric scripts some of its classes when it is imported, which torch deprecates.
    warnings.simplefilter("ignore")
    from torch_geometric.data import HeteroData as HeteroData

Encode = Callable[[Sequence[str]], FloatArray]
"""Texts to vectors, float32 [N, D]."""

MAX_NAMES = 24
"""Maximum number of entity names that are added to an item's text."""


def to_hetero(
    dataset: Dataset, encode: Encode | None = None, *, max_names: int = MAX_NAMES
) -> HeteroData:
    """Return the graph of a dataset.

    Nodes: `item.x` and `entity.x` are vectors of what is written, float32 [N, D], where there is an
    encoder; a node without text has the zero vector. `user.x`, float32 [U, C], holds the declared
    properties: a number is standardised and followed by a column that is 1 where it is known; a
    category has one column a value. `user.x_names` names the columns. `user.property` holds the
    properties as they were declared, `item.text` and `entity.name` what `x` was made of.

    Edges: (user, INTERACTED, item) has `value` float32, `time` int64 (milliseconds since 1970, UTC;
    0 where it is unknown) and `kind` int64. Every other edge type has `confidence` float32 and
    `position` int64, the row in the dataset's columns, so that the way back is exact.

    Args:
        dataset: vocabularies, interactions, facts, links and texts.
        encode: text encoder; None leaves items and entities without `x`.
        max_names: see `Dataset.described_items`.

    Raises:
        ModelError: the encoder cannot be loaded.
    """
    data = HeteroData()
    for name, vocabulary in vocabularies(dataset).items():
        data[name].num_nodes = len(vocabulary)
    data["item"].text, data["entity"].name = list(dataset.item_texts), list(dataset.entity_names)
    _add_user_columns(data, dataset.user_columns)
    if encode is not None:
        add_text_vectors(data, dataset, encode, max_names)
    set_interactions(data, dataset.interactions)
    facts, links = dataset.facts, dataset.links
    fact_types = [LinkType("item", relation, "entity") for relation in facts.relations]
    _add_edges(data, fact_types, facts.item, facts.relation, facts.entity, facts.confidence)
    _add_edges(data, links.types, links.head, links.relation, links.tail, links.confidence)
    return data


def from_hetero(data: HeteroData, ids: dict[str, Vocabulary]) -> Dataset:
    """Return the dataset that `to_hetero` was given, equal in every column.

    Args:
        data: the graph; what `x` holds is left out.
        ids: vocabulary of each node type.
    """
    edges = data[interacted()]
    user, item = (side.numpy() for side in edges.edge_index.cpu())
    interactions = Interactions(user, item, *(_numpy(edges[k]) for k in ("value", "time", "kind")))
    types = [LinkType(*kind) for kind in data.edge_types if kind != interacted()]
    facts = [kind for kind in types if (kind.head, kind.tail) == ("item", "entity")]
    links = [kind for kind in types if kind not in facts]
    categories = data["user"].categories
    return Dataset(
        ids["user"],
        ids["item"],
        interactions,
        ids["entity"],
        Facts(*_columns(data, facts), tuple(kind.relation for kind in facts)),
        tuple(data["item"].text),
        tuple(data["entity"].name),
        Links(*_columns(data, links), tuple(links)),
        tuple(
            Column(name, _numpy(values), categories[name])
            for name, values in data["user"].property.items()
        ),
    )


def vocabularies(dataset: Dataset) -> dict[str, Vocabulary]:
    """Return the vocabulary of each node type."""
    return {"user": dataset.users, "item": dataset.items, "entity": dataset.entities}


def interacted() -> tuple[str, str, str]:
    """Return the edge type of the interactions."""
    return ("user", load_schema().relations.interacted, "item")


def set_interactions(data: HeteroData, interactions: Interactions) -> None:
    """Replace the edges between users and items."""
    edges = data[interacted()]
    edges.edge_index = _edge_index(interactions.user, interactions.item)  # [2, E]
    edges.value = torch.from_numpy(interactions.value.astype(np.float32))
    edges.time = torch.from_numpy(interactions.at.astype(np.int64))
    edges.kind = torch.from_numpy(interactions.kind.astype(np.int64))


def add_text_vectors(
    data: HeteroData,
    dataset: Dataset,
    encode: Encode,
    max_names: int,
    entities: IntArray | None = None,
) -> None:
    """Give items and entities `x`, float32 [N, D], the zero vector where nothing is written.

    Args:
        dataset: that the graph was made of.
        max_names: see `Dataset.described_items`.
        entities: rows of those whose names are read, int64 [N]; None reads all.
    """
    texts = dataset.described_items(max_names)
    names = list(dataset.entity_names or ("",) * len(dataset.entities))
    if entities is not None:
        read = set(entities.tolist())
        names = [name if row in read else "" for row, name in enumerate(names)]
    written = [*texts, *names]
    rows = np.flatnonzero([bool(text.strip()) for text in written])
    if not len(rows):
        return
    found = encode([written[int(row)] for row in rows])
    vectors = np.zeros((len(written), found.shape[1]), dtype=np.float32)
    vectors[rows] = found
    data["item"].x = torch.from_numpy(vectors[: len(texts)])
    data["entity"].x = torch.from_numpy(vectors[len(texts) :])


def edges_between(
    data: HeteroData, head: str, tail: str
) -> tuple[tuple[str, ...], IntArray, IntArray, IntArray, FloatArray]:
    """Return the typed edges between two kinds of node, in the order of the dataset's rows.

    Returns:
        relation types; head, relation and tail of each edge, int64 [E]; confidence, float32 [E].
        Interactions are not among them.
    """
    kinds = [
        LinkType(*kind)
        for kind in data.edge_types
        if (kind[0], kind[2]) == (head, tail) and kind != interacted()
    ]
    rows, relation, columns, confidence = _columns(data, kinds)
    return tuple(kind.relation for kind in kinds), rows, relation, columns, confidence


def _add_user_columns(data: HeteroData, columns: Sequence[Column]) -> None:
    user = data["user"]
    user.property = {column.name: torch.from_numpy(np.asarray(column.values)) for column in columns}
    user.categories = {column.name: column.categories for column in columns}
    parts = [part for column in columns for part in _features(column)]
    user.x_names = [name for name, _ in parts]
    if parts:
        user.x = torch.from_numpy(np.stack([values for _, values in parts], axis=1))  # [U, C]


def _features(column: Column) -> Iterator[tuple[str, FloatArray]]:
    """Yield the columns of `user.x` that a property becomes, with their names."""
    if column.categories is not None:
        for row, value in enumerate(column.categories):
            yield f"{column.name}={value}", (column.values == row).astype(np.float32)
        return
    known = np.isfinite(column.values)
    mean = column.values[known].mean(dtype=np.float64) if known.any() else 0.0
    spread = column.values[known].std(dtype=np.float64) if known.any() else 0.0
    standard = np.where(known, (column.values - mean) / (spread or 1.0), 0.0)
    yield column.name, standard.astype(np.float32)
    yield f"{column.name} is known", known.astype(np.float32)


def _add_edges(
    data: HeteroData,
    types: Sequence[LinkType],
    head: IntArray,
    relation: IntArray,
    tail: IntArray,
    confidence: FloatArray,
) -> None:
    for number, kind in enumerate(types):
        rows = np.flatnonzero(relation == number)
        edges = data[tuple(kind)]
        edges.edge_index = _edge_index(head[rows], tail[rows])  # [2, E]
        edges.confidence = torch.from_numpy(confidence[rows].astype(np.float32))
        edges.position = torch.from_numpy(rows)


def _columns(
    data: HeteroData, types: Sequence[LinkType]
) -> tuple[IntArray, IntArray, IntArray, FloatArray]:
    """Return head, relation, tail and confidence of the edges of these types."""
    if not types:
        none = Links.empty()
        return none.head, none.relation, none.tail, none.confidence
    stores = [data[tuple(kind)] for kind in types]
    index = np.concatenate([_numpy(store.edge_index) for store in stores], axis=1)
    counts = [store.edge_index.shape[1] for store in stores]
    relation = np.repeat(np.arange(len(types), dtype=np.int64), counts)
    confidence = np.concatenate([_numpy(store.confidence) for store in stores])
    order = np.argsort(np.concatenate([_numpy(store.position) for store in stores]), kind="stable")
    return index[0][order], relation[order], index[1][order], confidence[order]


def _edge_index(source: IntArray, target: IntArray) -> Tensor:
    return torch.from_numpy(np.stack([source, target]).astype(np.int64))


def _numpy(tensor: Tensor) -> Any:
    return tensor.detach().cpu().numpy()
