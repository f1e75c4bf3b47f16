"""Learning of the coordinator: shares for all users, or from the user state by a gate.

Shares are chosen on the validation part. A gate is kept where it is better by more than noise; an
agent that does not help gets share 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.data.dataset import FloatArray, IntArray
from kgrec.learning.blending.shortlists import AgentScores
from kgrec.metrics.ranking import Values
from kgrec.metrics.validation import Objective, Validation
from kgrec.model.coordinator import Coordinator, Floats
from kgrec.model.gate import Gate, user_state, with_one
from kgrec.model.kernel import Kernel
from kgrec.progress import SILENT, Progress


class GateConfig(FrozenModel):
    """Settings of the gate.

    Attributes:
        use: `auto` keeps a gate where it beats fixed weights in cross-validation; `always` and
            `never` skip that test.
        ridges: candidate weights of the distance from the fixed weights; the best is kept.
        folds: folds of the validation users, each measured by a gate learned on the others.
        probes: number of items on which the agreement of agents is measured.
        candidates: best items of each agent, the negatives of the targets.
        floor: minimum initial share of an agent in the gate, where its fixed share is lower.
        least_users: minimum number of validation users for a gate.
        most_users: number of them that it is learned on at most; beyond it they are sampled.
        standard_errors: minimum gain over fixed weights, in standard errors of the paired
            difference between users.
    """

    use: Literal["auto", "always", "never"] = "auto"
    ridges: tuple[Annotated[float, Field(gt=0)], ...] = Field(default=(0.003, 0.03), min_length=1)
    folds: int = Field(default=5, ge=2)
    probes: int = Field(default=128, ge=2)
    candidates: int = Field(default=50, ge=1)
    floor: float = Field(default=0.05, gt=0, lt=1)
    least_users: int = Field(default=200, ge=10)
    most_users: int = Field(default=2000, ge=10)
    standard_errors: float = Field(default=1.0, ge=0)


class CoordinatorConfig(FrozenModel):
    """Settings of the coordinator.

    Attributes:
        weights: weight of each agent by name; None chooses them on the validation part.
        shares: candidate shares of an agent that is added to the mixture.
        standard_errors: minimum gain of a mixture over the simpler one, in standard errors of the
            paired difference between users. A mixture is expected to gain, so half of one is
            enough.
        gate: settings of the gate.
    """

    weights: dict[str, Annotated[float, Field(ge=0)]] | None = None
    shares: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = tuple(n / 10 for n in range(1, 10))
    standard_errors: float = Field(default=0.5, ge=0)
    gate: GateConfig = GateConfig()
    objective: Objective = Objective()


def choose_coordinator(
    kernels: Sequence[Kernel],
    validation: Validation | None,
    config: CoordinatorConfig,
    *,
    seed: int = 2024,
    progress: Progress = SILENT,
) -> tuple[Coordinator, dict[str, float]]:
    """Choose fixed weights, then, where it helps, a gate over the active agents.

    Returns:
        the coordinator, and the metric on the validation part of each agent alone, of `fixed`
        weights and of the `team`; with a gate, the last is cross-validated.
    """
    if validation is None or not len(validation) or config.weights is not None:
        return Coordinator(choose_weights(kernels, None, config)[0]), {}
    given = AgentScores.of(kernels, validation, seed=seed, progress=progress)
    weights, measured = choose_weights(kernels, given, config, progress)
    fixed = Coordinator(weights)
    measured["fixed"] = measured["team"]
    enough = len(validation) >= config.gate.least_users and len(kernels) > 1
    if config.gate.use == "never" or not enough:
        return fixed, measured
    few = validation.sample(config.gate.most_users, seed)
    if few is not validation:
        given = AgentScores.of(kernels, few, seed=seed, progress=progress)
    chosen, value = _Gating(kernels, few, given, config, seed).choose(fixed, progress)
    return chosen, measured if chosen is fixed else measured | {"team": value}


class _Gating:
    """Learns gates and cross-validates them over users."""

    def __init__(
        self,
        kernels: Sequence[Kernel],
        validation: Validation,
        given: AgentScores,
        config: CoordinatorConfig,
        seed: int,
    ) -> None:
        self._config, self._validation, self._given, self._seed = config, validation, given, seed
        histories, rng = validation.histories, np.random.default_rng(seed)
        number = min(config.gate.probes, kernels[0].num_items)
        self._probes = rng.permutation(kernels[0].num_items)[:number].astype(np.int64)
        self._spreads = np.stack([kernel.spread(histories) for kernel in kernels])
        probed = np.stack([kernel.over(self._probes).scores(histories) for kernel in kernels])
        self._probed = probed.astype(np.float64)
        self._fold = rng.permutation(len(validation)) % config.gate.folds

    def choose(self, fixed: Coordinator, progress: Progress) -> tuple[Coordinator, float]:
        """Return the best coordinator and its metric; `fixed` where no gate is better.

        A gate starts at the fixed weights, or at weights with a floor, so that inactive agents can
        become active for some users.
        """
        gate = self._config.gate
        floored = np.maximum(fixed.weights, gate.floor)
        begins = [floored / floored.sum()]
        if len(fixed.active) > 1:
            begins.append(fixed.weights)
        everybody = np.ones(len(self._validation), dtype=np.bool_)
        plain = self._measured(fixed.weights, np.zeros(self._spreads.shape))
        tried: list[tuple[Floats, float, Values]] = []
        with progress.task("learn the gate", len(begins) * len(gate.ridges) * gate.folds) as task:
            for weights in begins:
                for ridge in gate.ridges:
                    logits = np.zeros(self._spreads.shape)
                    for fold in range(gate.folds):
                        unseen = self._fold == fold
                        learned = self._learn(weights, ~unseen, ridge)
                        active, state = self._state(weights)
                        logits[np.ix_(active, unseen)] = learned.logits(state[unseen])
                        task.advance()
                    tried.append((weights, ridge, self._measured(weights, logits)))
        weights, ridge, values = max(tried, key=lambda each: float(each[2].mean()))
        gain = values - plain
        noise = gain.std() / np.sqrt(len(gain))
        needed = gate.standard_errors * noise
        if gate.use == "auto" and gain.mean() <= needed:
            return fixed, float(plain.mean())
        learned = self._learn(weights, everybody, ridge)
        return Coordinator([float(w) for w in weights], learned), float(values.mean())

    def _state(self, weights: Floats) -> tuple[NDArray[np.intp], Floats]:
        active = np.flatnonzero(weights > 0)
        histories = self._validation.histories
        return active, user_state(histories, self._spreads[active], self._probed[active])

    def _learn(self, weights: Floats, users: NDArray[np.bool_], ridge: float) -> Gate:
        active, state = self._state(weights)
        return learn_gate(
            weights[active],
            [self._given.scores[k][users] for k in active],
            state[users],
            self._given.truth[users],
            self._probes,
            ridge=ridge,
            candidates=self._config.gate.candidates,
            seed=self._seed,
        )

    def _measured(self, weights: Floats, logits: Floats) -> Values:
        shares = weights[:, None] * np.exp(logits)
        shares /= shares.sum(axis=0)
        mixed = np.zeros_like(self._given.scores[0])
        for share, scores in zip(shares, self._given.scores, strict=True):
            if share.any():
                mixed += share.astype(np.float32)[:, None] * scores
        return self._given.per_user(mixed)


def choose_weights(
    kernels: Sequence[Kernel],
    given: AgentScores | None,
    config: CoordinatorConfig,
    progress: Progress = SILENT,
) -> tuple[list[float], dict[str, float]]:
    """Choose the weights by forward selection on the validation part.

    Starts with the best agent alone, then adds the agent and share that help most, as long as the
    gain is more than noise (Caruana et al. 2004,
    "Ensemble Selection from Libraries of Models", with shares in place of repeats).

    Args:
        given: scores of the validation users by `kernels`; None means equal weights.

    Returns:
        weights in the order of `kernels`, summing to one, and the metric of each agent alone and
        of the `team`.
    """
    names = [kernel.agent for kernel in kernels]
    if config.weights is not None:
        return _normalised(config.weights, names), {}
    if given is None:
        return [1.0 / len(kernels)] * len(kernels), {}
    scores, alone = given.scores, [given.per_user(each.copy()) for each in given.scores]
    with progress.task("weigh the agents", len(kernels) - 1) as task:
        best = int(np.argmax([values.mean() for values in alone]))
        weights = np.zeros(len(kernels))
        weights[best] = 1.0
        mixed, values = scores[best], alone[best]
        while (step := _best_step(given, mixed, values, weights, config)) is not None:
            agent, share, values = step
            mixed = (1 - share) * mixed + share * scores[agent]
            weights *= 1 - share
            weights[agent] = share
            task.advance()
            task.describe(f"{config.objective.metric} {values.mean():.4f}")
    report = {name: float(each.mean()) for name, each in zip(names, alone, strict=True)}
    return [float(weight) for weight in weights], {**report, "team": float(values.mean())}


def _best_step(
    given: AgentScores,
    mixed: FloatArray,
    values: Values,
    weights: NDArray[np.float64],
    config: CoordinatorConfig,
) -> tuple[int, float, Values] | None:
    best: tuple[int, float, Values] | None = None
    for agent in map(int, np.flatnonzero(weights == 0)):
        for share in config.shares:
            mixture = (1 - share) * mixed + share * given.scores[agent]
            tried = given.per_user(mixture.astype(np.float32))
            if best is None or tried.mean() > best[2].mean():
                best = agent, share, tried
    if best is None:
        return None
    gain = best[2] - values
    noise = gain.std() / np.sqrt(len(gain))
    return best if gain.mean() > config.standard_errors * noise else None


def _normalised(named: Mapping[str, float], names: Sequence[str]) -> list[float]:
    weights = np.array([named.get(name, 0.0) for name in names])
    if not weights.sum():
        weights = np.ones(len(names))
    return [float(weight) for weight in weights / weights.sum()]


def learn_gate(
    weights: Floats,
    scores: Sequence[FloatArray],
    state: Floats,
    targets: sp.csr_matrix,
    probes: IntArray,
    *,
    ridge: float,
    candidates: int,
    seed: int,
) -> Gate:
    """Learn a gate by a softmax over candidates: the agents' best items and the targets.

    Args:
        weights: fixed weights of the agents, [A], positive.
        scores: standardised scores of each agent, float32 [B, I] each, seen items far below all.
        state: user states, float64 [B, F].
        targets: held-out items of the users, CSR [B, I].
        probes: see `Gate`.
        ridge: weight of the squared distance from the fixed weights.
        candidates: best items of each agent, the negatives of the targets.
        seed: seed of the few random candidates.
    """
    import torch

    mean, deviation = state.mean(axis=0), state.std(axis=0)
    scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 1e-6)
    empty = Gate(probes, mean, scale, np.zeros((len(weights), state.shape[1] + 1)))
    chosen = _candidates(scores, targets, candidates, np.random.default_rng(seed))  # [B, C]
    picked = np.stack([np.take_along_axis(each, chosen, axis=1) for each in scores])
    picked = np.maximum(picked, -30.0)
    right = np.take_along_axis(np.asarray(targets.todense()), chosen, axis=1) > 0
    z = torch.from_numpy(picked.astype(np.float32))  # [A, B, C]
    x = torch.from_numpy(with_one(empty.standard(state)).astype(np.float32))  # [B, F + 1]
    y = torch.from_numpy(right / np.maximum(right.sum(axis=1, keepdims=True), 1))
    base = torch.from_numpy(np.log(np.maximum(weights, 1e-12)))[:, None]
    g = torch.zeros(empty.weight.shape, dtype=torch.float64, requires_grad=True)
    sharpness = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [g, sharpness], max_iter=60, line_search_fn="strong_wolfe", history_size=10
    )

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        shares = torch.softmax(base + g @ x.double().T, dim=0)  # [A, B]
        mixed = (shares.float()[:, :, None] * z).sum(dim=0) * sharpness.exp().float()  # [B, C]
        loss = -(y * torch.log_softmax(mixed, dim=1)).sum(dim=1).mean().double()
        loss = loss + ridge * (g**2).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return Gate(probes, mean, scale, g.detach().numpy())


def _candidates(
    scores: Sequence[FloatArray], targets: sp.csr_matrix, number: int, rng: np.random.Generator
) -> IntArray:
    """Return rows of items, int64 [B, C]: the best of each agent, random ones, the targets.

    An item may occur twice; it then counts twice for all agents alike, which is harmless.
    """
    num_users, num_items = scores[0].shape
    size = min(number, num_items)
    parts = [np.argpartition(-each, size - 1, axis=1)[:, :size] for each in scores]
    parts.append(rng.integers(num_items, size=(num_users, size)))
    most = int(np.diff(targets.indptr).max(initial=1))
    wanted = np.full((num_users, most), -1, dtype=np.int64)
    owner = np.repeat(np.arange(num_users), np.diff(targets.indptr))
    place = np.arange(targets.nnz) - np.repeat(targets.indptr[:-1], np.diff(targets.indptr))
    wanted[owner, place] = targets.indices
    # Rows of users with fewer targets are padded with arbitrary items.
    wanted = np.where(wanted < 0, parts[-1][:, :1], wanted)
    return np.hstack([*parts, wanted]).astype(np.int64)
