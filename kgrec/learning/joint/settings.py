"""What agents must agree on to learn together, of what each was configured with.

All of them learn from the same hidden edges in the same steps, so that these settings are one for
all; what only one of them names holds for the others too. A setting that cannot be heeded is
refused before anything is learned, and one that nobody changed never is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from pydantic import BaseModel

from kgrec.errors import ConfigError
from kgrec.learning.agent import Agent, FitContext
from kgrec.learning.link_prediction.batches import Budget, SampleConfig
from kgrec.learning.link_prediction.problem import HiddenEdges, HiddenEdgesConfig
from kgrec.learning.search_space import setting_of, with_settings
from kgrec.learning.team_config import TogetherConfig

SHARED = frozenset({"steps", "kappa", "drop", "cold", "max_cells", "loss", "objective"})
SIZES = ("embedding_dim", "text_dim")
_OR_ALONE = "or let each learn alone ([together] use = false)."
OTHER_LOSSES = ("loss.kind", "loss.hard_negatives", "loss.smoothing")


class HidesEdges(Agent, Protocol):
    """An agent that learns by predicting hidden edges."""

    @property
    def config(self) -> HiddenEdgesConfig:
        """The settings."""

    def problem(self, context: FitContext) -> HiddenEdges:
        """Return the training problem of a data set."""


def agreed(
    agents: Sequence[Agent], context: FitContext, together: TogetherConfig
) -> list[HidesEdges]:
    """Return the agents with the settings that they learn together with.

    What is shared and nobody changed is as the agent with the largest `cold` has it; the
    temperatures that are tried are those of the first agent that names none.

    Raises:
        ConfigError: one of them does not learn by predicting hidden edges, or has a setting that
            learning together cannot heed.
    """
    configs = {agent.name: _config(agent) for agent in agents}
    changed = {name: dict(_changed(config)) for name, config in configs.items()}
    for name, settings in changed.items():
        _check(name, settings, configs[name], context, together)
    shared = _shared(configs, changed)
    built: list[HidesEdges] = []
    for agent in agents:
        kind: Any = type(agent)
        config = configs[agent.name]
        sizes = dict.fromkeys(set(SIZES) & set(type(config).model_fields), together.embedding_dim)
        whole = with_settings(config.model_dump(), shared | sizes)
        whole["sample"] = SampleConfig(max_edges=sys.maxsize)
        built.append(kind(type(config).model_validate(whole)))
    _check_candidates(built[0].config, context)
    return built


def _config(agent: Agent) -> HiddenEdgesConfig:
    if not isinstance(agent.config, HiddenEdgesConfig):
        raise ConfigError(
            "this agent does not learn by predicting hidden edges, as those do that learn together",
            value=agent.name,
            remedy="Name others in [together].",
        )
    return agent.config


def _changed(config: BaseModel) -> Iterator[tuple[str, Any]]:
    """Yield the settings that differ from their defaults, by names as of `setting_of`."""
    default = dict(_leaves(type(config)()))
    for name, value in _leaves(config):
        if value != default[name]:
            yield name, value


def _leaves(config: BaseModel, above: str = "") -> Iterator[tuple[str, Any]]:
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            yield from _leaves(value, f"{above}{name}.")
        else:
            yield above + name, value


def _check(
    agent: str,
    changed: Mapping[str, Any],
    config: HiddenEdgesConfig,
    context: FitContext,
    together: TogetherConfig,
) -> None:
    """Raise ConfigError for a changed setting of an agent that cannot be heeded."""
    common = together.model_dump()
    for setting, value in changed.items():
        part, told = setting.partition(".")[0], f"{agent}: {setting} = {value}"
        if setting in SIZES and value != together.embedding_dim:
            raise ConfigError(
                "vectors of agents that learn together are of one size",
                value=told,
                remedy=f"Set it for all, by [together] embedding_dim = {value}, {_OR_ALONE}",
            )
        if part == "schedule" and value != setting_of(common, setting):
            raise ConfigError(
                "agents that learn together have one schedule",
                value=told,
                remedy=f"Set it for all, by [together] {setting} = {value}, {_OR_ALONE}",
            )
        if part == "sample" and config.sample.applies(len(context.train.interactions)):
            raise ConfigError(
                "agents that learn together see the whole graph in every step",
                value=told,
                remedy=f"Leave `sample` as it is, {_OR_ALONE}",
            )
        if setting in OTHER_LOSSES:
            raise ConfigError(
                "agents learn together by the softmax over all items",
                value=told,
                remedy=f"Leave it as it is, {_OR_ALONE}",
            )


def _shared(
    configs: Mapping[str, HiddenEdgesConfig], changed: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the settings that are one for all."""
    free = [name for name, config in configs.items() if config.tau is None]
    shared: dict[str, Any] = {}
    if free:
        shared["tau_choices"] = configs[free[0]].tau_choices
        shared |= _common("tau_choices", {name: changed[name] for name in free})
    usual = max(configs.values(), key=lambda config: config.cold)
    for setting, value in _leaves(usual):
        if setting.partition(".")[0] in SHARED:
            shared[setting] = value
            shared |= _common(setting, changed)
    return shared


def _common(setting: str, changed: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what those say who changed a setting; nothing where nobody did."""
    values_by_agent = {
        name: settings[setting] for name, settings in changed.items() if setting in settings
    }
    values = list(values_by_agent.values())
    if any(value != values[0] for value in values):
        raise ConfigError(
            "agents that learn together share this setting, and theirs differ",
            value=f"{setting}: "
            + ", ".join(f"{name} {value}" for name, value in values_by_agent.items()),
            remedy=f"Give all of them one value, {_OR_ALONE}",
        )
    return {setting: values[0]} if values else {}


def _check_candidates(config: HiddenEdgesConfig, context: FitContext) -> None:
    """Raise ConfigError where the steps would draw candidates, whose scores cannot be compared."""
    items, users, loss = context.train.num_items, context.train.num_users, config.loss
    if not items or Budget.of(items, users, config.max_cells, loss).candidates is None:
        return
    needed = items * min(loss.min_rows, users)
    told, way = f"max_cells = {config.max_cells}", f"Raise it to {needed}"
    if loss.candidates is not None:
        told, way = f"loss.candidates = {loss.candidates}", "Leave it as it is"
    raise ConfigError(
        "agents learn together by the softmax over all items, and not all would be scored",
        value=told,
        remedy=f"{way}, {_OR_ALONE}",
    )
