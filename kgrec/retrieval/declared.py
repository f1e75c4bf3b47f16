"""What users without a history declare, and the reasons that declared values are.

The team's profile (`kgrec.model.profile`) scores every item for them: a sum over declared values,
whose contributions are the reasons of the list.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kgrec.data.dataset import IntArray
from kgrec.graph.store import GraphStore
from kgrec.model.profile import Profile
from kgrec.model.scorer import Contributions
from kgrec.retrieval.records import Reason, signed_share

_LEAST = 0.05
"""A value is named where it accounts for this share of the score."""


@dataclass(frozen=True, eq=False)
class Declared:
    """What a user declares, as the profile of a model knows it.

    Attributes:
        rows: of the values in the profile, int64 [V].
        words: of each value, as what users have in common: `of occupation student`.
    """

    rows: IntArray
    words: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def fingerprint(self) -> str:
        """Return 12 hexadecimal digits over the values; empty where there are none."""
        if not len(self):
            return ""
        text = json.dumps(sorted(self.words), ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


NOTHING = Declared(np.empty(0, dtype=np.int64), ())
"""Of a user who declares nothing that a model knows."""


def declared_values(
    profile: Profile, properties: Mapping[str, object], entities: Mapping[str, str]
) -> Declared:
    """Return declared values as a profile knows them; what it does not know is left out.

    Args:
        properties: by name.
        entities: liked entities, id to name.
    """
    rows = profile.values(properties, entities)
    names = (profile.words(int(row)) for row in rows)
    return Declared(rows, tuple(_words(name, entities) for name in names))


def read_declared(
    store: GraphStore, profile: Profile | None, user_ids: Sequence[str]
) -> dict[str, Declared]:
    """Read what some users declare; users without a value in the profile are left out."""
    if profile is None or not user_ids:
        return {}
    rows: list[dict[str, Any]] = store.read("recommend/declared", users=list(user_ids))
    found = {}
    for row in rows:
        entities = dict(zip(row["entities"], row["names"], strict=True))
        declared = declared_values(profile, row["properties"], entities)
        if len(declared):
            found[row["user_id"]] = declared
    return found


def declared_reasons(declared: Declared, parts: Contributions, number: int) -> tuple[Reason, ...]:
    """Return the declared values that carry a score, the weightiest first, and popularity.

    Args:
        parts: contributions of the declared values to some items.
        number: which of those items.
    """
    values = parts.by_item[:, :, number].sum(axis=0)  # [V]
    prior, total = float(parts.prior_sums[number]), float(parts.absolute_sums[number])
    found = [
        Reason(
            kind="profile",
            contribution=float(values[n]),
            share=signed_share(float(values[n]), total),
            words=f"chosen more by users {declared.words[n]}",
        )
        for n in np.argsort(-values, kind="stable")
        if signed_share(float(values[n]), total) >= _LEAST
    ]
    share, words = signed_share(prior, total), "popular with everybody"
    return (*found, Reason(kind="popularity", contribution=prior, share=share, words=words))


def _words(name: str, entities: Mapping[str, str]) -> str:
    return f"who like {entities[name]}" if name in entities else f"of {name}"
