"""The files of the page: all there, all from here, nothing that the policy would forbid."""

from __future__ import annotations

import re
from importlib import resources

import httpx
import pytest

STATIC = resources.files("kgrec.serving") / "static"
OWN = sorted(
    entry.name for entry in STATIC.iterdir() if entry.name.endswith((".js", ".css", ".html"))
)


@pytest.mark.parametrize("name", OWN)
def test_no_file_asks_elsewhere(name: str) -> None:
    text = (STATIC / name).read_text(encoding="utf-8")
    addresses = set(re.findall(r"https?://[^\s\"'`)]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg"}


def test_markup_holds_no_code_and_no_style() -> None:
    text = (STATIC / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", text)
    scripts = "".join((STATIC / name).read_text(encoding="utf-8") for name in OWN)
    assert "innerHTML" not in scripts
    assert "eval(" not in scripts


def test_every_import_and_link_is_served(api: httpx.Client) -> None:
    page = api.get("/")
    assert page.headers["content-type"].startswith("text/html")
    wanted = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text))
    for name in OWN:
        text = (STATIC / name).read_text(encoding="utf-8")
        wanted |= {f"/static/{found}" for found in re.findall(r'from "\./([^"]+)"', text)}
        wanted |= set(re.findall(r'"(/static/[^"]+)"', text))
    assert len(wanted) > 10
    for path in wanted:
        assert api.get(path).status_code == 200, path
    assert api.head("/").status_code == 200


def test_the_vendored_library_carries_its_licence() -> None:
    licence = (STATIC / "vendor" / "cytoscape.LICENSE.txt").read_text(encoding="utf-8")
    assert "The Cytoscape Consortium" in licence
    assert (STATIC / "vendor" / "cytoscape.min.js").is_file()


@pytest.mark.parametrize("path", ["/static/", "/static/../app.py", "/static/%2e%2e/app.py"])
def test_nothing_else_is_served(api: httpx.Client, path: str) -> None:
    assert api.get(path).status_code == 404
