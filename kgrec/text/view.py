"""A parsed text as the rules read it: agents, objects and referents of its verbs.

The dependency parse is used first. Where small parsers often fail (lists of names, "wrote and
directed", a relative clause before the verb), the words next to the verb are used.
"""

from __future__ import annotations

from functools import cached_property

from spacy.tokens import Token

from kgrec.text.mentions import ITEM, Mention
from kgrec.text.name_parts import ItemView

_SUBJECTS = frozenset(["nsubj", "csubj"])
_PASSIVE_SUBJECTS = frozenset(["nsubjpass", "csubjpass"])
_OBJECTS = frozenset(["dobj", "attr", "oprd", "dative"])
_DETERMINERS = frozenset(["DT", "PRP$", "CD"])
_ADVERBS = frozenset(
    ["also", "again", "both", "respectively", "then", "each", "himself", "herself"]
)


class TextView(ItemView):
    """One text, with the queries that rules make on it."""

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
        """Return the agents of a verb, from the parse and from the words next to it."""
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
        """Return the companions of a verb's agent ("wrote it with X")."""
        withs = [
            child
            for node in [verb, *(c for c in verb.rights if c.dep_ in _OBJECTS)]
            for child in node.rights
            if child.lower_ in ("with", "alongside") and self.doc[child.i - 1].text != ","
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
            if self.is_passive(over):
                return [self.antecedent(c) for c in over.lefts if c.dep_ in _PASSIVE_SUBJECTS]
            return self.subjects(over)
        return []

    def subject_names(self, verb: Token) -> list[Mention]:
        """Return the names in the subject of a verb, also of a passive or participle."""
        if not self.is_passive(verb):
            tokens = self.subjects(verb)
        else:
            over = verb.head if verb.dep_ == "conj" else verb
            tokens = [c for c in (*verb.lefts, *over.lefts) if c.dep_ in _PASSIVE_SUBJECTS]
            if not tokens and verb.dep_ == "acl":
                tokens = [verb.head]
        if any(t.lower_ in ("he", "she") for t in tokens):
            return self._referent(verb)
        return [m for t in tokens for m in self.names(self.antecedent(t))]

    def objects(self, verb: Token) -> list[Token]:
        """Return the objects of an active verb, or of a coordinated verb where it has none."""
        own = [c for c in verb.children if c.dep_ in _OBJECTS]
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
        if not linked or any(c.dep_ in _SUBJECTS for c in linked[0].lefts):
            return []
        return self.objects(linked[0])

    def theme(self, verb: Token) -> Token | None:
        """Return the theme of a verb: its object, or the subject of a passive."""
        if not self.is_passive(verb):
            return self._active_theme(verb)
        first = min([verb.i, *(c.i for c in verb.lefts if c.dep_ in ("aux", "auxpass"))])
        beside = self.mention(first - 1) if first else None
        if beside is not None and beside.type == ITEM:
            return self.doc[beside.start]
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
        shared = self._shared_by(verb)
        if shared is not None:
            return self.named_after(shared)
        linked = [c for c in verb.rights if c.dep_ == "conj" and c.tag_ == "VBN"]
        if not linked or {"by", "from"} & {t.lower_ for t in self.doc[verb.i + 1 : linked[0].i]}:
            return []
        return self._passive_agents(linked[0])

    def _shared_by(self, verb: Token) -> Token | None:
        """Return the "by" that several participles share: "written, produced and directed by"."""
        for token in self.doc[verb.i + 1 :]:
            if token.lower_ == "by":
                return None if token.i == verb.i + 1 else token
            joins = token.lower_ in (",", "and") or token.tag_ in ("VBN", "VBD", "RB")
            if not joins:
                return None
        return None

    def _by_after(self, verb: Token) -> Token | None:
        inflected = verb.tag_ in ("VBN", "VBD") or verb.lower_.endswith(("ed", "en"))
        if inflected and verb.i + 1 < len(self.doc) and self.doc[verb.i + 1].lower_ == "by":
            return self.doc[verb.i + 1]
        return None

    def belongs_to_noun(self, by: Token, noun: Token | None = None) -> bool:
        """Whether "by X" directly follows a work's noun or title, so that X is its maker.

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
        return self.lemma(before) in (*self.reading.work_nouns, *self.reading.story_nouns)

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
        return self.listed_before(mention)

    def _referent(self, verb: Token) -> list[Mention]:
        """Return the referent of "he" or "she": the only name, or the one that opens a sentence.

        The sentence before is searched, and the part of the same sentence before the verb.
        """
        begin = self.doc[verb.sent.start - 1].sent.start if verb.sent.start else 0
        people = self.reading.ner.get("PERSON")
        near = [
            m
            for m in self.mentions
            if begin <= m.start < verb.i and m.type == people and m.start not in self.characters
        ]
        opening = [m for m in near if m.start in (begin, verb.sent.start)]
        return opening[-1:] or (near if len(near) == 1 else [])

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
        listed = [first, *self.listed_after(first)]
        acts = after.pos_ == "VERB" or after.tag_ == "NNS" or after.lower_ in ("and", ",")
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

    @cached_property
    def characters(self) -> frozenset[int]:
        """Start tokens of the mentions that name characters of the story, not its makers."""
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
            plays = self.lemma(before) in self.reading.character_verbs and not passive
            if before.lower_ == "as" or (plays and self.mention(i) is None):
                found.add(mention.start)
        return frozenset(found)

    def _acts(self, mention: Mention) -> bool:
        """Whether a verb of acting follows, which marks an actor whatever precedes the name."""
        if mention.end >= len(self.doc):
            return False
        after = self.doc[mention.end]
        acts = self.lemma(after) in self.reading.character_verbs or after.lower_ == "as"
        return acts or after.tag_ in _DETERMINERS
