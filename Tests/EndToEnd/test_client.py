"""The client that the documents show, in a browser; and how long a call takes to set up."""

import pytest

import speech
from browser import chromium, open_caller, open_documented, record
from gateway import BINARY, changed_config, with_turn

CALLS = 30
# What the median may be, in milliseconds. Of a debug build nothing is promised.
QUICK = 60 if "release" in BINARY.parts else 200


@pytest.fixture(scope="module")
def browser(sentences):
    with chromium(sentences["kitchen"]) as browser:
        yield browser


@pytest.mark.alone
def test_a_call_is_set_up_quickly(gateway, browser):
    """On loopback there is no way to wait for: what is measured is the work, and timers that should not be in it."""
    page = open_caller(browser)
    urls = [gateway.signaling() for _ in range(CALLS)]
    times = sorted(page.evaluate("urls => setUpTimes(urls)", urls))
    page.close()
    p50, p90 = times[len(times) // 2], times[len(times) * 9 // 10]
    print(f"from the offer to connected, {len(times)} calls: p50 {p50:.0f} ms, p90 {p90:.0f} ms, max {times[-1]:.0f} ms")
    assert len(times) == CALLS and p50 < QUICK
    gateway.await_idle()


@pytest.fixture
def page(browser):
    problems = []
    page = open_documented(browser)
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    page.close()
    assert problems == []


CALL = """async (url) => {
  window.states = [];
  window.made = await call(url, { onState: (...state) => states.push(state) });
  document.querySelector("audio").srcObject = made.stream;
}"""


@pytest.mark.alone
def test_the_client_of_the_documents_hears_itself(gateway, page, sentences):
    page.evaluate(CALL, gateway.signaling())
    heard = record(page, 14)
    page.evaluate("made.hangUp()")
    gateway.await_idle()
    speech.assert_heard("kitchen", sentences, heard)
    assert page.evaluate("states") == [["connecting"], ["connected"], ["ended", "hung up"]]


def test_the_client_of_the_documents_starts_an_embed_session(gateway, page):
    url = page.evaluate("async (gateway) => (await embed(gateway, 'emb_echo')).url", gateway.url)
    page.evaluate(CALL, url)
    gateway.await_state(lambda now: [each["state"] for each in now["calls"]] == ["connected"], timeout=15)
    page.evaluate("made.hangUp()")
    gateway.await_idle()


def test_the_client_of_the_documents_is_told_why_there_is_no_call(start, page):
    gateway = start(seats=1)
    refused = "url => call(url).then(() => null, ({ message, code }) => [message, code])"
    page.evaluate(CALL, gateway.signaling())
    assert page.evaluate(refused, gateway.signaling()) == ["Concurrent call limit reached", "concurrency_limit_exceeded"]
    page.evaluate("made.hangUp()")
    gateway.await_idle()
    assert "1006" in page.evaluate(refused, gateway.signaling(token="nonsense"))[0]


def test_the_client_of_the_documents_is_told_how_its_call_ended(start, page):
    gateway = start(template=changed_config(("call: 30m", "call: 2s")))
    page.evaluate(CALL, gateway.signaling())
    page.wait_for_function("states.at(-1)?.[0] === 'ended'", timeout=10_000)
    assert page.evaluate("states.at(-1)") == ["ended", "time_limit"]
    gateway.await_idle()


def test_the_client_of_the_documents_waits_for_a_relay(start, page, turn_server):
    """It is told that there is none yet; there may be one before the call's time is up."""
    gateway = start(template=with_turn(turn_server, "all"), connect="12s")
    page.evaluate("async (url) => { window.told = []; window.made = await call(url, { onEvent: (...each) => told.push(each) }); }",
                  gateway.signaling())
    page.wait_for_function("told.some(([, { error_type }]) => error_type === 'relay_unavailable')", timeout=10_000)
    gateway.await_state(lambda now: [each["state"] for each in now["calls"]] == ["connecting"])
    page.wait_for_function("told.at(-1)[0] === 'call-ended'", timeout=15_000)
    told = page.evaluate("told")
    assert [type for [type, _] in told] == ["error", "call-ended"], told
    gateway.await_idle()
