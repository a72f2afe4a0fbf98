"""Conditions such as `lost > 0 or added > 3`: read by hand, compared, and never evaluated."""

from __future__ import annotations

import pytest

from mendline.backtesting.conditions import ConditionError, parse

VALUES = {"lost": 2.0, "added": 0.0, "recall": 0.75, "precision": None}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("lost > 0", True),
        ("lost>2", False),
        ("lost >= 2 and added == 0", True),
        ("lost > 5 or added != 0 or recall < 0.8", True),
        ("not lost > 0", False),
        ("not (lost > 5 or added > 5) and recall <= 0.75", True),
        ("lost > 5 or lost > 1 and added > 1", False),
        ("(lost > 1 or lost > 5) and added < 1", True),
        ("lost + added - 1 == 1", True),
        ("lost > 0 or precision < 0.9", True),
    ],
)
def test_a_condition_holds_or_not(text: str, *, holds: bool) -> None:
    """`and` binds more than `or`, `not` more than both; what need not be known is not asked."""
    assert parse(text, VALUES)(VALUES) == holds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be read at its end: there must be a name or a number"),
        ("lost", "cannot be read at its end: there must be one of < <= > >= == !="),
        ("lost > 0 added > 1", "cannot be read at 'added > 1': there must be and, or, or its end"),
        ("lost > (1)", "cannot be read at '(1)': there must be a name or a number"),
        ("(lost > 0", "cannot be read at its end: there must be )"),
        ("lost > 0; import os", "cannot be read at '; import os': there must be names, numbers, brackets and signs"),
        ("__import__('os')", "'__import__' is nothing that is counted; there are lost, added, recall, precision"),
        ("adddd > 0", "'adddd' is nothing that is counted; did you mean added?; there are lost, added, "),
        ("(" * 60 + "lost > 0" + ")" * 60, "there must be fewer brackets"),
    ],
)
def test_what_is_no_condition_is_refused_with_what_must_stand_there(text: str, said: str) -> None:
    """Before anything is run."""
    with pytest.raises(ConditionError) as error:
        parse(text, list(VALUES))
    assert said in str(error.value)


def test_what_is_not_known_cannot_be_compared() -> None:
    """It is neither true nor false."""
    with pytest.raises(ConditionError, match="precision is not known: nothing is labelled"):
        parse("precision < 0.9", VALUES)(VALUES)
