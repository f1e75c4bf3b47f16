"""The contrastive loss of pairs, against the other pairs of the batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


@dataclass(frozen=True)
class Negatives:
    """Vectors outside the batch.

    Attributes:
        vectors: float32 [M, D].
        of_anchors, of_partners: which of them belong to an anchor or partner, bool [B, M].
    """

    vectors: Tensor
    of_anchors: Tensor
    of_partners: Tensor


def contrastive_loss(
    anchors: Tensor,
    partners: Tensor,
    related: Tensor,
    tau: float,
    negatives: Negatives | None = None,
) -> Tensor:
    """Return the mean InfoNCE loss in both directions (van den Oord et al. 2018).

    The negatives are the others of the batch, as in multiple negatives ranking (Henderson et al.
    2017), and those of a memory; what belongs to the anchor as well is no negative.

    Args:
        anchors, partners: unit vectors, float32 [B, D].
        related: which partner (column) belongs to which anchor (row), bool [B, B].
        tau: temperature of the cosine.
        negatives: more of them.
    """
    cosine = anchors @ partners.T / tau  # [B, B]
    own = torch.eye(len(anchors), dtype=torch.bool, device=cosine.device)
    cosine = cosine.masked_fill(related & ~own, -torch.inf)
    forth, back = cosine, cosine.T
    if negatives is not None and len(negatives.vectors):
        forth = _beside(forth, anchors, negatives.vectors, negatives.of_anchors, tau)
        back = _beside(back, partners, negatives.vectors, negatives.of_partners, tau)
    target = torch.arange(len(anchors), device=cosine.device)
    return (cross_entropy(forth, target) + cross_entropy(back, target)) / 2


def _beside(cosine: Tensor, of: Tensor, vectors: Tensor, related: Tensor, tau: float) -> Tensor:
    more = (of @ vectors.T / tau).masked_fill(related, -torch.inf)  # [B, M]
    return torch.cat([cosine, more], dim=1)  # [B, B + M]


def reciprocal_rank(anchors: Tensor, partners: Tensor, related: Tensor) -> float:
    """Return how far up the own partner stands among all partners that do not belong as well."""
    cosine = anchors @ partners.T  # [B, B]
    own = cosine.diagonal()
    own_place = torch.eye(len(anchors), dtype=torch.bool, device=cosine.device)
    before = (cosine >= own[:, None]) & ~related & ~own_place
    return float((1.0 / (1.0 + before.sum(dim=1))).mean())
