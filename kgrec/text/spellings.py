"""Known names in texts of a language that is not parsed: spellings, forms, and what they state.

A name of the catalogue that stands in the text of an item states the one relation in which the
catalogue knows it. Nothing shows what a sentence means, so the confidence is low.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from spacy.language import Language
from spacy.matcher import PhraseMatcher
from spacy.tokens import Doc, Span
from spacy.util import filter_spans

from kgrec.schema import Domain
from kgrec.text.languages import blank_pipeline, code_of, forms_of
from kgrec.text.mentions import own_title
from kgrec.text.pipeline import ItemText, TextFact

VERSION = "1"
CONFIDENCE = 0.5
"""Of a fact that a known name states by standing in a text; not calibrated."""
_FOUND = "kgrec_spelled"
_TITLE = "kgrec_title"
_MOST = 100_000
"""Characters that are split at once."""
_SPACED = re.compile(r"[0-9A-Za-z\u00c0-\u024f\u0370-\u052f]")

Spellings = Mapping[str, Mapping[str, str]]
"""By relation or entity type: each spelling, and the name of the entity that it stands for."""


class SpelledNames:
    """Marks known spellings and their word forms in a text.

    Proper names match as they are written, but for accents, apostrophes and elided articles; the
    terms of a domain, such as genres, in any case.
    """

    def __init__(self, nlp: Language, language: str) -> None:
        self._nlp = nlp
        self._forms = forms_of(language)
        self._names = PhraseMatcher(nlp.vocab, attr="NORM")
        self._terms = PhraseMatcher(nlp.vocab, attr="LOWER")
        self._known: dict[tuple[str, str], str] = {}
        self._stops: frozenset[str] = frozenset(nlp.Defaults.stop_words)

    def add(self, relation: str, spellings: Mapping[str, str], *, terms: bool) -> None:
        """Add the spellings that state a relation; `terms` are common nouns."""
        endings = self._forms.terms if terms else self._forms.names
        patterns: list[Doc] = []
        given = {s: name for s, name in spellings.items() if self._usable(s, terms=terms)}
        forms = {f"{s}{ending}": name for s, name in given.items() for ending in endings}
        for spelling, name in [*given.items(), *forms.items()]:
            doc = _normed(self._nlp.make_doc(spelling))
            key = relation, _key(doc[:], terms=terms)
            if key not in self._known:
                self._known[key] = name
                patterns.append(doc)
        if patterns:
            (self._terms if terms else self._names).add(relation, patterns)

    def _usable(self, spelling: str, *, terms: bool) -> bool:
        letters = sum(c.isalpha() for c in spelling)
        if letters < 2 or (letters < 3 and _SPACED.match(spelling)):
            return False
        return terms or not spelling[:1].islower()

    def __call__(self, doc: Doc) -> Doc:
        _normed(doc)
        titles = own_title(doc, doc.user_data.get(_TITLE, ""))
        own = {i for one in titles for i in range(one.start, one.end)}
        matches = {
            terms: self._names_in(matcher(doc, as_spans=True))
            for terms, matcher in ((False, self._names), (True, self._terms))
        }
        found: list[list[Any]] = []
        for terms, spans in matches.items():
            for span in filter_spans(spans):
                if not own & set(range(span.start, span.end)):
                    name = self._known[span.label_, _key(span, terms=terms)]
                    found.append([span.label_, name, span.start_char, span.end_char])
        doc.user_data[_FOUND] = found
        return doc

    def _names_in(self, spans: Iterable[Span]) -> list[Span]:
        return [
            span
            for span in spans
            if _is_whole(span) and not (len(span) == 1 and span[0].lower_ in self._stops)
        ]


class NameReader:
    """Reads texts of a language that is not parsed, for the names that are known.

    Args:
        domain: its relations from items to entities; those of `reading.known` have terms.
        names: spellings by relation, or by an entity type to which one relation alone leads.
        language: code of the language.
    """

    def __init__(self, domain: Domain, names: Spellings, language: str) -> None:
        self._domain = domain
        self._nlp = blank_pipeline(language)
        self.version = names_version(domain, language)
        marker: Any = self._nlp.add_pipe(_FOUND, config={"language": language})
        for label, spellings in names.items():
            relation = _relation_of(label, domain)
            if relation is not None:
                marker.add(relation, spellings, terms=relation in domain.reading.known)

    def read(
        self, texts: Iterable[ItemText], *, n_process: int = 1, batch_size: int = 64
    ) -> Iterator[tuple[ItemText, list[TextFact]]]:
        """Read texts in a stream and yield each with its facts, in the order they came.

        Args:
            n_process, batch_size: as of `Extractor.read`; matching takes one process.
        """
        for item in texts:
            found: dict[tuple[str, str], TextFact] = {}
            for start in range(0, len(item.text), _MOST):
                doc = self._nlp.make_doc(item.text[start : start + _MOST])
                doc.user_data[_TITLE] = item.title
                for fact in self._facts(item, self._nlp(doc), start):
                    found.setdefault((fact.relation, fact.entity_name.casefold()), fact)
            yield item, sorted(found.values(), key=lambda fact: fact.start)

    def _facts(self, item: ItemText, doc: Doc, offset: int) -> Iterator[TextFact]:
        for relation, name, start, end in doc.user_data[_FOUND]:
            yield TextFact(
                item_id=item.item_id,
                relation=relation,
                entity_type=self._domain.relations[relation].tail,
                entity_name=name,
                confidence=CONFIDENCE,
                extractor="known",
                evidence=doc.text[start:end],
                start=offset + start,
                end=offset + end,
                version=self.version,
            )


@Language.factory(_FOUND, default_config={"language": "xx"})
def make_spelled(nlp: Language, name: str, language: str) -> SpelledNames:
    """Register the matcher of spellings; it knows none until they are added."""
    return SpelledNames(nlp, language)


def names_version(domain: Domain, language: str) -> str:
    """Return a hash of everything that the facts depend on but the names themselves."""
    content = f"{VERSION}\0{code_of(language)}\0{domain.of_texts}"
    return hashlib.blake2b(content.encode(), digest_size=6).hexdigest()


def _relation_of(label: str, domain: Domain) -> str | None:
    if label in domain.facts:
        return label
    leading = [name for name, one in domain.facts.items() if one.tail == label]
    known = [name for name in leading if name in domain.reading.known]
    found = known or leading
    return found[0] if len(found) == 1 else None


def _normed(doc: Doc) -> Doc:
    """Write a comparable form of each word: no accents, one apostrophe, small elided articles."""
    for token in doc:
        text = plain(token.text)
        after = doc[token.i + 1].text[:1] if token.i + 1 < len(doc) else ""
        elided = text.endswith("'") or (after in ("'", "’") and not token.whitespace_)
        token.norm_ = text.lower() if elided and len(text) <= 3 else text
    return doc


def plain(text: str) -> str:
    """Return a text without accents, with one kind of apostrophe."""
    parts = unicodedata.normalize("NFKD", text.replace("’", "'"))
    kept = "".join(c for c in parts if not "\u0300" <= c <= "\u036f")
    return unicodedata.normalize("NFC", kept)


def _key(span: Span, *, terms: bool) -> str:
    return " ".join(token.lower_ if terms else token.norm_ for token in span)


def _is_whole(span: Span) -> bool:
    """Whether a match does not cut a word of letters, where a text is split into characters."""
    text, start, end = span.doc.text, span.start_char, span.end_char
    before, after = text[start - 1 : start], text[end : end + 1]
    cut = _SPACED.match(before) and _SPACED.match(text[start])
    return not cut and not (_SPACED.match(after) and _SPACED.match(text[end - 1]))
