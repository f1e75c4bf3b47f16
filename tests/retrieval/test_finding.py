"""Names are found as people type them, whatever their script and signs."""

from __future__ import annotations

import random

import pytest
from titles import titles, with_an_error

from kgrec.retrieval.finding.names import NameIndex
from kgrec.retrieval.finding.words import query_words


def first(index: NameIndex, text: str) -> str | None:
    found = index.find(text)
    return index.names[found[0].row] if found else None


@pytest.fixture(scope="module")
def index() -> NameIndex:
    return NameIndex(titles())


def test_every_title_finds_itself_first(index: NameIndex) -> None:
    wrong = {title: first(index, title) for title in index.names}
    assert {title: one for title, one in wrong.items() if one != title} == {}
    assert [one for one in index.names if not index.find(one)[0].same] == []


def test_nineteen_of_twenty_titles_are_found_by_an_error_of_one_letter(index: NameIndex) -> None:
    draw = random.Random(0)
    for _ in range(3):
        right = sum(first(index, with_an_error(one, draw)) == one for one in index.names)
        assert right / len(index.names) >= 0.95


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("rosemarys baby", "Rosemary's Baby"),
        ("ROSEMARY’S", "Rosemary's Baby"),
        ("walle", "WALL·E"),
        ("wall e", "WALL·E"),
        ("wall-e", "WALL·E"),
        ("amelie", "Amélie"),
        ("ame", "Amélie"),
        ("AMÉLIE", "Amélie"),
        ("istanbul", "İstanbul Hatırası"),
        ("ISTANBUL HATIRASI", "İstanbul Hatırası"),
        ("lodz", "Łódź Ghetto"),
        ("illusionniste", "L'illusionniste"),
        ("हिन्दी", "हिन्दी फ़िल्म"),
        ("फिल्म", "हिन्दी फ़िल्म"),
        ("หนังไทย", "หนังไทย น้ำตา"),
        ("尋の神", "千と千尋の神隠し"),
        ("隠し", "千と千尋の神隠し"),
        ("ｔｏｙ　ｓｔｏｒｙ　２", "Toy Story 2"),
        ("toy story", "Toy Story"),
        ("toystory2", "Toy Story 2"),
        ("god father", "The Godfather"),
        ("godfaht", "The Godfather"),
        ("8 1/2 women", "8½ Women"),
        ("swat", "S.W.A.T."),
        ("mash unit", "M*A*S*H Unit"),
        ("i huckabees", "I ♥ Huckabees"),
        ("وداعا بونابرت", "وَدَاعًا بونابرت"),
        ("ולס עם באשיר", "וַלס עם באשיר"),
        ("елки", "Ёлки"),
        ("spiderman", "Spider-Man"),
        ("spider man", "Spider-Man"),
    ],
)
def test_what_people_type(index: NameIndex, text: str, title: str) -> None:
    assert first(index, text) == title


def test_a_title_is_found_at_each_letter_that_is_typed(index: NameIndex) -> None:
    for title in ("Casablanca", "Nosferatu", "Metropolis", "Сталкер", "Κυνόδοντας"):
        for end in range(3, len(title) + 1):
            assert title in {index.names[one.row] for one in index.find(title[:end])[:5]}


@pytest.mark.parametrize(
    "signs", ["", "!!!", "…", "?!", "*", "♥", "  ", '"', "\\", "+-&|", "·", "'"]
)
def test_signs_alone_find_nothing(index: NameIndex, signs: str) -> None:
    assert query_words(signs) == []
    assert index.find(signs) == []


def test_what_no_name_holds_is_not_found(index: NameIndex) -> None:
    assert index.find("zebra crossing guards") == []
    assert NameIndex([]).find("anything") == []
    assert NameIndex(["", "!!!"]).find("anything") == []
