"""`kgrec train`: fit the agents on the graph; `kgrec train encoder`: adapt the text encoder."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kgrec.cli.console import out, print_json, progress
from kgrec.config import load_settings, load_toml, parse_config, seconds_of
from kgrec.graph import open_graph

if TYPE_CHECKING:
    from kgrec.data.atomic import SplitDataset
    from kgrec.data.dataset import Dataset
    from kgrec.learning.encoder.config import EncoderConfig
    from kgrec.progress import Progress
    from kgrec.stages.encoder import EncoderSummary
    from kgrec.stages.train import TrainConfig, TrainSummary

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

PipelineOption = Annotated[
    str | None, typer.Option("--pipeline", help="A pipeline file, for its \\[train].")
]
DomainOption = Annotated[str | None, typer.Option(help="Learn the items of this domain only.")]
DeviceOption = Annotated[str | None, typer.Option(help="cpu, or cuda for the GPU.")]
SeedOption = Annotated[int | None, typer.Option(help="Seed of all random generators.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Train even if nothing changed.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


class Adapt(StrEnum):
    LORA = "lora"
    TOP = "top"


@app.callback(invoke_without_command=True)
def train(
    context: typer.Context,
    pipeline: PipelineOption = None,
    domain: DomainOption = None,
    agents: Annotated[str | None, typer.Option(help="Names of agents, with commas.")] = None,
    encoder: Annotated[
        str | None, typer.Option(help="What texts are encoded with: a folder or a name.")
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            help="About so long in all: trainings end by then, the rest is for a search of "
            "settings. 90s, 10m, 1h."
        ),
    ] = None,
    device: DeviceOption = None,
    seed: SeedOption = None,
    force: ForceOption = False,
    logs: Annotated[
        Path | None,
        typer.Option(help="Folder for a log of every training: CSV, and with the extras a plot."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train the agents on the graph and keep the model beside it; `kgrec publish` puts it to use.

    Training again on the same graph with the same settings finds the model there, and resumes
    a training that was killed.

    Example: kgrec train --domain movies --agents linear,collaborative
    """
    if context.invoked_subcommand is not None:
        return
    from kgrec.stages.train import train as run

    options: dict[str, Any] = {"device": device, "seed": seed, "encoder": encoder}
    options["budget"] = budget
    if agents is not None:
        options["agents"] = [name.strip() for name in agents.split(",") if name.strip()]
    config, domain = _config(pipeline, domain, options)
    settings = load_settings()
    with open_graph(settings) as store, progress(quiet=as_json) as bars:
        done = run(store, domain, config, home=settings.home, force=force, progress=bars, logs=logs)
    if as_json:
        print_json(done.model_dump(mode="json"))
        return
    for line in described(done):
        out.print(line, markup=False, highlight=False)


def described(done: TrainSummary) -> list[str]:
    """Return what a training did, in lines."""
    data = f"{done.users:,} users, {done.items:,} items, {done.interactions:,} interactions, "
    lines = [f"{data}{done.facts:,} facts."]
    if not done.trained:
        lines.append(f"found: {done.model_id} was trained on just this, and is kept.")
        return lines + failures(done.failed)
    if done.reason:
        lines.append(f"Trained: {done.reason}.")
    shares = ", ".join(f"{name} {share:.2f}" for name, share in done.shares.items())
    search = done.metrics.get("search") or {}
    if search:
        trials = search["trials"]
        kept = sum(trial["kept"] for trial in trials)
        left_out = ", ".join(search.get("left_out", ()))
        rest = f" Not searched, since they learn together: {left_out}." if left_out else ""
        lines.append(f"{len(trials)} settings tried, {kept} kept.{rest}")
    lines.append(f"{done.model_id}: {shares}; {done.seconds:.1f} s.")
    return lines + failures(done.failed)


def failures(failed: Mapping[str, str]) -> list[str]:
    """Return which agents could not be fitted and why, a line each."""
    return [f"{name} failed: {reason}" for name, reason in failed.items()]


@app.command("encoder")
def train_encoder(
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Atomic files in place of the graph.")
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="Of --data: learn from what this protocol of `kgrec evaluate` leaves, with the "
            "same --seed, so that nothing that is tested there was learned from."
        ),
    ] = None,
    share: Annotated[
        float | None, typer.Option(help="Of --protocol: share held out to test on.")
    ] = None,
    cut: Annotated[str | None, typer.Option(help="Of --protocol temporal: global or user.")] = None,
    pipeline: PipelineOption = None,
    domain: DomainOption = None,
    folder: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where the encoder is written.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML of the encoder's settings.")] = None,
    base: Annotated[str | None, typer.Option(help="Model to adapt: a folder or a name.")] = None,
    adapt: Annotated[
        Adapt | None, typer.Option(help="lora: low-rank additions; top: the last layers.")
    ] = None,
    masked: Annotated[
        bool | None, typer.Option(help="Learn the words of the catalogue first; off by default.")
    ] = None,
    contrast: Annotated[bool, typer.Option(help="Learn which items belong together.")] = True,
    facts: Annotated[
        float | None, typer.Option(help="Share of the pairs that rest on facts, not on users.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="About so long: 90s, 10m, 1h; steps are what fits in.")
    ] = None,
    synonyms: Annotated[
        Path | None, typer.Option(help="Words that mean the same, a group a line, with commas.")
    ] = None,
    paraphrase: Annotated[
        bool,
        typer.Option("--paraphrase", help="Get paraphrases from the model of KGREC_LLM_URL."),
    ] = False,
    device: DeviceOption = None,
    seed: SeedOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Adapt the sentence encoder to the catalogue; `encoder = "DIR"` in [train] puts it to use.

    It learns which items occur together or share rare facts; with --masked the
    catalogue's words before that, by predicting masked ones. A killed run resumes.

    Example: kgrec train encoder --domain movies --budget 10m
    """
    from kgrec.stages.encoder import train_encoder as run
    from kgrec.text.language_model import language_model

    held_out = {"name": protocol, "share": share, "cut": cut}
    _check_heeded(data, held_out, {"pipeline": pipeline, "domain": domain})
    given = {"base": base, "adapt": adapt, "facts": facts, "device": device, "seed": seed}
    encoder = _encoder_config(config, given, masked=masked, contrast=contrast)
    settings = load_settings()
    seconds = None if budget is None else seconds_of(budget)
    model = _requested(language_model(settings)) if paraphrase else None
    with progress(quiet=as_json) as bars:
        if data is not None:
            split = _split(data, held_out, encoder.seed)
            dataset, name = split.train, split.name
        else:
            dataset, name = _learned_graph(pipeline, domain, seed, bars)
        done = run(
            dataset,
            folder or settings.home / "encoders" / name,
            encoder,
            cache=settings.home / "cache",
            budget=seconds,
            synonyms=synonyms,
            model=model,
            force=force,
            progress=bars,
        )
    if as_json:
        print_json(done.model_dump(mode="json"))
        return
    for line in described_encoder(done):
        out.print(line, markup=False, highlight=False)


def described_encoder(done: EncoderSummary) -> list[str]:
    """Return what an adaptation did, in lines."""
    pairs = f"{done.co_occurring:,} co-occurring pairs, {done.alike:,} alike by facts"
    lines = [f"{done.texts:,} texts, {pairs}, {done.paraphrases:,} paraphrases."]
    for name, phase in done.phases.items():
        held = "nothing held out"
        if phase["before"] is not None:
            held = f"held-out items {phase['before']:.4f} → {phase['after']:.4f}"
        first, last = phase["losses"]
        lines.append(
            f"{name}: {phase['steps']} steps kept, loss {first:.3f} → {last:.3f}, {held}, "
            f"{phase['seconds']:.0f} s, {phase['texts_per_second']:.0f} texts/s."
        )
    if not done.trained:
        return [*lines, f"{done.folder} was trained on just this, and is kept."]
    memory = f"{done.peak_memory / 2**20:,.0f} MiB"
    return [*lines, f"{done.folder}: {done.seconds:.1f} s, at most {memory}."]


def _encoder_config(
    path: Path | None, given: dict[str, Any], *, masked: bool | None, contrast: bool
) -> EncoderConfig:
    from kgrec.learning.encoder.config import EncoderConfig

    values = load_toml(path) if path is not None else {}
    values |= {name: value for name, value in given.items() if value is not None}
    if masked is not None:
        values["masked"] = values.get("masked", {}) if masked else None
    if not contrast:
        values["contrast"] = None
    return parse_config(EncoderConfig, values, origin="options of train encoder")


def _check_heeded(
    data: Path | None, held_out: dict[str, Any], of_graph: dict[str, str | None]
) -> None:
    """Raise ConfigError for an option that would do nothing."""
    from kgrec.errors import ConfigError

    passed_over = of_graph
    if data is None:
        passed_over = {"protocol": held_out["name"], **held_out}
    elif held_out["name"] is None:
        passed_over = of_graph | held_out
    options = [f"--{name}" for name, value in passed_over.items() if value and name != "name"]
    if options:
        raise ConfigError(
            "these options would do nothing",
            value=", ".join(options),
            remedy="--protocol (with --share and --cut) is of --data, the others are of the graph.",
        )


def _split(folder: Path, held_out: dict[str, Any], seed: int) -> SplitDataset:
    """Return what `kgrec evaluate` would make of the files."""
    from kgrec.evaluation.held_out import DataConfig, read_split

    values = {
        "folder": folder,
        "protocol": {name: value for name, value in held_out.items() if value is not None},
    }
    config = parse_config(DataConfig, values, origin="options of train encoder")
    return read_split(config, seed=seed)


def _learned_graph(
    pipeline: str | None, domain: str | None, seed: int | None, bars: Progress
) -> tuple[Dataset, str]:
    """Return the graph without what `kgrec train` chooses on by this seed, and a name for it."""
    from kgrec.graph.training_data import read_dataset
    from kgrec.stages.train import held_apart

    config, domain = _config(pipeline, domain, {"seed": seed})
    with open_graph(load_settings()) as store:
        dataset = read_dataset(store, config.selection(domain), progress=bars)
    return held_apart(dataset, config)[0], Path(domain).stem if domain else "all"


def _requested(model: Any) -> Any:
    from kgrec.errors import ConfigError

    if model is None:
        raise ConfigError(
            "there is no language model for paraphrases",
            value="--paraphrase",
            remedy="Set KGREC_LLM_URL and KGREC_LLM_MODEL, or leave the option out.",
        )
    return model


def _config(
    pipeline: str | None, domain: str | None, options: dict[str, Any]
) -> tuple[TrainConfig, str | None]:
    from kgrec.stages.pipeline import load_pipeline
    from kgrec.stages.train import TrainConfig

    values: dict[str, Any] = {}
    if pipeline is not None:
        file = load_pipeline(Path(pipeline))
        values, domain = file.train.model_dump(), domain or file.domain
    given = {name: value for name, value in options.items() if value is not None}
    config = parse_config(TrainConfig, values | given, origin="options of kgrec train")
    return config, domain
