"""Agents that learn together: one loss over all of them, shared inputs, and agreement.

    L = Σ_k α_k · (L_k + agreement · KL(m ‖ p_k)) + L_m(α),     m = Σ_k α_k p_k,   α = softmax(a)

with `p_k` the softmax of agent k's scores over the candidates, `L_k` its loss on the hidden edges
and `L_m` the negative log-likelihood of the same edges under the mixture `m`, which teaches the
shares and nothing else. The mixture is a teacher (Zhang et al. 2018, "Deep Mutual Learning", with
the mixture of all in place of each other one): no gradient flows through it to the agents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from kgrec.learning.agent import Agent, FitContext
from kgrec.learning.joint.settings import agreed
from kgrec.learning.link_prediction.batches import Batch
from kgrec.learning.link_prediction.network import HistoryNetwork
from kgrec.learning.link_prediction.problem import HiddenEdges
from kgrec.learning.team_config import TogetherConfig
from kgrec.model.coordinator import Coordinator
from kgrec.model.kernel import Kernel, mean_kernel
from kgrec.model.team import Team
from kgrec.training.loop import seeded, train
from kgrec.training.losses import softmax_loss
from kgrec.training.workers import ALONE


class Together(nn.Module):
    """The networks and the shares of agents that learn together.

    Args:
        networks: one an agent.
        shares: α; None learns them, from equal ones.
        share_inputs: gives all networks the item embeddings of the first, and the map of sentence
            vectors of the first that has one.
    """

    def __init__(
        self,
        networks: Sequence[HistoryNetwork],
        shares: Sequence[float] | None,
        *,
        share_inputs: bool,
    ) -> None:
        super().__init__()
        self.networks = list(networks)
        self.members = nn.ModuleList(networks)
        if share_inputs:
            inputs = next((n.inputs for n in networks if n.inputs is not None), None)
            for network in networks:
                network.item, network.inputs = networks[0].item, inputs
        start = torch.zeros(len(networks)) if shares is None else torch.tensor(shares).log()
        self.logits = nn.Parameter(start, requires_grad=shares is None)
        self.to(networks[0].device)

    @property
    def shares(self) -> Tensor:
        """α, [A], summing to one."""
        return torch.softmax(self.logits, dim=0)

    def loss(
        self, losses: Sequence[Tensor], scores: Sequence[Tensor], batch: Batch, agreement: float
    ) -> Tensor:
        """Return L.

        Args:
            losses: L_k, scalars.
            scores: of the candidates, [B, C] each; minus infinity in the same places.
            batch: whose targets they are for.
            agreement: see above.
        """
        if not len(batch.row):
            return torch.stack(tuple(losses)).sum()
        alpha = self.shares
        total = torch.stack(tuple(losses)) @ alpha.detach()
        logs = [torch.log_softmax(each, dim=1) for each in scores]  # [B, C]
        if agreement:
            teacher = mixture([log.detach() for log in logs], alpha.detach())
            for share, log in zip(alpha.detach(), logs, strict=True):
                total = total + agreement * share * divergence(teacher, log)
        if self.logits.requires_grad:
            row, item = (
                torch.from_numpy(part).to(alpha.device) for part in (batch.row, batch.item)
            )
            told = [log.detach()[row, item] for log in logs]
            total = total - mixture(told, alpha).mean()
        return total


def mixture(logs: Sequence[Tensor], alpha: Tensor) -> Tensor:
    """Return log Σ_k α_k p_k of log-probabilities of one shape."""
    return torch.logsumexp(
        torch.stack([log + a.log() for log, a in zip(logs, alpha, strict=True)]), 0
    )


def divergence(teacher: Tensor, log: Tensor) -> Tensor:
    """Return the mean over rows of KL(teacher ‖ p) of log-probabilities [B, C]."""
    impossible = torch.isneginf(teacher)
    gap = (teacher - log).masked_fill(impossible, 0.0)
    return (teacher.exp() * gap).sum(dim=1).mean()


def fit_together(
    agents: Sequence[Agent], context: FitContext, config: TogetherConfig
) -> list[Kernel]:
    """Train the networks of these agents on one loss; return a kernel each.

    The temperatures in question are tried by all agents that name none of their own; the best
    mixture on the validation part stays. Steps see the whole graph, however large, since what a
    sample of it remembers is of one network.

    Raises:
        ConfigError: the settings of one of them do not let it learn together; see `agreed`.
        NothingToLearnError: the data lacks what one of them learns from.
    """
    context = replace(context, workers=ALONE)
    members = agreed(agents, context, config)
    return _Learning([agent.problem(context) for agent in members], context, config).fit()


@dataclass(frozen=True)
class _Trial:
    tau: float
    metric: float
    steps: int
    kernels: list[Kernel]


class _Learning:
    """The problems of several agents on one data set, with the settings that they agreed on."""

    def __init__(
        self, problems: Sequence[HiddenEdges], context: FitContext, config: TogetherConfig
    ) -> None:
        self.problems, self.context, self.config = problems, context, config

    def fit(self) -> list[Kernel]:
        """Train with each temperature in question; return the kernels of the best mixture.

        Where an agent is an ensemble all are trained again with other seeds, and each takes the
        mean over as many networks as it asks for.
        """
        free = [problem for problem in self.problems if problem.config.tau is None]
        taus = (free or self.problems)[0].taus()
        best = max((self.train(tau) for tau in taus), key=lambda trial: trial.metric)
        sizes = [problem.config.ensemble for problem in self.problems]
        rounds = [best.kernels] + [
            self.train(best.tau, seed=self.context.seed + number, steps=best.steps).kernels
            for number in range(1, max(sizes))
        ]
        each = zip(*rounds, strict=True)
        return [mean_kernel(own[:size]) for own, size in zip(each, sizes, strict=True)]

    def train(self, tau: float, *, seed: int | None = None, steps: int | None = None) -> _Trial:
        """Train all networks from scratch.

        Args:
            tau: temperature of those that name none.
            seed: the context's where it is None.
            steps: ends there without looking at the validation part.
        """
        context, config, first = self.context, self.config, self.problems[0]
        names = [problem.name for problem in self.problems]
        name = f"{' and '.join(names)}: τ {tau:g}" + ("" if seed is None else f", seed {seed}")
        look = first.held_out is not None and steps is None
        seed = context.seed if seed is None else seed
        with seeded(seed):
            networks = [problem.build(problem.config.tau or tau) for problem in self.problems]
            model = Together(networks, self._fixed(names), share_inputs=config.share_inputs)
            rng = np.random.default_rng(seed)
            batches = first.batches(networks[0])
            trained = train(
                model,
                lambda: self.loss(model, batches.draw(networks[0], rng), rng),
                config.schedule,
                measure=(lambda: self.measure(model)) if look else None,
                stop_after=steps or first.config.steps,
                name=name,
                progress=context.progress,
                generator=rng,
                files=context.files(config, *(problem.config for problem in self.problems)),
                rest_every=batches.rest_every,
            )
        kernels = self.kernels(model, {"steps": trained.steps})
        return _Trial(tau, trained.best or 0.0, trained.steps, kernels)

    def _fixed(self, names: Sequence[str]) -> list[float] | None:
        given = self.config.shares
        if given is None:
            return None
        shares = [given.get(name, 1e-9) for name in names]
        return [share / sum(shares) for share in shares]

    def loss(self, model: Together, batch: Batch, rng: np.random.Generator) -> Tensor:
        """Return L on the hidden edges of a batch."""
        losses, scores = [], []
        for problem, network in zip(self.problems, model.networks, strict=True):
            scored = problem.scored(network, batch, rng)
            vectors = network.item_vectors(batch.graph)
            scores.append(scored.scores(vectors))
            loss = softmax_loss(scores[-1], scored.row, scored.item)
            losses.append(problem.regularised(loss, scored, vectors, rng))
        return model.loss(losses, scores, batch, self.config.agreement)

    def kernels(self, model: Together, chosen: Mapping[str, float | int]) -> list[Kernel]:
        """Return the kernels; their notes say the shares, their choices the temperature too."""
        shares = model.shares.tolist()
        told: dict[str, Any] = {
            "shares": dict(zip((p.name for p in self.problems), shares, strict=True))
        }
        kernels = [
            problem.kernel(network, {"tau": network.tau, **chosen})
            for problem, network in zip(self.problems, model.networks, strict=True)
        ]
        return [replace(kernel, notes={**kernel.notes, "together": told}) for kernel in kernels]

    def measure(self, model: Together) -> float:
        """Return the metric of the mixture on the validation part."""
        held_out = self.problems[0].held_out
        assert held_out is not None  # noqa: S101 - callers ask only when there is one
        kernels = tuple(self.kernels(model, {}))
        team = Team(self.context.train.items, kernels, Coordinator(model.shares.tolist()))
        return held_out.measure(team.scores)
