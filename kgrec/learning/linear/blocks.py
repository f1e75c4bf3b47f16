"""Low-rank and sparse forms of the linear agent, for catalogues too large for a dense inverse.

The low-rank form is the closed form over the leading eigenvectors. The sparse form is that over
blocks of similar items: as in Steck 2019 ("Markov Random Fields for Collaborative Filtering"),
an item is regressed on few others, exactly. The difference is that items are partitioned along the
eigenvectors of the graph of nearest neighbours, so that one factorisation solves for hundreds of
them, over themselves and their nearest neighbours. SANSA (Spišák et al. 2023) factorises the whole
sparse matrix, which needs a sparse Cholesky library; this needs LAPACK on small dense matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from pydantic import Field
from threadpoolctl import threadpool_limits

from kgrec.config import FrozenModel
from kgrec.data.dataset import FloatArray, IntArray
from kgrec.learning.knowledge_features import longest_kept, product_budget, strongest_products
from kgrec.learning.linear.gram import Evidence, last_columns


def leading_eigenvectors(
    multiply: Callable[[FloatArray], FloatArray],
    size: int,
    count: int,
    seed: int,
    *,
    rounds: int = 6,
) -> FloatArray:
    """Return eigenvectors of a symmetric matrix, strongest last, float32 [N, count].

    Randomised subspace iteration (Halko, Martinsson and Tropp 2011).

    Args:
        multiply: returns the product of the matrix with float32 [N, M].
        size: N.
        count: number of eigenvectors.
        seed: seed of the random start.
        rounds: number of multiplications; more of them separate close eigenvalues.
    """
    return _leading(multiply, size, count, seed, rounds)[0]


def _leading(
    multiply: Callable[[FloatArray], FloatArray], size: int, count: int, seed: int, rounds: int
) -> tuple[FloatArray, FloatArray]:
    count = min(count, size)
    width = min(count + 16, size)
    basis = np.random.default_rng(seed).standard_normal((size, width), dtype=np.float32)
    basis, _ = np.linalg.qr(basis)
    for _ in range(rounds):
        basis, _ = np.linalg.qr(multiply(basis))
    values, vectors = np.linalg.eigh(basis.T @ multiply(basis))
    return np.asarray(basis @ vectors[:, -count:], dtype=np.float32), values[-count:]


@dataclass(frozen=True, eq=False)
class LowRank:
    """S^-½ G S^-½ ≈ V diag(q) Vᵀ, S the shape of the ridge: any ridge needs no new decomposition.

    With Λ = r·S and w = q / (q + r), the inverse is Λ^-½ (I - V diag(w) Vᵀ) Λ^-½, and

        B_hj = √(S_j / S_h) · V_h diag(w) V_jᵀ / (1 - V_j diag(w) V_jᵀ)   for h ≠ j.

    Attributes:
        vectors: V, float32 [I, D].
        values: q, float32 [D].
        root: √S, float32 [I].
    """

    vectors: FloatArray
    values: FloatArray
    root: FloatArray

    @classmethod
    def of(
        cls, evidence: Evidence, knowledge: float, rank: int, seed: int, *, rounds: int = 4
    ) -> LowRank:
        """Decompose the Gram matrix by products with its factors, without forming it."""
        root = np.sqrt(evidence.ridge_shape)
        scale = sp.diags_array(1.0 / root)
        halves = [sp.csr_matrix(evidence.users @ scale)]
        if knowledge > 0 and evidence.features.nnz:
            halves.append(sp.csr_matrix(knowledge**0.5 * (evidence.features @ scale)))

        def multiply(basis: FloatArray) -> FloatArray:
            return np.asarray(sum(_gram_times(half, basis) for half in halves), dtype=np.float32)

        vectors, values = _leading(multiply, evidence.num_items, rank, seed, rounds)
        return cls(vectors, np.maximum(values, 0.0), root)

    def factors(self, ridge: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return history factors and item factors, float32 [I, D], and their own products [I].

        B is the product of the factors less its diagonal.
        """
        weight = np.sqrt(self.values / (self.values + ridge))
        weighted = self.vectors * weight  # [I, D]
        own = np.minimum(np.square(weighted).sum(axis=1), 1.0 - 1e-4)
        history = weighted / self.root[:, None]
        item = weighted * (self.root / (1.0 - own))[:, None]
        return history, item, own / (1.0 - own)

    def inverse_diagonal(self, ridge: float) -> FloatArray:
        """Return the diagonal of (G + Λ)⁻¹, float32 [I]."""
        own = np.square(self.vectors * np.sqrt(self.values / (self.values + ridge))).sum(axis=1)
        left = 1.0 - np.minimum(own, 1.0 - 1e-4)
        return np.asarray(left / (ridge * self.root**2), dtype=np.float32)


def _gram_times(rows: sp.csr_matrix, basis: FloatArray, block: int = 65_536) -> FloatArray:
    """Return AᵀA·basis, [N, M], with at most `block` rows of A·basis in memory."""
    product = np.zeros_like(basis)
    for start in range(0, rows.shape[0], block):
        part = rows[start : start + block]
        product += part.T @ (part @ basis)
    return product


class BlockConfig(FrozenModel):
    """The partition of the catalogue into blocks.

    Attributes:
        targets: maximum number of targets of a block.
        context: maximum number of further items of a block.
        neighbours: number of nearest items of each target that are in the context.
        column_size: number of the strongest weights of each target that are kept.
        embedding_dim: number of eigenvectors of the neighbourhood graph that the partition uses.
        products_per_entry: maximum number of products per entry in the search of neighbours, for
            which long histories and frequent features are subsampled.
    """

    targets: int = Field(default=256, ge=1)
    context: int = Field(default=512, ge=1)
    neighbours: int = Field(default=64, ge=1)
    column_size: int = Field(default=256, ge=1)
    embedding_dim: int = Field(default=48, ge=1)
    products_per_entry: int = Field(default=300, ge=1)


@dataclass(frozen=True)
class ItemBlock:
    """Items whose weights are solved for together.

    Attributes:
        targets: rows of the items whose columns are kept, int64 [T].
        context: rows of other items with weights for the targets, int64 [C].
    """

    targets: IntArray
    context: IntArray


def cut(
    evidence: Evidence, config: BlockConfig, nearness: tuple[float, float], seed: int
) -> list[ItemBlock]:
    """Partition the catalogue into blocks of similar items; each item is a target once.

    Args:
        nearness: ridge and weight of knowledge of the similarity; the solution may use others.
    """
    near = neighbourhoods(evidence, config, *nearness, seed)
    vectors = leading_eigenvectors(*_symmetric(near), config.embedding_dim, seed)
    return [
        ItemBlock(targets, _context(near, targets, config.context))
        for targets in _bisect(_unit(vectors), np.arange(len(vectors)), config.targets)
    ]


def neighbourhoods(
    evidence: Evidence, config: BlockConfig, ridge: float, knowledge: float, seed: int
) -> sp.csr_matrix:
    """Return the nearest items of each, by the cosine under the ridge, CSR float32 [I, I].

    The cosine is G_ij / √((G_ii + λ_i)(G_jj + λ_j)): the ridge keeps rare pairs from the top.
    """
    parts = []
    for matrix, weight in ((evidence.users, 1.0), (evidence.features, knowledge)):
        rows = sp.csr_matrix(matrix)
        if rows.nnz and weight > 0:
            budget = product_budget(rows.nnz, config.products_per_entry)
            parts.append(_thinned(rows, budget, seed) * np.float32(weight**0.5))
    stacked = sp.csr_matrix(sp.vstack(parts))
    scale = sp.diags_array(evidence.diagonal(ridge, knowledge) ** -0.5)
    scaled = sp.csr_matrix(stacked @ scale)
    return strongest_products(sp.csr_matrix(scaled.T), scaled, config.neighbours)


def _thinned(rows: sp.csr_matrix, budget: int, seed: int) -> sp.csr_matrix:
    """Subsample long rows, without reweighting, since the result only ranks neighbours."""
    lengths = np.diff(rows.indptr).astype(np.int64)
    longest = longest_kept(lengths, budget)
    if lengths.max(initial=0) <= longest:
        return rows
    odds = np.minimum(1.0, longest / np.maximum(lengths, 1))
    row = np.repeat(np.arange(len(lengths)), lengths)
    kept = np.random.default_rng(seed).random(rows.nnz) < odds[row]
    entries = (rows.data[kept], (row[kept], rows.indices[kept]))
    return sp.csr_matrix(entries, shape=rows.shape)


def _symmetric(near: sp.csr_matrix) -> tuple[Callable[[FloatArray], FloatArray], int]:
    """Return multiplication with the symmetric, normalised neighbourhood graph, and its size."""
    graph = sp.csr_matrix(near + near.T)
    degree = np.maximum(np.asarray(graph.sum(axis=1)).ravel(), 1e-6)
    scale = sp.diags_array(degree.astype(np.float32) ** -0.5)
    normal = sp.csr_matrix(scale @ graph @ scale)
    return normal.__matmul__, normal.shape[0]


def _unit(vectors: FloatArray) -> FloatArray:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-12), dtype=np.float32)


def _bisect(vectors: FloatArray, rows: IntArray, size: int) -> Iterator[IntArray]:
    """Halve the items along the direction of largest variance, until blocks are small."""
    if len(rows) <= size:
        yield np.sort(rows)
        return
    centred = vectors[rows] - vectors[rows].mean(axis=0)
    direction = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    order = np.argsort(centred @ direction, kind="stable")
    for half in np.array_split(rows[order], 2):
        yield from _bisect(vectors, half, size)


def _context(near: sp.csr_matrix, targets: IntArray, size: int) -> IntArray:
    """Return the other items that are nearest to all targets together."""
    nearby = near[targets]
    nearness = np.bincount(nearby.indices, weights=nearby.data, minlength=near.shape[1])
    nearness[targets] = 0.0
    found = np.flatnonzero(nearness)
    if len(found) > size:
        found = found[np.argpartition(-nearness[found], size)[:size]]
    return np.sort(found)


def solve_blocks(
    evidence: Evidence,
    blocks: Sequence[ItemBlock],
    ridge: float,
    knowledge: float,
    column_size: int,
    *,
    dropout: float = 0.0,
    workers: int = 1,
    advance: Callable[[], None] = lambda: None,
) -> tuple[sp.csc_matrix, FloatArray]:
    """Solve for the columns of the targets of some blocks; other columns are empty.

    Within a block the weights are exactly those of the closed form over its items.

    Args:
        dropout: see `Evidence.gram`.

    Returns:
        B, CSC float32 [I, I], and the diagonal of the inverse, float32 [I], 0 of other items.
    """
    inverse = np.zeros(evidence.num_items, dtype=np.float32)

    def solve(block: ItemBlock) -> tuple[IntArray, IntArray, FloatArray]:
        items = np.concatenate([block.context, block.targets])
        gram = evidence.gram(items, ridge, knowledge, dropout)
        weights, inverse[block.targets] = last_columns(gram, len(block.targets))
        return _strongest(items, block.targets, weights, column_size)

    parts = []
    # Blocks run in parallel; threads of BLAS beside them would oversubscribe the cores.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(workers) as pool:
        for part in pool.map(solve, blocks):
            parts.append(part)
            advance()
    row, column, value = (np.concatenate(each) for each in zip(*parts, strict=True))
    shape = (evidence.num_items, evidence.num_items)
    return sp.csc_matrix((value, (row, column)), shape=shape), inverse


def _strongest(
    items: IntArray, targets: IntArray, weights: FloatArray, size: int
) -> tuple[IntArray, IntArray, FloatArray]:
    """Return rows, columns and values of the largest weights of each column."""
    size = min(size, len(items))
    near = np.argpartition(-np.abs(weights), size - 1, axis=0)[:size]
    value = np.take_along_axis(weights, near, axis=0).ravel()
    row = items[near].ravel().astype(np.int32)
    column = np.tile(targets.astype(np.int32), size)
    kept = value != 0
    return row[kept], column[kept], value[kept]
