"""Settings of resolution."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from kgrec.config import FrozenModel


class ResolutionConfig(FrozenModel):
    """How two sources are compared. The defaults were chosen on generated pairs of catalogues.

    Attributes:
        neighbours: nearest records by each view of a record, in each direction.
        neighbours_within: the same within one source, where the nearest are other things.
        rounds: how often score and posterior are learned anew from each other.
        threshold: the least probability of a match.
        review: the least probability of a pair that a person should look at.
        of_one_cell: what is left of the probability of a pair of records with one cell each, where
            at least a tenth of both sources have more: such pairs are for a person to look at.
        vectors: whether sentence vectors are compared as well; they need torch and a model.
        cache: where vectors are kept.
        ridge: penalty of the squared weights.
        within: how much the nearest within a source count as pairs that are none, in records.
    """

    neighbours: int = Field(default=10, ge=1)
    neighbours_within: int = Field(default=5, ge=2)
    rounds: int = Field(default=4, ge=1)
    threshold: float = Field(default=0.5, gt=0, lt=1)
    review: float = Field(default=0.1, gt=0, lt=1)
    of_one_cell: float = Field(default=0.45, gt=0, le=1)
    vectors: bool = False
    cache: Path | None = None
    ridge: float = Field(default=1.0, gt=0)
    within: float = Field(default=0.3, ge=0)
