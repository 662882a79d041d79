"""Firefox calls the echo: as the DTLS server that it is, and as a client, whose ClientHello may come in fragments."""

import math
import time

import pytest

from firefox import firefox

# What it sends is changed on its way, as if it could not be the server.
ACTIVE = """
    const send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (text) { send.call(this, text.replaceAll("setup:actpass", "setup:active")); };
"""


@pytest.mark.alone
@pytest.mark.parametrize("role", ["server", "client"])
def test_firefox_hears_the_echo_of_its_tone(gateway, role):
    with firefox() as page:
        if role == "client":
            page.evaluate(ACTIVE)
        page.evaluate("place(it[0]).then(() => null)", gateway.signaling())
        answer = page.evaluate("calls[0].pc.remoteDescription.sdp")
        assert f"a=setup:{'passive' if role == 'client' else 'active'}\r\n" in answer
        time.sleep(6)
        heard = page.evaluate("inbound(calls[0]).then((report) => ({ ...report }))")
        [call] = gateway.look()["calls"]
        assert page.evaluate("navigator.userAgent.includes('Firefox/')")
        # It is killed, and would lose its socket rather than close it.
        page.evaluate("hangUp(calls[0])")
    assert heard["packetsLost"] == 0 and heard["packetsReceived"] > 6 * 50 * 0.9
    assert heard["concealedSamples"] < 0.02 * heard["totalSamplesReceived"]
    # The peak of a sine whose power the packets' headers tell (RFC 6464), there and back.
    said = math.sqrt(2) * 10 ** (call["media"]["audio_level_dbov"] / 20)
    assert heard["audioLevel"] == pytest.approx(said, rel=0.3)
    gateway.await_idle()
