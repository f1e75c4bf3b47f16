from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgrec.errors import ModelError, SchemaError
from kgrec.schema import Domain, load_domain, load_schema
from kgrec.schema.domain import FactRole, LinkRole
from kgrec.text.entity_names import surnames
from kgrec.text.mentions import title_forms
from kgrec.text.pipeline import (
    PIECE,
    Extractor,
    ItemText,
    TextFact,
    build_pipeline,
    extractor_version,
    pieces,
)
from kgrec.text.roles import LINK_ROLES, ROLES


@pytest.fixture(scope="module")
def movies() -> Domain:
    return load_schema().domain("movies")


@pytest.fixture(scope="module")
def extractor(movies: Domain) -> Extractor:
    names = {"Person": ["Alfred Hitchcock"], "Genre": ["Thriller", "Film-Noir"]}
    return Extractor(movies, names=names)


def facts(extractor: Extractor, title: str, text: str) -> list[TextFact]:
    ((_, found),) = extractor.read([ItemText("1", title, text)])
    return found


def pairs(found: list[TextFact]) -> set[tuple[str, str]]:
    return {(fact.relation, fact.entity_name) for fact in found}


def test_a_surname_stands_for_the_full_name(extractor: Extractor) -> None:
    text = "Bulletproof stars Damon Wayans and Adam Sandler. Wayans also wrote the screenplay."
    assert ("WRITTEN_BY", "Damon Wayans") in pairs(facts(extractor, "Bulletproof", text))
    assert ("DIRECTED_BY", "Alfred Hitchcock") in pairs(
        facts(extractor, "Frenzy", "Frenzy is a film by Hitchcock.")
    )


def test_surnames_that_two_share_stand_for_nobody() -> None:
    names = ["Joel Coen", "Ethan Coen", "Robert Downey Jr.", "Cher"]
    assert surnames(names) == {"Downey": "Robert Downey Jr."}


def test_a_known_genre_counts_when_it_describes_the_item(extractor: Extractor) -> None:
    found = facts(extractor, "Frenzy", "Frenzy is a thriller directed by Alfred Hitchcock.")
    genre = next(fact for fact in found if fact.relation == "HAS_GENRE")
    assert (genre.entity_name, genre.extractor, genre.evidence) == ("thriller", "known", "thriller")
    other = facts(extractor, "Misery", "Kathy Bates plays a nurse who reads a thriller in bed.")
    assert "HAS_GENRE" not in {fact.relation for fact in other}


def test_characters_and_other_films_make_no_facts(extractor: Extractor) -> None:
    text = (
        "Tim Burton directed this comedy. Johnny Depp plays the director Edward Wood, and Martin"
        " Landau appears as Bela Lugosi. It is a remake of the 1954 drama by Billy Wilder."
    )
    assert pairs(facts(extractor, "Anything", text)) == {
        ("DIRECTED_BY", "Tim Burton"),
        ("STARS", "Johnny Depp"),
        ("STARS", "Martin Landau"),
    }


def test_two_processes_read_the_same(extractor: Extractor) -> None:
    texts = [
        ItemText(str(i), "Heat", f"Heat {i} was directed by Michael Mann and stars Al Pacino.")
        for i in range(6)
    ]
    alone = list(extractor.read(texts))
    assert list(extractor.read(texts, n_process=2, batch_size=2)) == alone
    assert [item.item_id for item, _ in alone] == [text.item_id for text in texts]


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.sampled_from(
            [
                "directed",
                "by",
                "Ann Lee",
                "and",
                ",",
                "starring",
                "the novel",
                "X",
                "'s",
                '"',
                "-",
                "Set",
                "in",
                "Rome",
                "1920s",
                "who",
                "plays",
                "as",
                "film",
                ".",
                "\n",
                "Émile",
                "?",
            ]
        ),
        max_size=25,
    ).map(" ".join)
    | st.text(max_size=60)
)
def test_any_text_can_be_read(extractor: Extractor, text: str) -> None:
    for fact in facts(extractor, "X", text):
        assert text[fact.start : fact.end] == fact.evidence
        assert fact.entity_name.strip()


def test_every_role_of_the_schema_has_a_function() -> None:
    assert set(get_args(FactRole)) == set(ROLES)
    assert set(get_args(LinkRole)) == set(LINK_ROLES)


def test_music_is_read_by_its_own_rules() -> None:
    text = (
        "Pavement is an indie rock band from Stockton. The band consists of Stephen Malkmus and"
        " Scott Kannberg."
    )
    reader = Extractor(load_schema().domain("music"), names={"Genre": ["Indie Rock"]})
    assert pairs(facts(reader, "Pavement", text)) == {
        ("HAS_GENRE", "indie rock"),
        ("COMES_FROM", "Stockton"),
        ("MEMBER", "Stephen Malkmus"),
        ("MEMBER", "Scott Kannberg"),
    }


def test_a_domain_without_rules_finds_nothing_and_fails_nowhere() -> None:
    domain = Domain(name="d", item_label="Book", entity_types={}, relations={})
    assert facts(Extractor(domain), "A Book", "A novel by Jane Austen, set in Bath.") == []


def test_title_forms() -> None:
    assert title_forms("Usual Suspects, The")[:2] == ("The Usual Suspects", "Usual Suspects")
    assert "Se7en" in title_forms("Seven (Se7en)")
    assert title_forms("M") == ("M",)
    assert title_forms("") == ()


def test_the_version_follows_rules_and_model(movies: Domain) -> None:
    changed = movies.model_copy(update={"rules": movies.rules[1:]})
    versions = {
        extractor_version(movies),
        extractor_version(changed),
        extractor_version(movies, "another"),
    }
    assert len(versions) == 3
    assert extractor_version(movies) == extractor_version(movies)


def test_a_missing_pipeline_is_an_error_of_ours(movies: Domain) -> None:
    with pytest.raises(ModelError, match="no spaCy pipeline"):
        build_pipeline(movies, names={}, model="en_no_such_model")


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        ('[[rules]]\nrelation = "NO"\nrole = "agent"', "unknown relation"),
        ('[reading]\nknown = ["NO"]', "unknown relation"),
        ('[reading.ner]\nPERSON = "No"', "unknown entity type"),
        ('[reading.patterns]\nPlace = ["("]', "regular expression"),
    ],
)
def test_a_wrong_domain_file_is_refused(tmp_path: Path, tail: str, message: str) -> None:
    path = tmp_path / "d.toml"
    path.write_text(
        'name = "d"\nitem_label = "Book"\n[entity_types]\nPlace = "A place."\n[relations]\n'
        f'NEAR = {{ tail = "Place", meaning = "{{item}} is near {{entity}}." }}\n{tail}\n'
    )
    with pytest.raises(SchemaError, match=message):
        load_domain(path, load_schema().core)


def links(found: list[TextFact]) -> set[tuple[str, str, str]]:
    """What leads further than from the item to an entity: relation, head, tail."""
    return {
        (fact.relation, fact.head_name, fact.entity_name)
        for fact in found
        if fact.head_type or not fact.entity_type
    }


@pytest.mark.parametrize(
    ("title", "text", "expected"),
    [
        (
            "Aliens",
            "James Cameron wrote and directed Aliens, the sequel to Ridley Scott's Alien.",
            {("SEQUEL_OF", "", "Alien")},
        ),
        (
            "Batman Returns",
            "Tim Burton directed this sequel to his own Batman.",
            {("SEQUEL_OF", "", "Batman")},
        ),
        (
            "Last Man Standing",
            "Last Man Standing is a remake of the samurai film Yojimbo by Akira Kurosawa.",
            {("REMAKE_OF", "", "Yojimbo")},
        ),
        ("Ransom", "The thriller is a remake of a 1956 film.", set()),
        (
            "Father of the Bride Part II",
            "Charles Shyer directed this sequel to his own remake of Father of the Bride.",
            set(),
        ),
        (
            "Babe",
            "Babe is based on the novel The Sheep-Pig by Dick King-Smith.",
            {("WORK_BY", "The Sheep-Pig", "Dick King-Smith")},
        ),
        (
            "Stand by Me",
            "Rob Reiner directed this drama adapted from Stephen King's novella The Body.",
            {("WORK_BY", "The Body", "Stephen King")},
        ),
        (
            "Groundhog Day",
            "The comedy is set in Punxsutawney, Pennsylvania.",
            {("LOCATED_IN", "Punxsutawney", "Pennsylvania")},
        ),
        ("Travels", "The comedy is set in Paris, London and Rome.", set()),
        (
            "Fargo",
            "Fargo was directed by Joel Coen, who was born in Minneapolis.",
            {("BORN_IN", "Joel Coen", "Minneapolis")},
        ),
        # A link must begin at an entity that the film itself leads to.
        ("Fargo", "Fargo is a comedy. A man born in Minneapolis reads Emma by Jane Austen.", set()),
    ],
)
def test_texts_state_links(
    extractor: Extractor, title: str, text: str, expected: set[tuple[str, str, str]]
) -> None:
    found = facts(extractor, title, text)
    assert links(found) == expected
    for fact in found:
        assert text[fact.start : fact.end] == fact.evidence
        assert fact.head_name in fact.evidence


def test_music_states_links_by_its_own_rules() -> None:
    text = (
        "Nirvana is a rock band from Aberdeen, Washington. The band was fronted by Kurt Cobain,"
        " who was born in Aberdeen. Nirvana toured with Sonic Youth and was compared to Pixies."
        " The group signed to Sub Pop. Sub Pop is a division of Warner Music Group."
    )
    reader = Extractor(load_schema().domain("music"), names={"Label": ["Sub Pop"]})
    assert links(facts(reader, "Nirvana", text)) >= {
        ("LOCATED_IN", "Aberdeen", "Washington"),
        ("BORN_IN", "Kurt Cobain", "Aberdeen"),
        ("TOURED_WITH", "", "Sonic Youth"),
        ("SIMILAR_TO", "", "Pixies"),
        ("OWNED_BY", "Sub Pop", "Warner Music Group"),
    }


_KINDS = """name = "d"
item_label = "Book"
[entity_types]
Place = "A place."
[relations]
NEAR = { tail = "Place", meaning = "{item} is near {entity}." }
INSIDE = { head = "Place", tail = "Place", meaning = "{head} is inside {tail}." }
LIKES = { head = "User", tail = "Place", meaning = "{head} likes {tail}." }
"""


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        ('[[rules]]\nrelation = "NEAR"\nrole = "subject"', "NEAR, which leads from an item"),
        ('[[rules]]\nrelation = "INSIDE"\nrole = "prep"', "INSIDE, which leads from an entity"),
        ('[[rules]]\nrelation = "LIKES"\nrole = "subject"', "ends no text can name"),
        ('[reading]\nknown = ["INSIDE"]', "known relation does not lead from an item"),
    ],
)
def test_a_rule_must_fit_the_ends_of_its_relation(tmp_path: Path, tail: str, message: str) -> None:
    path = tmp_path / "d.toml"
    path.write_text(_KINDS + tail)
    with pytest.raises(SchemaError, match=message):
        load_domain(path, load_schema().core)


def test_a_long_text_is_read_in_pieces_with_the_same_offsets(extractor: Extractor) -> None:
    filler = "The painters lose everything and find each other again. " * 300
    text = f"{filler}\n\nIt was directed by Ada Example and is set in Paris.\n\n{filler}"
    found = facts(extractor, "Alpha", text)
    assert ("DIRECTED_BY", "Ada Example") in pairs(found)
    assert ("SET_IN", "Paris") in pairs(found)
    assert all(text[one.start : one.end] == one.evidence for one in found)


@given(st.text(alphabet="ab .\n", max_size=30_000))
@settings(max_examples=30, deadline=None)
def test_pieces_are_the_whole_text(text: str) -> None:
    parts = list(pieces(text))
    assert "".join(text[start:end] for start, end in parts) == text
    assert max(end - start for start, end in parts) <= PIECE


def test_a_fact_that_several_pieces_state_is_one(extractor: Extractor) -> None:
    text = "It was directed by Ada Example. The painters find each other again. " * 200
    found = [one for one in facts(extractor, "Alpha", text) if one.relation == "DIRECTED_BY"]
    assert [(one.entity_name, one.start < 100) for one in found] == [("Ada Example", True)]


def test_an_ampersand_ends_a_name(extractor: Extractor) -> None:
    found = facts(extractor, "Alpha", "A drama directed by Ada Example & starring Bob Sample.")
    assert pairs(found) >= {("DIRECTED_BY", "Ada Example"), ("STARS", "Bob Sample")}
