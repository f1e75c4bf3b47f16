"""`kgrec schema`: the vocabulary and the statements."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from kgrec.cli.console import out, print_json
from kgrec.errors import SchemaError
from kgrec.graph.statements import check_statements, header_of
from kgrec.schema import Domain, Schema, Statement, load_schema

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
def check(domain: DomainName = None, as_json: AsJson = False) -> None:
    """Check that statements, headers, parameters and labels fit each other, and the domains too.

    Example: kgrec schema check --domain books.toml
    """
    schema = load_schema()
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
