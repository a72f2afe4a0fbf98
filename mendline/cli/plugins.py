"""What can be plugged in, and what is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mendline.cli.options import json_option

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic.fields import FieldInfo

    from mendline.schemas.series import Series
    from mendline.testing.detectors import Check


@click.group()
def plugins() -> None:
    """Look at the detectors and actions that are installed."""


@plugins.command(name="list")
@json_option
def list_plugins(*, as_json: bool) -> None:
    """List the registered detectors with their parameters and defaults, then the actions of installed packages.

    Example: mendline plugins list
    """
    import json

    from mendline.detectors.registry import find, registered

    for name, path in registered().items():
        detector = find(name)
        summary = (detector.__doc__ or "").strip().splitlines()[0]
        fields = detector.Parameters.model_fields
        if as_json:
            parameters = {key: _default(field) for key, field in fields.items()}
            click.echo(
                json.dumps({"name": name, "class": path, "summary": summary, "parameters": parameters}, default=str)
            )
            continue
        click.echo(f"{name:12} {summary}\n{'':12} {path}")
        for key, field in fields.items():
            default = "required" if field.is_required() else f"default {_default(field)}"
            click.echo(f"{'':12} {key}: {default}" + (f"; {field.description}" if field.description else ""))
    _list_actions(as_json=as_json)


def _default(field: FieldInfo) -> object:
    """Return what the parameter is when nobody gives it, None where somebody must."""
    return None if field.is_required() else field.get_default(call_default_factory=True)


def _list_actions(*, as_json: bool) -> None:
    import json

    from mendline.responders.plugins import find_action, installed

    for name, path in installed().items():
        summary = (find_action(name).__doc__ or "").strip().partition("\n")[0]
        line = {"name": name, "class": path, "summary": summary, "kind": "action"}
        click.echo(json.dumps(line) if as_json else f"{name:12} (action) {summary}\n{'':12} {path}")


@plugins.command(name="check")
@click.argument("plugin", metavar="NAME|MODULE:CLASS")
@click.option("--parameter", "-p", "parameters", multiple=True, metavar="KEY=VALUE", help="Of the plug-in; repeatable.")
@click.option(
    "--anomaly",
    type=float,
    multiple=True,
    default=(500.0,),
    show_default=True,
    metavar="VALUE",
    help="Detector: what is not healthy, where healthy is about 50; repeatable: successive windows, nan for a missing "
    "one.",
)
@click.option(
    "--series",
    multiple=True,
    metavar="METRIC",
    help="Detector that looks at several series of a source (up to 6): the first is to be unhealthy; repeatable.",
)
@click.option(
    "--service",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Action: YAML file with the settings of a service, as under services.NAME, on which it is tried.",
)
@click.option(
    "--watch",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Action: file or folder that it changes: a second run for the same intent must leave it alone; repeatable.",
)
@click.option(
    "--slow",
    multiple=True,
    metavar="KEY=VALUE",
    help="Action: parameters with which it would take seconds, to see it stop in time; repeatable.",
)
@json_option
def check_plugin(
    plugin: str,
    parameters: tuple[str, ...],
    anomaly: tuple[float, ...],
    series: tuple[str, ...],
    service: Path | None,
    watch: tuple[Path, ...],
    slow: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Run Mendline's own checks on a detector or an action, registered or MODULE:CLASS. Status 1 when it fails any.

    An action is run for real, several times: on a service that was made for it.

    Example: mendline plugins check jump:Jump
    """
    from mendline.cli.options import parameters_of

    if service or watch or slow or _is_action(plugin):
        checks = _checks_of_action(plugin, parameters_of(parameters), service, watch, parameters_of(slow))
    else:
        checks = _checks_of_detector(plugin, parameters_of(parameters), anomaly, series)
    if _failures(checks, as_json=as_json):
        raise click.exceptions.Exit(1)


def _failures(checks: Iterable[Check], *, as_json: bool) -> int:
    """Run the checks, print a line of each, and return how many failed."""
    import json

    from mendline.testing.detectors import CheckFailedError

    failed = 0
    for check in checks:
        try:
            check.run()
            why = ""
        except CheckFailedError as error:
            why, failed = str(error), failed + 1
        if as_json:
            click.echo(json.dumps({"check": check.name, "passed": not why, "why": why or None}))
        else:
            click.echo(f"{'failed' if why else 'passed'}  {check.name}" + (f"\n        {why}" if why else ""))
    return failed


def _checks_of_detector(
    name: str, parameters: Mapping[str, Any], anomaly: tuple[float, ...], series: tuple[str, ...]
) -> Iterable[Check]:
    from mendline.detectors.registry import find
    from mendline.testing.detectors import check_detector

    return check_detector(find(name), parameters, anomaly=anomaly, columns=_columns(series))


def _is_action(name: str) -> bool:
    """Say whether the name is that of an action, or the dotted path of a class that looks like one."""
    from mendline.responders.plugins import ActionPluginError, find_action

    try:
        find_action(name)
    except ActionPluginError:
        return False
    return True


def _checks_of_action(
    name: str, parameters: Mapping[str, Any], service: Path | None, watch: tuple[Path, ...], slow: Mapping[str, Any]
) -> Iterable[Check]:
    import yaml
    from pydantic import ValidationError

    from mendline.responders.plugins import find_action
    from mendline.schemas.settings import ServiceSettings
    from mendline.testing.actions import Trial, check_action

    try:
        settings = ServiceSettings.model_validate(yaml.safe_load(service.read_text()) if service else {})
    except (ValidationError, yaml.YAMLError) as error:
        msg = f"--service {service}: {error}"
        raise click.UsageError(msg) from error
    trial = Trial(settings, parameters, slow, lambda: [_content(path) for path in watch])
    return check_action(find_action(name), trial)


def _content(path: Path) -> object:
    """Return what is in a file, or in all files below a folder; None when it is not there."""
    if path.is_dir():
        return {str(one): one.read_bytes() for one in sorted(path.rglob("*")) if one.is_file()}
    return path.read_bytes() if path.exists() else None


def _columns(metrics: tuple[str, ...]) -> list[Series]:
    """Return the series of a source of the checks, by their metrics."""
    from mendline.schemas.series import Series
    from mendline.testing.detectors import SERIES

    if metrics and SERIES % len(metrics):
        msg = f"--series: the checks divide {SERIES} series among sources; give 1, 2, 3 or 6 (given: {len(metrics)})"
        raise click.UsageError(msg)
    return [Series(metric=metric) for metric in metrics]
