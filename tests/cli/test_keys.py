"""Keys on the command line: made, shown, rotated, revoked, and the private half never printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mendline.config import load_settings
from mendline.keys import key_ring
from mendline.responders.signing import KeyRing
from mendline.schemas.records import ProcessEvent
from tests.cli.support import NOW, Caller, write_config

LONG_AGO = ProcessEvent(source="host-1", epoch=1, sequence=1, time=NOW, service="web", state="exited", pid=7)
IN_A_CENTURY = LONG_AGO.model_copy(update={"time": NOW + 100 * 365 * 86_400_000})


def ring(config: Path) -> KeyRing:
    """Return the keys as the settings and the folder give them now."""
    return key_ring(load_settings(config))


def own_key(config: Path) -> bytes:
    """Return what stands in the file of the private key."""
    return (config.parent / "state" / "keys" / "own.key").read_bytes()


def shown(call: Caller, config: Path) -> dict[str, str]:
    """Return what each key counts for, by its id, as `keys show` tells."""
    found = [json.loads(line) for line in call("keys", "show", "-c", config, "--json").out.splitlines()]
    return {one["id"]: one["why"] for one in found}


def test_what_was_signed_before_a_rotation_counts_until_its_grace_is_over(call: Caller, config: Path) -> None:
    """The records under way are believed, later ones with the old key are not, those with the new one are."""
    before = ring(config)
    assert 0 == call("keys", "rotate", "-c", config).status
    after = ring(config)
    assert before.public != after.public
    assert after.why_not(before.sign(LONG_AGO)) is None
    assert "was rotated out and counts up to" in (after.why_not(before.sign(IN_A_CENTURY)) or "")
    assert after.why_not(after.sign(IN_A_CENTURY)) is None
    assert {"own", f"own until {shown(call, config)[before.public.id][-20:]}"} == set(shown(call, config).values())


def test_a_rotation_says_what_is_to_be_done_and_destroys_the_private_half(call: Caller, config: Path) -> None:
    """Both public halves are told, with the settings they go into; no private one is, nor stays in the file."""
    before, secret = ring(config).public, own_key(config)
    same_file = (config.parent / "state" / "keys" / "own.key").open("rb")
    ran = call("keys", "rotate", "--grace", "1h", "-c", config)
    after = ring(config).public
    assert f'keys.agents.host-1, write ["{before.text}", "{after.text}"]' in ran.out
    assert ran.out.index("keys.agents") < ran.out.index("`mendline reload` here")
    with same_file:
        assert bytes(len(secret)) == same_file.read()
    everything = "".join(call("keys", *words, "-c", config).out for words in (("show",), ("init",))) + ran.out + ran.err
    assert not [one for one in (secret, own_key(config)) if one.decode().strip() in everything]


@pytest.mark.parametrize("subject", ["id", "host"])
def test_a_revoked_key_counts_for_nothing(call: Caller, tmp_path: Path, subject: str) -> None:
    """It is named by its id or by its host, and what the settings say of it does not help; the list tells."""
    agent = KeyRing(tmp_path / "agent")
    keys = {"agents": {"host-1": agent.public.text}, "trust": [agent.public.text]}
    config = write_config(tmp_path, keys=keys)
    event = agent.sign(LONG_AGO)
    assert ring(config).why_not(event) is None
    ran = call("keys", "revoke", agent.public.id if subject == "id" else "host-1", "-c", config)
    assert f"revoked: [{agent.public.id}]" in ran.out
    assert "is revoked" in (ring(config).why_not(event) or "")
    assert "revoked (agent of host-1)" == shown(call, config)[agent.public.id]


def test_settings_revoke_as_well(tmp_path: Path) -> None:
    """So one file for all hosts does it; a key that was rotated out loses its grace."""
    before = ring(write_config(tmp_path))
    config = write_config(tmp_path, keys={"revoked": [before.public.id], "trust": [before.public.text]})
    assert "is revoked" in (ring(config).why_not(before.sign(LONG_AGO)) or "")


def test_the_own_key_is_rotated_before_it_is_revoked(call: Caller, config: Path) -> None:
    """Otherwise this host would sign what nobody believes; then the old one can be."""
    before = ring(config)
    refused = call("keys", "revoke", before.public.id, "-c", config)
    assert refused.status != 0
    assert "run `mendline keys rotate` first" in refused.err
    call("keys", "rotate", "-c", config)
    assert 0 == call("keys", "revoke", before.public.id, "-c", config).status
    assert "is revoked" in (ring(config).why_not(before.sign(LONG_AGO)) or "")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("revoke", "web-9"), "web-9: neither a key nor a host with one is known here"),
        (("rotate", "--grace", "soon"), "--grace"),
    ],
)
def test_what_cannot_be_done_is_said(call: Caller, config: Path, words: tuple[str, ...], told: str) -> None:
    """And nothing is changed."""
    before = ring(config).public
    ran = call("keys", *words, "-c", config)
    assert ran.status != 0
    assert told in ran.err
    assert before == ring(config).public


def test_damaged_notes_are_not_passed_over(call: Caller, config: Path) -> None:
    """Else a key that was revoked would count again."""
    ring(config)
    notes = config.parent / "state" / "keys" / "notes.json"
    notes.write_text("{}x")
    ran = call("keys", "show", "-c", config)
    assert ran.status != 0
    assert f"{notes.name}, which keys were rotated out or revoked, cannot be read" in ran.err


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"agents": {"web-1": ["nonsense"]}}, "keys.agents.web-1: 'nonsense' is no public key"),
        ({"revoked": ["web-1"]}, "keys.revoked.0: 'web-1' is no id of a key"),
    ],
)
def test_settings_that_name_no_key_are_refused(call: Caller, tmp_path: Path, keys: object, told: str) -> None:
    """With the place in the file."""
    ran = call("keys", "show", "-c", write_config(tmp_path, keys=keys))
    assert ran.status != 0
    assert told in ran.err


def test_an_agent_may_have_several_keys(tmp_path: Path) -> None:
    """For the time in which a host turns from one to the other."""
    old, new = KeyRing(tmp_path / "old"), KeyRing(tmp_path / "new")
    config = write_config(tmp_path, keys={"agents": {"host-1": [old.public.text, new.public.text]}})
    assert [None, None] == [ring(config).why_not(one.sign(LONG_AGO)) for one in (old, new)]
