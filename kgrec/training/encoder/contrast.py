"""The contrastive loss of pairs, against the other pairs of the batch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


def contrastive_loss(anchors: Tensor, partners: Tensor, related: Tensor, tau: float) -> Tensor:
    """Return the mean InfoNCE loss in both directions (van den Oord et al. 2018).

    The negatives are the others of the batch, as in multiple negatives ranking (Henderson et al.
    2017); those that belong to the anchor as well are no negatives.

    Args:
        anchors, partners: unit vectors, float32 [B, D].
        related: which partner (column) belongs to which anchor (row), bool [B, B].
        tau: temperature of the cosine.
    """
    cosine = anchors @ partners.T / tau  # [B, B]
    own = torch.eye(len(anchors), dtype=torch.bool, device=cosine.device)
    cosine = cosine.masked_fill(related & ~own, -torch.inf)
    target = torch.arange(len(anchors), device=cosine.device)
    return (cross_entropy(cosine, target) + cross_entropy(cosine.T, target)) / 2


def reciprocal_rank(anchors: Tensor, partners: Tensor, related: Tensor) -> float:
    """Return how far up the own partner stands among all partners that do not belong as well."""
    cosine = anchors @ partners.T  # [B, B]
    own = cosine.diagonal()
    own_place = torch.eye(len(anchors), dtype=torch.bool, device=cosine.device)
    before = (cosine >= own[:, None]) & ~related & ~own_place
    return float((1.0 / (1.0 + before.sum(dim=1))).mean())
