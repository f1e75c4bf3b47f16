"""Scores of a batch and their loss, as a function of the item vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgrec.data.dataset import FloatArray, IntArray
from kgrec.learning.link_prediction.batches import Batch, positions
from kgrec.learning.link_prediction.network import HistoryNetwork
from kgrec.training.losses import LossConfig, ranking_loss
from kgrec.training.softmax import Cells, added_scores, sampled_softmax, softmax_over_all
from kgrec.training.sparse import Adjacency


class BatchScores:
    """A batch with everything precomputed that does not depend on the item vectors.

    Args:
        network: the network that scores.
        batch: histories and targets.
        cosine: Kc, CSC float32 [I, I] over the whole catalogue, or None.
        config: settings of the loss.
        dropout: dropout of history items in the sum of a history.
        rng: random generator of the dropout.
    """

    def __init__(
        self,
        network: HistoryNetwork,
        batch: Batch,
        cosine: sp.csc_matrix | None,
        config: LossConfig,
        *,
        dropout: float = 0.0,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.network, self.batch, self.config = network, batch, config
        device = network.device
        active = batch.histories
        if dropout and rng is not None:
            active = thinned(active, rng.random(active.nnz) >= dropout)
        weighted = powered(active, network.history_power)
        self.histories = Adjacency.of(weighted, device)
        self.row, self.item = _on(device, batch.row), _on(device, batch.item)
        self.columns = None if batch.candidates is None else _on(device, batch.candidates)
        self.log_inclusion: Tensor | None = None
        if batch.log_inclusion is not None:
            self.log_inclusion = torch.from_numpy(batch.log_inclusion).to(device)
        blocked, targets = (
            self._cells(*positions(batch.histories)),
            self._cells(batch.row, batch.item),
        )
        self.targets = _on(device, targets)
        if not self.plain:
            # Two runs ordered by row, which a stable sort merges.
            blocked = np.sort(np.concatenate([blocked, targets]), kind="stable")
        self.blocked = _on(device, blocked)
        self.cosine: Tensor | None = None
        self.target_cosine: Tensor | None = None
        self.cells: Cells | Tensor | None = None
        if cosine is not None and self.plain:
            self.cells = added_scores(self._known(weighted) @ _columns(cosine, self._rows), device)
        elif cosine is not None:
            self._look_up(self._known(weighted), cosine, device)

    @property
    def plain(self) -> bool:
        """Whether the loss is the softmax over all items, targets included."""
        return self.columns is None and self.softmax

    @property
    def softmax(self) -> bool:
        """Whether the loss is a softmax in which every candidate counts as what it is."""
        config = self.config
        special = config.hard_negatives is not None or config.smoothing or config.kind != "softmax"
        return not special

    def loss(self, vectors: Tensor) -> Tensor:
        """Return the loss for item vectors, float32 [I, D]; a scalar."""
        network, graph = self.network, self.batch.graph
        queries = network.summed(vectors, self.histories)
        if self.plain:
            prior, scale = network.prior(graph), network.cosine_scale(graph)
            return softmax_over_all(
                queries, vectors, prior, scale, self.cells, self.blocked, self.targets
            )
        pairs = network.pairs(graph, vectors, queries, self.target_cosine, self.row, self.item)
        if self.softmax and self.columns is not None:
            return self._sampled(queries, vectors, self.columns, pairs.float())
        scores = network.scores(graph, vectors, queries, self.cosine, self.columns).float()
        scores.view(-1)[self.blocked] = -torch.inf
        return ranking_loss(pairs.float(), self.row, scores, self.config, self.log_inclusion)

    def _sampled(
        self, queries: Tensor, vectors: Tensor, columns: Tensor, positive: Tensor
    ) -> Tensor:
        network, graph = self.network, self.batch.graph
        prior, scale = network.alone(graph, columns)
        if self.log_inclusion is not None:
            prior = prior - self.log_inclusion
        return sampled_softmax(
            queries, vectors[columns], prior, scale, self.cosine, self.blocked, positive, self.row
        )

    def scores(self, vectors: Tensor) -> Tensor:
        """Return the scores of all items, [B, I], where the loss is `plain`.

        Used to compare networks; minus infinity where an item is masked.
        """
        network, graph = self.network, self.batch.graph
        prior, scale = network.prior(graph), network.cosine_scale(graph)
        queries = network.summed(vectors, self.histories)
        scores = torch.addmm(prior, queries, vectors.T).float()  # [B, I]
        if isinstance(self.cells, Tensor) and scale is not None:
            scores = torch.addcmul(scores, self.cells, scale)
        flat = scores.view(-1)
        if isinstance(self.cells, Cells) and scale is not None:
            flat = flat.index_add(0, self.cells.flat, self.cells.value * scale[self.cells.column])
        return flat.index_fill(0, self.blocked, -torch.inf).view_as(scores)

    @property
    def _rows(self) -> IntArray | slice:
        """The items of the graph in the catalogue."""
        items = self.batch.graph.items
        return slice(None) if items is None else np.asarray(items.cpu().numpy())

    def _known(self, weighted: sp.csr_matrix) -> sp.csr_matrix:
        """Return weights of the histories over the whole catalogue."""
        if self.batch.graph.items is None:
            return weighted
        columns = np.asarray(self._rows)[weighted.indices]
        size = (weighted.shape[0], len(self.network.item))
        return sp.csr_matrix((weighted.data, columns, weighted.indptr), shape=size)

    def _look_up(self, known: sp.csr_matrix, cosine: sp.csc_matrix, device: str) -> None:
        """Find the histories' cosines with the candidates, [B, C], and the targets, [T]."""
        batch, rows = self.batch, self._rows
        everywhere = np.arange(cosine.shape[0])[rows]
        columns = everywhere if batch.candidates is None else everywhere[batch.candidates]
        product = (known @ cosine[:, columns]).toarray().astype(np.float32, copy=False)
        found = np.zeros(0, dtype=np.float32)
        if len(batch.row):  # SciPy returns no array when it is indexed with no entries
            targets, place = np.unique(batch.item, return_inverse=True)
            few = sp.csr_matrix(known @ cosine[:, everywhere[targets]])
            found = np.asarray(few[batch.row, place]).ravel().astype(np.float32, copy=False)
        self.cosine, self.target_cosine = _on(device, product), _on(device, found)

    def _cells(self, row: IntArray, item: IntArray) -> IntArray:
        """Return row · C + column of the cells of these pairs, for pairs with a cell."""
        size = self.batch.histories.shape[1]
        if self.batch.candidates is None:
            return np.asarray(row * size + item)
        place = np.full(size, -1, dtype=np.int64)
        place[self.batch.candidates] = np.arange(len(self.batch.candidates))
        column = place[item]
        return (row * len(self.batch.candidates) + column)[column >= 0]


def _columns(matrix: sp.csc_matrix, columns: IntArray | slice) -> sp.csc_matrix:
    return matrix if isinstance(columns, slice) else matrix[:, columns]


def powered(histories: sp.csr_matrix, power: float) -> sp.csr_matrix:
    """Return |H|^-p for each item of binary histories, CSR float32 [B, I]."""
    length = np.diff(histories.indptr)
    scale = np.maximum(length, 1).astype(np.float32) ** -power
    data: FloatArray = np.repeat(scale, length).astype(np.float32)
    return sp.csr_matrix((data, histories.indices, histories.indptr), shape=histories.shape)


def thinned(histories: sp.csr_matrix, kept: NDArray[np.bool_]) -> sp.csr_matrix:
    """Return the histories restricted to the entries where a mask, bool [N], is true."""
    start = np.concatenate([[0], np.cumsum(kept)])[histories.indptr]
    return sp.csr_matrix(
        (histories.data[kept], histories.indices[kept], start), shape=histories.shape
    )


def _on(device: str, array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)
