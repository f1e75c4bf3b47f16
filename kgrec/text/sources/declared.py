"""Facts from the declarations of a domain alone: types and relations with their meanings, no rules.

The words that tie a span to its item ("was published by") are put beside the meaning of each
relation ("the book was published by an organization"), as sentence vectors (Reimers and Gurevych,
EMNLP 2019), and so are what the recogniser calls the span and the meanings of the entity types. A
logistic regression makes a confidence of both; below a threshold nothing is stated. Its weights
were fitted on texts of other domains than those it was tried on (docs/extraction.md).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from spacy.language import Language
from spacy.tokens import Span

from kgrec.config import FrozenModel
from kgrec.schema import Domain, Relation
from kgrec.text.models import SENTENCE_MODEL
from kgrec.text.pipeline import ItemText, TextFact, load_spacy
from kgrec.text.sources.fusion import TextFinding
from kgrec.text.sources.spans import TiedSpan, tied_spans

Encode = Callable[[Sequence[str]], NDArray[np.float32]]

_LEAST = 0.85
"""Similarity of words and meaning below which a relation is not considered."""
_NEAR = 0.7
"""The same with "something" in the place of the span, below which it is not compared closely."""
_ANYTHING = "something"
_BEHIND = -0.08
"""How far a relation may be behind another whose meaning is more similar."""
_SAME_TYPE = 0.05
"""How much less like its label another type may be than the likest, to be possible too."""
_MOST_KEPT = 100_000
_LABELS = {
    "PERSON": "a person, somebody",
    "PER": "a person, somebody",
    "GPE": "a country, city or place",
    "LOC": "a place, a region",
    "FAC": "a building or place",
    "ORG": "a company or organization",
    "DATE": "a time, a date or period",
    "EVENT": "an event, a time",
    "WORK_OF_ART": "a title of a book or work",
    "NORP": "a nationality or group",
    "PRODUCT": "a product",
    "LANGUAGE": "a language",
    "LAW": "a law",
}
"""What spaCy's recognisers call a name, in words."""
_PREPOSITIONS = frozenset(
    ["by", "of", "from", "for", "with", "to", "about", "in", "on", "at", "during", "under", "as"]
)
_PLACE = re.compile(r"(\w+)\s+\{(?:entity|tail)\}")
FEATURES = (
    "similar",
    "similar_beyond_8",
    "similar_beyond_9",
    "ahead",
    "behind",
    "ahead_with_type",
    "type_of_label",
    "type_behind_of_label",
    "type_of_words",
    "type_ahead_of_words",
    "words",
    "labelled",
    "anchored",
    "capital",
    "preposition",
    "shared_words",
)
"""What the confidence depends on, in the order of `WEIGHTS`."""
WEIGHTS: tuple[float, ...] = (
    2.640,
    2.640,
    16.556,
    3.862,
    -14.962,
    7.710,
    3.311,
    -2.374,
    -7.412,
    6.073,
    7.574,
    -0.463,
    0.286,
    0.400,
    0.333,
    0.773,
    -7.181,
)
"""Of the features, and the constant last, by examples/extraction/calibrate_declared.py."""


class DeclaredSettings(FrozenModel):
    """How declarations are matched.

    Attributes:
        encoder: a sentence transformer: folder, installed package or hub id.
        confidence: below which nothing is stated.
    """

    encoder: str = SENTENCE_MODEL
    confidence: float = Field(default=0.6, gt=0, le=1)


class Declarations:
    """The relations of a domain that lead from an item to an entity, as vectors.

    Args:
        encode: texts to unit vectors.
        nlp: reads the meanings.
    """

    def __init__(self, domain: Domain, encode: Encode, nlp: Language) -> None:
        self._encode = encode
        self._kept: dict[str, NDArray[np.float32]] = {}
        self.item = f"the {domain.item_word}"
        self.item_words = frozenset({domain.item_word, *domain.reading.item_nouns})
        self.names = list(domain.facts)
        relations: list[Relation] = list(domain.facts.values())
        self.types = sorted({one.tail for one in relations})
        self.type_of = [self.types.index(one.tail) for one in relations]
        self.type_words = [_with_article(_words(kind)) for kind in self.types]
        meanings = [
            _lower_first(one.sentence(self.item, self.type_words[kind]))
            for one, kind in zip(relations, self.type_of, strict=True)
        ]
        plain = [_lower_first(one.sentence(self.item, _ANYTHING)) for one in relations]
        kinds = [f"{_words(kind)}: {domain.entity_types[kind]}" for kind in self.types]
        self.meanings = self.vectors(meanings)  # [R, D]
        self.plain_meanings = self.vectors(plain)  # [R, D]
        self.kinds = self.vectors(kinds)  # [T, D]
        own = {domain.item_word, *(word for kind in self.types for word in _words(kind).split())}
        self.content = [_content(doc) - own - {"VERB"} for doc in nlp.pipe(meanings)]
        found = (_PLACE.search(one.meaning) for one in relations)
        self.prepositions = [match[1].lower() if match else "" for match in found]
        self.by_subject = [
            near == "by" or one.meaning.startswith(("{entity}", "{tail}"))
            for near, one in zip(self.prepositions, relations, strict=True)
        ]

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return unit vectors [N, D]; those of the texts seen last are kept."""
        if len(self._kept) > _MOST_KEPT:
            self._kept.clear()
        new = [text for text in dict.fromkeys(texts) if text not in self._kept]
        if new:
            self._kept.update(zip(new, self._encode(new), strict=True))
        return np.stack([self._kept[text] for text in texts])

    def context(self, span: TiedSpan, words: str) -> str:
        """Return the words that tie a span to its item, with other words in its place."""
        tied = f"{span.before} {words} {span.after}".strip()
        return f"{tied} {self.item}" if span.after else f"{self.item} {tied}"


def candidates(
    spans: Sequence[TiedSpan], known: Declarations, nlp: Language
) -> Iterator[tuple[int, int, list[float]]]:
    """Yield number of a span, number of a relation that it may be in, and the features of both.

    A relation is left out where the words are not similar to its meaning, where they hold the very
    words of another meaning alone, where only one of both has "by", and where the span is what
    does something while the meaning has the item do it.
    """
    labels = [_LABELS.get(span.label, span.text) for span in spans]
    named = known.vectors([*labels, *(span.text for span in spans)]) @ known.kinds.T
    of_labels, of_words = np.split(named, 2)  # [S, T] each
    likeness = _likeness(spans, known)  # [S, R]
    ties = {(span.before, span.after): _plain_words(span) for span in spans}
    content = dict(zip(ties, map(_content, nlp.pipe(ties.values())), strict=True))
    for row, span in enumerate(spans):
        similar = likeness[row]
        types = of_labels[row][known.type_of]
        joint = similar + 0.5 * types
        words = content[span.before, span.after]
        sharing = {number for number, own in enumerate(known.content) if own & words}
        acts = bool(span.after) and "VERB" in words
        before = "" if span.after else span.before.split()[-1].lower()
        for number, kind in enumerate(known.type_of):
            preposition = known.prepositions[number]
            ahead = float(similar[number] - _rival(similar, number))
            other = {preposition, before} <= _PREPOSITIONS and (preposition == "by") != (
                before == "by"
            )
            other = other or (acts and not known.by_subject[number])
            far = similar[number] < _LEAST or ahead < _BEHIND
            if far or other or (sharing and number not in sharing) or _is_type(span, known, kind):
                continue
            labelled = float(span.label in _LABELS)
            type_ahead = float(of_labels[row][kind] - _rival(of_labels[row], kind))
            yield (
                row,
                number,
                [
                    float(similar[number]),
                    max(0.0, float(similar[number]) - 0.8),
                    max(0.0, float(similar[number]) - 0.9),
                    ahead,
                    min(ahead, 0.0),
                    float(joint[number] - _rival(joint, number)),
                    labelled * float(types[number]),
                    labelled * min(type_ahead, 0.0),
                    (1 - labelled) * float(types[number]),
                    (1 - labelled) * type_ahead,
                    float(of_words[row][kind]),
                    labelled,
                    float(span.anchored),
                    float(span.text[0].isupper()),
                    float(preposition == before and preposition in _PREPOSITIONS),
                    float(number in sharing),
                ],
            )


def fitting_types(spans: Sequence[Span], known: Declarations) -> NDArray[np.bool_]:
    """Return which entity types a span may be of, bool [S, T].

    A name that the recogniser found is of the types whose meaning is most like what it calls it;
    another phrase is of a type that is like nothing that a recogniser finds.
    """
    labels = list(_LABELS)
    likeness = known.vectors([_LABELS[label] for label in labels]) @ known.kinds.T  # [L, T]
    near = likeness >= likeness.max(axis=1, keepdims=True) - _SAME_TYPE
    phrases = ~near.any(axis=0)
    rows = [near[labels.index(s.label_)] if s.label_ in _LABELS else phrases for s in spans]
    return np.stack(rows)


def _likeness(spans: Sequence[TiedSpan], known: Declarations) -> NDArray[np.float32]:
    """Return how similar the words of each span are to the meaning of each relation, [S, R].

    They are compared with "something" in the place of the span, and where that is near enough
    with the entity type in its place.
    """
    plain = known.vectors([known.context(span, _ANYTHING) for span in spans])
    found: NDArray[np.float32] = plain @ known.plain_meanings.T
    rows, numbers = np.nonzero(found >= _NEAR)
    if len(rows):
        places = [known.type_words[known.type_of[number]] for number in numbers]
        pairs = zip(rows.tolist(), places, strict=True)
        texts = [known.context(spans[row], one) for row, one in pairs]
        close = np.einsum("nd,nd->n", known.vectors(texts), known.meanings[numbers])
        found[rows, numbers] = close
    return found


def confidence(features: Sequence[float], weights: Sequence[float] = WEIGHTS) -> float:
    """Return the probability that a span is in a relation, by the fitted regression."""
    score = float(np.dot(features, weights[:-1]) + weights[-1])
    return float(1 / (1 + np.exp(-score)))


class DeclaredFacts:
    """Finds facts of a domain by its declarations alone.

    Args:
        encode: texts to unit vectors, by the settings' encoder.
        model: a spaCy pipeline with parser and recogniser.

    Raises:
        ModelError: the pipeline is not found.
    """

    name = "declared"

    def __init__(
        self, domain: Domain, settings: DeclaredSettings, encode: Encode, model: str
    ) -> None:
        self._domain, self._settings = domain, settings
        self._nlp = load_spacy(model, exclude=["senter"])
        self._known = Declarations(domain, encode, self._nlp)
        declared = {name: one.model_dump(exclude={"columns"}) for name, one in domain.facts.items()}
        parts = [declared, domain.entity_types, domain.item_word, sorted(self._known.item_words)]
        content = json.dumps([*parts, settings.model_dump(), model, WEIGHTS, _LEAST, _BEHIND])
        self.version = hashlib.blake2b(content.encode(), digest_size=6).hexdigest()

    def find(self, items: Sequence[ItemText]) -> list[TextFinding]:
        """Return the facts whose confidence is high enough, at most one for each span."""
        found: list[list[tuple[int, TiedSpan]]] = []
        spans: list[TiedSpan] = []
        for item, doc in zip(items, self._nlp.pipe(item.text for item in items), strict=True):
            own = list(tied_spans(doc, self._known.item_words, item.title))
            found.append([(len(spans) + number, span) for number, span in enumerate(own)])
            spans += own
        best = self._best(spans)
        return [
            TextFinding([self._fact(item, span, *best[row]) for row, span in own if row in best])
            for item, own in zip(items, found, strict=True)
        ]

    def _best(self, spans: Sequence[TiedSpan]) -> dict[int, tuple[int, float]]:
        """Return relation and confidence of each span that is sure enough."""
        best: dict[int, tuple[int, float]] = {}
        if not spans or not self._known.names:
            return best
        for row, number, features in candidates(spans, self._known, self._nlp):
            sure = confidence(features)
            if sure >= max(self._settings.confidence, best.get(row, (0, 0.0))[1]):
                best[row] = number, sure
        return best

    def _fact(self, item: ItemText, span: TiedSpan, number: int, sure: float) -> TextFact:
        relation = self._known.names[number]
        return TextFact(
            item_id=item.item_id,
            relation=relation,
            entity_type=self._domain.facts[relation].tail,
            entity_name=" ".join(span.text.split()),
            confidence=sure,
            extractor=self.name,
            evidence=item.text[span.first : span.last],
            start=span.first,
            end=span.last,
            version=self.version,
        )


def _rival(values: NDArray[np.float32], own: int) -> float:
    """Return the highest of the other values, or 0 where there is none."""
    others = np.delete(values, own)
    return float(others.max()) if len(others) else 0.0


def _is_type(span: TiedSpan, known: Declarations, kind: int) -> bool:
    """Whether a span names the type itself, or joins two phrases: "the series"."""
    words = span.text.casefold()
    joined = words == span.text and " and " in words
    return joined or words in _words(known.types[kind])


def _plain_words(span: TiedSpan) -> str:
    return f"{span.before} X {span.after}"


def _content(doc: Any) -> set[str]:
    """Return the lemmas that carry a meaning, and VERB where one of them is a verb."""
    kept = [token for token in doc if token.pos_ in ("VERB", "NOUN", "ADJ")]
    found = {token.lemma_.lower() for token in kept}
    return found | {"VERB"} if any(token.pos_ == "VERB" for token in kept) else found


def _words(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace("_", " ").lower()


def _with_article(words: str) -> str:
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
