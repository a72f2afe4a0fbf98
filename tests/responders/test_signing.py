"""Signatures and keys: what is believed, and what a key file may be."""

from __future__ import annotations

import base64
import json
import threading
from pathlib import Path

import pytest

from mendline.responders.signing import (
    Beliefs,
    KeyFileError,
    KeyRing,
    PrivateKey,
    PublicKey,
    canonical,
    create_key,
    read_key,
    replace_key,
)
from mendline.schemas.records import NEWEST_MINOR, Command, ProbeEvent, Stop, decode_record, encode_record
from tests.responders.support import order, outcome


def command(**changes: object) -> Command:
    """Return a command with parameters of every type."""
    given = {
        "source": "planner",
        "time": 1,
        "intent": "i",
        "host": "h",
        "target": "h/web",
        "service": "web",
        "action": "restart",
        "parameters": {"b": 1.0, "a": "ü", "c": True, "d": 2},
        "deadline": 5,
        "timeout_ms": 7,
    }
    return Command.model_validate(given | changes)


def test_a_signature_survives_the_way_over_the_log(tmp_path: Path) -> None:
    """Encoded, counted on the way, decoded: still believed."""
    ring = KeyRing(tmp_path)
    signed = ring.sign(command()).model_copy(update={"epoch": 3, "sequence": 9})
    read = decode_record(encode_record(signed))
    assert isinstance(read, Command)
    assert ring.why_not(read) is None


@pytest.mark.parametrize("change", [{"service": "db"}, {"deadline": 6}, {"parameters": {"b": 2.0}}, {"time": 2}])
def test_a_changed_record_is_not_believed(tmp_path: Path, change: dict[str, object]) -> None:
    """Every field that means something is under the signature."""
    ring = KeyRing(tmp_path)
    changed = ring.sign(command()).model_copy(update=change)
    assert "is wrong" in (ring.why_not(changed) or "")


def newer(event: ProbeEvent, ring: KeyRing, **more: object) -> dict[str, object]:
    """Return the event as a newer version would write it, with fields of its own, signed by that version."""
    bare = event.model_copy(update={"minor": NEWEST_MINOR + 1})
    unknown = ProbeEvent.model_validate({**bare.model_dump(exclude_none=True), **more}, extra="allow")
    fields: dict[str, object] = json.loads(encode_record(ring.sign(unknown)))
    return fields


def test_the_signature_of_a_newer_event_is_believed_with_all_that_it_signed(tmp_path: Path) -> None:
    """However often it is read and written by those who know part of it; a changed part is noticed."""
    ring = KeyRing(tmp_path)
    text = newer(ProbeEvent(source="h", time=1, probe="p", ok=False), ring, later={"a": [1]})
    read = decode_record(encode_record(decode_record(json.dumps(text).encode())))
    forged = decode_record(json.dumps(text | {"later": {"a": [2]}}).encode())
    assert isinstance(read, ProbeEvent)
    assert isinstance(forged, ProbeEvent)
    assert ring.why_not(read) is None
    assert "is wrong" in (ring.why_not(forged) or "")


def test_a_newer_command_of_which_a_part_is_not_known_is_not_believed(tmp_path: Path) -> None:
    """What is not understood may be the word "not"."""
    writer = PrivateKey.generate()
    ring = KeyRing(tmp_path, Beliefs(trust=[writer.public]))
    bare = command(minor=NEWEST_MINOR + 1)
    signature = {"key": writer.public.id, "value": writer.sign(canonical(bare)[:-1] + b',"zzz":1}')}
    text = json.loads(encode_record(bare)) | {"zzz": 1, "signature": signature}
    read = decode_record(json.dumps(text).encode())
    assert isinstance(read, Command)
    assert "is wrong" in (ring.why_not(read) or "")


def test_the_same_record_has_the_same_signature(tmp_path: Path) -> None:
    """Ed25519 is deterministic, so a repeated command is the same to the byte."""
    ring = KeyRing(tmp_path)
    assert encode_record(ring.sign(command())) == encode_record(ring.sign(command()))


def test_an_unsigned_or_strange_record_is_not_believed(tmp_path: Path) -> None:
    """No signature and an unknown key are told apart, and the message says what to do."""
    ring, other = KeyRing(tmp_path / "a"), KeyRing(tmp_path / "b")
    assert ring.why_not(command()) == "it is not signed"
    assert "keys.trust" in (ring.why_not(other.sign(command())) or "")
    friend = KeyRing(tmp_path / "a", Beliefs(trust=[other.public]))
    assert friend.why_not(other.sign(command())) is None
    assert list(friend.listed()) == [(ring.public, "own"), (other.public, "trusted")]


def test_a_signature_is_of_one_type_of_record(tmp_path: Path) -> None:
    """The type stands under the signature, defaults do not."""
    signed = canonical(Stop(source="s", time=1, by="ann"))
    assert b'"type":"stop"' in signed
    assert b"reason" not in signed
    assert b'"active"' not in signed


def test_the_canonical_form_stays_what_it_is() -> None:
    """What is signed is a promise to every other version."""
    assert canonical(command()).decode() == (
        '{"action":"restart","deadline":5,"host":"h","intent":"i","parameters":{"a":"ü","b":1.0,"c":true,"d":2},'
        '"service":"web","source":"planner","target":"h/web","time":1,"timeout_ms":7,"type":"command","version":1}'
    )


def test_keys_are_plain_ed25519() -> None:
    """The first test vector of RFC 8032, section 7.1."""
    key = PrivateKey(bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
    assert key.public.raw.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    signature = base64.b64decode(key.sign(b""))
    assert signature.hex().startswith("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155")
    assert key.public.verifies(b"", base64.b64encode(signature).decode())
    assert not key.public.verifies(b"", "nonsense")


def test_a_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    """Made at the first use with mode 0600, kept afterwards, never printed."""
    path = tmp_path / "keys" / "own.key"
    key = create_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert create_key(path) == key
    assert list(path.parent.iterdir()) == [path]
    assert path.read_text().strip() not in repr(key)


def test_programs_that_make_the_key_at_the_same_time_get_the_same(tmp_path: Path) -> None:
    """The first to link its draft wins, the others read that one."""
    path, found, barrier = tmp_path / "own.key", [], threading.Barrier(8)

    def make() -> None:
        barrier.wait()
        found.append(create_key(path))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({key.raw for key in found}) == 1


def test_a_key_behind_a_link_is_replaced_there(tmp_path: Path) -> None:
    """For its owner only; what was the old one's is zeros, for whoever finds it."""
    real, link, found_later = tmp_path / "real", tmp_path / "own.key", tmp_path / "found"
    create_key(real)
    link.symlink_to(real)
    found_later.hardlink_to(real)
    key = PrivateKey.generate()
    replace_key(link, key)
    assert (key.raw, key.raw, True) == (read_key(real).raw, read_key(link).raw, link.is_symlink())
    assert {0} == set(found_later.read_bytes())


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """The message says how to put it right."""
    path = tmp_path / "own.key"
    create_key(path)
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        read_key(path)


def test_a_file_that_holds_no_key_is_refused(tmp_path: Path) -> None:
    """Neither nonsense nor a key of another length."""
    path = tmp_path / "own.key"
    for content in ("", "hello", "aGVsbG8="):
        path.write_text(content)
        path.chmod(0o600)
        with pytest.raises(KeyFileError, match="holds no key"):
            read_key(path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Where the key should be, and why it cannot."""
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyFileError, match=r"own\.key cannot be made: File exists"):
        create_key(tmp_path / "file" / "own.key")


def test_a_public_key_that_is_none_is_refused() -> None:
    """Settings may hold anything."""
    with pytest.raises(KeyFileError, match="'nonsense' is no public key"):
        PublicKey.parse("nonsense")
    with pytest.raises(KeyFileError, match="no public key"):
        PublicKey.parse("aGVsbG8=")


def test_an_agents_key_vouches_for_its_own_host_alone(tmp_path: Path) -> None:
    """For outcomes there, and for nothing else."""
    agent = KeyRing(tmp_path / "agent")
    planner = KeyRing(tmp_path / "planner", Beliefs(agents={"host-1": [agent.public]}))
    assert planner.why_not(agent.sign(outcome(command(host="host-1")))) is None
    assert "keys.agents under host-2" in (planner.why_not(agent.sign(outcome(command(host="host-2")))) or "")
    assert "keys.trust" in (planner.why_not(agent.sign(order("approve"))) or "")
    assert "not signed" in (planner.why_not(outcome(command(host="host-1"))) or "")
