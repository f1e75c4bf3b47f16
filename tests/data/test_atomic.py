from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kgrec.data.atomic import read_folder, read_parts, read_whole
from kgrec.data.dataset import Dataset, LinkType
from kgrec.data.records import MAX_ID
from kgrec.errors import DataError

INTER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"


def folder(path: Path, **files: str) -> Path:
    contents = {
        "train.inter": INTER + "u1\ta\t3\t10\nu2\tb\t4\t20\n",
        "valid.inter": INTER + "u1\tb\t5\t30\n",
        "test.inter": INTER + "u3\tc\t1\t40.5\n",
        **{name.replace("_", "."): text for name, text in files.items()},
    }
    for name, text in contents.items():
        (path / f"small.{name}").write_text(text, encoding="utf-8")
    return path


def test_a_folder_is_read(tmp_path: Path) -> None:
    data = read_folder(
        folder(
            tmp_path,
            kg="head_id:token\trelation_id:token\ttail_id:token\n"
            "e1\tmade_by\tp\np\tmade\te2\nx\tmade\ty\n",
            link="item_id:token\tentity_id:token\na\te1\nb\te2\nother\te3\n",
            item="item_id:token\ttitle:token_seq\tyear:token\tclass:token_seq\n"
            "a\tThe Sea\t1999\tDrama Comedy\nd\tNew\t2000\t\n",
        )
    )
    train = data.train
    assert train.users.ids == ("u1", "u2", "u3")
    assert train.items.ids == ("a", "b", "c", "d")
    assert data.test.at.tolist() == [40_500]
    assert train.interactions.value.tolist() == [3.0, 4.0]
    assert train.item_texts == ("The Sea. Drama Comedy", "", "", "New")
    facts = {
        (train.items.id(i), train.facts.relations[r], train.entities.id(e))
        for i, r, e in zip(train.facts.item, train.facts.relation, train.facts.entity, strict=True)
    }
    assert facts == {
        ("a", "class", "class:Drama"),
        ("a", "class", "class:Comedy"),
        ("a", "made_by", "p"),
        ("b", "made~", "p"),
    }
    names = dict(zip(train.entities.ids, train.entity_names, strict=True))
    facts_reach = {"class:Drama": "Drama", "class:Comedy": "Comedy", "p": ""}
    assert names == {**facts_reach, "x": "", "y": ""}
    assert train.links.types == (LinkType("entity", "made", "entity"),)


def test_triples_that_touch_no_item_are_links(tmp_path: Path) -> None:
    data = read_folder(
        folder(
            tmp_path,
            kg="head_id:token\trelation_id:token\ttail_id:token\tconfidence:float\n"
            "e1\tmade_by\tp\t1\np\tborn_in\tx\t0.5\np\tborn_in\tx\t0.75\nx\tpart_of\ty\t1\n"
            "x\tpart_of\tx\t1\n",
            link="item_id:token\tentity_id:token\na\te1\nb\te2\n",
        )
    )
    train = data.train
    # What facts reach comes first, so rows of entities are the same with and without links.
    assert train.entities.ids == ("p", "x", "y")
    assert train.facts.entity.tolist() == [0]
    kind = LinkType("entity", "born_in", "entity"), LinkType("entity", "part_of", "entity")
    assert train.links.types == kind
    columns = (train.links.head, train.links.relation, train.links.tail, train.links.confidence)
    assert [column.tolist() for column in columns] == [[0, 1], [0, 1], [1, 2], [0.75, 1.0]]
    assert len(train.entity_names) == 3


def test_triples_of_items_that_nobody_interacted_with_are_left_out(tmp_path: Path) -> None:
    data = read_folder(
        folder(
            tmp_path,
            kg="head_id:token\trelation_id:token\ttail_id:token\n"
            "e1\tmade_by\tp\ngone\tmade_by\tp\nx\tinspired\tgone\np\tborn_in\tq\n",
            link="item_id:token\tentity_id:token\na\te1\nnobody_s\tgone\n",
        )
    )
    train = data.train
    assert train.facts.entity.tolist() == [0]
    assert train.entities.ids == ("p", "q")
    assert train.links.types == (LinkType("entity", "born_in", "entity"),)


def test_columns_of_users_are_numbers_or_categories(tmp_path: Path) -> None:
    rows = "".join(f"v{n}\t{n % 3}.5\t{'FM'[n % 2]}\tcode {n}\t{n}\tx y\n" for n in range(70))
    header = "user_id:token\tage:float\tsex:token\tzip:token\tyear:token\ttags:token_seq\n"
    data = read_folder(folder(tmp_path, user=header + rows + "u1\tx\t\t\t\t\n"))
    age, sex, year = data.train.user_columns
    assert (age.name, sex.name, year.name) == ("age", "sex", "year")
    row = data.train.users.row("v4")
    assert age.categories is None
    assert (float(age.values[row]), float(year.values[row])) == (1.5, 4.0)
    assert np.isnan(age.values[data.train.users.row("u1")])
    assert sex.categories == ("F", "M")
    assert sex.values[row] == 0
    assert sex.values[data.train.users.row("u3")] == -1


def test_all_items_of_one_entity_have_its_facts(tmp_path: Path) -> None:
    """Two editions of one book; the table tells of one of them twice."""
    train = read_folder(
        folder(
            tmp_path,
            kg="head_id:token\trelation_id:token\ttail_id:token\ne\tmade_by\tp\nq\tlikes\te\n",
            link="item_id:token\tentity_id:token\na\te\nb\te\na\te\n",
        )
    ).train
    told = [(row, train.facts.relations[n]) for row, n in zip(*_columns(train), strict=True)]
    assert sorted(told) == [(0, "likes~"), (0, "made_by"), (1, "likes~"), (1, "made_by")]


def _columns(train: Dataset) -> tuple[list[int], list[int]]:
    return train.facts.item.tolist(), train.facts.relation.tolist()


def test_a_time_means_the_same_as_in_a_table(tmp_path: Path) -> None:
    rows = "".join(f"u1\ta\t3\t{at}\n" for at in ("881250949", "881250949000", "1e20", "0"))
    data = read_folder(folder(tmp_path, train_inter=INTER + rows))
    assert data.train.interactions.at.tolist() == [881_250_949_000, 881_250_949_000, 0]
    assert len(data.rejects) == 1
    assert "timestamp is not a time of this world" in data.rejects[0]


def test_bad_rows_are_set_aside_with_their_line(tmp_path: Path) -> None:
    rows = "u1\ta\t3\t1\nu1\tb\tabc\t1\nu1\n\tc\t1\t1\nu2\tb\tnan\t1\n"
    data = read_folder(folder(tmp_path, train_inter=INTER + rows))
    assert len(data.train.interactions) == 1
    assert [reject.split(": ")[0] for reject in data.rejects] == [
        "small.train.inter:4",
        "small.train.inter:3",
        "small.train.inter:5",
        "small.train.inter:6",
    ]


def test_plain_tables_with_a_user_and_an_item_column(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.tsv" for name in ("train", "valid", "test")]
    for path in paths:
        path.write_text("item\tuser\nx\t7\n", encoding="utf-8")
    data = read_parts(*paths)
    assert data.train.users.ids == ("7",)
    assert data.train.items.ids == ("x",)
    assert len(data.test) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "empty"),
        (b"user_id:token,item_id:token\n1,2\n", "separated by tabs"),
        (INTER.encode(), "no row"),
        (INTER.encode() + b"u\ti\tabc\t1\n", "not a number"),
        (INTER.encode() + b"\xff\xfe\ti\t1\t1\n", "UTF-8"),
        (b"who\twhat\n1\t2\n", "no user column"),
        (b"user_id\twhat\n1\t2\n", "no item column"),
    ],
)
def test_a_file_of_no_use_is_an_error(tmp_path: Path, text: bytes, words: str) -> None:
    folder(tmp_path)
    (tmp_path / "small.train.inter").write_bytes(text)
    with pytest.raises(DataError, match=words):
        read_folder(tmp_path)


def test_a_folder_that_is_absent_or_holds_no_or_two_data_sets_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(DataError, match="it holds 0"):
        read_folder(tmp_path)
    folder(tmp_path)
    (tmp_path / "other.train.inter").write_text(INTER)
    with pytest.raises(DataError, match="it holds 2"):
        read_folder(tmp_path)
    (tmp_path / "other.train.inter").unlink()
    (tmp_path / "small.test.inter").unlink()
    with pytest.raises(DataError, match="no such file"):
        read_folder(tmp_path)


def test_users_of_the_user_file_are_known(tmp_path: Path) -> None:
    data = read_folder(folder(tmp_path, user="user_id:token\tage:float\nu2\t30\nquiet\t40\n\t5\n"))
    assert data.train.users.ids == ("u1", "u2", "u3", "quiet")
    assert data.train.matrix().shape == (4, 3)
    folder(tmp_path, user="name:token\tage:float\nu2\t30\n")
    with pytest.raises(DataError, match="no user column"):
        read_folder(tmp_path)


def test_columns_of_users_stand_in_their_order(tmp_path: Path) -> None:
    data = read_folder(folder(tmp_path, user="age:float\tuser_id:token\tsex:token\n30\tu2\tF\n"))
    assert data.user_columns == {"age": ("", "30", ""), "sex": ("", "F", "")}


def test_entities_have_names_of_many_words_and_triples_a_confidence(tmp_path: Path) -> None:
    data = read_folder(
        folder(
            tmp_path,
            kg="head_id:token\trelation_id:token\ttail_id:token\tconfidence:float\n"
            "e1\tmade_by\tp\t0.5\ne1\tmade_by\tp\t0.75\ne1\tmade_by\tq\t2\ne1\tmade_by\tr\tx\n",
            link="item_id:token\tentity_id:token\na\te1\n",
            entity="entity_id:token\tname:token_seq\np\tAnn van der Berg\nz\tNobody\n",
        )
    )
    assert data.train.entity_names == ("Ann van der Berg",)
    assert data.train.facts.confidence.tolist() == [0.75]
    assert [reject.split(": ")[0] for reject in data.rejects] == ["small.kg:4", "small.kg:5"]


def test_all_interactions_in_one_file_or_in_three(tmp_path: Path) -> None:
    folder(tmp_path)
    whole = read_whole(tmp_path)
    assert len(whole.train.interactions) == 4
    assert not len(whole.valid) + len(whole.test)
    (tmp_path / "small.inter").write_text(INTER + "u9\ta\t3\t10\n")
    assert read_whole(tmp_path).train.users.ids == ("u9",)
    for part in ("train", "valid", "test"):
        (tmp_path / f"small.{part}.inter").unlink()
    assert len(read_whole(tmp_path).train.interactions) == 1
    with pytest.raises(DataError, match=r"no split.*--protocol warm"):
        read_folder(tmp_path)


def test_ids_are_as_long_as_everywhere(tmp_path: Path) -> None:
    fits, long = "i" * MAX_ID, "i" * (MAX_ID + 1)
    rows = f"u1\t{fits}\t3\t10\nu1\t{long}\t3\t10\n{long}\ta\t3\t10\n"
    data = read_folder(
        folder(
            tmp_path,
            train_inter=INTER + rows,
            item=f"item_id:token\ttitle:token_seq\n{long}\tToo long\n{fits}\tFits\n",
            user=f"user_id:token\tage:float\n{long}\t3\n",
        )
    )
    assert set(map(len, data.train.items.ids)) == {1, MAX_ID}
    assert max(map(len, data.train.users.ids)) == 2
    assert len(data.rejects) == 3
    assert all(f"longer than {MAX_ID} characters" in reject for reject in data.rejects)
