"""`kgrec recommend`: items for one user, or stored recommendations for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from kgrec.cli.console import err, out, print_json, progress
from kgrec.config import Settings, load_settings
from kgrec.errors import ConfigError
from kgrec.graph import open_graph

if TYPE_CHECKING:
    from kgrec.retrieval.records import RecommendationList

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

_NOTES = {
    "unknown_user": "There is no user {user!r} in the graph: these are the most popular items.",
    "empty_history": "User {user!r} has no history that the model knows: "
    "these are the most popular items.",
}


@app.command()
def recommend(
    user: Annotated[str | None, typer.Argument(help="Id of a user.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many items.")] = 10,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", help="KEY=VALUE; may be given more than once."),
    ] = None,
    diversity: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="0 keeps the order of the scores.")
    ] = 0.0,
    everybody: Annotated[bool, typer.Option("--all", help="For every user.")] = False,
    write: Annotated[
        bool, typer.Option("--write", help="With --all: store them in the graph.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Recommend items that a user has not met, with reasons.

    A user that the graph does not know gets the most popular items, a note that says so, and exit
    code 0: `fallback` in the JSON is "unknown_user" then.

    Example: kgrec recommend 42 -k 5 --filter genre=Comedy --filter year=1990..1999
    """
    settings = load_settings()
    if everybody:
        if user is not None or filters or diversity or not write:
            raise ConfigError(
                "--all goes with --write and -k, and with nothing else",
                remedy="Such as: kgrec recommend --all --write -k 20",
            )
        _write_all(settings, k, as_json=as_json)
        return
    if user is None or write:
        raise ConfigError("name a user, or say --all --write", remedy="Such as: kgrec recommend 42")
    from kgrec.retrieval.recommender import Recommender

    with open_graph(settings) as store:
        recommender = Recommender(store, settings.home / "models")
        recommender.live.current()  # a server has loaded it long before, so its time is not told
        found = recommender.recommend(user, k, filters=tuple(filters or ()), diversity=diversity)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _show(found, filtered=bool(filters))


def _write_all(settings: Settings, k: int, *, as_json: bool) -> None:
    from kgrec.retrieval.batch import write_recommended
    from kgrec.retrieval.live import LiveModels

    with open_graph(settings) as store, progress(quiet=as_json) as bars:
        live = LiveModels(store, settings.home / "models").current()
        report = write_recommended(store, live, k, progress=bars)
    if as_json:
        print_json(report.model_dump(mode="json"))
        return
    out.print(
        f"{report.written:,} recommendations of {report.model_id} for {report.users:,} users; "
        f"{report.skipped:,} users have no history.",
        markup=False,
        highlight=False,
    )


def _show(found: RecommendationList, *, filtered: bool) -> None:
    if found.fallback in _NOTES:
        err.print(_NOTES[found.fallback].format(user=found.user_id), markup=False)
    if not found.items:
        out.print(_why_nothing(found, filtered=filtered), markup=False, highlight=False)
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("", justify="right")
    table.add_column("id", justify="right", style="dim")
    table.add_column("title", style="bold")
    table.add_column("score", justify="right")
    table.add_column("because", overflow="fold")
    for item in found.items:
        moved = [f"{move.rule}: from {move.from_rank}, {move.why}" for move in item.moves]
        because = "\n".join([*item.reasons, *moved])
        score = f"{item.score:.3f}" if found.fallback is None else f"{item.score:g}"
        table.add_row(
            str(item.rank), escape(item.item_id), escape(item.title), score, escape(because)
        )
    out.print(table)
    shares = ", ".join(f"{agent} {share:.2f}" for agent, share in found.weights.items())
    out.print(
        f"{found.model_id}{shares and f': {shares}'}; "
        f"{found.candidates} candidates, {found.milliseconds:.0f} ms",
        style="dim",
        markup=False,
        highlight=False,
    )


def _why_nothing(found: RecommendationList, *, filtered: bool) -> str:
    who = found.user_id
    if filtered:
        known = "" if found.fallback else "the model knows and that "
        return f"No item that {known}{who} has not met passes the filters."
    if found.fallback is not None:
        return f"Nobody has met any item that {who} has not met."
    return "No unseen item scores for this history: all are met, or nothing speaks for the rest."
