"""People whom a trusted proxy vouches for: only from its addresses, with its secret, and as far as the settings say."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Headers

from mendline.schemas.settings import WebProxySettings
from mendline.web.people import Role
from mendline.web.proxy import Proxy
from tests.web.support import Answer, Site

SECRET = "between-proxy-and-page"
ANN = {"X-Forwarded-User": "ann", "X-Proxy-Secret": SECRET}
REMOTE = WebProxySettings(addresses=("10.1.0.0/16", "fd00::1"), users={"ann": "operate"})


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Serve a page behind a proxy on loopback, which knows ann."""
    folder = tmp_path_factory.mktemp("proxied")
    (folder / "secret").write_text(SECRET)
    users = {"ann": "operate", "vera": "view"}
    proxy = {"addresses": ["127.0.0.1"], "secret": f"file:{folder / 'secret'}", "users": users}
    with Site(folder, proxy=proxy) as site:
        yield site


def begin(site: Site, headers: Mapping[str, str]) -> Answer:
    """Ask for a session without a token."""
    return site.get("/api/session", "POST", token="", headers=headers)


def test_whom_the_proxy_names_gets_in_without_a_token(proxied: Site) -> None:
    """With the role of the settings, and under that name."""
    found = begin(proxied, ANN).json
    assert ("ann", "operate") == (found["name"], found["role"])
    assert 200 == proxied.get("/api/overview", token=found["session"], headers=ANN).status


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Forwarded-User": "ann"},
        {"X-Forwarded-User": "ann", "X-Proxy-Secret": "guessed"},
        {**ANN, "X-Forwarded-User": ""},
        {**ANN, "X-Forwarded-User": "ann, root"},
        {"X-Proxy-Secret": SECRET},
    ],
)
def test_who_is_no_proxy_vouches_for_nobody(proxied: Site, headers: dict[str, str]) -> None:
    """Without the header, without the secret or with another one, or with no name."""
    assert 401 == begin(proxied, headers).status


def test_whom_the_settings_do_not_know_is_told_so(proxied: Site) -> None:
    """It is no question of a token."""
    answer = begin(proxied, {**ANN, "X-Forwarded-User": "bob"})
    assert (403, "bob may not look at this page: web.proxy gives no role") == (answer.status, answer.json["detail"])


def test_the_header_begins_a_session_and_does_nothing_else(proxied: Site) -> None:
    """Another site may make a browser ask through the proxy: without the session it learns and orders nothing."""
    asked = proxied.get("/api/overview", token="", headers=ANN)
    ordered = proxied.get("/api/orders", "POST", token="", headers=ANN, body='{"kind": "stop"}')
    assert (401, 401) == (asked.status, ordered.status)


def test_the_session_is_good_only_while_the_proxy_vouches_for_the_same_person(proxied: Site) -> None:
    """Not past the proxy, not for somebody else, and not when a digit of it is another."""
    session = begin(proxied, ANN).json["session"]
    others: list[dict[str, str]] = [{}, {**ANN, "X-Forwarded-User": "vera"}, {**ANN, "X-Proxy-Secret": "x"}]
    assert {401} == {proxied.get("/api/overview", token=session, headers=one).status for one in others}
    assert 401 == proxied.get("/api/overview", token=session.replace("@ann", "@vera"), headers=ANN).status
    vera = begin(proxied, {**ANN, "X-Forwarded-User": "vera"}).json["session"]
    said = {**ANN, "X-Forwarded-User": "vera", "Content-Type": "application/json"}
    assert 403 == proxied.get("/api/orders", "POST", token=vera, headers=said, body='{"kind": "stop"}').status


def test_a_token_is_as_good_as_ever(proxied: Site) -> None:
    """The proxy's word does not get into its way."""
    assert 200 == proxied.get("/api/overview", headers=ANN).status


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("10.1.2.3", "ann"),
        ("::ffff:10.1.2.3", "ann"),
        ("fd00::1", "ann"),
        ("10.2.0.1", ""),
        ("127.0.0.1", ""),
        ("fd00::2", ""),
        ("", ""),
    ],
)
def test_it_is_believed_from_its_addresses_only(address: str, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever else sends the header is told of, once in a while."""
    caplog.set_level(logging.WARNING)
    proxy = Proxy(REMOTE)
    found = [proxy.vouched(address, Headers({"x-forwarded-user": "ann"})) for _ in range(2)]
    assert [name, name] == found
    assert (0 if name else 1) == caplog.text.count(f"did not believe X-Forwarded-User from {address}: this is not")


def test_two_names_are_none() -> None:
    """A proxy that passes on what the browser sent, beside its own, is not to be believed."""
    twice = Headers(raw=[(b"x-forwarded-user", b"ann"), (b"x-forwarded-user", b"root")])
    assert "" == Proxy(REMOTE).vouched("10.1.0.1", twice)


def test_others_have_what_the_settings_say() -> None:
    """Nothing, unless they say so."""
    assert (Role.OPERATE, None) == (Proxy(REMOTE).role_of("ann"), Proxy(REMOTE).role_of("bob"))
    assert Role.VIEW == Proxy(REMOTE.model_copy(update={"others": "view"})).role_of("bob")
    assert ("", None) == (Proxy(None).vouched("10.1.0.1", Headers(ANN)), Proxy(None).role_of("ann"))


def test_a_secret_that_cannot_be_read_shuts_the_proxy_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is told, and no header without it counts."""
    settings = REMOTE.model_copy(update={"secret": f"file:{tmp_path / 'none'}"})
    assert "" == Proxy(settings).vouched("10.1.0.1", Headers(ANN))
    assert "web.proxy.secret: nobody gets in through the proxy" in caplog.text


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"addresses": ["127.0.0.1"]}, "all its users can connect; give secret"),
        ({"addresses": ["0.0.0.0/0"]}, "all its users can connect; give secret"),
        ({"addresses": ["::1"]}, "all its users can connect; give secret"),
        ({"addresses": ["proxy.example.com"]}, "does not appear to be an IPv4 or IPv6 network"),
        ({"addresses": []}, "at least 1 item"),
        ({"addresses": ["10.0.0.1"], "users": {"ann": "root"}}, "view"),
    ],
)
def test_settings_that_would_let_anybody_in_are_refused(given: dict[str, Any], told: str) -> None:
    """Before anything is served."""
    with pytest.raises(ValueError, match=told):
        WebProxySettings.model_validate(given)
