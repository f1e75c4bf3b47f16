"""The reader of `sequential`: attention says how much each item of a history counts.

The transformer that weighs a history: what serving needs of the `sequential` agent.

r       = time since the last interaction, hour and weekday, length of the history
x_h     = W · F_h + order, ages, hour, kind and value of the interaction h
z       = Transformer([r, x_1 … x_L]), as they are where it has no layers
a_h     = q(z_r) · k(z_h) / √d + c_h,      c_h a sum over scales of order and age
w_h     = s · exp(a_h) / (Σ_h' exp(a_h'))^β

It imports torch and nothing that trains, since the first request after a start waits for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kgrec.data.dataset import FloatArray, IntArray
from kgrec.model.histories import Histories
from kgrec.model.sequence_tokens import CYCLES, KNOTS, ReaderSettings, Tokens

_CONTENT = "items"


class SequenceAttention:
    """The weights of `kgrec.model.sequence_reader.SequenceReader`, ready to be stored.

    Args:
        settings: sizes of the transformer and how histories are read.
        content: vectors of the items as the transformer takes them, float32 [I, d].
        parameters: of the transformer, by name.
        batch_size: so many histories are read together at most.
    """

    name: ClassVar[str] = "sequence"

    def __init__(
        self,
        settings: ReaderSettings,
        content: FloatArray,
        parameters: Mapping[str, NDArray[Any]],
        *,
        batch_size: int = 512,
    ) -> None:
        self._settings, self._content, self._parameters = settings, content, dict(parameters)
        self._batch_size = batch_size

    def weights(self, histories: Histories) -> FloatArray:
        """Return w_h for each entry, float32 [N]; 0 for items older than the last L."""
        weights = np.zeros(len(histories.item), dtype=np.float32)
        # Histories of like length are read together, so that little is padded.
        order = np.argsort(histories.lengths, kind="stable")
        order = order[histories.lengths[order] > 0]
        for begin in range(0, len(order), self._batch_size):
            rows = order[begin : begin + self._batch_size]
            entries = _entries(histories, rows)
            weights[entries] = self._read(histories[rows])
        return weights

    def _read(self, histories: Histories) -> FloatArray:
        # torch takes seconds to import, which a command that reads no history must not wait for.
        import torch

        from kgrec.model.sequence_reader import TensorTokens

        tokens = Tokens.of(histories, self._settings)
        weights = np.zeros(len(histories.item), dtype=np.float32)
        with torch.inference_mode():
            content = torch.from_numpy(self._content[tokens.item])
            read = self._network(TensorTokens(tokens, self._settings.kinds), content)
            weights[tokens.position] = read.numpy()
        return weights

    @cached_property
    def _network(self) -> SequenceReader:
        import torch

        from kgrec.model.sequence_reader import SequenceReader

        reader = SequenceReader(self._settings)
        reader.load_state_dict({n: torch.from_numpy(a) for n, a in self._parameters.items()})
        return reader.eval()

    def settings(self) -> dict[str, Any]:
        """Return what `load` needs beside the arrays."""
        return self._settings.model_dump(mode="json")

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the parameters by name."""
        return {_CONTENT: self._content, **self._parameters}

    @classmethod
    def load(cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Build the reader again from `settings` and `arrays`."""
        parameters = {name: array for name, array in arrays.items() if name != _CONTENT}
        return cls(ReaderSettings.model_validate(settings), arrays[_CONTENT], parameters)


def _entries(histories: Histories, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the positions of the entries of some histories, one history after another."""
    lengths = histories.lengths[rows]
    start = np.concatenate([[0], np.cumsum(lengths)])
    shift = np.repeat(histories.start[rows] - start[:-1], lengths)
    return np.asarray(np.arange(start[-1]) + shift)


_LARGEST_LOGIT = 6.0


class TensorTokens:
    """`Tokens` as tensors on a device; kinds that the network does not know are unknown."""

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
    """Vectors along a logarithmic scale, linear between its knots."""

    def __init__(self, width: int, init: float = 0.1) -> None:
        super().__init__()
        self.table = nn.Parameter(init * torch.randn(KNOTS, width))

    def forward(self, place: Tensor) -> Tensor:
        """Return the vectors of places, [N, d]."""
        low, high, share = _between(place)
        vectors: Tensor = torch.lerp(self.table[low], self.table[high], share[:, None])
        return vectors

    def asked(self, query: Tensor, row: Tensor, place: Tensor) -> Tensor:
        """Return the inner products of `forward(place)` with these rows of the queries, [N]."""
        products = query @ self.table.T  # [B, KNOTS]
        low, high, share = _between(place)
        return torch.lerp(products[row, low], products[row, high], share)


def _between(place: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the knots below and above places, and how far they are from the lower, [N] each."""
    low = place.floor().long().clamp(max=KNOTS - 1)
    return low, (low + 1).clamp(max=KNOTS - 1), place - low


class TransformerBlock(nn.Module):
    """Self-attention and a feed-forward layer, each behind a layer norm (Xiong et al. 2020)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, z: Tensor, hidden: Tensor) -> Tensor:
        """Mix the tokens of each history.

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


class SequenceReader(nn.Module):
    """How much each item of a history counts for a request.

    SASRec (Kang and McAuley 2018) and BERT4Rec (Sun et al. 2019) predict by an output of the
    transformer; TiSASRec (Li et al. 2020) adds the gaps between interactions to its keys. Here
    the outputs give one weight an item, as in NAIS (He et al. 2018), whose smoothed softmax this
    takes: the values stay those of the items, so that the score is a sum over the history.
    Positions count moments, not rows, and all times lie on logarithmic scales.

    Args:
        settings: sizes.
        dropout: share of inputs and outputs that is dropped in training.
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
        """Return the weights, [T].

        Args:
            tokens: T tokens of B histories.
            content: what is known of the items of the tokens, [T, d].
        """
        request = self._request(tokens)
        if self.training or len(self.blocks):
            logit = self._alike(tokens, self._token(tokens, content), request)
        else:
            logit = self._asked(tokens, content, request)
        places = (tokens.age, tokens.wait, tokens.order)
        for scale, place in zip(self.recency, places, strict=True):
            logit = logit + scale(place)[:, 0]
        logit = _LARGEST_LOGIT * torch.tanh(logit / _LARGEST_LOGIT)
        total = logit.new_zeros(len(request)).index_add(0, tokens.row, logit.exp())  # [B]
        smoothed = torch.sigmoid(self.smoothing) * total.clamp(min=1e-30).log()
        weights: Tensor = (self.scale + logit - smoothed[tokens.row]).exp()
        return weights

    def _alike(self, tokens: TensorTokens, token: Tensor, request: Tensor) -> Tensor:
        """Return q(z_r) · k(z_h) / √d, [T]."""
        if len(self.blocks):
            token, request = self._mixed(tokens, token, request)
        query, key = self.query(request), self.key(token)
        alike: Tensor = (query[tokens.row] * key).sum(dim=1) * self.settings.width**-0.5
        return alike

    def _asked(self, tokens: TensorTokens, content: Tensor, request: Tensor) -> Tensor:
        """Return the same where z is x, several times faster: x, a sum, is never made.

        Each part of x is asked by itself: q · k(x) = (q W) · x + q · b.
        """
        query, row = self.query(request), tokens.row
        asked = query @ self.key.weight  # [B, d]
        alike = (asked[row] * content).sum(dim=1) + (query @ self.key.bias)[row]
        alike = alike + (asked @ self.kind.weight.T)[row, tokens.kind]
        alike = alike + tokens.value * (asked @ self.value.weight)[row, 0]
        alike = alike + ((asked @ self.cycle.weight)[row] * tokens.cycle).sum(dim=1)
        scales = (self.age, self.wait, self.gap, self.order)
        places = (tokens.age, tokens.wait, tokens.gap, tokens.order)
        for scale, place in zip(scales, places, strict=True):
            alike = alike + scale.asked(asked, row, place)
        scaled: Tensor = alike * self.settings.width**-0.5
        return scaled

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
