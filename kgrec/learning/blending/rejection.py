"""Learning of what rejected items count, on held-out interactions."""

from __future__ import annotations

from typing import Literal

import numpy as np
import scipy.sparse as sp
from pydantic import Field, field_validator

from kgrec.config import FrozenModel
from kgrec.data.dataset import FloatArray, Interactions
from kgrec.data.selection import kind_codes
from kgrec.metrics.ranking import Values, hits_of, metric
from kgrec.metrics.validation import Validation
from kgrec.model.rejection import RejectionWeights
from kgrec.model.team import Team
from kgrec.progress import SILENT, Progress
from kgrec.schema import load_schema

_LOW, _DISLIKE = "rating", "dislike"


class RejectionConfig(FrozenModel):
    """Settings of what rejected items count.

    Attributes:
        use: `auto` keeps a weight where it is better on the validation part by more than noise;
            `never` leaves rejected items out of the scores.
        weights: candidate weights of a kind, beside 0; a kind that is against the item, such as a
            dislike, has none above 0.
        cost: what an unwanted item in a list costs, in units of what a wanted one is worth. Of the
            held-out interactions those that reject their item are unwanted.
        standard_errors: minimum gain over 0, in standard errors of the paired difference.
        least_users: minimum number of validation users with a rejected item of a kind.
        fixed: weights by kind that are used as they are, in place of a choice.
    """

    use: Literal["auto", "never"] = "auto"
    weights: tuple[float, ...] = (-1.0, -0.5, -0.25, -0.1, 0.1, 0.25, 0.5)
    cost: float = Field(default=1.0, ge=0)
    standard_errors: float = Field(default=1.0, ge=0)
    least_users: int = Field(default=100, ge=1)
    fixed: dict[str, float] | None = None

    @field_validator("fixed")
    @classmethod
    def _known(cls, fixed: dict[str, float] | None) -> dict[str, float] | None:
        known = load_schema().core.interactions
        for kind in fixed or ():
            if kind not in known:
                raise ValueError(f"no interaction is of kind {kind!r}; known: {', '.join(known)}")
        return fixed


def choose_rejection(
    team: Team,
    validation: Validation | None,
    unwanted: Interactions,
    config: RejectionConfig | None = None,
    *,
    progress: Progress = SILENT,
) -> tuple[RejectionWeights | None, dict[str, dict[str, float]]]:
    """Choose a weight for each kind of rejected item, one kind after the other.

    A weight is measured by the objective on held-out wanted items less `cost` times the same on
    held-out unwanted ones: a list with an item that the user then rejects is worse, not as good
    as any other without a hit. Where the data has low values and no dislike, a dislike counts as
    a low value does, as far as that is against the item.

    Args:
        team: without a ranker.
        unwanted: held-out interactions that reject their item.

    Returns:
        the weights, or None where none is better than 0; and by kind the `weight`, the best that
        was `tried`, its `gain` with the standard `error`, the gains in `wanted` and in `unwanted`
        items, and the number of `users`.
    """
    config = config or RejectionConfig()
    if config.fixed is not None:
        fixed = {kind: weight for kind, weight in config.fixed.items() if weight}
        return (RejectionWeights(fixed) if fixed else None), {}
    if config.use == "never" or validation is None or validation.histories.rejected is None:
        return None, {}
    found = _Problem(team, validation, unwanted, config).choose(progress)
    weights = {kind: each["weight"] for kind, each in found.items() if each["weight"]}
    if _DISLIKE not in found and weights.get(_LOW, 0.0) < 0:
        weights[_DISLIKE] = weights[_LOW]
    return (RejectionWeights(weights) if weights else None), found


class _Problem:
    """The scores of the validation users, to which rejected items are added."""

    def __init__(
        self, team: Team, validation: Validation, unwanted: Interactions, config: RejectionConfig
    ) -> None:
        self.team, self.validation, self.config = team, validation, config
        self.histories = validation.histories
        self.weights = [kernel.weights(self.histories) for kernel in team.active]
        alpha = team.coordinator.blend(team.kernels, self.histories, team.probing, self.weights)
        self.alpha = alpha.alpha[team.coordinator.active].astype(np.float32)  # [A', B]
        truth = unwanted.matrix(validation.num_users, len(team.items))[validation.users]
        self.unwanted = sp.csr_matrix(truth - truth.multiply(self.histories.seen.astype(np.bool_)))
        self.unwanted.eliminate_zeros()

    def choose(self, progress: Progress) -> dict[str, dict[str, float]]:
        scores = self.team.scores(self.histories)
        before = self._measured(scores)
        found: dict[str, dict[str, float]] = {}
        kinds = self._kinds()
        with progress.task("weigh rejected items", len(kinds)) as task:
            for kind, users in kinds.items():
                part = self._part(kind)
                tried = {w: self._measured(scores + np.float32(w) * part) for w in self._of(kind)}
                best = max(tried, key=lambda weight: float(self._net(tried[weight]).mean()))
                gain = self._net(tried[best]) - self._net(before)
                error = float(gain.std() / np.sqrt(len(gain)))
                wanted, unwanted = (
                    float((after - was).mean())
                    for after, was in zip(tried[best], before, strict=True)
                )
                kept = gain.mean() > self.config.standard_errors * error
                found[kind] = {
                    "weight": best if kept else 0.0,
                    "tried": best,
                    "gain": float(gain.mean()),
                    "error": error,
                    "wanted": wanted,
                    "unwanted": unwanted,
                    "users": float(users),
                }
                if kept:
                    scores, before = scores + np.float32(best) * part, tried[best]
                task.advance()
                task.describe(f"{kind} {found[kind]['weight']:+g}")
        return found

    def _kinds(self) -> dict[str, int]:
        """Return the kinds that enough users rejected items by, with how many these are."""
        rejected = self.histories.rejected
        assert rejected is not None  # noqa: S101 - the caller looked
        owner = np.repeat(np.arange(len(self.histories)), np.diff(rejected.start))
        names = list(load_schema().core.interactions)
        users = {
            name: len(np.unique(owner[rejected.kind == code]))
            for name, code in zip(names, kind_codes(names).tolist(), strict=True)
        }
        return {name: count for name, count in users.items() if count >= self.config.least_users}

    def _of(self, kind: str) -> list[float]:
        """Return the weights to try for a kind."""
        against = load_schema().core.interactions[kind] < 0
        return [weight for weight in self.config.weights if weight <= 0 or not against]

    def _part(self, kind: str) -> FloatArray:
        """Return what the rejected items of a kind add at a weight of 1, float32 [B, I]."""
        whole, one = np.zeros(self.histories.shape, dtype=np.float32), RejectionWeights({kind: 1.0})
        for alpha, kernel, weights in zip(self.alpha, self.team.active, self.weights, strict=True):
            weighted = one.weighted(self.histories, weights)
            if weighted is not None:
                whole += alpha[:, None] * kernel.summed(weighted)
        return whole

    def _measured(self, scores: FloatArray) -> tuple[Values, Values]:
        """Return the metric of wanted and of unwanted items, of each user, [B]."""
        top, objective = self.validation.top(scores.copy()), self.validation.objective
        measured = []
        for truth in (self.validation.truth, self.unwanted):
            number, values = np.diff(truth.indptr).astype(np.int64), np.zeros(len(top))
            some = np.flatnonzero(number)
            if len(some):
                hits = hits_of(top[some], truth[some])
                values[some] = metric(objective.metric)(hits, number[some], objective.k)
            measured.append(values)
        return measured[0], measured[1]

    def _net(self, measured: tuple[Values, Values]) -> Values:
        return np.asarray(measured[0] - self.config.cost * measured[1])
