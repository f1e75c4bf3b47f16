"""What was measured, as records that can be kept and put beside later ones."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from peers.base import Fitted

from kgrec.config import FrozenModel
from kgrec.evaluation.report import Metric

METRICS = ("recall", "ndcg", "mrr")
Mask = Literal["train+valid", "train"]
QUIET = 0.2
"""Cores that others may use before a time is marked as taken on a busy machine."""


class Accuracy(FrozenModel):
    """Metrics at one `k` with a value for each user, in the order of `Result.users`."""

    mean: dict[str, Metric]
    per_user: dict[str, tuple[float, ...]]


class Times(FrozenModel):
    """Seconds.

    Attributes:
        fit: wall time of training and of choosing settings by the validation part.
        last_fit: wall time of the one training that was chosen.
        cpu: of all threads, for `fit`.
        rank: of scoring and ranking all items for the test users.
        others: cores that other processes used meanwhile; None where that is not known.
        cap: after which no training was begun or gone on with; None where there was none.
    """

    fit: float
    last_fit: float
    cpu: float
    rank: float
    others: float | None
    cap: float | None

    @property
    def quiet(self) -> bool:
        return self.others is not None and self.others <= QUIET


class Reached(FrozenModel):
    """The metric on the validation part after so many seconds of training; `after` says of what."""

    seconds: float
    valid: float
    after: str


class Machine(FrozenModel):
    """Where and when it was measured."""

    date: str
    processor: str
    cores: int
    gib: float
    python: str

    @classmethod
    def here(cls) -> Machine:
        gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        return cls(
            date=datetime.now(UTC).date().isoformat(),
            processor=_processor(),
            cores=os.cpu_count() or 1,
            gib=round(gib, 1),
            python=platform.python_version(),
        )


class Result(FrozenModel):
    """One system on one data set.

    Attributes:
        threads: that every library was given.
        valid: metric on the validation part, by which its settings were chosen.
        curve: how that rose while the chosen training went on.
        memory: the most memory that its process, or its helper's, held, in bytes.
        before: how much of that was there before training: libraries and data.
        runs: times of each repetition, the first one's with the accuracy.
        mask: the parts whose items were left out of a user's list.
    """

    system: str
    data: str
    machine: Machine
    threads: int
    valid: float
    chosen: dict[str, float | int | str]
    notes: tuple[str, ...]
    curve: tuple[Reached, ...]
    memory: int
    before: int
    runs: tuple[Times, ...]
    users: tuple[str, ...]
    at: dict[int, Accuracy]
    mask: Mask = "train+valid"

    @property
    def times(self) -> Times:
        """The times of the quickest repetition, which others disturbed the least."""
        return min(self.runs, key=lambda times: times.fit)

    @classmethod
    def of(
        cls,
        system: str,
        data: str,
        fitted: Fitted,
        times: Times,
        at: Mapping[int, Accuracy],
        users: Sequence[str],
        *,
        threads: int,
        memory: int,
        before: int,
        mask: Mask,
    ) -> Result:
        return cls(
            system=system,
            data=data,
            machine=Machine.here(),
            threads=threads,
            valid=fitted.valid,
            chosen=fitted.chosen,
            notes=fitted.notes,
            curve=tuple(
                Reached(seconds=p.seconds, valid=p.valid, after=p.after) for p in fitted.curve
            ),
            memory=memory,
            before=before,
            runs=(times,),
            users=tuple(users),
            at=dict(at),
            mask=mask,
        )

    def repeated(self, again: Result) -> Result:
        """Return this result with the times of a repetition added."""
        return self.model_copy(update={"runs": (*self.runs, *again.runs)})

    def per_user(self, k: int) -> dict[str, NDArray[np.float64]]:
        """Return the values of each metric at `k`, float64 [B]."""
        return {name: np.array(values) for name, values in self.at[k].per_user.items()}


class Results(FrozenModel):
    """All that was measured, system by system."""

    results: tuple[Result, ...] = ()

    def merged(self, later: Results) -> Results:
        """Return these results, those that were measured again replaced."""
        found = {(each.data, each.system): each for each in (*self.results, *later.results)}
        return Results(results=tuple(found.values()))

    def of(self, data: str) -> list[Result]:
        return [each for each in self.results if each.data == data]

    @classmethod
    def read(cls, path: Path) -> Results:
        return cls.model_validate_json(path.read_text(encoding="utf-8"))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
