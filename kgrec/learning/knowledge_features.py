"""Knowledge features of items with their weights, and the largest entries of sparse products.

Products are computed in blocks of rows, so that none is held whole.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgrec.data.dataset import Dataset, FloatArray, IntArray, LinkType
from kgrec.model.folding.knowledge_index import (
    OF_FACTS,
    OF_LINKED_ENTITIES,
    OF_LINKED_ITEMS,
    KnowledgeIndex,
)

# On small data every product, and every entry, is computed.
FREE_PRODUCTS = 200_000_000
FREE_ENTRIES = 1_000_000
# Maximum number of second-hop features, as a multiple of the number of facts.
HOP_GROWTH = 10
HOP_DECAY = 0.5


def strongest_of_rows(matrix: sp.csr_matrix, size: int) -> sp.csr_matrix:
    """Keep the largest stored entries of each row of CSR [N, M], in the same shape and type."""
    start = matrix.indptr.astype(np.int64)
    kept = np.ones(matrix.nnz, dtype=np.bool_)
    for row in np.flatnonzero(np.diff(start) > size).tolist():
        begin, end = start[row], start[row + 1]
        excess = int(end - begin) - size
        kept[begin + np.argpartition(matrix.data[begin:end], excess)[:excess]] = False
    ends = np.concatenate([[0], np.cumsum(kept)])[start]
    return sp.csr_matrix((matrix.data[kept], matrix.indices[kept], ends), shape=matrix.shape)


def strongest_products(
    left: sp.csr_matrix, right: sp.csr_matrix, size: int, *, max_entries: int = 20_000_000
) -> sp.csr_matrix:
    """Keep the largest entries of each row of a product, less its diagonal, CSR float32 [N, M].

    Time and memory grow with the products that are not zero.

    Args:
        left: CSR [N, D].
        right: CSR [D, M].
        size: maximum number of entries of a row that are kept.
        max_entries: approximate number of entries of the product that are held at a time.
    """
    blocks = [sp.csr_matrix(np.zeros((0, right.shape[1]), dtype=np.float32))]
    for start, end in _blocks(left, right, max_entries):
        product = sp.csr_matrix(left[start:end] @ right)
        row = np.repeat(np.arange(start, end), np.diff(product.indptr))
        product.data[product.indices == row] = 0.0
        product.eliminate_zeros()
        blocks.append(strongest_of_rows(product, size))
    result = sp.csr_matrix(sp.vstack(blocks), dtype=np.float32)
    result.sort_indices()
    return result


def _blocks(
    left: sp.csr_matrix, right: sp.csr_matrix, max_entries: int
) -> Iterator[tuple[int, int]]:
    """Cut the rows where the entries of the product, counted with repeats, reach the limit."""
    per_row = np.minimum(_work(left, right), right.shape[1])
    place = np.cumsum(per_row) // max(max_entries, 1)
    edges = np.flatnonzero(np.diff(place, prepend=-1))
    return zip(edges, [*edges[1:], left.shape[0]], strict=True)


def _work(left: sp.csr_matrix, right: sp.csr_matrix) -> NDArray[np.int64]:
    """Return how many products each row of `left @ right` adds up, int64 [N]."""
    lengths = np.diff(right.indptr).astype(np.int64)[left.indices]
    return np.asarray(np.diff(np.concatenate([[0], np.cumsum(lengths)])[left.indptr]))


def product_budget(entries: int, per_entry: int) -> int:
    """Return the maximum number of products in the search of neighbours; on small data, all."""
    return max(FREE_PRODUCTS, entries * per_entry)


def widest_kept(lengths: IntArray, most_products: int) -> int:
    """Return the maximum length of the rows that are kept, where longer ones are dropped.

    A row of n entries is part of n² products of a Gram matrix.

    Args:
        lengths: of the rows, int64 [N].
        most_products: maximum of Σ n² over the rows that are kept.
    """
    distinct, count = np.unique(lengths, return_counts=True)
    products = np.cumsum(np.square(distinct, dtype=np.float64) * count)
    within = int(np.searchsorted(products, most_products, side="right"))
    return int(distinct[within - 1]) if within else 0


def longest_kept(lengths: IntArray, most_products: int) -> int:
    """Return the length L that rows are truncated to, so that Σ min(n, L)² is within a limit."""
    low, high = 1, int(lengths.max(initial=1))
    while low < high:
        middle = (low + high + 1) // 2
        if np.square(np.minimum(lengths, middle), dtype=np.float64).sum() <= most_products:
            low = middle
        else:
            high = middle - 1
    return low


def strongest(weights: FloatArray, row_size: int, *, by_size: bool = False) -> sp.csr_matrix:
    """Keep the largest entries of each row of a dense matrix, CSR float32 of the same shape.

    Args:
        weights: float32 [N, I].
        by_size: whether entries are compared by absolute value.
    """
    size = min(row_size, weights.shape[1])
    rank = -np.abs(weights) if by_size else -weights
    near = np.argpartition(rank, size - 1, axis=1)[:, :size]
    start = np.arange(0, near.size + 1, size)
    values = np.take_along_axis(weights, near, axis=1).ravel()
    matrix = sp.csr_matrix((values, near.ravel(), start), shape=weights.shape, dtype=np.float32)
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix


def item_features(train: Dataset, decay: float = HOP_DECAY) -> sp.csr_matrix:
    """Return the knowledge features of the items, CSR float32 [I, K], over more than one hop.

    Features of an item are its facts, with their confidences; the entities that its entities are
    linked to, as (relation, link, entity); and the items that it is linked to, itself included. The
    last two have `decay` times the weight. Features of a single item are left out.

    Args:
        decay: weight of the second hop; 0 uses no links.
    """
    if not decay or not len(train.links):
        return train.features()
    features, keys = _all_features(train, min_degree=2)
    scale = np.where(keys[:, 0] == OF_FACTS, 1.0, decay).astype(np.float32)
    return sp.csr_matrix(features @ sp.diags_array(scale), dtype=np.float32)


def knowledge_index(train: Dataset) -> KnowledgeIndex:
    """Return the features of the items, by which those of items that come later are found."""
    features, keys = _all_features(train, min_degree=1)
    linked, types = _entity_links(train)
    head, link, tail, confidence = linked
    order = np.argsort(head, kind="stable")
    return KnowledgeIndex(
        train.entities,
        train.facts.relations,
        types,
        keys,
        sp.csr_matrix(features, dtype=np.float32),
        np.column_stack([head, link, tail])[order].astype(np.int64),
        confidence[order].astype(np.float32),
    )


def _all_features(train: Dataset, *, min_degree: int) -> tuple[sp.csr_matrix, IntArray]:
    """Return the features over one and two hops, not discounted, and `KnowledgeIndex.keys`."""
    size = train.num_items, len(train.entities)
    facts, pairs = train.facts.keyed_features(*size, min_degree=min_degree)
    none = np.full(len(pairs), -1, dtype=np.int64)
    kind = np.full(len(pairs), OF_FACTS, dtype=np.int64)
    parts, keys = [facts], [np.column_stack([kind, pairs[:, 0], none, pairs[:, 1]])]
    if len(train.links):
        for part, found in (_of_linked_entities(train, facts.nnz), _of_linked_items(train)):
            held_by = np.bincount(part.indices, minlength=part.shape[1])
            kept = np.flatnonzero(held_by >= min_degree)
            parts.append(sp.csr_matrix(part[:, kept]))
            keys.append(found[kept])
    return sp.csr_matrix(sp.hstack(parts), dtype=np.float32), np.concatenate(keys)


def _entity_links(
    train: Dataset,
) -> tuple[tuple[IntArray, IntArray, IntArray, FloatArray], tuple[LinkType, ...]]:
    """Return the links between entities in both directions, and their types."""
    linked = train.links.of("entity", "entity")
    columns = linked.head, linked.relation, linked.tail, linked.confidence
    return both_ways(*columns, len(linked.types)), linked.types


def _of_linked_entities(train: Dataset, entries: int) -> tuple[sp.csr_matrix, IntArray]:
    """Return item x (relation, link, entity at its other end) with products of confidences.

    Entities are added by ascending degree, up to `HOP_GROWTH` times as many entries as facts.
    """
    facts, num_entities = train.facts, max(len(train.entities), 1)
    (head, link, tail, confidence), types = _entity_links(train)
    order = np.argsort(head, kind="stable")
    degree = np.bincount(head, minlength=num_entities)
    held = np.bincount(facts.entity, minlength=num_entities)
    # An entity adds as many entries as the product of its facts and its links.
    cheapest = np.argsort(degree, kind="stable")
    cost = np.cumsum((held * degree)[cheapest])
    walked = np.zeros(num_entities, dtype=np.bool_)
    walked[cheapest[cost <= HOP_GROWTH * entries + FREE_ENTRIES]] = True
    rows = np.flatnonzero(walked[facts.entity] & (degree[facts.entity] > 0))
    count = degree[facts.entity[rows]]
    start = np.concatenate([[0], np.cumsum(degree)])[facts.entity[rows]]
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    edge = order[np.repeat(start, count) + within]
    fact = np.repeat(rows, count)
    links = 2 * max(len(types), 1)
    key = (facts.relation[fact] * links + link[edge]) * num_entities + tail[edge]
    matrix, distinct = _strongest_of_cells(
        facts.item[fact], key, facts.confidence[fact] * confidence[edge], train.num_items
    )
    pair, entity = np.divmod(distinct, num_entities)
    kind = np.full(len(distinct), OF_LINKED_ENTITIES, dtype=np.int64)
    return matrix, np.column_stack([kind, *np.divmod(pair, links), entity])


def _of_linked_items(train: Dataset) -> tuple[sp.csr_matrix, IntArray]:
    """Return item x (link, item): the items that it is linked to, and itself where it has links."""
    links = train.links.of("item", "item")
    ends = np.concatenate([links.head, links.tail])
    others = np.concatenate([links.tail, links.head])
    kind = np.concatenate([links.relation, links.relation])
    sure = np.concatenate([links.confidence, links.confidence])
    item = np.concatenate([ends, ends])
    key = np.concatenate([kind, kind]) * train.num_items + np.concatenate([others, ends])
    matrix, distinct = _strongest_of_cells(item, key, np.concatenate([sure, sure]), train.num_items)
    sort = np.full(len(distinct), OF_LINKED_ITEMS, dtype=np.int64)
    none = np.full(len(distinct), -1, dtype=np.int64)
    return matrix, np.column_stack([sort, none, *np.divmod(distinct, train.num_items)])


def both_ways(
    head: IntArray, relation: IntArray, tail: IntArray, confidence: FloatArray, types: int
) -> tuple[IntArray, IntArray, IntArray, FloatArray]:
    """Return edges and their reverses, as relations of their own, [2L] each.

    Args:
        head, relation, tail: int64 [L]; the reverse of relation `r` is relation `r + types`.
        confidence: float32 [L].
        types: how many relation types there are.
    """
    return (
        np.concatenate([head, tail]),
        np.concatenate([relation, relation + types]),
        np.concatenate([tail, head]),
        np.concatenate([confidence, confidence]),
    )


def _strongest_of_cells(
    item: IntArray, key: IntArray, value: FloatArray, num_items: int
) -> tuple[sp.csr_matrix, IntArray]:
    """Return item x distinct key with the largest value of each cell, CSR float32 [I, K], and keys.

    The keys are int64 [K], rising.
    """
    distinct, column = np.unique(key, return_inverse=True)
    cell, place = np.unique(item * max(len(distinct), 1) + column, return_inverse=True)
    largest = np.zeros(len(cell), dtype=np.float32)
    np.maximum.at(largest, place, value.astype(np.float32))
    ends = np.divmod(cell, max(len(distinct), 1))
    matrix = sp.csr_matrix((largest, ends), shape=(num_items, len(distinct)))
    return matrix, distinct.astype(np.int64)


def degree_features(train: Dataset, decay: float = HOP_DECAY) -> sp.csr_matrix | None:
    """Return F, item x feature with weights 1/√degree, CSR float32 [I, K].

    The degree is the number of items with the feature. None where no two items share one.

    Args:
        decay: see `item_features`.
    """
    features = item_features(train, decay)
    if not features.nnz:
        return None
    held_by = np.maximum(np.bincount(features.indices, minlength=features.shape[1]), 1)
    return sp.csr_matrix(features @ sp.diags_array(held_by**-0.5), dtype=np.float32)


def unit_features(train: Dataset, decay: float = HOP_DECAY) -> sp.csr_matrix | None:
    """Return the features with IDF weights and rows of length 1, CSR float32 [I, K], or None."""
    features = item_features(train, decay)
    if not features.nnz:
        return None
    held_by = np.maximum(np.bincount(features.indices, minlength=features.shape[1]), 1)
    weighted = sp.csr_matrix(features @ sp.diags_array(np.log(train.num_items / held_by)))
    length = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    scale = np.divide(1.0, length, out=np.zeros_like(length), where=length > 0)
    return sp.csr_matrix(sp.diags_array(scale) @ weighted, dtype=np.float32)


def cosine_rows(
    train: Dataset,
    row_size: int,
    *,
    decay: float = HOP_DECAY,
    products_per_entry: int = 300,
    max_entries: int = 20_000_000,
) -> sp.csr_matrix | None:
    """Return Kc, the cosine of the items' features, CSR float32 [I, I] with a zero diagonal.

    Time and memory grow with the facts. The most frequent features, whose pairs of items would be
    too many, are left out of the inner products, but not of the norms: their IDF is small.

    Args:
        row_size: number of the most similar history items (rows) that are kept for each candidate
            (column); by column, so that rare items keep theirs.
        products_per_entry: maximum number of products for each entry of the features.
        max_entries: approximate number of cosines that are held at a time.

    Returns:
        None where no two items share a feature.
    """
    features = unit_features(train, decay)
    if features is None:
        return None
    columns = sp.csr_matrix(features.T)
    held_by = np.diff(columns.indptr).astype(np.int64)
    widest = widest_kept(held_by, product_budget(features.nnz, products_per_entry))
    columns = sp.csr_matrix(columns[held_by <= widest])
    near = strongest_products(sp.csr_matrix(columns.T), columns, row_size, max_entries=max_entries)
    return sp.csr_matrix(near.T, dtype=np.float32)
