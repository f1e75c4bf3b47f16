"""Texts in other words: words left out, synonyms of a file, paraphrases of a language model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kgrec.errors import DataError
from kgrec.training.encoder.config import AugmentConfig

Synonyms = Mapping[str, tuple[str, ...]]
"""A word in lower case, and what may stand in its place."""

_WORD = re.compile(r"\w+|\W+")


class Augmenter:
    """Changes a share of the texts.

    Args:
        config: how much.
        synonyms: of words.
        paraphrases: of whole texts, one of which stands in for the text half of the time.
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
        """Return the text, or the text in other words."""
        said = self._paraphrases.get(text)
        if said and generator.random() < 0.5:
            text = said[int(generator.integers(len(said)))]
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
    """Read groups of words that mean the same: one group a line, words parted by commas.

    Lines that begin with # are left out.

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
