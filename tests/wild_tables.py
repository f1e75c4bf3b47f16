"""Heads of public tables with the columns that they document, and values made up for the tests.

Twenty-four items in two halves, thirty users of which each keeps to one half: what recommends from
them must find the half again.
"""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

ITEMS, USERS = 24, 30
Row = dict[str, Any]

_NAMES = ["Ada Brook", "Ben Cole", "Cleo Dunn", "Dan Ekman", "Eva Frost", "Finn Gray"]
_WORDS = ["River", "Stone", "Lantern", "Harbour", "Orchard", "Signal", "Winter", "Copper"]
_KINDS = (["Calm", "Slow", "Green"], ["Loud", "Fast", "Red"])


@dataclass(frozen=True)
class WildTable:
    """One public data set.

    Attributes:
        domain: what `kgrec init` must guess.
        files: name to content.
        items, interactions: how many of each the graph must hold.
        facts: relations of which there must be facts.
        edits: what must be changed by hand in what was guessed, empty for nothing.
    """

    domain: str
    files: dict[str, bytes]
    facts: tuple[str, ...] = ()
    items: int = ITEMS
    kind: str = "rating"
    edits: str = ""


def half(item: int) -> int:
    return item % 2


def kinds(item: int) -> list[str]:
    """Two words of the half that an item belongs to."""
    words = _KINDS[half(item)]
    return [words[item // 2 % 3], words[(item // 2 + 1) % 3]]


def title(item: int) -> str:
    return f"The {_WORDS[item % 8]} of {_WORDS[(item * 3 + 1) % 8]} {item}"


def person(item: int) -> str:
    return _NAMES[(item // 4) % 3 + 3 * half(item)]


def text(item: int) -> str:
    one, other = kinds(item)
    return (
        f"A {one.lower()} and {other.lower()} thing by {person(item)}, which was made in Lisbon "
        f"and is liked by many people who have tried it at home or elsewhere. Number {item}."
    )


def pairs() -> list[tuple[int, int]]:
    """User and item of each interaction: nine of ten in the user's own half."""
    draw = random.Random(7)
    found = []
    for user in range(USERS):
        own = [item for item in range(ITEMS) if half(item) == user % 2]
        chosen = draw.sample(own, 7) + draw.sample([i for i in range(ITEMS) if i not in own], 1)
        found += [(user, item) for item in chosen]
    return found


PAIRS = pairs()


def delimited(rows: Sequence[Row], delimiter: str = ",", *, header: bool = True) -> str:
    out = io.StringIO()
    quoting = csv.QUOTE_ALL if delimiter == ";" else csv.QUOTE_MINIMAL
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter, quoting=quoting)
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def lines(rows: Sequence[Row]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def each(row: Callable[[int], Row]) -> list[Row]:
    return [row(item) for item in range(ITEMS)]


def rated(row: Callable[[int, int, int], Row]) -> list[Row]:
    """Rows of interactions: `row(user, item, number)`."""
    return [row(user, item, n) for n, (user, item) in enumerate(PAIRS)]


def stars(user: int, item: int) -> int:
    return 5 - (user + item) % 2 if half(item) == user % 2 else 2


def _files(**named: str) -> dict[str, bytes]:
    return {name.replace("__", "."): content.encode() for name, content in named.items()}


def _movielens() -> WildTable:
    films = each(
        lambda i: {
            "movieId": i + 1,
            "title": f"{title(i).removeprefix('The ')}, The ({1980 + i})",
            "genres": "|".join(["Comedy", "Romance"] if half(i) else ["Crime", "Drama"]),
        }
    )
    ratings = rated(
        lambda u, i, n: {
            "userId": u + 1, "movieId": i + 1, "rating": stars(u, i), "timestamp": 964982703 + n,
        }
    )  # fmt: skip
    return WildTable(
        "movies",
        _files(
            movies__csv=delimited(films), ratings__csv=delimited(ratings),
        ),
        ("HAS_GENRE",),
    )  # fmt: skip


def _movielens_1m() -> WildTable:
    films = "".join(
        f"{i + 1}::{title(i)} é ({1980 + i})::{'Comedy|Romance' if half(i) else 'Crime|Drama'}\n"
        for i in range(ITEMS)
    )
    ratings = "".join(
        f"{u + 1}::{i + 1}::{stars(u, i)}::{978300760 + n}\n" for n, (u, i) in enumerate(PAIRS)
    )
    files = {"movies.dat": films.encode("latin-1"), "ratings.dat": ratings.encode()}
    return WildTable("movies", files, ("HAS_GENRE",))


def _last_fm() -> WildTable:
    artists = each(
        lambda i: {
            "id": i + 1,
            "name": title(i),
            "url": f"http://www.last.fm/music/{i}",
            "pictureURL": f"http://userserve-ak.last.fm/serve/252/{i}.jpg",
        }
    )
    played = rated(lambda u, i, n: {"userID": u, "artistID": i + 1, "weight": 90 + 13 * n})
    files = _files(artists__dat=delimited(artists, "\t"), user_artists__dat=delimited(played, "\t"))
    return WildTable("music", files, kind="play")


def _goodbooks() -> WildTable:
    books = each(
        lambda i: {
            "book_id": i + 1, "goodreads_book_id": 2000 + i, "best_book_id": 2000 + i,
            "work_id": 40000 + i, "books_count": 100 + i, "isbn": f"0{439023480 + i}",
            "isbn13": f"{9780439023480 + i}.0", "authors": f"{person(i)}, {person(i + 5)}",
            "original_publication_year": f"{1990 + i}.0", "original_title": title(i),
            "title": f"{title(i)} (The Saga, #1)", "language_code": "eng",
            "average_rating": 3.9, "ratings_count": 4780 + i, "work_ratings_count": 4942 + i,
            "work_text_reviews_count": 155, "ratings_1": 66, "ratings_2": 127, "ratings_3": 560,
            "ratings_4": 1481, "ratings_5": 2706, "image_url": f"https://images/{i}m.jpg",
            "small_image_url": f"https://images/{i}s.jpg",
        }
    )  # fmt: skip
    ratings = rated(lambda u, i, n: {"user_id": u + 1, "book_id": i + 1, "rating": stars(u, i)})
    files = _files(books__csv=delimited(books), ratings__csv=delimited(ratings))
    return WildTable("books", files, ("WRITTEN_BY",))


def _book_crossing() -> WildTable:
    def isbn(item: int) -> str:
        return f"0{195153448 + item}"

    books = each(
        lambda i: {
            "ISBN": isbn(i), "Book-Title": f"{title(i)} à la carte", "Book-Author": person(i),
            "Year-Of-Publication": 1990 + i, "Publisher": f"{kinds(i)[0]} House",
            "Image-URL-S": f"http://images/{i}.S.jpg", "Image-URL-M": f"http://images/{i}.M.jpg",
            "Image-URL-L": f"http://images/{i}.L.jpg",
        }
    )  # fmt: skip
    ratings = rated(
        lambda u, i, n: {"User-ID": 276700 + u, "ISBN": isbn(i), "Book-Rating": 2 * stars(u, i)}
    )
    users = [
        {"User-ID": 276700 + u, "Location": "lisbon, portugal", "Age": 20 + u} for u in range(USERS)
    ]
    files = {
        "BX-Books.csv": delimited(books, ";").encode("latin-1"),
        "BX-Users.csv": delimited(users, ";").encode("latin-1"),
        "BX-Book-Ratings.csv": delimited(ratings, ";").encode("latin-1"),
    }
    return WildTable("books", files, ("WRITTEN_BY", "PUBLISHED_BY"))


def _amazon() -> WildTable:
    def asin(item: int) -> str:
        return f"B00{1000000 + item}"

    products = each(
        lambda i: {
            "asin": asin(i), "title": title(i), "brand": f"{kinds(i)[0]} & Sons",
            "category": ["Kitchen & Dining", *kinds(i)], "description": [text(i)],
            "price": f"${19 + i}.99", "feature": [text(i), "Easy to clean."],
            "also_buy": [asin((i + 2) % ITEMS)], "also_view": [], "main_cat": "Home",
            "rank": f"{i},123 in Kitchen", "imageURL": [], "date": "May 1, 2014",
        }
    )  # fmt: skip
    reviews = rated(
        lambda u, i, n: {
            "overall": float(stars(u, i)), "verified": True, "reviewTime": "09 13, 2009",
            "reviewerID": f"A{u}ZXQ", "asin": asin(i), "reviewerName": f"Reader {u}",
            "reviewText": text(i), "summary": "Good", "unixReviewTime": 1252800000 + 86400 * n,
        }
    )  # fmt: skip
    files = _files(meta_Kitchen__json=lines(products), Kitchen_5__json=lines(reviews))
    return WildTable("shop", files, ("MADE_BY", "IN_CATEGORY"))


def _hm() -> WildTable:
    def article(item: int) -> str:
        return f"0{108775015 + item}"

    articles = each(
        lambda i: {
            "article_id": article(i), "product_code": 108775 + i, "prod_name": title(i),
            "product_type_no": 253, "product_type_name": "Vest top" if half(i) else "Trousers",
            "product_group_name": "Garment Upper body", "graphical_appearance_no": 1010016,
            "graphical_appearance_name": "Solid", "colour_group_code": 9,
            "colour_group_name": "Black" if half(i) else "White",
            "department_no": 1676, "department_name": "Jersey Basic", "index_code": "A",
            "index_name": "Ladieswear", "garment_group_no": 1002,
            "garment_group_name": "Jersey Basic", "detail_desc": text(i),
        }
    )  # fmt: skip
    bought = rated(
        lambda u, i, n: {
            "t_dat": f"2020-09-{1 + n % 28:02}", "customer_id": f"000058a{u:04}f", "article_id":
            article(i), "price": 0.0508, "sales_channel_id": 2,
        }
    )  # fmt: skip
    customers = [
        {
            "customer_id": f"000058a{u:04}f", "FN": "", "Active": "", "club_member_status":
            "ACTIVE", "fashion_news_frequency": "NONE", "age": 20 + u, "postal_code": f"52043e{u}",
        }
        for u in range(USERS)
    ]  # fmt: skip
    files = _files(
        articles__csv=delimited(articles), customers__csv=delimited(customers),
        transactions_train__csv=delimited(bought),
    )  # fmt: skip
    return WildTable("shop", files, ("IN_CATEGORY", "HAS_COLOUR"), kind="purchase")


def _retailrocket() -> WildTable:
    events = rated(
        lambda u, i, n: {
            "timestamp": 1433221332117 + 1000 * n, "visitorid": 257000 + u,
            "event": ["view", "view", "addtocart", "transaction"][n % 4], "itemid": 355900 + i,
            "transactionid": 4000 + n if n % 4 == 3 else "",
        }
    )  # fmt: skip
    return WildTable("shop", _files(events__csv=delimited(events)), kind="view")


def _mind() -> WildTable:
    news = each(
        lambda i: {
            "id": f"N{5000 + i}", "category": kinds(i)[0].lower(), "subcategory": kinds(i)[1],
            "title": title(i), "abstract": text(i), "url": f"https://assets.msn.com/{i}.html",
            "title_entities": "[]", "abstract_entities": "[]",
        }
    )  # fmt: skip
    shown = rated(
        lambda u, i, n: {
            "impression": n + 1, "user": f"U{u}", "time": "11/11/2019 9:05:58 AM",
            "history": " ".join(f"N{5000 + j}" for w, j in PAIRS if w == u),
            "impressions": f"N{5000 + i}-1 N{5000 + (i + 1) % ITEMS}-0",
        }
    )  # fmt: skip
    files = _files(
        news__tsv=delimited(news, "\t", header=False),
        behaviors__tsv=delimited(shown, "\t", header=False),
    )
    edits = "names of the columns (the files have none), clicks as one row each"
    return WildTable("news", files, ("IN_CATEGORY",), kind="click", edits=edits)


def _deskdrop() -> WildTable:
    def content(item: int) -> str:
        return str(-4110354420726924665 + item)

    articles = each(
        lambda i: {
            "timestamp": 1459193988 + i, "eventType": "CONTENT SHARED", "contentId": content(i),
            "authorPersonId": 4340306774493623681 + i, "authorSessionId": 8940341205206233829,
            "authorUserAgent": "", "authorRegion": "", "authorCountry": "", "contentType": "HTML",
            "url": f"http://www.example.com/{i}", "title": title(i), "text": text(i), "lang": "en",
        }
    )  # fmt: skip
    done = rated(
        lambda u, i, n: {
            "timestamp": 1465413032 + n, "eventType": ["VIEW", "VIEW", "LIKE", "FOLLOW"][n % 4],
            "contentId": content(i), "personId": -8845298781299428018 + u, "sessionId": 1264196770,
            "userAgent": "", "userRegion": "", "userCountry": "",
        }
    )  # fmt: skip
    files = _files(
        shared_articles__csv=delimited(articles), users_interactions__csv=delimited(done)
    )
    return WildTable("news", files, kind="view")


def _steam() -> WildTable:
    games = each(
        lambda i: {
            "app_id": 13500 + i, "title": title(i), "date_release": f"20{i % 20:02}-11-21",
            "win": "true", "mac": "false", "linux": "false", "rating": "Very Positive",
            "positive_ratio": 84, "user_reviews": 2199 + i, "price_final": 9.99,
            "price_original": 9.99, "discount": 0.0, "steam_deck": "true",
        }
    )  # fmt: skip
    more = each(lambda i: {"app_id": 13500 + i, "description": text(i), "tags": kinds(i)})
    reviews = rated(
        lambda u, i, n: {
            "app_id": 13500 + i, "helpful": n % 3, "funny": 0, "date": f"2022-12-{1 + n % 28:02}",
            "is_recommended": "true" if stars(u, i) > 2 else "false", "hours": 36.3 + n,
            "user_id": 51580 + u, "review_id": n,
        }
    )  # fmt: skip
    files = _files(
        games__csv=delimited(games), games_metadata__json=lines(more),
        recommendations__csv=delimited(reviews),
    )  # fmt: skip
    return WildTable("games", files, ("HAS_KEYWORD",), kind="like")


def _food() -> WildTable:
    recipes = each(
        lambda i: {
            "name": title(i).lower(), "id": 137700 + i, "minutes": 20 + i,
            "contributor_id": 47892 + i // 4, "submitted": f"2005-09-{1 + i:02}",
            "tags": str(["30-minutes-or-less", *kinds(i)]), "nutrition": str([51.5, 0.0, 13.0]),
            "n_steps": 3, "steps": str(["chop the onion", "fry it", "serve, hot"]),
            "description": text(i), "ingredients": str(["onion", f"{kinds(i)[0].lower()} butter"]),
            "n_ingredients": 2,
        }
    )  # fmt: skip
    ratings = rated(
        lambda u, i, n: {
            "user_id": 38000 + u, "recipe_id": 137700 + i, "date": f"2011-12-{1 + n % 28:02}",
            "rating": stars(u, i), "review": text(i),
        }
    )  # fmt: skip
    files = _files(RAW_recipes__csv=delimited(recipes), RAW_interactions__csv=delimited(ratings))
    return WildTable("recipes", files, ("HAS_INGREDIENT", "HAS_KEYWORD"))


def _career_builder() -> WildTable:
    jobs = each(
        lambda i: {
            "JobID": 1000 + i, "WindowID": 1, "Title": title(i), "Description": f"<p>{text(i)}</p>",
            "Requirements": "Experience with SQL.", "City": "Lisbon" if half(i) else "Porto",
            "State": "", "Country": "PT", "Zip5": f"0{1100 + i}", "StartDate":
            "2012-03-07 13:17:01.643", "EndDate": "2042-04-06 23:59:59",
        }
    )  # fmt: skip
    applied = rated(
        lambda u, i, n: {
            "UserID": 47 + u, "WindowID": 1, "Split": "Train", "ApplicationDate":
            f"2012-04-{1 + n % 28:02} 15:56:23.537", "JobID": 1000 + i,
        }
    )  # fmt: skip
    files = _files(jobs__tsv=delimited(jobs, "\t"), apps__tsv=delimited(applied, "\t"))
    return WildTable("jobs", files, ("WORKS_IN",), kind="view")


def _coursera() -> WildTable:
    courses = each(
        lambda i: {
            "name": title(i), "institution": f"University of {kinds(i)[0]}ham",
            "course_url": f"https://www.coursera.org/learn/{i}", "course_id": f"learning-{i}",
        }
    )  # fmt: skip
    reviews = rated(
        lambda u, i, n: {
            "reviews": text(i), "reviewers": f"By Reader {u}", "date_reviews":
            f"Feb {1 + n % 28:02}, 2020", "rating": stars(u, i), "course_id": f"learning-{i}",
        }
    )  # fmt: skip
    files = _files(
        Coursera_courses__csv=delimited(courses), Coursera_reviews__csv=delimited(reviews)
    )
    return WildTable("courses", files, ("OFFERED_BY",))


def _yelp() -> WildTable:
    places = each(
        lambda i: {
            "business_id": f"Pns2l4eNsfO8kk{i}", "name": title(i), "address": f"{i} Main St",
            "city": "Santa Barbara" if half(i) else "Tampa", "state": "CA", "postal_code": "93101",
            "latitude": 34.4 + i / 100, "longitude": -119.7, "stars": 4.5, "review_count": 7 + i,
            "is_open": 1, "attributes": {"ByAppointmentOnly": "True"},
            "categories": ", ".join(["Restaurants", *kinds(i)]), "hours": None,
        }
    )  # fmt: skip
    reviews = rated(
        lambda u, i, n: {
            "review_id": f"KU_O5udG6zpxOg{n}", "user_id": f"mh_-eMZ6K5RLWh{u}", "business_id":
            f"Pns2l4eNsfO8kk{i}", "stars": float(stars(u, i)), "useful": 0, "funny": 0, "cool": 0,
            "text": text(i), "date": f"2018-07-{1 + n % 28:02} 22:09:11",
        }
    )  # fmt: skip
    files = _files(
        yelp_academic_dataset_business__json=lines(places),
        yelp_academic_dataset_review__json=lines(reviews),
    )
    return WildTable("places", files, ("IN_CATEGORY", "IN_PLACE"))


def _airbnb() -> WildTable:
    listings = each(
        lambda i: {
            "id": 5000 + i, "name": title(i), "host_id": 71 + i // 4, "host_name": person(i),
            "neighbourhood_group": "", "neighbourhood": "Alfama" if half(i) else "Baixa",
            "latitude": 38.7 + i / 1000, "longitude": -9.1, "room_type":
            "Private room" if half(i) else "Entire home/apt", "price": 60 + i, "minimum_nights": 2,
            "number_of_reviews": 9, "last_review": "2023-01-01", "availability_365": 100,
        }
    )  # fmt: skip
    reviews = rated(
        lambda u, i, n: {
            "listing_id": 5000 + i, "id": 900 + n, "date": f"2022-05-{1 + n % 28:02}",
            "reviewer_id": 30 + u, "reviewer_name": f"Guest {u}", "comments": text(i),
        }
    )  # fmt: skip
    files = _files(listings__csv=delimited(listings), reviews__csv=delimited(reviews))
    return WildTable("places", files, ("IN_CATEGORY", "IN_PLACE"), kind="view")


WILD: dict[str, WildTable] = {
    "MovieLens latest": _movielens(),
    "MovieLens 1M": _movielens_1m(),
    "Last.fm (HetRec 2011)": _last_fm(),
    "goodbooks-10k": _goodbooks(),
    "Book-Crossing": _book_crossing(),
    "Amazon reviews 2018": _amazon(),
    "H&M": _hm(),
    "Retailrocket": _retailrocket(),
    "MIND": _mind(),
    "Deskdrop": _deskdrop(),
    "Steam recommendations": _steam(),
    "Food.com": _food(),
    "CareerBuilder": _career_builder(),
    "Coursera reviews": _coursera(),
    "Yelp": _yelp(),
    "Airbnb": _airbnb(),
}
