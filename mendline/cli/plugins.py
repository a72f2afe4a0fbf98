"""What can be plugged in, and what is."""

from __future__ import annotations

import click

from mendline.cli.options import json_option


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
