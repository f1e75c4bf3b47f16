"""What several components find in one text, joined: one fact each, and where they disagree.

Of one fact the most confident finding is kept, the earlier component where two are equal. Where two
components read the same words in different ways, both are listed, and the winner is kept alone
unless both can hold.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from kgrec.config import FrozenModel
from kgrec.schema import Domain
from kgrec.text.pipeline import ItemText, TextFact, TextValue, item_batches, most_confident

SAMPLES = 20
"""Disagreements that are listed; all are counted."""

Kind = Literal["borders", "type", "relation"]


class TextFinding(NamedTuple):
    """What one component finds in one text; incomplete where it could not read all of it."""

    facts: list[TextFact]
    complete: bool = True
    values: tuple[TextValue, ...] = ()


class FactSource(Protocol):
    """A component that finds facts in texts, beside the rules.

    Attributes:
        name: as a user lists it.
        version: changes when it finds other facts in the same text.
    """

    name: str
    version: str

    def find(self, items: Sequence[ItemText]) -> list[TextFinding]:
        """Return what each of some texts states, in their order."""


class FactFilter(Protocol):
    """Keeps facts of the item and leaves out those of other works."""

    def about_item(self, item: ItemText, facts: Sequence[TextFact]) -> list[TextFact]:
        """Return the facts of a text that it states of its item."""


class ReadText(NamedTuple):
    """A text with what is kept of it; incomplete where it must be read once more.

    Attributes:
        values: properties of the item, each once.
    """

    item: ItemText
    facts: list[TextFact]
    complete: bool = True
    values: tuple[TextValue, ...] = ()


class Stated(FrozenModel):
    """A fact as one component states it."""

    relation: str
    name: str
    type: str
    component: str
    confidence: float


class Disagreement(FrozenModel):
    """Two components that read the same words in different ways.

    Attributes:
        kind: `borders`: one name holds the other; `type`: one name as entities of two types;
            `relation`: one entity in two relations, which are both kept since both can hold.
        kept, other: the more confident reading and the weaker one.
    """

    item_id: str
    kind: Kind
    kept: Stated
    other: Stated
    evidence: str


@dataclass
class FusionCounts:
    """What came of the components' findings.

    Attributes:
        facts: that were kept, by the component that found them.
        kinds: disagreements, by kind.
        samples: the first of them.
        of_others: facts that were left out, since the text states them of another work.
    """

    facts: Counter[str] = field(default_factory=Counter)
    kinds: Counter[Kind] = field(default_factory=Counter)
    samples: list[Disagreement] = field(default_factory=list)
    of_others: int = 0

    def add(self, found: Iterable[Disagreement]) -> None:
        """Count disagreements and keep the first ones."""
        for one in found:
            self.kinds[one.kind] += 1
            if len(self.samples) < SAMPLES:
                self.samples.append(one)


def read_beside(
    reading: Iterable[tuple[ItemText, list[TextFact]]],
    sources: Sequence[FactSource],
    domain: Domain,
    counts: FusionCounts,
    batch_size: int = 64,
    mentions: FactFilter | None = None,
) -> Iterator[ReadText]:
    """Yield texts with the facts that they have already and those that other components find.

    Args:
        mentions: by which facts that are stated of other works are left out.
    """
    stated: deque[list[TextFact]] = deque()

    def texts() -> Iterator[ItemText]:
        for item, facts in reading:
            stated.append(facts)
            yield item

    for items in item_batches(texts(), batch_size):
        found = [source.find(items) for source in sources]
        own = [stated.popleft() for _ in items]
        yield from joined(items, own, found, domain, counts, mentions)


def joined(
    items: Sequence[ItemText],
    stated: Sequence[list[TextFact]],
    found: Sequence[Sequence[TextFinding]],
    domain: Domain,
    counts: FusionCounts,
    mentions: FactFilter | None = None,
) -> Iterator[ReadText]:
    """Yield texts with what is kept of all that was found in them.

    Args:
        stated: of each text, the facts of the spaCy pipeline.
        found: of each component beside it, in their order, what it finds in each text.
        mentions: as of `read_beside`.
    """
    for row, (item, facts) in enumerate(zip(items, stated, strict=True)):
        own = [each[row] for each in found]
        findings = [facts, *(one.facts for one in own)]
        if mentions is not None:
            kept = [mentions.about_item(item, each) for each in findings]
            counts.of_others += sum(map(len, findings)) - sum(map(len, kept))
            findings = kept
            facts = _linked(kept[0], kept[0])
        if own:
            facts, others = fused(findings, domain)
            counts.add(others)
        counts.facts.update(fact.component for fact in facts)
        values = {value.property: value for one in reversed(own) for value in one.values}
        complete = all(one.complete for one in own)
        yield ReadText(item, facts, complete, tuple(values.values()))


def fused(
    findings: Sequence[list[TextFact]], domain: Domain
) -> tuple[list[TextFact], list[Disagreement]]:
    """Return the facts of one text that are kept, and where its readings disagree.

    Args:
        findings: of each component, in the order of their precedence.
    """
    known = most_confident((fact for facts in findings for fact in facts), str.casefold)
    ranked = sorted(known, key=lambda fact: -fact.confidence)  # stable: the order breaks ties
    kept: list[TextFact] = []
    found: list[Disagreement] = []
    for fact in ranked:
        pairs = [(one, kind) for one in kept if (kind := _disagrees(one, fact, domain))]
        found += [_disagreement(one, fact, kind) for one, kind in pairs]
        if all(kind == "relation" for _, kind in pairs):
            kept.append(fact)
    return _linked(known, kept), found


def _linked(facts: Sequence[TextFact], kept: Sequence[TextFact]) -> list[TextFact]:
    """Return the facts that are kept, in their order; a link needs a head that the item leads to.

    From another entity it would connect the item to nothing.
    """
    stated = {(f.entity_type, f.entity_name.casefold()) for f in kept if not f.head_type}
    chosen = {
        id(f) for f in kept if not f.head_type or (f.head_type, f.head_name.casefold()) in stated
    }
    return [fact for fact in facts if id(fact) in chosen]


def _disagrees(one: TextFact, other: TextFact, domain: Domain) -> Kind | None:
    if one.component == other.component or one.head_type or other.head_type:
        return None
    if one.end <= other.start or other.end <= one.start:
        return None
    name, second = one.entity_name.casefold(), other.entity_name.casefold()
    if one.relation == other.relation:
        return "borders" if name != second and _within(name, second) else None
    if name != second:
        return None
    if one.entity_type == other.entity_type:
        return "relation"
    phrases = {"", *domain.reading.phrases}
    both = {one.entity_type, other.entity_type}
    return "type" if not both & phrases and one.entity_name[:1].isupper() else None


def _within(one: str, other: str) -> bool:
    shorter, longer = sorted((one.split(), other.split()), key=len)
    size = len(shorter)
    return any(longer[i : i + size] == shorter for i in range(len(longer) - size + 1))


def _disagreement(kept: TextFact, other: TextFact, kind: Kind) -> Disagreement:
    first, second = (
        Stated(
            relation=one.relation,
            name=one.entity_name,
            type=one.entity_type,
            component=one.component,
            confidence=one.confidence,
        )
        for one in (kept, other)
    )
    return Disagreement(
        item_id=kept.item_id, kind=kind, kept=first, other=second, evidence=other.evidence
    )
