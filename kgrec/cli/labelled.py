"""`kgrec extract train|run|evaluate`: extractors that are trained from labelled texts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from kgrec.cli.console import err, out, print_json

if TYPE_CHECKING:
    from kgrec.text.trained.lines import LabelledFile
    from kgrec.text.trained.scoring import ExtractionScore, LabelScore

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
_SHOWN_REJECTS = 5


def add_to(app: typer.Typer) -> None:
    """Add the commands to the application of `kgrec extract`."""
    app.command()(evaluate)


def evaluate(
    gold: Annotated[Path, typer.Option(help="Labelled texts, one JSON object a line.")],
    pred: Annotated[Path, typer.Option(help="Predictions for them, by the same ids.")],
    as_json: AsJson = False,
) -> None:
    """Compare predicted entities and relations with labels: precision, recall and F1.

    Strict: an entity's borders and label, a relation's label and both its entities. By boundary:
    without the labels of the entities.

    Example: kgrec extract evaluate --gold dev.jsonl --pred predicted.jsonl
    """
    from kgrec.text.trained.lines import read_lines
    from kgrec.text.trained.scoring import score

    wanted, found = read_lines(gold), read_lines(pred)
    report_rejects(wanted, found)
    result = score(wanted.texts, found.texts)
    if as_json:
        rejected = {"gold": len(wanted.rejects), "pred": len(found.rejects)}
        print_json({**result.model_dump(mode="json"), "rejected_lines": rejected})
        return
    show_score(result)


def show_score(result: ExtractionScore) -> None:
    """Show a score as a table."""
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    for column in ("", "precision", "recall", "F1", "right", "predicted", "gold"):
        table.add_column(column, justify="left" if not column else "right")
    levels = {
        "entities, strict": result.entities_strict,
        "entities, boundary": result.entities_boundary,
        "relations, strict": result.relations_strict,
        "relations, boundary": result.relations_boundary,
    }
    for name, level in levels.items():
        table.add_row(name, *_cells(level.micro), style="bold")
        if name.endswith("strict"):
            for label, one in level.by_label.items():
                table.add_row(f"  {label}", *_cells(one))
    out.print(table)
    out.print(
        f"{result.texts:,} texts, {result.missing:,} without a prediction, "
        f"{result.unknown:,} predictions for other texts.",
        markup=False,
        highlight=False,
    )


def _cells(one: LabelScore) -> tuple[str, ...]:
    shares = (f"{value:.3f}" for value in (one.precision, one.recall, one.f1))
    return (*shares, f"{one.right:,}", f"{one.predicted:,}", f"{one.gold:,}")


def report_rejects(*files: LabelledFile) -> None:
    """Write the lines that were set aside to standard error, the first few in full."""
    for file in files:
        for reject in file.rejects[:_SHOWN_REJECTS]:
            err.print(
                f"{reject.file}, line {reject.line}: {reject.reason}; it is left out.",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
        if len(file.rejects) > _SHOWN_REJECTS:
            name = file.rejects[0].file
            err.print(f"{name}: {len(file.rejects):,} lines are left out in all.", markup=False)
