"""Windows and labels as tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgrec.text.trained.features import LETTERS, Window
from kgrec.text.trained.network import EntityPairs, InputSizes, WordBatch
from kgrec.text.trained.tokens import WindowLabels, WordSpan

OUTSIDE = "O"
PairRow = tuple[int, int, int, int, int, int, int]
"""Window; first word, last word and label of the head; those of the tail."""


@dataclass(frozen=True)
class LabelSets:
    """The labels that an extractor knows, and the tags that it reads.

    Attributes:
        entities, relations: labels, sorted.
        tags: for each kind of tag, the id of each tag; 0 is any other.
        fitting: for each pair of entity labels that has any, the relations that occur between.
    """

    entities: tuple[str, ...]
    relations: tuple[str, ...]
    tags: tuple[Mapping[str, int], ...]
    fitting: Mapping[tuple[str, str], frozenset[str]]

    @classmethod
    def of(cls, examples: Iterable[tuple[Window, WindowLabels]]) -> LabelSets:
        """Collect what training examples have."""
        entities: set[str] = set()
        relations: set[str] = set()
        fitting: dict[tuple[str, str], set[str]] = {}
        tags: list[set[str]] = []
        for window, labels in examples:
            entities.update(span.label for span in labels.spans)
            for head, tail, label in labels.relations:
                relations.add(label)
                ends = labels.spans[head].label, labels.spans[tail].label
                fitting.setdefault(ends, set()).add(label)
            for word in window.tags:
                tags += [set() for _ in word[len(tags) :]]
                for kind, tag in zip(tags, word, strict=True):
                    kind.add(tag)
        return cls(
            tuple(sorted(entities)),
            tuple(sorted(relations)),
            tuple({tag: i for i, tag in enumerate(sorted(kind), start=1)} for kind in tags),
            {ends: frozenset(labels) for ends, labels in fitting.items()},
        )

    @property
    def outputs(self) -> tuple[str, ...]:
        """The tags of entities: outside, and begin, inside, last, unit of each label."""
        return (OUTSIDE, *(f"{part}-{label}" for label in self.entities for part in "BILU"))

    def sizes(self, layers: int, size: int, states: int) -> InputSizes:
        """Return the sizes of a network for these labels."""
        return InputSizes(
            layers=layers,
            size=size,
            states=states,
            tags=tuple(len(kind) + 1 for kind in self.tags),
            outputs=len(self.outputs),
            labels=len(self.entities),
            relations=len(self.relations),
        )

    def pair_rows(self, window: int, spans: Sequence[WordSpan]) -> list[tuple[int, int, PairRow]]:
        """Return positions of head and tail, and the row, of each pair that may be related."""
        place = {label: i for i, label in enumerate(self.entities)}
        ends = [(span.first, span.last, place[span.label]) for span in spans]
        return [
            (i, j, (window, *ends[i], *ends[j]))
            for i, head in enumerate(spans)
            for j, tail in enumerate(spans)
            if i != j and (head.label, tail.label) in self.fitting
        ]

    def output_rows(self, spans: Sequence[Sequence[WordSpan]], words: int) -> Tensor:
        """Return the tags of words that are entities as given, int [B, W]."""
        place = {tag: i for i, tag in enumerate(self.outputs)}
        found = torch.zeros((len(spans), words), dtype=torch.long)
        for i, ones in enumerate(spans):
            for span in ones:
                if span.first == span.last:
                    found[i, span.first] = place[f"U-{span.label}"]
                    continue
                found[i, span.first : span.last] = place[f"I-{span.label}"]
                found[i, span.first] = place[f"B-{span.label}"]
                found[i, span.last] = place[f"L-{span.label}"]
        return found


def collate(windows: Sequence[Window], known: LabelSets, device: torch.device) -> WordBatch:
    """Return windows as one batch."""
    count, words = len(windows), max(map(len, windows))
    one = windows[0]
    vectors = np.zeros((count, words, *one.vectors.shape[1:]), dtype=np.float32)
    tags = np.zeros((count, words, len(known.tags)), dtype=np.int64)
    letters = np.zeros((count, words, LETTERS), dtype=np.int64)
    states = np.zeros((count, words, one.states.shape[1]), dtype=np.float32)
    ancestors = np.zeros((count, words, words), dtype=np.bool_)
    for i, window in enumerate(windows):
        size = len(window)
        vectors[i, :size] = window.vectors
        tags[i, :size] = [
            [kind.get(tag, 0) for kind, tag in zip(known.tags, word, strict=True)]
            for word in window.tags
        ]
        letters[i, :size] = window.letters
        states[i, :size] = window.states
        ancestors[i, :size, :size] = window.ancestors

    def tensor(array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(device)

    pieces, pooling, mask = _padded_pieces(windows, words)
    return WordBatch(
        vectors=tensor(vectors),
        pieces=tensor(pieces),
        pooling=tensor(pooling),
        mask=tensor(mask),
        tags=tensor(tags),
        letters=tensor(letters),
        states=tensor(states),
        ancestors=tensor(ancestors),
        lengths=torch.tensor([len(window) for window in windows]),
    )


def _padded_pieces(
    windows: Sequence[Window], words: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Return pieces [B, P, D], the mean over those of each word [B, W, P], and which are there."""
    count, width = len(windows), max(len(window.pieces) for window in windows)
    pieces = np.zeros((count, width, windows[0].pieces.shape[1]), dtype=np.float32)
    pooling = np.zeros((count, words, width), dtype=np.float32)
    mask = np.zeros((count, width), dtype=np.bool_)
    for i, window in enumerate(windows):
        size = len(window.pieces)
        pieces[i, :size] = window.pieces
        mask[i, :size] = True
        if size:
            own = window.owners[None] == np.arange(len(window))[:, None]
            pooling[i, : len(window), :size] = own / own.sum(axis=1, keepdims=True).clip(min=1)
    return pieces, pooling, mask


def pair_tensors(rows: Sequence[PairRow], device: torch.device) -> EntityPairs:
    """Return rows of pairs as tensors."""
    table = torch.tensor(rows, dtype=torch.long, device=device).reshape(-1, 7)
    return EntityPairs(*table.unbind(dim=1))
