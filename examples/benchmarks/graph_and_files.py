"""Measure on the graph and on the same data as files, and show the figures side by side.

    python examples/benchmarks/graph_and_files.py [--domain movies] [--protocol cold-item] [--json]

Writes the graph of KGREC_HOME as atomic files (users, items, facts, links between entities, names
and interactions, lines in random order), then runs what `kgrec evaluate FOLDER --canonical` and
`kgrec evaluate --graph` run. Ends with 1 where a figure differs. The kind of an interaction and
properties of items are not in atomic files; links to users or between items are not either.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kgrec.config import load_settings
from kgrec.data.dataset import Dataset
from kgrec.data.protocols import ProtocolConfig
from kgrec.data.selection import Selection
from kgrec.evaluation.evaluate import EvaluateConfig, evaluate
from kgrec.evaluation.result import EvaluationResult
from kgrec.graph import open_graph
from kgrec.graph.training_data import read_dataset
from kgrec.learning.team_config import TeamConfig


def write_rows(path: Path, header: str, rows: Iterable[tuple[object, ...]]) -> None:
    """Write a table in random order."""
    lines = ["\t".join(" ".join(str(cell).split()) for cell in row) for row in rows]
    random.Random(7).shuffle(lines)
    path.write_text("\n".join(["\t".join(header.split()), *lines]) + "\n", encoding="utf-8")


def write_atomic(dataset: Dataset, folder: Path) -> None:
    """Write a data set as RecBole's atomic files."""
    users, items, entities = dataset.users.ids, dataset.items.ids, dataset.entities.ids
    held, facts, links = dataset.interactions, dataset.facts, dataset.links
    columns = (held.user, held.item, held.value, held.at)
    write_rows(
        folder / "g.inter",
        "user_id:token item_id:token rating:float timestamp:float",
        (
            (users[u], items[i], v, at / 1000)
            for u, i, v, at in zip(*(c.tolist() for c in columns), strict=True)
        ),
    )
    write_rows(folder / "g.user", "user_id:token known:token", ((user, "yes") for user in users))
    texts = zip(items, dataset.item_texts, strict=True)
    write_rows(folder / "g.item", "item_id:token description:token_seq", texts)
    triples: list[tuple[object, ...]] = []
    for i, r, e, sure in zip(
        *(c.tolist() for c in (facts.item, facts.relation, facts.entity, facts.confidence)),
        strict=True,
    ):
        name, item, entity = facts.relations[r], f"Item:{items[i]}", entities[e]
        reverse = name.endswith("~")
        ends = (entity, name[:-1], item) if reverse else (item, name, entity)
        triples.append((*ends, sure))
    for h, r, t, sure in zip(
        *(c.tolist() for c in (links.head, links.relation, links.tail, links.confidence)),
        strict=True,
    ):
        if (links.types[r].head, links.types[r].tail) == ("entity", "entity"):
            triples.append((entities[h], links.types[r].relation, entities[t], sure))
    header = "head_id:token relation_id:token tail_id:token confidence:float"
    write_rows(folder / "g.kg", header, triples)
    write_rows(
        folder / "g.link", "item_id:token entity_id:token", ((i, f"Item:{i}") for i in items)
    )
    names = zip(entities, dataset.entity_names, strict=True)
    write_rows(folder / "g.entity", "entity_id:token name:token_seq", names)


def figures(result: EvaluationResult) -> dict[str, float]:
    """Return the metrics by name."""
    found: dict[str, float] = {}
    for word, ranking in (("", result.ranking), ("cold ", result.among_cold)):
        for k, at in () if ranking is None else ranking.at.items():
            found |= {f"{word}{name}@{k}": metric.mean for name, metric in at.items()}
    if not found:
        raise SystemExit("graph_and_files: nothing was measured")
    return found


def main() -> int:
    """Compare; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--domain", default="movies")
    parser.add_argument("--protocol", default="warm")
    parser.add_argument("--agents", default="", help="only these, with commas")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    team: dict[str, Any] = {}
    if options.agents:
        team["agents"] = options.agents.split(",")
    shared: dict[str, Any] = {
        "protocol": ProtocolConfig(name=options.protocol),
        "ks": (10, 20),
        "team": TeamConfig.model_validate(team),
    }
    selection = Selection(domain=options.domain)
    with open_graph(load_settings()) as store:
        dataset = read_dataset(store, selection)
        graph = evaluate(EvaluateConfig(graph=selection, **shared), store=store)
    with TemporaryDirectory(prefix="kgrec-atomic-") as folder:
        write_atomic(dataset, Path(folder))
        files = evaluate(EvaluateConfig(folder=Path(folder), canonical=True, **shared))
    one, other = figures(graph), figures(files)
    if options.json:
        print(json.dumps({"protocol": options.protocol, "graph": one, "files": other}, indent=2))
    else:
        for name in one:
            print(f"{name:18} graph {one[name]:.10f}  files {other[name]:.10f}")
        print(f"counts: graph {graph.counts}, files {files.counts}")
        types, held = dataset.links.types, dataset.links.relation.tolist()
        kept = [(each.head, each.tail) == ("entity", "entity") for each in types]
        if lost := sum(not kept[relation] for relation in held):
            print(f"{lost} links to users or between items are not in the files: figures differ.")
    return int(one != other)


if __name__ == "__main__":
    sys.exit(main())
