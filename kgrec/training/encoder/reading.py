"""Texts through a transformer while it learns: sorted by length, in parts, with gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kgrec.text.encoder import mean_pooled

_PART = 32
"""Texts that are read at a time; more do not make a processor faster."""


@dataclass
class Reader:
    """A transformer with its tokenizer.

    Attributes:
        max_tokens: longer texts are cut.
        half: whether dense products are computed in half the bits.
        texts: that were read so far.
    """

    tokenizer: Any
    network: Any
    max_tokens: int
    half: bool = False
    texts: int = 0

    def vectors(self, texts: Sequence[str]) -> Tensor:
        """Return unit vectors, float32 [N, D]."""
        # Texts of like length waste no multiplication on padding.
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        parts = [
            self._pooled([texts[row] for row in order[start : start + _PART]])
            for start in range(0, len(order), _PART)
        ]
        back = torch.empty(len(order), dtype=torch.int64)
        back[torch.tensor(order)] = torch.arange(len(order))
        return torch.cat(parts)[back.to(parts[0].device)]

    def _pooled(self, texts: list[str]) -> Tensor:
        tokens = self.tokens(texts)
        with self.half_precision():
            hidden = self.network(**tokens).last_hidden_state  # [B, T, D]
        return mean_pooled(hidden, tokens["attention_mask"])

    def half_precision(self) -> torch.autocast:
        """Return a block in which dense products are computed in bfloat16, where that pays."""
        kind = self.network.device.type
        return torch.autocast(kind, dtype=torch.bfloat16, enabled=self.half)

    def tokens(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Return ids and mask, each int64 [B, T], on the device of the network."""
        self.texts += len(texts)
        found = self.tokenizer(
            list(texts),
            padding=True,
            truncation=True,
            max_length=self.max_tokens,
            return_tensors="pt",
        )
        return {name: tensor.to(self.network.device) for name, tensor in found.items()}

    def special(self, tokens: Tensor) -> Tensor:
        """Return where the ids are none of words, bool [B, T]."""
        ids = torch.tensor(self.tokenizer.all_special_ids, device=tokens.device)
        return torch.isin(tokens, ids)
