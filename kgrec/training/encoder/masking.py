"""Masked-language training: some tokens are hidden and guessed from the others."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class MaskedHead(nn.Module):
    """Token vectors to logits over the vocabulary, by the transformer's own input embeddings.

    The head of BERT (Devlin et al. 2019), whose output is tied to the embeddings of its input; a
    sentence encoder comes without one, so a map between the two begins as the identity.

    Args:
        network: the transformer; its embeddings stay frozen.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        self._embeddings = [network.get_input_embeddings().weight]  # a list: not of this module
        size, width = self._embeddings[0].shape
        self.map = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.zeros(size))
        nn.init.eye_(self.map.weight)
        nn.init.zeros_(self.map.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return logits, [N, V], of token vectors, [N, D]."""
        mapped = self.norm(self.map(hidden))  # [N, D]
        logits: Tensor = mapped @ self._embeddings[0].T.to(mapped.dtype) + self.bias
        return logits


def mask_tokens(
    tokens: Tensor, special: Tensor, share: float, mask_id: int, num_tokens: int
) -> tuple[Tensor, Tensor]:
    """Hide tokens as BERT does: of those drawn, 80 % masked, 10 % put in others' place, 10 % left.

    Draws from torch's generator.

    Args:
        tokens: ids, int64 [B, T].
        special: where no token may be hidden: padding, begin and end, bool [B, T].
        share: of the tokens that are to be guessed.
        mask_id: id of the mask.
        num_tokens: V.

    Returns:
        ids with some hidden, [B, T], and which are to be guessed, bool [B, T].
    """
    draw = torch.rand(tokens.shape).to(tokens.device)
    guessed = (draw < share) & ~special
    kind = torch.rand(tokens.shape).to(tokens.device)
    other = torch.randint(num_tokens, tokens.shape).to(tokens.device)
    hidden = torch.where(guessed & (kind < 0.8), mask_id, tokens)
    return torch.where(guessed & (kind >= 0.9), other, hidden), guessed
