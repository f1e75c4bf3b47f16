"""How names are alike, and what evidence adds up to."""

from __future__ import annotations

import pytest

from kgrec.resolution.evidence import (
    NodeTraits,
    Together,
    Words,
    of_entities,
    of_items,
    of_names,
    probability,
)
from kgrec.resolution.spellings import alike, likeness


@pytest.mark.parametrize(
    ("one", "other", "how"),
    [
        ("Hanks, Tom", "Tom Hanks", "signs"),
        ("Zoë Kravitz", "ZOE KRAVITZ", "signs"),
        ("Godfather, The", "The Godfather", "signs"),
        ("Jean-Luc Godard", "Jean Luc Godard", "signs"),
        ("Tom Hanks", "tom hanks", "name"),
        ("Robert De Niro", "Robert DeNiro", "spaces"),
        ("Park Chan-wook", "Chan-wook Park", "order"),
        ("T. Hanks", "Tom Hanks", "initials"),
        ("Smith, J. R.", "John Robert Smith", "initials"),
        ("Samuel L. Jackson", "Samuel Jackson", "middle"),
        ("Bill Murray", "William Murray", "given"),
        ("Murray, William J.", "Bill Murray", "given"),
        ("Sandy Duncan", "Alexandra Duncan", "given"),
        ("Paco Rabal", "Francisco Rabal", "given"),
        ("Jerry Lewis", "Gerald Lewis", "given"),
        ("Gerald Lewis", "Jeremy Lewis", None),  # both may be a Jerry
        ("Bill Murray", "William Hurt", None),
        ("Bill", "William", None),
        ("bill collector", "william collector", None),
        ("Warner Bros.", "Warner Brothers", "short"),
        ("MGM", "Metro-Goldwyn-Mayer", "acronym"),
        ("Steven Spielberg", "Steven Speilberg", "letter"),
        ("Sammy Davis, Jr.", "Sammy Davis", None),
        ("Apollo 12", "Apollo 13", None),
        ("secret service agent", "secret agent", None),
        ("M.C. Gainey", "McG", None),
        ("Thomas J. Wright", "Thomas M. Wright", None),
    ],
)
def test_names_are_alike_in_one_way(one: str, other: str, how: str | None) -> None:
    assert likeness(one, other) == how
    assert likeness(other, one) == how


def test_alike_names_are_found_among_many() -> None:
    names = ["Tom Hanks", "Hanks, Tom", "T. Hanks", "Tim Burton", "Robert De Niro", "Robert DeNiro"]
    found = {(names[i], names[j]): how for i, j, how in alike(names)}
    assert found == {
        ("Tom Hanks", "Hanks, Tom"): "signs",
        ("Tom Hanks", "T. Hanks"): "initials",
        ("Hanks, Tom", "T. Hanks"): "initials",
        ("Robert De Niro", "Robert DeNiro"): "spaces",
    }


def test_a_short_form_is_compared_with_its_given_name_alone() -> None:
    names = ["Bob Hoskins", "Robert Hoskins", "Roberta Hoskins", "Ted Hoskins", "Bob Dylan"]
    found = {(names[i], names[j]): how for i, j, how in alike(names)}
    assert {pair: how for pair, how in found.items() if how == "given"} == {
        ("Bob Hoskins", "Robert Hoskins"): "given"
    }


def test_what_surrounds_two_of_one_name_decides() -> None:
    words = Words(["Jo Ray", "Jo Ray", *(f"Name{n} Other{n}" for n in range(200))])
    names = of_names("name", "Jo Ray", "Jo Ray", words, rivals=0)
    plain, none = NodeTraits(), dict[str, int]()

    def chance(a: NodeTraits, b: NodeTraits, together: Together | None = None) -> float:
        found = of_entities("name", a, b, together or Together(), 200, none)
        return probability([*names, *found])

    near = NodeTraits(companions={"Person": frozenset("xyz")})
    keyed = NodeTraits(keyed=True, sources=frozenset({"films"}))
    born = [NodeTraits(values={"birth_year": year}) for year in (1950, 1951, 1990)]
    old, new = NodeTraits(years=(1920, 1925)), NodeTraits(years=(1990, 2000))
    assert chance(near, near) > chance(plain, plain) > 0.9
    assert chance(plain, plain, Together(same=1)) < 0.001
    assert chance(plain, plain, Together(tied=True)) < 0.001
    assert chance(keyed, keyed) < 0.001
    assert chance(born[0], born[2]) < 0.05
    assert chance(born[0], born[0]) > chance(plain, plain)
    assert chance(old, new) < chance(plain, plain)


def test_items_of_one_title_and_other_years_or_makers_are_two() -> None:
    words = Words(["The Ice Storm", "The Ice Storm", *(f"Title {n}" for n in range(500))])
    names = of_names("name", "The Ice Storm", "The Ice Storm", words, rivals=0)

    def chance(year: int, maker: str) -> float:
        sides = [
            NodeTraits(values={"year": y}, companions={"MADE_BY": frozenset({m})})
            for y, m in ((1997, "lee"), (year, maker))
        ]
        return probability([*names, *of_items(sides[0], sides[1], Together(), 500, {})])

    assert chance(1997, "lee") > 0.99
    assert chance(1950, "lee") < 0.5
    assert chance(1997, "other") < chance(1997, "lee") - 0.005
