"""Which words of a text stand for the item that it describes."""

from __future__ import annotations

import re

from spacy.tokens import Doc, Token

from kgrec.schema import Reading
from kgrec.text.mentions import ITEM, Mention
from kgrec.text.name_parts import NameView

_YEAR = re.compile(r"(?:18|19|20)\d\d")


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
        """Whether a verb is said of another work: "a remake of the 1956 film starring X"."""
        return (
            verb.dep_ == "acl"
            and self.lemma(verb.head) in self._items
            and self._is_other(verb.head)
        )

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
