"""The position of a rule's trigger in its sentence, and the words that may fill its arguments."""

from __future__ import annotations

from collections.abc import Iterator

from spacy.tokens import Token

from kgrec.schema import Rule
from kgrec.text.mentions import ITEM, Mention
from kgrec.text.view import TextView

_CLAUSE = 12
"""Length of the window, in words, that is searched behind a verb."""


def acts_upon(view: TextView, verb: Token, rule: Rule) -> bool:
    """Whether the verb's object is one of a rule's themes; true where the text leaves it open."""
    theme = view.theme(verb)
    if ITEM in rule.themes and view.may_be_item(theme):
        return True
    if theme is not None and fits(view, theme, rule):
        return True
    if theme is not None and view.is_passive(verb):
        return False
    wanted = set(rule.themes) - {ITEM}
    return bool(wanted) and any(t.lemma_.lower() in wanted for t in clause(view, verb))


def clause(view: TextView, verb: Token) -> Iterator[Token]:
    """Yield the words behind a verb up to the next clause."""
    for token in view.doc[verb.i + 1 : verb.i + _CLAUSE]:
        if token.is_punct or token.tag_ in ("WP", "WDT", "WRB"):
            return
        if view.mention(token.i) is None:
            yield token


def possessors(view: TextView) -> Iterator[tuple[Token, Mention]]:
    """Yield whose film a title is: "X's epic Lawrence of Arabia"."""
    for title in view.mentions:
        if title.type != ITEM:
            continue
        i = title.start - 1
        while i > 0 and view.doc[i].pos_ in ("NOUN", "ADJ") and view.mention(i) is None:
            i -= 1
        between = {t.lemma_.lower() for t in view.doc[i + 1 : title.start]}
        if between & set(view.reading.work_nouns) - set(view.reading.item_nouns):
            continue
        maker = view.mention(i - 1) if i > 0 and view.doc[i].tag_ == "POS" else None
        if maker is not None and maker.end == i:
            yield view.doc[title.start], maker


def fits(view: TextView, token: Token, rule: Rule) -> bool:
    """Whether a word is one of a rule's themes."""
    if ITEM in rule.themes and view.is_item(token):
        return True
    return view.mention(token.i) is None and token.lemma_.lower() in rule.themes


def governors(view: TextView, rule: Rule) -> Iterator[Token]:
    """Yield the triggers of a rule whose clause is about the item."""
    nouns = {*rule.nouns, *(view.reading.item_nouns if ITEM in rule.nouns else ())}
    for token in view.triggers({*rule.verbs, *nouns}):
        lemma = token.lemma_.lower()
        if token.pos_ in ("VERB", "AUX") or (token.tag_ == "VBN" and lemma in rule.verbs):
            if lemma in rule.verbs and _about_item(view, token, rule):
                yield token
        elif lemma in nouns and (lemma in rule.nouns or view.is_item(token)):
            yield token


def _about_item(view: TextView, verb: Token, rule: Rule) -> bool:
    """Whether the item is an argument of the verb, as far as the parse shows."""
    if view.is_passive(verb) or verb.tag_ == "VBN":
        theme = view.theme(verb)
        if theme is None or view.is_item(theme):
            return True
        return view.mention(theme.i) is not None or _is_story_word(view, theme)
    if any(view.is_item(t) for t in view.objects(verb)):
        return True
    subjects = view.subjects(verb)
    if not subjects and verb.tag_ == "VBD":
        return True
    return any(
        view.is_item(t) or _is_story_word(view, t) or t.lemma_.lower() in rule.nouns
        for t in subjects
    )


def _is_story_word(view: TextView, token: Token) -> bool:
    """Whether a word stands for the item's story ("the plot", "the action") or is "which"."""
    return token.lemma_.lower() in view.reading.story_nouns or token.tag_ == "WDT"


def prepositions(view: TextView, trigger: Token, rule: Rule, *, deep: bool) -> Iterator[Token]:
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
    """Whether a comma separates a title from a noun: "the novel by X, Jaws stars Y"."""
    return any(t.text == "," for t in view.doc[token.i : mention.start])


def inside(view: TextView, token: Token) -> Iterator[Mention]:
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
        if (
            mention is not None
            and mention.end < len(view.doc)
            and view.doc[mention.end].text == "-"
        ):
            continue
        if mention is not None and mention.start not in seen:
            seen.add(mention.start)
            yield mention


def makers(view: TextView, noun: Token, prepositions: tuple[str, ...]) -> Iterator[Mention]:
    """Yield the makers of what a noun names: "by X" behind it, "X's" before it."""
    for child in noun.children:
        if child.dep_ == "poss" and (owner := view.mention(child.i)) is not None:
            yield owner
        behind = child.lower_ in prepositions and child.i > noun.i
        if behind and child.dep_ in ("prep", "agent") and not view.belongs_to_noun(child, noun):
            yield from view.named_after(child)
    if noun.dep_ == "nsubj" and noun.head.lemma_.lower() == "be":
        for child in noun.head.rights:
            if child.lower_ in prepositions and child.dep_ == "prep":
                yield from view.named_after(child)
    yield from _named_behind(view, noun, prepositions)


def _named_behind(view: TextView, noun: Token, prepositions: tuple[str, ...]) -> Iterator[Mention]:
    """Yield the names after "by" behind a noun and its title, wherever the parse attaches it."""
    follower = noun.i + 1
    title = view.mention(follower) if follower < len(view.doc) else None
    if title is not None:
        follower = title.end
    if follower < len(view.doc) and view.doc[follower].lower_ in prepositions:
        yield from view.named_after(view.doc[follower])


def authors(view: TextView, noun: Token, makes: frozenset[str]) -> Iterator[Mention]:
    """Yield the makers named anywhere in the phrase of a work: "characters created by X"."""
    for token in noun.subtree:
        if token.dep_ in ("poss", "compound"):
            yield from _owner(view, token, noun)
        elif token.lower_ == "by" and token.dep_ in ("prep", "agent"):
            verb = token.head.pos_ == "VERB" and token.i - 1 != noun.i
            made = not verb or token.head.lemma_.lower() in makes
            if made and not view.is_item(token.head):
                yield from view.named_after(token)
    yield from _named_behind(view, noun, ("by",))


def _owner(view: TextView, token: Token, noun: Token) -> Iterator[Mention]:
    """Yield the owner of a work: a possessive, or a person's name before the noun."""
    owner = view.mention(token.i)
    if owner is None or owner.start <= noun.i < owner.end:
        return
    if token.dep_ == "poss" or owner.type == view.reading.ner.get("PERSON"):
        yield owner


def governor_word(view: TextView, noun: Token) -> str:
    """Return the preposition that governs a noun's phrase; empty when it is a subject."""
    node = noun
    while node.dep_ in ("compound", "appos", "nmod", "amod") and node.head.i != node.i:
        node = node.head
    if node.dep_ in ("pobj",):
        return str(node.head.lower_)
    return "" if node.dep_ in ("nsubj", "ROOT", "conj") else str(node.dep_)


def describes_item(view: TextView, root: Token) -> bool:
    """Whether a term is a word for the item or stands before one: "a horror comedy"."""
    node = root
    while True:
        if view.mention(node.i) is None and view.is_item(node):
            relative_verbs = (a for a in node.ancestors if a.dep_ == "relcl")
            return all(view.is_item(verb.head) for verb in relative_verbs)
        if node.dep_ not in ("compound", "amod", "nmod") or node.head.i == node.i:
            return False
        node = node.head
