"""`kgrec publish`: make a trained model the live one."""

from __future__ import annotations

from typing import Annotated

import typer

from kgrec.cli.console import out, print_json, progress
from kgrec.cli.models import as_plain, show_entries
from kgrec.config import load_settings
from kgrec.graph import open_graph

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def publish(
    model_id: Annotated[
        str | None, typer.Argument(help="A trained model; the newest when left out.")
    ] = None,
    list_models: Annotated[
        bool, typer.Option("--list", help="Only list the models, as kgrec models list.")
    ] = False,
    suggests: Annotated[
        int, typer.Option(min=1, help="Suggestions of each agent an item, at most.")
    ] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Write a trained model to the graph and make it live, in one switch.

    Publishing the live model again does nothing; `kgrec models` lists the others and goes back.

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
            print_json([as_plain(entry) for entry in entries])
        else:
            show_entries(entries)
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
