"""`kgrec extract`: what a text states, and by which rule."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kgrec.cli import main

TEXT = "A novel by Clara Voss, set in Lisbon. Voss was born in Porto."


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code: Any = 0
    try:
        main(["extract", *arguments])
    except SystemExit as leaving:
        code = leaving.code or 0
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_facts_of_a_text_are_shown_with_the_rule_that_found_each(
    capsys: pytest.CaptureFixture[str],
) -> None:
    marked = "<p>" + TEXT.replace("Clara Voss", "<b>Clara&nbsp;Voss</b>") + "</p>"
    options = ("--domain", "books", "--dry-run", "--text", marked)
    code, text, _ = run(capsys, *options, "--json")
    assert code == 0
    assert json.loads(text)["text"] == TEXT
    facts = {fact["relation"]: fact for fact in json.loads(text)["facts"]}
    assert facts["WRITTEN_BY"]["name"] == "Clara Voss"
    assert facts["WRITTEN_BY"]["rule"]["role"] == "maker"
    assert facts["WRITTEN_BY"]["extractor"] == "rules/maker"
    born = facts["BORN_IN"]
    assert (born["head"], born["name"]) == ("Clara Voss", "Porto")
    assert TEXT[born["start"] : born["end"]] == born["evidence"] == "Voss was born in Porto"
    assert all(fact["rule"]["relation"] == name for name, fact in facts.items())
    code, text, _ = run(capsys, *options, "--title", "The Salt Road")
    assert code == 0
    assert "maker" in text
    assert "en_core_web_sm" in text


def test_a_text_without_facts_is_reported_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = run(capsys, "--domain", "shop", "--dry-run", "--text", "Nothing here.")
    assert code == 0
    assert "No fact" in text


@pytest.mark.parametrize("options", [("--dry-run",), ("--text", TEXT)])
def test_half_of_a_dry_run_is_refused(
    capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    code, _, error = run(capsys, "--domain", "books", *options)
    assert code == 2
    assert "go together" in error
