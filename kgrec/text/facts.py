"""A fact that a text states, with the words that state it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fact:
    """One relation from an item to an entity, found in one text of the item.

    Attributes:
        relation: a relation type of the domain.
        entity_type, entity_name: what it points to; the name stands in the text as it is.
        confidence: in (0, 1]; how far the rule that found it can be trusted.
        extractor: the component and rule, such as `rules/agent`.
        evidence: the words that say it, `text[start:end]`.
        source: the property of the item that holds the text.
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
