"""A version put in the place of another: checked before it is in place, and ended once after a crash anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from mendline.responders.action import OvertakenError, PermanentError, TemporaryError
from mendline.responders.versions import files as module
from mendline.responders.versions.files import Entry, put_in_place, read_files
from mendline.responders.versions.replacement import Replacement
from mendline.responders.versions.validation import laid_out
from tests.responders.versions.support import Killer, Service, killed_at

MOST_STEPS = 20
NEVER = Killer(-1)


@pytest.fixture(name="service")
def _service(tmp_path: Path) -> Service:
    """Return a service with a good version, and a bad one in place."""
    return scene(tmp_path, "aside")


def scene(folder: Path, aside: str) -> Service:
    """Return a service with a good version, and a bad one in place."""
    folder.mkdir(exist_ok=True)
    service = Service(folder, aside)
    service.write("good")
    service.history.judge(service.history.take(read_files(service.settings.config)), "good")
    service.write("bad")
    return service


def left_beside(service: Service) -> list[str]:
    """Return what lies beside the files and the history that does not belong there."""
    places = (service.files[0].parent, service.history.folder.parent, service.history.folder)
    names = [path.name for place in places for path in place.iterdir()]
    return [name for name in names if "mendline-" in name or name.endswith("candidate")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("aside", "ends"),
    [
        # check, note | a, b | judge, take over, remember, forget: whose files are in place after the next start
        ("aside", [("bad", 0)] * 3 + [("good", 1)] * 5),
        ("in place", [("bad", 0)] * 4 + [("good", 1)] * 4),
    ],
)
def test_a_crash_at_any_step_is_ended_once(tmp_path: Path, aside: str, ends: list[tuple[str, int]]) -> None:
    """Files are the old ones or the new ones as a whole afterwards, and where they are new the service has them."""
    seen = []
    for number in range(MOST_STEPS):
        service = scene(tmp_path / str(number), aside)
        if not killed_at(service, number):
            break
        service.end()
        (content,) = set(service.content())
        seen.append((content, len(service.started())))
        bad = [one for one in service.history.versions() if service.history.is_judged(one, "bad")]
        assert (content == "good") == bool(bad)
        assert service.end() is None
        assert [] == left_beside(service)
    assert ends == seen


def test_what_is_valid_is_known_before_it_is_in_place(service: Service) -> None:
    """What its check refuses never was there: not even its time of change has changed."""
    service.write("refused")
    refused = service.history.take(read_files(service.settings.config))
    service.write("good")
    now, before = read_files(service.settings.config), [file.stat() for file in service.files]
    with pytest.raises(PermanentError, match="the files in place were not touched, for the check refused the other"):
        service.replacement(NEVER).run(now, service.history.take(now), refused, is_bad=False)
    assert before == [file.stat() for file in service.files]
    assert ([], []) == (service.started(), left_beside(service))


def test_a_check_that_looks_in_place_has_what_it_refuses_taken_back(tmp_path: Path) -> None:
    """It sees the files where the service does."""
    service = scene(tmp_path, "in place")
    service.write("refused")
    refused = service.history.take(read_files(service.settings.config))
    service.write("good")
    now = read_files(service.settings.config)
    with pytest.raises(PermanentError, match="what was there is in place again, for the check refused the other"):
        service.replacement(NEVER).run(now, service.history.take(now), refused, is_bad=False)
    assert (["good", "good"], [], None) == (service.content(), service.started(), service.end())


def test_a_service_that_was_started_since_is_not_restarted(service: Service) -> None:
    """It has read the files that a life put in place that was cut off before it could restart it."""
    stopped = service.replacement(NEVER)
    _die_at(stopped, service)
    assert ["good", "good"] == service.content()
    ended = service.replacement(NEVER).end_unfinished(started_at=2**60)
    assert ended
    assert ended.text.endswith("its service was started since, and has read it")
    assert [] == service.started()


def _die_at(replacement: Replacement, service: Service) -> None:
    """Be cut off between the exchange and the restart, as a kill does: the note stays."""
    now = read_files(service.settings.config)
    good = next(one for one in service.history.versions() if service.history.is_judged(one, "good"))

    def away() -> str:
        msg = "systemd is about to restart it"
        raise TemporaryError(msg)

    object.__setattr__(replacement, "take_over", away)
    with pytest.raises(TemporaryError):
        replacement.run(now, service.history.take(now), good, is_bad=True)


def test_another_try_goes_on_where_the_first_could_not(service: Service) -> None:
    """As while systemd is about to restart the service: the files are in place, and it is restarted once."""
    _die_at(service.replacement(NEVER), service)
    ended = service.end()
    assert ended
    assert ended.text.endswith("; restarted")
    assert (1, None) == (len(service.started()), service.end())


def test_an_edit_made_since_the_crash_stays(service: Service) -> None:
    """Somebody is at it; nothing is restarted."""
    _die_at(service.replacement(NEVER), service)
    service.files[1].write_text("mended by hand")
    ended = service.end()
    assert ended
    assert "somebody edited it since, so all stays as it is" in ended.text
    assert (["good", "mended by hand"], []) == (service.content(), service.started())


def test_links_lead_to_one_another_where_they_are_laid_out(tmp_path: Path) -> None:
    """What a check reads there is the version's own; the folder is for nobody else, and gone afterwards."""
    a, b, link = str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path / "link")
    files = {a: Entry(b"new", mode=0o640), link: Entry(a.encode(), link=True), b: Entry(b"/etc/hostname", link=True)}
    Path(a).write_text("old")
    with laid_out(files, tmp_path / "side") as side:
        assert "new" == Path(f"{side}{link}").read_text()
        assert "/etc/hostname" == str(Path(f"{side}{b}").readlink())
        assert (0o700, 0o640) == (side.stat().st_mode & 0o777, Path(f"{side}{a}").stat().st_mode & 0o777)
    assert not side.exists()


def test_of_several_files_none_stays_changed_when_one_cannot_be(tmp_path: Path) -> None:
    """An edit of the second file puts the first one back."""
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        path.write_text("old")
    old = read_files(map(str, paths))
    new = {path: entry._replace(data=b"new") for path, entry in old.items()}
    paths[1].write_text("mended by hand")
    with pytest.raises(OvertakenError, match="b was edited meanwhile"):
        put_in_place(old, new)
    assert ["old", "mended by hand"] == [path.read_text() for path in paths]


def test_a_damaged_note_is_left_to_people(service: Service) -> None:
    """With what to do."""
    (service.history.folder / "mendline-unfinished.json").write_text("{")
    with pytest.raises(module.VersionError, match=r"mendline-unfinished\.json is damaged .* then remove it"):
        service.end()
