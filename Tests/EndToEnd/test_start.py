"""What keeps the gateway from starting is said once, clearly, with the right exit code, and before it listens."""

import contextlib
import json
import re
import signal
import socket
import time
from urllib.parse import urlsplit

import pytest

import leaks
from gateway import CONFIG, begin, http, patchbay, write_config
from test_auth import ISSUER

USAGE, INTERNAL, CONFIGURATION = 64, 70, 78


def refuses(config, code: int, *, also: str = "", **options) -> str:
    """Runs `serve`, which must end by itself without having listened. Returns what it said."""
    run = patchbay("serve", "-c", config, timeout=20, **options)
    assert run.returncode == code, run.stdout + run.stderr
    assert "listening" not in run.stdout + run.stderr
    assert "Fatal error" not in run.stderr and also in run.stderr, run.stderr
    return run.stderr


def changed(tmp_path, sentences, old: str, new: str, **changes):
    assert old in CONFIG
    return write_config(tmp_path, CONFIG.replace(old, new), player=sentences["winter"], **changes)


def place(config, text: str) -> str:
    """file:line:column of the first occurrence of a text."""
    before = config.read_text().partition(text)[0]
    return f"{config}:{before.count(chr(10)) + 1}:{len(before.rpartition(chr(10))[2]) + 1}"


def test_a_secret_whose_file_is_missing(tmp_path, sentences):
    config = changed(tmp_path, sentences, "{directory}/jwt.secret", "{directory}/nowhere.secret")
    said = refuses(config, CONFIGURATION, also="nowhere.secret")
    assert re.search(rf"^{re.escape(str(config))}:\d+:\d+: ", said, re.MULTILINE)


def test_a_secret_whose_variable_is_missing(tmp_path, sentences):
    config = changed(tmp_path, sentences, "{{ file: {directory}/jwt.secret }}", "{{ env: PATCHBAY_TEST_UNSET }}")
    refuses(config, CONFIGURATION, also="PATCHBAY_TEST_UNSET")


def test_a_secret_that_is_written_down_is_not_repeated(tmp_path, sentences):
    config = changed(tmp_path, sentences, "secret: {{ file: {directory}/jwt.secret }}", "secret: correct-horse-battery")
    assert "correct-horse" not in refuses(config, CONFIGURATION)


def test_an_unknown_plugin_is_told_with_those_there_are(tmp_path, sentences):
    config = changed(tmp_path, sentences, "type: echo", "type: ecoh")
    said = refuses(config, CONFIGURATION, also="'ecoh'")
    assert place(config, "ecoh") in said
    assert "parrot" in said and "did you mean 'echo'" in said


FAULTS = {  # what stands in the file, what stands there instead, and where the fault is
    "ports: {ports}": ("ports: 40063-40000", "40063-40000"),
    "admin: 127.0.0.1:0": ("admni: 127.0.0.1:0", "admni"),
    "algorithms: [HS256]": ("algorithms: [HS265]", "HS265"),
    "type: sqlite": ("type: sqlight", "sqlight"),
    "store: local": ("store: locla", "locla"),
    "workflow: 1": ("workflow: one", "one"),
    "limit: {seats}": ("limit: many", "many"),
    "type: echo": ("type: echo, pause: 1s", "pause: 1s"),
    "quotas: [seats]": ("quotas: [chairs]", "chairs"),
    "connect: {connect}": ("connect: 60 seconds", "60 seconds"),
}


def test_ten_faults_are_told_at_once_each_with_its_place(tmp_path, sentences):
    text = CONFIG
    for old, (new, _) in FAULTS.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    config = write_config(tmp_path, text, player=sentences["winter"])
    said = refuses(config, CONFIGURATION)
    for _, where in FAULTS.values():
        assert place(config, where) in said, said
    assert len(re.findall(rf"^{re.escape(str(config))}:\d+:\d+: error: ", said, re.MULTILINE)) >= len(FAULTS)

    check = patchbay("check", "-c", config)
    assert check.returncode == CONFIGURATION
    assert check.stdout + check.stderr == said
    listed = patchbay("check", "-c", config, "--format", "json")
    assert listed.returncode == CONFIGURATION
    report = json.loads(listed.stdout)
    faults = report if isinstance(report, list) else report["faults"]
    places = {f"{each['file']}:{each['line']}:{each['column']}" for each in faults}
    assert {place(config, where) for _, where in FAULTS.values()} <= places


def test_a_file_that_is_not_there(tmp_path):
    refuses(tmp_path / "nowhere.yaml", CONFIGURATION, also="nowhere.yaml")


def test_a_good_configuration_is_called_good(tmp_path, sentences):
    run = patchbay("check", "-c", write_config(tmp_path, player=sentences["winter"]))
    assert run.returncode == 0, run.stdout + run.stderr
    assert not (tmp_path / "patchbay.db").exists(), "check is without I/O"


def test_a_port_in_use_is_named(tmp_path, sentences):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        config = write_config(tmp_path, player=sentences["winter"], listen=address)
        said = refuses(config, INTERNAL, also=address.partition(":")[2])
        assert "in use" in said


def test_media_ports_in_use_are_named(tmp_path, sentences):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        config = changed(tmp_path, sentences, "{ports}", f"{port}-{port}\n  loops: 1")
        assert str(port) in refuses(config, INTERNAL)


def test_a_store_that_cannot_be_opened(tmp_path, sentences):
    (tmp_path / "file").write_text("not a folder")
    config = changed(tmp_path, sentences, "{directory}/patchbay.db", "{directory}/file/patchbay.db")
    refuses(config, INTERNAL, also="local")


def test_a_store_that_is_no_database(tmp_path, sentences):
    config = write_config(tmp_path, player=sentences["winter"])
    (tmp_path / "patchbay.db").write_bytes(b"this is no database, and it is long enough to be looked at as one. " * 99)
    refuses(config, INTERNAL, also="local")


@pytest.mark.parametrize("arguments", [["dance"], ["serve", "--fast"], ["call"], ["token"]], ids=" ".join)
def test_what_the_program_does_not_understand_is_usage(arguments):
    run = patchbay(*arguments, timeout=20)
    assert run.returncode == USAGE and "sage" in run.stderr, run.stdout + run.stderr


def test_plugins_are_listed_with_their_settings():
    every = patchbay("plugins")
    assert every.returncode == 0
    for type in "jwt", "embed_token", "concurrency", "call_minutes", "dograh", "dograh_slots", "parrot", "echo", "player", "sqlite", "redis":
        assert re.search(rf"\b{type}\b", every.stdout), every.stdout
    one = patchbay("plugins", "parrot")
    assert one.returncode == 0 and "pause" in one.stdout


def test_the_schema_is_a_schema():
    schema = json.loads(patchbay("schema").stdout)
    assert "$schema" in schema and "tenants" in schema["properties"]


def test_a_gateway_tells_that_it_is_alive_and_ready(gateway):
    for path in "livez", "readyz":
        assert http("GET", f"{gateway.admin}/{path}")[0] == 200
    now = gateway.look()
    assert now["calls"] == [] and (now["peer_connections"], now["sockets"], now["leases"]) == (0, 0, 0)


@contextlib.contextmanager
def starting(tmp_path, sentences):
    """A gateway that waits for an issuer's keys, the issuer's end of the connection, and where its log and its output are."""
    log, output = tmp_path / "log", tmp_path / "output"
    with socket.create_server(("127.0.0.1", 0)) as issuer, log.open("wb") as stderr, output.open("wb") as stdout:
        issuer.settimeout(20)
        url = f"http://127.0.0.1:{issuer.getsockname()[1]}/keys"
        config = write_config(tmp_path, ISSUER, player=sentences["winter"], jwks=url)
        process = begin("serve", "-c", config, stdout=stdout, stderr=stderr)
        try:
            connection, _ = issuer.accept()
            with connection:
                yield process, connection, log, output
        finally:
            process.kill()
            process.wait()
    leaks.check("a gateway that starts", log.read_text() + output.read_text())


def await_text(file, text: str):
    deadline = time.monotonic() + 10
    while text not in file.read_text():
        assert time.monotonic() < deadline, file.read_text()
        time.sleep(0.05)


def test_sighup_during_the_start_reloads_after_it(tmp_path, sentences):
    with starting(tmp_path, sentences) as (process, issuer, log, output):
        process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert process.poll() is None, "it was killed"
        issuer.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await_text(output, "listening")
        await_text(log, "configuration reloaded")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert log.read_text().count("configuration reloaded") == 1


def test_sigterm_during_the_start_ends_it(tmp_path, sentences):
    with starting(tmp_path, sentences) as (process, _, _, output):
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
        assert "listening" not in output.read_text()


def test_a_second_gateway_says_why_it_cannot(gateway):
    """The first one's address is taken; the first goes on."""
    config = gateway.config.with_name("second.yaml")
    address = gateway.url.removeprefix("http://")
    config.write_text(gateway.config.read_text().replace("listen: 127.0.0.1:0", f"listen: {address}"))
    run = patchbay("serve", "-c", config, timeout=20)
    assert run.returncode == INTERNAL and "listening" not in run.stdout
    assert http("GET", f"{gateway.admin}/livez")[0] == 200


def test_it_ends_in_the_middle_of_a_request(start):
    gateway = start()
    url = urlsplit(gateway.url)
    with socket.create_connection((url.hostname, url.port)) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n")
        time.sleep(0.2)
        assert gateway.stop() == 0
    assert "Fatal error" not in gateway.log.read_text()


def test_a_second_signal_does_not_wait_for_a_client_that_does_not_close(start):
    gateway = start()
    url = urlsplit(gateway.signaling())
    with socket.create_connection((url.hostname, url.port)) as stranger:
        stranger.sendall(
            f"GET {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        assert b" 101 " in stranger.recv(1000)
        gateway.process.send_signal(signal.SIGTERM)
        # Two signals of which the first has not come yet would be one.
        stranger.settimeout(10)
        assert stranger.recv(1000)[:1] == b"\x88", "it did not close the socket"
        time.sleep(0.5)
        assert gateway.process.poll() is None, "it did not wait for the client at all"
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(2) == 0
