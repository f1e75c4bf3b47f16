"""What an extractor is worth on texts that it was not trained on: calibration and score."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kgrec.learning.extraction.examples import LabelledExamples
from kgrec.text.trained.calibration import fit_scale, reliability
from kgrec.text.trained.decoding import Decoder
from kgrec.text.trained.extractor import labelled, score_windows, unscaled
from kgrec.text.trained.lines import LabelledText
from kgrec.text.trained.record import ExtractorRecord
from kgrec.text.trained.scoring import score

Judged = list[tuple[float, bool]]
"""Probability of each prediction of a text, and whether it is right."""


def measured(
    record: ExtractorRecord, decoder: Decoder, dev: Sequence[LabelledText], held: LabelledExamples
) -> ExtractorRecord:
    """Return a record with calibration, reliability and score on development texts.

    Args:
        held: the windows of these texts.
    """
    windows = [window for window, _ in held.windows]
    found = iter(zip(windows, score_windows(decoder, windows), strict=True))
    plain = unscaled(record)
    predicted = [
        labelled(text, [next(found) for _ in range(count)], plain)
        for text, count in zip(dev, held.counts, strict=True)
    ]
    entities = [_judged_entities(gold, one) for gold, one in zip(dev, predicted, strict=True)]
    relations = [_judged_relations(gold, one) for gold, one in zip(dev, predicted, strict=True)]
    entity_scale = fit_scale(*_columns(entities))
    relation_scale = fit_scale(*_columns(relations))
    return record.model_copy(
        update={
            "entity_scale": entity_scale,
            "relation_scale": relation_scale,
            "entity_reliability": reliability(*_crossed(entities)),
            "relation_reliability": reliability(*_crossed(relations)),
            "score": score(dev, predicted),
        }
    )


def _judged_entities(gold: LabelledText, found: LabelledText) -> Judged:
    right = {(e.start, e.end, e.label) for e in gold.entities}
    return [(e.confidence or 0.0, (e.start, e.end, e.label) in right) for e in found.entities]


def _judged_relations(gold: LabelledText, found: LabelledText) -> Judged:
    def keys(text: LabelledText) -> list[tuple[object, ...]]:
        ends = [(e.start, e.end, e.label) for e in text.entities]
        return [(ends[r.head], ends[r.tail], r.label) for r in text.relations]

    right = set(keys(gold))
    return [
        (r.confidence or 0.0, key in right)
        for r, key in zip(found.relations, keys(found), strict=True)
    ]


def _columns(judged: Iterable[Judged]) -> tuple[list[float], list[bool]]:
    rows = [one for text in judged for one in text]
    return [value for value, _ in rows], [right for _, right in rows]


def _crossed(judged: Sequence[Judged]) -> tuple[list[float], list[bool]]:
    """Return confidences of each half of the texts, by the scale of the other half."""
    confidences: list[float] = []
    right: list[bool] = []
    for one, other in ((judged[::2], judged[1::2]), (judged[1::2], judged[::2])):
        scale = fit_scale(*_columns(other))
        values, hits = _columns(one)
        confidences += [scale(value) for value in values]
        right += hits
    return confidences, right
