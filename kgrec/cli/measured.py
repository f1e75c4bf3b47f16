"""What `kgrec evaluate` prints for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from kgrec.cli.console import err, out
from kgrec.evaluation.ablation import AblationReport
from kgrec.evaluation.groups import GroupReport
from kgrec.evaluation.report import Metric, RankingReport
from kgrec.evaluation.result import BaselineReport, EvaluationResult
from kgrec.metrics.intervals import Difference

_COMPARED = "ndcg"
_DECIMALS = {"novelty": ".2f"}


def print_result(result: EvaluationResult) -> None:
    """Print what was measured, beside what, and what was chosen."""
    counts = ", ".join(f"{count:,} {name}" for name, count in result.counts.items())
    out.print(f"[bold]{escape(result.data)}[/bold]: {counts}")
    _print_rejects(result)
    ranking, protocol = result.ranking, result.protocol
    measured = f"{ranking.users:,}"
    if ranking.eligible > ranking.users:
        measured += f" of {ranking.eligible:,}"
    out.print(
        f"{measured} test users, {ranking.items:,} items ranked, protocol {protocol['name']}, "
        f"knowledge {protocol['knowledge']}, history {protocol['history']}, "
        f"mask {protocol['mask']}" + (", fitted again on train+valid" * protocol["refit"])
    )
    if ranking.repeated:
        out.print(f"{ranking.repeated:,} test interactions left out: the user had had the item")
    out.print(_metrics(ranking))
    if result.among_cold is not None:
        out.print(f"Among the {result.among_cold.items:,} cold items alone:")
        out.print(_metrics(result.among_cold))
    if result.baseline is not None:
        _print_baseline(result.baseline, ranking.users)
    _print_lists(result)
    if result.groups is not None:
        _print_groups(result.groups)
    if result.ablation is not None:
        _print_ablation(result.ablation)
    nothing = "Nothing new in the validation part to choose on; defaults:"
    out.print("Chosen on the validation part:" if result.team["validation"] else nothing)
    out.print(_team(result))
    if result.team.get("search"):
        out.print(_search(result.team["search"]))
    for name, reason in result.team["skipped"].items():
        out.print(f"{name} was skipped: {reason}", markup=False)
    for name, reason in (result.team.get("failed") or {}).items():
        out.print(f"{name} failed: {reason}", markup=False)
    seconds = ", ".join(f"{name} {value:.1f} s" for name, value in result.seconds.items())
    out.print(f"{seconds}; at most {result.peak_memory / 2**20:,.0f} MiB")


def _print_rejects(result: EvaluationResult) -> None:
    if result.rejected:
        err.print(f"{len(result.rejected)} rows could not be used, the first of them:")
        for line in result.rejected[:5]:
            err.print(f"  {line}", markup=False)


def _metrics(ranking: RankingReport) -> Table:
    table = Table(caption="in brackets: 95 % intervals by the bootstrap over users")
    table.add_column("")
    for k in ranking.at:
        table.add_column(f"@{k}", justify="right")
    for name in next(iter(ranking.at.values())):
        metrics = [at[name] for at in ranking.at.values()]
        table.add_row(name, *map(_with_interval, metrics))
    for name in next(iter(ranking.lists.values())):
        form = _DECIMALS.get(name, ".4f")
        table.add_row(name, *[f"{at[name]:{form}}" for at in ranking.lists.values()])
    return table


def _print_baseline(baseline: BaselineReport, users: int) -> None:
    out.print(f"Less {escape(baseline.run)} ({baseline.users:,} of the {users:,} users):")
    table = Table(caption="p: paired permutation test, corrected by Holm")
    table.add_column("")
    for k in baseline.at:
        table.add_column(f"@{k}", justify="right")
    for name in next(iter(baseline.at.values())):
        table.add_row(name, *[_difference_cell(at[name]) for at in baseline.at.values()])
    out.print(table)


def _print_lists(result: EvaluationResult) -> None:
    lists = result.lists
    parts = []
    for k, metrics in lists.at.items():
        for name, metric in metrics.items():
            by = lists.features if name == "diversity" else lists.relation
            parts.append(f"{name}@{k} by {by} {_with_interval(metric)}")
    if parts:
        out.print("; ".join(parts), markup=False)


def _print_groups(report: GroupReport) -> None:
    table = Table(title=f"By {escape(report.column)}, at {report.k}")
    table.add_column("group")
    table.add_column("users", justify="right")
    names = list(next(iter(report.groups.values())).metrics)
    for name in names:
        table.add_column(name, justify="right")
    for group, measured in report.groups.items():
        cells = [_with_interval(measured.metrics[name]) for name in names]
        table.add_row(escape(group), f"{measured.users:,}", *cells)
    out.print(table)
    for name, gap in report.gaps.items():
        interval = f"[{gap.low:+.4f}, {gap.high:+.4f}]"
        out.print(
            f"gap of {name}: {gap.difference:.4f} {interval}, {gap.best} less {gap.worst}",
            markup=False,
        )


def _print_ablation(report: AblationReport) -> None:
    """Print the ablation in eighty columns; the page and JSON hold every metric and the seconds."""
    k = max(report.rows[0].at)
    title = f"Ablation, {_COMPARED}@{k}"
    table = Table(title=title, caption="p: paired permutation test, Holm", box=SIMPLE_HEAD)
    table.add_column("", no_wrap=True)
    table.add_column("all", justify="right")
    cold = bool(report.rows[0].among_cold)
    if cold:
        table.add_column("cold", justify="right")
    table.add_column("all, less the team's", justify="right", no_wrap=True)
    table.add_column("p", justify="right")
    for row in report.rows:
        if row.failed is not None:
            table.add_row(escape(row.name), "none fits")
            continue
        means = [f"{row.at[k][_COMPARED].mean:.4f}"]
        if cold:
            means.append(f"{row.among_cold[k][_COMPARED].mean:.4f}")
        less = row.less_team[k][_COMPARED] if row.less_team else None
        cells = ("", "") if less is None else (_difference(less), f"{less.p_holm:.4f}")
        table.add_row(escape(row.name), *means, *cells)
    out.print(table)


def _with_interval(metric: Metric) -> str:
    return f"{metric.mean:.4f} [{metric.low:.4f}, {metric.high:.4f}]"


def _difference_cell(difference: Difference) -> str:
    """Return a difference with its interval and p-value."""
    return f"{_difference(difference)} p {difference.p_holm:.4f}"


def _difference(difference: Difference) -> str:
    mean, low, high = difference.mean, difference.low, difference.high
    return f"{mean:+.4f} [{low:+.4f}, {high:+.4f}]"


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
    ranker = team.get("ranker")
    if ranker:
        blend = f"blend {ranker['blend']:g}, the team {ranker['team']:.4f} on the same users"
        table.add_row("ranker", "", f"{ranker['ranker']:.4f}", blend, "")
    return table


def _search(search: Mapping[str, Any]) -> Table:
    trials = search["trials"]
    table = Table(title=f"{len(trials)} settings tried in {search['seconds']:.0f} s")
    for heading in ("agent", "settings", "metric", "gain", "seconds", ""):
        table.add_column(heading, justify="left" if heading in ("agent", "settings") else "right")
    for trial in trials:
        table.add_row(
            trial["agent"],
            ", ".join(f"{name} {value:g}" for name, value in trial["settings"].items()),
            "" if trial["metric"] is None else f"{trial['metric']:.4f}",
            f"{trial['gain']:+.4f}",
            f"{trial['seconds']:.1f}",
            "kept" if trial["kept"] else "",
        )
    if search["after"] is not None:
        table.caption = f"the team: {search['before']:.4f} before, {search['after']:.4f} after"
    if search.get("left_out"):
        left_out = f"not searched, since they learn together: {', '.join(search['left_out'])}"
        table.caption = f"{table.caption or ''}\n{left_out}".lstrip()
    return table
