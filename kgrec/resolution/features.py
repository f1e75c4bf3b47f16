"""Features of candidate pairs: how alike two records are, in ways that no domain is assumed for.

Every feature is in [0, 1] and higher for records that are more alike; NaN where one of the two
lacks the value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz, process
from rapidfuzz.distance import JaroWinkler
from scipy import sparse

from kgrec.progress import SILENT, Progress
from kgrec.resolution.alignment import Aligned, closeness
from kgrec.resolution.words import (
    Weighted,
    codes_of,
    grams_of,
    numbers_of,
    sorted_words,
    weighted,
    words_of,
)

_PART = 50_000
_LONG = 120
_SHORT = 40

Column = NDArray[np.float32]


@dataclass(frozen=True)
class Views:
    """What records are compared by: those of both sources in one list, the left ones first.

    Attributes:
        texts, names: the whole records and their names, plain.
        words, letters: rows of the words of the whole records and of the letters of the names.
        vectors: unit vectors of the records, None where none are used.
    """

    texts: Sequence[str]
    names: Sequence[str]
    words: Weighted
    letters: Weighted
    vectors: NDArray[np.float32] | None
    columns: Sequence[Aligned]


def features(
    views: Views, pairs: NDArray[np.int64], progress: Progress = SILENT
) -> dict[str, Column]:
    """Return the features of pairs of records by name, each float32 [P]."""
    names = views.names
    word_names = weighted(names, words_of)
    codes = weighted(views.texts, codes_of)
    name_numbers = weighted(names, numbers_of)
    found: dict[str, Column] = {}
    steps: list[tuple[str, Callable[[NDArray[np.int64]], NDArray[np.floating]]]] = [
        ("words", lambda p: cosine(views.words, p)),
        ("letters of the name", lambda p: cosine(views.letters, p)),
        ("words of the name", lambda p: cosine(word_names, p)),
        ("words within the other", lambda p: _contained(views.words, p, 0.0)),
        ("words of the name within the other", lambda p: _contained(word_names, p, 0.0)),
        ("codes", lambda p: _contained(codes, p, np.nan)),
        ("numbers of the name", lambda p: _contained(name_numbers, p, np.nan)),
        ("name, words in order", lambda p: _ratio(names, p, fuzz.ratio, sort=True)),
        ("name, shared words", lambda p: _ratio(names, p, fuzz.token_set_ratio)),
        ("name, beginning", lambda p: _ratio(names, p, JaroWinkler.normalized_similarity)),
    ]
    if views.vectors is not None:
        unit = views.vectors
        steps.append(("vectors", lambda p: np.einsum("pd,pd->p", unit[p[:, 0]], unit[p[:, 1]])))
    for column in views.columns:
        title = " = ".join(column.names)
        if column.numbers is not None:
            steps.append((title, partial(closeness, column.numbers)))
            continue
        rows = weighted(column.values, grams_of)
        steps.append((title, partial(cosine, rows, missing=True)))
    with progress.task("compare candidates", total=len(steps)) as task:
        for name, compute in steps:
            parts = [compute(pairs[at : at + _PART]) for at in range(0, len(pairs), _PART)]
            found[name] = np.concatenate([np.empty(0), *parts]).astype(np.float32)
            task.advance()
    return found


def cosine(
    texts: Weighted, pairs: NDArray[np.int64], *, missing: bool = False
) -> NDArray[np.float32]:
    """Return the cosine of the rows of each pair, float32 [P].

    Args:
        missing: whether it is NaN where one of the two has no term.
    """
    one, other = texts.rows[pairs[:, 0]], texts.rows[pairs[:, 1]]
    close = np.asarray(one.multiply(other).sum(axis=1), dtype=np.float32)
    if missing:
        close[(np.diff(one.indptr) == 0) | (np.diff(other.indptr) == 0)] = np.nan
    return close


def _contained(texts: Weighted, pairs: NDArray[np.int64], nothing: float) -> NDArray[np.float32]:
    """Return the weight of shared terms over that of the lighter record, or `nothing`."""
    marks = [
        sparse.csr_array((np.ones_like(m.data), m.indices, m.indptr), m.shape)
        for m in (texts.rows[pairs[:, 0]], texts.rows[pairs[:, 1]])
    ]
    shared = (marks[0].multiply(marks[1]) @ texts.weight).astype(np.float32)
    least = np.minimum(marks[0] @ texts.weight, marks[1] @ texts.weight)
    share = np.divide(shared, least, out=np.full_like(shared, nothing), where=least > 0)
    return np.asarray(share, dtype=np.float32)


def _ratio(
    names: Sequence[str],
    pairs: NDArray[np.int64],
    scorer: Callable[..., float],
    *,
    sort: bool = False,
) -> NDArray[np.float32]:
    change: Callable[[str], str] = sorted_words if sort else str
    texts = [[change(names[row][:_LONG]) for row in pairs[:, at].tolist()] for at in (0, 1)]
    close = process.cpdist(*texts, scorer=scorer, dtype=np.float32)
    whole = 1 if scorer is JaroWinkler.normalized_similarity else 100
    return np.asarray(close / whole, dtype=np.float32)
