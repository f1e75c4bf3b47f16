"""Spans of a text that may name something, each with the words that tie it to the item.

Names that the recogniser finds and noun phrases, longest first. The words are those of the parse
between the span and what governs it: `was published by`, `a novel by`, `made of`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from spacy.tokens import Doc, Span, Token

_SUBJECTS = ("nsubj", "nsubjpass", "csubj")
_OBJECTS = ("dobj", "attr", "oprd", "dative", "appos", "conj")
_LEADING = ("DET", "PRON", "PUNCT", "CCONJ", "ADP", "PART", "SYM")
_TRAILING = ("'s", "’s", "'", "’")
_NO_NAMES = frozenset(["ORDINAL", "CARDINAL", "PERCENT", "QUANTITY", "MONEY", "TIME"])
_ITS = frozenset(["it", "this", "these", "they", "its"])


@dataclass(frozen=True, slots=True)
class TiedSpan:
    """A span, and the words that tie it to what its text is about.

    Attributes:
        start, end: characters of the text.
        label: what the recogniser calls it, empty for a noun phrase.
        before, after: the words in front of it and behind it that tie it, such as `published by`.
        first, last: characters of the evidence, span and words.
        anchored: whether the words lead to the item: by its title, word or a pronoun, or since
            nothing else stands between the span and the root of its sentence.
    """

    start: int
    end: int
    text: str
    label: str
    before: str
    after: str
    first: int
    last: int
    anchored: bool


def tied_spans(doc: Doc, item_words: frozenset[str], title: str) -> Iterator[TiedSpan]:
    """Yield the spans of a parsed text that may name something.

    Args:
        item_words: lemmas that stand for the item itself.
        title: of the item, whose own mentions are left out.
    """
    for span in possible_names(doc, item_words, title):
        tied = _tied(doc, span, item_words, title.casefold())
        if tied is not None:
            yield tied


def possible_names(doc: Doc, item_words: frozenset[str], title: str) -> Iterator[Span]:
    """Yield the spans of a parsed text that may name something; as of `tied_spans`."""
    own = title.casefold()
    for span in _spans(doc):
        if own and (span.text.casefold() in own or own in span.text.casefold()):
            continue
        if span.root.lemma_.lower() not in item_words and any(
            t.is_alpha or t.like_num for t in span
        ):
            yield span


def _spans(doc: Doc) -> list[Span]:
    found = [_trimmed(span) for span in doc.ents if span.label_ not in _NO_NAMES]
    covered = {token.i for span in found if span is not None for token in span}
    for chunk in doc.noun_chunks:
        span = _trimmed(chunk)
        if span is not None and not covered & set(range(span.start, span.end)):
            found.append(span)
    return sorted((span for span in found if span is not None), key=lambda span: span.start)


def _trimmed(span: Span) -> Span | None:
    doc, start, end, label = span.doc, span.start, span.end, span.label_
    while start < end and (doc[start].pos_ in _LEADING or doc[start].is_space):
        start += 1
    while start < end and (doc[end - 1].text in _TRAILING or doc[end - 1].is_punct):
        end -= 1
    if start == end or (end - start == 1 and doc[start].pos_ in ("PRON", "DET", "SCONJ")):
        return None
    return Span(doc, start, end, label=span.label_ if label in doc.vocab.strings and label else "")


def _tied(doc: Doc, span: Span, item_words: frozenset[str], title: str) -> TiedSpan | None:
    token = span.root
    while (
        token.dep_ in ("conj", "appos")
        and token.head.i != token.i
        and token.head.pos_
        in (
            "NOUN",
            "PROPN",
        )
    ):
        token = token.head  # "X and Y" are tied by the same words
    before: list[Token] = []
    after: list[Token] = []
    head = token.head
    if token.dep_ in ("pobj", "pcomp") and head.i < span.start:
        before.append(head)
        governor = head.head
        while (
            governor.dep_ in ("pobj", "prep")
            and governor.i != governor.head.i
            and (governor.ent_type_ or governor.pos_ == "PROPN" or governor.dep_ == "prep")
        ):
            governor = governor.head  # "set in Lisbon in the 1920s"
    elif token.dep_ in (*_SUBJECTS, *_OBJECTS, "poss", "compound", "nmod", "ROOT"):
        governor = head
    else:
        governor = head
    if governor.i != token.i:
        words = _governing(governor, span)
        before += [t for t in words if t.i < span.start]
        after += [t for t in words if t.i >= span.end]
    if not before and not after:
        return None
    ties = [*before, *after]
    first = min(span.start, *(t.i for t in ties))
    last = max(span.end - 1, *(t.i for t in ties))
    if last - first > 25:
        return None
    return TiedSpan(
        start=span.start_char,
        end=span.end_char,
        text=span.text,
        label=span.label_,
        before=" ".join(t.text for t in sorted(set(before), key=lambda t: t.i)),
        after=" ".join(t.text for t in sorted(set(after), key=lambda t: t.i)),
        first=doc[first].idx,
        last=doc[last].idx + len(doc[last]),
        anchored=_anchored(governor, span, item_words, title),
    )


def _governing(governor: Token, span: Span) -> list[Token]:
    """Return a governing word with its auxiliaries, negation and particles."""
    near = ("aux", "auxpass", "neg", "prt")
    kept = [t for t in governor.children if t.dep_ in near and not span.start <= t.i < span.end]
    return [*kept, governor]


def _anchored(governor: Token, span: Span, item_words: frozenset[str], title: str) -> bool:
    token = governor
    for _ in range(6):
        if token.pos_ in ("NOUN", "PROPN") and token.i not in range(span.start, span.end):
            own = token.lemma_.lower() in item_words or (title and token.text.casefold() in title)
            return bool(own) or (token.dep_ == "ROOT")
        subjects = [t for t in token.lefts if t.dep_ in _SUBJECTS]
        if subjects:
            subject = subjects[0]
            if span.start <= subject.i < span.end:
                objects = [t for t in token.rights if t.dep_ in _OBJECTS]
                return any(_is_item(t, item_words, title) for t in objects) or not objects
            return _is_item(subject, item_words, title)
        if token.dep_ == "ROOT" or token.head.i == token.i:
            return True
        token = token.head
    return False


def _is_item(token: Token, item_words: frozenset[str], title: str) -> bool:
    lemma = token.lemma_.lower()
    return lemma in item_words or token.lower_ in _ITS or bool(title and token.lower_ in title)
