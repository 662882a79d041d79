"""Calls that reach the gateway through a TURN server only, between machines that are namespaces of this one."""

import contextlib
import json
import os
import re
import subprocess
import time

import pytest

from gateway import BINARY, TURN_SECRET, changed_config, write_config
from network import one_to_one, port_restricted
from test_nat import PRIVATE, PUBLIC, STUN as TURN, machines, running  # noqa: F401

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

AVAILABLE = "a TURN server relays to this gateway"


def turn_server(machine, directory, *more: str):
    """coturn's command, TURN over UDP, TCP and TLS."""
    certificate, key = directory / "turn.crt", directory / "turn.key"
    if not key.exists():
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=turn", "-addext", f"subjectAltName=IP:{TURN}", "-keyout", key, "-out", certificate],
            check=True, capture_output=True,
        )
    return machine.command(
        "turnserver", "-n", "--no-cli", "--listening-ip", TURN, "--relay-ip", TURN, "--realm", "example.org", "--use-auth-secret",
        f"--static-auth-secret={TURN_SECRET}", "--cert", certificate, "--pkey", key, "--log-file", "stdout",
        "--pidfile", directory / "turnserver.pid", *more,
    )


SERVING = "IO method (main listener thread)"


# Counts the datagrams that go straight to callers.
COUNTING = """
table inet count {
  chain output { type filter hook output priority 0; ip daddr 198.51.100.0/24 meta l4proto udp counter; }
}
"""


def place_call(
    machines, directory, urls: list[str], *, media: str = "  relay: true\n", seconds: int = 3, sign: str = AVAILABLE,
    policy: str = "none", meanwhile=None, **environment,
):
    """Exit code, figures and the gateway's log of a call to a gateway that only TURN leads to."""
    gateway, _, caller, _ = machines
    caller.ip("route", "replace", f"{TURN}/32", "via", "198.51.100.1")
    changes = [
        ("  addresses: [127.0.0.1]\n", f"  addresses: [{PRIVATE}]\n{media}"), ("outbound: none", f"outbound: {policy}"),
        ("  player: {{ type: player, path: {player} }}\n", ""), (', "3": player', ""),
    ]
    servers = f"ice_servers:\n  - urls: {json.dumps(urls)}\n    secret: {{{{ file: turn.secret }}}}\n    ttl: 60s\n" if urls else ""
    config = write_config(directory, changed_config(*changes) + servers, listen="0.0.0.0:8080", connect="12s")
    command = ["env", *[f"{name}={value}" for name, value in environment.items()]]
    with running(gateway.command(*command, BINARY, "serve", "-c", config), sign) as log:
        words = [BINARY, "call", f"http://{PUBLIC}:8080/", "--token", "emb_echo", "--seconds", seconds, "--json"]
        call = subprocess.Popen(caller.command(*words), stdout=subprocess.PIPE, text=True)
        if meanwhile:
            meanwhile()
        output = call.communicate(timeout=200)[0]
    return call.returncode, json.loads(output)["calls"][0], "".join(log)


def figure(log: str, name: str) -> float:
    """A figure of the one call that the log has."""
    return float(re.search(rf" {name}=([0-9.]+)", log)[1])


@pytest.fixture
def routed(machines):
    """The same, with a router between gateway and callers that lets no datagram in uninvited."""
    machines[1].filter(port_restricted(PUBLIC, PRIVATE, 8080))
    return machines


@pytest.mark.parametrize(
    "url, ca", [(f"turn:{TURN}", False), (f"turn:{TURN}?transport=tcp", False), (f"turns:{TURN}", True)], ids=["udp", "tcp", "tls"]
)
def test_behind_a_router_that_nothing_passes_calls_go_through_a_relay(routed, tmp_path, url, ca):
    more = {"SSL_CERT_FILE": tmp_path / "turn.crt"} if ca else {}
    with running(turn_server(routed[3], tmp_path), SERVING):
        code, call, log = place_call(routed, tmp_path, [url], **more)
    assert code == 0 and call["connected"], (call, log)
    assert call["packets_received"] > 30 and call["packets_lost"] == call["remote_lost"] == 0, call


def test_a_certificate_that_nobody_vouches_for_is_not_believed(routed, tmp_path):
    with running(turn_server(routed[3], tmp_path), SERVING):
        code, call, log = place_call(routed, tmp_path, [f"turns:{TURN}"], sign="no TURN server relays")
    assert "its certificate is not believed" in log and AVAILABLE not in log
    assert code == 70


def test_every_url_gets_its_chance(routed, tmp_path):
    urls = [f"turn:{TURN}:4000", f"turn:{TURN}:4001?transport=tcp", "turn:203.0.113.77", f"turn:{TURN}?transport=tcp"]
    started = time.monotonic()
    with running(turn_server(routed[3], tmp_path), SERVING):
        code, call, log = place_call(routed, tmp_path, urls)
    assert code == 0 and f"server={urls[3]}" in log, log
    assert time.monotonic() - started < 12


def test_where_only_relays_are_allowed_nothing_goes_another_way(machines, tmp_path):
    """The gateway could be reached at its own address; the port's traffic is counted where it would pass."""
    machines[1].filter(one_to_one(PUBLIC, PRIVATE))
    machines[0].filter(COUNTING)
    with running(turn_server(machines[3], tmp_path), SERVING):
        # `relay` is not set: it is what such a policy needs.
        code, call, log = place_call(machines, tmp_path, [f"turn:{TURN}"], media="", policy="all")
    assert code == 0 and call["connected"], (call, log)
    rules = subprocess.run(machines[0].command("nft", "list", "ruleset"), capture_output=True, text=True, check=True).stdout
    assert "counter packets 0 " in rules, rules


def test_where_only_relays_are_allowed_and_there_is_none_it_is_said(machines, tmp_path):
    machines[1].filter(one_to_one(PUBLIC, PRIVATE))
    code, call, log = place_call(machines, tmp_path, [], media="", policy="all", sign="Admin is listening")
    assert code == 70 and "none is available" in call["error"], call
    assert "calls will not connect" in log and "no TURN server relays to this gateway" in log

    code, call, log = place_call(machines, tmp_path, [f"turn:{TURN}"], media="", policy="all", sign="no TURN server relays")
    assert code == 70 and "none is available" in call["error"], call
    assert "no answer" in log


def test_a_relay_that_is_found_during_the_call_is_trickled(machines, tmp_path):
    machines[1].filter(port_restricted(PUBLIC, PRIVATE, 8080))
    server = turn_server(machines[3], tmp_path)
    with contextlib.ExitStack() as stack:

        def start():
            time.sleep(2)
            stack.enter_context(running(server, SERVING))

        code, call, log = place_call(machines, tmp_path, [f"turn:{TURN}"], sign="Admin is listening", meanwhile=start)
    assert code == 0 and call["connected"], (call, log)
    assert 1500 < call["connected_ms"] < 15_000


def test_a_turn_server_that_is_restarted_costs_ten_seconds_at_most(routed, tmp_path):
    with contextlib.ExitStack() as stack:

        def restart():
            time.sleep(4)
            first.close()
            time.sleep(0.5)
            stack.enter_context(running(turn_server(routed[3], tmp_path), SERVING))

        first = contextlib.ExitStack()
        first.enter_context(running(turn_server(routed[3], tmp_path), SERVING))
        code, call, log = place_call(routed, tmp_path, [f"turn:{TURN}"], seconds=25, meanwhile=restart)
    assert code == 0 and call["end"] == "hung up", (call, log)
    gap = figure(log, "gap_max_ms")
    print(f"no sound for {gap:.0f} ms", log)
    assert 500 < gap < 10_000, log
    assert log.count("relays to this gateway no more") >= 1
