"""Kernels as named arrays and as entries of `config.json`, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgrec.model.histories import HistoryReader, load_reader
from kgrec.model.kernel import Kernel
from kgrec.model.packed import Codes, PackedMatrix, PackedRows

Arrays = dict[str, NDArray[Any]]

_DENSE = ("history_factors", "item_factors", "prior")
_SCALE = ".scale"
_SHORT = 1 << 16
"""Up to so many items the positions of packed sparse weights have 16 bits."""
_PACKED = (np.dtype(np.float16), np.dtype(np.int8))


def is_packed(arrays: Arrays) -> bool:
    """Tell whether some arrays are of 16 or 8 bits a number."""
    return any(array.dtype in _PACKED for array in arrays.values())


def describe(kernel: Kernel) -> dict[str, Any]:
    """Return what `config.json` holds of a kernel."""
    return {
        "agent": kernel.agent,
        "history_power": kernel.history_power,
        "chosen": dict(kernel.chosen),
        "rows": kernel.rows is not None,
        "reads": {part: list(sources) for part, sources in kernel.reads.items()},
        "attention": None
        if kernel.attention is None
        else {"name": kernel.attention.name, "settings": kernel.attention.settings()},
    }


def arrays_of(kernel: Kernel) -> Arrays:
    """Return the arrays of a kernel, named `agent.part`."""
    arrays: Arrays = {}
    for part in _DENSE:
        value = getattr(kernel, part)
        if isinstance(value, PackedRows):
            arrays |= _packed(f"{kernel.agent}.{part}", value.codes, value.scale)
        elif value is not None:
            arrays[f"{kernel.agent}.{part}"] = np.ascontiguousarray(value, dtype=np.float32)
    if kernel.attention is not None:
        arrays.update(named(f"{kernel.agent}.attention.", kernel.attention.arrays()))
    if kernel.rows is not None:
        rows = kernel.rows
        arrays[f"{kernel.agent}.rows.indptr"] = rows.indptr.astype(np.int64)
        arrays[f"{kernel.agent}.rows.indices"] = rows.indices.astype(np.int32)
        arrays[f"{kernel.agent}.rows.data"] = np.ascontiguousarray(rows.data, dtype=np.float32)
        if isinstance(rows, PackedMatrix) and rows.codes is not None:
            arrays |= _packed(f"{kernel.agent}.rows.data", rows.codes, rows.scale)
            if rows.shape[1] <= _SHORT:
                arrays[f"{kernel.agent}.rows.indices"] = rows.indices.astype(np.uint16)
    return arrays


def _packed(name: str, codes: Codes, scale: NDArray[Any] | None) -> Arrays:
    found: Arrays = {name: np.ascontiguousarray(codes)}
    return found if scale is None else found | {f"{name}{_SCALE}": scale}


def kernel_of(entry: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], size: int) -> Kernel:
    """Return the kernel of an entry of `config.json` over so many items."""
    agent = str(entry["agent"])
    dense: dict[str, Any] = {part: _dense(f"{agent}.{part}", arrays) for part in _DENSE}
    rows = _rows(agent, arrays, size) if entry["rows"] else None
    power = float(entry["history_power"])
    reader = _reader(agent, entry["attention"], arrays)
    reads = {part: tuple(sources) for part, sources in entry.get("reads", {}).items()}
    return Kernel(
        agent,
        rows=rows,
        history_power=power,
        attention=reader,
        chosen=entry["chosen"],
        reads=reads,
        **dense,
    )


def _dense(name: str, arrays: Mapping[str, NDArray[Any]]) -> Any:
    array = arrays.get(name)
    if array is None or array.dtype not in _PACKED:
        return array
    return PackedRows(array, arrays.get(f"{name}{_SCALE}"))


def _rows(agent: str, arrays: Mapping[str, NDArray[Any]], size: int) -> sp.csr_matrix:
    data, indices, indptr = (arrays[f"{agent}.rows.{n}"] for n in ("data", "indices", "indptr"))
    if data.dtype not in _PACKED:
        return sp.csr_matrix((data, indices, indptr), shape=(size, size))
    scale = arrays.get(f"{agent}.rows.data{_SCALE}")
    return PackedMatrix.load(data, scale, indices.astype(np.int32), indptr, (size, size))


def _reader(
    agent: str, entry: Mapping[str, Any] | None, arrays: Mapping[str, NDArray[Any]]
) -> HistoryReader | None:
    if entry is None:
        return None
    own = under(f"{agent}.attention.", arrays)
    return load_reader(str(entry["name"]), entry["settings"], own)


def named(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """Return arrays under names with a prefix."""
    return {f"{prefix}{name}": np.ascontiguousarray(part) for name, part in arrays.items()}


def under(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """Return the arrays whose names have a prefix, under the names without it."""
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}
