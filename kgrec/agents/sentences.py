"""Sentence vectors of texts as the input of a network: centred, whitened, cut to a few."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kgrec.agents.base import Encode
from kgrec.data.dataset import FloatArray
from kgrec.errors import ModelError


def sentence_inputs(
    texts: Sequence[str], encode: Encode | None, size: int, *, whitening: float = 0.5
) -> FloatArray | None:
    """Return unit vectors on the first principal directions, float32 [N, min(size, D)].

    Half whitened (Su et al. 2021, "Whitening Sentence Representations"), by default. An empty
    text has the zero vector.

    Args:
        size: directions that are kept.
        whitening: 0 leaves the directions as long as they are, 1 makes them equally long.

    Returns:
        None where fewer than two texts say anything, or there is no encoder.
    """
    rows = [row for row, text in enumerate(texts) if text.strip()]
    if len(rows) < 2 or encode is None:
        return None
    try:
        encoded = encode([texts[row] for row in rows])
    except ModelError:  # No language model is at hand; what is known in edges remains.
        return None
    centred = encoded.astype(np.float64) - encoded.mean(axis=0, dtype=np.float64)
    variance, directions = np.linalg.eigh(centred.T @ centred / len(encoded))
    strongest = np.argsort(-variance)[:size]
    scale = np.maximum(variance[strongest], 1e-9) ** (-whitening / 2)
    projected = centred @ (directions[:, strongest] * scale)
    length = np.maximum(np.linalg.norm(projected, axis=1, keepdims=True), 1e-9)
    vectors = np.zeros((len(texts), projected.shape[1]), dtype=np.float32)
    vectors[rows] = projected / length
    return vectors
