"""The package in Examples/OwnGateway: a gateway with somebody else's pipeline and auth plugin in it."""

import asyncio
import os

import numpy as np
import pytest

import speech
from browser import chromium, open_caller
from gateway import PASSPHRASE, ROOT, patchbay, upgrade
from peer import calling, in_call


@pytest.mark.alone
def test_it_answers_in_its_own_way(start_own, sentences):
    gateway = start_own()
    said = speech.read(sentences["winter"])[: 7 * speech.RATE]

    async def call():
        async with in_call(gateway.signaling(workflow=3), said) as caller:
            await asyncio.sleep(13)
            return caller.heard()

    speech.assert_heard("winter", sentences, asyncio.run(call()), change=np.flip)


def test_its_return_hangs_up(start_own, sentences):
    gateway = start_own(patience="400ms")  # less than the pause: it never answers

    async def call():
        async with calling(gateway.signaling(workflow=3, run=14)) as caller:
            await caller.offer()
            ended = await caller.message("call-ended", timeout=10)
            assert ended["pc_id"] == caller.pc_id and ended["workflow_run_id"] == 14
            await caller.until(lambda: caller.close_code is not None, 5, "the close")
            assert (caller.close_code, caller.close_reason) == (1000, "call ended")
            await asyncio.to_thread(gateway.await_idle)

    asyncio.run(call())
    with chromium(sentences["harbour"]) as browser:
        page = open_caller(browser)
        page.evaluate("url => place(url).then(() => null)", gateway.signaling(workflow=3, run=15))
        assert page.evaluate("within(15, 'the end', calls[0].closed)") == {"code": 1000, "reason": "call ended"}
        assert page.evaluate("calls[0].messages.at(-1).type") == "call-ended"
    gateway.await_idle()


def test_a_guest_is_let_in_by_the_passphrase(start_own):
    gateway = start_own()
    assert upgrade(gateway.signaling(query="api_key=a-passphrase-for-adb-only"))[0] == 403
    assert upgrade(gateway.signaling(query=""), {"X-API-Key": PASSPHRASE})[0] == 101
    url = gateway.signaling(workflow=3, query="").rstrip("?")
    call = patchbay("call", url, "--api-key", PASSPHRASE, "--seconds", 2, binary=gateway.binary)
    assert call.returncode == 0, call.stdout + call.stderr


def test_its_configuration_is_good_where_its_plugins_are_known(own_gateway):
    config = ROOT / "Examples/OwnGateway/config.yaml"
    environment = {**os.environ, "ADA_PASSPHRASE": PASSPHRASE}
    known = patchbay("check", "-c", config, binary=own_gateway, env=environment)
    assert known.returncode == 0, known.stdout + known.stderr
    unknown = patchbay("check", "-c", config, env=environment)
    said = unknown.stdout + unknown.stderr
    assert unknown.returncode == 78 and "'backwards'" in said and "'guest_list'" in said
