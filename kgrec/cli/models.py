"""`kgrec models`: list, show, prune and roll back trained models."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from kgrec.cli.console import out, print_json, progress
from kgrec.config import load_settings
from kgrec.graph import open_graph

if TYPE_CHECKING:
    from kgrec.model.record import ModelRecord
    from kgrec.stages.models import ModelEntry

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="List, show, prune or roll back trained models.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the models on this machine and in the graph, the live one first.

    Example: kgrec models list
    """
    from kgrec.stages.models import list_models

    settings = load_settings()
    with open_graph(settings) as store:
        entries = list_models(store, settings.home / "models")
    if as_json:
        print_json([as_plain(entry) for entry in entries])
    else:
        show_entries(entries)


@app.command()
def show(
    model_id: Annotated[str | None, typer.Argument(help="The live one when left out.")] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check every byte on disk against the id.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the record of a model: agents, metrics, settings, failures, and its training key.

    Leaves with 5 where the files are broken or do not match the id.

    Example: kgrec models show --verify
    """
    from kgrec.errors import ModelError
    from kgrec.stages.models import show_model

    settings = load_settings()
    models = settings.home / "models"
    with open_graph(settings) as store:
        entry = show_model(store, models, model_id, every_byte=verify)
    if entry.record is None:
        raise ModelError(
            entry.problem or "the model's files are not on this machine",
            value=entry.model_id,
            remedy=f"Copy its folder into {models}, or train again.",
        )
    if as_json:
        print_json(as_plain(entry) | {"verified": verify})
        return
    for line in described(entry, entry.record, verified=verify):
        out.print(line, markup=False, highlight=False)


@app.command()
def prune(
    keep: Annotated[int, typer.Option(min=0, help="How many of the newest stay.")] = 3,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only report what would be removed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Remove old models from this machine; the live one, the one before and the newest stay.

    Example: kgrec models prune --keep 2 --dry-run
    """
    from kgrec.stages.models import prune_models

    settings = load_settings()
    with open_graph(settings) as store:
        done = prune_models(store, settings.home / "models", keep, dry_run=dry_run)
    if as_json:
        print_json(done.model_dump(mode="json"))
        return
    for name in done.removed:
        out.print(f"{name} {'removed' if done.done else 'would be removed'}", markup=False)
    verb = "freed" if done.done else "would be freed"
    out.print(f"{len(done.removed)} models, {_bytes(done.size)} {verb}; {len(done.kept)} stay.")


@app.command()
def rollback(
    suggests: Annotated[
        int, typer.Option(min=1, help="Suggestions of each agent an item, where they are written.")
    ] = 20,
    as_json: AsJson = False,
) -> None:
    """Make the model live again that was before the present one; twice leads back.

    One transaction where the graph still holds its vectors and suggestions, as it does until two
    more models were published; otherwise they are written first. Leaves with 4 where no model was
    live before.

    Example: kgrec models rollback
    """
    from kgrec.stages.models import roll_back

    settings = load_settings()
    with open_graph(settings) as store, progress(quiet=as_json) as bars:
        done = roll_back(store, settings.home / "models", suggests_per_item=suggests, progress=bars)
    if as_json:
        print_json(done.model_dump(mode="json"))
        return
    how = "at once" if done.instant else f"{done.suggestions:,} suggestions written"
    out.print(
        f"{done.model_id} is live again: {how}, {done.seconds:.1f} s.",
        markup=False,
        highlight=False,
    )


def as_plain(entry: ModelEntry) -> dict[str, Any]:
    """Return an entry as plain values, the metric that choices were made by beside it."""
    plain = entry.model_dump(mode="json")
    name, value = _metric(entry.record)
    digest = None if entry.record is None or entry.record.key is None else entry.record.key.digest
    return plain | {"metric": {"name": name, "value": value}, "key_digest": digest}


def show_entries(entries: Sequence[ModelEntry]) -> None:
    """Print models as a table."""
    if not entries:
        out.print("There is no model yet: kgrec train.")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("model", "", "created", "size", "metric", "agents"):
        table.add_column(heading, overflow="fold")
    for entry in entries:
        record = entry.record
        state = "live" if entry.live else "previous" if entry.previous else ""
        if record is None:
            table.add_row(entry.model_id, state, entry.problem or "not on this machine")
            continue
        name, value = _metric(record)
        table.add_row(
            entry.model_id,
            state,
            _time(record.created_at),
            _bytes(record.size),
            "" if value is None else f"{name} {value:.4f}",
            _shares(record),
        )
    out.print(table)


def described(entry: ModelEntry, record: ModelRecord, *, verified: bool) -> list[str]:
    """Return the record of a model, in lines."""
    state = "live" if entry.live else "previous" if entry.previous else "not live"
    name, value = _metric(record)
    lines = [
        f"{record.model_id}: {state}, {_bytes(record.size)}, format {record.format}"
        + (", every byte checked" if verified else ""),
        f"created    {_time(record.created_at)} by kgrec {record.kgrec}",
        f"items      {record.items:,}, vocabulary {record.vocabulary}",
        f"agents     {_shares(record)}",
        f"metric     {'none was measured' if value is None else f'{name} {value:.4f}'}",
    ]
    key = record.key
    if key is None:
        lines.append("key        unknown: it will be trained again")
    else:
        versions = ", ".join(f"{library} {number}" for library, number in key.versions.items())
        lines.append(f"key        {key.digest}: data {key.data}, code {key.code}; {versions}")
    parts = {"chosen": "chosen", "notes": "notes", "skipped": "skipped"}
    for title, part in parts.items():
        for agent, detail in (record.metrics.get(part) or {}).items():
            if detail:
                lines.append(f"{title:<10} {agent}: {_flat(detail)}")
    lines += [f"failed     {agent}: {reason}" for agent, reason in record.failed.items()]
    for agent, values in (record.settings.get("settings") or {}).items():
        lines.append(f"settings   {agent}: {_flat(values)}")
    rest = {k: v for k, v in record.settings.items() if k != "settings"}
    return [*lines, f"settings   {_flat(rest)}"]


def _metric(record: ModelRecord | None) -> tuple[str, float | None]:
    """Return name and value of the metric that choices were made by, of the whole team."""
    if record is None:
        return "", None
    objective = record.metrics.get("objective") or {}
    value = (record.metrics.get("validation") or {}).get("team")
    name = f"{objective.get('metric', '')}@{objective.get('k', '')}" if objective else ""
    return name, None if value is None else float(value)


def _shares(record: ModelRecord) -> str:
    shares = [f"{name} {share:.2f}" for name, share in record.shares.items()]
    return ", ".join([*shares, *(f"{name} failed" for name in record.failed)])


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={_inner(part)}" for name, part in value.items())
    return str(value)


def _inner(value: Any) -> str:
    return f"({_flat(value)})" if isinstance(value, dict) else str(value)


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M")


def _bytes(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB" if size >= 2**20 else f"{size / 2**10:,.1f} KiB"
