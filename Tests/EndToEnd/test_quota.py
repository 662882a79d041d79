"""Quotas as a caller meets them: seats of a gateway that is killed, and call minutes."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

from gateway import Gateway, changed_config, jwt, write_config
from peer import calling, in_call

PEER = Path(__file__).parent / "peer.py"
NO_ROOM = {"error_type": "concurrency_limit_exceeded", "message": "Concurrent call limit reached"}


async def reply(caller) -> tuple[str, dict]:
    """Offers, and what is said to that: `answer` or `error`, and its payload."""
    after = len(caller.messages)
    await caller.send("offer", **await caller.description())
    await caller.until(lambda: len(caller.messages) > after, what="a reply to the offer")
    return caller.messages[after]["type"], caller.messages[after]["payload"]


def test_a_gateway_that_is_killed_gives_its_seats_back(start, sentences, tmp_path):
    """To a gateway that shares the store, when the time to live is over: 3 s here, 30 unless it is written."""
    template = changed_config(
        ("path: {directory}/patchbay.db", f"path: {tmp_path}/shared.db"),
        ("limit: {seats} }}", "limit: {seats}, store: local, time_to_live: 3s }}"),
    )
    living = start(template=template, seats=1)
    (tmp_path / "doomed").mkdir()
    doomed = Gateway(write_config(tmp_path / "doomed", template, player=sentences["winter"], seats=1))
    process = subprocess.Popen([sys.executable, PEER, doomed.signaling(run=41)], stdout=subprocess.PIPE, text=True)

    async def main():
        async with calling(living.signaling(run=42)) as second:
            await asyncio.sleep(5)  # longer than the time to live: the first call's seat is renewed
            assert await reply(second) == ("error", NO_ROOM)
            doomed.process.kill()
            doomed.process.wait()
            killed = time.monotonic()
            assert await reply(second) == ("error", NO_ROOM)
            while (said := await reply(second))[0] == "error":
                assert said[1] == NO_ROOM and time.monotonic() - killed < 6
                await asyncio.sleep(0.3)
            assert said[0] == "answer" and time.monotonic() - killed < 6

    try:
        assert process.stdout.readline() == "connected\n"
        asyncio.run(main())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        if doomed.process.poll() is None:
            doomed.process.kill()
            doomed.process.wait()
        doomed.process.stdout.close()


def with_minutes(settings: str) -> str:
    return changed_config(
        ("pipelines:\n  parrot", f"  minutes: {{{{ type: call_minutes, store: local, {settings} }}}}\npipelines:\n  parrot"),
        ("quotas: [seats]", "quotas: [minutes, seats]"),
    )


def test_a_call_ends_when_the_minutes_do_and_the_next_is_told_when_there_are_more(start):
    gateway = start(template=with_minutes("limit: 4s, per: user, period: month, reserve: 3s"))

    async def main():
        began = time.monotonic()
        async with in_call(gateway.signaling(run=51)) as caller:
            ended = await caller.message("call-ended", timeout=12)
            assert ended["reason"] in ("time_limit", "call_minutes_exceeded")
            assert 3.5 < time.monotonic() - began < 10
            assert await caller.closed() == (1000, "call ended")
        await asyncio.to_thread(gateway.await_idle)
        async with calling(gateway.signaling(run=52)) as caller:
            kind, payload = await reply(caller)
            assert (kind, payload["error_type"]) == ("error", "call_minutes_exceeded")
            assert payload["message"].startswith("No call minutes are left. There are new ones from 20")
        async with in_call(gateway.signaling(run=53, token=jwt(user="8"))) as other:
            await other.hears(5)

    asyncio.run(main())
    gateway.await_idle()


def test_two_calls_at_once_use_the_same_minutes(start):
    """Each could have had them all: a renewal ends both when they have had them together."""
    gateway = start(template=with_minutes("limit: 8s, per: user, reserve: 3s"))

    async def main():
        async with in_call(gateway.signaling(run=54)) as first, in_call(gateway.signaling(run=55)) as second:
            for caller in first, second:
                ended = await caller.message("call-ended", timeout=12)
                assert ended["reason"] in ("call_minutes_exceeded", "time_limit")
                if caller is first:
                    assert ended["reason"] == "call_minutes_exceeded"
                    assert ended["detail"].startswith("No call minutes are left.")

    began = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - began < 10
    gateway.await_idle()
