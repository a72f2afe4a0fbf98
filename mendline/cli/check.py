"""Whether a configuration will work here, and why not."""

from __future__ import annotations

from pathlib import Path

import click

from mendline.cli.options import config_option, json_option

NO = 1


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@config_option
@json_option
def check(file: Path | None, config: Path, *, as_json: bool) -> None:
    """Say whether FILE will work on this host, and why not. Changes nothing. Exit status 1 when it will not.

    Without FILE it is about the file that all other commands take.

    Example: mendline check mendline.yaml
    """
    import json

    from mendline.checking import check_all
    from mendline.config import load_settings
    from mendline.finding import Finding

    checked = file or config
    read = Finding("ok", "file", f"{checked.absolute()} is read")
    findings = [read, *check_all(load_settings(checked), checked)]
    colours = {"ok": "green", "warning": "yellow", "wrong": "red"}
    for finding in findings:
        if as_json:
            click.echo(json.dumps(finding._asdict()))
        else:
            click.echo(
                click.style(f"{finding.verdict:8}", colours[finding.verdict]) + f"{finding.about}: {finding.text}"
            )
    wrong, doubts = (sum(finding.verdict == verdict for finding in findings) for verdict in ("wrong", "warning"))
    if not as_json:
        good = f"This will work; mind the warnings above ({doubts})." if doubts else "This will work."
        click.echo(f"This will not work: see what is wrong above ({wrong})." if wrong else good)
    raise click.exceptions.Exit(NO if wrong else 0)
