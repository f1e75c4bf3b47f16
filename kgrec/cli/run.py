"""`kgrec run`: a pipeline file, whole or by stage."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kgrec.cli.console import out, print_json, progress
from kgrec.cli.loaded import (
    described,
    mostly_rejected,
    show_columns,
    show_dry_run,
    show_rejects,
)
from kgrec.cli.train import described as described_training
from kgrec.config import load_settings
from kgrec.errors import ConfigError
from kgrec.graph import open_graph

if TYPE_CHECKING:
    from kgrec.stages.pipeline import Pipeline
    from kgrec.stages.run import StageResult

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class StageName(StrEnum):
    ingest = "ingest"
    extract = "extract"
    train = "train"
    publish = "publish"


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="A pipeline file, or the name of one of kgrec's.")],
    stage: Annotated[StageName | None, typer.Option(help="Run this stage only.")] = None,
    first: Annotated[
        StageName | None, typer.Option("--from", help="Run this stage and those after it.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE: a variable of the file, or a key like train.seed."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Read the rows of the sources and do nothing else."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Run a pipeline: load its sources, read its texts, train the agents, publish the model.

    Running it again does only what is left to do. With --dry-run the rows of all sources are read,
    and what would be set aside is shown with the reasons.

    Example: kgrec run pipelines/movielens.toml --stage ingest
    """
    from kgrec.stages.ingest import IngestSummary
    from kgrec.stages.pipeline import load_pipeline, selected_stages
    from kgrec.stages.run import run_pipeline

    pipeline = load_pipeline(file, settings or ())
    stages = selected_stages(
        pipeline,
        only=stage.value if stage else None,
        first=first.value if first else None,
    )
    if dry_run:
        _dry_run(pipeline, stages, as_json=as_json)
        return
    known = load_settings()
    with open_graph(known) as store, progress(quiet=as_json) as bars:
        results = run_pipeline(
            store,
            pipeline,
            stages,
            home=known.home,
            progress=bars,
            on_source=(lambda _: None) if as_json else show_columns,
            on_result=(lambda _: None) if as_json else _show,
        )
    seconds = round(sum(result.seconds for result in results), 2)
    if as_json:
        stages_done = [result.model_dump(mode="json") for result in results]
        print_json({"pipeline": pipeline.name, "stages": stages_done, "seconds": seconds})
    else:
        out.print(f"Total: {seconds:.1f} s.", markup=False, highlight=False)
    loaded = [one.detail for one in results if one.stage == "ingest" and one.detail]
    rejected = [one for one in map(IngestSummary.model_validate, loaded) if one.mostly_rejected]
    if rejected:
        raise mostly_rejected(rejected)


def _dry_run(pipeline: Pipeline, stages: Sequence[str], *, as_json: bool) -> None:
    """Show what the stage of ingest would read."""
    from kgrec.stages.dry_run import refusal
    from kgrec.stages.run import dry_run_sources

    if "ingest" not in stages:
        raise ConfigError(
            "a dry run reads sources, and the stages that are to run read none",
            value=", ".join(stages),
            remedy="Leave out --dry-run, or --stage and --from.",
        )
    with progress(quiet=as_json) as bars:
        found = dry_run_sources(
            pipeline,
            progress=bars,
            on_source=(lambda _: None) if as_json else show_columns,
            on_result=(lambda _: None) if as_json else show_dry_run,
        )
    if as_json:
        print_json({"pipeline": pipeline.name, "reads": [one.model_dump() for one in found]})
    if (error := refusal(found)) is not None:
        raise error


def _show(result: StageResult) -> None:
    """Print a stage as it ends, so that what was done is known even if the next one fails."""
    from kgrec.stages.ingest import IngestSummary

    name = f"{result.stage} {result.name}".strip()
    lines = f"{name}: {_summary(result)} ({result.seconds:.1f} s)"
    out.print(lines, markup=False, highlight=False, soft_wrap=True)
    if result.stage == "ingest" and result.detail:
        show_rejects(IngestSummary.model_validate(result.detail))


def _summary(result: StageResult) -> str:
    from kgrec.stages.ingest import IngestSummary
    from kgrec.stages.train import TrainSummary

    detail = result.detail
    if not detail:
        return "not there, left out."
    if result.stage == "ingest":
        return described(IngestSummary.model_validate(detail))
    if result.stage == "train":
        return "\n".join(described_training(TrainSummary.model_validate(detail)))
    if not result.changed:
        return "unchanged."
    if result.stage == "extract":
        facts = sum(detail["facts"].values())
        notes = (f"Note: {note}." for note in detail["notes"])
        return "\n".join([f"{detail['texts']:,} texts: {facts:,} facts.", *notes])
    suggestions = f"{detail['suggestions']:,} suggestions"
    return f"{detail['model_id']} is live: {detail['items']:,} items, {suggestions}."
