from __future__ import annotations

from math import isnan

import pytest

from mendline.cases.notation import expand, parse_series
from mendline.schemas.series import Series


def plain(text: str) -> list[float | str | None]:
    """Return the values with a dash for those that are missing."""
    return ["-" if value is not None and isnan(value) else value for value in expand(text)]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("-2+4x3", [-2, 2, 6, 10]),
        (" 1-2x4", [1, -1, -3, -5, -7]),
        (" 1x4", [1, 1, 1, 1, 1]),
        (" 1 _x3 stale", [1, "-", "-", "-", None]),
        ("1e2 1_000 .5 5.", [100, 1000, 0.5, 5]),
        ("1+-2x1", None),
        ("_ _x0 3x0", ["-", 3]),
        ("1 stale _x2 4", [1, None, None, None, 4]),
        ("NaN +Inf", ["-", float("inf")]),
        ("1+1x2\n\t7", [1, 2, 3, 7]),
        ("", []),
    ],
)
def test_values_are_those_of_promtool(text: str, values: list[float | str | None] | None) -> None:
    """The examples of its documentation, and the corners of its grammar."""
    if values is None:
        with pytest.raises(ValueError, match="is no item"):
            expand(text)
    else:
        assert values == plain(text)


@pytest.mark.parametrize(
    "text", ["1+1", "_+1x3", "stalex3", "1x", "x3", "1 x3 4", "0x1F", "1x2x3", "one", "{{schema:1}}", "1,2"]
)
def test_what_is_no_item_is_named(text: str) -> None:
    """An increment needs a count, nothing is no number, and histograms are not read."""
    with pytest.raises(ValueError, match=r"'\S+' is no item; write values as"):
        expand(text)


def test_no_series_fills_the_memory() -> None:
    """A count is checked before values are made."""
    with pytest.raises(ValueError, match="'0x99999999999' makes more than 1,000,000 values"):
        expand("1 0x99999999999")
    assert 1_000_000 == len(expand("0x499999 _x500000"))


def test_a_sum_of_steps_is_not_added_up() -> None:
    """The value is a + n * b, without the error that grows in a running sum."""
    assert 0.1 * 1000 == expand("0+0.1x1000")[-1]


@pytest.mark.parametrize(
    ("text", "service", "metric", "attributes"),
    [
        ("system.cpu.time", "", "system.cpu.time", {}),
        ("web http.latency{path=/,code=200}", "web", "http.latency", {"path": "/", "code": "200"}),
        ('up{job="node, exporter",instance="a:1"}', "", "up", {"job": "node, exporter", "instance": "a:1"}),
        ("up{}", "", "up", {}),
        ("up{ a = b , }", "", "up", {"a": "b"}),
        ('up{a=""}', "", "up", {"a": ""}),
    ],
)
def test_series_are_written_as_faults_show_them(
    text: str, service: str, metric: str, attributes: dict[str, str]
) -> None:
    """Quotes around values, as promtool has them, are read too."""
    found = parse_series(text, "counter", "s").series
    assert Series(service=service, metric=metric, attributes=attributes, unit="s", kind="counter") == found


@pytest.mark.parametrize("text", ["", "web up now", "up{a}", "up{a=b c=d", 'up{a="b" c="d"}', "{a=b}"])
def test_what_is_no_series_is_refused(text: str) -> None:
    """The message says how one is written."""
    with pytest.raises(ValueError, match="write"):
        parse_series(text, "gauge", "1")


def test_a_service_among_the_attributes_is_refused_with_how_it_is_written() -> None:
    """Nothing would look at such a series, and the test would fail for another reason, or pass."""
    with pytest.raises(ValueError, match=r"stands before the metric: 'web cpu\{mode=user\}'"):
        parse_series("cpu{mode=user,service=web}", "gauge", "1")
    assert "web" == parse_series("web cpu{service=db}", "gauge", "1").service
