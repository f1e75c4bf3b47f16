"""How columns are called: the roles that a table has, and the names by which they go."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from kgrec.data import looks
from kgrec.data.sources import EventKind, Kind, Source
from kgrec.schema import Domain

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_OTHER = re.compile(r"[^a-z0-9]+")
_USER_IDS = (
    *("user_id", "user", "userid", "uid", "customer_id", "customer", "reviewer_id", "visitor_id"),
    *("visitorid", "member_id", "account_id", "client_id", "profile_name", "username", "user_name"),
    *("reviewer", "listener", "viewer", "reader", "buyer", "shopper", "learner", "candidate"),
    *("subscriber", "rater", "visitor", "steamid"),
)
_ITEM_IDS = ("item", "itemid", "iid", "product_id", "product", "asin", "sku", "isbn")
_KIND_OF_VALUE = {
    "rating": ("rating", "ratings", "stars", "score", "overall", "user_rating", "review_score"),
    "play": ("plays", "play_count", "listens", "listen_count"),
}
_RATING_WORDS = frozenset({"rating", "rated", "score", "stars", "star", "overall", "grade", "mark"})
_LIKE_WORDS = frozenset({"like", "liked", "thumb", "thumbs", "recommended", "voted", "vote"})
_OPINIONS = frozenset(
    {
        *("thumbs_up", "thumbs_down", "thumb_up", "thumb_down", "up", "down", "upvote", "downvote"),
        *("like", "dislike", "liked", "disliked", "positive", "negative", "neutral", "pos", "neg"),
        *("good", "bad", "recommended", "not_recommended", "favorable", "unfavorable"),
    }
)
_COUNT_WORDS = frozenset({"quantity", "qty", "units", "count", "number", "pieces", "amount"})
_PRICE_WORDS = frozenset({"price", "cost", "amount", "revenue", "budget", "fee", "msrp"})
_TIME_WORDS = frozenset({"time", "date", "timestamp", "at", "on", "day", "datetime", "unix", "ts"})
ID_WORDS = frozenset(
    {"id", "ids", "key", "code", "uuid", "isbn", "asin", "sku", "uri", "urn", "guid", "mbid"}
)
"""Words in the names of columns of ids."""
EVENTS = {
    **dict.fromkeys(("pv", "page view", "view page", "viewed", "impression", "detail"), "view"),
    **dict.fromkeys(("view item", "view content", "view product", "product view"), "view"),
    **dict.fromkeys(("product viewed", "item view", "detail view", "浏览", "瀏覽", "閲覧"), "view"),
    **dict.fromkeys(("clicked", "clk", "open", "product clicked", "点击", "點擊"), "click"),
    **dict.fromkeys(("select item", "product click", "item click", "クリック"), "click"),
    **dict.fromkeys(
        ("add to cart", "cart add", "add", "basket", "add to basket", "carted"), "cart"
    ),
    **dict.fromkeys(("product added", "added to cart", "add to bag", "cart added", "atc"), "cart"),
    **dict.fromkeys(("加购", "加入购物车", "加購", "カート追加", "in den warenkorb"), "cart"),
    **dict.fromkeys(("buy", "bought", "transaction", "order", "checkout", "purchased"), "purchase"),
    **dict.fromkeys(("order completed", "order placed", "ordered", "sale", "pay"), "purchase"),
    **dict.fromkeys(("购买", "購買", "下单", "購入"), "purchase"),
    **dict.fromkeys(("fav", "favorite", "favourite", "favorited", "bookmark", "save"), "like"),
    **dict.fromkeys(("wishlist", "add to wishlist", "liked", "收藏", "お気に入り"), "like"),
    **dict.fromkeys(("listen", "watch", "stream", "played", "播放", "再生"), "play"),
}
"""Usual names of events, and the kinds of interaction that they are."""
_ALIASES = ("aliases", "alias", "synonyms", "also_known_as")
_OTHER_TITLES = (
    *("akas", "other_titles", "alternative_titles", "alternative_title", "alternate_title"),
    *("original_title", "title_original", "translated_title", "international_title"),
)
_BETWEEN = re.compile(r"[\s_.:-]+")


def known_events(
    kinds: Collection[str], given: Mapping[str, EventKind] | None = None
) -> dict[str, EventKind]:
    """Return what events are, by their names without case: given, kinds themselves, usual names."""
    usual = {_together(name): kind for name, kind in EVENTS.items() if kind in kinds}
    known = usual | {kind: kind for kind in kinds}
    return {name: EventKind(kind=kind) for name, kind in known.items()} | dict(given or {})


def event_of(name: str, known: Mapping[str, EventKind]) -> EventKind | None:
    """Return what an event is, None where it is unknown; `Add to Cart` is `ADD_TO_CART`."""
    found = known.get(name.strip().casefold())
    return found if found is not None else known.get(_together(name))


def _together(name: str) -> str:
    return _BETWEEN.sub("", name.casefold())


def snake(name: str) -> str:
    """Return a name in lower case with underscores: `movieId` is `movie_id`."""
    return _OTHER.sub("_", _CAMEL.sub("_", name.strip()).lower()).strip("_")


def role_names(source: Source, domain: Domain) -> dict[str, tuple[str, ...]]:
    """Return the roles of the columns of a table, and how columns that play them are called.

    What the domain names itself stands behind the usual names, and a bare `id` behind all.
    """
    roles = _usual_names(source, domain)
    if source.kind not in ("catalog", "interactions"):
        return roles
    named = {role: (*names, *domain.columns.get(role, ())) for role, names in roles.items()}
    return {
        role: (*(one for one in names if one != "id"), *(one for one in names if one == "id"))
        for role, names in named.items()
    }


def _usual_names(source: Source, domain: Domain) -> dict[str, tuple[str, ...]]:
    words = {snake(domain.item_label), snake(domain.item_word)}
    own = (f"{word}_id" for word in sorted(words))
    item_ids = ("item_id", *own, *_ITEM_IDS)
    if source.kind == "users":
        return {"user_id": (*_USER_IDS, "id")}
    if source.kind == "interactions":
        return {
            "user_id": _USER_IDS,
            "item_id": (*item_ids, *sorted(words)),
            "value": (
                "value",
                *(name for names in _KIND_OF_VALUE.values() for name in names),
                *(f"{word}_rating" for word in sorted(words)),
            ),
            "at": (
                *("at", "timestamp", "time", "datetime", "date", "ts", "created_at", "event_time"),
                *("unix_review_time", "unix_time", "review_time", "event_timestamp"),
            ),
            "kind": (
                *("kind", "event", "event_type", "action", "behavior", "behaviour"),
                *("behavior_type", "behaviour_type", "event_name", "interaction_type"),
            ),
            "device": ("device", "device_type", "platform"),
            "scenario": ("scenario", "surface", "placement"),
        }
    if source.kind == "entities":
        return _entity_roles(source)
    if source.kind == "relations":
        return _edge_roles(source, domain, (*item_ids, *sorted(words)))
    titles = tuple(f"{word}_{end}" for word in sorted(words) for end in ("title", "name"))
    return {
        "item_id": (*item_ids, "id"),
        "title": ("title", "name", "item_title", "item_name", "product_name", *titles),
        "description": ("description", "overview", "summary", "plot", "synopsis", "abstract"),
        "aliases": (*_ALIASES, *_OTHER_TITLES),  # behind the title, which may be called so itself
    }


def _entity_roles(source: Source) -> dict[str, tuple[str, ...]]:
    word = snake(source.entity_type or "entity")
    roles = {
        "entity_id": ("entity_id", f"{word}_id", "id", "key"),
        "name": ("name", f"{word}_name", "entity", word, "label", "title"),
        "aliases": _ALIASES,
    }
    return roles if source.entity_type else roles | {"type": ("type", "entity_type", "kind")}


def _edge_roles(source: Source, domain: Domain, items: Sequence[str]) -> dict[str, tuple[str, ...]]:
    names: dict[str, tuple[str, ...]] = {
        "head": ("head", "head_id", "from", "from_id", "source", "source_id", "subject"),
        "tail": ("tail", "tail_id", "to", "to_id", "target", "target_id", "object"),
    }
    if source.relation is None:
        names["relation"] = ("relation", "relation_id", "relation_type", "predicate", "type")
    elif source.relation in domain.relations:
        one = domain.relations[source.relation]
        for role, end in (("head", one.head), ("tail", one.tail)):
            word = snake(end)
            own = (f"{word}_id", f"{word}_name", word) if end else tuple(items)
            names[role] += (*own, *(one.columns if role == "tail" else ()))
    names["confidence"] = ("confidence", "probability")
    names["evidence"] = ("evidence", "sentence", "quote")
    return names


def by_name(columns: Sequence[str], names: Sequence[str]) -> str | None:
    """Return the column that is called by the first name that any is called by."""
    known = {snake(column): column for column in reversed(columns)}
    return next((known[name] for name in names if name in known), None)


def by_value(
    role: str, columns: Sequence[str], sample: Sequence[Mapping[str, Any]]
) -> tuple[str, str] | None:
    """Return the only column whose values look like a role, and why, for roles where that shows."""
    if not sample:
        return None
    if role == "value":
        return _rating(columns, sample)
    test = {"at": looks.is_time, "description": looks.is_long_text}.get(role)
    if test is None:
        return None
    found = [column for column in columns if test([row.get(column) for row in sample])]
    if role == "at" and len(found) > 1:
        found = [column for column in found if words(column) & _TIME_WORDS][:1]
    reason = "its values are times" if role == "at" else "its values are texts"
    return (found[0], reason) if len(found) == 1 else None


def _rating(columns: Sequence[str], sample: Sequence[Mapping[str, Any]]) -> tuple[str, str] | None:
    for column in columns:
        if words(column) & _RATING_WORDS:
            scale = looks.rating_scale([row.get(column) for row in sample])
            if scale is not None:
                return (
                    column,
                    f"its name and its values, {scale[0]:g} to {scale[1]:g}, are a rating's",
                )
    return None


def remark(column: str, values: Sequence[Any], kind: Kind) -> str | None:
    """Return what an unused column looks like, and how it would be used, else None."""
    found, values = words(column), looks.filled(values)
    if not values:
        return None
    if kind == "interactions":
        scale = looks.rating_scale(values)
        if scale is not None:
            span = f"{scale[0]:g} to {scale[1]:g}"
            return f"looks like a rating ({span}) and is not used: --column value={column}"
        if looks.is_time(values):
            return f"looks like a time and is not used: --column at={column}"
        texts = {snake(str(value)) for value in values}
        if (found & _LIKE_WORDS and len(set(map(str, values))) == 2) or texts <= _OPINIONS:
            return (
                "looks like what users say of items and is not used: each row counts as if they "
                f"liked it; --column kind={column} and --kind VALUE=like, --kind VALUE=dislike"
            )
        return _of_sale(column, values)
    numeric = looks.value_type(values) in ("integer", "float")
    if numeric and found & _PRICE_WORDS:
        return f"looks like a price and is not used: --property {column}"
    if numeric and found & _RATING_WORDS:
        return f"looks like a rating of the item and is not used: --property {column}"
    if found & ID_WORDS:
        return "looks like an id of something else and is not used; a relation may name it as `id`"
    if not numeric and looks.is_time(values):
        return f"looks like a date and is not used: --property {column}"
    return None


def _of_sale(column: str, values: Sequence[Any]) -> str | None:
    """Return what an unused column holds of a purchase, else None."""
    found = words(column)
    numbers = looks.value_type(values) in ("integer", "float")
    if numbers and found & _COUNT_WORDS and any(str(value).strip()[:1] == "-" for value in values):
        return (
            "has numbers below 0, as returns have, and is not used: such rows count as the others "
            "do; leave them out of the file"
        )
    if numbers and found & _PRICE_WORDS:
        return "looks like a price, which interactions do not keep"
    if found & ID_WORDS:
        return "looks like an id of something else, which interactions do not keep"
    return None


def words(name: str) -> set[str]:
    """Return the words of the name of a column."""
    return set(snake(name).split("_"))


def property_name(
    column: str, known: Mapping[str, str], columns: Mapping[str, Sequence[str]]
) -> str:
    """Return the property of the domain that a column holds: `release_year` is `year`.

    Args:
        columns: further names of columns that hold a property.
    """
    name = snake(column)
    for one in known:
        if name == one or name in columns.get(one, ()):
            return one
    return next((one for one in known if name.endswith(f"_{one}")), name)


def interaction_kind(column: str | None) -> str:
    """Return the kind that interactions with a value of this name are, `view` without one."""
    if column is None:
        return "view"
    name = snake(column)
    return next((kind for kind, names in _KIND_OF_VALUE.items() if name in names), "rating")
