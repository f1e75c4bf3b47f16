"""`kgrec publish`: make a trained model the live one."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from kgrec.cli.console import out, print_json, progress
from kgrec.cli.models import as_plain, show_entries
from kgrec.config import load_settings
from kgrec.graph import open_graph

if TYPE_CHECKING:
    from kgrec.stages.packing import PackSummary

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class PrecisionOption(StrEnum):
    """Bits of a weight."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    INT8 = "int8"


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
    precision: Annotated[
        PrecisionOption | None,
        typer.Option(
            help="Publish a copy whose factors and sparse weights have 16 or 8 bits, and show what "
            "that loses on the validation part and gains in bytes."
        ),
    ] = None,
    prune: Annotated[
        int | None,
        typer.Option(
            min=1, help="Publish a copy with at most so many sparse weights of each item, the same."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Write a trained model to the graph and make it live, in one switch.

    Publishing the live model again does nothing; `kgrec models` lists the others and goes back.

    A packed copy is a model of its own, with its own id; the one that it was made of stays, and
    `kgrec models rollback` goes back to what was live.

    Examples:

    kgrec publish --list

    kgrec publish --precision int8 --prune 100
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
    packed = None
    with open_graph(settings) as store, progress(quiet=as_json) as bars:
        if precision is not None or prune is not None:
            from kgrec.stages.packing import Packing, pack

            packing = Packing(precision=precision.value if precision else "float32", prune=prune)
            packed = pack(store, folder, chosen, packing, progress=bars)
            chosen = packed.model_id
        team = load_team(folder / chosen)
        done = run(store, team, chosen, suggests_per_item=suggests, progress=bars)
    if as_json:
        found = done.model_dump(mode="json")
        packing_found = {"packed": packed.model_dump(mode="json")} if packed else {}
        print_json(found | packing_found)
        return
    if packed is not None:
        _print_packed(packed)
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
            f"{done.untrained:,} items of the graph came after the training: kgrec fold, and "
            "kgrec serve by itself, fold them in.",
            markup=False,
        )


def _print_packed(packed: PackSummary) -> None:
    before, after = packed.before, packed.after
    for name, one, other in (
        ("file", before.file, after.file),
        ("memory", before.memory, after.memory),
    ):
        share = 1 - other / max(one, 1)
        out.print(
            f"{name:14}  {one / 1e6:8.2f} MB -> {other / 1e6:8.2f} MB, {share:+.0%} saved",
            highlight=False,
        )
    out.print(f"sparse weights  {before.rows:,} -> {after.rows:,}", highlight=False)
    difference = after.metric - before.metric
    out.print(
        f"{packed.metric:14}  {before.metric:.4f} -> {after.metric:.4f} ({difference:+.4f}), "
        f"validation part of {packed.users:,} users; {packed.same:.1%} of their lists the same",
        markup=False,
        highlight=False,
    )
