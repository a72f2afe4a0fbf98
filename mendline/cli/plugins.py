"""What can be plugged in, and what is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mendline.cli.options import json_option

if TYPE_CHECKING:
    from mendline.schemas.series import Series


@click.group()
def plugins() -> None:
    """Look at the detectors that are installed."""


@plugins.command(name="list")
@json_option
def list_plugins(*, as_json: bool) -> None:
    """List the registered detectors with their parameters and defaults.

    Example: mendline plugins list
    """
    import json

    from mendline.detectors.registry import find, registered

    for name, path in registered().items():
        detector = find(name)
        summary = (detector.__doc__ or "").strip().splitlines()[0]
        fields = detector.Parameters.model_fields
        if as_json:
            parameters = {key: None if field.is_required() else field.default for key, field in fields.items()}
            click.echo(
                json.dumps({"name": name, "class": path, "summary": summary, "parameters": parameters}, default=str)
            )
            continue
        click.echo(f"{name:12} {summary}\n{'':12} {path}")
        for key, field in fields.items():
            default = "required" if field.is_required() else f"default {field.default}"
            click.echo(f"{'':12} {key}: {default}" + (f"; {field.description}" if field.description else ""))


@plugins.command(name="check")
@click.argument("detector", metavar="MODULE:CLASS")
@click.option(
    "--parameter", "-p", "parameters", multiple=True, metavar="KEY=VALUE", help="Of the detector; repeatable."
)
@click.option(
    "--anomaly",
    type=float,
    multiple=True,
    default=(500.0,),
    show_default=True,
    metavar="VALUE",
    help="What is not healthy, where healthy is about 50; repeatable: successive windows, nan for a missing one.",
)
@click.option(
    "--series",
    multiple=True,
    metavar="METRIC",
    help="Of one that looks at several series of a source (up to 6): the first is to be unhealthy; repeatable.",
)
@json_option
def check_plugin(
    detector: str, parameters: tuple[str, ...], anomaly: tuple[float, ...], series: tuple[str, ...], *, as_json: bool
) -> None:
    """Run Mendline's own checks on a detector, registered or MODULE:CLASS. Status 1 when it fails any.

    Example: mendline plugins check jump:Jump
    """
    import json

    from mendline.cli.options import parameters_of
    from mendline.detectors.registry import find
    from mendline.testing.detectors import CheckFailedError, check_detector

    failed = 0
    columns = _columns(series)
    for check in check_detector(find(detector), parameters_of(parameters), anomaly=anomaly, columns=columns):
        try:
            check.run()
            why = ""
        except CheckFailedError as error:
            why, failed = str(error), failed + 1
        if as_json:
            click.echo(json.dumps({"check": check.name, "passed": not why, "why": why or None}))
        else:
            click.echo(f"{'failed' if why else 'passed'}  {check.name}" + (f"\n        {why}" if why else ""))
    if failed:
        raise click.exceptions.Exit(1)


def _columns(metrics: tuple[str, ...]) -> list[Series]:
    """Return the series of a source of the checks, by their metrics."""
    from mendline.schemas.series import Series
    from mendline.testing.detectors import SERIES

    if metrics and SERIES % len(metrics):
        msg = f"--series: the checks divide {SERIES} series among sources; give 1, 2, 3 or 6 (given: {len(metrics)})"
        raise click.UsageError(msg)
    return [Series(metric=metric) for metric in metrics]
