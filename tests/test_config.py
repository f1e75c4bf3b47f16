"""Settings that are given in part keep the rest of the default that they stand for."""

from __future__ import annotations

from pathlib import Path

import pytest

from kgrec.config import load_toml, parse_config
from kgrec.errors import ConfigError
from kgrec.learning.registry import AGENTS, build_agent
from kgrec.training.optimisation import Schedule


@pytest.mark.parametrize("agent", sorted(AGENTS.keys() - {"linear", "factorisation"}))
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


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a = " + "9" * 10_000, "a = "])
def test_toml_beyond_all_bounds_is_an_error_of_ours(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="not valid TOML") as caught:
        load_toml(path)
    assert caught.value.value == str(path)
    assert caught.value.remedy


def test_a_value_that_cannot_be_shown_is_named_all_the_same() -> None:
    with pytest.raises(ConfigError, match="too long to show"):
        parse_config(Schedule, {"steps": [10**5000]}, origin="here")
