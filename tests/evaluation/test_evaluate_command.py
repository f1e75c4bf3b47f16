from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from shelves import small_model
from tastes import tastes, write_folder

from kgrec.cli.app import main

SHARED = Path(__file__).parents[3] / "shared" / "data"

QUICK = """
[settings.collaborative]
tau = 0.3
embedding_dim = 16
schedule = { steps = 40, check_from = 40 }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted catalogue as atomic files."""
    path = tmp_path_factory.mktemp("planted")
    write_folder(tastes(), path)
    users = "\n".join(f"u{n}\t{20 + n % 50}\t{'FM'[n % 2]}" for n in range(120))
    (path / "p.user").write_text(f"user_id:token\tage:float\tsex:token\n{users}\n")
    (path / "quick.toml").write_text(QUICK)
    return path


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", *map(str, arguments)])
    return int(ended.value.code or 0)


def test_a_folder_is_measured(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    code = run(
        *(folder, "--k", 5, "--k", 10, "--agents", "collaborative,linear"),
        *("--config", folder / "quick.toml", "--json"),
        *("--report", tmp_path / "report.json", "--run-out", tmp_path / "run.tsv"),
    )
    printed = json.loads(capsys.readouterr().out)
    assert code == 0
    assert printed == json.loads((tmp_path / "report.json").read_text())
    ranking = printed["ranking"]
    assert set(ranking["at"]) == {"5", "10"}
    assert set(ranking["at"]["5"]) == {"recall", "precision", "f1", "ndcg", "mrr", "hit"}
    assert set(ranking["lists"]["5"]) == {"coverage", "gini", "novelty", "long_tail"}
    assert printed["peak_memory"] > 0
    assert printed["seconds"]["total"] > 0
    assert set(printed["team"]["weights"]) == {"collaborative", "linear"}
    lines = [line.split("\t") for line in (tmp_path / "run.tsv").read_text().splitlines()]
    assert len(lines) == 10 * ranking["users"]
    hits = _recall(lines, folder, 10)
    assert hits == pytest.approx(ranking["at"]["10"]["recall"]["mean"])


def _recall(lines: list[list[str]], folder: Path, k: int) -> float:
    """Compute recall again from the written run, as a stranger would."""
    parts = {}
    for name in ("train", "valid", "test"):
        rows = (folder / f"p.{name}.inter").read_text().splitlines()[1:]
        parts[name] = {tuple(row.split("\t")) for row in rows}
    lists: dict[str, list[str]] = {}
    for user, item, _ in lines:
        assert (user, item) not in parts["train"] | parts["valid"]
        lists.setdefault(user, []).append(item)
    recalls = []
    for user, items in lists.items():
        right = {item for owner, item in parts["test"] if owner == user}
        recalls.append(len(right & set(items[:k])) / len(right))
    return sum(recalls) / len(recalls)


def test_the_table_is_for_people(folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(folder, "--agents", "linear", "--knowledge", "shuffled", "--k", 3) == 0
    shown = capsys.readouterr().out
    assert "recall" in shown
    assert "knowledge shuffled" in shown
    assert "@3" in shown


def test_files_named_one_by_one(folder: Path, capsys: pytest.CaptureFixture) -> None:
    files = [
        word for name in ("train", "valid", "test") for word in (f"--{name}", _path(folder, name))
    ]
    assert run(*files, "--agents", "linear", "--history", "train+valid", "--json") == 0
    assert json.loads(capsys.readouterr().out)["protocol"]["history"] == "train+valid"


def test_a_second_fit_knows_the_validation_part_and_chooses_nothing_by_it(
    folder: Path, capsys: pytest.CaptureFixture
) -> None:
    found = {}
    for name, words in {"once": (), "twice": ("--refit",)}.items():
        assert run(folder, "--agents", "linear", "--k", 5, *words, "--json") == 0
        found[name] = json.loads(capsys.readouterr().out)
    once, twice = found["once"], found["twice"]
    assert (once["protocol"]["refit"], once["protocol"]["history"]) == (False, "train")
    assert (twice["protocol"]["refit"], twice["protocol"]["history"]) == (True, "train+valid")
    assert once["team"]["chosen"] == twice["team"]["chosen"]
    assert once["team"]["validation"] == twice["team"]["validation"]
    assert once["ranking"]["targets"] == twice["ranking"]["targets"]
    assert once["ranking"]["at"] != twice["ranking"]["at"]
    assert run(folder, "--agents", "linear", "--refit", "--mask", "train") == 2
    assert "measured on ranking it" in capsys.readouterr().err


def test_the_mask_is_named_beside_the_figures(folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(folder, "--agents", "linear", "--mask", "train", "--k", 5) == 0
    assert "mask train " in capsys.readouterr().out.replace("\n", " ")
    assert run(folder, "--agents", "linear", "--mask", "train", "--history", "train+valid") == 2
    assert "in the histories and ranked" in capsys.readouterr().err


def _path(folder: Path, name: str) -> Path:
    return folder / f"p.{name}.inter"


def test_the_same_seed_gives_the_same_answer(folder: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        arguments = ("--agents", "collaborative", "--config", folder / "quick.toml", "--seed", 3)
        assert run(folder, *arguments, "--run-out", tmp_path / name) == 0
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_settings_are_searched_within_a_budget(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    few = tmp_path / "few.toml"
    few.write_text("search = { most_trials = 2 }\n")
    code = run(folder, "--agents", "linear", "--config", few, "--budget", "2m", "--k", 5)
    shown = capsys.readouterr().out
    assert code == 0
    assert "2 settings tried" in shown
    assert "user_power" in shown
    assert run(folder, "--agents", "linear", "--budget", "soon") == 2


def test_it_says_who_is_not_searched(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    few = tmp_path / "few.toml"
    few.write_text(
        "search = { most_trials = 1 }\n"
        "[together]\nuse = true\nembedding_dim = 4\n"
        "schedule = { steps = 2, check_from = 2 }\n"
    )
    agents = ("--agents", "collaborative,knowledge,linear")
    assert run(folder, *agents, "--config", few, "--budget", "2m", "--k", 5) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "1 settings tried" in shown
    assert "not searched, since they learn together: collaborative, knowledge" in shown


def test_trainings_are_logged_and_go_on(folder: Path, tmp_path: Path) -> None:
    given = (folder, "--agents", "collaborative", "--config", folder / "quick.toml")
    for name in ("first", "again"):
        files = ("--logs", tmp_path / name, "--resume", tmp_path / "state")
        assert run(*given, *files, "--run-out", tmp_path / f"{name}.tsv") == 0
    steps = [
        len((tmp_path / name / "collaborative-tau-0.3.csv").read_text().splitlines()) - 1
        for name in ("first", "again")
    ]
    assert steps == [40, 0]
    assert (tmp_path / "first.tsv").read_text() == (tmp_path / "again.tsv").read_text()


def test_a_training_does_not_go_on_with_another_encoder(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """The folder that the settings name holds another encoder by now."""
    encoder = small_model(tmp_path / "encoder", layers=1)
    config = tmp_path / "quick.toml"
    schedule = "tau = 0.3\nembedding_dim = 8\nschedule = { steps = 5, check_from = 5 }\n"
    names = ("collaborative", "knowledge")
    settings = "".join(f"[settings.{name}]\n{schedule}" for name in names)
    config.write_text(f'encoder = "{encoder}"\n{settings}')

    def resumed(agent: str) -> int:
        given = (folder, "--agents", agent, "--config", config)
        return run(*given, "--resume", tmp_path / agent)

    assert [resumed(name) for name in names] == [0, 0]
    assert resumed("knowledge") == 0
    small_model(tmp_path / "encoder", layers=2)
    assert resumed("collaborative") == 0
    capsys.readouterr()
    assert resumed("knowledge") != 0
    assert "knowledge-tau-0.3.safetensors" in capsys.readouterr().err


def test_every_protocol_is_measured(folder: Path, capsys: pytest.CaptureFixture) -> None:
    for protocol in ("warm", "cold-item", "cold-user"):
        assert run(folder, "--protocol", protocol, "--agents", "linear", "--k", 5, "--json") == 0
        printed = json.loads(capsys.readouterr().out)
        assert printed["protocol"]["name"] == protocol
        assert (printed["among_cold"] is None) == (protocol != "cold-item")
        assert printed["team"]["validation"].keys() >= {"linear", "team"}
        at = printed["ranking"]["at"]["5"]["recall"]
        assert at["low"] <= at["mean"] <= at["high"]
    assert printed["ranking"]["users"] == 12


def test_one_file_with_times_is_cut_by_time(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    rows = []
    for name in ("train", "valid", "test"):
        rows += (folder / f"p.{name}.inter").read_text().splitlines()[1:]
    timed = "\n".join(f"{row}\t{n + 1}" for n, row in enumerate(rows))
    (tmp_path / "q.inter").write_text(f"user_id:token\titem_id:token\ttimestamp:float\n{timed}\n")
    assert run(tmp_path, "--protocol", "temporal", "--agents", "linear", "--k", 5, "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["counts"]["train"] == int(0.8 * len(rows))
    assert printed["protocol"]["cut"] == "global"
    assert printed["protocol"]["history"] == "train and what the protocol shows"
    assert run(tmp_path, "--agents", "linear") == 3
    assert "--protocol warm" in " ".join(capsys.readouterr().err.split())


def test_what_is_asked_for_changes_nothing_that_is_chosen(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """The same data with the test items of the users changed round."""
    for file in folder.glob("p.*"):
        (tmp_path / file.name).write_text(file.read_text())
    head, *rows = (folder / "p.test.inter").read_text().splitlines()
    users, items = zip(*(row.split("\t") for row in rows), strict=True)
    moved = "\n".join(map("\t".join, zip(users, items[::-1], strict=True)))
    (tmp_path / "p.test.inter").write_text(f"{head}\n{moved}\n")
    found = []
    for path in (folder, tmp_path):
        assert run(path, "--agents", "linear", "--json") == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0]["ranking"]["at"] != found[1]["ranking"]["at"]
    for each in found:
        del each["team"]["seconds"]
    assert found[0]["team"] == found[1]["team"]


def test_a_sample_of_the_users_is_asked(folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(folder, "--agents", "linear", "--sample-users", 30) == 0
    assert "30 of 120 test users" in capsys.readouterr().out


def test_the_difference_from_another_system(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    own, other = tmp_path / "own.tsv", tmp_path / "other.tsv"
    assert run(folder, "--agents", "linear", "--k", 5, "--run-out", own) == 0
    other.write_text("".join(f"u{n}\ti95\t1\n" for n in range(60)))
    capsys.readouterr()
    for path, better in ((own, False), (other, True)):
        assert run(folder, "--agents", "linear", "--k", 5, "--baseline", path, "--json") == 0
        printed = json.loads(capsys.readouterr().out)
        difference = printed["baseline"]["at"]["5"]["recall"]
        assert (difference["low"] > 0) is better
        assert (difference["p_holm"] < 0.05) is better
    assert printed["baseline"]["users"] == 60
    assert run(folder, "--agents", "linear", "--k", 5, "--baseline", other) == 0
    assert "60 of the 120 users" in " ".join(capsys.readouterr().out.split())


def test_lists_and_groups_are_described(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    arguments = (folder, "--agents", "linear", "--k", 5, "--group", "sex")
    assert run(*arguments, "--report", tmp_path / "report.json") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "diversity@5 by facts" in shown
    assert "miscalibration@5 by genre" in shown
    assert "By sex, at 5" in shown
    assert "gap of recall" in shown
    printed = json.loads((tmp_path / "report.json").read_text())
    assert {name: g["users"] for name, g in printed["groups"]["groups"].items()} == {
        "F": 60,
        "M": 60,
    }
    targets = printed["breakdown"]["popularity"]
    assert sum(group["targets"] for group in targets) == printed["ranking"]["targets"]
    whole = sum(group["targets"] * group["found"] for group in targets)
    assert 0 < whole < printed["ranking"]["targets"]
    users = [group["users"] for group in printed["breakdown"]["history"]["groups"].values()]
    assert sum(users) == 120
    assert printed["versions"].keys() >= {"python", "torch", "machine"}


def test_an_ablation_is_one_table(folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(folder, "--agents", "linear", "--k", 5, "--ablate", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    rows = {row["name"]: row for row in printed["ablation"]["rows"]}
    assert [name for name in rows if name != "without ranker"] == [
        "team",
        "without facts",
        "without texts",
        "without facts and texts",
        "shuffled knowledge",
    ]
    assert rows["team"]["at"]["5"]["recall"] == printed["ranking"]["at"]["5"]["recall"]
    assert not rows["team"]["less_team"]
    for name, row in rows.items():
        if name != "team":
            less = row["less_team"]["5"]["ndcg"]
            difference = row["at"]["5"]["ndcg"]["mean"] - rows["team"]["at"]["5"]["ndcg"]["mean"]
            assert less["mean"] == pytest.approx(difference)
            assert less["low"] <= less["mean"] <= less["high"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("u1\ti1\n", "not user<TAB>item<TAB>score"),
        ("u1\ti1\tnan\n", "not user<TAB>item<TAB>score"),
        ("x\ty\t1\n", "none of the users"),
    ],
)
def test_a_baseline_of_no_use_is_an_error(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture, text: str, words: str
) -> None:
    (tmp_path / "run.tsv").write_text(text)
    assert run(folder, "--agents", "linear", "--baseline", tmp_path / "run.tsv") == 3
    assert words in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "nothing to evaluate"),
        (("/nowhere",), 3, "no such folder"),
        (("FOLDER", "--k", "0"), 2, "at least 1"),
        (("FOLDER", "--agents", "linaer"), 2, "Did you mean"),
        (("FOLDER", "--device", "abacus"), 2, "abacus"),
        (("FOLDER", "--report", "/nowhere/report.json"), 3, "cannot be written"),
        (("FOLDER", "--train", "x"), 2, "not both"),
        (("--train", "x"), 2, "nothing to evaluate"),
        (("FOLDER", "--config", "/nowhere.toml"), 2, "no such file"),
        (("FOLDER", "--protocol", "temporal"), 3, "no times"),
        (("FOLDER", "--share", ".2"), 2, "given does not read share"),
        (("FOLDER", "--protocol", "warm", "--cut", "user"), 2, "warm does not read cut"),
        (("FOLDER", "--protocol", "warm", "--share", ".5"), 2, "share"),
        (("FOLDER", "--baseline", "/nowhere.tsv"), 3, "no such file"),
        (("FOLDER", "--group", "shoe"), 2, "age, sex"),
        (("FOLDER", "--relation", "shoe"), 2, "Known: genre"),
        (("FOLDER", "--ablate", "--knowledge", "none"), 2, "removes knowledge itself"),
        (("FOLDER", "--sample-users", "0"), 2, "sample_users"),
    ],
)
def test_wrong_use_is_said_plainly(
    folder: Path,
    capsys: pytest.CaptureFixture,
    arguments: tuple[str, ...],
    code: int,
    words: str,
) -> None:
    assert run(*(str(folder) if word == "FOLDER" else word for word in arguments)) == code
    shown = capsys.readouterr().err
    assert words in " ".join(shown.split())
    assert "Traceback" not in shown


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.skipif("KGREC_TEST_FLOORS" not in os.environ, reason="KGREC_TEST_FLOORS is not set")
@pytest.mark.skipif(not (SHARED / "lastfm").is_dir(), reason="the Last.FM data set is not there")
def test_last_fm_reaches_the_floors(tmp_path: Path) -> None:
    """The default configuration on the public split: Recall@10 .300 and MRR@10 .140 at least."""
    report = tmp_path / "report.json"
    assert run(SHARED / "lastfm", "--k", 10, "--report", report) == 0
    at = json.loads(report.read_text())["ranking"]["at"]["10"]
    assert at["recall"]["mean"] >= 0.300
    assert at["mrr"]["mean"] >= 0.140
