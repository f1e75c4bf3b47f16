"""From texts to windows of words, and from labels in characters to labels of words, and back."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from spacy.tokens import Doc

from kgrec.text.trained.lines import LabelledSpan, LabelledText

LONGEST = 128
"""Words of a window: whole sentences up to this many, or a part of a longer sentence."""


@dataclass(frozen=True, slots=True)
class WordSpan:
    """An entity by its first and last word in a window, with its label."""

    first: int
    last: int
    label: str


@dataclass(frozen=True, slots=True)
class WindowLabels:
    """The labels of one window.

    Attributes:
        spans: in the order of the text; none overlaps another.
        relations: (position of the head in `spans`, that of the tail, label).
    """

    spans: tuple[WordSpan, ...]
    relations: tuple[tuple[int, int, str], ...]


def windows(doc: Doc) -> Iterator[tuple[int, int]]:
    """Yield first word and end of the windows of a text: sentences that fit together."""
    start = end = 0
    for sentence in doc.sents if doc.has_annotation("SENT_START") else [doc[:]]:
        if sentence.end - start > LONGEST and end > start:
            yield start, end
            start = end
        while sentence.end - start > LONGEST:
            yield start, start + LONGEST
            start += LONGEST
        end = sentence.end
    if end > start:
        yield start, end


class AlignedLabels:
    """The labels of one text by words; what cannot be expressed by words is counted.

    A border beside those of the words moves to the nearest word border that keeps the entity's
    letters. Of entities that overlap the longer one stays.

    Args:
        words: begin and end of each word, in characters.

    Attributes:
        moved: entities whose borders were moved.
        dropped: entities that overlap a longer one or hold no word.
        crossing: relations with a dropped entity, of an entity to itself, or between two windows.
    """

    def __init__(self, labelled: LabelledText, words: Sequence[tuple[int, int]]) -> None:
        self.moved = self.dropped = self.crossing = 0
        self._labelled = labelled
        self._starts = [start for start, _ in words]
        self._ends = [end for _, end in words]
        self._spans: dict[int, tuple[int, int]] = {}
        used: set[int] = set()
        longest = sorted(
            range(len(labelled.entities)),
            key=lambda i: labelled.entities[i].start - labelled.entities[i].end,
        )
        for i in longest:
            found = self._words(labelled.entities[i])
            covered = range(found[0], found[1] + 1) if found else range(0)
            if not covered or used & set(covered):
                self.dropped += 1
                continue
            used.update(covered)
            self._spans[i] = (covered[0], covered[-1])

    def window(self, start: int, end: int) -> WindowLabels:
        """Return the labels within the words from start to end."""
        inside = sorted(
            (i for i, (one, last) in self._spans.items() if start <= one and last < end),
            key=lambda i: self._spans[i],
        )
        place = {i: position for position, i in enumerate(inside)}
        spans = tuple(
            WordSpan(self._spans[i][0] - start, self._spans[i][1] - start, self._label(i))
            for i in inside
        )
        relations = {
            (place[r.head], place[r.tail], r.label)
            for r in self._labelled.relations
            if r.head in place and r.tail in place and r.head != r.tail
        }
        return WindowLabels(spans, tuple(sorted(relations)))

    def _label(self, entity: int) -> str:
        return self._labelled.entities[entity].label

    def _words(self, entity: LabelledSpan) -> tuple[int, int] | None:
        """Return first and last word of an entity; None where it holds no word."""
        first = bisect_right(self._ends, entity.start)
        last = bisect_left(self._starts, entity.end) - 1
        if first > last:
            return None
        exact = self._starts[first] == entity.start and self._ends[last] == entity.end
        self.moved += not exact
        return first, last
