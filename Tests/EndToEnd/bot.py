"""A bot that speaks raw PCM, good or bad, as a process of its own: `python bot.py BEHAVIOUR`. Prints its port."""

import asyncio
import contextlib
import json
import math
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

from aiohttp import WSMsgType, web

RATE = 16_000


async def echo(socket, start):
    """Sends every message of sound straight back."""
    async for message in socket:
        if message.type == WSMsgType.BINARY:
            await socket.send_bytes(message.data)


async def deaf(socket, start):
    """Never reads."""
    await asyncio.sleep(3600)


async def flood(socket, start):
    """Sends ten seconds of sound a second, for a minute."""
    async def read():
        async for _ in socket:
            pass

    reading = asyncio.create_task(read())
    frame = tone(0.02)
    with contextlib.suppress(ConnectionResetError):
        for _ in range(60 * 50):
            for _ in range(10):
                await socket.send_bytes(frame)
            await asyncio.sleep(0.02)
    await reading


async def garbage(socket, start):
    """Says what is no message after a second of sound."""
    await socket.send_bytes(tone(1.0))
    await asyncio.sleep(1)
    await socket.send_str("{this is no message")
    await asyncio.sleep(3600)


async def goodbye(socket, start):
    """Says something, and closes."""
    await socket.send_bytes(tone(1.0))
    await socket.close()


async def crash(socket, start):
    """Ends without a close frame after a second of sound."""
    await socket.send_bytes(tone(1.0))
    await asyncio.sleep(1)
    os.kill(os.getpid(), signal.SIGKILL)


async def once(socket, start):
    """Drops the first connection before it has said a word; the next is an echo."""
    if not hasattr(once, "called"):
        once.called = True
        socket._req.transport.abort()
        return
    await echo(socket, start)


async def barge(socket, start):
    """Speaks for 20 s at once; when the caller's client says something, drops what is left, and is told of its mark."""
    await socket.send_bytes(tone(20.0))
    await socket.send_json({"type": "mark", "data": {"name": "end"}})
    async for message in socket:
        if message.type != WSMsgType.TEXT:
            continue
        said = json.loads(message.data)
        print(json.dumps(said), flush=True)
        if said.get("event") == "message":
            await socket.send_json({"type": "killAudio"})


def tone(seconds: float, frequency=440) -> bytes:
    count = int(RATE * seconds)
    return struct.pack(f"<{count}h", *(int(8000 * math.sin(2 * math.pi * frequency * n / RATE)) for n in range(count)))


async def serve(behaviour):
    async def answer(request):
        socket = web.WebSocketResponse(protocols=["audio.jambonz.org"], autoping=behaviour is not deaf)
        await socket.prepare(request)
        start = None
        if behaviour is not deaf:
            start = await socket.receive_json()
            print(json.dumps(start), flush=True)
        await behaviour(socket, start)
        return socket

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", int(os.environ.get("PORT", 0)))
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.sleep(3600)


class Bot:
    """Such a process, for a test."""

    def __init__(self, behaviour: str):
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__), behaviour], stdout=subprocess.PIPE, text=True, process_group=0
        )
        self.port = int(self.process.stdout.readline())
        self.url = f"ws://127.0.0.1:{self.port}/call"

    def signal(self, number):
        self.process.send_signal(number)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


if __name__ == "__main__":
    asyncio.run(serve(globals()[sys.argv[1]]))
