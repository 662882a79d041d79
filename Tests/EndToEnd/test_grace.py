"""Signaling sockets that are lost in the middle of a call, and callers who come back."""

import asyncio
import signal
import socket
import struct
import time
from contextlib import asynccontextmanager

import aiohttp
import pytest

from gateway import jwt, upgrade
from peer import calling, in_call
from relay import Relay

GRACE = 3


@pytest.fixture(scope="module")
def gateway(_gateways):
    yield from _gateways(grace=f"{GRACE}s")


def reset(caller):
    """Ends the connection with an RST: a program that crashed, a NAT that forgot."""
    transport = caller.socket._response.connection.transport
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


@asynccontextmanager
async def back(caller, url: str):
    """The caller is back on a socket of its own."""
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as other:
        await caller.move(other)
        yield other


async def figures(caller) -> dict:
    after = len(caller.messages)
    await caller.send("get-statistics", pc_id=caller.pc_id)
    return await caller.message("statistics", after=after)


def detached(gateway) -> bool:
    return [call["state"] for call in gateway.look()["calls"]] == ["detached"]


def ends(gateway) -> list[str]:
    """Why calls ended, as the log has it."""
    return [line for line in gateway.log.read_text().splitlines() if "call ended" in line]


@pytest.mark.alone
@pytest.mark.parametrize("route", ["signed in", "embed"])
def test_a_caller_whose_connection_is_reset_comes_back_and_sound_goes_on(gateway, route):
    url = gateway.signaling() if route == "signed in" else gateway.embed_session("emb_echo")

    async def call():
        async with in_call(url) as caller:
            await caller.hears(50)
            before = await figures(caller)
            reset(caller)
            await asyncio.to_thread(gateway.await_state, lambda now: now["sockets"] == 0)
            assert detached(gateway) and gateway.look()["leases"] == 1
            heard, began = len(caller.frames), time.monotonic()
            await asyncio.sleep(1)
            assert detached(gateway)
            async with back(caller, url):
                await caller.offer()
                await asyncio.to_thread(gateway.await_state, lambda now: [call["state"] for call in now["calls"]] == ["connected"])
                # For longer than the window that it came back in.
                await asyncio.sleep(GRACE + 1)
                after = await figures(caller)
                frames, seconds = len(caller.frames) - heard, time.monotonic() - began
                print(f"{frames} frames heard in {seconds:.2f} s; packets received {before['packets_received']}, then {after['packets_received']}")
                assert frames > 50 * seconds * 0.95
                assert after["packets_received"] - before["packets_received"] > 50 * seconds * 0.95
                assert after["packets_lost"] == 0 and (await caller.packets())["lost"] == 0
                assert gateway.look()["leases"] == 1
                await caller.pc.close()
                ended = await caller.message("call-ended", timeout=15)
                assert (ended["pc_id"], ended["reason"]) == (caller.pc_id, "peer_connection_closed")
                assert await caller.closed() == (1000, "call ended")

    started = gateway.look()["started"]
    asyncio.run(call())
    gateway.await_idle()
    assert gateway.look()["started"] == started + 1


def test_a_caller_comes_back_with_another_peer_connection(gateway):
    url = gateway.signaling()

    async def call():
        async with in_call(url) as caller:
            await caller.hears(10)
            reset(caller)
            async with back(caller, url):
                await caller.restart()
                await caller.connected()
                await caller.hears(len(caller.frames) + 50)

    asyncio.run(call())
    gateway.await_idle()


def test_a_caller_comes_back_to_a_tenant_that_has_as_many_sockets_as_it_may(start):
    gateway = start(grace=f"{GRACE}s, sockets: 1")
    url = gateway.signaling()

    async def call():
        async with Relay(url) as relay, in_call(relay.url) as caller:
            await caller.hears(10)
            status, _, body = await asyncio.to_thread(upgrade, gateway.signaling())
            assert (status, body) == (429, b'{"detail":"Too many sockets"}')
            relay.is_silent = True
            async with back(caller, url):
                await caller.offer()
                await caller.hears(len(caller.frames) + 50)
                await asyncio.to_thread(gateway.await_state, lambda now: now["sockets"] == 1, 8)

    asyncio.run(call())
    gateway.await_idle()
    assert gateway.look()["refused"] == {"too_many_tenant_sockets": 1}


@pytest.mark.alone
def test_a_caller_is_back_before_the_gateway_has_missed_it(gateway):
    """The network has changed: the old connection is still there for the gateway, and silent."""
    url = gateway.signaling()

    async def call():
        async with Relay(url) as relay, in_call(relay.url) as caller:
            await caller.hears(50)
            relay.is_silent = True
            heard, began = len(caller.frames), time.monotonic()
            async with back(caller, url):
                assert gateway.look()["sockets"] == 2
                await caller.offer()
                took = time.monotonic() - began
                assert 1.5 < took < 4, took
                await caller.hears(heard + int(50 * (took + 2)), timeout=took + 4)
                assert (await figures(caller))["packets_lost"] == 0
                await asyncio.to_thread(gateway.await_state, lambda now: now["sockets"] == 1, 8)
                await asyncio.sleep(GRACE + 1)
                assert [call["state"] for call in gateway.look()["calls"]] == ["connected"]

    asyncio.run(call())
    gateway.await_idle()


@pytest.mark.alone
def test_a_pages_caller_is_back_before_the_gateway_has_missed_it(gateway):
    """A session has one socket: the next one waits at the door until the first has turned out to be lost."""
    url = gateway.embed_session("emb_echo")

    async def call():
        async with Relay(url) as relay, in_call(relay.url) as caller:
            await caller.hears(50)
            relay.is_silent = True
            heard, began = len(caller.frames), time.monotonic()
            async with back(caller, url):
                await caller.offer()
                took = time.monotonic() - began
                assert 1.5 < took < 4, took
                await caller.hears(heard + int(50 * (took + 2)), timeout=took + 4)
                assert (await figures(caller))["packets_lost"] == 0
                await asyncio.sleep(GRACE + 1)
                assert [call["state"] for call in gateway.look()["calls"]] == ["connected"]

    asyncio.run(call())
    gateway.await_idle()


@pytest.mark.alone
def test_a_socket_that_is_alive_keeps_its_call(gateway):
    url = gateway.signaling()

    async def call():
        async with in_call(url) as caller, calling(url) as other:
            began = time.monotonic()
            other.pc_id = caller.pc_id
            await other.send("offer", **await other.description())
            assert await other.message("error") == {"message": "Peer connection already owned"}
            assert time.monotonic() - began < 1.5
            await caller.hears(len(caller.frames) + 50)

    asyncio.run(call())
    gateway.await_idle()


def test_nobody_else_comes_back(gateway):
    run = 77

    async def call():
        async with in_call(gateway.signaling(run=run)) as caller:
            await caller.hears(10)
            reset(caller)
            await asyncio.to_thread(gateway.await_state, lambda now: now["sockets"] == 0)
            async with calling(gateway.signaling(run=run, token=jwt(user="8"))) as stranger:
                stranger.pc_id = caller.pc_id
                for message in "get-statistics", "renegotiate":
                    await stranger.send(message, pc_id=caller.pc_id, sdp="v=0", type="offer")
                await stranger.until(lambda: len(stranger.messages) == 2)
                assert [each["payload"]["message"] for each in stranger.messages] == ["Peer connection not found"] * 2
                # It has a run of the same number, and a call of its own.
                await stranger.offer()
                assert sorted(call["state"] for call in gateway.look()["calls"])[-1] == "detached"
                assert len(gateway.look()["calls"]) == 2

    asyncio.run(call())
    gateway.await_idle(GRACE + 3)


@pytest.mark.alone
def test_a_call_to_which_nobody_returns_ends_and_frees_its_seat(start):
    gateway = start(grace="2s", seats=1)
    url = gateway.signaling()

    async def call():
        async with in_call(url) as caller, calling(gateway.signaling()) as next_one:
            await caller.hears(10)
            reset(caller)
            lost = time.monotonic()
            await asyncio.to_thread(gateway.await_state, lambda now: now["sockets"] == 1)
            await next_one.send("offer", **await next_one.description())
            assert (await next_one.message("error"))["error_type"] == "concurrency_limit_exceeded"
            await asyncio.to_thread(gateway.await_state, lambda now: now["leases"] == 0, 5)
            assert 2 <= time.monotonic() - lost < 4
            await next_one.offer()
            async with calling(url) as late:
                late.pc_id = caller.pc_id
                await late.send("offer", **await late.description())
                assert (await late.message("error"))["error_type"] == "workflow_run_already_completed"

    asyncio.run(call())
    gateway.await_idle()
    assert "socket_lost" in ends(gateway)[0]


@pytest.mark.alone
@pytest.mark.parametrize("code", [1000, 1001, None])
def test_a_socket_that_is_closed_on_purpose_ends_its_call_at_once(gateway, code):
    async def call():
        async with in_call(gateway.signaling()) as caller:
            await caller.hears(10)
            payload = b"" if code is None else struct.pack("!H", code)
            await caller.socket._writer.send_frame(payload, aiohttp.WSMsgType.CLOSE)
            await asyncio.to_thread(gateway.await_idle, GRACE / 2)

    asyncio.run(call())
    assert "socket_closed" in ends(gateway)[-1]


@pytest.mark.alone
def test_without_a_window_a_lost_socket_ends_its_call_at_once(start):
    gateway = start(grace="0s")

    async def call():
        async with in_call(gateway.signaling()) as caller:
            await caller.hears(10)
            reset(caller)
            await asyncio.to_thread(gateway.await_idle, 1)

    asyncio.run(call())
    assert "socket_closed" in ends(gateway)[-1]


@pytest.mark.long
@pytest.mark.rare
def test_a_silent_socket_is_noticed_by_the_keep_alive(gateway):
    """As `test_wire_timing.py` has it; and its caller comes back as others do, above."""
    url = gateway.signaling()

    async def call():
        async with Relay(url) as relay, in_call(relay.url) as caller:
            await caller.hears(50)
            relay.is_silent = True
            await asyncio.to_thread(gateway.await_state, lambda now: detached(gateway), 45)
            heard = len(caller.frames)
            async with back(caller, url):
                began = time.monotonic()
                await caller.offer()
                assert time.monotonic() - began < 1
                await caller.hears(heard + 100)
                assert (await figures(caller))["packets_lost"] == 0

    asyncio.run(call())
    gateway.await_idle()


def test_a_gateway_that_drains_lets_its_callers_back_in(start):
    gateway = start(grace="10s", drain="30s")
    url = gateway.signaling()

    async def call():
        async with in_call(url) as caller:
            await caller.hears(10)
            gateway.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(gateway.await_drain)
            reset(caller)
            await asyncio.to_thread(gateway.await_state, lambda now: now["sockets"] == 0)
            with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
                async with calling(gateway.signaling()):
                    pass
            async with back(caller, url):
                await caller.offer()
                await caller.hears(len(caller.frames) + 50)

    asyncio.run(call())
    assert gateway.process.wait(5) == 0


def test_a_gateway_that_stops_ends_the_calls_that_wait(start):
    gateway = start(grace="60s")

    async def call():
        async with in_call(gateway.signaling()) as caller:
            await caller.hears(10)
            reset(caller)
            await asyncio.to_thread(gateway.await_state, lambda now: now["sockets"] == 0)
            assert await asyncio.to_thread(gateway.stop) == 0

    asyncio.run(call())
    assert "server_stopped" in ends(gateway)[-1]
