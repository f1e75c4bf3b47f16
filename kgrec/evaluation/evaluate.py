"""Evaluate: files in, a team fitted on train and chosen on valid, all-ranking on test out."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.data.atomic import SplitDataset, merged, read_folder, read_parts, read_whole
from kgrec.data.dataset import Dataset, IntArray, Interactions
from kgrec.data.protocols import ProtocolConfig, hold_out, settings_of
from kgrec.errors import ConfigError
from kgrec.evaluation.ablation import Knowledge, ablate, audited
from kgrec.evaluation.html_page import page
from kgrec.evaluation.measure import (
    HeldOutQueries,
    KnownHistory,
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
from kgrec.export.hetero_files import is_export, load_hetero
from kgrec.learning.agent import Encode
from kgrec.learning.fit_team import fit_team
from kgrec.learning.team_config import TeamConfig, encoder_of
from kgrec.metrics.intervals import compare_at
from kgrec.model.kernel import Kernel
from kgrec.progress import SILENT, Progress


class EvaluateConfig(FrozenModel):
    """Settings of an evaluation and its outputs.

    Attributes:
        folder: atomic files; or else `train`, `valid` and `test` name TSV files.
        protocol: how interactions are held out; the split of the files by default.
        ks: lengths of the lists.
        knowledge: `full`, or a reduction that audits the effect of knowledge; see `audited`.
        history: the parts that are in the histories of test queries. The team is fitted on the
            training part alone.
        sample_users: maximum number of test users; beyond it they are sampled.
        baseline: a run of another system to compare with.
        group: a column of `NAME.user`: measure each group of users.
        relation: of which lists should hold each kind as the history does; found by itself.
        ablate: measure the agents alone, the team without each, and without knowledge.
        run_out: file for `user_id<TAB>item_id<TAB>score`, the best max(ks) of each user.
        report: file for the result as JSON.
        html: file for a page with plots.
        logs: folder for a log of every training of the team.
        resume: folder for checkpoints, from which an interrupted training resumes.
    """

    folder: Path | None = None
    train: Path | None = None
    valid: Path | None = None
    test: Path | None = None
    protocol: ProtocolConfig = ProtocolConfig()
    ks: tuple[int, ...] = Field(default=(10, 20), min_length=1)
    knowledge: Knowledge = "full"
    history: KnownHistory = "train"
    sample_users: int | None = Field(default=None, ge=1)
    baseline: Path | None = None
    group: str | None = None
    relation: str | None = None
    ablate: bool = False
    run_out: Path | None = None
    report: Path | None = None
    html: Path | None = None
    logs: Path | None = None
    resume: Path | None = None
    team: TeamConfig = TeamConfig()


def evaluate(
    config: EvaluateConfig, *, encode: Encode | None = None, progress: Progress = SILENT
) -> EvaluationResult:
    """Fit on train, choose on valid, rank all items for every test user.

    Raises:
        ConfigError: the options contradict each other.
        DataError: a file is missing, unreadable or invalid, or an output cannot be written.
        ModelError: no agent finds anything to learn from, or scores are not numbers.
    """
    _check(config)
    with _vectors_kept(config, encode, progress) as kept:
        result, run = _evaluated(config, kept, progress)
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
    config: EvaluateConfig, encode: Encode | None, progress: Progress
) -> tuple[EvaluationResult, str]:
    """Return the result, and the lists as lines of a run."""
    clock = _Clock()
    data = read_split(config)
    train = audited(data.train, config.knowledge, seed=config.team.seed)
    queries = HeldOutQueries(data, config.history, config.ks, config.sample_users, config.team.seed)
    against = None if config.baseline is None else _Baseline.read(config.baseline, queries)
    labels = None if config.group is None else group_labels(queries, config.group)
    check_relation(data.train, config.relation)
    clock.lap("read")
    fitted: dict[str, Kernel] = {}
    team = fit_team(
        train,
        data.valid,
        config.team,
        given=data.valid_given,
        requested=data.requests(data.valid),
        fitted=fitted,
        encode=encode,
        progress=progress,
        logs=config.logs,
        checkpoints=config.resume,
    )
    clock.lap("fit")
    found = measure(team, queries, progress)
    clock.lap("rank")
    baseline = None if against is None else against.beside(found, queries)
    lists, parts = list_report(found, queries, config.relation), breakdown(found, queries)
    groups = None if labels is None else by_group(found, queries, str(config.group), labels)
    clock.lap("describe")
    ablation = None
    if config.ablate:
        ablation = ablate(
            team, found, queries, config.team, fitted, encode=encode, progress=progress
        )
        clock.lap("ablate")
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
        seconds=clock.seconds(),
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
    for path in (config.run_out, config.report, config.html):
        if path is not None:
            check_writable(path)
    if config.html is not None:
        check_plots()


def read_split(config: EvaluateConfig) -> SplitDataset:
    """Read the files and apply the protocol; raises as `evaluate` does."""
    unread = config.protocol.model_fields_set - settings_of(config.protocol).keys()
    if unread:
        raise ConfigError(
            f"the protocol {config.protocol.name} does not read {' and '.join(sorted(unread))}",
            remedy="Leave it out, or name another --protocol.",
        )
    files = (config.train, config.valid, config.test)
    given = config.protocol.name == "given"
    if config.folder is not None:
        if any(files):
            raise ConfigError(
                "give a folder, or --train, --valid and --test, not both",
                value=str(config.folder),
            )
        if is_export(config.folder):
            data = _exported(config.folder, given)
        else:
            data = read_folder(config.folder) if given else read_whole(config.folder)
        return hold_out(data, config.protocol, seed=config.team.seed)
    train, valid, test = files
    if train is None or valid is None or test is None:
        raise ConfigError(
            "there is nothing to evaluate on",
            remedy="Give a folder of atomic files, or all of --train, --valid and --test.",
        )
    data = read_parts(train, valid, test)
    return data if given else hold_out(merged(data), config.protocol, seed=config.team.seed)


def _exported(folder: Path, given: bool) -> SplitDataset:
    """Read what `kgrec export --format pyg` wrote, with all interactions in `train`."""
    if given:
        raise ConfigError(
            "an export holds no split",
            value=str(folder),
            remedy="Choose how to split it: --protocol warm, temporal, cold-item or cold-user.",
        )
    from kgrec.export.pyg import from_hetero

    none = Interactions.empty()
    return SplitDataset(folder.name, from_hetero(*load_hetero(folder)), none, none)


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
        **settings_of(config.protocol),
        "seed": config.team.seed,
        "device": config.team.device,
        "knowledge": config.knowledge,
        "history": config.history + shown,
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
    def __init__(self) -> None:
        self._begun = self._last = time.perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self._laps[name] = round(now - self._last, 3)
        self._last = now

    def seconds(self) -> dict[str, float]:
        return {**self._laps, "total": round(time.perf_counter() - self._begun, 3)}
