"""Calls through NAT, between machines that are namespaces of this one."""

import json
import os
import subprocess

import pytest

from gateway import BINARY, changed_config, write_config
from network import STATEFUL, network, one_to_one

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

PUBLIC, PRIVATE, CALLER = "198.51.100.5", "10.0.0.2", "198.51.100.7"


@pytest.fixture
def cloud():
    """A gateway's machine behind 1:1 NAT, and a caller's behind a firewall that lets nobody in uninvited."""
    with network() as net:
        machine, router, caller = net.add("gateway"), net.add("router"), net.add("caller")
        net.connect(machine, [f"{PRIVATE}/24"], router, ["10.0.0.1/24"])
        net.connect(caller, [f"{CALLER}/24"], router, ["198.51.100.1/24", f"{PUBLIC}/24"])
        machine.ip("route", "add", "default", "via", "10.0.0.1")
        router.forward()
        router.filter(one_to_one(PUBLIC, PRIVATE))
        caller.filter(STATEFUL)
        yield machine, caller


def place_call(cloud, directory, media: str) -> tuple[int, dict, str]:
    """Exit code, figures and the gateway's log of a call to a gateway with these `media` settings."""
    machine, caller = cloud
    config = write_config(
        directory, changed_config(("  addresses: [127.0.0.1]\n", media)), listen="0.0.0.0:8080", connect="6s"
    )
    gateway = subprocess.Popen(
        machine.command(BINARY, "serve", "-c", config), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        for line in gateway.stdout:
            if "Patchbay is listening" in line:
                break
        words = [BINARY, "call", f"http://{PUBLIC}:8080/", "--token", "emb_echo", "--seconds", 3, "--json"]
        call = subprocess.run(caller.command(*words), capture_output=True, text=True, timeout=60)
    finally:
        gateway.terminate()
        log = gateway.communicate(timeout=20)[0]
    return call.returncode, json.loads(call.stdout)["calls"][0], log


def test_behind_one_to_one_nat_a_public_address_is_what_callers_reach(cloud, tmp_path):
    code, call, log = place_call(cloud, tmp_path, f"  addresses: [{PRIVATE}]\n  public_address: {PUBLIC}\n")
    assert code == 0 and call["connected"], log
    assert call["packets_received"] > 30 and call["packets_lost"] == call["remote_lost"] == 0


def test_without_one_such_a_caller_does_not_get_through(cloud, tmp_path):
    code, call, _ = place_call(cloud, tmp_path, f"  addresses: [{PRIVATE}]\n")
    assert code == 70 and not call["connected"]
    assert call["error"]
