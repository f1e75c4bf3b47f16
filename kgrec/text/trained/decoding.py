"""From what networks score to entities and relations of a window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kgrec.text.encoder import multiplies_bfloat16
from kgrec.text.trained.batches import LabelSets, collate, pair_tensors
from kgrec.text.trained.features import Window
from kgrec.text.trained.network import ExtractionNetwork
from kgrec.text.trained.tokens import WordSpan

_NEVER = -1e9


@dataclass(frozen=True, slots=True)
class ScoredSpan:
    """An entity that was found, with the mean probability of its tags."""

    span: WordSpan
    probability: float


@dataclass(frozen=True, slots=True)
class ScoredWindow:
    """What was found in a window.

    Attributes:
        spans: entities in the order of the text.
        relations: (head, tail, label, probability) of each pair and relation that fits, whatever
            its probability.
    """

    spans: tuple[ScoredSpan, ...]
    relations: tuple[tuple[int, int, str, float], ...]


class Decoder:
    """Reads windows with the mean of several networks.

    Args:
        networks: members of the ensemble, on one device.
        fixed: whether they are not trained further; where products are of bfloat16, their weights
            are then kept so, and not converted for each batch.
    """

    def __init__(
        self, networks: Sequence[ExtractionNetwork], known: LabelSets, *, fixed: bool = False
    ) -> None:
        self._networks, self._known = networks, known
        self._device = next(networks[0].parameters()).device
        self._fast = self._device.type == "cpu" and multiplies_bfloat16()
        if fixed and self._fast:
            for network in networks:
                for part in network.modules():
                    if isinstance(part, nn.Linear):
                        part.bfloat16()
        self._outputs = known.outputs
        self._moves, self._first, self._final = _transitions(self._outputs)

    @torch.inference_mode()
    def read(
        self, windows: Sequence[Window], *, spans: Sequence[Sequence[WordSpan]] | None = None
    ) -> list[ScoredWindow]:
        """Return entities and relations of windows, which fit one batch.

        Args:
            spans: entities that are given, to score their pairs alone; None finds them.
        """
        batch = collate(windows, self._known, self._device)
        with self._precision():
            inputs = [network.inputs(batch) for network in self._networks]
            tagged = [
                torch.softmax(network.tag(entity, batch).float(), dim=-1)
                for network, (entity, _) in zip(self._networks, inputs, strict=True)
            ]
        shares = torch.stack(tagged).mean(dim=0).cpu().numpy()  # [B, W, outputs]
        found = [
            self._spans(shares[i, : len(window)])
            if spans is None
            else [ScoredSpan(span, 1.0) for span in spans[i]]
            for i, window in enumerate(windows)
        ]
        rows = [
            row
            for i, ones in enumerate(found)
            for row in self._known.pair_rows(i, [one.span for one in ones])
        ]
        outputs = self._known.output_rows(
            [[one.span for one in ones] for ones in found], shares.shape[1]
        ).to(self._device)
        pairs = pair_tensors([row for _, _, row in rows], self._device)
        with self._precision():
            related = [
                torch.sigmoid(network.relate(relation, batch, outputs, pairs).float())
                for network, (_, relation) in zip(self._networks, inputs, strict=True)
            ]
        scores = torch.stack(related).mean(dim=0).cpu().numpy()  # [N, relations]
        relations: list[list[tuple[int, int, str, float]]] = [[] for _ in windows]
        for (head, tail, row), values in zip(rows, scores, strict=True):
            ends = found[row[0]][head].span.label, found[row[0]][tail].span.label
            fitting = self._known.fitting[ends]
            relations[row[0]] += [
                (head, tail, label, float(value))
                for label, value in zip(self._known.relations, values, strict=True)
                if label in fitting
            ]
        return [
            ScoredWindow(tuple(ones), tuple(between))
            for ones, between in zip(found, relations, strict=True)
        ]

    def _precision(self) -> torch.autocast:
        """Return a context in which products are of bfloat16 where the processor has them."""
        return torch.autocast("cpu", dtype=torch.bfloat16, enabled=self._fast)

    def _spans(self, shares: NDArray[np.float32]) -> list[ScoredSpan]:
        """Return the entities of the most probable valid tags of the words, [W, outputs]."""
        tags = self._best(np.log(np.maximum(shares, 1e-9)))
        found: list[ScoredSpan] = []
        start = 0
        for i, tag in enumerate(tags):
            part, _, label = self._outputs[tag].partition("-")
            if part in ("B", "U"):
                start = i
            if part in ("L", "U"):
                mean = float(np.mean([shares[k, tags[k]] for k in range(start, i + 1)]))
                found.append(ScoredSpan(WordSpan(start, i, label), mean))
        return found

    def _best(self, scores: NDArray[np.float32]) -> list[int]:
        """Viterbi over the tags that may follow each other."""
        best = self._first + scores[0]
        back: list[NDArray[np.int64]] = []
        for row in scores[1:]:
            paths = best[:, None] + self._moves
            back.append(paths.argmax(axis=0))
            best = paths.max(axis=0) + row
        tags = [int((best + self._final).argmax())]
        for step in reversed(back):
            tags.append(int(step[tags[-1]]))
        return tags[::-1]


def _transitions(
    outputs: Sequence[str],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return what may follow each tag, begin and end a window: 0, or a score that never wins."""

    def follows(one: str, two: str) -> bool:
        if one[0] in "OLU":
            return two[0] in "OBU"
        return two[0] in "IL" and one[2:] == two[2:]

    moves = [[0.0 if follows(one, two) else _NEVER for two in outputs] for one in outputs]
    first = [0.0 if one[0] in "OBU" else _NEVER for one in outputs]
    final = [0.0 if one[0] in "OLU" else _NEVER for one in outputs]
    return np.array(moves), np.array(first), np.array(final)
