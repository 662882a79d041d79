"""A peer that is not a browser, through the echo."""

import asyncio

import numpy as np
import pytest

import speech
from gateway import http
from peer import calling, in_call


@pytest.mark.alone
def test_the_echo_returns_what_was_said(gateway, sentences, noisy):
    said = speech.read(noisy["harbour"])[: 8 * speech.RATE]

    async def call():
        async with in_call(gateway.signaling(), said) as caller:
            await asyncio.sleep(8)
            return caller.heard(), caller.first_frame_at - caller.microphone.began, await caller.packets()

    heard, began_after, packets = asyncio.run(call())
    speech.assert_heard("harbour", sentences, heard)
    score, lag = speech.waveform_likeness(said, np.pad(heard, (0, len(said))))
    delay = began_after + lag
    print(f"waveform likeness {score:.3f}, mouth to ear {delay * 1000:.0f} ms, {packets}")
    assert score > 0.8
    assert 0 < delay < 0.6
    assert packets["lost"] == packets["remote_lost"] == 0
    gateway.await_idle()


def test_candidates_trickle_both_ways_in_messages(gateway):
    """The offer has none of the caller's candidates; the gateway's come in the answer, or after it."""

    async def call():
        async with calling(gateway.signaling()) as caller:
            answer = await caller.offer(trickle=True)
            await caller.connected()
            await caller.hears(10)
            return answer["sdp"].count("a=candidate:") + caller.remote_candidates

    assert asyncio.run(call()) >= 1


def test_an_offer_that_has_its_candidates_needs_no_trickle(gateway):
    async def call():
        async with calling(gateway.signaling()) as caller:
            await caller.offer(trickle=False)
            await caller.connected()
            await caller.hears(10)

    asyncio.run(call())


@pytest.mark.alone
def test_the_embed_flow_reaches_its_workflow(gateway, sentences):
    said = speech.read(sentences["kitchen"])[: 7 * speech.RATE]
    url = gateway.embed_session("emb_echo", context_variables={"customer_name": "Ada"})

    async def call():
        async with in_call(url, said) as caller:
            await asyncio.sleep(7)
            return caller.heard()

    speech.assert_heard("kitchen", sentences, asyncio.run(call()))


def test_a_renegotiation_keeps_the_call(gateway):
    """Answered with the same pc_id, without a second seat, and sound goes on."""

    async def call():
        async with in_call(gateway.signaling()) as caller:
            await caller.hears(10)
            answer = await caller.offer(message="renegotiate", restart_pc=False)
            assert answer["pc_id"] == caller.pc_id
            assert gateway.look()["leases"] == 1
            before = len(caller.frames)
            await caller.hears(before + 50)
            answer = await caller.offer()  # a second offer of the same pc_id is a renegotiation too
            assert gateway.look()["leases"] == 1
            await caller.hears(len(caller.frames) + 50)

    asyncio.run(call())
    gateway.await_idle()


def test_the_end_of_media_is_told_before_the_socket_closes(gateway):
    """`call-ended`, and then close 1000 `call ended`: clients match both literally."""

    async def call():
        async with in_call(gateway.signaling(run=41)) as caller:
            await caller.hears(10)
            await caller.pc.close()
            ended = await caller.message("call-ended", timeout=15)
            assert ended == {"pc_id": caller.pc_id, "workflow_run_id": 41, "reason": "peer_connection_closed"}
            await caller.until(lambda: caller.close_code is not None, 5, "the close")
            assert (caller.close_code, caller.close_reason) == (1000, "call ended")

    asyncio.run(call())
    gateway.await_idle()


@pytest.mark.alone
def test_the_player_plays_its_file(gateway, sentences):
    async def call():
        async with in_call(gateway.signaling(workflow=3)) as caller:
            await asyncio.sleep(8)
            return caller.heard()

    speech.assert_heard("winter", sentences, asyncio.run(call()))


def test_health_is_there_for_clients(gateway):
    status, _, body = http("GET", f"{gateway.url}/api/v1/health")
    assert status == 200 and b'"status":"ok"' in body.replace(b" ", b"")


@pytest.mark.alone
@pytest.mark.long
@pytest.mark.rare
def test_two_hundred_calls_leave_nothing_behind(start):
    gateway = start()

    async def call(run: int):
        async with in_call(gateway.signaling(run=run)) as caller:
            await caller.hears(3)
            return (await caller.packets())["lost"]

    async def calls(numbers):
        return [await call(run) for run in numbers]

    asyncio.run(calls(range(1, 11)))  # what is made once and kept
    gateway.await_idle()
    descriptors, resident = gateway.descriptors(), gateway.resident()
    assert sum(asyncio.run(calls(range(11, 211)))) == 0
    gateway.await_idle()
    gateway.await_descriptors(descriptors)
    print(f"{descriptors} descriptors; resident memory grew by {(gateway.resident() - resident) / 2**20:.1f} MiB")
