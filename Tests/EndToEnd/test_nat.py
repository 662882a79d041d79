"""Calls through NAT, between machines that are namespaces of this one."""

import contextlib
import json
import os
import subprocess

import pytest

from gateway import BINARY, changed_config, write_config
from network import STATEFUL, network, one_to_one, port_restricted

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

PUBLIC, PRIVATE, CALLER, STUN = "198.51.100.5", "10.0.0.2", "198.51.100.7", "192.0.2.9"


@pytest.fixture
def machines():
    """The gateway's, a router before it, a caller's behind a firewall that lets nobody in uninvited, and a STUN server's."""
    with network() as net:
        gateway, router, caller, stun = (net.add(name) for name in ("gateway", "router", "caller", "stun"))
        net.connect(gateway, [f"{PRIVATE}/24"], router, ["10.0.0.1/24"])
        net.connect(caller, [f"{CALLER}/24"], router, ["198.51.100.1/24", f"{PUBLIC}/24"])
        net.connect(stun, [f"{STUN}/24"], router, ["192.0.2.1/24"])
        gateway.ip("route", "add", "default", "via", "10.0.0.1")
        stun.ip("route", "add", "default", "via", "192.0.2.1")
        router.forward()
        caller.filter(STATEFUL)
        yield gateway, router, caller, stun


@contextlib.contextmanager
def running(command: list[str], sign: str):
    """A process that has said `sign`; its output, once it has ended, is in the list."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output = []
    try:
        for line in process.stdout:
            output.append(line)
            if sign in line:
                break
        yield output
    finally:
        process.terminate()
        output.append(process.communicate(timeout=20)[0])


def place_call(machines, directory, media: str, servers: str = "", sign="Patchbay is listening") -> tuple[int, dict, str]:
    """Exit code, figures and the gateway's log of a call to a gateway with these `media` settings, after it said `sign`."""
    gateway, _, caller, _ = machines
    changes = ("  addresses: [127.0.0.1]\n", media), ("  player: {{ type: player, path: {player} }}\n", ""), (', "3": player', "")
    config = write_config(directory, changed_config(*changes) + servers, listen="0.0.0.0:8080", connect="6s")
    with running(gateway.command(BINARY, "serve", "-c", config), sign) as log:
        words = [BINARY, "call", f"http://{PUBLIC}:8080/", "--token", "emb_echo", "--seconds", 3, "--json"]
        call = subprocess.run(caller.command(*words), capture_output=True, text=True, timeout=60)
    return call.returncode, json.loads(call.stdout)["calls"][0], "".join(log)


def test_behind_one_to_one_nat_a_public_address_is_what_callers_reach(machines, tmp_path):
    machines[1].filter(one_to_one(PUBLIC, PRIVATE))
    code, call, log = place_call(machines, tmp_path, f"  addresses: [{PRIVATE}]\n  public_address: {PUBLIC}\n")
    assert code == 0 and call["connected"], log
    assert call["packets_received"] > 30 and call["packets_lost"] == call["remote_lost"] == 0


def test_behind_a_router_it_is_what_a_stun_server_says(machines, tmp_path):
    machines[1].filter(port_restricted(PUBLIC, PRIVATE, 8080))
    server = machines[3].command(
        "turnserver", "-n", "--stun-only", "--no-cli", "--listening-ip", STUN, "--no-tls", "--no-dtls", "--log-file", "stdout",
        "--pidfile", tmp_path / "turnserver.pid",
    )
    with running(server, "IO method (main listener thread)"):
        code, call, log = place_call(
            machines, tmp_path, f"  addresses: [{PRIVATE}]\n", f"ice_servers:\n  - urls: ['stun:{STUN}']\n",
            "a STUN server sees this gateway",
        )
    assert f"at={PUBLIC}:" in log
    assert code == 0 and call["connected"], log
    assert call["packets_received"] > 30 and call["packets_lost"] == call["remote_lost"] == 0


@pytest.mark.parametrize("rules", [one_to_one(PUBLIC, PRIVATE), port_restricted(PUBLIC, PRIVATE, 8080)], ids=["one", "router"])
def test_without_either_such_a_caller_does_not_get_through(machines, tmp_path, rules):
    machines[1].filter(rules)
    code, call, _ = place_call(machines, tmp_path, f"  addresses: [{PRIVATE}]\n")
    assert code == 70 and not call["connected"]
    print(call)
    assert call["error"]
