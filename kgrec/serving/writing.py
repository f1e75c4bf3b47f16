"""Items that clients send: their bodies, the domain that they belong to, and the answer."""

from __future__ import annotations

import json
import time
from typing import Any

from kgrec.data.cells.values import CellError
from kgrec.errors import DataError, ModelError
from kgrec.graph.store import GraphStore
from kgrec.schema import Domain, load_schema
from kgrec.serving import catalogue
from kgrec.serving.problems import InvalidRequestError
from kgrec.serving.schemas import MAX_REJECTS, ItemsWritten, RejectedItem
from kgrec.serving.service import Engine
from kgrec.stages.retiring.keeping import Retirer
from kgrec.stages.upsert import Line, RejectedCell, Upserted, change_item, upsert_items

JSON_LINES = "application/x-ndjson"
_LONGEST = 200


def rows_of(body: bytes, media_type: str, what: str, example: dict[str, Any]) -> list[Line]:
    """Return the rows of a body: one object, an array of objects, or JSON lines.

    Lines that are no objects are kept, as rows that cannot be used.

    Args:
        what: a row is called, for the error.
        example: of a row, for the error.

    Raises:
        InvalidRequestError: the body is no JSON, or empty.
    """
    if media_type.partition(";")[0].strip().lower() == JSON_LINES:
        lines = list(enumerate(body.split(b"\n"), 1))
        given = [(number, _parsed(line)) for number, line in lines if line.strip()]
    else:
        found = _parsed(body)
        given = list(enumerate(found if isinstance(found, list) else [found], 1))
    if not given or (len(given) == 1 and not isinstance(given[0][1], dict)):
        raise InvalidRequestError(
            f"the body holds no {what}", remedy=f"Send an object such as {json.dumps(example)}."
        )
    return [(number, row if isinstance(row, dict) else {}) for number, row in given]


def upsert(engine: Engine, rows: list[Line], domain: str | None, source: str) -> ItemsWritten:
    """Write the items of a request.

    Raises:
        InvalidRequestError: no domain is known, no field holds ids, or the only row is of no use.
    """
    try:
        found = upsert_items(engine.store, rows, _domain(engine, domain), source=source)
    except DataError as error:
        raise InvalidRequestError(
            "no field of the rows holds ids", value=_shown(error.value), remedy="Send item_id."
        ) from None
    if len(rows) == 1:
        _check_usable(found)
    return _answer(engine, found)


def change(engine: Engine, item_id: str, body: bytes, source: str) -> None:
    """Change an item by the body of a request.

    Raises:
        NotFoundError: there is no such item.
        InvalidRequestError: a field is of no use; nothing is changed then.
    """
    cells = _parsed(body)
    if not isinstance(cells, dict):
        raise InvalidRequestError("the body is not an object of fields")
    if str(cells.get("item_id", item_id)) != item_id:
        raise InvalidRequestError("an item keeps its id", value=_shown(cells["item_id"]))
    known = catalogue.read_item(engine.store, item_id)
    every = load_schema().domains.values()
    domain = next((one for one in every if one.item_label == known.type), None)
    try:
        found = change_item(
            engine.store, item_id, cells, domain or _domain(engine, None), source=source
        )
    except CellError as error:
        raise InvalidRequestError(error.reason, value=_shown(error.value)) from None
    _check_usable(found)


def retire(engine: Engine, item_id: str) -> None:
    """Take an item out of the graph so that it can be brought back.

    Raises:
        NotFoundError: there is no such item.
    """
    store = engine.store
    if not store.read("ingest/items", items=[item_id], properties=[]):
        raise catalogue.unknown_item(item_id)
    store.write_all(_retirer(store).items([item_id]), [item_id])


def retire_entity(engine: Engine, entity_id: str) -> None:
    """Take an entity with its facts and links out of the graph so that it can be brought back.

    Raises:
        NotFoundError: there is no such entity.
    """
    store = engine.store
    if not store.read("ingest/entities", entities=[entity_id], properties=[]):
        raise catalogue.unknown_entity(entity_id)
    store.write_all(_retirer(store).entities([entity_id]))


def _retirer(store: GraphStore) -> Retirer:
    return Retirer(store, f"delete-{time.time_ns() // 1_000_000}", "api")


def _parsed(text: bytes) -> Any:
    """Return JSON; None for what is none, a number of too many digits included."""
    try:
        return json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError):
        return None


def _domain(engine: Engine, name: str | None) -> Domain:
    known = load_schema().domains
    if name is None:
        try:
            chosen = engine.recommender.live.current().selection.domain
        except ModelError:
            chosen = None
        if chosen is not None:
            return load_schema().domain(chosen)
        labels = {row["name"] for row in engine.store.read("admin/labels")}
        present = [
            each
            for each in known.values()
            if each.item_label in labels  # a label may have been used once, and have no node now
            and engine.store.read("admin/count_nodes", {"label": each.item_label})[0]["count"]
        ]
        if len(present) == 1:
            return present[0]
    if name is None or name not in known:
        raise InvalidRequestError(
            "there is no such domain" if name else "the domain of the items is not known",
            value=name,
            remedy=f"Give `domain`, one of {', '.join(sorted(known))}.",
        )
    return known[name]


def _check_usable(found: Upserted) -> None:
    """Raise the reason where the only row could not be used."""
    for reject in found.rejects:
        if not reject.cell:
            raise InvalidRequestError(reject.reason, value=_shown(reject.value))


def _answer(engine: Engine, found: Upserted) -> ItemsWritten:
    tally = found.tally
    cells = sum(reject.cell for reject in found.rejects)
    try:
        items = engine.recommender.live.current().team.items
        untrained = sum(each not in items for each in found.ids)
    except ModelError:
        untrained = None
    return ItemsWritten(
        created=tally.created,
        updated=tally.updated,
        unchanged=tally.unchanged,
        rejected=len(found.rejects) - cells,
        rejected_cells=cells,
        facts=tally.facts,
        withdrawn=tally.withdrawn,
        entities=tally.entities,
        untrained=untrained,
        rejects=[_rejected(one) for one in found.rejects[:MAX_REJECTS]],
        unused=[_shown(name) for name in found.unused],
    )


def _rejected(one: RejectedCell) -> RejectedItem:
    return RejectedItem(
        line=one.line, value=_shown(one.value), reason=one.reason, row_kept=one.cell
    )


def printable(text: str | None) -> str | None:
    """Return a text that JSON can carry, cut where it is long."""
    return None if text is None else _shown(text)


def _shown(value: object) -> str:
    """Return a value as text that JSON can carry, cut where it is long."""
    text = "" if value is None else str(value)
    return text[:_LONGEST].encode("utf-8", "replace").decode()
