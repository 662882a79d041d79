"""What ends by the clock: calls at their limits, the gateway at its drain, sockets that give no sign of life."""

import asyncio
import signal
import time
from contextlib import AsyncExitStack

import numpy as np
import pytest

import speech
from gateway import changed_config, http, upgrade
from peer import calling, in_call

LIMITS = "limits: {{ call: 30m, connect: {connect}, grace: {grace} }}"


def limits(text: str) -> str:
    return changed_config((LIMITS, f"limits: {{{{ {text} }}}}"))


async def ends(caller, timeout: float) -> float:
    """Waits for `call-ended` and then close 1000 `call ended`; how long that took."""
    began = time.monotonic()
    assert (await caller.message("call-ended", timeout))["pc_id"] == caller.pc_id
    after = time.monotonic() - began
    assert await caller.closed() == (1000, "call ended")
    assert caller.messages[-1]["type"] == "call-ended"
    return after


def test_a_call_ends_at_its_longest(start):
    gateway = start(template=limits("call: 3s"))

    async def main():
        async with calling(gateway.signaling()) as caller:
            await caller.offer()
            began = time.monotonic()
            await caller.connected()
            await caller.hears(10)
            await ends(caller, 10)
            assert 2 < time.monotonic() - began < 6
            assert caller.messages[-1]["payload"]["reason"] == "time_limit"

    asyncio.run(main())
    gateway.await_idle()


@pytest.mark.parametrize(("workflow", "after"), [(2, 2), (9, 8)], ids=["echo", "parrot"])
def test_a_call_ends_when_nobody_has_spoken_for_long(start, sentences, workflow, after):
    """Who speaks keeps it up, caller or parrot. Then there is silence; that of the echo is sent, and is silence too."""
    gateway = start(template=limits("idle: 2s"))
    # From the first word on: what goes before it would be on top of the time in which the media connects.
    said = speech.spoken_part(speech.read(sentences["harbour"]))[: 5 * speech.RATE]

    async def main():
        async with in_call(gateway.signaling(workflow), said) as caller:
            await asyncio.sleep(4.5)
            assert "call-ended" not in [each["type"] for each in caller.messages], "it ended while somebody spoke"
            assert await ends(caller, after + 5) > after - 2
            assert caller.messages[-1]["payload"]["reason"] == "idle"

    asyncio.run(main())
    gateway.await_idle()


def test_a_pipeline_that_speaks_keeps_the_call_up(start):
    """The caller says nothing, and the player plays."""
    gateway = start(template=limits("idle: 2s"))

    async def main():
        async with in_call(gateway.signaling(workflow=3), np.zeros(0)) as caller:
            await asyncio.sleep(4.5)
            assert "call-ended" not in [each["type"] for each in caller.messages]

    asyncio.run(main())
    gateway.await_idle()


def test_a_call_ends_when_its_media_does_not_connect(start):
    gateway = start(connect="2s")

    async def main():
        async with calling(gateway.signaling()) as caller:
            await caller.send("offer", **await caller.description())
            await caller.message("answer")
            assert 1 < await ends(caller, 10) < 6
            assert caller.messages[-1]["payload"]["reason"] == "peer_connection_closed"

    asyncio.run(main())
    gateway.await_idle()


# MARK: - Stopping


def stops_within(gateway, seconds: float):
    assert gateway.process.wait(seconds) == 0


def test_sigterm_without_a_call_does_not_wait(start):
    """Not for the drain, and not for a socket that has no call."""
    gateway = start(drain="20s")

    async def main():
        async with calling(gateway.signaling()) as caller:
            await caller.send("unheard-of")
            await asyncio.sleep(0.2)
            gateway.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(stops_within, gateway, 3)
            code, _ = await caller.closed()
            assert code == 1012

    asyncio.run(main())


@pytest.mark.alone
def test_a_call_goes_on_while_the_gateway_drains(start):
    """New sockets are 503, sockets that are open start no call, and the call ends when the drain does, with 1012."""
    gateway = start(drain="4s")

    async def main():
        async with calling(gateway.signaling()) as late, in_call(gateway.signaling()) as caller:
            await caller.hears(10)
            gateway.process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            await asyncio.to_thread(gateway.await_drain)
            assert (await asyncio.to_thread(upgrade, gateway.signaling()))[0] == 503
            assert (await asyncio.to_thread(http, "GET", f"{gateway.admin}/readyz"))[0] == 503
            assert (await asyncio.to_thread(http, "GET", f"{gateway.admin}/livez"))[0] == 200
            await late.send("offer", **await late.description())
            assert (await late.message("error"))["message"]
            assert gateway.look()["leases"] == 1
            heard = len(caller.frames)
            await caller.hears(heard + 100)
            await caller.offer()  # its own call may be renegotiated
            assert caller.close_code is None and gateway.process.poll() is None
            code, _ = await caller.closed(10)
            assert code == 1012
            assert 3 < time.monotonic() - began < 8
            await asyncio.to_thread(stops_within, gateway, 5)
            [ended] = [line for line in gateway.log.read_text().splitlines() if "call ended" in line]
            assert " reason=server_stopped " in ended and " address=127.0.0.1 " in ended, ended

    asyncio.run(main())


def test_the_drain_is_over_with_its_last_call(start):
    gateway = start(drain="60s")

    async def main():
        async with in_call(gateway.signaling()) as caller:
            await caller.hears(10)
            gateway.process.send_signal(signal.SIGTERM)
            await caller.hears(len(caller.frames) + 50)
            assert gateway.process.poll() is None
        await asyncio.to_thread(stops_within, gateway, 5)

    asyncio.run(main())


def test_a_second_sigterm_does_not_wait_for_calls(start):
    gateway = start(drain="60s")

    async def main():
        async with in_call(gateway.signaling()) as caller:
            await caller.hears(10)
            gateway.process.send_signal(signal.SIGTERM)
            await caller.hears(len(caller.frames) + 30)
            assert gateway.process.poll() is None
            gateway.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(stops_within, gateway, 2)

    asyncio.run(main())


def test_without_a_drain_calls_end_at_once(start):
    gateway = start(drain="0s")

    async def main():
        async with in_call(gateway.signaling()) as caller:
            await caller.hears(10)
            gateway.process.send_signal(signal.SIGTERM)
            code, _ = await caller.closed()
            assert code == 1012
            await asyncio.to_thread(stops_within, gateway, 5)

    asyncio.run(main())


# MARK: - Signs of life


@pytest.mark.long
def test_a_socket_is_pinged_and_one_that_does_not_answer_is_given_up(gateway):
    """A ping every 20 s; who has given no sign of life 20 s later loses the socket, and the call 10 s after it."""

    async def main():
        async with AsyncExitStack() as stack:
            alive = await stack.enter_async_context(in_call(gateway.signaling(), autoping=False))
            deaf = await stack.enter_async_context(in_call(gateway.signaling(), autoping=False))
            deaf.answers_pings = False
            began = time.monotonic()
            await alive.until(lambda: alive.pings, 25, "a ping")
            print(f"the first ping came after {alive.pings[0] - began:.1f} s")
            assert alive.pings[0] - began > 10
            await deaf.until(lambda: deaf.close_code is not None, 45, "the end of the deaf socket")
            assert time.monotonic() - began > 30
            await asyncio.to_thread(gateway.await_state, lambda now: len(now["calls"]) == 1, 13)
            await alive.hears(len(alive.frames) + 50)
            assert len(alive.pings) >= 2 and alive.close_code is None

    asyncio.run(main())
    gateway.await_idle()
