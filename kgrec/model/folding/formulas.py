"""The parts of new items, agent by agent: the formulas of the trained networks for cold items.

semantic        x = rownorm((text − mean) P),  z = rownorm(x W),  b = x f
collaborative   A = rownorm(Σ_f F_f · K_f),    R = g1 · cosine of the knowledge features
sequential      V = rownorm(Σ_f F_f · K_f + T · text)
factorisation   z = Σ_f F_f · K_f

What is learned from an item's interactions (its own embedding, its bias, its convolution) is 0, as
the gates of the networks make it 0 for a cold item in training. Degrees count each new item by
itself; entity vectors are those of the training, in which new items have no part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgrec.data.dataset import FloatArray, IntArray
from kgrec.model.folding.inductive import LEAST, FoldedRows, Multiply, NewItems, unit_rows


class Formula:
    """Arrays and plain values of a frozen dataclass, for storage."""

    def revise(
        self, changed: NewItems, trained: FoldedRows, rows: IntArray, multiply: Multiply
    ) -> FoldedRows:
        """Return the parts of trained items as they are; see `Inductive.revise`."""
        return trained

    def settings(self) -> dict[str, Any]:
        """Return what is no array, as plain values."""
        return {
            name: value for name, value in self._parts.items() if not isinstance(value, np.ndarray)
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name."""
        return {name: value for name, value in self._parts.items() if isinstance(value, np.ndarray)}

    @classmethod
    def load(cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Read what `settings` and `arrays` returned."""
        return cls(**settings, **arrays)

    @property
    def _parts(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self)}  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class TextFormula(Formula):
    """Parts from the text alone: whitened or projected sentence vectors.

    Attributes:
        mean: of the sentence vectors, float32 [S].
        directions: P, float32 [S, D].
        map: W, float32 [D, D'], or None of vectors that are only whitened.
        taste: f, float32 [D], or None.
        tau: temperature of the cosine.
        max_names: maximum number of entity names that are added to a text.
    """

    name: ClassVar[str] = "text"

    mean: FloatArray
    directions: FloatArray
    map: FloatArray | None
    taste: FloatArray | None
    tau: float
    max_names: int

    def fold(self, new: NewItems, multiply: Multiply) -> FoldedRows:
        """Return the parts of new items; see `Inductive.fold`."""
        texts, written = new.sentence_vectors(self.max_names, len(self.mean))
        x = in_directions(texts, written, self.mean, self.directions)
        mapped = x if self.map is None else unit_rows(x @ self.map, LEAST)
        prior = None if self.taste is None else np.asarray(x @ self.taste, dtype=np.float32)
        return FoldedRows(np.asarray(mapped / self.tau, dtype=np.float32), mapped, prior)

    def revise(
        self, changed: NewItems, trained: FoldedRows, rows: IntArray, multiply: Multiply
    ) -> FoldedRows:
        """Return the parts from the new text, as an item's interactions have none in them."""
        return self.fold(changed, multiply)


@dataclass(frozen=True, eq=False)
class ConvolutionFormula(Formula):
    """Parts from the knowledge features: their embeddings and their cosine.

    Attributes:
        embeddings: K of the facts that two items have, float32 [K, D], or None; of several
            networks side by side, [K, N · D].
        tau: temperature of the cosine; N times that where scores are the mean of N networks.
        cold_prior: prior of a cold item.
        row_size: number of history items that are kept for each candidate.
        decay: weight of features over links.
        cold_weight: g1, factor of the cosine for a cold item.
        scale: factor of the cosine of each trained candidate, float32 [I].
        least: cosine that a new history item must exceed, for each trained candidate, float32 [I].
        size: D, of one network.
        projection: what the vectors of the networks, side by side, are multiplied by, float32
            [N · D, D']; None of one network.
    """

    name: ClassVar[str] = "convolution"

    embeddings: FloatArray | None
    tau: float
    cold_prior: float
    row_size: int
    decay: float
    cold_weight: float
    scale: FloatArray | None
    least: FloatArray | None
    size: int
    projection: FloatArray | None = None

    def fold(self, new: NewItems, multiply: Multiply) -> FoldedRows:
        """Return the parts of new items; see `Inductive.fold`."""
        width = self.size if self.projection is None else len(self.projection)
        vectors = np.zeros((len(new), width), dtype=np.float32)
        if self.embeddings is not None:
            own = np.asarray(fact_features(new) @ self.embeddings).reshape(-1, self.size)
            vectors = unit_rows(own, LEAST).reshape(len(new), width)  # each network by itself
        if self.projection is not None:
            vectors = vectors @ self.projection
        prior = np.full(len(new), self.cold_prior, dtype=np.float32)
        factors = np.asarray(vectors / self.tau, dtype=np.float32)
        if self.scale is None or self.least is None:
            return FoldedRows(factors, vectors, prior)
        alike = new.index.cosines(new.features, self.decay)
        near = _largest_of_rows(alike, self.row_size)
        received = sp.csr_matrix(near.T * np.float32(self.cold_weight), dtype=np.float32)
        kept = alike.data > self.least[alike.indices]
        alike.data = np.where(kept, alike.data * self.scale[alike.indices], 0.0)
        alike.data = alike.data.astype(np.float32)
        alike.eliminate_zeros()
        return FoldedRows(factors, vectors, prior, received, alike)

    def revise(
        self, changed: NewItems, trained: FoldedRows, rows: IntArray, multiply: Multiply
    ) -> FoldedRows:
        """Return the parts with the cosine of the new features.

        The vectors stay: in them, what interactions taught cannot be separated after the training.
        """
        if self.scale is None or self.least is None:
            return trained
        alike = changed.index.cosines(changed.features, self.decay)
        owner = np.repeat(np.arange(len(changed)), np.diff(alike.indptr))
        alike.data[alike.indices == rows[owner]] = 0.0
        alike.eliminate_zeros()
        near = _largest_of_rows(alike, self.row_size)
        received = sp.csr_matrix(near.T @ sp.diags_array(self.scale[rows]), dtype=np.float32)
        kept = alike.data >= self.least[alike.indices]
        alike.data = np.where(kept, alike.data * self.scale[alike.indices], 0.0).astype(np.float32)
        alike.eliminate_zeros()
        return replace(trained, received=received, given=alike)


@dataclass(frozen=True, eq=False)
class SequenceFormula(Formula):
    """Parts from knowledge features and the text, and the vector that the reader reads.

    Attributes:
        embeddings: K of the facts that two items have, float32 [K, D], or None.
        text: T, float32 [D, S], or None.
        content: of the reader, float32 [d, D].
        cold_prior: prior of a cold item.
    """

    name: ClassVar[str] = "sequence"

    embeddings: FloatArray | None
    text: FloatArray | None
    content: FloatArray
    cold_prior: float

    def fold(self, new: NewItems, multiply: Multiply) -> FoldedRows:
        """Return the parts of new items; see `Inductive.fold`."""
        base = np.zeros((len(new), self.content.shape[1]), dtype=np.float32)
        if self.embeddings is not None:
            base = base + fact_features(new) @ self.embeddings
        if self.text is not None:
            texts, _ = new.sentence_vectors(None, self.text.shape[1])
            base = base + texts @ self.text.T
        vectors = unit_rows(base, LEAST)
        prior = np.full(len(new), self.cold_prior, dtype=np.float32)
        content = np.asarray(vectors @ self.content.T, dtype=np.float32)
        return FoldedRows(vectors, vectors, prior, content=content)


@dataclass(frozen=True, eq=False)
class FeatureFormula(Formula):
    """Parts from knowledge features alone: what items with them have on average.

    Attributes:
        embeddings: K of the facts that two items have, float32 [K, D], or None.
        size: D.
    """

    name: ClassVar[str] = "features"

    embeddings: FloatArray | None
    size: int

    def fold(self, new: NewItems, multiply: Multiply) -> FoldedRows:
        """Return the parts of new items; see `Inductive.fold`."""
        vectors = np.zeros((len(new), self.size), dtype=np.float32)
        if self.embeddings is not None:
            vectors = np.asarray(fact_features(new) @ self.embeddings, dtype=np.float32)
        return FoldedRows(vectors, vectors, content=vectors)


def in_directions(
    texts: FloatArray, written: NDArray[np.bool_], mean: FloatArray, directions: FloatArray
) -> FloatArray:
    """Return unit vectors on principal directions, zeros for empty texts, float32 [M, D]."""
    vectors = np.zeros((len(texts), directions.shape[1]), dtype=np.float32)
    projected = (texts[written].astype(np.float64) - mean) @ directions
    length = np.linalg.norm(projected, axis=1, keepdims=True)
    found = np.divide(projected, length, out=np.zeros_like(projected), where=length > 1e-9)
    vectors[written] = found
    return vectors


def fact_features(new: NewItems) -> sp.csr_matrix:
    """Return the facts of new items that have embeddings, with weights 1/√degree, CSR float32."""
    return sp.csr_matrix(new.index.by_degree(new.features, 0.0)[:, new.index.learned])


def _largest_of_rows(matrix: sp.csr_matrix, size: int) -> sp.csr_matrix:
    """Keep the largest entries of each row."""
    kept = np.ones(matrix.nnz, dtype=np.bool_)
    for row in np.flatnonzero(np.diff(matrix.indptr) > size).tolist():
        begin, end = matrix.indptr[row], matrix.indptr[row + 1]
        excess = int(end - begin) - size
        kept[begin + np.argpartition(matrix.data[begin:end], excess)[:excess]] = False
    ends = np.concatenate([[0], np.cumsum(kept)])[matrix.indptr]
    return sp.csr_matrix((matrix.data[kept], matrix.indices[kept], ends), shape=matrix.shape)
