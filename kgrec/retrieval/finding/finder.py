"""Items and entities found by their names: in memory, or with the graph's full-text index.

Which names a query finds, and in which order, is decided by `NameIndex` alone. The full-text index,
whose words each engine cuts by rules of its own, only brings candidates where a catalogue is not
in memory as it is now.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from kgrec.graph.pages import NODES_A_PAGE, type_of
from kgrec.graph.store import GraphStore
from kgrec.retrieval.finding.names import Hit
from kgrec.retrieval.finding.words import cut, query_words
from kgrec.retrieval.nodes import Nodes
from kgrec.retrieval.resident import Resident
from kgrec.retrieval.snapshot import read_revision
from kgrec.schema import NodeKind, load_schema

MOST_READ = 200_000
"""Names of a catalogue that a command reads to find one; of more, the graph brings candidates."""
_CANDIDATES = 200
_BY_ID: dict[NodeKind, str] = {"item": "finding/item_names", "entity": "finding/entity_names"}
_ALL: dict[NodeKind, str] = {"item": "finding/item_name_page", "entity": "finding/entity_name_page"}
_INDEX: dict[NodeKind, str] = {"item": "fulltext_items", "entity": "fulltext_entities"}
_SIGN = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Match:
    """A node that was found.

    Attributes:
        found: how well its name agrees with the query.
    """

    id: str
    name: str
    type: str
    found: Hit


def find(
    store: GraphStore, kind: NodeKind, text: str, resident: Resident | None, label: str = ""
) -> list[Match]:
    """Find items or entities by words of their names, the best match first.

    The last word may be unfinished, a word may have an error of one letter, and case, accents,
    apostrophes and other signs make no difference. A text of signs alone finds nothing.

    Args:
        kind: `item` or `entity`.
        resident: the catalogue in memory; None for a command that answers once.
        label: a type that they must have, "" for any.
    """
    if not query_words(text):
        return []
    snapshot = None if resident is None else resident.at(read_revision(store))
    nodes = snapshot.nodes[kind] if snapshot is not None else _read(store, kind, text, resident)
    found = (one for one in nodes.index.find(text) if label in ("", nodes.types[one.row]))
    ids, names, types = nodes.ids, nodes.names, nodes.types
    return [Match(ids[one.row], names[one.row], types[one.row], one) for one in found]


def _read(store: GraphStore, kind: NodeKind, text: str, resident: Resident | None) -> Nodes:
    """Return the nodes that may be meant: all of a small catalogue, or some hundreds."""
    before = None if resident is None else resident.before()
    if before is None and _count(store, kind) <= MOST_READ:
        return _nodes(kind, _pages(store, kind))
    ids = _candidates(store, kind, text)
    if before is not None:
        old = before.nodes[kind]
        ids += [old.ids[one.row] for one in old.index.find(text)[:_CANDIDATES]]
    distinct = sorted(set(ids))
    return _nodes(kind, store.read(_BY_ID[kind], ids=distinct))


def _candidates(store: GraphStore, kind: NodeKind, text: str) -> list[str]:
    own, plain = query_words(text), _SIGN.findall(text.lower())
    # What signs part here may be one word there: it begins with the first of them.
    begun = [chunk[0] for chunk in cut(text) if len(chunk) > 1] + own[-1:]
    words = dict.fromkeys([*own, *plain, *(f"{word}*" for word in begun)])
    words |= dict.fromkeys(f"{word}~1" for word in own if len(word) > 2)
    index = store.dialect.fulltext_index(_INDEX[kind])
    slots = {"key": load_schema().core.keys[_label(kind)]}
    rows = store.read(
        "finding/full_text", slots, index=index, query=" ".join(words), limit=_CANDIDATES
    )
    return [row["id"] for row in rows]


def _pages(store: GraphStore, kind: NodeKind) -> Iterator[dict[str, Sequence[str]]]:
    after = ""
    while True:
        rows = store.read(_ALL[kind], after=after, limit=NODES_A_PAGE)
        if not rows or not rows[0]["ids"]:
            return
        yield rows[0]
        after = max(rows[0]["ids"])


def _nodes(kind: NodeKind, pages: Iterable[dict[str, Sequence[str]]]) -> Nodes:
    nodes = Nodes()
    for page in pages:
        types = [type_of(labels, _label(kind)) for labels in page["labels"]]
        nodes.add(page["ids"], page["names"], types)
    return nodes


def _count(store: GraphStore, kind: NodeKind) -> int:
    return int(store.read("admin/count_nodes", {"label": _label(kind)})[0]["count"])


def _label(kind: NodeKind) -> str:
    labels = load_schema().labels
    return labels.item if kind == "item" else labels.entity
