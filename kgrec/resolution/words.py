"""Texts as weighted words and runs of letters: plain letters, codes, numbers, TF-IDF."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

_WORD = re.compile(r"[^\W_]+")
_CODE = re.compile(r"(?=[^\s]*\d)[^\s,;:()\[\]\"]{3,}")
_SIGN = re.compile(r"[\W_]+")
_DIGIT = re.compile(r"\d")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_GRAM = 3


def plain(text: str) -> str:
    """Return a text in lower case without accents, with compatible letters as one."""
    if text.isascii():
        return text.lower()
    split = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFC", "".join(c for c in split if not unicodedata.combining(c)))


def words_of(text: str) -> list[str]:
    """Return the words of a plain text, and its codes written as one word: `KX-TG 67` has kxtg."""
    words = _WORD.findall(text)
    return words + [code for code in codes_of(text) if code not in words]


def codes_of(text: str) -> list[str]:
    """Return what stands between spaces and holds a digit, without signs: numbers of models."""
    found = (_SIGN.sub("", chunk) for chunk in _CODE.findall(text))
    return [code for code in found if len(code) > 3]


def numbers_of(text: str) -> list[str]:
    """Return the numbers of a plain text."""
    return [number.lstrip("0") or "0" for number in _NUMBER.findall(text)]


def sorted_words(text: str) -> str:
    """Return the words of a plain text in the order of the alphabet, so `Last, First` is one."""
    return " ".join(sorted(_WORD.findall(text)))


def grams_of(text: str) -> list[str]:
    """Return the runs of three letters of each word, its ends marked; numbers are whole."""
    found: list[str] = []
    for word in _WORD.findall(text):
        marked = f" {word} "
        found += [marked[at : at + _GRAM] for at in range(len(marked) - _GRAM + 1)]
    return found


@dataclass(frozen=True)
class Weighted:
    """Texts as sparse rows over one vocabulary.

    Attributes:
        rows: float32 [N, V], of length 1 (or 0).
        weight: float32 [V], the inverse frequency of each term: log(1 + N / n).
    """

    rows: sparse.csr_array
    weight: NDArray[np.float32]


def weighted(texts: Sequence[str], terms: Callable[[str], Iterable[str]]) -> Weighted:
    """Return the TF-IDF rows of plain texts; a term counts once in a text."""
    vocabulary: dict[str, int] = {}
    columns = []
    for text in texts:
        own = {vocabulary.setdefault(term, len(vocabulary)) for term in terms(text)}
        columns.append(np.fromiter(own, np.int32, len(own)))
    lengths = [len(own) for own in columns]
    flat = np.concatenate([np.empty(0, np.int32), *columns])
    total, size = len(lengths), max(1, len(vocabulary))
    count = np.bincount(flat, minlength=size)
    weight = np.log1p(total / np.maximum(count, 1)).astype(np.float32)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    matrix = sparse.csr_array((weight[flat], flat, starts), shape=(total, size))
    matrix.sort_indices()
    length = np.sqrt(matrix.multiply(matrix).sum(axis=1))
    matrix.data /= np.repeat(np.maximum(length, 1e-12), lengths).astype(np.float32)
    return Weighted(matrix, weight)
