"""The names that the graph holds, for texts that may name them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from kgrec.data.records import TABLE, display_title
from kgrec.graph.pages import Page, item_pages
from kgrec.graph.redirects import redirects_of
from kgrec.graph.store import GraphStore
from kgrec.schema import Domain

_NAMES_A_PAGE = 10_000


def known_names(store: GraphStore, domain: Domain) -> dict[str, list[str]]:
    """Return the names that tables gave to the graph, by entity type, and the items' titles.

    Titles of one word are left out: they are too often the word itself. A title that is also
    the name of an entity is that entity's.
    """
    names: dict[str, list[str]] = defaultdict(list)
    merged = redirects_of(store).aliases
    for page in _pages(store, "extract/known_names"):
        for node, name, labels in zip(page["ids"], page["names"], page["labels"], strict=True):
            for kind in domain.entity_types.keys() & set(labels):
                names[kind] += [name, *merged.get(node, ())]
    works = domain.reading.ner.get("WORK_OF_ART")
    if works is not None:
        entity_names = {name for values in names.values() for name in values}
        for items in item_pages(store, label=domain.item_label):
            titles = (display_title(title) for title in items["titles"])
            names[works] += [t for t in titles if " " in t and t not in entity_names]
    return dict(names)


def known_spellings(store: GraphStore, domain: Domain) -> dict[str, dict[str, str]]:
    """Return what entities of tables are called, by the relation that tables have them in.

    Each spelling, aliases included, leads to the name of its entity. An entity that tables have in
    several relations is left out, since its name alone states none of them.
    """
    found: dict[str, dict[str, str]] = defaultdict(dict)
    further: dict[str, dict[str, str]] = defaultdict(dict)
    merged = redirects_of(store).aliases
    for page in _pages(store, "extract/known_relations"):
        columns = (page[key] for key in ("ids", "names", "aliases", "labels", "relations"))
        for node, name, aliases, labels, relations in zip(*columns, strict=True):
            stated = [
                each
                for each in relations
                if each in domain.facts and domain.facts[each].tail in labels
            ]
            if len(stated) == 1 and name:
                found[stated[0]][name] = name
                others = (*aliases, *merged.get(node, ()))
                further[stated[0]].update(dict.fromkeys(others, name))
    return {relation: {**further[relation], **names} for relation, names in found.items()}


def _pages(store: GraphStore, statement: str) -> Iterator[Page]:
    """Yield the entities that tables name, in pages of columns."""
    after = ""
    while True:
        rows = store.read(statement, after=after, limit=_NAMES_A_PAGE, extractor=TABLE)
        if not rows or not rows[0]["ids"]:
            return
        yield rows[0]
        after = max(rows[0]["ids"])
