"""An evaluation as one page that needs nothing else: numbers, plots, and how they came about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib.resources import files

from kgrec.evaluation.plots import Interval, bars, whiskers
from kgrec.evaluation.report import Metric, RankingReport
from kgrec.evaluation.result import EvaluationResult
from kgrec.metrics.intervals import Difference

_PLOTTED = ("recall", "ndcg", "mrr")
_MEANINGS = {
    "coverage": "share of the items that are in any list",
    "gini": "inequality of how often items are listed, 0 to 1",
    "novelty": "self-information of the listed items by their users, in bits",
    "long_tail": "share of listed items outside the most popular fifth",
    "diversity": "mean distance of the items of one list",
    "miscalibration": "divergence of a list's kinds from those of the history, in nats",
}


def page(result: EvaluationResult) -> str:
    """Return the result as an HTML page with plots, for light and dark."""
    style = files("kgrec.evaluation").joinpath("report.css").read_text(encoding="utf-8")
    title = f"{result.data}, protocol {result.protocol['name']}"
    body = "\n".join(part for part in _sections(result) if part)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)} · kgrec</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _sections(result: EvaluationResult) -> Iterator[str]:
    yield _header(result)
    yield _figures(result)
    yield _accuracy(result.ranking, f"All {result.ranking.items:,} items ranked")
    if result.among_cold is not None:
        title = f"The {result.among_cold.items:,} cold items ranked among themselves"
        yield _accuracy(result.among_cold, title)
    yield f'<div class="pair">{_by_history(result)}{_by_popularity(result)}</div>'
    yield _baseline(result)
    yield _groups(result)
    yield _ablation(result)
    yield _lists(result)
    yield _team(result)
    yield _provenance(result)


def _header(result: EvaluationResult) -> str:
    ranking, protocol = result.ranking, result.protocol
    measured = f"{ranking.users:,}"
    if ranking.eligible > ranking.users:
        measured += f" of {ranking.eligible:,}"
    return (
        f"<header><h1>{escape(result.data)}</h1><p>Protocol {escape(protocol['name'])}: "
        f"{measured} test users, {ranking.targets:,} items to find. Knowledge "
        f"{escape(protocol['knowledge'])}; history {escape(protocol['history'])}; items of "
        f"{escape(protocol['mask'])} are not ranked. {_fitted(protocol['refit'])} Intervals are "
        "95 %, by the percentile bootstrap over users.</p></header>"
    )


def _fitted(refit: bool) -> str:
    first = "Fitted on the training part, chosen on the validation part"
    return f"{first}, and fitted again on both." if refit else f"{first}."


def _figures(result: EvaluationResult) -> str:
    k = max(result.ranking.at)
    cards = []
    for name in _PLOTTED:
        metric = result.ranking.at[k][name]
        cards.append(_figure(f"{name}@{k}", f"{metric.mean:.4f}", _interval(metric)))
    cards.append(_figure("fitting", _seconds(result.seconds["fit"]), "chosen settings included"))
    rank = f"{result.ranking.users:,} users"
    cards.append(_figure("ranking", _seconds(result.ranking.seconds), rank))
    memory = f"{result.peak_memory / 2**20:,.0f} MiB"
    cards.append(_figure("memory", memory, "the most that was held"))
    return f'<div class="figures">{"".join(cards)}</div>'


def _figure(name: str, value: str, note: str) -> str:
    return f'<div class="figure"><span>{name}</span><b>{value}</b><span>{note}</span></div>'


def _accuracy(ranking: RankingReport, title: str) -> str:
    names = list(next(iter(ranking.at.values())))
    rows = [[name, *[_metric(at[name]) for at in ranking.at.values()]] for name in names]
    table = _table(["", *[f"@{k}" for k in ranking.at]], rows)
    intervals = [
        Interval(f"{name}@{k}", m.mean, m.low, m.high)
        for k, at in ranking.at.items()
        for name in _PLOTTED
        for m in [at[name]]
    ]
    plot = whiskers(intervals, "metric, with its interval")
    return _section(escape(title), f'<div class="pair"><div>{plot}</div>{table}</div>')


def _by_history(result: EvaluationResult) -> str:
    part = result.breakdown
    columns = [
        Interval(name.replace(" to under ", "–<").replace(" to ", "–"), m.mean, m.low, m.high, note)
        for name, group in part.history.groups.items()
        for m, note in [(group.metrics["recall"], f"{group.users:,} users")]
    ]
    plot = bars(columns, f"recall@{part.k}", "items in the history")
    return _section("By the length of the history", plot)


def _by_popularity(result: EvaluationResult) -> str:
    part = result.breakdown
    columns = [
        Interval(g.count.replace(" to ", "–"), g.found, g.low, g.high, f"{g.targets:,}")
        for g in part.popularity
    ]
    plot = bars(columns, f"found in {part.k}", "users of the target in training; targets")
    return _section("By how known the target is", plot)


def _baseline(result: EvaluationResult) -> str:
    baseline = result.baseline
    if baseline is None:
        return ""
    names = list(next(iter(baseline.at.values())))
    rows = [[name, *[_difference(at[name]) for at in baseline.at.values()]] for name in names]
    intervals = [
        Interval(f"{name}@{k}", d.mean, d.low, d.high, f"{d.mean:+.4f}")
        for k, at in baseline.at.items()
        for name in _PLOTTED
        for d in [at[name]]
    ]
    plot = whiskers(intervals, "difference, with its interval", from_zero=True)
    table = _table(["", *[f"@{k}" for k in baseline.at]], rows)
    note = (
        f"The run has {baseline.users:,} of the {result.ranking.users:,} users. p-values: paired "
        "permutation test, corrected by Holm."
    )
    title = f"Less {escape(baseline.run)}"
    return _section(title, f'{plot}{table}<p class="note">{note}</p>')


def _groups(result: EvaluationResult) -> str:
    report = result.groups
    if report is None:
        return ""
    names = list(next(iter(report.groups.values())).metrics)
    rows = [
        [escape(name), f"{group.users:,}", *[_metric(group.metrics[n]) for n in names]]
        for name, group in report.groups.items()
    ]
    intervals = [
        Interval(f"{name} ({group.users:,})", m.mean, m.low, m.high)
        for name, group in report.groups.items()
        for m in [group.metrics["ndcg"]]
    ]
    gaps = [
        f"{name}: {gap.difference:.4f} [{gap.low:+.4f}, {gap.high:+.4f}], {escape(gap.best)} less "
        f"{escape(gap.worst)}"
        for name, gap in report.gaps.items()
    ]
    plot = whiskers(intervals, f"ndcg@{report.k} by {report.column}")
    note = f'<p class="note">Gaps: {"; ".join(gaps) or "too few users in a group"}.</p>'
    table = _table(["", "users", *[f"{name}@{report.k}" for name in names]], rows)
    return _section(f"By {escape(report.column)}", f"{plot}{table}{note}")


def _ablation(result: EvaluationResult) -> str:
    if result.ablation is None:
        return ""
    k = max(result.ablation.rows[0].at)
    cold = [f"ndcg@{k} among cold"] if result.ablation.rows[0].among_cold else []
    head = ["", *[f"{name}@{k}" for name in _PLOTTED], *cold, f"ndcg@{k} less the team's"]
    intervals, rows = [], []
    for row in result.ablation.rows:
        if row.failed is not None:
            rows.append([escape(row.name), *[""] * (len(head) - 1), "nothing to learn from"])
            continue
        less = row.less_team[k]["ndcg"] if row.less_team else None
        if less is not None:
            intervals.append(
                Interval(row.name, less.mean, less.low, less.high, f"{less.mean:+.4f}")
            )
        means = [f"{row.at[k][name].mean:.4f}" for name in _PLOTTED]
        if cold:
            means.append(f"{row.among_cold[k]['ndcg'].mean:.4f}")
        difference = "" if less is None else _difference(less)
        rows.append([escape(row.name), *means, difference, _seconds(row.seconds)])
    plot = whiskers(intervals, f"ndcg@{k} less the team's", from_zero=True) if intervals else ""
    note = (
        '<p class="note">Agents that were fitted on the same data are reused; the '
        "coordinator chooses anew. p-values are corrected over the variants by Holm.</p>"
    )
    return _section("Ablation", f"{plot}{_table([*head, 'fitting'], rows)}{note}")


def _lists(result: EvaluationResult) -> str:
    ks = list(result.ranking.lists)
    rows = []
    for name in next(iter(result.ranking.lists.values())):
        cells = [f"{result.ranking.lists[k][name]:.4f}" for k in ks]
        rows.append([name.replace("_", " "), *cells, _MEANINGS[name]])
    known = result.lists.at
    for name in dict.fromkeys(name for at in known.values() for name in at):
        by = result.lists.features if name == "diversity" else result.lists.relation
        cells = [_metric(known[k][name]) if name in known[k] else "" for k in ks]
        rows.append([f"{name} by {escape(str(by))}", *cells, _MEANINGS[name]])
    return _section("The lists", _table(["", *[f"@{k}" for k in ks], "what it is"], rows, words=1))


def _team(result: EvaluationResult) -> str:
    team = result.team
    objective = f"{team['objective']['metric']}@{team['objective']['k']}"
    rows = []
    for name, weight in team["weights"].items():
        alone = team["validation"].get(name)
        chosen = ", ".join(f"{key} {value:g}" for key, value in team["chosen"][name].items())
        number = "" if alone is None else f"{alone:.4f}"
        seconds = _seconds(team["seconds"].get(name, 0.0))
        rows.append([escape(name), f"{weight:.2f}", number, seconds, escape(chosen)])
    whole = team["validation"].get("team")
    if whole is not None:
        rows.append(["team", "1.00", f"{whole:.4f}", "", ""])
    ranker = team["ranker"]
    if ranker:
        beside = f"blend {ranker['blend']:g}, the team {ranker['team']:.4f} on the same users"
        rows.append(["ranker", "", f"{ranker['ranker']:.4f}", "", beside])
    skipped = "".join(
        f'<p class="note">{escape(name)} was skipped: {escape(reason)}</p>'
        for name, reason in team["skipped"].items()
    )
    skipped += "".join(
        f'<p class="note">{escape(name)} failed: {escape(reason)}</p>'
        for name, reason in (team.get("failed") or {}).items()
    )
    head = ["agent", "share", f"{objective} alone", "fitting", "settings"]
    return _section("Chosen on the validation part", _table(head, rows, words=1) + skipped)


def _provenance(result: EvaluationResult) -> str:
    protocol = {key: value for key, value in result.protocol.items() if value is not None}
    parts = {
        "data": ", ".join(f"{count:,} {name}" for name, count in result.counts.items()),
        "protocol": ", ".join(f"{key} {_plain(value)}" for key, value in protocol.items()),
        "versions": ", ".join(f"{name} {value}" for name, value in result.versions.items()),
        "time": ", ".join(f"{name} {_seconds(value)}" for name, value in result.seconds.items()),
        "left out": f"{result.ranking.repeated:,} test interactions that the user had had before",
    }
    if result.rejected:
        more = f"{len(result.rejected):,} rows, the first: {result.rejected[0]}"
        parts["not usable"] = more
    entries = "".join(f"<dt>{key}</dt><dd>{escape(value)}</dd>" for key, value in parts.items())
    return _section("To get these numbers again", f"<dl>{entries}</dl>")


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 0) -> str:
    """Return a table; the last `words` columns hold words, which may be broken."""
    first_words = len(head) - words

    def line(cells: Sequence[str], tag: str) -> str:
        shown = [
            f'<{tag} class="words">{cell}</{tag}>' if n >= first_words else f"<{tag}>{cell}</{tag}>"
            for n, cell in enumerate(cells)
        ]
        return f"<tr>{''.join(shown)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f'<div class="scroll"><table>{line(head, "th")}{body}</table></div>'


def _metric(metric: Metric) -> str:
    return f"{metric.mean:.4f} {_interval(metric)}"


def _interval(metric: Metric) -> str:
    return f'<span class="interval">[{metric.low:.4f}, {metric.high:.4f}]</span>'


def _difference(difference: Difference) -> str:
    kind = "better" if difference.low > 0 else "worse" if difference.high < 0 else ""
    interval = f"[{difference.low:+.4f}, {difference.high:+.4f}] p {difference.p_holm:.4f}"
    return (
        f'<span class="{kind}">{difference.mean:+.4f}</span> '
        f'<span class="interval">{interval}</span>'
    )


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 600 else f"{seconds / 60:.1f} min"


def _plain(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
