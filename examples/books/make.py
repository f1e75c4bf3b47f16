"""Write books.csv and ratings.csv: a hundred invented books and ratings by 150 invented readers.

Authors, titles, plots and readers are made up for kgrec and free to use. A reader likes two or
three kinds of story, and rates what is of them higher; so what recommends must find the kinds.

    python examples/books/make.py
"""

from __future__ import annotations

import csv
import random
from pathlib import Path

HERE = Path(__file__).parent
READERS, LEAST, MOST = 150, 9, 18

# author; genres; place; period; publisher; then a title and a plot for each book
SHELF = """
Clara Voss; Historical, Mystery; Lisbon; the 1920s; Harbour Press
 The Salt Road | smugglers who lose a ship of letters in the fog
 A Clock for Senhor Pinto | a watchmaker who repairs the alibi of a murderer
 The Tile Painter's Debt | a widow who finds a map behind her kitchen wall
 Nine Boats at Cascais | a harbour pilot who counts one boat too many
 The Last Tram to Belém | a ticket inspector and the passenger nobody remembers
Tomas Brandt; Crime, Thriller; Hamburg; the 1990s; Nordlicht
 Cold Containers | a customs officer who opens the wrong door in the port
 The Elbe Witness | a ferryman who saw a judge go overboard
 Quiet Money | an accountant hunted by her own firm
 Four Hours to Altona | a kidnapping that must end before the storm tide
 The Dredger | bones that come up with the river mud
Ines Okafor; Science fiction, Adventure; Mars; the 23rd century; Blue Owl Books
 The Long Descent | a crew that follows a signal into a canyon
 Red Orchard | a gardener who grows the first apple under glass
 The Water Court | a trial over the ice below a colony
 Nineteen Minutes of Silence | an engineer who waits for an answer from home
 The Dust Cartographers | two rivals who map a storm from inside
Pavel Mirov; Fantasy, Adventure; Karelia; the Middle Ages; Lantern House
 The Bear's Apprentice | a boy who is taught to read by a bear
 The Ninth Lantern | a guild that keeps the winter from ending
 Iron Reindeer | a smith who builds an army and regrets it
 The Witch of Lake Onega | a bargain over a drowned bell
 A Crown of Birch | a queen who must hide among charcoal burners
Ruth Aldous; Romance, Historical; Bath; the Regency; Lantern House
 A Suitable Silence | two letter writers who sign with false names
 The Dancing Master's Daughter | a waltz that costs an engagement
 Mr. Harrow Regrets | a refusal that has to be taken back
 The Parasol Wager | a bet on who will propose before June
 An Inconvenient Legacy | an heiress who must live with her rival
Kenji Morita; Mystery, Crime; Kyoto; the 1950s; Harbour Press
 The Paper Umbrella Case | a theft that only a blind monk noticed
 Snow on the Fifth Bridge | a detective who walks the same path each night
 The Tea House Alibi | seven guests and one cup too few
 The Calligrapher's Thumb | a forged will in perfect handwriting
 Fireflies for Inspector Ota | a holiday that turns into an inquiry
Maeve Dunne; Literary, Family; Galway; the 1980s; Corrib Books
 What the Tide Kept | three sisters who sell a house by the sea
 The Turf Shed | a father who stops speaking on a Tuesday
 Small Boats Only | a family that runs a ferry nobody needs
 The Year of the Donkey | a summer with a grandmother and her animal
 Half a Bed in Salthill | a marriage that is kept for the guests
Samuel Achterberg; Horror, Mystery; Utrecht; the 19th century; Nordlicht
 The Anatomist's Cellar | students who hear one voice too many
 The House without Mirrors | a maid who is told never to look up
 Bells under the Canal | a sunken church that rings before a death
 The Wax Child | a toy maker who copies the living
 A Lodger Named Grief | a room that is let to nobody and never empty
Leila Haddad; Cooking, Memoir; Beirut; the 1970s; Corrib Books
 Salt, Lemon, Sister | a kitchen that was moved four times in a war
 The Bread Stairs | a bakery on the steps between two quarters
 Forty Jars | what a grandmother put away for better years
 A Table in Hamra | meals that were cooked for journalists
 The Street of Coffee | a childhood spent under a counter
Ada Whitfield; Science, History; Cambridge; the 19th century; Meridian
 The Woman Who Weighed Light | an experiment that nobody would print
 A Short History of Zero | how nothing became a number
 The Comet Clerks | the women who computed the sky by hand
 Fossils for Breakfast | a collector who sold the cliffs piece by piece
 The Quarrel over Heat | two friends who disagreed about steam
Jonas Lindqvist; Crime, Thriller; Gothenburg; the 2010s; Nordlicht
 The Archipelago List | names on a boat that never sailed
 A Debt in Snow | a bailiff who evicts a killer
 The Night Shift Pathologist | a body that is brought in twice
 Glass Harbour | a diver who finds a car and no driver
 The Quiet Neighbour | a terraced house with three cellars
Oluwaseun Bello; Science fiction, Thriller; Lagos; the 22nd century; Blue Owl Books
 The Lagoon Grid | a blackout that was paid for
 Harmattan Protocol | a virus that makes machines polite
 The Memory Brokers | a market where afternoons are sold
 Third Mainland | a bridge that is a city and a prison
 Ghost Kilowatts | an inspector who finds power that nobody made
Beatriz Solano; Fantasy, Family; Oaxaca; the 1930s; Lantern House
 The Grandmother of Hummingbirds | a dead woman who keeps house
 A Market for Lost Names | a girl who sells her own by mistake
 The Agave Prophet | a drought that listens to gossip
 Feathers for the Bishop | a saint who moves at night
 The Weaver's Second Shadow | a rug that shows tomorrow
Henry Castellan; Adventure, History; the Pacific; the 18th century; Meridian
 The Chart of Broken Islands | a surveyor who draws what he fears
 Forty Days of Calm | a crew that is saved by a cook
 The Carpenter's Mutiny | a ship that is taken plank by plank
 The Breadfruit Letters | a botanist who is left ashore
 Under Four Anchors | a captain who loses a race on purpose
Nadia Petrescu; Romance, Literary; Bucharest; the 1960s; Harbour Press
 The Upstairs Piano | two neighbours who play the same piece
 Lilac Ration Card | a love that must be signed for
 A Window on Strada Lunii | a translator who invents a poet
 The Photographer's Permit | a wedding that may not be pictured
 Winter Coat for Two | a couple with one coat and two jobs
Felix Amsel; Children, Adventure; the Harz; the 2000s; Blue Owl Books
 The Train That Snored | a locomotive that refuses to get up
 Otto and the Upside-Down Forest | a boy who climbs down a tree
 The Badger's Post Office | letters that arrive a year early
 Five Spoons against the Giant | a kitchen that goes to war
 The Smallest Dragon in Goslar | a dragon who is afraid of matches
Priya Raman; Business, Science; Bangalore; the 2010s; Meridian
 The Patient Founder | companies that grew slowly on purpose
 Queues | why we wait, and who gains by it
 The Price of Free | what we pay with when we do not pay
 Small Data | decisions that were made with ten numbers
 Meetings with Myself | how work looks when nobody watches
Gwen Maddox; Horror, Family; Swansea; the 1970s; Corrib Books
 The Slate Children | a class that comes back one pupil short
 Milk for the Chapel Cat | a village that feeds something else
 The Wallpaper Eaters | a new house with old hunger
 Aunt Delyth's Teeth | an inheritance in a jar
 The Tide Table | a lighthouse that keeps the wrong hours
Marco Bellini; Cooking, Travel; Naples; the 1990s; Harbour Press
 The Tomato Line | a train ride with a hundred recipes
 Anchovy Roads | fishermen and what they eat at sea
 The Widow's Ragù | one sauce in eleven kitchens
 Lemons of the Wrong Coast | a walk along terraces and feuds
 Breakfast in the Port | what people eat before six
Elsa Nygaard; Literary, Travel; Svalbard; the 2000s; Corrib Books
 The Dark Month | a weather station with two keepers
 A Library on the Ice | books that are lent to scientists
 Letters from a White Town | a postwoman who reads the sky
 The Sledge Maker | a craft that ends with one man
 Polar Day | a summer in which nobody sleeps
"""

FIRST = [
    "{title} is a {genre} novel by {author}, set in {place} during {period}.",
    "This {genre} book by {author} is set in {place} in {period}.",
    "Set in {place} during {period}, this {genre} story was written by {author}.",
]
THEN = [
    "It tells of {plot}.",
    "The book is about {plot}.",
    "The story follows {plot}.",
]
LAST = [
    "It was published by {publisher}.",
    "Published by {publisher}, it was read aloud on the radio.",
    "It was published by {publisher} and has been reprinted ever since.",
]


def books() -> list[dict[str, str]]:
    """Return the books in the order of the shelf."""
    found: list[dict[str, str]] = []
    draw = random.Random(1)
    author = genres = place = period = publisher = ""
    for line in SHELF.strip().splitlines():
        if not line.startswith(" "):
            author, genres, place, period, publisher = (part.strip() for part in line.split(";"))
            continue
        title, plot = (part.strip() for part in line.split("|"))
        names = [name.strip() for name in genres.split(",")]
        words = {
            "title": title, "genre": names[0].lower(), "author": author, "place": place,
            "period": period, "plot": plot, "publisher": publisher,
        }  # fmt: skip
        number = len(found)
        parts = [FIRST[number % 3], THEN[number // 3 % 3], LAST[number // 2 % 3]]
        found.append(
            {
                "book_id": f"b{number + 1:03}",
                "title": title,
                "author": author,
                "genres": "|".join(names),
                "year": str(draw.randint(1985, 2024)),
                "pages": str(draw.randint(120, 620)),
                "description": " ".join(part.format(**words) for part in parts),
            }
        )
    return found


def ratings(shelf: list[dict[str, str]]) -> list[dict[str, object]]:
    """Return ratings by readers who like two or three genres and one author most of all."""
    draw = random.Random(2)
    genres = sorted({name for book in shelf for name in book["genres"].split("|")})
    authors = sorted({book["author"] for book in shelf})
    rows: list[dict[str, object]] = []
    for number in range(READERS):
        likes, favourite = set(draw.sample(genres, draw.choice([2, 2, 3]))), draw.choice(authors)
        taste = {
            book["book_id"]: len(likes & set(book["genres"].split("|")))
            + (book["author"] == favourite)
            for book in shelf
        }
        at = 1_700_000_000 + draw.randint(0, 20_000_000)
        count = draw.randint(LEAST, MOST)
        order = sorted(taste, key=lambda book: draw.random() ** (1 / (0.15 + taste[book] ** 2)))
        for book in reversed(order[-count:]):
            liked = min(taste[book], 2)
            stars = max(1, min(5, round(draw.gauss(2.3 + 1.2 * liked, 0.7))))
            at += draw.randint(40_000, 900_000)
            rows.append(
                {"user_id": f"r{number + 1:03}", "book_id": book, "rating": stars, "timestamp": at}
            )
    return rows


def write(name: str, rows: list[dict[str, object]] | list[dict[str, str]]) -> None:
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    shelf = books()
    write("books.csv", shelf)
    write("ratings.csv", ratings(shelf))
