"""What becomes of the columns of a table: roles, properties, relations, and remarks."""

from __future__ import annotations

from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.data.fact_columns import RelationColumn
from kgrec.data.sources import Kind


class ColumnRole(FrozenModel):
    """One column and what it becomes.

    Attributes:
        becomes: the role (`item_id`) or the property (`year`).
        type: type of a property; None for a role.
        guessed: whether it was not given.
        form: of times, as of `parse_moment`; of numbers, what stands before the decimals.
        whole: whether ids that became floats are whole numbers again.
        reason: why it was guessed.
    """

    column: str
    becomes: str
    type: str | None = None
    guessed: bool = False
    form: str | None = None
    whole: bool = False
    reason: str = ""


class ColumnGuess(FrozenModel):
    """What becomes of one column, in words.

    Attributes:
        how: `given`, `guessed`, or empty for a column that is not used.
        reason: why it was guessed, or what an unused column looks like.
    """

    column: str
    becomes: str
    how: str
    reason: str = ""


class ColumnPlan(FrozenModel):
    """What becomes of each column of a table.

    Attributes:
        roles: by role.
        interaction: kind of the interactions where no column names it.
        unused: columns that are not read.
        remarks: by column, or by an empty string for the table: what a person should know.
    """

    kind: Kind
    roles: dict[str, ColumnRole]
    properties: tuple[ColumnRole, ...] = ()
    relations: tuple[RelationColumn, ...] = ()
    interaction: str = "view"
    unused: tuple[str, ...] = ()
    remarks: dict[str, str] = Field(default_factory=dict)

    def column(self, role: str) -> str | None:
        """Return the column of a role, None where the table has none."""
        found = self.roles.get(role)
        return found.column if found else None

    @property
    def guessed(self) -> frozenset[str]:
        """The properties whose columns were guessed."""
        roles = [*self.roles.values(), *self.properties]
        return frozenset(role.becomes for role in roles if role.guessed)

    @property
    def decisions(self) -> list[str]:
        """What decides what is read, without words for people."""
        roles = [*self.roles.values(), *self.properties, *self.relations]
        return [one.model_dump_json(exclude={"reason", "guessed"}) for one in roles]

    def guesses(self) -> list[ColumnGuess]:
        """Return what becomes of each column, and why."""
        rows: list[tuple[str, str, str, str]] = [
            (r.column, r.becomes, _how(r.guessed), r.reason) for r in self.roles.values()
        ]
        rows += [
            (p.column, f"{p.becomes} ({p.type})", _how(p.guessed), p.reason)
            for p in self.properties
        ]
        rows += [(r.column, r.becomes, _how(r.guessed), r.reason) for r in self.relations]
        rows += [(column, "not used", "", "") for column in self.unused]
        left = dict(self.remarks)
        found = []
        for column, becomes, how, reason in rows:
            both = "; ".join(filter(None, (reason, left.pop(column, ""))))
            found.append(ColumnGuess(column=column, becomes=becomes, how=how, reason=both))
        return found

    def described(self) -> list[tuple[str, str, str]]:
        """Return (column, what it becomes, "given" or "guessed") of each column."""
        return [(one.column, one.becomes, one.how) for one in self.guesses()]


def _how(guessed: bool) -> str:
    return "guessed" if guessed else "given"
