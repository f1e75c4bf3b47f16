"""`kgrec fold`: items that came after the training, into the live model."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from kgrec.cli.console import out, print_json, progress
from kgrec.config import load_settings
from kgrec.graph import open_graph

_NICE = 5
"""How much a process beside a server yields to it."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def fold(
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on, and fold in what comes, until stopped.")
    ] = False,
    extract: Annotated[
        bool, typer.Option(help="Read the texts of new items for facts first.")
    ] = True,
    parent: Annotated[
        int | None, typer.Option(help="End when this process ends.", hidden=True)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Fold items that came after the training into the live model, without a training.

    Their texts are read for facts, encoded, and given the parts that every agent has for an item
    without interactions; then they are recommended like any other. Trained items whose text or
    facts have changed get these parts anew, and keep what their interactions taught. `kgrec serve`
    does this by itself for what comes while it runs. Nothing happens to items that are folded in
    already.

    Example: kgrec fold
    """
    from kgrec.stages.fold import FoldConfig, Folder

    if parent is not None:
        os.nice(_NICE)
    settings = load_settings()
    with open_graph(settings) as store:
        folder = Folder(store, settings.home, FoldConfig(extract=extract), own_process=True)
        if follow:
            folder.follow(lambda: parent is None or os.getppid() == parent)
            if parent is not None:
                # The server was killed, and is likely started again. Who leaves as usual, as the
                # last, ends the embedded database; for one that just ends, it waits a while.
                os._exit(0)
            return
        with progress(quiet=as_json) as bars:
            done = folder.run(bars)
    if as_json:
        print_json(done.model_dump(mode="json"))
    elif done.problem:
        out.print(f"Nothing is folded in: {done.problem}.", markup=False)
    else:
        out.print(
            f"{done.folded} items folded into {done.model_id}, {done.removed} removed,"
            f" {done.total} in all; {done.revised} trained items changed ({done.seconds:.1f} s).",
            markup=False,
        )
