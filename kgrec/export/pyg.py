"""A `Dataset` as torch-geometric's `HeteroData`, and both back from files.

Nodes are `user`, `item` and `entity`; an edge type is the relation's name. The vocabularies lie
beside the tensors, each with its hash, so that a row index can always be led back to an id.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kgrec.data.dataset import Dataset
from kgrec.data.vocabulary import Vocabulary
from kgrec.errors import DataError
from kgrec.schema import load_schema

with warnings.catch_warnings():
    # torch-geometric scripts some of its classes when it is imported, which torch deprecates.
    warnings.simplefilter("ignore")
    from torch_geometric.data import HeteroData

DATA_FILE = "data.pt"
VOCABULARY_FILE = "vocabularies.json"


def to_hetero(dataset: Dataset) -> HeteroData:
    """Return the graph of a dataset.

    Edges from users to items carry `value` float32 [E] and `time` int64 [E] (milliseconds since
    1970, UTC), those from items to entities `confidence` float32 [E]. No node has features:
    `num_nodes` is set, and what features there are is for the caller to say.
    """
    data = HeteroData()
    for name, vocabulary in vocabularies(dataset).items():
        data[name].num_nodes = len(vocabulary)
    taken = dataset.interactions
    edges = data["user", load_schema().relations.interacted, "item"]
    edges.edge_index = _edge_index(taken.user, taken.item)  # [2, E]
    edges.value = torch.from_numpy(taken.value.astype(np.float32))
    edges.time = torch.from_numpy(taken.at.astype(np.int64))
    facts = dataset.facts
    for number, relation in enumerate(facts.relations):
        rows = np.flatnonzero(facts.relation == number)
        edges = data["item", relation, "entity"]
        edges.edge_index = _edge_index(facts.item[rows], facts.entity[rows])  # [2, E]
        edges.confidence = torch.from_numpy(facts.confidence[rows].astype(np.float32))
    return data


def vocabularies(dataset: Dataset) -> dict[str, Vocabulary]:
    """Return the vocabulary of each node type."""
    return {"user": dataset.users, "item": dataset.items, "entity": dataset.entities}


def save_hetero(dataset: Dataset, folder: Path) -> None:
    """Write `data.pt` and `vocabularies.json`; raises DataError where they cannot be written."""
    ids = {
        name: {"hash": vocabulary.hash, "ids": list(vocabulary.ids)}
        for name, vocabulary in vocabularies(dataset).items()
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(to_hetero(dataset), folder / DATA_FILE)
        text = json.dumps(ids, ensure_ascii=False, indent=1)
        (folder / VOCABULARY_FILE).write_text(text + "\n", encoding="utf-8")
    except (OSError, RuntimeError) as error:
        raise DataError(f"the export cannot be written ({error})", value=str(folder)) from None


def load_hetero(folder: Path) -> tuple[HeteroData, dict[str, Vocabulary]]:
    """Read what `save_hetero` wrote.

    Raises:
        DataError: a file is missing or broken, or vocabularies and tensors do not belong together.
    """
    try:
        stored = json.loads((folder / VOCABULARY_FILE).read_text(encoding="utf-8"))
        # Only tensors and plain types are wanted, but the container itself is torch-geometric's.
        data = torch.load(folder / DATA_FILE, weights_only=False)
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"the export cannot be read ({error})", value=str(folder)) from None
    return data, {name: _vocabulary(name, entry, data) for name, entry in stored.items()}


def _vocabulary(name: str, entry: Mapping[str, Any], data: HeteroData) -> Vocabulary:
    vocabulary = Vocabulary(entry["ids"])
    if vocabulary.hash != entry["hash"] or len(vocabulary) != data[name].num_nodes:
        raise DataError(
            f"the ids of {name!r} are not those of the tensors",
            value=vocabulary.hash,
            remedy="Export again.",
        )
    return vocabulary


def _edge_index(source: Any, target: Any) -> torch.Tensor:
    return torch.from_numpy(np.stack([source, target]).astype(np.int64))
