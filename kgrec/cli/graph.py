"""`kgrec graph`: the graph database itself."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from kgrec.cli import correct, data_report, dump, retired
from kgrec.cli.app import report
from kgrec.cli.console import out, print_json
from kgrec.config import Settings, load_settings
from kgrec.errors import ConfigError, GraphError, GraphReadOnlyError
from kgrec.graph import embedded, open_graph
from kgrec.graph.address import shown
from kgrec.graph.home import GraphHome

if TYPE_CHECKING:
    from kgrec.graph.answers import QueryResult
    from kgrec.graph.store import GraphStore

_END = re.compile(r";[ \t]*(?:\n|$)")
_LONGEST_LIST = 8
_GOODBYE = frozenset({":quit", ":exit", "quit", "exit"})


@dataclass(frozen=True)
class Bounds:
    """What a statement of the shell may do."""

    limit: int
    timeout: float
    writing: bool


def statements_of(text: str) -> list[str]:
    """Split text into statements: each ends with a semicolon at the end of a line.

    Raises:
        ConfigError: there is no statement in it.
    """
    found = [part.strip() for part in _END.split(text) if part.strip()]
    if not found:
        raise ConfigError(
            "there is no statement to run",
            remedy="Give one as the argument, on standard input, or at the prompt; README has one.",
        )
    return found


def run_statements(
    store: GraphStore, statements: Sequence[str], bounds: Bounds, *, as_json: bool
) -> None:
    """Run statements in order and show what each returns; the first error ends it.

    JSON is an object for one statement, an array of objects for several.
    """
    answers = []
    for statement in statements:
        result = _run(store, statement, bounds)
        if as_json:
            answers.append(_as_object(result))
        else:
            _show(result)
    if as_json:
        print_json(answers[0] if len(answers) == 1 else answers)


def run_interactively(store: GraphStore, bounds: Bounds, *, as_json: bool) -> None:
    """Read statements from a prompt until the end of input; errors do not end it."""
    import readline

    readline.set_history_length(1000)
    mode = "reads and writes" if bounds.writing else "reads only"
    info = store.info()
    typer.echo(f"{info.engine} {info.version}, {mode}. End a statement with `;`, leave with :quit.")
    for statement in _prompted():
        try:
            run_statements(store, [statement], bounds, as_json=as_json)
        except GraphError as error:
            report(error, as_json=as_json)


def _prompted() -> Iterator[str]:
    lines: list[str] = []
    while True:
        try:
            line = input("     > " if lines else "kgrec> ")
        except EOFError:
            typer.echo()
            return
        except KeyboardInterrupt:
            typer.echo()
            lines = []
            continue
        if not lines and line.strip().rstrip(";").lower() in _GOODBYE:
            return
        if line.strip():
            lines.append(line)
        if lines and (line.rstrip().endswith(";") or not line.strip()):
            yield "\n".join(lines).strip().rstrip(";")
            lines = []


def _run(store: GraphStore, statement: str, bounds: Bounds) -> QueryResult:
    try:
        return store.query(
            statement,
            limit=bounds.limit,
            timeout=bounds.timeout,
            writing=bounds.writing,
            proven=not bounds.writing,
        )
    except GraphReadOnlyError as error:
        if bounds.writing:
            raise
        raise GraphReadOnlyError(
            error.what, value=statement, remedy="Add --write to allow that."
        ) from error


def _as_object(result: QueryResult) -> dict[str, Any]:
    return {
        "columns": list(result.columns),
        "rows": result.rows,
        "truncated": result.truncated,
    }


def _show(result: QueryResult) -> None:
    if not result.rows:
        out.print("No rows.")
        return
    table = Table()
    for column in result.columns:
        table.add_column(Text(column), overflow="fold")
    for one in result.rows:
        table.add_row(*(Text(_cell(one[column])) for column in result.columns))
    out.print(table)
    if result.truncated:
        out.print(f"There are more rows than {len(result.rows)}: --limit shows more.")


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(_shortened(value), ensure_ascii=False, default=str)


def _shortened(value: Any) -> Any:
    if isinstance(value, list):
        shown = [_shortened(one) for one in value[:_LONGEST_LIST]]
        rest = len(value) - len(shown)
        return [*shown, f"… {rest} more"] if rest else shown
    if isinstance(value, dict):
        return {key: _shortened(one) for key, one in value.items()}
    return value


app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Start, stop, inspect or reset the graph database.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

for _command in (retired.retired, retired.restore, retired.sweep, correct.correct):
    app.command()(_command)
app.command()(dump.export)
app.command("import")(dump.load)
app.command()(data_report.report)


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
    """Show which graph database is in use, whether it runs, and what it holds.

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
    """Delete everything that kgrec keeps in the graph; an embedded server stops.

    Example: kgrec graph reset --yes
    """
    settings = load_settings()
    uri = settings.graph_uri
    place = str(GraphHome.below(settings.home).root) if uri is None else shown(uri)
    if not yes:
        typer.confirm(f"Delete everything that kgrec keeps in {place}?", abort=True, err=True)
    stopped = None
    if settings.graph_uri is None:
        stopped = _reset_embedded(settings)
    else:
        from kgrec.graph.setup import clear_graph

        with open_graph(settings) as store:
            clear_graph(store)
    if as_json:
        print_json({"reset": place, "stopped": stopped})
        return
    out.print(f"The graph in {place} is empty.", markup=False, soft_wrap=True)
    if stopped:
        out.print(
            f"Its server at {stopped} is stopped; `kgrec graph start` starts one, with a new "
            "password and perhaps another port.",
            markup=False,
            soft_wrap=True,
            highlight=False,
        )


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
    from kgrec.graph.setup import count_graph, unfinished_import

    with open_graph(settings) as store:
        info, counts = store.info(), count_graph(store)
        unfinished = unfinished_import(store)
    if unfinished is not None:
        state["unfinished_import"] = f"{max(unfinished.done, 0):,} rows of dump {unfinished.dump}"
    return {
        "engine": info.engine,
        "version": info.version,
        "uri": info.uri,
        "database": info.database,
        **state,
        "nodes": counts.nodes,
        "relations": counts.relations,
    }


def _reset_embedded(settings: Settings) -> str | None:
    """Erase the embedded graph; return the address of the server that this stopped, if one ran."""
    state = embedded.running(settings.home)
    if not embedded.erase(settings.home):
        raise GraphError(
            "the graph database is in use",
            value=str(settings.home),
            remedy="End the commands that use it, or run `kgrec graph stop --force` first.",
        )
    return None if state is None else f"bolt://127.0.0.1:{state.bolt_port}"
