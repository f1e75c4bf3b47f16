"""The folder of an adapted encoder: what transformers loads plainly, and where it came from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kgrec.errors import DataError
from kgrec.text.encoder import quiet
from kgrec.training.checkpoint import writing_directory
from kgrec.training.encoder.adaptation import Adapted

RECORD = "kgrec.json"
"""Says base, data, settings and metrics; transformers does not read it."""


def save_encoder(adapted: Adapted, folder: Path, record: dict[str, Any]) -> None:
    """Write weights, tokenizer and record, whole or not at all.

    An encoder that was there before is replaced.

    Raises:
        DataError: the folder holds something else.
        ModelError: it cannot be written.
    """
    check_free(folder)
    with writing_directory(folder) as fresh, quiet():
        adapted.network.save_pretrained(fresh)
        adapted.tokenizer.save_pretrained(fresh)
        text = json.dumps(record, indent=2, ensure_ascii=False)
        (fresh / RECORD).write_text(f"{text}\n", encoding="utf-8")


def check_free(folder: Path) -> None:
    """Raise DataError where a folder holds something that is no encoder of kgrec."""
    if not folder.exists() or (folder / RECORD).is_file():
        return
    if not folder.is_dir() or any(folder.iterdir()):
        raise DataError(
            "an encoder would replace what is there already",
            value=str(folder),
            remedy="Name a folder that does not exist yet: --out.",
        )
