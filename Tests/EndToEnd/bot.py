"""A bot, good or bad, as a process of its own: `python bot.py BEHAVIOUR`. Prints its port, and what it is told.

Most speak raw PCM; those that speak another dialect say so.
"""

import array
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


async def called(socket, start):
    """Prints how it was called: the address and the header fields."""
    request = socket._req
    headers = {name.lower(): value for name, value in request.headers.items()}
    print(json.dumps({"path": request.raw_path, "headers": headers}), flush=True)
    await echo(socket, start)


async def deaf(socket, start):
    """Never reads."""
    await asyncio.sleep(3600)


@contextlib.asynccontextmanager
async def reading(socket):
    """Reads beside what is done inside; as long as the socket is open, and so long as that may fail."""

    async def read():
        async for _ in socket:
            pass

    task = asyncio.create_task(read())
    with contextlib.suppress(ConnectionError):
        yield
    await task


async def flood(socket, start):
    """Sends ten seconds of sound a second, for ever."""
    frame = tone(0.02)
    async with reading(socket):
        while True:
            for _ in range(10):
                await socket.send_bytes(frame)
            await asyncio.sleep(0.02)


async def torrent(socket, start):
    """Sends sound as fast as it is taken, for ever."""
    frame = tone(0.02)
    async with reading(socket):
        while True:
            await socket.send_bytes(frame)
            await asyncio.sleep(0)  # for the one that reads


async def grains(socket, start):
    """The same, in messages of one sample."""
    sound = tone(1.0)
    await pour(socket, b"".join(b"\x82\x02" + sound[at : at + 2] for at in range(0, len(sound), 2)))


async def chaff(socket, start):
    """Sends as fast as it is taken what is allowed and no sound: empty messages, pings, fragments, JSON of no meaning."""
    fragments = b"\x02\x00" + b"\x00\x00" * 500 + b"\x80\x00"
    await pour(socket, (b"\x82\x00" * 500 + b"\x89\x00" * 500 + fragments + b'\x81\x0c{"type":"x"}' * 500) * 10)


async def pour(socket, frames):
    """Sends frames as they are, over and over; thousands at a time, so that Python is not what holds them up."""
    writer = socket._writer
    async with reading(socket):
        while not writer.transport.is_closing():
            writer.transport.write(frames)
            if writer.protocol._paused:
                await writer.protocol._drain_helper()
            await asyncio.sleep(0)


async def garbage(socket, start):
    """Says what is no message after a second of sound."""
    await socket.send_bytes(tone(1.0))
    await asyncio.sleep(1)
    await socket.send_str("{this is no message")
    while (message := await socket.receive()).type not in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED):
        pass
    print(f"closed with {message.data}: {message.extra}", flush=True)


async def goodbye(socket, start):
    """Says something, and closes."""
    await socket.send_bytes(tone(1.0))
    await socket.close()


async def telltale(socket, start):
    """Closes, and says for a reason what it was let in with."""
    await socket.close(code=4000, message=f"Nobody knows {socket._req.headers['Authorization']}".encode())


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


MARKUP = "<img src=x onerror=alert(1)>"
TOLD = [
    {"name": "user-text", "text": "I would", "final": False},
    {"name": "user-text", "text": f"I would like {MARKUP}"},
    {"name": "tool-started", "tool": "book", "id": "1", "arguments": {"table": MARKUP}},
    {"name": "tool-started", "tool": "call", "id": "2"},
    {"name": "tool-started", "tool": "book", "id": "1", "arguments": {"table": MARKUP}},
    {"name": "tool-ended", "tool": "book", "id": "1", "result": MARKUP},
    {"name": "bot-text", "text": "Right."},
    {"name": "bot-text", "text": f"{MARKUP} Anything else?"},
    {"name": "error", "text": MARKUP},
    {"name": "user-text", "text": "No", "final": False},
]
SAID = [{"basket": {"wine": MARKUP}}, {"label": "rtvi-ai", "type": "server-message", "data": MARKUP}]


async def tell(socket, start):
    """When the caller speaks, tells whatever such a bot can tell, markup in most of it, and speaks for a second. After that it
    says to the caller's client what that says."""
    loud = 0
    async for message in socket:
        if message.type == WSMsgType.TEXT:
            said = json.loads(message.data)
            if said.get("event") == "message":
                await socket.send_json({"type": "message", "data": {"heard": said["data"]}})
        elif loud < 15:
            samples = array.array("h", message.data)
            loud += sum(map(abs, samples)) > 500 * len(samples)
            if loud == 15:
                for event in TOLD:
                    await socket.send_json({"type": "event", "data": event})
                for each in SAID:
                    await socket.send_json({"type": "message", "data": each})
                await socket.send_bytes(tone(1.0))


async def chatter(socket, start):
    """After 2 s tells of 2000 utterances at once, and a second later of one more. It reads, so that pings are answered."""

    async def tell():
        await asyncio.sleep(2)
        for number in range(2000):
            await socket.send_json({"type": "event", "data": {"name": "user-text", "text": f"Word {number}"}})
        await asyncio.sleep(1)
        await socket.send_json({"type": "event", "data": {"name": "user-text", "text": "The last word"}})

    telling = asyncio.create_task(tell())
    async for _ in socket:
        pass
    telling.cancel()


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


async def pipecat(socket, start):
    """Pipecat: says what a bot of its kind says in RTVI, then nothing."""
    for type, data in (
        ("bot-ready", {"version": "2.0.0"}),
        ("user-started-speaking", None),
        ("user-transcription", {"text": "Hell", "final": False}),
        ("user-transcription", {"text": "Hello", "final": True}),
        ("user-mute-started", None),
        ("metrics", {"ttfb": [{"processor": "LLM", "value": 0.25, "model": "tiny"}]}),
        ("llm-function-call-in-progress", {"function_name": "look", "tool_call_id": "1", "arguments": {"day": 1}}),
        ("llm-function-call-stopped", {"function_name": "look", "tool_call_id": "1", "cancelled": False, "result": 7}),
        ("bot-llm-text", {"text": "One"}),
        ("bot-tts-text", {"text": "One"}),
        ("bot-audio-level", {"value": 0.5}),
        ("bot-tts-text", {"text": "moment."}),
        ("bot-interrupted", None),
        ("error", {"error": "no table is free", "fatal": False}),
        ("server-message", {"basket": 1}),
    ):
        message = {"label": "rtvi-ai", "type": type} | ({} if data is None else {"data": data})
        await socket.send_bytes(field(4, field(1, json.dumps(message).encode())))
    async for _ in socket:
        pass


def field(number: int, content: bytes) -> bytes:
    """A field of bytes in protocol buffers."""
    length = len(content)
    varint = bytearray()
    while length > 127:
        varint.append(length & 127 | 128)
        length >>= 7
    return bytes([number << 3 | 2, *varint, length]) + content


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
        if behaviour not in (deaf, pipecat):
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
    site = web.TCPSite(runner, "127.0.0.1", int(os.environ.get("PORT", 0)), ssl_context=secure)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.sleep(3600)


class Bot:
    """Such a process, for a test."""

    def __init__(self, behaviour: str, certificate=None, port=0, politeness=0):
        """At a port of its own choice unless one is named; with politeness other processes come first."""
        environment = {**os.environ, "PORT": str(port), **({"CERTIFICATE": str(certificate)} if certificate else {})}
        self.process = subprocess.Popen(
            ["nice", "-n", str(politeness), sys.executable, Path(__file__), behaviour],
            stdout=subprocess.PIPE, text=True, process_group=0, env=environment,
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
