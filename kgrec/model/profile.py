"""Scores of items from what a user declares: properties, and entities that they like.

For users without a history. The score of item `i` is that of naive Bayes,

    score(i) = log p_i / p_min + t · Σ_v R_vi,      R_vi = log P(i | v) / p_i

over the declared values `v`, with `p_i` the popularity of the item and `p_min` that of the least
popular one: a sum, which splits by value as that of a history splits by item.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgrec.data.dataset import FloatArray, IntArray
from kgrec.errors import ConfigError
from kgrec.model.scorer import Contributions, Floats

PROFILE = "profile"
POPULARITY = "popularity"
"""The names under which declared values, and the prior, stand where an agent's would."""


@dataclass(frozen=True)
class DeclaredProperty:
    """How the values of a property become rows of a profile.

    Attributes:
        name: of the property.
        first: row of its first value.
        categories: its values, in the order of their rows; None for a number.
        edges: where the range of a number is cut, rising; a cut belongs to the part above it.
    """

    name: str
    first: int
    categories: tuple[str, ...] | None = None
    edges: tuple[float, ...] = ()

    def row(self, value: object) -> int:
        """Return the row of a value; -1 for one that is unknown."""
        if value is None or value == "":
            return -1
        if self.categories is not None:
            known = str(value) in self.categories
            return self.first + self.categories.index(str(value)) if known else -1
        try:
            number = float(str(value))
        except ValueError:
            return -1
        if not np.isfinite(number):
            return -1
        return self.first + int(np.searchsorted(self.edges, number, side="right"))

    def words(self, row: int) -> str:
        """Return what a row stands for: `occupation student`, `age 25 to 34`."""
        place = row - self.first
        if self.categories is not None:
            return f"{self.name} {self.categories[place]}"
        cuts = [f"{cut:g}" for cut in self.edges]
        if not cuts:
            return self.name
        if place == 0:
            return f"{self.name} below {cuts[0]}"
        if place == len(cuts):
            return f"{self.name} {cuts[-1]} or more"
        return f"{self.name} from {cuts[place - 1]} to below {cuts[place]}"


@dataclass(frozen=True, eq=False)
class ProfileScorer:
    """What one user declares, scored as a `kgrec.model.scorer.Scorer` scores a history.

    Attributes:
        profile: of the team.
        values: rows of the declared values, int64 [V], distinct.
    """

    profile: Profile
    values: IntArray

    @property
    def shares(self) -> dict[str, float]:
        """Empty: no agent reads a declared value."""
        return {}

    def scores(self, candidates: IntArray | None = None, *, with_priors: bool = True) -> Floats:
        """Score candidates (rows, [C]; None: all), float64 [C]."""
        scores = self.profile.scores(self.values)
        if not with_priors:
            scores = scores - self.profile.prior
        return scores if candidates is None else scores[candidates]

    def rank(
        self, candidates: IntArray, scores: Floats, *, with_priors: bool = True
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """Return the scores as they are: no ranker reads declared values."""
        return scores.copy(), np.zeros(len(candidates), dtype=np.bool_)

    def contributions(
        self,
        candidates: IntArray,
        scores: Floats | None = None,
        reordered: NDArray[np.bool_] | None = None,
        *,
        with_priors: bool = True,
        ranked: bool = True,
    ) -> Contributions:
        """Take scores apart by declared value; `by_item` is [2, V, C]."""
        parts, priors = self.profile.parts(self.values, candidates)
        none = np.zeros_like(parts)
        return Contributions(
            (PROFILE, POPULARITY),
            np.ones(2),
            np.stack([parts, none]),
            np.stack([np.zeros_like(priors), priors * with_priors]),
            none,
            none,
        )


@dataclass(frozen=True, eq=False)
class Profile:
    """Weights of declared values for items.

    Attributes:
        rows: t · R, CSR float32 [P, I]; rows of properties first, then those of entities.
        prior: log p / p_min, float32 [I], 0 or more.
        properties: how properties become rows.
        entities: row of each entity that may be liked, by its id.
    """

    rows: sp.csr_matrix
    prior: FloatArray
    properties: tuple[DeclaredProperty, ...] = ()
    entities: Mapping[str, int] = field(default_factory=dict)

    def values(self, declared: Mapping[str, object], liked: Iterable[str] = ()) -> IntArray:
        """Return the rows of what a user declares, int64 [V]; what is unknown is left out.

        Args:
            declared: properties by name.
            liked: ids of entities.
        """
        rows = [known.row(declared.get(known.name)) for known in self.properties]
        rows += [self.entities.get(entity, -1) for entity in dict.fromkeys(liked)]
        return np.array([row for row in rows if row >= 0], dtype=np.int64)

    def scores(self, values: IntArray) -> NDArray[np.float64]:
        """Score every item for rows of declared values, float64 [I]."""
        scores = np.asarray(self.rows[values].astype(np.float64).sum(axis=0)).ravel()
        return np.asarray(scores + self.prior)

    def parts(
        self, values: IntArray, candidates: IntArray
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Split scores by declared value.

        Returns:
            contributions, float64 [V, C], and priors, float64 [C]; the score of a candidate is
            the sum of its column and its prior.
        """
        contributions = self.rows[values][:, candidates].toarray().astype(np.float64)
        return contributions, self.prior[candidates].astype(np.float64)

    def words(self, row: int) -> str:
        """Return what a row stands for: a property and its value, or the id of an entity."""
        for known in reversed(self.properties):
            if known.first <= row and row < self._properties_end:
                return known.words(row)
        return next((entity for entity, place in self.entities.items() if place == row), "")

    @property
    def _properties_end(self) -> int:
        return int(self.rows.shape[0]) - len(self.entities)

    def settings(self) -> dict[str, Any]:
        """Return what is no array, as plain values."""
        properties = [
            {
                "name": known.name,
                "first": known.first,
                "categories": known.categories,
                "edges": known.edges,
            }
            for known in self.properties
        ]
        return {"properties": properties, "entities": dict(self.entities)}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name."""
        return {
            "data": self.rows.data.astype(np.float32),
            "indices": self.rows.indices.astype(np.int32),
            "indptr": self.rows.indptr.astype(np.int64),
            "prior": self.prior.astype(np.float32),
        }

    @classmethod
    def load(cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Profile:
        """Read what `settings` and `arrays` returned."""
        parts = (arrays["data"], arrays["indices"], arrays["indptr"])
        shape = len(arrays["indptr"]) - 1, len(arrays["prior"])
        properties = tuple(
            DeclaredProperty(
                entry["name"],
                int(entry["first"]),
                None if entry["categories"] is None else tuple(entry["categories"]),
                tuple(entry["edges"]),
            )
            for entry in settings["properties"]
        )
        rows = sp.csr_matrix(parts, shape=shape)
        return cls(rows, arrays["prior"], properties, dict(settings["entities"]))


@dataclass(frozen=True, eq=False)
class ContextPriors:
    """What the device or the scenario of a request adds to the scores, whatever the history.

        score(u, i) += Σ_f weight_f · log P(i | value of f) / P(i)

    over the fields `f` of the context that are known of the request: a prior for each value.

    Attributes:
        values: of each field, in the order of their rows, field after field.
        rows: weight · log P(i | v) / P(i), float32 [V, I].
    """

    values: Mapping[str, tuple[str, ...]]
    rows: FloatArray

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(self.values)

    def used(self, moment: Mapping[str, str]) -> tuple[str, ...]:
        """Return the fields whose value is one that was learned."""
        return tuple(name for name in self.values if moment.get(name) in self.values[name])

    def prior(self, moment: Mapping[str, str]) -> NDArray[np.float64] | None:
        """Return what is added to each item, float64 [I]; None where no value is known.

        Args:
            moment: values by field; a value that was not learned adds nothing.
        """
        used = self.used(moment)
        if not used:
            return None
        total = np.zeros(self.rows.shape[1])
        first = 0
        for name, values in self.values.items():
            if name in used:
                total += self.rows[first + values.index(moment[name])]
            first += len(values)
        return total

    def settings(self) -> dict[str, list[str]]:
        """Return what `load` needs beside the arrays, as plain values."""
        return {name: list(values) for name, values in self.values.items()}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name."""
        return {"rows": self.rows}

    @classmethod
    def load(cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Build the priors again from `settings` and `arrays`."""
        values = {str(name): tuple(map(str, each)) for name, each in settings.items()}
        return cls(values, arrays["rows"])


def check_fields(priors: ContextPriors | None, moment: Mapping[str, str]) -> None:
    """Raise ConfigError for a field of the context that a model has not learned."""
    known = () if priors is None else priors.fields
    unknown = sorted(moment.keys() - set(known))
    if unknown:
        fields = ", ".join(["time", "events", *known])
        raise ConfigError(
            f"no agent of the model uses the context field {unknown[0]!r}",
            value=moment[unknown[0]],
            remedy=f"Leave it out; the model uses {fields}. Interactions with a column of that "
            "name let the next training learn it, where it helps.",
        )
