"""The agents by name; their modules are imported on first use."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Mapping
from typing import Any, cast

from kgrec.config import parse_config
from kgrec.errors import ConfigError
from kgrec.learning.agent import Agent, with_settings

AGENTS: dict[str, str] = {
    # name: module:class; the constructor accepts a config of the class's `Config`
    "collaborative": "kgrec.learning.collaborative.agent:CollaborativeAgent",
    "factorisation": "kgrec.learning.factorisation.agent:FactorisationAgent",
    "knowledge": "kgrec.learning.knowledge.agent:KnowledgeAgent",
    "linear": "kgrec.learning.linear.agent:LinearAgent",
    "semantic": "kgrec.learning.semantic.agent:SemanticAgent",
    "sequential": "kgrec.learning.sequential.agent:SequentialAgent",
}

OPTIONAL: dict[str, str] = {
    # known as those above, and in no team that does not name them
    "spectral": "kgrec.learning.spectral:SpectralAgent",
}


def register(cls: type[Any]) -> type[Any]:
    """Register an agent class under its `name`; used as a decorator.

    Raises:
        ConfigError: another agent has that name.
    """
    where = f"{cls.__module__}:{cls.__qualname__}"
    if _known().get(cls.name, where) != where:
        raise ConfigError("another agent has that name", value=cls.name, remedy="Name it anew.")
    if cls.name not in OPTIONAL:
        AGENTS[cls.name] = where
    return cls


def _known() -> dict[str, str]:
    return AGENTS | OPTIONAL


def check_names(names: Iterable[str]) -> None:
    """Raise ConfigError for a name that no agent has."""
    known = _known()
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            raise ConfigError(
                "there is no such agent", value=name, remedy=f"{hint}Known: {', '.join(known)}."
            )


def agent_class(name: str) -> type[Any]:
    """Return the class of an agent; raises ConfigError for an unknown name."""
    check_names([name])
    module, _, attribute = _known()[name].partition(":")
    return cast(type[Any], getattr(importlib.import_module(module), attribute))


def build_agent(name: str, settings: Mapping[str, Any] | None = None) -> Agent:
    """Build an agent from plain settings, by names as of `setting_of`.

    Raises:
        ConfigError: the agent or one of its settings is unknown, or a value is invalid.
    """
    cls = agent_class(name)
    config = parse_config(
        cls.Config, with_settings({}, settings or {}), origin=f"settings of agent {name!r}"
    )
    return cast(Agent, cls(config))
