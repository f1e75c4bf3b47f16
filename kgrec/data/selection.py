"""Which interactions are positive: one rule for training, serving and the export."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from kgrec.config import FrozenModel
from kgrec.data.dataset import IntArray
from kgrec.schema import load_schema

CONTEXT_FIELDS = ("device", "scenario")
"""What may be known of the moment of an interaction beside its time."""
MAX_CONTEXT = 100
"""Maximum number of characters of a device or a scenario."""


class Selection(FrozenModel):
    """The part of the graph that is learned from; stored with each model.

    Attributes:
        domain: name of a domain, path of a domain file (kept absolute, for the model may be used
            from another folder), or None for the items of all.
        kinds: kinds of interaction that count; None means every kind of `core.toml`.
        at_least: the least value, by kind, with which an interaction is positive.
    """

    domain: str | None = None
    kinds: tuple[str, ...] | None = None
    at_least: dict[str, float] = Field(default_factory=lambda: {"rating": 3.0})

    @field_validator("domain")
    @classmethod
    def _from_anywhere(cls, domain: str | None) -> str | None:
        if domain is None or not domain.endswith(".toml"):
            return domain
        return str(Path(domain).resolve())

    @field_validator("kinds", "at_least")
    @classmethod
    def _known(
        cls, kinds: tuple[str, ...] | dict[str, float] | None
    ) -> tuple[str, ...] | dict[str, float] | None:
        known = load_schema().core.interactions
        for kind in kinds or ():
            if kind not in known:
                raise ValueError(f"no interaction is of kind {kind!r}; known: {', '.join(known)}")
        return kinds

    @property
    def label(self) -> str | None:
        """The label that the items carry."""
        return None if self.domain is None else load_schema().domain(self.domain).item_label

    def positive(self, kinds: Sequence[str], values: Sequence[float]) -> NDArray[np.bool_]:
        """Return whether each interaction is positive, [E].

        Others, such as a dislike or a low rating, still make an item a seen item.
        """
        least = self._least()
        known = [least.get(kind, np.inf) for kind in kinds]
        return np.asarray(np.asarray(values, dtype=np.float64) >= known, dtype=np.bool_)

    def rejected(self, kinds: Sequence[str], values: Sequence[float]) -> NDArray[np.bool_]:
        """Return whether each interaction rejects its item, [E].

        A dislike or a skip does, whatever `kinds` counts, and so does a value below `at_least`.
        """
        signs, least = load_schema().core.interactions, self._least()
        bounds = [np.inf if signs.get(kind, 0) < 0 else least.get(kind, -np.inf) for kind in kinds]
        return np.asarray(np.asarray(values, dtype=np.float64) < bounds, dtype=np.bool_)

    def _least(self) -> dict[str, float]:
        signs = load_schema().core.interactions
        kinds = signs if self.kinds is None else self.kinds
        counted = [kind for kind in kinds if signs.get(kind, 1) > 0]
        return {kind: self.at_least.get(kind, -np.inf) for kind in counted}


def kind_codes(kinds: Sequence[str]) -> IntArray:
    """Number kinds of interaction as `Interactions.kind` does, int64 [E]."""
    codes = {name: code for code, name in enumerate(load_schema().core.interactions, start=1)}
    return np.fromiter((codes.get(kind, 0) for kind in kinds), dtype=np.int64, count=len(kinds))


def standing(
    keys: NDArray[np.int64], times: NDArray[np.int64], positive: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Keep the positive interactions of pairs whose last interaction is positive, [E].

    Somebody who liked an item and later disliked it has changed their mind.

    Args:
        keys: one number for each pair of user and item, [E].
        times: milliseconds since 1970, [E]; the later row wins where they are equal.
        positive: whether the interaction is positive, [E].
    """
    withdrawn = keys[last_of_pairs(keys, times) & ~positive]
    return np.asarray(positive & ~np.isin(keys, withdrawn))


def last_of_pairs(keys: NDArray[np.int64], times: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return whether each interaction is the last one of its pair, [E]; see `standing`."""
    order = np.lexsort((np.arange(len(keys)), times, keys))
    last = np.zeros(len(keys), dtype=np.bool_)
    last[order] = np.append(keys[order][1:] != keys[order][:-1], True)[: len(keys)]
    return last
