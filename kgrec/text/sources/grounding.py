"""Facts as a language model gives them, held against the text that they are read from.

Nothing is trusted: the relation must be declared, the type must be the one it leads to, the
evidence must stand in the text, and the name in the evidence. Names and evidence are cut from the
text itself. What fails is dropped and counted.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kgrec.schema import Relation
from kgrec.text.pipeline import ItemText, TextFact
from kgrec.text.sources.prompt import ReadingPrompt

NO_OBJECT = "not a fact"
NO_RELATION = "undeclared relation"
NO_TYPE = "type that does not fit"
NO_EVIDENCE = "evidence not in the text"
NO_NAME = "name not in the evidence"
NO_HEAD = "head not in the text"
OWN_TITLE = "the item itself"
_LONGEST_NAME = 150


@dataclass(frozen=True)
class Piece:
    """A part of an item's text that one request is about, from a character of the text on."""

    item: ItemText
    start: int
    text: str


def facts_in(content: str) -> list[Any] | None:
    """Return the facts of an answer as they are, or None where it is malformed."""
    plain = re.sub(r"^```(?:json)?\s*|\s*```$", "", content.strip())
    try:
        answer = json.loads(plain)
    except (ValueError, RecursionError):
        return None
    facts = answer.get("facts") if isinstance(answer, dict) else None
    return facts if isinstance(facts, list) else None


def grounded(
    given: list[Any],
    piece: Piece,
    prompt: ReadingPrompt,
    dropped: Counter[str],
    *,
    confidence: float,
    extractor: str,
    version: str,
) -> Iterator[TextFact]:
    """Yield the facts that the text bears out, with names and evidence as it writes them.

    Args:
        given: what the model answered.
        dropped: counts the others, by reason.
    """
    for one in given:
        found = _found(one, piece, prompt)
        if isinstance(found, str):
            dropped[found] += 1
            continue
        relation, (start, end), name, head = found
        yield TextFact(
            item_id=piece.item.item_id,
            relation=str(one["relation"]),
            entity_type=relation.tail,
            entity_name=name,
            confidence=confidence,
            extractor=extractor,
            evidence=piece.text[start:end],
            start=piece.start + start,
            end=piece.start + end,
            head_type=relation.head,
            head_name=head,
            version=version,
        )


_Found = tuple[Relation, tuple[int, int], str, str]


def _found(one: Any, piece: Piece, prompt: ReadingPrompt) -> _Found | str:
    """Return relation, place of the evidence, name and head, or why the fact does not hold."""
    fields = ("relation", "type", "name", "evidence")
    if not isinstance(one, Mapping) or not all(isinstance(one.get(f), str) for f in fields):
        return NO_OBJECT
    relation = prompt.relations.get(one["relation"])
    if relation is None:
        return NO_RELATION
    if one["type"] != prompt.type_of(relation):
        return NO_TYPE
    evidence = _place(one["evidence"], piece.text)
    if evidence is None:
        return NO_EVIDENCE
    place = _place(one["name"], piece.text, *evidence)
    if place is None or place[1] - place[0] > _LONGEST_NAME:
        return NO_NAME
    name = " ".join(piece.text[slice(*place)].split())
    title = piece.item.title.strip().casefold()
    if name.casefold() == title:
        return OWN_TITLE
    if not relation.head:
        return relation, evidence, name, ""
    given = one.get("head")
    head = _place(given, piece.text) if isinstance(given, str) else None
    if head is None:
        return NO_HEAD
    owner = " ".join(piece.text[slice(*head)].split())
    return NO_HEAD if owner.casefold() == name.casefold() else (relation, evidence, name, owner)


def _place(words: str, text: str, start: int = 0, end: int | None = None) -> tuple[int, int] | None:
    """Return where words stand in a text, whole, whatever spaces and lines lie between them."""
    parts = words.split()
    if not parts:
        return None
    body = r"\s+".join(map(re.escape, parts))
    # Scripts without capitals, such as Chinese, put no space between words.
    before = r"(?<!\w)" if _bounded(parts[0][0]) else ""
    after = r"(?!\w)" if _bounded(parts[-1][-1]) else ""
    found = re.compile(f"{before}{body}{after}").search(
        text, start, len(text) if end is None else end
    )
    return None if found is None else found.span()


def _bounded(letter: str) -> bool:
    return letter.isdigit() or letter.lower() != letter.upper()
