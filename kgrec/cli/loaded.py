"""What commands print of tables: columns, what a load did, and what one would do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kgrec.cli.console import out
from kgrec.errors import DataError

if TYPE_CHECKING:
    from kgrec.stages.dry_run import DryRun
    from kgrec.stages.ingest import IngestSummary
    from kgrec.stages.loading.reading import PreparedSource


def show_columns(prepared: PreparedSource) -> None:
    """Print what becomes of each column of a source."""
    layout, path = prepared.table.layout, prepared.table.shown
    cut = f", cut at {layout.delimiter!r}" if layout.delimiter else ""
    out.print(f"{path} ({layout.format}{cut})", markup=False, highlight=False, soft_wrap=True)
    guesses = prepared.plan.guesses()
    widths = [max((len(one[n]) for one in prepared.plan.described()), default=0) for n in (0, 1)]
    for one in guesses:
        how = ": ".join(filter(None, (one.how, one.reason)))
        line = f"  {one.column:<{widths[0]}}  {one.becomes:<{widths[1]}}  {how}".rstrip()
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def described(done: IngestSummary) -> str:
    """Return what an ingest did, in one line."""
    if done.unchanged == done.rows and not done.changed:
        return f"{done.rows:,} rows: unchanged."
    counts = {
        "created": done.created,
        "updated": done.updated,
        "unchanged": done.unchanged,
        "joined" if done.kind in ("catalog", "entities") else "repeated in the file": done.repeated,
        "set aside": done.rejected,
        "users created": done.users,
        "items created": done.items,
        "entities": done.entities,
        "facts": done.facts,
        "links": done.links,
        "facts withdrawn": done.withdrawn,
        "retired": done.retired,
        "cells with words for nothing": done.nulls,
    }
    listed = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    return f"{done.rows:,} rows: {listed}."


def mostly_rejected(done: Sequence[IngestSummary]) -> DataError:
    """Return the error of sources of which more than half of the rows were set aside."""
    files = ", ".join(f"{one.rejected:,} of {one.rows:,} of {one.file}" for one in done)
    return DataError(
        "most rows were set aside",
        value=files,
        remedy="The other rows are loaded. The reasons are above, and each row in the file there.",
    )


def show_rejects(done: IngestSummary) -> None:
    """Print how many rows and cells were set aside, why, and where they are."""
    if done.rejects is None:
        return
    counts = {"rows": done.rejected, "cells": done.cells_rejected}
    number = " and ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    line = f"{number} set aside from {done.file}, each in {done.rejects}:"
    out.print(line, markup=False, highlight=False, soft_wrap=True)
    for reason, count in done.reasons.items():
        out.print(f"  {count:,} × {reason}", markup=False, highlight=False)


def show_dry_run(found: DryRun) -> None:
    """Print what a load would read, and what it would set aside and why."""
    named = {"users": found.users, "items": found.items, "facts": found.facts}
    named["items without a title, loaded where the graph holds them"] = found.untitled
    listed = ", ".join(f"{count:,} {name}" for name, count in named.items() if count)
    counts = {
        "repeated in the file" if found.kind in ("interactions", "relations") else "joined": (
            found.repeated
        ),
        "would be set aside": found.rejected,
        "cells would be left out of their rows": found.cells_rejected,
    }
    parts = [f"{found.usable:,} can be used" + (f" ({listed})" if listed else "")]
    parts += [f"{count:,} {name}" for name, count in counts.items() if count]
    _line(f"{found.rows:,} rows: {', '.join(parts)}.")
    for one in found.reasons:
        _line(f"  {one.count:,} × {one.reason}; first in line {one.line:,}: {one.value!r}")
    if found.nulls:
        words = (f"{word or 'an empty text'} ({count:,})" for word, count in found.nulls.items())
        _line(f"Words for nothing: {', '.join(words)}.")
    if found.events:
        events = (f"{name} ({count:,})" for name, count in found.events.items())
        _line(
            f"Unknown events: {', '.join(events)}. Name their kinds: --kind EVENT=KIND, or `kinds` "
            "of a pipeline file; EVENT= leaves one out."
        )


def _line(text: str) -> None:
    out.print(text, markup=False, highlight=False, soft_wrap=True)
