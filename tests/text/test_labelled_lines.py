"""Files of labelled texts: bad lines, the score against numbers by hand, the converters."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kgrec.cli.extract import app
from kgrec.errors import ConfigError, DataError
from kgrec.text.trained.lines import LabelledText, as_object, read_lines, write_lines

EXAMPLES = Path(__file__).parents[2] / "examples" / "extraction"
TEXT = "Ada Vale works for Orbit in Lisbon."
ENTITIES = [
    {"start": 0, "end": 8, "label": "Person"},
    {"start": 19, "end": 24, "label": "Firm"},
    {"start": 28, "end": 34, "label": "Place"},
]
WORKS = {"head": 0, "tail": 1, "label": "WORKS_FOR"}
BASED = {"head": 1, "tail": 2, "label": "BASED_IN"}


def line(**changes: Any) -> str:
    given = {"id": "a", "text": TEXT, "entities": ENTITIES, "relations": [WORKS, BASED]}
    return json.dumps(given | changes)


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_file_read_and_written_is_the_same(tmp_path: Path) -> None:
    texts = read_lines(write(tmp_path / "one.jsonl", line(), line(id=7))).texts
    assert [each.id for each in texts] == ["a", "7"]
    assert write_lines(tmp_path / "two.jsonl", texts) == 2
    assert read_lines(tmp_path / "two.jsonl").texts == texts
    assert as_object(texts[0])["relations"] == [WORKS, BASED]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("{", "no JSON"),
        ("[1]", "no JSON object"),
        (line(text=" "), "no text"),
        (line(id=[1]), "id"),
        (line(entities=[{"start": 0, "end": 99, "label": "Person"}]), "0 to 99"),
        (line(entities=[{"start": 4, "end": 4, "label": "Person"}]), "4 to 4"),
        (line(entities=[{"start": True, "end": 4, "label": "Person"}]), "start"),
        (line(entities=[{"start": 0, "end": 4, "label": ""}]), "label"),
        (line(relations=[{"head": 0, "tail": 3, "label": "X"}]), "0 to 3 of 3"),
        (line(relations=[WORKS | {"confidence": 2}]), "confidence"),
        (line(relations="none"), "no list"),
    ],
)
def test_a_bad_line_is_set_aside_with_its_number(tmp_path: Path, bad: str, reason: str) -> None:
    file = read_lines(write(tmp_path / "some.jsonl", line(), bad, line(id="c")))
    assert [each.id for each in file.texts] == ["a", "c"]
    assert [reject.line for reject in file.rejects] == [2]
    assert reason in file.rejects[0].reason


def test_a_file_of_mostly_bad_lines_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="most lines"):
        read_lines(write(tmp_path / "bad.jsonl", line(), "{", "["))
    with pytest.raises(DataError, match="no text"):
        read_lines(write(tmp_path / "empty.jsonl", ""))
    assert read_lines(write(tmp_path / "plain.jsonl", '{"text": "x"}'), labelled=False).texts == [
        LabelledText("1", "x")
    ]


def test_the_score_is_the_one_by_hand(tmp_path: Path) -> None:
    """Text a: one label wrong, so its relation is right by boundary alone; text b: not found."""
    wrong = [ENTITIES[0] | {"label": "Firm"}, *ENTITIES[1:]]
    extra = {"head": 2, "tail": 1, "label": "BASED_IN"}
    gold = write(tmp_path / "gold.jsonl", line(), line(id="b"))
    pred = write(
        tmp_path / "pred.jsonl",
        line(entities=wrong, relations=[WORKS, WORKS, BASED, extra]),
        line(id="other"),
        "{",
    )
    done = CliRunner().invoke(app, ["evaluate", "--gold", str(gold), "--pred", str(pred), "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["texts"], found["missing"], found["unknown"]) == (2, 1, 1)
    assert found["rejected_lines"] == {"gold": 0, "pred": 1}
    counts = {
        name: tuple(found[name]["micro"][key] for key in ("right", "predicted", "gold"))
        for name in found
        if name.startswith(("entities", "relations"))
    }
    assert counts == {
        "entities_strict": (2, 3, 6),
        "entities_boundary": (3, 3, 6),
        "relations_strict": (1, 3, 4),
        "relations_boundary": (2, 3, 4),
    }
    strict = found["relations_strict"]
    assert strict["micro"]["precision"] == pytest.approx(1 / 3)
    assert strict["micro"]["recall"] == pytest.approx(1 / 4)
    assert strict["micro"]["f1"] == pytest.approx(2 / 7)
    assert strict["by_label"]["BASED_IN"]["f1"] == pytest.approx(2 * 1 / (2 + 2))
    assert strict["macro_f1"] == pytest.approx((0 + 0.5) / 2)


def test_the_plain_command_still_needs_a_domain() -> None:
    done = CliRunner().invoke(app, [])
    assert done.exit_code == 2
    assert "--domain" in done.output


def test_public_formats_are_converted() -> None:
    conll = runpy.run_path(str(EXAMPLES / "conll04.py"))["convert"]
    tokens = ["Ada", "Vale", "works", "for", "Orbit", "."]
    relation = {"head": 0, "tail": 1, "type": "Work_For"}
    tags = ["B-Peop", "L-Peop", "O", "O", "U-Org", "O"]
    found = conll({"tokens": tokens, "tags": tags, "relations": [relation], "orig_id": 5}, 0)
    named = [found["text"][e["start"] : e["end"]] for e in found["entities"]]
    assert (found["id"], named) == ("5", ["Ada Vale", "Orbit"])
    assert found["relations"] == [{"head": 0, "tail": 1, "label": "Work_For"}]
    crossre = runpy.run_path(str(EXAMPLES / "crossre.py"))["convert"]
    found = crossre(
        {
            "doc_key": "m-1",
            "sentence": tokens,
            "ner": [[0, 1, "person"], [4, 4, "organisation"]],
            "relations": [[0, 1, 4, 4, "role", "", False, False], [0, 1, 4, 4, "part-of"]],
        }
    )
    assert found["entities"][1] == {"start": 19, "end": 24, "label": "organisation"}
    assert [r["label"] for r in found["relations"]] == ["role", "part-of"]


def test_columns_label_the_texts_that_name_them(tmp_path: Path) -> None:
    write(
        tmp_path / "films.csv",
        "item_id,description",
        "1,A comedy by Ada Vale in which Ada Valera plays the cook.",
        "2,Bo Lind made it and stars in it.",
        "3,Nobody is named.",
        "4,Cy Dorn hunts a whale.",
    )
    write(
        tmp_path / "people.csv",
        "item_id,director,actors",
        "1,Ada Vale,Cy Dorn|Bo Lind",
        "2,Bo Lind,Bo Lind",
        "3,Ada Vale,",
        "4,Ada Vale,Cy Dorn|Al",
    )
    done = CliRunner().invoke(
        app,
        [
            *("label", "--table", str(tmp_path / "films.csv"), "--json"),
            *("--join", f"{tmp_path / 'people.csv'}:item_id"),
            *("--relation", "DIRECTED_BY=director", "--relation", "STARS=actors"),
            *("--silent", "5", "--out", str(tmp_path / "lines.jsonl")),
            *("--names", str(tmp_path / "names.json")),
        ],
    )
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["labels"] == {"DIRECTED_BY": 1, "STARS": 1}
    assert (found["texts"], found["naming"], found["ambiguous"]) == (4, 2, 1)
    texts = {one.id: one for one in read_lines(tmp_path / "lines.jsonl").texts}
    named = {
        key: [(one.text[e.start : e.end], e.label) for e in one.entities]
        for key, one in texts.items()
        if one.entities
    }
    assert named == {"1": [("Ada Vale", "DIRECTED_BY")], "4": [("Cy Dorn", "STARS")]}
    assert "2" not in texts
    assert json.loads((tmp_path / "names.json").read_text())["names"] == {
        "DIRECTED_BY": {"Ada Vale": 3, "Bo Lind": 1},
        "STARS": {"Al": 1, "Bo Lind": 2, "Cy Dorn": 2},
    }


def test_names_need_the_columns_of_a_table(tmp_path: Path) -> None:
    """Corrections alone have no columns; an empty file would mark no name."""
    given = ["--corrections", "--out", str(tmp_path / "t.jsonl"), "--names", str(tmp_path / "n")]
    with pytest.raises(ConfigError, match="no table is given"):
        CliRunner().invoke(app, ["label", *given], catch_exceptions=False)
    assert list(tmp_path.iterdir()) == []


def test_a_table_whose_texts_name_nobody_leaves_no_file(tmp_path: Path) -> None:
    write(tmp_path / "films.csv", "item_id,description,director", "1,Nobody is named.,Ada Vale")
    given = ["--table", str(tmp_path / "films.csv"), "--relation", "DIRECTED_BY=director"]
    with pytest.raises(DataError, match="no text holds a name"):
        CliRunner().invoke(
            app, ["label", *given, "--out", str(tmp_path / "t.jsonl")], catch_exceptions=False
        )
    assert not (tmp_path / "t.jsonl").exists()
