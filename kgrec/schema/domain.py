"""The shared vocabulary (`core.toml`) and the domains: labels, relation types, reading of texts."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Literal

from pydantic import AliasChoices, Field

from kgrec.config import FrozenModel, load_toml, parse_config
from kgrec.resources import resource_dir

IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class Labels(FrozenModel):
    user: str
    item: str
    entity: str
    model: str
    run: str
    revision: str
    retired: str
    merge: str
    decision: str
    correction: str


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


class Quantity(FrozenModel):
    """How texts state a number, a date or a size that is a property of an item.

    Attributes:
        patterns: regular expressions with one place each, `{number}`, `{measure}`, `{date}`,
            `{money}` or `{range}`; the first that matches counts.
        unit: of a measure, in which the property is kept, or the currency of money.
        least, most: values outside are left out.
    """

    patterns: tuple[str, ...] = Field(min_length=1)
    unit: str = ""
    least: float | None = None
    most: float | None = None


class WorkWords(FrozenModel):
    """Words of one language by which a text refers to its item, or to another work.

    Attributes:
        own: words before a noun of the item that make it the item itself ("this film").
        pronouns: that may stand for it.
        works: nouns for works, the item's own kind or another.
        others: words before such a noun that make it another work ("the previous novel").
        derived: phrases before a work that the item comes from ("based on").
        likened: phrases before what the item is only compared or used with ("fans of").
        likened_names: the same where a name follows ("like Dune").
        makers: those who make works; a work follows behind one of `of` ("the author of Dune").
        stops: words at which the other work ends, in a text that is not parsed.
    """

    own: tuple[str, ...] = ()
    pronouns: tuple[str, ...] = ()
    works: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()
    likened: tuple[str, ...] = ()
    likened_names: tuple[str, ...] = ()
    makers: tuple[str, ...] = ()
    of: tuple[str, ...] = ()
    stops: tuple[str, ...] = ()

    def and_those(self, further: WorkWords) -> WorkWords:
        """Return these words and others."""
        names = WorkWords.model_fields
        joined = {n: (*getattr(self, n), *getattr(further, n)) for n in names}
        return WorkWords(**{n: tuple(dict.fromkeys(words)) for n, words in joined.items()})


@cache
def shared_words(language: str) -> WorkWords:
    """Return the words of a language that all domains share; none where it has no table."""
    found = load_toml(resource_dir("graph_schema") / "item_mentions.toml").get(language, {})
    return parse_config(WorkWords, found, origin=f"item_mentions.toml [{language}]")


PropertyType = Literal["string", "integer", "float", "strings"]
"""What a property of an item may be; `kgrec.data.records.parse_property` reads each of them."""


class Domain(FrozenModel):
    """One file of `domains/`: what its items are called and what can be known of them.

    Attributes:
        uses: pieces of `graph_schema/pieces/`, or other domains, that it is completed by.
        item_word, item_plural: what a person calls one item, and several.
        columns: role (`item_id`, `title`), property or relation to further names of columns that
            hold it, as public tables have them.
        quantities: how texts state properties of items, by the property.
        item_mentions: words that refer to the item or to another work, by language, beside those
            that all domains share.
        examples: values of this domain for descriptions and messages, by the name of the field.
    """

    name: str
    uses: tuple[str, ...] = ()
    item_label: str
    item_word: str = "item"
    item_plural: str = ""
    item_properties: dict[str, PropertyType] = Field(default_factory=dict)
    entity_properties: dict[str, PropertyType] = Field(default_factory=dict)
    entity_types: dict[str, str]
    relations: dict[str, Relation]
    quantities: dict[str, Quantity] = Field(default_factory=dict)
    columns: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    examples: dict[str, Any] = Field(default_factory=dict)
    item_mentions: dict[str, WorkWords] = Field(default_factory=dict)
    reading: Reading = Field(default_factory=Reading)
    rules: tuple[Rule, ...] = ()

    @property
    def plural(self) -> str:
        """What a person calls several items."""
        return self.item_plural or f"{self.item_word}s"

    @property
    def of_texts(self) -> str:
        """What the reading of facts depends on, as JSON; other keys may change without it."""
        without = {"uses", "item_plural", "columns", "examples", "quantities", "item_mentions"}
        return self.model_dump_json(exclude=without)

    def work_words(self, language: str) -> WorkWords:
        """Return the words that refer to the item or to another work, those of all domains too."""
        return shared_words(language).and_those(self.item_mentions.get(language, WorkWords()))

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
        further = {} if head else self.columns
        known = self.relations_of(head)
        return next((name for name in known if wanted in further.get(name, ())), None)

    def relations_of(self, head: str) -> dict[str, Relation]:
        """Return the relation types from items (empty) or one entity type to one entity type."""
        return {
            name: one
            for name, one in self.relations.items()
            if one.head == head and one.tail in self.entity_types
        }
