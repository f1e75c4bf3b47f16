"""Public names, help and API descriptions use the terms of the glossary in ARCHITECTURE.md."""

from __future__ import annotations

import ast
import json
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer.main

import kgrec
from kgrec.cli.app import COMMANDS
from kgrec.config import Settings
from kgrec.serving.app import create_app

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "kgrec"

# word: the term that the glossary has for what it stood for
BANNED = {
    "heard": "active",
    "hears": "active",
    "listens": "share",
    "listened": "share",
    "voice": "contribution",
    "voices": "contribution",
    "told": "reason, explanation",
    "tells": "reason, explanation",
    "said": "similarity, value",
    "says": "similarity, value",
    "met": "seen",
    "meets": "seen",
    "asked": "query",
    "asks": "query",
    "taken": "history item, interaction",
    "speaks": "contributes",
    "spoken": "contributed",
}
# Words that are terms elsewhere: a server listens on a port, a film's actors voice characters.
PROSE = set(BANNED) - {"met", "asked", "taken", "says", "listens"} | {"speaks for", "listens to"}


# Keys of files and of JSON output that are older than this test, and keep working.
KEPT: set[str] = set()


def words(name: str) -> set[str]:
    return set(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().split("_"))


def public_names(path: Path) -> Iterator[str]:
    """Yield public classes and functions with their parameters, and public fields."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.ClassDef(name=name):
                yield name
            case ast.FunctionDef(name=name, args=arguments) if not name.startswith("_"):
                yield name
                yield from (each.arg for each in (*arguments.args, *arguments.kwonlyargs))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name


def test_the_glossary_has_at_most_forty_terms() -> None:
    glossary = (ROOT / "ARCHITECTURE.md").read_text("utf-8").split("## Glossary")[1]
    terms = re.findall(r"^\| ([^|]+) \|", glossary, flags=re.MULTILINE)[1:]
    assert 30 <= len(terms) - 1 <= 40, terms
    assert not [term for term in terms if words(term.replace(" ", "_")) & set(BANNED)]


def test_names_are_terms_of_the_field() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for name in public_names(path)
        if not name.startswith("_") and words(name) & set(BANNED)
    ]
    assert set(found) - KEPT == set()


@pytest.mark.parametrize("name", [name for name in kgrec.__all__ if name != "__version__"])
def test_public_docstrings_use_them(name: str) -> None:
    assert not prose(getattr(kgrec, name).__doc__ or "")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_uses_them(name: str) -> None:
    application, line = COMMANDS[name]
    command = typer.main.get_command(pkgutil.resolve_name(application))
    texts = {name: line, **dict(helps(command, name))}
    assert {place: hits for place, text in texts.items() if (hits := prose(text))} == {}


def test_the_api_uses_them(tmp_path: Path) -> None:
    description = create_app(Settings(home=tmp_path)).openapi()
    assert prose(json.dumps(description, ensure_ascii=False)) == set()


def test_a_word_would_be_found() -> None:
    assert words("HeardAgents") & set(BANNED) == {"heard"}
    assert prose("How much it is listened to.") == {"listened"}


def prose(text: str) -> set[str]:
    plain = " ".join(re.findall(r"[a-z]+", text.lower()))
    return {word for word in PROSE if re.search(rf"\b{word}\b", plain)}


def helps(command: click.Command, name: str) -> Iterator[tuple[str, str]]:
    """Yield every help text of a command and of those below it."""
    yield name, command.help or ""
    for parameter in command.params:
        yield f"{name} {parameter.name}", getattr(parameter, "help", None) or ""
    for below, each in getattr(command, "commands", {}).items():
        yield from helps(each, f"{name} {below}")
