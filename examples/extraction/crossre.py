"""Convert CrossRE (Bassignana and Plank, EMNLP Findings 2022) to lines of kgrec.

    python examples/extraction/crossre.py music-train.json train.jsonl

Each line of CrossRE has the tokens of a sentence, entities `[first, last, label]` and relations
`[head first, head last, tail first, tail last, label, ...]`; a pair may have several labels.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def convert(sentence: Mapping[str, Any]) -> dict[str, Any]:
    """Return one sentence as the object of a line."""
    at, place = [], 0
    for token in sentence["sentence"]:
        at.append((place, place + len(token)))
        place += len(token) + 1
    positions = {(one, last): i for i, (one, last, _) in enumerate(sentence["ner"])}
    return {
        "id": sentence["doc_key"],
        "text": " ".join(sentence["sentence"]),
        "entities": [
            {"start": at[one][0], "end": at[last][1], "label": label}
            for one, last, label in sentence["ner"]
        ],
        "relations": [
            {"head": positions[r[0], r[1]], "tail": positions[r[2], r[3]], "label": r[4]}
            for r in sentence["relations"]
        ],
    }


def main(source: str, target: str) -> None:
    lines = [
        json.dumps(convert(json.loads(line)), ensure_ascii=False)
        for line in Path(source).read_text(encoding="utf-8").splitlines()
        if line.strip()
    ]
    Path(target).write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines)} sentences written to {target}")


if __name__ == "__main__":
    main(*sys.argv[1:])
