"""Properties that kgrec does not know of beforehand, in the files of an export."""

from __future__ import annotations

import json
from pathlib import Path

import networkx as nx
import pyarrow.parquet as pq
import pytest

from kgrec.export.networkx import to_networkx, write_node_link
from kgrec.export.parquet import write_parquet
from kgrec.graph import pages as columns
from kgrec.graph.store import GraphStore

BOXES = """
name = "boxes"
item_label = "Box"
item_properties = { lid_colour = "string" }

[entity_types]
Wood = "what it is made of"

[relations.MADE_OF]
tail = "Wood"
meaning = "{item} is made of {entity}"
"""


@pytest.fixture
def boxes(tmp_path: Path) -> str:
    """A domain file that is not among the packaged ones."""
    path = tmp_path / "boxes.toml"
    path.write_text(BOXES, encoding="utf-8")
    return str(path)


def test_a_domain_file_has_its_properties_exported(
    empty_store: GraphStore, tmp_path: Path, boxes: str
) -> None:
    empty_store.query("CREATE (:Item:Box {item_id: 'b', lid_colour: 'red'})", writing=True)
    write_parquet(empty_store, tmp_path / "out", domain=boxes)
    [row] = pq.read_table(tmp_path / "out" / "Item.parquet").to_pylist()
    assert (row["type"], row["lid_colour"]) == ("Box", "red")
    assert to_networkx(empty_store, domain=boxes).nodes["Item:b"]["lid_colour"] == "red"


def test_a_property_may_be_named_like_what_every_node_has(
    empty_store: GraphStore, tmp_path: Path
) -> None:
    values = {"user_id": "u", "label": "gold", "id": 7, "node_for_adding": "x"}
    empty_store.query("CREATE (u:User) SET u = $values", {"values": values}, writing=True)
    path = tmp_path / "graph.json"
    write_node_link(to_networkx(empty_store), path)
    again = nx.node_link_graph(json.loads(path.read_text()), edges="edges")
    assert again.nodes["User:u"] == {
        "user_id": "u",
        "label": "User",
        "property_label": "gold",
        "property_id": 7,
        "property_node_for_adding": "x",
    }


def test_a_property_may_change_its_type_from_page_to_page(
    empty_store: GraphStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "NODES_A_PAGE", 1)
    mixed = [7, True, "eight", None]
    users = [
        {"user_id": str(n), "mixed": value, "number": number}
        for n, (value, number) in enumerate(zip(mixed, [1, 2.5, 3, 4], strict=True))
    ]
    empty_store.query(
        "UNWIND $users AS row CREATE (u:User) SET u = row", {"users": users}, writing=True
    )
    write_parquet(empty_store, tmp_path)
    table = pq.read_table(tmp_path / "User.parquet")
    assert table.column("user_id").to_pylist() == ["0", "1", "2", "3"]
    assert table.column("mixed").to_pylist() == ["7", "True", "eight", None]
    assert table.column("number").to_pylist() == [1.0, 2.5, 3.0, 4.0]
