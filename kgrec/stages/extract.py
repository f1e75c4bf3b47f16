"""Extract: item texts out of the graph in a stream, the facts and links they state back into it.

An item is read again only when its title or text changed or the extractor did, so a second run
costs one scan. For each batch of items one transaction withdraws facts that the texts no longer
state, writes new ones and marks the items as read, so that a killed run can be continued.

A link from one entity to another belongs to the text that states it. Where that is withdrawn, the
other items that lead to the entity are read again, since their texts may state it too.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from uuid import uuid4

from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.data.records import TEXT_SOURCE, LinkRecord, Node
from kgrec.graph.pages import (
    Ends,
    Page,
    fact_pages,
    item_pages,
    pages_of_items,
    relation_types,
)
from kgrec.graph.setup import check_whole
from kgrec.graph.store import GraphStore, Step
from kgrec.progress import SILENT, Progress
from kgrec.schema import Domain
from kgrec.stages.kept_reading import keep_reading
from kgrec.stages.known_names import known_names, known_spellings
from kgrec.stages.loading.facts import Head, fact_changes
from kgrec.stages.reading import ReadingConfig, ReadyReading, text_reading
from kgrec.stages.stated_values import value_changes
from kgrec.text.mentions import title_forms
from kgrec.text.pipeline import ItemText, TextFact
from kgrec.text.sources.chosen import open_components
from kgrec.text.sources.fusion import Disagreement, FusionCounts, ReadText
from kgrec.text.sources.prompted import LanguageModelUse

SOURCE = TEXT_SOURCE
"""The source that facts and links of an item from its description carry; links between entities
have the id of the item behind it."""
_MARK = "extracted"


class ExtractConfig(ReadingConfig):
    """How texts are read and written.

    Attributes:
        items_a_write: items that one transaction covers.
    """

    items_a_write: int = Field(default=256, ge=1)


class ExtractSummary(FrozenModel):
    """What an extraction did.

    Attributes:
        texts: how many were read.
        unchanged: how many had been read before.
        words: words in the texts that were read.
        facts: facts and links found, by relation; one that a table holds already is counted too.
        values: items that have a property by their text, by property.
        components: facts and links, by the component whose finding is kept.
        withdrawn: facts, links and properties of earlier readings that were withdrawn.
        incomplete: texts that a component could not read, which are read again the next time.
        unread: items whose texts the time did not suffice for.
        of_others: facts that texts state of other works, which are left out.
        disagreements: between components, by kind.
        disagreement_samples: the first of them.
        language_model: requests, tokens, cost and what was dropped, where one is a component.
        notes: what does not read the language of the texts.
    """

    texts: int = 0
    unchanged: int = 0
    words: int = 0
    facts: dict[str, int] = Field(default_factory=dict)
    values: dict[str, int] = Field(default_factory=dict)
    components: dict[str, int] = Field(default_factory=dict)
    withdrawn: int = 0
    incomplete: int = 0
    unread: tuple[str, ...] = Field(default=(), exclude=True)
    of_others: int = 0
    disagreements: dict[str, int] = Field(default_factory=dict)
    disagreement_samples: tuple[Disagreement, ...] = ()
    language_model: LanguageModelUse | None = None
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    run_id: str | None = None


def extract(
    store: GraphStore,
    domain: Domain,
    config: ExtractConfig | None = None,
    *,
    items: Sequence[str] | None = None,
    home: Path | None = None,
    ready: ReadyReading | None = None,
    ray_address: str | None = None,
    progress: Progress = SILENT,
) -> ExtractSummary:
    """Read the descriptions of a domain's items and write the facts and links they state.

    Args:
        items: ids of the only items that are read; all of the domain when absent.
        home: where it is kept by what texts are read, for items that are folded in later; kept
            nowhere when absent.
        ready: components that have been opened before, in place of those of `config`.
        ray_address: `host:port` of the cluster of the engine `ray`; RAY_ADDRESS when absent, and
            without either one is started on this machine.

    A link to another item is written where one item alone has the title that the text names. A
    fact that another source states with more confidence, such as a table's column, stays.

    Raises:
        ModelError: the spaCy pipeline is not found.
        ClusterError: there is no Ray cluster, or its workers fail.
        GraphError: an import into the graph is unfinished, and the kinds below it.
    """
    check_whole(store)
    config = config or ExtractConfig()
    began = time.monotonic()
    parts = open_components(domain, config) if ready is None else ready.parts
    if home is not None:
        keep_reading(home, parts)
    versions = (parts.version, *(() if ready is None else ready.as_good))
    pending, unchanged = _count(store, domain, versions, items)
    if not pending:
        seconds = time.monotonic() - began
        return ExtractSummary(unchanged=unchanged, notes=parts.notes, seconds=seconds)
    run_id = f"extract-{uuid4().hex[:12]}"
    writer = _Writer(store, domain, parts.version, run_id)
    counts = FusionCounts()
    words = texts = 0
    late = False
    with text_reading(
        parts,
        config,
        counts,
        names=lambda: known_names(store, domain),
        spellings=lambda: known_spellings(store, domain),
        ready=ready,
        ray_address=ray_address,
    ) as read:
        began_at = datetime.now(UTC)
        store.write("ingest/start_run", run_id=run_id, stage="extract", started_at=began_at)
        while pending:
            texts += pending
            reading = read(_texts(store, domain, versions, items))
            writer.others = False
            with progress.task("extract facts", total=pending) as task:
                while not late and (batch := list(islice(reading, config.items_a_write))):
                    writer.write(batch)
                    words += sum(len(one.item.text.split()) for one in batch)
                    task.advance(len(batch))
                    late = ready is not None and time.monotonic() - began > ready.seconds
            again = writer.others and not late
            pending = _count(store, domain, versions, items)[0] if again else 0
    left = _texts(store, domain, versions, items) if late else iter(())
    summary = ExtractSummary(
        texts=texts,
        unchanged=unchanged,
        words=words,
        facts=dict(writer.facts.most_common()),
        values=dict(writer.values.most_common()),
        components=dict(counts.facts.most_common()),
        withdrawn=writer.withdrawn,
        incomplete=len(writer.incomplete),
        unread=tuple(one.item_id for one in left),
        of_others=counts.of_others,
        disagreements={str(kind): count for kind, count in counts.kinds.most_common()},
        disagreement_samples=tuple(counts.samples),
        language_model=parts.language_model,
        notes=parts.notes,
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


def _pages(store: GraphStore, domain: Domain, items: Sequence[str] | None) -> Iterator[Page]:
    if items is None:
        return item_pages(store, label=domain.item_label, properties=[_MARK])
    return pages_of_items(store, items, label=domain.item_label, properties=[_MARK])


def _count(
    store: GraphStore, domain: Domain, versions: Sequence[str], items: Sequence[str] | None
) -> tuple[int, int]:
    """Return how many items must be read, and how many with a text need not be."""
    pending = unchanged = 0
    for page in _pages(store, domain, items):
        for title, text, (mark,) in zip(
            page["titles"], page["descriptions"], page["values"], strict=True
        ):
            todo = _must_read(title, text, mark, versions)
            pending += todo
            unchanged += bool(text) and not todo
    return pending, unchanged


def _texts(
    store: GraphStore, domain: Domain, versions: Sequence[str], items: Sequence[str] | None
) -> Iterator[ItemText]:
    for page in _pages(store, domain, items):
        columns = (page["ids"], page["titles"], page["descriptions"], page["values"])
        for item_id, title, text, (mark,) in zip(*columns, strict=True):
            if _must_read(title, text, mark, versions):
                yield ItemText(item_id, title, text)


def _must_read(title: str, text: str, mark: str | None, versions: Sequence[str]) -> bool:
    """Whether a text is new; one that was emptied is read once more, to withdraw its facts."""
    if not text and not mark:
        return False
    return all(mark != _mark(title, text, version) for version in versions)


def _mark(title: str, text: str, version: str) -> str:
    digest = hashlib.blake2b(f"{title}\0{text}".encode("utf-8", "surrogatepass"), digest_size=8)
    return f"{version}:{digest.hexdigest()}"


class _Writer:
    """Writes what texts state, a batch in one transaction.

    Attributes:
        facts: written or found again, by relation.
        values: the same of properties.
        withdrawn: how many earlier ones were withdrawn.
        incomplete: items that a component could not read to the end.
        others: whether items beside those of a batch must be read again.
    """

    def __init__(self, store: GraphStore, domain: Domain, version: str, run_id: str) -> None:
        self.facts: Counter[str] = Counter()
        self.values: Counter[str] = Counter()
        self.withdrawn = 0
        self.incomplete: set[str] = set()
        self.others = False
        self._store, self._version, self._run_id = store, version, run_id
        stated = {domain.relations[rule.relation] for rule in domain.rules}
        # What an earlier version of the rules stated must be withdrawn as well.
        known = relation_types(store).between("entity", "entity")
        self._between_entities = bool(known) or any(one.head for one in stated)
        self._domain = domain

    def write(self, batch: Sequence[ReadText]) -> None:
        """Write what is new, withdraw what is no longer stated, and mark the items as read."""
        records = [self._record(one.item, fact) for one in batch for fact in one.facts]
        stated = [record for record in records if record is not None]
        withdraw: dict[Head, frozenset[str]] = {
            ("item", one.item.item_id): frozenset({SOURCE}) for one in batch
        }
        ends: list[Ends] = [("item", "entity"), ("item", "item")]
        if self._between_entities:
            ends.append(("entity", "entity"))
            withdraw |= self._entities_of([one.item.item_id for one in batch])
        changes = fact_changes(self._store, stated, self._run_id, withdraw=withdraw, ends=ends)
        marks = [self._marked(one) for one in batch]
        lost = sorted(node for kind, node in changes.losing if kind == "entity")
        again: list[Step] = [("extract/read_again", {}, {"entities": lost})] if lost else []
        values = value_changes(self._store, self._domain, batch)
        steps = [*changes.steps, *values.steps, *again, ("extract/mark_items", {}, {"rows": marks})]
        self._store.write_all(steps, {one.item.item_id for one in batch})
        self.facts.update(record.relation for record in stated)
        self.values.update(values.stated)
        self.withdrawn += changes.withdrawn + values.withdrawn
        self.others |= bool(lost)

    def _marked(self, one: ReadText) -> dict[str, str]:
        """Return the mark of a text that was read; an incomplete one is read again next time."""
        item = one.item
        version = self._version if one.complete else f"{self._version} in part"
        if one.complete:
            self.incomplete.discard(item.item_id)
        else:
            self.incomplete.add(item.item_id)
        return {"item_id": item.item_id, "extracted": _mark(item.title, item.text, version)}

    @cached_property
    def _titles(self) -> dict[str, dict[str, str]]:
        """The items of each title, read for the first text that names one: few do."""
        return _titles(self._store, self._domain)

    def _entities_of(self, items: list[str]) -> dict[Head, frozenset[str]]:
        """Return the entities that items lead to, with the sources of these items' texts."""
        found: dict[Head, set[str]] = defaultdict(set)
        for page in fact_pages(self._store, items, relation_types(self._store)):
            for row, entity in zip(page["heads"], page["tails"], strict=True):
                found["entity", entity].add(_source(items[row]))
        return {head: frozenset(sources) for head, sources in found.items()}

    def _record(self, item: ItemText, fact: TextFact) -> LinkRecord | None:
        """Return a fact or link as it is written; None for a title that no other item has."""
        head, source = Node("item", item.item_id), SOURCE
        if fact.head_type:
            head, source = Node.entity(fact.head_type, fact.head_name), _source(item.item_id)
        if fact.entity_type:
            tail = Node.entity(fact.entity_type, fact.entity_name)
        else:
            other = self._other_item(item.item_id, fact)
            if other is None:
                return None
            tail = Node("item", other)
        known = (fact.confidence, source, fact.found_by, fact.evidence)
        return LinkRecord(head, fact.relation, tail, *known)

    def _other_item(self, item_id: str, fact: TextFact) -> str | None:
        """Return the one item beside this that has a title, or has the year that the words name."""
        found = self._titles.get(_plain(fact.entity_name), {})
        others = {other: year for other, year in found.items() if other != item_id}
        if len(others) > 1:
            others = {other: year for other, year in others.items() if year in fact.evidence}
        return next(iter(others)) if len(others) == 1 else None


def _source(item_id: str) -> str:
    return f"{SOURCE}:{item_id}"


def _titles(store: GraphStore, domain: Domain) -> dict[str, dict[str, str]]:
    """Return the items of each title, in the forms that texts may use, with their years."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    dated = ["year"] if "year" in domain.item_properties else []
    for page in item_pages(store, label=domain.item_label, properties=dated):
        for item, title, values in zip(page["ids"], page["titles"], page["values"], strict=True):
            year = str(values[0]) if dated and values[0] else _NO_YEAR
            for form in title_forms(title):
                found[_plain(form)][item] = year
    return found


_NO_YEAR = "\0"
"""In no text, unlike an empty year."""


def _plain(title: str) -> str:
    """Return a title without case and punctuation."""
    return " ".join(re.findall(r"\w+", title.casefold())) or title
