"""A file and a domain: what the file holds and what becomes of each column, with reasons."""

from __future__ import annotations

from pathlib import Path

from kgrec.config import FrozenModel
from kgrec.data.columns import plan_columns
from kgrec.data.guesses import by_name, role_names
from kgrec.data.plan import ColumnPlan
from kgrec.data.sources import Kind, Source
from kgrec.data.tables import Table, TableFormat, open_table
from kgrec.errors import DataError
from kgrec.schema import Core, Domain

STEP = 50
"""Of the rows of interactions and relations behind the first ones, every so many are looked at."""


class FileGuess(FrozenModel):
    """What a file is guessed to be.

    Attributes:
        kind: what a row is.
        reason: why.
        layout: how the file is laid out.
        source: the source that reads it so, as a pipeline file would name it.
        plan: what becomes of each column; `plan.guesses()` has it in words, with reasons.
    """

    path: Path
    kind: Kind
    reason: str
    layout: TableFormat
    source: Source
    plan: ColumnPlan


def guess_file(
    path: Path,
    domain: Domain,
    core: Core,
    *,
    kind: Kind | None = None,
    layout: TableFormat | None = None,
) -> FileGuess:
    """Look at a whole file, in a stream, and guess what it holds for a domain.

    Args:
        kind: what a row is; guessed from the names of the columns when absent.

    Raises:
        DataError: the file is no table, or no kind has all the columns that it must have.
    """
    table = open_table(path, layout).surveyed(step=STEP)
    reason = "given"
    if kind is None:
        kind, reason = guess_kind(table, domain)
    source = Source(kind=kind, path=path, **(layout or TableFormat()).model_dump())
    plan = plan_columns(table, source, domain, core)
    return FileGuess(
        path=path, kind=kind, reason=reason, layout=table.layout, source=source, plan=plan
    )


def guess_kind(table: Table, domain: Domain) -> tuple[Kind, str]:
    """Return what a row of a table is, and why.

    Raises:
        DataError: the columns have none of the usual names of keys.
    """

    def role(kind: Kind, name: str) -> str | None:
        source = Source(kind=kind, path=table.path)
        return by_name(table.columns, role_names(source, domain)[name])

    user, item = role("interactions", "user_id"), role("interactions", "item_id")
    if user and item:
        return "interactions", f"{user} are users and {item} items"
    head, tail = role("relations", "head"), role("relations", "tail")
    if head and tail:
        return "relations", f"{head} is a head and {tail} a tail"
    title, item_id = role("catalog", "title"), role("catalog", "item_id")
    if user and not title:
        return "users", f"{user} are users"
    if item_id:
        return "catalog", f"{item_id} are items"
    if user:
        return "users", f"{user} are users"
    raise DataError(
        f"{table.path}: no column is called like an id",
        value=", ".join(table.columns),
        remedy="Say what a row is, and name its id with --column item_id=COLUMN.",
    )
