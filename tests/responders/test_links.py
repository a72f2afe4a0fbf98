"""One-time links in messages: for one question, until they expire, by a host that is believed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mendline.config import ConfigError
from mendline.config.files import parse_settings
from mendline.responders.links import Address, Link, WrongLinkError, seal, unseal
from mendline.responders.messages import said_of
from mendline.responders.signing import Beliefs, KeyRing
from mendline.schemas.records import Hold
from tests.responders.support import START_MS, Scene, fault, policy, settings

LINK = Link("intent-1", "desk", START_MS + 1000)


@pytest.fixture(name="ring")
def _ring(tmp_path: Path) -> KeyRing:
    return KeyRing(tmp_path / "own")


def test_a_link_is_what_it_was_made_for(ring: KeyRing) -> None:
    """The same link is the same text, so that a message which is sent again is the same message."""
    text = seal(LINK, ring)
    assert LINK == unseal(text, ring, START_MS)
    assert text == seal(LINK, ring)
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


def test_a_link_expires(ring: KeyRing) -> None:
    """To the millisecond."""
    text = seal(LINK, ring)
    assert LINK == unseal(text, ring, LINK.until - 1)
    with pytest.raises(WrongLinkError, match="has expired"):
        unseal(text, ring, LINK.until)


def test_a_link_of_another_host_counts_where_that_is_trusted(ring: KeyRing, tmp_path: Path) -> None:
    """And nowhere else."""
    other = KeyRing(tmp_path / "other")
    text = seal(LINK, other)
    with pytest.raises(WrongLinkError, match="not one that Mendline gave"):
        unseal(text, ring, START_MS)
    assert LINK == unseal(text, KeyRing(tmp_path / "third", Beliefs(trust=[other.public])), START_MS)
    revoked = Beliefs(trust=[other.public], revoked=frozenset([other.public.id]))
    with pytest.raises(WrongLinkError):
        unseal(text, KeyRing(tmp_path / "third", revoked), START_MS)


@pytest.mark.parametrize("place", range(0, 300, 7))
def test_a_link_that_was_changed_is_none(ring: KeyRing, place: int) -> None:
    """Whichever sign of it."""
    text = seal(LINK, ring)
    place %= len(text) - 1  # the last sign holds bits that mean nothing
    other = "A" if text[place] != "A" else "B"
    with pytest.raises(WrongLinkError):
        unseal(text[:place] + other + text[place + 1 :], ring, START_MS)


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "é.é.é", "e30.x.e30", "x" * 10_000])
def test_nonsense_is_no_link(ring: KeyRing, text: str) -> None:
    """And no error of the program."""
    with pytest.raises(WrongLinkError):
        unseal(text, ring, START_MS)


def test_a_question_has_a_link_where_that_is_wanted(ring: KeyRing) -> None:
    """For as long as it may be answered; others have the page alone."""
    scene = Scene(settings(policy("ask")))
    scene.say(fault())
    (intent,) = scene.intents
    said = said_of(intent, 3)
    assert said
    address = Address("https://mendline.example.com/", ring)
    message = address.enrich("desk", answers=True)(said)
    assert f"https://mendline.example.com/#/incident/{fault().id}" == message["page"]
    begin, _, text = str(message["link"]).rpartition("/")
    assert "https://mendline.example.com/answer" == begin
    assert Link(intent.id, "desk", intent.time + 900_000) == unseal(text, ring, intent.time)
    assert "link" not in address.enrich("desk", answers=False)(said)
    opened = said_of(fault(), 0)
    assert opened
    assert "link" not in address.enrich("desk", answers=True)(opened)


def test_a_fault_that_was_given_up_asks_for_an_hour(ring: KeyRing) -> None:
    """Its question is the fault's."""
    hold = Hold(source="planner", time=5, fault="f", target="h", policy="p", guard="escalated", reason="because")
    said = said_of(hold, 3)
    assert said
    message = Address("http://localhost:8329", ring).enrich("desk", answers=True)(said)
    assert Link("f", "desk", 3_600_005) == unseal(str(message["link"]).rpartition("/")[2], ring, 5)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("notify: [{webhook: 'http://h/', answers: true}]", "notify.0.answers: a link leads to the page: give web.url"),
        ("web: {url: 'http://mendline.example.com/'}", "web.url"),
        ("web: {url: 'https://me@example.com/'}", "web.url"),
        ("web: {url: 'https://example.com/path'}", "web.url"),
    ],
)
def test_a_link_needs_an_address_that_nobody_can_listen_at(text: str, why: str) -> None:
    """Whoever reads a link on its way could answer in another's name."""
    with pytest.raises(ConfigError, match=why):
        parse_settings(text, "f")
