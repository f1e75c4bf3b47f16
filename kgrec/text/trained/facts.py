"""A trained extractor as one source of an item's facts, beside the rules of its domain.

An entity whose label is a relation of the domain that leads from the items, such as DIRECTED_BY,
states that relation of the item whose text it is. A relation between two entities is a link of the
domain where it has the same name and fitting ends; labels of entities are entity types.
"""

from __future__ import annotations

from collections.abc import Sequence

from kgrec.schema import Domain
from kgrec.text.pipeline import ItemText, TextFact
from kgrec.text.sources.fusion import TextFinding
from kgrec.text.trained.extractor import TrainedExtractor
from kgrec.text.trained.lines import LabelledSpan, LabelledText


class TrainedFacts:
    """A trained extractor as a component.

    Args:
        extractor: what reads the texts.
        domain: whose relations its labels may state.
        least: confidence below which nothing is stated.
    """

    name = "trained"

    def __init__(self, extractor: TrainedExtractor, domain: Domain, least: float = 0.0) -> None:
        self._extractor, self._domain, self._least = extractor, domain, least
        self.version = f"{extractor.version}-{least:g}" if least else extractor.version

    def find(self, items: Sequence[ItemText]) -> list[TextFinding]:
        """Return what its labels state of each item."""
        labelled = self._extractor.read(LabelledText(item.item_id, item.text) for item in items)
        return [
            TextFinding(facts_of(one, item, self._domain, self.version, self._least))
            for item, one in zip(items, labelled, strict=True)
        ]


def facts_of(
    labelled: LabelledText, item: ItemText, domain: Domain, version: str, least: float = 0.0
) -> list[TextFact]:
    """Return what the labels of a text state in a domain; other labels state nothing.

    Args:
        least: confidence of what is stated.
    """
    facts: list[TextFact] = []

    def add(
        relation: str,
        kind: str,
        tail: LabelledSpan,
        sure: float,
        head: LabelledSpan | None,
        head_type: str,
    ) -> None:
        if sure < least:
            return
        start = min(tail.start, head.start if head else tail.start)
        end = max(tail.end, head.end if head else tail.end)
        facts.append(
            TextFact(
                item_id=item.item_id,
                relation=relation,
                entity_type=kind,
                entity_name=_name(labelled, tail),
                confidence=max(sure, 1e-3),
                extractor=f"trained/{version}",
                evidence=labelled.text[start:end],
                start=start,
                end=end,
                head_type=head_type,
                head_name=_name(labelled, head) if head and head_type else "",
            )
        )

    for one in labelled.entities:
        if one.label in domain.facts:
            add(one.label, domain.facts[one.label].tail, one, one.confidence or 0.0, None, "")
    for between in labelled.relations:
        relation = domain.relations.get(between.label)
        if relation is None:
            continue
        head, tail = labelled.entities[between.head], labelled.entities[between.tail]
        ends = _type(head, domain), _type(tail, domain)
        own = domain.item_label if not relation.head else relation.head
        if relation.tail in domain.entity_types and ends == (own, relation.tail):
            sure = between.confidence or 0.0
            add(between.label, relation.tail, tail, sure, head, relation.head)
    stated = {(f.entity_type, f.entity_name.casefold()) for f in facts if not f.head_type}
    # A link from an entity that the item does not lead to would connect it to nothing.
    return [f for f in facts if not f.head_type or (f.head_type, f.head_name.casefold()) in stated]


def _type(entity: LabelledSpan, domain: Domain) -> str:
    fact = domain.facts.get(entity.label)
    return fact.tail if fact else entity.label


def _name(labelled: LabelledText, entity: LabelledSpan) -> str:
    return " ".join(labelled.text[entity.start : entity.end].split())
