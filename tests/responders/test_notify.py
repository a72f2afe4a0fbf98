"""Telling people: what goes to a webhook, when it is tried again, and when it is given up."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from mendline.responders.action import ActionContext, PermanentError, TemporaryError
from mendline.responders.messages import message_of
from mendline.responders.notify import Notify
from mendline.responders.webhook import post
from mendline.schemas.records import Hold
from mendline.schemas.settings import AlertmanagerSettings, NotifySettings, ServiceSettings
from tests.responders.support import Scene, fault, order, outcome, policy, settings
from tests.responders.webhooks import Webhook
from tests.responders.webhooks import webhook as listening


@pytest.fixture(name="webhook")
def _webhook() -> Iterator[Webhook]:
    """Yield a webhook that listens."""
    with listening() as server:
        yield server


def test_a_webhook_gets_json(webhook: Webhook) -> None:
    """The content type says so."""
    post(webhook.url, {"text": "ü"})
    (heard,) = webhook.heard
    assert ("application/json", {"text": "ü"}) == (heard.headers["content-type"], heard.json)


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, PermanentError), (404, PermanentError), (429, TemporaryError), (500, TemporaryError), (503, TemporaryError)],
)
def test_a_refusal_is_final_and_a_failure_is_not(webhook: Webhook, status: int, error: type[Exception]) -> None:
    """4xx is the request's fault, 5xx and 429 may pass."""
    webhook.answers = [status]
    with pytest.raises(error, match=f"answered {status}"):
        post(webhook.url, {})


def test_nobody_there_may_change(unused_port: int) -> None:
    """A refused connection is worth another try."""
    with pytest.raises(TemporaryError, match="cannot be reached"):
        post(f"http://127.0.0.1:{unused_port}/", {})


def test_a_webhook_that_never_answers_is_not_waited_for() -> None:
    """The timeout bounds it."""
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TemporaryError):
        post(f"http://127.0.0.1:{silent.getsockname()[1]}/", {}, timeout_s=0.05)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/", "hook"])
def test_only_http_is_spoken(url: str) -> None:
    """A typing error in the settings must not open files."""
    with pytest.raises(PermanentError, match="is no webhook"):
        post(url, {})


@pytest.fixture
def unused_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_the_action_tells_every_webhook(webhook: Webhook) -> None:
    """With the target and the step's parameters."""
    context = ActionContext("i-1", "host-1", "web", ServiceSettings(), 5.0, {"team": "shop"})
    one = NotifySettings(webhook=webhook.url)
    assert Notify([one, one]).run(context) == "2 told"
    assert len(webhook.heard) == 2
    heard = [one.json for one in webhook.heard]
    assert 2 == len({body.pop("id") for body in heard})
    assert heard[0] == {
        "what": "notify",
        "text": "a policy wants you to know of host-1/web",
        "target": "host-1/web",
        "intent": "i-1",
        "parameters": {"team": "shop"},
    }


def test_the_action_without_webhooks_fails() -> None:
    """Settings without `notify` tell nobody, and that is no success."""
    context = ActionContext("i-1", "host-1", "web", ServiceSettings(), 5.0)
    later = NotifySettings(webhook="http://127.0.0.1:1/", after=1000)
    alerts = NotifySettings(alertmanager=AlertmanagerSettings(url="http://127.0.0.1:1/"))
    for nobody in ([], [later, alerts]):
        with pytest.raises(PermanentError, match="no `notify`, or none that hears at once"):
            Notify(nobody).run(context)


def hold(guard: str) -> Hold:
    """Return a hold."""
    return Hold(source="planner", time=1, fault="f", target="host-1/web", policy="p", guard=guard, reason="because")


def test_people_hear_of_beginnings_ends_and_where_they_are_wanted() -> None:
    """Not of affirmations, ordinary holds or progress."""
    scene = Scene(settings(policy("ask")))
    scene.say(fault(), fault(transition="affirmed", revision=1))
    scene.say(order("approve", fault().id))
    scene.say(outcome(scene.intents[0]), fault(transition="resolved", revision=2))
    told = [message["text"] for entry in scene.entries if (message := message_of(entry.record))]
    assert told == [
        "host-1/web is dead: opened",
        f"restart of host-1/web waits for `mendline approve {scene.intents[0].id}`",
        "host-1/web was dead: resolved",
        "host-1/web was mended",
    ]
    assert message_of(hold("cooldown")) is None
    assert (message_of(hold("escalated")) or {})["text"] == "host-1/web needs a person: escalated"
    json.dumps(message_of(hold("denied")))


def test_a_number_without_a_name_or_a_range_is_not_told() -> None:
    """That a probe has not succeeded for so long stands in the reason."""
    evidence = fault().evidence.model_copy(update={"value": 2020.0, "high": 2000.0, "unit": "ms", "text": "no answer"})
    hung = fault(reason="probe health has not succeeded for 2.0 s", evidence=evidence)
    assert "probe health has not succeeded for 2.0 s; no answer" == (message_of(hung) or {})["detail"]


def test_a_message_about_a_fault_begins_with_why_and_goes_on_with_what_was_seen() -> None:
    """At night the reason counts, and what the service said last comes second."""
    evidence = fault().evidence
    killed = fault(reason="it was killed", evidence=evidence.model_copy(update={"text": "listening on port 80"}))
    slow = evidence.model_copy(update={"series": "web.latency", "value": 9.5, "low": 0.0, "high": 2.0, "unit": "s"})
    over = fault(transition="resolved", revision=1, reason="it was killed", ended="it runs", evidence=killed.evidence)
    told = [(message_of(one) or {})["detail"] for one in (killed, fault(reason="unusual", evidence=slow), over)]
    assert [
        "it was killed; listening on port 80",
        "unusual; web.latency = 9.5 s, expected 0 ms to 2 s",
        "it runs",
    ] == told


def test_a_question_says_what_it_asks_and_how_to_answer() -> None:
    """Whoever reads it on a telephone knows what a yes would do."""
    scene = Scene(settings(policy("ask")))
    scene.say(fault())
    (intent,) = scene.intents
    message = message_of(intent) or {}
    first, _, bound = str(message["ask"]).partition("; ")
    assert first == "may it restart host-1/web? By policy web-down, step 1, try 1"
    assert bound == "at most 5 s, and the fault must be over within 10 s of that"
    assert message["answer"] == f"`mendline approve {intent.id}` or `mendline deny {intent.id}`, within 15 min"
    given_up = message_of(hold("escalated")) or {}
    assert given_up["answer"] == "`mendline approve f` for one more try; `mendline ack f`"


def test_the_action_tells_again_only_who_did_not_hear(webhook: Webhook, unused_port: int) -> None:
    """The second try of an intent does not ring twice where it was heard."""
    context = ActionContext("i-1", "host-1", "web", ServiceSettings(), 5.0)
    away = NotifySettings(webhook=f"http://127.0.0.1:{unused_port}/")
    action = Notify([NotifySettings(webhook=webhook.url), away])
    for _ in range(2):
        with pytest.raises(TemporaryError, match="cannot be reached"):
            action.run(context)
    assert len(webhook.heard) == 1


def test_a_webhook_may_stand_elsewhere(webhook: Webhook, tmp_path: Path) -> None:
    """A URL with a token in it does not belong into the configuration."""
    file = tmp_path / "webhook"
    file.write_text(webhook.url + "\n")
    post(f"file:{file}", {})
    assert 1 == len(webhook.heard)
    with pytest.raises(PermanentError, match="env:NO_SUCH_WEBHOOK: there is no variable"):
        post("env:NO_SUCH_WEBHOOK", {})


@pytest.mark.parametrize("status", [404, 500])
def test_what_fails_is_told_without_the_path(webhook: Webhook, status: int) -> None:
    """The path of a webhook is often its password."""
    webhook.answers = [status]
    with pytest.raises(
        (PermanentError, TemporaryError), match=f"webhook http://127.0.0.1:.* answered {status}"
    ) as told:
        post(f"{webhook.url}/hunter2?key=hunter2", {})
    assert "hunter2" not in str(told.value)


@pytest.mark.parametrize(
    "url",
    ["http://me:hunter2@127.0.0.1:x/", "http://127.0.0.1/hunter2 hunter2", "http://[hunter2/", "http://h/\nhunter2"],
)
def test_an_impossible_url_is_not_repeated(url: str) -> None:
    """Neither by Mendline nor by the library's own error."""
    with pytest.raises(PermanentError, match="is no webhook") as told:
        post(url, {})
    assert "hunter2" not in str(told.value).replace("http://[hunter2", "")
