"""What `kgrec evaluate` shows on the terminal."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from kgrec.cli.console import err, out
from kgrec.evaluation.report import RankingReport
from kgrec.evaluation.significance import Difference
from kgrec.stages.evaluate import BaselineReport, EvaluationResult

_DECIMALS = {"novelty": ".2f"}


def print_result(result: EvaluationResult) -> None:
    """Print what was measured, beside what, and what was chosen."""
    counts = ", ".join(f"{count:,} {name}" for name, count in result.counts.items())
    out.print(f"[bold]{escape(result.data)}[/bold]: {counts}")
    _print_rejects(result)
    ranking, protocol = result.ranking, result.protocol
    asked = f"{ranking.users:,}"
    if ranking.eligible > ranking.users:
        asked += f" of {ranking.eligible:,}"
    out.print(
        f"{asked} test users, {ranking.items:,} items ranked, protocol {protocol['name']}, "
        f"knowledge {protocol['knowledge']}, history {protocol['history']}"
    )
    out.print(_metrics(ranking))
    if result.among_cold is not None:
        out.print(f"Among the {result.among_cold.items:,} cold items alone:")
        out.print(_metrics(result.among_cold))
    if result.baseline is not None:
        _print_baseline(result.baseline, ranking.users)
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


def _metrics(ranking: RankingReport) -> Table:
    table = Table(caption="in brackets: 95 % intervals by the bootstrap over users")
    table.add_column("")
    for k in ranking.at:
        table.add_column(f"@{k}", justify="right")
    for name in next(iter(ranking.at.values())):
        metrics = [at[name] for at in ranking.at.values()]
        table.add_row(name, *[f"{m.mean:.4f} [{m.low:.4f}, {m.high:.4f}]" for m in metrics])
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
        table.add_row(name, *[difference_cell(at[name]) for at in baseline.at.values()])
    out.print(table)


def difference_cell(difference: Difference) -> str:
    """Return a difference with its interval and p-value."""
    mean, low, high = difference.mean, difference.low, difference.high
    return f"{mean:+.4f} [{low:+.4f}, {high:+.4f}] p {difference.p_holm:.4f}"


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
