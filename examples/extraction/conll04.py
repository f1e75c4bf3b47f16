"""Convert CoNLL04, in the JSON of spert (tokens with tags or entities), to lines of kgrec.

    python examples/extraction/conll04.py conll04_train.json train.jsonl

The text is the tokens with a space between them. Tags are BILOU or BIO; a file that has
`entities` with token offsets (`start`, `end` behind the last) is read as well.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any


def offsets(tokens: Sequence[str]) -> list[tuple[int, int]]:
    """Return begin and end of each token in the text of all, joined by spaces."""
    found, at = [], 0
    for token in tokens:
        found.append((at, at + len(token)))
        at += len(token) + 1
    return found


def spans(tags: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Yield first token, last token and label of each entity of BILOU or BIO tags."""
    start = None
    for i, tag in enumerate([*tags, "O"]):
        if start is not None and tag[0] not in "IL":
            yield start, i - 1, tags[start][2:]
            start = None
        if tag[0] in "BU" or (tag[0] in "IL" and start is None):
            start = i


def convert(sentence: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Return one sentence as the object of a line."""
    at = offsets(sentence["tokens"])
    if "tags" in sentence:
        found = list(spans(sentence["tags"]))
    else:
        found = [(e["start"], e["end"] - 1, e["type"]) for e in sentence["entities"]]
    return {
        "id": str(sentence.get("orig_id", number)),
        "text": " ".join(sentence["tokens"]),
        "entities": [
            {"start": at[one][0], "end": at[last][1], "label": label} for one, last, label in found
        ],
        "relations": [
            {"head": r["head"], "tail": r["tail"], "label": r["type"]}
            for r in sentence["relations"]
        ],
    }


def main(source: str, target: str) -> None:
    sentences = json.loads(Path(source).read_text(encoding="utf-8"))
    lines = [json.dumps(convert(one, i), ensure_ascii=False) for i, one in enumerate(sentences)]
    Path(target).write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines)} sentences written to {target}")


if __name__ == "__main__":
    main(*sys.argv[1:])
