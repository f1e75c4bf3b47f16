"""`kgrec export`: the graph as files."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kgrec.cli.console import out, print_json, progress
from kgrec.config import load_settings
from kgrec.errors import ConfigError
from kgrec.graph import open_graph
from kgrec.progress import Progress

if TYPE_CHECKING:
    from kgrec.graph.store import GraphStore

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Format(StrEnum):
    """What the files are for."""

    PYG = "pyg"
    NETWORKX = "networkx"
    GRAPHML = "graphml"
    PARQUET = "parquet"


@app.command()
def export(
    path: Annotated[Path, typer.Argument(help="A folder for pyg and parquet, else a file.")],
    form: Annotated[Format, typer.Option("--format", "-f", help="What to write.")],
    domain: Annotated[
        str | None, typer.Option(help="Only the items of this domain, such as movies.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    encoder: Annotated[
        str | None,
        typer.Option(help="pyg: what encodes texts, as in the settings of a team, or none."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Write the graph to files.

    pyg: graph.safetensors and graph.json, a HeteroData of what models learn from, whose items and
    entities have vectors of their texts, and vocabularies.json with the ids and their hashes.
    `kgrec evaluate` reads such a folder. parquet: one file a node type and one a relation type.
    networkx: node-link JSON. graphml: for Gephi, yEd and others. Files that are there already are
    left alone unless --force is given.

    Example: kgrec export exported/ --format parquet
    """
    if not force:
        _refuse_to_replace(path, form)
    settings = load_settings()
    with open_graph(settings) as store, progress(quiet=as_json) as bars:
        if form is Format.PYG:
            counts = _pyg(store, path, domain, bars, encoder, settings.home / "cache" / "vectors")
        else:
            counts = _WRITERS[form](store, path, domain, bars)
    if as_json:
        print_json({"path": str(path), "format": form.value, "rows": counts})
        return
    listed = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    out.print(f"{path}: {listed}", markup=False, highlight=False, soft_wrap=True)


def _refuse_to_replace(path: Path, form: Format) -> None:
    # Which Parquet files come is up to the graph, and old ones beside new ones would mislead.
    patterns = {
        Format.PYG: ("data.pt", "graph.json", "vocabularies.json"),
        Format.PARQUET: ("*.parquet",),
    }
    if form in patterns:
        found = (file for pattern in patterns[form] for file in sorted(path.glob(pattern)))
        there = next(found, None)
    else:
        there = path if path.is_file() else None
    if there is not None:
        raise ConfigError(
            "there is such a file already",
            value=str(there),
            remedy="Give another path, or --force to replace it.",
        )


def _pyg(
    store: GraphStore,
    path: Path,
    domain: str | None,
    bars: Progress,
    encoder: str | None,
    cache: Path,
) -> dict[str, int]:
    from kgrec.data.selection import Selection
    from kgrec.export.hetero_files import save_hetero
    from kgrec.export.pyg import vocabularies
    from kgrec.graph.training_data import read_dataset
    from kgrec.learning.team_config import TeamConfig, encoder_of

    encode = None
    if encoder != "none":
        config = TeamConfig() if encoder is None else TeamConfig(encoder=encoder)
        encode = encoder_of(config, cache_dir=cache, progress=bars)
    dataset = read_dataset(store, Selection(domain=domain), progress=bars)
    save_hetero(dataset, path, encode)
    counts = {name: len(vocabulary) for name, vocabulary in vocabularies(dataset).items()}
    counts |= {"interactions": len(dataset.interactions), "facts": len(dataset.facts)}
    return counts | {"links": len(dataset.links)}


def _parquet(store: GraphStore, path: Path, domain: str | None, bars: Progress) -> dict[str, int]:
    from kgrec.export.parquet import write_parquet

    return write_parquet(store, path, domain=domain, progress=bars)


def _networkx(store: GraphStore, path: Path, domain: str | None, bars: Progress) -> dict[str, int]:
    from kgrec.export.networkx import to_networkx, write_node_link

    graph = to_networkx(store, domain=domain, progress=bars)
    write_node_link(graph, path)
    return {"nodes": graph.number_of_nodes(), "edges": graph.number_of_edges()}


def _graphml(store: GraphStore, path: Path, domain: str | None, bars: Progress) -> dict[str, int]:
    from kgrec.export.networkx import to_networkx, write_graphml

    graph = to_networkx(store, domain=domain, progress=bars)
    write_graphml(graph, path)
    return {"nodes": graph.number_of_nodes(), "edges": graph.number_of_edges()}


_WRITERS: dict[Format, Callable[[GraphStore, Path, str | None, Progress], dict[str, int]]] = {
    Format.NETWORKX: _networkx,
    Format.GRAPHML: _graphml,
    Format.PARQUET: _parquet,
}
