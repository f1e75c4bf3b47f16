"""`kgrec user`: what is kept of one person, exported or erased."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from kgrec.cli.console import out, print_json
from kgrec.config import load_settings
from kgrec.errors import ConfigError

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Export or erase what is kept of one user.",
)

UserId = Annotated[str, typer.Argument(help="Id of the user.")]


@app.command()
def export(
    user_id: UserId,
    to: Annotated[
        Path | None, typer.Option("--out", help="File to write; standard output without it.")
    ] = None,
) -> None:
    """Write all that the graph holds of a user as one JSON document.

    Example: kgrec user export 42 --out 42.json
    """
    from kgrec.graph import open_graph
    from kgrec.stages.personal_data import export_user

    with open_graph(load_settings()) as store:
        found = export_user(store, user_id)
    if to is None:
        print_json(found)
        return
    try:
        text = json.dumps(found, ensure_ascii=False, indent=2, default=str)
        to.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the file cannot be written ({error.strerror})", value=str(to)) from None
    number = len(found["interactions"])
    out.print(f"{number} interactions of user {user_id} are in {to}.", highlight=False)


@app.command()
def erase(
    user_id: UserId,
    restart: Annotated[
        bool,
        typer.Option(
            "--restart",
            help="Start the embedded database anew, whose log holds the user until then; "
            "requests wait for some seconds.",
        ),
    ] = False,
    folders: Annotated[
        list[Path] | None,
        typer.Option(
            "--search",
            help="A file or folder that is searched too, and left as it is: the data of a Neo4j, "
            "tables that were ingested. Can be given again.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Erase a user from the graph and the home, and report where the id was looked for.

    Leaves with 1 where a file still holds the id.

    Example: kgrec user erase 42 --search /var/lib/neo4j/data
    """
    from kgrec.stages.personal_data import LEAST_BYTES, erase_user

    found = erase_user(load_settings(), user_id, restart_graph=restart, folders=[*(folders or ())])
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        for place in found.places:
            where = f" in {place.path}" if place.path else ""
            if place.removed:
                out.print(f"removed {place.removed}: {place.kind}{where}", highlight=False)
            if place.found:
                out.print(f"left, {place.found} times: {place.kind}{where}", highlight=False)
        if not found.searched:
            short = f"An id of fewer than {LEAST_BYTES} bytes is in files by chance"
            out.print(f"{short}: they were not searched.", highlight=False)
        elif not found.left:
            out.print(f"{found.files} files were searched: none holds the id.", highlight=False)
    if any(place.kind == "log of the graph" for place in found.left) and not as_json:
        out.print("The log ends with the database: `kgrec user erase --restart`, or stop it.")
    if found.left:
        raise typer.Exit(1)
