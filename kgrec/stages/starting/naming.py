"""Words in names of files, columns and domains, and names made of them."""

from __future__ import annotations

import re

from kgrec.schema import Domain

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_PARTS = re.compile(r"[a-z]+")
_NO_WORDS = frozenset(
    {
        "csv",
        "tsv",
        "json",
        "jsonl",
        "parquet",
        "txt",
        "dat",
        "gz",
        "id",
        "data",
        "raw",
        "item",
        "the",
    }
)


def words_in(name: str) -> frozenset[str]:
    """Return the words of a name in lower case, in the singular, without endings of files."""
    parts = _PARTS.findall(_CAMEL.sub(" ", name).lower())
    return frozenset(singular(part) for part in parts) - _NO_WORDS


def words_of(domain: Domain) -> frozenset[str]:
    """Return the words by which a domain is called, and one and several of its items."""
    return words_in(f"{domain.item_label} {domain.item_word} {domain.plural} {domain.name}")


def singular(word: str) -> str:
    """Return a word in the singular, as far as its ending shows."""
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return (
        word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is", "news")) else word
    )


def label_of(word: str) -> str:
    """Return a word as a label: `board game` is `BoardGame`."""
    return "".join(part.capitalize() for part in re.findall(r"[A-Za-z0-9]+", word)) or "Thing"
