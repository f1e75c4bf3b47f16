"""A language model on this machine as a component, which may copy spans of the text and no more.

For each relation of the domain the model continues a form, `directed by:`, and only spans of the
text whose type fits, or `none`, are put behind it (typed copy decoding). How likely a span is
there, beside `none` and beside the other relations, decides. The form before the text, with
examples that are made of the meanings of the relations, is read once.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc, Span

from kgrec.schema import Domain
from kgrec.text.causal import CausalModel, Prefix
from kgrec.text.pipeline import ItemText, TextFact, load_spacy, pieces
from kgrec.text.sources.declared import Declarations, Encode, fitting_types
from kgrec.text.sources.fusion import TextFinding
from kgrec.text.sources.prompted import LanguageModelUse, PromptSettings
from kgrec.text.sources.spans import possible_names

Floats = NDArray[np.float64]

_FORM = "1"
"""Incremented when the words of the form change."""
_NONE = "none"
_MOST_SPANS = 24
_MOST_CHARACTERS = 1500
"""Of a text, that are read together."""


class CopiedFacts:
    """Finds facts by a causal language model, from spans of the text alone.

    Args:
        encode: texts to unit vectors, by which types are compared with the labels of a recogniser.
        model: a spaCy pipeline with parser and recogniser.

    Raises:
        ModelError: the pipeline is not found.
    """

    name = "language_model"

    def __init__(
        self,
        domain: Domain,
        settings: PromptSettings,
        language_model: CausalModel,
        encode: Encode,
        model: str,
    ) -> None:
        self._settings, self._model = settings, language_model
        self._nlp = load_spacy(model, exclude=["senter"])
        self._known = Declarations(domain, encode, self._nlp)
        self._relations = dict(domain.facts)
        self._form = _form(domain)
        self._counts: Counter[str] = Counter()
        chosen = [settings.least, settings.local_confidence, model, domain.entity_types]
        content = json.dumps([_FORM, self._form, language_model.content, *chosen])
        self.version = hashlib.blake2b(content.encode(), digest_size=6).hexdigest()

    @property
    def use(self) -> LanguageModelUse:
        """What it did so far."""
        return LanguageModelUse(
            model=self._model.name,
            requests=self._counts["texts"],
            kept=self._counts["kept"],
        )

    def find(self, items: Sequence[ItemText]) -> list[TextFinding]:
        """Return the facts of each text, at most one of each span."""
        docs = self._nlp.pipe(item.text for item in items)
        return [TextFinding(self._of(item, doc)) for item, doc in zip(items, docs, strict=True)]

    def _of(self, item: ItemText, doc: Doc) -> list[TextFact]:
        named = list(possible_names(doc, self._known.item_words, item.title))
        found: list[TextFact] = []
        for start, end in pieces(item.text, _MOST_CHARACTERS):
            own = [span for span in named if start <= span.start_char and span.end_char <= end]
            if own and self._relations:
                found += self._of_piece(item, item.text[start:end], own[:_MOST_SPANS])
        return found

    def _of_piece(self, item: ItemText, text: str, spans: Sequence[Span]) -> list[TextFact]:
        self._counts["texts"] += 1
        odds = self._odds(text, spans)
        best = odds.argmax(axis=0)
        sure = 1.0 / (1.0 + np.exp(-odds[best, np.arange(len(spans))]))
        kept = np.flatnonzero(sure >= self._settings.least).tolist()
        self._counts["kept"] += len(kept)
        names = list(self._relations)
        return [self._fact(item, spans[row], names[best[row]]) for row in kept]

    def _odds(self, text: str, spans: Sequence[Span]) -> Floats:
        """Return log-odds of each span in each relation, float64 [R, S]; -inf where none fits.

        They are against `none`, less what the span has in other relations.
        """
        before = self._model.read(_question(text), self._begun)
        fitting = fitting_types(spans, self._known)[:, self._known.type_of]  # [S, R]
        line = self._model.tokens("\n")
        spelt = [[*self._model.tokens(f" {_words(span)}"), *line] for span in spans]
        likely = np.full((len(self._relations), len(spans)), -np.inf)
        odds = likely.copy()
        for number, name in enumerate(self._relations):
            rows = np.flatnonzero(fitting[:, number])
            if not len(rows):
                continue
            prefix = self._model.read(f"{_label(name)}:", before)
            given = [[*self._model.tokens(f" {_NONE}"), *line], *(spelt[row] for row in rows)]
            none, *own = self._model.likelihoods(prefix, given)
            likely[number, rows] = own
            odds[number, rows] = np.array(own) - none
        held = np.isfinite(likely).any(axis=0)
        others = np.logaddexp.reduce(likely[:, held], axis=0)
        odds[:, held] += likely[:, held] - others
        return odds

    @cached_property
    def _begun(self) -> Prefix:
        return self._model.read(self._form)

    def _fact(self, item: ItemText, span: Span, name: str) -> TextFact:
        sentence = span.sent
        return TextFact(
            item_id=item.item_id,
            relation=name,
            entity_type=self._relations[name].tail,
            entity_name=_words(span),
            confidence=self._settings.local_confidence,
            extractor=f"{self.name}/{self._model.name}",
            evidence=item.text[sentence.start_char : sentence.end_char],
            start=sentence.start_char,
            end=sentence.end_char,
            version=self.version,
        )


def _form(domain: Domain) -> str:
    """Return what stands before every text: the relations, and texts with their answers."""
    lines = [f"Facts that a text states of one {domain.item_word}, copied from the text."]
    for name, one in domain.facts.items():
        lines.append(f"{_label(name)}: {one.sentence(f'the {domain.item_word}', f'[{one.tail}]')}.")
    return "\n".join(lines) + "\n" + "".join(_shots(domain))


def _shots(domain: Domain) -> Iterator[str]:
    """Yield texts that state every other relation, with their answers, and one without facts."""
    relations = list(domain.facts.items())
    item = f"The {domain.item_word}"
    for part in (0, 1):
        stated = {name: f"Example {one.tail}" for name, one in relations[part::2]}
        text = ". ".join(
            one.sentence(item, stated[name]) for name, one in relations if name in stated
        )
        if stated:
            yield _question(f"{text}.") + _answers(domain, stated)
    yield _question("Nobody had expected the rain to last that long.") + _answers(domain, {})


def _answers(domain: Domain, stated: dict[str, str]) -> str:
    return "".join(f"{_label(name)}: {stated.get(name, _NONE)}\n" for name in domain.facts)


def _question(text: str) -> str:
    return f"\nText: {' '.join(text.split())}\n"


def _label(name: str) -> str:
    return name.replace("_", " ").lower()


def _words(span: Span) -> str:
    return " ".join(span.text.split())
