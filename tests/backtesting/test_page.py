"""The page of a back-test: one file that stands alone, with pictures, and nothing of the recording that it obeys."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from mendline.backtesting import Backtest, Terms
from mendline.backtesting.orders import parse_order
from mendline.backtesting.page import page
from tests.backtesting.support import LOAD, QUEUE, QUEUES, REST, UNUSUAL, after, run
from tests.replaying.support import Studio

pytestmark = pytest.mark.slow
EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module", name="found")
def _found(studio: Studio) -> Backtest:
    """Return a back-test in which faults are lost, moved and added, and actions differ."""
    later = {**QUEUE, "open": {"above": 80, "for": "2s"}}
    more = {**LOAD, "name": "more", "open": {"above": 60}}
    keys = {"detectors": [more, later, UNUSUAL], "policies": [{**QUEUES, "mode": "ask"}, {**REST, "mode": "auto"}]}
    orders = [parse_order("silence", f"{EVIL}@{after(30)}/{after(60)}", int)]
    return run(studio, [keys], Terms(orders=orders))


def parsed(html: str) -> ET.Element:
    """Return the page's elements: it is written as XML could be."""
    body = html.partition("<body>")[2].removesuffix("</html>\n").removesuffix("</body>")
    return ET.fromstring(f"<body>{body}</body>")  # noqa: S314 - our own


def marks(html: str, kind: str) -> int:
    """Return how many marks of a kind have a title, as those of faults and actions have, and the key has not."""
    return sum(one.get("class") == kind and one.find("title") is not None for one in parsed(html).iter())


def test_each_fault_has_its_bar_and_each_action_its_dot(found: Backtest) -> None:
    """In the colour of what became of it."""
    html = page(found)
    comparison = found.comparisons()[0]
    ways = comparison.ways()
    assert (ways["lost"], ways["added"]) == (2, 2)
    assert {kind: marks(html, kind) for kind in ("down", "new", "blind", "alone")} == {
        "down": ways["lost"], "new": ways["added"], "blind": 4, "alone": 4,
    }  # fmt: skip
    assert marks(html, "deed") == len(found.before.decided.ran) + len(comparison.after.decided.ran)


def test_the_page_stands_alone_and_says_what_is_not_known(found: Backtest) -> None:
    """It fetches nothing, runs nothing, and shows words as words."""
    html = page(found)
    assert "Not known: how the values would have gone on after another action." in html
    assert EVIL not in html
    assert not {"script", "link", "img", "iframe"} & {one.tag for one in parsed(html).iter()}
    assert not any("http" in value for one in parsed(html).iter() for value in one.attrib.values())


def test_many_settings_stand_side_by_side(found: Backtest) -> None:
    """With a stack for each, and a mark for those of which the condition holds."""
    both = replace(found, after=[found.after[0], replace(found.after[0], name="other")])
    html = page(both, [True, False])
    cells = [one.text for one in parsed(html).iter("td")]
    assert ("other" in cells, cells.count("fails"), marks(html, "new")) == (True, 1, 2)
