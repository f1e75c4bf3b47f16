"""`kgrec graph export|import`: the whole graph as files, from one engine to another."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kgrec.cli.console import err, out, print_json, progress
from kgrec.config import load_settings
from kgrec.graph import open_graph

if TYPE_CHECKING:
    from kgrec.graph.dump.export import ExportSummary
    from kgrec.graph.dump.load import ImportSummary

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Dumped = Annotated[Path, typer.Argument(help="A folder, or a file that ends in .zip.")]


def export(
    path: Dumped,
    force: Annotated[bool, typer.Option("--force", help="Replace a dump that is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the whole graph to a folder or a .zip, for `kgrec graph import` on any engine.

    The dump holds all that kgrec keeps in the graph, users and what they did included. Trained
    models are files below `models/` of the home, and are not in it.

    Example: kgrec graph export graph.zip
    """
    from kgrec.graph.dump.export import export_graph

    begun = time.perf_counter()
    with open_graph(load_settings()) as store, progress(quiet=as_json) as bars:
        done = export_graph(store, path, replace=force, progress=bars)
    seconds = time.perf_counter() - begun
    if as_json:
        print_json({**done.model_dump(mode="json"), "seconds": round(seconds, 3)})
        return
    _show(f"{path}: {_counts(done)}, {done.bytes / 1e6:.1f} MB, {seconds:.1f} s.")
    _show(f"Content {done.content}: a graph of the same content has the same, on any engine.")
    for what, number in done.left_out.items():
        err.print(f"Left out: {number:,} {what}.", highlight=False, markup=False, soft_wrap=True)


def load(
    path: Dumped,
    replace: Annotated[
        bool, typer.Option("--replace", help="Delete what kgrec keeps in the graph first.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Load a dump into an empty graph; one that was stopped goes on when it is run again.

    Every digest is compared before anything is written. The live model of the dump is live
    afterwards; its files below `models/` of the home must be on this machine.

    Example: KGREC_GRAPH_URI=bolt://127.0.0.1:7687 kgrec graph import graph.zip
    """
    from kgrec.graph.dump.load import import_graph

    settings = load_settings()
    begun = time.perf_counter()
    with open_graph(settings) as store, progress(quiet=as_json) as bars:
        done = import_graph(store, path, replace=replace, progress=bars)
    seconds = time.perf_counter() - begun
    model = done.live_model
    missing = model is not None and not (settings.home / "models" / model).is_dir()
    if as_json:
        found = {**done.model_dump(mode="json"), "model_files": None if model is None else True}
        if missing:
            found["model_files"] = False
        print_json({**found, "seconds": round(seconds, 3)})
        return
    went_on = f", {done.resumed:,} of them before it was stopped" if done.resumed else ""
    _show(f"{path}: {_counts(done)}{went_on}, {seconds:.1f} s.")
    if missing:
        err.print(
            f"The live model {model} has no files here: copy models/{model} from the home that "
            f"the dump is of to {settings.home / 'models'}.",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def _counts(done: ExportSummary | ImportSummary) -> str:
    nodes, relations = sum(done.nodes.values()), sum(done.relations.values())
    return f"{nodes:,} nodes, {relations:,} relations"


def _show(text: str) -> None:
    out.print(text, markup=False, highlight=False, soft_wrap=True)
