"""However a call ends, its seat is free again."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from peer import calling, in_call

PEER = Path(__file__).parent / "peer.py"


def place_in_another_process(gateway):
    process = subprocess.Popen([sys.executable, PEER, gateway.signaling(run=31)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "connected\n"
    assert gateway.look()["leases"] == 1
    return process


def test_a_peer_that_is_killed(start):
    """Its socket is lost, and nobody comes back."""
    gateway = start(grace="1s")
    process = place_in_another_process(gateway)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    gateway.await_idle(5)


def test_a_socket_that_closes(gateway):
    """Media dies with signaling."""

    async def main():
        async with in_call(gateway.signaling(run=32)) as caller:
            await caller.hears(5)
            await caller.socket.close()
            await asyncio.to_thread(gateway.await_idle)

    asyncio.run(main())


def test_a_socket_that_closes_before_media(gateway):
    async def main():
        async with calling(gateway.signaling(run=33)) as caller:
            await caller.offer()
            assert gateway.look()["leases"] == 1

    asyncio.run(main())
    gateway.await_idle()


def test_a_peer_that_never_sends_media(start):
    """An answer was given, and no packet follows: the call ends when `limits.connect` has passed."""
    gateway = start(connect="2s")

    async def main():
        async with calling(gateway.signaling(run=35)) as caller:
            await caller.pc.setLocalDescription(await caller.pc.createOffer())
            await caller.send("offer", pc_id=caller.pc_id, sdp=caller.pc.localDescription.sdp, type="offer")
            await caller.message("answer")
            began = time.monotonic()
            await caller.message("call-ended", timeout=8)
            assert 1 < time.monotonic() - began < 6
            await caller.until(lambda: caller.close_code == 1000, 3, "close 1000")
            await asyncio.to_thread(gateway.await_idle)

    asyncio.run(main())


@pytest.mark.long
def test_a_network_that_dies(gateway):
    """The socket stays, and no datagram comes any more: consent runs out within its 30 s (RFC 7675 §5.1)."""

    async def main():
        async with in_call(gateway.signaling(run=36)) as caller:
            await caller.hears(5)
            caller.cut_media()
            began = time.monotonic()
            await caller.message("call-ended", timeout=45)
            assert time.monotonic() - began < 40
            await asyncio.to_thread(gateway.await_idle)

    asyncio.run(main())


def test_the_limit_is_told_and_the_next_caller_gets_a_seat_that_was_left(start):
    gateway = start(seats=1)
    refusal = {"error_type": "concurrency_limit_exceeded", "message": "Concurrent call limit reached"}

    async def main():
        async with calling(gateway.signaling(run=38)) as second:
            async with in_call(gateway.signaling(run=37)) as first:
                await second.send("offer", **await offer(second))
                assert await second.message("error") == refusal
                await first.hears(len(first.frames) + 20)
                assert (await asyncio.to_thread(gateway.look))["leases"] == 1
            await asyncio.to_thread(gateway.await_state, lambda now: now["leases"] == 0)
            await second.send("offer", **await offer(second))
            await second.message("answer")

    async def offer(caller):
        await caller.pc.setLocalDescription(await caller.pc.createOffer())
        return {"pc_id": caller.pc_id, "sdp": caller.pc.localDescription.sdp, "type": "offer"}

    asyncio.run(main())
    gateway.await_idle()


def test_sigterm_ends_calls_that_go_on(start):
    """The gateway ends in good order with a call up; the fixture asserts its exit code."""
    gateway = start()

    async def main():
        async with in_call(gateway.signaling(run=39)) as caller:
            await caller.hears(5)
            code = await asyncio.to_thread(gateway.stop)
            await caller.until(lambda: caller.close_code is not None, 5, "the close")
            assert code == 0 and caller.close_code in (1000, 1001, 1012)

    asyncio.run(main())
