"""`kgrec explain`: why an item is recommended, as a table, sentences and paths, or as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from kgrec.cli.console import out, print_json
from kgrec.config import load_settings
from kgrec.errors import ConfigError
from kgrec.graph import open_graph

if TYPE_CHECKING:
    from kgrec.explain.records import Explanation
    from kgrec.retrieval.knowledge_path import KnowledgePath

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

_WIDTH = 24


@app.command()
def explain(
    user: Annotated[str, typer.Argument(help="Id of a user; with --of, the item.")],
    item: Annotated[
        str | None, typer.Argument(help="Id of an item, its title, or its beginning.")
    ] = None,
    of: Annotated[
        str | None,
        typer.Option(metavar="ID,ID,...", help="A history without a name, the newest item first."),
    ] = None,
    request_id: Annotated[
        str | None,
        typer.Option(help="`request_id` of the list that showed it, to explain that list."),
    ] = None,
    history: Annotated[
        int, typer.Option(min=1, help="Number of history items shown one by one.")
    ] = 8,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Explain why an item is, or would be, recommended.

    The contributions sum to the score; every path was read from the graph. Without --request-id
    the list that is explained has no filters and ten items.

    Example: kgrec explain 42 "Fargo"
    """
    if (item is None) != (of is not None):
        raise ConfigError(
            "name a user and an item, or an item and a history",
            remedy="Such as: kgrec explain 42 Fargo, or: kgrec explain Fargo --of 50,172",
        )
    from kgrec.explain.explainer import Explainer
    from kgrec.retrieval.recommender import Recommender

    settings = load_settings()
    with open_graph(settings) as store:
        explainer = Explainer(Recommender(store, settings.home / "models"))
        if item is None:
            ids = [each.strip() for each in (of or "").split(",") if each.strip()]
            found = explainer.explain_for(ids, explainer.find_item(user), request_id)
        else:
            found = explainer.explain(user, explainer.find_item(item), request_id)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        out.print(render(found, num_history=history))


def render(explanation: Explanation, *, num_history: int = 8) -> RenderableType:
    """Return an explanation for the terminal: contributions as bars, sentences and paths below.

    Args:
        num_history: number of history items that are shown one by one, the others in one line.
    """
    head = Text(f"{explanation.title}  (score {explanation.score:.4f})", style="bold")
    if explanation.seen:
        head.append("  already seen: explained from the rest of the history", style="dim")
    elif not explanation.candidate:
        head.append("  left out by the filters of the list", style="dim")
    parts: list[RenderableType] = [head, _table(explanation, num_history)]
    parts += [Text(f"• {sentence}") for sentence in explanation.words]
    if explanation.paths:
        parts.append(_paths(explanation))
    return Group(*parts)


def _table(explanation: Explanation, num_history: int) -> Table:
    table = Table(title_justify="left", box=None, pad_edge=False)
    for name in ("contribution", "share", "", ""):
        table.add_column(name, justify="right" if name else "left")
    shown = [
        (share.title, share.contribution, f"{share.signed_share:+.0%}")
        for share in explanation.history[:num_history]
    ]
    shown += [
        (f"users {value.words}", value.contribution, f"{value.signed_share:+.0%}")
        for value in explanation.declared
    ]
    shown += [
        (f"prior of {share.agent}", share.prior, "") for share in explanation.agents if share.prior
    ]
    largest = max((abs(value) for _, value, _ in shown), default=0.0) or 1.0
    for name, value, share in shown:
        table.add_row(f"{value:+.4f}", share, _bar(value / largest), escape(name))
    rest = explanation.history[num_history:]
    if rest:
        value = sum(share.contribution for share in rest)
        table.add_row(f"{value:+.4f}", "", "", f"{len(rest)} more items of the history")
    table.add_row(f"{explanation.score:+.4f}", "", "", "[bold]sum[/bold]")
    return table


def _bar(share: float) -> Text:
    length = max(round(abs(share) * _WIDTH), 1) if share else 0
    return Text("█" * length, style="green" if share > 0 else "red")


def _paths(explanation: Explanation) -> Table:
    table = Table(title="Paths in the graph", title_justify="left", box=None, pad_edge=False)
    for name in ("history item", "", "entity", "", "share", "evidence"):
        table.add_column(name, overflow="fold", no_wrap=not name or name == "share")
    for reason in explanation.paths:
        if reason.path is None:
            continue
        path, item = reason.path, reason.path.item
        table.add_row(
            escape(path.history.title),
            f"—{path.history.relation}→",
            escape(_between(path)),
            f"←{item.relation}—" if path.hops > 1 else escape(item.title),
            f"{reason.share:+.1%}" if reason.because else "none",
            escape(
                f"{item.evidence or item.source} "
                f"({min(step.confidence for step in path.steps):.2f})"
            ),
            style=None if reason.because else "dim",
        )
    return table


def _between(path: KnowledgePath) -> str:
    """Name the nodes between history item and item, and the relations between these."""
    words: list[str] = []
    for step in path.steps[:-1]:
        if words:
            words.append(f"—{step.relation}→" if step.forward else f"←{step.relation}—")
        words.append(f"{step.node.name} ({step.node.type})")
    return " ".join(words)
