"""Run a local Kafka in the foreground until Ctrl-C: `python -m mendline.testing.kafka --port 9092`."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import click

from mendline.testing.kafka import LocalKafka, LocalKafkaError, cache_folder
from mendline.testing.kafka.jars import VERSION


@click.command()
@click.option("--port", default=9092, show_default=True, help="Port on localhost.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".mendline", "kafka"),
    show_default=True,
    help="Folder of the data, which stay when Kafka stops. Delete it to begin anew.",
)
@click.option("--nodes", default=1, show_default=True, help="Brokers; the first listens on --port.")
def main(port: int, data: Path, nodes: int) -> None:
    """Run Apache Kafka on this machine until Ctrl-C."""
    # Both are set: a shell's background job has Ctrl-C ignored, and whoever ends it by SIGINT would wait for ever.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    try:
        if not cache_folder().is_dir():
            click.echo(f"Fetching Apache Kafka {VERSION} (45 MB, once) …", err=True)
        _serve(LocalKafka(data, port=port, nodes=nodes))
    except LocalKafkaError as error:
        raise click.ClickException(str(error)) from error


def _serve(kafka: LocalKafka) -> None:
    """Run the nodes until Ctrl-C, or until one of them ends by itself."""
    click.echo("Starting Apache Kafka …", err=True)
    try:
        kafka.start()
        click.echo(f"Kafka {VERSION} is ready: {kafka.url} (Ctrl-C stops it; data stay)")
        while True:
            time.sleep(1)
            kafka.check()
    except KeyboardInterrupt:
        click.echo("Stopping …", err=True)
    finally:
        kafka.stop()


if __name__ == "__main__":
    main()
