"""Calls that reach the gateway through a TURN server, and how it finds one: over UDP, TCP and TLS, of several, in time or late."""

import contextlib
import os
import re
import subprocess
import threading
import time

import pytest

from cells import Cell, coturn, running, settings, template
from network import Internet

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

AVAILABLE = "a TURN server relays to this gateway"
TURN = Internet.TURN
CELL = Cell("firewall", "1:1", gateway_turn=True)


@contextlib.contextmanager
def relayed(directory, urls: list[str], cell=CELL, media=(), policy="all", connect="12s"):
    """A gateway that these TURN servers relay to; under its policy there is no other way, though the network has one."""
    own = [line for line in settings(cell, "10.0.0.2", "198.51.100.5")[0] if "relay" not in line]
    servers = [f"- urls: {urls}", "  secret: {{ file: {directory}/turn.secret }}", "  ttl: 60s"] if urls else []
    config = template([*own, *media], servers).replace("outbound: none", f"outbound: {policy}")
    with running(cell, directory, config=config, changes={"connect": connect}) as made:
        yield made


def log_of(made) -> str:
    return made.gateway.log.read_text()


# Counts the datagrams that go straight to callers.
COUNTING = """
table inet count {
  chain output { type filter hook output priority 0; ip daddr 203.0.113.0/24 meta l4proto udp counter; }
}
"""


@pytest.mark.parametrize("url", [f"turn:{TURN}", f"turn:{TURN}?transport=tcp", f"turns:{TURN}"], ids=["udp", "tcp", "tls"])
def test_a_call_goes_through_the_relay_and_no_other_way(tmp_path, monkeypatch, url):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    # `relay` is not set: it is what such a policy needs.
    with relayed(tmp_path, [url]) as made:
        made.gateway.await_log(AVAILABLE)
        machine = made.internet.gateway.machine
        machine.filter(COUNTING)
        [call] = made.call(seconds=4)
        rules = subprocess.run(machine.command("nft", "list", "ruleset"), capture_output=True, text=True, check=True).stdout
    assert call["connected"], call
    assert call["packets_received"] > 30 and call["packets_lost"] == call["remote_lost"] == 0, call
    assert "counter packets 0 " in rules, rules


def test_a_certificate_that_nobody_vouches_for_is_not_believed(tmp_path):
    with relayed(tmp_path, [f"turns:{TURN}"]) as made:
        made.gateway.await_log("no TURN server relays to this gateway")
        assert "its certificate is not believed" in log_of(made) and AVAILABLE not in log_of(made)


def test_every_url_gets_its_chance(tmp_path):
    urls = [f"turn:{TURN}:4000", f"turn:{TURN}:4001?transport=tcp", "turn:203.0.113.77", f"turn:{TURN}?transport=tcp"]
    with relayed(tmp_path, urls) as made:
        started = time.monotonic()
        made.gateway.await_log(f"server={urls[3]}")
        assert time.monotonic() - started < 5
        [call] = made.call()
    assert call["connected"], call


def test_where_only_relays_are_allowed_and_there_is_none_it_is_said(tmp_path):
    with relayed(tmp_path, []) as made:
        [call] = made.call()
        log = log_of(made)
    assert not call["connected"] and "none is available" in call["error"], call
    assert "calls will not connect" in log and "no TURN server relays to this gateway" in log


def test_and_so_it_is_when_the_server_is_silent_until_it_speaks(tmp_path):
    with relayed(tmp_path, [f"turn:{TURN}"]) as made:
        made.gateway.await_log(AVAILABLE)
        made.turn.close()
        [call] = made.call(seconds=6)
        assert not call["connected"]
        made.gateway.await_log("no TURN server relays to this gateway")
        [call] = made.call()
        assert not call["connected"] and "none is available" in call["error"], call
        made.start_turn()
        time.sleep(12)
        [call] = made.call()
    assert call["connected"], call


def test_a_relay_that_is_found_during_the_call_is_trickled(tmp_path):
    cell = Cell("port-restricted", "symmetric")
    with relayed(tmp_path, [f"turn:{TURN}:4000"], policy="none", cell=cell, media=["relay: true"], connect="40s") as made:
        with made.caller("chromium") as ask:
            # Another TURN server, for the gateway's eyes only, comes up when the browser has started and its call waits.
            directory = tmp_path / "later"
            directory.mkdir()
            with contextlib.ExitStack() as stack:
                later = coturn(made.internet.turn, directory, "--listening-port", "4000")
                timer = threading.Timer(7, stack.enter_context, [later])
                timer.start()
                [call] = ask()
                timer.join()
    assert call["connected"] and call["seconds"] > 1, call


def test_a_turn_server_that_is_restarted_costs_ten_seconds_at_most(tmp_path):
    with relayed(tmp_path, [f"turn:{TURN}"]) as made:
        made.gateway.await_log(AVAILABLE)
        timer = threading.Timer(6, made.restart_turn)
        timer.start()
        [call] = made.call(seconds=30)
        timer.join()
        made.gateway.await_log("call ended")
        log = log_of(made)
    gap = float(re.search(r" gap_max_ms=([0-9.]+)", log)[1])
    print(f"no sound for {gap:.0f} ms", call, log)
    assert call["end"] == "hung up" and "relays to this gateway no more" in log, (call, log)
    # Sound for a third of the time, and packets of silence.
    assert call["packets_received"] > 250 and gap < 10_000
