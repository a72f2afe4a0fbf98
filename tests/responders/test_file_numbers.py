"""One number in a text changes, and no other character does."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mendline.responders.file_numbers import FileNumberError, Format, number_at, path_of, replaced

YAML = """\
# workers: 4 is the default
server:
    workers:   4      # 4, and not 8
    threads: 4
    pools: [{size: 4}, {size: 4}]
    ratio: 0.10
    old: 010
    name: "4"
"""
TOML = """\
workers = 4 # 4
[server] # 4
workers = 4
big = 1_000
ratio = 4.0
pools = [ { size = 4 }, { size = 4 } ]
"""
JSON = '{\n\t"workers": 4,\n\t"server": {"workers" : 4, "x": [4, 4.0]}\n}\n'
INI = """\
; workers = 4
max = 4
[server]
workers = 4   ; 4
Workers: 4
host
[server.a]
workers=4
"""


@pytest.mark.parametrize(
    ("text", "form", "key", "new", "line", "expected"),
    [
        (YAML, "yaml", "server.workers", "12", 2, "    workers:   12      # 4, and not 8"),
        (YAML, "yaml", "server.pools.1.size", "5", 4, "    pools: [{size: 4}, {size: 5}]"),
        (YAML, "yaml", "server.ratio", "0.35", 5, "    ratio: 0.35"),
        (YAML, "yaml", "server.ratio", "1", 5, "    ratio: 1.0"),
        (TOML, "toml", "workers", "6", 0, "workers = 6 # 4"),
        (TOML, "toml", "server.workers", "-6", 2, "workers = -6"),
        (TOML, "toml", "server.big", "1001", 3, "big = 1001"),
        (TOML, "toml", "server.ratio", "5", 4, "ratio = 5.0"),
        (TOML, "toml", "server.pools.0.size", "5", 5, "pools = [ { size = 5 }, { size = 4 } ]"),
        (JSON, "json", "workers", "5", 1, '\t"workers": 5,'),
        (JSON, "json", "server.x.1", "4.5", 2, '\t"server": {"workers" : 4, "x": [4, 4.5]}'),
        (INI, "ini", "max", "5", 1, "max = 5"),
        (INI, "ini", "server.workers", "5", 3, "workers = 5   ; 4"),
        (INI, "ini", "server.Workers", "5", 4, "Workers: 5"),
        (INI, "ini", "server.a.workers", "5", 7, "workers=5"),
    ],
)
def test_only_the_numbers_own_characters_change(
    text: str, form: Format, key: str, new: str, line: int, expected: str
) -> None:
    """Comments, layout and every other number stay, where the same number stands in many places."""
    wanted = text.splitlines()
    wanted[line] = expected
    changed = replaced(text, form, path_of(key, form), Decimal(new))
    assert wanted == changed.splitlines()
    assert Decimal(new) == number_at(changed, form, path_of(key, form))


@pytest.mark.parametrize(
    ("text", "form", "key", "why"),
    [
        (YAML, "yaml", "server.name", "server.name is '4', and no number"),
        (YAML, "yaml", "server.workers.a", "there is no server.workers.a"),
        (YAML, "yaml", "client", "there is no client"),
        (YAML, "yaml", "server.old", "cannot be changed alone: behind an alias, or not as a plain number"),
        ("a: &n 4\nb: *n\n", "yaml", "a", "cannot be changed alone"),
        ("a: &n 4\nb: *n\n", "yaml", "b", "cannot be changed alone"),
        ("a: true\n", "yaml", "a", "a is True, and no number"),
        ("a: .nan\n", "yaml", "a", "a is nan, and no number"),
        ("a: [\n", "yaml", "a", "cannot be read as yaml"),
        ("a = 0x10\n", "toml", "a", "cannot be changed alone"),
        ("{", "json", "a", "cannot be read as json"),
        ("[a]\nb = 8m\n", "ini", "a.b", "a.b is '8m', and no number"),
        ("[a]\nb\n", "ini", "a.b", "a.b is '', and no number"),
    ],
)
def test_what_is_no_plain_number_of_its_own_is_refused(text: str, form: Format, key: str, why: str) -> None:
    """Rather than to change more than was meant, or something else."""
    with pytest.raises(FileNumberError, match=why):
        replaced(text, form, path_of(key, form), Decimal(9))


def test_a_whole_number_stays_whole() -> None:
    """A program that wants an integer would not start with a fraction."""
    assert "a: 6\n" == replaced("a: 4\n", "yaml", ("a",), Decimal("6.0"))
    with pytest.raises(FileNumberError, match=r"4\.5 is no whole number"):
        replaced("a: 4\n", "yaml", ("a",), Decimal("4.5"))


def test_a_number_that_stands_everywhere_is_not_looked_for() -> None:
    """The search is bounded."""
    with pytest.raises(FileNumberError, match="stands at 1001 places"):
        replaced(f"[{'4, ' * 1000}4]", "json", (7,), Decimal(5))


@pytest.mark.slow
@given(st.lists(st.integers(-9, 9), min_size=1, max_size=8), st.data())
def test_in_any_list_the_one_meant_is_changed(numbers: list[int], data: st.DataObject) -> None:
    """Against the naive way: change the data and write them anew."""
    place, new = data.draw(st.integers(0, len(numbers) - 1)), data.draw(st.integers(-99, 99))
    wanted = [new if number == place else old for number, old in enumerate(numbers)]
    assert str(wanted) == replaced(str(numbers), "json", (place,), Decimal(new))
    assert str(wanted) == replaced(str(numbers), "yaml", (place,), Decimal(new))
