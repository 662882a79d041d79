"""Quotas as a caller meets them."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

from gateway import Gateway, changed_config, write_config
from peer import calling

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
