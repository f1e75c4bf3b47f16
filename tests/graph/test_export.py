"""The graph as a dataset and as files, each read back."""

from __future__ import annotations

import json
from pathlib import Path

import networkx as nx
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from planted import GENRES, START, item_id, plant, user_id, write_interactions

from kgrec.data.selection import Selection
from kgrec.errors import DataError
from kgrec.export.hetero_files import VOCABULARY_FILE, load_hetero, save_hetero
from kgrec.export.networkx import to_networkx, write_graphml, write_node_link
from kgrec.export.parquet import write_parquet
from kgrec.graph.store import GraphStore
from kgrec.graph.training_data import read_dataset

USERS, ITEMS, EACH = 30, 60, 8


@pytest.fixture(scope="module")
def graph(store: GraphStore) -> GraphStore:
    plant(store, users=USERS, items=ITEMS, each=EACH)
    return store


@pytest.fixture(scope="module")
def graph_again(store: GraphStore) -> GraphStore:
    """Planted anew, after tests that emptied the graph."""
    plant(store, users=USERS, items=ITEMS, each=EACH)
    return store


def test_dataset_holds_the_graph(graph: GraphStore) -> None:
    dataset = read_dataset(graph, Selection(domain="movies"))
    assert dataset.items.ids == tuple(item_id(n) for n in range(ITEMS))
    assert dataset.num_users == USERS + 2
    assert dataset.item_texts[3] == "Film 003. Directed by Director 30."
    assert dataset.facts.relations == ("DIRECTED_BY", "HAS_GENRE")
    assert len(dataset.facts) == 2 * ITEMS
    genre = dataset.entities.row("Genre:drama")
    held = dataset.facts.item[dataset.facts.entity == genre]
    assert set(dataset.items.take(held)) == {item_id(n) for n in range(0, ITEMS, 4)}
    assert dataset.entity_names[genre] == GENRES[0]


def test_what_does_not_speak_for_an_item_is_left_out(graph: GraphStore) -> None:
    dataset = read_dataset(graph, Selection(domain="movies"))
    assert len(dataset.interactions) == USERS * EACH
    assert not (dataset.interactions.user == dataset.users.row("grump")).any()
    strict = read_dataset(graph, Selection(at_least={"rating": 4.0}))
    assert 0 < len(strict.interactions) < len(dataset.interactions)
    assert strict.interactions.value.min() == 5.0
    everything = read_dataset(graph, Selection(at_least={}))
    assert len(everything.interactions) == USERS * EACH + 6
    assert not len(read_dataset(graph, Selection(kinds=("purchase",))).interactions)


def test_times_values_and_order_survive(graph: GraphStore) -> None:
    taken = read_dataset(graph).interactions
    first = int(START.timestamp() * 1000)
    assert taken.at.min() == first
    assert set(np.diff(np.unique(taken.at))) == {24 * 3600 * 1000}
    assert np.array_equal(np.lexsort((taken.item, taken.at, taken.user)), np.arange(len(taken)))


def test_the_same_graph_gives_the_same_hashes(graph: GraphStore) -> None:
    one, two = read_dataset(graph), read_dataset(graph)
    assert (one.items.hash, one.users.hash) == (two.items.hash, two.users.hash)
    assert np.array_equal(one.interactions.item, two.interactions.item)
    assert np.array_equal(one.facts.entity, two.facts.entity)


def test_a_change_of_mind_takes_the_pair_back(empty_store: GraphStore) -> None:
    plant(empty_store, users=4, items=12, each=3)
    before = read_dataset(empty_store)
    met = before.interactions.item[before.interactions.user == before.users.row(user_id(1))]
    item = before.items.id(int(met[0]))
    row = {"user": user_id(1), "item": item, "kind": "dislike", "value": 1.0}
    write_interactions(empty_store, [{**row, "at": START.replace(year=2024)}])
    after = read_dataset(empty_store)
    assert len(after.interactions) == len(before.interactions) - 1


def test_an_empty_graph_is_a_clear_error(empty_store: GraphStore) -> None:
    with pytest.raises(DataError, match="no items"):
        read_dataset(empty_store)


def test_pyg_comes_back(graph_again: GraphStore, tmp_path: Path) -> None:
    dataset = read_dataset(graph_again)
    save_hetero(dataset, tmp_path)
    data, vocabularies = load_hetero(tmp_path)
    assert vocabularies["item"] == dataset.items
    assert vocabularies["user"].hash == dataset.users.hash
    edges = data["user", "INTERACTED", "item"]
    assert torch.equal(edges.edge_index[1], torch.from_numpy(dataset.interactions.item))
    assert data["item", "HAS_GENRE", "entity"].edge_index.shape == (2, ITEMS)
    assert data.validate()


def test_pyg_with_other_ids_is_refused(graph_again: GraphStore, tmp_path: Path) -> None:
    save_hetero(read_dataset(graph_again), tmp_path)
    path = tmp_path / VOCABULARY_FILE
    stored = json.loads(path.read_text())
    stored["item"]["ids"][0] = "another"
    path.write_text(json.dumps(stored))
    with pytest.raises(DataError, match="not those of the tensors"):
        load_hetero(tmp_path)


def test_parquet_comes_back(graph_again: GraphStore, tmp_path: Path) -> None:
    counts = write_parquet(graph_again, tmp_path)
    tables = {path.stem: pq.read_table(path) for path in tmp_path.glob("*.parquet")}
    assert counts == {name: table.num_rows for name, table in tables.items()}
    assert tables["INTERACTED"].num_rows == USERS * EACH + 6
    assert set(tables) >= {"User", "Item", "Genre", "Person", "DIRECTED_BY", "HAS_GENRE"}
    items = tables["Item"].to_pylist()
    assert items[1]["year"] == 1961
    assert items[1]["type"] == "Movie"
    assert tables["User"].column("age").to_pylist()[0] is not None
    assert tables["INTERACTED"].column("at")[0].as_py() >= START
    directed = tables["DIRECTED_BY"].to_pylist()[0]
    assert directed["evidence"].startswith("directed by")


@pytest.mark.parametrize("form", ["json", "graphml"])
def test_networks_come_back(graph_again: GraphStore, tmp_path: Path, form: str) -> None:
    network = to_networkx(graph_again, domain="movies")
    path = tmp_path / f"graph.{form}"
    if form == "json":
        write_node_link(network, path)
        again = nx.node_link_graph(json.loads(path.read_text()), edges="edges")
    else:
        write_graphml(network, path)
        again = nx.read_graphml(path, force_multigraph=True)
    assert again.number_of_nodes() == network.number_of_nodes()
    assert again.number_of_edges() == network.number_of_edges() == USERS * EACH + 6 + 2 * ITEMS
    assert again.nodes[f"Item:{item_id(5)}"]["title"] == "Film 005"
    assert again.nodes[f"User:{user_id(0)}"]["age"] == 20
    assert again.edges[f"Item:{item_id(0)}", "Entity:Genre:drama", "HAS_GENRE"]["confidence"] == 1.0


def test_a_place_that_cannot_be_written_is_a_clear_error(
    graph_again: GraphStore, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        write_parquet(graph_again, tmp_path / "file" / "below")
    with pytest.raises(DataError, match="cannot be written"):
        save_hetero(read_dataset(graph_again), tmp_path / "file" / "below")
