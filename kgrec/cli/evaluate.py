"""`kgrec evaluate`: measure the agents on files, without a database."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from kgrec.cli.console import err, out, print_json, progress
from kgrec.config import load_toml, parse_config
from kgrec.stages.evaluate import EvaluateConfig, EvaluationResult, evaluate

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

_DECIMALS = {"novelty": ".2f"}


class Knowledge(StrEnum):
    FULL = "full"
    NONE = "none"
    SHUFFLED = "shuffled"


class History(StrEnum):
    TRAIN = "train"
    BOTH = "train+valid"


FileOption = Annotated[Path | None, typer.Option(help="TSV with a user and an item column.")]


@app.command()
def evaluate_command(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR",
            help="Atomic files: NAME.train.inter, .valid.inter, .test.inter and, where there is "
            "knowledge, NAME.kg, .link, .item.",
        ),
    ] = None,
    train: FileOption = None,
    valid: FileOption = None,
    test: FileOption = None,
    k: Annotated[list[int] | None, typer.Option("--k", help="Length of the lists; repeat.")] = None,
    agents: Annotated[
        str | None, typer.Option(help="Only these agents, separated by commas.")
    ] = None,
    knowledge: Annotated[
        Knowledge,
        typer.Option(help="none: without facts and texts; shuffled: each item has another's."),
    ] = Knowledge.FULL,
    history: Annotated[
        History, typer.Option(help="What the team knows of a user when it ranks for the test.")
    ] = History.TRAIN,
    config: Annotated[
        Path | None, typer.Option(help="TOML of the team: agents, settings, coordinator.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Fixes every random draw.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda.")] = None,
    run_out: Annotated[
        Path | None,
        typer.Option(help="Write user_id<TAB>item_id<TAB>score, the best max(k) of each user."),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write the result as JSON.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Fit on train, choose on valid, rank all items for every test user.

    Items that a user has in train or valid are not ranked. Nothing is chosen on the test part.

    Example: kgrec evaluate data/lastfm --k 10 --k 20 --knowledge shuffled
    """
    values = load_toml(config) if config else {}
    given: dict[str, Any] = {"seed": seed, "device": device}
    if agents is not None:
        given["agents"] = [name.strip() for name in agents.split(",") if name.strip()]
    values |= {key: value for key, value in given.items() if value is not None}
    options = {
        "folder": folder,
        "train": train,
        "valid": valid,
        "test": test,
        "ks": tuple(sorted(set(k))) if k else (10, 20),
        "knowledge": knowledge.value,
        "history": history.value,
        "run_out": run_out,
        "report": report,
        "team": values,
    }
    chosen = parse_config(EvaluateConfig, options, origin="options of evaluate")
    with progress(quiet=as_json) as bars:
        result = evaluate(chosen, progress=bars)
    if as_json:
        print_json(result.model_dump(mode="json"))
        return
    _print(result)


def _print(result: EvaluationResult) -> None:
    counts = ", ".join(f"{count:,} {name}" for name, count in result.counts.items())
    out.print(f"[bold]{escape(result.data)}[/bold]: {counts}")
    _print_rejects(result)
    ranking, protocol = result.ranking, result.protocol
    out.print(
        f"{ranking.users:,} test users, {ranking.items:,} items ranked, "
        f"knowledge {protocol['knowledge']}, history {protocol['history']}"
    )
    out.print(_metrics(result))
    out.print("Chosen on the validation part:")
    out.print(_team(result))
    for name, reason in result.team["skipped"].items():
        out.print(f"{name} took no part: {reason}", markup=False)
    seconds = ", ".join(f"{name} {value:.1f} s" for name, value in result.seconds.items())
    out.print(f"{seconds}; at most {result.peak_memory / 2**20:,.0f} MiB")


def _print_rejects(result: EvaluationResult) -> None:
    if result.rejected:
        err.print(f"{len(result.rejected)} rows could not be used, the first of them:")
        for line in result.rejected[:5]:
            err.print(f"  {line}", markup=False)


def _metrics(result: EvaluationResult) -> Table:
    ranking = result.ranking
    table = Table()
    table.add_column("")
    for k in ranking.at:
        table.add_column(f"@{k}", justify="right")
    for name in next(iter(ranking.at.values())):
        cells = [f"{at[name].mean:.4f} ± {at[name].error:.4f}" for at in ranking.at.values()]
        table.add_row(name, *cells)
    for name in next(iter(ranking.lists.values())):
        form = _DECIMALS.get(name, ".4f")
        table.add_row(name, *[f"{at[name]:{form}}" for at in ranking.lists.values()])
    return table


def _team(result: EvaluationResult) -> Table:
    team = result.team
    objective = f"{team['objective']['metric']}@{team['objective']['k']}"
    table = Table()
    for heading in ("agent", "share", f"{objective} alone", "settings", "seconds"):
        table.add_column(heading, justify="left" if heading in ("agent", "settings") else "right")
    for name, weight in team["weights"].items():
        alone = team["validation"].get(name)
        table.add_row(
            name,
            f"{weight:.2f}",
            "" if alone is None else f"{alone:.4f}",
            ", ".join(f"{key} {value:g}" for key, value in team["chosen"][name].items()),
            f"{team['seconds'][name]:.1f}",
        )
    if "team" in team["validation"]:
        table.add_row("team", "1.00", f"{team['validation']['team']:.4f}", "", "")
    return table
