"""What each file holds, and which domain they are of, with the reason for each guess."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kgrec.config import parse_config
from kgrec.data.columns import plan_columns
from kgrec.data.guesses import EVENTS, ID_WORDS, by_name, role_names, snake, words
from kgrec.data.origins.triples.rows import local
from kgrec.data.plan import ColumnPlan
from kgrec.data.records import display_title, folded
from kgrec.data.sources import Kind, Source
from kgrec.errors import KGRecError
from kgrec.schema import Domain, load_schema
from kgrec.stages.starting.looking import LookedAt, Values
from kgrec.stages.starting.naming import words_in, words_of

_LEAST_SCORE = 5
_MOST_IMPLICIT = 0.3
_MOVED = 0.01
_MOST_CONSTANT = 0.3
_NO_RATING = -1
_KINDS_BY_WORD = {
    "purchase": ("purchase", "transaction", "order", "invoice", "sale", "bought", "basket"),
    "play": ("play", "listen", "scrobble", "stream", "user_artists"),
    "click": ("click",),
    "cart": ("add_to_cart", "addtocart"),
    "like": ("like", "favourite", "favorite", "bookmark", "wishlist", "to_read"),
}
_FLAGS = {"true": "like", "1": "like", "1.0": "like", "false": "dislike", "0": "dislike"}
_FLAG_WORDS = ("recommended", "liked", "is_like", "thumbs_up")


@dataclass(frozen=True)
class Guess:
    """One decision: what was decided, and why."""

    what: str
    value: str
    why: str


@dataclass(frozen=True)
class GuessedSource:
    """A file and how it is to be read.

    Attributes:
        settings: of the source, beside kind and path.
        guesses: decisions about this file.
    """

    file: LookedAt
    kind: Kind
    plan: ColumnPlan
    settings: dict[str, Any] = field(default_factory=dict)
    guesses: tuple[Guess, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """A file that is not read, and why."""

    path: str
    why: str


def planned(file: LookedAt, kind: Kind, domain: Domain, **settings: Any) -> ColumnPlan | None:
    """Return what the columns of a file would become, None where it cannot be of this kind."""
    if file.triples is not None and kind != "catalog":
        return None
    place = file.address if file.query else file.path
    values = {"kind": kind, "path": place, **file.form, **settings}
    try:
        source = parse_config(Source, values, origin=str(file.path))
        return plan_columns(file.table, source, domain, load_schema().core)
    except KGRecError:
        return None


def kind_of(file: LookedAt, domain: Domain) -> tuple[Kind, ColumnPlan, str] | LeftOut:
    """Return what a row of a file is, or why it is nothing that can be loaded."""
    done = planned(file, "interactions", domain)
    items = planned(file, "catalog", domain) or _by_title(file, domain)
    titled = items is not None and "title" in items.roles
    if done is None and items is not None:
        column = items.roles["item_id"].column
        if not file.values[column].unique:  # a bare `id` of which users have several rows
            done = planned(file, "interactions", domain, columns={"item_id": column})
    if done is not None and items is not None:
        key = file.values[items.roles["item_id"].column]
        if titled and key.unique:
            return "catalog", items, f"{items.roles['item_id'].column} is another in every row"
    if done is not None:
        who, what = done.roles["user_id"].column, done.roles["item_id"].column
        valued = {"value", "kind"} & done.roles.keys()
        tags = [] if valued or items is None else [one.column for one in items.relations]
        # A category that is the same in all rows of a product is of the product.
        shares = {tag: file.varying(what, tag) for tag in tags}
        tags = [tag for tag, share in shares.items() if share is None or share > _MOST_CONSTANT]
        if tags:
            return LeftOut(
                file.path.name,
                f"each row gives {what} a {tags[0]} by a user: facts of one value a row",
            )
        return "interactions", done, f"{who} is a user and {what} {_article(domain.item_word)}"
    if items is not None and (titled or items.relations or items.properties):
        if not file.values[items.roles["item_id"].column].unique and not titled:
            why = f"a row is not {_article(domain.item_word)}, and has no user either"
            return LeftOut(file.path.name, why)
        return "catalog", items, f"{items.roles['item_id'].column} names {domain.plural}"
    users = planned(file, "users", domain)
    if users is not None and users.properties and file.values[users.roles["user_id"].column].unique:
        return "users", users, f"{users.roles['user_id'].column} is a user, and nothing an item"
    columns = ", ".join(file.columns[:8])
    return LeftOut(file.path.name, f"no column looks like an id of items or users ({columns})")


def _by_title(file: LookedAt, domain: Domain) -> ColumnPlan | None:
    """Return the plan of a catalogue whose id is called as no domain calls it.

    It is the first column that is called like an id and another in every row, else the title.
    """
    source = Source(kind="catalog", path=file.path)
    title = by_name(file.columns, role_names(source, domain)["title"])
    users = role_names(source.model_copy(update={"kind": "interactions"}), domain)["user_id"]
    who = by_name(file.columns, users)
    if title is None or (who is not None and who != title and file.values[who].unique):
        return None  # a row is a user, who has a name too
    own = [one for one in file.columns if words(one) & ID_WORDS]
    keys = [one for one in (*own, title) if file.values[one].unique]
    if not keys:
        return None
    return planned(file, "catalog", domain, columns={"item_id": keys[0], "title": title})


def best_domain(files: Sequence[LookedAt]) -> tuple[Domain, Guess] | None:
    """Return the shipped domain that knows most of the columns, None where none fits."""
    scores = {name: score(files, domain) for name, domain in load_schema().domains.items()}
    best = max(scores, key=lambda name: (scores[name][0], name))
    points, reasons = scores[best]
    cataloged = any(
        not isinstance(found := kind_of(file, load_schema().domain(best)), LeftOut)
        and found[0] == "catalog"
        for file in files
    )
    # Interactions alone have few names, and the domain gives them little but its word.
    if points < (_LEAST_SCORE if cataloged else 2):
        return None
    second = max((s for name, (s, _) in scores.items() if name != best), default=0)
    why = f"it knows {', '.join(reasons[:6])}"
    if second > 0.8 * points:
        others = [n for n, (s, _) in scores.items() if n != best and s == second]
        why += f"; {others[0]} would do nearly as well"
    return load_schema().domain(best), Guess("domain", best, why)


def score(files: Sequence[LookedAt], domain: Domain) -> tuple[float, list[str]]:
    """Return how well a domain knows some files, and what it knows of them."""
    own = words_of(domain)
    points, reasons = 0.0, []
    for file in files:
        if own & words_in(file.path.name):
            points += 3
            reasons.append(f"the name {file.path.name}")
        if file.triples is not None and own & words_in(local(file.triples.type)):
            points += 3
            reasons.append(f"the type {local(file.triples.type)}")
        found = kind_of(file, domain)
        if isinstance(found, LeftOut):
            continue
        kind, plan, _ = found
        key = plan.column("item_id")
        if key is not None and (own & words_in(key) or _own(domain, "item_id", key)):
            points += 4
            reasons.append(key)
        for role in ("title", "description", "user_id", "value"):
            column = plan.column(role)
            if column is not None and _own(domain, role, column):
                points += 2
                reasons.append(column)
        if kind == "catalog":
            points += 2 * len(plan.relations) + len(plan.properties)
            reasons += [one.column for one in plan.relations]
            reasons += [one.column for one in plan.properties]
    return points, list(dict.fromkeys(reasons))


def with_article(catalog: GuessedSource) -> GuessedSource:
    """Have articles put back where titles have them behind: `Godfather, The`."""
    column = catalog.plan.column("title")
    titles = catalog.file.values[column].counts if column is not None else {}
    moved = [title for title in titles if display_title(title) != title]
    if len(moved) < max(2, _MOVED * len(titles)):
        return catalog
    guess = Guess("move_article", "true", f"{len(moved):,} titles are like {moved[0]}")
    settings = {**catalog.settings, "move_article": True}
    return replace(catalog, settings=settings, guesses=(*catalog.guesses, guess))


def with_kind(done: GuessedSource, domain: Domain) -> GuessedSource:
    """Guess what an interaction is, from names, flags and values."""
    file, plan = done.file, done.plan
    settings, guesses = dict(done.settings), list(done.guesses)
    kinds = load_schema().core.interactions
    value = plan.column("value")
    by_name = _kind_by_name(file)
    flag = next((one for one in plan.unused if _is_flag(one, file.values[one])), None)
    if (column := plan.column("kind")) is not None:
        known = {*kinds, *EVENTS}
        names = {name for name in file.values[column].counts if name.casefold() not in known}
        if names:
            mapped = {name: kind for name in sorted(names) if (kind := _event(name, kinds))}
            settings["kinds"] = mapped
            why = f"{column} holds {', '.join(sorted(file.values[column].counts)[:6])}"
            guesses.append(Guess("kinds", ", ".join(f"{k} = {v}" for k, v in mapped.items()), why))
    elif flag is not None and value is None:
        settings["columns"] = {**settings.get("columns", {}), "kind": flag}
        settings["kinds"] = {v: _FLAGS[v.casefold()] for v in sorted(file.values[flag].counts)}
        why = f"{flag} holds {', '.join(sorted(file.values[flag].counts))}"
        guesses.append(Guess("kinds", f"{flag}: true is a like, false a dislike", why))
    elif value is not None and plan.interaction == "rating" and by_name is None:
        settings |= _range(file.values[value], value, guesses)
    elif by_name is not None and (value is None or by_name[0] != plan.interaction):
        settings["interaction"] = by_name[0]
        guesses.append(Guess("interaction", by_name[0], by_name[1]))
    again = planned(file, "interactions", domain, **settings)
    if again is None and "kinds" in settings:  # values that nothing stands for
        del settings["kinds"]
        again = planned(file, "interactions", domain, **settings)
    return replace(done, plan=again or plan, settings=settings, guesses=tuple(guesses))


def _range(values: Values, column: str, guesses: list[Guess]) -> dict[str, Any]:
    """Return the range of ratings by their values; zeros beside ratings from 1 are no ratings."""
    if not values.numeric or not values.filled or values.distinct > 101:
        return {}
    numbers = sorted({float(one) for one in values.counts})
    least, most = _scale(numbers)
    zeros = sum(count for one, count in values.counts.items() if float(one) == 0)
    why = f"{column} holds {numbers[0]:g} to {numbers[-1]:g}"
    if least == 0 and most >= 5 and zeros > _MOST_IMPLICIT * values.filled:
        least = 1.0
        why += f"; {zeros:,} of {values.filled:,} are 0, which is hardly a rating"
    elif least == _NO_RATING and numbers[1:] and numbers[1] > 0 and most >= 5:
        least = 1.0
        why += f"; {_NO_RATING:g} among ratings from {numbers[1]:g} on stands for none"
    guesses.append(Guess("value_range", f"{least:g} to {most:g}", why))
    return {"value_range": [least, most]}


def _scale(numbers: Sequence[float]) -> tuple[float, float]:
    """Return the usual scale that numbers are of: the first rows seldom hold its ends."""
    least, most = numbers[0], numbers[-1]
    top = next((one for one in (1.0, 5.0, 10.0, 20.0, 100.0) if most <= one), most)
    if least < 0:
        return least, top
    halves = any(not number.is_integer() for number in numbers)
    return (0.0 if least == 0 else 0.5 if halves and least < 1 else min(least, 1.0)), top


def _kind_by_name(file: LookedAt) -> tuple[str, str] | None:
    for name in (file.path.name, *file.columns):
        for kind, parts in _KINDS_BY_WORD.items():
            if any(part in folded(name).replace("-", "_") for part in parts):
                return kind, f"{name} names it"
    return None


def _is_flag(column: str, values: Values) -> bool:
    named = any(word in folded(column) for word in _FLAG_WORDS)
    return named and 0 < values.distinct <= 2 and all(v.casefold() in _FLAGS for v in values.counts)


_EVENTS: Mapping[str, tuple[str, ...]] = {
    "purchase": ("purchase", "transaction", "buy", "order", "checkout"),
    "cart": ("cart", "basket"),
    "like": ("like", "bookmark", "follow", "favo", "share", "save", "comment", "wish"),
    "dislike": ("dislike", "unlike", "hide", "report"),
    "skip": ("skip", "dismiss"),
    "click": ("click", "tap", "open"),
    "play": ("play", "listen", "watch", "stream"),
    "view": ("view", "visit", "impression", "read", "pv"),
}


def _event(name: str, kinds: Mapping[str, int]) -> str | None:
    """Return the kind of interaction that an event of this name is."""
    low = folded(name)
    order = ("dislike", "skip", *(kind for kind in _EVENTS if kind not in ("dislike", "skip")))
    for kind in order:
        if kind in kinds and any(word in low for word in _EVENTS[kind]):
            return kind
    return None


def _own(domain: Domain, role: str, column: str) -> bool:
    return snake(column) in domain.columns.get(role, ())


def _article(word: str) -> str:
    return f"an {word}" if word[:1] in "aeiou" else f"a {word}"
