"""Candidates of two sources and within each, with their features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kgrec.progress import SILENT, Progress
from kgrec.resolution.alignment import align, names_of
from kgrec.resolution.blocking import Pairs, nearest, nearest_vectors, union
from kgrec.resolution.config import ResolutionConfig
from kgrec.resolution.features import Views, cosine, features
from kgrec.resolution.reading import RecordTable
from kgrec.resolution.rivals import assign
from kgrec.resolution.words import Weighted, grams_of, plain, weighted, words_of

_BEGINNING = 200
_IDENTIFYING = 0.2
PLAIN = ("words", "letters of the name", "words of the name", "name, words in order")
"""Features that are alike in all sources: what the first score is the mean of."""


@dataclass(frozen=True)
class Candidates:
    """Pairs that may be one, and pairs within the sources.

    Attributes:
        pairs: rows of left and right, [P, 2]; likewise `within`, of both sources.
        x: features, float64 [P, F]; likewise `x_within`.
        names: of the features.
        aligned: columns that hold the same in both sources.
    """

    sizes: tuple[int, int]
    pairs: Pairs
    within: tuple[Pairs, Pairs]
    x: NDArray[np.float64]
    x_within: tuple[NDArray[np.float64], NDArray[np.float64]]
    names: tuple[str, ...]
    aligned: tuple[tuple[str, str], ...]


def find_candidates(
    left: RecordTable, right: RecordTable, config: ResolutionConfig, progress: Progress = SILENT
) -> Candidates:
    """Return the candidates of two sources."""
    count = len(left)
    offset = np.array([0, count])
    texts = [plain(text) for text in left.texts + right.texts]
    words = weighted(texts, words_of)
    sides = slice(0, count), slice(count, None)
    first = nearest(
        words.rows[sides[0]], words.rows[sides[1]], config.neighbours, progress=progress
    )
    likely = _likely(first, cosine(words, first + offset), (count, len(right)))
    columns = align(left, right, likely)
    most = max((column.identifying for column in columns), default=0.0)
    named = [c.values for c in columns if c.identifying > _IDENTIFYING * most]
    names = names_of(left, [values[:count] for values in named])
    names += names_of(right, [values[count:] for values in named])
    letters = weighted(names, grams_of)
    views = [words, letters, weighted([text[:_BEGINNING] for text in texts], grams_of)]
    vectors = _vectors(texts, config.cache, progress) if config.vectors else None
    between = [first, *(_near(view, sides, config.neighbours, progress) for view in views[1:])]
    if vectors is not None:
        ends = vectors[sides[0]], vectors[sides[1]]
        between.append(nearest_vectors(*ends, config.neighbours))
    pairs = union(between)
    inner = [
        union([_near(v, (side, side), config.neighbours_within, progress) for v in views])
        for side in sides
    ]
    compared = Views(texts, names, words, letters, vectors, columns)
    parts = [pairs + offset, inner[0], inner[1] + count]
    found = features(compared, np.concatenate(parts), progress)
    x = _filled(list(found.values()), len(pairs))
    cuts = np.cumsum([len(part) for part in parts])
    return Candidates(
        (count, len(right)), pairs, (inner[0], inner[1]), x[: cuts[0]],
        (x[cuts[0] : cuts[1]], x[cuts[1] :]), tuple(found),
        tuple(column.names for column in columns),
    )  # fmt: skip


def _near(view: Weighted, sides: tuple[slice, slice], neighbours: int, progress: Progress) -> Pairs:
    within = sides[0] == sides[1]
    rows = view.rows[sides[0]], view.rows[sides[1]]
    return nearest(*rows, neighbours, within=within, progress=progress)


def _likely(pairs: Pairs, score: NDArray[np.float32], sizes: tuple[int, int]) -> Pairs:
    left, _ = assign(pairs, score.astype(np.float64), sizes)
    return pairs[left[left >= 0]]


def _vectors(texts: Sequence[str], cache: Path | None, progress: Progress) -> NDArray[np.float32]:
    from kgrec.text.encoder import encode

    return encode(texts, cache_dir=cache, progress=progress)


def _filled(columns: Sequence[NDArray[np.float32]], count: int) -> NDArray[np.float64]:
    """Stack features; one that is missing is as good as the mean of the pairs between sources."""
    found = np.empty((len(columns[0]), len(columns)))
    for at, column in enumerate(columns):
        held = column[:count][np.isfinite(column[:count])]
        found[:, at] = np.where(np.isfinite(column), column, held.mean() if len(held) else 0.0)
    return found
