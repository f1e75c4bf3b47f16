"""`kgrec extract label`: training texts out of a catalogue, without annotation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kgrec.cli.console import out, print_json
from kgrec.errors import ConfigError, DataError

if TYPE_CHECKING:
    from kgrec.data.tables import Table
    from kgrec.text.trained.distant import NamedText
    from kgrec.text.trained.known import NameCounts
    from kgrec.text.trained.lines import LabelledText


def label(
    target: Annotated[Path, typer.Option("--out", help="File for the labelled texts.")],
    table: Annotated[
        Path | None, typer.Option(help="A catalogue: CSV, TSV, JSON lines or Parquet.")
    ] = None,
    relation: Annotated[
        list[str] | None,
        typer.Option(help="RELATION=COLUMN, the column whose names state a relation."),
    ] = None,
    corrections: Annotated[
        bool, typer.Option("--corrections", help="Also the texts of items with corrected facts.")
    ] = False,
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
    names: Annotated[
        Path | None,
        typer.Option(help="File for all names of the columns, for kgrec extract train --names."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Label the texts of a catalogue by the columns that state a relation.

    Where the director's column has a name that the synopsis holds, the name is labelled with the
    relation. `kgrec extract train` learns from the file, and reports the precision on the part of
    it that is held out; --trained then finds the relation in texts of other items.

    With --corrections the texts of items of which facts were corrected are labelled by the facts
    that the graph holds of them; what was rejected is not.

    Example: kgrec extract label --table films.csv --relation DIRECTED_BY=director --out films.jsonl
    """
    from itertools import chain

    from kgrec.text.trained.distant import LabelCounts, distant_labels, named_labels
    from kgrec.text.trained.known import NameCounts
    from kgrec.text.trained.lines import write_lines

    if (table is None) != (not relation) or not (table or corrections):
        raise ConfigError(
            "there is nothing to label",
            value="--table" if table else "--relation" if relation else None,
            remedy="Give --table with a --relation, --corrections, or both.",
        )
    if names is not None and table is None:
        raise ConfigError(
            "--names writes the names of a table's columns, and no table is given",
            value=str(names),
            remedy="Give --table with a --relation beside --corrections, or leave --names out.",
        )
    counts, known = LabelCounts(), NameCounts()
    labelled: Iterable[LabelledText] = ()
    if table is not None:
        columns = dict(_pair(one) for one in relation or ())
        opened = _opened(table, join or (), (text, key, *columns.values()))
        texts = _texts(opened, key, text, columns, separator, known)
        labelled = distant_labels(texts, counts, silent=silent)
    corrected = named_labels(_corrected(), counts) if corrections else ()
    written = write_lines(target, chain(labelled, corrected))
    if not written:
        target.unlink(missing_ok=True)
        raise DataError(
            "no text holds a name to label",
            value=str(table or "--corrections"),
            remedy="Check --separator, or correct facts first (kgrec graph correct).",
        )
    if names is not None:
        known.known().save(names)
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


def _opened(table: Path, joins: Sequence[str], columns: Sequence[str]) -> Table:
    from kgrec.data.origins.joins import joined
    from kgrec.data.sources import JoinSpec
    from kgrec.data.tables import open_table

    opened = joined(open_table(table), [JoinSpec.written(one) for one in joins])
    known = set(opened.columns)
    for name in columns:
        if name not in known:
            remedy = f"It has {', '.join(sorted(known))}."
            raise ConfigError("the table has no such column", value=name, remedy=remedy)
    return opened


def _corrected() -> Iterator[NamedText]:
    from kgrec.config import load_settings
    from kgrec.graph import open_graph
    from kgrec.stages.corrections import corrected_texts
    from kgrec.text.trained.distant import NamedText

    with open_graph(load_settings()) as store:
        for one in corrected_texts(store):
            yield NamedText(one.id, one.text, one.names)


def _texts(
    table: Table, key: str, text: str, columns: dict[str, str], separator: str, known: NameCounts
) -> Iterator[NamedText]:
    """Yield the rows that have a text, and count the names of all of them."""
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
        found = {one: names(row.get(column), column) for one, column in columns.items()}
        known.add(found)
        if isinstance(content, str) and content.strip():
            yield NamedText(str(row.get(key)), content, found)


def _pair(given: str) -> tuple[str, str]:
    name, equals, column = given.partition("=")
    if not equals or not name or not column:
        raise ConfigError("--relation has the form RELATION=COLUMN", value=given)
    return name, column
