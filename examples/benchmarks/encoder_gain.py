"""What an adapted text encoder gives on items that nobody has had, and what it costs.

    python examples/benchmarks/movies_split.py SOURCE FOLDER
    python examples/benchmarks/encoder_gain.py FOLDER [--budget 8m] [--least 5] [--steps base,taken]

FOLDER holds atomic files with texts. 15 % of the items are held out whole to test on and as many to
choose on (`--protocol cold-item`). Each step adapts the sentence encoder anew: `base` not at all,
`taken` to what the same users took, `facts` to rare facts as well, `masked` to the catalogue's
words first. The semantic agent alone then ranks all items, and the cold ones among themselves: by
whitened vectors, and by the map that it learns of them where it may choose. Every step is a process
of its own, so that minutes and memory are its own. One row a step is printed, and appended to
`--out` as JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kgrec.config import load_toml, seconds_of
from kgrec.data.atomic import SplitDataset, read_whole
from kgrec.data.dataset import Dataset, Facts
from kgrec.data.protocols import ProtocolConfig, hold_out
from kgrec.data.vocabulary import Vocabulary
from kgrec.errors import KGRecError
from kgrec.evaluation.protocol import evaluate_ranking
from kgrec.evaluation.report import peak_memory
from kgrec.learning.agent import FitContext
from kgrec.learning.encoder.config import EncoderConfig
from kgrec.learning.semantic.agent import SemanticAgent, SemanticConfig
from kgrec.stages.encoder import train_encoder
from kgrec.text.encoder import encode
from kgrec.text.models import SENTENCE_MODEL

STEPS = ("base", "taken", "facts", "masked")
SHARE, K, SEED = 0.15, 20, 2024


def popular(data: SplitDataset, least: int) -> SplitDataset:
    """Keep the items that at least so many users took."""
    whole = data.train
    taken = np.bincount(whole.interactions.item, minlength=whole.num_items) >= least
    place = np.cumsum(taken) - 1
    kept = whole.interactions.take(taken[whole.interactions.item])
    known = taken[whole.facts.item]
    facts = whole.facts
    train = Dataset(
        whole.users,
        Vocabulary(whole.items.take(np.flatnonzero(taken))),
        replace(kept, item=place[kept.item]),
        whole.entities,
        Facts(
            place[facts.item[known]],
            facts.relation[known],
            facts.entity[known],
            facts.confidence[known],
            facts.relations,
        ),
        tuple(text for text, one in zip(whole.item_texts, taken, strict=True) if one),
        whole.entity_names,
    )
    return replace(data, train=train)


def settings(step: str, path: Path | None) -> EncoderConfig:
    """Return what a step adapts to: each adds one thing to the step before."""
    values = {} if path is None else load_toml(path)
    if step == "taken":
        values["facts"] = 0.0
    values["masked"] = values.get("masked", {}) if step == "masked" else None
    return EncoderConfig.model_validate(values)


def measured(step: str, options: argparse.Namespace) -> dict[str, Any]:
    """Adapt the encoder as the step says, rank, and return the figures."""
    data = popular(read_whole(options.folder), options.least)
    data = hold_out(data, ProtocolConfig(name="cold-item", share=SHARE), seed=SEED)
    row: dict[str, Any] = {"step": step, "items": data.train.num_items, "cold": len(data.cold)}
    model, begun, used = SENTENCE_MODEL, time.perf_counter(), time.process_time()
    if step != "base":
        budget = None if options.budget is None else seconds_of(options.budget)
        done = train_encoder(
            data.train,
            options.work / step,
            settings(step, options.config),
            cache=options.work / "cache",
            budget=budget,
        )
        model, row["phases"] = str(done.folder), done.phases
        row["minutes"] = round((time.perf_counter() - begun) / 60, 1)
        row["processor_minutes"] = round((time.process_time() - used) / 60, 1)
        row["adapting_mib"] = round(peak_memory() / 2**20)

    def vectors(texts: Any) -> Any:
        return encode(texts, model=model, cache_dir=options.work / "cache" / "vectors")

    context = FitContext(data.train, data.valid, seed=SEED, encode=vectors)
    row["whitened"] = ranked(data, context, SemanticConfig(steps=0))
    row["chosen"] = ranked(data, context, SemanticConfig())
    row["peak_mib"] = round(peak_memory() / 2**20)
    return row


def ranked(data: SplitDataset, context: FitContext, config: SemanticConfig) -> dict[str, Any]:
    """Return Recall@20 and NDCG@20 of the cold items, among all and among themselves."""
    kernel = SemanticAgent(config).fit(context)
    known = data.train.matrix()
    seen = data.train.interactions.concat(data.valid).matrix(*known.shape)
    found: dict[str, Any] = {"settings": dict(kernel.chosen)}
    for name, among in (("all", None), ("cold", data.cold)):
        report, _ = evaluate_ranking(kernel, known, seen, data.test, (K,), among=among, seed=SEED)
        for metric in ("recall", "ndcg"):
            value = report.at[K][metric]
            found[f"{name}_{metric}"] = [round(value.mean, 4), round(value.error, 4)]
    return found


def main() -> int:
    """Run the steps, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--budget", help="of each adaptation: 90s, 8m; all steps when absent")
    parser.add_argument("--least", type=int, default=1, help="users that an item must have")
    parser.add_argument("--steps", default=",".join(STEPS), help="which, with commas")
    parser.add_argument("--config", type=Path, help="TOML of the encoder's settings")
    parser.add_argument("--work", type=Path, default=Path(".kgrec/encoder_gain"))
    parser.add_argument("--out", type=Path, help="takes a JSON line a step")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        try:
            print(json.dumps(measured(options.steps, options)))
        except KGRecError as error:
            print(f"encoder_gain: {error}", file=sys.stderr)
            return error.exit_code
        return 0
    for step in options.steps.split(","):
        command = [sys.executable, __file__, *sys.argv[1:], "--here", "--steps", step]
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if run.returncode:
            return run.returncode
        row = json.loads(run.stdout)
        print(line(row), flush=True)
        if options.out is not None:
            with options.out.open("a", encoding="utf-8") as file:
                file.write(run.stdout)
    return 0


def line(row: dict[str, Any]) -> str:
    """Return a row of the table."""
    cells = [f"{row['step']:<7}"]
    for form in ("whitened", "chosen"):
        values = [
            row[form][f"{name}_{m}"][0] for name in ("all", "cold") for m in ("recall", "ndcg")
        ]
        cells.append(f"{form} " + " ".join(f"{value:.4f}" for value in values))
    cost = f"{row.get('minutes', 0.0)} min, {row.get('processor_minutes', 0.0)} of a processor"
    return "  ".join([*cells, cost, f"{row['peak_mib']} MiB"])


if __name__ == "__main__":
    sys.exit(main())
