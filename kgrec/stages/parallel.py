"""Training by several processes, each of which runs this module.

    torchrun --nproc_per_node 2 -m kgrec.training FOLDER --out model
    torchrun --nproc_per_node 2 -m kgrec.training --domain movies

The first process reads, reports and writes; gradients are averaged over all (`training.workers`).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kgrec.config import load_settings, load_toml, parse_config
from kgrec.data.atomic import SplitDataset, read_folder
from kgrec.errors import ConfigError, KGRecError
from kgrec.learning.fit_team import fit_team
from kgrec.learning.team_config import TeamConfig
from kgrec.model.storage import save_team
from kgrec.training.workers import Workers, joined


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, and leave with the exit code of the error where there is one."""
    options = _parser().parse_args(arguments)
    try:
        values = _values(options)
        with joined(options.compress, device=values["device"]) as workers:
            run = _from_graph if options.folder is None else _from_files
            summary = run(options, values, workers)
            if workers.first:
                print(json.dumps(summary, indent=1))
    except KGRecError as error:
        print(f"kgrec: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="torchrun --nproc_per_node N -m kgrec.training",
        description="Train a team by several processes, on files or on the graph.",
        epilog="example: torchrun --nproc_per_node 2 -m kgrec.training data/lastfm --out model",
    )
    parser.add_argument("folder", nargs="?", type=Path, help="atomic files; the graph without it")
    parser.add_argument("--out", type=Path, help="folder of the model, with files")
    parser.add_argument("--domain", help="learn the items of this domain only, with the graph")
    parser.add_argument(
        "--config", type=Path, help="TOML of the team, or of [train] with the graph"
    )
    parser.add_argument("--agents", help="names of agents, with commas")
    parser.add_argument("--seed", type=int, help="seed of all random generators")
    parser.add_argument("--device", help="cpu, or cuda: one GPU for each process")
    parser.add_argument(
        "--compress",
        choices=("none", "powersgd", "topk"),
        default="none",
        help="how gradients are made smaller between processes",
    )
    return parser


def _values(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of the file, overridden by the options."""
    values: dict[str, Any] = load_toml(options.config) if options.config else {}
    if options.device is not None:
        values["device"] = options.device
    if values.setdefault("device", "cpu") == "cuda":  # each process has a GPU of its own
        values["device"] = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    if options.agents is not None:
        values["agents"] = [name.strip() for name in options.agents.split(",") if name.strip()]
    if options.seed is not None:
        values["seed"] = options.seed
    return values


def _from_files(
    options: argparse.Namespace, values: dict[str, Any], workers: Workers
) -> dict[str, Any]:
    if options.out is None:
        raise ConfigError("there is no place for the model", remedy="Name one with --out.")
    if options.domain is not None:
        raise ConfigError(
            "files hold the items of one domain",
            value=options.domain,
            remedy="Leave --domain away, or the folder to train on the graph.",
        )
    config = parse_config(TeamConfig, values, origin="the team's configuration")
    data: SplitDataset = workers.once(lambda: read_folder(options.folder))
    begun = time.perf_counter()
    team = fit_team(data.train, data.valid, config, given=data.valid_given, workers=workers)
    seconds = round(time.perf_counter() - begun, 3)
    record = workers.once(lambda: save_team(team, options.out))
    return _summary(str(options.out), record.metrics, record.shares, seconds, workers)


def _from_graph(
    options: argparse.Namespace, values: dict[str, Any], workers: Workers
) -> dict[str, Any]:
    from kgrec.graph import open_graph
    from kgrec.stages.train import TrainConfig, train

    if options.out is not None:
        raise ConfigError(
            "a model of the graph is kept beside it",
            value=str(options.out),
            remedy="Leave --out away, or name a folder of files.",
        )
    config = parse_config(TrainConfig, values, origin="the settings of the training")
    settings = load_settings()
    with open_graph(settings) as store:
        done = train(store, options.domain, config, home=settings.home, workers=workers)
    return _summary(done.model_id, done.metrics, done.shares, done.seconds, workers)


def _summary(
    model: str, metrics: Any, shares: dict[str, float], seconds: float, workers: Workers
) -> dict[str, Any]:
    return {
        "model": model,
        "processes": workers.world,
        "compression": workers.compression,
        "validation": dict(metrics["validation"]),
        "shares": shares,
        "failed": dict(metrics.get("failed") or {}),
        "seconds": seconds,
    }
