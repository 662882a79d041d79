"""A bot, good or bad, as a process of its own: `python bot.py BEHAVIOUR`. Prints its port, and what it is told.

Most speak raw PCM; those that speak another dialect say so.
"""

import asyncio
import base64
import contextlib
import json
import math
import os
import signal
import ssl
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


async def twilio(socket, start):
    """Twilio Media Streams: speaks for 3 s in three parts with a mark behind each, drops what is left when a key is pressed
    or the caller speaks up, and hangs up by REST when a mark 'bye' is over."""
    message = await socket.receive_json()
    print(json.dumps(message), flush=True)
    stream = message["streamSid"]
    for part in range(3):
        await socket.send_json({"event": "media", "streamSid": stream, "media": {"payload": mu_law(tone(1.0, rate=8000))}})
        await socket.send_json({"event": "mark", "streamSid": stream, "mark": {"name": f"part {part}"}})
    async for message in socket:
        said = json.loads(message.data)
        if said["event"] == "media":
            continue
        print(json.dumps(said), flush=True)
        if said["event"] == "mark" and said["mark"]["name"] == "part 0":
            await socket.send_json({"event": "clear", "streamSid": stream})


async def realtime(socket, start):
    """OpenAI Realtime: 4 s of sound in two items, all at once; then says that the caller has begun to speak."""
    await socket.send_json({"type": "session.created", "session": {}})
    await socket.send_json({"type": "session.updated", "session": start["session"]})
    await socket.send_json({"type": "response.created", "response": {"id": "r1"}})
    sound = sweep(4.0)
    for item, begin in ("i1", 0), ("i2", len(sound) // 2):
        for at in range(begin, begin + len(sound) // 2, 9600):
            delta = base64.b64encode(sound[at : at + 9600]).decode()
            where = {"response_id": "r1", "item_id": item, "output_index": 0, "content_index": 0}
            await socket.send_json({"type": "response.output_audio.delta", **where, "delta": delta})
        await socket.send_json({"type": "response.output_audio_transcript.done", "item_id": item, "transcript": f"I am {item}."})
    heard = 0
    async for message in socket:
        said = json.loads(message.data)
        if said["type"] == "input_audio_buffer.append":
            heard += len(base64.b64decode(said["audio"]))
            if heard == 48 * 20 * 140:  # 2.8 s
                await socket.send_json({"type": "input_audio_buffer.speech_started", "audio_start_ms": 2800, "item_id": "u1"})
        else:
            print(json.dumps(said), flush=True)


def mu_law(samples: bytes) -> str:
    """Base64 of G.711, after ITU-T G.191."""
    coded = bytearray()
    for (sample,) in struct.iter_unpack("<h", samples):
        magnitude = min(abs(sample) + 132, 32_767)
        exponent = magnitude.bit_length() - 8
        coded.append(~((0x80 if sample < 0 else 0) | exponent << 4 | (magnitude >> (exponent + 3)) & 15) & 0xFF)
    return base64.b64encode(coded).decode()


def tone(seconds: float, frequency=440, rate=RATE) -> bytes:
    count = int(rate * seconds)
    return struct.pack(f"<{count}h", *(int(8000 * math.sin(2 * math.pi * frequency * n / rate)) for n in range(count)))


SWEEP_FROM, SWEEP_BY = 400, 500  # Hz, and Hz a second


def sweep(seconds: float, rate=24_000) -> bytes:
    """A tone whose frequency tells how far one is in it."""
    count = int(rate * seconds)
    phases = (2 * math.pi * (SWEEP_FROM * t + SWEEP_BY * t * t / 2) for t in (n / rate for n in range(count)))
    return struct.pack(f"<{count}h", *(int(8000 * math.sin(phase)) for phase in phases))


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
    secure = None
    if "CERTIFICATE" in os.environ:
        secure = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        secure.load_cert_chain(os.environ["CERTIFICATE"])
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=secure)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.sleep(3600)


class Bot:
    """Such a process, for a test."""

    def __init__(self, behaviour: str, certificate=None):
        environment = {**os.environ, **({"CERTIFICATE": str(certificate)} if certificate else {})}
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__), behaviour], stdout=subprocess.PIPE, text=True, process_group=0, env=environment
        )
        self.port = int(self.process.stdout.readline())
        self.url = f"ws{'s' if certificate else ''}://127.0.0.1:{self.port}/call"

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
