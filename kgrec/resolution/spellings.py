"""How two names may be one: case, accents, signs, order, initials, short forms, an error."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Literal

from rapidfuzz.distance import DamerauLevenshtein

from kgrec.data.records import display_title
from kgrec.progress import SILENT, Progress
from kgrec.resolution.blocking import nearest
from kgrec.resolution.given_names import names_of, same_given_name
from kgrec.resolution.words import grams_of, plain, weighted

Likeness = Literal[
    "name", "signs", "spaces", "order", "middle", "given", "initials", "short", "acronym", "letter"
]
LIKENESSES: dict[Likeness, str] = {
    "name": "the same name",
    "signs": "the same name but for case, accents and signs",
    "spaces": "the same letters",
    "order": "the same words in another order",
    "middle": "one has a middle name or initial more",
    "given": "one has a short form of the given name",
    "initials": "one has initials for what the other spells out",
    "short": "one shortens words of the other",
    "acronym": "one is the initials of the other",
    "letter": "one letter differs",
}
"""What each likeness means, the strongest first."""
ORDER: dict[Likeness, int] = {how: n for n, how in enumerate(LIKENESSES)}
_WORD = re.compile(r"[^\W_]+")
_DOTTED = re.compile(r"([^\W\d_]{3,})\.")
_LETTERS = re.compile(r"['’`´]")
_FIRMS = frozenset(["inc", "ltd", "llc", "co", "corp", "gmbh", "plc"])
_GENERATIONS = frozenset(["jr", "sr", "ii", "iii", "iv"])
_TAILS = _FIRMS | _GENERATIONS
"""What stands behind a comma without being a first name."""
_MOST = 60
"""Names of one block that are all compared with each other."""
_NEIGHBOURS = 5
_LEAST_LETTERS = 8
"""Shorter names with an error are other names more often than not."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """A name as its words: plain, in order, a first name that stood behind a comma in front."""

    words: tuple[str, ...]
    sorted: str
    squeezed: str
    dotted: frozenset[str]
    """Words of three letters and more with a full stop behind them: `Bros.`"""
    proper: bool
    """Whether its first and its last word begin with a capital letter."""


@lru_cache(maxsize=1 << 17)
def spelling(name: str) -> Spelling:
    """Return the words of a name."""
    text = _LETTERS.sub("", plain(display_title(name))).replace("&", " and ")
    head, comma, tail = text.partition(",")
    behind = _WORD.findall(tail)
    if comma and "," not in tail and behind and _WORD.findall(head) and behind[0] not in _TAILS:
        text = f"{tail} {head}"
    words = tuple(_WORD.findall(text)) or (text.strip(),)
    dotted = frozenset(plain(word) for word in _DOTTED.findall(name))
    found = _WORD.findall(name)
    proper = len(found) > 1 and found[0][0].isupper() and found[-1][0].isupper()
    return Spelling(words, " ".join(sorted(words)), "".join(words), dotted, proper)


def likeness(one: str, other: str) -> Likeness | None:
    """Return in which way two names may be one, the strongest; None where they are two."""
    a, b = spelling(one), spelling(other)
    if plain(one) == plain(other) and one.casefold() == other.casefold():
        return "name"
    if a.words == b.words:
        return "signs"
    if _numbers(a) != _numbers(b) or _generation(a) != _generation(b):
        return None
    if a.squeezed == b.squeezed:
        return "spaces"
    if a.sorted == b.sorted:
        return "order"
    return _partly(a, b)


def _partly(a: Spelling, b: Spelling) -> Likeness | None:
    shorter, longer = sorted((a, b), key=lambda one: (len(one.words), len(one.squeezed)))
    few, many = shorter.words, longer.words
    if a.proper and b.proper and len(few) > 1 and few[-1] == many[-1]:
        if len(few) < len(many) and len(few) == 2 and _agree(few[0], many[0]):
            return "middle" if few[0] == many[0] else "initials"
        if len(few) == len(many) and all(map(_agree, few, many)):
            return "initials"
        if same_given_name(few[0], many[0]) and _same_behind(few[1:], many[1:]):
            return "given"
    dotted = a.dotted | b.dotted
    if dotted and len(few) == len(many):
        words = zip(few, many, strict=True)
        if all(_shortened(one, other, dotted) for one, other in words):
            return "short"
    spelled = longer.proper and len(many) > 2 and min(map(len, many)) > 1
    if spelled and few == ("".join(word[0] for word in many),):
        return "acronym"
    least = min(len(a.squeezed), len(b.squeezed))
    letters = {word for word in a.words if len(word) == 1}
    if letters != {word for word in b.words if len(word) == 1}:
        return None
    whole = a.squeezed.isalpha() and b.squeezed.isalpha() and least >= _LEAST_LETTERS
    if whole and DamerauLevenshtein.distance(a.squeezed, b.squeezed, score_cutoff=1) <= 1:
        return "letter"
    return None


def _same_behind(few: Sequence[str], many: Sequence[str]) -> bool:
    """Whether what follows two given names agrees; a middle name may be in one alone."""
    return len(few) == 1 or (len(few) == len(many) and all(map(_agree, few, many)))


def _agree(one: str, other: str) -> bool:
    return one == other or (1 in (len(one), len(other)) and one[0] == other[0])


def _shortened(one: str, other: str, dotted: frozenset[str]) -> bool:
    few, many = sorted((one, other), key=len)
    if few == many:
        return True
    return few in dotted and (many.startswith(few) or (few[0] == many[0] and _ends(few, many)))


def _ends(few: str, many: str) -> bool:
    """Whether letters were left out within: `bros` for `brothers`."""
    rest = iter(many)
    return few[-1] == many[-1] and len(many) > len(few) + 1 and all(sign in rest for sign in few)


def _numbers(one: Spelling) -> list[str]:
    return sorted(word for word in one.words if any(map(str.isdigit, word)))


def _generation(one: Spelling) -> frozenset[str]:
    return _GENERATIONS & set(one.words[1:])


def alike(names: Sequence[str], progress: Progress = SILENT) -> Iterator[tuple[int, int, Likeness]]:
    """Yield the pairs of names that may be one, with the way, each once.

    Compared are names with the same words, letters, or last word and first initial or given name,
    initials with names that have them, and each name with its nearest by runs of letters.
    """
    blocks: dict[str, list[int]] = defaultdict(list)
    for row, name in enumerate(names):
        one = spelling(name)
        blocks[f"w {one.sorted}"].append(row)
        blocks[f"s {one.squeezed}"].append(row)
        if len(one.words) > 1:
            blocks[f"i {one.words[0][0]} {one.words[-1]}"].append(row)
            for given in names_of(one.words[0]):
                blocks[f"g {given} {one.words[-1]}"].append(row)
        if len(one.words) > 2:
            blocks[f"a {''.join(word[0] for word in one.words)}"].append(row)
        elif len(one.words) == 1:
            blocks[f"a {one.words[0]}"].append(row)
    pairs: set[tuple[int, int]] = set()
    for rows in blocks.values():
        if 1 < len(rows) <= _MOST:
            pairs.update(combinations(rows, 2))
    grams = weighted([plain(name) for name in names], grams_of).rows
    for i, j in nearest(grams, grams, _NEIGHBOURS, within=True, progress=progress).tolist():
        pairs.add((min(i, j), max(i, j)))
    for i, j in sorted(pairs):
        if (found := likeness(names[i], names[j])) is not None:
            yield i, j, found
