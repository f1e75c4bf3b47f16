"""The names that words of a text refer to: in lists, after prepositions, and for the item."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from spacy.tokens import Doc, Token

from kgrec.schema import Reading
from kgrec.text.mentions import ITEM, Mention

FINITE = frozenset(["VBZ", "VBP", "VBD", "MD"])
_YEAR = re.compile(r"(?:18|19|20)\d\d")


class NameView:
    """One text and its mentions.

    Args:
        doc: parsed and tagged.
        mentions: in order, none overlapping another.
        reading: the domain's words.
    """

    def __init__(self, doc: Doc, mentions: tuple[Mention, ...], reading: Reading) -> None:
        self.doc = doc
        self.mentions = mentions
        self.reading = reading
        self._at: dict[int, int] = {
            i: index for index, m in enumerate(mentions) for i in range(m.start, m.end)
        }
        self._places: dict[str, list[int]] = defaultdict(list)
        for token in doc:
            if token.i not in self._at:
                self._places[token.lemma_.lower()].append(token.i)

    def text(self, mention: Mention) -> str:
        return self.doc[mention.start : mention.end].text

    def mention(self, i: int) -> Mention | None:
        """Return the mention that covers token `i`."""
        index = self._at.get(i)
        return None if index is None else self.mentions[index]

    def lemma(self, token: Token) -> str:
        return token.lemma_.lower()

    def triggers(self, lemmas: Iterable[str]) -> Iterator[Token]:
        """Yield the tokens outside names whose lemma is one of these, in order."""
        places = sorted(i for lemma in set(lemmas) for i in self._places.get(lemma, ()))
        return (self.doc[i] for i in places)

    def named_after(self, preposition: Token) -> list[Mention]:
        """Return the names that a preposition governs."""
        direct = self.mention(preposition.i + 1) if preposition.i + 1 < len(self.doc) else None
        if direct is not None and not self._modifies(direct):
            return [direct, *self.listed_after(direct)]
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
        for mention in self.listed_after(head):
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
        """Return the name within a few words after a preposition without an object in the parse."""
        for i in range(preposition.i + 1, min(preposition.i + 5, len(self.doc))):
            mention = self.mention(i)
            if mention is not None:
                names = [mention, *self.listed_after(mention)]
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

    def listed_after(self, first: Mention) -> list[Mention]:
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
                # "directed by A, and B stars": a comma before "and" needs a longer list.
                closed = len(rest) if len(rest) > 1 or not comma else 0
                break
        rest = rest[:closed]
        return [] if rest and self._starts_clause(rest[-1]) else rest

    def listed_before(self, last: Mention) -> list[Mention]:
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
        return after.tag_ in FINITE and after.pos_ in ("VERB", "AUX")


class ItemView(NameView):
    """One text, its mentions, and which of its words stand for the item.

    Args:
        title: the item's own title, empty when there is none.
    """

    def __init__(
        self, doc: Doc, mentions: tuple[Mention, ...], reading: Reading, title: str
    ) -> None:
        super().__init__(doc, mentions, reading)
        self._title = frozenset(w for w in re.findall(r"\w+", title.lower()) if len(w) > 2)
        self._items = frozenset(reading.item_nouns)
        self._others = frozenset(reading.other_nouns)

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
        vague = token.pos_ in ("ADJ", "NUM", "DET", "VERB")
        return vague or any(self.is_item(c) for c in token.lefts) or self._within_item(token)

    def is_of_another(self, verb: Token) -> bool:
        """Whether a verb belongs to another work: "a remake of the 1956 film starring X"."""
        return (
            verb.dep_ == "acl"
            and self.lemma(verb.head) in self._items
            and self._is_other(verb.head)
        )

    def _within_item(self, token: Token) -> bool:
        """Whether a noun depends on one for the item: "a comedy about bowling directed by"."""
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
