"""BERT in NumPy: the vectors of `kgrec.text.encoder` without torch.

Devlin et al., NAACL 2019, as sentence transformers use it (Reimers and Gurevych, EMNLP 2019). It
loads in a tenth of the time that torch and transformers need, which is what an item that comes
right after a start would wait for. Texts are read one at a time, so that a vector does not depend
on the others of a batch; for the many texts of a training torch is faster.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file
from scipy.special import erf

from kgrec.text.models import MAX_TOKENS, ModelSource, content_key, resolve_transformer
from kgrec.text.vectors import VectorCache, cached_vectors

FloatArray = NDArray[np.float32]
_WEIGHTS, _WORDS, _SETTINGS = "model.safetensors", "tokenizer.json", "config.json"
_FORM = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
}
"""What the settings of a model must be, where they are given."""


def numpy_encoder(
    model: str, cache_dir: Path | None = None
) -> Callable[[Sequence[str]], FloatArray] | None:
    """Return an encoder by NumPy, or None where the model is not a BERT in a folder.

    Vectors are those of `kgrec.text.encoder.encode` in float32 within 1e-5, and share its cache.

    Args:
        model: a folder or an installed model's name.
        cache_dir: where vectors are kept; None keeps none.

    Raises:
        ModelError: the name is a path without a model.
        ImportError: the package `tokenizers` is not installed.
    """
    resolved = resolve_transformer(model)
    folder = Path(resolved.location)
    if resolved.source is ModelSource.HUB or not _is_bert(folder):
        return None
    network = _load(folder, content_key(resolved) or "")
    cache = VectorCache(cache_dir, f"{content_key(resolved)} fp32") if cache_dir else None

    def encode(texts: Sequence[str]) -> FloatArray:
        if not texts:
            return np.empty((0, network.size), dtype=np.float32)
        return cached_vectors(texts, cache, network.vectors)

    return encode


def _is_bert(folder: Path) -> bool:
    if not all((folder / name).is_file() for name in (_WEIGHTS, _WORDS, _SETTINGS)):
        return False
    settings = json.loads((folder / _SETTINGS).read_text())
    return all(settings.get(name, wanted) == wanted for name, wanted in _FORM.items())


@lru_cache(maxsize=1)
def _load(folder: Path, content: str) -> Bert:
    """Load a model once for each content of its folder."""
    from tokenizers import Tokenizer  # comes with transformers; not every installation has it

    words = Tokenizer.from_file(str(folder / _WORDS))
    words.no_padding()
    words.enable_truncation(MAX_TOKENS)
    settings = json.loads((folder / _SETTINGS).read_text())
    return Bert(words, load_file(folder / _WEIGHTS), settings)


@dataclass(frozen=True, eq=False)
class Bert:
    """A BERT with its tokenizer.

    Attributes:
        words: the tokenizer, a `tokenizers.Tokenizer`.
        arrays: the weights by name.
        settings: config.json.
    """

    words: Any
    arrays: Mapping[str, NDArray[Any]]
    settings: Mapping[str, Any]

    @property
    def size(self) -> int:
        """Number of dimensions, D."""
        return int(self.settings["hidden_size"])

    def vectors(self, texts: Sequence[str]) -> FloatArray:
        """Return the means of the token vectors, scaled to length 1, float32 [N, D]."""
        means = [
            self._tokens(each.ids).mean(axis=0) for each in self.words.encode_batch(list(texts))
        ]
        found = np.stack(means)
        return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), dtype=np.float32)

    def _tokens(self, ids: list[int]) -> FloatArray:
        """Return the vectors of the tokens of one text, [T, D]."""
        part = "embeddings"
        x = self._part(f"{part}.word_embeddings.weight")[ids]
        x = x + self._part(f"{part}.position_embeddings.weight")[: len(ids)]
        x = self._normal(x + self._part(f"{part}.token_type_embeddings.weight")[0], part)
        for layer in range(self.settings["num_hidden_layers"]):
            name = f"encoder.layer.{layer}"
            x = self._attended(x, f"{name}.attention")
            wide = self._dense(x, f"{name}.intermediate.dense")
            wide *= np.float32(0.5) * (1 + erf(wide * np.float32(0.5**0.5)))
            x = self._normal(x + self._dense(wide, f"{name}.output.dense"), f"{name}.output")
        return x

    def _attended(self, x: FloatArray, name: str) -> FloatArray:
        heads = self.settings["num_attention_heads"]

        def split(part: str) -> FloatArray:  # [H, T, D / H]
            found = self._dense(x, f"{name}.self.{part}")
            return found.reshape(len(x), heads, -1).transpose(1, 0, 2)

        query, key, value = split("query"), split("key"), split("value")
        logits = query @ key.transpose(0, 2, 1) * np.float32(query.shape[2] ** -0.5)
        weights = np.exp(logits - logits.max(axis=2, keepdims=True))
        weights /= weights.sum(axis=2, keepdims=True)
        mixed = (weights @ value).transpose(1, 0, 2).reshape(x.shape)
        return self._normal(x + self._dense(mixed, f"{name}.output.dense"), f"{name}.output")

    def _dense(self, x: FloatArray, name: str) -> FloatArray:
        product = x @ self._part(f"{name}.weight").T
        product += self._part(f"{name}.bias")
        return product

    def _normal(self, x: FloatArray, name: str) -> FloatArray:
        least = self.settings["layer_norm_eps"]
        x = x - x.mean(axis=1, keepdims=True)
        x *= (np.square(x).mean(axis=1, keepdims=True) + np.float32(least)) ** np.float32(-0.5)
        found: FloatArray = x * self._part(f"{name}.LayerNorm.weight")
        found += self._part(f"{name}.LayerNorm.bias")
        return found

    def _part(self, name: str) -> FloatArray:
        return self.arrays[name]
