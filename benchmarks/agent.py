"""What an agent costs: CPU and memory of one that watches ten services at an interval of one second.

Each service is a process that Mendline runs, with an HTTP probe a second. The agent is a program of its own, and is
measured from outside, by /proc, after a warm-up; only the agent, not the services and not the log's broker.
`--log kafka-tls:` starts a broker of its own that takes TLS only.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

SERVICES = 10
WARM_UP_S = 15.0
APP = Path(__file__).parent.parent / "examples" / "quickstart" / "app.py"
FIRST_PORT = 18_100


def agent(url: str, state: str, services: int, options: dict[str, object]) -> None:
    """Run an agent until SIGTERM: the child's part."""
    from mendline.agent import Agent, spare_memory
    from mendline.cli.run import AGENT_FETCH_WAIT_MS
    from mendline.logs.base import TopicSettings
    from mendline.logs.open import open_log
    from mendline.schemas.settings import ProbeSettings, ProcessSettings, ServiceSettings, Settings

    def service(port: int) -> ServiceSettings:
        process = ProcessSettings(command=(sys.executable, str(APP)), environment={"PORT": str(port)})
        return ServiceSettings(process=process, probes=(ProbeSettings(http=f"http://127.0.0.1:{port}/health"),))

    found = {f"web-{n}": service(FIRST_PORT + n) for n in range(services)}
    settings = Settings(name="bench", log=url, state=state, services=found)
    if url.startswith("kafka:"):
        options = options | {"fetch_max_wait_ms": AGENT_FETCH_WAIT_MS}
    with open_log(url, **options) as log:
        names = (settings.topics.topic("metrics"), settings.topics.topic("commands"))
        log.ensure_topics([TopicSettings(name) for name in names])
        one = Agent(settings, log, stop_services=lambda: True, settled=spare_memory)
        signal.signal(signal.SIGTERM, lambda *_: one.stop())
        spare_memory()
        one.run()


def measure(url: str, seconds: float, services: int) -> dict[str, object]:
    """Run the child for `seconds` after the warm-up and return what it cost."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as opened:
        where, options = f"sqlite://{folder}/log" if url == "sqlite:" else url, dict[str, str]()
        if url == "kafka-tls:":
            where, options = opened.enter_context(tls_broker(Path(folder)))
        command = [sys.executable, "-m", "benchmarks.agent", "--child", f"{folder}/state", "--log", where]
        command += ["--options", json.dumps(options)]
        child = subprocess.Popen([*command, "--services", str(services)])
        try:
            time.sleep(WARM_UP_S)
            began, before = time.monotonic(), _cpu_s(child.pid)
            highest = 0.0
            while time.monotonic() < began + seconds:
                time.sleep(min(1.0, seconds))
                highest = max(highest, _resident_mb(child.pid))
            used, took = _cpu_s(child.pid) - before, time.monotonic() - began
        finally:
            child.terminate()
            child.wait(30)
        series = _series(where, options) if url != "memory:" else None
    return {
        "log": url,
        "seconds": round(took, 1),
        "services": services,
        "series": series,
        "cpu_share_of_core": round(used / took, 5),
        "resident_mb": round(highest, 1),
        "limits": {"cpu_share_of_core": 0.01, "resident_mb": 55},
    }


@contextmanager
def tls_broker(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Run a broker that takes TLS only; yield the log's URL and its options."""
    from mendline.testing.kafka import LocalKafka
    from mendline.testing.kafka.ports import free_ports
    from tests.logs.certificates import Authority

    authority, port = Authority(folder / "authority"), free_ports(1)[0]
    listeners = f"PLAINTEXT://localhost:{{port}},SSL://localhost:{port},CONTROLLER://localhost:{{controller_port}}"
    overrides = {
        "listeners": listeners,
        "advertised.listeners": listeners,
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(authority.keystore("localhost")),
    }
    with LocalKafka(folder / "kafka", overrides=overrides):
        yield f"kafka://localhost:{port}", {"ca_file": str(authority.file)}


def _series(url: str, options: dict[str, str]) -> int:
    """Return how many series the last round on the log holds."""
    from mendline.logs.open import open_log
    from mendline.schemas.rounds import ROUND_HEADER, ROUND_MAGIC
    from mendline.schemas.stream import Partition

    with open_log(url, **options) as log:
        consumer = log.consumer("benchmark")
        partition = Partition("mendline.metrics", 0)
        consumer.assign([partition])
        consumer.start(partition, max(consumer.end_offset(partition) - 200, 0))
        found = 0
        while batches := consumer.poll(1.0).batches:
            for batch in batches:
                rounds = [value for value in batch.values if value.startswith(ROUND_MAGIC)]
                found = ROUND_HEADER.unpack_from(rounds[-1])[1] if rounds else found
        consumer.close()
    return found


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def main() -> None:
    """Measure, or be the agent that is measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--log", default="sqlite:", help="memory:, sqlite:, kafka-tls: or kafka://HOST:PORT (default: %(default)s)"
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to measure (default: %(default)s)")
    parser.add_argument("--services", type=int, default=SERVICES, help="watched processes (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print nothing but one JSON object")
    parser.add_argument("--child", metavar="STATE", help=argparse.SUPPRESS)
    parser.add_argument("--options", type=json.loads, default={}, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        agent(chosen.log, chosen.child, chosen.services, chosen.options)
        return
    result = measure(chosen.log, chosen.seconds, chosen.services)
    if not chosen.json:
        print(f"{result['series']} series, {result['services']} services, log {result['log']}:")
        print(f"{result['cpu_share_of_core']:.2%} of a core, {result['resident_mb']} MB resident")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
