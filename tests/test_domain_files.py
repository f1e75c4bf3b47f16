"""`kgrec schema check FILE`: all that is wrong in a domain file, with lines and remedies."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kgrec.cli import main
from kgrec.resources import resource_dir
from kgrec.schema.lines import line_of

FILE = '''name = "mine"
uses = ["genres"]
item_label = "Book"
item_word = "book"

[item_properties]
year = "integer"

[entity_types]
Writer = "Somebody who writes."

[relations]
WRITTEN_BY = { tail = "Writer", meaning = "{item} is by {entity}.", columns = ["author"] }
NEAR = { tail = "Item", meaning = "{head} is near {tail}." }

[relations.IN_SHOP]
tail = "Writer"
meaning = """
{item} is
sold by {entity}."""
columns = ["shop"]

[[rules]]
relation = "WRITTEN_BY"
role = "agent"
verbs = ["write"]

[[rules]]
relation = "NEAR"
role = "prep"
'''
Check = Callable[[str], tuple[int, Any]]


@pytest.fixture
def check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Check:
    def run(text: str) -> tuple[int, Any]:
        path = tmp_path / "mine.toml"
        path.write_text(text, encoding="utf-8")
        code: Any = 0
        try:
            main(["schema", "check", str(path), "--json"])
        except SystemExit as leaving:
            code = leaving.code or 0
        return code, json.loads(capsys.readouterr().out)

    return run


def test_a_sound_file_has_nothing_to_report(check: Check) -> None:
    code, found = check(FILE)
    assert (code, found["domain"], found["faults"]) == (0, "mine", [])


@pytest.mark.parametrize(
    ("right", "wrong", "line", "key", "what"),
    [
        ('year = "integer"', 'year = "whole"', 7, "item_properties.year", "Input should be"),
        ('year = "integer"', 'title = "string"', 7, "item_properties.title", "every item has"),
        ('tail = "Writer", m', 'tail = "Author", m', 13, "relations.WRITTEN_BY.tail", "unknown"),
        ("{head} is near", "it is near", 14, "relations.NEAR.meaning", "each once"),
        ("sold by {entity}", "sold", 18, "relations.IN_SHOP.meaning", "must name {item} and"),
        ('relation = "NEAR"', 'relation = "FAR"', 29, "rules.1.relation", "unknown relation"),
        ('role = "agent"', 'role = "subject"', 25, "rules.0.role", "cannot have this role"),
        ('item_word = "book"', 'item_wort = "book"', 4, "item_wort", "no such key"),
        ('verbs = ["write"]', 'verb = ["write"]', 26, "rules.0.verb", "no such key"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(
    check: Check, right: str, wrong: str, line: int, key: str, what: str
) -> None:
    assert right in FILE
    code, found = check(FILE.replace(right, wrong))
    assert code == 2
    fault = found["faults"][0]
    assert (fault["line"], fault["key"], fault["fatal"]) == (line, key, True)
    assert what in fault["what"]


def test_all_faults_are_reported_at_once(check: Check) -> None:
    text = FILE.replace('"Writer", m', '"Author", m').replace("{head} is", "it is")
    code, found = check(text.replace('year = "', 'title = "').replace("integer", "string"))
    assert code == 2
    assert [fault["line"] for fault in found["faults"]] == [7, 13, 14, 24]
    assert all(fault["remedy"] for fault in found["faults"])


def test_advice_leaves_the_exit_code(check: Check) -> None:
    code, found = check(FILE.replace('item_word = "book"\n', "").replace('"shop"', '"author"'))
    assert code == 0
    kept = [(fault["key"], fault["fatal"]) for fault in found["faults"]]
    assert ("item_word", False) in kept
    assert ("relations.IN_SHOP.columns", False) in kept


def test_lines_are_found_in_every_domain_file() -> None:
    for path in (resource_dir("graph_schema") / "domains").glob("*.toml"):
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        for name, place in (("name", ("name",)), ("[[rules]]", ("rules", 1))):
            line = line_of(text, place)
            assert line is not None
            assert lines[line - 1].startswith(name)
    assert line_of("a = 1\n", ("b", "c")) is None


def test_a_person_reads_file_line_and_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(FILE.replace("item_word", "item_wort"), encoding="utf-8")
    with pytest.raises(SystemExit) as left:
        main(["schema", "check", str(path)])
    assert left.value.code == 2
    shown = capsys.readouterr().out
    assert "mine.toml:4: item_wort: there is no such key: 'book'." in shown
    assert "Did you mean 'item_word'?" in shown


def test_what_is_wrong_behind_what_cannot_be_read_is_listed_at_once(check: Check) -> None:
    text = """name = "zoo"
item_word = "animal"
colour = 3

[entity_types]
Keeper = { meaning = "Who feeds them." }
"Two words" = "No name."

[relations]
FED_BY = { tail = "Keeper", meaning = "{item} is fed by {entity}." }
LIVES_IN = { tail = "Cage", meaning = "{item} lives in {entity}." }
EATS = { tial = "Food", meaning = "{item} eats {entity}." }
"""
    code, found = check(text)
    assert code == 2
    assert {(one["key"], one["line"]) for one in found["faults"]} == {
        ("item_label", None),
        ("colour", 3),
        ("entity_types.Keeper", 6),
        ("entity_types.Two words", 7),
        ("relations.LIVES_IN.tail", 11),
        ("relations.EATS.tail", 12),
        ("relations.EATS.tial", 12),
    }
