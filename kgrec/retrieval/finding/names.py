"""An index of names in memory: found by whole words, their beginnings, and words with an error.

A word is one error away from another by a letter that is missing, added or replaced, or by two
that changed places (Damerau, CACM 1964), compared with all words at once in NumPy.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import IntArray
from kgrec.model.histories import runs
from kgrec.retrieval.finding.words import key_of, name_words, query_words

_WIDTH = 24
"""Letters of a word in which an error is looked for."""
_MOST_WORDS = 24
"""Words of a query that are looked for."""
_LEAST_LETTERS = 3
"""Shorter words are too many one error away from each other."""
_LEAST_BEGUN = 5
_LEAST_SPLIT = 4
_ALIKE = 0.5
"""What a name gains that is the query as a whole but for one error."""
_LEAST_HELD = 0.45
"""Share of a query, by the rarity of its words, that a name must hold."""
_REORDERED = 100
"""So many of the best are compared with the query as a whole."""
_SAME, _JOINED, _BEGUN, _ERROR, _SPLIT, _WITHIN, _BEGUN_ERROR = 1.0, 0.97, 0.9, 0.75, 0.72, 0.6, 0.6

_NONE = np.empty(0, dtype=np.int64)
Letters = NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Hit:
    """A name that was found.

    Attributes:
        row: its place among the names.
        score: at most 1 for words, and more where name and query agree as wholes.
        same: whether they differ in case, accents, signs and spaces at most.
        near: whether they differ in one letter beside that.
        begins: whether the name begins with the query.
        held: whether it holds every word of the query, by an error at most.
    """

    row: int
    score: float
    same: bool = False
    near: bool = False
    begins: bool = False
    held: bool = False


class NameIndex:
    """The words of names, and which names have them.

    Args:
        names: of items or entities, by row.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        codes: dict[str, int] = {}
        words: list[int] = []
        lengths: list[int] = []
        for name in names:
            found = name_words(name)
            words.extend(codes.setdefault(word, len(codes)) for word in found)
            lengths.append(len(found))
        self.words = sorted(codes)
        place = np.empty(len(codes), dtype=np.int64)
        place[[codes[word] for word in self.words]] = np.arange(len(codes))
        self._place = {word: n for n, word in enumerate(self.words)}
        word_of = place[np.array(words, dtype=np.int64)]
        rows = np.repeat(np.arange(len(names)), lengths)
        self._rows = rows[np.argsort(word_of, kind="stable")].astype(np.int32)
        counts = np.bincount(word_of, minlength=len(codes))
        self._start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self._forms = _Forms(self.words)
        self._keys = [key_of(name) for name in names]
        self._wholes = _Forms(self._keys)

    def find(self, text: str) -> list[Hit]:
        """Return the names that a query finds, the best first; ties stay in the order of rows.

        The last word may be unfinished.
        """
        wanted = query_words(text)[:_MOST_WORDS]
        if not wanted or not self.words:
            return []
        key = key_of(text)
        held, weights = self._held(wanted)
        share = weights @ held
        near = self._wholes.one_error(key) if len(key) >= _LEAST_SPLIT else _NONE
        alike = np.zeros(len(self.names), dtype=np.bool_)
        alike[near] = True
        rows = np.flatnonzero((share >= _LEAST_HELD) | alike)
        letters = np.minimum(1.0, len(key) / np.maximum(self._wholes.lengths[rows], 1))
        score = share[rows] * (0.85 + 0.15 * letters) + _ALIKE * alike[rows]
        every = (held[:, rows] > 0).all(axis=0) | alike[rows]
        order = np.argsort(-score, kind="stable")
        columns = (rows[order], score[order], alike[rows][order], every[order])
        found = [
            Hit(row, value, near=one, held=whole)
            for row, value, one, whole in zip(*(each.tolist() for each in columns), strict=True)
        ]
        best = [self._compared(text, key, one) for one in found[:_REORDERED]]
        best.sort(key=lambda one: -one.score)
        return [*best, *found[_REORDERED:]]

    def _compared(self, text: str, wanted: str, found: Hit) -> Hit:
        name, key = self.names[found.row], self._keys[found.row]
        same, begins = key == wanted, key.startswith(wanted)
        agreed = (name == text) + (name.casefold() == text.casefold()) + 2.0 * same
        agreed += 0.02 * begins + 0.02 * (wanted in key)
        return replace(found, score=found.score + agreed, same=same, begins=begins)

    def _held(self, wanted: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return how well each name holds each word [W, N], and the words' weights, sum 1 [W]."""
        held = np.zeros((len(wanted), len(self.names)), dtype=np.float32)
        for n, word in enumerate(wanted):
            for words, quality in self._meant(word, last=n == len(wanted) - 1):
                held[n, self._rows_of(words)] = quality
            for rows in self._split(word):
                held[n, rows] = np.maximum(held[n, rows], _SPLIT)
        for first, last, joined in _joins(wanted):
            if joined in self._place:
                of_joined = self._rows_of(np.array([self._place[joined]]))
                part = held[first:last]
                part[:, of_joined] = np.maximum(part[:, of_joined], _JOINED)
        number = (held >= _ERROR).sum(axis=1)
        weights = np.log1p(len(self.names) / np.maximum(number, 1))
        return held, (weights / weights.sum()).astype(np.float32)

    def _meant(self, word: str, *, last: bool) -> Iterator[tuple[IntArray, float]]:
        """Yield the words that one may stand for, the most likely last."""
        begin, end = self._beginning(word)
        whole = self._place.get(word)
        if len(word) >= _LEAST_BEGUN and last:
            yield self._forms.one_error(word, whole=False), _BEGUN_ERROR
        if len(word) >= 2 and not last:
            yield np.arange(begin, end), _WITHIN
        if len(word) >= _LEAST_LETTERS:
            yield self._forms.one_error(word), _ERROR
        if last:
            yield np.arange(begin, end), _BEGUN
        if whole is not None:
            yield np.array([whole]), _SAME

    def _split(self, word: str) -> Iterator[IntArray]:
        """Yield the names that hold a word as two, with or without another sign between them."""
        if len(word) < _LEAST_SPLIT or word in self._place:
            return
        for at in range(1, len(word)):
            one = self._place.get(word[:at])
            for other in (self._place.get(word[at:]), self._place.get(word[at + 1 :])):
                if one is not None and other is not None:
                    rows = self._rows_of(np.array([one]))
                    yield np.intersect1d(rows, self._rows_of(np.array([other]))).astype(np.int64)

    def _beginning(self, word: str) -> tuple[int, int]:
        begin = bisect_left(self.words, word)
        return begin, bisect_left(self.words, word + chr(0x10FFFF), begin)

    def _rows_of(self, words: IntArray) -> NDArray[np.int32]:
        begin = self._start[words]
        return self._rows[runs(begin, self._start[words + 1] - begin)]


@lru_cache(maxsize=4)  # items and entities, before and after a change that may not be of names
def name_index(names: tuple[str, ...]) -> NameIndex:
    """Return the index of names, made once for the same names."""
    return NameIndex(names)


class _Forms:
    """The letters of words, to compare one with all of them at once.

    Args:
        words: without order.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.lengths = np.array([len(word) for word in words], dtype=np.int64)
        self._letters = _letters(words)

    def one_error(self, word: str, *, whole: bool = True) -> IntArray:
        """Return which words are, or begin with, a word that one error makes of this one."""
        size = len(word)
        if size >= _WIDTH:
            return _NONE
        near = np.abs(self.lengths - size) <= 1 if whole else self.lengths >= size - 1
        chosen = np.flatnonzero(near)
        target = _letters([word])[0, : size + 1 if whole else size]
        return chosen[_differ_by_one(self._letters[chosen], target)]


def _letters(words: Sequence[str]) -> Letters:
    """Return the letters of words, [V, _WIDTH + 2], zero behind their ends."""
    width = _WIDTH + 2
    cut = np.array([word[:width] for word in words], dtype=f"<U{width}")
    return cut.view(np.uint32).reshape(len(words), width).astype(np.uint16)


def _differ_by_one(letters: Letters, target: Letters) -> NDArray[np.bool_]:
    """Return which words have one error against the beginning that is sought, [V]."""
    size = len(target)
    level = letters[:, :size] == target
    wrong = (~level).sum(axis=1)
    before = np.where(wrong > 0, np.argmin(level, axis=1), size)
    longer = _agree_at_end(letters[:, 1 : size + 1] == target)
    shorter = _agree_at_end(letters[:, : size - 1] == target[1:])
    found = (wrong == 1) | (before + longer >= size) | (before + shorter >= size - 1)
    pairs = np.flatnonzero(wrong == 2)
    at = np.minimum(before[pairs], size - 2)
    one, other = letters[pairs, at], letters[pairs, at + 1]
    found[pairs] |= (one == target[at + 1]) & (other == target[at])
    return np.asarray(found)


def _agree_at_end(agree: NDArray[np.bool_]) -> IntArray:
    """Return how many of the last values are true, [V]."""
    back = agree[:, ::-1]
    if not back.shape[1]:
        return np.zeros(len(back), dtype=np.int64)
    return np.asarray(np.where(back.all(axis=1), back.shape[1], np.argmin(back, axis=1)))


def _joins(words: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Yield neighbouring words as one: first, end, and the word."""
    for first in range(len(words)):
        for end in range(first + 2, min(first + 4, len(words)) + 1):
            yield first, end, "".join(words[first:end])
