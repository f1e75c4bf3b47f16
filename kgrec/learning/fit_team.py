"""Fitting a team: the agents, the coordinator and, where set, a second fit on all data."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kgrec.data.dataset import Dataset, FloatArray, IntArray, Interactions
from kgrec.errors import ConfigError, KGRecError, ModelError
from kgrec.learning.agent import (
    Agent,
    Averaging,
    Encode,
    FitContext,
    NothingToLearnError,
    with_settings,
)
from kgrec.learning.blending.blend import Choice, choose_among
from kgrec.learning.blending.search import SettingsSearch
from kgrec.learning.knowledge_features import knowledge_index
from kgrec.learning.profile import context_priors, learn_profile
from kgrec.learning.registry import build_agent
from kgrec.learning.sentence_vectors import memoised
from kgrec.learning.team_config import (
    TeamConfig,
    TogetherConfig,
    check_agents,
    check_device,
    encoder_content,
    encoder_of,
)
from kgrec.model.coordinator import Coordinator
from kgrec.model.folding.inductive import Folding, marks_of
from kgrec.model.kernel import Kernel
from kgrec.model.ranker import Ranker
from kgrec.model.team import Team
from kgrec.progress import SILENT, Progress
from kgrec.training.workers import ALONE, Workers

logger = logging.getLogger("kgrec.learning")

_TO_TRAIN = 0.6
"""Share of a time budget after which trainings end; the rest is for the choices and the search."""
_TO_TRAIN_TWICE = 0.3
"""The same where all is fitted again, for as many steps, when everything is chosen."""


def fit_team(
    train: Dataset,
    validation: Interactions | None,
    config: TeamConfig | None = None,
    *,
    given: Interactions | None = None,
    requested: IntArray | None = None,
    unwanted: Interactions | None = None,
    fitted: dict[str, Kernel] | None = None,
    encode: Encode | None = None,
    progress: Progress = SILENT,
    workers: Workers = ALONE,
    logs: Path | None = None,
    checkpoints: Path | None = None,
) -> Team:
    """Fit agents and coordinator; an agent with share 0 occurs in the `metrics` alone.

    An agent that cannot be fitted does not stop the others; it is under `failed` in the metrics,
    with the reason, as is an agent that was fitted without texts because the encoder failed.

    Args:
        train: catalogue, facts, texts and interactions.
        validation: held-out interactions, for every choice; None means the
            agents' defaults and equal shares.
        config: the agents of the team and their settings.
        given: histories, beside `train`, of users without interactions in the training data.
        requested: query times of `validation`, int64 [U]; see `FitContext`.
        unwanted: held-out interactions, beside `validation`, that reject their item.
        fitted: kernels by agent that were fitted on the same data with the same settings and are
            reused; new kernels are added.
        encode: text encoder, float32 [N, D] unit rows; the default is `encoder_of(config)`.
        workers: the processes that fit together; all return the same team.
        logs: folder for a log of every training.
        checkpoints: folder for checkpoints, from which a killed training resumes.

    Raises:
        ConfigError: an agent, a setting or the device is unknown.
        ModelError: no agent can be fitted, or none finds anything to learn from.
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
        memoised(encode or encoder_of(config, progress=progress)),
        Interactions.empty() if given is None else given,
        workers,
        logs,
        checkpoints,
        requested,
        partial(encoder_content, config),
        unwanted=Interactions.empty() if unwanted is None else unwanted,
    )
    begun, log = time.perf_counter(), _Log()
    if config.budget is not None and validation is not None:
        share = _TO_TRAIN_TWICE if config.refit else _TO_TRAIN
        context = replace(context, until=begun + share * config.budget)
    kernels = _fit_all(agents, context, log, {} if fitted is None else fitted, config.together)
    _check_any(kernels, log)
    choose = partial(
        choose_among,
        context=context,
        team=config.coordinator,
        ranker=config.ranker,
        rejection=config.rejection,
        contexts=config.contexts,
    )
    choice, searched = _searched(agents, choose(kernels), choose, context, config, log, begun)
    choice = _averaged(agents, choice, choose, context, log, {} if fitted is None else fitted)
    resolved = _all_resolved(agents, choice)
    active = [kernel for kernel in choice.kernels if choice.weights[kernel.agent] > 0]
    known, refit = context, config.refit and validation is not None
    if refit:
        known = context.refit()
        active = _refitted(active, choice.kernels, resolved, known, log, config.together)
    profile, declared = learn_profile(context, config.profile)
    if refit and profile is not None:
        settled = {name: (declared[name],) for name in ("smoothing", "strength")}
        profile, _ = learn_profile(known, config.profile.model_copy(update=settled))
    settings = {name: agent.config.model_dump(mode="json") for name, agent in resolved.items()}
    shares = [choice.weights[kernel.agent] for kernel in active]
    ranker = choice.ranker(known)
    return Team(
        train.items,
        tuple(active),
        Coordinator(shares, choice.coordinator.gate),
        config.model_dump(mode="json") | {"settings": settings},
        _metrics(choice, log) | {"search": searched, "refit": refit, "profile": declared},
        ranker,
        profile,
        _folding(active, known.train, ranker),
        rejection=choice.rejection,
        contexts=context_priors(known.train, choice.contexts, config.contexts),
    )


def _folding(kernels: Sequence[Kernel], train: Dataset, ranker: Ranker | None) -> Folding | None:
    """Return what items that come later are folded in by; None where no agent can speak of one."""
    formulas = {k.agent: k.inductive for k in kernels if k.inductive is not None}
    if not formulas:
        return None
    mean = 0.0
    if ranker is not None and ranker.ratings is not None:
        done = train.interactions
        mean = float(done.value[done.kind == ranker.ratings.kind].mean(dtype=np.float64))
    return Folding(knowledge_index(train), formulas, mean, tuple(marks_of(train)))


def _searched(
    agents: Sequence[Agent],
    choice: Choice,
    choose: Callable[[Sequence[Kernel]], Choice],
    context: FitContext,
    config: TeamConfig,
    log: _Log,
    begun: float,
) -> tuple[Choice, dict[str, Any]]:
    """Search settings, where there is a budget and a validation part; also return the trials."""
    if config.budget is None or context.held_out(choice.objective) is None:
        return choice, {}
    # Trials write neither logs nor checkpoints: these are keyed by the settings of the first fit.
    until = begun + config.budget
    fit = partial(_fitted, context=replace(context, logs=None, checkpoints=None, until=until))
    joined = _joined(choice.kernels)
    alone = [agent for agent in agents if agent.name not in joined]
    search = SettingsSearch(alone, choice, log.seconds, context, fit, config.search)
    return search.improve(choose, until, refit=config.refit)


def _averaged(
    agents: Sequence[Agent],
    choice: Choice,
    choose: Callable[[Sequence[Kernel]], Choice],
    context: FitContext,
    log: _Log,
    fitted: dict[str, Kernel],
) -> Choice:
    """Average what agents with a share learned over several seeds, and choose again for these."""
    resolved, kernels = _all_resolved(agents, choice), list(choice.kernels)
    joined = _joined(kernels)
    for place, kernel in enumerate(choice.kernels):
        agent, name = resolved[kernel.agent], kernel.agent
        idle = not choice.weights[name] or name in joined or context.time_is_up()
        if idle or not isinstance(agent, Averaging):
            continue
        begun = time.perf_counter()
        try:
            kernels[place] = fitted[name] = agent.averaged(kernel, log.encoding(context, name))
        except ModelError as error:  # what it learned from one seed is still there
            log.fail(name, error)
        log.spent(name, time.perf_counter() - begun)
    changed = any(one is not other for one, other in zip(kernels, choice.kernels, strict=True))
    return choose(kernels) if changed else choice


def _all_resolved(agents: Sequence[Agent], choice: Choice) -> dict[str, Agent]:
    """Return the agents with a kernel, with the settings that were chosen, by name."""
    chosen = {kernel.agent: dict(kernel.chosen) for kernel in choice.kernels}
    return {agent.name: _resolved(agent, chosen) for agent in agents if agent.name in chosen}


def _metrics(choice: Choice, log: _Log) -> dict[str, Any]:
    """Return metrics and chosen settings, as plain values."""
    return {
        "objective": choice.objective.model_dump(),
        "validation": choice.measured,
        "weights": choice.weights,
        "gate": choice.coordinator.gate is not None,
        "ranker": choice.reordered,
        "rejection": choice.rejected,
        "contexts": {field: dict(each) for field, each in choice.contexts.items()},
        "chosen": {kernel.agent: dict(kernel.chosen) for kernel in choice.kernels},
        "notes": {kernel.agent: dict(kernel.notes) for kernel in choice.kernels if kernel.notes},
        "skipped": log.skipped,
        "failed": log.failed,
        "seconds": log.seconds,
    }


@dataclass
class _Log:
    """Seconds spent on each agent, and failures.

    Attributes:
        skipped: agents that found nothing to learn from, with the reason.
        failed: agents that could not be fitted, or not as they should be, with the reason.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def spent(self, agent: str, seconds: float) -> None:
        self.seconds[agent] = round(self.seconds.get(agent, 0.0) + seconds, 3)

    def fail(self, agent: str, error: Exception) -> None:
        """Record a failure; its traceback goes to the log."""
        logger.warning("agent %s failed", agent, exc_info=error)
        self.failed[agent] = reason_of(error)

    def encoding(self, context: FitContext, *agents: str) -> FitContext:
        """Return the context for some agents, with an encoder that records its failures.

        An agent that does not need texts would be fitted without them silently.
        """
        encode = context.encode
        if encode is None:
            return context

        def recording(texts: Sequence[str]) -> FloatArray:
            try:
                return encode(texts)
            except Exception as error:
                for agent in agents:
                    self.failed[agent] = f"the text encoder failed: {reason_of(error)}"
                raise

        return replace(context, encode=recording)


def reason_of(error: Exception) -> str:
    """Return the message of an error in one line."""
    text = str(error) if isinstance(error, KGRecError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:300]


def _fit_all(
    agents: Sequence[Agent],
    context: FitContext,
    log: _Log,
    fitted: dict[str, Kernel],
    together: TogetherConfig,
) -> list[Kernel]:
    kernels = []
    _fit_joined(agents, context, log, fitted, together)
    for agent, allotted in context.allotted(agents):
        begun = time.perf_counter()
        try:
            if agent.name not in fitted:
                fitted[agent.name] = _fitted(agent, log.encoding(allotted, agent.name))
            kernels.append(fitted[agent.name])
        except NothingToLearnError as error:
            if agent.name not in log.failed:
                log.skipped[agent.name] = error.what
        except ConfigError:
            raise
        except Exception as error:
            if context.workers.world > 1:  # the other processes wait for this one in the fit
                raise
            log.fail(agent.name, error)
        log.spent(agent.name, time.perf_counter() - begun)
    return kernels


def _check_any(kernels: Sequence[Kernel], log: _Log) -> None:
    """Raise ModelError where there is no kernel."""
    if kernels:
        return
    if log.failed:
        reasons = [f"{name}: {reason}" for name, reason in (log.failed | log.skipped).items()]
        raise ModelError(
            "no agent could be fitted",
            value="; ".join(reasons),
            remedy="The reasons are above; the log has the tracebacks.",
        )
    raise ModelError(
        "no agent finds anything to learn from",
        value="; ".join(log.skipped.values()),
        remedy="Give interactions, facts or texts.",
    )


def _refitted(
    active: Sequence[Kernel],
    kernels: Sequence[Kernel],
    agents: Mapping[str, Agent],
    context: FitContext,
    log: _Log,
    together: TogetherConfig,
) -> list[Kernel]:
    """Fit the active agents again, and those with a joint loss with one of them.

    An agent that fails keeps its first kernel.
    """
    names = {kernel.agent for kernel in active}
    joined = _joined(kernels)
    if names & joined:
        names |= joined
    else:  # their first kernels had no joint loss, as where the kernel of one was reused
        together = together.model_copy(update={"use": False})
    again = [agents[kernel.agent] for kernel in kernels if kernel.agent in names]
    fitted = {kernel.agent: kernel for kernel in _fit_all(again, context, log, {}, together)}
    for kernel in active:
        if kernel.agent not in fitted:
            why = log.failed.get(kernel.agent) or log.skipped.pop(kernel.agent, "")
            log.failed[kernel.agent] = f"not fitted again on all data: {why}"
    return [replace(fitted.get(kernel.agent, kernel), chosen=kernel.chosen) for kernel in active]


def _joined(kernels: Sequence[Kernel]) -> set[str]:
    """Return the agents that were trained on a joint loss."""
    return {kernel.agent for kernel in kernels if "together" in kernel.notes}


def _fit_joined(
    agents: Sequence[Agent],
    context: FitContext,
    log: _Log,
    fitted: dict[str, Kernel],
    together: TogetherConfig,
) -> None:
    """Add the kernels of the agents with a joint loss, if any; errors are raised."""
    joined = [agent for agent in agents if agent.name in together.agents]
    if not together.use or len(joined) < 2 or any(agent.name in fitted for agent in joined):
        return
    # Imports torch, which a team of closed forms does not need.
    from kgrec.learning.joint import fit_together

    begun = time.perf_counter()
    recording = log.encoding(context, *(agent.name for agent in joined))
    try:
        kernels = context.workers.once(lambda: fit_together(joined, recording, together))
    except NothingToLearnError:  # each of them raises it again when it is fitted alone
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
