"""`kgrec train`: fit the agents on the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kgrec.cli.console import out, print_json, progress
from kgrec.config import load_settings, parse_config
from kgrec.graph import open_graph

if TYPE_CHECKING:
    from kgrec.stages.train import TrainConfig, TrainSummary

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def train(
    pipeline: Annotated[
        str | None, typer.Option("--pipeline", help="A pipeline file, for its \\[train].")
    ] = None,
    domain: Annotated[str | None, typer.Option(help="Learn the items of this domain only.")] = None,
    agents: Annotated[str | None, typer.Option(help="Names of agents, with commas.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, or cuda for the GPU.")] = None,
    seed: Annotated[int | None, typer.Option(help="Fixes every random draw.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Train even if nothing changed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Train the agents on the graph and keep the model beside it; `kgrec publish` puts it to use.

    Training again on the same graph with the same settings finds the model there.

    Example: kgrec train --domain movies --agents linear,collaborative
    """
    from kgrec.stages.train import train as run

    options: dict[str, Any] = {"device": device, "seed": seed}
    if agents is not None:
        options["agents"] = [name.strip() for name in agents.split(",") if name.strip()]
    config, domain = _config(
        pipeline, domain, {name: value for name, value in options.items() if value is not None}
    )
    settings = load_settings()
    with open_graph(settings) as store, progress(quiet=as_json) as bars:
        done = run(store, domain, config, home=settings.home, force=force, progress=bars)
    if as_json:
        print_json(done.model_dump(mode="json"))
        return
    for line in described(done):
        out.print(line, markup=False, highlight=False)


def described(done: TrainSummary) -> list[str]:
    """Return what a training did, in lines."""
    data = f"{done.users:,} users, {done.items:,} items, {done.interactions:,} interactions, "
    lines = [f"{data}{done.facts:,} facts."]
    if not done.trained:
        return [*lines, f"{done.model_id} was trained on just this, and is kept."]
    shares = ", ".join(f"{name} {share:.2f}" for name, share in done.weights.items())
    return [*lines, f"{done.model_id}: {shares}; {done.seconds:.1f} s."]


def _config(
    pipeline: str | None, domain: str | None, options: dict[str, Any]
) -> tuple[TrainConfig, str | None]:
    from pathlib import Path

    from kgrec.stages.pipeline import load_pipeline
    from kgrec.stages.train import TrainConfig

    values: dict[str, Any] = {}
    if pipeline is not None:
        file = load_pipeline(Path(pipeline))
        values, domain = file.train.model_dump(), domain or file.domain
    config = parse_config(TrainConfig, values | options, origin="options of kgrec train")
    return config, domain
