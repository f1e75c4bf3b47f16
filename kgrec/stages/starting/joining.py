"""What the files of a pipeline are to each other: interactions and the items that they name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from kgrec.data.guesses import ID_WORDS, snake, words
from kgrec.schema import Domain
from kgrec.stages.starting.deciding import (
    Guess,
    GuessedSource,
    LeftOut,
    kind_of,
    planned,
    with_article,
    with_kind,
)
from kgrec.stages.starting.long_form import one_value_a_row
from kgrec.stages.starting.looking import LookedAt, forms
from kgrec.stages.starting.naming import words_of

_KNOWN_ITEMS = 0.9
_LEAST_ITEMS = 10
"""Different items that a column must name which is not called like them."""


def sources_of(
    files: Sequence[LookedAt], domain: Domain
) -> tuple[list[GuessedSource], list[LeftOut]]:
    """Return the sources of a pipeline, in the order in which they must be loaded."""
    found: list[GuessedSource] = []
    left: dict[str, tuple[LookedAt, LeftOut]] = {}
    for file in files:
        kind = kind_of(file, domain)
        if isinstance(kind, LeftOut):
            left[str(file.path)] = file, kind
            continue
        name, plan, why = kind
        given = {role: one.column for role, one in plan.roles.items() if not one.guessed}
        guesses = (Guess("kind", name, why), *_form(file))
        found.append(GuessedSource(file, name, plan, {"columns": given} if given else {}, guesses))
    order = {"catalog": 0, "entities": 1, "users": 2, "relations": 3, "interactions": 4}
    found.sort(key=lambda one: (order[one.kind], "title" not in one.plan.roles))
    catalogs = [one for one in found if one.kind == "catalog"]
    done = [one for one in found if one.kind == "interactions"]
    for path, (file, _) in list(left.items()):
        if planned(file, "interactions", domain) is not None:
            continue  # left out for another reason
        if (joined := _by_catalog(file, catalogs, domain)) is not None:
            done.append(joined)
            del left[path]
    catalogs = [_with_key(one, done, domain) for one in catalogs]
    catalogs = [_with_lists(with_article(one), domain) for one in catalogs]
    users = [one for one in found if one.kind == "users"]
    facts, done = _of_one_value(catalogs, users, done, left, domain)
    done = [with_kind(_with_items(one, catalogs, domain), domain) for one in done]
    return [*catalogs, *facts, *users, *done], [why for _, why in left.values()]


def _of_one_value(
    catalogs: Sequence[GuessedSource],
    users: Sequence[GuessedSource],
    done: Sequence[GuessedSource],
    left: dict[str, tuple[LookedAt, LeftOut]],
    domain: Domain,
) -> tuple[list[GuessedSource], list[GuessedSource]]:
    """Return tables of one value a row, and the interactions without those that are such tables.

    What is used of the files that were left out is removed from `left`.
    """
    titled = [one for one in catalogs if "title" in one.plan.roles]
    others = [file for file, _ in left.values()] + [one.file for one in users]
    facts, kept = list[GuessedSource](), list[GuessedSource]()
    used = set[str]()
    for file, _ in list(left.values()):
        also = planned(file, "interactions", domain)
        who = () if also is None else (also.roles["user_id"].column,)
        rest = [one for one in others if one is not file]
        if (found := one_value_a_row(file, titled, rest, domain, who)) is not None:
            facts.append(found[0])
            used |= {str(one.path) for one in (file, *found[1])}
    for one in done:
        facted = None
        if not {"value", "kind"} & one.plan.roles.keys():
            who = (one.plan.roles["user_id"].column,)
            facted = one_value_a_row(one.file, titled, others, domain, who)
        if facted is None or not _vary(facted[0]):
            kept.append(one)
            continue
        facts.append(facted[0])
        used |= {str(each.path) for each in facted[1]}
    for path in used:
        left.pop(path, None)
    return facts, kept


def _vary(facts: GuessedSource) -> bool:
    """Return whether items have several values, as those of tags and unlike those of a category."""
    joins = {one["take"][0]: one["on"] for one in facts.settings.get("joins", ())}
    item = facts.settings["columns"]["item_id"]
    return any(
        (facts.file.varying(joins.get(item, item), joins.get(one.column, one.column)) or 0) > 0.5
        for one in facts.plan.relations
    )


def _form(file: LookedAt) -> Iterator[Guess]:
    for note in file.notes:
        yield Guess("encoding", file.table.layout.encoding, note)


def _with_lists(catalog: GuessedSource, domain: Domain) -> GuessedSource:
    """Cut the columns at spaces that the line of names types as lists."""
    spaced: dict[str, list[str]] = {}
    for one in catalog.plan.relations:
        if one.column in catalog.file.spaced and one.separator is None:
            spaced.setdefault(one.relation, []).append(f"{one.column}: ")
    if not spaced:
        return catalog
    settings = {**catalog.settings, "relations": {name: spaced[name] for name in spaced}}
    plan = planned(catalog.file, "catalog", domain, **settings)
    if plan is None:
        return catalog
    guesses = [Guess("relations", ", ".join(v), "typed as token_seq") for v in spaced.values()]
    return replace(catalog, plan=plan, guesses=(*catalog.guesses, *guesses))


def _by_catalog(
    file: LookedAt, catalogs: Sequence[GuessedSource], domain: Domain
) -> GuessedSource | None:
    """Return interactions whose items are called as in a catalogue, by any id or title there.

    The column is called as the one of the catalogue, or nearly all of its values stand there and
    its name does not say that they are something else: numbers may be those of anything.
    """
    fits: list[tuple[bool, int, str, str]] = []
    for catalog in catalogs:
        for key, there in catalog.file.values.items():
            if not there.unique:
                continue
            known, about = forms(there), (words(key) | words_of(domain)) - ID_WORDS
            for column, values in file.values.items():
                hits = sum(value in known for value in values.counts)
                same = snake(column) == snake(key) and 2 * hits >= values.distinct
                free = not values.numeric and not words(column) & ID_WORDS
                many = values.distinct >= _LEAST_ITEMS and hits >= _KNOWN_ITEMS * values.distinct
                if same or (many and (free or words(column) & about)):
                    where = f"{hits:,} of its {values.distinct:,} values stand in {key}"
                    fits.append((same, hits, column, f"{where} of {catalog.file.path.name}"))
    for _, _, column, why in sorted(fits, reverse=True):
        settings = {"columns": {"item_id": column}}
        plan = planned(file, "interactions", domain, **settings)
        if plan is not None:  # there is a user beside it
            word = f"{plan.roles['user_id'].column} is a user, and {column} names {domain.plural}"
            guesses = (Guess("kind", "interactions", f"{word}: {why}"), *_form(file))
            return GuessedSource(file, "interactions", plan, settings, guesses)
    return None


def _with_key(
    catalog: GuessedSource, done: Sequence[GuessedSource], domain: Domain
) -> GuessedSource:
    """Take another column as the id of items where the interactions name that one's values."""
    wanted = {v for one in done for v in one.file.values[one.plan.roles["item_id"].column].counts}
    if not wanted:
        return catalog
    key = catalog.plan.roles["item_id"].column
    hits = {
        column: len(wanted & forms(values))
        for column, values in catalog.file.values.items()
        if values.unique or column == key
    }
    best = max(hits, key=lambda column: (hits[column], column == key))
    if best == key or hits[key] >= _KNOWN_ITEMS * hits[best]:
        return catalog
    settings = {**catalog.settings, "columns": {"item_id": best}}
    plan = planned(catalog.file, "catalog", domain, **settings)
    if plan is None:
        return catalog
    why = f"{hits[best]:,} of the ids of interactions stand in it, {hits[key]:,} in {key}"
    guesses = (*catalog.guesses, Guess("item_id", best, why))
    return replace(catalog, plan=plan, settings=settings, guesses=guesses)


def _with_items(
    done: GuessedSource, catalogs: Sequence[GuessedSource], domain: Domain
) -> GuessedSource:
    """Have interactions create their items where no catalogue has them."""
    if not catalogs:
        word, why = domain.plural, "no file is a catalogue"
        guess = Guess("create_items", "true", f"{why}, so {word} have no title but their id")
    else:
        known: set[str] = set()
        for one in catalogs:
            known |= forms(one.file.values[one.plan.roles["item_id"].column])
        column = done.plan.roles["item_id"].column
        wanted = done.file.values[column].counts
        share = sum(item in known for item in wanted) / max(len(wanted), 1)
        if share >= 0.5 or not all(one.file.whole for one in catalogs):
            return done
        why = (
            f"{share:.0%} of the values of {column} are in the catalogue: do they belong together?"
        )
        guess = Guess("create_items", "true", why)
    settings = {**done.settings, "create_items": True}
    return replace(done, settings=settings, guesses=(*done.guesses, guess))
