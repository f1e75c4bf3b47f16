"""Which mention can be an entity of which type, and under which name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from kgrec.schema import Reading
from kgrec.text.mentions import ITEM, OTHER, Mention, Origin
from kgrec.text.view import TextView

_COMPANY = re.compile(
    r"\b(?:Pictures|Studios?|Productions?|Entertainment|Films?|Company|Corporation|Inc|Ltd|"
    r"Animations?|Bros|Records|Television|University|Award|Awards|Academy|Festival)\b"
)
_TWO_NAMES = re.compile(r"(?!The |A |An )[^\W\d_]+\.? [^\W\d_]+$")
_WHERE = frozenset(["in", "at", "from", "near", "of", "to", "on", "around", "outside"])
_SUFFIX = frozenset(["Jr.", "Sr.", "Jr", "Sr", "II", "III", "IV"])


class Namer:
    """Decides types and names within one text.

    Args:
        view: the text.
        known: names of persons by their last word, for mentions of the last word alone.
        people: the entity type of persons in this domain, None when it has none.
    """

    def __init__(self, view: TextView, known: Mapping[str, str], people: str | None) -> None:
        self._view = view
        self._known = known
        self._people = people
        self._full = self._full_names()
        self._names = {*self._full.values(), *known.values()}

    def name(self, mention: Mention, kind: str) -> str | None:
        """Return the name under which a mention is an entity of `kind`, None when it is none."""
        text = _clean(self._view.text(mention))
        if not text or not self._fits(mention, kind, text):
            return None
        if kind != self._people or len(_words(text)) > 1:
            return text
        shared = self._shared(mention)
        if shared is not None:
            whole = f"{text} {shared}"
            return whole if whole in self._names else None
        return self._full.get(text) or self._known.get(text) or self._alone(mention, text)

    def title(self, mention: Mention) -> str | None:
        """Return the text as a title that another item may have; the catalogue decides."""
        known = mention.origin == Origin.KNOWN and mention.type != _work_type(self._view.reading)
        if known or mention.origin == Origin.PATTERN:
            return None
        return _clean(self._view.text(mention)) or None

    def _shared(self, mention: Mention) -> str | None:
        """Return the full name where two persons share a surname: "Joel and Ethan Coen"."""
        doc = self._view.doc
        if mention.end + 1 >= len(doc) or doc[mention.end].lower_ != "and":
            return None
        partner = self._view.mention(mention.end + 1)
        words = [] if partner is None else _words(_clean(self._view.text(partner)))
        return words[-1] if len(words) == 2 else None

    def _alone(self, mention: Mention, text: str) -> str | None:
        certain = mention.type == self._people and len(text) > 2
        return text if certain else None

    def _fits(self, mention: Mention, kind: str, text: str) -> bool:
        if kind in self._view.reading.phrases:
            return True
        named = text in self._full or text in self._known
        if named and kind not in (self._people, self._view.reading.ner.get("GPE")):
            return False
        if mention.type == kind:
            return kind != self._people or not self._is_character(mention)
        if kind == self._people:
            return self._may_be_person(mention, text)
        if mention.type == ITEM:
            return kind == _work_type(self._view.reading)
        # A recogniser does not know fictional places; the words of the rule are evidence enough.
        loose = kind == self._view.reading.ner.get("GPE")
        if not loose or mention.origin > Origin.NER or mention.type == OTHER:
            return False
        return mention.start not in self._persons() and not self._of_no_place(mention)

    def _may_be_person(self, mention: Mention, text: str) -> bool:
        if mention.origin > Origin.NER or self._is_character(mention) or self._is_where(mention):
            return False
        if " and " in text:
            return False
        if mention.type is None:
            return not _COMPANY.search(text)
        long = len(_words(text)) > 1 or text in self._full or text in self._known
        titled = mention.type == _work_type(self._view.reading) and not _TWO_NAMES.match(text)
        return long and not _COMPANY.search(text) and not titled

    def _of_no_place(self, mention: Mention) -> bool:
        """Whether "of" stands before, and before that no noun for places: "the time of Jesus"."""
        doc = self._view.doc
        if mention.start < 2 or doc[mention.start - 1].lower_ != "of":
            return False
        return doc[mention.start - 2].lemma_.lower() not in self._view.reading.place_nouns

    def _is_where(self, mention: Mention) -> bool:
        """Whether a preposition of place stands before what the recogniser calls a place."""
        if mention.start == 0 or mention.type != self._view.reading.ner.get("GPE"):
            return False
        return self._view.doc[mention.start - 1].lower_ in _WHERE

    def _is_character(self, mention: Mention) -> bool:
        return mention.start in self._view.characters

    def _persons(self) -> frozenset[int]:
        return frozenset(
            m.start
            for m in self._view.mentions
            if m.type == self._people and len(m) > 1 and m.origin >= Origin.NER
        )

    def _full_names(self) -> dict[str, str]:
        full: dict[str, str] = {}
        for mention in self._view.mentions:
            if mention.type in (ITEM, _work_type(self._view.reading)) or self._is_character(
                mention
            ):
                continue
            text = _clean(self._view.text(mention))
            words = [w for w in _words(text) if w not in _SUFFIX]
            if len(words) > 1:
                full.setdefault(words[-1], text)
        return full


def surnames(names: Iterable[str]) -> dict[str, str]:
    """Return full names by last word, where only one name ends so."""
    found: dict[str, str | None] = {}
    for name in names:
        words = [w for w in name.split() if w not in _SUFFIX]
        if len(words) > 1:
            found[words[-1]] = None if words[-1] in found else name
    return {word: name for word, name in found.items() if name is not None}


def _clean(text: str) -> str:
    text = " ".join(text.split())
    return re.sub(r"(?:['’]s|['’])$", "", text).strip(' ,;:"“”')


def _words(text: str) -> list[str]:
    return re.split(r"[\s-]+", text)


def _work_type(reading: Reading) -> str | None:
    return reading.ner.get("WORK_OF_ART")
