"""`kgrec recommend`: items for one user, or stored recommendations for all."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, NamedTuple, cast

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from kgrec.cli.console import err, out, print_json, progress
from kgrec.config import Settings, load_settings
from kgrec.errors import ConfigError
from kgrec.graph import open_graph
from kgrec.schema import load_schema

if TYPE_CHECKING:
    from kgrec.graph.store import GraphStore
    from kgrec.retrieval.knobs import KnobOptions, Likeness
    from kgrec.retrieval.records import RecommendationList

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

_NOTES = {
    "unknown_user": "There is no user {user!r} in the graph: these are the most popular items.",
    "empty_history": "User {user!r} has no history that the model knows: "
    "these are the most popular items.",
    "profile": "User {user!r} has no history that the model knows: "
    "these items are scored by what the user declares.",
}


@app.command()
def recommend(
    user: Annotated[str | None, typer.Argument(help="Id of a user.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many items.")] = 10,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", help="KEY=VALUE, or an expression; may be given more than once."),
    ] = None,
    diversity: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="0 keeps the order of the scores.")
    ] = 0.0,
    diversity_by: Annotated[
        str, typer.Option(help="What makes items alike: model, facts or text.")
    ] = "model",
    novelty: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Favour items with few interactions.")
    ] = 0.0,
    calibration: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Keep to the user's mix of --calibrate-by.")
    ] = 0.0,
    calibrate_by: Annotated[str, typer.Option(help="A relation, such as genre.")] = "",
    exclude: Annotated[
        list[str] | None, typer.Option(help="Id of an item to leave out; more than once.")
    ] = None,
    repeats: Annotated[
        bool, typer.Option("--repeats", help="Items of the history may come again.")
    ] = False,
    quota: Annotated[
        list[str] | None, typer.Option(help="At most: director:1, or genre=Drama:3.")
    ] = None,
    floor: Annotated[list[str] | None, typer.Option(help="At least: genre=Drama:2.")] = None,
    device: Annotated[str, typer.Option(help="Of the request, as interactions name it.")] = "",
    scenario: Annotated[str, typer.Option(help="Of the request, as interactions name it.")] = "",
    cursor: Annotated[
        str | None, typer.Option(help="`cursor` of a list, for its next page; knobs are its own.")
    ] = None,
    shown: Annotated[
        list[str] | None, typer.Option("--show", help="A property of the items to show: year.")
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", help="For every user.")] = False,
    write: Annotated[
        bool, typer.Option("--write", help="With --all: store them in the graph.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON; with --all, a line for each user.")
    ] = False,
) -> None:
    """Recommend items that a user has not seen, with reasons.

    A user that is not in the graph gets the most popular items with a note, and exit
    code 0: `fallback` in the JSON is "unknown_user" then.

    Example: kgrec recommend 42 -k 5 --filter genre=Comedy --filter year=1990..1999

    Example: kgrec recommend 42 --filter 'director.country=France and not (genre=War or year<1970)'

    Example: kgrec recommend 42 --calibration 0.5 --calibrate-by genre --quota director:1

    Example: kgrec recommend c001 --filter 'brand=Salomon and price<=120' --show price

    Example: kgrec recommend 42 --novelty 0.3 --diversity 0.3 --diversity-by facts --exclude 50
    """
    settings = load_settings()
    more: KnobOptions = {
        "diversity_by": cast("Likeness", diversity_by),
        "novelty": novelty,
        "calibration": calibration,
        "calibrate_by": calibrate_by,
        "exclude": exclude or (),
        "repeats": repeats,
        "quota": quota or (),
        "floor": floor or (),
        "device": device,
        "scenario": scenario,
    }
    knobs = _Knobs(k, tuple(filters or ()), diversity, more)
    if everybody:
        if user is not None or not (write or as_json):
            raise ConfigError(
                "--all goes with --write, which stores, or --json, which prints; and with no user",
                remedy="Such as: kgrec recommend --all --write -k 20",
            )
        _for_all(settings, knobs, write=write, as_json=as_json)
        return
    if user is None or write:
        raise ConfigError(
            "name a user, or give --all --write", remedy="Such as: kgrec recommend 42"
        )
    from kgrec.retrieval.recommender import Recommender

    with open_graph(settings) as store:
        recommender = Recommender(store, settings.home / "models")
        recommender.live.current()  # a server has loaded it long before, so its time is left out
        if cursor is not None:
            found = recommender.next_page(cursor, user)
        else:
            found = recommender.recommend(
                user, k, filters=knobs.filters, diversity=diversity, **more
            )
        domain = recommender.live.current().selection.domain
        properties = _properties(store, found, shown or ())
    if as_json:
        body = found.model_dump(mode="json")
        if shown:
            for item in body["items"]:
                item["properties"] = properties.get(item["item_id"], {})
        print_json(body)
    else:
        word = "item" if domain is None else load_schema().domain(domain).item_word
        _show(found, properties, shown or (), word, filtered=bool(filters))


class _Knobs(NamedTuple):
    k: int
    filters: tuple[str, ...]
    diversity: float
    more: KnobOptions


def _for_all(settings: Settings, knobs: _Knobs, *, write: bool, as_json: bool) -> None:
    from kgrec.retrieval.batch import recommend_all, write_recommended
    from kgrec.retrieval.live import LiveModels

    k, filters, diversity, more = knobs
    with open_graph(settings) as store, progress(quiet=as_json) as bars:
        live = LiveModels(store, settings.home / "models").current()
        if not write:
            for top in recommend_all(store, live, k, filters=filters, diversity=diversity, **more):
                ids = live.team.items.take(top.rows)
                pairs = zip(ids, top.scores.tolist(), strict=True)
                items = [{"item_id": item, "score": score} for item, score in pairs]
                line = {"user_id": top.user_id, "request_id": top.request_id, "items": items}
                sys.stdout.write(json.dumps(line) + "\n")
            return
        report = write_recommended(
            store, live, k, filters=filters, diversity=diversity, progress=bars, **more
        )
    if as_json:
        print_json(report.model_dump(mode="json"))
        return
    out.print(
        f"{report.written:,} recommendations of {report.model_id} for {report.users:,} users; "
        f"{report.skipped:,} users have no history.",
        markup=False,
        highlight=False,
    )


def _properties(
    store: GraphStore, found: RecommendationList, names: Sequence[str]
) -> dict[str, dict[str, object]]:
    """Return some properties of the items of a list, by id; what an item lacks is left out."""
    from kgrec.graph.pages import pages_of_items

    if not names:
        return {}
    values: dict[str, dict[str, object]] = {}
    ids = [item.item_id for item in found.items]
    for page in pages_of_items(store, ids, properties=names):
        for item_id, row in zip(page["ids"], page["values"], strict=True):
            known = zip(names, row, strict=True)
            values[item_id] = {name: value for name, value in known if value is not None}
    if found.items and not any(values.values()):
        raise ConfigError(
            "no item of the list has such a property",
            value=", ".join(names),
            remedy="`kgrec schema show --domain NAME --json` lists those of a domain.",
        )
    return values


def _show(
    found: RecommendationList,
    properties: Mapping[str, Mapping[str, object]] = MappingProxyType({}),
    shown: Sequence[str] = (),
    word: str = "item",
    *,
    filtered: bool,
) -> None:
    if found.fallback in _NOTES:
        err.print(_NOTES[found.fallback].format(user=found.user_id), markup=False)
    if not found.items:
        out.print(_why_nothing(found, word, filtered=filtered), markup=False, highlight=False)
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("", justify="right")
    table.add_column("id", justify="right", style="dim")
    table.add_column("title", style="bold")
    for name in shown:
        table.add_column(name)
    table.add_column("score", justify="right")
    table.add_column("because", overflow="fold")
    for item in found.items:
        moved = [f"{move.rule}: from {move.from_rank}, {move.why}" for move in item.moves]
        because = Text("\n").join(
            [
                *(Text(r.words, style="" if r.because else "dim") for r in item.reasons),
                *(Text(move, style="italic") for move in moved),
            ]
        )
        score = f"{item.score:.3f}" if found.fallback is None else f"{item.score:g}"
        held = properties.get(item.item_id, {})
        more = [Text(str(held.get(name, ""))) for name in shown]
        ids = (str(item.rank), escape(item.item_id), escape(item.title))
        table.add_row(*ids, *more, score, because)
    out.print(table)
    shares = ", ".join(f"{agent} {share:.2f}" for agent, share in found.shares.items())
    out.print(
        f"{found.model_id}{shares and f': {shares}'}; "
        f"{found.candidates} candidates, {found.milliseconds:.0f} ms",
        style="dim",
        markup=False,
        highlight=False,
    )


def _why_nothing(found: RecommendationList, word: str = "item", *, filtered: bool) -> str:
    who = found.user_id
    if filtered:
        known = "" if found.fallback else "the model knows and that "
        return f"No {word} that {known}{who} has not seen passes the filters."
    if found.fallback is not None:
        article = "an" if word[0] in "aeiou" else "a"
        return f"Nobody has interacted with {article} {word} that {who} has not seen."
    return f"Every {word} that the model knows has been seen."
