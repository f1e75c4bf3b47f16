"""What a caller may choose: k, filters, what is left out, and the rules that reorder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal, TypedDict, cast, get_args

from kgrec.config import FrozenModel
from kgrec.data.selection import MAX_CONTEXT
from kgrec.errors import ConfigError
from kgrec.retrieval.conditions import Filter
from kgrec.retrieval.request_id import RequestId

Filters = Sequence[Filter | str]
Likeness = Literal["model", "facts", "text"]

MAX_EXCLUDED = 200
"""Items that may be left out by name."""
MAX_LIMITS = 10
"""Quotas, and floors, that may be set."""
MAX_BYTES = 4_500
"""So long may all texts be together, for a request id holds them."""


class KnobOptions(TypedDict, total=False):
    """What a caller may choose beside k, filters and diversity; see `Knobs`."""

    diversity_by: Likeness
    novelty: float
    calibration: float
    calibrate_by: str
    exclude: Sequence[str]
    repeats: bool
    quota: Sequence[str]
    floor: Sequence[str]
    device: str
    scenario: str


def options_of(source: object) -> KnobOptions:
    """Return the options that an object has as attributes of the same names."""
    found = {name: getattr(source, name) for name in KnobOptions.__annotations__}
    return cast(KnobOptions, found)


class Knobs(FrozenModel):
    """What a caller may choose.

    Attributes:
        k: how many items are shown.
        filters: conditions that all must hold, as `parse_filter` reads them.
        diversity: from 0, the order of the scores, to 1.
        diversity_by: what makes two items alike: the model, shared facts, or words of the texts.
        novelty: from 0, the order of the scores, to 1, the items with the fewest interactions.
        calibration: from 0, the order of the scores, to 1, the history's own mix.
        calibrate_by: the relation, or its column, over whose entities that mix is.
        exclude: ids of items that are left out.
        repeats: whether items of the history are candidates as well; not what was disliked.
        quota: `RELATION:n`, at most n of each entity, or `FILTER:n`, at most n that pass it.
        floor: `FILTER:n`, at least n that pass it, where there are so many.
        offset: how many are shown on the pages before.
        device, scenario: the context of the request, as interactions name it; empty for unknown.
    """

    k: int = 10
    filters: tuple[str, ...] = ()
    diversity: float = 0.0
    diversity_by: Likeness = "model"
    novelty: float = 0.0
    calibration: float = 0.0
    calibrate_by: str = ""
    exclude: tuple[str, ...] = ()
    repeats: bool = False
    quota: tuple[str, ...] = ()
    floor: tuple[str, ...] = ()
    offset: int = 0
    device: str = ""
    scenario: str = ""

    @property
    def moment(self) -> dict[str, str]:
        """The fields of the context that are given, and their values."""
        known = {"device": self.device, "scenario": self.scenario}
        return {name: value for name, value in known.items() if value}

    @property
    def after(self) -> Knobs:
        """The knobs of the next page."""
        return self.model_copy(update={"offset": self.offset + self.k})

    @classmethod
    def restored(cls, token: RequestId) -> Knobs:
        """Return the knobs of a list; raises ConfigError where a value is of no use."""
        found = cls.of(token.k, token.filters, token.diversity, options_of(token))
        return found.model_copy(update={"offset": max(token.offset, 0)})

    @classmethod
    def of(
        cls, k: int, filters: Filters = (), diversity: float = 0.0, more: KnobOptions | None = None
    ) -> Knobs:
        """Check the values; raises ConfigError for one of no use."""
        if k < 1:
            raise ConfigError("k must be 1 or more", value=k)
        values: dict[str, Any] = {"k": k, "diversity": diversity, **(more or {})}
        for name in ("diversity", "novelty", "calibration"):
            values[name] = float(values.get(name, 0.0))
            if not 0.0 <= values[name] <= 1.0:
                raise ConfigError(f"{name} must lie between 0 and 1", value=values[name])
        values["filters"] = [each if isinstance(each, str) else each.text for each in filters]
        for name, most in (("exclude", MAX_EXCLUDED), ("quota", MAX_LIMITS), ("floor", MAX_LIMITS)):
            values[name] = tuple(dict.fromkeys(values.get(name, ())))
            if len(values[name]) > most:
                raise ConfigError(f"{name} takes at most {most}", value=len(values[name]))
        if values.get("diversity_by", "model") not in get_args(Likeness):
            known = ", ".join(get_args(Likeness))
            raise ConfigError(
                "items are not alike by this", value=values["diversity_by"], remedy=f"Give {known}."
            )
        if values["calibration"] and not values.get("calibrate_by"):
            raise ConfigError(
                "calibration needs a relation",
                value=values["calibration"],
                remedy="Name it in calibrate_by, such as genre.",
            )
        for name in ("device", "scenario"):
            if len(values.get(name, "")) > MAX_CONTEXT:
                raise ConfigError(
                    f"{name} has at most {MAX_CONTEXT} characters", value=values[name][:80]
                )
        texts = [values[name] for name in ("filters", "exclude", "quota", "floor")]
        length = len(json.dumps(texts, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        if length > MAX_BYTES:
            raise ConfigError(
                f"filters, exclude, quota and floor have at most {MAX_BYTES} bytes together",
                value=length,
                remedy="Leave out fewer items, or by a filter.",
            )
        return cls.model_validate({**values, "filters": tuple(values["filters"])})
