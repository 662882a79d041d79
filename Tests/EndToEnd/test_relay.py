"""Calls that reach the gateway through a TURN server only, between machines that are namespaces of this one."""

import json
import os
import subprocess
import time

import pytest

from gateway import BINARY, TURN_SECRET, changed_config, write_config
from network import port_restricted
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


def place_call(machines, directory, urls: list[str], media: str = "  relay: true\n", seconds: int = 3, meanwhile=None, **environment):
    """Exit code, figures and the gateway's log of a call to a gateway that only TURN leads to."""
    gateway, _, caller, _ = machines
    caller.ip("route", "add", "default", "via", "198.51.100.1")
    changes = ("  addresses: [127.0.0.1]\n", f"  addresses: [{PRIVATE}]\n{media}"), ("  player: {{ type: player, path: {player} }}\n", ""), (', "3": player', "")
    servers = f"ice_servers:\n  - urls: {json.dumps(urls)}\n    secret: {{{{ file: turn.secret }}}}\n"
    config = write_config(directory, changed_config(*changes) + servers, listen="0.0.0.0:8080", connect="20s")
    command = ["env", *[f"{name}={value}" for name, value in environment.items()]]
    with running(gateway.command(*command, BINARY, "serve", "-c", config), AVAILABLE) as log:
        words = [BINARY, "call", f"http://{PUBLIC}:8080/", "--token", "emb_echo", "--seconds", seconds, "--json"]
        call = subprocess.Popen(caller.command(*words), stdout=subprocess.PIPE, text=True)
        if meanwhile:
            meanwhile()
        output = call.communicate(timeout=90)[0]
    return call.returncode, json.loads(output)["calls"][0], "".join(log)


@pytest.mark.parametrize(
    "url, ca", [(f"turn:{TURN}", False), (f"turn:{TURN}?transport=tcp", False), (f"turns:{TURN}", True)], ids=["udp", "tcp", "tls"]
)
def test_behind_a_router_that_nothing_passes_calls_go_through_a_relay(machines, tmp_path, url, ca):
    machines[1].filter(port_restricted(PUBLIC, PRIVATE, 8080))
    more = {"SSL_CERT_FILE": tmp_path / "turn.crt"} if ca else {}
    with running(turn_server(machines[3], tmp_path), "IO method (main listener thread)"):
        code, call, log = place_call(machines, tmp_path, [url], **more)
    print(log)
    assert code == 0 and call["connected"], (call, log)
    assert call["packets_received"] > 30 and call["packets_lost"] == call["remote_lost"] == 0, call
