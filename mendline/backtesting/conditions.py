"""What is not to come out of a back-test, as `lost > 0 or added > 3`: numbers by name, compared. Nothing is evaluated.

any  = all {"or" all}          all = one {"and" one}          one = "not" one | "(" any ")" | sum sign sum
sum  = part {("+" | "-") part}         part = number | name           sign = < <= > >= == !=
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import NoReturn

Values = Mapping[str, float | None]
Condition = Callable[[Values], bool]
Term = Callable[[Values], float]

TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?)|([A-Za-z_][A-Za-z0-9_]*)|(<=|>=|==|!=|[<>()+-]))")
SIGNS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
WORDS = ("and", "or", "not")
DEEPEST = 50


class ConditionError(ValueError):
    """A condition that cannot be read, or that asks for what is not known; the message says what."""


def parse(text: str, names: Collection[str]) -> Condition:
    """Return what says whether a condition holds for values of these names.

    Raises ConditionError; what is returned does too, for a value that is None.

    >>> condition = parse("lost > 0 or added + moved > 3", ["added", "lost", "moved"])
    >>> condition({"lost": 0, "added": 2, "moved": 1}), condition({"lost": 1, "added": 0, "moved": 0})
    (False, True)
    """
    parser = _Parser(text, names)
    found = parser.any(0)
    if parser.next:
        parser.refuse("and, or, or its end")
    return found


class _Parser:
    """Reads a condition from left to right; `next` is the word that comes next, empty at the end."""

    def __init__(self, text: str, names: Collection[str]) -> None:
        self._text, self._names = text, names
        self._at = self._after = 0
        self.next = ""
        self._go_on()

    def any(self, depth: int) -> Condition:
        found = [self._all(depth)]
        while self._takes("or"):
            found.append(self._all(depth))
        return found[0] if len(found) == 1 else lambda values: any(one(values) for one in found)

    def _all(self, depth: int) -> Condition:
        found = [self._one(depth)]
        while self._takes("and"):
            found.append(self._one(depth))
        return found[0] if len(found) == 1 else lambda values: all(one(values) for one in found)

    def _one(self, depth: int) -> Condition:
        if depth > DEEPEST:
            self.refuse("fewer brackets")
        if self._takes("not"):
            inner = self._one(depth + 1)
            return lambda values: not inner(values)
        if self._takes("("):
            found = self.any(depth + 1)
            if not self._takes(")"):
                self.refuse(")")
            return found
        return self._comparison()

    def _comparison(self) -> Condition:
        left = self._sum()
        sign = SIGNS.get(self.next)
        if sign is None:
            self.refuse(f"one of {' '.join(SIGNS)}")
        self._go_on()
        right = self._sum()
        return lambda values: sign(left(values), right(values))

    def _sum(self) -> Term:
        parts = [(1, self._part())]
        while self.next in ("+", "-"):
            sign = 1 if self.next == "+" else -1
            self._go_on()
            parts.append((sign, self._part()))
        return lambda values: sum(sign * part(values) for sign, part in parts)

    def _part(self) -> Term:
        word = self.next
        if word[:1].isdigit():
            self._go_on()
            return lambda _: float(word)
        if not word.isidentifier() or word in WORDS:
            self.refuse("a name or a number")
        if word not in self._names:
            raise ConditionError(_unknown(word, self._names))
        self._go_on()
        return lambda values: _known(word, values)

    def _takes(self, word: str) -> bool:
        if self.next != word:
            return False
        self._go_on()
        return True

    def _go_on(self) -> None:
        self._at = self._after
        found = TOKEN.match(self._text, self._at)
        if found is None and self._text[self._at :].strip():
            self.refuse("names, numbers, brackets and signs")
        self._after = found.end() if found else len(self._text)
        self.next = found[0].strip() if found else ""

    def refuse(self, wanted: str) -> NoReturn:
        """Raise ConditionError: something else stands there than what is `wanted`."""
        rest = self._text[self._at :].strip()
        where = f"at {rest[:20]!r}" if rest else "at its end"
        msg = f"{self._text!r} cannot be read {where}: there must be {wanted}; write as in 'lost > 0 or added > 3'"
        raise ConditionError(msg)


def _known(name: str, values: Values) -> float:
    value = values[name]
    if value is None:
        msg = f"{name} is not known: nothing is labelled that it follows from (`mendline label`, --incidents)"
        raise ConditionError(msg)
    return value


def _unknown(name: str, names: Collection[str]) -> str:
    near = "".join(f"; did you mean {one}?" for one in get_close_matches(name, names, 1))
    return f"{name!r} is nothing that is counted{near}; there are {', '.join(names)}"
