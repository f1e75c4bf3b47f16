"""The grammar of filters, read by recursive descent in one pass over the text.

    expression  = conjunction { "or" conjunction }
    conjunction = operand { "and" operand }
    operand     = "not" operand | "(" expression ")" | condition
    condition   = KEY ( "=" | "!=" | ">=" | "<=" | ">" | "<" ) value { "|" value }

A value needs no quotes: it goes on until `and` or `or` before another operand, or until the
parenthesis of its group, so that `keyword=black and white` is one condition. In quotes it goes on
until the closing one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, NoReturn, cast

from kgrec.errors import ConfigError
from kgrec.retrieval.conditions import Filter, Sign

MAX_CONDITION = 200
"""Characters that a condition may have."""
MAX_CONDITIONS = 40
MAX_DEPTH = 10
"""So deep may parentheses and `not` be nested."""

# Each part can match in one way only, so that no text takes longer than its length.
_SPACE = re.compile(r"\s*+")
_NOT = re.compile(r"not(?=\s|\()", re.IGNORECASE)
_KEY = re.compile(r"(?P<key>[^=<>!]++)(?P<sign>>=|<=|!=|=|>|<)")
_JOIN = re.compile(
    r"\s++(?P<word>and|or)(?=[\s(])\s*+"
    # another operand begins: a key of a few words, none of which is an operator, and a sign
    r"(?=(?:(?:not(?=[\s(])|\()\s*+)*+(?:(?!(?:and|or|not)\b)[\w.\-]++\s*+){1,4}+(?:[=<>]|!=))",
    re.IGNORECASE,
)
_QUOTED = re.compile(r'"(?P<name>[^"]++)"(?=\s*+(?:$|[|)]|(?i:and|or)[\s(]))')

Reader = Callable[[str, Sign, list[str], str], Filter]
"""Makes the condition of a key, a sign, values and the text of all three."""


def parse_expression(text: str, read: Reader) -> Filter:
    """Return the filter of a text.

    Args:
        read: raises ConfigError where a condition makes no sense.

    Raises:
        ConfigError: the text is no expression; the position is named.
    """
    return _Parser(text, read).whole()


class _Parser:
    def __init__(self, text: str, read: Reader) -> None:
        self.text = text
        self.read = read
        self.at = 0
        self.depth = 0
        self.groups = 0  # parentheses that are open
        self.conditions = 0

    def whole(self) -> Filter:
        found = self._joined("or")
        self._skip()
        if self.at < len(self.text):
            self._fail("here an `and`, an `or` or the end should stand")
        return found.model_copy(update={"text": self.text})

    def _joined(self, word: Literal["or", "and"]) -> Filter:
        begun = self.at
        parts = [self._joined("and") if word == "or" else self._operand()]
        while (found := _JOIN.match(self.text, self.at)) and found["word"].lower() == word:
            self.at = found.end()
            parts.append(self._joined("and") if word == "or" else self._operand())
        if len(parts) == 1:
            return parts[0]
        return Filter(text=self.text[begun : self.at], rule=word, parts=tuple(parts))

    def _operand(self) -> Filter:
        self._skip()
        begun = self.at
        if found := _NOT.match(self.text, self.at):
            self._deeper(1)
            self.at = found.end()
            inner = self._operand()
            self._deeper(-1)
            return Filter(text=self.text[begun : self.at], rule="not", parts=(inner,))
        if self.text[self.at : self.at + 1] != "(":
            return self._condition()
        self._deeper(1)
        self.groups += 1
        self.at += 1
        inner = self._joined("or")
        self._skip()
        if self.text[self.at : self.at + 1] != ")":
            self._fail("a parenthesis is not closed", begun)
        self.at += 1
        self.groups -= 1
        self._deeper(-1)
        return inner

    def _condition(self) -> Filter:
        begun = self.at
        found = _KEY.match(self.text, begun)
        key = "" if found is None else found["key"].strip()
        if found is None or not key:
            self._fail("a condition should stand here")
        self.at = found.end()
        self._skip()
        values = self._values(several=found["sign"] in ("=", "!="))
        text = self.text[begun : self.at].strip()
        values = [value for value in values if value]
        if not values:
            self._fail(f"{key!r} is compared with nothing")
        if len(text) > MAX_CONDITION:
            self._fail(f"a condition has at most {MAX_CONDITION} characters", begun)
        self.conditions += 1
        if self.conditions > MAX_CONDITIONS:
            self._fail(f"a filter has at most {MAX_CONDITIONS} conditions", begun)
        try:
            return self.read(key, cast("Sign", found["sign"]), values, text)
        except ConfigError as error:
            if text == self.text.strip():
                raise
            raise ConfigError(
                f"{error.what}, at character {begun + 1}", value=text, remedy=error.remedy
            ) from None

    def _values(self, *, several: bool) -> list[str]:
        """Read the values of a condition, between `|` where there may be several."""
        values: list[str] = []
        while True:
            self._skip()
            if found := _QUOTED.match(self.text, self.at):
                self.at = found.end()
                # A catalogue may have a name with quotes in it.
                values += [found["name"], f'"{found["name"]}"']
            else:
                values.append(self._bare(several=several))
            after = self.at + len(self.text[self.at :]) - len(self.text[self.at :].lstrip())
            if not several or self.text[after : after + 1] != "|":
                return values
            self.at = after + 1

    def _bare(self, *, several: bool) -> str:
        text, begun, inner = self.text, self.at, 0
        while self.at < len(text):
            character = text[self.at]
            if character == "(":
                inner += 1
            elif character == ")":
                if not inner and self.groups:
                    break
                inner = max(inner - 1, 0)
            elif self._ends_here(several=several and character == "|", inner=inner):
                break
            self.at += 1
        return text[begun : self.at].strip()

    def _ends_here(self, *, several: bool, inner: int) -> bool:
        """Tell whether a value ends here, before another or before an operator."""
        if several or inner or not self.text[self.at].isspace():
            return several
        return _JOIN.match(self.text, self.at) is not None

    def _skip(self) -> None:
        found = _SPACE.match(self.text, self.at)
        self.at = self.at if found is None else found.end()

    def _deeper(self, step: int) -> None:
        self.depth += step
        if self.depth > MAX_DEPTH:
            self._fail(f"parentheses and `not` may be nested {MAX_DEPTH} deep")

    def _fail(self, what: str, at: int | None = None) -> NoReturn:
        place = self.at if at is None else at
        raise ConfigError(
            f"not a filter: at character {place + 1}, {what}",
            value=self.text,
            remedy="Write KEY=VALUE, and more as in A=x and (B>=1990 or not C=y).",
        )
