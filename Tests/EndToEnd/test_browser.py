"""A real browser: the playground through the parrot, and a page of our own through the echo."""

import asyncio
import os
import re
import signal
import threading

import pytest
from playwright.sync_api import expect

import speech
from browser import await_state, chromium, open_caller, record
from gateway import with_turn
from relay import Relay


# The cells of the playground's table.
SHOWN = "rtt", "up-loss", "up-jitter", "concealed", "late", "up-mos", "up-queue", "level"
SHOWN += "down-loss", "down-jitter", "down-mos", "down-queue"


@pytest.fixture(scope="module")
def running_browser(noisy):
    with chromium(noisy["kitchen"]) as browser:
        yield browser


@pytest.fixture
def browser(running_browser):
    """Without the calls of a test that failed."""
    yield running_browser
    for context in running_browser.contexts:
        context.close()


def talk(page, gateway):
    page.goto(gateway.url)
    expect(page.get_by_role("button", name="Talk")).to_be_visible()
    assert page.evaluate("window.patchbay.state") == "idle"
    page.get_by_role("button", name="Talk").click()
    await_state(page, "connected")


@pytest.mark.alone
def test_the_playground_talks_with_the_parrot(gateway, sentences):
    """Speech goes in by the microphone, and the same words come back out of the page's loudspeaker."""
    with chromium(sentences["harbour"]) as browser:
        page = browser.new_page()
        problems = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        talk(page, gateway)
        heard = record(page, 14)
        assert gateway.look()["leases"] == 1
        page.get_by_role("button", name="Hang up").click()
        await_state(page, "ended")
        expect(page.get_by_role("button", name="Talk")).to_be_visible()
        gateway.await_idle()
        speech.assert_heard("harbour", sentences, heard)
        assert problems == []


@pytest.mark.alone
def test_a_page_hears_the_echo_of_itself(gateway, browser, sentences):
    page = open_caller(browser)
    page.evaluate("url => place(url).then(() => null)", gateway.signaling(run=11))
    heard = record(page, 14)
    stats = page.evaluate("inbound(calls[0])")
    page.close()
    speech.assert_heard("kitchen", sentences, heard)
    assert stats["packetsLost"] == 0 and stats["packetsReceived"] > 14 * 50 * 0.9
    gateway.await_idle()


@pytest.mark.alone
def test_a_browser_that_prefers_redundancy_is_heard(gateway, browser, sentences):
    """RED (RFC 2198): each packet has the frame before it too. Chromium's figures call that Opus; but it is twice as much."""
    page = open_caller(browser)
    page.evaluate("url => place(url, 'audio/red').then(() => null)", gateway.signaling())
    heard = record(page, 14)
    sent = page.evaluate("outbound(calls[0])")
    [call] = gateway.look()["calls"]
    page.close()
    bitrate = sent["bytesSent"] / sent["packetsSent"] * 8 * 50
    print(f"{bitrate:.0f} bit/s", call["media"])
    speech.assert_heard("kitchen", sentences, heard)
    assert bitrate > 1.5 * sent["targetBitrate"]
    assert call["media"]["packets_received"] > 14 * 50 * 0.9 and call["media"]["loss"] == 0
    assert not any(call["media"]["dropped"].values())
    gateway.await_idle()


def test_a_browser_presses_keys_and_the_sound_goes_on(gateway, browser):
    page = open_caller(browser)
    page.evaluate("url => place(url).then((call) => hears(call, 20))", gateway.signaling())
    page.evaluate("dial(calls[0], '12#')")
    page.evaluate("hears(calls[0], 50)")
    [call] = gateway.look()["calls"]
    page.close()
    assert call["media"]["key_presses"] == 3
    assert not any(call["media"]["dropped"].values()) and call["media"]["packets_lost"] == 0
    gateway.await_idle()


@pytest.mark.alone
def test_the_playground_shows_how_the_call_is_at_the_server(gateway, browser):
    page = browser.new_page()
    talk(page, gateway)
    page.wait_for_function("() => patchbay.server?.packets_received > 100 && patchbay.server.mos_sent !== null")
    server = page.evaluate("window.patchbay.server")
    cells = page.evaluate("Object.fromEntries([...document.querySelectorAll('[id^=v-]')].map((e) => [e.id, e.textContent]))")
    page.close()
    print(server, cells)
    assert set(cells) == {f"v-{name}" for name in SHOWN}
    assert "–" not in cells.values()
    assert cells["v-up-loss"] == cells["v-down-loss"] == "0 %"
    assert float(cells["v-up-mos"]) > 4 and float(cells["v-down-mos"]) > 4
    assert -127 <= server["audio_level_dbov"] <= 0
    gateway.await_idle()


@pytest.mark.alone
@pytest.mark.parametrize("code", [1006, 1011])
def test_the_playground_comes_back_when_its_socket_is_lost(gateway, browser, code):
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    relay = asyncio.run_coroutine_threadsafe(Relay(gateway.url).__aenter__(), loop).result(5)
    page = browser.new_page()
    told = f"{{ code: code === 1006 ? {code} : code, reason }}"
    page.add_init_script(f"window.WebSocket = class extends WebSocket {{ set onclose(tell) {{ super.onclose = tell && (({{ code, reason }}) => tell({told})); }} }};")
    page.goto(relay.url)
    page.get_by_role("button", name="Talk").click()
    await_state(page, "connected")
    loop.call_soon_threadsafe(relay.reset)
    answers = "() => [...document.querySelectorAll('#log b')].filter(type => type.textContent === 'answer').length === 2"
    page.wait_for_function(answers, timeout=5000)
    assert [call["state"] for call in gateway.look()["calls"]] == ["connected"]
    before = page.evaluate("window.patchbay.stats.packetsSent")
    page.wait_for_function("before => window.patchbay.stats.packetsSent > before + 100", arg=before, timeout=5000)
    assert page.evaluate("window.patchbay.state") == "connected"
    page.get_by_role("button", name="Hang up").click()
    await_state(page, "ended")
    gateway.await_idle()
    asyncio.run_coroutine_threadsafe(relay.__aexit__(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)


ALLOCATE = 0x0003


def noted(page, *types: str) -> list:
    """What the page notes about something."""
    every = page.evaluate("patchbay.messages")
    return [each["message"] for each in every if each["type"] in types]


def test_the_playground_has_the_gateways_turn_server(start, browser, turn_server):
    gateway = start(template=with_turn(turn_server))
    page = browser.new_page()
    talk(page, gateway)
    made = page.evaluate("call.pc.getConfiguration()")
    assert made["iceServers"][0]["urls"] == [f"turn:127.0.0.1:{turn_server.getsockname()[1]}"]
    assert noted(page, "turn-credentials") == [made["iceServers"][0]["urls"]]
    assert made["iceServers"][0]["username"] and made["iceTransportPolicy"] == "all"
    page.close()
    gateway.await_idle()


def test_the_playground_waits_for_a_relay_where_there_is_no_other_way(start, browser, turn_server):
    gateway = start(template=with_turn(turn_server, "all"))
    page = browser.new_page()
    page.goto(gateway.url)
    page.get_by_role("button", name="Talk").click()
    page.wait_for_function("() => patchbay.messages.some(({ message }) => message.payload?.error_type === 'relay_unavailable')")
    page.wait_for_timeout(500)
    assert page.evaluate("[patchbay.state, call.pc.getConfiguration().iceTransportPolicy]") == ["connecting", "relay"]
    while True:  # the gateway asks too, but from a port below
        datagram, (_, port) = turn_server.recvfrom(2048)
        if int.from_bytes(datagram[:2]) == ALLOCATE and port > 30_000:
            break
    page.get_by_role("button", name="Hang up").click()
    gateway.await_idle()


def test_the_playground_goes_on_without_turn_credentials(gateway, browser):
    page = browser.new_page()
    page.route("**/public/embed/config/*", lambda route: route.fulfill(status=500, body="no JSON"))
    talk(page, gateway)
    [config, credentials] = noted(page, "config", "turn-credentials")
    page.close()
    assert "JSON" in config and credentials == {"detail": "TURN server not configured"}
    gateway.await_idle()


def lose_the_way(page, gateway):
    """The gateway falls silent until the browser gives its path up, and with that begins anew."""
    talk(page, gateway)
    os.kill(gateway.pid, signal.SIGSTOP)
    page.wait_for_function("() => patchbay.messages.some(({ type }) => type === 'renegotiate')", timeout=40_000)
    assert noted(page, "connection")[:4] == ["connecting", "connected", "disconnected", "failed"]
    assert page.evaluate("window.patchbay.state") == "connected"


@pytest.mark.long
@pytest.mark.alone
def test_the_playground_looks_for_another_way_within_the_call(start, browser):
    gateway = start()
    page = browser.new_page()
    try:
        lose_the_way(page, gateway)
    finally:
        os.kill(gateway.pid, signal.SIGCONT)
    page.wait_for_function("() => call?.pc.connectionState === 'connected'", timeout=5000)
    before = gateway.look()["calls"][0]["media"]["packets_received"]
    gateway.await_state(lambda now: now["calls"][0]["media"]["packets_received"] > before + 100, timeout=5)
    assert page.evaluate("window.patchbay.state") == "connected"
    assert gateway.look()["started"] == 1
    page.close()
    gateway.await_idle()


@pytest.mark.long
@pytest.mark.rare
def test_the_playground_says_that_no_way_is_left(start, browser):
    gateway = start()
    page = browser.new_page()
    try:
        lose_the_way(page, gateway)
        await_state(page, "failed", timeout=20)
    finally:
        os.kill(gateway.pid, signal.SIGCONT)
    assert page.evaluate("window.patchbay.reason") == "connection_lost"
    assert len(noted(page, "renegotiate")) == 1
    gateway.await_idle()


def test_candidates_trickle_both_ways(gateway, browser):
    page = open_caller(browser)
    page.evaluate("url => place(url).then(() => null)", gateway.signaling(run=12))
    call = page.evaluate("({ sent: calls[0].sent, received: calls[0].received, messages: calls[0].messages })")
    answer = next(each["payload"]["sdp"] for each in call["messages"] if each["type"] == "answer")
    page.close()
    assert call["sent"] >= 1, "the browser had nothing to trickle"
    assert call["received"] + len(re.findall(r"^a=candidate:", answer, re.MULTILINE)) >= 1
    gateway.await_idle()


@pytest.mark.parametrize("options", [{}, {"iceRestart": True}], ids=["as it is", "ICE restart"])
def test_a_renegotiation_keeps_the_sound(gateway, browser, options):
    page = open_caller(browser)
    page.evaluate("url => place(url).then((call) => hears(call, 20))", gateway.signaling())
    page.evaluate("options => calls[0].negotiate('renegotiate', options)", options)
    page.evaluate("hears(calls[0], 100)")
    assert gateway.look()["leases"] == gateway.look()["peer_connections"] == 1
    assert page.evaluate("calls[0].pc.connectionState") == "connected"
    page.close()
    gateway.await_idle()


def test_a_closed_peer_connection_ends_the_call_and_then_the_socket(gateway, browser):
    page = open_caller(browser)
    page.evaluate("url => place(url).then((call) => hears(call, 5))", gateway.signaling(run=15))
    page.evaluate("calls[0].pc.close()")
    close = page.evaluate("within(15, 'the end', calls[0].closed)")
    ended = page.evaluate("calls[0].messages.at(-1)")
    page.close()
    assert close == {"code": 1000, "reason": "call ended"}
    assert ended["type"] == "call-ended" and ended["payload"]["reason"] == "peer_connection_closed"
    assert ended["payload"]["workflow_run_id"] == 15
    gateway.await_idle()


def test_a_closed_tab_gives_its_seat_back(gateway, browser):
    page = browser.new_page()
    talk(page, gateway)
    assert gateway.look()["leases"] == 1
    page.close()
    gateway.await_idle()


@pytest.mark.rare
@pytest.mark.alone
@pytest.mark.long
def test_two_hundred_calls_from_one_page_leave_nothing_behind(start, browser):
    gateway = start()
    page = open_caller(browser)

    def place(runs):
        assert page.evaluate("urls => many(urls)", [gateway.signaling(run=run) for run in runs]) == []
        gateway.await_idle()

    place(range(1, 11))  # what is made once and kept
    descriptors, resident = gateway.descriptors(), gateway.resident()
    for first in range(11, 211, 20):
        place(range(first, first + 20))
    page.close()
    gateway.await_descriptors(descriptors)
    print(f"{descriptors} descriptors; resident memory grew by {(gateway.resident() - resident) / 2**20:.1f} MiB")
