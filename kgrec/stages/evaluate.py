"""Evaluate: files in, a team fitted on train and chosen on valid, all-ranking on test out."""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from kgrec.agents.base import Encode
from kgrec.agents.fit import TeamConfig, fit_team
from kgrec.config import FrozenModel
from kgrec.data.atomic import SplitDataset, read_folder, read_parts
from kgrec.data.dataset import Dataset
from kgrec.data.histories import Histories
from kgrec.errors import ConfigError, DataError
from kgrec.evaluation.audit import Knowledge, audited
from kgrec.evaluation.protocol import Lists, evaluate_ranking
from kgrec.evaluation.report import RankingReport, peak_memory
from kgrec.progress import SILENT, Progress

History = Literal["train", "train+valid"]


class EvaluateConfig(FrozenModel):
    """What is measured and where the answers go.

    Attributes:
        folder: atomic files; or else `train`, `valid` and `test` name TSV files.
        ks: lengths of the lists.
        knowledge: `none` and `shuffled` audit what knowledge adds.
        history: what the team knows of a user at test time. It is fitted on train alone.
        run_out: takes `user_id<TAB>item_id<TAB>score`, the best max(ks) of each user.
        report: takes the result as JSON.
    """

    folder: Path | None = None
    train: Path | None = None
    valid: Path | None = None
    test: Path | None = None
    ks: tuple[int, ...] = Field(default=(10, 20), min_length=1)
    knowledge: Knowledge = "full"
    history: History = "train"
    run_out: Path | None = None
    report: Path | None = None
    team: TeamConfig = TeamConfig()


class EvaluationResult(FrozenModel):
    """The measurement with all that is needed to repeat it.

    Attributes:
        ranking: the metrics on the test part.
        team: what was chosen on the validation part: weights, settings, its metric, seconds.
        seconds: wall time by step: read, fit, rank, total.
        peak_memory: bytes.
        rejected: rows of the files that could not be used, as `file:line: reason`.
    """

    data: str
    counts: dict[str, int]
    protocol: dict[str, Any]
    ranking: RankingReport
    team: dict[str, Any]
    seconds: dict[str, float]
    peak_memory: int
    rejected: tuple[str, ...]


def evaluate(
    config: EvaluateConfig, *, encode: Encode | None = None, progress: Progress = SILENT
) -> EvaluationResult:
    """Fit on train, choose on valid, rank all items for every test user.

    Raises:
        ConfigError: the options contradict each other.
        DataError: a file is missing, unreadable or of no use, or an output cannot be written.
        ModelError: no agent finds anything to learn from.
    """
    if min(config.ks) < 1:
        raise ConfigError("k must be at least 1", value=min(config.ks))
    for path in (config.run_out, config.report):
        if path is not None:
            _check_writable(path)
    clock = _Clock()
    data = _read(config)
    train = audited(data.train, config.knowledge, seed=config.team.seed)
    clock.lap("read")
    team = fit_team(train, data.valid, config.team, encode=encode, progress=progress)
    clock.lap("fit")
    learned = train.matrix()
    both = train.interactions.concat(data.valid)
    known = train.interactions if config.history == "train" else both
    ranking, lists = evaluate_ranking(
        team,
        Histories.of(known, *learned.shape),
        both.matrix(*learned.shape),
        data.test,
        config.ks,
        popularity=np.bincount(learned.indices, minlength=train.num_items),
        seed=config.team.seed,
        progress=progress,
    )
    clock.lap("rank")
    result = EvaluationResult(
        data=data.name,
        counts=_counts(data, train),
        protocol={
            "seed": config.team.seed,
            "device": config.team.device,
            "knowledge": config.knowledge,
            "history": config.history,
            "ks": config.ks,
        },
        ranking=ranking,
        team=dict(team.metrics),
        seconds=clock.seconds(),
        peak_memory=peak_memory(),
        rejected=data.rejects,
    )
    if config.run_out is not None:
        _write(config.run_out, _run_lines(lists, train))
    if config.report is not None:
        _write(config.report, json.dumps(result.model_dump(mode="json"), indent=2) + "\n")
    return result


def _read(config: EvaluateConfig) -> SplitDataset:
    files = (config.train, config.valid, config.test)
    if config.folder is not None:
        if any(files):
            raise ConfigError(
                "give a folder, or --train, --valid and --test, not both",
                value=str(config.folder),
            )
        return read_folder(config.folder)
    train, valid, test = files
    if train is None or valid is None or test is None:
        raise ConfigError(
            "there is nothing to evaluate on",
            remedy="Give a folder of atomic files, or all of --train, --valid and --test.",
        )
    return read_parts(train, valid, test)


def _counts(data: SplitDataset, train: Dataset) -> dict[str, int]:
    return {
        "users": train.num_users,
        "items": train.num_items,
        "train": len(train.interactions),
        "valid": len(data.valid),
        "test": len(data.test),
        "facts": len(train.facts),
        "texts": sum(map(bool, train.item_texts)),
    }


def _run_lines(lists: Lists, train: Dataset) -> str:
    lines = [
        f"{train.users.id(user)}\t{train.items.id(item)}\t{score:.6g}"
        for user, items, scores in zip(lists.users, lists.items, lists.scores, strict=True)
        for item, score in zip(items, scores, strict=True)
        if item >= 0
    ]
    return "\n".join(lines) + "\n"


def _check_writable(path: Path) -> None:
    folder = path.parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise DataError(
            "the file cannot be written",
            value=str(path),
            remedy="Name a file in a folder that exists and that you may write to.",
        )


def _write(path: Path, text: str) -> None:
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except OSError as error:
        raise DataError(f"the file cannot be written ({error})", value=str(path)) from None


class _Clock:
    def __init__(self) -> None:
        self._begun = self._last = time.perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self._laps[name] = round(now - self._last, 3)
        self._last = now

    def seconds(self) -> dict[str, float]:
        return {**self._laps, "total": round(time.perf_counter() - self._begun, 3)}
