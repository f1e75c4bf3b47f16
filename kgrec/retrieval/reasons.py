"""The reasons of a recommendation: what carries the score, in words over facts of the graph.

Templates only: no name is invented.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np

from kgrec.data.dataset import IntArray
from kgrec.model.scorer import Contributions
from kgrec.retrieval.history import Event
from kgrec.retrieval.knowledge_path import KnowledgePath, PathFact, PathStep
from kgrec.retrieval.records import Reason, signed_share

_LEAST_OF_ITEM = 0.05
"""A fact is a cause where this share of its item's contribution came through it."""
_LEAST_OF_SCORE = 0.2
"""Text and popularity are named where they account for this share of the score."""
_LEAST_OF_REJECTED = 0.01
"""A rejected item is named where it takes this share from the score."""

_DID = {
    "rating": "rated",
    "view": "viewed",
    "click": "looked at",
    "play": "played",
    "purchase": "bought",
    "cart": "put into the cart",
    "like": "liked",
    "dislike": "disliked",
    "skip": "skipped",
}
_BOTH = (("is or was ", "are or were "), ("was ", "were "), ("is ", "are "), ("has ", "have "))


class Tie(Protocol):
    """A path that may become a reason; `kgrec.retrieval.paths.FoundPath` is one."""

    @property
    def weight(self) -> float:
        """As of `KnowledgePath`."""

    def record(self) -> KnowledgePath:
        """Return the path, its nodes named."""


def did(event: Event) -> str:
    """Say what was done with a history item: `you rated Fargo 5`; without a deed, its title."""
    if not event.kind:
        return event.title
    verb = _DID.get(event.kind, "chose")
    value = f" {event.value:g}" if event.kind == "rating" else ""
    return f"you {verb} {event.title}{value}"


def fact_words(fact: PathFact) -> str:
    """Say one fact: `Fargo was directed by Joel Coen`."""
    return fact.meaning.format(item=fact.title, entity=fact.entity)


def path_sentence(path: KnowledgePath) -> str:
    """Put a path of any length in words, one clause a relation: `A is a sequel of B`."""
    names = [("item", path.history.title), *((s.node.kind, s.node.name) for s in path.steps)]
    clauses = [
        step_words(step, *ends) for step, ends in zip(path.steps, pairwise(names), strict=True)
    ]
    return ", and ".join(filter(None, [", ".join(clauses[:-1]), clauses[-1]]))


def step_words(step: PathStep, start: tuple[str, str], end: tuple[str, str]) -> str:
    """Put one relation in words, given kind and name of the nodes that it is walked between."""
    head, tail = (start, end) if step.forward else (end, start)
    names = {"head": head[1], "tail": tail[1]}
    names |= {kind: name for kind, name in (head, tail) if kind in ("item", "entity")}
    return step.meaning.format(**names)


def shared_words(path: KnowledgePath) -> str:
    """Say what ties two items, such as what they share: `both were directed by Joel Coen`."""
    if not path.meeting:
        return path_sentence(path)
    if path.item.relation != path.history.relation:
        return f"{fact_words(path.history)}, and {fact_words(path.item)}"
    sentence = path.item.meaning
    subject, _, rest = sentence.partition("{item} ")
    if not subject:
        for one, two in _BOTH:
            if rest.startswith(one):
                return f"both {two}{rest.removeprefix(one)}".format(entity=path.item.entity)
        return f"each {rest}".format(entity=path.item.entity)
    text = sentence.replace("{item}", "both").format(entity=path.item.entity)
    return text if text.startswith(path.item.entity) else text[0].lower() + text[1:]


def path_words(path: KnowledgePath, event: Event, *, because: bool = True) -> str:
    """Say a path in one sentence: `Because you rated Fargo 5: both were directed by …`.

    Args:
        because: False where the fact did not carry the score: `Also true of Fargo: both …`.
    """
    if not because:
        return f"Also true of {event.title}, without a part in the score: {shared_words(path)}."
    of = "" if event.kind else "of "
    return f"Because {of}{did(event)}: {shared_words(path)}."


def reasons_of(
    events: Sequence[Event],
    parts: Contributions,
    number: int,
    paths: Mapping[str, Tie],
    *,
    most: int = 2,
    rejected: int = 0,
    places: Mapping[str, int] | None = None,
) -> tuple[Reason, ...]:
    """Give a recommendation its short reasons, each with the share of the score it accounts for.

    First stands the history item whose tie to the item is rarest and weighs most; then the item
    that contributes most; then text and popularity, where they account for much.

    Args:
        events: the history, [H].
        parts: contributions of the history to some items.
        number: which of those items.
        paths: the best path of each history item, where there is one, by its id.
        most: so many history items are named.
        rejected: so many of the events, the last ones, are rejected items; the one that takes most
            from the score is named where that is much.
        places: positions of the events by the ids of their items, where they are known.
    """
    item: list[float] = parts.by_event[:, number].tolist()  # [H]
    prior, total = float(parts.prior_sums[number]), float(parts.absolute_sums[number])
    found: list[Reason] = []
    place = places_of(events) if places is None else places
    tied = {place[event]: path for event, path in paths.items()}
    through_facts: dict[int, float] = {n: float(parts.from_facts[n, number]) for n in tied}
    for n in _named(item, parts.strongest[number], through_facts, tied, most):
        event, path = events[n], tied.get(n)
        if path is not None:
            fact = fact_reason(event, path.record(), item[n], through_facts[n], total)
            if fact.because:
                found.append(fact)
                continue
        plain = Reason(
            kind="history",
            contribution=item[n],
            share=signed_share(item[n], total),
            words=did(event),
            item_id=event.item_id,
        )
        found += [plain] if path is None else [plain, fact]
    through = float(parts.text_sums[number])
    if (share := signed_share(through, total)) >= _LEAST_OF_SCORE:
        texts = parts.from_texts[:, number]
        best = [events[n].title for n in np.argsort(-texts, kind="stable")[:2] if texts[n] > 0]
        words = f"its text is like that of {' and '.join(best)}"
        found.append(Reason(kind="text", contribution=through, share=share, words=words))
    if (share := signed_share(prior, total)) >= _LEAST_OF_SCORE:
        words = "popular, whatever the history"
        found.append(Reason(kind="popularity", contribution=prior, share=share, words=words))
    least = min(range(len(events) - rejected, len(events)), key=item.__getitem__, default=-1)
    share = signed_share(item[least], total) if rejected else 0.0
    if share <= -_LEAST_OF_REJECTED:
        found.append(
            Reason(
                kind="history",
                contribution=item[least],
                share=share,
                words=f"less so, as {did(events[least])}",
                item_id=events[least].item_id,
            )
        )
    return tuple(found)


def places_of(events: Sequence[Event]) -> dict[str, int]:
    """Return the positions of some events by the ids of their items."""
    return {event.item_id: n for n, event in enumerate(events)}


def fact_reason(
    event: Event, path: KnowledgePath, item: float, through: float, total: float
) -> Reason:
    """Return the reason that a path makes, and whether it is a cause.

    Args:
        item: what the history item contributes.
        through: what of it comes through parts of the model that read facts. They are known to
            read facts that meet in an entity, so a path over links is never called a cause.
        total: as of `Contributions.absolute_sums`.
    """
    because = path.meeting and through > 0 and through >= _LEAST_OF_ITEM * abs(item)
    words = f"{did(event)}: {shared_words(path)}" if because else f"also {shared_words(path)}"
    return Reason(
        kind="fact",
        contribution=through,
        share=signed_share(through, total),
        words=words,
        because=because,
        item_id=event.item_id,
        path=path,
    )


def _named(
    item: Sequence[float],
    strongest: IntArray,
    through: Mapping[int, float],
    tied: Mapping[int, Tie],
    most: int,
) -> list[int]:
    """Return the positions of the history items that are named, the best tie first.

    Args:
        item: what the history items contribute, [H].
        strongest: their positions, those that contribute most first, [H].
        through: what those that are tied contribute through facts.
        tied: the paths of history items, by their positions.
    """
    ties = sorted((n for n in tied if item[n] > 0), key=lambda n: (-item[n], n))
    carried = [n for n in ties if through[n] > 0] or ties
    first = max(carried, key=lambda n: tied[n].weight * item[n], default=None)
    best = strongest[: most + 1].tolist()
    rest = [n for n in best if item[n] > 0 and n != first]
    return [*([] if first is None else [first]), *rest][:most]
