"""The arrays of a safetensors file, mapped into memory: processes that map one file share it.

What is mapped is read from the disk when it is used and belongs to the page cache, so a second
process costs no second copy. The price is that a file that is written in place changes under its
readers; `changed` notices it. One that is replaced or removed stays what it was for those who have
it mapped.
"""

from __future__ import annotations

import json
import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgrec.model.checkpoint import unreadable

_DTYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": np.bool_,
}


class MappedFile:
    """A safetensors file whose arrays are views of the file, read-only.

    Args:
        path: the file.

    Attributes:
        arrays: by name.
        about: the metadata of the header.

    Raises:
        ModelError: the file is missing or broken.
    """

    def __init__(self, path: Path) -> None:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="numpy"):  # checks the header and the lengths
                pass
            self._file = path.open("rb")
            self._stamp = self._look()
            mapped = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
            size = int.from_bytes(mapped[:8], "little")
            header: dict[str, Any] = json.loads(mapped[8 : 8 + size])
        except (OSError, ValueError, SafetensorError) as error:
            raise unreadable(path, error) from None
        self.about: dict[str, str] = header.pop("__metadata__", None) or {}
        try:
            self.arrays = {
                name: _view(mapped, 8 + size, entry) for name, entry in sorted(header.items())
            }
        except (KeyError, ValueError) as error:
            raise unreadable(path, error) from None

    def changed(self) -> bool:
        """Tell whether the file has been written since it was opened."""
        return self._look() != self._stamp

    def _look(self) -> tuple[int, int]:
        found = os.fstat(self._file.fileno())
        return found.st_mtime_ns, found.st_size

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()


def _view(mapped: mmap.mmap, begin: int, entry: dict[str, Any]) -> NDArray[Any]:
    start, end = entry["data_offsets"]
    dtype = np.dtype(_DTYPES[entry["dtype"]])
    count = (end - start) // dtype.itemsize
    return np.frombuffer(mapped, dtype, count, begin + start).reshape(entry["shape"])
