"""Extraction of facts from item texts: one spaCy pipeline, built for a domain.

Each fact carries its evidence, the span of text that states it.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import tee
from typing import Any, TypeVar

import spacy
from spacy.language import Language
from spacy.tokens import Doc

from kgrec.errors import ModelError
from kgrec.schema import Domain, Reading
from kgrec.text import components
from kgrec.text.models import SPACY_MODEL, resolve_spacy

ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True)
class TextFact:
    """One relation found in one text of an item: from the item, or between entities it names.

    Attributes:
        relation: a relation type of the domain.
        entity_type, entity_name: the tail; the name stands in the text as it is. The type is empty
            where the tail is another item, whose title may be the name.
        confidence: in (0, 1]; how far the rule that found it can be trusted.
        extractor: the component and rule, such as `rules/agent`.
        evidence: the span that states it, `text[start:end]`.
        source: the property of the item that holds the text.
        head_type, head_name: the entity that the relation leads from; empty for the item itself.
        rule: number of the rule in the domain, from 0; None where a known name was found.
        version: of the component, where `extractor` does not hold it.
    """

    item_id: str
    relation: str
    entity_type: str
    entity_name: str
    confidence: float
    extractor: str
    evidence: str
    start: int
    end: int
    source: str = "description"
    head_type: str = ""
    head_name: str = ""
    rule: int | None = None
    version: str = ""

    @property
    def component(self) -> str:
        """The component that found it, as a user lists it."""
        first = self.extractor.split("/", 1)[0]
        return "names" if first == "known" else first

    @property
    def found_by(self) -> str:
        """The component with its version, as the graph keeps it."""
        return f"{self.extractor}@{self.version}" if self.version else self.extractor


@dataclass(frozen=True, slots=True)
class TextValue:
    """One property of an item that its text states.

    Attributes:
        property: of the item's domain.
        extractor: the component with its version.
        evidence: the span that states it, `text[start:end]`.
    """

    item_id: str
    property: str
    value: int | float | str
    extractor: str
    evidence: str
    start: int
    end: int


logger = logging.getLogger(__name__)

VERSION = "3"
"""Incremented when the components find other facts in the same text, so that it is read again."""


_WORDS = frozenset(
    ["Ark.", "Miss.", "Mass.", "Ill.", "Ind.", "Wash.", "Ore.", "Del.", "La.", "Pa."]
)
"""Abbreviations of American states that are words too: a full stop behind them ends a sentence."""


@dataclass(frozen=True, slots=True)
class ItemText:
    """A text of an item: the item's id, its title (empty when unknown), and the text."""

    item_id: str
    title: str
    text: str


class Extractor:
    """Reads texts of a domain's items and returns the facts they state.

    Args:
        domain: its relations, words and rules.
        names: names that are known, by entity type.
        model: a spaCy pipeline with tagger, parser and entity recogniser.
        ner: whether the recogniser is used; names are then known ones and runs of proper nouns.

    Raises:
        ModelError: the pipeline is not found or lacks a component.
    """

    def __init__(
        self,
        domain: Domain,
        *,
        names: Mapping[str, Iterable[str]] | None = None,
        model: str = SPACY_MODEL,
        ner: bool = True,
    ) -> None:
        self._domain = domain
        self._nlp = build_pipeline(domain, names=names or {}, model=model, ner=ner)
        self.version = extractor_version(domain, model, ner=ner)

    @property
    def pipeline(self) -> Language:
        """The spaCy pipeline itself."""
        return self._nlp

    def read(
        self, texts: Iterable[ItemText], *, n_process: int = 1, batch_size: int = 64
    ) -> Iterator[tuple[ItemText, list[TextFact]]]:
        """Read texts in a stream and yield each with its facts, in the order they came.

        A text that is longer than `PIECE` is read in pieces, so that a book takes the memory of a
        page. Of a fact that several pieces state the most confident one is kept.

        Args:
            n_process: processes that parse; 1 parses in this one.
        """
        groups = item_batches(texts, batch_size) if n_process == 1 else [texts]
        for group in groups:
            own, again = tee(group)
            docs = (self._doc(item, *piece) for item in again for piece in pieces(item.text))
            parsed = self._parsed(docs, n_process, batch_size)
            for item in own:
                starts = [start for start, _ in pieces(item.text)]
                found = (
                    fact for start in starts for fact in self._facts(item, next(parsed), start)
                )
                yield item, list(found) if len(starts) == 1 else most_confident(found)

    def _parsed(self, docs: Iterator[Doc], n_process: int, batch_size: int) -> Iterator[Doc]:
        if n_process > 1:
            yield from self._nlp.pipe(docs, n_process=n_process, batch_size=batch_size)
            return
        for batch in batches_of(docs, lambda doc: len(doc.text), longest=_AT_ONCE, most=batch_size):
            yield from self._nlp.pipe(batch, batch_size=batch_size)

    def _doc(self, item: ItemText, start: int, end: int) -> Doc:
        doc = self._nlp.make_doc(item.text[start:end])
        doc.user_data[components.TITLE] = item.title
        return doc

    def _facts(self, item: ItemText, doc: Doc, offset: int) -> Iterator[TextFact]:
        """Yield the facts of a doc that begins at an offset of the text."""
        for row in doc.user_data[components.FACTS]:
            relation, kind, name, confidence, extractor, start, end, head_type, head_name, rule = (
                row
            )
            yield TextFact(
                item_id=item.item_id,
                relation=relation,
                entity_type=kind,
                entity_name=name,
                confidence=confidence,
                extractor=extractor,
                evidence=doc.text[start:end],
                start=offset + start,
                end=offset + end,
                head_type=head_type,
                head_name=head_name,
                rule=rule if rule >= 0 else None,
                version=self.version,
            )


PIECE = 4_000
"""Characters of a text that are parsed at once, about seven hundred words."""
_AT_ONCE = 24_000
"""Characters of a batch: a parser takes memory by its length."""
_TOGETHER = 200_000
"""Characters of the texts that components read at once."""
_ENDS = ("\n\n", "\n", ". ", "! ", "? ", " ")


def pieces(text: str, longest: int = PIECE) -> Iterator[tuple[int, int]]:
    """Yield begin and end of the pieces of a text, cut behind a paragraph, a line or a sentence."""
    start = 0
    while len(text) - start > longest:
        least, most = start + longest // 2, start + longest
        cuts = (text.rfind(end, least, most) + len(end) for end in _ENDS if end in text[least:most])
        end = next(cuts, most)
        yield start, end
        start = end
    yield start, len(text)


def item_batches(texts: Iterable[ItemText], most: int) -> Iterator[list[ItemText]]:
    """Yield the texts that components read at once; what is found depends on no other batch."""
    yield from batches_of(texts, lambda one: len(one.text), longest=_TOGETHER, most=most)


def batches_of(
    values: Iterable[ValueT],
    length_of: Callable[[ValueT], int],
    *,
    longest: int,
    most: int | None = None,
) -> Iterator[list[ValueT]]:
    """Yield values in batches that end with the `most`th, or where they are `longest` together."""
    batch: list[ValueT] = []
    length = 0
    for value in values:
        batch.append(value)
        length += length_of(value)
        if len(batch) == most or length >= longest:
            yield batch
            batch, length = [], 0
    if batch:
        yield batch


def most_confident(facts: Iterable[TextFact], named: Callable[[str], str] = str) -> list[TextFact]:
    """Return each fact once, the most confident one, the earlier where they are equal.

    Args:
        named: two names are one where this returns the same for both.
    """
    kept: dict[tuple[str, ...], TextFact] = {}
    for one in facts:
        name, head = named(one.entity_name), named(one.head_name)
        key = (one.relation, one.entity_type, name, one.head_type, head)
        if key not in kept or one.confidence > kept[key].confidence:
            kept[key] = one
    return list(kept.values())


def load_spacy(model: str, *, exclude: Sequence[str]) -> Language:
    """Load a spaCy pipeline without some of its components.

    Raises:
        ModelError: it is not found or cannot be loaded.
    """
    location = resolve_spacy(model).location
    try:
        return spacy.load(location, exclude=list(exclude))
    except (OSError, ValueError, ImportError) as error:
        raise ModelError(
            f"the spaCy pipeline cannot be loaded ({str(error).splitlines()[0]})",
            value=model,
            remedy="Install one that fits this spaCy, or name another.",
        ) from None


def build_pipeline(
    domain: Domain,
    *,
    names: Mapping[str, Iterable[str]],
    model: str = SPACY_MODEL,
    ner: bool = True,
) -> Language:
    """Return the spaCy pipeline `model` with the components of kgrec behind its own.

    Raises:
        ModelError: the pipeline is not found, or has no parser, tagger or recogniser.
    """
    nlp = load_spacy(model, exclude=["senter"] if ner else ["senter", "ner"])
    needed = ("tagger", "parser", "lemmatizer", *(["ner"] if ner else []))
    missing = [pipe for pipe in needed if not nlp.has_pipe(pipe)]
    if missing:
        raise ModelError(
            f"the spaCy pipeline lacks {', '.join(missing)}",
            value=model,
            remedy="Name a full one, such as en_core_web_sm.",
        )
    _join_words(nlp, domain.reading)
    content = domain.model_dump()
    known: Any = nlp.add_pipe("kgrec_known")
    nlp.add_pipe("kgrec_mentions", config={"domain": content})
    facts: Any = nlp.add_pipe("kgrec_facts", config={"domain": content})
    held = {kind: list(values) for kind, values in names.items()}
    known.add(held, [domain.relations[name].tail for name in domain.reading.known])
    facts.add(held)
    return nlp


@lru_cache(maxsize=8)
def _version(content: str, model: str) -> str:
    digest = hashlib.blake2b(f"{VERSION}\0{model}\0{content}".encode(), digest_size=6)
    return digest.hexdigest()


def extractor_version(domain: Domain, model: str = SPACY_MODEL, *, ner: bool = True) -> str:
    """Return a hash of everything that extracted facts depend on: components, rules and model."""
    return _version(domain.of_texts, model if ner else f"{model} without ner")


def _join_words(nlp: Language, reading: Reading) -> None:
    """Keep words such as "co-wrote" as one token, with the lemma that the rules use."""
    tokenizer: Any = nlp.tokenizer
    tokenizer.rules = {k: v for k, v in tokenizer.rules.items() if k not in _WORDS}
    ruler: Any = nlp.get_pipe("attribute_ruler") if nlp.has_pipe("attribute_ruler") else None
    for lemma, forms in reading.joined.items():
        for form in forms:
            plain = form.split("-", 1)[1] if form.startswith("co-") else form
            for text in (form, form.capitalize()):
                tokenizer.add_special_case(text, [{"ORTH": text, "NORM": plain}])
                if ruler is not None:
                    ruler.add([[{"ORTH": text}]], {"LEMMA": lemma})
