"""What an extractor is worth on texts that it was not trained on: calibration and score."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence

from kgrec.learning.extraction.examples import LabelledExamples
from kgrec.text.trained.calibration import fit_scale, reliability
from kgrec.text.trained.decoding import Decoder
from kgrec.text.trained.extractor import labelled, score_windows, unscaled
from kgrec.text.trained.lines import LabelledRelation, LabelledSpan, LabelledText
from kgrec.text.trained.record import ExtractorRecord
from kgrec.text.trained.scoring import entity_keys, relation_keys, score

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
    both = list(zip(dev, predicted, strict=True))
    entities = [_judged(gold, one, entity_keys, one.entities) for gold, one in both]
    relations = [_judged(gold, one, relation_keys, one.relations) for gold, one in both]
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


def _judged(
    gold: LabelledText,
    found: LabelledText,
    keys: Callable[[LabelledText], Sequence[Hashable]],
    stated: Sequence[LabelledSpan | LabelledRelation],
) -> Judged:
    """Return the probability of each prediction and whether the gold labels have its key."""
    right = set(keys(gold))
    pairs = zip(stated, keys(found), strict=True)
    return [(one.confidence or 0.0, key in right) for one, key in pairs]


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
