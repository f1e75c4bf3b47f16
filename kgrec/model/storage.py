"""A team in a directory: weights, resolved configuration, vocabulary, metrics.

model.safetensors   every array, named `agent.part`
config.json         agents, their resolved settings and shares, the vocabulary's hash
items.json          the ids of the items in row order
metrics.json        what was measured while fitting
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgrec import __version__
from kgrec.data.vocabulary import Vocabulary
from kgrec.errors import ModelError
from kgrec.model.checkpoint import read_arrays, read_json, writing_directory
from kgrec.model.coordinator import Coordinator
from kgrec.model.gate import Gate
from kgrec.model.kernel import Kernel
from kgrec.model.ranker import Ranker
from kgrec.model.readers import HistoryAttention, load_reader

if TYPE_CHECKING:
    from kgrec.model.team import Team

FORMAT = 3
_GATE = "coordinator.gate."
_RANKER = "ranker."
_DENSE = ("history_factors", "item_factors", "prior")


def save_team(team: Team, directory: Path) -> None:
    """Write a team whole; what the directory held before stays when that fails.

    Raises:
        ModelError: the place cannot be written.
    """
    from safetensors.numpy import save_file

    config = {
        "format": FORMAT,
        "kgrec": __version__,
        "items": {"count": len(team.items), "hash": team.items.hash},
        "kernels": [_describe(kernel) for kernel in team.kernels],
        "weights": team.weights,
        "gate": team.coordinator.gate is not None,
        "ranker": None if team.ranker is None else team.ranker.settings(),
        "config": dict(team.config),
    }
    arrays: dict[str, NDArray[Any]] = {}
    for kernel in team.kernels:
        arrays.update(_arrays(kernel))
    if team.coordinator.gate is not None:
        arrays.update(_named(_GATE, team.coordinator.gate.arrays()))
    if team.ranker is not None:
        arrays.update(_named(_RANKER, team.ranker.arrays()))
    with writing_directory(directory) as folder:
        save_file(arrays, folder / "model.safetensors")
        _write(folder / "config.json", config)
        _write(folder / "items.json", {"hash": team.items.hash, "ids": list(team.items.ids)})
        _write(folder / "metrics.json", dict(team.metrics))


def load_team(directory: Path) -> Team:
    """Read a team.

    Raises:
        ModelError: a file is missing or broken, or vocabulary and weights do not belong together.
    """
    from kgrec.model.team import Team

    config = read_json(directory / "config.json")
    if config.get("format") != FORMAT:
        raise ModelError(
            "the model was written in another format",
            value=config.get("format"),
            remedy="Train it again with this version.",
        )
    items = _read_items(directory, config)
    arrays = read_arrays(directory / "model.safetensors")
    try:
        kernels = tuple(_kernel(entry, arrays, len(items)) for entry in config["kernels"])
        weights = [float(config["weights"][kernel.agent]) for kernel in kernels]
        gate = Gate.load(_under(_GATE, arrays)) if config["gate"] else None
        ranker = config["ranker"] and Ranker.load(config["ranker"], _under(_RANKER, arrays))
        settings = config["config"]
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"the model is not whole ({error})", value=str(directory), remedy="Train it again."
        ) from None
    metrics = read_json(directory / "metrics.json")
    return Team(items, kernels, Coordinator(weights, gate), settings, metrics, ranker)


def _read_items(directory: Path, config: Mapping[str, Any]) -> Vocabulary:
    ids = read_json(directory / "items.json").get("ids", [])
    items = Vocabulary(ids)
    expected = config.get("items", {}).get("hash")
    if items.hash != expected:
        raise ModelError(
            f"the items of {directory} are not those the model was trained on",
            value=f"{items.hash}, expected {expected}",
            remedy="Train the model again.",
        )
    return items


def _write(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _describe(kernel: Kernel) -> dict[str, Any]:
    return {
        "agent": kernel.agent,
        "history_power": kernel.history_power,
        "chosen": dict(kernel.chosen),
        "rows": kernel.rows is not None,
        "attention": None
        if kernel.attention is None
        else {"name": kernel.attention.name, "settings": kernel.attention.settings()},
    }


def _arrays(kernel: Kernel) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    for part in _DENSE:
        value = getattr(kernel, part)
        if value is not None:
            arrays[f"{kernel.agent}.{part}"] = np.ascontiguousarray(value, dtype=np.float32)
    if kernel.attention is not None:
        for name, value in kernel.attention.arrays().items():
            arrays[f"{kernel.agent}.attention.{name}"] = np.ascontiguousarray(value)
    if kernel.rows is not None:
        rows = kernel.rows
        arrays[f"{kernel.agent}.rows.indptr"] = rows.indptr.astype(np.int64)
        arrays[f"{kernel.agent}.rows.indices"] = rows.indices.astype(np.int32)
        arrays[f"{kernel.agent}.rows.data"] = np.ascontiguousarray(rows.data, dtype=np.float32)
    return arrays


def _kernel(entry: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], size: int) -> Kernel:
    agent = str(entry["agent"])
    dense: dict[str, Any] = {part: arrays.get(f"{agent}.{part}") for part in _DENSE}
    rows = None
    if entry["rows"]:
        parts = [arrays[f"{agent}.rows.{name}"] for name in ("data", "indices", "indptr")]
        rows = sp.csr_matrix(tuple(parts), shape=(size, size))
    power = float(entry["history_power"])
    reader = _reader(agent, entry["attention"], arrays)
    return Kernel(
        agent, rows=rows, history_power=power, attention=reader, chosen=entry["chosen"], **dense
    )


def _reader(
    agent: str, entry: Mapping[str, Any] | None, arrays: Mapping[str, NDArray[Any]]
) -> HistoryAttention | None:
    if entry is None:
        return None
    own = _under(f"{agent}.attention.", arrays)
    return load_reader(str(entry["name"]), entry["settings"], own)


def _named(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {f"{prefix}{name}": np.ascontiguousarray(part) for name, part in arrays.items()}


def _under(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}
