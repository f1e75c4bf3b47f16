"""The `kgrec` command: which module serves which command, and how errors reach a person."""

from __future__ import annotations

import difflib
import importlib
import io
import json
import sys
from collections.abc import Sequence

import typer

from kgrec.errors import KGRecError, missing_extra
from kgrec.version import __version__

COMMANDS: dict[str, tuple[str, str]] = {
    # command: (module:Typer application, one line of help)
    "init": ("kgrec.cli.init:app", "Write a pipeline file for your own tables."),
    "run": ("kgrec.cli.run:app", "Run a pipeline file, whole or by stage."),
    "ingest": ("kgrec.cli.ingest:app", "Load one file of a catalogue, users or interactions."),
    "extract": ("kgrec.cli.extract:app", "Read texts for facts, or show what a text states."),
    "resolve": ("kgrec.cli.resolve:app", "Find records of two files that are the same thing."),
    "train": ("kgrec.cli.train:app", "Train the agents on the graph."),
    "publish": ("kgrec.cli.publish:app", "Write a trained model to the graph and make it live."),
    "fold": ("kgrec.cli.fold:app", "Fold items that came after the training into the live model."),
    "models": ("kgrec.cli.models:app", "List, show, prune or roll back trained models."),
    "recommend": ("kgrec.cli.recommend:app", "Recommend items to a user."),
    "explain": ("kgrec.cli.explain:app", "Explain why an item is recommended to a user."),
    "serve": ("kgrec.cli.serve:app", "Serve the HTTP API and the explorer page."),
    "user": ("kgrec.cli.user:app", "Export or erase what is kept of one user."),
    "keys": ("kgrec.cli.keys:app", "Create, list, rotate or revoke keys of the HTTP API."),
    "mcp": ("kgrec.cli.mcp:app", "Serve tools for language models (Model Context Protocol)."),
    "evaluate": ("kgrec.cli.evaluate:app", "Measure the agents on files; needs no database."),
    "export": ("kgrec.cli.export:app", "Write the graph to PyG, NetworkX, GraphML or Parquet."),
    "graph": ("kgrec.cli.graph:app", "Start, stop, inspect or reset the graph database."),
    "schema": ("kgrec.cli.schema:app", "Show or check the vocabulary and the statements."),
}


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and leave with an exit code that means something.

    0 done, 1 failed, 2 wrong use or configuration, 3 unusable data, 4 not found, 5 a model that
    does not fit, 6 the graph database, 130 stopped.
    """
    _take_all_letters()
    arguments = list(sys.argv[1:] if args is None else args)
    if not arguments or arguments[0] in ("-h", "--help"):
        typer.echo(usage())
        sys.exit(0)
    if arguments[0] in ("-V", "--version"):
        typer.echo(f"kgrec {__version__}")
        sys.exit(0)
    name, *rest = arguments
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else "`kgrec --help` lists the commands."
        typer.echo(f"kgrec: no such command: {name!r}\n       {hint}", err=True)
        sys.exit(2)
    module, _, attribute = COMMANDS[name][0].partition(":")
    try:
        app: typer.Typer = getattr(importlib.import_module(module), attribute)
        app(args=rest, prog_name=f"kgrec {name}")
    except KGRecError as error:
        report(error, as_json="--json" in rest)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        missing = missing_extra(error)
        if missing is None:
            raise
        report(missing, as_json="--json" in rest)
        sys.exit(missing.exit_code)
    except KeyboardInterrupt:
        typer.echo("Stopped.", err=True)
        sys.exit(130)


def _take_all_letters() -> None:
    """Escape what a terminal or a pipe of another encoding cannot show, rather than fail at it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def usage() -> str:
    """Return the help of `kgrec` itself, without importing any command."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {line}" for name, (_, line) in COMMANDS.items()]
    return "\n".join(
        [
            "Usage: kgrec COMMAND [OPTIONS] [ARGS]...",
            "",
            "A knowledge-graph-centric recommendation engine.",
            "",
            "Commands (`kgrec COMMAND --help` for details):",
            *lines,
            "",
            "Example:",
            "  kgrec run pipelines/movielens.toml",
            "  kgrec recommend 42",
        ]
    )


def report(error: KGRecError, *, as_json: bool) -> None:
    """Write an error to standard error, in words or as one JSON object."""
    if as_json:
        body = {"error": type(error).__name__, "what": error.what, "remedy": error.remedy}
        body["value"] = "" if error.value is None else str(error.value)
        typer.echo(json.dumps(body), err=True)
        return
    value = "" if error.value is None else f": {error.value!r}"
    typer.echo(f"kgrec: {error.what}{value}", err=True)
    if error.remedy:
        typer.echo(f"       {error.remedy}", err=True)
