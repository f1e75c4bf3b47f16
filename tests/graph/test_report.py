"""The report finds what is planted, on every engine, and nothing in a clean graph."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from kgrec.cli import main
from kgrec.config import Settings
from kgrec.errors import GraphError
from kgrec.graph.setup import clear_graph, ensure_schema
from kgrec.graph.store import GraphStore
from kgrec.stages.graph_report import doubles as doubling
from kgrec.stages.graph_report.doubles import ANOTHER, Doubles
from kgrec.stages.graph_report.making import GraphReport, make_report
from kgrec.stages.graph_report.page import page

NAMES = ["Amber Novak", "Boris Quine", "Clara Ruiz", "Dmitri Stone", "Edda Thorne", "Fabian Ueda"]
NASTY = "<script>alert('x')</script><img src=x onerror=alert(1)>\u202e&amp;\"'"


def clean(graph: GraphStore, items: int = 30) -> None:
    """Write a graph with nothing to put right: texts, facts and interactions of all items."""
    clear_graph(graph)
    ensure_schema(graph)
    rows = [
        {
            "item_id": f"i{n}",
            "properties": {
                "title": f"Film {n}",
                "year": 1990 + n % 9,
                "description": f"Directed by {NAMES[n % 6]}.",
            },
        }
        for n in range(items)
    ]
    ids = [row["item_id"] for row in rows]
    graph.write("ingest/create_items", {"item_type": "Movie"}, items=ids)
    graph.write("ingest/set_items", rows=rows)
    people = [{"entity_id": f"Person:{name.casefold()}", "name": name} for name in NAMES]
    graph.write("ingest/create_entities", {"entity_type": "Person"}, rows=people)
    facts = [
        {
            "head": f"i{n}",
            "tail": people[n % 6]["entity_id"],
            "confidence": 0.9 if n % 2 else 1.0,
            "source": "text:description" if n % 2 else "films",
            "extractor": "pattern" if n % 2 else "",
            "evidence": f"Directed by {NAMES[n % 6]}" if n % 2 else "",
        }
        for n in range(items)
    ]
    tie(graph, "DIRECTED_BY", facts)
    users = [{"user_id": f"u{n}", "properties": {}} for n in range(10)]
    graph.write("ingest/upsert_users", rows=users)
    for n in range(10):
        interact(graph, f"u{n}", [f"i{(n * 3 + k) % items}" for k in range(8)])


def tie(graph: GraphStore, relation: str, facts: list[dict[str, Any]]) -> None:
    ends = {"head": "Item", "head_key": "item_id", "tail": "Entity", "tail_key": "entity_id"}
    graph.write("ingest/upsert_facts", {"relation": relation, **ends}, rows=facts, run_id="r")


def interact(
    graph: GraphStore,
    user: str,
    items: list[str],
    at: datetime | None = datetime(2020, 5, 6, tzinfo=UTC),
    kind: str = "view",
) -> None:
    number = len(items)
    group = {"user_id": user, "items": items, "kinds": [kind] * number, "values": [1.0] * number}
    group |= {"keys": [f"{kind}@{at}"] * number, "devices": [""] * number}
    group |= {"scenarios": [""] * number}
    group["times"] = [0 if at is None else int(at.timestamp() * 1000)] * number
    graph.write("ingest/upsert_interactions", groups=[group], source=None)


def entity(graph: GraphStore, kind: str, name: str, items: list[str], **fact: Any) -> str:
    key = f"{kind}:{name.casefold()}"
    row = {"entity_id": key, "name": name}
    graph.write("ingest/create_entities", {"entity_type": kind}, rows=[row])
    known = {"confidence": 1.0, "source": "films", "extractor": "", "evidence": ""}
    tie(graph, "ABOUT", [{"head": item, "tail": key, **known, **fact} for item in items])
    return key


def codes(report: GraphReport) -> dict[str, int]:
    return {one.code: one.count for one in report.findings}


def test_a_clean_graph_has_no_findings(graph: GraphStore) -> None:
    clean(graph)
    report = make_report(graph)
    assert report.findings == ()
    assert report.nodes["Item"] == 30
    assert report.relations == {"DIRECTED_BY": 30, "INTERACTED": 80}
    assert sum(one.nodes for one in report.degrees["facts of an item"]) == 30
    assert sum(n.nodes for n in report.degrees["interactions of a user"] if n.low == 8) == 10
    assert report.interactions == {"view": {"2020-05": 80}}
    by_source = {(one.source, one.extractor): one for one in report.facts}
    assert by_source["text", "pattern"].tenths == {9: 15}
    assert by_source["films", ""].confidence == 1.0
    assert len(report.evidence) == 12
    assert report.evidence[0].evidence.startswith("Directed by ")


def test_what_is_planted_is_found(graph: GraphStore, tmp_path: Path) -> None:
    clean(graph)
    items = [f"i{n}" for n in range(30)]
    graph.write(
        "ingest/create_items", {"item_type": "Movie"}, items=["bare", "twin", "named", "untitled"]
    )
    given = {
        "twin": {"title": "film, 3!", "year": 1993, "description": "Text."},
        "named": {"title": "N/A", "description": "unknown"},
        "untitled": {"description": "Text."},
        "i5": {"genres_text": "x", "language": "n/a"},
    }
    rows = [{"item_id": key, "properties": value} for key, value in given.items()]
    graph.write("ingest/set_items", rows=rows)
    entity(graph, "Subject", "Everything", items[:20])
    entity(graph, "Person", "Various", [f"i{n}" for n in range(2)])
    entity(graph, "Genre", "N/A", items[:3])
    entity(graph, "Person", "Ámber   Novák", ["i1"], confidence=0.3, extractor="pattern")
    entity(graph, "Person", "Novak, Amber", ["i2"])
    entity(graph, "Person", "Clara Ruizz", ["i3"])
    entity(graph, "Place", "Nowhere", [])
    interact(graph, "u1", ["i1", "i2"], datetime.now(UTC) + timedelta(days=400))
    interact(graph, "u1", ["i1"], datetime.now(UTC) + timedelta(minutes=5), kind="click")
    interact(graph, "u2", ["i1", "i2", "i3"], datetime(1970, 1, 1, 1, tzinfo=UTC))
    interact(graph, "u3", ["i9"], None)
    interact(graph, "u4", ["i9"], kind="gaze")
    graph.write("ingest/upsert_users", rows=[{"user_id": "idle", "properties": {}}])
    graph.write("ingest/upsert_users", rows=[{"user_id": "robot's", "properties": {}}])
    for n in range(40):
        interact(graph, "robot's", items, datetime(2020, 6, 1, n % 24, n, tzinfo=UTC))
    report = make_report(graph)
    found = codes(report)
    assert found == {
        "unknown-items": 1,
        "items-without-title": 2,
        "value-for-nothing": 1,
        "entity-ties-too-much": 20,
        "items-of-one-name": 1,
        "entities-of-one-name": 1,
        "entities-of-nearly-one-name": 1,
        "interactions-in-the-future": 2,
        "interactions-before-1980": 3,
        "unknown-kind": 1,
        "interactions-without-time": 1,
        "busy-users": 1,
        "users-without-interactions": 1,
        "items-without-text": 1,
        "items-without-facts": 4,
        "unsure-facts": 1,
        "orphans": 1,
    }
    said = "\n".join(one.what for one in report.findings)
    for what in ("title is 'N/A'", "description is 'unknown'", "Genre entity is 'N/A'"):
        assert what in said
    [same] = [one for one in report.findings if one.code == "entities-of-one-name"]
    assert set(re.findall(r"Person:[^)]*", same.examples[0])) == {
        "Person:amber novak",
        "Person:novak, amber",
        "Person:ámber   novák",
    }
    [busy] = [one for one in report.findings if one.code == "busy-users"]
    assert """kgrec user erase 'robot'"'"'s'""" in busy.remedy
    assert [one.severity for one in report.findings] == sorted(
        (one.severity for one in report.findings), reverse=True
    )
    assert "in the future" in said
    assert report.hubs[0].name == "Everything"


def test_one_entity_that_outdoes_its_type_is_found(graph: GraphStore) -> None:
    clean(graph, items=120)
    entity(graph, "Organization", "Various Artists", [f"i{n}" for n in range(40)])
    for n in range(6):
        entity(graph, "Organization", f"Band number {n}", [f"i{n}", f"i{n + 1}"])
    [finding] = make_report(graph).findings
    assert finding.code == "entity-ties-too-much"
    assert finding.examples == ("Organization:various artists",)


def test_what_is_retired_is_counted(graph: GraphStore) -> None:
    clean(graph)
    row = {"retired_id": "r", "run_id": "run-1", "source": "films", "kind": "items", "count": 3}
    graph.write("retiring/keep", rows=[{**row, "content": "[]"}], at=datetime.now(UTC))
    [finding] = make_report(graph).findings
    assert (finding.code, finding.count, finding.examples) == ("retired", 3, ("run-1",))
    clear_graph(graph)
    assert codes(make_report(graph)) == {"no-items": 0}
    graph.write("dump/set_import_state", name="import", done=1, dump="x")
    with pytest.raises(GraphError, match="not finished"):
        make_report(graph)
    clear_graph(graph)


def test_many_names_are_known_by_their_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubling, "_KEPT", 2)
    names = Doubles()
    for number, name in enumerate(["Ann Lee", "Bob Ray", "Cem Öz", "Lee, Ann", "CEM OZ"]):
        names.add("Person", name, str(number))
    names.add("Place", "Ann Lee", "other")
    assert names.groups() == [
        [("Ann Lee", "0", ""), ("Lee, Ann", "3", "")],
        [("CEM OZ", "4", ""), ("CEM OZ", ANOTHER, "")],
    ]


@pytest.mark.parametrize(
    ("one", "other", "double"),
    [
        (("Solaris", "1972"), ("Solaris", "2002"), False),
        (("Solaris", "1972"), ("SOLARIS", ""), True),
        (("Solaris", ""), ("Solaris", ""), True),
        (("Rocky Horror 2", ""), ("Rocky Horror 3", ""), False),
        (("Night Train", ""), ("Night Trian", ""), False),
        (("Night Train", ""), ("Night Traim", ""), True),
        (("Up", ""), ("Us", ""), False),
    ],
)
def test_what_is_one_thing(one: tuple[str, str], other: tuple[str, str], double: bool) -> None:
    names = Doubles()
    for number, (name, year) in enumerate((one, other)):
        names.add("Item", name, str(number), year)
    assert bool(names.groups()) is double


class Tags(HTMLParser):
    """Collects tags, their attributes and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def nasty(graph: GraphStore) -> GraphReport:
    clean(graph)
    entity(graph, "Person", NASTY, [f"i{n}" for n in range(20)], evidence=NASTY, confidence=0.2)
    entity(graph, "Person", NASTY.upper() + "!", ["i1"])
    interact(graph, "u1", ["i1"], datetime(2090, 1, 1, tzinfo=UTC), kind=NASTY)
    return make_report(graph)


def test_the_page_holds_no_foreign_markup(store: GraphStore) -> None:
    report = nasty(store)
    assert report.findings
    text = page(report)
    tags = Tags()
    tags.feed(text)
    names = {tag for tag, _ in tags.tags}
    assert not names & {"script", "img", "link", "iframe", "a", "object", "base"}
    for _, given in tags.tags:
        assert not [name for name in given if name.startswith("on")]
        assert not given.keys() & {"src", "href"}
    assert "alert('x')" in tags.text
    assert "\u202e" not in text
    assert "url(" not in text
    assert "default-src 'none'" in text
    clear_graph(store)


@pytest.mark.browser
def test_a_browser_shows_the_page_on_a_phone(
    store: GraphStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No part is wider than the screen, in light and dark, and nothing runs."""
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("there is no Chromium")
    from selenium import webdriver

    report = nasty(store)
    path = tmp_path / "report.html"
    path.write_text(page(report), "utf-8")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as browser:
        for width, scheme in ((390, "light"), (390, "dark"), (1300, "light")):
            browser.execute_cdp_cmd(
                "Emulation.setDeviceMetricsOverride",
                {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
            )
            scheme_given = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme_given)
            browser.get(path.as_uri())
            wide = browser.execute_script("return document.documentElement.scrollWidth")
            assert wide <= width
            assert len(browser.find_elements("css selector", "section.finding")) == len(
                report.findings
            )
            assert browser.find_elements("css selector", "svg.chart rect")
            colour = browser.execute_script("return getComputedStyle(document.body).color")
            dark = sum(map(int, re.findall(r"\d+", colour)[:3])) > 380
            assert dark == (scheme == "dark")
        assert not [one for one in browser.get_log("browser") if "favicon" not in one["message"]]
    clear_graph(store)


def test_the_command(
    empty_store: GraphStore,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("KGREC_GRAPH_URI", "KGREC_GRAPH_USER", "KGREC_GRAPH_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KGREC_HOME", str(settings.home))

    def call(*args: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as left:
            main(["graph", "report", *args])
        return int(left.value.code or 0), capsys.readouterr().out

    clean(empty_store)
    assert call("--fail-on", "note") == (0, call()[1])
    entity(empty_store, "Genre", "N/A", ["i1"])
    path = tmp_path / "report.html"
    code, text = call("--html", str(path), "--json")
    assert code == 0
    assert json.loads(text)["findings"][0]["code"] == "value-for-nothing"
    assert "<svg" in path.read_text("utf-8")
    code, text = call("--fail-on", "warning")
    assert code == 3
    assert "--null N/A" in text
    assert call("--html", str(tmp_path / "no" / "such"))[0] == 2
    clear_graph(empty_store)
