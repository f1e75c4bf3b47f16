"""Evaluate: files or graph in, a team fitted on train, chosen on valid, ranked on test out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import Field

from kgrec.data.atomic import SplitDataset
from kgrec.data.dataset import Dataset, IntArray
from kgrec.data.protocols import settings_of
from kgrec.errors import ConfigError
from kgrec.evaluation.ablation import Knowledge, ablate, audited
from kgrec.evaluation.held_out import DataConfig, read_split
from kgrec.evaluation.html_page import page
from kgrec.evaluation.measure import (
    HeldOutQueries,
    KnownHistory,
    Masked,
    Measurement,
    breakdown,
    by_group,
    check_relation,
    group_labels,
    list_report,
    measure,
)
from kgrec.evaluation.plots import check_plots
from kgrec.evaluation.report import peak_memory, versions
from kgrec.evaluation.result import BaselineReport, EvaluationResult
from kgrec.evaluation.run_files import check_writable, read_run, run_lines, write_text
from kgrec.graph.store import GraphStore
from kgrec.learning.agent import Encode
from kgrec.learning.fit_team import fit_team
from kgrec.learning.team_config import TeamConfig, encoder_of
from kgrec.metrics.intervals import compare_at
from kgrec.model.kernel import Kernel
from kgrec.progress import SILENT, Progress


class EvaluateConfig(DataConfig):
    """Settings of an evaluation and its outputs, beside those of its data.

    Attributes:
        ks: lengths of the lists.
        knowledge: `full`, or a reduction that audits the effect of knowledge; see `audited`.
        history: the parts that are in the histories of test queries; by default
            `train+valid` with `refit`, and `train` otherwise.
        mask: the parts whose items are not ranked; figures of the two are not comparable.
        refit: fit again on training and validation part with what was chosen, and measure that.
            Without it the team is fitted on the training part alone. `refit` of `team` is the same.
        sample_users: maximum number of test users; beyond it they are sampled.
        baseline: a run of another system to compare with.
        group: a column of `NAME.user`: measure each group of users.
        relation: of which lists should hold each kind as the history does; found by itself.
        ablate: measure the agents alone, the team without each, and without knowledge.
        ablate_agents: the same without the fits on less knowledge, which take the most time.
        run_out: file for `user_id<TAB>item_id<TAB>score`, the best max(ks) of each user.
        report: file for the result as JSON.
        html: file for a page with plots.
        logs: folder for a log of every training of the team.
        resume: folder for checkpoints, from which an interrupted training resumes.
    """

    ks: tuple[int, ...] = Field(default=(10, 20), min_length=1)
    knowledge: Knowledge = "full"
    history: KnownHistory = "train"
    mask: Masked = "train+valid"
    refit: bool = False
    sample_users: int | None = Field(default=None, ge=1)
    baseline: Path | None = None
    group: str | None = None
    relation: str | None = None
    ablate: bool = False
    ablate_agents: bool = False
    run_out: Path | None = None
    report: Path | None = None
    html: Path | None = None
    logs: Path | None = None
    resume: Path | None = None
    team: TeamConfig = TeamConfig()

    @property
    def refitted(self) -> bool:
        """Whether the measured team is fitted on training and validation part."""
        return self.refit or self.team.refit

    @property
    def known(self) -> KnownHistory:
        """The parts that are in the histories of test queries."""
        given = "history" in self.model_fields_set
        return self.history if given or not self.refitted else "train+valid"


def evaluate(
    config: EvaluateConfig,
    *,
    store: GraphStore | None = None,
    encode: Encode | None = None,
    progress: Progress = SILENT,
) -> EvaluationResult:
    """Fit on train, choose on valid, rank all items for every test user.

    Args:
        store: the graph where `graph` names it; that of the environment is opened otherwise, and
            only while it is read.
        encode: encodes texts; the configured encoder when absent.

    Raises:
        ConfigError: the options contradict each other.
        DataError: a file is missing, unreadable or invalid, or an output cannot be written.
        GraphError: the kinds below it, where the graph does not answer.
        ModelError: no agent finds anything to learn from, or scores are not numbers.
    """
    _check(config)
    with _vectors_kept(config, encode, progress) as kept:
        result, run = _evaluated(config, store, kept, progress)
    if config.run_out is not None:
        write_text(config.run_out, run)
    if config.html is not None:
        write_text(config.html, page(result))
    if config.report is not None:
        write_text(config.report, json.dumps(result.model_dump(mode="json"), indent=2) + "\n")
    return result


@contextmanager
def _vectors_kept(
    config: EvaluateConfig, encode: Encode | None, progress: Progress
) -> Iterator[Encode | None]:
    """Cache text vectors while the variants of a team are fitted, which encode the same texts."""
    if encode is not None or not config.ablate:
        yield encode
        return
    with TemporaryDirectory(prefix="kgrec-vectors-") as folder:
        yield encoder_of(config.team, cache_dir=Path(folder), progress=progress)


def _evaluated(
    config: EvaluateConfig, store: GraphStore | None, encode: Encode | None, progress: Progress
) -> tuple[EvaluationResult, str]:
    """Return the result, and the lists as lines of a run."""
    clocks = _Clock(time.perf_counter), _Clock(time.process_time)

    def lap(name: str) -> None:
        for clock in clocks:
            clock.lap(name)

    data = read_split(config, seed=config.team.seed, store=store, progress=progress)
    train = audited(data.train, config.knowledge, seed=config.team.seed)
    settings = config.team.model_copy(update={"refit": config.refitted})
    queries = HeldOutQueries(
        data, config.known, config.ks, config.sample_users, settings.seed, config.mask
    )
    against = None if config.baseline is None else _Baseline.read(config.baseline, queries)
    labels = None if config.group is None else group_labels(queries, config.group)
    check_relation(data.train, config.relation)
    lap("read")
    fitted: dict[str, Kernel] = {}
    team = fit_team(
        train,
        data.valid,
        settings,
        given=data.valid_given,
        requested=data.requests(data.valid),
        fitted=fitted,
        encode=encode,
        progress=progress,
        logs=config.logs,
        checkpoints=config.resume,
    )
    lap("fit")
    found = measure(team, queries, progress)
    lap("rank")
    baseline = None if against is None else against.beside(found, queries)
    lists, parts = list_report(found, queries, config.relation), breakdown(found, queries)
    groups = None if labels is None else by_group(found, queries, str(config.group), labels)
    lap("describe")
    ablation = None
    if config.ablate or config.ablate_agents:
        ablation = ablate(
            team,
            found,
            queries,
            settings,
            fitted,
            knowledge=config.ablate,
            encode=encode,
            progress=progress,
        )
        lap("ablate")
    result = EvaluationResult(
        data=data.name,
        counts=_counts(data, train),
        protocol=_protocol(config, data),
        ranking=found.ranking,
        among_cold=found.among_cold,
        baseline=baseline,
        lists=lists,
        breakdown=parts,
        groups=groups,
        ablation=ablation,
        team=dict(team.metrics),
        versions=versions(),
        seconds=clocks[0].seconds(),
        processor_seconds=clocks[1].seconds(),
        peak_memory=peak_memory(),
        rejected=data.rejects,
    )
    return result, run_lines(found.lists, train)


def _check(config: EvaluateConfig) -> None:
    if min(config.ks) < 1:
        raise ConfigError("k must be at least 1", value=min(config.ks))
    if config.ablate and config.knowledge != "full":
        raise ConfigError(
            "an ablation removes knowledge itself",
            value=config.knowledge,
            remedy="Leave out --knowledge or --ablate.",
        )
    if config.refitted and config.mask == "train":
        raise ConfigError(
            "a team that is fitted on the validation part too would be measured on ranking it",
            value="refit, mask train",
            remedy="Leave out --refit or --mask train.",
        )
    for path in (config.run_out, config.report, config.html):
        if path is not None:
            check_writable(path)
    if config.html is not None:
        check_plots()


@dataclass(frozen=True)
class _Baseline:
    """What another system ranked for the measured users."""

    path: Path
    items: IntArray
    users: int

    @classmethod
    def read(cls, path: Path, queries: HeldOutQueries) -> _Baseline:
        users = queries.targets.users
        return cls(path, *read_run(path, queries.data.train, users, max(queries.ks)))

    def beside(self, found: Measurement, queries: HeldOutQueries) -> BaselineReport:
        theirs = queries.targets.values(self.items, queries.ks)
        differences = compare_at(found.values, theirs, seed=queries.seed)
        return BaselineReport(run=str(self.path), users=self.users, at=differences)


def _protocol(config: EvaluateConfig, data: SplitDataset) -> dict[str, Any]:
    shown = " and what the protocol shows" if len(data.test_given) else ""
    return {
        **settings_of(config.resolved()),
        "seed": config.team.seed,
        "device": config.team.device,
        "knowledge": config.knowledge,
        "history": config.known + shown,
        "mask": config.mask,
        "refit": config.refitted,
        "ks": config.ks,
        "sample_users": config.sample_users,
    }


def _counts(data: SplitDataset, train: Dataset) -> dict[str, int]:
    counts = {
        "users": train.num_users,
        "items": train.num_items,
        "train": len(train.interactions),
        "valid": len(data.valid),
        "test": len(data.test),
        "facts": len(train.facts),
        "texts": sum(map(bool, train.item_texts)),
    }
    return counts if data.cold is None else counts | {"cold items": len(data.cold)}


class _Clock:
    """Measures stages by some clock of `time`."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._begun = self._last = now()
        self._laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = self._now()
        self._laps[name] = round(now - self._last, 3)
        self._last = now

    def seconds(self) -> dict[str, float]:
        return {**self._laps, "total": round(self._now() - self._begun, 3)}
