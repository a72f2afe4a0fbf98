"""Configuration put back to what the service was well with: real files, a real history, a restart that is counted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from mendline.responders.action import ActionContext, OvertakenError, PermanentError
from mendline.responders.rollback_config import RollbackConfig, UpdateConfig
from mendline.responders.versions.files import read_files
from mendline.responders.versions.history import History, Version
from mendline.schemas.settings import CommandSettings, RollbackSettings, ServiceSettings
from mendline.schemas.versions import content_hash, version_hash


@dataclass
class Scene:
    """A service with one configuration file, whose versions are kept, and a restart that only counts."""

    folder: Path
    restarts: list[float] = field(default_factory=list)
    name: str = "restart"

    def __post_init__(self) -> None:
        """Have one version that is good in place."""
        self.file = self.folder / "web.conf"
        self.history = History(self.folder / "state", "web")
        self.file.write_text("good")
        self.good = self.keep()
        self.history.judge(self.good, "good")
        self.settings = ServiceSettings(config=(str(self.file),))

    def run(self, context: ActionContext) -> str:
        """Restart, for show."""
        self.restarts.append(context.timeout_s)
        return "process 2 in place of 1"

    def keep(self) -> Version:
        """Keep what is in place as a version."""
        return self.history.take(read_files([str(self.file)]))

    @property
    def rollback(self) -> RollbackConfig:
        """The action."""
        return RollbackConfig(self.folder / "state", self)

    @property
    def context(self) -> ActionContext:
        """What the executor tells it."""
        return ActionContext("i1", "host-1", "web", self.settings, 10.0)


@pytest.fixture(name="scene")
def _scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_the_last_good_version_is_put_back(scene: Scene) -> None:
    """The service takes it over by a restart, and what was in place is kept and called bad."""
    scene.file.write_text("bad")
    told = scene.rollback.run(scene.context)
    assert ("good", 1) == (scene.file.read_text(), len(scene.restarts))
    assert told.startswith(f"version {scene.good.short} in place of ")
    assert told.endswith("; restarted: process 2 in place of 1")
    bad = [one for one in scene.history.versions() if scene.history.is_judged(one, "bad")]
    assert ["bad"] == [scene.history.files(one)[str(scene.file)].data.decode() for one in bad]


def test_the_same_intent_is_done_once(scene: Scene) -> None:
    """Whatever was edited since: the answer is that of the first time."""
    scene.file.write_text("bad")
    told = scene.rollback.run(scene.context)
    scene.file.write_text("edited since")
    assert told == scene.rollback.run(scene.context)
    assert ("edited since", 1) == (scene.file.read_text(), len(scene.restarts))


def test_a_bad_version_is_never_gone_back_to(scene: Scene) -> None:
    """Two versions must not take turns."""
    scene.file.write_text("second")
    second = scene.keep()
    scene.history.judge(second, "good")
    scene.file.write_text("third")
    scene.rollback.run(scene.context)
    assert "second" == scene.file.read_text()
    scene.history.judge(second, "bad")
    scene.file.write_text("fourth")
    scene.rollback.run(replace(scene.context, intent="i2"))
    assert "good" == scene.file.read_text()


def test_what_the_service_was_well_with_is_not_the_cause(scene: Scene) -> None:
    """Nothing is changed, and nothing restarted."""
    with pytest.raises(PermanentError, match="the service was well with the configuration in place"):
        scene.rollback.run(scene.context)
    assert [] == scene.restarts


def test_without_a_good_version_nothing_is_done(tmp_path: Path) -> None:
    """A guess is no rollback."""
    scene = Scene(tmp_path)
    scene.history.judge(scene.good, "bad")
    scene.file.write_text("bad")
    with pytest.raises(PermanentError, match="no other version of web's configuration is known to be good"):
        scene.rollback.run(scene.context)
    assert ("bad", []) == (scene.file.read_text(), scene.restarts)


def test_what_its_check_refuses_is_not_left_in_place(scene: Scene) -> None:
    """A check without {path} looks at the files where the service will; what was there is put back."""
    check = CommandSettings(argv=("sh", "-c", f"grep -q bad {scene.file}"))
    scene.settings = ServiceSettings(
        config=(str(scene.file),), commands={"check": check}, rollback=RollbackSettings(check="check")
    )
    scene.file.write_text("bad")
    with pytest.raises(PermanentError, match="what was there is in place again, for the check refused"):
        scene.rollback.run(scene.context)
    assert ("bad", []) == (scene.file.read_text(), scene.restarts)


def test_a_service_may_take_files_over_by_a_command(scene: Scene) -> None:
    """A reload in place of a restart."""
    reload = CommandSettings(argv=("cp", str(scene.file), str(scene.folder / "loaded")))
    scene.settings = ServiceSettings(
        config=(str(scene.file),), commands={"reload": reload}, rollback=RollbackSettings(apply="reload")
    )
    scene.file.write_text("bad")
    scene.rollback.run(scene.context)
    assert ("good", []) == ((scene.folder / "loaded").read_text(), scene.restarts)


def test_a_service_that_was_started_since_is_left_alone(scene: Scene) -> None:
    """Somebody is at it."""
    scene.file.write_text("bad")
    with pytest.raises(OvertakenError, match="started anew"):
        scene.rollback.run(replace(scene.context, started_since="web was started anew"))
    assert "bad" == scene.file.read_text()


def test_an_edit_made_after_the_failure_stays(scene: Scene) -> None:
    """Somebody is mending it by hand; it is not called bad either. What was edited before is what failed."""
    scene.file.write_text("bad")
    changed_ms = scene.file.stat().st_ctime_ns // 1_000_000
    with pytest.raises(OvertakenError, match=r"web\.conf was edited after the evidence for this, and stays as it is"):
        scene.rollback.run(replace(scene.context, evidence_time=changed_ms - 1))
    assert ("bad", []) == (scene.file.read_text(), scene.restarts)
    assert not any(scene.history.is_judged(one, "bad") for one in scene.history.versions())
    scene.rollback.run(replace(scene.context, evidence_time=changed_ms))
    assert "good" == scene.file.read_text()


def test_what_an_earlier_life_left_beside_the_file_is_cleared(scene: Scene) -> None:
    """A kill right after the exchange leaves the old content under another name."""
    scene.file.write_text("bad")
    for end in ("new", "old"):
        (scene.folder / f".web.conf.mendline-{end}").write_text("left")
    scene.rollback.run(scene.context)
    assert ["state", "web.conf"] == sorted(path.name for path in scene.folder.iterdir())


def test_files_that_cannot_be_written_are_named(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the system's reason."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", str(scene.file))

    scene.file.write_text("bad")
    monkeypatch.setattr("mendline.responders.versions.files.write_entry", full)
    with pytest.raises(PermanentError, match=r"web\.conf cannot be written: No space left on device"):
        scene.rollback.run(scene.context)
    assert "bad" == scene.file.read_text()


def test_a_named_version_is_put_in_place(scene: Scene) -> None:
    """Forward or back, good or not: somebody asked for it; and only by its id."""
    scene.file.write_text("new")
    new = scene.keep()
    scene.file.write_text("good")
    update = UpdateConfig(scene.folder / "state", scene)
    update.run(replace(scene.context, parameters={"version": new.short}))
    assert ("new", 1) == (scene.file.read_text(), len(scene.restarts))
    with pytest.raises(PermanentError, match=r"no configuration version '\.\./x'"):
        update.run(replace(scene.context, intent="i2", parameters={"version": "../x"}))
    with pytest.raises(PermanentError, match="version is missing; add it"):
        update.run(replace(scene.context, intent="i3"))


def test_a_version_goes_by_the_name_of_its_contents_too(scene: Scene) -> None:
    """That is the same on every host, whatever else is in their histories: what the others have is put in place."""
    name = version_hash({str(scene.file): content_hash(b"good")})
    scene.file.write_text("drifted")
    update = UpdateConfig(scene.folder / "state", scene)
    told = update.run(replace(scene.context, parameters={"version": name}))
    assert ("good", 1) == (scene.file.read_text(), len(scene.restarts))
    assert told.startswith(f"version {scene.good.short} in place of ")
    unknown = version_hash({str(scene.file): content_hash(b"never was here")})
    with pytest.raises(PermanentError, match="no configuration version"):
        update.run(replace(scene.context, intent="i2", parameters={"version": unknown}))


@pytest.mark.parametrize(
    ("settings", "parameters", "says"),
    [(ServiceSettings(), {}, "services.web.config names no file"),
     (ServiceSettings(config=("a",)), {"to": "b"}, "to is no parameter; this action takes none, take it out")],
)  # fmt: skip
def test_a_wrong_use_is_named(scene: Scene, settings: ServiceSettings, parameters: dict[str, str], says: str) -> None:
    """And nothing is done."""
    with pytest.raises(PermanentError, match=says):
        scene.rollback.run(replace(scene.context, settings=settings, parameters=parameters))
