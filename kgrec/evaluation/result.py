"""The result of an evaluation: the numbers, and all that is needed to get them again."""

from __future__ import annotations

from typing import Any

from kgrec.config import FrozenModel
from kgrec.evaluation.ablation import AblationReport
from kgrec.evaluation.groups import GroupReport
from kgrec.evaluation.measure import Breakdown, ListReport
from kgrec.evaluation.report import RankingReport
from kgrec.metrics.intervals import Difference


class BaselineReport(FrozenModel):
    """How the team does beside another system, on the same users.

    Attributes:
        run: the file that was compared with.
        users: how many of the test users it has; the others' lists count as empty.
        at: `k` to metric to the difference, team less baseline.
    """

    run: str
    users: int
    at: dict[int, dict[str, Difference]]


class EvaluationResult(FrozenModel):
    """The measurement with all that is needed to repeat it.

    Attributes:
        ranking: the metrics on the test part.
        among_cold: the same where the cold items alone are ranked, under `cold-item`.
        baseline: the comparison with another system, where one was named.
        lists: diversity and calibration of the lists.
        breakdown: accuracy by length of history, and by popularity of the targets.
        groups: accuracy by group of users, where a column was named.
        ablation: the team beside its variants, with `ablate`.
        team: what was chosen on the validation part: weights, settings, its metric, seconds.
        versions: of kgrec, Python and the libraries that numbers depend on, and the machine.
        seconds: wall time by step: read, fit, rank, describe, ablate, total.
        processor_seconds: processor time of this process, of all its threads, by step.
        peak_memory: bytes.
        rejected: rows of the files that could not be used, as `file:line: reason`.
    """

    data: str
    counts: dict[str, int]
    protocol: dict[str, Any]
    ranking: RankingReport
    among_cold: RankingReport | None = None
    baseline: BaselineReport | None = None
    lists: ListReport
    breakdown: Breakdown
    groups: GroupReport | None = None
    ablation: AblationReport | None = None
    team: dict[str, Any]
    versions: dict[str, str]
    seconds: dict[str, float]
    processor_seconds: dict[str, float]
    peak_memory: int
    rejected: tuple[str, ...]
