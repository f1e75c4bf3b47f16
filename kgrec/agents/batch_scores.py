"""The scores of a batch and their loss, for item vectors that may be moved."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgrec.agents.batches import Batch, positions
from kgrec.agents.convolution import HistoryNetwork
from kgrec.data.dataset import FloatArray, IntArray
from kgrec.training.losses import LossConfig, ranking_loss, softmax_loss
from kgrec.training.sparse import csr_tensor


class BatchScores:
    """Everything of a batch that does not depend on the item vectors.

    Args:
        network: scores.
        batch: histories and targets.
        cosine: Kc, CSC float32 [I, I] over the whole catalogue, or None.
        config: of the loss.
        dropout: share of each history that is left out of its sum.
        rng: draws what is left out.
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
        heard = batch.histories
        if dropout and rng is not None:
            heard = thinned(heard, rng.random(heard.nnz) >= dropout)
        weighted = powered(heard, network.history_power)
        self.histories = sparse_tensor(weighted, device)
        self.row, self.item = _on(device, batch.row), _on(device, batch.item)
        self.columns = None if batch.candidates is None else _on(device, batch.candidates)
        self.log_inclusion: Tensor | None = None
        if batch.log_inclusion is not None:
            self.log_inclusion = torch.from_numpy(batch.log_inclusion).to(device)
        self.cosine, self.target_cosine = self._cosines(weighted, cosine, device)
        blocked = [self._columns_of(*positions(batch.histories))]
        if not self.plain:
            blocked.append(self._columns_of(batch.row, batch.item))
        cells = [np.concatenate(part) for part in zip(*blocked, strict=True)]
        self.blocked = tuple(_on(device, part) for part in cells)

    @property
    def plain(self) -> bool:
        """Whether it is the softmax over all items, in which the targets stand themselves."""
        config = self.config
        special = config.hard_negatives is not None or config.smoothing or config.kind != "softmax"
        return self.columns is None and not special

    def loss(self, vectors: Tensor) -> Tensor:
        """Return the loss with these item vectors, [I, D]."""
        network, graph = self.network, self.batch.graph
        queries = network.summed(vectors, self.histories)
        scores = network.scores(graph, vectors, queries, self.cosine, self.columns).float()
        scores[self.blocked] = -torch.inf
        if self.plain:
            return softmax_loss(scores, self.row, self.item)
        pairs = network.pairs(graph, vectors, queries, self.target_cosine, self.row, self.item)
        return ranking_loss(pairs.float(), self.row, scores, self.config, self.log_inclusion)

    def _cosines(
        self, weighted: sp.csr_matrix, cosine: sp.csc_matrix | None, device: str
    ) -> tuple[Tensor | None, Tensor | None]:
        """Return the histories' cosines with the candidates, [B, C], and the targets, [T]."""
        if cosine is None:
            return None, None
        batch, items = self.batch, self.batch.graph.items
        everywhere = np.arange(cosine.shape[0]) if items is None else items.cpu().numpy()
        known = sp.csr_matrix(
            (weighted.data, everywhere[weighted.indices], weighted.indptr),
            shape=(weighted.shape[0], cosine.shape[0]),
        )
        if self.columns is None and items is None:
            product = (known @ cosine).toarray().astype(np.float32, copy=False)
            found = product[batch.row, batch.item]
        else:
            columns = np.arange(len(everywhere)) if batch.candidates is None else batch.candidates
            product = (known @ cosine[:, everywhere[columns]]).toarray()
            targets, place = np.unique(batch.item, return_inverse=True)
            few = sp.csr_matrix(known @ cosine[:, everywhere[targets]])
            found = np.asarray(few[batch.row, place]).ravel()
        pairs = found.astype(np.float32, copy=False)
        return _on(device, product.astype(np.float32, copy=False)), _on(device, pairs)

    def _columns_of(self, row: IntArray, item: IntArray) -> tuple[IntArray, IntArray]:
        """Return the cells of the score matrix that hold these pairs, where there are such."""
        if self.batch.candidates is None:
            return row, item
        place = np.full(self.batch.histories.shape[1], -1, dtype=np.int64)
        place[self.batch.candidates] = np.arange(len(self.batch.candidates))
        column = place[item]
        return row[column >= 0], column[column >= 0]


def powered(histories: sp.csr_matrix, power: float) -> sp.csr_matrix:
    """Return |H|^-p for each item of binary histories, CSR float32 [B, I]."""
    length = np.diff(histories.indptr)
    scale = np.maximum(length, 1).astype(np.float32) ** -power
    data: FloatArray = np.repeat(scale, length).astype(np.float32)
    return sp.csr_matrix((data, histories.indices, histories.indptr), shape=histories.shape)


def thinned(histories: sp.csr_matrix, kept: NDArray[np.bool_]) -> sp.csr_matrix:
    """Return the histories with those entries alone where a mask, bool [N], is true."""
    start = np.concatenate([[0], np.cumsum(kept)])[histories.indptr]
    return sp.csr_matrix(
        (histories.data[kept], histories.indices[kept], start), shape=histories.shape
    )


def sparse_tensor(matrix: sp.csr_matrix, device: str) -> Tensor:
    """Return a CSR matrix as a tensor."""
    row, column = positions(matrix)
    return csr_tensor(row, column, torch.from_numpy(matrix.data), matrix.shape, device)


def _on(device: str, array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)
