"""The shared vocabulary (`core.toml`) and the domains: labels, relation types, reading of texts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from string import Formatter
from typing import Any, Literal, get_args

from pydantic import AliasChoices, Field

from kgrec.config import FrozenModel, load_toml, parse_config
from kgrec.errors import SchemaError

IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class Labels(FrozenModel):
    user: str
    item: str
    entity: str
    model: str
    run: str
    revision: str


class Relations(FrozenModel):
    """The relation types that kgrec itself writes."""

    interacted: str
    suggests: str
    recommended: str


class Index(FrozenModel):
    label: str
    properties: tuple[str, ...] = ()
    property: str | None = None


class Core(FrozenModel):
    """`core.toml`: what every domain shares."""

    labels: Labels
    keys: dict[str, str]
    relations: Relations
    interactions: dict[str, int]
    properties: dict[str, dict[str, str]]
    indexes: dict[str, Index]

    def kind_of(self, end: str) -> NodeKind:
        """Return what kind of node an end of a relation is, such as `Relation.tail`."""
        if not end:
            return "item"
        return "user" if end == self.labels.user else "entity"

    def ends_of(self, relation: Relation) -> tuple[NodeKind, NodeKind]:
        """Return what kinds of node a relation leads from and to."""
        return self.kind_of(relation.head), self.kind_of(relation.tail)

    def label_of(self, kind: NodeKind) -> str:
        """Return the label that all nodes of a kind share."""
        return str(getattr(self.labels, kind))

    def end_slots(self, head: NodeKind, tail: NodeKind) -> dict[str, str]:
        """Return the slots of a statement over any two kinds of node: labels and keys."""
        one, two = self.label_of(head), self.label_of(tail)
        return {"head": one, "head_key": self.keys[one], "tail": two, "tail_key": self.keys[two]}


NodeKind = Literal["user", "item", "entity"]
"""What a relation of a domain can begin or end at."""

ENDS: tuple[tuple[NodeKind, NodeKind], ...] = (
    ("item", "entity"),
    ("item", "item"),
    ("entity", "entity"),
    ("entity", "item"),
    ("user", "user"),
    ("user", "entity"),
)
"""Head and tail that a relation may have; what users do with items is an interaction."""


class Relation(FrozenModel):
    """A relation type with the node types of its ends.

    Attributes:
        head, tail: an entity type, or the label that all users or all entities share; empty for
            the items of the domain. A file may also name these by their label.
        meaning: one sentence with `{item}` and `{entity}` for the ends, or `{head}` and `{tail}`.
        columns: how a column of a table of heads may be called that holds tails.
    """

    head: str = ""
    tail: str
    meaning: str
    columns: tuple[str, ...] = ()

    def sentence(self, head: str, tail: str) -> str:
        """Return the meaning with names of the two ends in it, without a full stop."""
        item, entity = (head, tail) if self.tail else (tail, head)
        names = {"head": head, "tail": tail, "item": item, "entity": entity}
        return self.meaning.format(**names).rstrip(". ")


FactRole = Literal[
    "agent", "patient", "prep", "maker", "titled", "companion", "elliptic", "embodied", "author"
]
"""The part that the tail plays beside a trigger, where the relation leads from the item."""

LinkRole = Literal["subject", "credited", "appositive"]
"""The parts that head and tail play, where the relation leads from one entity to another."""


class Rule(FrozenModel):
    """How sentences state a relation: trigger words and the part the entity plays beside them.

    Attributes:
        role: the part, one of `kgrec.text.roles.ROLES` or, between entities, of `LINK_ROLES`.
        verbs, nouns: lemmas of the trigger words.
        prepositions: words between trigger and entity, where the role has any.
        themes: lemmas of what the trigger may act upon; `@item` stands for the item itself, and
            an empty tuple for anything.
        unless: lemmas beside the trigger that rule it out.
        beside: holds only in a sentence where another rule has found the same relation.
    """

    relation: str
    role: FactRole | LinkRole
    verbs: tuple[str, ...] = ()
    nouns: tuple[str, ...] = ()
    prepositions: tuple[str, ...] = ()
    themes: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    beside: bool = False
    confidence: float = Field(default=0.9, gt=0, le=1)


class Reading(FrozenModel):
    """The words of a domain's language that its extraction rules rely on.

    Attributes:
        item_nouns: lemmas that may stand for the item itself ("film", "thriller").
        other_nouns: lemmas after which an item noun is another work ("remake of the film").
        work_nouns: lemmas after which the title of a work may follow ("the novel").
        story_nouns: lemmas for the item's story or text ("plot"); their maker is its writer.
        adaptation_nouns: lemmas for the item that are followed by its writer ("an adaptation by").
        character_verbs: lemmas for what a player does to a character.
        place_nouns: lemmas after which "of" leads to a place ("the city of").
        honorifics: words that are no part of a name ("Sir", "director").
        ner: label of the named-entity recogniser to entity type.
        phrases: entity types that are named by any noun phrase, not by proper names only.
        not_phrases: lemmas that are never such a phrase by themselves ("story", "way").
        patterns: entity type to regular expressions of its names.
        joined: lemma to spellings with a hyphen that must stay one word ("co-wrote").
        known: relations that hold when a known name of their tail describes the item.
    """

    item_nouns: tuple[str, ...] = ()
    other_nouns: tuple[str, ...] = ()
    work_nouns: tuple[str, ...] = ()
    # Domain files written before the new names still use the old ones.
    story_nouns: tuple[str, ...] = Field(
        default=(), validation_alias=AliasChoices("story_nouns", "told_nouns")
    )
    adaptation_nouns: tuple[str, ...] = Field(
        default=(), validation_alias=AliasChoices("adaptation_nouns", "retold_nouns")
    )
    character_verbs: tuple[str, ...] = ()
    place_nouns: tuple[str, ...] = ()
    honorifics: tuple[str, ...] = ()
    ner: dict[str, str] = Field(default_factory=dict)
    phrases: tuple[str, ...] = ()
    not_phrases: tuple[str, ...] = ()
    patterns: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    joined: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    known: tuple[str, ...] = ()


PropertyType = Literal["string", "integer", "float", "strings"]
"""What a property of an item may be; `kgrec.data.records.parse_property` reads each of them."""


class Domain(FrozenModel):
    """One file of `domains/`: what its items are called and what can be known of them."""

    name: str
    item_label: str
    item_word: str = "item"
    item_properties: dict[str, PropertyType] = Field(default_factory=dict)
    entity_properties: dict[str, PropertyType] = Field(default_factory=dict)
    entity_types: dict[str, str]
    relations: dict[str, Relation]
    reading: Reading = Field(default_factory=Reading)
    rules: tuple[Rule, ...] = ()

    @property
    def facts(self) -> dict[str, Relation]:
        """The relation types from items to entities of one type."""
        return self.relations_of("")

    def relation_of_column(self, column: str, *, head: str = "") -> str | None:
        """Return the relation type that a column of this name usually holds, if any.

        Args:
            head: entity type of the table's rows; empty for a table of items.
        """
        wanted = column.strip().lower().replace(" ", "_")
        for name, relation in self.relations_of(head).items():
            if wanted == name.lower() or wanted in relation.columns:
                return name
        return None

    def relations_of(self, head: str) -> dict[str, Relation]:
        """Return the relation types from items (empty) or one entity type to one entity type."""
        return {
            name: one
            for name, one in self.relations.items()
            if one.head == head and one.tail in self.entity_types
        }


def load_domain(path: Path, core: Core) -> Domain:
    """Read and check one domain file.

    Raises:
        SchemaError: a name is not an identifier, shadows a name of the core, or a tail is unknown.
        ConfigError: a key is unknown, or a value is invalid, such as an unknown type.
    """
    domain = parse_config(Domain, load_toml(path), origin=str(path))
    own = domain.item_label
    relations = {name: _normalised(one, own, core) for name, one in domain.relations.items()}
    domain = domain.model_copy(update={"relations": relations})
    reserved = _core_names(core)
    for name in [domain.item_label, *domain.entity_types, *domain.relations]:
        if not IDENTIFIER.fullmatch(name):
            raise SchemaError(f"{path}: not a usable name", value=name)
        if name in reserved:
            raise SchemaError(f"{path}: the name is reserved by kgrec", value=name)
    for label, known in (("item", domain.item_properties), ("entity", domain.entity_properties)):
        for name in known:
            if not IDENTIFIER.fullmatch(name):
                raise SchemaError(f"{path}: not a usable name of a property", value=name)
            if name in core.properties[getattr(core.labels, label)]:
                raise SchemaError(f"{path}: the property is one that every {label} has", value=name)
    for name, relation in domain.relations.items():
        _check_relation(name, relation, domain, core, path)
    _check_reading(domain, path)
    return domain


def _normalised(relation: Relation, item_label: str, core: Core) -> Relation:
    """Return a relation whose ends that are items are empty, and named `{item}` in its meaning.

    With `{item}` in the meaning go entities; ends of one kind stay `{head}` and `{tail}`.
    """
    own = {item_label: "", core.labels.item: ""}
    head, tail = own.get(relation.head, relation.head), own.get(relation.tail, relation.tail)
    changed = relation.model_copy(update={"head": head, "tail": tail})
    ends, meaning = core.ends_of(changed), relation.meaning
    if set(ends) == {"item", "entity"} and _places(meaning) == ["head", "tail"]:
        names = {end: f"{{{kind}}}" for end, kind in zip(("head", "tail"), ends, strict=True)}
        meaning = meaning.format(**names)
    return changed.model_copy(update={"meaning": meaning})


def _places(meaning: str) -> list[str]:
    return sorted(part[1] for part in Formatter().parse(meaning) if part[1] is not None)


def _check_relation(name: str, relation: Relation, domain: Domain, core: Core, path: Path) -> None:
    labels = core.labels
    known = [*domain.entity_types, labels.entity, labels.item, labels.user]
    for side in ("head", "tail"):
        end = getattr(relation, side)
        if end and end not in known:
            raise SchemaError(
                f"{path}: the {side} of {name} is an unknown entity type",
                value=end,
                remedy=f"Known: {', '.join(known)}.",
            )
    ends = core.ends_of(relation)
    if ends not in ENDS:
        allowed = ", ".join(f"{head} to {tail}" for head, tail in ENDS)
        raise SchemaError(
            f"{path}: {name} cannot lead from {ends[0]} to {ends[1]}",
            value=name,
            remedy=f"A relation leads from {allowed}. What users do with items is an interaction.",
        )
    one_item = set(ends) == {"item", "entity"}
    if _places(relation.meaning) != (["entity", "item"] if one_item else ["head", "tail"]):
        either = "{item} and {entity}, or {head} and {tail}" if one_item else "{head} and {tail}"
        raise SchemaError(
            f"{path}: the meaning of {name} must name {either}, each once",
            value=relation.meaning,
            remedy='Such as "{head} is a sequel of {tail}."',
        )


def _check_reading(domain: Domain, path: Path) -> None:
    reading = domain.reading
    used = {rule.relation for rule in domain.rules} | set(reading.known)
    if unknown := sorted(used - domain.relations.keys()):
        raise SchemaError(f"{path}: a rule is for an unknown relation", value=unknown[0])
    if others := sorted(set(reading.known) - domain.facts.keys()):
        raise SchemaError(
            f"{path}: a known relation does not lead from an item to an entity type",
            value=others[0],
            remedy=f"These do: {', '.join(domain.facts)}.",
        )
    for rule in domain.rules:
        _check_rule(rule, domain, path)
    types = {*reading.ner.values(), *reading.phrases, *reading.patterns}
    if unknown := sorted(types - domain.entity_types.keys()):
        raise SchemaError(f"{path}: [reading] names an unknown entity type", value=unknown[0])
    for pattern in (p for patterns in reading.patterns.values() for p in patterns):
        try:
            re.compile(pattern)
        except re.error as error:
            raise SchemaError(
                f"{path}: [reading] has a pattern that is no regular expression ({error})",
                value=pattern,
            ) from None


def _check_rule(rule: Rule, domain: Domain, path: Path) -> None:
    relation = domain.relations[rule.relation]
    ends = {("", ""), *product(("", *domain.entity_types), domain.entity_types)}
    if (relation.head, relation.tail) not in ends:
        raise SchemaError(
            f"{path}: a rule is for a relation whose ends no text can name",
            value=rule.relation,
            remedy="A rule may lead from items to items, or from items or an entity type to one.",
        )
    between = bool(relation.head)
    roles = get_args(LinkRole if between else FactRole)
    if rule.role not in roles:
        start = "an entity" if between else "an item"
        raise SchemaError(
            f"{path}: a rule for {rule.relation}, which leads from {start}, cannot have this role",
            value=rule.role,
            remedy=f"Take one of {', '.join(roles)}.",
        )


def _core_names(core: Core) -> set[str]:
    parts: list[Mapping[str, Any]] = [core.labels.model_dump(), core.relations.model_dump()]
    return {str(value) for part in parts for value in part.values()}
