"""The model in service: looked up in the graph, loaded from disk, exchanged when it changes.

Requests never wait for a load while there is a model that can answer them: the request that finds
another model live loads it, the others go on with the one before until it is there.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kgrec.config import parse_config
from kgrec.data.selection import Selection
from kgrec.errors import ConfigError, ModelError
from kgrec.graph.store import GraphStore
from kgrec.model.checkpoint import MappedFile
from kgrec.model.folding.extension import folded_team
from kgrec.model.folding.files import load_folded, newest_folded
from kgrec.model.folding.overlay import FoldedItems
from kgrec.model.histories import Histories
from kgrec.model.record import ModelRecord, read_record
from kgrec.model.storage import load_team, map_weights
from kgrec.model.team import Team
from kgrec.retrieval.request_id import RequestId
from kgrec.schema import meanings_of

logger = logging.getLogger("kgrec.retrieval")

_REST_S = 5.0
"""Seconds in which folded items that could not be read are not tried again."""


@dataclass(frozen=True, eq=False)
class LiveModel:
    """A loaded model and where the graph holds its vectors.

    Attributes:
        model_id: as the graph names it.
        slot: the vector property; None of a model that is not live.
        index: name of the vector index, None when no agent of the team has factors, or no slot.
        record: what is known of the model.
        selection: which interactions the team learned from.
        meanings: sentence of each relation type.
        weights: the file that the arrays of the team are mapped from, shared by all processes;
            None where they are in memory.
        folded: name of the items that were folded into the team after its training; empty for none.
        trained: the team without them; None where there are none.
    """

    model_id: str
    slot: str | None
    index: str | None
    team: Team
    record: ModelRecord
    selection: Selection
    meanings: Mapping[str, str]
    weights: MappedFile | None = None
    folded: str = ""
    trained: Team | None = None

    @property
    def version(self) -> str:
        """Model and folded items: what the rows of the items depend on."""
        return f"{self.model_id}/{self.folded}"

    def damaged(self) -> bool:
        """Tell whether the weights have been written since they were checked."""
        return self.weights is not None and self.weights.changed()


class LiveModels:
    """Gives out the live model, and others by their id; safe to share between threads.

    At most two models are kept: the one that is live, and one more.

    Args:
        store: the graph that holds the live model.
        models: folder of the trained models, `<home>/models`.
        behind: whether items that were folded in are loaded behind the requests, which go on
            without them for a moment.
    """

    def __init__(self, store: GraphStore, models: Path, *, behind: bool = False) -> None:
        self.store = store
        self.models = models
        self.behind = behind
        self._folding = False
        self._unread: tuple[str, float] = ("", 0.0)
        self._lock = threading.Lock()  # of the fields below; never held during a load
        self._current: LiveModel | None = None
        self._other: LiveModel | None = None
        self._pending: set[tuple[str, str | None]] = set()
        self._one_load = threading.Lock()  # so that there are no more than two models in memory

    def named(self) -> tuple[str, str]:
        """Return the id and the vector property of the live model.

        Raises:
            ModelError: no model is live.
        """
        row = self._row()
        return str(row["model_id"]), str(row["slot"])

    def _row(self) -> dict[str, Any]:
        rows = self.store.read("recommend/live_model")
        if not rows:
            raise _nothing_live()
        return rows[0]

    def latest(self) -> LiveModel | None:
        """Return the model that is in memory, without reading the graph; None where none is."""
        with self._lock:
            return self._current

    def current(self) -> LiveModel:
        """Return the live model, or the one before it while another thread loads that.

        Raises:
            ModelError: no model is live, or its files are missing or broken.
        """
        row = self._row()
        return self.serve(row["model_id"], row["slot"], row["folded"])

    def serve(self, model_id: str | None, slot: str | None, folded: str | None = None) -> LiveModel:
        """Return the model that is live by the graph, with the items that were folded in."""
        if model_id is None or slot is None:
            raise _nothing_live()
        live = self._served(model_id, slot)
        if live.folded == (folded or "") or live.model_id != model_id:
            return live
        return self._refolded(live, folded or "")

    def _refolded(self, live: LiveModel, name: str) -> LiveModel:
        """Return a model with other folded items; the same while they are loaded behind it."""
        unread, since = self._unread
        if name == unread and time.monotonic() - since < _REST_S:
            return live
        if not self.behind:
            return self._fold(live, name)
        with self._lock:
            begun, self._folding = self._folding, True
        if not begun:
            threading.Thread(target=self._fold, args=(live, name), daemon=True).start()
        return live

    def _fold(self, live: LiveModel, name: str) -> LiveModel:
        trained = live.trained or live.team
        try:
            folded = load_folded(self.models / live.model_id, name) if name else FoldedItems()
            team = folded_team(trained, folded)
            wide = replace(live, team=team, folded=name, trained=trained)
            with self._lock:
                if self._current is not None and self._current.model_id == live.model_id:
                    wide = replace(wide, slot=self._current.slot, index=self._current.index)
                    self._current = wide
            return wide
        except ModelError as error:  # the model answers without them
            logger.warning("items that came after the training are left out: %s", error)
            self._unread = (name, time.monotonic())
            return live
        finally:
            with self._lock:
                self._folding = False

    def _served(self, model_id: str, slot: str) -> LiveModel:
        with self._lock:
            current = self._current
            if current is not None and current.damaged():
                current = self._current = None  # it is read, and checked, again
            if current is not None and (current.model_id, current.slot) == (model_id, slot):
                return current
            if current is not None and (model_id, slot) in self._pending:
                return current
            self._pending.add((model_id, slot))
        try:
            return self._put_into_service(model_id, slot)
        finally:
            with self._lock:
                self._pending.discard((model_id, slot))

    def keep(self, live: LiveModel) -> None:
        """Begin with a model that has been loaded before."""
        with self._lock:
            self._current = live

    def of(self, token: RequestId | None, live: LiveModel) -> LiveModel:
        """Return the model that made the page of a token; the live one for a first page."""
        same = token is None or token.model_id == live.model_id
        return live if same or token is None else self.get(token.model_id)

    def get(self, model_id: str) -> LiveModel:
        """Return a model that is live or lies in the folder of models; see `current`.

        Raises:
            ModelError: it is not on this machine, or its files are broken.
        """
        with self._one_load:
            known = self._known(model_id)
            if known is not None:
                return known
            with self._lock:
                self._other = None  # let go of it before the next one is there
            loaded = self._load(model_id, None)
            name = newest_folded(self.models / model_id)
            if name:
                loaded = self._fold(loaded, name)
            with self._lock:
                self._other = loaded
            return loaded

    def _put_into_service(self, model_id: str, slot: str) -> LiveModel:
        with self._one_load:
            known = self._known(model_id)
            if known is None:
                with self._lock:
                    self._other = None
                known = self._load(model_id, slot)
            elif known.slot != slot:
                known = replace(known, slot=slot, index=self._index(known.team, slot))
            with self._lock:
                if self._current is not None and self._current.model_id != model_id:
                    self._other = self._current
                elif self._other is not None and self._other.model_id == model_id:
                    self._other = None
                self._current = known
            return known

    def _known(self, model_id: str) -> LiveModel | None:
        """Return the model where it is in memory, unless its folder holds another by now."""
        with self._lock:
            loaded = (self._current, self._other)
        kept = [one for one in loaded if one is not None and not one.damaged()]
        for one in kept:
            if one.model_id == model_id:
                with suppress(ModelError):  # what is mapped stays when its folder is gone
                    if read_record(self.models / model_id).model_id != one.record.model_id:
                        return None
                return one
        return None

    def _load(self, model_id: str, slot: str | None) -> LiveModel:
        folder = self.models / model_id
        named = model_id == folder.name and not model_id.startswith(".")
        if not named or not folder.is_dir():
            raise ModelError(
                f"the {'live ' if slot else ''}model is not on this machine",
                value=model_id,
                remedy=f"Copy its folder into {self.models}, or train and publish a model here.",
            )
        try:
            return self._read(folder, slot)
        except ConfigError as error:  # what the model holds, which no caller has chosen
            raise ModelError(
                "the model does not fit what is here",
                value=f"{model_id}: {error}",
                remedy="Train and publish a model again: kgrec train, kgrec publish.",
            ) from error

    def _read(self, folder: Path, slot: str | None) -> LiveModel:
        weights = map_weights(folder)
        team, record = load_team(folder, weights), read_record(folder)
        given = dict(team.config.get("selection") or {})
        selection = parse_config(Selection, given, origin=f"selection of model {folder.name!r}")
        # What is computed or imported once is done before the first user: a history is scored.
        first = np.arange(min(1, len(team.items)), dtype=np.int64)
        for kernel in team.scorer(Histories.one(first, len(team.items))).kernels:
            kernel.warm_up()
        index, meanings = self._index(team, slot), meanings_of(selection.domain)
        return LiveModel(folder.name, slot, index, team, record, selection, meanings, weights)

    def _index(self, team: Team, slot: str | None) -> str | None:
        if slot is None or team.item_vectors().shape[1] < 2:
            return None
        return self.store.dialect.vector_index(slot)


def _nothing_live() -> ModelError:
    return ModelError(
        "no model is live in the graph",
        remedy="Train one and publish it: kgrec train, kgrec publish.",
    )
