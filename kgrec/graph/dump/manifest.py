"""What a dump holds: a manifest with counts and digests, and one file of lines beside it for each
node label and each relation type between two labels.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal

from pydantic import field_validator

from kgrec.config import FrozenModel
from kgrec.errors import DataError

FORMAT: Final = "kgrec-graph"
VERSION: Final = 1
MANIFEST = "manifest.json"
_PATH = re.compile(r"(?:nodes|relations)/[A-Za-z][A-Za-z0-9_]*(?:-[A-Za-z0-9_]+){0,2}\.jsonl\.gz")


class DumpedFile(FrozenModel):
    """One file of a dump: the nodes of a label, or the relations of a type between two labels.

    Attributes:
        path: within the dump.
        rows: number of lines.
        bytes: size as it lies there.
        sha256: of these bytes.
        content: sum of the SHA-256 of all lines, modulo 2^256: the same wherever the same nodes or
            relations come from, in whatever order.
        relation: type of the relations; None for nodes.
        head, tail: labels of the relations' ends.
    """

    path: str
    rows: int
    bytes: int
    sha256: str
    content: str
    kind: Literal["nodes", "relations"]
    label: str = ""
    relation: str = ""
    head: str = ""
    tail: str = ""

    @field_validator("path")
    @classmethod
    def _within(cls, path: str) -> str:
        if not _PATH.fullmatch(path):
            raise ValueError("no path of a dump")
        return path


class Manifest(FrozenModel):
    """What a dump holds, and of what graph.

    Attributes:
        keys: the property that identifies the nodes of each label.
        vectors: how long the vectors of a property of the items are.
        left_out: what the graph holds beside, which is none of kgrec's, by kind.
        content: sum over all files, by which two graphs are compared.
    """

    format: Literal["kgrec-graph"] = FORMAT
    version: Literal[1] = VERSION
    kgrec: str
    created_at: str
    engine: str
    engine_version: str
    keys: dict[str, str]
    vectors: dict[str, int]
    left_out: dict[str, int]
    nodes: dict[str, int]
    relations: dict[str, int]
    content: str
    files: tuple[DumpedFile, ...]

    @property
    def rows(self) -> int:
        """Number of nodes and relations."""
        return sum(one.rows for one in self.files)


def damaged(path: Path, what: str) -> DataError:
    """Return the error for a dump that cannot be used."""
    return DataError(
        f"the dump cannot be used: {what}",
        value=str(path),
        remedy="Nothing is read from a dump that is not whole: export the graph again.",
    )
