"""Names that the columns of a catalogue hold, as a feature of the words of a text.

A character and an actor are introduced by the same words. That a name stands among the actors of
other items distinguishes them, also in a text whose own item has no columns. In training the item's
own columns do not count, so that the network learns what the names of others are worth.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from kgrec.errors import DataError
from kgrec.text.trained.distant import LEAST
from kgrec.text.trained.features import Window
from kgrec.text.trained.lines import LabelledSpan

_WORD = re.compile(r"\w+(?:(?!['’]s\b)['’.-]\w+)*")
_FORMAT = 1


class ColumnNames:
    """How many items have a name in the column of a label.

    Args:
        counts: items by label and name.

    Attributes:
        labels: in their order.
        digest: SHA-256 of the names and counts.
    """

    def __init__(self, counts: Mapping[str, Mapping[str, int]]) -> None:
        self.labels = tuple(sorted(counts))
        self._counts = {label: dict(sorted(counts[label].items())) for label in self.labels}
        self.digest = hashlib.sha256(self._text().encode()).hexdigest()
        self._starting: dict[str, list[tuple[str, ...]]] = defaultdict(list)
        self._items: dict[tuple[str, ...], dict[str, int]] = defaultdict(dict)
        for label, names in self._counts.items():
            for name, items in names.items():
                words = tuple(_WORD.findall(name))
                if sum(map(len, words)) >= LEAST:
                    self._items[words][label] = self._items[words].get(label, 0) + items
        for words in self._items:
            self._starting[words[0]].append(words)
        for group in self._starting.values():
            group.sort(key=len, reverse=True)

    def __len__(self) -> int:
        return sum(map(len, self._counts.values()))

    def find(self, text: str, own: Iterable[LabelledSpan] = ()) -> Iterator[LabelledSpan]:
        """Yield the names that stand in a text, one span for each label, the longest first.

        Args:
            own: entities that the item's own columns label, which count one item less.
        """
        left_out = {(span.label, tuple(_WORD.findall(text[span.start : span.end]))) for span in own}
        words = list(_WORD.finditer(text))
        at = 0
        while at < len(words):
            match = self._at(words, at)
            if match is None:
                at += 1
                continue
            start, end = words[at].start(), words[at + len(match) - 1].end()
            for label, items in self._items[match].items():
                if items > ((label, match) in left_out):
                    yield LabelledSpan(start, end, label)
            at += len(match)

    def marked(
        self, windows: Sequence[Window], text: str, own: Iterable[LabelledSpan] = ()
    ) -> list[Window]:
        """Return the windows of a text with a tag more for each word: the labels of its name.

        Args:
            own: as of `find`.
        """
        found = list(self.find(text, own))
        return [_with_tags(window, found) for window in windows]

    def save(self, path: Path) -> None:
        """Write the names as JSON."""
        path.write_text(self._text(), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> ColumnNames:
        """Read what `save` has written.

        Raises:
            DataError: it cannot be read, or holds something else.
        """
        try:
            given = json.loads(path.read_text(encoding="utf-8"))
            if given["format"] != _FORMAT:
                raise ValueError("it is of another format")
            counts = {
                str(label): {str(name): int(items) for name, items in names.items()}
                for label, names in given["names"].items()
            }
        except OSError as error:
            raise DataError(
                f"the names cannot be read ({error.strerror})", value=str(path)
            ) from None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise DataError(
                f"this is no file of names ({str(error).splitlines()[0]})",
                value=str(path),
                remedy="`kgrec extract label --names FILE` writes one.",
            ) from None
        return cls(counts)

    def _text(self) -> str:
        found = {"format": _FORMAT, "names": self._counts}
        return json.dumps(found, ensure_ascii=False, indent=0) + "\n"

    def _at(self, words: Sequence[re.Match[str]], at: int) -> tuple[str, ...] | None:
        for name in self._starting.get(words[at][0], ()):
            if tuple(word[0] for word in words[at : at + len(name)]) == name:
                return name
        return None


def _with_tags(window: Window, found: Sequence[LabelledSpan]) -> Window:
    labels: list[set[str]] = [set() for _ in window.offsets]
    for span in found:
        for held, (start, end) in zip(labels, window.offsets, strict=True):
            if start < span.end and span.start < end:
                held.add(span.label)
    tags = [(*one, " ".join(sorted(held))) for one, held in zip(window.tags, labels, strict=True)]
    return replace(window, tags=tuple(tags))


class NameCounts:
    """Counts names while the items of a table are read."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)

    def add(self, names: Mapping[str, Sequence[str]]) -> None:
        """Count the names of one item, by label."""
        for label, found in names.items():
            self._counts[label].update({" ".join(name.split()) for name in found})

    def known(self) -> ColumnNames:
        """Return what was counted."""
        return ColumnNames(self._counts)
