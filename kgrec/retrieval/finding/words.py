"""How names and queries are cut into words: one rule for both, whichever engine holds the graph.

Case, width, accents and points of vowels make no difference; a run of letters, marks and digits is
a word, and other signs part words. Scripts that are written without spaces are cut into pairs of
neighbouring letters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

LONGEST = 64
"""Letters of a word that are compared."""
_ASCII = re.compile(r"[a-z0-9]+")
_ACCENTED = ("LATIN", "GREEK", "CYRILLIC", "HEBREW", "ARABIC", "SYRIAC", "COPTIC", "ARMENIAN")
"""Scripts whose marks may be left out without making another word."""
_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")
_PLAIN = str.maketrans(
    {"ı": "i", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "æ": "ae", "œ": "oe", "þ": "th", "ħ": "h"}
)
_FRACTION = "\u2044"
_JOINERS = frozenset("Cf")


def cut(text: str) -> list[list[str]]:
    """Return the words of a text; those that no space parts, such as `wall·e`, in one list."""
    if text.isascii():
        chunks = (_ASCII.findall(chunk) for chunk in text.lower().split())
    else:
        chunks = (list(_runs(chunk)) for chunk in simplified(text).split())
    return [chunk for chunk in chunks if chunk]


def simplified(text: str) -> str:
    """Return a text without what makes no difference: case, width, accents, joining signs."""
    if text.isascii():
        return text.lower()
    spread = "".join(map(_fraction, text))
    once = unicodedata.normalize("NFKC", spread).casefold().translate(_PLAIN)
    kept: list[str] = []
    base = ""
    for sign in unicodedata.normalize("NFD", once):
        kind = unicodedata.category(sign)
        if kind[0] == "M":
            if _script(base) in _ACCENTED or "NUKTA" in unicodedata.name(sign, ""):
                continue
        elif kind in _JOINERS or sign == "\u0640":  # a sign that only stretches Arabic words
            continue
        else:
            base = sign
        kept.append(sign)
    return unicodedata.normalize("NFC", "".join(kept))


def query_words(text: str) -> list[str]:
    """Return the words that a query looks for, in order; none of a text of signs alone."""
    return [part for chunk in cut(text) for word in chunk for part in _parts(word, ends=False)]


def name_words(text: str) -> set[str]:
    """Return the words that a name is found by, those that a sign within them parts also joined."""
    found: set[str] = set()
    for chunk in cut(text):
        for word in chunk:
            found.update(_parts(word, ends=True))
        if len(chunk) > 1:
            found.add("".join(chunk)[:LONGEST])
    return found


def key_of(text: str) -> str:
    """Return what two names have in common that differ in case, accents, signs and spaces alone."""
    return "".join(word for chunk in cut(text) for word in chunk)


def _runs(chunk: str) -> Iterator[str]:
    word = ""
    for sign in chunk:
        if unicodedata.category(sign)[0] in "LMN":
            word += sign
        elif word:
            yield word
            word = ""
    if word:
        yield word


def _parts(word: str, *, ends: bool) -> Iterator[str]:
    """Yield a word, or the pairs of letters where its script has no spaces.

    Args:
        ends: whether the last letter of such a run comes alone too, so that it is found alone.
    """
    if word.isascii():
        yield word[:LONGEST]
        return
    spaced, letters = "", list[str]()
    for sign in word:
        if _script(sign) in _UNSPACED:
            if spaced:
                yield spaced[:LONGEST]
                spaced = ""
            if letters and unicodedata.category(sign)[0] == "M":
                letters[-1] += sign
            else:
                letters.append(sign)
            continue
        yield from _pairs(letters, ends=ends)
        letters = []
        spaced += sign
    if spaced:
        yield spaced[:LONGEST]
    yield from _pairs(letters, ends=ends)


def _pairs(letters: list[str], *, ends: bool) -> Iterator[str]:
    yield from (one + other for one, other in pairwise(letters))
    if letters and (ends or len(letters) == 1):
        yield letters[-1]


@cache
def _script(sign: str) -> str:
    return unicodedata.name(sign, "").partition(" ")[0] if sign else ""


@cache
def _fraction(sign: str) -> str:
    """Return a fraction of one sign with a space before it: `8½` is eight and a half."""
    found = unicodedata.normalize("NFKD", sign)
    return f" {found}" if _FRACTION in found and len(found) > 1 else sign
