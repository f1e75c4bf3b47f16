"""The components that kgrec adds to a spaCy pipeline, by name.

`kgrec_known` marks names that the catalogue knows, `kgrec_mentions` decides which words are names,
`kgrec_facts` applies the domain's rules. They pass plain lists on in `doc.user_data`, which can be
pickled between processes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from spacy.language import Language
from spacy.matcher import PhraseMatcher
from spacy.tokens import Doc, Span, Token
from spacy.util import filter_spans

from kgrec.schema import Domain, Rule
from kgrec.text.arguments import describes_item
from kgrec.text.entity_names import Namer, surnames
from kgrec.text.mentions import Mention, Origin, find_mentions
from kgrec.text.roles import LINK_ROLES, ROLES
from kgrec.text.view import TextView

TITLE = "kgrec_title"
KNOWN = "kgrec_known"
TERMS = "kgrec_terms"
MENTIONS = "kgrec_mentions"
FACTS = "kgrec_facts"

Row = list[Any]
"""relation, type and name of the tail, confidence, extractor, start, end (characters of the
evidence), type and name of the head, number of the rule in the domain. The type of an item is
empty, and the name of the item whose text it is; the number is -1 where no rule found it."""


class KnownNames:
    """Marks the names and terms that the catalogue itself holds.

    Proper names match as they are written, terms such as genres in any case.
    """

    def __init__(self, nlp: Language) -> None:
        self._names = PhraseMatcher(nlp.vocab)
        self._terms = PhraseMatcher(nlp.vocab, attr="LOWER")
        self._tokenizer = nlp.tokenizer

    def add(self, names: Mapping[str, Iterable[str]], terms: Iterable[str]) -> None:
        """Add names by entity type; the types in `terms` hold terms."""
        lower = set(terms)
        for kind, values in names.items():
            matcher = self._terms if kind in lower else self._names
            patterns = [self._tokenizer(v) for v in sorted({v for v in values if len(v) > 1})]
            if patterns:
                matcher.add(kind, patterns)

    def __call__(self, doc: Doc) -> Doc:
        doc.user_data[KNOWN] = _rows(self._names(doc, as_spans=True))
        doc.user_data[TERMS] = _rows(self._terms(doc, as_spans=True))
        return doc


class MentionComponent:
    """Decides which words are names, and the entity type of each."""

    def __init__(self, domain: Domain) -> None:
        self._reading = domain.reading

    def __call__(self, doc: Doc) -> Doc:
        known = [Span(doc, s, e, label=kind) for s, e, kind in doc.user_data.get(KNOWN, [])]
        found = find_mentions(doc, self._reading, known, doc.user_data.get(TITLE, ""))
        doc.user_data[MENTIONS] = [[m.start, m.end, m.type, int(m.origin)] for m in found]
        return doc


class FactComponent:
    """Applies the domain's rules and known terms to a text."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._surnames: dict[str, str] = {}
        self._people = domain.reading.ner.get("PERSON")

    def add(self, names: Mapping[str, Iterable[str]]) -> None:
        """Add names, from which the full names of persons are completed."""
        if self._people is not None:
            self._surnames = surnames(names.get(self._people, ()))

    def __call__(self, doc: Doc) -> Doc:
        mentions = tuple(Mention(s, e, k, Origin(o)) for s, e, k, o in doc.user_data[MENTIONS])
        view = TextView(doc, mentions, self._domain.reading, doc.user_data.get(TITLE, ""))
        namer = Namer(view, self._surnames, self._people)
        best: dict[tuple[str, ...], Row] = {}
        sentences = self._trigger_sentences(view)
        ordered = sorted(enumerate(self._domain.rules), key=lambda numbered: numbered[1].beside)
        for number, rule in ordered:
            for found, sentence in self._apply(rule, view, namer):
                row = [*found, number]
                if rule.beside and (rule.relation, sentence) not in sentences:
                    continue
                if not rule.beside:
                    sentences.add((rule.relation, sentence))
                _keep(best, row)
        for row in self._known_terms(view):
            _keep(best, row)
        stated = {(row[1], row[2].casefold()) for row in best.values() if not row[7]}
        # Other links would connect the item to nothing, and could not be found to be withdrawn.
        rows = [row for row in best.values() if not row[7] or (row[7], row[8].casefold()) in stated]
        doc.user_data[FACTS] = sorted(rows, key=lambda row: (row[5], row[0], row[8], row[2]))
        return doc

    def _trigger_sentences(self, view: TextView) -> set[tuple[str, int]]:
        """Return relation and sentence of each rule's verb, even with a pronoun as its subject."""
        free = [rule for rule in self._domain.rules if not rule.beside and not rule.themes]
        return {
            (rule.relation, token.sent.start)
            for rule in free
            for token in view.triggers(rule.verbs)
        }

    def _apply(self, rule: Rule, view: TextView, namer: Namer) -> Iterator[tuple[Row, int]]:
        relation = self._domain.relations[rule.relation]
        start, kind = relation.head, relation.tail
        found: Iterable[tuple[Token, Mention | None, Mention]]
        if start:
            found = LINK_ROLES[rule.role](view, rule, (start, kind))
        else:
            found = ((trigger, None, m) for trigger, m in ROLES[rule.role](view, rule, kind))
        for trigger, head, tail in found:
            name = namer.name(tail, kind) if kind else namer.title(tail)
            owner = "" if head is None else namer.name(head, start)
            if name is None or owner is None or (head and name.casefold() == owner.casefold()):
                continue
            place = _evidence(view, trigger, tail, head or tail)
            row = [rule.relation, kind, name, rule.confidence, f"rules/{rule.role}", *place]
            yield [*row, start, owner], trigger.sent.start

    def _known_terms(self, view: TextView) -> Iterator[Row]:
        for relation in self._domain.reading.known:
            kind = self._domain.relations[relation].tail
            for start, end, label in view.doc.user_data.get(TERMS, []):
                span = view.doc[start:end]
                if label == kind and describes_item(view, span.root):
                    place = (span.start_char, span.end_char)
                    yield [relation, kind, span.text, 0.7, "known", *place, "", "", -1]


@Language.factory("kgrec_known")
def make_known(nlp: Language, name: str) -> KnownNames:
    """Register the matcher of known names; it knows none until they are added."""
    return KnownNames(nlp)


@Language.factory("kgrec_mentions", default_config={"domain": None})
def make_mentions(nlp: Language, name: str, domain: dict[str, Any]) -> MentionComponent:
    """Register the component that decides names; `domain` is a domain file's content."""
    return MentionComponent(Domain.model_validate(domain))


@Language.factory("kgrec_facts", default_config={"domain": None})
def make_facts(nlp: Language, name: str, domain: dict[str, Any]) -> FactComponent:
    """Register the component that applies rules; `domain` is a domain file's content."""
    return FactComponent(Domain.model_validate(domain))


def _rows(spans: Iterable[Span]) -> list[list[Any]]:
    return [[span.start, span.end, span.label_] for span in filter_spans(spans)]


def _keep(best: dict[tuple[str, ...], Row], row: Row) -> None:
    key = (row[0], row[8].casefold(), row[2].casefold())
    if key not in best or row[3] > best[key][3]:
        best[key] = row


def _evidence(view: TextView, trigger: Token, *mentions: Mention) -> tuple[int, int]:
    """Return the characters from the first to the last of a trigger and the names it joins."""
    first = [view.doc[mention.start].idx for mention in mentions]
    last = [view.doc[mention.end - 1] for mention in mentions]
    ends = (token.idx + len(token) for token in (trigger, *last))
    return min(trigger.idx, *first), max(ends)
