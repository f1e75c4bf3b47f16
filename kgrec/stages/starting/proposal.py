"""From files to a pipeline that runs: the domain, the sources, and why each was decided so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kgrec.config import parse_config
from kgrec.data.origins.address import shown
from kgrec.errors import DataError, KGRecError
from kgrec.progress import SILENT, Progress
from kgrec.schema import Domain, load_schema
from kgrec.schema.pieces import completed
from kgrec.stages.starting.deciding import Guess, GuessedSource, LeftOut, best_domain
from kgrec.stages.starting.drafting import Draft, draft_domain, item_word_of
from kgrec.stages.starting.joining import sources_of
from kgrec.stages.starting.looking import LookedAt, look_at
from kgrec.stages.starting.places import Place

Confirm = Callable[[str, str, str], str]
"""Called with what was guessed, the guess and its reason; returns what is used."""


def as_guessed(what: str, value: str, why: str) -> str:
    """Take every guess as it is."""
    return value


@dataclass(frozen=True)
class Proposal:
    """What was decided.

    Attributes:
        name: of the pipeline.
        draft: a domain file to write beside it; None where a shipped domain fits.
        left_out: files that are not read, each with the reason.
    """

    name: str
    domain: Domain
    draft: Draft | None
    sources: tuple[GuessedSource, ...]
    left_out: tuple[LeftOut, ...]
    guesses: tuple[Guess, ...]


def propose(
    places: Sequence[Place],
    domain: str | None = None,
    *,
    confirm: Confirm = as_guessed,
    progress: Progress = SILENT,
) -> Proposal:
    """Look at files and decide what they hold.

    Args:
        places: files, as texts the addresses of some, and tables of databases.
        domain: name of a domain or path of a domain file; guessed when absent.
        confirm: what confirms or changes the domain, and the word for the items.

    Raises:
        DataError: none of the files holds items or interactions.
        SchemaError: there is no such domain.
    """
    files: list[LookedAt] = []
    unread: list[LeftOut] = []
    given = None if domain is None else load_schema().domain(domain)
    for place in places:
        try:
            files.append(look_at(place, progress, given))
        except KGRecError as error:
            remedy = f" {error.remedy}" if error.remedy else ""
            name = shown(place) if isinstance(place, str) else place.name
            unread.append(LeftOut(name, f"{error.what}.{remedy}"))
    if not files:
        raise _nothing(unread)
    known, draft, guesses = _domain(files, domain, confirm)
    sources, left = sources_of(files, known)
    left = [*unread, *left]
    if not any(one.kind in ("catalog", "interactions") for one in sources):
        raise _nothing(left)
    return Proposal(known.name, known, draft, tuple(sources), tuple(left), tuple(guesses))


def _nothing(left: Sequence[LeftOut]) -> DataError:
    reasons = "\n       ".join(f"{one.path}: {one.why}" for one in left)
    return DataError(
        f"no file holds items or interactions:\n       {reasons}",
        remedy="Name the domain with --domain, or the columns in a pipeline file: "
        "`kgrec init --domain NAME` writes one to fill in.",
    )


def _domain(
    files: Sequence[LookedAt], given: str | None, confirm: Confirm
) -> tuple[Domain, Draft | None, list[Guess]]:
    schema = load_schema()
    if given is not None:
        return schema.domain(given), None, [Guess("domain", given, "given")]
    found = best_domain(files)
    proposed = "new" if found is None else found[1].value
    why = "no shipped domain knows these columns" if found is None else found[1].why
    chosen = confirm("domain", proposed, why)
    if chosen != "new":
        reason = why if chosen == proposed else "given"
        return schema.domain(chosen), None, [Guess("domain", chosen, reason)]
    word = confirm("item word", item_word_of(files), "from the names of columns and files")
    catalogs = [file for file in files if not _names_users(file)]
    draft = draft_domain(word, catalogs)
    values = completed(draft.values, Path(f"{draft.values['name']}.toml"))
    domain = parse_config(Domain, values, origin="the new domain")
    return domain, draft, [Guess("domain", domain.name, why), Guess("item word", word, "guessed")]


def _names_users(file: LookedAt) -> bool:
    names = {column.lower().replace("_", "").replace("-", "") for column in file.columns}
    return bool(names & {"userid", "user", "customerid", "reviewerid", "visitorid", "uid"})
