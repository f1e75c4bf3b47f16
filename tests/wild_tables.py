"""Heads of public tables, as docs/domains.md says where they were seen, and values made up here.

Twenty-four items in two halves, thirty users of which each keeps to one half: what recommends from
them must find the half again.
"""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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
        domain: what `kgrec init` must guess, or the name of the domain that it must write.
        files: name to content.
        items, interactions: how many of each the graph must hold.
        facts: relations of which there must be facts.
        edits: what must be changed by hand in what was guessed, empty for nothing.
        written: whether no shipped domain fits, and one is written.
        left: files of no use, which must be left out.
        rejected: rows that must be set aside.
        long: files of one value a row, and of the names of their codes, with the relation.
    """

    domain: str
    files: dict[str, bytes]
    facts: tuple[str, ...] = ()
    items: int = ITEMS
    kind: str = "rating"
    edits: str = ""
    written: bool = False
    left: tuple[str, ...] = ()
    rejected: int = 0
    long: Mapping[str, str] = field(default_factory=dict)


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
            "userId": u + 1, "movieId": i + 1, "rating": float(stars(u, i)),
            "timestamp": 964982703 + n,
        }
    )  # fmt: skip
    tags = rated(
        lambda u, i, n: {
            "userId": u + 1, "movieId": i + 1, "tag": f"{kinds(i)[n % 2]}, {n % 5}",
            "timestamp": 1139045764 + n,
        }
    )  # fmt: skip
    return WildTable(
        "movies",
        _files(
            movies__csv=delimited(films), ratings__csv=delimited(ratings),
            tags__csv=delimited(tags),
        ),
        ("HAS_GENRE", "HAS_KEYWORD"),
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
    tagged = rated(
        lambda u, i, n: {
            "userID": u, "artistID": i + 1, "tagID": 13 + 2 * half(i) + n % 2, "day": 1, "month": 4,
            "year": 2009,
        }
    )  # fmt: skip
    tags = [{"tagID": n, "tagValue": f"tag {n}"} for n in range(1, 20)]
    files = _files(
        artists__dat=delimited(artists, "\t"), user_artists__dat=delimited(played, "\t"),
        user_taggedartists__dat=delimited(tagged, "\t"), tags__dat=delimited(tags, "\t"),
    )  # fmt: skip
    long = dict.fromkeys(("user_taggedartists.dat", "tags.dat"), "HAS_KEYWORD")
    return WildTable("music", files, ("HAS_KEYWORD",), kind="play", long=long)


def _goodbooks() -> WildTable:
    books = each(
        lambda i: {
            "book_id": i + 1, "goodreads_book_id": 2000 + i, "best_book_id": 2000 + i,
            "work_id": 40000 + i, "books_count": 100 + i, "isbn": f"0{439023480 + i}",
            "isbn13": "9.78043902348e+12", "authors": f"{person(i)}, {person(i + 5)}",
            "original_publication_year": f"{1990 + i}.0", "original_title": title(i),
            "title": f"{title(i)} (The Saga, #1)", "language_code": "eng",
            "average_rating": 3.9, "ratings_count": 4780 + i, "work_ratings_count": 4942 + i,
            "work_text_reviews_count": 155, "ratings_1": 66, "ratings_2": 127, "ratings_3": 560,
            "ratings_4": 1481, "ratings_5": 2706, "image_url": f"https://images/{i}m.jpg",
            "small_image_url": f"https://images/{i}s.jpg",
        }
    )  # fmt: skip
    ratings = rated(lambda u, i, n: {"user_id": u + 1, "book_id": i + 1, "rating": stars(u, i)})
    tags = [
        {"goodreads_book_id": 2000 + i, "tag_id": 30 + 2 * half(i) + n, "count": 500 + i}
        for i in range(ITEMS)
        for n in range(2)
    ]
    names = [{"tag_id": n, "tag_name": f"to-read-{n}"} for n in range(60)]
    files = _files(
        books__csv=delimited(books), ratings__csv=delimited(ratings),
        book_tags__csv=delimited(tags), tags__csv=delimited(names),
    )  # fmt: skip
    long = dict.fromkeys(("book_tags.csv", "tags.csv"), "HAS_KEYWORD")
    return WildTable("books", files, ("WRITTEN_BY", "HAS_KEYWORD"), long=long)


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
            "category": ["Kitchen & Dining", *kinds(i)], "tech1": "", "description": [text(i)],
            "fit": "", "title": title(i), "also_buy": [asin((i + 2) % ITEMS)], "tech2": "",
            "brand": f"{kinds(i)[0]} & Sons", "feature": [text(i), "Easy to clean."],
            "rank": [f">#{i},123 in Kitchen"], "also_view": [], "main_cat": "Home &amp; Kitchen",
            "similar_item": "", "date": "May 1, 2014", "price": f"${19 + i}.99", "asin": asin(i),
            "imageURL": [], "imageURLHighRes": [],
        }
    )  # fmt: skip
    reviews = rated(
        lambda u, i, n: {
            "overall": float(stars(u, i)), "vote": "2", "verified": True, "reviewTime":
            "09 13, 2009", "reviewerID": f"A{u}ZXQ", "asin": asin(i), "style": {"Size:": "Large"},
            "reviewerName": f"Reader {u}", "reviewText": text(i), "summary": "Good",
            "unixReviewTime": 1252800000 + 86400 * n,
        }
    )  # fmt: skip
    files = _files(meta_Kitchen__json=lines(products), Kitchen_5__json=lines(reviews))
    return WildTable("shop", files, ("MADE_BY", "IN_CATEGORY"))


def _hm() -> WildTable:
    def article(item: int) -> str:
        return f"0{108775015 + item}"

    articles = each(
        lambda i: {
            "article_id": article(i), "product_code": f"0{108775 + i}", "prod_name": title(i),
            "product_type_no": 253, "product_type_name": "Vest top" if half(i) else "Trousers",
            "product_group_name": "Garment Upper body", "graphical_appearance_no": 1010016,
            "graphical_appearance_name": "Solid", "colour_group_code": "09",
            "colour_group_name": "Black" if half(i) else "White", "perceived_colour_value_id": 4,
            "perceived_colour_value_name": "Dark", "perceived_colour_master_id": 5,
            "perceived_colour_master_name": "Black", "department_no": 1676,
            "department_name": "Jersey Basic", "index_code": "A", "index_name": "Ladieswear",
            "index_group_no": 1, "index_group_name": "Ladieswear", "section_no": 16,
            "section_name": "Womens Everyday Basics", "garment_group_no": 1002,
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
            "tags": str(["30-minutes-or-less", *kinds(i)]),
            "nutrition": str([51.5, 0.0, 13.0, 0.0, 2.0, 0.0, 4.0]),
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
            "number_of_reviews": 9, "last_review": "2023-01-01", "reviews_per_month": 0.67,
            "calculated_host_listings_count": 2, "availability_365": 100,
            "number_of_reviews_ltm": 9, "license": "",
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


def _recbole() -> WildTable:
    items = each(
        lambda i: {
            "item_id:token": i + 1, "movie_title:token_seq": title(i), "release_year:token":
            1980 + i, "class:token_seq": "Comedy Romance" if half(i) else "Crime Drama",
        }
    )  # fmt: skip
    users = [
        {
            "user_id:token": u + 1, "age:token": 20 + u, "gender:token": "F", "occupation:token":
            "writer", "zip_code:token": 85711 + u,
        }
        for u in range(USERS)
    ]  # fmt: skip
    done = rated(
        lambda u, i, n: {
            "user_id:token": u + 1, "item_id:token": i + 1, "rating:float": stars(u, i),
            "timestamp:float": 881250949 + n,
        }
    )  # fmt: skip
    files = {
        f"ml-100k.{end}": delimited(rows, "\t").encode()
        for end, rows in (("item", items), ("user", users), ("inter", done))
    }
    return WildTable("movies", files, ("HAS_GENRE",))


def _netflix() -> WildTable:
    titles = each(
        lambda i: {
            "show_id": f"s{i + 1}", "type": "TV Show" if half(i) else "Movie", "title": title(i),
            "director": person(i), "cast": f"{person(i)}, {person(i + 5)}", "country":
            "Portugal", "date_added": "September 25, 2021", "release_year": 1990 + i,
            "rating": "PG-13", "duration": f"{80 + i} min", "listed_in":
            ", ".join(["International Movies", *kinds(i)]), "description": text(i),
        }
    )  # fmt: skip
    seen = rated(lambda u, i, n: {"user_id": u, "show_id": f"s{i + 1}", "rating": stars(u, i)})
    files = _files(netflix_titles__csv=delimited(titles), ratings__csv=delimited(seen))
    return WildTable("movies", files, ("HAS_GENRE", "DIRECTED_BY", "STARS"))


def _anime() -> WildTable:
    titles = each(
        lambda i: {
            "anime_id": 5000 + i, "name": title(i), "genre": ", ".join([*kinds(i), "School"]),
            "type": "Movie" if half(i) else "TV", "episodes": "Unknown" if i == 3 else i % 5 + 1,
            "rating": 9.37, "members": 200630 + i,
        }
    )  # fmt: skip
    rated_ = rated(
        lambda u, i, n: {
            "user_id": u + 1, "anime_id": 5000 + i,
            "rating": -1 if n % 12 == 0 else 2 * stars(u, i),
        }
    )  # fmt: skip
    files = _files(anime__csv=delimited(titles), rating__csv=delimited(rated_))
    return WildTable("anime", files, ("HAS_GENRE", "HAS_TYPE"), written=True, rejected=20)


def _goodreads() -> WildTable:
    books = each(
        lambda i: {
            "bookID": i + 1, "title": title(i), "authors": f"{person(i)}/{person(i + 5)}",
            "average_rating": 4.57, "isbn": f"0{439785960 + i}", "isbn13": 9780439785969 + i,
            "language_code": "eng", "  num_pages": 300 + i, "ratings_count": 2095690,
            "text_reviews_count": 27591, "publication_date": f"9/16/{1990 + i}",
            "publisher": f"{kinds(i)[0]} House",
        }
    )  # fmt: skip
    ratings = rated(lambda u, i, n: {"user_id": u, "bookID": i + 1, "rating": stars(u, i)})
    files = _files(books__csv=delimited(books), ratings__csv=delimited(ratings))
    return WildTable("books", files, ("WRITTEN_BY", "PUBLISHED_BY"))


def _board_games() -> WildTable:
    games = each(
        lambda i: {
            "ID": 174430 + i, "Name": title(i), "Year Published": 1990 + i, "Min Players": 1,
            "Max Players": 4, "Play Time": 120, "Min Age": 14, "Users Rated": 42055 - i,
            "Rating Average": f"8,{79 - i}", "BGG Rank": i + 1, "Complexity Average": "3,86",
            "Owned Users": 68323 - i, "Mechanics": ", ".join([*kinds(i), "Hand Management"]),
            "Domains": "Strategy Games, Thematic Games" if half(i) else "Family Games",
        }
    )  # fmt: skip
    reviews = rated(
        lambda u, i, n: {
            "": n, "user": f"player{u}", "rating": 2.0 * stars(u, i), "comment": "",
            "ID": 174430 + i, "name": title(i),
        }
    )  # fmt: skip
    rows = delimited(games, ";").replace('"', "")
    files = {
        "bgg_dataset.csv": b"\xef\xbb\xbf" + rows.encode(),
        "bgg-19m-reviews.csv": delimited(reviews).encode(),
    }
    return WildTable("games", files, ("HAS_MECHANIC", "HAS_GENRE"))


def _steam_200k() -> WildTable:
    def row(user: int, item: int, what: str, value: float) -> Row:
        return {"u": 151603712 + user, "g": title(item), "b": what, "v": value, "0": 0}

    done = [row(u, i, "purchase", 1.0) for u, i in PAIRS]
    done += [row(u, i, "play", 2.5 + n) for n, (u, i) in enumerate(PAIRS) if half(i) == u % 2]
    files = {"steam-200k.csv": delimited(done, header=False).encode()}
    return WildTable("steam", files, kind="purchase", written=True)


def _udemy() -> WildTable:
    courses = each(
        lambda i: {
            "course_id": 1070968 + i, "course_title": title(i), "url":
            f"https://www.udemy.com/{i}/", "is_paid": "True", "price": 200 - i,
            "num_subscribers": 2147, "num_reviews": 23, "num_lectures": 51 + i,
            "level": "All Levels" if half(i) else "Beginner Level", "content_duration": 1.5 + i,
            "published_timestamp": "2017-01-18T20:58:58Z", "subject":
            "Business Finance" if half(i) else "Web Development",
        }
    )  # fmt: skip
    enrolled = rated(
        lambda u, i, n: {
            "user_id": u, "course_id": 1070968 + i, "enrolled_at": f"2017-02-{1 + n % 28:02}",
        }
    )  # fmt: skip
    files = _files(udemy_courses__csv=delimited(courses), enrollments__csv=delimited(enrolled))
    return WildTable("courses", files, ("AT_LEVEL", "ABOUT"), kind="view")


def _coursera_catalogue() -> WildTable:
    courses = each(
        lambda i: {
            "course_title": title(i), "course_organization": f"University of {kinds(i)[0]}ham",
            "course_Certificate_type": "COURSE", "course_rating": 4.8, "course_difficulty":
            "Beginner" if half(i) else "Advanced", "course_students_enrolled": "1.6m",
        }
    )  # fmt: skip
    ratings = rated(lambda u, i, n: {"user_id": u, "course_title": title(i), "rating": stars(u, i)})
    files = _files(coursea_data__csv=delimited(courses), reviews__csv=delimited(ratings))
    return WildTable("courses", files, ("OFFERED_BY", "AT_LEVEL"))


def _linkedin() -> WildTable:
    jobs = each(
        lambda i: {
            "job_id": 3757940104 + i, "company_id": 553718 + i // 4, "title": title(i),
            "formatted_work_type": "Full-time" if half(i) else "Contract", "location":
            "Lisbon, PT" if half(i) else "Porto, PT", "applies": "", "remote_allowed": "",
            "views": 9, "application_type": "OffsiteApply", "formatted_experience_level":
            "Entry level" if half(i) else "Director", "sponsored": 0, "work_type": "FULL_TIME",
        }
    )  # fmt: skip
    applied = rated(
        lambda u, i, n: {
            "user_id": u, "job_id": 3757940104 + i, "applied_at": f"2023-11-{1 + n % 28:02}",
        }
    )  # fmt: skip
    skills = [
        {"job_id": 3757940104 + i, "skill_abr": ("IT", "ENG", "MGMT", "SALE")[2 * half(i) + n]}
        for i in range(ITEMS)
        for n in range(2)
    ]
    files = _files(
        job_postings__csv=delimited(jobs), applications__csv=delimited(applied),
        job_skills__csv=delimited(skills),
    )  # fmt: skip
    facts = ("HAS_CONTRACT", "WORKS_IN", "AT_LEVEL", "NEEDS_SKILL")
    return WildTable("jobs", files, facts, kind="view", long={"job_skills.csv": "NEEDS_SKILL"})


def _zomato() -> WildTable:
    places = each(
        lambda i: {
            "Restaurant ID": 6317637 + i, "Restaurant Name": f"{title(i)} é", "Country Code": 162,
            "City": "Makati City" if half(i) else "Porto", "Address": f"{i} Main St",
            "Locality": "Mall", "Locality Verbose": "Mall, Makati City",
            "Longitude": 121.02 + i / 100, "Latitude": 14.56, "Cuisines": ", ".join(kinds(i)),
            "Average Cost for two": 1100, "Currency": "Botswana Pula(P)", "Has Table booking":
            "Yes", "Has Online delivery": "No", "Is delivering now": "No",
            "Switch to order menu": "No", "Price range": 3, "Aggregate rating": 4.8,
            "Rating color": "Dark Green", "Rating text": "Excellent", "Votes": 314,
        }
    )  # fmt: skip
    ratings = rated(
        lambda u, i, n: {"user_id": u, "Restaurant ID": 6317637 + i, "rating": stars(u, i)}
    )
    files = {
        "zomato.csv": delimited(places).encode("latin-1"),
        "ratings.csv": delimited(ratings).encode(),
    }
    return WildTable("places", files, ("IN_PLACE", "OF_CUISINE"))


def _retailrocket_split() -> WildTable:
    def table(kind: int) -> str:
        return delimited(
            [
                {"visitorid": u + 1, "itemid": i + 1, "event": 1}
                for n, (u, i) in enumerate(PAIRS)
                if kind == 0 or n % (3 * kind) == 0
            ],
            "\t",
        )

    files = _files(
        view_ecommerce__dat=table(0), add_to_cart_ecommerce__dat=table(1),
        purchase_ecommerce__dat=table(2),
    )  # fmt: skip
    return WildTable("shop", files, kind="cart")


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
    "RecBole MovieLens 100K": _recbole(),
    "Netflix titles": _netflix(),
    "MyAnimeList": _anime(),
    "Goodreads books": _goodreads(),
    "BoardGameGeek": _board_games(),
    "Steam 200k": _steam_200k(),
    "Udemy courses": _udemy(),
    "Coursera catalogue": _coursera_catalogue(),
    "LinkedIn postings": _linkedin(),
    "Zomato": _zomato(),
    "Retailrocket (Case Recommender)": _retailrocket_split(),
}
