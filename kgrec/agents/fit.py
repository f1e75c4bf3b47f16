"""Fitting a team: one agent after another, the coordinator, then, if asked, again on all."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from kgrec.agents.base import Agent, Encode, FitContext, NothingToLearnError
from kgrec.agents.coordinator import Coordinator, CoordinatorConfig, choose_weights
from kgrec.agents.kernel import Kernel
from kgrec.agents.registry import AGENTS, build_agent
from kgrec.agents.team import Team
from kgrec.config import FrozenModel
from kgrec.data.dataset import Dataset, FloatArray, Interactions
from kgrec.errors import ConfigError, ModelError
from kgrec.evaluation.validation import Validation
from kgrec.progress import SILENT, Progress


class TeamConfig(FrozenModel):
    """Who is in the team and how it learns.

    Attributes:
        agents: names from the registry.
        settings: settings of agents by name; what is not named keeps its default.
        seed: fixes every random draw.
        device: "cpu", or "cuda" for the GPU.
        refit: after choosing on the validation part, learn once more from train and validation.
    """

    agents: tuple[str, ...] = Field(default=tuple(AGENTS), min_length=1)
    settings: dict[str, dict[str, Any]] = Field(default_factory=dict)
    coordinator: CoordinatorConfig = CoordinatorConfig()
    seed: int = 2024
    device: str = "cpu"
    refit: bool = False


def fit_team(
    train: Dataset,
    validation: Interactions | None,
    config: TeamConfig | None = None,
    *,
    encode: Encode | None = None,
    progress: Progress = SILENT,
) -> Team:
    """Fit agents and coordinator.

    Args:
        train: catalogue, facts, texts and interactions.
        validation: held-out interactions of the same users, for every choice; None takes the
            settings that agents know to be sound and weighs them alike.
        config: who is in the team.
        encode: turns texts into unit vectors; the default is `kgrec.text.encoder.encode`.

    Raises:
        ConfigError: an agent, a setting or the device is unknown.
        ModelError: no agent finds anything to learn from.
    """
    config = config or TeamConfig()
    check_device(config.device)
    agents = [build_agent(name, config.settings.get(name)) for name in config.agents]
    context = FitContext(
        train, validation, config.seed, config.device, progress, encode or _encode_lazily
    )
    seconds: dict[str, float] = {}
    skipped: dict[str, str] = {}
    kernels = _fit_all(agents, context, seconds, skipped)
    weights, measured = _weigh(kernels, context, config)
    resolved = [_resolved(agent, kernels) for agent in agents if agent.name not in skipped]
    if config.refit and validation is not None:
        heard = [agent for agent in resolved if weights[_index(kernels, agent.name)] > 0]
        again = _fit_all(heard, context.refit(), seconds, {})
        weights = [weights[_index(kernels, kernel.agent)] for kernel in again]
        chosen = {kernel.agent: kernel.chosen for kernel in kernels}
        kernels = [_with_chosen(kernel, chosen[kernel.agent]) for kernel in again]
    settings = {agent.name: agent.config.model_dump(mode="json") for agent in resolved}
    dumped = config.model_dump(mode="json") | {"settings": settings}
    metrics = {
        "objective": config.coordinator.objective.model_dump(),
        "validation": measured,
        "weights": {k.agent: w for k, w in zip(kernels, weights, strict=True)},
        "chosen": {kernel.agent: dict(kernel.chosen) for kernel in kernels},
        "skipped": skipped,
        "seconds": seconds,
        "refit": config.refit and validation is not None,
    }
    return Team(train.items, tuple(kernels), Coordinator(weights), dumped, metrics)


def check_device(device: str) -> None:
    """Raise ConfigError unless torch can use the device."""
    if device == "cpu":
        return
    import torch

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError):
        raise ConfigError(
            "this machine or this installation of torch lacks the device",
            value=device,
            remedy="Use cpu, or install a torch that is built for the GPU.",
        ) from None


def _fit_all(
    agents: Sequence[Agent], context: FitContext, seconds: dict[str, float], skipped: dict[str, str]
) -> list[Kernel]:
    kernels = []
    for agent in agents:
        begun = time.perf_counter()
        try:
            kernels.append(agent.fit(context))
        except NothingToLearnError as error:
            skipped[agent.name] = str(error)
        spent = time.perf_counter() - begun
        seconds[agent.name] = round(seconds.get(agent.name, 0.0) + spent, 3)
    if not kernels:
        raise ModelError(
            "no agent finds anything to learn from",
            value="; ".join(skipped.values()),
            remedy="Give interactions, facts or texts.",
        )
    return kernels


def _weigh(
    kernels: Sequence[Kernel], context: FitContext, config: TeamConfig
) -> tuple[list[float], dict[str, float]]:
    held_out = context.validation if context.validation is not None else Interactions.empty()
    objective = config.coordinator.objective
    validation = Validation(context.train.matrix(), held_out, objective, seed=config.seed)
    return choose_weights(kernels, validation, config.coordinator, context.progress)


def _resolved(agent: Agent, kernels: Sequence[Kernel]) -> Agent:
    settings = agent.config.model_dump() | dict(kernels[_index(kernels, agent.name)].chosen)
    return build_agent(agent.name, settings)


def _with_chosen(kernel: Kernel, chosen: Any) -> Kernel:
    from dataclasses import replace

    return replace(kernel, chosen=chosen)


def _index(kernels: Sequence[Kernel], name: str) -> int:
    return next(row for row, kernel in enumerate(kernels) if kernel.agent == name)


def _encode_lazily(texts: Sequence[str]) -> FloatArray:
    from kgrec.text.encoder import encode

    return encode(texts)
