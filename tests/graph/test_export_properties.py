"""Properties that kgrec does not know of beforehand, in the files of an export."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from kgrec.graph.networks import to_networkx
from kgrec.graph.parquet import write_parquet
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
