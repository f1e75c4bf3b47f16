"""Parameters that several endpoints take, and the cursors of their lists."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Annotated, TypeGuard
from urllib.parse import quote, unquote

from fastapi import Depends, Path, Query, Request
from pydantic import AfterValidator
from starlette.convertors import Convertor, register_url_convertor

from kgrec.data.records import MAX_ID
from kgrec.data.selection import MAX_CONTEXT
from kgrec.retrieval.knobs import MAX_EXCLUDED, MAX_LIMITS, KnobOptions, Likeness
from kgrec.retrieval.request_id import MAX_LENGTH as MAX_TOKEN
from kgrec.serving.config import MAX_K
from kgrec.serving.problems import InvalidRequestError
from kgrec.serving.schemas import WITHOUT_CONTROLS, Condition, Id, without_controls

_FAR = 2**63


def encode(position: Sequence[str | int]) -> str:
    """Return the cursor of a position."""
    text = json.dumps(list(position), ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str | None, first: Sequence[str | int]) -> list[str | int]:
    """Return the position of a cursor, or `first` without one.

    Raises:
        InvalidRequestError: the cursor did not come from a list of this kind.
    """
    if cursor is None:
        return list(first)
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        position: list[str | int] | None = json.loads(
            base64.b64decode(padded, altchars=b"-_", validate=True)
        )
    except (ValueError, RecursionError, binascii.Error):
        position = None
    if not _fits(position, first):
        raise InvalidRequestError(
            "the cursor is not one of this list",
            value=cursor,
            remedy="Send `next` of the page before as it came, or leave it out.",
        )
    return position


def _fits(position: object, first: Sequence[str | int]) -> TypeGuard[list[str | int]]:
    """Tell whether a position has the parts of its list, each of which a database can hold."""
    if not isinstance(position, list) or [type(p) for p in position] != [type(p) for p in first]:
        return False
    return all(_is_text(p) if isinstance(p, str) else -_FAR <= p < _FAR for p in position)


def _is_text(part: str) -> bool:
    """Tell whether a text can be encoded: half a surrogate pair cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in part)


class _IdConvertor(Convertor[str]):
    """One segment of a path that `kgrec.serving.paths.ExactPaths` has prepared."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        return unquote(value)

    def to_string(self, value: str) -> str:
        return quote(value, safe="")


register_url_convertor("id", _IdConvertor())


UserId = Annotated[
    str,
    Path(min_length=1, max_length=MAX_ID, examples=["42"], json_schema_extra=WITHOUT_CONTROLS),
    AfterValidator(without_controls),
]
ItemId = Annotated[
    str,
    Path(min_length=1, max_length=MAX_ID, examples=["50"], json_schema_extra=WITHOUT_CONTROLS),
    AfterValidator(without_controls),
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
        description="Conditions that all must hold: `KEY=VALUE|OTHER`, `KEY=LEAST..MOST`,"
        " `RELATION.KEY=VALUE`, or expressions of them with `and`, `or`, `not` and parentheses."
        " Keys are properties and relations of the domain.",
    ),
]
RequestToken = Annotated[
    str | None,
    Query(
        alias="request_id",
        max_length=MAX_TOKEN,
        description="`request_id` of the list that showed the item, as it came.",
    ),
]
Diversity = Annotated[
    float, Query(ge=0, le=1, description="From 0, the order of the scores, to 1.")
]
PageCursor = Annotated[
    str | None,
    Query(
        max_length=MAX_TOKEN,
        description="`cursor` of the page before, as it came: the same query, later ranks. The"
        " other parameters are those of that page then, whatever is sent.",
    ),
]


async def _choices(  # async, or it would be run in a thread of its own
    diversity_by: Annotated[
        Likeness,
        Query(description="What makes two items alike: the model, shared facts, or their texts."),
    ] = "model",
    novelty: Annotated[
        float,
        Query(ge=0, le=1, description="From 0, the order of the scores, to 1, the least popular."),
    ] = 0.0,
    calibration: Annotated[
        float,
        Query(ge=0, le=1, description="From 0 to 1, the history's own mix of `calibrate_by`."),
    ] = 0.0,
    calibrate_by: Annotated[
        str, Query(max_length=100, description="A relation, such as `genre`.", examples=["genre"])
    ] = "",
    exclude: Annotated[
        Sequence[Id], Query(max_length=MAX_EXCLUDED, description="Ids of items to leave out.")
    ] = (),
    repeats: Annotated[
        bool,
        Query(description="Whether items that were chosen before may come again."),
    ] = False,
    quota: Annotated[
        Sequence[Condition],
        Query(
            max_length=MAX_LIMITS,
            description="At most so many on a page: `director:1` of each director,"
            " `genre=Drama:3` of what passes a filter.",
        ),
    ] = (),
    floor: Annotated[
        Sequence[Condition],
        Query(
            max_length=MAX_LIMITS,
            description="At least so many on a page, where there are so many: `year>=2000:2`.",
        ),
    ] = (),
    device: Annotated[
        str, Query(max_length=MAX_CONTEXT, description="As interactions name it.", examples=[""])
    ] = "",
    scenario: Annotated[
        str, Query(max_length=MAX_CONTEXT, description="As interactions name it.", examples=[""])
    ] = "",
) -> KnobOptions:
    return KnobOptions(
        diversity_by=diversity_by,
        novelty=novelty,
        calibration=calibration,
        calibrate_by=calibrate_by,
        exclude=exclude,
        repeats=repeats,
        quota=quota,
        floor=floor,
        device=device,
        scenario=scenario,
    )


async def _body(request: Request) -> bytes:
    return await request.body()


Body = Annotated[bytes, Depends(_body)]
"""The body of a request as it came."""
ChosenKnobs = Annotated[KnobOptions, Depends(_choices)]
