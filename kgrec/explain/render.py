"""An explanation for the terminal: contributions as bars, paths and sentences below."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from kgrec.explain.records import Explanation

_WIDTH = 24


def render(explanation: Explanation, *, num_history: int = 8) -> RenderableType:
    """Return something that rich can print.

    Args:
        num_history: so many history items stand on their own, the others in one line.
    """
    head = Text(f"{explanation.title}  (score {explanation.score:.4f})", style="bold")
    if explanation.seen:
        head.append("  already met: explained from the rest of the history", style="dim")
    parts: list[RenderableType] = [head, _table(explanation, num_history)]
    parts += [Text(f"• {sentence}") for sentence in explanation.words]
    if explanation.paths:
        parts.append(_paths(explanation))
    return Group(*parts)


def _table(explanation: Explanation, num_history: int) -> Table:
    table = Table(title_justify="left", box=None, pad_edge=False)
    for name in ("contribution", "", ""):
        table.add_column(name, justify="right" if name else "left")
    shown = [(share.title, share.contribution) for share in explanation.history[:num_history]]
    shown += [
        (f"prior of {share.agent}", share.prior) for share in explanation.agents if share.prior
    ]
    largest = max((abs(value) for _, value in shown), default=0.0) or 1.0
    for name, value in shown:
        table.add_row(f"{value:+.4f}", _bar(value / largest), escape(name))
    rest = explanation.history[num_history:]
    if rest:
        value = sum(share.contribution for share in rest)
        table.add_row(f"{value:+.4f}", "", f"{len(rest)} more items of the history")
    table.add_row(f"{explanation.score:+.4f}", "", "[bold]sum[/bold]")
    return table


def _bar(share: float) -> Text:
    length = max(round(abs(share) * _WIDTH), 1) if share else 0
    return Text("█" * length, style="green" if share > 0 else "red")


def _paths(explanation: Explanation) -> Table:
    table = Table(title="Paths in the graph", title_justify="left", box=None, pad_edge=False)
    for name in ("history item", "", "entity", "", "confidence", "evidence"):
        table.add_column(name, overflow="fold")
    for reason in explanation.paths:
        met, item = reason.path.history, reason.path.item
        table.add_row(
            escape(met.title),
            f"—{met.relation}→",
            escape(f"{item.entity} ({item.entity_type})"),
            f"←{item.relation}—",
            f"{min(met.confidence, item.confidence):.2f}",
            escape(item.evidence or item.source),
        )
    return table
