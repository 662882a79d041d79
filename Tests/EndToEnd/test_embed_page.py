"""The script of embed pages, on pages of another origin: in each mode, refused, by keyboard, under a strict policy, and what of it the
page notices."""

import asyncio
import contextlib
import html
import json
import re
import threading

import pytest
from playwright.sync_api import expect

import speech
from bot import MARKUP, Bot
from browser import chromium, record
from firefox import firefox
from gateway import ROOT, changed_config, http
from host_pages import HostPages
from relay import Relay

TOKENS = """\
      - {{ token: emb_echo, workflow: 2 }}
      - {{ token: emb_shop, workflow: 2, allowed_domains: [shop.example] }}
      - {{ token: emb_here, workflow: 2, allowed_domains: [127.0.0.1] }}
      - {{ token: emb_off, workflow: 2, active: false }}
      - {{ token: emb_old, workflow: 2, expires: "2020-01-01T00:00:00Z" }}
      - {{ token: emb_auto, workflow: 2, settings: {{ autoStart: true }} }}
      - token: emb_styled
        workflow: 2
        settings:
          theme: dark
          position: top-left
          size: large
          buttonText: Mit uns sprechen
          buttonColor: "#ffd54a"
          voiceReadyTitle: Bereit
          voiceMuteText: Stumm
          voiceEndCallText: Auflegen
"""
TENANT = """\
  acme:
    match: {{ path: /t/acme }}
    auth: [embeds]
    pipeline: echo
    ice: {{ inbound: none, outbound: none }}
  closed:
    match: {{ path: /t/closed }}
    auth: [users]
    pipeline: echo
    ice: {{ inbound: none, outbound: none }}
"""
CONFIG = changed_config(("      - {{ token: emb_echo, workflow: 2 }}\n", TOKENS)) + TENANT
CALL = "Start Voice Call"
TEXT = "<h1>A shop</h1><p id='text'>" + "The large one comes in green. " * 60 + "</p>"


@pytest.fixture(scope="module")
def gateway(_gateways):
    yield from _gateways(template=CONFIG)


@pytest.fixture(scope="module")
def host():
    pages = HostPages()
    yield pages
    pages.close()


@pytest.fixture(scope="module")
def running_browser(noisy):
    with chromium(noisy["kitchen"]) as browser:
        yield browser


@pytest.fixture
def visit(running_browser, gateway):
    """Opens pages that must show no fault of the script's, and ends the calls from them."""
    problems = []

    def open_page(url: str, script: str | None = None, **options):
        page = running_browser.new_context(**options).new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: (problems.append(dialog.message), dialog.dismiss()))
        if script:
            page.add_init_script(script)
        page.goto(url)
        return page

    yield open_page
    for context in running_browser.contexts:
        context.close()
    gateway.await_idle()
    assert problems == []


def tag(gateway, token="emb_echo", **attributes) -> str:
    """The script, as a page has it."""
    words = "".join(f' data-{name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f'<script src="{gateway.url}/embed/patchbay.js" data-token="{token}"{words} async></script>'


def inline(gateway, token="emb_echo", height="26rem", **attributes) -> str:
    style = f"<style>#talk {{ height: {height} }}</style>"
    return f'{style}<div id="talk"></div><p id="after">After.</p>' + tag(gateway, token, mode="inline", target="#talk", **attributes)


def await_state(page, state: str, timeout=15):
    page.wait_for_function("state => window.Patchbay?.widgets[0]?.state === state", arg=state, timeout=timeout * 1000)


def packets(gateway) -> int:
    """What the callers of the only call have sent."""
    [call] = gateway.look()["calls"]
    return call.get("media", {}).get("packets_received", 0)


def await_sound(gateway, count=50):
    gateway.await_state(lambda now: now["calls"] and now["calls"][0].get("media", {}).get("packets_received", 0) > count, timeout=10)


# MARK: - The script


@pytest.mark.parametrize("tenant", ["", "/t/acme"])
def test_the_script_is_served_to_any_page_and_again_only_when_it_is_another(gateway, tenant):
    url = f"{gateway.url}{tenant}/embed/patchbay.js"
    status, headers, body = http("GET", url, headers={"Origin": "https://anybody.example"})
    assert status == 200 and b"window.Patchbay" in body
    assert headers["content-type"] == "text/javascript; charset=utf-8"
    assert headers["cross-origin-resource-policy"] == "cross-origin" and headers["access-control-allow-origin"] == "*"
    assert headers["x-content-type-options"] == "nosniff" and headers["cache-control"] == "public, max-age=300"
    status, again, body = http("GET", url, headers={"If-None-Match": headers["etag"]})
    assert (status, body, again["etag"]) == (304, b"", headers["etag"])
    assert http("GET", url, headers={"If-None-Match": '"x"'})[0] == 200
    assert http("HEAD", url)[::2] == (200, b"")


def test_the_script_is_not_served_where_no_page_could_call(gateway):
    assert http("GET", f"{gateway.url}/t/closed/embed/patchbay.js")[0] == 404


# MARK: - Calls


@pytest.mark.alone
def test_a_page_of_another_origin_calls_and_hears(gateway, host, sentences):
    """Speech goes in by the microphone, and the parrot's words come out of what plays them."""
    with chromium(sentences["harbour"]) as browser:
        page = browser.new_page()
        page.goto(host.add(TEXT + tag(gateway, "emb_demo")))
        button = page.get_by_role("button", name=CALL)
        expect(button).to_be_visible()
        assert page.evaluate("[Patchbay.state, Patchbay.audio.srcObject]") == ["ready", None]
        button.click()
        expect(page.get_by_role("status")).to_contain_text("You are connected")
        assert gateway.look()["leases"] == 1
        page.evaluate("document.body.append(Patchbay.audio)")  # for `record`
        heard = record(page, 14)
        page.get_by_role("button", name="End call").click()
        expect(page.get_by_role("status")).to_contain_text("Call ended")
        gateway.await_idle()
        speech.assert_heard("harbour", sentences, heard)


def test_the_meters_of_a_call_that_nobody_pressed_for_move(gateway, host, noisy):
    with chromium(noisy["kitchen"], autoplay="document-user-activation-required") as browser:
        page = browser.new_page()
        page.goto(host.add(TEXT + tag(gateway, "emb_auto")))
        await_state(page, "connected")
        page.evaluate("() => { window.loudest = 0; Patchbay.on('level', ({ up, down }) => { loudest = Math.max(loudest, Math.min(up, down)); }); }")
        page.wait_for_function("loudest > 0.2")
    gateway.await_idle()


@pytest.mark.parametrize("tenant", ["", "/t/acme"])
@pytest.mark.parametrize("mode", ["floating", "inline", "headless"])
def test_every_mode_calls_and_hangs_up_and_calls_again(gateway, host, visit, mode, tenant):
    body = inline(gateway) if mode == "inline" else tag(gateway, mode=mode)
    page = visit(host.add(TEXT + body.replace(gateway.url, gateway.url + tenant)))
    page.wait_for_function("window.Patchbay?.widgets.length === 1")
    for _ in range(2):
        if mode == "headless":
            assert page.evaluate("Patchbay.start()") == "connected"
        else:
            page.get_by_role("button", name=CALL).click()
            await_state(page, "connected")
        await_sound(gateway)
        assert [call["tenant"] for call in gateway.look()["calls"]] == ["acme" if tenant else "default"]
        if mode == "headless":
            page.evaluate("Patchbay.stop()")
        else:
            page.get_by_role("button", name="End call").click()
        assert page.evaluate("Patchbay.state") == "ended"
        gateway.await_idle()
    assert page.locator("[data-patchbay]").count() == (mode != "headless")


def test_the_pages_own_script_is_told_and_may_do_what_the_buttons_do(gateway, host, visit):
    page = visit(host.add(TEXT + tag(gateway, mode="headless", context="{&quot;customer&quot;:&quot;Ada&quot;}")))
    page.wait_for_function("window.Patchbay?.widgets.length === 1")
    outcome = page.evaluate(
        """async () => {
          window.told = [];
          for (const name of ["state", "mute", "level", "speaking"]) Patchbay.on(name, (detail) => told.push([name, detail]));
          const ends = [await Promise.all([Patchbay.start(), Patchbay.start()])];
          await new Promise((resolve) => { const end = Patchbay.on("level", ({ up, down }) => { if (up > 0.2 && down > 0.2) { end(); resolve(); } }); });
          ends.push(Patchbay.mute(), Patchbay.muted, Patchbay.mute(false));
          Patchbay.stop();
          return ends;
        }"""
    )
    assert outcome == [["connected", "connected"], True, True, False]
    told = page.evaluate("told.filter(([name]) => name !== 'level')")
    assert [detail["state"] for name, detail in told if name == "state"] == ["connecting", "connecting", "connected", "ended"]
    assert [detail for name, detail in told if name == "mute"] == [{"muted": True}, {"muted": False}]
    assert all(set(detail) == {"state", "title", "detail", "code"} for name, detail in told if name == "state")
    levels = page.evaluate("told.filter(([name]) => name === 'level').map(([, { up, down }]) => [up, down]).flat()")
    assert min(levels) >= 0 and max(levels) <= 1
    gateway.await_idle()
    with gateway.database() as database:
        sessions = [json.loads(value) for key, value in database.execute("SELECT key, value FROM entries") if key.startswith("embed_token:session:")]
    assert [each["context_variables"].get("customer") for each in sessions].count("Ada") == 1


def test_muted_means_silence(gateway, host, visit):
    page = visit(host.add(TEXT + tag(gateway)))
    page.get_by_role("button", name=CALL).click()
    await_state(page, "connected")
    loud = "() => new Promise((resolve) => { const end = Patchbay.on('level', ({ %s }) => { if (%s) { end(); resolve(true); } }); })"
    assert page.evaluate(loud % ("down", "down > 0.3"))
    mute = page.get_by_role("button", name="Mute")
    expect(mute).to_have_attribute("aria-pressed", "false")
    mute.click()
    expect(mute).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("Patchbay.muted")
    assert page.evaluate(loud % ("up, down", "up === 0 && down < 0.05"))
    mute.click()
    assert page.evaluate(loud % ("down", "down > 0.3"))
    expect(mute).to_have_attribute("aria-pressed", "false")


# What the floating button shows, and where.
PILL = """() => {
  const pill = document.querySelector("[data-patchbay]").shadowRoot.querySelector(".pill");
  const [icon] = [...pill.querySelectorAll("svg")].filter((each) => each.checkVisibility());
  const { color, backgroundColor } = getComputedStyle(icon), box = (each) => Object.values(each.getBoundingClientRect().toJSON());
  return { shape: icon.innerHTML, color, background: backgroundColor, places: [box(pill), ...[...pill.querySelectorAll("b")].map(box)] };
}"""


@pytest.mark.parametrize("colors", ["none", "active"])
def test_who_is_muted_sees_and_hears_it_with_the_card_and_without(gateway, host, visit, colors):
    page = visit(host.add(TEXT + tag(gateway)), SHIFTS, forced_colors=colors)
    page.evaluate("Patchbay.start()")
    await_state(page, "connected")
    status, pill = page.get_by_role("status"), page.get_by_role("button", name="On a call")
    expect(pill).to_have_accessible_name("On a call")
    before = page.evaluate(PILL)
    page.evaluate("Patchbay.mute()")  # not by a press, which may move things
    expect(pill).to_have_accessible_name("On a call You are muted.")
    muted = page.evaluate(PILL)
    assert muted["places"] == before["places"] and muted["shape"] != before["shape"]
    assert muted["color"] not in (muted["background"], before["color"]), "it can be told at a glance"
    pill.click()
    expect(status).to_have_text("You are connectedYou are muted.")
    page.evaluate("document.querySelector('[data-patchbay]').shadowRoot.querySelector('.hide').click(); Patchbay.mute()")
    expect(pill).to_have_accessible_name("On a call")
    expect(status).to_have_text("You are connectedGo ahead and speak.")
    assert page.evaluate(PILL) == before
    page.evaluate("Patchbay.mute(); Patchbay.stop()")
    expect(page.get_by_role("button", name=CALL)).to_have_accessible_name(CALL)
    assert page.evaluate("shifts") == []


def test_a_page_may_call_before_it_is_known_how_the_button_looks(gateway, host, visit):
    slow = f"<script src='{gateway.url}/embed/patchbay.js'></script><script>window.mine = Patchbay.create({{ token: 'emb_styled' }}); window.outcome = mine.start();</script>"
    page = visit(host.add(TEXT + slow))
    assert page.evaluate("outcome") == "connected"
    expect(page.get_by_role("button", name="Mit uns sprechen")).to_be_hidden()
    expect(page.get_by_role("button", name="On a call")).to_be_visible()
    page.evaluate("mine.mute(true); mine.stop()")
    expect(page.get_by_role("button", name="Mit uns sprechen")).to_be_visible()
    assert page.evaluate("[mine.state, mine.muted]") == ["ended", False]


# A browser that keeps the sound back until something is pressed, and the page has set `isHeld` to false.
HELD = "const play = HTMLMediaElement.prototype.play; HTMLMediaElement.prototype.play = function () { return navigator.userActivation.isActive && window.isHeld === false ? play.call(this) : Promise.reject(new DOMException('no', 'NotAllowedError')); };"


def test_a_browser_that_keeps_the_sound_back_has_a_button_for_it(gateway, host, visit):
    page = visit(host.add(TEXT + tag(gateway)), HELD)
    page.get_by_role("button", name=CALL).click()
    await_state(page, "connected")
    sound = page.get_by_role("button", name="Turn the sound on")
    expect(sound).to_be_visible()
    assert page.evaluate("Patchbay.audio.paused")
    page.evaluate("window.isHeld = false")
    sound.click()
    expect(sound).to_be_hidden()
    assert not page.evaluate("Patchbay.audio.paused")
    assert focused(page) == "End call"


def test_a_call_that_nobody_pressed_for_is_heard_once_somebody_presses_anything(gateway, host, visit):
    page = visit(host.add(TEXT + tag(gateway, "emb_auto")), HELD)
    await_state(page, "connected")
    expect(page.get_by_role("button", name="Turn the sound on")).to_be_visible()
    page.evaluate("window.isHeld = false")
    page.locator("h1").click()
    expect(page.get_by_role("button", name="Turn the sound on")).to_be_hidden()
    assert not page.evaluate("Patchbay.audio.paused")


def test_a_token_may_start_by_itself(gateway, host, visit):
    page = visit(host.add(TEXT + tag(gateway, "emb_auto") + "<a id='link' href='#'>A link</a>"))
    page.locator("#link").focus()
    await_state(page, "connected")
    assert page.evaluate("document.activeElement.id") == "link", "nobody pressed anything"
    page.goto(host.add(TEXT + tag(gateway, "emb_auto", auto_start="false")))
    expect(page.get_by_role("button", name=CALL)).to_be_visible()
    page.wait_for_timeout(500)
    assert page.evaluate("Patchbay.state") == "ready"
    gateway.await_idle()


@pytest.mark.alone
@pytest.mark.parametrize("code", [1006, 1011])
def test_a_call_outlives_its_socket(gateway, host, visit, code):
    """1011 is what the gateway closes with that has heard nothing for long."""
    told = f"{{ code: code === 1006 ? {code} : code, reason }}"
    lost = f"window.WebSocket = class extends WebSocket {{ set onclose(tell) {{ super.onclose = tell && (({{ code, reason }}) => tell({told})); }} }};"
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    relay = asyncio.run_coroutine_threadsafe(Relay(gateway.url).__aenter__(), loop).result(5)
    page = visit(host.add(TEXT + tag(gateway).replace(gateway.url, relay.url)), lost)
    page.get_by_role("button", name=CALL).click()
    await_state(page, "connected")
    answers = """() => { window.answers = 0; const set = RTCPeerConnection.prototype.setRemoteDescription;
      RTCPeerConnection.prototype.setRemoteDescription = function (...all) { answers += 1; return set.apply(this, all); }; }"""
    page.evaluate(answers)
    loop.call_soon_threadsafe(relay.reset)
    page.wait_for_function("answers === 1", timeout=8000)
    assert [call["state"] for call in gateway.look()["calls"]] == ["connected"]
    await_sound(gateway, packets(gateway) + 100)
    assert page.evaluate("Patchbay.state") == "connected"
    expect(page.get_by_role("status")).to_contain_text("Go ahead and speak.")
    page.get_by_role("button", name="End call").click()
    gateway.await_idle()
    asyncio.run_coroutine_threadsafe(relay.__aexit__(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)


def test_a_page_that_is_left_hangs_up(gateway, host, visit):
    page = visit(host.add(TEXT + tag(gateway)))
    page.get_by_role("button", name=CALL).click()
    await_state(page, "connected")
    page.goto(host.add("<p>Another page</p>"))
    gateway.await_idle()


# MARK: - What goes wrong in a call

SPY = """
  window.microphones = []; window.sockets = []; window.connections = [];
  const open = MediaDevices.prototype.getUserMedia;
  MediaDevices.prototype.getUserMedia = async function (...all) { const stream = await open.apply(this, all); microphones.push(...stream.getTracks()); return stream; };
  window.WebSocket = class extends WebSocket { constructor(...all) { super(...all); sockets.push(this); } };
  window.RTCPeerConnection = class extends RTCPeerConnection { constructor(...all) { super(...all); connections.push(this); } };
"""
NO_SOCKET = "window.WebSocket = class { readyState = 0; close() {} send() {} };"


def assert_microphone_off(page):
    assert page.evaluate("microphones.map(({ readyState }) => readyState)") == ["ended"]


@pytest.mark.parametrize("silent", ["init", "socket"])
def test_a_service_that_says_nothing_is_given_up_and_the_microphone_let_go(gateway, host, visit, silent):
    page = visit(host.add(TEXT + tag(gateway)), SPY + (NO_SOCKET if silent == "socket" else ""))
    if silent == "init":
        page.route("**/embed/init", lambda route: None)
    page.get_by_role("button", name=CALL).click()
    await_state(page, "failed", timeout=14)
    expect(page.get_by_role("status")).to_contain_text("No answer")
    assert_microphone_off(page)


def test_a_call_whose_socket_and_sound_are_lost_is_given_up(gateway, host, visit):
    page = visit(host.add(TEXT + tag(gateway)), SPY)
    page.get_by_role("button", name=CALL).click()
    await_state(page, "connected")
    page.evaluate(f"() => {{ const [old] = sockets; {NO_SOCKET} old.onclose({{ code: 1006, reason: '' }}); old.close(); }}")
    expect(page.get_by_role("status")).to_contain_text("Trying to get it back.")
    await_state(page, "failed", timeout=16)
    expect(page.get_by_role("status")).to_contain_text("Connection lost")
    assert_microphone_off(page)


def test_a_path_that_is_lost_is_looked_for_again(gateway, host, visit):
    page = visit(host.add(TEXT + tag(gateway)), SPY)
    page.get_by_role("button", name=CALL).click()
    await_state(page, "connected")
    page.evaluate("""() => {
      const [connection] = connections;
      window.before = connection.remoteDescription.sdp;
      Object.defineProperty(connection, "connectionState", { get: () => "failed", configurable: true });
      connection.onconnectionstatechange();
      delete connection.connectionState;
    }""")
    page.wait_for_function("connections[0].remoteDescription.sdp !== before")
    await_sound(gateway, packets(gateway) + 100)
    assert page.evaluate("Patchbay.state") == "connected"


def test_a_candidate_that_is_none_ends_no_call(gateway, host, visit):
    page = visit(host.add(TEXT + tag(gateway)), SPY)
    page.get_by_role("button", name=CALL).click()
    await_state(page, "connected")
    candidate = {"type": "ice-candidate", "payload": {"candidate": {"candidate": "candidate:rubbish", "sdpMid": "0"}}}
    page.evaluate("message => sockets[0].onmessage({ data: JSON.stringify(message) })", candidate)
    page.wait_for_timeout(300)
    assert page.evaluate("Patchbay.state") == "connected"


def test_the_reason_of_an_end_counts_more_than_how_the_socket_went(gateway, host, visit):
    page = visit(host.add(TEXT + tag(gateway)), SPY)
    page.get_by_role("button", name=CALL).click()
    await_state(page, "connected")
    page.evaluate("""() => {
      sockets[0].onmessage({ data: JSON.stringify({ type: "call-ended", payload: { reason: "time_limit" } }) });
      sockets[0].onclose({ code: 1006, reason: "" });
    }""")
    assert page.evaluate("Patchbay.state") == "ended"
    expect(page.get_by_role("status")).to_contain_text("longest time")
    assert_microphone_off(page)


@pytest.mark.parametrize("broken", ["AudioContext.prototype.createMediaStreamSource = () => { throw new DOMException('no', 'NotSupportedError'); };", "window.AudioContext = undefined;"])
def test_a_call_needs_no_meter(gateway, host, visit, broken):
    page = visit(host.add(TEXT + tag(gateway)), broken)
    page.get_by_role("button", name=CALL).click()
    await_state(page, "connected")
    await_sound(gateway)
    assert not page.evaluate("Patchbay.audio.paused")


LOSE_MICROPHONE = "() => { microphones[0].stop(); microphones[0].dispatchEvent(new Event('ended')); }"


def test_another_microphone_takes_the_place_of_one_that_is_unplugged(gateway, host, visit):
    page = visit(host.add(TEXT + tag(gateway)), SPY)
    page.get_by_role("button", name=CALL).click()
    await_state(page, "connected")
    page.evaluate(LOSE_MICROPHONE)
    page.wait_for_function("microphones.length === 2")
    assert page.evaluate("new Promise((resolve) => Patchbay.on('level', ({ up, down }) => { if (up > 0.3 && down > 0.3) resolve(true); }))")
    page.get_by_role("button", name="End call").click()
    assert page.evaluate("microphones.map(({ readyState }) => readyState)") == ["ended", "ended"]


def test_a_call_without_a_microphone_any_more_ends_and_says_why(gateway, host, visit):
    page = visit(host.add(TEXT + tag(gateway)), SPY)
    page.get_by_role("button", name=CALL).click()
    await_state(page, "connected")
    page.evaluate("() => { MediaDevices.prototype.getUserMedia = async () => { throw new DOMException('none', 'NotFoundError'); }; }")
    page.evaluate(LOSE_MICROPHONE)
    await_state(page, "failed")
    expect(page.get_by_role("status")).to_contain_text("There is none.")


@pytest.mark.parametrize("gone", ["document.getElementById('talk').remove()", "document.body.replaceWith(document.createElement('body'))"])
def test_a_widget_that_the_page_takes_away_hangs_up(gateway, host, visit, gone):
    page = visit(host.add(inline(gateway)), SPY)
    page.get_by_role("button", name=CALL).click()
    await_state(page, "connected")
    page.evaluate("document.body.prepend(document.getElementById('talk'))")
    page.wait_for_timeout(600)
    assert page.evaluate("Patchbay.state") == "connected", "it was only moved"
    page.evaluate(gone)
    page.wait_for_function("Patchbay.widgets.length === 0")
    assert_microphone_off(page)
    gateway.await_idle()


def test_a_page_that_puts_another_in_its_place_has_one_button_in_its_corner(gateway, host, visit):
    page = visit(host.add(TEXT + tag(gateway)))
    expect(page.get_by_role("button", name=CALL)).to_be_visible()
    box = page.get_by_role("button", name=CALL).bounding_box()
    for _ in range(2):
        page.evaluate("() => { document.body.replaceWith(document.createElement('body')); window.mine = Patchbay.create({ token: 'emb_echo' }); }")
        expect(page.get_by_role("button", name=CALL)).to_have_count(1)
        assert page.evaluate("Patchbay.widgets.length") == 1
        assert page.get_by_role("button", name=CALL).bounding_box() == box


def test_a_corner_is_filled_where_it_is_free(gateway, host, visit):
    page = visit(host.add(f'<script src="{gateway.url}/embed/patchbay.js"></script>'))
    made = """async (names) => {
      for (const token of names) Patchbay.create({ token, position: "bottom-right" });
      const dressed = ({ element }) => element.shadowRoot.querySelector(".root:not(.waiting)");
      while (!Patchbay.widgets.every(dressed)) await new Promise((resolve) => setTimeout(resolve, 20));
      return Patchbay.widgets.map(({ element }) => element.shadowRoot.querySelector(".pill").getBoundingClientRect().bottom);
    }"""
    low, high = page.evaluate(made, ["emb_echo", "emb_demo"])
    page.evaluate("Patchbay.widgets[0].remove()")
    assert page.evaluate(made, ["emb_player"]) == [high, low]


# MARK: - No call

REFUSE_MICROPHONE = "MediaDevices.prototype.getUserMedia = async () => { throw new DOMException('no', '%s'); };"
COUNT_MICROPHONES = """
  window.asked = 0;
  const ask = MediaDevices.prototype.getUserMedia;
  MediaDevices.prototype.getUserMedia = function (...all) { asked += 1; return ask.apply(this, all); };
"""


@pytest.mark.parametrize("mode", ["floating", "inline", "headless"])
@pytest.mark.parametrize(
    ("token", "words", "code"),
    [
        ("emb_shop", "This page may not start calls.", "domain_not_allowed"),
        ("emb_nobody", "This button is not in use.", "token_not_good"),
        ("emb_off", "This button is not in use.", "token_not_good"),
    ],
)
def test_a_page_that_may_not_call_is_told_so_in_words_and_nobody_is_asked_for_a_microphone(gateway, host, visit, mode, token, words, code):
    page = visit(host.add(inline(gateway, token) if mode == "inline" else tag(gateway, token, mode=mode)), COUNT_MICROPHONES)
    with gateway.nothing_started():
        await_state(page, "refused")
        if mode == "headless":
            told = page.evaluate("new Promise((resolve) => { Patchbay.on('state', (event) => event.state === 'refused' && resolve(event)); Patchbay.start(); })")
            assert (told["detail"], told["code"]) == (words, code)
        else:
            if mode == "floating":
                page.get_by_role("button", name=CALL).click()
                expect(page.get_by_role("status")).to_contain_text(words)
                assert focused(page) == "Hide the call"
            expect(page.get_by_role("region")).to_contain_text(words)
            # None that would only be refused again.
            assert [focusable.get_attribute("aria-label") for focusable in page.get_by_role("button").all()] == ["Hide the call"] * (mode == "floating")
        assert page.evaluate("asked") == 0


def test_a_button_of_a_tenant_that_has_none_is_not_in_use(gateway, host, visit):
    page = visit(host.add(inline(gateway).replace(" async", f' data-gateway="{gateway.url}/t/closed" async')))
    await_state(page, "refused")
    expect(page.get_by_role("region")).to_contain_text("This button is not in use.")


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [
        ("/api/v1/public/embed/init", 70_000, 413),
        ("/t/acme/api/v1/public/embed/init", 70_000, 413),
        ("/api/v1/public/embed/config/%zz", 0, 400),
        ("/t/closed/api/v1/public/embed/config/emb_echo", 0, 404),
        ("/nowhere/api/v1/public/embed/config/emb_echo", 0, 404),
    ],
)
def test_a_page_can_read_what_came_to_no_plugin(gateway, host, visit, path, size, status):
    page = visit(host.add(TEXT))
    ask = """async ([address, size]) => {
      const body = { method: "POST", headers: { "Content-Type": "application/json" }, body: "x".repeat(size) };
      return (await fetch(address, size ? body : {}).catch(() => ({}))).status ?? "none that it could read";
    }"""
    assert page.evaluate(ask, [gateway.url + path, size]) == status


# Answers an offer with an error, or opens no socket at all.
REFUSING = "window.WebSocket = class extends WebSocket { constructor(url) { super(url + '%(suffix)s'); } send() { this.onmessage({ data: JSON.stringify({ type: 'error', payload: { error_type: '%(code)s', message: 'Words.' } }) }); } };"


@pytest.mark.parametrize(
    ("code", "state"),
    [("socket_refused", "failed"), ("quota_check_failed", "failed"), ("workflow_run_already_active", "failed"), ("too_many_calls", "failed"), ("call_minutes_exceeded", "refused")],
)
def test_only_what_may_go_well_another_time_can_be_tried_again(gateway, host, visit, code, state):
    page = visit(host.add(inline(gateway)), REFUSING % {"code": code, "suffix": "x" if code == "socket_refused" else ""})
    page.evaluate("() => { window.told = []; Patchbay.on('state', ({ code }) => told.push(code)); }")
    page.get_by_role("button", name=CALL).click()
    await_state(page, state)
    assert page.evaluate("told.at(-1)") == code
    expect(page.get_by_role("button", name="Retry")).to_have_count(int(state == "failed"))
    assert page.evaluate("document.activeElement.dataset.patchbay") == "inline", "the focus does not get lost with the button that had it"


def test_a_token_that_is_good_on_one_page_is_none_on_another(gateway, host, visit):
    url = host.add(TEXT + tag(gateway, "emb_here"))
    page = visit(url)
    page.get_by_role("button", name=CALL).click()
    await_state(page, "connected")
    page.goto(url.replace("127.0.0.1", "localhost"))
    page.get_by_role("button", name=CALL).click()
    await_state(page, "refused")
    expect(page.get_by_role("status")).to_contain_text("This page may not start calls.")


def test_the_microphone_is_let_go_when_a_call_ends_or_comes_to_nothing(gateway, host, visit):
    page = visit(host.add(TEXT + tag(gateway)), SPY)
    page.get_by_role("button", name=CALL).click()
    await_state(page, "connected")
    page.get_by_role("button", name="End call").click()
    assert_microphone_off(page)
    for status, state in (429, "failed"), (403, "refused"):
        page = visit(host.add(TEXT + tag(gateway)), SPY)
        page.route("**/embed/init", lambda route, _, status=status: route.fulfill(status=status, json={"detail": "No"}, headers={"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "*"}))
        page.get_by_role("button", name=CALL).click()
        await_state(page, state)
        assert_microphone_off(page)


def test_a_page_that_may_not_have_the_microphone_says_that_and_not_to_allow_it(gateway, host, visit):
    page = visit(host.add(TEXT + tag(gateway), Permissions_Policy="microphone=()"))
    page.get_by_role("button", name=CALL).click()
    expect(page.get_by_role("status")).to_contain_text("This site does not let the page use it.")


@pytest.mark.parametrize("allow", ["", "microphone"])
def test_a_page_in_a_frame_calls_where_the_page_around_it_allows_that(gateway, host, visit, allow):
    inner = host.add(TEXT + tag(gateway)).replace("127.0.0.1", "localhost")
    page = visit(host.add(f'<iframe src="{inner}" allow="{allow}" width="600" height="500"></iframe>'))
    frame = page.frame_locator("iframe")
    frame.get_by_role("button", name=CALL).click()
    expect(frame.get_by_role("status")).to_contain_text("You are connected" if allow else "This site does not let the page use it.")


def test_an_element_of_the_pages_cannot_name_another_gateway(gateway, host, visit):
    page = visit(host.add(TEXT + '<img name="currentScript" src="http://127.0.0.1:9/embed/x.js" data-token="emb_evil">' + tag(gateway).replace("async", "")))
    page.get_by_role("button", name=CALL).click()
    await_state(page, "connected")


def test_the_gateway_hears_the_pages_origin_and_not_its_address(gateway, host, visit):
    page = visit(host.add(TEXT + tag(gateway)))
    asked = []
    page.on("request", lambda request: asked.append(request))
    page.get_by_role("button", name=CALL).click()
    await_state(page, "connected")
    assert {request.all_headers().get("referer") for request in asked if "/public/embed/" in request.url} == {host.origin + "/"}


def test_a_button_that_could_not_be_dressed_is_at_the_call(gateway, host, visit):
    page = visit(host.add(TEXT), None)
    page.route("**/embed/config/*", lambda route: route.abort())
    page.goto(host.add(TEXT + tag(gateway, "emb_styled")))
    expect(page.get_by_role("button", name=CALL)).to_be_visible()
    page.unroute("**/embed/config/*")
    page.get_by_role("button", name=CALL).click()
    await_state(page, "connected")
    expect(page.get_by_role("button", name="Auflegen")).to_be_focused()
    assert page.get_by_role("button", name="Stumm").bounding_box()["y"] < 300


@pytest.mark.parametrize(
    ("name", "title", "words", "code"),
    [
        ("NotAllowedError", "Microphone needed", "Allow it in the address bar", "microphone_denied"),
        ("SecurityError", "Microphone needed", "Allow it in the address bar", "microphone_denied"),
        ("NotFoundError", "Microphone needed", "There is none. Connect one", "microphone_missing"),
        ("NotReadableError", "Microphone needed", "Another program is using it", "microphone_busy"),
        ("AbortError", "Microphone needed", "Another program is using it", "microphone_busy"),
        # Nothing that the visitor could allow.
        ("OverconstrainedError", "Something went wrong", "Try again in a moment.", "error"),
        ("InvalidStateError", "Something went wrong", "Try again in a moment.", "error"),
    ],
)
def test_without_a_microphone_there_is_no_call_and_none_is_counted(gateway, host, visit, name, title, words, code):
    page = visit(host.add(TEXT + tag(gateway)), REFUSE_MICROPHONE % name)
    page.wait_for_function("window.Patchbay?.widgets.length === 1")
    page.evaluate("() => { window.told = []; Patchbay.on('state', ({ code }) => told.push(code)); }")
    with gateway.nothing_started():
        page.get_by_role("button", name=CALL).click()
        expect(page.get_by_role("status")).to_contain_text(title)
        expect(page.get_by_role("status")).to_contain_text(words)
        assert page.evaluate("Patchbay.state") == "failed"
        assert page.evaluate("told.at(-1)") == code


def test_an_expired_token_and_a_full_house_are_said_in_words(gateway, start, host, visit):
    page = visit(host.add(tag(gateway, "emb_old")))
    page.get_by_role("button", name=CALL).click()
    expect(page.get_by_role("status")).to_contain_text("This button is not in use.")
    full = start(template=CONFIG, seats=1)
    [first, second] = [visit(host.add(tag(full))) for _ in range(2)]
    first.get_by_role("button", name=CALL).click()
    await_state(first, "connected")
    second.get_by_role("button", name=CALL).click()
    expect(second.get_by_role("status")).to_contain_text("All lines are busy")
    assert second.evaluate("Patchbay.state") == "failed"
    first.close()
    full.await_idle()
    second.get_by_role("button", name="Retry").click()
    await_state(second, "connected")
    second.close()
    full.await_idle()


def test_a_token_that_is_withdrawn_in_a_call_starts_no_other(gateway, host, visit):
    key = "embed_token:token:emb_kept"
    gateway.change(key, workflow=2, owner="7")
    page = visit(host.add(tag(gateway, "emb_kept")))
    page.get_by_role("button", name=CALL).click()
    await_state(page, "connected")
    gateway.change(key, active=False)
    await_sound(gateway)
    page.get_by_role("button", name="End call").click()
    page.get_by_role("button", name=CALL).click()
    expect(page.get_by_role("status")).to_contain_text("This button is not in use.")


def test_a_gateway_that_is_not_there_is_said_so(gateway, start, host, visit):
    gone = start(template=CONFIG)
    page = visit(host.add(tag(gone)))
    expect(page.get_by_role("button", name=CALL)).to_be_visible()
    gone.stop()
    page.get_by_role("button", name=CALL).click()
    expect(page.get_by_role("status")).to_contain_text("No answer")
    assert page.evaluate("Patchbay.state") == "failed"


# MARK: - For everybody


def focused(page) -> str:
    """The name of what has the focus, in the widget or in the page."""
    return page.evaluate(
        """() => {
          let element = document.activeElement;
          while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
          return element?.getAttribute("aria-label") || [...element?.childNodes ?? []].filter((each) => each.checkVisibility?.() ?? true).map((each) => each.innerText ?? each.textContent).join(" ").trim();
        }"""
    )


def tab(page, key="Tab") -> str:
    page.keyboard.press(key)
    return focused(page)


def test_a_call_is_made_by_keyboard_alone(gateway, host, visit):
    page = visit(host.add("<a href='#' id='link'>A link</a>" + TEXT + tag(gateway)))
    expect(page.get_by_role("button", name=CALL)).to_be_visible()
    page.locator("#link").focus()
    assert tab(page).startswith(CALL)
    page.keyboard.press("Enter")
    await_state(page, "connected")
    assert focused(page) == "End call"
    assert tab(page, "Shift+Tab") == "Mute"
    page.keyboard.press("Space")
    assert page.evaluate("Patchbay.muted")
    page.keyboard.press("Space")
    assert not page.evaluate("Patchbay.muted")
    assert tab(page, "Shift+Tab") == "Hide the call"
    page.keyboard.press("Escape")
    assert focused(page).endswith("On a call"), "the button is where the card was"
    expect(page.get_by_role("button", name="End call")).to_be_hidden()
    assert page.evaluate("Patchbay.state") == "connected"
    page.keyboard.press("Enter")
    assert focused(page) == "End call"
    assert page.evaluate("Patchbay.state") == "connected"
    tab(page, "Shift+Tab")
    page.evaluate("Patchbay.stop()")
    assert focused(page) == CALL, "the focus does not get lost with the button that had it"
    page.keyboard.press("Enter")
    await_state(page, "connected")
    page.keyboard.press("Enter")
    await_state(page, "ended")
    page.keyboard.press("Escape")
    assert focused(page).startswith(CALL)


@pytest.mark.parametrize("mode", ["floating", "inline"])
def test_the_rest_of_a_double_click_does_not_hang_up(gateway, host, visit, mode):
    page = visit(host.add(inline(gateway) if mode == "inline" else tag(gateway)))
    button = page.get_by_role("button", name=CALL)
    expect(button).to_be_visible()
    page.evaluate("() => { window.states = []; Patchbay.on('state', ({ state }) => states.push(state)); }")
    button.dblclick(delay=30)
    await_state(page, "connected")
    assert set(page.evaluate("states")) == {"connecting", "connected"}


def test_a_held_key_makes_one_call(gateway, host, visit):
    page = visit(host.add(tag(gateway)))
    page.get_by_role("button", name=CALL).focus()
    page.evaluate("() => { window.states = []; Patchbay.on('state', ({ state }) => states.push(state)); }")
    for _ in range(30):  # a second of it, which goes on when the call is there
        page.keyboard.down("Enter")
        page.wait_for_timeout(33)
    page.keyboard.up("Enter")
    await_state(page, "connected")
    assert set(page.evaluate("states")) == {"connecting", "connected"}
    page.keyboard.press("Enter")
    await_state(page, "ended")


def test_an_inline_call_is_made_by_keyboard_alone(gateway, host, visit):
    page = visit(host.add("<a href='#' id='link'>A link</a>" + inline(gateway)))
    expect(page.get_by_role("button", name=CALL)).to_be_visible()
    page.locator("#link").focus()
    assert tab(page) == CALL
    page.keyboard.press("Space")
    await_state(page, "connected")
    assert focused(page) == "End call"
    assert tab(page, "Shift+Tab") == "Mute"
    page.keyboard.press("Enter")
    assert page.evaluate("Patchbay.muted")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="End call")).to_be_visible()
    tab(page)
    page.keyboard.press("Enter")
    await_state(page, "ended")
    assert focused(page) == CALL


# What changes in a widget, task by task, from before there is anything in it: what its status says then, and whether what is seen, what
# is said, and what has which role has changed.
WATCH = """
  window.tasks = [];
  const attach = Element.prototype.attachShadow;
  Element.prototype.attachShadow = function (...all) {
    const root = attach.apply(this, all);
    new MutationObserver((changes) => {
      const status = root.querySelector("[role=status]"), words = root.querySelector(".words");
      const texts = changes.filter(({ type }) => type !== "attributes").map(({ target }) => target);
      tasks.push({
        status: status && status.textContent, roles: texts.length < changes.length,
        said: texts.some((each) => status?.contains(each)), seen: texts.some((each) => words?.contains(each) && !status?.contains(each)),
      });
    }).observe(root, { subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ["role", "aria-live"] });
    return root;
  };
"""
INSECURE = "Object.defineProperty(window, 'isSecureContext', { get: () => false });"


@pytest.mark.parametrize("mode", ["floating", "inline"])
@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("", "You are connectedGo ahead and speak."),
        (REFUSE_MICROPHONE % "NotAllowedError", "Microphone neededAllow it in the address bar, then call again."),
        (INSECURE, "Microphone neededBrowsers only give it to pages that came by https."),
    ],
    ids=["a call", "denied", "insecure"],
)
def test_a_page_that_loads_says_nothing_to_screen_readers_and_then_says_all(gateway, host, visit, mode, broken, words):
    """They tell what changes in a place that they know, and nothing that is there together with its place."""
    page = visit(host.add(TEXT + (inline(gateway) if mode == "inline" else tag(gateway))), WATCH + broken)
    expect(page.get_by_role("button", name=CALL)).to_be_visible()
    expect(page.get_by_role("region")).to_contain_text("Ready when you are")
    page.wait_for_timeout(300)
    before = page.evaluate("tasks.splice(0)")
    assert [task["status"] for task in before] == [""] * len(before) and before
    status = page.get_by_role("status").element_handle()
    page.get_by_role("button", name=CALL).click()
    expect(page.get_by_role("status")).to_have_text(words)
    assert status.evaluate("each => each.isConnected && each.getAttribute('role') === 'status'"), "it is the same as before"
    after = page.evaluate("tasks")
    assert not any(task["roles"] for task in after)
    [first, *_] = [at for at, task in enumerate(after) if task["said"]]
    assert any(task["seen"] for task in after[:first]) and not after[0]["said"], "a task later than it is seen"
    # And once: what is seen is not read beside it.
    hidden = "() => [...document.querySelector('[data-patchbay]').shadowRoot.querySelectorAll('.words > :not([aria-hidden=true])')].map((each) => each.className)"
    assert page.evaluate(hidden) == ["said"]


def test_words_are_read_in_their_language(gateway, host, visit):
    """English ones are on a page of another language too; what the settings say is in the page's."""
    page = visit(host.add("<script>document.documentElement.lang = 'de';</script>" + tag(gateway, "emb_styled", mode="inline", target="body")))
    page.get_by_role("button", name="Mit uns sprechen").click()
    await_state(page, "connected")
    languages = page.evaluate(
        """() => Object.fromEntries([...document.querySelector("[data-patchbay]").shadowRoot.querySelectorAll("strong, .main span, .mute, .meter")]
          .map((each) => [each.getAttribute("aria-label") ?? each.textContent, each.closest("[lang]")?.lang ?? ""]))"""
    )
    assert languages == {"You are connected": "en", "Auflegen": "", "Stumm": "", "Your voice": "en"}


@pytest.mark.parametrize("width", [320, 375, 600])
@pytest.mark.parametrize("mode", ["floating", "inline"])
def test_no_words_are_cut_off(gateway, host, visit, mode, width):
    """Nothing that it says by itself, in the least room that it may have."""
    page = visit(host.add(inline(gateway, height="192px") if mode == "inline" else tag(gateway)), viewport={"width": width, "height": 500})
    page.get_by_role("button", name=CALL).click()
    await_state(page, "connected")
    _, _, script = http("GET", f"{gateway.url}/embed/patchbay.js")
    words = dict(re.findall(r'^  (voice\w+): "(.*)",$', script.decode(), re.MULTILINE))
    titles = [text for name, text in words.items() if name.endswith("Title")] + [words["voiceConnectingText"]]
    details = [text for name, text in words.items() if name.endswith(("Text", "Subtext")) and text.endswith(".")]
    assert len(titles) > 10 and len(details) > 20
    cut = page.evaluate(
        """([titles, details]) => {
          const root = document.querySelector("[data-patchbay]").shadowRoot, words = root.querySelector(".words"), card = root.querySelector(".card");
          const [title, detail] = words.children;
          return titles.flatMap((one) => details.filter((other) => {
            [title.textContent, detail.textContent] = [one, other];
            return words.scrollHeight > words.clientHeight + 1 || card.scrollHeight > card.clientHeight + 1 || card.getBoundingClientRect().top < 0;
          }).map((other) => [one, other]));
        }""",
        [titles, details],
    )
    assert cut == []


def test_in_little_room_nothing_leaves_the_screen(gateway, host, visit):
    page = visit(host.add(tag(gateway)), SPY, viewport={"width": 320, "height": 256})
    page.get_by_role("button", name=CALL).click()
    await_state(page, "connected")
    page.evaluate("sockets[0].onmessage({ data: JSON.stringify({ type: 'rtf-bot-text', payload: { text: 'Hello.' } }) })")
    tops = "[...document.querySelector('[data-patchbay]').shadowRoot.querySelectorAll('.panel > *')].map((each) => each.getBoundingClientRect().top)"
    assert min(page.evaluate(tops)) >= 0
    page.set_viewport_size({"width": 320, "height": 420})
    expect(page.get_by_role("log")).to_be_visible()
    assert min(page.evaluate(tops)) >= 0


@pytest.mark.parametrize("mode", ["floating", "inline"])
def test_the_pages_size_of_text_is_not_the_widgets(gateway, host, visit, mode):
    sizes = """() => [...document.querySelector("[data-patchbay]").shadowRoot.querySelectorAll("*")].filter((each) => each.checkVisibility())
      .map((each) => [each.className.baseVal ?? each.className, getComputedStyle(each).fontSize, each.getBoundingClientRect().width, each.getBoundingClientRect().height])"""
    seen = []
    for size in "100%", "62.5%", "150%":
        style = f"<style>html {{ font-size: {size} }} body {{ margin: 0 }}</style>"
        page = visit(host.add(style + (inline(gateway, height="400px") if mode == "inline" else tag(gateway))))
        expect(page.get_by_role("button", name=CALL)).to_be_visible()
        seen.append([page.evaluate(sizes)])
        page.evaluate("() => { MediaDevices.prototype.getUserMedia = async () => { throw new DOMException('no', 'NotAllowedError'); }; }")
        page.get_by_role("button", name=CALL).click()
        await_state(page, "failed")
        page.wait_for_timeout(200)
        seen[-1].append(page.evaluate(sizes))
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_focus_can_be_seen_on_a_page_of_any_brightness(gateway, host, visit, theme):
    page = visit(host.add(tag(gateway, theme=theme)))
    expect(page.get_by_role("button", name=CALL)).to_be_visible()
    page.keyboard.press("Tab")
    ring, outline = page.evaluate("(({ boxShadow, outlineColor }) => [boxShadow, outlineColor])(getComputedStyle(document.querySelector('[data-patchbay]').shadowRoot.querySelector('.pill')))")
    inner = re.match(r"rgb\((\d+), \d+, \d+\) 0px 0px 0px 2px,", ring)
    assert inner, ring
    # One of the two is bright and the other dark.
    assert abs(int(inner[1]) - int(re.match(r"rgb\((\d+)", outline)[1])) > 180, (ring, outline)


@pytest.mark.parametrize("color", ["var(--brand)", "inherit", "nonsense"])
def test_a_colour_that_is_none_is_the_usual_one(gateway, host, visit, color):
    page = visit(host.add(tag(gateway, button_color=color)))
    pill = page.get_by_role("button", name=CALL)
    expect(pill).to_be_visible()
    red, _, blue = map(int, re.findall(r"\d+", pill.evaluate("each => getComputedStyle(each).backgroundColor")))
    assert red < 70 and blue > 200


@pytest.mark.parametrize("mode", ["floating", "inline"])
def test_a_screen_reader_is_told_what_everything_is(gateway, host, visit, mode):
    page = visit(host.add(inline(gateway) if mode == "inline" else tag(gateway)))
    region = page.get_by_role("region", name="Voice call")
    expect(region).to_contain_text("Ready when you are")
    expect(region.get_by_role("button")).to_have_count(1)
    region.get_by_role("button", name=CALL).click()
    await_state(page, "connected")
    names = ["Mute", "End call"] if mode == "inline" else ["Hide the call", "Mute", "End call"]
    assert [each.get_attribute("aria-label") or each.inner_text().strip() for each in region.get_by_role("button").all()] == names
    meter = region.get_by_role("meter", name="Your voice")
    for attribute, value in ("aria-valuemin", "0"), ("aria-valuemax", "100"):
        expect(meter).to_have_attribute(attribute, value)
    page.wait_for_function("meter => Number(meter.getAttribute('aria-valuenow')) > 20", arg=meter.element_handle())
    expect(meter).to_have_attribute("aria-valuetext", re.compile("heard|silent"))
    expect(region.get_by_role("timer")).to_have_text(re.compile(r"0:\d\d"))
    # Nothing says anything of itself but the status, which says it once.
    lives = page.evaluate(
        """() => [...document.querySelector("[data-patchbay]").shadowRoot.querySelectorAll("[role=status], [role=log], [role=timer], [role=alert], [aria-live]")]
          .map((each) => [each.getAttribute("role"), each.getAttribute("aria-live")])"""
    )
    assert sorted(lives) == [["log", "off"], ["status", None], ["timer", None]]
    assert page.evaluate("[...document.querySelector('[data-patchbay]').shadowRoot.querySelectorAll('svg')].every((each) => each.getAttribute('aria-hidden') === 'true')")


# How well each text can be told from what is behind it (WCAG 2.2, 1.4.3), and the size of what is pressed (2.5.8).
CONTRASTS = """() => {
  const root = document.querySelector("[data-patchbay]").shadowRoot;
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (color) => {
    const [r, g, b] = color.slice(0, 3).map((part) => part / 255).map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const color = rgb(getComputedStyle(each).backgroundColor);
      if (color.length < 4 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const shown = [...root.querySelectorAll("*")].filter((each) => each.checkVisibility({ visibilityProperty: true }));
  const texts = shown.filter((each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
  return {
    texts: texts.map((each) => {
      const [one, other] = [light(rgb(getComputedStyle(each).color)), light(behind(each))].sort((a, b) => b - a);
      return [each.textContent, (one + 0.05) / (other + 0.05)];
    }),
    buttons: shown.filter((each) => each.tagName === "BUTTON").map((each) => { const { width, height } = each.getBoundingClientRect(); return [each.textContent, Math.min(width, height)]; }),
  };
}"""


@pytest.mark.parametrize("theme", ["light", "dark", "auto"])
@pytest.mark.parametrize("color", ["#3B82F6", "#ffd54a", "#111", "rebeccapurple", "#e25b45", "nonsense;}"])
def test_every_text_can_be_read_and_every_button_hit(gateway, host, visit, theme, color):
    page = visit(host.add(inline(gateway, theme=theme, button_color=color)), color_scheme="dark")
    expect(page.get_by_role("button", name=CALL)).to_be_visible()
    dark = page.evaluate("document.querySelector('[data-patchbay]').shadowRoot.querySelector('.root').classList.contains('dark')")
    assert dark == (theme != "light")
    looks = [page.evaluate(CONTRASTS)]
    page.get_by_role("button", name=CALL).click()
    await_state(page, "connected")
    changing = "document.querySelector('[data-patchbay]').shadowRoot.getAnimations().some((each) => each.transitionProperty === 'background-color')"
    page.wait_for_function(f"!{changing}")
    looks.append(page.evaluate(CONTRASTS))
    page.get_by_role("button", name="Mute").click()
    looks.append(page.evaluate(CONTRASTS))
    for look in looks:
        assert len(look["texts"]) >= 3
        assert all(contrast >= 4.5 for _, contrast in look["texts"]), look["texts"]
        assert all(size >= 24 for _, size in look["buttons"]), look["buttons"]


def test_who_wants_no_motion_has_none(gateway, host, visit):
    page = visit(host.add(inline(gateway)), reduced_motion="reduce")
    page.get_by_role("button", name=CALL).click()
    page.wait_for_function("Patchbay.state !== 'ready'")
    moves = "[...document.querySelector('[data-patchbay]').shadowRoot.querySelectorAll('*')].filter((each) => getComputedStyle(each).animationName !== 'none' || getComputedStyle(each).transitionDuration !== '0s').map((each) => each.className)"
    assert page.evaluate(moves) == []
    await_state(page, "connected")


# What has a border to be seen by, and the bar of the meter; and the system's own colours, in the same place.
FORCED = """(adjust) => {
  const root = document.querySelector("[data-patchbay]").shadowRoot.querySelector(".root");
  root.style.setProperty("forced-color-adjust", adjust);
  const look = (which) => [...root.querySelectorAll(which)].map((each) => ({ ...getStyle(each), which: each.className }));
  const getStyle = (each) => {
    const { color, backgroundColor, borderTopStyle, borderTopWidth, borderTopColor } = getComputedStyle(each);
    return { color, background: backgroundColor, border: [borderTopStyle, parseFloat(borderTopWidth) > 0, borderTopColor] };
  };
  const probe = root.appendChild(document.createElement("i"));
  probe.style.cssText = "forced-color-adjust: none; color: ButtonText; background: Highlight";
  const system = getStyle(probe);
  probe.remove();
  return { system, bordered: look(".pill, .buttons button, .meter, .hide"), bars: look(".meter i") };
}"""


# With `none` nothing is left but what the widget's own style says: else the browser might draw the borders by itself.
@pytest.mark.parametrize("adjust", ["auto", "none"])
def test_where_colours_are_forced_each_button_has_a_border_and_the_meter_a_bar(gateway, host, visit, adjust):
    page = visit(host.add(tag(gateway)), forced_colors="active")
    expect(page.get_by_role("button", name=CALL)).to_be_visible()
    seen = page.evaluate(FORCED, adjust)
    assert [each["which"] for each in seen["bordered"]] == ["hide", "meter", "mute", "sound", "main", "pill"]
    for each in seen["bordered"]:
        assert each["border"] == ["solid", True, seen["system"]["color"]], each
        assert each["border"][2] != each["background"], each
    [bar], [meter] = seen["bars"], [each for each in seen["bordered"] if each["which"] == "meter"]
    assert bar["background"] == seen["system"]["background"] != meter["background"], (bar, meter)


# MARK: - What the page notices

SHIFTS = """
  window.shifts = [];
  new PerformanceObserver((list) => { for (const each of list.getEntries()) if (!each.hadRecentInput) shifts.push([each.value, ...each.sources.map(({ node, previousRect, currentRect }) => [node?.nodeName, node?.className ?? node?.data, previousRect.toJSON(), currentRect.toJSON()])]); })
    .observe({ type: "layout-shift", buffered: true });
  window.sockets = [];
  window.WebSocket = class extends WebSocket { constructor(...all) { super(...all); sockets.push(this); } };
"""
PLACES = """() => [...document.querySelectorAll("body, body > *:not([data-patchbay], script, style)")].map((each) => {
  const { x, y, width, height } = each.getBoundingClientRect();
  return [each.tagName, x + scrollX, y + scrollY, width, height];
})"""


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("mode", ["floating", "inline"])
def test_nothing_on_the_page_moves(gateway, host, visit, mode, width):
    body = TEXT + (inline(gateway) if mode == "inline" else "<div style='display: grid; gap: 3rem'><p>One</p><p>Two</p></div>" + tag(gateway))
    without = re.sub(r"<script.*", "", body)
    size = {"viewport": {"width": width, "height": 800}}
    before = visit(host.add(without), **size).evaluate(PLACES)
    page = visit(host.add(body), SHIFTS, **size)
    page.get_by_role("button", name=CALL).click()
    await_state(page, "connected")
    page.wait_for_timeout(700)  # from here on nothing is the click's doing
    for type, text in ("rtf-user-transcription", "Hello?"), ("rtf-bot-text", "The large one comes in green. " * 9), ("call-ended", ""):
        page.evaluate("message => sockets.at(-1).onmessage({ data: JSON.stringify(message) })", {"type": type, "payload": {"text": text}})
    expect(page.get_by_role("log")).to_be_visible()
    page.evaluate("Patchbay.stop()")
    page.wait_for_timeout(300)
    assert page.evaluate(PLACES) == before
    assert page.evaluate("shifts") == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.evaluate("document.body.prepend(Object.assign(document.createElement('p'), { textContent: 'This does move it' }))")
    page.wait_for_function("shifts.length > 0")


# What the documents ask for.
POLICIES = re.findall(r"^```text\n(script-src.*?)^```$", (ROOT / "docs/embed.md").read_text(), re.MULTILINE | re.DOTALL)
NOTHING_ELSE = "default-src 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'; "


def strict(gateway, policy=POLICIES[0]) -> dict[str, str]:
    """A policy of the documents, on a page that allows nothing else."""
    for documented, url in ("https://voice.example.org", gateway.url), ("wss://voice.example.org", gateway.url.replace("http", "ws", 1)), ("nonce-…", "nonce-abc"):
        policy = policy.replace(documented, url)
    return {"Content_Security_Policy": NOTHING_ELSE + policy.replace("\n", " ")}


VIOLATIONS = "window.violations = []; addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => violations.push([violatedDirective, blockedURI]));"


@pytest.mark.parametrize("mode", ["floating", "inline"])
@pytest.mark.parametrize("policy", POLICIES)
def test_a_page_with_a_strict_policy_has_nothing_else_to_allow(gateway, host, visit, mode, policy):
    assert len(POLICIES) == 2 and "strict-dynamic" in POLICIES[1]
    body = f'<h1>A shop</h1><div id="talk"></div>{tag(gateway, mode=mode, target="#talk")}'.replace("<script", '<script nonce="abc"')
    page = visit(host.add(body, **strict(gateway, policy)), VIOLATIONS)
    page.get_by_role("button", name=CALL).click()
    await_state(page, "connected")
    await_sound(gateway)
    assert page.evaluate("violations") == []
    # It is dressed all the same.
    assert page.evaluate("getComputedStyle(document.querySelector('[data-patchbay]').shadowRoot.querySelector('.main')).borderTopLeftRadius") != "0px"
    page.evaluate("fetch('https://elsewhere.example/').catch(() => {})")
    page.wait_for_function("violations.length > 0")


def test_the_page_has_one_name_more_and_its_style_stays_outside(gateway, host, visit):
    rude = "<style>* { color: red !important; font-size: 40px !important; display: block !important } div { position: static !important; width: 500px !important; margin: 90px !important } button { display: none !important }</style>"
    page = visit(host.add(TEXT), "window.names = Object.getOwnPropertyNames(window);")
    before = page.evaluate("Object.getOwnPropertyNames(window)")
    page.goto(host.add(rude + TEXT + tag(gateway)))
    expect(page.get_by_role("button", name=CALL)).to_be_visible()
    assert set(page.evaluate("Object.getOwnPropertyNames(window)")) - set(before) == {"Patchbay"}
    host_box = page.evaluate("(({ width, height }) => [width, height])(document.querySelector('[data-patchbay]').getBoundingClientRect())")
    assert host_box == [0, 0]
    pill = page.evaluate("(({ color, fontSize }) => [color, fontSize])(getComputedStyle(document.querySelector('[data-patchbay]').shadowRoot.querySelector('.pill')))")
    assert pill == ["rgb(255, 255, 255)", "16px"]


def test_a_script_that_is_there_twice_is_one_widget(gateway, host, visit):
    page = visit(host.add(TEXT + tag(gateway) * 2 + tag(gateway)))
    expect(page.get_by_role("button", name=CALL)).to_be_visible()
    page.wait_for_timeout(500)
    assert page.locator("[data-patchbay]").count() == page.evaluate("Patchbay.widgets.length") == 1


def test_two_scripts_are_two_widgets_and_one_call(gateway, host, visit):
    body = TEXT + inline(gateway) + tag(gateway) + tag(gateway, "emb_styled", position="bottom-right").replace("/embed/", "/t/acme/embed/")
    page = visit(host.add(body))
    page.wait_for_function("Patchbay?.widgets.length === 3")
    expect(page.get_by_role("button", name="Mit uns sprechen")).to_be_visible()
    expect(page.get_by_role("button", name=CALL)).to_have_count(2)
    boxes = page.evaluate(
        """() => [...document.querySelectorAll("[data-patchbay=floating]")].map((each) => each.shadowRoot.querySelector(".pill").getBoundingClientRect()).map(({ top, bottom }) => [top, bottom])"""
    )
    (one_top, one_bottom), (other_top, other_bottom) = sorted(boxes)
    assert one_bottom < other_top, boxes
    page.get_by_role("button", name=CALL).first.click()
    page.wait_for_function("Patchbay.widgets.some(({ state }) => state === 'connected')")
    page.get_by_role("button", name="Mit uns sprechen").click()
    page.wait_for_function("Patchbay.widgets.map(({ state }) => state).sort().join() === 'connected,ended,ready'")
    gateway.await_state(lambda now: [call["tenant"] for call in now["calls"]] == ["acme"])
    page.evaluate("Patchbay.widgets.forEach((widget) => widget.remove())")
    assert page.locator("[data-patchbay]").count() == 0 and page.evaluate("Patchbay.widgets") == []
    gateway.await_idle()


def test_a_page_makes_a_widget_by_itself(gateway, host, visit):
    """A page that is made by script, once the script is there."""
    page = visit(host.add(f'<script src="{gateway.url}/embed/patchbay.js"></script><div id="talk"></div>'))
    assert page.evaluate("Patchbay.widgets") == []
    for wrong, words in (("{}", "needs a token"), ("{ token: 'emb_echo', mode: 'round' }", "no mode"), ("{ token: 'emb_echo', mode: 'inline', target: '#x' }", "has no #x")):
        assert words in page.evaluate(f"() => {{ try {{ Patchbay.create({wrong}); }} catch (error) {{ return error.message; }} }}")
    assert "no widget" in page.evaluate("() => { try { Patchbay.start(); } catch (error) { return error.message; } }")
    page.evaluate("window.mine = Patchbay.create({ token: 'emb_echo', mode: 'inline', target: document.getElementById('talk'), buttonText: 'Ring' })")
    page.get_by_role("button", name="Ring").click()
    page.wait_for_function("mine.state === 'connected'")
    page.evaluate("mine.remove()")
    gateway.await_idle()
    assert page.locator("#talk").inner_html() == ""


# Where the parts of an inline widget are: its place, the card, and what is in it from above to below.
PARTS = """() => [document.querySelector("#talk"), ...["card", "words strong", "gauge", "buttons"].map((each) => document.querySelector("[data-patchbay]").shadowRoot.querySelector("." + each))]
  .map((each) => each.getBoundingClientRect()).map(({ top, bottom }) => [top, bottom])"""


@pytest.mark.parametrize(("height", "pixels"), [("24rem", 384), ("192px", 192), ("auto", 192)])
def test_an_inline_card_fills_its_place_whatever_it_shows(gateway, host, visit, height, pixels):
    page = visit(host.add(inline(gateway, height=height)), SPY)
    button = page.get_by_role("button", name=CALL)
    expect(button).to_be_visible()
    first = page.evaluate(PARTS)
    place, card, *_, (_, last) = first
    assert card == place and card[1] - card[0] == pixels
    assert 0 < card[1] - last < 20, "the buttons are at its foot"
    button.click()
    await_state(page, "connected")
    assert page.evaluate(PARTS) == first
    page.evaluate("text => sockets[0].onmessage({ data: JSON.stringify({ type: 'rtf-bot-text', payload: { text } }) })", "The large one comes in green. " * 50)
    expect(page.get_by_role("log")).to_be_visible(visible=pixels >= 288)
    assert page.evaluate(PARTS) == first
    page.get_by_role("button", name="End call").click()
    assert page.evaluate(PARTS) == first


# MARK: - What the page's author gets wrong


@pytest.fixture
def heard(visit, host):
    """What the console hears of a page, of warnings and errors of the script's, from before it has the script."""

    def make(body: str):
        page, said = visit(host.add(TEXT)), []
        page.on("console", lambda message: said.append((message.type, message.text)) if message.text.startswith("Patchbay:") else None)
        page.goto(host.add(TEXT + body))
        return page, said

    yield make


def test_only_true_starts_a_call(gateway, heard):
    values = {"emb_echo": "False", "emb_demo": "0", "emb_player": "", "emb_here": "yes", "emb_styled": "TRUE"}
    with gateway.nothing_started():
        page, said = heard("".join(tag(gateway, token, auto_start=value) for token, value in values.items()))
        # A widget is dressed and calls in one go.
        page.wait_for_function("[...document.querySelectorAll('[data-patchbay]')].filter(({ shadowRoot }) => shadowRoot.querySelector('.root:not(.waiting)')).length === 5")
        assert page.evaluate("Patchbay.widgets.map(({ state }) => state)") == ["ready"] * 5
    assert sorted(said) == sorted(("warning", f'Patchbay: data-auto-start="{value}" counts as not written; it takes true or false.') for value in values.values())


MISTAKES = {
    "position": ("left", "bottom-right or bottom-left or top-right or top-left"),
    "size": ("huge", "medium or small or large"),
    "theme": ("purple", "light or dark or auto"),
    "button_color": ("notacolor", "a CSS colour"),
    "transcript": ("no", "on or off"),
}


def test_what_an_attribute_does_not_take_is_said_once_and_counts_as_not_written(gateway, heard):
    page, said = heard(tag(gateway, "emb_styled", buton_text="Hi", tokn="x", nscript="afterInteractive", **{name: value for name, (value, _) in MISTAKES.items()}))
    pill = page.get_by_role("button", name="Mit uns sprechen")
    expect(pill).to_be_visible()
    box = pill.bounding_box()
    assert box["x"] < 30 and box["y"] < 30 and box["height"] >= 56, "it is as the token's settings say"
    assert pill.evaluate("each => getComputedStyle(each).backgroundColor") == "rgb(255, 213, 74)"
    wanted = [f'data-{name.replace("_", "-")}="{value}" counts as not written; it takes {takes}' for name, (value, takes) in MISTAKES.items()]
    wanted += ["data-buton-text is no option. Did you mean data-button-text?", "data-tokn is no option. Did you mean data-token?"]
    assert all(kind == "warning" for kind, _ in said)
    for each in wanted:
        assert [text.startswith(f"Patchbay: {each}") for _, text in said].count(True) == 1, (each, said)
    assert len(said) == len(wanted)


def test_what_a_script_gets_wrong_is_said_too(gateway, heard):
    page, said = heard(f'<script src="{gateway.url}/embed/patchbay.js"></script>')
    page.evaluate("() => { Patchbay.create({ token: 'emb_echo', autoStart: 'false', transcript: false, size: undefined, buttonTxt: 'Hi' }); }")
    expect(page.get_by_role("button", name=CALL)).to_be_visible()
    page.evaluate("() => { Patchbay.create({ token: 'emb_echo', voice: 'x', mode: 'headless' }); }")
    assert said.pop()[1].startswith("Patchbay: voice is no option. There are token, mode, ")
    assert [text for _, text in said] == ['Patchbay: autoStart="false" counts as not written; it takes true or false.', "Patchbay: buttonTxt is no option. Did you mean buttonText?"]


TAKES = 'it takes a JSON object such as {"customer":"Ada"}, of whole characters and of 60 KiB at the most.'
FULL = '{"customer":"' + "ä" * 31_000 + '"}'


@pytest.mark.parametrize("written", ["[1,2]", "7", '"x"', "null", '{"customer":', FULL], ids=lambda text: text[:20])
def test_a_context_that_is_no_object_is_named_and_the_call_goes_without(gateway, heard, written):
    page, said = heard(tag(gateway, context=html.escape(written)))
    with page.expect_request("**/embed/init") as start:
        page.get_by_role("button", name=CALL).click()
    await_state(page, "connected")
    assert start.value.post_data_json["context_variables"] is None
    shown = written if len(written) <= 80 else written[:80] + "…"
    assert said == [("warning", f'Patchbay: data-context="{shown}" counts as not written; {TAKES}')]


# What a page's script may take for a context, and what the console calls it.
NO_CONTEXTS = {
    "[1, 2]": "[object Array]",
    "7": "7",
    "'x'": '"x"',
    "new Map([['customer', 'Ada']])": "[object Map]",
    "{ toJSON: () => 'x' }": "[object Object]",
    "(() => { const it = {}; return it.it = it; })()": "[object Object]",
    "{ customer: 'x'.repeat(61440) }": "[object Object]",
    "{ customer: 'Ada \\u{1f600}'.slice(0, -1) }": "[object Object]",
    "{ ['\\\\\\udc00']: 1 }": "[object Object]",
}


def test_a_context_of_a_scripts_that_is_no_object_counts_as_not_written(gateway, heard):
    page, said = heard(f'<script src="{gateway.url}/embed/patchbay.js"></script>')
    sent = []

    def answer(route):
        sent.append(route.request.post_data_json["context_variables"])
        route.fulfill(status=429, json={"detail": "No"}, headers={"Access-Control-Allow-Origin": "*"})

    page.route("**/embed/init", answer)
    page.evaluate("window.mine = Patchbay.create({ token: 'emb_echo', mode: 'headless', context: { customer: 'Ada' } }); undefined")
    for context, shown in NO_CONTEXTS.items():
        page.evaluate(f"() => {{ window.other = Patchbay.create({{ token: 'emb_demo', mode: 'headless', context: {context} }}); }}")
        assert page.evaluate("other.start()") == "failed"
        assert page.evaluate(f"mine.start({{ context: {context} }})") == "failed"
        page.evaluate("other.remove()")
        assert sent == [None, {"customer": "Ada"}]
        line = ("warning", f"Patchbay: context={shown} counts as not written; {TAKES}")
        assert [each for each in said if "answered 429" not in each[1]] == [line, line]
        sent.clear()
        said.clear()
    good = {"undefined": {"customer": "Ada"}, "{}": {}, "Object.assign(Object.create(null), { a: [1] })": {"a": [1]}}
    good |= {"{ a: 'Ada \\u{1f600}', b: '\\\\ud83d' }": {"a": "Ada 😀", "b": "\\ud83d"}}
    for context, kept in {"null": None, **good}.items():
        assert page.evaluate(f"mine.start({{ context: {context} }})") == "failed"
        assert sent.pop() == kept
    assert all("answered 429" in text for _, text in said)


@pytest.mark.parametrize(("status", "body"), [(422, '{"detail":[{"loc":["body","context_variables"],"msg":"No"}]}'), (413, ""), (403, '{"detail":" "}')])
def test_a_refusal_without_words_has_some_all_the_same(gateway, host, visit, status, body):
    page = visit(host.add(inline(gateway)))
    page.route("**/embed/init", lambda route: route.fulfill(status=status, body=body, headers={"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "*"}))
    page.get_by_role("button", name=CALL).click()
    await_state(page, "refused")
    expect(page.get_by_role("status")).to_have_text("No call from hereThis page may not start calls.")


def test_a_script_without_a_token_is_named_unless_the_page_makes_its_widgets_itself(gateway, heard):
    cases = [
        ("", "", ["warning"]), ("data-tokn='emb_echo'", "", ["warning"]), ("data-token='' data-mode='headless'", "", ["error"]),
        ("", "Patchbay.create({ token: 'emb_echo' });", []),
    ]
    seen = [heard(f'<script src="{gateway.url}/embed/patchbay.js" {attributes}></script><script>{after}</script>') for attributes, after, _ in cases]
    # It is said a second after the page has loaded, however long that took; timers run in the order in which they are due.
    for page, _ in seen:
        page.evaluate("() => { window.later = new Promise((resolve) => setTimeout(resolve, 1200)); }")
    for page, _ in seen:
        page.evaluate("later")
    for (_, said), case in zip(seen, cases, strict=True):
        assert [kind for kind, text in said if "this script has no data-token" in text] == case[2], case


# MARK: - What the token's settings say


def test_the_tokens_settings_dress_it_and_the_page_has_the_last_word(gateway, host, visit):
    page = visit(host.add(TEXT + tag(gateway, "emb_styled")))
    pill = page.get_by_role("button", name="Mit uns sprechen")
    expect(pill).to_be_visible()
    box = pill.bounding_box()
    assert box["x"] < 30 and box["y"] < 30 and box["height"] >= 56
    assert pill.evaluate("each => [getComputedStyle(each).backgroundColor, getComputedStyle(each).color]") == ["rgb(255, 213, 74)", "rgb(17, 17, 17)"]
    expect(page.get_by_role("region")).to_contain_text("Bereit")
    pill.click()
    await_state(page, "connected")
    assert [each.get_attribute("aria-label") or each.inner_text() for each in page.get_by_role("button").all()] == ["Hide the call", "Stumm", "Auflegen"]
    expect(page.get_by_role("status")).to_contain_text("You are connected")
    page.goto(host.add(TEXT + tag(gateway, "emb_styled", position="bottom-left", size="small", button_text="Call", button_color="#1f6b52", theme="light")))
    pill = page.get_by_role("button", name="Call", exact=True)
    expect(pill).to_be_visible()
    box = pill.bounding_box()
    assert box["x"] < 30 and box["y"] > 400 and box["height"] < 44
    assert pill.evaluate("each => getComputedStyle(each).backgroundColor") == "rgb(31, 107, 82)"


# MARK: - What is said


@pytest.fixture
def told(start, visit, host):
    """Calls from a page where a bot tells all that it can, as much of which comes as the tenant's `events` let through."""
    with contextlib.ExitStack() as bots:

        def make(events: str | None, **attributes):
            bot = bots.enter_context(Bot("tell"))
            entry = f"echo: {{{{ type: websocket, dialect: pcm, url: '{bot.url}' }}}}"
            choice = f"    events: {{{{ embeds: {events} }}}}\n    ice: {{{{ inbound" if events else "    ice: {{ inbound"
            gateway = start(template=changed_config(("echo: {{ type: echo }}", entry), ("    ice: {{ inbound", choice)))
            page = visit(host.add(TEXT + inline(gateway, **attributes)))
            page.wait_for_function("window.Patchbay?.widgets.length === 1")
            # Before the call: the bot speaks once, and for a second.
            page.evaluate("() => { window.isHeard = false; Patchbay.on('level', ({ down }) => { isHeard ||= down > 0.5; }); }")
            page.get_by_role("button", name=CALL).click()
            await_state(page, "connected")
            page.wait_for_function("isHeard")
            page.wait_for_timeout(1500)
            return page, gateway

        yield make


ROWS = "[...document.querySelector('[data-patchbay]').shadowRoot.querySelectorAll('.talk li')].map((row) => [row.className, row.querySelector('b').textContent, row.querySelector('p').textContent])"


@pytest.mark.parametrize("events", [None, "transcript", "all"])
def test_the_transcript_is_shown_as_text_whatever_is_in_it(told, events):
    page, gateway = told(events)
    log = page.get_by_role("log", name="What is said")
    expect(log).to_be_visible()
    rows = page.evaluate(ROWS)
    assert rows == [
        ["you", "You", f"I would like {MARKUP}"],
        ["agent", "Agent", f"Right. {MARKUP} Anything else?"],
        ["you partial", "You", "No"],
    ], rows
    kinds = page.evaluate("[...new Set([...document.querySelector('[data-patchbay]').shadowRoot.querySelectorAll('.talk *')].map((each) => each.tagName))]")
    assert sorted(kinds) == ["B", "LI", "OL", "P"], "markup is text"
    page.get_by_role("button", name="End call").click()
    assert page.evaluate(ROWS)[-1] == ["you", "You", "No"]
    page.close()
    gateway.await_idle()


@pytest.mark.parametrize(("events", "attributes"), [("none", {}), ("transcript", {"transcript": "off"}), ("transcript", {"height": "14rem"})])
def test_where_nothing_is_to_be_shown_nothing_is(told, events, attributes):
    page, gateway = told(events, **attributes)
    expect(page.get_by_role("log")).to_be_hidden()
    page.close()
    gateway.await_idle()


# MARK: - Firefox


class Firefox:
    """A page in Firefox: what its scripts and its buttons do."""

    def __init__(self, page):
        self.marionette = page.marionette

    def open(self, url: str):
        self.marionette.navigate(url)
        self.until("return Boolean(window.wrappedJSObject.Patchbay?.widgets.length)")

    def run(self, script: str):
        return self.marionette.execute_script(script, sandbox="embed", new_sandbox=False)

    def until(self, script: str, timeout=20):
        wait = "const [done] = [...arguments].slice(-1); const look = () => { const it = (() => { %s })(); if (it) done(it); else setTimeout(look, 50); }; look();"
        self.marionette.timeout.script = timeout
        return self.marionette.execute_async_script(wait % script, sandbox="embed", new_sandbox=False)

    def await_state(self, state: str):
        self.until(f"return window.wrappedJSObject.Patchbay.state === '{state}'")

    def press(self, part: str):
        """Presses a part of the widget once it can be pressed."""
        self.until(f"const part = document.querySelector('[data-patchbay]').shadowRoot.querySelector('{part}'); return part.checkVisibility({{ visibilityProperty: true }}) && (part.click(), true)")

    def words(self) -> str:
        return self.run("return document.querySelector('[data-patchbay]').shadowRoot.querySelector('.words').textContent")


# How loud what comes is, as `loudest`. Firefox has no meters where it has no loudspeaker.
LISTEN = """<script>
  window.loudest = 0;
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...all) {
      super(...all);
      setInterval(async () => { for (const each of (await this.getStats()).values()) loudest = Math.max(loudest, each.audioLevel ?? 0); }, 200);
    }
  };
</script>"""
PLACED = "return JSON.stringify([...document.querySelectorAll('h1, #talk, p')].map((each) => each.getBoundingClientRect()))"


def test_firefox_calls_in_every_mode_is_refused_and_keeps_a_strict_policy(gateway, host):
    with firefox() as made:
        page = Firefox(made)
        for mode in "floating", "inline", "headless":
            body = f'<h1>A shop</h1><div id="talk"></div><p>After.</p>{tag(gateway, mode=mode, target="#talk")}'
            page.open(host.add(body, **strict(gateway)))
            before = page.run(PLACED)
            if mode == "headless":
                page.run("window.wrappedJSObject.Patchbay.start()")
            else:
                page.press(".pill" if mode == "floating" else ".main")
            page.await_state("connected")
            await_sound(gateway)
            if mode == "headless":
                page.run("window.wrappedJSObject.Patchbay.stop()")
            else:
                assert "You are connected" in page.words()
                page.press(".mute")
                assert page.run("return window.wrappedJSObject.Patchbay.muted")
                page.press(".main")
                assert page.run(PLACED) == before, "nothing on the page has moved"
            page.await_state("ended")
            gateway.await_idle()
        url = host.add(TEXT + LISTEN + tag(gateway, "emb_here"))
        page.open(url)
        page.press(".pill")
        page.await_state("connected")
        page.until("const page = window.wrappedJSObject; return page.loudest > 0.03 && page.Patchbay.audio.currentTime > 1")
        page.press(".main")
        gateway.await_idle()
        with gateway.nothing_started():
            page.open(url.replace("127.0.0.1", "localhost"))
            page.press(".pill")
            page.await_state("refused")
            assert "This page may not start calls." in page.words()
            page.open(host.add(inline(gateway, "emb_here")).replace("127.0.0.1", "localhost"))
            page.await_state("refused")
            assert "This page may not start calls." in page.words()
            page.open(host.add(tag(gateway, "emb_here", mode="headless")).replace("127.0.0.1", "localhost"))
            page.run("window.wrappedJSObject.Patchbay.start()")
            page.await_state("refused")


# MARK: - What the documents show


def test_the_words_in_the_documents_are_those_of_the_script(gateway):
    _, _, script = http("GET", f"{gateway.url}/embed/patchbay.js")
    said = re.findall(r'^  (voice\w+): "(.*)",$', script.decode(), re.MULTILINE)
    listed = re.findall(r"^\| `(voice\w+)` \| (.*) \|$", (ROOT / "docs/embed.md").read_text(), re.MULTILINE)
    assert said == listed and len(said) > 40


def blocks() -> list[str]:
    return re.findall(r"^```html\n(.*?)^```$", (ROOT / "docs/embed.md").read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", blocks())
def test_a_page_of_the_documents_calls(gateway, host, visit, block):
    assert "https://voice.example.org" in block
    page = visit(host.add(block.replace("https://voice.example.org", gateway.url).replace("emb_…", "emb_echo")))
    page.wait_for_function("window.Patchbay?.widgets.length === 1")
    page.get_by_role("button").click()
    await_state(page, "connected")
    page.evaluate("Patchbay.stop()")
    gateway.await_idle()


def test_the_example_calls_from_its_own_origin(gateway, host, visit):
    text = (ROOT / "Examples/EmbedPage/index.html").read_text()
    assert text.count("http://127.0.0.1:8080") == 1
    page = visit(host.add(text.replace("http://127.0.0.1:8080", gateway.url)))
    for name in "Talk to the parrot", "Ring the parrot":
        page.get_by_role("button", name=name).click()
        page.wait_for_function("Patchbay.widgets.some(({ state }) => state === 'connected')")
        gateway.await_state(lambda now: len(now["calls"]) == 1)
        page.evaluate("Patchbay.widgets.forEach((widget) => widget.stop())")
        gateway.await_idle()
    page.get_by_role("button", name="Call", exact=True).click()
    expect(page.locator("#state")).to_have_text("connected: Go ahead and speak.")
    page.get_by_role("button", name="Hang up").click()
    expect(page.locator("#state")).to_have_text("ended: Thank you for calling.")
    gateway.await_idle()
