"""The network of `sequential`: item vectors, and attention that gives the history weights.

score   = Σ_h w_h · F_h · V_i + gate_i · b_i + (1 − gate_i) · b0,   w_h as in `sequence_reader`
V_i     = norm(B_i),   F_h = norm(B_h + gate_h · E'_h)
B_i     = gate_i · E_i + Σ_f F_if · K_f + P · text_i,      gate_i = deg_i / (deg_i + κ)
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from kgrec.data.dataset import FloatArray, IntArray
from kgrec.learning.link_prediction.convolution import Edges
from kgrec.model.kernel import Source
from kgrec.model.removal import LARGEST_LOGIT
from kgrec.model.tokens import CYCLES, KNOTS, ReaderSettings, Tokens
from kgrec.training.sparse import aggregate, csr_tensor


class TensorTokens:
    """`Tokens` as tensors on a device; kinds beyond the vocabulary become the unknown kind."""

    def __init__(self, tokens: Tokens, kinds: int, device: str = "cpu") -> None:
        def tensor(array: FloatArray | IntArray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(device)

        self.row, self.column, self.item = map(tensor, (tokens.row, tokens.column, tokens.item))
        self.kind = tensor(np.where(tokens.kind < kinds, tokens.kind, 0))
        self.age, self.wait, self.gap = map(tensor, (tokens.age, tokens.wait, tokens.gap))
        self.order, self.cycle, self.value = map(tensor, (tokens.order, tokens.cycle, tokens.value))
        self.request_gap = tensor(tokens.request_gap)
        self.request_count = tensor(tokens.request_count)
        self.request_cycle = tensor(tokens.request_cycle)


class Scale(nn.Module):
    """Embeddings on a logarithmic scale, linear between its knots."""

    def __init__(self, width: int, init: float = 0.1) -> None:
        super().__init__()
        self.table = nn.Parameter(init * torch.randn(KNOTS, width))

    def forward(self, place: Tensor) -> Tensor:
        """Return the vectors of places, [N, d]."""
        low, high, share = _between(place)
        vectors: Tensor = torch.lerp(self.table[low], self.table[high], share[:, None])
        return vectors


def _between(place: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the knots below and above places, and the fraction between them, [N] each."""
    low = place.floor().long().clamp(max=KNOTS - 1)
    return low, (low + 1).clamp(max=KNOTS - 1), place - low


class TransformerBlock(nn.Module):
    """Self-attention and a feed-forward layer, pre-norm (Xiong et al. 2020)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, z: Tensor, hidden: Tensor) -> Tensor:
        """Return the tokens of each history after attention to each other, [B, N, d].

        Args:
            z: [B, N, d].
            hidden: minus infinity where there is no token, else 0, [B, 1, 1, N].
        """
        size = (*z.shape[:2], self.heads, z.shape[2] // self.heads)
        query, key, value = self.project(self.first(z)).chunk(3, dim=-1)
        mixed = nn.functional.scaled_dot_product_attention(
            query.reshape(size).transpose(1, 2),  # [B, heads, N, d / heads]
            key.reshape(size).transpose(1, 2),
            value.reshape(size).transpose(1, 2),
            attn_mask=hidden,
        )
        z = z + self._drop(self.out(mixed.transpose(1, 2).reshape(z.shape)))  # [B, N, d]
        fed: Tensor = self.narrow(nn.functional.gelu(self.widen(self.second(z))))
        return z + self._drop(fed)

    def _drop(self, z: Tensor) -> Tensor:
        return nn.functional.dropout(z, self.dropout, self.training)


class ReaderNetwork(nn.Module):
    """History weights by attention of the query to the history items.

    See `kgrec.model.sequence_reader.SequenceReader` for the papers and what differs.

    Args:
        settings: sizes of the reader.
        dropout: dropout of inputs and outputs in training.
    """

    def __init__(self, settings: ReaderSettings, dropout: float = 0.0) -> None:
        super().__init__()
        width = settings.width
        self.settings, self.dropout = settings, dropout
        self.kind = nn.Embedding(settings.kinds, width)
        self.value = nn.Linear(1, width, bias=False)
        self.cycle = nn.Linear(CYCLES, width, bias=False)
        self.age, self.wait, self.gap, self.order = (Scale(width) for _ in range(4))
        self.request_gap, self.request_count = Scale(width), Scale(width)
        self.request_cycle = nn.Linear(CYCLES, width)
        self.blocks = nn.ModuleList(
            TransformerBlock(width, settings.heads, dropout) for _ in range(settings.layers)
        )
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.recency = nn.ModuleList(Scale(1, init=0.0) for _ in range(3))
        self.smoothing = nn.Parameter(torch.zeros(()))
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, tokens: TensorTokens, content: Tensor) -> Tensor:
        """Return the history weights, [T].

        Args:
            tokens: T tokens of B histories.
            content: C_h of the tokens' items, float32 [T, d].
        """
        request = self._request(tokens)
        logit = self._logit(tokens, self._token(tokens, content), request)
        places = (tokens.age, tokens.wait, tokens.order)
        for scale, place in zip(self.recency, places, strict=True):
            logit = logit + scale(place)[:, 0]
        logit = LARGEST_LOGIT * torch.tanh(logit / LARGEST_LOGIT)
        total = logit.new_zeros(len(request)).index_add(0, tokens.row, logit.exp())  # [B]
        smoothed = torch.sigmoid(self.smoothing) * total.clamp(min=1e-30).log()
        weights: Tensor = (self.scale + logit - smoothed[tokens.row]).exp()
        return weights

    def _logit(self, tokens: TensorTokens, token: Tensor, request: Tensor) -> Tensor:
        """Return q(z_r) · k(z_h) / √d, [T]."""
        if len(self.blocks):
            token, request = self._mixed(tokens, token, request)
        query, key = self.query(request), self.key(token)
        logit: Tensor = (query[tokens.row] * key).sum(dim=1) * self.settings.width**-0.5
        return logit

    def _token(self, tokens: TensorTokens, content: Tensor) -> Tensor:
        token = content + self.kind(tokens.kind) + self.value(tokens.value[:, None])
        token = token + self.cycle(tokens.cycle) + self.age(tokens.age) + self.wait(tokens.wait)
        token = token + self.gap(tokens.gap) + self.order(tokens.order)
        return nn.functional.dropout(token, self.dropout, self.training)  # [T, d]

    def _request(self, tokens: TensorTokens) -> Tensor:
        known = self.request_gap(tokens.request_gap) + self.request_count(tokens.request_count)
        request: Tensor = self.request_cycle(tokens.request_cycle) + known  # [B, d]
        return request

    def _mixed(self, tokens: TensorTokens, token: Tensor, request: Tensor) -> tuple[Tensor, Tensor]:
        size = (len(request), int(tokens.column.max()) + 1 if len(token) else 0)
        place = (tokens.row, tokens.column + 1)
        whole = torch.cat([request[:, None], request.new_zeros(*size, token.shape[1])], dim=1)
        whole = whole.index_put(place, token)  # [B, 1 + L, d]
        hidden = torch.full((size[0], size[1] + 1), -torch.inf, device=token.device)
        hidden[:, 0] = 0.0
        hidden[place] = 0.0
        for block in self.blocks:
            whole = block(whole, hidden[:, None, None, :])
        return whole[place], whole[:, 0]


class Items:
    """The items of a step: all, or some of them.

    Args:
        gate: gate_i of each item, float32 [C].
        rows: distinct rows of the items in the catalogue, int64 [C]; None for all.
    """

    def __init__(self, gate: FloatArray, rows: IntArray | None = None, device: str = "cpu") -> None:
        self.gate = torch.from_numpy(gate).to(device)
        self._rows, self._device = rows, device

    def of(self, table: Tensor) -> Tensor:
        """Return the rows of these items from a table over the whole catalogue."""
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
        dropout: dropout of the reader.
        device: device of the tensors.
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
        """The sources that the item vectors are learned from."""
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
        """Return the prior of some items, float32 [C]; it does not depend on the history."""
        return items.gate * items.of(self.bias) + (1 - items.gate) * self.cold_bias

    def queries(self, tokens: TensorTokens, vectors: Tensor) -> Tensor:
        """Return the query vector of each history, [B, D].

        Args:
            tokens: tokens of B histories; their items are rows of `vectors`.
            vectors: F, [C, D].
        """
        values = vectors[tokens.item]  # [T, D]
        weights = self.reader(tokens, self.content(values))
        summed = vectors.new_zeros(len(tokens.request_gap), vectors.shape[1])
        return summed.index_add(0, tokens.row, weights[:, None] * values)  # [B, D]


def _unit(vectors: Tensor) -> Tensor:
    return nn.functional.normalize(vectors, dim=1, eps=1e-6)
