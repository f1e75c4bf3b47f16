"""The page of an evaluation: whole in itself, readable in light and dark, with every part."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tastes import tastes

from kgrec.cli.evaluate import print_result
from kgrec.data.dataset import Interactions
from kgrec.evaluation.ablation import AblationReport
from kgrec.evaluation.evaluate import EvaluateConfig, evaluate
from kgrec.evaluation.html_page import page
from kgrec.evaluation.plots import Interval, bars, whiskers
from kgrec.evaluation.result import EvaluationResult

VOID = {"meta", "path", "use", "link", "br"}


class Reader(HTMLParser):
    """Notes headings, ids and what does not close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted catalogue, whose name and groups hold what HTML must not take as its own."""
    path, world = tmp_path_factory.mktemp("page"), tastes()

    def inter(part: Interactions) -> str:
        rows = [f"u{u}\ti{i}" for u, i in zip(part.user, part.item, strict=True)]
        return "\n".join(["user_id:token\titem_id:token", *rows]) + "\n"

    parts = {"train": world.train.interactions, "valid": world.valid, "test": world.test}
    for name, part in parts.items():
        (path / f"a<b.{name}.inter").write_text(inter(part))
    users = "\n".join(f"u{n}\t{('<i>old', 'A & B')[n % 2]}" for n in range(120))
    (path / "a<b.user").write_text(f"user_id:token\tgroup:token\n{users}\n")
    rows = "\n".join(f"i{n}\t{text}\tg{n % 4}" for n, text in enumerate(world.train.item_texts))
    (path / "a<b.item").write_text(f"item_id:token\ttitle:token_seq\tgenre:token_seq\n{rows}\n")
    (path / "run.tsv").write_text("".join(f"u{n}\ti3\t1\n" for n in range(120)))
    return path


@pytest.fixture(scope="module")
def result(folder: Path) -> EvaluationResult:
    config = {
        "folder": folder,
        "ks": (1, 20),
        "group": "group",
        "ablate": True,
        "baseline": folder / "run.tsv",
        "html": folder / "report.html",
        "team": {"agents": ("linear",), "coordinator": {"gate": {"use": "never"}}},
    }
    return evaluate(EvaluateConfig.model_validate(config))


def test_the_page_needs_nothing_else(folder: Path, result: EvaluationResult) -> None:
    text = (folder / "report.html").read_text()
    assert text == page(result)
    reader = Reader()
    reader.feed(text)
    assert not reader.open
    assert len(reader.ids) == len(set(reader.ids))
    assert not reader.tags & {"script", "img", "iframe", "object"}
    places = set(re.findall(r"[a-z]+://[^\s\"'<)]*", text))
    assert places <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert all(each.startswith("#") for each in re.findall(r"url\(([^)]*)\)", text))
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"#0[0-9a-f]0[0-9a-f]0[0-9a-f]", text.split("</style>")[1])


def test_every_part_is_on_the_page(result: EvaluationResult) -> None:
    text = page(result)
    for heading in (
        "All 96 items ranked",
        "By the length of the history",
        "By how known the target is",
        "By group",
        "Ablation",
        "The lists",
        "Chosen on the validation part",
        "To get these numbers again",
    ):
        assert f"<h2>{heading}</h2>" in text
    assert f"{result.ranking.at[20]['recall'].mean:.4f}" in text
    assert "seed 2024" in text
    assert "torch " in text
    assert text.count("<svg") == 6


def test_the_page_and_the_terminal_show_the_ranker_and_the_longest_lists(
    result: EvaluationResult, capsys: pytest.CaptureFixture
) -> None:
    assert result.team["ranker"]
    assert f"<td>{result.team['ranker']['ranker']:.4f}</td>" in page(result)
    print_result(result)
    shown = capsys.readouterr().out
    assert "Ablation, ndcg@20" in shown
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert "shuffled knowledge" in shown


def test_what_comes_from_data_is_no_markup(result: EvaluationResult) -> None:
    text = page(result)
    assert "<i>" not in text
    assert "a<b" not in text
    assert "&lt;i&gt;old" in text
    assert "A &amp; B" in text


def test_a_plot_is_the_same_every_time_and_says_what_it_is() -> None:
    rows = [Interval("cost in $", 0.2, 0.1, 0.3), Interval("x_1^2 $", -0.1, -0.2, 0.0)]
    first, second = (whiskers(rows, 'a "metric"', from_zero=True) for _ in range(2))
    assert first == second
    assert 'aria-label="a &quot;metric&quot;"' in first
    assert "cost in $" in first
    assert "x_1^2 $" in first
    one = bars([Interval("all", 0.5, 0.5, 0.5, "9 users")], "recall", "history")
    assert 'aria-label="recall by history"' in one
    assert "9 users" in one


def test_the_ablation_of_cold_items_shows_both_rankings(
    result: EvaluationResult, capsys: pytest.CaptureFixture
) -> None:
    assert result.ablation is not None
    cold = [row.model_copy(update={"among_cold": row.at}) for row in result.ablation.rows]
    shown = result.model_copy(update={"ablation": AblationReport(rows=tuple(cold))})
    assert "ndcg@20 among cold" in page(shown)
    assert "among cold" not in page(result)
    print_result(shown)
    assert " cold " in capsys.readouterr().out
    print_result(result)
    assert " cold " not in capsys.readouterr().out
