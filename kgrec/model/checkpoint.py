"""Files of trained models: written whole or not at all, read with errors that name the file.

The arrays of a model in service are mapped: what is mapped is read from the disk when it is used
and belongs to the page cache, so a second process costs no second copy. The price is that a file
that is written in place changes under its readers; `MappedFile.changed` notices it. One that is
replaced or removed stays what it was for those who have it mapped.
"""

from __future__ import annotations

import json
import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgrec.errors import ModelError

_DTYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "U16": np.uint16,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": np.bool_,
}


@contextmanager
def writing_directory(directory: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `directory` when the block ends without an error.

    Raises:
        ModelError: the place cannot be written.
    """
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    except OSError as error:
        raise _unwritable(directory, error) from None
    try:
        fresh = place / "new"
        fresh.mkdir()
        yield fresh
        _exchange(fresh, directory, place / "old")
    except OSError as error:
        raise _unwritable(directory, error) from None
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _exchange(fresh: Path, directory: Path, old: Path) -> None:
    """Put one folder in the place of another, or leave that where it was."""
    if not directory.exists():
        fresh.rename(directory)
        return
    directory.rename(old)
    try:
        fresh.rename(directory)
    except OSError:
        old.rename(directory)
        raise


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; raises ModelError where the file is missing or broken."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise unreadable(path, error) from None
    if not isinstance(value, dict):
        raise unreadable(path, ValueError("no JSON object"))
    return value


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all; raises ModelError where it cannot be written."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise _unwritable(path, error) from None


def read_arrays(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Read the arrays of a safetensors file and the metadata of its header; raises ModelError."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return arrays, dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise unreadable(path, error) from None


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


def _unwritable(directory: Path, error: OSError) -> ModelError:
    return ModelError(
        f"the model cannot be written ({error.strerror or error})",
        value=str(directory),
        remedy="Choose a directory that you may write to.",
    )


def unreadable(path: Path, error: Exception) -> ModelError:
    """Return the error of a file of a model that is missing or broken."""
    if isinstance(error, FileNotFoundError):
        return ModelError("there is no such model", value=str(path), remedy="Train one first.")
    return ModelError(
        f"the file of a model is damaged ({error})",
        value=str(path),
        remedy="`kgrec models rollback` brings back the model before; or train again.",
    )
