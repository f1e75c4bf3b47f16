"""Losses over score matrices."""

from __future__ import annotations

import torch
from torch import Tensor


def softmax_loss(scores: Tensor, target_row: Tensor, target_item: Tensor) -> Tensor:
    """Return the mean negative log-likelihood of the targets under a softmax over all items.

    Args:
        scores: [B, I]; minus infinity where an item is out of the question.
        target_row, target_item: positions of the targets, int64 [T].

    Returns:
        A scalar; 0 where there are no targets.
    """
    if not len(target_row):
        return scores.sum() * 0.0
    log_partition = torch.logsumexp(scores, dim=1)  # [B]
    return (log_partition[target_row] - scores[target_row, target_item]).mean()
