"""A pipeline file: settings of ingest, extraction, training and publishing, as a frozen object."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from kgrec.config import FrozenModel, load_toml, parse_config
from kgrec.data.origins.address import SQLITE, is_address, sqlite_file
from kgrec.data.sources import Source
from kgrec.errors import ConfigError, ModelError
from kgrec.learning.team_config import check_agents
from kgrec.resources import resource_dir
from kgrec.schema import load_schema
from kgrec.stages.train import TrainConfig
from kgrec.text.models import resolve_transformer

Stage = Literal["ingest", "extract", "train", "publish"]
STAGES: tuple[Stage, ...] = ("ingest", "extract", "train", "publish")
_VARIABLE = re.compile(r"\{(\w+)\}")


class PublishConfig(FrozenModel):
    """Settings of publishing.

    Attributes:
        suggests_per_item: maximum number of suggestions of each agent for an item; None means the
            default of `kgrec.stages.publish`.
    """

    suggests_per_item: int | None = Field(default=None, ge=1)


class Pipeline(FrozenModel):
    """One pipeline file.

    Attributes:
        name: what it is called in summaries.
        domain: name of a domain, or path of a domain file.
        stages: what `kgrec run FILE` runs, in this order.
        variables: words that `{name}` stands for in the file; `--set NAME=VALUE` changes them.
        sources: loaded in this order.
        extract: settings of `kgrec.stages.extract`, checked when that stage is to run.
        train, publish: settings of these stages.
    """

    name: str
    domain: str
    stages: tuple[Stage, ...] = STAGES
    variables: dict[str, str] = Field(default_factory=dict)
    sources: tuple[Source, ...] = Field(min_length=1)
    extract: dict[str, Any] = Field(default_factory=dict)
    train: TrainConfig = TrainConfig()
    publish: PublishConfig = PublishConfig()


def load_pipeline(path: Path, settings: Sequence[str] = ()) -> Pipeline:
    """Read and check a pipeline file. Its relative paths are relative to the file.

    Args:
        path: the file, or the name of one that comes with kgrec.
        settings: `NAME=VALUE`; a variable of the file, or a dotted key such as `train.seed=7`. A
            variable that names a path is relative to the present folder.

    Raises:
        ConfigError: the file is missing or malformed, or a key or value in it is invalid.
        SchemaError: there is no such domain.
    """
    path = find_pipeline(path)
    values = load_toml(path)
    for setting in settings:
        _apply(values, setting)
    variables = values.get("variables", {})
    filled = _filled(values, variables if isinstance(variables, dict) else {})
    pipeline = parse_config(Pipeline, filled, origin=str(path))
    base = path.parent
    sources = tuple(source.model_copy(update=_placed(base, source)) for source in pipeline.sources)
    domain = pipeline.domain
    if domain.endswith(".toml"):
        domain = str(_beside(base, Path(domain)).resolve())
    load_schema().domain(domain)
    train = _with_encoder(pipeline.train, base)
    _check_train(train, path)
    extract = dict(pipeline.extract)
    if isinstance(extract.get("trained"), str):
        extract["trained"] = str(_beside(base, Path(extract["trained"])))
    changes = {"sources": sources, "domain": domain, "extract": extract, "train": train}
    return pipeline.model_copy(update=changes)


def find_pipeline(path: Path) -> Path:
    """Return the path, or that of the pipeline of this name that comes with kgrec.

    Raises:
        ConfigError: there is neither.
    """
    if path.is_file():
        return path
    folder = resource_dir("pipelines")
    own = folder / f"{path.name.removesuffix('.toml')}.toml"
    if own.is_file() and path.parent in {Path(), Path("pipelines")}:
        return own
    known = sorted(one.stem for one in folder.glob("*.toml"))
    raise ConfigError(
        "there is no such pipeline file", value=str(path), remedy=f"Known: {', '.join(known)}."
    )


def selected_stages(
    pipeline: Pipeline, *, only: Stage | None = None, first: Stage | None = None
) -> tuple[Stage, ...]:
    """Return the stages to run: all of the file, one of them, or those from one on.

    Raises:
        ConfigError: both are given.
    """
    if only is not None and first is not None:
        raise ConfigError(
            "one stage, and all from another on, exclude each other",
            value=f"--stage {only} --from {first}",
            remedy="Give one of the two.",
        )
    if only is not None:
        return (only,)
    if first is not None:
        begin = STAGES.index(first)
        return tuple(stage for stage in pipeline.stages if STAGES.index(stage) >= begin)
    return pipeline.stages


def _with_encoder(config: TrainConfig, base: Path) -> TrainConfig:
    """Find an encoder that is a folder beside the file; other names are left as they are."""
    folder = _beside(base, Path(config.encoder))
    return config.model_copy(update={"encoder": str(folder)}) if folder.is_dir() else config


def _check_train(config: TrainConfig, path: Path) -> None:
    """Check now what would otherwise fail once everything before the training has run."""
    try:
        config.selection(None)
        check_agents(config)
        resolve_transformer(config.encoder)
    except (ConfigError, ModelError) as error:
        what = error.what.removeprefix("[train]: ")
        raise ConfigError(
            f"{path}: [train]: {what}", value=error.value, remedy=error.remedy
        ) from None


def _placed(base: Path, source: Source) -> dict[str, Any]:
    """Return the files that a source names by relative paths, beside the pipeline file."""
    found: dict[str, Any] = {}
    if source.triples.links is not None:
        links = _beside(base, source.triples.links)
        found["triples"] = source.triples.model_copy(update={"links": links})
    if source.joins:
        found["joins"] = tuple(
            one.model_copy(update={"path": _placed_address(base, one.path)})
            if is_address(one.path)
            else one.model_copy(update={"path": str(_beside(base, Path(one.path)))})
            for one in source.joins
        )
    if source.path is not None:
        return found | {"path": _beside(base, source.path)}
    if source.address is None:
        return found
    return found | {"address": _placed_address(base, source.address)}


def _placed_address(base: Path, name: str) -> str:
    """Return an address; that of an SQLite file is relative to the pipeline file."""
    file = sqlite_file(name)
    return name if file is None else f"{SQLITE}{_beside(base.resolve(), Path(file))}"


def _beside(base: Path, path: Path) -> Path:
    return path if path == Path("-") else Path(os.path.normpath(base / path))


def _apply(values: dict[str, Any], setting: str) -> None:
    name, equals, text = setting.partition("=")
    name = name.strip()
    if not equals or not name:
        raise ConfigError(
            "a setting has the form NAME=VALUE", value=setting, remedy="Example: --set data=folder"
        )
    variables = values.get("variables", {})
    if isinstance(variables, dict) and name in variables:
        there = Path(text)
        variables[name] = str(there.resolve()) if text and there.exists() else text
        return
    *parents, last = name.split(".")
    place: Any = values
    for parent in parents:
        place = place.setdefault(parent, {}) if isinstance(place, dict) else None
    if not isinstance(place, dict) or (not parents and last not in Pipeline.model_fields):
        names = list(variables) if isinstance(variables, dict) else []
        near = difflib.get_close_matches(name, [*names, *Pipeline.model_fields], n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise ConfigError(
            "the pipeline has nothing of this name to set",
            value=name,
            remedy=f"{hint}Its variables: {', '.join(names) or 'none'}.",
        )
    place[last] = _toml_value(text)


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def _filled(value: Any, variables: Mapping[str, Any]) -> Any:
    """Put the variables into every string."""
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: str(variables.get(found[1], found[0])), value)
    if isinstance(value, list):
        return [_filled(one, variables) for one in value]
    if isinstance(value, dict):
        return {key: _filled(one, variables) for key, one in value.items()}
    return value
