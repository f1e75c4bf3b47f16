"""Which parts of a text refer to its item, and which to another work; a component of extraction.

"From the author of Dune", "based on the novel by Y", "fans of X and Y", "the previous game was made
by Z": what stands there is not about the item. The cues are data, in the domain file and in
`graph_schema/item_mentions.toml`. Only texts with a cue are parsed; where the language has no
parser, what a cue governs ends at a sign or a word such as "with".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple

from spacy.language import Language
from spacy.tokens import Doc, Token

from kgrec.data.records import display_title
from kgrec.schema import Domain
from kgrec.schema.domain import WorkWords
from kgrec.text.languages import code_of, is_english
from kgrec.text.models import SPACY_MODEL
from kgrec.text.pipeline import PIECE, ItemText, TextFact, load_spacy, pieces

Role = Literal["item", "derived", "likened", "maker", "subject"]
VERSION = "1"
_INSIDE = frozenset(
    ["compound", "amod", "det", "nmod", "poss", "case", "nummod", "quantmod", "advmod", "predet"]
)
_RELATIVE = frozenset(["which", "who", "whose", "that", "whom", "where"])
_SUBJECTS = frozenset(["nsubj", "nsubjpass"])
_SIGNS = ".,;:!?()[]\n—–…。，、；：！？（）"


class WorkMention(NamedTuple):
    """A part of a text that refers to the item, or to another work.

    Attributes:
        start, end: characters of the text.
        role: `item`; or of another work: `derived`, what the item comes from; `likened`, what it is
            compared or used with; `maker`, a work of its maker; `subject`, a clause about it.
    """

    start: int
    end: int
    role: Role


class ItemMentions:
    """Finds what in a text refers to its item and to other works.

    Args:
        domain: whose words for the item are used.
        language: of the texts.
        model: a spaCy pipeline with tagger and parser, for English.
    """

    name = "item_mentions"

    def __init__(self, domain: Domain, language: str = "en", model: str = SPACY_MODEL) -> None:
        self._domain, self._model = domain, model
        self._parsed = is_english(language)
        self._words = words = domain.work_words(code_of(language))
        shown = f"{VERSION}\0{words.model_dump_json()}\0{domain.item_word}"
        self.version = hashlib.blake2b(shown.encode(), digest_size=6).hexdigest()
        self.idle = words == WorkWords()
        nouns = (domain.item_word, *domain.reading.item_nouns)
        self._nouns = frozenset(noun.casefold() for noun in nouns)
        works = {*words.works, *domain.reading.work_nouns}
        works |= {f"{noun}s" for noun in works}
        self._works = frozenset(noun.casefold() for noun in works)
        self._alien = frozenset(domain.reading.work_nouns) - self._nouns
        work = rf"(?:\w+\s+){{1,2}}(?:{_any(works)})"
        named = rf"(?:{_any(words.likened_names)})(?=\W+(?:(?-i:[A-Z])|{work}))"
        makers = rf"(?:{_any(words.makers)})\s+(?:{_any(words.of)})"
        cues: tuple[tuple[str, Role, bool], ...] = (
            (_any(words.derived), "derived", bool(words.derived)),
            (_any(words.likened), "likened", bool(words.likened)),
            (named, "likened", bool(words.likened_names)),
            (makers, "maker", bool(words.makers and words.of)),
        )
        self._cues = [(_pattern(expression), role) for expression, role, used in cues if used]
        own, other = _any(words.own), rf"(?:{_any(words.others)})\s+(?:\w+\s+)?"
        between = r"\s+(?:(?-i:[a-z])[\w-]*\s+){0,2}"
        self._other = _pattern(f"{other}(?:{_any(works)})") if words.others else None
        alien = bool(self._alien and words.own and self._parsed)
        self._foreign = _pattern(rf"(?:{own})\s+(?:{_any(self._alien)})") if alien else None
        self._own = _pattern(f"(?:{own}){between}(?:{_any(self._nouns)})") if words.own else None
        self._pronoun = _pattern(_any(words.pronouns)) if words.pronouns else None
        self._stop = _pattern(_any(words.stops)) if words.stops else None

    def find(self, item: ItemText) -> list[WorkMention]:
        """Return what refers to the item and to other works, in the order of the text."""
        others = self.others(item)
        own = [
            WorkMention(*found.span(), "item")
            for pattern in (self._title(item), self._own, self._pronoun)
            if pattern is not None
            for found in pattern.finditer(item.text)
        ]
        own = [
            one for one in own if not any(_covers(other, one.start, one.end) for other in others)
        ]
        return sorted({*own, *others})

    def others(self, item: ItemText) -> list[WorkMention]:
        """Return what refers to other works; most texts hold no cue, and are not parsed."""
        return [
            WorkMention(start + one.start, start + one.end, one.role)
            for start, end in pieces(item.text, PIECE)
            for one in self._others(item.text[start:end], item)
        ]

    def about_item(self, item: ItemText, facts: Sequence[TextFact]) -> list[TextFact]:
        """Return the facts of a text but those of the item that are stated of another work."""
        if not facts:
            return []
        others = self.others(item)
        return [fact for fact in facts if not others or not self._of_another(fact, others, item)]

    def _of_another(self, fact: TextFact, others: Sequence[WorkMention], item: ItemText) -> bool:
        if fact.head_type or fact.relation in self._naming:
            return False
        made = fact.entity_type in self._maker_types
        roles = ("derived", "likened", "maker", "subject") if made else ("likened", "maker")
        against = [one for one in others if one.role in roles]
        places = list(_places(fact, item.text))
        return bool(places) and all(
            any(_covers(one, *place) for one in against) for place in places
        )

    @cached_property
    def _naming(self) -> frozenset[str]:
        """Relations that lead to other works, or to what by their meaning is of another work."""
        cues = _any(
            (*self._domain.work_words("en").derived, *self._domain.work_words("en").likened, "like")
        )
        pattern = _pattern(cues)
        return frozenset(
            name
            for name, one in self._domain.relations.items()
            if one.tail == "Item" or pattern.search(one.meaning)
        )

    @cached_property
    def _maker_types(self) -> frozenset[str]:
        ner = self._domain.reading.ner
        return frozenset(kind for label, kind in ner.items() if label in ("PERSON", "ORG", "PER"))

    @cached_property
    def _nlp(self) -> Language:
        return _parser(self._model)

    def _title(self, item: ItemText) -> re.Pattern[str] | None:
        title = display_title(item.title).strip()
        return re.compile(rf"(?<!\w){re.escape(title)}(?!\w)") if len(title) > 1 else None

    def _others(self, text: str, item: ItemText) -> Iterator[WorkMention]:
        cues = [
            (found.start(), found.end(), role)
            for pattern, role in self._cues
            for found in pattern.finditer(text)
        ]
        further = any(p is not None and p.search(text) for p in (self._other, self._foreign))
        if not cues and not further:
            return
        doc = self._nlp(text) if self._parsed else None
        for _, after, role in cues:
            start = after + len(text[after:]) - len(text[after:].lstrip(" \"'“‘«„\n\t"))
            if start >= len(text) or (role != "derived" and self._is_item(text, start, item)):
                continue
            end = self._end(text, start) if doc is None else self._end_of_phrase(doc, start, role)
            if end > start:
                yield WorkMention(start, end, role)
        if doc is not None:
            yield from self._clauses(doc)
        elif self._other is not None:
            for found in self._other.finditer(text):
                yield WorkMention(found.start(), _next(text, found.end(), ".!?。！？\n"), "subject")

    def _is_item(self, text: str, start: int, item: ItemText) -> bool:
        """Whether what a cue governs is the item itself: its title, or "this film"."""
        title = self._title(item)
        found = title.match(text, start) if title is not None else None
        found = found or (self._own.match(text, start) if self._own is not None else None)
        if found is None:
            return False
        behind = text[found.end() :].lstrip(" \"'”’»")[:1]
        return not behind.isupper()

    def _end(self, text: str, start: int) -> int:
        """Return where a phrase ends in a text that is not parsed."""
        end = _next(text, start, _SIGNS)
        while text[end : end + 2] == ", " and text[end + 2 : end + 3].isupper():
            end = _next(text, end + 2, _SIGNS)
        stop = self._stop.search(text, start, end) if self._stop is not None else None
        return stop.start() if stop is not None else end

    def _end_of_phrase(self, doc: Doc, start: int, role: Role) -> int:
        """Return where the phrase that begins at a character ends, by the parse."""
        first = next((token for token in doc if token.idx + len(token) > start), None)
        if first is None:
            return start
        head = first
        while (
            head.dep_ in _INSIDE
            and head.head.i > head.i
            and head.head.sent.start == first.sent.start
        ):
            head = head.head
        inside = {token.i for token in self._phrase(head, first.i, role)}
        last = first.i
        for i in range(first.i, first.sent.end):
            if i not in inside or (i > first.i and self._turns_back(doc, i)):
                break
            last = last if doc[i].text in ",;:-–—" else i
        return int(doc[last].idx + len(doc[last]))

    def _turns_back(self, doc: Doc, i: int) -> bool:
        """Whether a phrase goes on with the item, which the parse missed: "Y's novel this film"."""
        token, behind = doc[i], doc[i + 1 : i + 4]
        if token.tag_ == "NNS" and len(behind) > 0 and behind[0].pos_ == "PROPN":
            return True  # a verb: "Y's classic musical stars X"
        own = token.lower_ in self._words.own and doc[i - 1].pos_ != "ADP"
        return own and any(one.lower_ in self._nouns for one in behind)

    def _phrase(self, token: Token, first: int, role: Role) -> Iterator[Token]:
        yield token
        for child in token.children:
            if child.i >= first and not _leaves(child, token, role):
                yield from self._phrase(child, first, role)

    def _clauses(self, doc: Doc) -> Iterator[WorkMention]:
        """Yield the clauses whose subject is another work, and those of "it" behind them."""
        other = False
        for sentence in doc.sents:
            subjects = [token for token in sentence if token.dep_ in _SUBJECTS]
            first = subjects[0] if subjects else None
            goes_on = other and first is not None and first.lower_ in self._words.pronouns
            found = [token for token in subjects if self._is_other(token)]
            if goes_on:
                yield WorkMention(sentence.start_char, sentence.end_char, "subject")
                continue
            for subject in found:
                inside = {token.i for token in _clause(subject.head)}
                last = max(i for i in inside)
                yield WorkMention(doc[min(inside)].idx, doc[last].idx + len(doc[last]), "subject")
            other = first is not None and first in found

    def _is_other(self, noun: Token) -> bool:
        """Whether a subject is another work: "the original film", for a film "the novel"."""
        if noun.lower_ in self._alien:
            return any(child.lower_ == "the" for child in noun.lefts)
        words = {child.lower_ for child in noun.lefts}
        if noun.lower_ in self._words.others and noun.pos_ == "NOUN":
            return bool(words & {"the", "its", "their"})
        return noun.lower_ in self._works and bool(words & set(self._words.others))


def _leaves(child: Token, head: Token, role: Role) -> bool:
    """Whether a part of a phrase is no longer about the other work: ", starring X"."""
    edge = child.left_edge
    before = edge.nbor(-1) if edge.i > 0 else None
    parted = before is not None and before.is_punct and before.text not in ('"', "'", "“", "‘", "-")
    if child.dep_ in ("parataxis", "ccomp", "dep") or (
        child.dep_ == "conj" and child.pos_ in ("VERB", "AUX")
    ):
        return True
    if role == "maker" and child.dep_ in ("appos", "relcl", "acl"):
        return True
    if not parted or child.i < head.i:
        return False
    if child.dep_ == "relcl":
        return edge.lower_ not in _RELATIVE
    return child.dep_ in ("acl", "advcl", "prep")


def _clause(verb: Token) -> Iterator[Token]:
    yield verb
    for child in verb.children:
        own = child.dep_ == "conj" and any(one.dep_ in _SUBJECTS for one in child.lefts)
        if not own and child.dep_ not in ("parataxis", "ccomp"):
            yield from _clause(child)


def _places(fact: TextFact, text: str) -> Iterator[tuple[int, int]]:
    """Yield where the name of a fact stands in its evidence; the evidence where it is nowhere."""
    evidence = text[fact.start : fact.end]
    words = fact.entity_name.split()
    for name in (fact.entity_name, words[-1] if words else ""):
        found = [m.span() for m in re.finditer(re.escape(name), evidence)] if name else []
        if found:
            yield from ((fact.start + start, fact.start + end) for start, end in found)
            return
    yield fact.start, fact.end


@lru_cache(maxsize=2)
def _parser(model: str) -> Language:
    """Return a parser, one for all domains."""
    return load_spacy(model, exclude=["senter", "ner", "lemmatizer"])


def _covers(one: WorkMention, start: int, end: int) -> bool:
    return one.start <= start and end <= one.end


def _next(text: str, start: int, signs: str) -> int:
    return min(
        (place for sign in signs if (place := text.find(sign, start)) >= 0), default=len(text)
    )


def _any(words: Iterable[str]) -> str:
    """Return an expression that matches each of some words whole, the longest first."""
    return "|".join(map(_whole, sorted(set(words), key=lambda word: (-len(word), word))))


def _whole(word: str) -> str:
    inner = re.escape(word).replace("\\ ", "\\s+")
    spaced = word[:1] < _UNSPACED
    before = r"(?<!\w)" if spaced else ""
    return before + inner + (r"(?!\w)" if spaced and word[-1:].isalnum() else "")


_UNSPACED = "\u2e80"
"""Letters from here on are written without spaces between words."""


def _pattern(expression: str) -> re.Pattern[str]:
    return re.compile(expression, re.IGNORECASE)
