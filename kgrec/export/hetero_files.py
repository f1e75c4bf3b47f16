"""A `HeteroData` of `kgrec.export.pyg` as files that are read without unpickling.

graph.safetensors   every tensor
graph.json          node and edge types, texts, names of columns, and which tensor is whose
vocabularies.json   the ids of each node type in row order, each list with its hash
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgrec.data.dataset import Dataset
from kgrec.data.vocabulary import Vocabulary
from kgrec.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

    from kgrec.export.pyg import Encode, HeteroData

TENSOR_FILE = "graph.safetensors"
GRAPH_FILE = "graph.json"
VOCABULARY_FILE = "vocabularies.json"
FORMAT = 2
_PICKLED = "data.pt"
_LISTS = {"user": ("x_names",), "item": ("text",), "entity": ("name",)}


def is_export(folder: Path | None) -> bool:
    """Whether a folder holds a graph that `save_hetero` wrote, in this format or an older one."""
    names = (GRAPH_FILE, _PICKLED)
    return folder is not None and any((folder / name).is_file() for name in names)


def save_hetero(dataset: Dataset, folder: Path, encode: Encode | None = None) -> HeteroData:
    """Write the graph of a dataset and return it; see `to_hetero`.

    Raises:
        DataError: the files cannot be written.
        ModelError: the encoder cannot be loaded.
    """
    from safetensors.torch import save_file

    from kgrec.export.pyg import to_hetero, vocabularies

    data = to_hetero(dataset, encode)
    described, tensors = _described(data)
    ids = {
        name: {"hash": vocabulary.hash, "ids": list(vocabulary.ids)}
        for name, vocabulary in vocabularies(dataset).items()
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(tensors, folder / TENSOR_FILE)
        _write(folder / GRAPH_FILE, described)
        _write(folder / VOCABULARY_FILE, ids)
        (folder / _PICKLED).unlink(missing_ok=True)  # of an older export, which this one replaces
    except OSError as error:
        raise DataError(f"the export cannot be written ({error})", value=str(folder)) from None
    return data


def load_hetero(folder: Path) -> tuple[HeteroData, dict[str, Vocabulary]]:
    """Read what `save_hetero` wrote.

    Returns:
        the graph, and the vocabulary of each node type.

    Raises:
        DataError: a file is missing or broken, is of another format, or vocabularies and tensors
            do not belong together.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    again = "Export again: kgrec export FOLDER --format pyg --force."
    if (folder / _PICKLED).is_file() and not (folder / GRAPH_FILE).is_file():
        raise DataError(
            f"the export is of an earlier version, whose {_PICKLED} is a pickle, and is not read",
            value=str(folder),
            remedy=again,
        )
    try:
        described = json.loads((folder / GRAPH_FILE).read_text(encoding="utf-8"))
        stored = json.loads((folder / VOCABULARY_FILE).read_text(encoding="utf-8"))
        tensors = load_file(folder / TENSOR_FILE)
        if described["format"] != FORMAT:
            raise DataError("the export has another format", value=described["format"])
        data = _restored(described, tensors)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise DataError(
            f"the export cannot be read ({error})", value=str(folder), remedy=again
        ) from None
    return data, {name: _vocabulary(name, entry, data) for name, entry in stored.items()}


def _described(data: HeteroData) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return what goes into `graph.json`, and the tensors by name."""
    tensors: dict[str, Tensor] = {}
    nodes: dict[str, dict[str, Any]] = {}
    for kind in data.node_types:
        store = data[kind]
        entry: dict[str, Any] = {"num_nodes": store.num_nodes}
        entry |= {name: list(store[name]) for name in _LISTS.get(kind, ())}
        if "x" in store:
            tensors[f"node/{kind}/x"] = store.x.contiguous()
        if kind == "user":
            entry["property"] = [
                {"name": name, "categories": store.categories[name]} for name in store.property
            ]
            for number, values in enumerate(store.property.values()):
                tensors[f"node/user/property/{number}"] = values.contiguous()
        nodes[kind] = entry
    for number, edge_type in enumerate(data.edge_types):
        for name, value in data[edge_type].items():
            tensors[f"edge/{number}/{name}"] = value.contiguous()
    edges = [list(edge_type) for edge_type in data.edge_types]
    return {"format": FORMAT, "nodes": nodes, "edges": edges}, tensors


def _restored(described: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> HeteroData:
    from kgrec.export.pyg import HeteroData

    data = HeteroData()
    for kind, entry in described["nodes"].items():
        store = data[kind]
        store.num_nodes = int(entry["num_nodes"])
        for name in _LISTS.get(kind, ()):
            store[name] = list(entry[name])
        if kind == "user":
            store.property = {
                column["name"]: tensors[f"node/user/property/{number}"]
                for number, column in enumerate(entry["property"])
            }
            store.categories = {
                column["name"]: column["categories"] and tuple(column["categories"])
                for column in entry["property"]
            }
        if f"node/{kind}/x" in tensors:
            store.x = tensors[f"node/{kind}/x"]
    for number, edge_type in enumerate(described["edges"]):
        prefix = f"edge/{number}/"
        for name, tensor in tensors.items():
            if name.startswith(prefix):
                data[tuple(edge_type)][name.removeprefix(prefix)] = tensor
    return data


def _vocabulary(name: str, entry: Mapping[str, Any], data: HeteroData) -> Vocabulary:
    vocabulary = Vocabulary(entry["ids"])
    if vocabulary.hash != entry["hash"] or len(vocabulary) != data[name].num_nodes:
        raise DataError(
            f"the ids of {name!r} are not those of the tensors",
            value=vocabulary.hash,
            remedy="Export again.",
        )
    return vocabulary


def _write(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
