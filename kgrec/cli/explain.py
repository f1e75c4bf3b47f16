"""`kgrec explain`: why an item is recommended to a user."""

from __future__ import annotations

from typing import Annotated

import typer

from kgrec.cli.console import out, print_json
from kgrec.config import load_settings
from kgrec.graph import open_graph

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def explain(
    user: Annotated[str, typer.Argument(help="Id of a user.")],
    item: Annotated[str, typer.Argument(help="Id of an item, its title, or its beginning.")],
    history: Annotated[
        int, typer.Option(min=1, help="So many history items stand on their own.")
    ] = 8,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Say why an item is, or would be, recommended to a user.

    The contributions sum to the score; every path was read from the graph.

    Example: kgrec explain 42 "Fargo"
    """
    from kgrec.explain.explainer import Explainer
    from kgrec.explain.render import render
    from kgrec.retrieval.recommender import Recommender

    settings = load_settings()
    with open_graph(settings) as store:
        explainer = Explainer(Recommender(store, settings.home / "models"))
        explanation = explainer.explain(user, explainer.find_item(item))
    if as_json:
        print_json(explanation.model_dump(mode="json"))
    else:
        out.print(render(explanation, num_history=history))
