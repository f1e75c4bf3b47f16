"""One thing that is wrong with a graph, or worth a look, with what to do about it."""

from __future__ import annotations

from typing import Literal

from kgrec.config import Record

Severity = Literal["warning", "note"]


class Finding(Record):
    """Something that is wrong, or worth a look.

    Attributes:
        code: a short name that stays.
        severity: `warning` where the data should be put right, `note` where it may be so.
        count: how many it is true of.
        what: a sentence.
        examples: some of them.
        remedy: what to do, with the command.
    """

    code: str
    severity: Severity
    count: int
    what: str
    examples: tuple[str, ...] = ()
    remedy: str
