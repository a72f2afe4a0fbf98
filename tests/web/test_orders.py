"""What people order over the API: by whom, signed, and only what can have an effect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mendline.keys import key_ring
from mendline.reading import read_batches, read_journal
from mendline.schemas.records import Order, Stop, decode_record
from mendline.schemas.stream import Partition
from tests.cli.support import until
from tests.responders.support import fault
from tests.web.support import Answer, Site, asking

pytestmark = pytest.mark.slow

OPEN = fault("host-1/db", reason="killed")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Serve the story of a restart that waits for an answer, and a fault that nothing is done about, to two people."""
    tokens = {name: {"token": f"file:{tmp_path / name}", "role": role} for name, role in ROLES.items()}
    for name in ROLES:
        (tmp_path / name).write_text(f"token of {name}\n")
    with Site(tmp_path, tokens=tokens) as served:
        served.tell(asking())
        served.append("journal", OPEN)
        until("the story is read", lambda: len(served.get("/api/overview").json["open"]) == 2)
        yield served


ROLES = {"vera": "view", "olga": "operate", "ada": "administer"}


def give(site: Site, name: str, **order: Any) -> Answer:
    """Order something with a person's token."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer token of {name}"}
    return site.get("/api/orders", "POST", token="", headers=headers, body=json.dumps(order))


def given(site: Site) -> list[Order]:
    """Return the orders of the journal."""
    found = (one.record for one in read_journal(site.log, site.settings))
    return [one for one in found if isinstance(one, Order)]


def test_an_approval_is_signed_and_names_the_person(site: Site) -> None:
    """The intent is at work from then on; the same approval once more is refused, for nothing asks any more."""
    (intent,) = asking().intents
    answer = give(site, "olga", kind="approve", subject=intent.id[:8], text="go")
    assert (201, "") == (answer.status, answer.json["doubt"])
    (order,) = given(site)
    assert ("approve", "olga", intent.id, "go") == (order.kind, order.by, order.subject, order.text)
    assert key_ring(site.settings).why_not(order) is None
    (working,) = until("it is at work", lambda: site.get("/api/overview").json["working"])
    assert intent.id == working["id"]
    assert 409 == give(site, "olga", kind="approve", subject=intent.id).status
    assert 1 == len(given(site))


def test_a_denial_ends_the_question(site: Site) -> None:
    """And an approval after it is refused."""
    (intent,) = asking().intents
    assert 201 == give(site, "olga", kind="deny", subject=intent.id).status
    until("nothing asks", lambda: not site.get("/api/overview").json["asking"])
    assert 409 == give(site, "olga", kind="approve", subject=intent.id).status


def test_who_may_only_look_orders_nothing(site: Site) -> None:
    """Nor does an operator stop everything; nothing of it comes into the journal."""
    (intent,) = asking().intents
    assert 403 == give(site, "vera", kind="approve", subject=intent.id).status
    assert 403 == give(site, "olga", kind="stop").status
    assert 401 == give(site, "nobody", kind="stop").status
    assert [] == given(site)


def test_everything_is_stopped_and_lifted(site: Site) -> None:
    """The hosts are told as by the command."""
    assert 201 == give(site, "ada", kind="stop", text="storm").status
    stopped = until("it is stopped", lambda: site.get("/api/overview").json["stopped"])
    assert ("ada", "storm") == (stopped["by"], stopped["text"])
    assert 201 == give(site, "ada", kind="stop", active=False).status
    until("it is lifted", lambda: not site.get("/api/overview").json["stopped"])
    batches = read_batches(site.log, Partition(site.settings.topics.topic("commands"), 0))
    told = [decode_record(value) for batch in batches for value in batch.values]
    assert [("ada", True), ("ada", False)] == [(one.by, one.active) for one in told if isinstance(one, Stop)]


def test_opinions_and_notes_are_about_the_fault(site: Site) -> None:
    """By the id of the fault or of an intent about it; a label with its verdict, as the command writes it."""
    (intent,) = asking().intents
    assert 201 == give(site, "olga", kind="acknowledge", subject=OPEN.id).status
    assert 201 == give(site, "olga", kind="label", subject=intent.id, verdict="false", text="backup").status
    assert 201 == give(site, "olga", kind="note", text="deployed 1.2").status
    expected = [("acknowledge", OPEN.id, ""), ("label", intent.fault, "false: backup"), ("note", "*", "deployed 1.2")]
    assert expected == [(one.kind, one.subject, one.text) for one in given(site)]
    view = until(
        "it is seen", lambda: (one := site.get(f"/api/incidents/{OPEN.id}").json)["row"]["acknowledged"] and one
    )
    assert "olga" == view["faults"][0]["acknowledged"]["by"]


def test_maintenance_stands_until_it_is_taken_back(site: Site) -> None:
    """For as long as was said; what does not stand cannot be taken back."""
    assert 201 == give(site, "olga", kind="maintenance", subject="db", lasts_ms=60_000).status
    (standing,) = until("it stands", lambda: site.get("/api/overview").json["orders"])
    assert ("maintenance", "db", "olga") == (standing["kind"], standing["subject"], standing["by"])
    assert 0 < standing["left_ms"] <= 60_000
    assert 201 == give(site, "olga", kind="maintenance", subject="db", active=False).status
    until("it is over", lambda: not site.get("/api/overview").json["orders"])
    assert 409 == give(site, "olga", kind="maintenance", subject="db", active=False).status


@pytest.mark.parametrize(
    "order",
    [
        {"kind": "approve", "subject": "zzz"},
        {"kind": "approve"},
        {"kind": "label", "subject": OPEN.id},
        {"kind": "maintenance", "subject": " "},
        {"kind": "silence", "subject": "a[b"},
        {"kind": "silence", "subject": "db", "lasts_ms": 0},
        {"kind": "silence", "subject": "db", "lasts_ms": 10**15},
        {"kind": "destroy", "subject": "db"},
        {"kind": "note", "text": "x" * 3_000},
        {"kind": "note", "by": "ada"},
        {},
    ],
)
def test_what_makes_no_sense_is_refused(site: Site, order: dict[str, Any]) -> None:
    """With a reason, and nothing is written."""
    answer = give(site, "ada", **order)
    assert (422, True) == (answer.status, bool(answer.json["detail"]))
    assert [] == given(site)


def test_a_doubt_is_told_and_the_order_recorded(site: Site) -> None:
    """Maintenance of what nobody knows may be meant for later, as on the command line."""
    answer = give(site, "olga", kind="maintenance", subject="nobody")
    assert (201, "no target known here is 'nobody'; known: host-1, host-1/db, host-1/web") == (
        answer.status,
        answer.json["doubt"],
    )


def test_taking_back_what_nobody_gave_is_doubted(site: Site) -> None:
    """As on the command line."""
    answer = give(site, "olga", kind="acknowledge", subject=OPEN.id, active=False)
    assert (201, f"nobody had acknowledged the fault {OPEN.id[:8]}") == (answer.status, answer.json["doubt"])


def test_no_form_of_another_site_can_order(site: Site) -> None:
    """Whatever a browser sends by itself carries no token; and a form is no JSON."""
    body = json.dumps({"kind": "note", "text": "x"})
    assert (
        401 == site.get("/api/orders", "POST", token="", body=body, headers={"Cookie": f"session={site.token}"}).status
    )
    answer = site.get("/api/orders", "POST", body=body, headers={"Content-Type": "text/plain"})
    assert (422, []) == (answer.status, given(site))
