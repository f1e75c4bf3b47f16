"""`kgrec extract train|run|evaluate`: extractors that are trained from labelled texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from kgrec.cli.console import err, out, print_json, progress
from kgrec.cli.engines import EngineOption, Processes, RayAddress, ReadingEngine, check_address
from kgrec.cli.labelling import label
from kgrec.config import parse_config
from kgrec.errors import ConfigError

if TYPE_CHECKING:
    from kgrec.data.rejects import Reject
    from kgrec.text.trained.calibration import Reliability
    from kgrec.text.trained.lines import LabelledFile
    from kgrec.text.trained.runs import FileReader
    from kgrec.text.trained.scoring import ExtractionScore, LabelScore

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
_SHOWN_REJECTS = 5


def add_to(app: typer.Typer) -> None:
    """Add the commands to the application of `kgrec extract`."""
    app.command()(label)
    app.command()(train)
    app.command()(run)
    app.command()(evaluate)


def train(
    train: Annotated[list[Path], typer.Option(help="Labelled texts, one JSON object a line.")],
    target: Annotated[
        Path, typer.Option("--out", help="Folder to write; one that is there is replaced.")
    ],
    dev: Annotated[
        Path | None,
        typer.Option(help="Others, to calibrate and score by; a tenth of --train without it."),
    ] = None,
    names: Annotated[
        Path | None,
        typer.Option(help="Names of the columns, of kgrec extract label --names; marked in texts."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of weights, order and noise.")] = 0,
    seeds: Annotated[int | None, typer.Option(help="Networks whose answers are averaged.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the texts.")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Bound on the time; epochs are cut to what fits.")
    ] = None,
    encoder: Annotated[
        str | None, typer.Option(help="A transformer: package, folder or hub id.")
    ] = None,
    beside: Annotated[
        str | None,
        typer.Option(help="A further transformer whose states are read, such as a language model."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="A spaCy pipeline: package or folder.")] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu or cuda; a GPU is used where there is one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train an extractor of entities and relations on labelled texts.

    A training that was stopped goes on where it was when it is run again with the same texts and
    settings. The folder holds weights, settings, calibrated confidence and the score on --dev.

    Example: kgrec extract train --train train.jsonl --dev dev.jsonl --out model
    """
    from kgrec.learning.extraction.training import TrainingConfig, train_extractor
    from kgrec.text.trained.known import ColumnNames
    from kgrec.text.trained.lines import read_lines

    texts = [read_lines(path) for path in train]
    held = read_lines(dev) if dev else None
    report_rejects(*texts, *([held] if held else []))
    given: dict[str, Any] = {"seeds": seeds, "minutes": minutes, "encoder": encoder}
    given |= {"beside": beside, "spacy": model}
    settings = {k: v for k, v in given.items() if v is not None}
    if epochs is not None:
        settings["fitting"] = {"epochs": epochs, "least_steps": 0}
    config = parse_config(
        TrainingConfig, {**settings, "seed": seed, "device": device}, origin="the options"
    )
    with progress(quiet=as_json) as bars:
        done = train_extractor(
            [one for file in texts for one in file.texts],
            held.texts if held else None,
            target,
            config,
            names=ColumnNames.load(names) if names else None,
            progress=bars,
        )
    rejected = sum(len(file.rejects) for file in texts)
    if as_json:
        print_json({**done.model_dump(mode="json"), "rejected_lines": rejected})
        return
    record = done.record
    resumed = ", continued from a checkpoint" if done.resumed else ""
    _line(
        f"{done.texts:,} texts, {len(record.entities)} entity labels, {len(record.relations)} "
        f"relations; averaged networks: {len(record.members)}, {done.epochs[0]} epochs{resumed}; "
        f"{done.seconds:.0f} s."
    )
    if done.moved or done.dropped or done.lost:
        _line(
            f"{done.moved:,} entities moved to borders of words, {done.dropped:,} that overlap "
            f"others left out, {done.lost:,} relations that cannot be learned from."
        )
    if record.score is not None:
        show_score(record.score)
    for name, table in (
        ("entities", record.entity_reliability),
        ("relations", record.relation_reliability),
    ):
        if table is not None and table.bins:
            _show_reliability(name, table)
    _line(f"Written to {target}.")


def run(
    model: Annotated[Path, typer.Option(help="Folder of kgrec extract train.")],
    source: Annotated[
        Path, typer.Option("--input", help="Texts, one JSON object a line: id and text.")
    ],
    output: Annotated[Path, typer.Option(help="File for the predictions.")],
    device: Annotated[
        str | None, typer.Option(help="cpu or cuda; a GPU is used where there is one.")
    ] = None,
    engine: EngineOption = ReadingEngine.local,
    ray_address: RayAddress = None,
    processes: Processes = None,
    as_json: AsJson = False,
) -> None:
    """Find entities and relations in texts with a trained extractor.

    Labels that the input has are ignored. Each prediction carries a calibrated confidence. A run
    that was killed goes on where it was when the same command is run again.

    Example: kgrec extract run --model model --input texts.jsonl --output predicted.jsonl
    """
    from kgrec.text.trained.runs import run_file

    if engine is ReadingEngine.local and processes not in (None, 1):
        raise ConfigError(
            "one process reads with a trained extractor, by all of its threads",
            value=f"--processes {processes}",
            remedy="Add --engine ray for several, or leave it out.",
        )
    check_address(engine, ray_address)
    with (
        _reader(model, device, engine, ray_address, processes) as extractor,
        progress(quiet=as_json) as bars,
    ):
        done = run_file(extractor, source, output, progress=bars)
    _report(done.rejects, done.rejected_lines)
    if as_json:
        found = done.model_dump(mode="json", exclude={"rejects"})
        print_json({**found, "version": extractor.version})
        return
    before = f", {done.resumed_at:,} of them by an earlier run" if done.resumed_at else ""
    _line(
        f"{done.texts:,} texts{before}, {done.entities:,} entities, {done.relations:,} relations; "
        f"{done.seconds:.1f} s, {done.texts_per_second:.0f} texts a second."
    )


@contextmanager
def _reader(
    model: Path,
    device: str | None,
    engine: ReadingEngine,
    address: str | None,
    processes: int | None,
) -> Iterator[FileReader]:
    """Return what reads the texts: the extractor itself, or workers of Ray that have it."""
    if engine is ReadingEngine.local:
        from kgrec.text.trained.extractor import TrainedExtractor

        yield TrainedExtractor(model, device=device)
        return
    from kgrec.text.trained.spread import spread_extractor

    with spread_extractor(model, device=device, address=address, processes=processes) as spread:
        yield spread


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


def _line(text: str) -> None:
    out.print(text, markup=False, highlight=False, soft_wrap=True)


def _show_reliability(name: str, reliability: Reliability) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    for column in (f"confidence of {name}", "predictions", "mean", "share right"):
        table.add_column(column, justify="left" if name in column else "right")
    for one in reliability.bins:
        row = (f"{one.above:.2f} to {one.below:.2f}", f"{one.count:,}")
        table.add_row(*row, f"{one.confidence:.3f}", f"{one.right:.3f}")
    out.print(table)
    _line(f"Expected calibration error {reliability.error:.3f}, each half by the other's scale.")


def show_score(result: ExtractionScore) -> None:
    """Show a score as a table."""
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    for column in ("", "precision", "recall", "F1", "right", "predicted", "gold"):
        table.add_column(column, justify="left" if not column else "right", no_wrap=True)
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
        _report(file.rejects, len(file.rejects))


def _report(rejects: Sequence[Reject], count: int) -> None:
    for reject in rejects[:_SHOWN_REJECTS]:
        err.print(
            f"{reject.file}, line {reject.line}: {reject.reason}; it is left out.",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    if count > _SHOWN_REJECTS:
        err.print(f"{rejects[0].file}: {count:,} lines are left out in all.", markup=False)
