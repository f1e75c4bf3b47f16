"""Properties of items that texts state: written beside those of tables, and withdrawn again.

`origins` of an item names the source of each property, `evidence` the component and the words of
those that a text gave. What a table gave is never replaced, and a table replaces what a text gave.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kgrec.data.records import TEXT_SOURCE
from kgrec.graph.store import GraphStore, Step
from kgrec.schema import Domain
from kgrec.stages.loading.items import EVIDENCE, ORIGINS, pairs_of
from kgrec.text.pipeline import TextValue
from kgrec.text.sources.fusion import ReadText


@dataclass
class ValueChanges:
    """What texts change in the properties of their items.

    Attributes:
        steps: for `GraphStore.write_all`.
        stated: how many items have each property by their text, new or found again.
        withdrawn: values of earlier readings that are no longer stated.
    """

    steps: list[Step] = field(default_factory=list)
    stated: Counter[str] = field(default_factory=Counter)
    withdrawn: int = 0


def value_changes(store: GraphStore, domain: Domain, batch: Sequence[ReadText]) -> ValueChanges:
    """Compare the properties that texts state with those of the graph."""
    changes = ValueChanges()
    names = sorted(domain.quantities)
    if not names:
        return changes
    wanted = [*names, ORIGINS, EVIDENCE]
    ids = [one.item.item_id for one in batch]
    rows = store.read("ingest/items", items=ids, properties=wanted)
    held = {row["item_id"]: dict(zip(wanted, row["values"], strict=True)) for row in rows}
    written: list[dict[str, Any]] = []
    for one in batch:
        stated = {value.property: value for value in one.values}
        properties = _changed(held.get(one.item.item_id, {}), names, stated, changes)
        if properties:
            written.append({"item_id": one.item.item_id, "properties": properties})
    if written:
        changes.steps.append(("ingest/set_items", {}, {"rows": written}))
    return changes


def _changed(
    held: Mapping[str, Any],
    names: Sequence[str],
    stated: Mapping[str, TextValue],
    changes: ValueChanges,
) -> dict[str, Any]:
    """Return the properties of one item that must be written; None removes one."""
    before = pairs_of(held.get(ORIGINS)), pairs_of(held.get(EVIDENCE))
    origins, evidence = map(dict, before)
    properties: dict[str, Any] = {}
    for name in names:
        own = origins.get(name) == TEXT_SOURCE
        if held.get(name) is not None and not own:
            evidence.pop(name, None)
            continue
        value = stated.get(name)
        if value is not None:
            changes.stated[name] += 1
            origins[name] = TEXT_SOURCE
            evidence[name] = f"{value.extractor}: {value.evidence}"
            if held.get(name) != value.value:
                properties[name] = value.value
        elif own:
            changes.withdrawn += held.get(name) is not None
            properties[name] = None
            del origins[name]
            evidence.pop(name, None)
    if (origins, evidence) != before:
        for key, pairs in ((ORIGINS, origins), (EVIDENCE, evidence)):
            properties[key] = sorted(f"{name}={given}" for name, given in pairs.items())
    return properties
