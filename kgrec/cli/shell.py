"""`kgrec graph shell`: statements in, tables or JSON out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table
from rich.text import Text

from kgrec.cli.app import report
from kgrec.cli.console import out, print_json
from kgrec.errors import ConfigError, GraphError, GraphReadOnlyError

if TYPE_CHECKING:
    from kgrec.graph.store import GraphStore, QueryResult

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
            statement, limit=bounds.limit, timeout=bounds.timeout, writing=bounds.writing
        )
    except GraphReadOnlyError as error:
        if bounds.writing:
            raise
        raise GraphReadOnlyError(
            "the statement writes", value=statement, remedy="Add --write to allow that."
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
