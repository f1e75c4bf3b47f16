"""The network of `sequential`: item vectors, and a transformer that weighs a history.

score   = Σ_h w_h · F_h · V_i + gate_i · b_i + (1 − gate_i) · b0,   w_h as in `sequence_reader`
V_i     = norm(B_i),   F_h = norm(B_h + gate_h · E'_h)
B_i     = gate_i · E_i + Σ_f F_if · K_f + P · text_i,      gate_i = deg_i / (deg_i + κ)
"""

from __future__ import annotations

import scipy.sparse as sp
import torch
from torch import Tensor, nn

from kgrec.data.dataset import FloatArray, IntArray
from kgrec.learning.link_prediction.convolution import Edges
from kgrec.learning.sequential.reader_network import ReaderNetwork, TensorTokens
from kgrec.model.kernel import Source
from kgrec.model.tokens import ReaderSettings
from kgrec.training.sparse import aggregate, csr_tensor


class Items:
    """The items of a step: all, or some of them.

    Args:
        gate: how far each is known by its users, float32 [C].
        rows: of the items in the catalogue, int64 [C], distinct; None for all.
    """

    def __init__(self, gate: FloatArray, rows: IntArray | None = None, device: str = "cpu") -> None:
        self.gate = torch.from_numpy(gate).to(device)
        self._rows, self._device = rows, device

    def of(self, table: Tensor) -> Tensor:
        """Take the items' rows of a table with a row for each item of the catalogue."""
        if self._rows is None:
            return table
        return table[torch.from_numpy(self._rows).to(self._device)]

    def texts(self, table: FloatArray) -> Tensor:
        return torch.from_numpy(table if self._rows is None else table[self._rows]).to(self._device)

    def features(self, matrix: sp.csr_matrix) -> Tensor:
        own = matrix if self._rows is None else matrix[self._rows]
        entries, values = Edges.of(own), torch.from_numpy(own.data)
        return csr_tensor(entries.user, entries.item, values, own.shape, self._device)


class SequenceNetwork(nn.Module):
    """Item vectors and the reader of histories.

    Args:
        num_items: I.
        features: knowledge features, CSR float32 [I, K], or None.
        text: sentence vectors, float32 [I, S], or None.
        settings: sizes of the reader.
        embedding_dim: D.
        dropout: of the reader.
        device: where the tensors live.
    """

    def __init__(
        self,
        num_items: int,
        features: sp.csr_matrix | None,
        text: FloatArray | None,
        settings: ReaderSettings,
        *,
        embedding_dim: int,
        dropout: float,
        init_scale: float = 0.1,
        device: str = "cpu",
    ) -> None:
        super().__init__()
        size = (num_items, embedding_dim)
        self.item = nn.Parameter(init_scale * torch.randn(size))
        self.history = nn.Parameter(0.1 * init_scale * torch.randn(size))
        self.bias = nn.Parameter(torch.zeros(num_items))
        self.cold_bias = nn.Parameter(torch.zeros(()))
        self.content = nn.Linear(embedding_dim, settings.width, bias=False)
        self.reader = ReaderNetwork(settings, dropout)
        self.feature: nn.Parameter | None = None
        self.text: nn.Linear | None = None
        self._features, self._texts = features, text
        if features is not None:
            self.feature = nn.Parameter(init_scale * torch.randn(features.shape[1], embedding_dim))
        if text is not None:
            self.text = nn.Linear(text.shape[1], embedding_dim, bias=False)
        self.to(device)

    @property
    def sources(self) -> tuple[Source, ...]:
        """What the item vectors are made of."""
        found: tuple[Source, ...] = ("interactions",)
        if self.feature is not None:
            found += ("facts",)
        return found if self.text is None else (*found, "texts")

    def vectors(self, items: Items) -> tuple[Tensor, Tensor]:
        """Return F and V of some items, [C, D] each, rows of length 1."""
        gate = items.gate[:, None]
        base = gate * items.of(self.item)
        if self.feature is not None and self._features is not None:
            entries = items.features(self._features)
            base = base + aggregate(entries, self.feature)
        if self.text is not None and self._texts is not None:
            base = base + self.text(items.texts(self._texts))
        history = base + gate * items.of(self.history)
        return _unit(history), _unit(base)

    def prior(self, items: Items) -> Tensor:
        """Return the prior of some items, [C], which does not depend on the history."""
        return items.gate * items.of(self.bias) + (1 - items.gate) * self.cold_bias

    def queries(self, tokens: TensorTokens, vectors: Tensor) -> Tensor:
        """Return the query vector of each history, [B, D].

        Args:
            tokens: whose items are rows of `vectors`.
            vectors: F, [C, D].
        """
        values = vectors[tokens.item]  # [T, D]
        weights = self.reader(tokens, self.content(values))
        summed = vectors.new_zeros(len(tokens.request_gap), vectors.shape[1])
        return summed.index_add(0, tokens.row, weights[:, None] * values)  # [B, D]


def _unit(vectors: Tensor) -> Tensor:
    return nn.functional.normalize(vectors, dim=1, eps=1e-6)
