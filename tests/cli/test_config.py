from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mendline.config import ConfigError, load_settings, log_of, parse_settings
from mendline.logs.base import LogError


def refused(text: str) -> list[str]:
    """Return the lines of the refusal, without the file's name."""
    with pytest.raises(ConfigError) as caught:
        parse_settings(text, "m.yaml")
    return [line.removeprefix("m.yaml:") for line in str(caught.value).splitlines()]


def test_a_byte_order_mark_is_left_out(tmp_path: Path) -> None:
    """Editors on other systems write one."""
    file = tmp_path / "mendline.yaml"
    file.write_bytes(b"\xef\xbb\xbfname: h\n")
    assert "h" == load_settings(file).name


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "---\n"])
def test_an_empty_file_means_the_defaults(text: str) -> None:
    """No setting has to be given."""
    assert "sqlite://.mendline/log" == parse_settings(text, "m.yaml").log


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("hots: {}\n", "1: hots: unknown key; did you mean host?"),
        ("host:\n  intervall: 1s\n", "2: host.intervall: unknown key; did you mean interval?"),
        (
            "policies:\n  - name: a\n    play:\n      - {action: restart, verfy: 1s}\n",
            "4: policies.0.play.0.verfy: unknown key; did you mean verify?",
        ),
        (
            "detectors: [{name: a, use: zscore, open: {forr: 1s}}]\n",
            "1: detectors.0.open.forr: unknown key; did you mean for?",
        ),
        ("metrics: {xyz: 1}\n", "1: metrics.xyz: unknown key; known here: listen"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(text: str, told: str) -> None:
    """A misspelled key is not silently without effect, however deep it stands."""
    assert [told] == refused(text)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("host:\n  interval: 10 minutes\n", "2: host.interval: '10 minutes' is no duration; write a number with ms"),
        ("host: {interval: 5}\n", "1: host.interval: must be greater than or equal to 100 ms; a number alone is in ms"),
        ("host: {interval: 99999999d}\n", "1: host.interval: must be less than or equal to"),
        ("services:\n  web:\n", "2: services.web: must hold keys and values; remove it, or write some below it"),
        ("services: {a b: {}}\n", "1: services.a b: is no name; use letters, digits"),
        ("policies: [{name: a, mode: atuo, play: [{action: x}]}]\n", "1: policies.0.mode: must be 'shadow', 'ask'"),
        ("policies: [{name: a, play: []}]\n", "1: policies.0.play: must not be empty; give at least one"),
        ("policies: [{name: a, play: [{}]}]\n", "1: policies.0.play.0.action: is missing; add it"),
        ("services: {web: {process: {command: app}}}\n", "1: services.web.process.command: must be a list, such as"),
        (
            "services: {web: {process: {command: [a], unit: b}}}\n",
            "1: services.web.process: give exactly one of command, unit, program, container, workload, pidfile, match",
        ),
        ("log: mysql://x\n", "1: log: 'mysql://x' is no log; write sqlite://FOLDER, kafka://HOST:PORT"),
        ("name: 2024-01-02\n", "1: name: must be text; put it in quotes"),
        ("name: 2024-13-45\n", "1: name: is no value (month must be in 1..12); put it in quotes"),
        ("- log\n", "1: file: must hold keys and values"),
        (f"series: {'9' * 330}\n", "1: series: must be less than or equal to"),
        (f"host:\n  interval: {'9' * 330}d\n", "2: host.interval: '99999999999999999999…' is too much"),
        ("topics: {partitions: 1000000}\n", "1: topics.partitions: must be less than or equal to 10000"),
        ("topics: {partitions: 1000}\n", "1: topics.partitions: the embedded log takes at most 256 partitions"),
        (
            "services:\n  web:\n    probes:\n      - http: http://h\n        status: [399, 200]\n",
            "5: services.web.probes.0.status: no status is both at least 399 and at most 200",
        ),
        (
            "services:\n  web:\n    process:\n      command: [a]\n      environment: {A=B: c}\n",
            "5: services.web.process.environment.A=B: is no name of a variable",
        ),
        (
            'services:\n  web:\n    process:\n      command: [a]\n      environment: {"A\\0": c}\n',
            "5: services.web.process.environment: a key has the character \\u0000",
        ),
        (
            'services:\n  web:\n    process:\n      command: [a,\n        "\\ud800"]\n',
            "5: services.web.process.command.1: has the character \\ud800",
        ),
        ("a: " + "[" * 2000, "1: file: is nested too deeply"),
        ("a: " + "[" * 2000 + "]" * 2000, "1: file: is nested too deeply"),
        (
            "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)),
            "1: file: stands for more than 100,000 values",
        ),
    ],
)
def test_a_wrong_value_is_told_with_place_and_remedy(text: str, told: str) -> None:
    """Each message has the line, the key, what is wrong and what to write instead."""
    (line,) = refused(text)
    assert line.startswith(told), line


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("host:\n\tinterval: 1s\n", ("2: not valid YAML", "this line begins with a tab: indent with spaces")),
        ("log: memory:\n", ("1: not valid YAML", "a value with a colon needs quotes")),
        ("host: {interval: 1s\n", ("not valid YAML", "a bracket or brace is not closed")),
        ("host: {interval: 1s}\nhost: {}\n", ("2: host: stands twice, first in line 1; keep one",)),
        ("host:\n  deadline: 1s\n  deadline: 2s\n", ("3: host.deadline: stands twice, first in line 2",)),
        ("services: &all {web: *all}\n", ("1: services.web: contains itself",)),
        ("log: !!python/object:os.system x\n", ("1: log: has the tag", "remove it")),
        ("host: &a {interval: 1s}\nservices: {<<: *a}\n", ("2: services.<<: merging is not read here",)),
        ("? [a]\n: 1\n", ("1: file: a key is a single word",)),
        ("log: \0\n", ("not valid YAML", "#x0000")),
    ],
)
def test_what_is_not_plain_yaml_is_refused(text: str, told: tuple[str, ...]) -> None:
    """Tabs, equal keys, tags and anchors in circles: the line and the remedy, never a traceback."""
    (line,) = refused(text)
    assert all(part in line for part in told), line


SERVICE = "services:\n  web:\n    {0}\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('process: {match: "("}', "3: services.web.process.match: '(' is no regular expression"),
        ("probes: [{http: nonsense}]", "3: services.web.probes.0.http: 'nonsense' is no URL to probe; write http://"),
        ('probes: [{http: "http://x:y/"}]', "3: services.web.probes.0.http: 'http://x:y/' is no URL to probe"),
        ("probes: [{tcp: x}]", "3: services.web.probes.0.tcp: 'x' is no address; write HOST:PORT"),
        ('probes: [{tcp: "x:99999"}]', "3: services.web.probes.0.tcp: 'x:99999' has no possible port"),
        ('probes: [{http: "http://x", body: "("}]', "3: services.web.probes.0.body: '(' is no regular expression"),
        ("depends_on: [db]", "3: services.web.depends_on.0: there is no service db in this file; known: web"),
        ("depends_on: [web]", "3: services.web.depends_on: services depend on each other in a circle: web -> web"),
        ("allow: [reboot]", "3: services.web.allow.0: there is no action reboot; known: adjust, command, diagnose,"),
    ],
)
def test_what_a_service_names_must_make_sense(text: str, told: str) -> None:
    """Addresses, patterns and names are looked at before anything runs, not when they are first used."""
    (line,) = refused(SERVICE.format(text))
    assert line.startswith(told), line


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("host: {peers: {x: nonsense}}", "1: host.peers.x: 'nonsense' is no address"),
        ("metrics: {listen: localhost}", "1: metrics.listen: 'localhost' is no address"),
        ("keys: {trust: [x]}", "1: keys.trust.0: 'x' is no public key"),
        ("notify: [{wait: 1s}]", "1: notify.0: give exactly one of webhook, email"),
        (
            "notify: [{email: {to: [a@b], sender: c@d, server: 'm:25', security: none, username: u, password: env:P}}]",
            "1: notify.0.email: a password is not sent without encryption",
        ),
        ("notify: [{webhook: hunter2}]", "1: notify.0.webhook: is no webhook; begin it with http://"),
        (
            "groups: {a: [h]}\npolicies: [{name: a, when: {group: b}, play: [{action: ask}]}]",
            "2: policies.0.when.group: there is no group b; known in `groups`: a",
        ),
        ("drift: [{service: web, group: b}]", "1: drift.0.group: there is no group b; known in `groups`: none"),
        ("policies: [{name: a, play: [{action: x}]}]", "1: policies.0.play.0.action: there is no action x; known:"),
        *(
            (f"policies:\n  - name: a\n    play:\n      - {{action: {step}}}", f"4: policies.0.play.0.parameters{told}")
            for step, told in {
                "restart, parameters: {hard: true}": ".hard: of restart: hard is no parameter; this action takes none",
                "command": ": of command: name is missing; add it (which of the service's `commands`)",
                "command, parameters: {nmae: x}": ": of command: name is missing",
                "adjust, parameters: {name: a, by: '2'}": ".by: of adjust: by must be a valid number (what is added, a",
                "adjust, parameters: {name: a, by: 0}": ".by: of adjust: by must not be 0 (what is added",
                "update_config, parameters: {version: 7}": ".version: of update_config: version must be a valid string",
                "restore_data, parameters: {dta: x}": ".dta: of restore_data: dta is no parameter; did you mean data?",
            }.items()
        ),
        (
            "policies: [{name: a, play: [{action: ask}]}, {name: a, play: [{action: ask}]}]",
            "1: policies.1.name: a is the name of another policy too",
        ),
    ],
)
def test_what_the_rest_names_must_make_sense(text: str, told: str) -> None:
    """The same for peers, keys, webhooks and policies; a webhook, which often holds a token, is not repeated."""
    line, *_ = refused(text + "\n")
    assert line.startswith(told), line
    assert "hunter2" not in line


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    """A person mends the file once, not mistake by mistake."""
    told = refused("hots: {}\nhost: {intervall: 1s, deadline: soon}\nservices: {web: {prozess: {}}}\n")
    assert ["1", "2", "2", "3"] == [line.split(":")[0] for line in told]


def test_secrets_are_never_shown() -> None:
    """Neither a password in the address of the log nor the value of a variable or a webhook is repeated."""
    text = (
        "services: {web: {process: {command: [a], environment: {KEY: [hunter2]}}}}\n"
        "notify: [{webhook: {url: hunter2}}]\n"
        "kafka: {password: hunter2, token: [hunter2], key_password: hunter2}\n"
    )
    told = refused(text)
    told += refused("watchdog: {webhook: hunter2}\n")
    told += refused("log: kafka://me:hunter2@broker:9092\n")
    assert 7 == len(told)
    assert not [line for line in told if "hunter2" in line]
    assert "kafka.password" in told[-1]


@given(text=st.text(alphabet=st.sampled_from(" \t\n:-[]{},&*!|>'\"#?%@`a1~<."), max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    """Whatever stands in the file, it is settings or a ConfigError that names the file."""
    try:
        parse_settings(text, "m.yaml")
        told = "m.yaml is right"
    except ConfigError as error:
        told = str(error)
    assert told.startswith("m.yaml")


def test_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same file means the same folders, from wherever it is used."""
    folder = tmp_path / "here"
    folder.mkdir()
    file = folder / "m.yaml"
    file.write_text(
        "log: sqlite://log\nstate: state\nkeys: {directory: k}\nkafka: {ca_file: ca.pem, password: file:p}\n"
        "notify: [{webhook: file:w}, {webhook: env:W}, {email: {to: [a@b], sender: c@d, server: 'm:25', username: u, "
        "password: file:p, ca_file: m.pem}}]\nwatchdog: {webhook: file:/etc/w}\n"
        "services:\n  web:\n    process: {command: [./app], output: out.log}\n    config: [a.conf, /etc/b.conf]\n"
        "    logs: [a.log]\n    adjustable: {n: {file: a.ini, key: n, min: 1, max: 2}}\n"
        "    probes: [{http: 'https://x', ca_file: web.pem}, {http: 'https://x', ca_file: /etc/web.pem}]\n"
    )
    monkeypatch.chdir(tmp_path)
    settings = load_settings(Path("here/m.yaml"))
    web = settings.services["web"]
    assert web.process is not None
    assert f"sqlite://{folder}/log" == settings.log
    assert (f"{folder}/state", f"{folder}/k") == (settings.state, settings.keys.directory)
    assert (f"{folder}/ca.pem", f"file:{folder}/p") == (settings.kafka.ca_file, settings.kafka.password)
    assert [f"file:{folder}/w", "env:W", None] == [one.webhook for one in settings.notify]
    email = settings.notify[2].email
    assert email is not None
    assert (f"file:{folder}/p", f"{folder}/m.pem") == (email.password, email.ca_file)
    assert "file:/etc/w" == settings.watchdog.webhook
    assert (str(folder), f"{folder}/out.log") == (web.process.cwd, web.process.output)
    assert [f"{folder}/web.pem", "/etc/web.pem"] == [probe.ca_file for probe in web.probes]
    assert (f"{folder}/a.conf", "/etc/b.conf") == web.config
    assert ((f"{folder}/a.log",), f"{folder}/a.ini") == (web.logs, web.adjustable["n"].file)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    """The first thing a newcomer meets."""
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: there is no such file; `mendline init` writes one"):
        load_settings(tmp_path / "nowhere.yaml")


def test_a_folder_or_bytes_are_refused(tmp_path: Path) -> None:
    """Neither is a configuration."""
    with pytest.raises(ConfigError, match="is a folder; name the file in it"):
        load_settings(tmp_path)
    (tmp_path / "bytes").write_bytes(b"log: \xff\n")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load_settings(tmp_path / "bytes")


def test_an_unreadable_file_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is the system's."""
    file = tmp_path / "m.yaml"
    file.write_text("")
    file.chmod(0)
    if os.access(file, os.R_OK):  # root reads everything

        def deny(*_: object, **__: object) -> str:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "read_text", deny)
    with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
        load_settings(file)


def test_the_log_of_kafka_settings_is_made_without_connecting(tmp_path: Path) -> None:
    """A user without a password is refused before any broker is asked."""
    file = tmp_path / "m.yaml"
    file.write_text("log: kafka://localhost:1\nkafka: {username: me}\n")
    with pytest.raises(LogError, match="password"):
        log_of(load_settings(file))
