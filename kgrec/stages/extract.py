"""Extract: item texts out of the graph in a stream, the facts they state back into it.

An item is read again only when its title or text changed or the extractor did, so a second run
costs one scan. For each batch of items one transaction withdraws facts that the texts no longer
state, writes new ones and marks the items as read, so that a killed run can be continued.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from uuid import uuid4

from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.data.records import TABLE, FactRecord, display_title
from kgrec.graph.pages import item_pages
from kgrec.graph.store import GraphStore
from kgrec.progress import SILENT, Progress
from kgrec.schema import Domain
from kgrec.stages.loading.facts import Head, fact_changes
from kgrec.text.models import SPACY_MODEL
from kgrec.text.pipeline import Extractor, ItemText, TextFact, extractor_version

SOURCE = "text:description"
"""The source that facts from descriptions carry."""
_MARK = "extracted"
_NAMES_A_PAGE = 10_000


class ExtractConfig(FrozenModel):
    """How texts are read.

    Attributes:
        model: a spaCy pipeline: folder or installed package.
        processes: how many parse at once; more than one pays from about a thousand texts.
        batch_size: texts that are parsed together.
        items_a_write: items that one transaction covers.
    """

    model: str = SPACY_MODEL
    processes: int = Field(default=1, ge=1)
    batch_size: int = Field(default=64, ge=1)
    items_a_write: int = Field(default=256, ge=1)


class ExtractSummary(FrozenModel):
    """What an extraction did.

    Attributes:
        texts: how many were read.
        unchanged: how many had been read before.
        words: words in the texts that were read.
        facts: facts found, by relation; one that a table holds already is counted too.
        withdrawn: facts of earlier readings that were withdrawn.
    """

    texts: int = 0
    unchanged: int = 0
    words: int = 0
    facts: dict[str, int] = Field(default_factory=dict)
    withdrawn: int = 0
    seconds: float = 0.0
    run_id: str | None = None


def extract(
    store: GraphStore,
    domain: Domain,
    config: ExtractConfig | None = None,
    *,
    progress: Progress = SILENT,
) -> ExtractSummary:
    """Read the descriptions of a domain's items and write the facts they state.

    A fact that another source states with more confidence, such as a table's column, stays.

    Raises:
        ModelError: the spaCy pipeline is not found.
        GraphError: the database refuses or fails a statement.
    """
    config = config or ExtractConfig()
    began = time.monotonic()
    version = extractor_version(domain, config.model)
    pending, unchanged = _count(store, domain, version)
    if not pending:
        return ExtractSummary(unchanged=unchanged, seconds=time.monotonic() - began)
    extractor = Extractor(domain, names=known_names(store, domain), model=config.model)
    run_id = f"extract-{uuid4().hex[:12]}"
    store.write("ingest/start_run", run_id=run_id, stage="extract", started_at=datetime.now(UTC))
    facts: Counter[str] = Counter()
    words = withdrawn = 0
    reading = extractor.read(
        _texts(store, domain, version), n_process=config.processes, batch_size=config.batch_size
    )
    with progress.task("extract facts", total=pending) as task:
        while batch := list(islice(reading, config.items_a_write)):
            withdrawn += _write(store, batch, version, run_id)
            facts.update(fact.relation for _, found in batch for fact in found)
            words += sum(len(item.text.split()) for item, _ in batch)
            task.advance(len(batch))
    summary = ExtractSummary(
        texts=pending,
        unchanged=unchanged,
        words=words,
        facts=dict(facts.most_common()),
        withdrawn=withdrawn,
        seconds=time.monotonic() - began,
        run_id=run_id,
    )
    store.write(
        "ingest/finish_run",
        run_id=run_id,
        finished_at=datetime.now(UTC),
        summary=summary.model_dump_json(),
    )
    return summary


def known_names(store: GraphStore, domain: Domain) -> dict[str, list[str]]:
    """Return the names that tables gave to the graph, by entity type, and the items' titles.

    Titles of one word are left out: they are too often the word itself. A title that is also
    the name of an entity is that entity's.
    """
    names: dict[str, list[str]] = defaultdict(list)
    after = ""
    while True:
        options: dict[str, Any] = {"after": after, "limit": _NAMES_A_PAGE, "extractor": TABLE}
        rows = store.read("extract/known_names", **options)
        if not rows or not rows[0]["ids"]:
            break
        page = rows[0]
        for name, labels in zip(page["names"], page["labels"], strict=True):
            for kind in domain.entity_types.keys() & set(labels):
                names[kind].append(name)
        after = max(page["ids"])
    works = domain.reading.ner.get("WORK_OF_ART")
    if works is not None:
        entity_names = {name for values in names.values() for name in values}
        for items in item_pages(store, label=domain.item_label):
            titles = (display_title(title) for title in items["titles"])
            names[works] += [t for t in titles if " " in t and t not in entity_names]
    return dict(names)


def _count(store: GraphStore, domain: Domain, version: str) -> tuple[int, int]:
    """Return how many items must be read, and how many with a text need not be."""
    pending = unchanged = 0
    for page in item_pages(store, label=domain.item_label, properties=[_MARK]):
        for title, text, (mark,) in zip(
            page["titles"], page["descriptions"], page["values"], strict=True
        ):
            todo = _must_read(title, text, mark, version)
            pending += todo
            unchanged += bool(text) and not todo
    return pending, unchanged


def _texts(store: GraphStore, domain: Domain, version: str) -> Iterator[ItemText]:
    for page in item_pages(store, label=domain.item_label, properties=[_MARK]):
        columns = (page["ids"], page["titles"], page["descriptions"], page["values"])
        for item_id, title, text, (mark,) in zip(*columns, strict=True):
            if _must_read(title, text, mark, version):
                yield ItemText(item_id, title, text)


def _must_read(title: str, text: str, mark: str | None, version: str) -> bool:
    """Whether a text is new; one that was emptied is read once more, to withdraw its facts."""
    return mark != _mark(title, text, version) if text or mark else False


def _mark(title: str, text: str, version: str) -> str:
    digest = hashlib.blake2b(f"{title}\0{text}".encode("utf-8", "surrogatepass"), digest_size=8)
    return f"{version}:{digest.hexdigest()}"


def _write(
    store: GraphStore, batch: Sequence[tuple[ItemText, list[TextFact]]], version: str, run_id: str
) -> int:
    """Write one batch in one transaction; return how many earlier facts were withdrawn."""
    records = [_record(item, fact).link for item, facts in batch for fact in facts]
    withdraw: dict[Head, frozenset[str]] = {
        ("item", item.item_id): frozenset({SOURCE}) for item, _ in batch
    }
    changes = fact_changes(store, records, run_id, withdraw=withdraw)
    marks = [
        {"item_id": item.item_id, "extracted": _mark(item.title, item.text, version)}
        for item, _ in batch
    ]
    store.write_all([*changes.steps, ("extract/mark_items", {}, {"rows": marks})])
    return changes.withdrawn


def _record(item: ItemText, fact: TextFact) -> FactRecord:
    return FactRecord(
        item_id=item.item_id,
        relation=fact.relation,
        entity_type=fact.entity_type,
        name=fact.entity_name,
        confidence=fact.confidence,
        source=SOURCE,
        extractor=fact.extractor,
        evidence=fact.evidence,
    )
