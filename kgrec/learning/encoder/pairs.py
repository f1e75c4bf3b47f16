"""Training pairs of related items, and augmentation of their texts.

Items are related that share users or rare facts. Texts are augmented by dropping words, by synonyms
from a file, and by paraphrases of a language model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgrec.data.dataset import IntArray
from kgrec.errors import DataError
from kgrec.learning.encoder.config import AugmentConfig

Synonyms = Mapping[str, tuple[str, ...]]
"""A word in lower case, and what may replace it."""

_WORD = re.compile(r"\w+|\W+")


class Augmenter:
    """Augments a share of the texts.

    Args:
        config: strength of each augmentation.
        synonyms: synonyms of words.
        paraphrases: paraphrases of texts; one replaces its text half of the time.
    """

    def __init__(
        self,
        config: AugmentConfig,
        synonyms: Synonyms | None = None,
        paraphrases: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._config = config
        self._synonyms = synonyms or {}
        self._paraphrases = paraphrases or {}

    def __call__(self, text: str, generator: np.random.Generator) -> str:
        """Return the text, augmented or unchanged."""
        similarity = self._paraphrases.get(text)
        if similarity and generator.random() < 0.5:
            text = similarity[int(generator.integers(len(similarity)))]
        if generator.random() >= self._config.share:
            return text
        if self._synonyms and self._config.synonyms:
            text = self._reworded(text, generator)
        words = text.split()
        kept = self._without_span(words, generator)
        kept = [word for word in kept if generator.random() >= self._config.drop_words]
        return " ".join(kept) if kept else text

    def _without_span(self, words: list[str], generator: np.random.Generator) -> list[str]:
        length = int(self._config.drop_span * len(words))
        if not length:
            return words
        start = int(generator.integers(len(words) - length + 1))
        return words[:start] + words[start + length :]

    def _reworded(self, text: str, generator: np.random.Generator) -> str:
        parts = _WORD.findall(text)
        for place, part in enumerate(parts):
            others = self._synonyms.get(part.lower())
            if others and generator.random() < self._config.synonyms:
                other = others[int(generator.integers(len(others)))]
                parts[place] = other.capitalize() if part[:1].isupper() else other
        return "".join(parts)


def read_synonyms(path: Path) -> dict[str, tuple[str, ...]]:
    """Read groups of synonyms: one group a line, words separated by commas.

    Lines that begin with # are skipped.

    Raises:
        DataError: the file cannot be read, or has no group of two words.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"the synonyms cannot be read ({error})",
            value=str(path),
            remedy="Give a text file in UTF-8, and check its path.",
        ) from None
    found: dict[str, tuple[str, ...]] = {}
    for line in lines:
        words = [word.strip() for word in line.split(",") if word.strip()]
        if line.lstrip().startswith("#"):
            continue
        for word in words:
            others = tuple(other for other in words if other.lower() != word.lower())
            if others:
                found[word.lower()] = found.get(word.lower(), ()) + others
    if not found:
        raise DataError(
            "the file names no synonyms",
            value=str(path),
            remedy="Write a group of words a line, with commas: film, movie, picture.",
        )
    return found


@dataclass(frozen=True)
class Pairs:
    """A batch of pairs of items.

    Attributes:
        anchor, partner: rows of items, int64 [B].
    """

    anchor: IntArray
    partner: IntArray

    def __len__(self) -> int:
        return len(self.anchor)


def co_consumption(
    matrix: sp.csr_matrix, neighbours: int, *, shrink: float = 3.0, block: int = 2000
) -> sp.csr_matrix:
    """Return the similarity of items by shared users, for the nearest neighbours.

    The cosine of the columns (Sarwar et al. 2001, "Item-Based Collaborative Filtering"), times
    c / (c + shrink) for a pair with c users in common, as the cosine of rare pairs is mostly
    chance.

    Args:
        matrix: binary interactions, CSR [U, I].
        neighbours: maximum number of neighbours of an item.
        shrink: number of common users at which the cosine is halved.
        block: number of items that are compared with all at a time.

    Returns:
        CSR float32 [I, I] with a zero diagonal.
    """
    degree = np.asarray(matrix.sum(axis=0), dtype=np.float64).ravel()
    users = sp.csr_matrix(matrix.T)
    rows = [sp.csr_matrix(np.zeros((0, matrix.shape[1]), dtype=np.float32))]
    for start in range(0, matrix.shape[1], block):
        shared = sp.csr_matrix(users[start : start + block] @ matrix).tocoo()
        row, column, count = shared.row, shared.col, shared.data
        weight = count**2 / ((count + shrink) * np.sqrt(degree[row + start] * degree[column]))
        kept = row + start != column
        entries = (weight[kept], (row[kept], column[kept]))
        rows.append(nearest(sp.csr_matrix(entries, shape=shared.shape), neighbours))
    return sp.csr_matrix(sp.vstack(rows), dtype=np.float32)


def nearest(weights: sp.csr_matrix, count: int) -> sp.csr_matrix:
    """Keep the largest entries of each row, CSR float32."""
    row = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))
    order = np.lexsort((-weights.data, row))
    rank = np.arange(len(order)) - weights.indptr[:-1][row[order]]
    kept = np.sort(order[rank < count])
    entries = (weights.data[kept].astype(np.float32), (row[kept], weights.indices[kept]))
    return sp.csr_matrix(entries, shape=weights.shape)


class PairSampler:
    """Samples pairs, from each source by its share.

    Args:
        sources: weights of the partners of each item, CSR float32 [I, I], with their shares.
        usable: items that may be sampled, bool [I].
    """

    def __init__(
        self, sources: Sequence[tuple[sp.csr_matrix, float]], usable: NDArray[np.bool_]
    ) -> None:
        size = (len(usable), len(usable))
        start, none = np.zeros(size[0] + 1, dtype=np.int64), np.zeros(0, dtype=np.int64)
        self._known = sp.csr_matrix((none.astype(np.float32), none, start), shape=size)
        for weights, _ in sources:
            self._known = self._known + weights + weights.T
        kept = [(_between(weights, usable, usable), share) for weights, share in sources]
        self._sources = [(weights, share) for weights, share in kept if weights.nnz and share > 0]

    def __bool__(self) -> bool:
        """Whether there is a pair."""
        return bool(self._sources)

    def sample(self, size: int, generator: np.random.Generator) -> Pairs:
        """Sample `size` pairs of distinct anchors, or fewer where there are fewer anchors."""
        shares = np.array([share for _, share in self._sources])
        chosen = generator.choice(len(shares), size, p=shares / shares.sum())
        pairs: dict[int, int] = {}
        for index in np.unique(chosen):
            weights = self._sources[index][0]
            anchors = np.flatnonzero(np.diff(weights.indptr))
            number = min(int((chosen == index).sum()), len(anchors))
            for anchor in generator.choice(anchors, number, replace=False).tolist():
                pairs.setdefault(anchor, _partner(weights, anchor, generator))
        return _pairs(pairs)

    def related(self, rows: IntArray, columns: IntArray) -> NDArray[np.bool_]:
        """Return which of these items are related, or are the same, bool [R, C]."""
        related = self._known[rows][:, columns].toarray() != 0
        return np.asarray(related | (rows[:, None] == columns[None, :]))


def strongest_partners(
    weights: sp.csr_matrix, anchors: NDArray[np.bool_], partners: NDArray[np.bool_]
) -> Pairs:
    """Return each of these anchors with its strongest partner, where it has one."""
    among = nearest(_between(weights, anchors, partners), 1)
    return _pairs(dict(zip(*(each.tolist() for each in among.nonzero()), strict=True)))


def _pairs(found: dict[int, int]) -> Pairs:
    return Pairs(np.array(list(found), np.int64), np.array(list(found.values()), np.int64))


def _partner(weights: sp.csr_matrix, anchor: int, generator: np.random.Generator) -> int:
    row = slice(weights.indptr[anchor], weights.indptr[anchor + 1])
    odds = weights.data[row].astype(np.float64)
    return int(generator.choice(weights.indices[row], p=odds / odds.sum()))


def _between(
    weights: sp.csr_matrix, rows: NDArray[np.bool_], columns: NDArray[np.bool_]
) -> sp.csr_matrix:
    kept = (sp.diags_array(each.astype(np.float32)) for each in (rows, columns))
    among = sp.csr_matrix(next(kept) @ weights @ next(kept), dtype=np.float32)
    among.eliminate_zeros()
    return among
