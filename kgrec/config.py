"""Settings: frozen models in which an unknown key is an error, TOML files, and the environment.

Only addresses, secrets and the place of local state come from the environment (`KGREC_*`);
everything else is written in files, so that a run can be repeated from them. Nothing is read
when this module is imported.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from kgrec.errors import ConfigError


class FrozenModel(BaseModel):
    """The base of every configuration and record: frozen, and unknown keys are errors.

    A table that stands for a field with defaults of its own is completed by those, not by the
    defaults of the field's type: `schedule = {steps = 80}` leaves an agent's rate as it is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        defaults = {name: field.default for name, field in cls.model_fields.items()}
        return {name: _over(defaults.get(name), value) for name, value in given.items()}


def _over(default: Any, given: Any) -> Any:
    """Complete a table, given for a model, by the values of the model that is the default."""
    if not isinstance(default, FrozenModel) or not isinstance(given, Mapping):
        return given
    own = {name: getattr(default, name) for name in default.model_fields_set}
    return own | {name: _over(own.get(name), value) for name, value in given.items()}


class Record(BaseModel):
    """The base of what kgrec returns: frozen, and unknown keys are errors.

    Unlike a configuration it is made in code, many times a second, and completes no tables.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Settings(BaseSettings):
    """What differs from machine to machine, read from `KGREC_*` variables.

    Without `graph_uri` the embedded server of `home` is used.
    """

    model_config = SettingsConfigDict(env_prefix="KGREC_", frozen=True, extra="ignore")

    home: Path = Path(".kgrec")
    graph_uri: str | None = None
    graph_user: str = "neo4j"
    graph_password: SecretStr | None = None
    graph_database: str = "neo4j"
    api_keys: SecretStr | None = None
    """Comma-separated `role:key` pairs that the HTTP API accepts; none leaves it on loopback."""
    llm_url: str | None = None
    """Base URL of a server with the chat-completions protocol, such as https://host/v1."""
    llm_model: str | None = None
    llm_key: SecretStr | None = None


ModelT = TypeVar("ModelT", bound=BaseModel)


def load_settings() -> Settings:
    """Read the environment; raises ConfigError when a variable has an invalid value."""
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigError(
            "a KGREC_* variable is not usable",
            value=_first_problem(error),
            remedy="Correct or unset it.",
        ) from None


def load_toml(path: Path) -> dict[str, Any]:
    """Parse a TOML file; raises ConfigError naming the file when it is absent or malformed."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            "there is no such file", value=str(path), remedy="Check the path."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the file cannot be read ({error})", value=str(path)) from None
    except (ValueError, RecursionError) as error:  # also nesting and numbers beyond all bounds
        raise ConfigError(
            f"the file is not valid TOML ({error})",
            value=str(path),
            remedy="Correct the file; TOML's rules are at https://toml.io.",
        ) from None


def parse_config(model: type[ModelT], values: dict[str, Any], *, origin: str) -> ModelT:
    """Build `model` from plain values; `origin` (a file, an option) goes into the error.

    Raises:
        ConfigError: a key is unknown, missing or of the wrong type.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError(
            f"{origin}: {_first_problem(error)}",
            remedy=f"{error.error_count()} problem(s) in all; correct them and try again.",
        ) from None


def _first_problem(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_input=True)
    # A misspelt key shows as one unknown and one missing; the unknown one is what was typed.
    problem = min(problems, key=lambda each: each["type"] != "extra_forbidden")
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"unknown key {place!r}"
    if problem["type"] == "missing":
        return f"the key {place!r} is missing"
    return f"{place}: {problem['msg']} (got {_shortened(problem.get('input'))})"


def _shortened(value: object, limit: int = 80) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, a list within lists
        text = f"a {type(value).__name__} that is too long to show"
    return text if len(text) <= limit else f"{text[:limit]}…"


_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smh]?)")


def seconds_of(given: str | float) -> float:
    """Return the seconds that a number, or a text such as `10m`, names.

    Raises:
        ConfigError: it is not a duration, or not above 0.
    """
    found = _DURATION.fullmatch(str(given).strip())
    if found is None or not float(found[1]):
        raise ConfigError("this is not a duration", value=given, remedy="Write 90s, 10m or 1h.")
    return float(found[1]) * _UNITS[found[2]]
