"""`kgrec publish`: make a trained model the live one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from kgrec.cli.console import out, print_json, progress
from kgrec.config import load_settings
from kgrec.graph import open_graph

if TYPE_CHECKING:
    from kgrec.stages.models import ModelEntry

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def publish(
    model_id: Annotated[
        str | None, typer.Argument(help="A trained model; the newest when left out.")
    ] = None,
    list_models: Annotated[bool, typer.Option("--list", help="Only list the models.")] = False,
    suggests: Annotated[
        int, typer.Option(min=1, help="Suggestions of each agent an item, at most.")
    ] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Write a trained model to the graph and make it live, in one switch.

    Publishing the live model again does nothing; publishing an older one rolls back.

    Example: kgrec publish --list
    """
    from kgrec.model.storage import load_team
    from kgrec.stages import models as trained
    from kgrec.stages.publish import publish as run

    settings = load_settings()
    folder = settings.home / "models"
    if list_models:
        with open_graph(settings) as store:
            entries = trained.list_models(store, folder)
        if as_json:
            print_json([entry.model_dump(mode="json") for entry in entries])
        else:
            _show(entries)
        return
    chosen = trained.choose_model(folder, model_id)
    team = load_team(folder / chosen)
    with open_graph(settings) as store, progress(quiet=as_json) as bars:
        done = run(store, team, chosen, suggests_per_item=suggests, progress=bars)
    if as_json:
        print_json(done.model_dump(mode="json"))
        return
    if not done.changed:
        out.print(f"{chosen} is live already.", markup=False)
        return
    if not done.items:
        out.print(
            f"{chosen} was live; {done.suggestions:,} suggestions were written anew, "
            f"{done.seconds:.1f} s.",
            markup=False,
            highlight=False,
        )
        return
    out.print(
        f"{chosen} is live: {done.items:,} items, {done.dimensions} dimensions, "
        f"{done.suggestions:,} suggestions, {done.seconds:.1f} s.",
        markup=False,
        highlight=False,
    )
    if done.missing:
        out.print(f"{done.missing:,} items of the model are not in the graph.", markup=False)
    if done.untrained:
        out.print(
            f"{done.untrained:,} items of the graph came after the training: train again to "
            "recommend them.",
            markup=False,
        )


def _show(entries: Sequence[ModelEntry]) -> None:
    if not entries:
        out.print("There is no model yet: kgrec train.")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("model", "", "slot", "trained", "published"):
        table.add_column(name)
    for entry in entries:
        trained, published = entry.trained_at, entry.published_at
        table.add_row(
            entry.model_id,
            "live" if entry.live else "",
            entry.slot or "",
            trained.strftime("%Y-%m-%d %H:%M") if trained else "not on this machine",
            published.strftime("%Y-%m-%d %H:%M") if published else "",
        )
    out.print(table)
