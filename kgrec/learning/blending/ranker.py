"""Learning of the ranker on held-out interactions, with cross-validation over users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.data.dataset import FloatArray, IntArray, Interactions
from kgrec.learning.blending.listwise import Learned, RankedUser, popularity, ratings_of
from kgrec.metrics.ranking import Values, mask_seen, metric
from kgrec.metrics.validation import ScoreFunction, Validation
from kgrec.model.kernel import Kernel
from kgrec.model.ranker import Floats, Ranker, best_rows, tie_order
from kgrec.progress import SILENT, Progress, Task


class RankerConfig(FrozenModel):
    """Settings of the ranker.

    Attributes:
        use: `auto` keeps the ranker where it beats the team in cross-validation; `always` and
            `never` skip that test.
        top: number of the best candidates that are reordered.
        negatives: number of those that are negatives of a target.
        blends: candidate factors of the ranker's part; the best is kept.
        value_weights: candidate weights of an expected value in the order; 0 unless more helps.
        folds: folds of the validation users, each measured by a ranker learned on the others.
        repeats: number of random splits into folds, since the gain is small beside the variance
            of a split.
        ridge: weight of the squared norm of the parameters.
        iterations: maximum number of iterations of the optimiser.
        cells: maximum number of pairs of history item and candidate to learn from; further users
            are left out.
        most_cells: the same limit for measuring, times the number of agents.
        standard_errors: minimum gain over the team, in standard errors of the paired difference.
        least_users: minimum number of validation users for a ranker.
    """

    use: Literal["auto", "always", "never"] = "auto"
    top: int = Field(default=200, ge=1)
    negatives: int = Field(default=60, ge=2)
    blends: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(0.25, 0.5, 1.0), min_length=1
    )
    value_weights: tuple[Annotated[float, Field(gt=0)], ...] = (0.1, 0.3)
    folds: int = Field(default=4, ge=2)
    repeats: int = Field(default=2, ge=1)
    ridge: float = Field(default=1e-3, ge=0)
    iterations: int = Field(default=25, ge=1)
    cells: int = Field(default=700_000, ge=1)
    most_cells: int = Field(default=40_000_000, ge=1)
    standard_errors: float = Field(default=1.0, ge=0)
    least_users: int = Field(default=100, ge=10)


@dataclass(frozen=True)
class Decided:
    """A learned ranker and the factor of its part; builds a `Ranker` over any interactions.

    Attributes:
        learned: the parameters.
        blend, value_weight, top: see `Ranker` and `Ratings`.
    """

    learned: Learned
    blend: float
    value_weight: float
    top: int

    def ranker(self, known: Interactions, num_items: int) -> Ranker:
        """Return the ranker with the popularities and mean ratings of `known`."""
        learned, popular = self.learned, popularity(known, num_items)
        ratings = ratings_of(known, num_items)
        if ratings is not None:
            ratings = replace(ratings, trust=learned.trust, weight=self.value_weight)
        return Ranker(
            learned.attention_weights,
            learned.value_weights,
            learned.popularity_weights,
            learned.recency,
            learned.liking,
            popular,
            (learned.prior[0] * popular + learned.prior[1] * popular**2).astype(np.float32),
            ratings if learned.rated else None,
            self.blend,
            self.top,
        )


def learn_ranker(
    kernels: Sequence[Kernel],
    score: ScoreFunction,
    validation: Validation,
    held_out: Interactions,
    train: Interactions,
    config: RankerConfig | None = None,
    *,
    seed: int = 2024,
    progress: Progress = SILENT,
) -> tuple[Decided | None, dict[str, float]]:
    """Learn a ranker, and keep it if it beats the team in cross-validation over users.

    The kernels were fitted on the interactions of `train`, so similarities between items of one
    training history are higher than those to a new item; the ranker therefore learns from held-out
    interactions alone. Users are split into folds, and each fold is measured with parameters
    learned on the others.

    Args:
        kernels: of the active agents, [A].
        score: the team's scores of some histories.
        held_out: the interactions of `validation`, with values.
        train: the interactions that the kernels were fitted on.

    Returns:
        the ranker, or None; and the metrics of the same users by the `team` and with the
        `ranker`, the standard `error` of the difference, the number of `users`, and, where values
        are known, the root mean squared errors `value_error` and, with the items' means alone,
        `usual_error`.
    """
    config = config or RankerConfig()
    if config.use == "never" or len(validation) < config.least_users:
        return None, {}
    problem = _Problem(kernels, score, validation, held_out, train, config, seed)
    return problem.decide(progress)


@dataclass(frozen=True)
class _Crossed:
    """Out-of-fold parts of the ranker and expected values of each user, float64 [C] each."""

    added: list[Floats]
    expected: list[Floats]


class _Problem:
    """The validation users with their best candidates."""

    def __init__(
        self,
        kernels: Sequence[Kernel],
        score: ScoreFunction,
        validation: Validation,
        held_out: Interactions,
        train: Interactions,
        config: RankerConfig,
        seed: int,
    ) -> None:
        self.config, self.validation, self.train = config, validation, train
        self.num_items = validation.histories.shape[1]
        self.popularity = popularity(train, self.num_items)
        self.ratings = ratings_of(train, self.num_items)
        histories = validation.histories
        cost = np.maximum(histories.lengths, 1) * config.top
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(validation))
        fits = np.cumsum(cost[order] * len(kernels)) <= config.most_cells
        fits[: config.least_users] = True
        self.users = order[fits]
        self.folds = [
            rng.permutation(len(self.users)) % config.folds for _ in range(config.repeats)
        ]
        rated = held_out.take(np.isin(held_out.user, validation.users[self.users]))
        if self.ratings is not None:
            rated = rated.take(rated.kind == self.ratings.kind)
        columns = rated.user.tolist(), rated.item.tolist(), rated.value.tolist()
        values = {(user, item): value for user, item, value in zip(*columns, strict=True)}
        found: dict[int, RankedUser] = {}
        wanted = np.isin(np.arange(len(validation)), self.users)
        for batch in validation.batches():
            users = np.arange(batch.start, batch.stop)[wanted[batch]]
            scores = score(histories[users])
            mask_seen(scores, histories.seen[users])
            for user, own in zip(users.tolist(), scores, strict=True):
                found[user] = self._block(kernels, user, own, values)
        self.blocks = [found[int(user)] for user in self.users]

    def _block(
        self,
        kernels: Sequence[Kernel],
        user: int,
        scores: FloatArray,
        values: dict[tuple[int, int], float],
    ) -> RankedUser:
        history = self.validation.histories[user : user + 1]
        ties = tie_order(self.num_items)
        best = best_rows(scores, self.config.top, ties)
        best = best[np.lexsort((ties[best], -scores[best]))]
        truth = self.validation.truth[[user]].indices
        name = int(self.validation.users[user])
        target = np.isin(best, truth)
        similarity = np.stack([kernel.similarity(history.item, best) for kernel in kernels])
        value = [values.get((name, int(i)), np.nan) for i in best]
        return RankedUser(
            history, best, scores[best], target, np.asarray(value), similarity.astype(np.float32)
        )

    def decide(self, progress: Progress) -> tuple[Decided | None, dict[str, float]]:
        config = self.config
        plain = self._measure([block.scores for block in self.blocks])
        with progress.task("learn the ranker", config.folds * config.repeats) as task:
            crossed = [self._crossed(fold, task) for fold in self.folds]
        blends = [(blend, 0.0) for blend in config.blends]
        tried = {each: self._mixed(crossed, *each) for each in blends}
        chosen = max(blends, key=lambda each: float(tried[each].mean()))
        for weight in config.value_weights if self.ratings is not None else ():
            more = self._mixed(crossed, chosen[0], weight)
            if _beats(more, tried[chosen], config.standard_errors):
                tried[chosen[0], weight] = more
                chosen = chosen[0], weight
        report = self._report(plain, tried[chosen], crossed[0].expected)
        kept = config.use == "always" or _beats(tried[chosen], plain, config.standard_errors)
        if not kept:
            chosen = 0.0, 0.0
        report["blend"] = chosen[0]
        if not kept and self.ratings is None:
            return None, report
        return Decided(self._learn(np.arange(len(self.users))), *chosen, config.top), report

    def _crossed(self, fold: NDArray[np.intp], task: Task) -> _Crossed:
        """Return the parts of each user by a ranker of the other folds."""
        nothing = [np.zeros(0)] * len(self.blocks)
        found = _Crossed(list(nothing), list(nothing))
        for number in range(self.config.folds):
            learned = self._learn(np.flatnonzero(fold != number))
            ranker = Decided(learned, 1.0, 0.0, self.config.top).ranker(self.train, self.num_items)
            for n in np.flatnonzero(fold == number):
                block = self.blocks[n]
                similarity = block.similarity.astype(np.float64)
                reading = ranker.read(similarity, block.history, block.items)
                found.added[n] = reading.totals()[0]
                value = ranker.expected(similarity, block.history, block.items)
                if value is not None:
                    found.expected[n] = value
            task.advance()
        return found

    def _learn(self, positions: IntArray | NDArray[np.intp]) -> Learned:
        """Learn from as many of these users as `cells` allows."""
        cells = np.cumsum([self.blocks[n].similarity[0].shape[0] for n in positions])
        most = max(1, int(np.searchsorted(cells * self.config.negatives, self.config.cells)))
        blocks = [self.blocks[n].first(self.config.negatives) for n in positions[:most]]
        from kgrec.learning.blending.listwise import (
            learn,  # imports torch, which only training needs
        )

        return learn(
            blocks,
            self.popularity,
            self.ratings,
            ridge=self.config.ridge,
            iterations=self.config.iterations,
        )

    def _mixed(self, crossed: Sequence[_Crossed], blend: float, weight: float) -> Values:
        """Return the metric of each user for a factor and a weight, the mean over the splits."""
        measured = []
        for each in crossed:
            scores = []
            for n, block in enumerate(self.blocks):
                more = each.added[n] + weight * each.expected[n] if weight else each.added[n]
                scores.append(block.scores + blend * more)
            measured.append(self._measure(scores))
        return np.asarray(np.mean(measured, axis=0))

    def _measure(self, scores: Sequence[Floats | FloatArray]) -> Values:
        """Return the metric of each user in the order of these scores, [N] each."""
        objective = self.validation.objective
        hits = np.zeros((len(self.blocks), objective.k), dtype=np.bool_)
        for n, (block, each) in enumerate(zip(self.blocks, scores, strict=True)):
            found = block.target[np.argsort(-each, kind="stable")[: objective.k]]
            hits[n, : len(found)] = found
        right = np.diff(self.validation.truth.indptr)[self.users].astype(np.int64)
        return metric(objective.metric)(hits, right, objective.k)

    def _report(self, plain: Values, ranked: Values, expected: list[Floats]) -> dict[str, float]:
        gain = ranked - plain
        report = {
            "users": float(len(plain)),
            "team": float(plain.mean()),
            "ranker": float(ranked.mean()),
            "error": float(gain.std() / np.sqrt(len(gain))),
        }
        if self.ratings is None:
            return report
        rated = [block.target & np.isfinite(block.value) for block in self.blocks]
        value = np.concatenate([b.value[r] for b, r in zip(self.blocks, rated, strict=True)])
        guess = np.concatenate([e[r] for e, r in zip(expected, rated, strict=True)])
        item_mean = np.concatenate(
            [self.ratings.item_mean[b.items[r]] for b, r in zip(self.blocks, rated, strict=True)]
        )
        if not len(value):
            return report
        return report | {
            "value_error": float(np.sqrt(np.mean((guess - value) ** 2))),
            "usual_error": float(np.sqrt(np.mean((item_mean - value) ** 2))),
        }


def _beats(ranked: Values, plain: Values, standard_errors: float) -> bool:
    gain = ranked - plain
    return bool(gain.mean() > standard_errors * gain.std() / np.sqrt(len(gain)))
