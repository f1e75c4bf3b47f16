"""The report as one page that needs nothing else: findings, figures and pictures.

Everything that comes from a graph is escaped, and the page allows itself neither scripts nor
anything from elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib.resources import files

from kgrec.stages.graph_report.findings import Finding
from kgrec.stages.graph_report.making import GraphReport

_STYLE = """
body { overflow-wrap: anywhere; }
td.words, th.words { min-width: 8rem; }
.is-warning { border-left: 4px solid var(--bad); }
.finding h3 { margin: 0 0 0.3rem; font-size: 1rem; }
.finding p { margin: 0.25rem 0; font-size: 0.92rem; }
.finding code, td code { font-size: 0.85em; overflow-wrap: anywhere; white-space: pre-wrap; }
.badge { color: var(--muted); font-size: 0.78rem; font-weight: 400; }
.is-warning .badge { color: var(--bad); }
.chart { display: block; width: 100%; height: auto; max-width: 34rem; }
.chart text { fill: var(--muted); font-size: 12px; }
.chart rect { fill: var(--accent); }
mark { background: var(--soft); color: inherit; padding: 0 0.15em; border-radius: 3px; }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src 'none'"
_ROWS = 40
_MONTHS = 60


def page(report: GraphReport) -> str:
    """Return a report as an HTML page, for light and dark and for narrow screens."""
    style = files("kgrec.evaluation").joinpath("report.css").read_text(encoding="utf-8")
    body = "\n".join(part for part in _sections(report) if part)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Graph report · kgrec</title>\n<style>\n{style}{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _sections(report: GraphReport) -> Iterator[str]:
    yield (
        "<header><h1>What the graph holds</h1>"
        f"<p>{escape(report.engine)}, {escape(report.created_at)}</p></header>"
    )
    nodes = report.nodes
    cards = [
        *((name, nodes.get(name, 0)) for name in ("Item", "User", "Entity")),
        ("relations", sum(report.relations.values())),
        ("warnings", report.warnings),
        ("notes", len(report.findings) - report.warnings),
    ]
    yield f'<div class="figures">{"".join(_card(name, number) for name, number in cards)}</div>'
    if report.findings:
        yield f"<h2>Findings</h2>{''.join(map(_finding, report.findings))}"
    else:
        yield _section("Findings", "<p>Nothing was found that should be put right.</p>")
    yield (
        '<div class="pair">'
        + _section("Nodes", _bars(_ranked(report.nodes), "nodes of each label"))
        + _section("Relations", _bars(_ranked(report.relations), "relations of each type"))
        + "</div>"
    )
    degrees = [
        _section(escape(name.capitalize()), _bars(_spread(buckets), name))
        for name, buckets in report.degrees.items()
    ]
    if degrees:
        yield f'<div class="pair">{"".join(degrees)}</div>'
    yield _time(report)
    yield _facts(report)
    yield _hubs(report)
    yield _evidence(report)


def _card(name: str, number: int) -> str:
    return f'<div class="figure"><span>{escape(name)}</span><b>{number:,}</b></div>'


def _section(title: str, body: str) -> str:
    return f"<section><h2>{title}</h2>{body}</section>"


def _finding(one: Finding) -> str:
    examples = ""
    if one.examples:
        listed = ", ".join(f"<code>{_shown(text)}</code>" for text in one.examples)
        examples = f"<p>{listed}</p>"
    return (
        f'<section class="finding is-{one.severity}" id="{escape(one.code)}">'
        f'<h3>{_shown(one.what)} <span class="badge">{one.severity}, {escape(one.code)}</span></h3>'
        f"{examples}<p>→ {_shown(one.remedy, 600)}</p></section>"
    )


def _shown(text: str, longest: int = 200) -> str:
    """Return text escaped and cut, its signs of direction and control replaced."""
    plain = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
    return escape(plain if len(plain) <= longest else f"{plain[: longest - 1]}…")


def _ranked(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda one: (-one[1], one[0]))


def _spread(buckets: Iterable[object]) -> list[tuple[str, int]]:
    rows = []
    for one in buckets:
        low, high, nodes = (getattr(one, name) for name in ("low", "high", "nodes"))
        rows.append((f"{low:,}" if low == high else f"{low:,}–{high:,}", nodes))
    return rows


def _bars(rows: Sequence[tuple[str, int]], title: str) -> str:
    """Return a chart of bars that lie, one for each row, as SVG."""
    if not rows:
        return '<p class="note">None.</p>'
    shown = list(rows[:_ROWS])
    most = max(max(number for _, number in shown), 1)
    height = 22 * len(shown)
    parts = [
        f'<svg class="chart" role="img" viewBox="0 0 420 {height}" '
        f'aria-label="{_shown(title)}" xmlns="http://www.w3.org/2000/svg">'
    ]
    for n, (name, number) in enumerate(shown):
        width = 190 * number / most
        y = 22 * n
        parts.append(
            f'<text x="146" y="{y + 15}" text-anchor="end">{_shown(name, 22)}</text>'
            f'<rect x="152" y="{y + 4}" width="{max(width, 0.5 * (number > 0)):.1f}" height="14" '
            f'rx="2"><title>{_shown(name)}: {number:,}</title></rect>'
            f'<text x="{158 + width:.1f}" y="{y + 15}">{number:,}</text>'
        )
    more = len(rows) - len(shown)
    note = f'<p class="note">{more:,} more are not shown.</p>' if more else ""
    return "".join(parts) + "</svg>" + note


def _time(report: GraphReport) -> str:
    months: Counter[str] = Counter()
    for counts in report.interactions.values():
        months.update(counts)
    if not months:
        return ""
    kinds = {kind or "(none)": sum(counts.values()) for kind, counts in report.interactions.items()}
    rows = sorted(months.items())
    if len(rows) > _MONTHS:
        years: Counter[str] = Counter()
        for month, number in rows:
            years[month[:4] if month != "unknown" else month] += number
        rows = sorted(years.items())
    return (
        '<div class="pair">'
        + _section("Interactions by kind", _bars(_ranked(kinds), "interactions by kind"))
        + _section("Interactions over time", _bars(rows, "interactions over time"))
        + "</div>"
    )


def _facts(report: GraphReport) -> str:
    if not report.facts:
        return ""
    rows = [
        [
            _shown(one.relation),
            f"{one.facts:,}",
            f"{one.confidence:.2f}",
            _shown(f"{one.source} {one.extractor}".strip()),
        ]
        for one in report.facts[:_ROWS]
    ]
    tenths: Counter[int] = Counter()
    for one in report.facts:
        tenths.update(one.tenths)
    spread = [(f".{t}" if t < 10 else "1", tenths[t]) for t in range(11) if tenths[t]]
    table = _table(["relation", "facts", "confidence", "source"], rows)
    chart = _bars(spread, "facts by confidence, in tenths")
    return (
        '<div class="pair">'
        + _section("Facts by source", table)
        + _section("Facts by confidence", chart)
        + "</div>"
    )


def _hubs(report: GraphReport) -> str:
    rows = [(f"{one.name} ({one.type})", one.items) for one in report.hubs[:20]]
    return _section("Entities with most items", _bars(rows, "items of an entity")) if rows else ""


def _evidence(report: GraphReport) -> str:
    if not report.evidence:
        return ""
    rows = [
        [
            _shown(one.item_id, 40),
            f"{one.confidence:.2f}",
            f"{_shown(one.relation)} → {_shown(one.entity_id, 80)}",
            f"<mark>{_shown(one.evidence)}</mark> {_shown(one.extractor)}",
        ]
        for one in report.evidence
    ]
    table = _table(["item", "confidence", "fact", "words that state it"], rows, words=2)
    return _section("Some facts of texts", table)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1) -> str:
    """Return a table of cells that are HTML; the last `words` columns may be broken."""
    first = len(head) - words

    def line(cells: Sequence[str], tag: str) -> str:
        shown = (
            f'<{tag} class="words">{cell}</{tag}>' if n >= first else f"<{tag}>{cell}</{tag}>"
            for n, cell in enumerate(cells)
        )
        return f"<tr>{''.join(shown)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f'<div class="scroll"><table>{line(head, "th")}{body}</table></div>'
