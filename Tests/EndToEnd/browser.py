"""Headless Chromium with a file of speech as its microphone."""

import base64
import re
import threading
from contextlib import contextmanager
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

import leaks
from gateway import ROOT

RECORD = """async (seconds) => {
  const stream = document.querySelector("audio").srcObject;
  const context = new AudioContext({ sampleRate: 48000 });
  const source = context.createMediaStreamSource(stream);
  const tap = context.createScriptProcessor(4096, 1, 1);
  const blocks = [];
  tap.onaudioprocess = ({ inputBuffer }) => blocks.push(inputBuffer.getChannelData(0).slice());
  source.connect(tap).connect(context.destination);
  await context.resume();
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  source.disconnect();
  await context.close();
  const bytes = new Uint8Array(await new Blob(blocks).arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return btoa(text);
}"""


def watch(context):
    """Remembers the secrets that pages use. The bodies of answers cannot be asked for while Playwright tells of them."""
    context.on("request", watch_request)
    context.on("page", lambda page: page.on("websocket", watch_socket))


def watch_request(request):
    leaks.in_request(request.url, request.headers)
    leaks.in_body(request.post_data_buffer)


def watch_socket(socket):
    leaks.in_request(socket.url)
    socket.on("framesent", leaks.in_message)
    socket.on("framereceived", leaks.in_message)


@contextmanager
def chromium(microphone: Path, *arguments: str, autoplay: str = "no-user-gesture-required"):
    """A browser; the microphone starts at the file's beginning when a page first asks for it, and repeats."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=[
                "--headless=new",
                "--no-sandbox",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={microphone}",
                f"--autoplay-policy={autoplay}",
                "--disable-features=WebRtcHideLocalIpsWithMdns",
                "--allow-loopback-in-peer-connection",
                *arguments,
            ],
        )
        browser.on("context", watch)
        try:
            yield browser
        finally:
            browser.close()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@cache
def pages() -> str:
    """The address of a web server for the folder `pages`, which lives as long as the tests."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=Path(__file__).parent / "pages"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def await_state(page, state: str, timeout=15):
    """Waits until the playground is in that state."""
    page.wait_for_function("state => window.patchbay.state === state", arg=state, timeout=timeout * 1000)


def open_caller(browser) -> Page:
    """The page that calls through the signed-in route, from an origin that the gateway has never heard of."""
    page = browser.new_page()
    page.goto(f"{pages()}/call.html")
    return page


def open_served_here(browser, name: str) -> Page:
    """A page that no server serves, for a browser in a network of its own. It may not speak to loopback addresses."""
    page = browser.new_page()
    page.route("http://localhost/**", lambda route: route.fulfill(path=Path(__file__).parent / "pages" / name))
    page.goto("http://localhost/")
    return page


def open_documented(browser) -> Page:
    """A page that has the client of the documents, the one block of JavaScript in the description of the wire."""
    [block] = re.findall(r"^```js\n(.*?)^```$", (ROOT / "docs/wire.md").read_text(), re.MULTILINE | re.DOTALL)
    page = browser.new_page()
    page.goto(f"{pages()}/blank.html")
    page.add_script_tag(content=block)
    return page


def record(page: Page, seconds: float) -> np.ndarray:
    """What the page's <audio> element plays from now on; samples between -1 and 1 at 48 kHz."""
    return np.frombuffer(base64.b64decode(page.evaluate(RECORD, seconds)), "<f4").astype(float)
