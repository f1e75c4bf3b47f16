"""Which given names may be one: `Bill` and `William`, by `graph_schema/given_names.toml`."""

from __future__ import annotations

from collections import defaultdict
from functools import cache

from pydantic import Field

from kgrec.config import FrozenModel, load_toml, parse_config
from kgrec.resources import resource_dir

_FILE = "given_names.toml"


class GivenNames(FrozenModel):
    """The given names of one language.

    Attributes:
        forms: of each name, itself first, in lower case and without accents.
    """

    forms: tuple[tuple[str, ...], ...] = Field(default=())


def names_of(form: str) -> frozenset[str]:
    """Return the given names that a plain word may stand for, itself among them if it is one."""
    return _known().get(form, frozenset())


def same_given_name(one: str, other: str) -> bool:
    """Whether two plain words are different forms of one given name.

    Two names that share a form, such as Gerald and Jeremy, are two.
    """
    if one == other:
        return False
    return other in names_of(one) or one in names_of(other)


def given_forms() -> frozenset[str]:
    """Return all forms that are known, names included."""
    return frozenset(_known())


@cache
def _known() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for language, given in load_toml(resource_dir("graph_schema") / _FILE).items():
        for name, *forms in parse_config(GivenNames, given, origin=f"{_FILE} [{language}]").forms:
            for form in (name, *forms):
                found[form].add(name)
    return {form: frozenset(names) for form, names in found.items()}
