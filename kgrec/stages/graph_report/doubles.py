"""Nodes of one kind whose names are the same but for case, accents, signs, order or one letter.

The first hundred thousand names of a kind are kept, of the others a hash alone; so a million names
take about a hundred megabytes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import combinations

from kgrec.retrieval.finding.words import cut, key_of

_KEPT = 100_000
_COMPARED = 50_000
"""So many names of a kind are compared letter by letter."""
_SHORTEST = 8
"""Letters of a name in which one wrong letter is more likely an error than another name."""
Node = tuple[str, str, str]
ANOTHER = "another before it"
"""Stands for a node whose key is not kept."""


class Doubles:
    """Finds nodes of one kind that are likely one thing; each is added once."""

    def __init__(self) -> None:
        self._same: dict[str, dict[int, list[Node]]] = defaultdict(dict)
        self._more: dict[str, set[int]] = defaultdict(set)

    def add(self, kind: str, name: str, node: str, year: str = "") -> None:
        """Add a node.

        Args:
            kind: nodes of different kinds are never one.
            year: nodes of one name and different years are not one.
        """
        words = sorted_words(name)
        if not words:
            return
        mark, same, more = _hash(words), self._same[kind], self._more[kind]
        if mark in same:
            same[mark].append((name, node, year))
        elif mark in more:
            same[mark] = [(name, ANOTHER, year), (name, node, year)]
        elif len(same) < _KEPT:
            same[mark] = [(name, node, year)]
        else:
            more.add(mark)

    def groups(self) -> list[list[Node]]:
        """Return groups of nodes (name, key, year) that are likely one."""
        found: list[list[Node]] = []
        for nodes in self._same.values():
            for same in nodes.values():
                found += _of_one_year(same)
            found += _nearly(nodes)
        return sorted(found)


def sorted_words(name: str) -> str:
    """Return the words of a name in the order of the alphabet: `Last, First` is `First Last`."""
    return " ".join(sorted(word for chunk in cut(name) for word in chunk))


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def _of_one_year(same: Sequence[Node]) -> Iterator[list[Node]]:
    years: dict[str, list[Node]] = defaultdict(list)
    for node in same:
        years[node[2]].append(node)
    undated = years.pop("", [])
    if len(years) == 1:
        [dated] = years.values()
        undated = [*undated, *dated]
        years = defaultdict(list)
    for group in (undated, *years.values()):
        if len(group) > 1:
            yield sorted(group)


def _nearly(nodes: dict[int, list[Node]]) -> Iterator[list[Node]]:
    """Yield pairs of names without digits that differ by one letter."""
    if len(nodes) > _COMPARED:
        return
    names = {key_of(same[0][0]): same[0] for same in nodes.values()}
    names = {key: node for key, node in names.items() if len(key) >= _SHORTEST and key.isalpha()}
    without: dict[str, list[str]] = defaultdict(list)
    for key in names:
        for shorter in {key[:n] + key[n + 1 :] for n in range(len(key))} | {key}:
            without[shorter].append(key)
    pairs = {
        pair
        for keys in without.values()
        if 1 < len(keys) < 10
        for pair in combinations(sorted(keys), 2)
        if _differ_by_one(*pair)
    }
    for pair in sorted(pairs):
        one, other = (names[key] for key in pair)
        if one[2] == other[2] or not one[2] or not other[2]:
            yield sorted([one, other])


def _differ_by_one(one: str, other: str) -> bool:
    if len(one) == len(other):
        return sum(a != b for a, b in zip(one, other, strict=True)) == 1
    longer, shorter = sorted((one, other), key=len, reverse=True)
    return len(longer) == len(shorter) + 1 and any(
        longer[:n] + longer[n + 1 :] == shorter for n in range(len(longer))
    )
