"""Tokens, roles and sessions."""

from __future__ import annotations

import getpass
import stat
from pathlib import Path
from typing import Any

import pytest

from mendline.schemas.settings import Settings, WebSettings
from mendline.web.access import LASTS_S, Access, TokenFileError
from mendline.web.people import Person, Role

NOW_S = 1_700_000_000.0


def settings_of(folder: Path, **tokens: Any) -> Settings:
    """Return settings with tokens in files of the folder, each with a role."""
    told = {name: {"token": f"file:{folder / name}", "role": role} for name, role in tokens.items()}
    return Settings(state=str(folder / "state"), web=WebSettings.model_validate({"tokens": told}))


def test_the_own_token_is_made_once_and_kept_from_others(tmp_path: Path) -> None:
    """It outlives a restart, may do everything, and only its owner can read it."""
    first, second = Access(settings_of(tmp_path)), Access(settings_of(tmp_path))
    assert (True, False) == (first.made, second.made)
    assert first.own_token == second.own_token
    assert 0o600 == stat.S_IMODE((tmp_path / "state" / "web-token").stat().st_mode)
    assert Person(getpass.getuser(), Role.ADMINISTER) == second.person_with(first.own_token)


def test_two_that_start_at_once_have_one_token(tmp_path: Path) -> None:
    """Whoever comes second takes that of the first."""
    tokens = {Access(settings_of(tmp_path)).own_token for _ in range(5)}
    assert 1 == len(tokens)


@pytest.mark.parametrize("content", ["", "\n"])
def test_an_empty_token_lets_nobody_in(tmp_path: Path, content: str) -> None:
    """It is told, instead of being a token that anybody has."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "web-token").write_text(content)
    with pytest.raises(TokenFileError, match="is empty; remove it"):
        Access(settings_of(tmp_path))


def test_a_state_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    """With its path and the reason."""
    (tmp_path / "state").write_text("mine")
    with pytest.raises(TokenFileError, match="web-token, cannot be read or made"):
        Access(settings_of(tmp_path))


def test_a_session_ends_in_time_and_with_its_token(tmp_path: Path) -> None:
    """And when the role of its person changes; no part of it can be altered."""
    (tmp_path / "ann").write_text("secret\n")
    access = Access(settings_of(tmp_path, ann="operate"))
    ann = access.person_with("secret")
    assert ann == Person("ann", Role.OPERATE)
    session, ends_s = access.session(ann, NOW_S)
    assert ends_s == NOW_S + LASTS_S
    assert ann == access.person_of(session, NOW_S)
    assert ann == access.person_of(session, NOW_S + LASTS_S - 1)
    assert access.person_of(session, NOW_S + LASTS_S) is None
    assert access.person_of(session.replace("ann", getpass.getuser()), NOW_S) is None
    assert access.person_of(session.replace(str(ends_s), str(ends_s + 1)), NOW_S) is None
    assert Access(settings_of(tmp_path, ann="administer")).person_of(session, NOW_S) is None
    (tmp_path / "ann").write_text("renewed\n")
    assert access.person_of(session, NOW_S) is None
    assert ann == access.person_of("renewed", NOW_S)


def test_a_token_that_cannot_be_read_shuts_out_its_person_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And it is told which."""
    (tmp_path / "ann").write_text("secret\n")
    access = Access(settings_of(tmp_path, ann="view", bob="view"))
    assert Person("ann", Role.VIEW) == access.person_with("secret")
    assert "web.tokens.bob: nobody gets in with it" in caplog.text


def test_nobody_takes_the_name_of_this_hosts_own(tmp_path: Path) -> None:
    """A person of that name in the settings does not shut the own token out."""
    (tmp_path / getpass.getuser()).write_text("secret\n")
    access = Access(settings_of(tmp_path, **{getpass.getuser(): "view"}))
    own = access.person_of(access.own_token, NOW_S)
    assert (own, None) == (Person(getpass.getuser(), Role.ADMINISTER), access.person_of("secret", NOW_S))


@pytest.mark.parametrize(
    ("web", "told"),
    [
        ({"listen": "0.0.0.0:80"}, "tokens would cross the network in the clear"),
        ({"listen": "[::]:80"}, "tokens would cross the network in the clear"),
        ({"certificate": "a.pem"}, "give both certificate and key"),
        ({"listen": "127.0.0.1"}, "pattern"),
        ({"tokens": {"ann": {"token": "secret"}}}, "must say where the secret stands"),
    ],
)
def test_settings_that_would_let_others_in_are_refused(web: dict[str, Any], told: str) -> None:
    """Before anything is served."""
    with pytest.raises(ValueError, match=told):
        WebSettings.model_validate(web)


def test_with_a_certificate_the_page_is_served_anywhere() -> None:
    """Nothing crosses the network in the clear then."""
    assert WebSettings(listen="0.0.0.0:443", certificate="a.pem", key="a.key").certificate == "a.pem"
