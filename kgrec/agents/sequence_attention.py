"""The reader of `sequential`: attention says how much each item of a history counts."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from kgrec.agents.sequence_tokens import ReaderSettings, Tokens
from kgrec.data.dataset import FloatArray
from kgrec.data.histories import Histories

if TYPE_CHECKING:
    from kgrec.agents.sequence_reader import SequenceReader

_CONTENT = "items"


class SequenceAttention:
    """The weights of `kgrec.agents.sequence_reader.SequenceReader`, ready to be stored.

    Args:
        settings: sizes of the transformer and how histories are read.
        content: vectors of the items as the transformer takes them, float32 [I, d].
        parameters: of the transformer, by name.
        batch_size: so many histories are read together at most.
    """

    name: ClassVar[str] = "sequence"

    def __init__(
        self,
        settings: ReaderSettings,
        content: FloatArray,
        parameters: Mapping[str, NDArray[Any]],
        *,
        batch_size: int = 512,
    ) -> None:
        self._settings, self._content, self._parameters = settings, content, dict(parameters)
        self._batch_size = batch_size

    def weights(self, histories: Histories) -> FloatArray:
        """Return w_h for each entry, float32 [N]; 0 for items older than the last L."""
        weights = np.zeros(len(histories.item), dtype=np.float32)
        # Histories of like length are read together, so that little is padded.
        order = np.argsort(histories.lengths, kind="stable")
        order = order[histories.lengths[order] > 0]
        for begin in range(0, len(order), self._batch_size):
            rows = order[begin : begin + self._batch_size]
            entries = _entries(histories, rows)
            weights[entries] = self._read(histories[rows])
        return weights

    def _read(self, histories: Histories) -> FloatArray:
        # torch takes seconds to import, which a command that reads no history must not wait for.
        import torch

        from kgrec.agents.sequence_reader import TensorTokens

        tokens = Tokens.of(histories, self._settings)
        weights = np.zeros(len(histories.item), dtype=np.float32)
        with torch.inference_mode():
            content = torch.from_numpy(self._content[tokens.item])
            read = self._network(TensorTokens(tokens, self._settings.kinds), content)
            weights[tokens.position] = read.numpy()
        return weights

    @cached_property
    def _network(self) -> SequenceReader:
        import torch

        from kgrec.agents.sequence_reader import SequenceReader

        reader = SequenceReader(self._settings)
        reader.load_state_dict({n: torch.from_numpy(a) for n, a in self._parameters.items()})
        return reader.eval()

    def settings(self) -> dict[str, Any]:
        """Return what `load` needs beside the arrays."""
        return self._settings.model_dump(mode="json")

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the parameters by name."""
        return {_CONTENT: self._content, **self._parameters}

    @classmethod
    def load(cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Build the reader again from `settings` and `arrays`."""
        parameters = {name: array for name, array in arrays.items() if name != _CONTENT}
        return cls(ReaderSettings.model_validate(settings), arrays[_CONTENT], parameters)


def _entries(histories: Histories, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the positions of the entries of some histories, one history after another."""
    lengths = histories.lengths[rows]
    start = np.concatenate([[0], np.cumsum(lengths)])
    shift = np.repeat(histories.start[rows] - start[:-1], lengths)
    return np.asarray(np.arange(start[-1]) + shift)
