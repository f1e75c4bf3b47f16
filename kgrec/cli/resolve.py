"""`kgrec resolve`: which records of two files, or nodes of the graph, are the same thing."""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from kgrec.cli import resolved
from kgrec.cli.console import out, print_json, progress
from kgrec.errors import ConfigError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
for _command in (resolved.graph, resolved.review, resolved.undo):
    app.command()(_command)


@app.callback()
def resolve() -> None:
    """Find records, or nodes of the graph, that stand for the same thing."""


@app.command()
def files(
    left: Annotated[Path, typer.Argument(help="A file of records: CSV, TSV, JSON lines, Parquet.")],
    right: Annotated[Path, typer.Argument(help="Another one; its columns may be others.")],
    target: Annotated[Path, typer.Option("--out", help="Where the matches are written, as CSV.")],
    id_column: Annotated[str, typer.Option("--id", help="The column of ids in both files.")] = "id",
    right_id: Annotated[
        str | None, typer.Option("--right-id", help="That of the second file, where it differs.")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="Known pairs: left_id, right_id and label (0 or 1); they are learned."),
    ] = None,
    review: Annotated[
        Path | None, typer.Option(help="Where the unsure pairs are written, the unsurest first.")
    ] = None,
    threshold: Annotated[
        float, typer.Option(min=0.001, max=0.999, help="Least probability of a match.")
    ] = 0.5,
    vectors: Annotated[
        bool, typer.Option("--vectors", help="Compare sentence vectors too: slower.")
    ] = False,
    encoding: Annotated[str, typer.Option(help="Of both files.")] = "utf-8",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Write the pairs of records of two files that stand for the same thing, with a probability.

    It needs no labels: how many records have a partner at all, from none to every one, is
    estimated from the files. Each record is in one pair at most.

    Example: kgrec resolve files shop.csv maker.csv --id id --out matches.csv
    """
    from kgrec.resolution.config import ResolutionConfig
    from kgrec.resolution.matching import match
    from kgrec.resolution.reading import read_labels, read_source

    begun, used = time.perf_counter(), time.process_time()
    one = read_source(left, id_column, encoding)
    other = read_source(right, right_id or id_column, encoding)
    known = read_labels(labels, one, other) if labels is not None else {}
    config = ResolutionConfig(threshold=threshold, vectors=vectors, cache=_cache(vectors))
    with progress(quiet=as_json) as bars:
        found = match(one, other, known, config, bars)
    rows = [
        (one.ids[i], other.ids[j], f"{p:.6f}")
        for (i, j), p in zip(found.pairs.tolist(), found.probability.tolist(), strict=True)
    ]
    matches = rows[: len(found.matches)]
    unsure = [row for row in rows if config.review <= float(row[2]) <= 1 - config.review]
    unsure.sort(key=lambda row: abs(float(row[2]) - threshold))
    _write(target, matches)
    if review is not None:
        _write(review, unsure)
    summary: dict[str, Any] = {
        "left": len(one),
        "right": len(other),
        "candidates": found.candidates,
        "matches": len(matches),
        "unsure": len(unsure),
        "labels": len(known),
        "aligned": [list(names) for names in found.aligned],
        "refused": {"left": one.refused, "right": other.refused},
        "out": str(target),
        "seconds": round(time.perf_counter() - begun, 2),
        "processor_seconds": round(time.process_time() - used, 2),
    }
    if as_json:
        print_json(summary)
        return
    columns = ", ".join(" = ".join(names) for names in found.aligned) or "none"
    refused = sum(one.refused.values()) + sum(other.refused.values())
    for line in (
        f"{len(one):,} and {len(other):,} records, {found.candidates:,} candidates compared.",
        f"Columns that hold the same: {columns}.",
        *(
            [f"{refused:,} rows could not be used: {one.refused | other.refused}."]
            if refused
            else []
        ),
        f"{len(matches):,} matches in {target}, {len(unsure):,} pairs unsure. "
        f"{summary['seconds']:.1f} s, {summary['processor_seconds']:.1f} s of processor time.",
    ):
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _write(path: Path, rows: Sequence[tuple[str, str, str]]) -> None:
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("left_id", "right_id", "score"))
            writer.writerows(rows)
    except OSError as error:
        raise ConfigError(
            f"the file cannot be written ({error.strerror})",
            value=str(path),
            remedy="Choose another place for it.",
        ) from None


def _cache(vectors: bool) -> Path | None:
    from kgrec.config import load_settings

    return load_settings().home / "vectors" if vectors else None
