"""`kgrec resolve`: which records of two files, or nodes of the graph, are the same thing."""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kgrec.cli.console import out, print_json, progress
from kgrec.config import load_settings
from kgrec.errors import ConfigError
from kgrec.graph import open_graph

if TYPE_CHECKING:
    from kgrec.graph.store import GraphStore
    from kgrec.stages.resolving.merging import MergeKind
    from kgrec.stages.resolving.resolve import DoublePair
    from kgrec.stages.resolving.undoing import Undone

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
OfType = Annotated[
    list[str] | None, typer.Option("--type", help="Only this type, such as Person; repeatable.")
]
OfItems = Annotated[bool, typer.Option("--items", help="Items instead of entities.")]
AtLeast = Annotated[
    float, typer.Option(min=0.001, max=1.0, help="Least probability of a pair that is merged.")
]
_AT_LEAST = 0.95
_SHOWN = 20

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


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
    return load_settings().home / "vectors" if vectors else None


@app.command()
def graph(
    types: OfType = None,
    items: OfItems = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be.")] = False,
    at_least: AtLeast = _AT_LEAST,
    as_json: AsJson = False,
) -> None:
    """Merge entities, or items, of the graph that are the same thing; `resolve undo` takes it back.

    Names, ids of sources, dates and what is around two nodes decide. Facts and histories move to
    the kept one, and files that name the other lead to it from then on.

    Example: kgrec resolve graph --type Person --dry-run
    """
    from kgrec.stages.resolving.resolve import resolve_graph

    with open_graph(load_settings()) as store, progress(quiet=as_json) as bars:
        done = resolve_graph(
            store,
            _kind(items),
            types or (),
            at_least=at_least,
            dry_run=dry_run,
            progress=bars,
        )
    if as_json:
        print_json({**done.model_dump(mode="json"), "dry_run": dry_run})
        return
    _show(done.merged)
    verb = "Would merge" if dry_run else "Merged"
    flag = " --items" if items else ""
    _say(
        f"{verb} {len(done.merged):,} pairs; {len(done.review):,} are left to `kgrec resolve "
        f"review{flag}`. {done.seconds:.1f} s."
    )


@app.command()
def review(
    types: OfType = None,
    items: OfItems = False,
    confirm: Annotated[
        tuple[str, str] | None, typer.Option(help="These two ids are one: merge them.")
    ] = None,
    reject: Annotated[
        tuple[str, str] | None, typer.Option(help="These two ids are two: never merge them.")
    ] = None,
    at_least: AtLeast = _AT_LEAST,
    limit: Annotated[int, typer.Option(min=1, help="The most pairs shown.")] = _SHOWN,
    as_json: AsJson = False,
) -> None:
    """List pairs that may be the same thing, with reasons and probability, or decide one of them.

    A decision is kept in the graph and stands at every later run.

    Example: kgrec resolve review --reject "Person:keith david" "Person:david keith"
    """
    from kgrec.stages.resolving import resolve
    from kgrec.stages.resolving.merging import Pair

    kind = _kind(items)
    with open_graph(load_settings()) as store, progress(quiet=as_json) as bars:
        if confirm or reject:
            decided: dict[str, Any] = {}
            if confirm:
                pair = Pair(kind, *confirm, reasons=("a person confirmed it",))
                decided["merged"] = resolve.confirm(store, pair)
            if reject:
                resolve.reject(store, kind, *reject)
                decided["rejected"] = list(reject)
            _tell(decided, as_json=as_json)
            return
        options: dict[str, Any] = {"at_least": at_least, "dry_run": True, "progress": bars}
        found = resolve.resolve_graph(store, kind, types or (), **options)
    if as_json:
        print_json([one.model_dump(mode="json") for one in found.review[:limit]])
        return
    _show(found.review[:limit])
    _say(f"{len(found.review):,} pairs undecided. Decide with --confirm or --reject and two ids.")


@app.command()
def undo(
    merge_id: Annotated[
        str | None, typer.Argument(help="A merge; without it they are listed.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All merges, the last one first.")] = False,
    reject: Annotated[
        bool, typer.Option("--reject", help="Never merge these nodes again.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring back what was merged: both nodes as they were.

    What came since the merge stays with the kept node; what was withdrawn since does not come back.

    Example: kgrec resolve undo "entity/Person:hanks, tom"
    """
    from kgrec.stages.resolving.resolve import reject as keep_apart
    from kgrec.stages.resolving.undoing import undo as take_back
    from kgrec.stages.resolving.undoing import undo_all

    if merge_id is not None and every:
        raise ConfigError("one merge or all", value=merge_id, remedy="Leave out --all or the id.")
    with open_graph(load_settings()) as store:
        if merge_id is None and not every:
            _list(store, as_json=as_json)
            return
        done = undo_all(store) if merge_id is None else [take_back(store, merge_id)]
        if reject:
            for one in reversed(done):
                keep_apart(store, "item" if _of_item(one) else "entity", one.kept, one.merged)
    if as_json:
        print_json([one.model_dump(mode="json") for one in done])
        return
    for one in done:
        later = f"; {one.later:,} relations that came since stay with {one.kept}"
        _say(f"{one.merged} is back beside {one.kept}{later if one.later else ''}.")
    _say(f"{len(done):,} merges undone.")


def _of_item(one: Undone) -> bool:
    return one.merge_id.startswith("item/")


def _kind(items: bool) -> MergeKind:
    return "item" if items else "entity"


def _list(store: GraphStore, *, as_json: bool) -> None:
    from kgrec.graph.redirects import merges

    every = sorted(merges(store), key=lambda one: one.number)
    if as_json:
        names = ("merge_id", "kept", "merged", "name", "score", "reasons", "at")
        rows = [{name: getattr(one, name) for name in names} for one in every]
        print_json([{**row, "at": row["at"].isoformat()} for row in rows])
        return
    for one in every:
        _say(f"{one.at:%Y-%m-%d %H:%M}  {one.merge_id}  {one.name} in {one.kept}, {one.score:.3f}")
    _say(f"{len(every):,} merges can be undone, by id or with --all.")


def _tell(decided: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(decided)
        return
    for name, value in decided.items():
        _say(f"{name.capitalize()}: {value if isinstance(value, str) else ', '.join(value)}")


def _show(pairs: Sequence[DoublePair]) -> None:
    for one in pairs:
        _say(f"{one.score:.3f}  {one.names[0]} = {one.names[1]}  [{one.left}] [{one.right}]")
        _say(f"       {'; '.join(one.reasons)}")


def _say(text: str) -> None:
    out.print(text, markup=False, highlight=False, soft_wrap=True)
