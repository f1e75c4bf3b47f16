"""Noun phrases that name what a text is about."""

from __future__ import annotations

from collections.abc import Iterator

from spacy.tokens import Token

from kgrec.text.mentions import Mention, Origin
from kgrec.text.view import TextView

_KEEP = frozenset(["compound", "amod", "nmod", "poss", "case", "punct", "npadvmod", "nummod"])
_LONGEST = 4


def phrases_at(view: TextView, token: Token) -> Iterator[Mention]:
    """Yield the phrase that a noun heads, and those coordinated to it, without articles.

    "the friendship between a boy and a dog" gives "friendship"; what hangs behind the noun is
    left out, so that different texts meet at one subject.
    """
    for head in [token, *token.conjuncts]:
        if head.pos_ not in ("NOUN", "PROPN") or head.i < token.i:
            continue
        mention = view.mention(head.i)
        if mention is not None:
            continue
        start = _start(view, head)
        lemma = head.lemma_.lower()
        empty = start == head.i or lemma in view.reading.item_nouns
        if empty and lemma in view.reading.not_phrases:
            yield from _within(view, head)
            continue
        if head.i - start < _LONGEST:
            yield Mention(start, head.i + 1, view.reading.phrases[0], Origin.RUN)


def _within(view: TextView, head: Token) -> Iterator[Mention]:
    """Yield what an empty noun is of: "a team of experts"."""
    for child in head.rights:
        if child.lower_ == "of":
            for token in child.rights:
                if token.dep_ == "pobj" and token.i != head.i:
                    yield from phrases_at(view, token)


def _start(view: TextView, head: Token) -> int:
    start = head.i
    while start > 0:
        before = view.doc[start - 1]
        joined = before.dep_ in _KEEP or before.tag_ in ("JJ", "NN", "HYPH", "VBN", "VBG")
        inside = before in head.subtree and view.mention(before.i) is None
        if not (joined and inside) or before.text in (",", ";") or before.tag_ in ("CD", "PRP$"):
            break
        start -= 1
    while start > 1 and view.doc[start - 1].text == "-":
        start -= 2
    while (view.doc[start].is_punct or view.doc[start].tag_ == "POS") and start < head.i:
        start += 1
    return start
