"""Learn weights of declared properties, liked entities, devices and scenarios, in closed form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.data.dataset import (
    Column,
    Dataset,
    FloatArray,
    IntArray,
    Interactions,
)
from kgrec.data.selection import CONTEXT_FIELDS
from kgrec.learning.agent import FitContext
from kgrec.learning.knowledge_features import strongest_of_rows
from kgrec.metrics.validation import Objective, Validation
from kgrec.model.profile import ContextPriors, DeclaredProperty, Profile
from kgrec.model.team import Team
from kgrec.progress import SILENT, Progress


class ProfileConfig(FrozenModel):
    """Settings of the profile.

    Attributes:
        use: whether to learn a profile.
        smoothing: candidate numbers of pseudo-interactions, distributed by popularity, that are
            added to those of each value; the first is used without a validation part.
        strength: candidate exponents t; less than 1 where correlated values count the same users
            twice.
        bins: number of quantile bins of a numeric property.
        row_size: number of the largest weights that are kept of each entity.
        max_entities: maximum number of entities that may be liked, those of the most items.
    """

    use: bool = True
    smoothing: tuple[float, ...] = Field(default=(300.0, 30.0, 3000.0), min_length=1)
    strength: tuple[float, ...] = Field(default=(1.0, 0.5), min_length=1)
    bins: int = Field(default=5, ge=1)
    row_size: int = Field(default=500, ge=1)
    max_entities: int = Field(default=20_000, ge=0)
    objective: Objective = Objective()


def learn_profile(
    context: FitContext, config: ProfileConfig | None = None
) -> tuple[Profile | None, dict[str, Any]]:
    """Return the profile of the users' declared values, and its metrics.

    Naive Bayes over declared values, smoothed by popularity, as Jelinek-Mercer and Dirichlet
    smoothing do by the collection (Zhai and Lafferty 2004). The counts of a liked entity are the
    interactions of the users who like it, those of all users times the share of their history with
    that entity, and one for each item of the entity, so that cold items are reached.

    Returns:
        the profile, None without declared values, liked entities or interactions; and notes: the
        metric of the profile and of popularity alone on the validation part, with empty histories.
    """
    config = config or ProfileConfig()
    train = context.train
    holders = _Holders.of(train, config)
    if not config.use or holders is None or not len(train.interactions):
        return None, {}
    held_out = context.held_out(config.objective)
    settings = list(product(config.smoothing, config.strength))
    if held_out is None:
        smoothing, strength = settings[0]
        notes = {"smoothing": smoothing, "strength": strength}
        return holders.profile(smoothing, strength, config), notes
    users = sp.csr_matrix(holders.users[held_out.users])
    measured = {}
    for setting in settings:
        profile = holders.profile(*setting, config)

        def score(batch: slice, profile: Profile = profile) -> FloatArray:
            scores = np.asarray((users[batch] @ profile.rows).toarray(), dtype=np.float32)
            return scores + profile.prior

        measured[setting] = float(held_out.values_by(score).mean())
    best = max(settings, key=lambda setting: measured[setting])
    profile = holders.profile(*best, config)
    popular = held_out.measure(lambda histories: np.tile(profile.prior, (len(histories), 1)))
    found = {"smoothing": best[0], "strength": best[1], "metric": measured[best]}
    return profile, found | {"popularity": popular}


class _Holders:
    """The users of each declared value.

    Attributes:
        users: 1 where a user declares a value, CSR float32 [U, P].
        properties: mapping of properties to values.
        entities: rows of the entities that may be liked, in the order of their values, int64 [E].
    """

    def __init__(
        self,
        train: Dataset,
        users: sp.csr_matrix,
        properties: tuple[DeclaredProperty, ...],
        entities: IntArray,
    ) -> None:
        self.train, self.users, self.properties = train, users, properties
        self.entities = entities
        self._matrix = train.matrix()

    @classmethod
    def of(cls, train: Dataset, config: ProfileConfig) -> _Holders | None:
        properties: list[DeclaredProperty] = []
        parts: list[sp.csr_matrix] = []
        width = 0
        for column in train.user_columns:
            declared, rows = _declared(column, width, config.bins)
            size = len(declared.categories or ()) or len(declared.edges) + 1
            properties.append(declared)
            parts.append(_indicator(rows, size))
            width += size
        likes = train.links.of("user", "entity")
        entities = np.empty(0, dtype=np.int64)
        if len(likes):
            entities = _likeable(train, likes.tail, config.max_entities)
            place = np.full(len(train.entities), -1, dtype=np.int64)
            place[entities] = np.arange(len(entities))
            kept = place[likes.tail] >= 0
            ends = likes.head[kept], place[likes.tail[kept]]
            ones = np.ones(len(ends[0]), dtype=np.float32)
            shape = train.num_users, len(entities)
            liked = sp.csr_matrix((ones, ends), shape=shape)
            parts.append(sp.csr_matrix(liked.astype(bool).astype(np.float32)))
        if not parts:
            return None
        return cls(train, sp.csr_matrix(sp.hstack(parts)), tuple(properties), entities)

    def profile(self, smoothing: float, strength: float, config: ProfileConfig) -> Profile:
        """Return the profile with these settings."""
        train, matrix = self.train, self._matrix
        count = np.asarray(matrix.sum(axis=0), dtype=np.float64).ravel() + 0.5
        popularity = count / count.sum()
        width = self.users.shape[1] - len(self.entities)
        declared = np.asarray((self.users[:, :width].T @ matrix).toarray(), dtype=np.float64)
        blocks = [sp.csr_matrix(np.zeros((0, train.num_items), dtype=np.float32))]
        if width:
            blocks.append(sp.csr_matrix(_log_ratio(declared, popularity, smoothing) * strength))
        for counts in self._of_entities():
            ratio = _log_ratio(counts, popularity, smoothing) * strength
            blocks.append(strongest_of_rows(sp.csr_matrix(ratio), config.row_size))
        ids = train.entities.take(self.entities)
        return Profile(
            sp.csr_matrix(sp.vstack(blocks), dtype=np.float32),
            np.log(popularity / popularity.min()).astype(np.float32),
            self.properties,
            {entity: width + number for number, entity in enumerate(ids)},
        )

    def _of_entities(self, at_once: int = 500) -> Iterator[Any]:
        """Yield the counts of items for blocks of entities, float64 [E, I]."""
        train, matrix, entities = self.train, self._matrix, self.entities
        if not len(entities):
            return
        facts = train.facts
        ones = np.ones(len(facts), dtype=np.float32)
        shape = train.num_items, len(train.entities)
        holds = sp.csr_matrix((ones, (facts.item, facts.entity)), shape=shape)
        holds.data[:] = 1.0
        holds = sp.csr_matrix(holds[:, entities])
        length = np.maximum(np.diff(matrix.indptr), 1)
        shares = sp.diags_array(1.0 / length) @ (matrix @ holds)  # [U, E]
        likes = sp.csr_matrix(self.users[:, self.users.shape[1] - len(entities) :] + shares)
        for start in range(0, len(entities), at_once):
            part = slice(start, start + at_once)
            counts = (likes[:, part].T @ matrix).toarray() + holds[:, part].T.toarray()
            yield counts.astype(np.float64)


def _log_ratio(counts: Any, popularity: Any, smoothing: float) -> FloatArray:
    """Return log(P(i | v) / p_i), float32 [P, I], from counts of items by value, [P, I]."""
    total = counts.sum(axis=1, keepdims=True)
    chance = (counts + smoothing * popularity) / (total + smoothing)
    return np.asarray(np.log(chance / popularity), dtype=np.float32)


def _declared(column: Column, first: int, bins: int) -> tuple[DeclaredProperty, IntArray]:
    """Return the values of a property, and the value of each user from 0, -1 for none, [U]."""
    if column.categories is not None:
        values = column.values.astype(np.int64)
        return DeclaredProperty(column.name, first, column.categories), values
    known = np.isfinite(column.values)
    edges: tuple[float, ...] = ()
    if known.any():
        cuts = np.quantile(column.values[known], np.linspace(0, 1, bins + 1)[1:-1])
        edges = tuple(sorted({float(cut) for cut in cuts}))
    rows = np.searchsorted(np.array(edges), column.values, side="right")
    rows = np.where(known, rows, -1).astype(np.int64)
    return DeclaredProperty(column.name, first, None, edges), rows


def _indicator(rows: IntArray, size: int) -> sp.csr_matrix:
    known = np.flatnonzero(rows >= 0)
    ones = np.ones(len(known), dtype=np.float32)
    return sp.csr_matrix((ones, (known, rows[known])), shape=(len(rows), size))


def _likeable(train: Dataset, liked: IntArray, most: int) -> IntArray:
    """Return the liked entities, and beside them those of the most items, int64 [E]."""
    held = np.bincount(train.facts.entity, minlength=len(train.entities))
    held[np.unique(liked)] += train.num_items + 1
    order = np.argsort(-held, kind="stable")[:most]
    return np.sort(order[held[order] >= 2]).astype(np.int64)


class ContextConfig(FrozenModel):
    """Settings of the priors by device and scenario.

    Attributes:
        use: `auto` keeps a field where it is better on the validation part by more than noise;
            `never` leaves the context out of the scores.
        weights: candidate weights beside 0.
        smoothing: candidate numbers of pseudo-interactions, distributed by popularity, that are
            added to those of each value.
        standard_errors: minimum gain over 0, in standard errors of the paired difference.
        least: minimum number of interactions of a value.
    """

    use: bool = True
    weights: tuple[float, ...] = (0.1, 0.25, 0.5, 1.0)
    smoothing: tuple[float, ...] = (30.0, 300.0)
    standard_errors: float = Field(default=1.0, ge=0)
    least: int = Field(default=30, ge=1)


Chosen = Mapping[str, Mapping[str, float]]
"""By field, the weight, the smoothing and what was measured."""


def choose_contexts(
    team: Team,
    context: FitContext,
    objective: Objective,
    config: ContextConfig | None = None,
    *,
    progress: Progress = SILENT,
) -> Chosen:
    """Choose weight and smoothing of each field of the context that the interactions have.

    Users are measured once for each value of the field with which they have held-out items, by the
    team's scores and the prior of that value.

    Returns:
        by field the `weight`, 0 where none is better by more than noise, the `smoothing`, the
        `gain` of the best with its standard `error`, and the number of `queries`.
    """
    config = config or ContextConfig()
    train, held_out = context.train, context.validation
    if not config.use or held_out is None or not len(held_out):
        return {}
    found: dict[str, dict[str, float]] = {}
    for field in CONTEXT_FIELDS:
        values = _values(train, field, config.least)
        queries = _queries(team, context, held_out, field, values, objective)
        if len(values) < 2 or not queries:
            continue
        settings = list(product(config.weights, config.smoothing))
        plain = np.concatenate([v.per_user(scores.copy()) for _, v, scores in queries])
        tried = {}
        with progress.task(f"weigh the {field}", len(settings)) as task:
            for weight, smoothing in settings:
                rows = np.float32(weight) * _rows(train, field, values, smoothing)
                parts = [v.per_user(scores + rows[n]) for n, v, scores in queries]
                tried[weight, smoothing] = np.concatenate(parts)
                task.advance()
        best = max(settings, key=lambda each: float(tried[each].mean()))
        gain = tried[best] - plain
        error = float(gain.std() / np.sqrt(len(gain)))
        kept = bool(gain.mean() > config.standard_errors * error)
        found[field] = {
            "weight": best[0] if kept else 0.0,
            "smoothing": best[1],
            "gain": float(gain.mean()),
            "error": error,
            "queries": float(len(gain)),
        }
    return found


def context_priors(
    train: Dataset, chosen: Chosen, config: ContextConfig | None = None
) -> ContextPriors | None:
    """Return the priors of the fields with a weight, from all interactions of `train`."""
    config = config or ContextConfig()
    values: dict[str, tuple[str, ...]] = {}
    rows = []
    for field, each in chosen.items():
        known = _values(train, field, config.least)
        if each["weight"] and known:
            values[field] = known
            rows.append(np.float32(each["weight"]) * _rows(train, field, known, each["smoothing"]))
    return ContextPriors(values, np.vstack(rows).astype(np.float32)) if values else None


def _codes(train: Dataset, part: Interactions, field: str, values: tuple[str, ...]) -> IntArray:
    """Return the position of each interaction's value, int64 [E]; -1 for none of these."""
    place = CONTEXT_FIELDS.index(field)
    number = {value: n for n, value in enumerate(values)}
    table = [-1, *(number.get(each[place], -1) for each in train.contexts)]
    return np.asarray(table, dtype=np.int64)[part.context]


def _values(train: Dataset, field: str, least: int) -> tuple[str, ...]:
    place = CONTEXT_FIELDS.index(field)
    every = tuple(sorted({each[place] for each in train.contexts} - {""}))
    codes = _codes(train, train.interactions, field, every)
    count = np.bincount(codes[codes >= 0], minlength=len(every))
    return tuple(value for value, number in zip(every, count, strict=True) if number >= least)


def _rows(train: Dataset, field: str, values: tuple[str, ...], smoothing: float) -> FloatArray:
    """Return log P(i | v) / P(i), float32 [V, I]."""
    counts = np.zeros((len(values), train.num_items))
    codes = _codes(train, train.interactions, field, values)
    known = codes >= 0
    np.add.at(counts, (codes[known], train.interactions.item[known]), 1.0)
    count = np.bincount(train.interactions.item, minlength=train.num_items) + 0.5
    return _log_ratio(counts, count / count.sum(), smoothing)


def _queries(
    team: Team,
    context: FitContext,
    held_out: Interactions,
    field: str,
    values: tuple[str, ...],
    objective: Objective,
) -> list[tuple[int, Validation, FloatArray]]:
    """Return for each value its position, the users with held-out items of it, and their scores."""
    codes: Any = _codes(context.train, held_out, field, values)
    found = []
    for n in range(len(values)):
        part = held_out.take(codes == n)
        validation = Validation(context.histories, part, objective, seed=context.seed)
        validation = validation.kept(context.seed)
        if len(validation):
            found.append((n, validation, team.scores(validation.histories)))
    return found
