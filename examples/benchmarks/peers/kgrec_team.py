"""kgrec itself: the team with its defaults, one agent of it, or the team with other knowledge."""

from __future__ import annotations

import time
from collections.abc import Iterator

from kgrec.config import load_toml, parse_config
from kgrec.data.dataset import FloatArray, IntArray
from kgrec.evaluation.ablation import audited
from kgrec.learning.fit_team import fit_team
from kgrec.learning.registry import AGENTS
from kgrec.learning.team_config import TeamConfig
from kgrec.model.histories import Histories
from kgrec.model.team import Team
from peers.base import Fitted, Point, Problem, Settings, Unavailable, valid_of


class KgrecTeam:
    """Fit the team as `kgrec evaluate` does.

    Args:
        variant: empty for the defaults, the name of an agent to fit it alone, or `none` or
            `shuffled` for the team with that knowledge.
    """

    def __init__(self, variant: str = "") -> None:
        self._knowledge = variant if variant in ("none", "shuffled") else "full"
        self._agents = () if self._knowledge != "full" or not variant else (variant,)

    def prepare(self, problem: Problem) -> None:
        unknown = sorted({*self._agents} - {*AGENTS})
        if unknown:
            raise Unavailable(f"kgrec has no agent {unknown[0]}; there are {', '.join(AGENTS)}")
        import torch

        torch.set_num_threads(problem.threads)

    def _config(self, problem: Problem) -> TeamConfig:
        given = load_toml(problem.team) if problem.team else {}
        alone = {"agents": self._agents} if self._agents else {}
        return parse_config(TeamConfig, {**given, **alone, "seed": problem.seed}, origin="the team")

    def fit(self, problem: Problem) -> Fitted:
        begun = time.perf_counter()
        config = self._config(problem)
        train = audited(problem.data.train, self._knowledge, seed=problem.seed)
        histories = Histories.of(train.interactions, *problem.train.shape)
        team = fit_team(train, problem.data.valid, config)
        seconds = time.perf_counter() - begun

        def score(users: IntArray) -> FloatArray:
            return team.scores(histories[users])

        valid = valid_of(problem, score)
        shares: Settings = {f"share of {name}": w for name, w in team.metrics["weights"].items()}
        curve = [*_alone(team), Point(seconds, valid, "the whole team")]
        return Fitted(score, valid, seconds, shares, tuple(curve))


def _alone(team: Team) -> Iterator[Point]:
    """Yield what each agent reached by itself: an agent can be used without the others."""
    values = team.metrics["validation"]
    for agent, seconds in team.metrics["seconds"].items():
        if agent in values:
            yield Point(seconds, values[agent], f"agent {agent} alone")
