"""Names, docstrings, messages, help, the page and the docs use the terms of the glossary."""

from __future__ import annotations

import ast
import io
import json
import pkgutil
import re
import tokenize
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
PACKAGES = sorted(PACKAGE.rglob("*.py"))
PAGE = sorted(
    path
    for path in (PACKAGE / "serving" / "static").iterdir()
    if path.suffix in (".js", ".html", ".css")
)
DOCS = [f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))]

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
# A server listens on a port. The others are no terms, but plain English in a message.
PROSE = set(BANNED) - {"met", "asked", "taken", "says", "listens"} | {"speaks for", "listens to"}
# `listened` is a state of a server's socket.
NAMES = set(BANNED) - {"listened"}
# In docstrings, comments and messages of the code, and in the scripts of the page.
CODE_PROSE = set(BANNED) - {"listens", "listened"} | {
    "whom",
    "nought",
    "listens to",
    "speaks of",
    "said of",
    "heard by",
    "nowhere to be found",
}


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
    assert found == []


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_code_uses_them(path: Path) -> None:
    """Every identifier, local ones too, and all text between quotes and behind hashes."""
    found = []
    for line, word, is_name in tokens(path):
        hits = words(word) & NAMES if is_name else prose(word, CODE_PROSE)
        found += [f"{path.relative_to(ROOT)}:{line}: {hit}" for hit in hits]
    assert found == []


@pytest.mark.parametrize("path", PAGE, ids=lambda path: path.name)
def test_the_page_uses_them(path: Path) -> None:
    text = path.read_text("utf-8")
    names = {name for name in re.findall(r"[A-Za-z_]+", text) if words(name) & set(BANNED)}
    assert (names, prose(text, CODE_PROSE)) == (set(), set())


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", *DOCS])
def test_the_docs_use_them(name: str) -> None:
    lines = (ROOT / name).read_text("utf-8").splitlines()
    found = [f"{name}:{n}: {hit}" for n, line in enumerate(lines, 1) for hit in prose(line)]
    assert found == []


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


def tokens(path: Path) -> Iterator[tuple[int, str, bool]]:
    """Yield line, text, and whether it is a name, of each name, string and comment."""
    code = path.read_text("utf-8")
    # Since Python 3.12 the text of an f-string is a token of its own.
    texts = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", -1)}
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.NAME:
            yield token.start[0], token.string, True
        elif token.type in texts and " " in token.string.strip():
            yield token.start[0], token.string, False


def prose(text: str, banned: set[str] = PROSE) -> set[str]:
    plain = " ".join(re.findall(r"[a-z]+", text.lower()))
    return {word for word in banned if re.search(rf"\b{word}\b", plain)}


def helps(command: click.Command, name: str) -> Iterator[tuple[str, str]]:
    """Yield every help text of a command and of those below it."""
    yield name, command.help or ""
    for parameter in command.params:
        yield f"{name} {parameter.name}", getattr(parameter, "help", None) or ""
    for below, each in getattr(command, "commands", {}).items():
        yield from helps(each, f"{name} {below}")
