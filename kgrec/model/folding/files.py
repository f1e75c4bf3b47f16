"""The files of folding: what a model needs for it, and the items that were folded into it.

folding.safetensors, folding.json   of the model, part of its content; requests do not read them
folded/NAME.safetensors             folded items; NAME is the hash of what is in it
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgrec.errors import ModelError
from kgrec.model.checkpoint import read_arrays, read_json
from kgrec.model.folding.attention import AttentionFormula
from kgrec.model.folding.formulas import (
    ConvolutionFormula,
    FeatureFormula,
    SequenceFormula,
    TextFormula,
)
from kgrec.model.folding.inductive import FoldedRows, Folding, Inductive
from kgrec.model.folding.knowledge_index import KnowledgeIndex
from kgrec.model.folding.overlay import FoldedItems
from kgrec.model.folding.regression import RegressionFormula
from kgrec.model.record import CONTENT_FILE, REPLACE, array_digests, broken, canonical

ARRAYS_FILE, SETTINGS_FILE, FOLDER = "folding.safetensors", "folding.json", "folded"
FORMULAS: Mapping[str, Any] = {
    one.name: one
    for one in (
        AttentionFormula,
        ConvolutionFormula,
        FeatureFormula,
        RegressionFormula,
        SequenceFormula,
        TextFormula,
    )
}
_KEPT = 3
"""Versions of the folded items that stay on disk; a process may be about to read an older one."""
_NAME = re.compile(r"[0-9a-f]{16}")
_DENSE = ("history_factors", "item_factors", "prior", "content")
_SPARSE = ("received", "given")


def described(folding: Folding) -> tuple[dict[str, Any], dict[str, NDArray[Any]], dict[str, Any]]:
    """Return what is stored of a folding: settings, arrays, and their digests for the model."""
    settings = {
        "mean_value": folding.mean_value,
        "marks": list(folding.marks),
        "index": folding.index.settings(),
        "formulas": {
            agent: {"name": formula.name, "settings": formula.settings()}
            for agent, formula in folding.formulas.items()
        },
    }
    arrays = {f"index.{name}": part for name, part in folding.index.arrays().items()}
    for agent, formula in folding.formulas.items():
        arrays |= {f"{agent}.{name}": part for name, part in formula.arrays().items()}
    arrays = {name: np.ascontiguousarray(part) for name, part in arrays.items()}
    plain: dict[str, Any] = json.loads(json.dumps(settings))
    return plain, arrays, {"arrays": array_digests(arrays), "settings": _digest(plain)}


def write_folding(folder: Path, settings: Mapping[str, Any], arrays: dict[str, Any]) -> None:
    """Write what `described` returned into the folder of a model."""
    from safetensors.numpy import save_file

    save_file(arrays, folder / ARRAYS_FILE)
    text = json.dumps(settings, ensure_ascii=False) + "\n"
    (folder / SETTINGS_FILE).write_text(text, encoding="utf-8")


def load_folding(directory: Path) -> Folding | None:
    """Read what a model needs to fold items in; None of a model that was trained without it.

    Raises:
        ModelError: a file is missing or damaged.
    """
    expected = read_json(directory / CONTENT_FILE).get("folding")
    if not expected:
        return None
    settings, (arrays, _) = (
        read_json(directory / SETTINGS_FILE),
        read_arrays(directory / ARRAYS_FILE),
    )
    if {"arrays": array_digests(arrays), "settings": _digest(settings)} != expected:
        raise ModelError(
            f"{directory / ARRAYS_FILE} is damaged: it is not what the model was saved with",
            remedy=REPLACE,
        )
    try:
        formulas: dict[str, Inductive] = {}
        for agent, entry in settings["formulas"].items():
            own = _under(f"{agent}.", arrays)
            formulas[agent] = FORMULAS[entry["name"]].load(entry["settings"], own)
        index = KnowledgeIndex.load(settings["index"], _under("index.", arrays))
        marks = tuple(settings.get("marks", ()))
        return Folding(index, formulas, float(settings["mean_value"]), marks)
    except (KeyError, TypeError, ValueError) as error:
        raise broken(directory, error) from None


def save_folded(directory: Path, folded: FoldedItems) -> str:
    """Write folded items into the folder of their model, whole or not at all.

    Returns:
        the name by which `load_folded` finds them.

    Raises:
        ModelError: the place cannot be written.
    """
    from safetensors.numpy import save_file

    arrays = _arrays(folded)
    about = {"ids": list(folded.ids), "marks": list(folded.marks), "mean_value": folded.mean_value}
    text = json.dumps(about, ensure_ascii=True)
    name = _digest({"arrays": array_digests(arrays), "about": text})
    place = directory / FOLDER / f"{name}.safetensors"
    part = place.with_name(f".{name}.{os.getpid()}.part")
    try:
        place.parent.mkdir(exist_ok=True)
        save_file(arrays, part, {"about": text})
        part.replace(place)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ModelError(
            f"the folded items cannot be written ({error.strerror or error})", value=str(place)
        ) from None
    known = sorted(place.parent.glob("[!.]*.safetensors"), key=lambda one: one.stat().st_mtime)
    for old in known[:-_KEPT]:
        if old != place:
            old.unlink(missing_ok=True)
    return name


def load_folded(directory: Path, name: str) -> FoldedItems:
    """Read folded items by their name.

    Raises:
        ModelError: they are not on this machine, or damaged.
    """
    if _NAME.fullmatch(name) is None:
        raise ModelError("this is no name of folded items", value=name)
    arrays, about = read_arrays(directory / FOLDER / f"{name}.safetensors")
    text = about.get("about", "")
    if _digest({"arrays": array_digests(arrays), "about": text}) != name:
        raise ModelError("the folded items are damaged", value=name, remedy="Run kgrec fold.")
    given = json.loads(text)
    agents = dict.fromkeys(key.partition("|")[0] for key in arrays)
    rows = {agent: _rows(agent, arrays) for agent in agents}
    return FoldedItems(tuple(given["ids"]), rows, float(given["mean_value"]), tuple(given["marks"]))


def newest_folded(directory: Path) -> str:
    """Return the name of the items that were folded into a model last; empty where none were."""
    found = list((directory / FOLDER).glob("[!.]*.safetensors"))
    return max(found, key=lambda one: one.stat().st_mtime).stem if found else ""


def _arrays(folded: FoldedItems) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    for agent, rows in folded.rows.items():
        for name in _DENSE:
            part = getattr(rows, name)
            if part is not None:
                arrays[f"{agent}|.{name}"] = np.ascontiguousarray(part, dtype=np.float32)
        for name in _SPARSE:
            matrix = getattr(rows, name)
            if matrix is not None:
                own = f"{agent}|{name}"
                arrays[f"{own}.data"] = np.asarray(matrix.data, dtype=np.float32)
                arrays[f"{own}.indices"] = np.asarray(matrix.indices, dtype=np.int32)
                arrays[f"{own}.indptr"] = np.asarray(matrix.indptr, dtype=np.int64)
                arrays[f"{own}.shape"] = np.array(matrix.shape, dtype=np.int64)
    return arrays


def _rows(agent: str, arrays: Mapping[str, NDArray[Any]]) -> FoldedRows:
    parts: dict[str, Any] = {name: arrays.get(f"{agent}|.{name}") for name in _DENSE}
    for name in _SPARSE:
        own = _under(f"{agent}|{name}.", arrays)
        if own:
            columns = own["data"], own["indices"], own["indptr"]
            parts[name] = sp.csr_matrix(columns, shape=tuple(own["shape"].tolist()))
    return FoldedRows(**parts)


def _under(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}


def _digest(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:16]
