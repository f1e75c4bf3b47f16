"""What a person should know of the columns of a table before anything is loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from kgrec.data import guesses, looks
from kgrec.data.cells import times
from kgrec.data.fact_columns import RelationColumn, unsplit_remarks
from kgrec.data.plan import ColumnRole
from kgrec.data.sources import Source
from kgrec.data.tables import Table
from kgrec.schema import Core

_IDS = ("item_id", "user_id", "entity_id", "head", "tail")
_SHORTENED = re.compile(r"\d(?:[.,]\d+)?[eE]\+\d\d")


def remarks_on(
    table: Table,
    source: Source,
    roles: Mapping[str, ColumnRole],
    relations: tuple[RelationColumn, ...],
    unused: Sequence[str],
    core: Core,
) -> dict[str, str]:
    """Return what a person should know of columns, before anything is loaded."""
    found = dict(unsplit_remarks(relations, table))

    def values(column: str) -> list[Any]:
        return looks.filled([row.get(column) for row in table.sample])

    for role in roles.values():
        if role.whole:
            found[role.column] = "whole numbers that became floats: 12.0 is read as 12"
        if role.becomes in _IDS and (cut := _cut_off(values(role.column))):
            found[role.column] = (
                f"{cut} is what a spreadsheet leaves of a long number: several ids may have become "
                "one; export the column as text"
            )
        if role.becomes == "at":
            note = _remark_on_times(values(role.column), role.form)
            found |= {role.column: note} if note else {}
        if role.becomes == "kind" and (unknown := _unknown(values(role.column), source, core)):
            listed = ", ".join(unknown[:20])
            found[role.column] = (
                f"rows of these kinds are set aside: {listed}; name them in `kinds` of a pipeline "
                "file, or with --kind EVENT=KIND"
            )
    for column in unused:
        remark = guesses.remark(column, values(column), source.kind)
        note = table.copy.notes.get(column, "") if table.copy is not None else ""
        found |= {column: "; ".join(filter(None, (note, remark)))} if remark or note else {}
    for column in table.late:
        found[column] = "; ".join(filter(None, (found.get(column), "not in the first 200 rows")))
    return found


def _remark_on_times(values: Sequence[Any], form: str | None) -> str:
    if form == times.DIGITS:
        return "the digits are dates"
    if form == times.DAYS:
        return "the numbers are dates of a spreadsheet"
    if form == times.DAY_FIRST or form == times.MONTH_FIRST:
        first = "day" if form == times.DAY_FIRST else "month"
        return f"dates with the {first} first"
    if times.is_ambiguous(values):
        return "dates are read with the month first; at_format = 'dmy' reads the day first"
    if times.mostly_early(values, form):
        return "most times lie before 1980; are they seconds since 1970? Else give at_format"
    return ""


def _cut_off(values: Sequence[Any]) -> str:
    """Return an id that a spreadsheet has shortened, such as 1.23457E+11, else nothing."""
    texts = (value.strip() for value in values if isinstance(value, str))
    return next(filter(_SHORTENED.fullmatch, texts), "")


def _unknown(values: Sequence[Any], source: Source, core: Core) -> list[str]:
    """Return events that are no kinds of interaction, the most frequent first."""
    names = [str(value).strip() for value in values]
    known = guesses.known_events(core.interactions, source.events)
    counts = {name: names.count(name) for name in dict.fromkeys(names)}
    unknown = [name for name in counts if guesses.event_of(name, known) is None]
    return sorted(unknown, key=lambda name: -counts[name])
