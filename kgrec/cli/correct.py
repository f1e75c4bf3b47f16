"""`kgrec graph correct`: what a person knows of a fact."""

from __future__ import annotations

from typing import Annotated

import typer

from kgrec.cli.console import out, print_json
from kgrec.config import load_settings
from kgrec.errors import ConfigError
from kgrec.graph import open_graph
from kgrec.schema import load_schema


def correct(
    item: Annotated[str, typer.Argument(help="Id of the item.")],
    relation: Annotated[str, typer.Argument(help="A relation of its domain, such as WRITTEN_BY.")],
    entity: Annotated[str, typer.Argument(help="Name of the entity, or its id.")],
    confirm: Annotated[
        bool, typer.Option("--confirm", help="The fact is right; it is added if need be.")
    ] = False,
    reject: Annotated[bool, typer.Option("--reject", help="The fact is wrong.")] = False,
    change: Annotated[
        str | None, typer.Option(help="The fact is wrong, and right with this name.")
    ] = None,
    domain: Annotated[
        str | None, typer.Option(help="Domain of the item, where it is a file of your own.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Confirm or reject a fact of an item, or put another entity in its place.

    Corrections are kept in the graph: no load and no extraction undoes them, and
    `kgrec extract label --corrections` makes training texts of them.

    Example: kgrec graph correct b001 WRITTEN_BY "Clara Vos" --change "Clara Voss"
    """
    from kgrec.stages.corrections import Verdict
    from kgrec.stages.corrections import correct as apply

    if confirm + reject + (change is not None) != 1:
        raise ConfigError(
            "a correction is one of three",
            value=f"{item} {relation} {entity}",
            remedy="Give --confirm, --reject or --change NAME.",
        )
    verdict: Verdict = "confirm" if confirm else "reject" if reject else "change"
    of = load_schema().domain(domain) if domain is not None else None
    with open_graph(load_settings()) as store:
        done = apply(store, item, relation, entity, verdict, instead=change or "", domain=of)
    if as_json:
        print_json(done.model_dump(mode="json"))
        return
    verb = {"confirm": "Confirmed", "reject": "Rejected", "change": "Changed"}[verdict]
    instead = f" to {done.instead}" if done.instead else ""
    out.print(
        f"{verb}: {done.item_id} {done.relation} {done.name}{instead}; {done.written} written, "
        f"{done.withdrawn} withdrawn.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
