"""Fitting a team: one agent after another, the coordinator, then, if asked, again on all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from kgrec.agents.base import Agent, Encode, FitContext, NothingToLearnError
from kgrec.agents.choice import Choice, choose_among
from kgrec.agents.coordinator import Coordinator
from kgrec.agents.coordinator_training import CoordinatorConfig
from kgrec.agents.kernel import Kernel
from kgrec.agents.ranker_training import RankerConfig
from kgrec.agents.registry import AGENTS, build_agent, check_names
from kgrec.agents.search import Search, SearchConfig
from kgrec.agents.sentences import remembering
from kgrec.agents.space import with_settings
from kgrec.agents.team import Team
from kgrec.agents.together import TogetherConfig
from kgrec.config import FrozenModel, seconds_of
from kgrec.data.dataset import Dataset, FloatArray, IntArray, Interactions
from kgrec.errors import ConfigError, ModelError
from kgrec.progress import SILENT, Progress
from kgrec.text.models import SENTENCE_MODEL, content_key, resolve_transformer
from kgrec.training.workers import ALONE, Workers


class TeamConfig(FrozenModel):
    """Who is in the team and how it learns.

    Attributes:
        agents: names from the registry.
        settings: settings of agents by name; what is not named keeps its default.
        seed: fixes every random draw.
        device: "cpu", or "cuda" for the GPU.
        together: which agents learn on one loss.
        budget: seconds, or text such as "10m", in which settings of the agents are searched on the
            validation part; it is the time of the whole fit. None searches none. Agents that
            learn on one loss are left out of it.
        search: how they are searched.
        refit: after choosing on the validation part, learn once more from train and validation.
        encoder: what texts are encoded with: a folder, such as `kgrec train encoder` writes, an
            installed model's name or a hub id.
    """

    agents: tuple[str, ...] = Field(default=tuple(AGENTS), min_length=1)
    settings: dict[str, dict[str, Any]] = Field(default_factory=dict)
    coordinator: CoordinatorConfig = CoordinatorConfig()
    ranker: RankerConfig = RankerConfig()
    together: TogetherConfig = TogetherConfig()
    seed: int = Field(default=2024, ge=0, lt=2**63)
    device: str = "cpu"
    budget: Annotated[float, BeforeValidator(seconds_of)] | None = None
    search: SearchConfig = SearchConfig()
    refit: bool = False
    encoder: str = SENTENCE_MODEL


def fit_team(
    train: Dataset,
    validation: Interactions | None,
    config: TeamConfig | None = None,
    *,
    given: Interactions | None = None,
    requested: IntArray | None = None,
    fitted: dict[str, Kernel] | None = None,
    encode: Encode | None = None,
    progress: Progress = SILENT,
    workers: Workers = ALONE,
    logs: Path | None = None,
    checkpoints: Path | None = None,
) -> Team:
    """Fit agents and coordinator; who gets no share is not in the team, but in its `metrics`.

    Args:
        train: catalogue, facts, texts and interactions.
        validation: held-out interactions, for every choice; None takes the
            settings that agents know to be sound and weighs them alike.
        config: who is in the team.
        given: histories of users of whom nothing is learned, for the choices on `validation`.
        requested: when users ask for `validation`; see `FitContext`.
        fitted: kernels by agent that were fitted on the same data with the same settings, which
            are taken as they are; those that are fitted here are added.
        encode: turns texts into unit vectors; the default is `encoder_of(config)`.
        workers: the processes that fit together; all return the same team.
        logs: folder that takes a log of every training.
        checkpoints: folder that takes the state of every training; one that was killed goes on
            from there.

    Raises:
        ConfigError: an agent, a setting or the device is unknown.
        ModelError: no agent finds anything to learn from.
    """
    config = config or TeamConfig()
    check_device(config.device)
    check_agents(config)
    agents = [build_agent(name, config.settings.get(name)) for name in dict.fromkeys(config.agents)]
    context = FitContext(
        train,
        validation,
        config.seed,
        config.device,
        progress,
        remembering(encode or encoder_of(config, progress=progress)),
        Interactions.empty() if given is None else given,
        workers,
        logs,
        checkpoints,
        requested,
        partial(encoder_content, config),
    )
    begun, log = time.perf_counter(), _Log()
    kernels = _fit_all(agents, context, log, {} if fitted is None else fitted, config.together)
    choose = partial(choose_among, context=context, team=config.coordinator, ranker=config.ranker)
    choice, searched = _searched(agents, choose(kernels), choose, context, config, log, begun)
    chosen = {kernel.agent: dict(kernel.chosen) for kernel in choice.kernels}
    resolved = {agent.name: _resolved(agent, chosen) for agent in agents if agent.name in chosen}
    heard = [kernel for kernel in choice.kernels if choice.weights[kernel.agent] > 0]
    known, refit = context, config.refit and validation is not None
    if refit:
        known = context.refit()
        heard = _refitted(heard, choice.kernels, resolved, known, log, config.together)
    settings = {name: agent.config.model_dump(mode="json") for name, agent in resolved.items()}
    shares = [choice.weights[kernel.agent] for kernel in heard]
    return Team(
        train.items,
        tuple(heard),
        Coordinator(shares, choice.coordinator.gate),
        config.model_dump(mode="json") | {"settings": settings},
        _told(choice, log) | {"search": searched, "refit": refit},
        choice.ranker(known),
    )


def _searched(
    agents: Sequence[Agent],
    choice: Choice,
    choose: Callable[[Sequence[Kernel]], Choice],
    context: FitContext,
    config: TeamConfig,
    log: _Log,
    begun: float,
) -> tuple[Choice, dict[str, Any]]:
    """Search settings, where there is a budget and something to choose by; say what was tried."""
    if config.budget is None or context.held_out(choice.objective) is None:
        return choice, {}
    # Trials leave neither logs nor checkpoints, which are those of the fit that they change.
    fit = partial(_fitted, context=replace(context, logs=None, checkpoints=None))
    joined = _joined(choice.kernels)
    alone = [agent for agent in agents if agent.name not in joined]
    search = Search(alone, choice, log.seconds, context, fit, config.search)
    return search.improve(choose, begun + config.budget, refit=config.refit)


def _told(choice: Choice, log: _Log) -> dict[str, Any]:
    """Return what was measured and chosen, as plain values."""
    return {
        "objective": choice.objective.model_dump(),
        "validation": choice.measured,
        "weights": choice.weights,
        "gate": choice.coordinator.gate is not None,
        "ranker": choice.reordered,
        "chosen": {kernel.agent: dict(kernel.chosen) for kernel in choice.kernels},
        "notes": {kernel.agent: dict(kernel.notes) for kernel in choice.kernels if kernel.notes},
        "skipped": log.skipped,
        "seconds": log.seconds,
    }


@dataclass
class _Log:
    """Seconds spent on each agent, and why one of them was left out."""

    seconds: dict[str, float] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def spent(self, agent: str, seconds: float) -> None:
        self.seconds[agent] = round(self.seconds.get(agent, 0.0) + seconds, 3)


def check_agents(config: TeamConfig) -> None:
    """Raise ConfigError for an agent, or a setting of one, that there is not."""
    together = config.together
    check_names([*config.agents, *config.settings, *(config.coordinator.weights or {})])
    check_names([*together.agents, *(together.shares or {})])
    for name, settings in config.settings.items():
        build_agent(name, settings)


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
    agents: Sequence[Agent],
    context: FitContext,
    log: _Log,
    fitted: dict[str, Kernel],
    together: TogetherConfig,
) -> list[Kernel]:
    kernels = []
    _fit_joined(agents, context, log, fitted, together)
    for agent in agents:
        begun = time.perf_counter()
        try:
            if agent.name not in fitted:
                fitted[agent.name] = _fitted(agent, context)
            kernels.append(fitted[agent.name])
        except NothingToLearnError as error:
            log.skipped[agent.name] = error.what
        log.spent(agent.name, time.perf_counter() - begun)
    if not kernels:
        raise ModelError(
            "no agent finds anything to learn from",
            value="; ".join(log.skipped.values()),
            remedy="Give interactions, facts or texts.",
        )
    return kernels


def _refitted(
    heard: Sequence[Kernel],
    kernels: Sequence[Kernel],
    agents: Mapping[str, Agent],
    context: FitContext,
    log: _Log,
    together: TogetherConfig,
) -> list[Kernel]:
    """Fit those who are heard once more; who learned together with one of them learns along."""
    names = {kernel.agent for kernel in heard}
    joined = _joined(kernels)
    if names & joined:
        names |= joined
    else:  # none of them did when they were chosen, as where a kernel of one was given
        together = together.model_copy(update={"use": False})
    again = [agents[kernel.agent] for kernel in kernels if kernel.agent in names]
    fitted = {kernel.agent: kernel for kernel in _fit_all(again, context, log, {}, together)}
    return [replace(fitted[kernel.agent], chosen=kernel.chosen) for kernel in heard]


def _joined(kernels: Sequence[Kernel]) -> set[str]:
    """Return the agents that learned on one loss."""
    return {kernel.agent for kernel in kernels if "together" in kernel.notes}


def _fit_joined(
    agents: Sequence[Agent],
    context: FitContext,
    log: _Log,
    fitted: dict[str, Kernel],
    together: TogetherConfig,
) -> None:
    """Add the kernels of the agents that learn together, where there are such."""
    joined = [agent for agent in agents if agent.name in together.agents]
    if not together.use or len(joined) < 2 or any(agent.name in fitted for agent in joined):
        return
    # What learns together brings torch, which a team of closed forms does without.
    from kgrec.agents.joint_training import fit_together

    begun = time.perf_counter()
    try:
        kernels = context.workers.once(lambda: fit_together(joined, context, together))
    except NothingToLearnError:  # which each of them says of itself when it learns alone
        return
    spent = time.perf_counter() - begun
    for kernel in kernels:
        fitted[kernel.agent] = kernel
        log.spent(kernel.agent, spent / len(kernels))


def _fitted(agent: Agent, context: FitContext) -> Kernel:
    if getattr(agent, "shares_batches", False):
        return agent.fit(context)
    return context.workers.once(lambda: agent.fit(context))


def _resolved(agent: Agent, chosen: Mapping[str, Mapping[str, float | int]]) -> Agent:
    return build_agent(agent.name, with_settings(agent.config.model_dump(), chosen[agent.name]))


def encoder_content(config: TeamConfig) -> str:
    """Say what texts are encoded with: the same folder may hold another model by now."""
    found = resolve_transformer(config.encoder)
    return f"{found.source} {found.name} {content_key(found)}"


def encoder_of(
    config: TeamConfig, *, cache_dir: Path | None = None, progress: Progress = SILENT
) -> Encode:
    """Return the text encoder of a team; it is loaded when it is first used.

    Args:
        cache_dir: where vectors are kept; None keeps none.

    Raises:
        ModelError: the folder that the settings name holds no model.
    """
    resolve_transformer(config.encoder)

    def encode(texts: Sequence[str]) -> FloatArray:
        # The encoder brings transformers, which not every team asks for.
        from kgrec.text.encoder import encode as encode_texts

        return encode_texts(
            texts,
            model=config.encoder,
            cache_dir=cache_dir,
            device=config.device,
            progress=progress,
        )

    return encode
