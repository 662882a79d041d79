"""What becomes of a call whose path goes away under it: it finds another soon, or ends with a reason."""

import contextlib
import os
import time

import pytest

import speech
from browser import chromium, open_served_here
from cells import STUN, Cell, running, settings, template
from gateway import changed_config
from network import NO_UDP, Internet

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"), pytest.mark.long, pytest.mark.alone]

# The longest silence in ms: in any case, where another address is found without Chromium, and where that has another pair. It
# begins to check that one after 2.5 s and sends there a second later; an echo cannot be back sooner.
RECOVERY, ANOTHER_ADDRESS, ANOTHER_PAIR = 10_000, 2_000, 4_500
# The reason that a caller is told where its media is lost for good.
LOST = "peer_connection_closed"
# Less than this is no break.
BREAK = 500
SYMMETRIC = Cell("symmetric", "symmetric", caller_turn=True)


@contextlib.contextmanager
def in_call(made, directory, servers: list[dict] | None = None, token="emb_echo"):
    """A page of Chromium's that is in a call and watches it, with `servers` in the place of those that it is given."""
    url, given = made.session(token)
    rtc = {"iceServers": given if servers is None else servers}
    noise = speech.write(directory / "noise.wav", speech.noise(10))
    with made.internet.caller.machine.entered(), chromium(noise) as browser:
        page = open_served_here(browser, "call.html")
        page.evaluate("([url, rtc]) => place(url, undefined, rtc).then(watch)", [url, rtc])
        page.evaluate("hears(calls[0], 50)")
        yield page


def outcome(page, seconds: float) -> dict:
    """What was seen when sound has come back, or the call has ended, or `seconds` are over."""
    deadline = time.monotonic() + seconds
    page.wait_for_timeout(1500)
    while (seen := page.evaluate("seen(calls[0])"))["silent"] > BREAK and not seen["end"] and time.monotonic() < deadline:
        page.wait_for_timeout(100)
    page.wait_for_timeout(1500)  # and stays
    seen = {**seen, **page.evaluate("seen(calls[0])")}
    print(seen)
    return seen


def assert_recovered_or_told(seen: dict, within: float) -> None:
    if seen["end"] is None:
        assert seen["gap"] <= within and seen["silent"] < BREAK, seen
    else:
        assert seen["end"] == LOST and seen["silent"] <= 45_000, seen


@pytest.mark.parametrize("cell", [SYMMETRIC, Cell("port-restricted", "symmetric", gateway_turn=True)], ids=["callers", "gateways"])
def test_a_call_outlives_a_restart_of_the_turn_server(tmp_path, cell):
    with running(cell, tmp_path) as made:
        with in_call(made, tmp_path, None if cell.caller_turn else [{"urls": STUN}]) as page:
            path = page.evaluate("path(calls[0])")
            assert path["kind"] == "relay" if cell.caller_turn else path["remote"] == Internet.TURN, path
            made.restart_turn()
            seen = outcome(page, 45)
    assert max(seen["gap"], seen["silent"]) > BREAK, "it did not go by the relay"
    # Which way is left to a caller whose own relay is gone, only its page can find.
    assert seen["end"] is None or cell.caller_turn, seen
    assert_recovered_or_told(seen, RECOVERY)


# One of them on every commit.
EACH_CUT = ["the address", *(pytest.param(cut, marks=pytest.mark.rare) for cut in ("the link", "the way"))]
CUTS = {
    "the address": lambda site: site.machine.ip("address", "flush", "dev", site.interface),
    "the link": lambda site: site.machine.ip("link", "set", site.interface, "down"),
    "the way": lambda site: site.router.filter(NO_UDP),
}


def of_two_interfaces(made, directory, cut: str, token: str) -> dict:
    """What a caller with two sees who loses the one that his call goes over.

    The WebSocket has an interface of its own: one that is lost costs no call, but this page does not come back by itself."""
    made.internet.block_udp()
    ways = {site.private: site for site in (made.internet.add_way(f"198.18.{i}", f"192.168.{i}") for i in (2, 3))}
    with in_call(made, directory, token=token) as page:
        CUTS[cut](ways[page.evaluate("path(calls[0])")["local"]])
        seen = outcome(page, 45)
        assert page.evaluate("path(calls[0])")["local"] in ways
        page.evaluate("hangUp(calls[0])")
    return seen


@pytest.mark.parametrize("cut", EACH_CUT)
def test_a_caller_with_two_interfaces_goes_on_over_the_other(tmp_path, cut):
    with running(Cell("none", "none"), tmp_path) as made:
        seen = of_two_interfaces(made, tmp_path, cut, "emb_echo")
    assert seen["end"] is None
    assert_recovered_or_told(seen, ANOTHER_PAIR)


@pytest.mark.parametrize("cut", EACH_CUT)
def test_and_hears_the_gateway_again_before_that(tmp_path, cut):
    """What the gateway sends does not wait for Chromium to choose another pair."""
    talk = speech.write(tmp_path / "talk.wav", speech.noise(60))
    [media], _ = settings(Cell("none", "none"), "198.51.100.130", "")
    talking = changed_config(("addresses: [127.0.0.1]", media))
    with running(Cell("none", "none"), tmp_path, config=talking, changes={"player": talk}) as made:
        seen = of_two_interfaces(made, tmp_path, cut, "emb_player")
    assert seen["end"] is None and seen["gap"] > BREAK
    assert_recovered_or_told(seen, ANOTHER_ADDRESS)


def test_a_gateway_with_two_addresses_goes_on_from_the_other(tmp_path):
    """Signaling comes to a third one: a call would outlive its WebSocket, but this page does not come back by itself."""
    both = [f"198.51.100.{number}" for number in (131, 132)]
    media, servers = settings(Cell("none", "none"), ", ".join(both), "")
    with running(Cell("none", "none"), tmp_path, config=template(media, servers), also=both) as made:
        with in_call(made, tmp_path) as page:
            remote = page.evaluate("path(calls[0])")["remote"]
            site = made.internet.gateway
            site.machine.ip("address", "del", f"{remote}/25", "dev", site.interface)
            seen = outcome(page, 45)
    assert seen["end"] is None
    assert_recovered_or_told(seen, ANOTHER_PAIR)


def test_a_nat_that_forgets_is_not_noticed(tmp_path):
    """The next datagram has another port for the gateway, which follows it."""
    with running(Cell("symmetric", "none"), tmp_path) as made:
        with in_call(made, tmp_path) as page:
            made.internet.caller.router.forget()
            seen = outcome(page, 45)
    assert seen["end"] is None
    assert_recovered_or_told(seen, ANOTHER_ADDRESS)
