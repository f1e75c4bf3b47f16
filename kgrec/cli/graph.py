"""`kgrec graph`: the graph database itself."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from kgrec.cli.console import out, print_json
from kgrec.cli.shell import Bounds, run_interactively, run_statements, statements_of
from kgrec.config import Settings, load_settings
from kgrec.errors import ConfigError, GraphError
from kgrec.graph import embedded, open_graph
from kgrec.graph.address import shown
from kgrec.graph.home import GraphHome

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Start, stop, inspect or reset the graph database.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command()
def start(as_json: AsJson = False) -> None:
    """Start the embedded server and leave it running, so that commands need not start it.

    Example: kgrec graph start
    """
    settings = _embedded_settings("start")
    address = embedded.keep_running(settings.home)
    password = GraphHome.below(settings.home).password_file
    user = address.login.user if address.login else ""
    if as_json:
        place = {"uri": address.uri, "database": address.database, "user": user}
        print_json({**place, "password_file": str(password)})
        return
    out.print(
        f"The graph database listens at {address.uri} until `kgrec graph stop`.\n"
        f"Other Bolt clients: user {user}, password in {password}",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )


@app.command()
def stop(
    force: Annotated[
        bool, typer.Option("--force", help="Also when commands still use the server.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Stop the embedded server; what commands use ends when they do, unless --force.

    Example: kgrec graph stop
    """
    settings = _embedded_settings("stop")
    stopped = embedded.stop(settings.home, force=force)
    if as_json:
        print_json({"stopped": stopped})
    elif stopped:
        out.print("The graph database is stopped.")
    else:
        out.print("Commands still use the graph database: it stops when the last one ends.")


@app.command()
def status(as_json: AsJson = False) -> None:
    """Say which graph database is in use, whether it runs, and what it holds.

    Example: kgrec graph status --json
    """
    state = _status(load_settings())
    if as_json:
        print_json(state)
        return
    for name, value in state.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {count:,}" for key, count in value.items()) or "none"
        out.print(f"{name.replace('_', ' '):<10}", value, highlight=False, markup=False)
    if "nodes" not in state:
        out.print("`kgrec graph start` starts it; what it holds is counted while it runs.")


@app.command()
def reset(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete everything that kgrec keeps in the graph.

    Example: kgrec graph reset --yes
    """
    settings = load_settings()
    uri = settings.graph_uri
    place = str(GraphHome.below(settings.home).root) if uri is None else shown(uri)
    if not yes:
        typer.confirm(f"Delete everything that kgrec keeps in {place}?", abort=True, err=True)
    if settings.graph_uri is None:
        _reset_embedded(settings)
    else:
        from kgrec.graph.setup import clear_graph

        with open_graph(settings) as store:
            clear_graph(store)
    if as_json:
        print_json({"reset": place})
    else:
        out.print(f"The graph in {place} is empty.", markup=False, soft_wrap=True)


@app.command()
def shell(
    statement: Annotated[
        str | None, typer.Argument(help="Cypher; without it, standard input or a prompt.")
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Allow statements that write.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="The most rows shown.")] = 100,
    timeout: Annotated[float, typer.Option(min=0.1, help="Most seconds a statement runs.")] = 30.0,
    as_json: AsJson = False,
) -> None:
    """Run Cypher on the graph, read-only unless --write.

    Example: kgrec graph shell --limit 20 < question.cypher
    """
    bounds = Bounds(limit=limit, timeout=timeout, writing=write)
    with open_graph(load_settings()) as store:
        if statement is None and sys.stdin.isatty():
            run_interactively(store, bounds, as_json=as_json)
            return
        text = sys.stdin.read() if statement is None else statement
        run_statements(store, statements_of(text), bounds, as_json=as_json)


def _embedded_settings(command: str) -> Settings:
    settings = load_settings()
    if settings.graph_uri is not None:
        raise ConfigError(
            f"kgrec can only {command} the embedded graph database, and another is configured",
            value=shown(settings.graph_uri),
            remedy="Unset KGREC_GRAPH_URI to use the embedded one.",
        )
    return settings


def _status(settings: Settings) -> dict[str, Any]:
    place = GraphHome.below(settings.home)
    state: dict[str, Any] = {}
    if settings.graph_uri is None:
        state = {
            "home": str(place.root),
            "running": embedded.running(settings.home) is not None,
            "kept": place.keep_file.exists(),
            "in_use": embedded.in_use(settings.home),
        }
        if not state["running"]:
            return {"engine": "arcadedb (embedded)", **state}
    from kgrec.graph.setup import count_graph

    with open_graph(settings) as store:
        info, counts = store.info(), count_graph(store)
    return {
        "engine": info.engine,
        "version": info.version,
        "uri": info.uri,
        "database": info.database,
        **state,
        "nodes": counts.nodes,
        "relations": counts.relations,
    }


def _reset_embedded(settings: Settings) -> None:
    if not embedded.erase(settings.home):
        raise GraphError(
            "the graph database is in use",
            value=str(settings.home),
            remedy="End the commands that use it, or run `kgrec graph stop --force` first.",
        )
