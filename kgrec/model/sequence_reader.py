"""The reader of the sequential agent: attention gives the weight of each history item.

r       = time since the last interaction, hour and weekday, length of the history
x_h     = C_h + order, ages, hour, kind and value of the interaction h
z       = Transformer([r, x_1 … x_L]), or [r, x_1 … x_L] where it has no layers
a_h     = q(z_r) · k(z_h) / √d + c_h,      c_h a sum over scales of order and age
w_h     = s · exp(a_h) / (Σ_h' exp(a_h'))^β

Inference in NumPy, so that serving imports no torch. `kgrec.learning.sequential.network` is
the torch module that learns the parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import FloatArray, IntArray
from kgrec.model.histories import Histories
from kgrec.model.remaining import Remaining
from kgrec.model.removal import LARGEST_LOGIT, PartsReader
from kgrec.model.tokens import ReaderSettings, Tokens, interpolated, looked_up, request_vectors

Floats = NDArray[np.float64]

_CONTENT = "items"
_NORM_EPS = 1e-5
_CELLS = 1 << 19  # of an attention matrix, float32; larger ones fall out of the cache


class SequenceReader:
    """History weights by attention of the request to the last L items.

    SASRec (Kang and McAuley 2018) and BERT4Rec (Sun et al. 2019) predict by an output of the
    transformer; TiSASRec (Li et al. 2020) adds the gaps between interactions to its keys. Here
    the outputs give one weight an item, as in NAIS (He et al. 2018), whose smoothed softmax this
    uses: the values stay those of the items, so that the score is a sum over the history.
    Positions count moments, not rows, and all times lie on logarithmic scales.

    Args:
        settings: sizes of the transformer and how histories are read.
        content: C, vectors of the items as the transformer reads them, float32 [I, d].
        parameters: of the transformer, float32, by name.
        batch_size: at most so many histories are read together.
    """

    name: ClassVar[str] = "sequence"
    reads_time: ClassVar[bool] = True

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
        if len(histories) == 1:
            self._read(histories, weights)
            return weights
        # Histories of like length are read together, so that little is padded.
        order = np.argsort(histories.lengths, kind="stable")
        order = order[histories.lengths[order] > 0]
        while len(order):
            size = self._size_of_batch(int(histories.lengths[order[0]]))
            rows, order = order[:size], order[size:]
            part = histories[rows]
            read = np.zeros(len(part.item), dtype=np.float32)
            self._read(part, read)
            weights[_entries(histories, rows)] = read
        return weights

    def weights_without(self, remaining: Remaining) -> FloatArray:
        """Return w_h of each part of one history, float32 [S, H]; 0 where an item is removed."""
        if self._settings.layers or not len(remaining.history.item):
            weights = self.weights(remaining.histories)
            return remaining.spread_out(weights).astype(np.float32)
        return PartsReader(self._settings, self._content, self._parameters, remaining).weights()

    def _size_of_batch(self, length: int) -> int:
        """Return how many histories of about this length are read together."""
        if not self._settings.layers:
            return self._batch_size
        tokens = min(length, self._settings.max_length) + 1
        return min(self._batch_size, 1 + _CELLS // (self._settings.heads * tokens**2))

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

    @property
    def content(self) -> FloatArray:
        """The vectors of the items, float32 [I, d]."""
        return self._content

    def with_items(self, content: FloatArray) -> Self:
        """Return the reader with further items behind its own, by their vectors, [M, d]."""
        whole = np.concatenate([self._content, content])
        return type(self)(self._settings, whole, self._parameters, batch_size=self._batch_size)

    def _read(self, histories: Histories, weights: FloatArray) -> None:
        """Write the weights of the last L entries of each history into `weights`, [N]."""
        tokens = Tokens.of(histories, self._settings)
        if not len(tokens.item):
            return
        about = (tokens.request_gap, tokens.request_count, tokens.request_cycle)
        request = request_vectors(self._parameters, *about)
        logit = (
            self._mixed(tokens, request) if self._settings.layers else self._direct(tokens, request)
        )
        for scale, place in enumerate((tokens.age, tokens.wait, tokens.order)):
            logit += interpolated(self._parameters[f"recency.{scale}.table"][:, 0], place)
        logit = LARGEST_LOGIT * np.tanh(logit / LARGEST_LOGIT)
        total = np.bincount(tokens.row, weights=np.exp(logit), minlength=len(request))
        smoothing = 1.0 / (1.0 + np.exp(-self._parameters["smoothing"]))
        smoothed = smoothing * np.log(np.maximum(total, 1e-30))
        weights[tokens.position] = np.exp(self._parameters["scale"] + logit - smoothed[tokens.row])

    def _direct(self, tokens: Tokens, request: FloatArray) -> FloatArray:
        """Return q(r) · k(x_h) / √d, float32 [T], where z is x.

        x is a sum of parts, and is never formed: q · k(x) = (q W) · x + q · b, and the inner
        product with each part of x is computed by itself. This is several times faster, since
        most parts have few distinct values.
        """
        named, row = self._parameters, tokens.row
        query = self._linear("query", request)
        folded = query @ named["key.weight"]  # [B, d]
        logit = _rows_dot(folded, row, self._content[tokens.item])
        logit += (query @ named["key.bias"])[row]
        logit += (folded @ named["kind.weight"].T)[row, self._kind(tokens)]
        logit += tokens.value * (folded @ named["value.weight"])[row, 0]
        logit += _rows_dot(folded @ named["cycle.weight"], row, tokens.cycle)
        for name in ("age", "wait", "gap", "order"):
            products = folded @ named[f"{name}.table"].T  # [B, KNOTS]
            logit += looked_up(products, row, getattr(tokens, name))
        return np.asarray(logit * np.float32(self._settings.width**-0.5))

    def _mixed(self, tokens: Tokens, request: FloatArray) -> FloatArray:
        """Return q(z_r) · k(z_h) / √d, float32 [T], with z the output of the transformer."""
        named = self._parameters
        token = self._content[tokens.item] + named["kind.weight"][self._kind(tokens)]
        token += tokens.value[:, None] * named["value.weight"][:, 0]
        token += tokens.cycle @ named["cycle.weight"].T
        for name in ("age", "wait", "gap", "order"):
            token += interpolated(named[f"{name}.table"], getattr(tokens, name))  # [T, d]
        place = (tokens.row, tokens.column + 1)
        size = (len(request), int(tokens.column.max()) + 2)
        whole = np.zeros((*size, token.shape[1]), dtype=np.float32)
        whole[:, 0], whole[place] = request, token  # [B, 1 + L, d]
        mask = np.full(size, -np.inf, dtype=np.float32)
        mask[:, 0] = mask[place] = 0.0
        for layer in range(self._settings.layers):
            whole = self._block(f"blocks.{layer}.", whole, mask[:, None, None, :])
        query, key = self._linear("query", whole[:, 0]), self._linear("key", whole[place])
        return _rows_dot(query, tokens.row, key) * np.float32(self._settings.width**-0.5)

    def _block(self, name: str, z: FloatArray, mask: FloatArray) -> FloatArray:
        """Apply self-attention and a feed-forward layer, each behind a layer norm, to [B, N, d]."""
        heads = self._settings.heads
        size = (*z.shape[:2], 3, heads, z.shape[2] // heads)
        joint = self._linear(f"{name}project", self._norm(f"{name}first", z)).reshape(size)
        query, key, value = joint.transpose(2, 0, 3, 1, 4)  # [B, heads, N, d / heads] each
        logit = query @ key.swapaxes(-1, -2) * np.float32(size[-1] ** -0.5) + mask
        share = np.exp(logit - logit.max(axis=-1, keepdims=True))
        share /= share.sum(axis=-1, keepdims=True)
        mixed = (share @ value).transpose(0, 2, 1, 3).reshape(z.shape)
        z = z + self._linear(f"{name}out", mixed)
        wide = _gelu(self._linear(f"{name}widen", self._norm(f"{name}second", z)))
        return z + self._linear(f"{name}narrow", wide)

    def _linear(self, name: str, z: FloatArray) -> FloatArray:
        weight, bias = self._parameters[f"{name}.weight"], self._parameters[f"{name}.bias"]
        return np.asarray(z @ weight.T + bias)

    def _norm(self, name: str, z: FloatArray) -> FloatArray:
        centred = z - z.mean(axis=-1, keepdims=True)
        centred /= np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + np.float32(_NORM_EPS))
        return np.asarray(
            centred * self._parameters[f"{name}.weight"] + self._parameters[f"{name}.bias"]
        )

    def _kind(self, tokens: Tokens) -> IntArray:
        """Return the kinds of interaction, those that training did not know as unknown."""
        return np.where(tokens.kind < self._settings.kinds, tokens.kind, 0)


def _entries(histories: Histories, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the positions of the entries of some histories, one history after another."""
    lengths = histories.lengths[rows]
    start = np.concatenate([[0], np.cumsum(lengths)])
    shift = np.repeat(histories.start[rows] - start[:-1], lengths)
    return np.asarray(np.arange(start[-1]) + shift)


def _rows_dot(query: FloatArray, row: IntArray, vectors: FloatArray) -> FloatArray:
    """Return the inner product of each vector, [T, d], with its row of the queries, [B, d]."""
    if len(query) == 1:
        return np.asarray(vectors @ query[0])
    return np.asarray(np.einsum("td,td->t", query[row], vectors))


def _gelu(z: FloatArray) -> FloatArray:
    # scipy.special takes a fifth of a second to import; readers without layers do without it.
    from scipy.special import erf

    return np.asarray(0.5 * z * (1.0 + erf(z * np.float32(0.5**0.5))))
