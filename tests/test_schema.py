"""Holds the vocabulary, the statement files and their callers together."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import kgrec
from kgrec.cli import main
from kgrec.errors import ConfigError, SchemaError
from kgrec.graph.statements import check_statements, header_of, returned_columns
from kgrec.schema import Schema, Statement, load_schema

SOURCES = sorted(Path(kgrec.__file__).parent.rglob("*.py"))
DOMAIN = """
name = "books"
item_label = "Book"
[entity_types]
Writer = "a person who wrote books"
[relations.WRITTEN_BY]
tail = "Writer"
meaning = "{item} was written by {entity}."
"""


def statement(header: str, body: str) -> Statement:
    return Statement(
        name="x/y",
        header=header,
        body=body,
        slots=frozenset(re.findall(r"__[A-Z]+__", body)),
        parameters=frozenset(re.findall(r"\$([a-z]+)", body)),
    )


def with_statement(one: Statement) -> Schema:
    return load_schema().model_copy(update={"statements": {one.name: one}})


def test_statements_fit_their_headers_and_the_vocabulary() -> None:
    assert check_statements(load_schema()) == []


def test_every_statement_is_called_and_every_call_has_its_statement() -> None:
    schema = load_schema()
    folders = {name.partition("/")[0] for name in schema.statements}
    literal = re.compile(rf'"((?:{"|".join(sorted(folders))})/[a-z_0-9]+)"')
    called = {name for path in SOURCES for name in literal.findall(path.read_text("utf-8"))}
    assert sorted(called - schema.statements.keys()) == [], "called, and there is no such file"
    uncalled = {name for name in schema.statements.keys() - called if _by_name(name)}
    assert sorted(uncalled) == [], "a file that nothing calls"


def _by_name(statement: str) -> bool:
    """Whether code must name a statement: those of `queries/` are run by whoever asks for them."""
    return not statement.startswith("queries/")


def test_no_cypher_outside_the_statement_files() -> None:
    clause = re.compile(r"\b(?:MATCH|MERGE|UNWIND|CREATE|DELETE) ?\(")
    found = [path.name for path in SOURCES if clause.search(path.read_text("utf-8"))]
    assert found == []


def test_keys_are_properties_of_their_labels() -> None:
    core = load_schema().core
    assert set(core.keys) == set(core.labels.model_dump().values())
    for label, key in core.keys.items():
        assert core.properties[label][key] == "string"
    for index in core.indexes.values():
        for name in index.properties or (index.property,):
            assert name in core.properties[index.label]


@pytest.mark.parametrize(
    ("header", "body", "problem"),
    [
        ("p\nreturns: a", "RETURN $x AS a", "$x is not described"),
        ("p\n$x: string\nreturns: a", "RETURN 1 AS a", "$x is described in the header and not"),
        ("p\n$x:\nreturns: a", "RETURN $x AS a", "$x is described by nothing"),
        ("p\nreturns: b", "RETURN 1 AS a", "columns (b) are not those returned (a)"),
        ("p", "RETURN 1 AS a", "none named"),
        ("returns: a", "RETURN 1 AS a", "the purpose of the statement"),
        ("p\nreturns: a", "MATCH (n:Film) RETURN 1 AS a", "Film is no label"),
        ("p\nreturns: a", "MATCH ()-[:LIKES|SUGGESTS]->() RETURN 1 AS a", "LIKES is no relation"),
        ("p\nreturns: a", "MATCH (n:Item {id: '1'}) RETURN 1 AS a", "id is no property of Item"),
        ("p\nreturns: a", "RETURN 1 AS a; RETURN 1 AS a", "no semicolon"),
    ],
)
def test_what_does_not_fit_is_found(header: str, body: str, problem: str) -> None:
    problems = check_statements(with_statement(statement(header, body)))
    assert any(problem in one for one in problems), problems


def test_a_sound_statement_has_no_problems() -> None:
    header = "p\n$x: map {item_id: string}; one item\n__SLOT__: property\nreturns: a, n.b (c, d)"
    body = "MATCH (n:Item {item_id: $x.id}) WHERE n.__SLOT__ <> ';' RETURN size([1, 2]) AS a, n.b"
    assert check_statements(with_statement(statement(header, body))) == []
    assert header_of(statement(header, body)).purpose == "p"
    assert returned_columns(body) == ("a", "n.b")


def test_a_domain_file_of_ones_own_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "books.toml"
    path.write_text(DOMAIN, encoding="utf-8")
    assert load_schema().domain(str(path)).item_label == "Book"
    for right, wrong, error in [
        ('tail = "Writer"', 'tail = "Author"', "unknown entity type"),
        ('"Book"', '"Item"', "reserved by kgrec"),
        ('"Book"', '"A Book"', "not a usable name"),
        ("{entity}", "someone", "must name"),
        ('name = "books"', "", "name"),
        ("[entity_types]", "[item_properties]\nyear = 'datetime'\n[entity_types]", "year"),
        ("[entity_types]", "[item_properties]\n'a b' = 'string'\n[entity_types]", "usable name"),
        ("[entity_types]", "[item_properties]\ntitle = 'string'\n[entity_types]", "every item"),
    ]:
        path.write_text(DOMAIN.replace(right, wrong), encoding="utf-8")
        with pytest.raises(ConfigError, match=error):
            load_schema().domain(str(path))
    with pytest.raises(SchemaError, match="movies"):
        load_schema().domain("cars")


def further(relation: str, meaning: str, head: str = "", tail: str = "Writer") -> str:
    ends = f'head = "{head}"\n' if head else ""
    return f'{DOMAIN}\n[relations.{relation}]\n{ends}tail = "{tail}"\nmeaning = "{meaning}"\n'


def test_a_relation_may_lead_from_and_to_any_node(tmp_path: Path) -> None:
    path = tmp_path / "books.toml"
    core = load_schema().core
    for head, tail, ends in [
        ("", "Item", ("item", "item")),
        ("Book", "Book", ("item", "item")),
        ("Writer", "Writer", ("entity", "entity")),
        ("Writer", "Book", ("entity", "item")),
        ("User", "User", ("user", "user")),
        ("User", "Entity", ("user", "entity")),
    ]:
        path.write_text(further("NEAR", "{head} is near {tail}.", head, tail), encoding="utf-8")
        domain = load_schema().domain(str(path))
        assert core.ends_of(domain.relations["NEAR"]) == ends
        assert list(domain.facts) == ["WRITTEN_BY"]
        assert domain.relations["NEAR"].sentence("A", "B") == "A is near B"


def test_the_ends_of_a_meaning_are_those_of_the_relation(tmp_path: Path) -> None:
    path = tmp_path / "books.toml"
    path.write_text(further("PRAISES", "{entity} praises {item}.", "Writer", "Item"), "utf-8")
    assert load_schema().domain(str(path)).relations["PRAISES"].sentence("Ann", "It") == (
        "Ann praises It"
    )
    path.write_text(further("PRAISES", "{head} praises {tail}.", "Writer", "Item"), "utf-8")
    praises = load_schema().domain(str(path)).relations["PRAISES"]
    assert praises.sentence("Ann", "It") == "Ann praises It"
    assert praises.meaning == "{entity} praises {item}."


@pytest.mark.parametrize(
    ("head", "tail", "meaning", "error"),
    [
        ("", "Item", "{item} is near {entity}.", "must name {head} and {tail}, each once"),
        ("", "Writer", "{item} is near {tail}.", "must name {item} and {entity}, or {head}"),
        ("Writer", "Writer", "{item} is near {entity}.", "must name {head} and {tail}, each"),
        ("", "Item", "{head} and {head} are near {tail}.", "each once"),
        ("User", "Item", "{head} owns {tail}.", "from user to item.*is an interaction"),
        ("Writer", "User", "{head} knows {tail}.", "from entity to user"),
        ("Poet", "Writer", "{head} knows {tail}.", "the head of NEAR.*'Poet'.*Known: Writer"),
        ("Writer", "Poet", "{head} knows {tail}.", "the tail of NEAR.*'Poet'"),
    ],
)
def test_ends_and_meanings_of_no_use_are_named(
    tmp_path: Path, head: str, tail: str, meaning: str, error: str
) -> None:
    path = tmp_path / "books.toml"
    path.write_text(further("NEAR", meaning, head, tail), encoding="utf-8")
    with pytest.raises(SchemaError, match=error):
        load_schema().domain(str(path))


def test_a_rule_between_entities_names_both_ends(tmp_path: Path) -> None:
    path = tmp_path / "books.toml"
    rule = '[[rules]]\nrelation = "NEAR"\nrole = "{}"\n'
    text = further("NEAR", "{head} is near {tail}.", "Writer", "Writer")
    path.write_text(text + rule.format("agent"), encoding="utf-8")
    with pytest.raises(SchemaError, match="leads from an entity, cannot have this role"):
        load_schema().domain(str(path))
    path.write_text(text + rule.format("appositive"), encoding="utf-8")
    assert load_schema().domain(str(path)).rules[-1].role == "appositive"


def test_the_commands_show_and_check(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "books.toml"
    path.write_text(DOMAIN, encoding="utf-8")

    def run(*args: str) -> str:
        with pytest.raises(SystemExit) as left:
            main(["schema", *args])
        assert not left.value.code
        return capsys.readouterr().out

    assert "books" in run("check", "--domain", str(path))
    assert json.loads(run("check", "--json"))["problems"] == []
    assert "DIRECTED_BY" in run("show", "--domain", "movies")
    assert json.loads(run("show", "--json"))["core"]["labels"]["item"] == "Item"
    shown = json.loads(run("show", "--statement", "admin/labels", "--json"))
    assert shown["returns"] == ["name"]
