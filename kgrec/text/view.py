"""A parsed text as the rules see it: who does what, to what, and which names a word stands for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property

from spacy.tokens import Doc, Token

from kgrec.schema import Reading
from kgrec.text.mentions import ITEM, Mention

_SUBJECTS = frozenset(["nsubj", "csubj"])
_PASSIVE_SUBJECTS = frozenset(["nsubjpass", "csubjpass"])
_OBJECTS = frozenset(["dobj", "attr", "oprd", "dative"])
_ADVERBS = frozenset(
    [
        "also",
        "again",
        "both",
        "respectively",
        "both",
        "originally",
        "then",
        "later",
        "each",
        "himself",
        "herself",
    ]
)
_FINITE = frozenset(["VBZ", "VBP", "VBD", "MD"])
_YEAR = re.compile(r"(?:18|19|20)\d\d")
_CHARACTER_VERBS = frozenset(["play", "portray", "voice", "depict", "impersonate"])
_DETERMINERS = frozenset(["DT", "PRP$", "CD"])


class TextView:
    """One text, its mentions, and the questions that rules ask of it.

    Args:
        doc: parsed and tagged.
        mentions: in order, none overlapping another.
        reading: the domain's words.
        title: the item's own title, empty when there is none.
    """

    def __init__(
        self, doc: Doc, mentions: tuple[Mention, ...], reading: Reading, title: str
    ) -> None:
        self.doc = doc
        self.mentions = mentions
        self.reading = reading
        self._at: dict[int, int] = {
            i: index for index, m in enumerate(mentions) for i in range(m.start, m.end)
        }
        self._title = frozenset(w for w in re.findall(r"\w+", title.lower()) if len(w) > 2)
        self._items = frozenset(reading.item_nouns)
        self._others = frozenset(reading.other_nouns)

    def text(self, mention: Mention) -> str:
        return self.doc[mention.start : mention.end].text

    def mention(self, i: int) -> Mention | None:
        """Return the mention that covers token `i`."""
        index = self._at.get(i)
        return None if index is None else self.mentions[index]

    def lemma(self, token: Token) -> str:
        return token.lemma_.lower()

    def triggers(self, lemmas: Iterable[str]) -> Iterator[Token]:
        """Yield the tokens outside names whose lemma is one of these."""
        wanted = frozenset(lemmas)
        for token in self.doc:
            if token.lemma_.lower() in wanted and self.mention(token.i) is None:
                yield token

    # What stands for the item -----------------------------------------------------------------

    def is_item(self, token: Token) -> bool:
        """Whether a word surely stands for the item: its title, or a noun such as "film"."""
        mention = self.mention(token.i)
        if mention is not None:
            return mention.type == ITEM or self._like_title(mention)
        if token.lower_ in ("it", "this"):
            return True
        if token.lower_ in ("which", "that") and token.head.dep_ == "relcl":
            return self.is_item(token.head.head)
        single = token.tag_ not in ("NNS", "NNPS")
        return single and self.lemma(token) in self._items and not self._is_other(token)

    def may_be_item(self, token: Token | None) -> bool:
        """Whether a word can stand for the item; nothing and vague words can."""
        if token is None or self.is_item(token):
            return True
        mention = self.mention(token.i)
        if mention is not None:
            behind = self.doc[mention.end] if mention.end < len(self.doc) else None
            return behind is not None and behind.lower_ == "as"
        return token.pos_ in ("ADJ", "NUM", "DET", "VERB") or self._within_item(token)

    def _within_item(self, token: Token) -> bool:
        """Whether a noun hangs below one for the item: "a comedy about bowling directed by"."""
        for _ in range(5):
            if token.dep_ not in ("pobj", "prep", "conj", "compound", "amod", "nmod"):
                return False
            token = token.head
            if self.mention(token.i) is None and self.is_item(token):
                return True
        return False

    def _like_title(self, mention: Mention) -> bool:
        words = {w for w in re.findall(r"\w+", self.text(mention).lower()) if len(w) > 2}
        return bool(words) and 2 * len(words & self._title) >= max(len(words), len(self._title))

    def _is_other(self, noun: Token) -> bool:
        """Whether an item noun is some other work: of another year, or what this one remakes."""
        if any(_YEAR.fullmatch(child.text) for child in noun.lefts):
            return True
        i = noun.i - 1
        while i > 0 and self.doc[i].pos_ in ("DET", "ADJ", "NOUN", "NUM", "PRON", "PROPN", "PART"):
            i -= 1
        before = self.doc[i]
        if before.i < 1 or before.pos_ not in ("ADP", "SCONJ") or before.lower_ == "in":
            return False
        over = self.lemma(self.doc[i - 1])
        whole = before.lower_ == "of" and over in self._items
        return whole or before.lower_ == "from" or over in self._others

    # Who acts, and upon what -------------------------------------------------------------------

    def is_passive(self, verb: Token) -> bool:
        if self._by_after(verb) is not None:
            return True
        if any(c.dep_ in _SUBJECTS for c in verb.lefts):
            return False
        if verb.tag_ == "VBD":
            return self._is_bare_participle(verb)
        if verb.tag_ != "VBN":
            return False
        if self._takes_agent(verb):
            return True
        if self._subject_before(verb):
            return False
        linked = self._verb_linked_before(verb)
        if linked is not None:
            return self.is_passive(linked)
        helpers = {self.lemma(c) for c in verb.lefts if c.dep_ in ("aux", "auxpass")}
        return "have" not in helpers or "be" in helpers

    def _is_bare_participle(self, verb: Token) -> bool:
        """Whether what looks like a past tense is a participle: "a comedy, adapted from"."""
        behind = self.doc[verb.i + 1] if verb.i + 1 < len(self.doc) else None
        if behind is None or behind.pos_ not in ("ADP", "SCONJ"):
            return False
        return not self._subject_before(verb) and self._verb_linked_before(verb) is None

    def _verb_linked_before(self, verb: Token) -> Token | None:
        """Return the verb before "and" or a comma that shares its subject: "wrote and directed"."""
        i = verb.i - 1
        while i > 0 and self.doc[i].tag_ == "RB":
            i -= 1
        if i < 1 or self.doc[i].lower_ not in ("and", ","):
            return None
        before = self.doc[i - 1]
        return before if before.pos_ == "VERB" else None

    def _takes_agent(self, verb: Token) -> bool:
        return any(c.dep_ in ("agent", "auxpass") for c in verb.children)

    def agents(self, verb: Token) -> list[Mention]:
        """Return who does what the verb says, by the parse and by what stands next to it."""
        if self.is_passive(verb):
            return self._passive_agents(verb)
        beside = self._subject_before(verb)
        if beside:
            return beside
        subjects = self.subjects(verb)
        parsed = [m for t in subjects for m in self.names(t)]
        if parsed:
            return parsed
        if any(t.lower_ in ("he", "she") for t in subjects):
            return self._referent(verb)
        linked = self._verb_linked_before(verb)
        if linked is not None and not self.is_passive(linked):
            return self.agents(linked)
        return self._subject_of_clause(verb) or self._subject_of_sentence(verb)

    def companions(self, verb: Token) -> list[Mention]:
        """Return whom the verb is done together with ("wrote it with X")."""
        withs = [
            child
            for node in [verb, *(c for c in verb.rights if c.dep_ in _OBJECTS)]
            for child in node.rights
            if child.lower_ in ("with", "alongside") and child.dep_ == "prep"
        ]
        return [m for prep in withs for t in prep.rights if t.dep_ == "pobj" for m in self.names(t)]

    def subjects(self, verb: Token) -> list[Token]:
        """Return the subjects of an active verb, from the governing verb where it has none."""
        own = [c for c in verb.lefts if c.dep_ in _SUBJECTS]
        if own:
            return [self.antecedent(t) for t in own]
        over = verb.head.head if verb.dep_ == "pcomp" else verb.head
        governed = verb.dep_ in ("conj", "xcomp", "advcl", "dep", "ccomp", "pcomp")
        if governed and over.pos_ in ("VERB", "AUX") and over.i != verb.i:
            return [] if self.is_passive(over) else self.subjects(over)
        return []

    def objects(self, verb: Token) -> list[Token]:
        """Return what an active verb acts upon, from a coordinated verb where it has none."""
        own = [c for c in verb.rights if c.dep_ in _OBJECTS]
        if not own:
            own = [
                t
                for c in verb.rights
                if c.dep_ == "prep" and c.lower_ in ("in", "among")
                for t in c.rights
                if t.dep_ == "pobj"
            ]
        if own:
            return [self.antecedent(t) for t in own]
        linked = [c for c in verb.rights if c.dep_ == "conj" and c.pos_ == "VERB"]
        return self.objects(linked[0]) if linked else []

    def theme(self, verb: Token) -> Token | None:
        """Return what a verb acts upon: the object, or the subject of a passive."""
        if not self.is_passive(verb):
            return self._active_theme(verb)
        for child in verb.lefts:
            if child.dep_ in _PASSIVE_SUBJECTS:
                return self.antecedent(child)
        if verb.dep_ in ("acl", "relcl") and self.mention(verb.head.i) is None:
            return verb.head
        if verb.dep_ == "conj" and verb.head.pos_ in ("VERB", "AUX"):
            return self.theme(verb.head) if self.is_passive(verb.head) else None
        return None

    def _active_theme(self, verb: Token) -> Token | None:
        objects = self.objects(verb)
        if objects:
            return objects[0]
        behind = self.mention(verb.i + 1)
        if behind is not None:
            return self.doc[behind.start]
        return verb.head if verb.dep_ == "amod" else None

    def antecedent(self, token: Token) -> Token:
        """Return what a relative pronoun stands for, or the token itself."""
        if token.tag_ in ("WP", "WDT") and token.head.dep_ == "relcl":
            return token.head.head
        return token

    def _passive_agents(self, verb: Token) -> list[Mention]:
        by = self._by_after(verb)
        if by is not None:
            return self.named_after(by)
        agents = [c for c in verb.rights if c.lower_ == "by" and c.dep_ in ("agent", "prep")]
        for agent in agents:
            if not self.belongs_to_noun(agent):
                return self.named_after(agent)
        linked = [c for c in verb.rights if c.dep_ == "conj" and c.pos_ == "VERB"]
        if linked and linked[0].tag_ == "VBN":
            return self._passive_agents(linked[0])
        return []

    def _by_after(self, verb: Token) -> Token | None:
        inflected = verb.tag_ in ("VBN", "VBD") or verb.lower_.endswith(("ed", "en"))
        if inflected and verb.i + 1 < len(self.doc) and self.doc[verb.i + 1].lower_ == "by":
            return self.doc[verb.i + 1]
        return None

    def belongs_to_noun(self, by: Token, noun: Token | None = None) -> bool:
        """Whether "by X" stands right behind a work's noun or title, whose maker X then is.

        Args:
            noun: a noun that does not count.
        """
        if by.i == 0 or (noun is not None and by.i - 1 == noun.i):
            return False
        before = self.doc[by.i - 1]
        mention = self.mention(before.i)
        if mention is not None:
            set_there = mention.start > 0 and self.doc[mention.start - 1].pos_ == "ADP"
            return mention.type != ITEM and not set_there
        return self.lemma(before) in (*self.reading.work_nouns, "screenplay", "script", "score")

    def _subject_before(self, verb: Token) -> list[Mention]:
        """Return the names that stand directly before an active verb, as in "X and Y play"."""
        i = verb.i - 1
        while i >= 0 and (self.doc[i].lower_ in _ADVERBS or self.doc[i].tag_ in ("RB", "MD")):
            i -= 1
        mention = self.mention(i) if i >= 0 else None
        if mention is None or mention.type == ITEM or verb.tag_ in ("VBG",):
            return []
        before = self.doc[mention.start - 1] if mention.start else None
        if before is not None and before.lower_ in ("by", "of", "from", "to", "in", "for"):
            return []
        if verb.tag_ == "VBZ":
            return [mention]
        return self._listed_before(mention)

    def _referent(self, verb: Token) -> list[Mention]:
        """Return whom "he" or "she" stands for: the only name, or the one that opens a sentence.

        The sentence before is looked at, and that part of its own which precedes the verb.
        """
        begin = self.doc[verb.sent.start - 1].sent.start if verb.sent.start else 0
        people = self.reading.ner.get("PERSON")
        near = [
            m
            for m in self.mentions
            if begin <= m.start < verb.i and m.type == people and m.start not in self.characters
        ]
        opening = [m for m in near if m.start == begin]
        return opening or (near if len(near) == 1 else [])

    def _subject_of_sentence(self, verb: Token) -> list[Mention]:
        """Return the name that opens a sentence for a verb behind its last "and", if it has none.

        "X directed The Bridges of Madison County and stars as a photographer"
        """
        before = self.doc[verb.i - 1] if verb.i else None
        if before is None or before.lower_ not in ("and", "also"):
            return []
        first = self.mention(verb.sent.start)
        if first is None or first.type == ITEM or first.end >= verb.i:
            return []
        after = self.doc[first.end]
        listed = [first, *self._listed_after(first)]
        acts = after.pos_ == "VERB" or after.lower_ == "and" or after.text == ","
        return listed if acts else []

    def _subject_of_clause(self, verb: Token) -> list[Mention]:
        """Return the name whose relative clause ends before a verb: "X, who wrote it, stars"."""
        if verb.i == 0 or self.doc[verb.i - 1].text != ",":
            return []
        for mention in reversed(self.mentions):
            if mention.end >= verb.i or mention.start < verb.sent.start:
                continue
            after = self.doc[mention.end : mention.end + 2]
            if len(after) == 2 and after[0].text == "," and after[1].lower_ in ("who", "whose"):
                return [mention]
        return []

    # Names -------------------------------------------------------------------------------------

    def named_after(self, preposition: Token) -> list[Mention]:
        """Return the names that a preposition governs."""
        direct = self.mention(preposition.i + 1) if preposition.i + 1 < len(self.doc) else None
        if direct is not None and not self._modifies(direct):
            return [direct, *self._listed_after(direct)]
        return [
            m
            for t in preposition.rights
            if t.dep_ in ("pobj", "pcomp", "dobj")
            for m in self.names(t)
        ] or self._first_after(preposition)

    def names(self, token: Token) -> list[Mention]:
        """Return the mentions that a word stands for, with those coordinated to it."""
        head = self._mention_of(token)
        if head is None:
            return []
        found = {head.start: head}
        for mention in self._listed_after(head):
            found[mention.start] = mention
        return list(found.values())

    def _mention_of(self, token: Token) -> Mention | None:
        mention = self.mention(token.i)
        if mention is not None:
            return mention
        nearby = [c for c in token.children if c.dep_ in ("appos", "compound", "nmod", "flat")]
        for child in nearby:
            inner = self.mention(child.i)
            if inner is not None and child.i > token.i:
                return inner
        after = token.i + 1
        if after < len(self.doc) and self.doc[after].text == ",":
            after += 1
        follower = self.mention(after) if after < len(self.doc) else None
        apposed = follower is not None and self._root(follower).head.i == token.i
        return follower if apposed or (follower is not None and after == token.i + 1) else None

    def _first_after(self, preposition: Token) -> list[Mention]:
        """Return the name within a few words behind a preposition that the parse left bare."""
        for i in range(preposition.i + 1, min(preposition.i + 5, len(self.doc))):
            mention = self.mention(i)
            if mention is not None:
                names = [mention, *self._listed_after(mention)]
                return [] if self._modifies(mention) else names
            shared = self.doc[i - 1].lower_ == "and" and self.doc[i].tag_ == "VBG"
            if not shared and (self.doc[i].is_punct or self.doc[i].pos_ in ("VERB", "ADP")):
                break
        return []

    def _modifies(self, mention: Mention) -> bool:
        """Whether a name only describes the noun behind it: "the Monty Python troupe"."""
        after = self.doc[mention.end] if mention.end < len(self.doc) else None
        return after is not None and after.tag_ in ("NN", "POS")

    def _root(self, mention: Mention) -> Token:
        return self.doc[mention.start : mention.end].root

    def _listed_after(self, first: Mention) -> list[Mention]:
        """Return the rest of a list of names that begins with `first`: "A, B and C"."""
        rest: list[Mention] = []
        closed = 0
        i = first.end
        while i < len(self.doc):
            comma = self.doc[i].text == ","
            i += comma
            joint = i < len(self.doc) and self.doc[i].lower_ in ("and", "&")
            i += joint
            mention = self.mention(i) if i < len(self.doc) and (comma or joint) else None
            if mention is None or mention.start != i:
                break
            rest.append(mention)
            i = mention.end
            if joint:
                closed = len(rest)
                break
        rest = rest[:closed]
        return [] if rest and self._starts_clause(rest[-1]) else rest

    def _listed_before(self, last: Mention) -> list[Mention]:
        """Return a list of names that ends with `last`, up to a name that "by" or "of" governs."""
        found = [last]
        i = last.start - 1
        joint = i >= 0 and self.doc[i].lower_ in ("and", "&")
        if not joint:
            return found
        i -= 1
        comma = i >= 0 and self.doc[i].text == ","
        i -= comma
        while i >= 0:
            mention = self.mention(i)
            if mention is None or mention.end != i + 1:
                break
            before = self.doc[mention.start - 1] if mention.start else None
            if before is not None and before.lower_ in ("by", "of", "from", "to", "with"):
                break
            found.append(mention)
            i = mention.start - 1
            if before is None or before.text != ",":
                break
            i -= 1
        # "plays A, and B stars": a comma before "and" needs a longer list to be part of one.
        return [last] if comma and len(found) < 3 else found[::-1]

    def _starts_clause(self, mention: Mention) -> bool:
        """Whether a name is the subject of a verb of its own rather than the end of a list."""
        if mention.end >= len(self.doc):
            return False
        after = self.doc[mention.end]
        return after.tag_ in _FINITE and after.pos_ in ("VERB", "AUX")

    # Characters --------------------------------------------------------------------------------

    @cached_property
    def characters(self) -> frozenset[int]:
        """Starts of the mentions that name somebody in the story, not somebody who made it."""
        found: set[int] = set()
        for mention in self.mentions:
            if mention.start == 0 or self._acts(mention):
                continue
            i = mention.start - 1
            while i > 0 and (
                self.doc[i].pos_ in ("DET", "ADJ", "NOUN", "NUM", "PRON")
                and self.mention(i) is None
                and self.doc[i].lower_ not in ("who", "he", "she", "it", "opposite")
            ):
                i -= 1
            before = self.doc[i]
            passive = before.tag_ == "VBN" and self.is_passive(before)
            plays = self.lemma(before) in _CHARACTER_VERBS and not passive
            if before.lower_ == "as" or (plays and self.mention(i) is None):
                found.add(mention.start)
        return frozenset(found)

    def _acts(self, mention: Mention) -> bool:
        """Whether a verb of acting follows: then it is a player, whatever stands before."""
        if mention.end >= len(self.doc):
            return False
        after = self.doc[mention.end]
        acts = self.lemma(after) in _CHARACTER_VERBS or after.lower_ == "as"
        return acts or after.tag_ in _DETERMINERS
