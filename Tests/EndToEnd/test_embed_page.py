"""The script of embed pages, on pages of another origin: in each mode, refused, by keyboard, under a strict policy, and what of it the
page notices."""

import asyncio
import contextlib
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


def test_a_page_may_call_before_it_is_known_how_the_button_looks(gateway, host, visit):
    slow = f"<script src='{gateway.url}/embed/patchbay.js'></script><script>window.mine = Patchbay.create({{ token: 'emb_styled' }}); window.outcome = mine.start();</script>"
    page = visit(host.add(TEXT + slow))
    assert page.evaluate("outcome") == "connected"
    expect(page.get_by_role("button", name="Mit uns sprechen")).to_be_hidden()
    expect(page.get_by_role("button", name="On a call")).to_be_visible()
    page.evaluate("mine.mute(true); mine.stop()")
    expect(page.get_by_role("button", name="Mit uns sprechen")).to_be_visible()
    assert page.evaluate("[mine.state, mine.muted]") == ["ended", False]


def test_a_browser_that_keeps_the_sound_back_has_a_button_for_it(gateway, host, visit):
    held = "const play = HTMLMediaElement.prototype.play; HTMLMediaElement.prototype.play = function () { return navigator.userActivation.isActive && window.isHeld === false ? play.call(this) : Promise.reject(new DOMException('no', 'NotAllowedError')); };"
    page = visit(host.add(TEXT + tag(gateway)), held)
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


def test_a_call_outlives_its_socket(gateway, host, visit):
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    relay = asyncio.run_coroutine_threadsafe(Relay(gateway.url).__aenter__(), loop).result(5)
    page = visit(host.add(TEXT + tag(gateway).replace(gateway.url, relay.url)))
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


# MARK: - No call

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
            page.get_by_role("button", name=CALL if mode == "floating" else "Retry").click()
            expect(page.get_by_role("status")).to_contain_text(words)
            expect(page.get_by_role("button", name="Retry")).to_be_visible()
        assert page.evaluate("asked") == 0


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("NotAllowedError", "Allow it for this page"),
        ("NotFoundError", "There is none. Connect one"),
        ("NotReadableError", "Another program holds it"),
    ],
)
def test_without_a_microphone_there_is_no_call_and_none_is_counted(gateway, host, visit, name, words):
    refuse = f"MediaDevices.prototype.getUserMedia = async () => {{ throw new DOMException('no', '{name}'); }};"
    page = visit(host.add(TEXT + tag(gateway)), refuse)
    with gateway.nothing_started():
        page.get_by_role("button", name=CALL).click()
        expect(page.get_by_role("status")).to_contain_text("The microphone is needed")
        expect(page.get_by_role("status")).to_contain_text(words)
        assert page.evaluate("Patchbay.state") == "failed"


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
    expect(page.get_by_role("status")).to_contain_text("The service does not answer")
    assert page.evaluate("Patchbay.state") == "failed"


# MARK: - For everybody


def focused(page) -> str:
    """The name of what has the focus, in the widget or in the page."""
    return page.evaluate(
        """() => {
          let element = document.activeElement;
          while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
          return element?.getAttribute("aria-label") || [...element?.childNodes ?? []].map((each) => each.innerText ?? each.textContent).join(" ").trim();
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
def test_a_screen_reader_is_told_what_everything_is(gateway, host, visit, mode):
    page = visit(host.add(inline(gateway) if mode == "inline" else tag(gateway)))
    region = page.get_by_role("region", name="Voice call")
    expect(region.get_by_role("status")).to_contain_text("Ready when you are")
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
    page.wait_for_timeout(300)  # for the colours to have changed
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


STRICT = "default-src 'none'; script-src {url}; connect-src {url} {socket}; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"


def strict(gateway) -> dict[str, str]:
    """The policy that the documents ask for, on a page that allows nothing else."""
    return {"Content_Security_Policy": STRICT.format(url=gateway.url, socket=gateway.url.replace("http", "ws", 1))}


VIOLATIONS = "window.violations = []; addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => violations.push([violatedDirective, blockedURI]));"


@pytest.mark.parametrize("mode", ["floating", "inline"])
def test_a_page_with_a_strict_policy_has_nothing_else_to_allow(gateway, host, visit, mode):
    body = f'<h1>A shop</h1><div id="talk"></div>{tag(gateway, mode=mode, target="#talk")}'
    page = visit(host.add(body, **strict(gateway)), VIOLATIONS)
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


# MARK: - What the token's settings say


def test_the_tokens_settings_dress_it_and_the_page_has_the_last_word(gateway, host, visit):
    page = visit(host.add(TEXT + tag(gateway, "emb_styled")))
    pill = page.get_by_role("button", name="Mit uns sprechen")
    expect(pill).to_be_visible()
    box = pill.bounding_box()
    assert box["x"] < 30 and box["y"] < 30 and box["height"] >= 56
    assert pill.evaluate("each => [getComputedStyle(each).backgroundColor, getComputedStyle(each).color]") == ["rgb(255, 213, 74)", "rgb(17, 17, 17)"]
    expect(page.get_by_role("status")).to_contain_text("Bereit")
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
            page.get_by_role("button", name=CALL).click()
            await_state(page, "connected")
            page.evaluate("window.said = new Promise((resolve) => Patchbay.on('level', ({ down }) => { if (down > 0.5) resolve(); }))")
            page.evaluate("said")
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
        return self.run("return document.querySelector('[data-patchbay]').shadowRoot.querySelector('[role=status]').textContent")


def test_firefox_calls_in_every_mode_is_refused_and_keeps_a_strict_policy(gateway, host):
    with firefox() as made:
        page = Firefox(made)
        for mode in "floating", "inline", "headless":
            body = f'<h1>A shop</h1><div id="talk"></div>{tag(gateway, mode=mode, target="#talk")}'
            page.open(host.add(body, **strict(gateway)))
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
            page.await_state("ended")
            gateway.await_idle()
        with gateway.nothing_started():
            page.open(host.add(tag(gateway, "emb_shop")))
            page.press(".pill")
            page.await_state("refused")
            assert "This page may not start calls." in page.words()


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
