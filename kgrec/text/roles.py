"""The parts that an entity may play beside a rule's trigger, one function a part.

Each yields `(trigger, argument)`: the word that triggered, and the mention that fills the part.
A new part is one function here and its name in `kgrec.schema.Rule.role`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from spacy.tokens import Token

from kgrec.schema import Rule
from kgrec.text.mentions import ITEM, Mention, Origin
from kgrec.text.phrases import phrases_at
from kgrec.text.view import TextView

Found = tuple[Token, Mention]
Role = Callable[[TextView, Rule, str], Iterator[Found]]

_WRITTEN = frozenset(["adaptation", "version", "dramatization", "dramatisation"])
"""Nouns for the item whose maker is named before them, and behind them its writer."""
_CLAUSE = 12
_TOLD = frozenset(["story", "tale", "script", "screenplay"])
"""Nouns for the item as something told: who made them is its writer."""


def agent(view: TextView, rule: Rule, kind: str) -> Iterator[Found]:
    """X directs it, it is directed by X, X wrote it with Y."""
    for verb in view.triggers(rule.verbs):
        if rule.themes and not _acts_upon(view, verb, rule):
            continue
        if rule.unless and any(t.lemma_.lower() in rule.unless for t in _clause(view, verb)):
            continue
        people = view.agents(verb)
        if people and rule.prepositions:
            people = [*people, *view.companions(verb)]
        for mention in people:
            if not rule.beside or _surely_present(verb, mention, kind):
                yield verb, mention


def _surely_present(verb: Token, mention: Mention, kind: str) -> bool:
    """Whether a weak rule may trust a verb: players are told of in the present, makers are not."""
    if verb.lemma_.lower() != "be":
        return True
    return verb.tag_ in ("VBZ", "VBP") and mention.type == kind and len(mention) > 1


def patient(view: TextView, rule: Rule, kind: str) -> Iterator[Found]:
    """The film stars X, a film starring X, the cast includes X, it explores X."""
    for verb in view.triggers(rule.verbs):
        noun = verb.pos_ == "NOUN" and verb.tag_ == "NN"
        if noun or view.is_passive(verb):
            continue
        if rule.themes and not any(_fits(view, t, rule) for t in view.subjects(verb)):
            continue
        if kind in view.reading.phrases:
            for token in view.objects(verb):
                for mention in phrases_at(view, token):
                    yield verb, mention
            continue
        direct = view.mention(verb.i + 1) if verb.i + 1 < len(view.doc) else None
        targets = view.names(view.doc[verb.i + 1]) if direct else []
        if not direct:
            own = [c for c in verb.rights if c.dep_ in ("dobj", "attr")]
            targets = [m for token in own for m in view.names(token)]
        for mention in targets:
            yield verb, mention


def prep(view: TextView, rule: Rule, kind: str) -> Iterator[Found]:
    """It is set in X, based on X, an adaptation of X, a film about X."""
    phrases = kind in view.reading.phrases
    for trigger in _governors(view, rule):
        for preposition in _prepositions(view, trigger, rule, deep=not phrases):
            for token in (t for t in preposition.rights if t.dep_ in ("pobj", "pcomp")):
                if phrases:
                    for mention in phrases_at(view, token):
                        yield trigger, mention
                else:
                    for mention in _inside(view, token):
                        yield trigger, mention


def author(view: TextView, rule: Rule, kind: str) -> Iterator[Found]:
    """Based on the novel by X, on X's novel, on characters created by X."""
    for trigger in _governors(view, rule):
        for preposition in _prepositions(view, trigger, rule, deep=True):
            for token in (t for t in preposition.rights if t.dep_ in ("pobj", "pcomp")):
                for mention in _authors(view, token, frozenset(rule.themes)):
                    yield trigger, mention


def maker(view: TextView, rule: Rule, kind: str) -> Iterator[Found]:
    """A film by X, X's film, a score by X."""
    prepositions = rule.prepositions or ("by",)
    lemmas = {*rule.nouns, *(view.reading.item_nouns if ITEM in rule.nouns else ())}
    for noun in view.triggers(lemmas):
        if noun.pos_ not in ("NOUN", "PROPN", "ADJ"):
            continue
        lemma = noun.lemma_.lower()
        if lemma not in rule.nouns and (lemma in _TOLD or not view.is_item(noun)):
            continue
        if rule.themes and not {t.lemma_.lower() for t in noun.lefts} & set(rule.themes):
            continue
        behind = () if lemma in _WRITTEN else prepositions
        for mention in _makers(view, noun, behind):
            yield noun, mention
    if ITEM in rule.nouns:
        yield from _possessors(view)


def titled(view: TextView, rule: Rule, kind: str) -> Iterator[Found]:
    """By the director X; its director was X; X, the director."""
    for noun in view.triggers(rule.nouns):
        owned = noun.i > 0 and view.doc[noun.i - 1].tag_ == "PRP$"
        comma = owned and noun.i + 1 < len(view.doc) and noun.nbor().text == ","
        after = view.mention(noun.i + 1 + comma)
        if after is not None:
            governed = _governor_word(view, noun)
            if governed in ("by", "from", "of", ""):
                for mention in view.names(view.doc[after.start]):
                    yield noun, mention
        elif noun.dep_ == "attr":
            for token in view.subjects(noun.head):
                for mention in view.names(token):
                    yield noun, mention


def companion(view: TextView, rule: Rule, kind: str) -> Iterator[Found]:
    """With X as her father, opposite X, along with X and Y."""
    for token in view.doc:
        if token.lower_ in rule.prepositions and view.mention(token.i + 1) is not None:
            if _verb_before(view, token) in rule.unless:
                continue
            people = view.names(view.doc[token.i + 1])
            if rule.themes and not _followed_by(view, people, rule.themes):
                continue
            for mention in people:
                yield token, mention


def _followed_by(view: TextView, people: list[Mention], words: tuple[str, ...]) -> bool:
    """Whether one of these words stands behind one of the names: "with X and Y as the twins"."""
    ends = [m.end for m in people if m.end < len(view.doc)]
    return any(view.doc[end].lower_ in words for end in ends)


def _verb_before(view: TextView, preposition: Token) -> str:
    """Return the lemma of the verb before a preposition in its clause, empty past a comma."""
    for i in range(preposition.i - 1, preposition.sent.start - 1, -1):
        token = view.doc[i]
        if token.text == ",":
            return ""
        verb = token.pos_ == "VERB" or (i == preposition.i - 1 and token.tag_ == "NNS")
        if verb and view.mention(i) is None:
            return str(token.lemma_).lower()
    return ""


def elliptic(view: TextView, rule: Rule, kind: str) -> Iterator[Found]:
    """A plays the sheriff and X the outlaw: the verb is left out."""
    for mention in view.mentions:
        if mention.start == 0 or mention.end >= len(view.doc):
            continue
        before, after = view.doc[mention.start - 1], view.doc[mention.end]
        opens = before.lower_ == "and" or before.text in (",", ";")
        if opens and (after.tag_ in ("DT", "PRP$") or after.lower_ in ("as", "that")):
            yield after, mention


def embodied(view: TextView, rule: Rule, kind: str) -> Iterator[Found]:
    """X's Captain Kirk faces an enemy: a player and a character."""
    for mention in view.mentions:
        if mention.end + 1 >= len(view.doc) or view.doc[mention.end].tag_ != "POS":
            continue
        character = view.mention(mention.end + 1)
        if character is None or character.start != mention.end + 1 or character.type == ITEM:
            continue
        root = view.doc[character.start : character.end].root
        if view.is_item(root) or root.dep_ != "nsubj" or root.head.tag_ not in ("VBZ", "VBP"):
            continue
        if character.type != kind and character.origin > Origin.NER:
            continue
        if mention.type in (None, kind):
            yield view.doc[mention.end], mention


ROLES: dict[str, Role] = {
    "agent": agent,
    "patient": patient,
    "prep": prep,
    "maker": maker,
    "titled": titled,
    "companion": companion,
    "elliptic": elliptic,
    "embodied": embodied,
    "author": author,
}


def _acts_upon(view: TextView, verb: Token, rule: Rule) -> bool:
    theme = view.theme(verb)
    if ITEM in rule.themes and view.may_be_item(theme):
        return True
    if theme is not None and _fits(view, theme, rule):
        return True
    if theme is not None and view.is_passive(verb):
        return False
    wanted = set(rule.themes) - {ITEM}
    return bool(wanted) and any(t.lemma_.lower() in wanted for t in _clause(view, verb))


def _clause(view: TextView, verb: Token) -> Iterator[Token]:
    """Yield the words behind a verb up to the next clause."""
    for token in view.doc[verb.i + 1 : verb.i + _CLAUSE]:
        if token.is_punct or token.tag_ in ("WP", "WDT", "WRB"):
            return
        if view.mention(token.i) is None:
            yield token


def _possessors(view: TextView) -> Iterator[Found]:
    """Yield whose film a title is: "X's epic Lawrence of Arabia"."""
    for title in view.mentions:
        if title.type != ITEM:
            continue
        i = title.start - 1
        while i > 0 and view.doc[i].pos_ in ("NOUN", "ADJ") and view.mention(i) is None:
            i -= 1
        maker = view.mention(i - 1) if i > 0 and view.doc[i].tag_ == "POS" else None
        if maker is not None and maker.end == i:
            yield view.doc[title.start], maker


def _fits(view: TextView, token: Token, rule: Rule) -> bool:
    if ITEM in rule.themes and view.is_item(token):
        return True
    return view.mention(token.i) is None and token.lemma_.lower() in rule.themes


def _governors(view: TextView, rule: Rule) -> Iterator[Token]:
    nouns = {*rule.nouns, *(view.reading.item_nouns if ITEM in rule.nouns else ())}
    for token in view.triggers({*rule.verbs, *nouns}):
        lemma = token.lemma_.lower()
        if token.pos_ in ("VERB", "AUX") or (token.tag_ == "VBN" and lemma in rule.verbs):
            if lemma in rule.verbs and _about_item(view, token, rule):
                yield token
        elif lemma in nouns and (lemma in rule.nouns or view.is_item(token)):
            yield token


def _about_item(view: TextView, verb: Token, rule: Rule) -> bool:
    """Whether the item is what the verb is said of, as far as the text tells."""
    if view.is_passive(verb) or verb.tag_ == "VBN":
        theme = view.theme(verb)
        if theme is None or view.is_item(theme):
            return True
        return view.mention(theme.i) is not None or theme.lemma_.lower() in _VAGUE
    subjects = view.subjects(verb)
    if not subjects and verb.tag_ == "VBD":
        return True
    return any(view.is_item(t) or t.lemma_.lower() in (*_VAGUE, *rule.nouns) for t in subjects)


_VAGUE = frozenset(["story", "action", "plot", "screenplay", "script", "which", "that", "setting"])


def _prepositions(view: TextView, trigger: Token, rule: Rule, *, deep: bool) -> Iterator[Token]:
    """Yield the prepositions behind a trigger, if `deep` those behind its objects too."""
    if not deep:
        yield from (c for c in trigger.rights if c.lower_ in rule.prepositions)
        return
    queue = [trigger]
    while queue:
        for child in queue.pop().rights:
            if child.dep_ in ("prep", "agent") and child.lower_ in rule.prepositions:
                yield child
            if child.dep_ in ("prep", "agent", "pobj", "dobj", "npadvmod", "prt", "advmod", "conj"):
                if child.dep_ == "conj" and child.pos_ in ("VERB", "AUX"):
                    continue
                queue.append(child)


def _after_comma(view: TextView, token: Token, mention: Mention) -> bool:
    """Whether a comma parts a title from a noun: "the novel by X, Jaws stars Y"."""
    return any(t.text == "," for t in view.doc[token.i : mention.start])


def _inside(view: TextView, token: Token) -> Iterator[Mention]:
    """Yield the mentions within the phrase of a noun, clauses left out."""
    start, end = token.i, token.i
    stack = [token]
    while stack:
        node = stack.pop()
        start, end = min(start, node.i), max(end, node.i)
        stack.extend(
            c for c in node.children if c.dep_ not in ("relcl", "acl", "advcl", "punct", "cc")
        )
    seen = set()
    for i in range(start, end + 1):
        mention = view.mention(i)
        if mention is not None and mention.type == ITEM and _after_comma(view, token, mention):
            continue
        if mention is not None and mention.start not in seen:
            seen.add(mention.start)
            yield mention


def _makers(view: TextView, noun: Token, prepositions: tuple[str, ...]) -> Iterator[Mention]:
    """Yield who made what a noun names: "by X" behind it, "X's" before it."""
    for child in noun.children:
        if child.dep_ == "poss" and (owner := view.mention(child.i)) is not None:
            yield owner
        behind = child.lower_ in prepositions and child.i > noun.i
        if behind and child.dep_ in ("prep", "agent") and not view.belongs_to_noun(child, noun):
            yield from view.named_after(child)
    yield from _named_behind(view, noun, prepositions)


def _named_behind(view: TextView, noun: Token, prepositions: tuple[str, ...]) -> Iterator[Mention]:
    """Yield whom "by" names behind a noun and its title, whatever the parse hangs it on."""
    follower = noun.i + 1
    title = view.mention(follower) if follower < len(view.doc) else None
    if title is not None:
        follower = title.end
    if follower < len(view.doc) and view.doc[follower].lower_ in prepositions:
        yield from view.named_after(view.doc[follower])


def _authors(view: TextView, noun: Token, makes: frozenset[str]) -> Iterator[Mention]:
    """Yield whom a work's whole phrase names as its maker: "characters created by X"."""
    for token in noun.subtree:
        if token.dep_ == "poss" and (owner := view.mention(token.i)) is not None:
            yield owner
        if token.lower_ != "by" or token.dep_ not in ("prep", "agent"):
            continue
        made = (
            token.head.pos_ != "VERB" or token.i - 1 == noun.i or token.head.lemma_.lower() in makes
        )
        if made and not view.is_item(token.head):
            yield from view.named_after(token)
    yield from _named_behind(view, noun, ("by",))


def _governor_word(view: TextView, noun: Token) -> str:
    """Return the preposition that governs a noun's phrase; empty when it is a subject."""
    node = noun
    while node.dep_ in ("compound", "appos", "nmod", "amod") and node.head.i != node.i:
        node = node.head
    if node.dep_ in ("pobj",):
        return str(node.head.lower_)
    return "" if node.dep_ in ("nsubj", "ROOT", "conj") else str(node.dep_)
