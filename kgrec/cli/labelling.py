"""`kgrec extract label`: training texts out of a catalogue, without annotation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kgrec.cli.console import out, print_json
from kgrec.errors import ConfigError, DataError

if TYPE_CHECKING:
    from kgrec.data.tables import Table
    from kgrec.text.trained.distant import NamedText


def label(
    table: Annotated[Path, typer.Option(help="A catalogue: CSV, TSV, JSON lines or Parquet.")],
    relation: Annotated[
        list[str], typer.Option(help="RELATION=COLUMN, the column whose names state a relation.")
    ],
    target: Annotated[Path, typer.Option("--out", help="File for the labelled texts.")],
    text: Annotated[str, typer.Option(help="Column of the text.")] = "description",
    key: Annotated[str, typer.Option("--id", help="Column of the item's id.")] = "item_id",
    join: Annotated[
        list[str] | None,
        typer.Option(help="FILE:COLUMN, or FILE:COLUMN=KEY: a table that is joined by a column."),
    ] = None,
    separator: Annotated[str, typer.Option(help="Between the names of a cell.")] = "|",
    silent: Annotated[
        float, typer.Option(help="Texts without a name that are kept for each with one.", min=0)
    ] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Label the texts of a catalogue by the columns that state a relation.

    Where the director's column has a name that the synopsis holds, the name is labelled with the
    relation. `kgrec extract train` learns from the file, and reports the precision on the part of
    it that is held out; --trained then finds the relation in texts of other items.

    Example: kgrec extract label --table films.csv --relation DIRECTED_BY=director --out films.jsonl
    """
    from kgrec.data.origins.joins import joined
    from kgrec.data.sources import JoinSpec
    from kgrec.data.tables import open_table
    from kgrec.text.trained.distant import LabelCounts, distant_labels
    from kgrec.text.trained.lines import write_lines

    columns = dict(_pair(one) for one in relation)
    opened = joined(open_table(table), [JoinSpec.written(one) for one in join or ()])
    known = set(opened.columns)
    for name in (text, key, *columns.values()):
        if name not in known:
            remedy = f"It has {', '.join(sorted(known))}."
            raise ConfigError("the table has no such column", value=name, remedy=remedy)
    counts = LabelCounts()
    texts = _texts(opened, key, text, columns, separator)
    written = write_lines(target, distant_labels(texts, counts, silent=silent))
    if not written:
        raise DataError(
            "no text holds a name of these columns", value=str(table), remedy="Check --separator."
        )
    if as_json:
        found = {"texts": counts.texts, "naming": counts.naming, "silent": counts.silent}
        print_json({**found, "ambiguous": counts.ambiguous, "labels": dict(counts.labels)})
        return
    labels = ", ".join(f"{count:,} {name}" for name, count in counts.labels.most_common())
    out.print(
        f"{counts.texts:,} texts read; {counts.naming:,} hold a name ({labels}), {counts.silent:,} "
        f"without one are kept, {counts.ambiguous:,} names with several relations are left out.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _texts(
    table: Table, key: str, text: str, columns: dict[str, str], separator: str
) -> Iterator[NamedText]:
    from kgrec.data.cells.lists import split_values
    from kgrec.data.tables.files import ignore
    from kgrec.text.trained.distant import NamedText

    def names(cell: Any, column: str) -> list[str]:
        try:
            return split_values(cell, separator, column)
        except ValueError:
            return []

    for _, row in table.rows(ignore):
        content = row.get(text)
        if isinstance(content, str) and content.strip():
            found = {one: names(row.get(column), column) for one, column in columns.items()}
            yield NamedText(str(row.get(key)), content, found)


def _pair(given: str) -> tuple[str, str]:
    name, equals, column = given.partition("=")
    if not equals or not name or not column:
        raise ConfigError("--relation has the form RELATION=COLUMN", value=given)
    return name, column
