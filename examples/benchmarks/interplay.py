"""Put what agents are worth alone, left out and together on several data sets into one table.

    kgrec evaluate FOLDER --k 20 --ablate-agents --json > one.json    (for every data set)
    python examples/benchmarks/interplay.py one.json two.json ...

A column is a data set. The line of the team is the metric of the test part, the lines below it the
difference from that, with * where it is beyond chance (p below .05 after Holm's correction over the
lines); empty where the evaluation has no ablation. Then the objective on the validation part, by
which shares, ranker and settings were chosen.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Report = dict[str, Any]
_ORDER = (
    *("^users", "^interactions", "^team$", "alone$", "^without", "^weights", "^equal"),
    *("validation$", "^share", "^gate", "^fit", "^memory"),
)


def cells_of(report: Report, metric: str, k: str) -> dict[str, str]:
    """Return the cells of a data set by the name of the line."""
    team, value = report["team"], report["ranking"]["at"][k][metric]
    cells = {
        "users, items": f"{report['counts']['users']:,}, {report['counts']['items']:,}",
        "interactions": f"{report['counts']['train']:,}",
        "team": f"**{_short(value['mean'])}** ± {_short(value['error'])}",
    }
    rows = (report["ablation"] or {"rows": ()})["rows"]
    for row in rows[1:]:
        if {"facts", "texts", "shuffled"} & {*row["name"].split()}:
            continue
        cells[row["name"]] = "failed" if row["failed"] else _less(row["less_team"][k][metric])
    for agent, share in team["weights"].items():
        cells[f"{agent} alone, validation"] = _short(team["validation"][agent])
        cells[f"share of {agent}"] = _short(share) if share else "0"
    cells["team, validation"] = _short(team["validation"]["team"])
    kept = {True: "kept", False: "no"}
    cells["gate, ranker"] = f"{kept[bool(team['gate'])]}, {kept[_blend(team) > 0]}"
    cells["fit, processor s"] = f"{report['processor_seconds']['fit']:.0f}"
    cells["memory, MiB"] = f"{report['peak_memory'] / 2**20:,.0f}"
    return cells


def _less(difference: dict[str, float]) -> str:
    return f"{_short(difference['mean'], sign=True)}{'*' if difference['p_holm'] < 0.05 else ''}"


def _place(line: str) -> int:
    """Return the place of a line in the table: lines of a kind stand together."""
    return next((n for n, kind in enumerate(_ORDER) if re.search(kind, line)), len(_ORDER))


def _blend(team: Report) -> float:
    return float((team["ranker"] or {}).get("blend", 0.0))


def _short(value: float, *, sign: bool = False) -> str:
    """Write a share without the zero before the point."""
    text = f"{value:+.4f}" if sign else f"{value:.4f}"
    return text.replace("0.", ".", 1)


def table(reports: dict[str, Report], metric: str, k: str) -> Iterator[str]:
    """Yield the lines of the table in Markdown."""
    columns = {name: cells_of(report, metric, k) for name, report in reports.items()}
    lines = sorted(dict.fromkeys(line for cells in columns.values() for line in cells), key=_place)
    yield f"| {metric}@{k} | " + " | ".join(columns) + " |"
    yield "|---" * (len(columns) + 1) + "|"
    for line in lines:
        yield f"| {line} | " + " | ".join(cells.get(line, "") for cells in columns.values()) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reports", nargs="+", type=Path, help="JSON of evaluations")
    parser.add_argument("--metric", default="ndcg")
    parser.add_argument("--k", default="20")
    options = parser.parse_args()
    reports = {}
    for path in options.reports:
        reports[path.stem] = json.loads(path.read_text(encoding="utf-8"))
    print(*table(reports, options.metric, options.k), sep="\n")


if __name__ == "__main__":
    main()
