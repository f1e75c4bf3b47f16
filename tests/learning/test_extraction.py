"""A tiny training on planted sentences: what it finds, that it goes on, and what it refuses."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from typer.testing import CliRunner

from kgrec.cli import main
from kgrec.cli.extract import app
from kgrec.errors import DataError, ModelError
from kgrec.graph.store import GraphStore
from kgrec.learning.extraction import fitting, training
from kgrec.learning.extraction.training import TrainedSummary, TrainingConfig, train_extractor
from kgrec.schema import load_schema
from kgrec.stages.extract import SOURCE, ExtractConfig, extract
from kgrec.stages.item_texts import ItemTexts
from kgrec.stages.upsert import upsert_items
from kgrec.text.pipeline import ItemText
from kgrec.text.trained import decoding, features
from kgrec.text.trained.calibration import fit_scale, reliability
from kgrec.text.trained.extractor import TrainedExtractor
from kgrec.text.trained.facts import facts_of
from kgrec.text.trained.lines import LabelledRelation, LabelledSpan, LabelledText, write_lines
from kgrec.text.trained.runs import run_file
from kgrec.text.trained.scoring import score
from kgrec.text.trained.tokens import AlignedLabels

FIRST = "Anna Boris Clara David Elena Frank Greta Henry Irene Jonas Karla Louis".split()  # noqa: SIM905
LAST = ["Smith", "Brown", "Novak", "Meyer", "Rossi", "Weber", "Stone", "Fields"]
FIRMS = ["Acme", "Globex", "Initech", "Umbrella", "Hooli", "Vandelay", "Wonka", "Stark"]
PLACES = ["Paris", "London", "Berlin", "Madrid", "Vienna", "Lisbon", "Boston", "Denver"]
FORMS = (
    ("{p} works for {f} in {l} .", (("WORKS_FOR", 0, 1), ("BASED_IN", 1, 2))),
    ("{p} never worked for {f} .", ()),
    ("{f} has its office in {l} .", (("BASED_IN", 0, 1),)),
    ("{p} visited {l} last year .", ()),
)


def planted(count: int, seed: int) -> list[LabelledText]:
    """Return sentences of four forms, two of which state no relation."""
    draw = random.Random(seed)
    texts = []
    for number in range(count):
        form, stated = FORMS[number % len(FORMS)]
        words = {
            "p": f"{draw.choice(FIRST)} {draw.choice(LAST)}",
            "f": draw.choice(FIRMS),
            "l": draw.choice(PLACES),
        }
        text, spans = "", []
        for part in form.split(" "):
            value = words.get(part.strip("{}"), part)
            if part.startswith("{"):
                label = {"p": "DIRECTED_BY", "f": "Firm", "l": "Place"}[part.strip("{}")]
                spans.append(LabelledSpan(len(text), len(text) + len(value), label))
            text += f"{value} "
        relations = tuple(LabelledRelation(h, t, name) for name, h, t in stated)
        texts.append(LabelledText(f"{seed}-{number}", text.strip(), tuple(spans), relations))
    return texts


CONFIG = TrainingConfig.model_validate(
    {
        "seeds": 1,
        "minutes": None,
        "network": {
            "hidden": 48,
            "pair": 48,
            "context": 32,
            "depth": 2,
            "dropout": 0.1,
            "tuned": 1,
        },
        "fitting": {"epochs": 9, "least_steps": 0, "batch": 8, "rate": 4e-3, "average": 0.9},
    }
)
TRAIN, DEV, TEST = planted(96, 1), planted(40, 2), planted(40, 3)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainedSummary]:
    folder = tmp_path_factory.mktemp("extractor") / "model"
    return folder, train_extractor(TRAIN, DEV, folder, CONFIG)


def test_labels_of_entities_alone_train_too(tmp_path: Path) -> None:
    """As columns label texts: no relation between two entities is known."""
    alone = [replace(one, relations=()) for one in planted(16, 5)]
    config = CONFIG.model_copy(update={"fitting": CONFIG.fitting.model_copy(update={"epochs": 1})})
    done = train_extractor(alone, alone[:4], tmp_path / "model", config)
    assert done.record.relations == ()
    [found] = TrainedExtractor(tmp_path / "model").read(alone[:1])
    assert found.relations == ()


def weights(folder: Path) -> bytes:
    return (folder / "network-0.safetensors").read_bytes()


def test_planted_relations_are_found(trained: tuple[Path, TrainedSummary]) -> None:
    folder, summary = trained
    assert (summary.texts, summary.moved, summary.dropped, summary.lost) == (96, 0, 0, 0)
    found = list(TrainedExtractor(folder).read(LabelledText(t.id, t.text) for t in TEST))
    result = score(TEST, found)
    assert result.entities_strict.micro.f1 > 0.9
    # Each pair of a person and a firm, related or not, would give .67 for WORKS_FOR.
    assert result.relations_strict.micro.f1 > 0.85, result.relations_strict
    sure = [e.confidence for one in found for e in one.entities]
    assert all(value is not None and 0 < value < 1 for value in sure)


def test_a_long_text_is_read_as_its_sentences_are(trained: tuple[Path, TrainedSummary]) -> None:
    extractor = TrainedExtractor(trained[0])
    text = "\n".join(one.text for one in TEST * 2)
    [found] = extractor.read([LabelledText("long", text)])
    named = [text[e.start : e.end] for e in found.entities]
    assert len(named) > 100
    assert "Hooli" in named
    assert list(extractor.read([])) == []
    assert [LabelledText("blank", " ")] == list(extractor.read([LabelledText("blank", " ")]))


def test_a_text_is_read_alike_alone_among_others_and_in_float32(
    trained: tuple[Path, TrainedSummary], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [LabelledText(one.id, one.text) for one in TEST[:12]]
    extractor = TrainedExtractor(trained[0])
    together = list(extractor.read([*texts, LabelledText("blank", " ")]))[:-1]
    alone = [found for one in texts for found in extractor.read([one])]
    for module in (features, decoding):  # no effect where the processor has no bfloat16
        monkeypatch.setattr(module, "multiplies_bfloat16", lambda: False)
    plain = list(TrainedExtractor(trained[0]).read(texts))
    assert sum(len(one.entities) for one in plain) > 20
    for others in (alone, plain):
        for one, other in zip(together, others, strict=True):
            assert [(e.start, e.end, e.label) for e in one.entities] == [
                (e.start, e.end, e.label) for e in other.entities
            ]
            sure = [
                (e.confidence, f.confidence)
                for e, f in zip(one.entities, other.entities, strict=True)
            ]
            assert all(a is not None and a == pytest.approx(b, abs=0.02) for a, b in sure)


def test_a_stopped_training_ends_with_the_same_weights(
    trained: tuple[Path, TrainedSummary], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fitting.Fitting._epoch

    def stopped(self: Any) -> float:
        if self._done == 5:
            raise KeyboardInterrupt
        return whole(self)

    with monkeypatch.context() as patch:
        patch.setattr(fitting.Fitting, "_epoch", stopped)
        with pytest.raises(KeyboardInterrupt):
            train_extractor(TRAIN, DEV, tmp_path / "model", CONFIG)
    assert not (tmp_path / "model").exists()
    done: list[int] = []

    def counted(self: Any) -> float:
        done.append(self._done)
        return whole(self)

    monkeypatch.setattr(fitting.Fitting, "_epoch", counted)
    summary = train_extractor(TRAIN, DEV, tmp_path / "model", CONFIG)
    assert summary.resumed
    assert done == [5, 6, 7, 8]
    assert weights(tmp_path / "model") == weights(trained[0])
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_damaged_folder_is_refused(trained: tuple[Path, TrainedSummary], tmp_path: Path) -> None:
    for name in ("extractor.json", "network-0.safetensors"):
        (tmp_path / name).write_bytes((trained[0] / name).read_bytes())
    damaged = bytearray(weights(tmp_path))
    damaged[-1] ^= 1
    (tmp_path / "network-0.safetensors").write_bytes(damaged)
    with pytest.raises(ModelError, match="digest"):
        TrainedExtractor(tmp_path)
    (tmp_path / "extractor.json").write_text("{}")
    with pytest.raises(ModelError, match="broken"):
        TrainedExtractor(tmp_path)
    with pytest.raises(ModelError, match="no trained extractor"):
        TrainedExtractor(tmp_path / "none")


def test_run_writes_what_evaluate_reads(
    trained: tuple[Path, TrainedSummary], tmp_path: Path
) -> None:
    gold, predicted = tmp_path / "gold.jsonl", tmp_path / "predicted.jsonl"
    write_lines(gold, DEV)
    options = ["--input", str(gold), "--output", str(predicted), "--json"]
    done = CliRunner().invoke(app, ["run", "--model", str(trained[0]), *options])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["texts"] == len(DEV)
    done = CliRunner().invoke(
        app, ["evaluate", "--gold", str(gold), "--pred", str(predicted), "--json"]
    )
    stated = trained[1].record.score
    assert stated is not None
    micro = json.loads(done.stdout)["relations_strict"]["micro"]
    assert micro["f1"] == stated.relations_strict.micro.f1


@pytest.mark.skipif(find_spec("ray") is None, reason="no Ray for this Python")
def test_a_run_killed_on_a_cluster_goes_on_and_writes_what_one_run_does(
    trained: tuple[Path, TrainedSummary], tmp_path: Path
) -> None:
    source, whole, killed = (tmp_path / f"{name}.jsonl" for name in ("in", "whole", "killed"))
    write_lines(source, planted(640, 4))
    lines = source.read_text("utf-8").splitlines()
    source.write_text("\n".join([*lines[:300], "", "{", *lines[300:]]), "utf-8")
    options = ["run", "--model", str(trained[0]), "--input", str(source), "--json", "--output"]
    done = CliRunner().invoke(app, [*options, str(whole)])
    assert done.exit_code == 0, done.output
    counts = json.loads(done.stdout)
    assert (counts["texts"], counts["rejected_lines"], counts["resumed_at"]) == (640, 1, 0)
    assert counts["texts_per_second"] > 0

    checkpoint = tmp_path / ".killed.jsonl-run.json"
    there = [str(killed), "--engine", "ray", "--processes", "2"]
    code = f"from kgrec.cli.extract import app; app({[*options, *there]!r})"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL) as process:
        end = time.monotonic() + 240
        while not checkpoint.exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
            started = psutil.Process(process.pid).children(recursive=True)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    alive = psutil.wait_procs(started, timeout=10)[1]
    # Two agents of Ray notice within two minutes that it is gone.
    assert [one for one in alive if "Agent" not in one.name()] == []
    for one in alive:
        one.kill()
    at = json.loads(checkpoint.read_text())
    assert at["texts"] in (256, 512)
    with killed.open("ab") as file:
        file.write(b'{"id": "a line that was begun')
    done = CliRunner().invoke(app, [*options, str(killed)])
    assert done.exit_code == 0, done.output
    again = json.loads(done.stdout)
    assert again["resumed_at"] == at["texts"]
    assert [again[key] for key in ("texts", "entities", "relations")] == [
        counts[key] for key in ("texts", "entities", "relations")
    ]
    assert killed.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "in.jsonl",
        "killed.jsonl",
        "whole.jsonl",
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--engine", "ray"], "kgrec[ray]"),
        (["--processes", "2"], "--engine ray"),
        (["--ray-address", "host:6379"], "--engine ray"),
    ],
)
def test_what_a_run_on_a_cluster_needs_is_named(
    trained: tuple[Path, TrainedSummary],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    words: str,
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    source = tmp_path / "in.jsonl"
    write_lines(source, TEST[:1])
    files = ["--input", str(source), "--output", str(tmp_path / "out.jsonl")]
    with pytest.raises(SystemExit) as leaving:
        main(["extract", "run", "--model", str(trained[0]), *files, *options])
    assert leaving.value.code == 2
    assert words in capsys.readouterr().err


def test_a_checkpoint_of_another_input_counts_for_nothing(
    trained: tuple[Path, TrainedSummary], tmp_path: Path
) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    extractor = TrainedExtractor(trained[0])
    write_lines(source, TEST[:3])
    output.write_text("of another run\n" * 9)
    (tmp_path / ".out.jsonl-run.json").write_text('{"key": "another", "offset": 7, "length": 5}')
    done = run_file(extractor, source, output)
    assert (done.texts, done.resumed_at) == (3, 0)
    assert [json.loads(line)["id"] for line in output.read_text().splitlines()] == [
        one.id for one in TEST[:3]
    ]
    with pytest.raises(DataError, match="overwritten"):
        run_file(extractor, source, source)


def test_labels_beside_words_are_moved_or_counted() -> None:
    text = "The Globexes hired Anna Smith."
    words = [(0, 3), (4, 12), (13, 18), (19, 23), (24, 29), (29, 30)]
    spans = [(4, 10), (19, 29), (19, 23), (3, 4)]
    entities = tuple(LabelledSpan(start, end, "X") for start, end in spans)
    relations = (LabelledRelation(1, 0, "HIRED_BY"), LabelledRelation(2, 0, "HIRED_BY"))
    aligned = AlignedLabels(LabelledText("a", text, entities, relations), words)
    labels = aligned.window(0, len(words))
    assert [(span.first, span.last) for span in labels.spans] == [(1, 1), (3, 4)]
    assert labels.relations == ((1, 0, "HIRED_BY"),)
    assert (aligned.moved, aligned.dropped) == (1, 2)


def test_facts_of_a_trained_extractor_reach_the_graph(
    trained: tuple[Path, TrainedSummary], empty_store: GraphStore, tmp_path: Path
) -> None:
    """A label that is a relation of the domain states it of the item, of later ones as well."""
    movies = load_schema().domain("movies")
    text = "Anna Smith works for Acme in Paris ."
    named = {"title": "One", "description": text}
    empty_store.write("ingest/create_items", {"item_type": "Movie"}, items=["1"])
    empty_store.write("ingest/set_items", rows=[{"item_id": "1", "properties": named}])
    plain = extract(empty_store, movies)
    assert plain.facts.get("DIRECTED_BY", 0) == 0
    beside = extract(empty_store, movies, ExtractConfig(trained=trained[0]))
    assert (beside.texts, beside.facts["DIRECTED_BY"]) == (1, 1)
    [row] = empty_store.query(
        "MATCH (:Item)-[r:DIRECTED_BY]->(e) RETURN e.name AS name, r.extractor AS extractor, "
        "r.source AS source, r.confidence AS sure"
    ).rows
    version = TrainedExtractor(trained[0]).version
    sure = row.pop("sure")
    assert row == {"name": "Anna Smith", "extractor": f"trained/{version}", "source": SOURCE}
    assert 0 < sure < 1
    config = ExtractConfig(trained=trained[0], components=("trained",))
    assert extract(empty_store, movies, config, home=tmp_path).texts == 1
    later = {"item_id": "2", "title": "Two", "description": text.replace("Anna", "Clara")}
    upsert_items(empty_store, [(1, later)], movies, source="api")
    assert ItemTexts(empty_store, tmp_path).extract("movies", ["1", "2"]) == 1
    [row] = empty_store.query(
        "MATCH (:Item {item_id: '2'})-[r:DIRECTED_BY]->(e) RETURN e.name AS n, r.extractor AS e"
    ).rows
    assert row == {"n": "Clara Smith", "e": f"trained/{version}"}
    surer = ExtractConfig(trained=trained[0], trained_confidence=(1 + sure) / 2)
    assert (again := extract(empty_store, movies, surer)).texts == 2
    assert again.facts.get("DIRECTED_BY", 0) == 0


def test_links_need_a_head_that_the_item_leads_to() -> None:
    domain = load_schema().domain("movies")
    text = "Ada Vale, born in Oslo, and Bo Lind, born in Rome."
    spans = (
        LabelledSpan(0, 8, "DIRECTED_BY", 0.9),
        LabelledSpan(18, 22, "Place", 0.9),
        LabelledSpan(28, 35, "Person", 0.9),
        LabelledSpan(45, 49, "Place", 0.9),
    )
    born = tuple(LabelledRelation(h, h + 1, "BORN_IN", 0.8) for h in (0, 2))
    found = facts_of(LabelledText("1", text, spans, born), ItemText("1", "", text), domain, "v")
    assert [(f.relation, f.head_name, f.entity_name) for f in found] == [
        ("DIRECTED_BY", "", "Ada Vale"),
        ("BORN_IN", "Ada Vale", "Oslo"),
    ]
    assert found[1].evidence == text[:22]
    surer = facts_of(
        LabelledText("1", text, spans, born), ItemText("1", "", text), domain, "v", 0.85
    )
    assert [f.relation for f in surer] == ["DIRECTED_BY"]


def test_confidence_becomes_the_share_that_is_right() -> None:
    torch.manual_seed(0)
    sure = torch.rand(2000).tolist()
    right = (torch.rand(2000) < 0.5 * torch.tensor(sure)).tolist()  # half as often as stated
    scale = fit_scale(sure, right)
    before, after = reliability(sure, right), reliability([scale(v) for v in sure], right)
    assert before.error > 0.2
    assert after.error < 0.05
    assert training.TrainingConfig().threshold == 0.5
