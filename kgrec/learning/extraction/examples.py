"""Training examples: windows with labels, and the batches that a step learns from."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kgrec.progress import SILENT, Progress
from kgrec.text.trained.batches import LabelSets, PairRow, collate, pair_tensors
from kgrec.text.trained.features import FeatureReader, Window
from kgrec.text.trained.known import ColumnNames
from kgrec.text.trained.lines import LabelledText
from kgrec.text.trained.network import EntityPairs, WordBatch
from kgrec.text.trained.tokens import AlignedLabels, WindowLabels, WordSpan

_SORTED = 10
"""Batches whose windows are sorted by length together."""
_WRONG = 1.0
"""Entities beside the true ones that a window gets on average, whose pairs have no relation."""


@dataclass(frozen=True)
class LabelledExamples:
    """Labelled windows, and how many labels could not be expressed by words.

    Attributes:
        counts: windows of each text.
        moved, dropped: entities whose borders were moved, and that overlap a longer one.
        lost: relations without an entity, of an entity to itself, or between two windows.
    """

    windows: list[tuple[Window, WindowLabels]]
    counts: list[int]
    moved: int
    dropped: int
    lost: int


def read_examples(
    reader: FeatureReader,
    texts: Sequence[LabelledText],
    progress: Progress = SILENT,
    names: ColumnNames | None = None,
) -> LabelledExamples:
    """Return the windows of labelled texts with their labels.

    Args:
        names: marked in the texts, those of an item's own columns left out.
    """
    found: list[tuple[Window, WindowLabels]] = []
    counts: list[int] = []
    moved = dropped = relations = 0
    with progress.task("read texts", total=len(texts)) as task:
        for labelled, parts in zip(texts, reader.read(one.text for one in texts), strict=True):
            aligned = AlignedLabels(labelled, [word for part in parts for word in part.offsets])
            moved, dropped = moved + aligned.moved, dropped + aligned.dropped
            counts.append(len(parts))
            start = 0
            for part in names.marked(parts, labelled.text, labelled.entities) if names else parts:
                labels = aligned.window(start, start + len(part))
                start += len(part)
                relations += len(labels.relations)
                found.append((part, labels))
            task.advance()
    wanted = sum(len({(r.head, r.tail, r.label) for r in one.relations}) for one in texts)
    return LabelledExamples(found, counts, moved, dropped, wanted - relations)


@dataclass(frozen=True, slots=True, eq=False)
class LearningBatch:
    """What one step learns from.

    Attributes:
        words: the windows.
        tags: true tag of each word, int [B, W].
        outputs: tags that the scorer of pairs reads, wrong entities among them, int [B, W].
        pairs, relations: pairs of entities, and which relations each has, float [N, relations].
    """

    words: WordBatch
    tags: Tensor
    outputs: Tensor
    pairs: EntityPairs
    relations: Tensor


class Sampler:
    """Makes the batches of an epoch, the same for the same seed and epoch.

    Args:
        size: windows of a batch.
        seed: of the network that learns.
    """

    def __init__(
        self,
        examples: Sequence[tuple[Window, WindowLabels]],
        known: LabelSets,
        *,
        size: int,
        seed: int,
        device: torch.device,
    ) -> None:
        self._examples, self._known = examples, known
        self._size, self._seed, self._device = size, seed, device
        self._relations = {label: i for i, label in enumerate(known.relations)}

    @property
    def steps(self) -> int:
        """Number of batches of an epoch."""
        return -(-len(self._examples) // self._size)

    def epoch(self, number: int) -> Iterator[LearningBatch]:
        """Yield the batches of an epoch."""
        draw = random.Random(f"{self._seed} {number}")  # noqa: S311 - no secret
        order = draw.sample(range(len(self._examples)), len(self._examples))
        batches: list[list[int]] = []
        for start in range(0, len(order), self._size * _SORTED):
            part = order[start : start + self._size * _SORTED]
            part.sort(key=lambda i: len(self._examples[i][0]))
            batches += [part[i : i + self._size] for i in range(0, len(part), self._size)]
        draw.shuffle(batches)
        for batch in batches:
            yield self._batch([self._examples[i] for i in batch], draw)

    def _batch(
        self, examples: Sequence[tuple[Window, WindowLabels]], draw: random.Random
    ) -> LearningBatch:
        words = collate([window for window, _ in examples], self._known, self._device)
        width = words.tags.shape[1]
        rows: list[PairRow] = []
        targets: list[list[float]] = []
        shown: list[list[WordSpan]] = []
        for i, (window, labels) in enumerate(examples):
            spans = self._with_wrong(labels.spans, len(window), draw)
            shown.append(spans)
            related = [
                (labels.spans[h], labels.spans[t], label) for h, t, label in labels.relations
            ]
            for head, tail, row in self._known.pair_rows(i, spans):
                target = [0.0] * len(self._relations)
                for one, two, label in related:
                    if (one, two) == (spans[head], spans[tail]):
                        target[self._relations[label]] = 1.0
                rows.append(row)
                targets.append(target)
        return LearningBatch(
            words,
            self._known.output_rows([one.spans for _, one in examples], width).to(self._device),
            self._known.output_rows(shown, width).to(self._device),
            pair_tensors(rows, self._device),
            torch.tensor(targets, device=self._device).reshape(len(rows), len(self._relations)),
        )

    def _with_wrong(
        self, spans: Sequence[WordSpan], words: int, draw: random.Random
    ) -> list[WordSpan]:
        """Return the entities with some as a tagger may find them: cut, shifted, or invented."""
        found = list(spans)
        used = {i for span in spans for i in range(span.first, span.last + 1)}
        for _ in range(2):
            if draw.random() > _WRONG / 2:
                continue
            first = draw.randrange(words)
            last = min(words - 1, first + draw.choice((0, 0, 1, 2)))
            if not used & set(range(first, last + 1)):
                found.append(WordSpan(first, last, draw.choice(self._known.entities)))
                used |= set(range(first, last + 1))
        if found and len(spans) > 1 and draw.random() < 0.1:
            i = draw.randrange(len(spans))
            if found[i].last > found[i].first:
                found[i] = replace(found[i], first=found[i].first + 1)
        return found
