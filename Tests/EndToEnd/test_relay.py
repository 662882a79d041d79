"""Calls that reach the gateway through a TURN server, and how it finds one: over UDP, TCP and TLS, of several, in time or late."""

import contextlib
import os
import re
import subprocess
import threading
import time
from pathlib import Path

import pytest

from cells import PROCESSES, STUN, Cell, coturn, running, settings, template
from gateway import TURN_SECRET
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


URLS = {f"turn:{TURN}": "udp", f"turn:{TURN}?transport=tcp": "tcp", f"turns:{TURN}": "tls"}


@pytest.mark.parametrize("url", URLS, ids=URLS.get)
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


@pytest.mark.alone
def test_every_url_gets_its_chance(tmp_path):
    urls = [f"turn:{TURN}:4000", f"turn:{TURN}:4001?transport=tcp", "turn:203.0.113.77", f"turn:{TURN}?transport=tcp"]
    with relayed(tmp_path, urls) as made:
        started = time.monotonic()
        made.gateway.await_log(f'server="{urls[3]}"')
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
        before = log_of(made).count(f"{AVAILABLE}\n")
        made.start_turn()
        # It is asked again after a rest, which is the longer the more often nobody has answered.
        made.gateway.await_log(f"{AVAILABLE}\n", timeout=24, times=before + 1)
        [call] = made.call()
    assert call["connected"], call


@pytest.mark.alone
def test_a_relay_that_is_found_during_the_call_is_trickled(tmp_path):
    cell = Cell("port-restricted", "symmetric")
    with relayed(tmp_path, [f"turn:{TURN}:4000"], policy="none", cell=cell, media=["relay: true"], connect="40s") as made:
        with made.caller("chromium") as ask:
            # Another TURN server, for the gateway's eyes only, comes up when the browser's call is there, and waits.
            directory = tmp_path / "later"
            directory.mkdir()
            with contextlib.ExitStack() as stack:

                def follow():
                    made.gateway.await_state(lambda now: now["calls"], timeout=60)
                    time.sleep(2)
                    stack.enter_context(coturn(made.internet.turn, directory, "--listening-port", "4000"))

                following = threading.Thread(target=follow)
                following.start()
                [call] = ask()
                following.join()
    assert call["connected"] and call["seconds"] > 1, call


@pytest.mark.alone
@pytest.mark.long
@pytest.mark.parametrize("url", [pytest.param(url, id=over, marks=[pytest.mark.rare] * (over != "tcp")) for url, over in URLS.items()])
def test_a_turn_server_that_is_restarted_costs_ten_seconds_at_most(tmp_path, monkeypatch, url):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with relayed(tmp_path, [url]) as made:
        made.gateway.await_log(AVAILABLE)
        timer = threading.Timer(3, made.restart_turn, [5])
        timer.start()
        [call] = made.call(seconds=18)
        timer.join()
        made.gateway.await_log("call ended")
        log = log_of(made)
    gap = float(re.search(r" gap_max_ms=([0-9.]+)", log)[1])
    print(f"no sound for {gap:.0f} ms", call, log)
    assert call["end"] == "hung up" and call["seconds"] > 17 and "relays to this gateway no more" in log, (call, log)
    # As long as there was no server, until a packet came again.
    assert 5_000 < gap < 10_000 and call["packets_received"] > 100


def test_a_nat_that_forgets_the_gateways_way_to_its_relay_costs_no_call(tmp_path):
    """A relay that nobody has used for a while; coturn answers a strange port with 438 and 400."""
    with running(Cell("symmetric", "symmetric", gateway_turn=True), tmp_path) as made:
        made.internet.gateway.router.forget()
        calls = made.call(4, 5.0)
        log = log_of(made)
    assert all(each["connected"] for each in calls) and "relays to this gateway no more" in log, (calls, log)


# MARK: - Credentials that expire in mid-call


@pytest.fixture(scope="module")
def pion(tmp_path_factory):
    """The TURN server in `pion-turn`, which minds the time for as long as there is an allocation."""
    program = tmp_path_factory.mktemp("pion") / "turn"
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode"}
    subprocess.run(["go", "build", "-o", program, "."], cwd=Path(__file__).with_name("pion-turn"), env=environment, check=True)
    return program


@contextlib.contextmanager
def minding(made, program, *options):
    """Serves on port 4000; the log, line by line, is in the list once it has ended."""
    words = program, "-listen", f"{TURN}:4000", "-relay", TURN, "-secret", TURN_SECRET, *options
    log = []
    with PROCESSES.start(made.internet.turn.command(*words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            yield log
        finally:
            server.terminate()
            log += server.stdout.read().splitlines()


@pytest.mark.long
@pytest.mark.rare
def test_a_call_outlives_the_gateways_credentials(tmp_path, pion):
    """They are good for 60 s, and after 45 the gateway has others."""
    with relayed(tmp_path, [f"turn:{TURN}:4000"]) as made, minding(made, pion) as log:
        made.gateway.await_log(AVAILABLE)
        [call] = made.call(seconds=75)
        made.gateway.await_log("call ended")
        said = log_of(made)
    gap = float(re.search(r" gap_max_ms=([0-9.]+)", said)[1])
    print(f"no sound for {gap:.0f} ms", call, said, *log, sep="\n")
    names = re.findall(r"allocated: .* for (\d+:gateway)", "\n".join(log))
    assert f"refused: {names[0]}" in "\n".join(log) and names[-1] != names[0]
    assert call["end"] == "hung up" and call["seconds"] > 74, call
    # The first of them were refused a quarter of a minute ago, and there is sound.
    assert gap < 10_000 and call["latency_end_ms"] is not None


@pytest.mark.long
@pytest.mark.rare
def test_a_call_ends_with_a_reason_after_the_callers_credentials(tmp_path, pion):
    """They are all that leads to the gateway, and good for 15 s by the TURN server's clock; our own caller asks for no others."""
    cell = Cell("symmetric", "symmetric", caller_turn=True)
    servers = [f"- urls: [{STUN}]", f"- urls: [turn:{TURN}:4000]", "  secret: {{ file: {directory}/turn.secret }}", "  ttl: 60s"]
    config = template(settings(cell, "10.0.0.2", "198.51.100.5")[0], servers)
    with running(cell, tmp_path, config=config) as made, minding(made, pion, "-ahead", "45s") as log:
        [call] = made.call(seconds=65)
        made.gateway.await_log("call ended")
        said = log_of(made)
    print(call, said, *log, sep="\n")
    assert re.search(r"refused: \d+:embed:", "\n".join(log))
    # Within 45 s of their end both sides know.
    assert call["connected"] and 10 < call["seconds"] < 15 + 45 and "stopped answering" in call["end"], call
    assert " reason=peer_connection_closed" in said
