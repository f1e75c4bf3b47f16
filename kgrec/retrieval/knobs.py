"""What a caller may choose: k, filters, diversity."""

from __future__ import annotations

from collections.abc import Sequence

from kgrec.config import FrozenModel
from kgrec.errors import ConfigError
from kgrec.retrieval.filters import Filter

Filters = Sequence[Filter | str]


class Knobs(FrozenModel):
    """What a caller may choose.

    Attributes:
        k: how many items are shown.
        filters: conditions that all must hold, as `parse_filter` reads them.
        diversity: from 0, the order of the scores, to 1.
    """

    k: int = 10
    filters: tuple[str, ...] = ()
    diversity: float = 0.0

    @classmethod
    def of(cls, k: int, filters: Filters = (), diversity: float = 0.0) -> Knobs:
        """Check the values; raises ConfigError for a `k` or a `diversity` of no use."""
        if k < 1:
            raise ConfigError("k must be 1 or more", value=k)
        if not 0.0 <= diversity <= 1.0:
            raise ConfigError("diversity must lie between 0 and 1", value=diversity)
        texts = tuple(each if isinstance(each, str) else each.text for each in filters)
        return cls(k=k, filters=texts, diversity=float(diversity))
