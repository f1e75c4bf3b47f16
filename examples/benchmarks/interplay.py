"""Put what agents are worth alone, left out and together on several data sets into one table.

    kgrec evaluate FOLDER --k 20 --ablate-agents --json > one.json    (for every data set)
    python examples/benchmarks/interplay.py one.json two.json ...

A column is a data set. A cell of the first part is the metric of the test part, that of a line
further below its difference from the team's, with * where it is beyond chance (p below .05 after
Holm's correction over the lines). Shares, ranker and settings were chosen on validation parts.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Report = dict[str, Any]


def cells_of(report: Report, metric: str, k: str) -> dict[str, str]:
    """Return the cells of a data set by the name of the line, in the order of the table."""
    cells = {"users, items": f"{report['counts']['users']:,}, {report['counts']['items']:,}"}
    cells["interactions"] = f"{report['counts']['train']:,}"
    team = report["team"]
    for row in report["ablation"]["rows"]:
        if row["failed"]:
            cells[row["name"]] = "failed"
            continue
        value, less = row["at"][k][metric], (row["less_team"] or {}).get(k)
        if less is None:
            cells[row["name"]] = f"**{_short(value['mean'])}** ± {_short(value['error'])}"
            continue
        beyond = "*" if less[metric]["p_holm"] < 0.05 else ""
        cells[row["name"]] = f"{_short(less[metric]['mean'], sign=True)}{beyond}"
    for agent, share in team["weights"].items():
        cells[f"share of {agent}"] = _short(share) if share else "0"
    cells["gate, ranker"] = ", ".join(
        "kept" if kept else "no" for kept in (team["gate"], _blend(team) > 0)
    )
    for agent, seconds in team["seconds"].items():
        cells[f"fit of {agent}, s"] = f"{seconds:.0f}"
    cells["fit of the team, s"] = f"{report['seconds']['fit']:.0f}"
    cells["memory, MiB"] = f"{report['peak_memory'] / 2**20:,.0f}"
    return cells


def _blend(team: Report) -> float:
    return float((team["ranker"] or {}).get("blend", 0.0))


def _short(value: float, *, sign: bool = False) -> str:
    """Write a share without the zero before the point."""
    text = f"{value:+.4f}" if sign else f"{value:.4f}"
    return text.replace("0.", ".", 1)


def table(reports: dict[str, Report], metric: str, k: str) -> Iterator[str]:
    """Yield the lines of the table in Markdown."""
    columns = {name: cells_of(report, metric, k) for name, report in reports.items()}
    lines = dict.fromkeys(line for cells in columns.values() for line in cells)
    yield f"| {metric}@{k} | " + " | ".join(columns) + " |"
    yield "|---" * (len(columns) + 1) + "|"
    for line in lines:
        yield f"| {line} | " + " | ".join(cells.get(line, "") for cells in columns.values()) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "reports", nargs="+", type=Path, help="JSON of evaluations with an ablation"
    )
    parser.add_argument("--metric", default="ndcg")
    parser.add_argument("--k", default="20")
    options = parser.parse_args()
    reports = {}
    for path in options.reports:
        report = json.loads(path.read_text(encoding="utf-8"))
        if not report.get("ablation"):
            sys.exit(f"interplay: {path} holds no ablation; evaluate with --ablate-agents")
        reports[path.stem] = report
    print(*table(reports, options.metric, options.k), sep="\n")


if __name__ == "__main__":
    main()
