"""Readers: agents whose history items count as much as the whole history gives them.

A reader replaces |H|^-p in the score of a kernel by weights w_h(H) of its own, which may look at
order, time and kind. The score stays a sum over the history, so it can still be taken apart.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self, cast

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import FloatArray
from kgrec.errors import ModelError
from kgrec.model.histories import Histories


class HistoryReader(Protocol):
    """Says how much each item of a history counts."""

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
    """Build a stored reader again; raises ModelError for a name that there is not."""
    if name not in READERS:
        raise ModelError(
            "the model was written by a version that reads histories in another way",
            value=name,
            remedy="Train it again with this version.",
        )
    module, _, attribute = READERS[name].partition(":")
    reader = cast(type[HistoryReader], getattr(importlib.import_module(module), attribute))
    return reader.load(settings, arrays)
