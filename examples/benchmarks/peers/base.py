"""What a system to be measured is given, and what it hands back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgrec.data.atomic import SplitDataset
from kgrec.data.dataset import FloatArray, IntArray
from kgrec.metrics.validation import Validation

Settings = dict[str, float | int | str]
Grid = Mapping[str, Sequence[float | int | str]]


class Unavailable(Exception):
    """The system needs something that is not installed; the text says what and how to get it."""


@dataclass(frozen=True)
class Problem:
    """One data set, and the rules that hold for every system.

    Attributes:
        folder: the atomic files of `data`.
        train: who took what in train, CSR float32 [U, I].
        held_out: the validation part; every choice is made by it, of peers and of kgrec alike.
        threads: of every library.
        until: value of `time.perf_counter` after which no further training is begun.
        fixed: settings chosen before, to train with these and search no more.
        peers_python: a Python that has the packages which cannot live beside kgrec.
        scratch: an empty folder.
        team: TOML of kgrec's team; its defaults when absent.
        quick: few epochs and no search in the slow peers, to try out the plumbing.
    """

    folder: Path
    data: SplitDataset
    train: sp.csr_matrix
    held_out: Validation
    seed: int
    threads: int
    until: float
    scratch: Path
    fixed: Settings = field(default_factory=dict)
    peers_python: Path | None = None
    team: Path | None = None
    quick: bool = False

    def before(self, seconds: float) -> Problem:
        """Return the same problem with so many seconds from now on."""
        return replace(self, until=time.perf_counter() + seconds)

    @property
    def over(self) -> bool:
        """Whether the time that a system may take is spent."""
        return time.perf_counter() > self.until


@dataclass(frozen=True)
class Point:
    """The metric on the validation part after so many seconds of training; `after` says of what."""

    seconds: float
    valid: float
    after: str


@dataclass(frozen=True)
class Fitted:
    """A trained system.

    Attributes:
        score: rows of users, [B], to scores of all items, float32 [B, I].
        valid: its metric on the validation part.
        seconds: wall time of this one training, without those of other settings.
        chosen: the settings that the validation part decided.
        curve: how the metric rose while this one trained.
        notes: what a reader must know, such as that the time ran out.
        memory, cpu: peak bytes and CPU seconds of helper processes.
    """

    score: Callable[[IntArray], FloatArray]
    valid: float
    seconds: float
    chosen: Settings = field(default_factory=dict)
    curve: tuple[Point, ...] = ()
    notes: tuple[str, ...] = ()
    memory: int = 0
    cpu: float = 0.0


class System(Protocol):
    """A recommender with its own way of choosing settings."""

    def prepare(self, problem: Problem) -> None:
        """Import libraries and start helpers, which is not timed.

        Raises:
            Unavailable: something is not installed.
        """

    def fit(self, problem: Problem) -> Fitted:
        """Train and choose on the validation part."""


@dataclass(frozen=True)
class Vectors:
    """Users and items as vectors whose inner product is the score.

    Attributes:
        user, item: float32 [U, D] and [I, D].
    """

    user: FloatArray
    item: FloatArray

    def score(self, users: IntArray) -> FloatArray:
        return np.asarray(self.user[users] @ self.item.T, dtype=np.float32)


def valid_of(problem: Problem, score: Callable[[IntArray], FloatArray]) -> float:
    """Measure scores of the users of the validation part by kgrec's own metric."""
    held_out = problem.held_out
    return float(held_out.values_by(lambda users: score(held_out.users[users])).mean())


def fit_once(
    problem: Problem, build: Callable[[], Callable[[IntArray], FloatArray]], settings: Settings
) -> Fitted:
    """Train a system that has no epochs, and measure it."""
    begun = time.perf_counter()
    score = build()
    seconds = time.perf_counter() - begun
    valid = valid_of(problem, score)
    return Fitted(score, valid, seconds, settings, (Point(seconds, valid, "fit"),))


def fit_in_steps(
    problem: Problem,
    advance: Callable[[], tuple[Vectors, float]],
    settings: Settings,
    *,
    epochs: int,
    every: int,
    patience: int,
) -> Fitted:
    """Train by epochs and stop early by the validation part.

    Args:
        advance: trains `every` epochs more; returns the vectors and the seconds that took.
        epochs: at most so many.
        patience: checks without a better value before it stops.
    """
    best, spent, curve = None, 0.0, []
    stalled, notes = 0, ()
    for epoch in range(every, epochs + 1, every):
        vectors, seconds = advance()
        spent += seconds
        valid = valid_of(problem, vectors.score)
        curve.append(Point(spent, valid, f"epoch {epoch}"))
        if best is None or valid > best.valid:
            best, stalled = Fitted(vectors.score, valid, spent, settings | {"epochs": epoch}), 0
        else:
            stalled += 1
        if stalled >= patience:
            break
        if problem.over:
            notes = (f"stopped by the cap at epoch {epoch}",)
            break
    else:
        notes = (f"stopped at the most epochs, {epochs}",)
    if best is None:
        raise ValueError(f"no epoch fits: at most {epochs}, a check after every {every}")
    return replace(best, seconds=spent, curve=tuple(curve), notes=notes)


def search(problem: Problem, grid: Grid, fit: Callable[[Settings], Fitted]) -> Fitted:
    """Choose settings on the validation part, one after the other.

    The first value of each is where the search begins; then each setting in turn tries its other
    values and keeps the best. Trainings that the time does not allow are left out, and counted.
    """
    if problem.fixed:
        found = fit({name: problem.fixed.get(name, grid[name][0]) for name in grid})
        return replace(found, notes=(*found.notes, "settings as chosen before"))
    current: Settings = {name: values[0] for name, values in grid.items()}
    best = fit(current)
    left_out = 0
    for name, values in grid.items():
        start = dict(current)
        for value in values[1:]:
            if problem.over:
                left_out += 1
                continue
            tried = fit(start | {name: value})
            if tried.valid > best.valid:
                best, current = tried, start | {name: value}
    if left_out:
        note = f"the cap left out {left_out} of the settings to try"
        best = replace(best, notes=(*best.notes, note))
    return best


def dense(scores: sp.csr_matrix | NDArray[np.float32]) -> FloatArray:
    """Return scores as a dense float32 matrix."""
    given = scores.toarray() if sp.issparse(scores) else scores
    return np.asarray(given, dtype=np.float32)
