"""`kgrec ingest`: one file into the graph, its columns guessed and shown."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kgrec.cli.console import out, print_json, progress
from kgrec.cli.follow import follow_log
from kgrec.cli.loaded import (
    described,
    mostly_rejected,
    show_columns,
    show_dry_run,
    show_rejects,
)
from kgrec.config import load_settings, parse_config
from kgrec.errors import ConfigError
from kgrec.graph import open_graph

if TYPE_CHECKING:
    from kgrec.config import Settings
    from kgrec.stages.loading.reading import PreparedSource

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class FileKind(StrEnum):
    catalog = "catalog"
    users = "users"
    interactions = "interactions"
    entities = "entities"
    relations = "relations"


@app.command()
def ingest(
    kind: Annotated[FileKind, typer.Argument(help="What a row of the file is.")],
    file: Annotated[
        str,
        typer.Argument(
            help="CSV, TSV, JSON lines or Parquet, packed or not: a path, - for standard input, an "
            "address such as s3://bucket/films.csv.gz, or a database such as sqlite:///shop.db."
        ),
    ],
    domain: Annotated[str, typer.Option(help="Name of a domain, or path of a domain file.")],
    query: Annotated[
        str | None, typer.Option(help="SQL, or the name of a table, of a database.")
    ] = None,
    name: Annotated[
        str, typer.Option(help="How facts and runs call the source; that of the file by default.")
    ] = "",
    column: Annotated[
        list[str] | None, typer.Option(help="ROLE=COLUMN, such as item_id=movie_id.")
    ] = None,
    relation: Annotated[
        list[str] | None,
        typer.Option(
            help="TYPE=COLUMN:SEPARATOR, such as 'HAS_GENRE=genres:|'; without a separator one is "
            "guessed and shown, TYPE=COLUMN: cuts nothing. More columns of a TYPE add up. Of "
            "relations the TYPE alone."
        ),
    ] = None,
    entity_type: Annotated[
        str | None, typer.Option("--type", help="Type of the entities, such as Person.")
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option("--property", help="A further column to keep.")
    ] = None,
    interaction: Annotated[
        str | None, typer.Option(help="Kind of the interactions: view, purchase, rating, ...")
    ] = None,
    events: Annotated[
        list[str] | None,
        typer.Option("--kind", help="EVENT=KIND, such as addtocart=cart; EVENT= leaves it out."),
    ] = None,
    at_format: Annotated[
        str | None,
        typer.Option(help="Form of times: '%d/%m/%Y %H:%M', dmy, mdy, or digits (19930422)."),
    ] = None,
    null: Annotated[
        list[str] | None,
        typer.Option(help="A word for nothing, in place of N/A, None, - and so on; '' for none."),
    ] = None,
    namespace: Annotated[
        str, typer.Option(help="Put before the ids of items, so that catalogues may share numbers.")
    ] = "",
    join: Annotated[
        list[str] | None,
        typer.Option(
            help="FILE:COLUMN, a table that is joined to this one by a column of both, such as "
            "tags.csv:tag_id; FILE:COLUMN=KEY where it calls it KEY."
        ),
    ] = None,
    file_format: Annotated[
        str | None, typer.Option("--format", help="csv, tsv, jsonl or parquet.")
    ] = None,
    delimiter: Annotated[str | None, typer.Option(help="What stands between cells.")] = None,
    encoding: Annotated[str, typer.Option(help="Of the whole file.")] = "utf-8",
    header: Annotated[
        str | None, typer.Option(help="Names of the columns, with commas, if the file has none.")
    ] = None,
    skip: Annotated[int, typer.Option(min=0, help="Lines before the table.")] = 0,
    max_growth: Annotated[
        float, typer.Option(help="How many times its size a packed file may unpack to.")
    ] = 100,
    quoted: Annotated[
        bool | None,
        typer.Option("--quoted/--unquoted", help="Whether cells may stand in double quotes."),
    ] = None,
    create_items: Annotated[
        bool, typer.Option("--create-items", help="Create items that interactions name.")
    ] = False,
    move_article: Annotated[
        bool, typer.Option("--move-article", help="'Godfather, The' becomes 'The Godfather'.")
    ] = False,
    complete: Annotated[
        bool,
        typer.Option(
            "--complete", help="The file holds all of its source: retire what it no longer holds."
        ),
    ] = False,
    delete: Annotated[
        bool,
        typer.Option(
            "--delete", help="The rows name items, users, entities or interactions that are to go."
        ),
    ] = False,
    max_retired: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of a complete source that may be retired at once."),
    ] = 0.2,
    item_type: Annotated[
        str, typer.Option(help="Of triples: the type of the subjects that are items.")
    ] = "",
    predicate: Annotated[
        list[str] | None,
        typer.Option(help="Of triples: IRI=NAME, a relation or property; ^IRI leads to items."),
    ] = None,
    links: Annotated[
        Path | None, typer.Option(help="Of triples: a file of item_id and entity_id.")
    ] = None,
    base: Annotated[
        str, typer.Option(help="Of triples: what IRIs of items begin with and ids leave out.")
    ] = "",
    language: Annotated[str, typer.Option(help="Of triples: that of the texts.")] = "en",
    follow: Annotated[
        bool,
        typer.Option(
            "--follow", help="Go on as a log of interactions grows: a file, or - (standard input)."
        ),
    ] = False,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Follow a log from its start, not where it ended.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Read the rows and load nothing: show what the columns would become, what would "
            "be set aside and why, and what would be retired.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Load one file of items, users, interactions, entities or relations into the graph.

    The same file twice changes nothing; a newer one adds and updates. Rows that cannot be used
    are set aside in a file, each with its line and the reason.

    With --complete, items, users and interactions that an earlier file of the same name held and
    this one does not are retired, with facts and values of emptied cells, and entities emptied;
    `kgrec graph restore` brings them back until `kgrec graph sweep`, as it does what --delete took
    away.

    A row of `relations` is an edge: a head and a tail, each an id, or the name of an entity.

    Example: kgrec ingest catalog films.csv --domain movies --column item_id=movie_id

    Example: kgrec ingest catalog sqlite:///shop.db --query products --domain shop

    With --follow, lines are loaded as they are written, until the log ends or SIGTERM; each batch
    is acknowledged after it is committed, and a restart goes on where it was.

    Example: tail -f events.jsonl | kgrec ingest interactions - --follow --domain shop

    Example: kgrec ingest relations sequels.csv --domain movies --relation SEQUEL_OF
    """
    from kgrec.data.sources import JoinSpec, Source
    from kgrec.stages.ingest import ingest as run
    from kgrec.stages.ingest import prepare

    values: dict[str, Any] = {
        "kind": kind.value,
        "path": file,
        "query": query,
        "name": name,
        "columns": _pairs(column, "--column"),
        **_relations(kind, relation),
        "entity_type": entity_type,
        "properties": keep or None,
        "interaction": interaction,
        "format": file_format,
        "delimiter": _unescaped(delimiter),
        "encoding": encoding,
        "kinds": _pairs(events, "--kind"),
        "at_format": at_format,
        "nulls": None if null is None else [word for word in null if word],
        "namespace": namespace,
        "skip": skip,
        "max_growth": max_growth,
        "quoted": quoted,
        "header": [name.strip() for name in header.split(",")] if header else None,
        "create_items": create_items,
        "move_article": move_article,
        "triples": {
            "type": item_type,
            "predicates": _pairs(predicate, "--predicate", last=True),
            "links": links,
            "base": base,
            "language": language,
        },
        "joins": [JoinSpec.written(one) for one in join or ()],
        "complete": complete,
        "delete": delete,
        "max_retired": max_retired,
    }
    source = parse_config(Source, values, origin="options of kgrec ingest")
    settings = load_settings()
    if follow:
        if kind is not FileKind.interactions or complete or delete or dry_run or join:
            raise ConfigError(
                "a log that is followed holds interactions",
                value=kind.value,
                remedy="Leave out --complete, --delete, --join and --dry-run.",
            )
        follow_log(source, domain, settings, from_start=from_start, as_json=as_json)
        return
    prepared = prepare(source, domain, cache=settings.home / "cache")
    if not as_json:
        show_columns(prepared)
    if dry_run:
        _dry_run(prepared, settings, as_json=as_json)
        return
    with open_graph(settings) as store, progress(quiet=as_json) as bars:
        done = run(store, prepared, home=settings.home, progress=bars)
    if as_json:
        print_json(done.model_dump(mode="json") | {"changed": done.changed})
    else:
        out.print(f"{described(done)} {done.seconds:.1f} s.", markup=False, highlight=False)
        show_rejects(done)
    if done.mostly_rejected:
        raise mostly_rejected([done])


def _dry_run(prepared: PreparedSource, settings: Settings, *, as_json: bool) -> None:
    """Show what a load would read; what is to be retired is compared with the graph."""
    from kgrec.stages.dry_run import dry_deletion, dry_run, refusal
    from kgrec.stages.retiring.complete import vanishing

    plan = prepared.plan.model_dump(mode="json")
    line = ""
    with progress(quiet=as_json) as bars:
        if prepared.source.delete:
            with open_graph(settings) as store:
                tally, found = dry_deletion(store, prepared, progress=bars)
            plan["retires"] = {"retired": tally.retired, "rows": tally.rows}
            line = f"Would retire {tally.retired:,} by {tally.rows:,} rows."
        else:
            found = dry_run(prepared, progress=bars)
        if prepared.source.complete:
            with open_graph(settings) as store:
                gone = vanishing(store, prepared, progress=bars)
            plan["retires"] = gone.model_dump(mode="json") | {"share": gone.share}
            line = f"Would retire {gone.described}."
    if as_json:
        print_json(plan | {"reads": found.model_dump(mode="json")})
    else:
        show_dry_run(found)
        if line:
            out.print(line, markup=False, highlight=False)
    if (error := refusal([found])) is not None:
        raise error


def _relations(kind: FileKind, given: Sequence[str] | None) -> dict[str, Any]:
    if kind is not FileKind.relations:
        return {"relations": _added_up(given, "--relation")}
    if given and (len(given) > 1 or "=" in given[0]):
        raise ConfigError(
            "the rows of a file of relations are of one type, or a column names it",
            value=" ".join(given),
            remedy="Give --relation TYPE once, or --column relation=COLUMN.",
        )
    return {"relation": given[0] if given else None}


def _pairs(texts: Sequence[str] | None, option: str, *, last: bool = False) -> dict[str, str]:
    pairs = _added_up(texts, option, last=last)
    twice = next((name for name, values in pairs.items() if len(values) > 1), None)
    if twice is not None:
        raise ConfigError(
            f"{option} is given twice for one name",
            value=f"{twice}={', '.join(pairs[twice])}",
            remedy="Give it once.",
        )
    return {name: values[0] for name, values in pairs.items()}


def _added_up(
    texts: Sequence[str] | None, option: str, *, last: bool = False
) -> dict[str, list[str]]:
    """Return pairs by name; with `last` it is the last = that cuts, since IRIs may hold some."""
    pairs: dict[str, list[str]] = {}
    for text in texts or ():
        name, equals, value = text.rpartition("=") if last else text.partition("=")
        if not equals or not name:
            raise ConfigError(f"{option} has the form NAME=COLUMN", value=text)
        pairs.setdefault(name.strip(), []).append(value)
    return pairs


def _unescaped(delimiter: str | None) -> str | None:
    return "\t" if delimiter in {"\\t", "tab"} else delimiter
