"""`kgrec evaluate`: measure the agents on files, without a database, or on the graph."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from kgrec.cli.console import print_json, progress
from kgrec.cli.measured import print_result
from kgrec.config import load_toml, parse_config
from kgrec.errors import ConfigError
from kgrec.evaluation.evaluate import EvaluateConfig, evaluate

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class KnowledgeOption(StrEnum):
    FULL = "full"
    NONE = "none"
    SHUFFLED = "shuffled"
    NO_FACTS = "no-facts"
    NO_TEXT = "no-text"


class Protocol(StrEnum):
    GIVEN = "given"
    WARM = "warm"
    TEMPORAL = "temporal"
    COLD_ITEM = "cold-item"
    COLD_USER = "cold-user"


class Cut(StrEnum):
    GLOBAL = "global"
    USER = "user"


class PartsOption(StrEnum):
    TRAIN = "train"
    BOTH = "train+valid"


FileOption = Annotated[Path | None, typer.Option(help="TSV with a user and an item column.")]


@app.command()
def evaluate_command(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR",
            help="Atomic files: NAME.train.inter, .valid.inter, .test.inter, or NAME.inter for a "
            "protocol that splits; where there is knowledge, NAME.kg, .link, .entity, .item.",
        ),
    ] = None,
    graph: Annotated[
        bool,
        typer.Option("--graph", help="Measure on the graph in place of files; it holds no split."),
    ] = False,
    domain: Annotated[
        str | None, typer.Option(help="Of --graph: the items of this domain only.")
    ] = None,
    pipeline: Annotated[
        Path | None,
        typer.Option(help="Of --graph: a pipeline file, for its domain and its \\[train]."),
    ] = None,
    canonical: Annotated[
        bool,
        typer.Option(
            "--canonical",
            help="Put facts of files in the order of their ids, as those of --graph are: figures "
            "of the same data then agree with it to the last digit.",
        ),
    ] = False,
    train: FileOption = None,
    valid: FileOption = None,
    test: FileOption = None,
    protocol: Annotated[
        Protocol | None,
        typer.Option(
            help="How interactions are held out. given: as the files are split, the default for "
            "them. warm: a share of each user's at random, the default of --graph. temporal: the "
            "latest. cold-item: all of some items. cold-user: all of some users, of whose history "
            "a part is shown at test time."
        ),
    ] = None,
    share: Annotated[
        float | None,
        typer.Option(help="Share held out to test on, and as much to choose on; .1 by default."),
    ] = None,
    cut: Annotated[
        Cut | None,
        typer.Option(
            help="Of temporal. global: one time for everybody, so that nothing of the future is "
            "learned from. user: the latest of each user, which keeps every user."
        ),
    ] = None,
    k: Annotated[list[int] | None, typer.Option("--k", help="Length of the lists; repeat.")] = None,
    agents: Annotated[
        str | None, typer.Option(help="Only these agents, separated by commas.")
    ] = None,
    knowledge: Annotated[
        KnowledgeOption,
        typer.Option(
            help="none: without facts and texts; no-facts, no-text: without one of them; "
            "shuffled: each item has another's."
        ),
    ] = KnowledgeOption.FULL,
    history: Annotated[
        PartsOption | None,
        typer.Option(
            help="What the team knows of a user when it ranks for the test: train, or train+valid, "
            "the default with --refit."
        ),
    ] = None,
    mask: Annotated[
        PartsOption,
        typer.Option(
            help="Whose items are left out of a user's list. train: those of the validation part "
            "are ranked, as many papers do, which gives lower figures."
        ),
    ] = PartsOption.BOTH,
    refit: Annotated[
        bool,
        typer.Option(
            "--refit", help="After choosing, fit again on train and valid, and measure that."
        ),
    ] = False,
    config: Annotated[
        Path | None, typer.Option(help="TOML of the team: agents, settings, coordinator.")
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            help="About so long in all: trainings end by then, the rest is for a search of "
            "settings. 90s, 10m, 1h."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all random generators.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda.")] = None,
    sample_users: Annotated[
        int | None, typer.Option(help="Number of test users, sampled by the seed.")
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(help="A run as --run-out writes it: show the difference, and its p-value."),
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="Measure groups of users by this column of NAME.user.")
    ] = None,
    relation: Annotated[
        str | None,
        typer.Option(help="Relation, such as a genre, that lists are to be calibrated to."),
    ] = None,
    ablate: Annotated[
        bool,
        typer.Option(
            "--ablate",
            help="Measure also each agent alone, the team without each, and without knowledge.",
        ),
    ] = False,
    ablate_agents: Annotated[
        bool,
        typer.Option(
            "--ablate-agents",
            help="The same without the fits on less knowledge, which take the most time.",
        ),
    ] = False,
    run_out: Annotated[
        Path | None,
        typer.Option(help="Write user_id<TAB>item_id<TAB>score, the best max(k) of each user."),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write the result as JSON.")] = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Write the result as a page with plots; needs matplotlib."),
    ] = None,
    logs: Annotated[Path | None, typer.Option(help="Folder for a log of every training.")] = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Folder for checkpoints, from which a killed training resumes."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Fit on train, choose on valid, rank all items for every test user.

    Items that a user has in train or valid are not ranked by default (--mask). Nothing
    is chosen on the test part.

    Examples:

    kgrec evaluate data/lastfm --k 10 --k 20 --knowledge shuffled

    kgrec evaluate data/films --protocol cold-item --baseline other-system.tsv

    kgrec evaluate data/films --protocol temporal --group age --ablate --html report.html

    kgrec evaluate data/ml1m --mask train --k 10 --k 40

    kgrec evaluate --graph --domain movies --protocol temporal
    """
    selection, values = _of_graph(graph, domain, pipeline)
    values |= load_toml(config) if config else {}
    given: dict[str, Any] = {"seed": seed, "device": device, "budget": budget}
    if agents is not None:
        given["agents"] = [name.strip() for name in agents.split(",") if name.strip()]
    values |= {key: value for key, value in given.items() if value is not None}
    held_out = {"name": protocol and protocol.value, "share": share, "cut": cut and cut.value}
    options: dict[str, Any] = {
        "protocol": {key: value for key, value in held_out.items() if value is not None},
        "folder": folder,
        "graph": selection,
        "canonical": canonical,
        "train": train,
        "valid": valid,
        "test": test,
        "ks": tuple(sorted(set(k))) if k else (10, 20),
        "knowledge": knowledge.value,
        "mask": mask.value,
        "refit": refit,
        "sample_users": sample_users,
        "baseline": baseline,
        "group": group,
        "relation": relation,
        "ablate": ablate,
        "ablate_agents": ablate_agents,
        "run_out": run_out,
        "report": report,
        "html": html,
        "logs": logs,
        "resume": resume,
        "team": values,
    }
    if history is not None:
        options["history"] = history.value
    chosen = parse_config(EvaluateConfig, options, origin="options of evaluate")
    with progress(quiet=as_json) as bars:
        result = evaluate(chosen, progress=bars)
    if as_json:
        print_json(result.model_dump(mode="json"))
        return
    print_result(result)


def _of_graph(
    graph: bool, domain: str | None, pipeline: Path | None
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Return which part of the graph is read, and the settings of the team for it."""
    if not graph:
        passed_over = {"--domain": domain, "--pipeline": pipeline}
        options = [name for name, value in passed_over.items() if value is not None]
        if options:
            raise ConfigError(
                "these options would do nothing without --graph", value=", ".join(options)
            )
        return None, {}
    if pipeline is None:
        return {"domain": domain}, {}
    from kgrec.stages.pipeline import load_pipeline

    file = load_pipeline(pipeline)
    selection = file.train.selection(domain or file.domain)
    # A training ends with a second fit; of an evaluation that is a choice of its own.
    team = file.train.team().model_dump() | {"refit": False}
    return selection.model_dump(), team
