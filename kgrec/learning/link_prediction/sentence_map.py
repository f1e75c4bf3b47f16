"""One learned map of sentence vectors into the space of a network's embeddings."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kgrec.data.dataset import FloatArray


class SentenceMap(nn.Module):
    """T x, with T the identity and what is learned on top of it.

    Everything that has a text pushes the map in each step, so it moves `slow` times as far as
    embeddings do; at their pace it forgets within a few steps what the language model knew.

    Args:
        texts, names: x, float32 [I, X] of items and [N, X] of entities; None without names.
        embedding_dim: D.
    """

    texts: Tensor
    name_vectors: Tensor | None
    start: Tensor

    def __init__(
        self,
        texts: FloatArray,
        names: FloatArray | None,
        *,
        embedding_dim: int,
        slow: float,
    ) -> None:
        super().__init__()
        self.slow = slow
        width = texts.shape[1]
        self.change = nn.Parameter(torch.zeros(width, embedding_dim))
        self.register_buffer("start", torch.eye(width, embedding_dim), persistent=False)
        self.register_buffer("texts", torch.from_numpy(texts), persistent=False)
        vectors = None if names is None else torch.from_numpy(names)
        self.register_buffer("name_vectors", vectors, persistent=False)

    @property
    def matrix(self) -> Tensor:
        """T, [X, D]."""
        return self.start + self.slow * self.change

    def forward(self, items: Tensor | None = None) -> Tensor:
        """Return T x of all items, [I, D], or of some of them."""
        return (self.texts if items is None else self.texts[items]) @ self.matrix

    def entities(self) -> Tensor | None:
        """Return T x of the entities, [N, D]; None without names."""
        return None if self.name_vectors is None else self.name_vectors @ self.matrix
