"""A gateway that sends no connectivity checks, and callers that send theirs."""

import asyncio
import json
import subprocess

import numpy as np
import pytest

import speech
from browser import chromium, open_caller, record
from firefox import firefox
from gateway import changed_config, patchbay
from peer import in_call


@pytest.fixture(scope="module")
def gateway(_gateways):
    # Firefox sends nothing to 127.0.0.1, and a lite agent waits for that.
    addresses = ", ".join(["127.0.0.1", *(each for each in subprocess.check_output(["hostname", "-I"], text=True).split() if "." in each)])
    media = f"  addresses: [{addresses}]\n  ice_lite: true\n"
    yield from _gateways(template=changed_config(("  addresses: [127.0.0.1]\n", media)))


@pytest.mark.alone
def test_chromium_hears_itself(gateway, noisy, sentences):
    with chromium(noisy["kitchen"]) as browser:
        page = open_caller(browser)
        page.evaluate("url => place(url).then(() => null)", gateway.signaling())
        assert "a=ice-lite\r\n" in page.evaluate("calls[0].pc.remoteDescription.sdp")
        heard = record(page, 14)
    speech.assert_heard("kitchen", sentences, heard)
    gateway.await_idle()


@pytest.mark.alone
def test_firefox_gets_through(gateway):
    with firefox() as page:
        page.evaluate("place(it[0]).then(() => null)", gateway.signaling())
        heard = page.evaluate("new Promise((done) => setTimeout(done, 3000)).then(() => inbound(calls[0])).then((it) => ({ ...it }))")
        page.evaluate("hangUp(calls[0])")
    assert heard["packetsReceived"] > 3 * 50 * 0.8 and heard["packetsLost"] == 0
    gateway.await_idle()


@pytest.mark.alone
def test_aiortc_hears_itself(gateway, noisy, sentences):
    said = speech.read(noisy["harbour"])[: 8 * speech.RATE]

    async def call() -> np.ndarray:
        async with in_call(gateway.signaling(), said) as caller:
            await asyncio.sleep(8)
            return caller.heard()

    speech.assert_heard("harbour", sentences, asyncio.run(call()))
    gateway.await_idle()


def test_our_own_caller_gets_through(gateway):
    run = patchbay("call", gateway.signaling(), "--seconds", 3, "--json")
    [call] = json.loads(run.stdout)["calls"]
    assert run.returncode == 0 and call["connected"] and call["packets_received"] > 30, call
    gateway.await_idle()
