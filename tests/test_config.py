"""Settings that are given in part keep the rest of the default that they stand for."""

from __future__ import annotations

import pytest

from kgrec.errors import ConfigError
from kgrec.learning.registry import AGENTS, build_agent
from kgrec.training.optimisation import Schedule


@pytest.mark.parametrize("agent", [name for name in AGENTS if name != "linear"])
def test_to_name_the_steps_of_a_schedule_leaves_its_other_settings(agent: str) -> None:
    part = "projection" if agent == "semantic" else None
    table = {"schedule": {"steps": 90}}
    given = build_agent(agent, {part: table} if part else table).config
    default = build_agent(agent).config
    if part:
        given, default = getattr(given, part), getattr(default, part)
    known: Schedule = default.schedule  # type: ignore[attr-defined]
    assert given.schedule == known.model_copy(update={"steps": 90})  # type: ignore[attr-defined]


def test_an_unknown_setting_is_refused_at_any_depth() -> None:
    with pytest.raises(ConfigError, match="stepz"):
        build_agent("sequential", {"schedule": {"stepz": 90}})
