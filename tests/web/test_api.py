"""The API over real connections: what it answers, and what it refuses with which status."""

from __future__ import annotations

import json
import re
import socket
from functools import partial
from typing import Any

import pytest

from mendline.responders.journal import KEEP_MS
from mendline.schemas.records import Heartbeat
from mendline.schemas.rounds import Round, Sample
from mendline.schemas.windows import WindowRow, Windows
from mendline.web.app import STATIC
from tests.cli.support import until
from tests.responders.support import START_MS, Scene, fault, order, outcome, policy, settings
from tests.web.support import HOSTILE, Site, asking, evidence, mended

pytestmark = pytest.mark.slow

OPEN = fault(reason="killed")


def known(site: Site, count: int = 1) -> list[dict[str, Any]]:
    """Return the open incidents, once there are so many."""
    return list(until("incidents", lambda: len(found := site.get("/api/overview").json["open"]) == count and found))


def test_nothing_is_answered_without_a_token(bare: Site) -> None:
    """Each call of the API asks for one, and says how to get it; the page itself holds no secret."""
    paths = bare.get("/api/openapi.json", token="").json["paths"]
    tried = {path.replace("{name}", "0123456"): next(iter(calls)) for path, calls in paths.items()}
    answers = [bare.get(path, method.upper(), token="") for path, method in tried.items()]
    assert len(answers) > 5
    assert {401} == {one.status for one in answers}
    assert all("mendline ui --link" in one.json["detail"] for one in answers)
    assert 200 == bare.get("/", token="").status


@pytest.mark.parametrize("token", ["wrong", "root.99999999999.0", "é", "a" * 60_000, "root.x.y", ".."])
def test_a_wrong_token_is_refused(bare: Site, token: str) -> None:
    """Whatever it looks like."""
    answer = bare.get("/api/overview", token="", headers={"Authorization": f"Bearer {token}".encode()})
    assert answer.status in (400, 401, 431)


def test_a_token_is_exchanged_for_a_session(bare: Site) -> None:
    """The session is as good as the token, and names person and role."""
    found = bare.get("/api/session", "POST").json
    assert "administer" == found["role"]
    assert 200 == bare.get("/api/overview", token=found["session"]).status
    assert 401 == bare.get("/api/overview", token=found["session"][:-1]).status


def test_an_open_fault_is_an_incident_with_its_time_line(site: Site) -> None:
    """By the id of the incident, the fault or the intent, or the first digits of any."""
    site.tell(asking())
    (row,) = known(site)
    assert ("host-1/web", "dead", "asks") == (row["target"], row["kind"], row["doing"])
    fault_id = asking().intents[0].fault
    for name in (row["id"], fault_id, fault_id[:8], asking().intents[0].id):
        found = site.get(f"/api/incidents/{name}").json
        assert row["id"] == found["row"]["id"]
    assert [("fault", "opened"), ("intent", "ask")] == [(one["type"], one["what"]) for one in found["entries"]]
    (view,) = found["faults"]
    asked = view["question"]
    assert (asking().intents[0].id, "restart", 0) == (asked["subject"], asked["action"], asked["here"]["tries"])
    assert ["asking"] == [step["state"] for step in view["playbook"]["steps"]]


def test_what_was_mended_is_told_to_the_proof(site: Site) -> None:
    """Decision, deed, what was attached to it, and the verification."""
    site.tell(mended())
    (row,) = until("it is over", lambda: site.get("/api/overview").json["closed"])
    found = site.get(f"/api/incidents/{row['id']}").json
    whats = [one["what"] for one in found["entries"]]
    assert ["opened", "auto", "succeeded", "resolved", "mended"] == whats
    assert {"stderr": "bye\n" + HOSTILE} == found["entries"][2]["attached"]
    (step,) = found["faults"][0]["playbook"]["steps"]
    assert "mended" == step["state"]
    assert "process 8 started" in step["tries"][0]["result"]


def test_a_policy_is_told_with_what_it_is_about_and_its_record(site: Site) -> None:
    """By the journal's own account, and the hosts that are heard of; a fault under none is counted."""
    beat = Heartbeat(source="host-1", time=START_MS, interval_ms=1000, services=("db", "web"))
    site.append("metrics", beat)
    scene = Scene(settings(policy("auto", target="web")))
    scene.say(fault())
    scene.say(outcome(scene.intents[0]), fault(transition="resolved", revision=1, time=START_MS + 1000))
    scene.tick()
    site.tell(scene)
    site.append("journal", fault("host-1/db"))
    known(site)
    found = until("the host", lambda: (one := site.get("/api/policies").json)["policies"][0]["targets"] and one)
    (shown,) = found["policies"]
    assert (1, {"target": "web"}, ["host-1/web"]) == (found["uncovered"], shown["when"], shown["targets"])
    assert (1, 1) == (shown["past"]["tries"], shown["past"]["mended"])
    assert ["restart: must help within 10 s, 3 times at most"] == shown["play"]


def test_an_incident_of_long_ago_is_read_from_the_journal(site: Site) -> None:
    """The fold has forgotten it; by the id of its fault, as the journal's page links to it."""
    site.tell(mended())
    until("it is read", lambda: site.get("/api/overview").json["closed"])
    fault_id = mended().intents[0].fault
    with site.server.page.journal.read() as journal:
        journal.advance(journal.offset, journal.log_time + 2 * KEEP_MS, journal.append_time)
    until("it is forgotten", lambda: not site.get("/api/overview").json["closed"])
    found = site.get(f"/api/incidents/{fault_id[:8]}").json
    assert ["opened", "auto", "succeeded", "resolved", "mended"] == [one["what"] for one in found["entries"]]
    assert ("host-1/web", False) == (found["row"]["target"], found["row"]["open"])


@pytest.mark.parametrize(("name", "status"), [("0123456", 404), ("123", 422), ("..%2f..", 404), ("x" * 500, 422)])
def test_an_incident_that_is_none(bare: Site, name: str, status: int) -> None:
    """It is told, and nothing is read anywhere else."""
    assert status == bare.get(f"/api/incidents/{name}").status


def test_the_fleet_has_hosts_by_heartbeats_and_faults(site: Site) -> None:
    """A host that was never heard of but has a fault is there too."""
    beat = Heartbeat(source="host-2", time=START_MS, interval_ms=1000, services=("db", HOSTILE))
    site.append("metrics", beat)
    site.append("journal", OPEN, order("maintenance", "db"))
    hosts = until("hosts", lambda: len(found := site.get("/api/fleet").json["hosts"]) == 2 and found)
    assert ["host-1", "host-2"] == [one["name"] for one in hosts]
    (web,) = hosts[0]["services"]
    assert ("web", "critical", OPEN.id) == (web["name"], web["state"], web["fault"])
    assert {"db": "maintenance", HOSTILE: None} == {one["name"]: one.get("state") for one in hosts[1]["services"]}


def test_the_chart_of_a_fault_has_its_series_and_the_expected_band(site: Site) -> None:
    """Read from the rounds where the evidence stands; of other hosts and times nothing."""
    for second in range(10):
        sample = Sample(
            service="web", metric="process.memory.usage", unit="By", value=float(second) if second else None
        )
        for host in ("host-1", "host-2"):
            site.append("metrics", Round(source=host, time=START_MS + 1000 * second, samples=(sample,)))
    found = fault(name="unusual", evidence=evidence(value=9.0, low=1.0, high=3.0))
    site.append("journal", found)
    known(site)
    chart = site.get(f"/api/faults/{found.id}/chart?begin={START_MS}&end={START_MS + 5000}").json
    (curve,) = chart["curves"]
    assert ([START_MS + 1000 * one for one in range(5)], False) == (chart["times"], chart["cut"])
    assert ([None, 1.0, 2.0, 3.0, 4.0], 1.0, 3.0) == (curve["values"], curve["low"], curve["high"])


def test_any_series_of_a_host_is_found_and_shown_with_its_faults(site: Site) -> None:
    """By rounds; of another host, or at another time, there is nothing."""
    sample = Sample(service="web", metric="process.memory.usage", unit="By", value=7.0)
    now = site.clock()
    site.append("metrics", *(Round(source="host-1", time=now - 1000 * one, samples=(sample,)) for one in (3, 2, 1)))
    site.append("journal", OPEN)
    known(site)
    assert [{"label": "web process.memory.usage", "unit": "By"}] == site.get("/api/series?source=host-1").json
    assert [] == site.get("/api/series?source=host-2").json
    asked = "/api/explore?source=host-1&label=web%20process.memory.usage"
    found = site.get(f"{asked}&begin={START_MS}&end={now}").json
    assert [now - 3000, now - 2000, now - 1000] == found["chart"]["times"]
    assert [7.0] * 3 == found["chart"]["curves"][0]["values"]
    assert [(OPEN.id, None)] == [(one["id"], one["closed_at"]) for one in found["faults"]]
    before = site.get(f"{asked}&begin={START_MS - 9000}&end={START_MS - 1}").json
    assert ([], []) == (before["chart"]["curves"], before["faults"])


def test_over_a_longer_span_the_narrowest_windows_are_shown(site: Site) -> None:
    """Windows of several widths stand on one topic: mixed they would draw a saw."""
    for width, mean in ((10_000, 1.0), (60_000, 5.0)):
        row = WindowRow(metric="load", count=10, mean=mean)
        window = Windows(source="host-1", time=START_MS, start=START_MS, width_ms=width, rounds=10, rows=(row,))
        site.append("windows", window)
    found = site.get(f"/api/explore?source=host-1&label=load&begin={START_MS}&end={START_MS + 7_200_000}").json
    assert ([START_MS + 10_000], [1.0]) == (found["chart"]["times"], found["chart"]["curves"][0]["values"])


@pytest.mark.parametrize("span", ["begin=5&end=5", "begin=0&end=999999999999", "begin=x&end=1", ""])
def test_a_span_that_makes_no_sense_is_refused(site: Site, span: str) -> None:
    """Before anything is read."""
    site.append("journal", OPEN)
    known(site)
    assert 422 == site.get(f"/api/faults/{OPEN.id}/chart?{span}").status


def test_the_journal_is_searched_from_its_end(site: Site) -> None:
    """All words must be there; the answer says where to go on, until the journal begins."""
    site.append("journal", *(order("note", "web", text=f"number {one}") for one in range(30)), OPEN)
    found = site.get("/api/journal?words=number%20note&most=20").json
    assert [f"ann: note web: number {one}" for one in range(29, 9, -1)] == [one["text"] for one in found["entries"]]
    rest = site.get(f"/api/journal?words=number&most=20&before={found['older']}").json
    assert (10, None) == (len(rest["entries"]), rest["older"])
    assert [] == site.get("/api/journal?words=nowhere").json["entries"]


def test_a_log_that_is_away_is_told(site: Site) -> None:
    """The overview goes on as it was, and says so; what needs the log is refused with 503."""
    site.append("journal", OPEN)
    known(site)
    site.log.away = True
    assert 503 == site.get("/api/journal").status
    overview = until("it is told", lambda: (found := site.get("/api/overview").json)["trouble"] and found)
    assert 1 == len(overview["open"])
    site.log.away = False
    until("it is over", lambda: not site.get("/api/overview").json["trouble"])


def test_records_are_streamed_as_they_come(site: Site) -> None:
    """In words, each once, but for those that say nothing to a person; the stream ends with the server."""
    with socket.create_connection(("127.0.0.1", site.port), timeout=30) as stream:
        stream.sendall(
            f"GET /api/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {site.token}\r\n\r\n".encode()
        )
        got = b""
        while b"event: begin" not in got:
            got += stream.recv(65_536)
        site.append("journal", OPEN)
        while b"event: record" not in got or not got.endswith(b"\n\n\r\n"):
            got += stream.recv(65_536)
    told = json.loads(got.partition(b"event: record\ndata: ")[2].partition(b"\n")[0])
    assert (OPEN.id, "fault") == (told["fault"], told["type"])


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "localhost.", "[::2]"]
)
def test_another_name_is_not_served(bare: Site, host: str) -> None:
    """A name that was bound anew to this address gets neither page nor API."""
    for path in ("/", "/static/js/main.js", "/api/overview"):
        assert 421 == bare.get(path, headers={"Host": host}).status


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:8329", "LOCALHOST"])
def test_its_own_names_are_served(bare: Site, host: str) -> None:
    """By whatever port it was asked: it may be behind a tunnel."""
    assert 200 == bare.get("/api/overview", headers={"Host": host}).status


def test_every_answer_forbids_what_is_not_the_pages_own(bare: Site) -> None:
    """Refusals too."""
    for path, headers in (("/", {}), ("/api/overview", {}), ("/nowhere", {}), ("/", {"Host": "evil"})):
        answer = bare.get(path, headers=headers)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert "nosniff" == answer.headers["x-content-type-options"]


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/app.py", "/static/js/"]
)
def test_no_other_file_is_served(bare: Site, path: str) -> None:
    """However the path is spelled."""
    assert 404 == bare.get(path).status


def test_all_scripts_are_asked_for_at_once() -> None:
    """The page names them all: otherwise a browser finds each only in the one before."""
    index = (STATIC / "index.html").read_text(encoding="utf-8")
    scripts = {path.name for path in (STATIC / "js").iterdir()}
    assert scripts == set(re.findall(r'"/static/js/([^"]+)"', index))


def test_a_body_that_is_too_large_is_refused(bare: Site) -> None:
    """By its length, or where it passes the bound."""
    assert 413 == bare.get("/api/session", "POST", body=b"x" * 70_000).status
    chunks = (b"x" * 10_000 for _ in range(10))
    assert bare.get("/api/overview", "POST", body=chunks, headers={"Transfer-Encoding": "chunked"}).status in (405, 400)


def test_what_was_told_is_in_the_answer(site: Site) -> None:
    """However short ago the last answer was made."""
    told: list[int] = []
    site.server.page.journal.listen(lambda one: told.append(one.offset))
    counts = []
    for offset, target in enumerate(("host-1/web", "host-1/db", "host-2/db")):
        site.append("journal", fault(target))
        until("it was told", partial(told.__contains__, offset))
        counts.append(site.get(f"/api/overview?after={offset}").json["open_count"])
    assert [1, 2, 3] == counts


def test_what_counts_up_is_shown_by_its_rate(site: Site) -> None:
    """From round to round; where the counter went back there is none."""
    for place, value in enumerate((100.0, 150.0, 250.0, 0.0, 30.0)):
        sample = Sample(metric="sent", unit="By", kind="counter", value=value)
        site.append("metrics", Round(source="host-1", time=START_MS + 1000 * place, samples=(sample,)))
    found = site.get(f"/api/explore?source=host-1&label=sent&begin={START_MS}&end={START_MS + 9000}").json
    (curve,) = found["chart"]["curves"]
    assert ("By/s", [50.0, 100.0, None, 30.0]) == (curve["unit"], curve["values"])


def test_what_a_policy_would_have_done_is_told(site: Site) -> None:
    """In shadow mode: how often, and the newest of it with its fault."""
    scene = Scene(settings(policy("shadow")))
    scene.say(fault(reason="killed"))
    scene.tick()
    site.tell(scene)
    known(site)
    (shown,) = site.get("/api/policies").json["policies"]
    assert (1, [("restart", "host-1/web", fault().id)]) == (
        shown["shadow"],
        [(one["action"], one["target"], one["fault"]) for one in shown["would"]],
    )
