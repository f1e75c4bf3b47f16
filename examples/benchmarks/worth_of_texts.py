"""What facts read out of texts are worth for recommending: from the columns alone, with rules,
with a trained extractor, and with entities resolved, one after the other in one graph.

    KGREC_HOME=/tmp/worth python examples/benchmarks/worth_of_texts.py pipelines/movielens.toml \
        --trained people-extractor --protocol warm --protocol cold-item

The home must be a new one. Each step is measured by `kgrec evaluate --graph`, with the difference
from the first step over the same test users, and its paired interval.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def kgrec(*arguments: str) -> Any:
    """Run a command of kgrec and return its JSON document."""
    command = [sys.executable, "-m", "kgrec", *arguments, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pipeline")
    parser.add_argument("--trained", type=Path, help="folder of kgrec extract train")
    parser.add_argument("--protocol", action="append", default=[])
    parser.add_argument("--set", action="append", default=[], help="of the pipeline, KEY=VALUE")
    parser.add_argument("--agents", help="of the team, separated by commas; all by default")
    parser.add_argument("--k", default="10")
    options = parser.parse_args()
    run = ["run", options.pipeline, *(f"--set={value}" for value in options.set)]
    extract = [*run, "--stage", "extract"]
    team = ["--agents", options.agents] if options.agents else []
    steps: dict[str, list[str]] = {
        "columns": [*run, "--stage", "ingest"],
        "rules": extract,
    }
    if options.trained:
        steps["trained"] = [*extract, "--set", f"extract.trained={options.trained.resolve()}"]
    steps["resolved"] = ["resolve", "graph"]
    with tempfile.TemporaryDirectory() as folder:
        for step, command in steps.items():
            kgrec(*command)
            facts = kgrec("graph", "status")
            print(json.dumps({"step": step, "facts": facts}), flush=True)
            for protocol in options.protocol or ["warm", "temporal", "cold-item"]:
                ranks = Path(folder) / f"{protocol}-{step}.tsv"
                first = Path(folder) / f"{protocol}-columns.tsv"
                given = ["--graph", "--pipeline", options.pipeline, "--protocol", protocol]
                if protocol == "temporal":  # each user's own last interactions, else few users
                    given += ["--cut", "user"]
                compared = ["--baseline", str(first)] if first.exists() else []
                found = kgrec(
                    "evaluate", *given, *team, "--k", options.k, "--run-out", str(ranks), *compared
                )
                print(json.dumps({"step": step, "protocol": protocol, **found}), flush=True)


if __name__ == "__main__":
    main()
