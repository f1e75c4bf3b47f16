"""Turn a split that is published as three pickled SciPy matrices into atomic files.

    python examples/benchmarks/yelp_split.py TRAIN VALID TEST OUT_FOLDER [--name sparse-yelp]

TRAIN, VALID and TEST are pickles of sparse matrices, users × items, as SSLRec (Ren et al., WSDM
2024) has them in `datasets/general_cf/sparse_yelp/{train,valid,test}_mat.pkl`; `sparse_gowalla` and
`sparse_amazon` have the same form. An entry that is not 0 is an interaction; rows and columns are
the ids. `NAME.item` lists the items without an interaction too, so that every item is ranked. A
pickle can name any function to be called when it is read, so nothing is admitted but what such
matrices are made of.
"""

from __future__ import annotations

import argparse
import pickle
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from kgrec.errors import DataError, KGRecError


def _as_bytes(text: str, encoding: str) -> bytes:
    """Stand for `_codecs.encode`, by which old protocols write bytes, with no other encoding."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it encodes to {encoding}")
    return text.encode(encoding)


_MATRICES = {"coo": sp.coo_matrix, "csr": sp.csr_matrix, "csc": sp.csc_matrix}
_ARRAYS = {
    "multiarray": ("_reconstruct", np.empty(0).__reduce_ex__(2)[0]),
    "numeric": ("_frombuffer", np.empty(0).__reduce_ex__(5)[0]),
}
_ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _as_bytes,
    **{(f"numpy.{c}.{m}", n): made for c in ("core", "_core") for m, (n, made) in _ARRAYS.items()},
    **{(f"scipy.sparse.{n}", f"{n}_matrix"): kind for n, kind in _MATRICES.items()},
    **{(f"scipy.sparse._{n}", f"{n}_matrix"): kind for n, kind in _MATRICES.items()},
}
"""Modules and names in pickles of sparse matrices, of older and newer releases."""


class MatrixUnpickler(pickle.Unpickler):
    """Reads sparse matrices, and refuses every other name."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return _ADMITTED[module, name]


def read_matrix(path: Path) -> sp.coo_matrix:
    """Read a pickled sparse matrix, COO [U, I], without the zeros.

    Raises:
        DataError: the file cannot be read, names anything but parts of such a matrix, or holds
            something else.
    """
    remedy = "Name a pickle of one SciPy matrix in COO, CSR or CSC form, users by items."
    try:
        with path.open("rb") as file:
            matrix = MatrixUnpickler(file, encoding="latin1").load()
        if not isinstance(matrix, tuple(_MATRICES.values())):
            raise TypeError(f"it holds {type(matrix).__name__}")
        found = sp.csr_matrix(matrix)
        found.check_format(full_check=True)
    except OSError as error:
        raise DataError(
            "the file cannot be read", value=f"{path}: {error.strerror}", remedy="Check the path."
        ) from None
    except Exception as error:  # a broken pickle fails with whatever its bytes lead to
        raise DataError(
            "this is no sparse matrix", value=f"{path}: {error}", remedy=remedy
        ) from error
    found.sum_duplicates()
    found.eliminate_zeros()
    return found.tocoo()


def write_table(path: Path, header: str, rows: Iterable[Iterable[object]]) -> None:
    lines = [header, *("\t".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def convert(parts: dict[str, Path], target: Path, name: str) -> dict[str, int]:
    """Write the atomic files; return the counts."""
    found = {part: read_matrix(path) for part, path in parts.items()}
    shapes = {matrix.shape for matrix in found.values()}
    if len(shapes) > 1:
        raise DataError(
            "the matrices differ in shape",
            value=", ".join(f"{part} {matrix.shape}" for part, matrix in found.items()),
            remedy="Name the three parts of one split.",
        )
    users, items = shapes.pop()
    target.mkdir(parents=True, exist_ok=True)
    for part, matrix in found.items():
        pairs = zip(matrix.row.tolist(), matrix.col.tolist(), strict=True)
        write_table(target / f"{name}.{part}.inter", "user_id:token\titem_id:token", pairs)
    # A table has two columns at least; there are no titles.
    header = "item_id:token\ttitle:token_seq"
    write_table(target / f"{name}.item", header, ((item, "") for item in range(items)))
    return {part: matrix.nnz for part, matrix in found.items()} | {"users": users, "items": items}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for part in ("train", "valid", "test"):
        parser.add_argument(part, type=Path, help="pickle of a sparse matrix, users by items")
    parser.add_argument("target", type=Path, help="folder to write to")
    parser.add_argument("--name", default="sparse-yelp", help="of the data set and its files")
    options = parser.parse_args()
    parts = {"train": options.train, "valid": options.valid, "test": options.test}
    try:
        counts = convert(parts, options.target, options.name)
    except KGRecError as error:
        sys.exit(f"yelp_split: {error}")
    print(", ".join(f"{count:,} {what}" for what, count in counts.items()))


if __name__ == "__main__":
    main()
