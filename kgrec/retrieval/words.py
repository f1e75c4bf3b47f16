"""Words over facts that were read from the graph. Templates only: no name is invented."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kgrec.retrieval.history import Event
from kgrec.retrieval.paths import KnowledgePath, PathFact

_DID = {
    "rating": "rated",
    "view": "viewed",
    "click": "looked at",
    "play": "played",
    "purchase": "bought",
    "like": "liked",
}
_BOTH = (("is or was ", "are or were "), ("was ", "were "), ("is ", "are "), ("has ", "have "))


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


def shared_words(path: KnowledgePath) -> str:
    """Say what two items share: `both were directed by Joel Coen`."""
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


def path_words(path: KnowledgePath, event: Event) -> str:
    """Say a path in one sentence: `Because you rated Fargo 5: both were directed by …`."""
    of = "" if event.kind else "of "
    return f"Because {of}{did(event)}: {shared_words(path)}."


def short_reasons(
    shares: Sequence[tuple[Event, float]],
    paths: Mapping[str, KnowledgePath],
    *,
    number: int = 2,
) -> tuple[str, ...]:
    """Give a recommendation its short reasons: the history items that speak most for it.

    First stands the one whose tie to the item is rarest and weighs most.

    Args:
        shares: history items with their contributions, the largest first.
        paths: the best path of each history item, where there is one, by its id.
        number: how many reasons.
    """
    speaking = [(event, share) for event, share in shares if share > 0]
    tied = [(paths[e.item_id].weight * share, e) for e, share in speaking if e.item_id in paths]
    first = [max(tied, key=lambda pair: pair[0])[1]] if tied else []
    rest = [event for event, _ in speaking if event not in first]
    words = []
    for event in [*first, *rest][:number]:
        path = paths.get(event.item_id)
        words.append(did(event) if path is None else f"{did(event)}: {shared_words(path)}")
    return tuple(words)
