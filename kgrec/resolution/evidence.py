"""Evidence that two nodes of one graph are one, as a sum of log-odds with a reason each.

As in record linkage by Fellegi and Sunter (JASA 1969), with weights that are set once for all
graphs: without labels and with few doubles there is nothing to learn them from. A name agrees by
chance the more easily the more frequent its words are, which is counted in the graph itself.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kgrec.resolution.spellings import LIKENESSES, Likeness, spelling

APART = -12.0
"""Log-odds of what rules out that two are one."""
_BASE: dict[Likeness, float] = {
    "name": 2.0,
    "signs": 4.0,
    "spaces": 3.0,
    "order": 1.5,
    "middle": 0.5,
    "given": 0.5,
    "initials": 0.0,
    "short": 0.5,
    "acronym": -1.0,
    "letter": -2.5,
}
_IMPROPER = -2.5
"""Added for words in another order that are no proper name: `police state`, `state police`."""
_USUAL = 0.05
"""Names with the same words that are expected by chance where that is no evidence."""
_MOST_RARE = 2.0
_MOST_SHARED, _LEAST_SHARED = 3.0, -0.5
_FEW = 2.0
"""Companions that two strangers of few have in common by chance, added to what is expected."""
_BESIDE_ITSELF = -2.0
_OTHER_SOURCE = 5.0
_UNDATED = -2.0
_FAR = 40
"""Years between what two people did."""


@dataclass(frozen=True)
class NodeTraits:
    """What is known of one node beside its names.

    Attributes:
        degree: how many relations it has.
        keyed: whether its id is one of its source, and not made of its name.
        sources: what states something of it.
        values: properties but names and texts.
        companions: nodes of its type that items lead to which lead to it; by relation type what an
            item itself leads to by its tables.
        years: the first and the last of its items; empty where unknown.
    """

    degree: int = 0
    keyed: bool = False
    sources: frozenset[str] = frozenset()
    values: Mapping[str, Any] = field(default_factory=dict)
    companions: Mapping[str, frozenset[str]] = field(default_factory=dict)
    years: tuple[int, ...] = ()


@dataclass(frozen=True)
class Together:
    """How items name two entities side by side.

    Attributes:
        same: in how many cases by the same relation of the same source: so they are two.
        other: by the same relation of different sources: so they are likely one.
        tied: whether one leads to the other.
    """

    same: int = 0
    other: int = 0
    tied: bool = False


class Words:
    """How often words occur in names, from which it follows how easily names agree by chance."""

    def __init__(self, names: Iterable[str]) -> None:
        self.count = 0
        self._found: Counter[str] = Counter()
        for name in names:
            self.count += 1
            self._found.update(set(spelling(name).words))

    def rare(self, one: str, other: str) -> float:
        """Return the log-odds for two names by the frequency of the words that they share."""
        shared = [w for w in set(spelling(one).words) & set(spelling(other).words) if len(w) > 1]
        expected = float(self.count)
        for word in shared:
            expected *= max(self._found[word] - 1, 1) / max(self.count, 1)
        if not shared:
            return 0.0
        odds = math.log(_USUAL / max(expected, 1e-9)) / 2
        return min(max(odds, -_MOST_RARE), _MOST_RARE)


Evidence = list[tuple[float, str]]
"""Log-odds with what they are of."""


def probability(evidence: Evidence) -> float:
    """Return the probability of two being one."""
    odds = max(min(sum(value for value, _ in evidence), 30.0), -30.0)
    return 1 / (1 + math.exp(-odds))


def reasons(evidence: Evidence) -> tuple[str, ...]:
    """Return what counts, the most first."""
    shown = sorted((one for one in evidence if abs(one[0]) >= 0.3), key=lambda one: -abs(one[0]))
    return tuple(f"{text} ({value:+.1f})" for value, text in shown)


def of_names(how: Likeness, one: str, other: str, words: Words, rivals: int) -> Evidence:
    """Return what two names say.

    Args:
        rivals: how many other names are as like to one of the two.
    """
    base = _BASE[how]
    proper = spelling(one).proper and spelling(other).proper
    if how == "order" and not proper:
        base += _IMPROPER
    found = [(base, LIKENESSES[how])]
    if how not in ("signs", "spaces"):
        found.append((words.rare(one, other), "how rare the words are that they share"))
    if rivals:
        found.append((-math.log1p(rivals), f"{rivals} other names are as like"))
    return found


def of_entities(
    how: Likeness,
    a: NodeTraits,
    b: NodeTraits,
    together: Together,
    population: int,
    degrees: Mapping[str, int],
) -> Evidence:
    """Return what the neighbourhoods of two entities say.

    Args:
        how: how their names are alike.
        population: entities of their type.
        degrees: items of each companion.
    """
    found = [*_ids(a, b), *_values(a.values, b.values)]
    if together.tied:
        found.append((APART, "one leads to the other"))
    if together.same:
        # What differs in signs alone stands twice in a cell by mistake as well.
        odds = _BESIDE_ITSELF if how in ("signs", "spaces") else APART
        found.append((odds, "named beside each other by the same source"))
    elif together.other:
        found.append((_OTHER_SOURCE, "two sources name them of the same item"))
    found += _companions(a, b, population, degrees)
    if a.years and b.years:
        gap = max(a.years[0], b.years[0]) - min(a.years[-1], b.years[-1])
        if gap > _FAR:
            found.append((-min(gap / 20, 4.0), f"{gap} years lie between their items"))
    return found


def _companions(
    a: NodeTraits, b: NodeTraits, population: int, degrees: Mapping[str, int]
) -> Evidence:
    one, other = (frozenset().union(*t.companions.values()) for t in (a, b))
    if not one or not other:
        return []
    shared = one & other
    # A companion of many is shared by chance more easily than one of few.
    weight = sum(1 / math.log(2 + degrees.get(each, 1)) for each in shared)
    expected = len(one) * len(other) / max(population, 1)
    odds = math.log((2 * weight + 0.5) / (_FEW * expected + 0.5))
    odds = min(max(odds, _LEAST_SHARED), _MOST_SHARED)
    text = f"{len(shared)} of the same companions" if shared else "no companion in common"
    return [(odds, text)]


def of_items(
    a: NodeTraits, b: NodeTraits, together: Together, population: int, degrees: Mapping[str, int]
) -> Evidence:
    """Return what the properties and facts of two items say."""
    found = [*_values(a.values, b.values)]
    if together.tied:
        found.append((APART, "one leads to the other"))
    if not any(_is_date(name, value) and name in b.values for name, value in a.values.items()):
        found.append((_UNDATED, "no date of both is known"))
    for relation in sorted(a.companions.keys() & b.companions.keys()):
        one, other = a.companions[relation], b.companions[relation]
        shared = one & other
        weights = {each: _information(population, degrees.get(each, 1)) for each in one | other}
        if shared:
            odds = min(sum(weights[each] for each in shared) * 0.4, 3.0)
            found.append((odds, f"the same {relation}"))
        else:
            least = min(max(weights[each] for each in side) for side in (one, other))
            found.append((-min(least * 0.4, 3.0), f"another {relation}"))
    return found


def _information(population: int, degree: int) -> float:
    return math.log(max(population, 1) / max(degree, 1) + 1)


def _ids(a: NodeTraits, b: NodeTraits) -> Evidence:
    if not (a.keyed and b.keyed):
        return []
    if a.sources & b.sources:
        return [(APART, "one source gives them two ids")]
    return [(-1.0, "two ids")]


def _values(one: Mapping[str, Any], other: Mapping[str, Any]) -> Evidence:
    """Compare properties: dates and years part, and texts as far as they are short."""
    found: Evidence = []
    for name in sorted(one.keys() & other.keys()):
        a, b = one[name], other[name]
        if isinstance(a, bool | list | tuple) or type(a) is not type(b):
            continue
        dated = _is_date(name, a)
        if a == b:
            found.append((1.5 if dated else 0.5, f"the same {name}"))
        elif dated:
            near = isinstance(a, int) and abs(a - b) == 1
            found.append((-1.5 if near else -8.0, f"another {name}"))
        else:
            found.append((-0.7, f"another {name}"))
    return found


def _is_date(name: str, value: Any) -> bool:
    words = name.split("_")
    if isinstance(value, int | float):
        return "year" in words and 0 < value < 3000
    return not isinstance(value, str) or bool({"date", "born", "died"} & set(words))
