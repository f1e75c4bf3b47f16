"""What is known of a stored model: one record for every command, answer and graph node.

A model's id is the hash of what is in it: its format, settings, vocabulary and arrays. Metrics,
times and versions are not part of it; they stand beside the content in `record.json`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, computed_field

from kgrec.config import FrozenModel
from kgrec.errors import ModelError
from kgrec.model.checkpoint import read_json

FORMAT = 5
PLAIN_FORMAT = 4
"""Still read: it lacks what items that come later are folded in by."""
PACKED_FORMAT = 6
"""As the newest, with arrays of 16 or 8 bits, which versions before would read as if whole."""
OLD_FORMAT = 3
"""Still read: its folders are named by the data and settings that the model was trained on."""
CONTENT_FILE, RECORD_FILE, OLD_METRICS_FILE = "config.json", "record.json", "metrics.json"
REPLACE = (
    "`kgrec models rollback` brings back the model before; or copy the folder again from where it"
    " was trained, or train again."
)
"""What to do about a damaged model."""
_DIGITS = 12
_ID = re.compile(rf"(?s).+-[0-9a-f]{{{_DIGITS}}}")


class TrainingKey(FrozenModel):
    """What a training depends on, as hashes; two of one key give the same model.

    Attributes:
        data: of interactions, facts, texts and vocabularies.
        settings: of the team's and the selection's settings, by name.
        encoder: what texts are encoded with; empty where no agent reads any.
        code: of the source that learns.
        versions: of kgrec and of the libraries that compute.
    """

    data: str
    settings: dict[str, str]
    encoder: str
    code: str
    versions: dict[str, str]

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits over all of it."""
        return hashlib.sha256(canonical(self.model_dump()).encode()).hexdigest()[:16]

    def changes(self, before: TrainingKey) -> list[str]:
        """Return what differs from an older key, in words; empty where nothing does."""
        changed = [
            f"the {name} changed"
            for name in ("data", "encoder")
            if getattr(self, name) != getattr(before, name)
        ]
        names = sorted(_differing(self.settings, before.settings))
        if names:
            changed.append(f"settings changed: {', '.join(names)}")
        if self.code != before.code:
            changed.append("the code that learns changed")
        for name in sorted(_differing(self.versions, before.versions)):
            old, new = before.versions.get(name, "absent"), self.versions.get(name, "absent")
            changed.append(f"{name} {old} → {new}")
        return changed


class ModelRecord(FrozenModel):
    """What is known of a stored model.

    Attributes:
        model_id: hash of the content, after the name of the domain; of a model of the older
            format the name of its folder.
        format: of the files.
        created_at: when the training that gave it ended.
        kgrec: version that wrote it.
        items: how many the model knows.
        vocabulary: hash of their ids in row order.
        shares: fixed share of each agent, summing to 1.
        settings: resolved settings, with those that validation chose.
        metrics: what was measured while fitting.
        key: what the training depended on; None where that is unknown.
        size: bytes on disk.
    """

    model_id: str
    format: int
    created_at: datetime
    kgrec: str
    items: int
    vocabulary: str
    shares: dict[str, float]
    settings: dict[str, Any] = Field(default_factory=dict)
    metrics: dict[str, Any] = Field(default_factory=dict)
    key: TrainingKey | None = None
    size: int = 0

    @computed_field  # type: ignore[prop-decorator]
    @property
    def failed(self) -> dict[str, str]:
        """Agents of the settings that could not be fitted, with the reason; kept in the metrics."""
        return dict(self.metrics.get("failed") or {})

    @property
    def domain(self) -> str | None:
        """The domain whose items it learned; None where it learned all."""
        found: str | None = (self.settings.get("selection") or {}).get("domain")
        return found


def canonical(value: Any) -> str:
    """Return plain values as JSON that is the same wherever the values are."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def content_id(content: Mapping[str, Any]) -> str:
    """Return the id of a model by what `config.json` holds, digests of the arrays included."""
    selection = content["config"].get("selection") or {}
    word = Path(selection.get("domain") or "all").stem
    return f"{word}-{hashlib.sha256(canonical(content).encode()).hexdigest()[:_DIGITS]}"


def is_id(name: str) -> bool:
    """Tell whether a folder's name has the form of an id; others are names of a person's own."""
    return _ID.fullmatch(name) is not None


def array_digests(arrays: Mapping[str, NDArray[Any]]) -> dict[str, dict[str, Any]]:
    """Return type, shape and SHA-256 of each array."""
    return {name: _digest(array) for name, array in sorted(arrays.items())}


def _form(array: NDArray[Any]) -> dict[str, Any]:
    return {"dtype": str(array.dtype), "shape": list(array.shape)}


def _digest(array: NDArray[Any]) -> dict[str, Any]:
    content = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return _form(array) | {"sha256": hashlib.sha256(content.data).hexdigest()}


def read_record(folder: Path) -> ModelRecord:
    """Read what is known of the model in a folder, without its arrays.

    Raises:
        ModelError: there is none, it is of a format that is no longer read, or a file is broken.
    """
    content = read_json(folder / CONTENT_FILE)
    found = check_format(content, folder)
    try:
        shared = {
            "format": found,
            "items": content["items"]["count"],
            "vocabulary": content["items"]["hash"],
            "shares": content["weights" if found == OLD_FORMAT else "shares"],
            "settings": content["config"],
            "size": sum(path.stat().st_size for path in folder.iterdir() if path.is_file()),
        }
        if found == OLD_FORMAT:
            metrics = read_json(folder / OLD_METRICS_FILE)
            at = datetime.fromtimestamp((folder / CONTENT_FILE).stat().st_mtime, UTC)
            named = {"model_id": folder.name, "created_at": at, "kgrec": content["kgrec"]}
            return ModelRecord.model_validate(shared | named | {"metrics": metrics})
        return ModelRecord.model_validate(shared | read_json(folder / RECORD_FILE))
    except (KeyError, TypeError, AttributeError, ValidationError, OSError) as error:
        raise broken(folder, error) from None


def check_format(content: Mapping[str, Any], folder: Path) -> int:
    """Return the format of a model; raises ModelError for one that is not read."""
    found = content.get("format")
    if found not in (FORMAT, PACKED_FORMAT, PLAIN_FORMAT, OLD_FORMAT):
        raise ModelError(
            f"the model in {folder} was written in another format",
            value=found,
            remedy="Train it again with this version.",
        )
    return int(found)


def broken(folder: Path, error: Exception) -> ModelError:
    """Return the error of a model whose files are there and do not make one."""
    reason = " ".join(str(error).split())
    return ModelError(f"the model is not whole ({reason})", value=str(folder), remedy=REPLACE)


def _differing(one: Mapping[str, str], other: Mapping[str, str]) -> set[str]:
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}
