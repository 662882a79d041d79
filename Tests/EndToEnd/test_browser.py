"""A real browser: the playground through the parrot, and a page of our own through the echo."""

import re

import pytest
from playwright.sync_api import expect

import speech
from browser import chromium, open_caller, record


@pytest.fixture(scope="module")
def browser(sentences):
    with chromium(sentences["kitchen"]) as browser:
        yield browser


def await_state(page, state: str, timeout=15):
    page.wait_for_function("state => window.patchbay.state === state", arg=state, timeout=timeout * 1000)


def talk(page, gateway):
    page.goto(gateway.url)
    expect(page.get_by_role("button", name="Talk")).to_be_visible()
    assert page.evaluate("window.patchbay.state") == "idle"
    page.get_by_role("button", name="Talk").click()
    await_state(page, "connected")


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


def test_a_page_hears_the_echo_of_itself(gateway, browser, sentences):
    page = open_caller(browser)
    page.evaluate("url => place(url).then(() => null)", gateway.signaling(run=11))
    heard = record(page, 14)
    stats = page.evaluate("inbound(calls[0])")
    page.close()
    speech.assert_heard("kitchen", sentences, heard)
    assert stats["packetsLost"] == 0 and stats["packetsReceived"] > 14 * 50 * 0.9
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
