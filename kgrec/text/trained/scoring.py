"""Precision, recall and F1 of predicted entities and relations.

Strict, as in Eberts and Ulges (ECAI 2020): an entity counts where its borders and its label are
right, a relation where its label, its direction and both its entities are. By boundary: the
labels of the entities do not count, that of the relation does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field

from kgrec.config import FrozenModel
from kgrec.text.trained.lines import LabelledText


class LabelScore(FrozenModel):
    """How often predictions are right.

    Attributes:
        right, predicted, gold: counts.
        precision, recall, f1: 0 where nothing was predicted, or nothing is to be found.
    """

    right: int
    predicted: int
    gold: int
    precision: float
    recall: float
    f1: float

    @classmethod
    def of(cls, right: int, predicted: int, gold: int) -> LabelScore:
        """Return the score of three counts."""
        precision = right / predicted if predicted else 0.0
        recall = right / gold if gold else 0.0
        f1 = 2 * right / (predicted + gold) if predicted + gold else 0.0
        counts = {"right": right, "predicted": predicted, "gold": gold}
        return cls(**counts, precision=precision, recall=recall, f1=f1)


class ScoredLevel(FrozenModel):
    """Entities or relations: over all (micro), by label, and the mean of the labels (macro F1)."""

    micro: LabelScore
    macro_f1: float
    by_label: dict[str, LabelScore]


class ExtractionScore(FrozenModel):
    """What predictions are worth.

    Attributes:
        texts: how many gold texts there are.
        missing: gold texts without a prediction; what they hold counts as not found.
        unknown: predictions for texts that the gold file does not have; they are left out.
    """

    texts: int
    missing: int
    unknown: int
    entities_strict: ScoredLevel
    entities_boundary: ScoredLevel
    relations_strict: ScoredLevel
    relations_boundary: ScoredLevel


@dataclass
class _Counts:
    right: Counter[str] = field(default_factory=Counter)
    predicted: Counter[str] = field(default_factory=Counter)
    gold: Counter[str] = field(default_factory=Counter)

    def add(
        self, gold: Iterable[tuple[Hashable, str]], predicted: Iterable[tuple[Hashable, str]]
    ) -> None:
        """Count sets of (what it is, label to count it under)."""
        wanted, found = set(gold), set(predicted)
        self.gold.update(label for _, label in wanted)
        self.predicted.update(label for _, label in found)
        self.right.update(label for _, label in wanted & found)

    def level(self) -> ScoredLevel:
        labels = sorted(self.gold.keys() | self.predicted.keys())
        by_label = {
            one: LabelScore.of(self.right[one], self.predicted[one], self.gold[one])
            for one in labels
        }
        known = [by_label[one].f1 for one in labels if self.gold[one]]
        totals = (self.right.total(), self.predicted.total(), self.gold.total())
        return ScoredLevel(
            micro=LabelScore.of(*totals),
            macro_f1=sum(known) / len(known) if known else 0.0,
            by_label=by_label,
        )


def score(gold: Sequence[LabelledText], predicted: Sequence[LabelledText]) -> ExtractionScore:
    """Compare predictions with gold labels, text by text, matched by id.

    An entity or relation that is listed twice counts once.
    """
    answers = {each.id: each for each in predicted}
    spans, bounds, relations, relation_bounds = _Counts(), _Counts(), _Counts(), _Counts()
    missing = 0
    for wanted in gold:
        found = answers.get(wanted.id)
        missing += found is None
        found = found or LabelledText(wanted.id, wanted.text)
        spans.add(_spans(wanted), _spans(found))
        bounds.add(_bounds(wanted), _bounds(found))
        relations.add(_relations(wanted, strict=True), _relations(found, strict=True))
        relation_bounds.add(_relations(wanted, strict=False), _relations(found, strict=False))
    return ExtractionScore(
        texts=len(gold),
        missing=missing,
        unknown=len(answers.keys() - {each.id for each in gold}),
        entities_strict=spans.level(),
        entities_boundary=bounds.level(),
        relations_strict=relations.level(),
        relations_boundary=relation_bounds.level(),
    )


def entity_keys(labelled: LabelledText) -> list[Hashable]:
    """Return what must be equal for an entity to be right, by the strict measure, of each."""
    return [(e.start, e.end, e.label) for e in labelled.entities]


def relation_keys(labelled: LabelledText, *, strict: bool = True) -> list[Hashable]:
    """Return what must be equal for a relation to be right, of each."""
    ends = [(e.start, e.end, e.label if strict else "") for e in labelled.entities]
    return [(ends[r.head], ends[r.tail], r.label) for r in labelled.relations]


def _spans(labelled: LabelledText) -> Iterable[tuple[Hashable, str]]:
    return zip(entity_keys(labelled), (e.label for e in labelled.entities), strict=True)


def _bounds(labelled: LabelledText) -> Iterable[tuple[Hashable, str]]:
    return (((e.start, e.end), "any") for e in labelled.entities)


def _relations(labelled: LabelledText, *, strict: bool) -> Iterable[tuple[Hashable, str]]:
    keys = relation_keys(labelled, strict=strict)
    return zip(keys, (r.label for r in labelled.relations), strict=True)
