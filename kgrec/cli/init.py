"""`kgrec init`: a pipeline file from a person's own tables."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from kgrec.cli.console import out, print_json, progress
from kgrec.errors import ConfigError

if TYPE_CHECKING:
    from kgrec.stages.starting.proposal import Proposal

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def init(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            help="Tables, triples (.ttl, .nt, .kg), folders with some, addresses such as "
            "https://host/films.csv, or databases such as sqlite:///shop.db; none for a skeleton."
        ),
    ] = None,
    query: Annotated[
        list[str] | None,
        typer.Option(help="A table of the database, or SQL; all tables when none is given."),
    ] = None,
    domain: Annotated[
        str | None, typer.Option(help="Name of a domain, or path of a domain file.")
    ] = None,
    folder: Annotated[
        Path, typer.Option("--out", help="Where the pipeline file is written.")
    ] = Path(),
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Take every guess; do not ask.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Look at files and write a pipeline file that runs, with what was guessed and why.

    Where no shipped domain knows the columns, a domain file is written beside it. With --domain
    and no files it is a commented skeleton.

    Example: kgrec init books.csv ratings.csv --yes --out mine && kgrec run mine/pipeline.toml

    Example: kgrec init sqlite:///shop.db --query products --query orders --yes

    Example: kgrec init --domain shop
    """
    from kgrec.stages.starting.places import places_of
    from kgrec.stages.starting.proposal import as_guessed, propose
    from kgrec.stages.starting.writing import pipeline_text, skeleton

    pipeline = folder / "pipeline.toml"
    if not files:
        if domain is None:
            raise ConfigError(
                "there is nothing to look at",
                remedy="Name files, or a domain: kgrec init --domain shop.",
            )
        from kgrec.schema import load_schema

        _write({pipeline: skeleton(load_schema().domain(domain), domain)}, force=force)
        _finish({"pipeline": str(pipeline), "domain": domain}, as_json=as_json)
        return
    ask = as_guessed if yes or as_json else _prompted
    with progress(quiet=as_json) as bars:
        proposal = propose(places_of(files, query or ()), domain, confirm=ask, progress=bars)
    written: dict[Path, str] = {}
    name = domain or proposal.domain.name
    if domain is not None and domain.endswith(".toml"):
        name = str(Path(domain).resolve())
    if proposal.draft is not None:
        name = f"{proposal.domain.name}.toml"
        written[folder / name] = proposal.draft.text
    written[pipeline] = pipeline_text(proposal, folder, name)
    _write(written, force=force)
    _check(pipeline)
    if not as_json:
        _show(proposal)
    _finish(_as_object(proposal, pipeline, name), as_json=as_json)


def _prompted(what: str, value: str, why: str) -> str:
    """Ask for one decision on the terminal; return the guess where nothing is typed.

    Files are looked at before, so that one that is not there is named to whoever has no terminal.
    """
    if not sys.stdin.isatty():
        raise ConfigError(
            f"there is no terminal to confirm the {what} on",
            value=value,
            remedy="Give --yes to take every guess.",
        )
    typer.echo(f"{what}: {value} ({why})", err=True)
    return str(typer.prompt(what, default=value, err=True))


def _write(files: dict[Path, str], *, force: bool) -> None:
    there = next((path for path in files if path.exists()), None)
    if there is not None and not force:
        raise ConfigError(
            "the file is there already",
            value=str(there),
            remedy="Give --force to replace it, or another folder with --out.",
        )
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ConfigError(
                f"the file cannot be written ({error.strerror})", value=str(path)
            ) from None


def _check(path: Path) -> None:
    """Read what was written as `kgrec run` will, so that what cannot run fails here."""
    from kgrec.data.public import user_cache
    from kgrec.stages.ingest import prepare
    from kgrec.stages.pipeline import load_pipeline

    pipeline = load_pipeline(path)
    for source in pipeline.sources:
        prepare(source, pipeline.domain, cache=user_cache())


def _show(proposal: Proposal) -> None:
    for guess in proposal.guesses:
        line = f"{guess.what} {guess.value}: {guess.why}"
        out.print(line, markup=False, highlight=False, soft_wrap=True)
    for one in proposal.sources:
        line = f"{one.file.shown} ({one.kind})"
        out.print(line, markup=False, highlight=False, soft_wrap=True)
        for guess in one.guesses:
            line = f"  {guess.what} {guess.value}: {guess.why}"
            out.print(line, markup=False, highlight=False, soft_wrap=True)
        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2))
        for each in one.plan.guesses():
            table.add_row("", each.column, each.becomes, each.reason)
        out.print(table, markup=False, highlight=False)
    if not any(one.kind == "interactions" for one in proposal.sources):
        out.print("No file holds what users did, so nothing can be trained yet.", markup=False)
    for left in proposal.left_out:
        line = f"{left.path}: left out, for {left.why}"
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _as_object(proposal: Proposal, pipeline: Path, domain: str) -> dict[str, Any]:
    return {
        "pipeline": str(pipeline),
        "domain": domain,
        "domain_file": str(pipeline.parent / domain) if proposal.draft is not None else None,
        "guesses": [vars(guess) for guess in proposal.guesses],
        "sources": [
            {
                "file": one.file.shown,
                "kind": one.kind,
                "columns": [each.model_dump(exclude={"how"}) for each in one.plan.guesses()],
                "guesses": [vars(guess) for guess in one.guesses],
            }
            for one in proposal.sources
        ],
        "left_out": [vars(left) for left in proposal.left_out],
    }


def _finish(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    name = found["pipeline"]
    out.print(
        f"Written: {name}. Run it: kgrec run {name}", markup=False, highlight=False, soft_wrap=True
    )
