"""What the playground shows of a call: all that its page is told, as text, and no more than it is told."""

import contextlib
import json
import re

import pytest
from playwright.sync_api import expect

from bot import MARKUP, Bot
from browser import await_state, chromium
from gateway import changed_config

ROWS = "[...document.querySelectorAll('#rows li')].map((row) => [row.className.split(' ')[0], row.querySelector('p').textContent])"
SPOKEN = re.compile(r"spoke for \d s")


@pytest.fixture(scope="module")
def browser(sentences):
    with chromium(sentences["kitchen"]) as browser:
        yield browser


@pytest.fixture
def talk(start, browser):
    """Presses Talk where a bot answers. The page is told as much as `events` says, and is to show it without a fault."""
    pages, problems = [], []
    with contextlib.ExitStack() as bots:

        def make(behaviour: str, events="all", dialect="pcm", **options):
            bot = bots.enter_context(Bot(behaviour))
            entry = f"echo: {{{{ type: websocket, dialect: {dialect}, url: '{bot.url}' }}}}"
            shown = f"    events: {{{{ embeds: {events} }}}}\n    ice: {{{{ inbound"
            gateway = start(template=changed_config(("echo: {{ type: echo }}", entry), ("    ice: {{ inbound", shown)))
            page = browser.new_page(**options)
            pages.append((page, gateway))
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
            page.on("dialog", lambda dialog: (problems.append(dialog.message), dialog.dismiss()))
            page.goto(f"{gateway.url}/?token=emb_echo")
            page.get_by_role("button", name="Talk").click()
            await_state(page, "connected")
            return page

        yield make
        for page, gateway in pages:
            page.close()
            gateway.await_idle()
    assert problems == []


def row(page, kind: str, text):
    return page.locator(f"#rows li.{kind} p", has_text=text)


def await_spoken(page):
    """Waits until the bot has said what it says."""
    expect(row(page, "bot", SPOKEN)).to_be_visible(timeout=15_000)


def assert_rows(page, expected: list[tuple]):
    rows = page.evaluate(ROWS)
    assert [kind for kind, _ in rows] == [kind for kind, _ in expected], rows
    for (_, text), (_, wanted) in zip(rows, expected):
        assert wanted.fullmatch(text) if isinstance(wanted, re.Pattern) else text == wanted, rows


def test_whoever_sees_everything_is_shown_everything(talk):
    page = talk("tell")
    await_spoken(page)
    expect(row(page, "latency", "Answered")).to_be_visible()
    assert_rows(page, [
        ("you", f"I would like {MARKUP}"),
        ("tool", f'book {json.dumps({"table": MARKUP}, separators=(",", ":"))} → {MARKUP}'),
        ("tool", "call …"),
        ("bot", f"Right. {MARKUP} Anything else?"),
        ("error", MARKUP),
        ("you", "No"),
        ("message", json.dumps({"basket": {"wine": MARKUP}}, separators=(",", ":"))),
        ("message", f"server-message {MARKUP}"),
        ("bot", SPOKEN),
        ("latency", re.compile(r"Answered after \d+ ms")),
    ])
    assert page.locator("#rows [aria-busy=true]").all_inner_texts() == page.locator("#rows li", has_text="No").all_inner_texts()
    kinds = page.evaluate("[...new Set([...document.querySelectorAll('#rows *, #log *')].map((each) => each.tagName))]")
    assert set(kinds) == {"LI", "TIME", "B", "P", "DETAILS", "SUMMARY", "SPAN", "PRE"}, "markup is text"
    page.get_by_role("button", name="Hang up").click()
    expect(row(page, "end", re.compile(r"You hung up\. It lasted 0:\d\d\."))).to_be_visible()
    assert page.locator("#rows [aria-busy]").count() == 0
    page.get_by_role("button", name="Talk").click()
    await_state(page, "connected")
    expect(row(page, "end", "You hung up")).to_have_count(0)


def test_whoever_sees_the_transcript_is_shown_who_speaks_and_what(talk):
    page = talk("tell", events="transcript")
    expect(page.get_by_text("Bot speaks", exact=True)).to_be_visible(timeout=15_000)
    await_spoken(page)
    expect(page.get_by_text("Bot speaks", exact=True)).to_be_hidden()
    assert_rows(page, [
        ("you", f"I would like {MARKUP}"), ("bot", f"Right. {MARKUP} Anything else?"), ("you", "No"), ("bot", SPOKEN),
    ])
    expect(page.locator("#say")).to_be_hidden()


def test_whoever_sees_nothing_is_told_so_when_the_bot_is_heard(talk):
    page = talk("barge", events="none")
    expect(page.get_by_text("The server tells this page nothing of what is said.")).to_be_visible(timeout=15_000)
    assert_rows(page, [])


def test_a_pipecat_bots_messages_are_shown_once_and_end_no_call(talk):
    """Most of them come twice, as events and as RTVI. RTVI has an `error` too."""
    page = talk("pipecat", dialect="pipecat")
    expect(row(page, "message", "server-message")).to_be_visible(timeout=15_000)
    assert_rows(page, [
        ("message", 'bot-ready {"version":"2.0.0"}'),
        ("you", "Hello"),
        ("latency", "First byte after 250 ms, LLM, tiny"),
        ("tool", 'look {"day":1} → 7'),
        ("bot", "One moment."),
        ("turn", "The bot was interrupted"),
        ("error", "no table is free"),
        ("message", 'server-message {"basket":1}'),
    ])
    expect(page.get_by_text("Muted", exact=True)).to_be_visible()
    expect(page.get_by_text("You speak", exact=True)).to_be_hidden()
    assert page.evaluate("patchbay.state") == "connected"


def test_the_bot_is_talked_to_and_answers(talk):
    page = talk("tell")
    await_spoken(page)
    field = page.get_by_label("Message to the bot")
    for wrong in "checkout", "[1]", "null", "":
        field.fill(wrong)
        field.press("Enter")
        assert field.evaluate("field => field.validationMessage") != ""
    field.fill('{"page": "checkout"}')
    field.press("Enter")
    expect(row(page, "message", '{"heard":{"page":"checkout"}}')).to_be_visible()
    field.fill('{"page": "thanks"}')
    page.get_by_role("button", name="Send").click()
    expect(row(page, "message", '{"heard":{"page":"thanks"}}')).to_be_visible()
    assert [text for kind, text in page.evaluate(ROWS) if kind == "sent"] == ['{"page":"checkout"}', '{"page":"thanks"}']
    assert field.input_value() == ""
    field.focus()
    page.evaluate("patchbay.hangUp()")
    expect(field).to_be_hidden()
    expect(page.get_by_role("button", name="Talk")).to_be_focused()


GAPS = """() => {
  let before = performance.now();
  window.longest = 0;
  const look = (now) => { window.longest = Math.max(longest, now - before); before = now; requestAnimationFrame(look); };
  requestAnimationFrame(look);
}"""

# Where a list is that grows while somebody looks at its beginning.
READ_BACK = """async () => {
  const list = document.getElementById("talks");
  const frames = () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  await frames();
  list.scrollTop = 0;
  tell(call, { type: "rtf-bot-text", payload: { text: "More" } });
  await frames();
  return list.scrollTop;
}"""


@pytest.mark.alone
def test_a_bot_that_tells_too_much_leaves_the_newest(talk):
    page = talk("chatter")
    page.evaluate(GAPS)
    page.locator("#talks").scroll_into_view_if_needed()
    expect(row(page, "you", "The last word")).to_be_in_viewport(timeout=20_000)
    rows = page.evaluate(ROWS)
    assert len(rows) == page.locator("#log li").count() == 500
    assert rows[-1] == ["you", "The last word"]
    print(f"2000 events, the last of them {rows[-2][1]}; the longest time without a frame was {page.evaluate('longest'):.0f} ms")
    assert page.evaluate("longest") < 5000
    assert page.evaluate(READ_BACK) < 100, "whoever reads back is left there"


def test_what_a_pipeline_tells_and_no_bot_can(talk):
    """Steps of a workflow; and what has another shape than it should."""
    page = talk("barge")
    expect(page.get_by_text("Bot speaks", exact=True)).to_be_visible(timeout=15_000)
    before = len(page.evaluate(ROWS))
    hostile = {"toString": None, "text": {"toString": None}}
    for type, payload in (
        ("rtf-node-transition", {"node_id": "1", "node_name": MARKUP, "previous_node_name": None, "allow_interrupt": True}),
        ("rtf-node-transition", {"node_id": "2", "node_name": "Pay", "previous_node_name": MARKUP, "allow_interrupt": False}),
        ("rtf-news", {"of": 1}),
        ("rtf-latency-measured", {"latency_seconds": MARKUP}),
        *((type, payload) for type in ("rtf-user-transcription", "rtf-bot-text", "rtf-function-call-end", "rtf-ttfb-metric")
          for payload in (hostile, None, 7, [], "x" * 9000)),
        ({"toString": None}, hostile),
        (None, None),
    ):
        page.evaluate("message => receive(call, JSON.stringify(message))", {"type": type, "payload": payload})
    rows = page.evaluate(ROWS)[before:]
    assert rows[:4] == [
        ["step", MARKUP],
        ["step", f"{MARKUP} → Pay, not to be interrupted"],
        ["message", '{"type":"rtf-news","payload":{"of":1}}'],
        ["latency", f"Answered after {MARKUP}"],
    ]
    assert page.evaluate("patchbay.state") == "connected"


@pytest.mark.parametrize("width", [360, 1280])
def test_what_is_shown_moves_nothing(talk, width):
    page = talk("tell", viewport={"width": width, "height": 800})
    places = "['talk', 'token-box', 'f-rtt', 'copy'].map((id) => document.getElementById(id).getBoundingClientRect().top + scrollY)"
    before = page.evaluate(places)
    await_spoken(page)
    expect(page.locator("#say")).to_be_visible()
    # A browser's own rounding aside.
    assert page.evaluate(places) == pytest.approx(before, abs=0.5)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate("[...document.querySelectorAll('#rows li, .now, #say')].every((each) => each.scrollWidth <= each.clientWidth)")
