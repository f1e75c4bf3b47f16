"""Semantic roles: how an entity may relate to the trigger of a rule, one function a role.

Each yields `(trigger, argument)`: the trigger word, and the mention that fills the role. A new
role is one function here and its name in `kgrec.schema.Rule.role`. Where a relation leads
from one entity to another, a function yields the mention of the head as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

from spacy.tokens import Token

from kgrec.schema import Rule
from kgrec.text.arguments import (
    acts_upon,
    authors,
    clause,
    fits,
    governor_word,
    governors,
    inside,
    makers,
    possessors,
    prepositions,
)
from kgrec.text.mentions import ITEM, Mention, Origin
from kgrec.text.view import TextView

_KEEP = frozenset(["compound", "amod", "nmod", "poss", "case", "punct", "npadvmod", "nummod"])
_LONGEST = 4


def phrases_at(view: TextView, token: Token) -> Iterator[Mention]:
    """Yield the phrase that a noun heads, and those coordinated to it, without articles.

    "the friendship between a boy and a dog" gives "friendship"; what follows the noun is
    left out, so that different texts yield the same entity.
    """
    for head in [token, *token.conjuncts]:
        if head.pos_ not in ("NOUN", "PROPN") or head.i < token.i:
            continue
        mention = view.mention(head.i)
        if mention is not None:
            if mention.type in view.reading.phrases:  # a phrase that the catalogue knows
                yield mention
            continue
        start = _start(view, head)
        lemma = head.lemma_.lower()
        empty = start == head.i or lemma in view.reading.item_nouns
        if empty and lemma in view.reading.not_phrases:
            yield from _within(view, head)
            continue
        if head.i - start < _LONGEST:
            yield Mention(start, head.i + 1, view.reading.phrases[0], Origin.RUN)


def _within(view: TextView, head: Token) -> Iterator[Mention]:
    """Yield the noun after "of" behind a noun without content: "a team of experts"."""
    for child in head.rights:
        if child.lower_ == "of":
            for token in child.rights:
                if token.dep_ == "pobj" and token.i != head.i:
                    yield from phrases_at(view, token)


def _start(view: TextView, head: Token) -> int:
    start = head.i
    while start > 0:
        before = view.doc[start - 1]
        joined = before.dep_ in _KEEP or before.tag_ in ("JJ", "NN", "HYPH", "VBN", "VBG")
        inside = before in head.subtree and view.mention(before.i) is None
        if not (joined and inside) or before.text in (",", ";") or before.tag_ in ("CD", "PRP$"):
            break
        start -= 1
    while start > 1 and view.doc[start - 1].text == "-":
        start -= 2
    while (view.doc[start].is_punct or view.doc[start].tag_ == "POS") and start < head.i:
        start += 1
    return start


Found = tuple[Token, Mention]
RoleFinder = Callable[[TextView, Rule, str], Iterator[Found]]


def agent(view: TextView, rule: Rule, kind: str) -> Iterator[Found]:
    """X directs it, it is directed by X, X wrote it with Y."""
    for verb in view.triggers(rule.verbs):
        if rule.themes and not acts_upon(view, verb, rule):
            continue
        if rule.unless and any(t.lemma_.lower() in rule.unless for t in clause(view, verb)):
            continue
        people = view.agents(verb)
        if people and rule.prepositions:
            people = [*people, *view.companions(verb)]
        for mention in people:
            if not rule.beside or _surely_present(verb, mention, kind):
                yield verb, mention


def _surely_present(verb: Token, mention: Mention, kind: str) -> bool:
    """Whether a weak rule may trust a verb: present tense for what actors play, not for makers."""
    if verb.lemma_.lower() != "be":
        return True
    return verb.tag_ in ("VBZ", "VBP") and mention.type == kind and len(mention) > 1


def patient(view: TextView, rule: Rule, kind: str) -> Iterator[Found]:
    """The film stars X, a film starring X, the cast includes X, it explores X."""
    for verb in view.triggers(rule.verbs):
        noun = verb.pos_ == "NOUN" and verb.tag_ == "NN"
        if noun or view.is_passive(verb) or view.is_of_another(verb):
            continue
        if rule.themes and not any(fits(view, t, rule) for t in view.subjects(verb)):
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
    for trigger in governors(view, rule):
        if not kind:
            yield from ((trigger, mention) for mention in _other_items(view, trigger, rule))
            continue
        for preposition in prepositions(view, trigger, rule, deep=not phrases):
            for token in (t for t in preposition.rights if t.dep_ in ("pobj", "pcomp")):
                if phrases:
                    for mention in phrases_at(view, token):
                        yield trigger, mention
                else:
                    for mention in inside(view, token):
                        yield trigger, mention


def _other_items(view: TextView, trigger: Token, rule: Rule) -> Iterator[Mention]:
    """Yield the titles of other items behind a trigger: "directed this sequel to X"."""
    before = view.doc[max(trigger.i - _LONGEST, trigger.sent.start) : trigger.i]
    if any(token.lemma_.lower() in view.reading.other_nouns for token in before):
        return  # "a sequel to his own remake of X"
    behind = trigger.nbor() if trigger.i + 1 < len(view.doc) else trigger
    # The parser may hang the preposition on the verb before.
    found = view.named_after(behind) if behind.lower_ in rule.prepositions else []
    for preposition in prepositions(view, trigger, rule, deep=True):
        for token in preposition.rights:
            if token.dep_ in ("pobj", "pcomp"):
                found += inside(view, token)
    for mention in found:
        made = view.doc[mention.start - 1].lower_ == "by"
        owns = mention.end < len(view.doc) and view.doc[mention.end].tag_ == "POS"
        if not made and not owns:
            yield mention


def author(view: TextView, rule: Rule, kind: str) -> Iterator[Found]:
    """Based on the novel by X, on X's novel, on characters created by X."""
    for trigger in governors(view, rule):
        works = [
            token
            for preposition in prepositions(view, trigger, rule, deep=True)
            for token in preposition.rights
            if token.dep_ in ("pobj", "pcomp")
        ]
        for work in works:
            words = {t.lemma_.lower() for t in (work, *work.children)}
            named = view.mention(work.i) is not None
            if not words & set(rule.unless) and (named or words & set(view.reading.work_nouns)):
                for mention in authors(view, work, frozenset(rule.themes)):
                    yield trigger, mention


def maker(view: TextView, rule: Rule, kind: str) -> Iterator[Found]:
    """A film by X, X's film, a score by X."""
    prepositions = rule.prepositions or ("by",)
    lemmas = {*rule.nouns, *(view.reading.item_nouns if ITEM in rule.nouns else ())}
    for noun in view.triggers(lemmas):
        if noun.pos_ not in ("NOUN", "PROPN", "ADJ"):
            continue
        lemma = noun.lemma_.lower()
        if lemma not in rule.nouns and (
            lemma in view.reading.story_nouns or not view.is_item(noun)
        ):
            continue
        if rule.themes and not {t.lemma_.lower() for t in noun.lefts} & set(rule.themes):
            continue
        behind = () if lemma in view.reading.adaptation_nouns else prepositions
        for mention in makers(view, noun, behind):
            yield noun, mention
    if ITEM in rule.nouns:
        yield from possessors(view)


def titled(view: TextView, rule: Rule, kind: str) -> Iterator[Found]:
    """By the director X; its director was X; X, the director."""
    for noun in view.triggers(rule.nouns):
        owned = noun.i > 0 and view.doc[noun.i - 1].tag_ == "PRP$"
        comma = owned and noun.i + 1 < len(view.doc) and noun.nbor().text == ","
        after = view.mention(noun.i + 1 + comma)
        if after is not None:
            governed = governor_word(view, noun)
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


ROLES: dict[str, RoleFinder] = {
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


Pair = tuple[Token, Mention, Mention]
"""The trigger, the head and the tail."""
PairFinder = Callable[[TextView, Rule, tuple[str, str]], Iterator[Pair]]


def subject(view: TextView, rule: Rule, kinds: tuple[str, str]) -> Iterator[Pair]:
    """X was born in Y; X, born in Y; X, a subsidiary of Y."""
    for trigger in view.triggers({*rule.verbs, *rule.nouns}):
        if trigger.lemma_.lower() in rule.verbs and trigger.pos_ in ("VERB", "AUX"):
            heads = view.subject_names(trigger)
        elif trigger.lemma_.lower() in rule.nouns and trigger.dep_ in ("appos", "attr"):
            tokens = [trigger.head] if trigger.dep_ == "appos" else view.subjects(trigger.head)
            heads = [mention for token in tokens for mention in view.names(token)]
        else:
            continue
        tails = [
            mention
            for child in trigger.rights
            if child.lower_ in rule.prepositions
            for mention in view.named_after(child)
        ]
        yield from ((trigger, head, tail) for head in heads for tail in tails[:1] if head != tail)


def credited(view: TextView, rule: Rule, kinds: tuple[str, str]) -> Iterator[Pair]:
    """The novel X by Y; Y's novel X; X by Y."""
    for noun in view.triggers(rule.nouns):
        head = view.mention(noun.i + 1)
        if head is not None and head.start == noun.i + 1:
            for tail in makers(view, noun, rule.prepositions):
                if tail != head:
                    yield noun, head, tail
    for head in view.mentions:
        behind = view.doc[head.end] if head.end < len(view.doc) else None
        if head.type == kinds[0] and behind is not None and behind.lower_ in rule.prepositions:
            for tail in view.named_after(behind):
                yield behind, head, tail


def appositive(view: TextView, rule: Rule, kinds: tuple[str, str]) -> Iterator[Pair]:
    """X, Y: a place and where it lies. A list, which ends with "and Z", is none."""
    i = 0
    while i < len(view.mentions):
        chain = [view.mentions[i]]
        while (after := _after_a(view, chain[-1], (",",))) is not None:
            chain.append(after)
        i += len(chain)
        same = all(mention.type in kinds for mention in chain)
        listed = _after_a(view, chain[-1], ("and", "or", "&")) is not None
        if same and not listed and len(chain) <= _PLACES:
            for head, tail in pairwise(chain):
                yield view.doc[head.end], head, tail


_PLACES = 3
"""Names in a row that are a place and where it lies; more are a list."""


def _after_a(view: TextView, mention: Mention, words: tuple[str, ...]) -> Mention | None:
    """Return the mention that one of these words alone parts from another, a comma beside it."""
    i = mention.end
    if i + 1 < len(view.doc) and view.doc[i].text == "," and "," not in words:
        i += 1
    if i + 1 >= len(view.doc) or view.doc[i].lower_ not in words:
        return None
    after = view.mention(i + 1)
    return after if after is not None and after.start == i + 1 else None


LINK_ROLES: dict[str, PairFinder] = {
    "subject": subject,
    "credited": credited,
    "appositive": appositive,
}
