"""What an evaluation reads, from files or from the graph, and what of it is held out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from kgrec.config import FrozenModel, load_settings
from kgrec.data.atomic import SplitDataset, merged, read_folder, read_parts, read_whole
from kgrec.data.dataset import Column, Dataset, IntArray, Interactions, Links
from kgrec.data.protocols import ProtocolConfig, hold_out, settings_of
from kgrec.data.selection import Selection
from kgrec.errors import ConfigError
from kgrec.export.hetero_files import is_export, load_hetero
from kgrec.graph import open_graph
from kgrec.graph.store import GraphStore
from kgrec.graph.training_data import read_dataset
from kgrec.progress import SILENT, Progress


class DataConfig(FrozenModel):
    """The data of an evaluation and their protocol.

    Attributes:
        folder: atomic files; or else `train`, `valid` and `test` name TSV files.
        graph: which part of the graph is read, in place of files.
        protocol: how interactions are held out; by default the split of the files, and `warm`
            where the graph is read, which holds no split.
        canonical: whether facts and entities of files are put in order as well, as those of the
            graph are; without it they stay in the order of the files, by which the knowledge agent
            draws its first numbers.
    """

    folder: Path | None = None
    train: Path | None = None
    valid: Path | None = None
    test: Path | None = None
    graph: Selection | None = None
    protocol: ProtocolConfig = ProtocolConfig()
    canonical: bool = False

    def resolved(self) -> ProtocolConfig:
        """Return the protocol that is followed; raises ConfigError where it cannot be."""
        protocol = self.protocol
        if self.graph is not None and "name" not in protocol.model_fields_set:
            protocol = protocol.model_copy(update={"name": "warm"})
        unread = self.protocol.model_fields_set - settings_of(protocol).keys()
        if unread:
            raise ConfigError(
                f"the protocol {protocol.name} does not read {' and '.join(sorted(unread))}",
                remedy="Leave it out, or name another --protocol.",
            )
        return protocol


def read_split(
    config: DataConfig,
    *,
    seed: int,
    store: GraphStore | None = None,
    progress: Progress = SILENT,
) -> SplitDataset:
    """Read files or the graph and apply the protocol.

    A split made here draws from users, items and interactions in a canonical order, so that the
    same data are held out in the same way whether they come from the graph or from files, whatever
    the order of their lines.

    Args:
        seed: of what is drawn.
        store: the graph, where it is open; that of the environment is opened otherwise.

    Raises:
        ConfigError: the options contradict each other.
        DataError: a file is missing, unreadable or invalid, or the data lack what the protocol
            needs.
        GraphError: the kinds below it, where the graph does not answer.
    """
    protocol = config.resolved()
    data = _read(config, protocol.name == "given", store, progress)
    if protocol.name == "given":
        return data
    canonical = config.canonical or config.graph is not None
    return hold_out(_in_order(data, canonical=canonical), protocol, seed=seed)


def _read(
    config: DataConfig, given: bool, store: GraphStore | None, progress: Progress
) -> SplitDataset:
    files = (config.train, config.valid, config.test)
    if config.graph is not None and (config.folder is not None or any(files)):
        raise ConfigError("give files or --graph, not both", value=str(config.folder or files))
    if config.graph is not None:
        if given:
            raise _no_split("the graph")
        with _opened(store) as opened:
            dataset = read_dataset(opened, config.graph, progress=progress)
        return _of_graph(dataset, config.graph)
    if config.folder is not None:
        if any(files):
            raise ConfigError(
                "give a folder, or --train, --valid and --test, not both",
                value=str(config.folder),
            )
        if is_export(config.folder):
            return _exported(config.folder, given)
        return read_folder(config.folder) if given else read_whole(config.folder)
    train, valid, test = files
    if train is None or valid is None or test is None:
        raise ConfigError(
            "there is nothing to evaluate on",
            remedy="Give a folder of atomic files, all of --train, --valid and --test, or --graph.",
        )
    data = read_parts(train, valid, test)
    return data if given else merged(data)


@contextmanager
def _opened(store: GraphStore | None) -> Iterator[GraphStore]:
    if store is not None:
        yield store
        return
    with open_graph(load_settings()) as opened:
        yield opened


def _of_graph(dataset: Dataset, selection: Selection) -> SplitDataset:
    """Return the graph as a data set to be split.

    A kind that all interactions share is of as little use as none, which is what files have; and
    files hold nothing that is rejected.
    """
    known = dataset.interactions
    dataset = replace(dataset, rejected=Interactions.empty())
    if len(np.unique(known.kind)) == 1:
        dataset = dataset.with_interactions(replace(known, kind=np.zeros_like(known.kind)))
    name = "graph" if selection.domain is None else f"graph, {Path(selection.domain).stem}"
    none = Interactions.empty()
    columns = {column.name: _texts(column) for column in dataset.user_columns}
    return SplitDataset(name, dataset, none, none, user_columns=columns)


def _texts(column: Column) -> tuple[str, ...]:
    if column.categories is not None:
        return tuple("" if row < 0 else column.categories[row] for row in column.values)
    return tuple("" if np.isnan(value) else f"{value:.9g}" for value in column.values)


def _exported(folder: Path, given: bool) -> SplitDataset:
    """Read what `kgrec export --format pyg` wrote, with all interactions in `train`."""
    if given:
        raise _no_split(str(folder))
    from kgrec.export.pyg import from_hetero

    none = Interactions.empty()
    return SplitDataset(folder.name, from_hetero(*load_hetero(folder)), none, none)


def _no_split(what: str) -> ConfigError:
    return ConfigError(
        "an export and the graph hold no split",
        value=what,
        remedy="Choose how to split it: --protocol warm, temporal, cold-item or cold-user.",
    )


def _in_order(data: SplitDataset, *, canonical: bool) -> SplitDataset:
    given, ordered = data.train, data.train.in_canonical_order()
    rows = given.users.rows(ordered.users.ids)
    columns = {name: tuple(texts[row] for row in rows) for name, texts in data.user_columns.items()}
    if not canonical:
        place = {
            "user": ordered.users.rows(given.users.ids),
            "item": ordered.items.rows(given.items.ids),
            "entity": np.arange(len(given.entities), dtype=np.int64),
        }
        ordered = replace(
            ordered,
            entities=given.entities,
            entity_names=given.entity_names,
            facts=replace(given.facts, item=place["item"][given.facts.item]),
            links=_moved(given.links, place),
        )
    return replace(data, train=ordered, user_columns=columns)


def _moved(links: Links, place: Mapping[str, IntArray]) -> Links:
    """Return links in the same order by the new rows of each kind of node."""
    head, tail = links.head.copy(), links.tail.copy()
    for number, kind in enumerate(links.types):
        rows = links.relation == number
        head[rows], tail[rows] = place[kind.head][head[rows]], place[kind.tail][tail[rows]]
    return replace(links, head=head, tail=tail)
