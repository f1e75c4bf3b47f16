"""Names of the catalogue's columns as a feature of trained extractors."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from kgrec.errors import DataError, ModelError
from kgrec.learning.extraction.training import TrainingConfig, train_extractor
from kgrec.text.trained.extractor import TrainedExtractor
from kgrec.text.trained.known import ColumnNames, NameCounts
from kgrec.text.trained.lines import LabelledSpan, LabelledText

NAMES = ColumnNames(
    {
        "STARS": {"Ada Vale": 3, "Jean-Luc de Vries": 1, "Lee": 9, "Bo Lind": 1},
        "DIRECTED_BY": {"Bo Lind": 5},
    }
)
CONFIG = TrainingConfig.model_validate(
    {
        "seeds": 1,
        "minutes": None,
        "network": {"hidden": 32, "pair": 16, "context": 16, "depth": 1, "tuned": 0},
        "fitting": {"epochs": 12, "least_steps": 0, "batch": 8, "rate": 1e-2, "average": 0.9},
    }
)


def spans(text: str, *own: LabelledSpan) -> list[tuple[str, str]]:
    return [(text[one.start : one.end], one.label) for one in NAMES.find(text, own)]


def test_names_are_found_as_whole_words_the_longest_first() -> None:
    text = "Jean-Luc de Vries meets Ada Vale's sister Ada Valera, Lee and Bo Lind."
    assert spans(text) == [
        ("Jean-Luc de Vries", "STARS"),
        ("Ada Vale", "STARS"),
        ("Bo Lind", "DIRECTED_BY"),
        ("Bo Lind", "STARS"),
    ]


def test_a_name_of_the_items_own_columns_counts_where_others_have_it() -> None:
    text = "Jean-Luc de Vries meets Ada Vale and Bo Lind."
    own = [
        LabelledSpan(0, 17, "STARS"),
        LabelledSpan(24, 32, "STARS"),
        LabelledSpan(37, 44, "STARS"),
    ]
    assert spans(text, *own) == [("Ada Vale", "STARS"), ("Bo Lind", "DIRECTED_BY")]


def test_names_are_counted_by_item_and_kept(tmp_path: Path) -> None:
    counts = NameCounts()
    counts.add({"STARS": ["Ada  Vale", "Ada Vale", "Cy Dorn"]})
    counts.add({"STARS": ["Ada Vale"]})
    counts.known().save(tmp_path / "names.json")
    kept = ColumnNames.load(tmp_path / "names.json")
    assert (len(kept), kept.digest) == (2, counts.known().digest)
    assert json.loads((tmp_path / "names.json").read_text())["names"] == {
        "STARS": {"Ada Vale": 2, "Cy Dorn": 1}
    }


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 9, "names": {}}', '{"format": 1}'])
def test_another_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "names.json").write_text(content)
    with pytest.raises(DataError, match="no file of names"):
        ColumnNames.load(tmp_path / "names.json")
    with pytest.raises(DataError, match="cannot be read"):
        ColumnNames.load(tmp_path / "none.json")


FIRST = "Anna Boris Clara David Elena Frank Greta Henry Irene Jonas Karla Louis".split()  # noqa: SIM905
LAST = ["Smith", "Brown", "Novak", "Meyer", "Rossi", "Weber", "Stone", "Fields"]
PEOPLE = [f"{first} {last}" for first in FIRST for last in LAST]


def test_who_is_known_is_told_from_who_is_not_in_the_same_words(tmp_path: Path) -> None:
    """Half of the people stand in columns of other items; no words beside them tell which."""
    draw = random.Random(4)
    draw.shuffle(PEOPLE)
    actors = set(PEOPLE[: len(PEOPLE) // 2])
    known = ColumnNames({"STARS": dict.fromkeys(sorted(actors), 2)})

    def texts(people: list[str]) -> list[LabelledText]:
        return [
            LabelledText(
                name,
                f"{name} comes home to a small town.",
                (LabelledSpan(0, len(name), "STARS"),) if name in actors else (),
            )
            for name in people
        ]

    train, dev, test = texts(PEOPLE[8:-8]), texts(PEOPLE[4:8] + PEOPLE[-8:-4]), PEOPLE[:4]
    train_extractor(train, dev, tmp_path / "model", CONFIG, names=known)
    extractor = TrainedExtractor(tmp_path / "model")
    unknown = PEOPLE[-4:]
    found = [bool(one.entities) for one in extractor.read(texts(test + unknown))]
    assert found == [True] * 4 + [False] * 4
    names = tmp_path / "model" / "names.json"
    names.write_text(names.read_text().replace(PEOPLE[0], "Somebody Else"))
    with pytest.raises(ModelError, match="digest"):
        TrainedExtractor(tmp_path / "model")
