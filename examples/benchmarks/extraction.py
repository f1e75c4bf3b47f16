"""Train extractors on CoNLL04 and CrossRE and score them; the mean of several seeds.

    python examples/benchmarks/extraction.py ../shared/data/ie conll04 --seeds 3
    python examples/benchmarks/extraction.py ../shared/data/ie music --held-out \
        --set fitting.epochs=40 --set network.tuned=0

`--held-out` scores on a fifth of the training texts in place of the development file: settings are
chosen by that, and the development file is read once at the end. `gold pairs` is the F1 of
relations where the entities are given. Processor time is of the whole training.
"""

from __future__ import annotations

import argparse
import json
import random
import runpy
import statistics
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

from kgrec.learning.extraction.examples import read_examples
from kgrec.learning.extraction.training import TrainingConfig, train_extractor
from kgrec.text.trained.extractor import TrainedExtractor
from kgrec.text.trained.lines import LabelledText, read_lines

CONVERTERS = Path(__file__).parents[1] / "extraction"


def texts_of(folder: Path, name: str, part: str, place: Path) -> list[LabelledText]:
    """Return the texts of one part of a data set, converted."""
    kind, joint = ("conll04", "_") if name == "conll04" else ("crossre", "-")
    target = place / f"{name}-{part}.jsonl"
    convert = runpy.run_path(str(CONVERTERS / f"{kind}.py"))["main"]
    convert(str(folder / f"{name}{joint}{part}.json"), str(target))
    return read_lines(target).texts


def settings(given: list[str]) -> dict[str, Any]:
    """Return `a.b=value` settings as nested tables."""
    return tomllib.loads("\n".join(given))


def gold_pairs(extractor: TrainedExtractor, texts: list[LabelledText]) -> float:
    """Return the F1 of relations between the true entities; of unknown labels none is found."""
    record = extractor.record
    held = read_examples(extractor.reader, texts)
    right = found = wanted = 0
    for window, labels in held.windows:
        # A small training file may lack a label.
        places = [i for i, span in enumerate(labels.spans) if span.label in record.entities]
        [scored] = extractor.decoder.read([window], spans=[[labels.spans[i] for i in places]])
        stated = {
            (places[h], places[t], label)
            for h, t, label, p in scored.relations
            if p >= record.threshold
        }
        gold = set(labels.relations)
        right, found, wanted = right + len(stated & gold), found + len(stated), wanted + len(gold)
    return 2 * right / max(found + wanted, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("name", choices=["conll04", "music", "literature"])
    parser.add_argument("--seeds", type=int, default=3, help="trainings; each has its own seeds")
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("--beside", action="append", default=[], help="learn from this set too")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as kept:
        place = Path(kept)
        train = texts_of(options.folder, options.name, "train", place)
        dev = texts_of(options.folder, options.name, "dev", place)
        if options.held_out:
            random.Random(7).shuffle(train)
            cut = len(train) // 5
            train, dev = train[cut:], train[:cut]
        for other in options.beside:
            train += texts_of(options.folder, other, "train", place)
        for number in range(options.seeds):
            given = {"seed": 100 * number, **settings(options.set)}
            config = TrainingConfig.model_validate(given)
            begun, wall = time.process_time(), time.monotonic()
            done = train_extractor(train, dev, place / f"model-{number}", config)
            score = done.record.score
            assert score is not None
            rows.append(
                {
                    "entities": score.entities_strict.micro.f1,
                    "relations": score.relations_strict.micro.f1,
                    "relations_boundary": score.relations_boundary.micro.f1,
                    "gold_pairs": gold_pairs(TrainedExtractor(place / f"model-{number}"), dev),
                    "epochs": done.epochs[0],
                    "processor_s": time.process_time() - begun,
                    "wall_s": time.monotonic() - wall,
                }
            )
            print(json.dumps({k: round(v, 4) for k, v in rows[-1].items()}), flush=True)
    means = {key: round(statistics.mean(row[key] for row in rows), 4) for key in rows[0]}
    print(json.dumps({"mean": means}))


if __name__ == "__main__":
    main()
