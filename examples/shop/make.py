"""Write products.csv and events.csv: a hundred invented products and what 150 customers did.

Products, brands and customers are made up for kgrec and free to use. A customer follows two
pursuits, and buys what is made for them; so what recommends must find the pursuits.

    python examples/shop/make.py
"""

from __future__ import annotations

import csv
import random
from pathlib import Path

HERE = Path(__file__).parent
CUSTOMERS = 150

# pursuit; category; brands; then product, material, colours, price and what is special about it
SHELF = """
camping; Tents and sleeping; Northfell, Tarnhow
 Two-person dome tent | nylon | green, orange | 189.00 | It stands without pegs and packs small.
 Family tunnel tent | polyester | sand | 349.00 | Two rooms keep five people apart in the rain.
 Three-season sleeping bag | down | blue, red | 159.00 | The hood closes with one hand.
 Folding sleeping mat | foam | grey | 24.50 | It needs no air and no patience.
 Camp hammock | cotton | red, blue | 45.00 | Two straps and two trees are enough.
camping; Camp kitchen; Northfell, Emberline
 Enamel camp mug | steel | blue, white | 12.90 | It survives the fire and the drop.
 Gas camp stove | brass | silver | 64.00 | A litre boils in three minutes, even in wind.
 Nesting pot set | aluminium | silver | 39.00 | Three pots and a pan hide in each other.
 Folding camp kettle | silicone | orange | 28.00 | It is flat in the bag and round on the stove.
 Spork for two hands | titanium | silver | 9.50 | One end stirs, the other end eats.
hiking; Packs and boots; Tarnhow, Granite Lane
 Daypack 20 litres | nylon | green, black | 69.00 | A mesh back keeps the shirt dry.
 Trekking pack 55 litres | nylon | blue | 179.00 | The hip belt carries what the shoulders need not.
 Leather hiking boots | leather | brown | 149.00 | They want a week and then last for years.
 Trail running shoes | mesh | red, black | 119.00 | The sole holds on wet roots.
 Trekking poles | carbon | black | 89.00 | They fold in three and weigh less than an apple.
hiking; Outdoor clothing; Granite Lane, Weftworks
 Rain shell jacket | polyester | yellow, blue | 139.00 | Taped seams keep out a day of rain.
 Merino base layer | wool | grey, black | 59.00 | It can be worn for five days without apology.
 Fleece pullover | fleece | red, green | 49.00 | It is the first thing out of the pack.
 Walking trousers | cotton | sand, black | 65.00 | Zips at the knee make them shorts.
 Wool hiking socks | wool | grey | 17.50 | Padded where boots are hard.
cycling; Bicycles and parts; Velmark, Chainstay
 Steel touring bike | steel | green | 899.00 | It carries four bags and does not complain.
 City bike with basket | aluminium | white, red | 549.00 | Lights, lock and basket come with it.
 Leather saddle | leather | brown | 95.00 | It takes a month to become yours.
 Puncture-proof tyre | rubber | black | 42.00 | Glass does not get through it.
 Bar tape | cork | black, white | 18.00 | Soft for long days.
cycling; Cycling gear; Velmark, Brightspoke
 Commuter helmet | foam | white, black | 79.00 | A light sits in the back of it.
 Waterproof pannier | canvas | yellow, black | 85.00 | It hangs on every rack with one click.
 Front light 600 lumen | aluminium | black | 54.00 | It charges in two hours and shines for eight.
 Floor pump | steel | red | 35.00 | The gauge can be read without kneeling.
 Winter cycling gloves | fleece | black | 38.00 | Warm enough to brake in.
coffee; Grinders and kettles; Emberline, Kopplin
 Hand coffee grinder | steel | silver | 79.00 | Forty clicks from espresso to French press.
 Electric burr grinder | aluminium | black, white | 169.00 | It grinds for one cup or for ten.
 Gooseneck kettle | steel | black | 69.00 | It pours a thread of water where you want it.
 Coffee scale with timer | glass | black | 45.00 | It starts when the first drop falls.
 Milk pitcher | steel | silver | 22.00 | The spout draws hearts after a week.
coffee; Brewers and cups; Kopplin, Claywell
 Pour-over dripper | ceramic | white, blue | 29.00 | A spiral inside keeps the paper off the wall.
 French press | glass | black | 34.00 | Two filters keep the grounds where they belong.
 Stovetop espresso pot | aluminium | silver | 32.00 | It sings when it is done.
 Double-walled espresso cups | glass | clear | 26.00 | The coffee floats and the fingers stay cool.
 Stoneware latte bowl | stoneware | blue, sand | 19.00 | Big enough for a croissant.
cooking; Pans and knives; Emberline, Hollin & Sons
 Cast iron skillet | iron | black | 49.00 | It gets better with every egg.
 Carbon steel wok | steel | black | 55.00 | Light enough to toss with one hand.
 Chef's knife 20 cm | steel | black | 99.00 | Balanced at the first finger.
 Bread knife | steel | brown | 45.00 | It goes through crust without crumbs.
 End-grain cutting board | oak | brown | 79.00 | Kind to knives and heavy as a cat.
cooking; Pots and baking; Hollin & Sons, Claywell
 Enamelled casserole | iron | red, blue | 189.00 | It goes from the stove to the table.
 Copper saucepan | copper | copper | 149.00 | It listens to the flame.
 Bread proofing basket | rattan | sand | 21.00 | It leaves rings on the loaf.
 Stoneware pie dish | stoneware | white, blue | 27.00 | Deep enough for apples.
 Rolling pin | beech | brown | 18.50 | No handles, no squeaking.
gardening; Garden tools; Hollin & Sons, Fernbank
 Hand trowel | steel | green | 16.00 | One piece, so nothing comes loose.
 Pruning shears | steel | red | 39.00 | The blade can be changed in a minute.
 Digging fork | steel | brown | 48.00 | An ash handle and four honest tines.
 Garden kneeler | foam | green | 14.00 | The knees will thank it in spring.
 Folding pruning saw | steel | orange | 29.00 | It cuts when it is pulled.
gardening; Pots and seeds; Fernbank, Claywell
 Terracotta planter | terracotta | terracotta | 22.00 | It breathes, and roots like that.
 Self-watering window box | plastic | grey, white | 34.00 | A week away costs no flowers.
 Herb seed collection | paper | green | 12.00 | Basil, parsley, dill, thyme and one surprise.
 Wildflower seed mix | paper | yellow | 9.00 | Bees come with it.
 Cold frame | cedar | brown | 119.00 | Lettuce six weeks early.
desk work; Desks and chairs; Ostrava Works, Weftworks
 Standing desk | oak | brown, white | 499.00 | It rises without a sound and remembers three heights.
 Desk chair with lumbar support | mesh | black, grey | 289.00 | It moves with the back.
 Monitor arm | aluminium | black | 89.00 | It holds the screen where the eyes are.
 Felt desk mat | wool | grey, green | 39.00 | Cups and keyboards stand quietly on it.
 Bookend pair | steel | black, white | 24.00 | Heavy enough for dictionaries.
desk work; Keyboards and lamps; Ostrava Works, Brightspoke
 Mechanical keyboard | aluminium | white, black | 129.00 | Every key answers.
 Wireless mouse | plastic | black, white | 49.00 | It fits a hand and not a fist.
 Desk lamp with dimmer | steel | black, green | 79.00 | Warm in the evening, cool at noon.
 Noise-cancelling headphones | plastic | black, sand | 219.00 | The office goes away.
 Dotted notebook | paper | red, black | 14.50 | Pages that lie flat and do not bleed.
travel; Bags and cases; Tarnhow, Weftworks
 Cabin suitcase | polycarbonate | grey, red | 159.00 | It fits above every seat.
 Canvas weekender | canvas | green, sand | 99.00 | Two nights and a book.
 Packing cubes | nylon | blue | 29.00 | Shirts stay where they were put.
 Passport wallet | leather | brown, black | 35.00 | It closes around what must not be lost.
 Toiletry bag | canvas | grey | 26.00 | It hangs on any hook.
travel; On the way; Brightspoke, Weftworks
 Inflatable neck pillow | cotton | grey | 22.00 | A pillow when you need it, a fist when not.
 Travel adapter | plastic | white | 27.00 | Four plugs for a hundred and fifty countries.
 Power bank | aluminium | black | 45.00 | Three charges in a pocket.
 Insulated bottle | steel | blue, black | 32.00 | Tea stays hot over the Alps.
 Sleep mask | silk | black | 19.00 | Night, wherever you are.
swimming; Pool and sea; Brightspoke, Tarnhow
 Anti-fog goggles | silicone | blue, black | 24.00 | They see the end of the lane before you do.
 Training swimsuit | polyester | red, black | 49.00 | Chlorine gives up before it does.
 Quick-drying towel | polyester | green, blue | 22.00 | It dries you, and then itself.
 Short swim fins | rubber | black, yellow | 32.00 | For legs that would like to be stronger.
 Dry bag 15 litres | nylon | yellow, orange | 27.00 | It floats, with the telephone inside.
dog walking; Dogs; Fernbank, Granite Lane
 Hands-free dog lead | nylon | red, grey | 29.00 | It ends at a belt, and so do two free hands.
 Reflective dog coat | polyester | orange, yellow | 45.00 | Seen from a hundred metres.
 Folding water bowl | silicone | blue, green | 11.00 | It lives in a pocket.
 Willow dog basket | willow | brown | 69.00 | It creaks once, and then he sleeps.
 Rope tug toy | cotton | red, blue | 9.90 | It loses threads and never an argument.
baby care; Nursery; Fernbank, Littlemoor
 Wooden cot | beech | white, brown | 259.00 | The base comes down as the child grows up.
 Muslin cloth set | cotton | white, green | 24.00 | Nobody has ever had too many.
 Night light hare | silicone | white | 29.00 | It glows for as long as the song lasts.
 Knitted baby blanket | wool | yellow, grey | 49.00 | Soft, and washable, which matters more.
 Changing mat | cotton | sand | 45.00 | The sides are higher than the rolls.
baby care; Toys; Littlemoor, Hollin & Sons
 Wooden stacking rings | beech | red, blue | 19.00 | They always fall, and that is the point.
 Cloth picture book | cotton | yellow | 15.00 | It may be eaten.
 Pull-along duck | maple | yellow | 27.00 | It quacks as fast as it is pulled.
 Building blocks | beech | brown, red | 39.00 | Forty of them, of which you will find thirty.
 Shape sorter | maple | blue | 32.00 | The star is the hard one.
"""

FIRST = [
    "The {low} is made by {brand} and made of {material}.",
    "A {low} by {brand}, made of {material}.",
    "This {low} is designed for {pursuit} and made of {material}.",
]
LAST = [
    "It is made for {pursuit}.",
    "It was designed for {pursuit}, and comes in {colours}.",
    "It is made by {brand} and made for {pursuit}.",
]


def products() -> list[dict[str, str]]:
    """Return the products in the order of the shelf, each with the pursuit that it is for."""
    found: list[dict[str, str]] = []
    pursuit = category = ""
    brands: list[str] = []
    for line in SHELF.strip().splitlines():
        if not line.startswith(" "):
            pursuit, category, names = (part.strip() for part in line.split(";"))
            brands = [name.strip() for name in names.split(",")]
            continue
        title, material, colours, price, special = (part.strip() for part in line.split("|"))
        number = len(found)
        brand = brands[number % 2]
        words = {
            "low": title[0].lower() + title[1:], "brand": brand, "material": material,
            "pursuit": pursuit, "colours": colours.replace(",", " and"),
        }  # fmt: skip
        text = f"{FIRST[number % 3]} {special} {LAST[number // 2 % 3]}".format(**words)
        found.append(
            {
                "product_id": f"p{number + 1:03}",
                "title": title,
                "brand": brand,
                "category": category,
                "material": material,
                "colours": colours.replace(", ", "|"),
                "price": price,
                "description": text,
                "pursuit": pursuit,
            }
        )
    return found


def events(shelf: list[dict[str, str]]) -> list[dict[str, object]]:
    """Return views and purchases by customers who follow two pursuits and favour a brand."""
    draw = random.Random(3)
    pursuits = sorted({one["pursuit"] for one in shelf})
    brands = sorted({one["brand"] for one in shelf})
    rows: list[dict[str, object]] = []
    for number in range(CUSTOMERS):
        follows, favourite = draw.sample(pursuits, 2), draw.choice(brands)
        weight = {
            one["product_id"]: 0.06
            + (1.0 if one["pursuit"] == follows[0] else 0.0)
            + (0.6 if one["pursuit"] == follows[1] else 0.0)
            + (0.2 if one["brand"] == favourite else 0.0)
            for one in shelf
        }
        at = 1_700_000_000 + draw.randint(0, 20_000_000)
        order = sorted(weight, key=lambda one: draw.random() ** (1 / weight[one]))
        for product in reversed(order[-draw.randint(8, 16) :]):
            at += draw.randint(300, 400_000)
            done = (
                ["view", "purchase"] if draw.random() < 0.25 + 0.4 * weight[product] else ["view"]
            )
            for kind in done:
                row = {"user_id": f"c{number + 1:03}", "product_id": product}
                rows.append({**row, "event": kind, "timestamp": at})
                at += 90
    return rows


def write(name: str, rows: list[dict[str, object]] | list[dict[str, str]]) -> None:
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    shelf = products()
    write("events.csv", events(shelf))
    write("products.csv", [{k: v for k, v in one.items() if k != "pursuit"} for one in shelf])
