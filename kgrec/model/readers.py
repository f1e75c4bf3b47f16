"""Readers: history weights that depend on the whole history.

A reader replaces |H|^-p in the score of a kernel by weights w_h(H), computed from order, time and
kind. The score stays a sum over the history, so that it can still be attributed.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self, cast

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import FloatArray
from kgrec.errors import ModelError
from kgrec.model.histories import Histories


class HistoryReader(Protocol):
    """Computes the weight of each history item."""

    name: ClassVar[str]

    def weights(self, histories: Histories) -> FloatArray:
        """Return w_h for each entry, float32 [N]; a history's do not depend on its batch."""

    def settings(self) -> dict[str, Any]:
        """Return what `load` needs beside the arrays, as plain values."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the parameters by name."""

    @classmethod
    def load(cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Build a reader again from `settings` and `arrays`."""


READERS: dict[str, str] = {
    # name: module:class
    "sequence": "kgrec.model.sequence_reader:SequenceReader",
}


def load_reader(
    name: str, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[np.float32]]
) -> HistoryReader:
    """Build a stored reader again; raises ModelError for an unknown name."""
    if name not in READERS:
        raise ModelError(
            "the model has a reader that this version does not know",
            value=name,
            remedy="Train the model again with this version.",
        )
    reader = cast(type[HistoryReader], pkgutil.resolve_name(READERS[name]))
    return reader.load(settings, arrays)
