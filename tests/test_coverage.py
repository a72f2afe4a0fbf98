"""What `mendline check` says about policies: of each service, what would be done about each kind of fault."""

from __future__ import annotations

from typing import Any

from mendline.coverage import NOBODY, coverage, covers, is_eclipsed
from mendline.schemas.settings import Settings


def made(*policies: dict[str, Any], **more: Any) -> Settings:
    """Return the settings of a host with these policies, that act by themselves, and the service web."""
    named = [{"name": f"p{number}", "mode": "auto", "play": [{"action": "restart"}], **one}
             for number, one in enumerate(policies)]  # fmt: skip
    return Settings.model_validate({"name": "h", "services": {"web": {}}, "policies": named, **more})


def told(*policies: dict[str, Any], **more: Any) -> dict[str, str]:
    """Return for each kind of fault of the service web what is said."""
    settings = made(*policies, **more)
    return {kind: done for done, kinds in coverage(settings, "web") for kind in kinds}


def test_kinds_without_a_policy_are_told() -> None:
    """Nothing is done about them, which may be a surprise at night."""
    said = told({"when": {"kind": ["dead"]}})
    assert ("p0 (auto: restart)", NOBODY) == (said["dead"], said["hung"])


def test_the_first_policy_counts_and_others_where_it_asks_for_more() -> None:
    """A policy with a condition leaves the rest to those after it."""
    after_change = {"when": {"cause": "configuration"}, "play": [{"action": "command"}, {"action": "ask"}]}
    said = told(after_change, {"when": {"target": "w*"}}, {"when": {"kind": ["dead"]}})
    assert "p0 (auto: command, then ask) if cause is configuration, else p1 (auto: restart)" == said["dead"]


def test_what_is_for_another_service_does_not_count() -> None:
    """Patterns of targets are taken as the planner takes them."""
    assert NOBODY == told({"when": {"target": "h/db"}})["dead"]


def test_labels_and_groups_of_this_host_are_known() -> None:
    """A policy for others is not among those that count here."""
    ours = {"when": {"labels": {"team": "sh*"}, "group": "front"}}
    theirs = {"when": {"labels": {"team": "ops"}}, "play": [{"action": "command"}]}
    services = {"web": {"labels": {"team": "shop", "tier": "1"}}}
    said = told(theirs, ours, services=services, groups={"front": ["h*"]})
    assert "p1 (auto: restart)" == said["dead"]
    assert NOBODY == told(theirs, ours, services=services, groups={"front": ["x"]})["dead"]


def test_what_several_policies_before_it_take_away_is_eclipsed() -> None:
    """Each takes some of its kinds; one with a condition takes nothing for sure."""
    first, second = ({"when": {"kind": [kind]}} for kind in ("dead", "hung"))
    late = {"when": {"target": "web", "kind": ["dead", "hung"]}}
    assert is_eclipsed(made(first, second, late), 2)
    assert not is_eclipsed(made(first, late), 1)
    assert not is_eclipsed(made(first, {"when": {"kind": ["hung"], "cause": "configuration"}}, late), 2)
    assert not is_eclipsed(made({"when": {"target": "web"}}, {}), 1)


def test_what_asks_for_more_labels_is_covered() -> None:
    """Whoever has those has the others."""
    one, other = made({"when": {"labels": {"a": "1"}}}, {"when": {"labels": {"a": "1", "b": "2"}}}).policies
    assert (True, False) == (covers(one, other), covers(other, one))
    one, other = made({}, {"when": {"group": "g"}}, groups={"g": ["h"]}).policies
    assert (True, False) == (covers(one, other), covers(other, one))


def test_delicate_kinds_are_held_unless_they_are_named() -> None:
    """A restart may harm what is only stopped by a person."""
    assert "held until a person approves" in told({})["stopped"]
    assert "held" not in told({"when": {"kind": ["stopped"]}})["stopped"]
    assert "held" not in told({"mode": "ask"})["stopped"]


def test_kinds_of_configured_detectors_are_among_them() -> None:
    """By their own word, or the one that the settings give; corrupt data only where data are declared."""
    detectors = [{"name": "a", "use": "zscore"}, {"name": "b", "use": "zscore", "kind": "slow"},
                 {"name": "c", "use": "zscore", "kind": "other", "match": {"service": "db"}}]  # fmt: skip
    said = told({}, detectors=detectors)
    assert {"unusual", "slow"} <= said.keys()
    assert not {"other", "corrupt"} & said.keys()
