"""Vectors of texts that were read in earlier steps: negatives that cost nothing."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from kgrec.data.dataset import IntArray


class Memory(nn.Module):
    """The last vector of each item, once it was read (Wang et al. 2020, "Cross-Batch Memory").

    The vectors are of slightly older weights; they are buffers, so that a state of the training
    holds them. One slot an item, in place of the queue of the paper: a text is never there twice.

    Args:
        num_items: I.
        width: D.
        size: at most so many are taken into a step, those of most recent steps.
    """

    vectors: Tensor
    step: Tensor

    def __init__(self, num_items: int, width: int, size: int) -> None:
        super().__init__()
        self._size = size
        self.register_buffer("vectors", torch.zeros(num_items, width))
        self.register_buffer("step", torch.zeros(num_items, dtype=torch.int64))

    def recent(self, but: IntArray) -> tuple[IntArray, Tensor]:
        """Return rows, int64 [M], and vectors, [M, D], of items other than those in the batch."""
        if not len(self.step):
            return np.empty(0, dtype=np.int64), self.vectors
        step = self.step.clone()
        step[torch.from_numpy(but).to(step.device)] = 0
        filled = int((step > 0).sum())
        rows = torch.argsort(step, descending=True, stable=True)[: min(filled, self._size)]
        return rows.cpu().numpy(), self.vectors[rows]

    @torch.no_grad()
    def keep(self, rows: IntArray, vectors: Tensor) -> None:
        """Keep the vectors of these items, [N] and [N, D]; of a repeated one the last."""
        if not len(self.step):
            return
        where = torch.from_numpy(rows).to(self.step.device)
        self.vectors[where] = vectors.detach().float()
        self.step[where] = self.step.max() + 1
