"""`kgrec schema`: the vocabulary and the statements."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from kgrec.cli.console import out, print_json
from kgrec.errors import SchemaError
from kgrec.graph.statements import check_statements, header_of
from kgrec.schema import Domain, Schema, Statement, load_schema
from kgrec.schema.lines import line_of
from kgrec.schema.loading import examine_domain

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Show or check the vocabulary and the statements.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
DomainName = Annotated[
    str | None, typer.Option("--domain", help="Name of a domain, or path of a domain file.")
]


@app.command()
def show(
    domain: DomainName = None,
    statement: Annotated[
        str | None, typer.Option("--statement", help="Show one statement whole.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the vocabulary: labels, relations, domains, statements.

    Example: kgrec schema show --domain movies
    """
    schema = load_schema()
    if statement is not None:
        _show_statement(schema.statement(statement), as_json=as_json)
    elif domain is not None:
        _show_domain(schema.domain(domain), as_json=as_json)
    else:
        _show_schema(schema, as_json=as_json)


@app.command()
def check(
    file: Annotated[
        Path | None, typer.Argument(help="A domain file; without it, what comes with kgrec.")
    ] = None,
    domain: DomainName = None,
    as_json: AsJson = False,
) -> None:
    """Check a domain file: what is wrong, on which line, and what to do about it.

    Without a file, check that the statements and domains of kgrec fit each other. The exit code
    is 2 where a file cannot be used; what is only advice leaves it at 0.

    Example: kgrec schema check books.toml
    """
    schema = load_schema()
    if file is not None:
        _check_file(file, schema, as_json=as_json)
        return
    domains = sorted(schema.domains) if domain is None else [schema.domain(domain).name]
    problems = check_statements(schema)
    if as_json:
        print_json({"statements": len(schema.statements), "domains": domains, "problems": problems})
    if problems:
        listed = "\n       ".join(problems)
        raise SchemaError(f"{len(problems)} problem(s) in the statements:\n       {listed}")
    if not as_json:
        out.print(
            f"{len(schema.statements)} statements and the domains {', '.join(domains)} are sound.",
            highlight=False,
        )


def _check_file(file: Path, schema: Schema, *, as_json: bool) -> None:
    domain, faults = examine_domain(file, schema.core)
    text = file.read_text(encoding="utf-8")
    found = [
        {
            "line": line_of(text, fault.key),
            "key": ".".join(map(str, fault.key)),
            "what": fault.what,
            "value": None if fault.value is None else str(fault.value)[:200],
            "remedy": fault.remedy,
            "fatal": fault.fatal,
        }
        for fault in faults
    ]
    if as_json:
        name = None if domain is None else domain.name
        print_json({"file": str(file), "domain": name, "faults": found})
    fatal = [one for one in found if one["fatal"]]
    if not as_json:
        for one in found:
            out.print(_in_words(file, one), markup=False, highlight=False, soft_wrap=True)
    if fatal:
        raise SchemaError(f"{len(fatal)} problem(s) in the domain file", value=str(file))
    if domain is not None and not as_json:
        counts = f"{len(domain.relations)} relations, {len(domain.rules)} rules"
        out.print(
            f"{file} is sound: {domain.plural} ({domain.item_label}), {counts}.",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def _in_words(file: Path, fault: dict[str, Any]) -> str:
    """Return a fault in one line: file and line, key, what is wrong, what to do."""
    place = file.name if fault["line"] is None else f"{file.name}:{fault['line']}"
    value = "" if fault["value"] is None else f": {fault['value']!r}"
    kind = "" if fault["fatal"] else "advice: "
    remedy = f" {fault['remedy']}" if fault["remedy"] else ""
    return f"{place}: {kind}{fault['key']}: {fault['what']}{value}.{remedy}"


def _show_schema(schema: Schema, *, as_json: bool) -> None:
    purposes = {name: header_of(one).purpose for name, one in schema.statements.items()}
    if as_json:
        domains = {name: _as_object(one) for name, one in schema.domains.items()}
        print_json({"core": schema.core.model_dump(), "domains": domains, "statements": purposes})
        return
    core = schema.core
    properties = {name: ", ".join(core.properties.get(name, {})) for name in core.keys}
    _table(
        "Labels",
        ("label", "key", "properties"),
        [(name, key, properties[name]) for name, key in core.keys.items()],
    )
    _table(
        "Relations of kgrec",
        ("type", "properties"),
        [
            (name, ", ".join(core.properties.get(name, {})))
            for name in core.relations.model_dump().values()
        ],
    )
    _table(
        "Domains",
        ("domain", "items", "relations"),
        [(name, one.item_label, ", ".join(one.relations)) for name, one in schema.domains.items()],
    )
    _table("Statements", ("file", "purpose"), list(purposes.items()))


def _show_domain(domain: Domain, *, as_json: bool) -> None:
    if as_json:
        print_json(_as_object(domain))
        return
    own = domain.item_label
    title = f"{domain.name}: items are labelled {domain.item_label}"
    _table(
        title,
        ("relation", "from", "to", "meaning", "columns"),
        [
            (name, one.head or own, one.tail or own, one.meaning, ", ".join(one.columns))
            for name, one in domain.relations.items()
        ],
    )
    _table("Entity types", ("type", "meaning"), list(domain.entity_types.items()))


def _show_statement(statement: Statement, *, as_json: bool) -> None:
    if as_json:
        header = header_of(statement)
        print_json(
            {
                "name": statement.name,
                "purpose": header.purpose,
                "takes": header.described,
                "returns": list(header.returns or ()),
                "cypher": statement.body,
            }
        )
        return
    typer.echo("\n".join(f"// {line}" for line in statement.header.splitlines()))
    typer.echo(statement.body)


def _as_object(domain: Domain) -> dict[str, Any]:
    return domain.model_dump(exclude={"reading", "rules"})


def _table(title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    out.print(table)
