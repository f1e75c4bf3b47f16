"""Joint training of several agents: one loss, shared inputs, and agreement.

    L = Σ_k α_k · (L_k + agreement · KL(m ‖ p_k)) + L_m(α),     m = Σ_k α_k p_k,   α = softmax(a)

`L_k` is the loss of agent k on its own batches, with its own settings. `p_k` is the softmax of its
scores for a common batch of histories, some of whose items are hidden, and `L_m` the negative
log-likelihood of the hidden items under the mixture `m`, which trains the shares alone. The mixture
is a teacher (Zhang et al. 2018, "Deep Mutual Learning", with the mixture
in place of each other network): no gradient flows through it to the agents.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeGuard

import numpy as np
import torch
from torch import Tensor, nn

from kgrec.data.dataset import Dataset, IntArray, Interactions
from kgrec.errors import ConfigError
from kgrec.learning.agent import Agent, FitContext
from kgrec.learning.team_config import TogetherConfig
from kgrec.model.coordinator import Coordinator
from kgrec.model.kernel import Kernel
from kgrec.model.team import Team
from kgrec.training.loop import seeded, train
from kgrec.training.workers import ALONE

HIDDEN = 0.3
"""Share of the items of a common batch that are hidden as targets."""
_OR_ALONE = "or let each learn alone ([together] use = false)."


class Learner(Protocol):
    """The training of one agent's network, step by step."""

    network: nn.Module

    def loss(self, rng: np.random.Generator) -> Tensor:
        """Sample a batch and return its loss, a scalar."""

    def logits(self, visible: Interactions, users: IntArray) -> Tensor:
        """Score all items for histories; seen items get minus infinity.

        Args:
            visible: the interactions that are not hidden, of all users.
            users: whose histories are scored, int64 [B].

        Returns:
            float32 [B, I].
        """

    def kernel(self, steps: int) -> Kernel:
        """Return the kernel of the network after so many steps."""


class JointProblem(Protocol):
    """The training problem of an agent, for several trainings."""

    name: str

    def taus(self) -> tuple[float, ...]:
        """Return the candidate temperatures; a single one where there is nothing to choose."""

    def learner(self, tau: float) -> Learner:
        """Return a training with a fresh network of this temperature."""


class JointAgent(Agent, Protocol):
    """An agent that can be trained jointly with others."""

    def problem(self, context: FitContext) -> JointProblem:
        """Return its training problem; raises NothingToLearnError where the data lacks one."""


class JointNetwork(nn.Module):
    """The networks and the shares of jointly trained agents.

    Args:
        networks: one for each agent.
        shares: α, [A]; None learns them, starting from equal ones.
        share_inputs: whether networks share item embeddings of equal size, and the map of
            sentence vectors.
    """

    def __init__(
        self, networks: Sequence[nn.Module], shares: Sequence[float] | None, *, share_inputs: bool
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(networks)
        if share_inputs:
            _share(networks)
        start = torch.zeros(len(networks)) if shares is None else torch.tensor(shares).log()
        self.logits = nn.Parameter(start, requires_grad=shares is None)
        self.to(next(networks[0].parameters()).device)

    @property
    def shares(self) -> Tensor:
        """α, float32 [A], summing to one."""
        return torch.softmax(self.logits, dim=0)

    def loss(
        self,
        losses: Sequence[Tensor],
        logits: Sequence[Tensor],
        targets: tuple[Tensor, Tensor],
        agreement: float,
    ) -> Tensor:
        """Return L.

        Args:
            losses: L_k, scalars.
            logits: of the common batch, [B, I] each; minus infinity in the same places.
            targets: rows and items that are hidden, int64 [T] each.
            agreement: see above.
        """
        alpha = self.shares
        total = torch.stack(tuple(losses)) @ alpha.detach()
        if not len(targets[0]):
            return total
        logs = [torch.log_softmax(each, dim=1) for each in logits]  # [B, I]
        if agreement:
            teacher = mixture([log.detach() for log in logs], alpha.detach())
            for share, log in zip(alpha.detach(), logs, strict=True):
                total = total + agreement * share * divergence(teacher, log)
        if self.logits.requires_grad:
            total = total - mixture([log.detach()[targets] for log in logs], alpha).mean()
        return total


def _share(networks: Iterable[nn.Module]) -> None:
    """Replace parts of networks by those of the first network with the same size."""
    tables: dict[torch.Size, nn.Parameter] = {}
    maps: list[nn.Module] = []
    for network in networks:
        item = getattr(network, "item", None)
        if isinstance(item, nn.Parameter):
            network.item = tables.setdefault(item.shape, item)
        inputs = getattr(network, "inputs", None)
        maps += [inputs] if isinstance(inputs, nn.Module) else []
    for network in networks:
        if maps and hasattr(network, "inputs"):
            network.inputs = maps[0]


def mixture(logs: Sequence[Tensor], alpha: Tensor) -> Tensor:
    """Return log Σ_k α_k p_k of log-probabilities of one shape."""
    return torch.logsumexp(
        torch.stack([log + a.log() for log, a in zip(logs, alpha, strict=True)]), 0
    )


def divergence(teacher: Tensor, log: Tensor) -> Tensor:
    """Return the mean over rows of KL(teacher ‖ p) of log-probabilities [B, I]."""
    impossible = torch.isneginf(teacher)
    gap = (teacher - log).masked_fill(impossible, 0.0)
    return (teacher.exp() * gap).sum(dim=1).mean()


class CommonBatches:
    """Samples the batches that all agents score: users, some of whose items are hidden.

    Args:
        train: the training data.
        size: users in a batch.
    """

    def __init__(self, train: Dataset, size: int) -> None:
        self._known, self._items = train.interactions, train.num_items
        keys = self._known.user * self._items + self._known.item
        # All interactions of a user with an item are hidden together.
        self._pairs, self._pair = np.unique(keys, return_inverse=True)
        self._owner = self._pairs // self._items
        self._users = np.unique(self._owner)
        self._size = min(size, len(self._users))

    def sample(self, rng: np.random.Generator) -> tuple[Interactions, IntArray, IntArray, IntArray]:
        """Return visible interactions, users, int64 [B], and rows and items of targets, [T]."""
        users = np.sort(rng.choice(self._users, self._size, replace=False))
        row = np.searchsorted(users, self._owner)
        row[row == len(users)] = 0
        hidden = (users[row] == self._owner) & (rng.random(len(row)) < HIDDEN)
        visible = self._known.take(~hidden[self._pair])
        return visible, users, row[hidden], self._pairs[hidden] % self._items


@dataclass(frozen=True)
class _Trial:
    metric: float
    kernels: list[Kernel]


def fit_together(
    agents: Sequence[Agent], context: FitContext, config: TogetherConfig
) -> list[Kernel]:
    """Train the networks of these agents on one loss; return a kernel each.

    Each candidate temperature is tried for all agents without a fixed one; the best mixture on the
    validation part is kept. Steps use the whole graph, whatever its size.

    Raises:
        ConfigError: an agent cannot be trained jointly, or not with one of its settings.
        NothingToLearnError: the data lacks what one of them learns from.
    """
    context = replace(context, workers=ALONE)
    members = [_prepared(agent, config) for agent in agents]
    given: list[int | None] = [getattr(member.config, "steps", None) for member in members]
    steps = {number for number in given if number is not None}
    if len(steps) > 1:
        raise ConfigError(
            "agents that learn together do so for the same number of steps",
            value=", ".join(map(str, sorted(steps))),
            remedy=f"Give one number, {_OR_ALONE}",
        )
    problems = [member.problem(context) for member in members]
    taus = max((problem.taus() for problem in problems), key=len)
    trials = [
        _train(members, problems, allotted, config, tau, max(steps, default=None))
        for tau, allotted in context.allotted(taus)
    ]
    return max(trials, key=lambda trial: trial.metric).kernels


def _train(
    members: Sequence[JointAgent],
    problems: Sequence[JointProblem],
    context: FitContext,
    config: TogetherConfig,
    tau: float,
    steps: int | None,
) -> _Trial:
    """Train all networks from scratch; those with a fixed temperature keep it."""
    names = [problem.name for problem in problems]
    first: Any = members[0].config
    held_out = context.held_out(first.objective) if steps is None else None
    with seeded(context.seed):
        learners = [
            problem.learner(tau if len(problem.taus()) > 1 else problem.taus()[0])
            for problem in problems
        ]
        shares = None if config.shares is None else [config.shares.get(n, 1e-9) for n in names]
        model = JointNetwork(
            [learner.network for learner in learners], shares, share_inputs=config.share_inputs
        )
        rng = np.random.default_rng(context.seed)
        batches = CommonBatches(context.train, config.users)
        # With fixed shares and no agreement the mixture has no loss of its own.
        compares = bool(config.agreement) or shares is None

        def loss() -> Tensor:
            losses = [learner.loss(rng) for learner in learners]
            visible, users, row, item = batches.sample(rng)
            if not compares:
                row = item = row[:0]
            with torch.set_grad_enabled(bool(config.agreement)):
                logits = [learner.logits(visible, users) for learner in learners if len(row)]
            hidden = (torch.from_numpy(part).to(model.logits.device) for part in (row, item))
            return model.loss(losses, logits, (next(hidden), next(hidden)), config.agreement)

        def kernels(steps: int) -> list[Kernel]:
            learned = dict(zip(names, model.shares.tolist(), strict=True))
            found = [learner.kernel(steps) for learner in learners]
            return [
                replace(kernel, notes={**kernel.notes, "together": {"shares": learned}})
                for kernel in found
            ]

        def measure() -> float:
            assert held_out is not None  # noqa: S101 - measured only where there is one
            coordinator = Coordinator(model.shares.tolist())
            return held_out.measure(
                Team(context.train.items, tuple(kernels(0)), coordinator).scores
            )

        trained = train(
            model,
            loss,
            config.schedule,
            measure=measure if held_out is not None else None,
            time_is_up=lambda: held_out is not None and context.time_is_up(),
            stop_after=steps,
            name=f"{' and '.join(names)}: τ {tau:g}",
            progress=context.progress,
            generator=rng,
            files=context.files(config, *(member.config for member in members)),
        )
    return _Trial(trained.best or 0.0, kernels(trained.steps))


def _prepared(agent: Agent, config: TogetherConfig) -> JointAgent:
    """Return an agent with its settings for joint training."""
    if not _can_join(agent):
        raise ConfigError(
            "this agent has no steps that others could share: it is solved in closed form, or "
            "stops by items of its own",
            value=agent.name,
            remedy=f"Name others in [together] agents, {_OR_ALONE}",
        )
    settings: Any = agent.config
    default: Any = type(settings)()
    given = settings.schedule.model_dump(exclude_unset=True)
    other = any(getattr(config.schedule, name) != value for name, value in given.items())
    if settings.schedule != default.schedule and other:
        _refuse(agent.name, "schedule", "have one schedule", "[together.schedule]")
    if (getattr(settings, "ensemble", None) or 1) > 1:
        _refuse(agent.name, "ensemble", "are no ensembles", "ensemble = 1")
    changed: dict[str, Any] = {}
    if config.share_inputs:
        for name in {"embedding_dim", "text_dim"} & set(type(settings).model_fields):
            if getattr(settings, name) not in (getattr(default, name), config.embedding_dim):
                _refuse(agent.name, name, "have vectors of one size", "[together] embedding_dim")
            changed[name] = config.embedding_dim
    if hasattr(settings, "sample"):  # the cached convolution of a sample belongs to one network
        changed["sample"] = settings.sample.model_copy(update={"max_edges": sys.maxsize})
    kind: Any = type(agent)
    member: JointAgent = kind(settings.model_copy(update=changed))
    return member


def _can_join(agent: Agent) -> TypeGuard[JointAgent]:
    return hasattr(agent, "problem")


def _refuse(agent: str, setting: str, rule: str, instead: str) -> None:
    raise ConfigError(
        f"agents that learn together {rule}",
        value=f"{agent}: {setting}",
        remedy=f"Leave it as it is and set {instead}, {_OR_ALONE}",
    )
