"""The model in service: looked up in the graph, loaded from disk, exchanged when it changes."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kgrec.config import parse_config
from kgrec.data.selection import Selection
from kgrec.errors import ConfigError, ModelError
from kgrec.graph.store import GraphStore
from kgrec.model.histories import Histories
from kgrec.model.storage import load_team
from kgrec.model.team import Team
from kgrec.retrieval.paths import meanings_of

_NAME = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True, eq=False)
class LiveModel:
    """A loaded model and where the graph holds its vectors.

    Attributes:
        slot: the vector property.
        index: name of the vector index, None when no agent of the team has factors.
        selection: which interactions the team learned from.
        meanings: sentence of each relation type.
    """

    model_id: str
    slot: str
    index: str | None
    team: Team
    selection: Selection
    meanings: Mapping[str, str]


class LiveModels:
    """Gives out the live model; safe to share between threads.

    Args:
        store: the graph that says which model is live.
        models: folder of the trained models, `<home>/models`.
    """

    def __init__(self, store: GraphStore, models: Path) -> None:
        self.store = store
        self.models = models
        self._lock = threading.Lock()
        self._loaded: LiveModel | None = None
        self._other: LiveModel | None = None

    def named(self) -> tuple[str, str]:
        """Return the id and the vector property of the live model.

        Raises:
            ModelError: no model is live.
        """
        rows = self.store.read("recommend/live_model")
        if not rows:
            raise ModelError(
                "no model is live in the graph",
                remedy="Train one and publish it: kgrec train, kgrec publish.",
            )
        return str(rows[0]["model_id"]), str(rows[0]["slot"])

    def current(self) -> LiveModel:
        """Return the live model, loading it when it is another than before.

        Raises:
            ModelError: no model is live, or its files are missing or broken.
        """
        model_id, slot = self.named()
        with self._lock:
            loaded = self._loaded
            if loaded is None or (loaded.model_id, loaded.slot) != (model_id, slot):
                try:
                    loaded = self._load(model_id, slot)
                except ConfigError as error:  # what the model holds, which no caller has chosen
                    raise ModelError(
                        "the live model does not fit what is here",
                        value=f"{model_id}: {error}",
                        remedy="Train and publish a model again: kgrec train, kgrec publish.",
                    ) from error
                self._loaded = loaded
            return loaded

    def get(self, model_id: str) -> LiveModel:
        """Return a model by its id, live or not; beside the live one, one other is kept.

        One that is not live has no slot, as the graph may hold other vectors by now.

        Raises:
            ModelError: its files are missing or broken.
        """
        with self._lock:
            for known in (self._loaded, self._other):
                if known is not None and known.model_id == model_id:
                    return known
            if not _NAME.fullmatch(model_id):
                raise ModelError("this is no id of a model", value=model_id)
            self._other = replace(self._load(model_id, ""), index=None)
            return self._other

    def _load(self, model_id: str, slot: str) -> LiveModel:
        folder = self.models / model_id
        if not folder.is_dir():
            raise ModelError(
                "the live model is not on this machine",
                value=str(folder),
                remedy="Copy its folder here, or train and publish a model from here.",
            )
        team = load_team(folder)
        given = team.config.get("selection") or {}
        selection = parse_config(Selection, dict(given), origin=f"selection of model {model_id!r}")
        # What is reckoned or imported once is done before the first user: a history is read.
        first = np.arange(min(1, len(team.items)), dtype=np.int64)
        team.scorer(Histories.one(first, len(team.items)))
        has_vectors = team.item_vectors().shape[1] > 1
        index = self.store.dialect.vector_index(slot) if has_vectors else None
        meanings = meanings_of(selection.domain)
        return LiveModel(model_id, slot, index, team, selection, meanings)
