"""Parameters that several endpoints take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import Path, Query
from pydantic import AfterValidator

from kgrec.serving.config import MAX_K
from kgrec.serving.requests import Condition, without_controls

UserId = Annotated[
    str, Path(min_length=1, max_length=200, examples=["42"]), AfterValidator(without_controls)
]
ItemId = Annotated[
    str, Path(min_length=1, max_length=200, examples=["50"]), AfterValidator(without_controls)
]
Cursor = Annotated[
    str | None, Query(max_length=1000, description="`next` of the page before, as it came.")
]
K = Annotated[int, Query(ge=1, le=MAX_K, description="How many.")]
Filters = Annotated[
    Sequence[Condition],
    Query(
        alias="filter",
        max_length=10,
        description="Conditions that all must hold, such as `genre=Comedy`, `genre=Comedy|Drama`,"
        " `year>=1990` or `year=1990..1999`.",
    ),
]
Diversity = Annotated[
    float, Query(ge=0, le=1, description="From 0, the order of the scores, to 1.")
]
