"""Mentions of names in a text: known names, recognised ones, and runs of proper nouns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum

from spacy.tokens import Doc, Span, Token

from kgrec.schema import Reading

ITEM = "@item"
"""The type of a mention that is the title of the item itself."""
OTHER = "@other"
"""The type of a mention that the recogniser calls something the domain has no type for."""

_PARTICLES = frozenset(
    [
        "de",
        "da",
        "del",
        "della",
        "di",
        "du",
        "von",
        "van",
        "der",
        "den",
        "la",
        "le",
        "el",
        "al",
        "bin",
        "ibn",
        "ter",
        "ten",
        "dos",
        "das",
        "do",
    ]
)
_TITLE_WORDS = frozenset(
    [
        "of",
        "the",
        "a",
        "an",
        "and",
        "in",
        "on",
        "to",
        "for",
        "at",
        "from",
        "with",
        "by",
        "or",
        "de",
        "la",
        "le",
        "&",
        "my",
        "your",
        "his",
        "her",
        "not",
        "is",
    ]
)
_SUFFIXES = frozenset(["Jr.", "Sr.", "Jr", "Sr", "II", "III", "IV"])
_TITLE_STOPS = frozenset(["by", "with", "and", "is", "or", "from", "on", "in", "to", "for", "at"])


class Origin(IntEnum):
    """How a mention was found; of two of equal length the higher origin wins."""

    RUN = 0
    NER = 1
    PATTERN = 2
    TITLE = 3
    KNOWN = 4
    ITEM = 5


@dataclass(frozen=True, slots=True)
class Mention:
    """Tokens `start` to `end` (exclusive) that name something of `type` (None: unclear)."""

    start: int
    end: int
    type: str | None
    origin: Origin

    def __len__(self) -> int:
        return self.end - self.start


def find_mentions(
    doc: Doc, reading: Reading, known: Iterable[Span], title: str
) -> tuple[Mention, ...]:
    """Return the mentions of a parsed text in order, none overlapping another.

    Args:
        known: spans that the matcher of known names found; their label is the entity type.
        title: the item's own title, empty when there is none.
    """
    found = [
        *own_title(doc, title),
        *(Mention(s.start, s.end, s.label_, Origin.KNOWN) for s in known if _plausible(s)),
        *_titles(doc, reading),
        *_patterns(doc, reading),
        *(_without_ampersand(doc, m) for m in _recognised(doc, reading)),
        *_runs(doc, reading),
    ]
    # The origin decides only between mentions of the same length: the longest one is nearly
    # always the name.
    nouns = set(reading.item_nouns)
    found = [
        m
        for m in found
        if m.origin == Origin.ITEM or len(m) > 1 or doc[m.start].lower_ not in nouns
    ]
    found.sort(key=lambda m: (-(m.origin in (Origin.ITEM, Origin.TITLE)), -len(m), -m.origin))
    covered = [False] * len(doc)
    kept: list[Mention] = []
    for mention in found:
        if not any(covered[mention.start : mention.end]):
            kept.append(mention)
            covered[mention.start : mention.end] = [True] * len(mention)
    return tuple(sorted(kept, key=lambda m: m.start))


def _without_ampersand(doc: Doc, mention: Mention) -> Mention:
    """Return a name without the `&` that joins it to what follows: "by Ann Lee & starring"."""
    end = mention.end
    while end - mention.start > 1 and doc[end - 1].text == "&":
        end -= 1
    return mention if end == mention.end else replace(mention, end=end)


def title_forms(title: str) -> tuple[str, ...]:
    """Return how a text may write a catalogue's title.

    `Usual Suspects, The` is written `The Usual Suspects`; brackets hold a second
    name or the year.
    """
    forms: dict[str, None] = {}
    for part in [re.sub(r"\s*\([^)]*\)", "", title), *re.findall(r"\(([^)\d][^)]*)\)", title)]:
        name = re.sub(r"^(?:a\.?k\.?a\.?)\s+", "", part.strip())
        name = re.sub(r"^(.*), (The|A|An|La|Le|Les|El|Il|Das|Der|Die|L')$", r"\2 \1", name)
        if name:
            forms[name] = None
            head = re.split(r": | - ", name)[0]
            forms[head] = None
            forms[re.sub(r"^(?:The|A|An) ", "", name)] = None
    return tuple(form for form in forms if len(form) > 1 or form == title)


def own_title(doc: Doc, title: str) -> Iterator[Mention]:
    """Yield where a text names its own item by a title."""
    text = doc.text
    for form in title_forms(title):
        # Catalogues drop commas and colons that running text has.
        words = r"\W{1,3}".join(re.escape(word) for word in re.split(r"[\s,:]+", form) if word)
        for match in re.finditer(rf"(?<!\w){words}(?!\w)", text):
            span = doc.char_span(match.start(), match.end(), alignment_mode="expand")
            if span is not None:
                yield Mention(span.start, _whole_title(doc, span.end), ITEM, Origin.ITEM)


def _whole_title(doc: Doc, end: int) -> int:
    """Return the end of a title with the number that may follow: "The Godfather Part II"."""
    while end < len(doc) and (doc[end].text == "Part" or doc[end].text in _SUFFIXES):
        end += 1
    return end


def _plausible(span: Span) -> bool:
    """A known name of one word that merely begins a sentence may be that word itself."""
    if len(span) > 1 or span.label_ == "":
        return bool(span.label_)
    token: Token = span[0]
    return token.pos_ == "PROPN" or not token.text[:1].isupper() or not token.is_sent_start


def _titles(doc: Doc, reading: Reading) -> Iterator[Mention]:
    """Titles after a noun for a work ("the novel X"), and text in quotation marks."""
    nouns = set(reading.work_nouns)
    kind = reading.ner.get("WORK_OF_ART")
    if kind is None:
        return
    for token in doc:
        if token.lower_ in nouns or token.lemma_.lower() in nouns:
            end = _title_end(doc, token.i + 1)
            if end > token.i + 1:
                yield Mention(token.i + 1, end, kind, Origin.TITLE)
        elif token.text in ('"', "“", "'", "‘") and token.whitespace_ == "":
            close = next(
                (t.i for t in doc[token.i + 1 : token.i + 12] if t.text in ('"', "”", "'", "’")), 0
            )
            if close > token.i + 1 and doc[token.i + 1].text[:1].isupper():
                yield Mention(token.i + 1, close, kind, Origin.TITLE)


def _title_end(doc: Doc, start: int) -> int:
    """Return where the title that begins at `start` ends: capitals and small words between."""
    end = start
    i = start
    while i < len(doc):
        token = doc[i]
        if _is_capital(token) or (token.like_num and end > start):
            i += 1
            end = i
        elif end > start and token.lower_ in _TITLE_WORDS and token.lower_ != "by":
            i += 1
        elif end > start and token.text in ("-", "'s", "’s", "!", "?", ":") and i + 1 < len(doc):
            # A possessive, hyphen or colon belongs to the title only when more of it follows.
            i += 1
            if token.text in ("!", "?"):
                end = i
                break
        else:
            break
    if end < len(doc) and doc[end].lower_ == "by":
        return end
    joints = [t.i for t in doc[start:end] if t.lower_ in _TITLE_STOPS]
    # "the novel Emma and Clueless", "the play Rope in London": a joining word is doubtful unless
    # an article follows it or the recogniser has both sides in one span.
    for joint in joints:
        after = doc[joint + 1]
        together = doc[joint].ent_iob_ == "I" and after.ent_iob_ == "I"
        if not together and after.lower_ not in ("the", "a", "an", "my", "his", "her"):
            return joint
    return end


def _patterns(doc: Doc, reading: Reading) -> Iterator[Mention]:
    for kind, patterns in reading.patterns.items():
        for pattern in patterns:
            for match in re.finditer(pattern, doc.text):
                span = doc.char_span(match.start(), match.end())
                if span is not None:
                    yield Mention(span.start, span.end, kind, Origin.PATTERN)


def _recognised(doc: Doc, reading: Reading) -> Iterator[Mention]:
    for span in doc.ents:
        kind = reading.ner.get(span.label_)
        if kind is None:
            continue
        start, end = span.start, span.end
        while end > start and doc[end - 1].text in ("'s", "’s", "'", "’"):
            end -= 1
        while start < end and (doc[start].lower_ in ("the", "a", "an") or not _is_name(doc[start])):
            start += 1
        start = _past_honorifics(doc, start, end, reading)
        if span.label_ == "PERSON":
            end = next((i for i in range(start, end) if not _in_name(doc[i])), end)
        end = next((i for i in range(start, end) if doc[i].lower_ == "as"), end)
        if start < end and any(_is_capital(token) for token in doc[start:end]):
            yield Mention(start, end, kind, Origin.NER)


def _runs(doc: Doc, reading: Reading) -> Iterator[Mention]:
    """Maximal runs of proper nouns with the particles, initials and hyphens inside names."""
    start = -1
    for token in [*doc, None]:
        inside = token is not None and (
            _proper(token, reading, begins=start < 0)
            or (_joins(doc, token, start) if start >= 0 else _opens_sentence(doc, token))
        )
        if inside and start >= 0 and token is not None and _new_name(doc, token):
            yield from _run(doc, start, token.i, reading)
            start = -1
        if inside and start < 0 and token is not None:
            start = token.i
        elif not inside and start >= 0:
            end = len(doc) if token is None else token.i
            yield from _run(doc, start, end, reading)
            start = -1


def _run(doc: Doc, start: int, end: int, reading: Reading) -> Iterator[Mention]:
    begin = _past_honorifics(doc, start, end, reading)
    while end - begin > 1 and doc[end - 1].lower_ in reading.item_nouns:
        end -= 1
    if begin < end:
        labels = {reading.ner.get(t.ent_type_, OTHER) for t in doc[begin:end] if t.ent_type_}
        kind = labels.pop() if len(labels) == 1 else None
        yield Mention(begin, end, kind, Origin.RUN)


def _new_name(doc: Doc, token: Token) -> bool:
    """Whether a name begins behind one that ends a sentence: "in D.C. Kevin Kline"."""
    before = doc[token.i - 1]
    if before.text in ("Jr.", "Sr."):
        return True
    closes = before.text.endswith(".") and len(before) > 2 and bool(before.ent_type_)
    return closes and token.ent_iob_ == "B" and before.ent_type_ != token.ent_type_


def _proper(token: Token, reading: Reading, *, begins: bool) -> bool:
    if not _is_capital(token):
        return False
    if token.text in _SUFFIXES or (not begins and not token.is_sent_start):
        return token.ent_type_ not in ("NORP", "LANGUAGE") or token.pos_ == "PROPN"
    if token.pos_ == "PROPN":
        return token.lower_ not in reading.item_nouns or bool(token.ent_type_)
    named = token.ent_type_ in reading.ner
    return (named and token.pos_ in ("ADJ", "NOUN", "VERB", "X")) or _is_initial(token)


def _joins(doc: Doc, token: Token, start: int) -> bool:
    """Whether a token that is not a proper noun continues a run of proper nouns."""
    if token.i + 1 >= len(doc):
        return False
    after = doc[token.i + 1]
    if token.text == "-" and not doc[token.i - 1].whitespace_ and not token.whitespace_:
        return after.is_alpha and (_is_capital(after) or after.pos_ in ("PROPN", "NOUN"))
    if doc[token.i - 1].text == "-" and not doc[token.i - 1].whitespace_ and token.i - 1 > start:
        return token.is_alpha
    return token.lower_ in _PARTICLES and _is_capital(after)


def _opens_sentence(doc: Doc, token: Token) -> bool:
    """Whether a first name that is tagged as a noun opens a sentence: "Patrice Leconte"."""
    if not token.is_sent_start or token.dep_ != "compound" or not _is_capital(token):
        return False
    return token.i + 1 < len(doc) and doc[token.i + 1].pos_ == "PROPN" and token.head.i > token.i


def _past_honorifics(doc: Doc, start: int, end: int, reading: Reading) -> int:
    opens = start < end and doc[start].is_sent_start and doc[start].tag_ in ("VBG", "VBN")
    if opens and start < end - 1:
        start += 1
    while start < end - 1 and doc[start].text in reading.honorifics:
        start += 1
    return start


def _is_capital(token: Token) -> bool:
    first = token.text.lstrip("'’\"")[:1]
    return first.isupper() or token.text[:2] in ("d'", "d’", "l'", "l’")


def _is_initial(token: Token) -> bool:
    return len(token.text) == 2 and token.text[0].isupper() and token.text[1] == "."


def _in_name(token: Token) -> bool:
    return _is_name(token) or token.text in ("-", "'", "’") or not token.is_alpha


def _is_name(token: Token) -> bool:
    return _is_capital(token) or token.lower_ in _PARTICLES
