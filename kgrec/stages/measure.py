"""One measurement on the test part: what a ranker may know, what it is asked, what it finds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from kgrec.data.atomic import SplitDataset
from kgrec.data.dataset import IntArray, Interactions
from kgrec.data.histories import Histories
from kgrec.evaluation.metrics import Values
from kgrec.evaluation.protocol import Lists, Ranker, evaluate_ranking
from kgrec.evaluation.questions import Questions
from kgrec.evaluation.report import RankingReport
from kgrec.progress import SILENT, Progress

History = Literal["train", "train+valid"]


@dataclass(frozen=True)
class Asked:
    """The test part as a ranker meets it; the same for every ranker.

    Attributes:
        data: the split.
        history: `train+valid` adds the validation part to what is known of a user.
        ks: lengths of the lists.
        max_users: a sample of so many users is asked where there are more.
        seed: of ties, samples and resamples.
    """

    data: SplitDataset
    history: History
    ks: tuple[int, ...]
    max_users: int | None = None
    seed: int = 2024

    @property
    def known(self) -> Interactions:
        """What is known of the users when the test part is asked for."""
        known = self.data.train.interactions.concat(self.data.test_given)
        return known.concat(self.data.valid) if self.history == "train+valid" else known

    @property
    def seen(self) -> Interactions:
        """What is left out of the lists."""
        data = self.data
        return data.train.interactions.concat(data.valid_given, data.valid, data.test_given)

    @cached_property
    def popularity(self) -> IntArray:
        """How many users had each item in training, int64 [I]."""
        train = self.data.train
        return np.bincount(train.matrix().indices, minlength=train.num_items)

    @cached_property
    def questions(self) -> Questions:
        """Who is asked for what."""
        shape = (self.data.train.num_users, self.data.train.num_items)
        return Questions.of(
            self.seen.matrix(*shape), self.data.test, max_users=self.max_users, seed=self.seed
        )


@dataclass(frozen=True)
class Measurement:
    """What a ranker found.

    Attributes:
        ranking: the metrics.
        lists: the best max(ks) items of each user.
        values: `k` to metric to one value a user of `lists`, float64 [B].
        among_cold: the metrics where the cold items alone are ranked, if the split has such.
    """

    ranking: RankingReport
    lists: Lists
    values: dict[int, dict[str, Values]]
    among_cold: RankingReport | None = None


def measure(ranker: Ranker, asked: Asked, progress: Progress = SILENT) -> Measurement:
    """Rank all items for every test user; cold items also among themselves.

    Raises:
        DataError: no test user has anything to find.
    """
    train = asked.data.train
    shape = (train.num_users, train.num_items)
    histories = Histories.of(asked.known, *shape, now=asked.data.requests(asked.data.test))
    seen = asked.seen.matrix(*shape)

    def rank(cold_only: bool) -> tuple[RankingReport, Lists]:
        return evaluate_ranking(
            ranker,
            histories,
            seen,
            asked.data.test,
            asked.ks,
            popularity=asked.popularity,
            among=asked.data.cold if cold_only else None,
            max_users=asked.max_users,
            seed=asked.seed,
            progress=progress,
        )

    ranking, lists = rank(cold_only=False)
    found = Measurement(ranking, lists, asked.questions.values(lists.items, asked.ks))
    if asked.data.cold is None:
        return found
    return replace(found, among_cold=rank(cold_only=True)[0])
