"""Headless Firefox, whose microphone is a tone that it makes itself."""

import tempfile
from contextlib import contextmanager

from marionette_driver.marionette import Marionette

from browser import pages
from gateway import free_port

PREFERENCES = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.peerconnection.ice.loopback": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "media.autoplay.default": 0,
}


class Page:
    """The page that calls through the signed-in route."""

    def __init__(self, marionette: Marionette):
        self.marionette = marionette
        marionette.timeout.script = 30
        marionette.navigate(f"{pages()}/call.html")

    def evaluate(self, expression: str, *arguments):
        """What `expression`, a promise or not, of the page comes to; `it` is a list of `arguments`."""
        script = """
            const [done] = [...arguments].slice(-1);
            window.it = [...arguments].slice(0, -1);
            Promise.resolve(window.eval(%r)).then((value) => done({ value }), (error) => done({ error: String(error) }));
        """
        outcome = self.marionette.execute_async_script(script % expression, arguments, sandbox=None)
        assert "error" not in outcome, outcome
        return outcome.get("value")


@contextmanager
def firefox():
    with tempfile.TemporaryDirectory() as directory:
        marionette = Marionette(
            port=free_port(), bin="/usr/bin/firefox-esr", headless=True, prefs=PREFERENCES, startup_timeout=60,
            gecko_log=f"{directory}/gecko.log",
        )
        marionette.start_session()
        try:
            yield Page(marionette)
        finally:
            marionette.quit(in_app=False)
            marionette.cleanup()
