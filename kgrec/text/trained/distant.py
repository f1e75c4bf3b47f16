"""Training texts without annotation: a column that states a relation labels the text that names it.

Distant supervision (Mintz et al., ACL 2009), with a column of the catalogue in place of a knowledge
base. A name of the director's column that stands in the synopsis is labelled with the relation, so
that a network learns how texts introduce those people; names of all others stay unlabelled, which
is what keeps characters apart from people.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kgrec.text.trained.lines import LabelledSpan, LabelledText

LEAST = 4
"""Letters of a name; shorter ones are too often another word."""


@dataclass(frozen=True, slots=True)
class NamedText:
    """A text of an item, and the names that its columns have for each relation."""

    id: str
    text: str
    names: Mapping[str, Sequence[str]]


@dataclass
class LabelCounts:
    """What became labelled.

    Attributes:
        texts: read.
        naming: texts that hold a name.
        silent: texts without one that were kept, so that it is learned where none is.
        labels: entities by relation.
        ambiguous: names that have several relations with one item, which are left out.
    """

    texts: int = 0
    naming: int = 0
    silent: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    ambiguous: int = 0


def distant_labels(
    texts: Iterable[NamedText], counts: LabelCounts, *, silent: float = 1.0
) -> Iterator[LabelledText]:
    """Yield the texts in which a name of their columns stands, and some of the others.

    An entity's label is the relation of its column. A text with a name that has several relations
    with its item is left out, since it does not show which one the text states.

    Args:
        counts: filled while texts are yielded.
        silent: how many texts without a name are kept for each one with; which ones depends on
            their ids alone.
    """
    owed = 0.0
    for one, spans in _clear(texts, counts):
        if spans:
            counts.naming += 1
            counts.labels.update(span.label for span in spans)
            owed += silent
        elif owed >= 1 and zlib.crc32(one.id.encode()) % 2:
            owed -= 1
            counts.silent += 1
        else:
            continue
        yield LabelledText(one.id, one.text, tuple(spans))


def named_labels(texts: Iterable[NamedText], counts: LabelCounts) -> Iterator[LabelledText]:
    """Yield all texts, labelled by names that are known to be right, also those without one.

    Args:
        counts: filled while texts are yielded.
    """
    for one, spans in _clear(texts, counts):
        counts.naming += bool(spans)
        counts.silent += not spans
        counts.labels.update(span.label for span in spans)
        yield LabelledText(one.id, one.text, tuple(spans))


def _clear(
    texts: Iterable[NamedText], counts: LabelCounts
) -> Iterator[tuple[NamedText, list[LabelledSpan]]]:
    """Yield the texts of which no name is ambiguous, with their entities, and count all."""
    for one in texts:
        counts.texts += 1
        spans, ambiguous = _spans(one)
        counts.ambiguous += ambiguous
        if not ambiguous:
            yield one, spans


def _spans(one: NamedText) -> tuple[list[LabelledSpan], int]:
    """Return the entities of a text in order, and how many of its names are ambiguous."""
    relations: dict[str, set[str]] = {}
    for relation, names in one.names.items():
        for name in names:
            if len(name) >= LEAST and name in one.text:
                relations.setdefault(name, set()).add(relation)
    if not relations:
        return [], 0
    longest = sorted(relations, key=len, reverse=True)
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest))})(?!\w)")
    found = list(pattern.finditer(one.text))
    ambiguous = {match[0] for match in found if len(relations[match[0]]) > 1}
    spans = [
        LabelledSpan(match.start(), match.end(), next(iter(relations[match[0]])))
        for match in found
        if match[0] not in ambiguous
    ]
    return spans, len(ambiguous)
