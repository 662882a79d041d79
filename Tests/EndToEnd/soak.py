#!/usr/bin/env python3
"""One long call for each dialect, to bots that echo, and what has drifted or grown at its end. `script/soak` runs this."""

import argparse
import asyncio
import base64
import json
import os
import statistics
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from aiohttp import WSMsgType, web

import speech
from gateway import Gateway, changed_config, patchbay, write_config

FRAME = 20.0  # milliseconds
EDGE = 15  # seconds at either end of a call that are compared; `patchbay call` takes as many for its latency
SETTLE = 5  # seconds at the beginning in which what was said before the bot was there arrives
DELAY = 2 * FRAME  # what the delay may change by from beginning to end
DRIFT = FRAME  # what the bots may have got too much or too little
RATE_ERROR = 0.001  # of the packets a second; in short runs, half a second's packets
GROWTH = 1 << 20  # of the resident memory


class Heard:
    """What a bot has heard of its call: how many samples, and how far they are ahead of the clock."""

    def __init__(self, rate: int):
        self.rate, self.samples, self.messages, self.began = rate, 0, 0, 0.0
        self.ahead: list[list[float]] = []  # milliseconds, of each message, by second

    def hear(self, samples: int):
        now = time.monotonic()
        if self.messages == 0:
            self.began = now
        second = int(now - self.began)
        while len(self.ahead) <= second:
            self.ahead.append([])
        self.ahead[second].append(self.samples / self.rate * 1000 - (now - self.began) * 1000)
        self.samples += samples
        self.messages += 1

    @property
    def drift(self) -> float:
        """By how many milliseconds of sound more came than time passed, from the beginning to the end."""
        # The last second is not whole.
        first, last = self.ahead[SETTLE : SETTLE + EDGE], self.ahead[-EDGE - 1 : -1]
        return statistics.mean(sum(last, [])) - statistics.mean(sum(first, []))


async def pcm(socket, heard: Heard):
    async for message in socket:
        if message.type == WSMsgType.BINARY:
            heard.hear(len(message.data) // 2)
            await socket.send_bytes(message.data)


async def twilio(socket, heard: Heard):
    async for message in socket:
        said = json.loads(message.data)
        if said["event"] == "media":
            payload = said["media"]["payload"]
            heard.hear(len(base64.b64decode(payload)))
            await socket.send_json({"event": "media", "streamSid": said["streamSid"], "media": {"payload": payload}})


async def realtime(socket, heard: Heard):
    """Every ten seconds another answer, as a service would have it."""
    await socket.send_json({"type": "session.created", "session": {}})
    async for message in socket:
        said = json.loads(message.data)
        if said["type"] != "input_audio_buffer.append":
            continue
        number = heard.messages // 500
        if heard.messages % 500 == 0:
            if number > 0:
                await socket.send_json({"type": "response.done", "response": {"id": f"r{number - 1}", "status": "completed"}})
            await socket.send_json({"type": "response.created", "response": {"id": f"r{number}"}})
        heard.hear(len(base64.b64decode(said["audio"])) // 2)
        where = {"response_id": f"r{number}", "item_id": f"i{number}", "output_index": 0, "content_index": 0}
        await socket.send_json({"type": "response.output_audio.delta", **where, "delta": said["audio"]})


async def pipecat(socket, heard: Heard):
    """Sends frames of sound back as they are: at the rate that the bot hears, which is not the one it mostly speaks with."""
    async for message in socket:
        if message.type == WSMsgType.BINARY and message.data[0] == 2 << 3 | 2:
            heard.hear(len(field(field(message.data, 2), 3)) // 2)
            await socket.send_bytes(message.data)


def field(message: bytes, wanted: int) -> bytes:
    """Of the protocol buffers' wire format: the bytes of a field before which there are none but such."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte, at = message[at], at + 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while True:
        number, length = varint() >> 3, varint()
        if number == wanted:
            return message[at : at + length]
        at += length


DIALECTS = {"pcm": (pcm, 16_000), "twilio": (twilio, 8000), "openai-realtime": (realtime, 24_000), "pipecat": (pipecat, 16_000)}


async def serve_bots(heard: dict[str, Heard]) -> tuple[web.AppRunner, int]:
    """A bot of each dialect, at a path of its name; and the port."""

    async def answer(request):
        socket = web.WebSocketResponse(protocols=["audio.jambonz.org"])
        await socket.prepare(request)
        name = request.match_info["dialect"]
        behaviour, rate = DIALECTS[name]
        heard[name] = Heard(rate)
        await behaviour(socket, heard[name])
        return socket

    app = web.Application()
    app.router.add_get("/{dialect}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, runner.addresses[0][1]


def start_gateway(directory: Path, port: int, minutes: float) -> Gateway:
    workflows = {name: 10 + number for number, name in enumerate(DIALECTS)}
    url = f"ws://127.0.0.1:{port}"
    lines = [f"  {name}: {{{{ type: websocket, dialect: {name}, url: '{url}/{name}' }}}}" for name in workflows]
    routes = "".join(f', "{workflow}": {name}' for name, workflow in workflows.items())
    template = changed_config(
        ("echo: {{ type: echo }}", "\n".join(["echo: {{ type: echo }}", *lines])),
        ("player: {{ type: player, path: {player} }}", ""), ('"3": player', routes.removeprefix(", ")),
        ("      - {{ token: emb_player, workflow: 3 }}\n", ""), ("call: 30m", f"call: {minutes + 5:.0f}m"),
    )
    return Gateway(write_config(directory, template))


async def call(gateway: Gateway, workflow: int, seconds: float, said: Path) -> dict:
    """One call of `patchbay call`, and how it went."""
    words = ["call", gateway.signaling(workflow), "--in", said, "--seconds", seconds, "--json"]
    run = await asyncio.to_thread(patchbay, *words, timeout=seconds + 60)
    return json.loads(run.stdout)["calls"][0]


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def watch(gateway: Gateway, minutes: float) -> list[dict]:
    """A look at the gateway sixty times in all, so that there are six in a tenth of the time."""
    found, began = [], time.monotonic()
    for number in range(1, 61):
        await asyncio.sleep(max(0.0, began + number * minutes - time.monotonic()))
        now = await asyncio.to_thread(gateway.look)
        look = {
            "seconds": round(time.monotonic() - began, 1), "resident": gateway.resident(), "descriptors": gateway.descriptors(),
            "processor": processor_seconds(gateway.pid),
            "queued_ms": max((each["media"]["playout_depth_ms"] for each in now["calls"] if each.get("media")), default=0),
        }
        found.append(look)
        if number % 6 == 0:
            print(
                f"{look['seconds'] / 60:.1f} min: {look['resident'] / 1024:.0f} KiB, {look['descriptors']} descriptors,"
                f" at most {look['queued_ms']:.0f} ms queued", file=sys.stderr, flush=True)
    return found


def row(cells) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def report(minutes: float, calls: dict[str, dict], heard: dict[str, Heard], looks: list[dict]) -> tuple[list[str], list[str]]:
    """The table, and what does not hold."""
    heads = ["", "packets received", "of", "lost", "delay at first, ms", "at the end", "samples the bot got", "too many, ms"]
    lines = [f"{date.today().isoformat()}, {minutes:g} minutes", "", row(heads), "|---" * len(heads) + "|"]
    faults = []

    def hold(what: str, good: bool):
        if not good:
            faults.append(what)

    for name, each in calls.items():
        hold(f"{name}: {each['error'] or each['end']}", each["connected"] and each["end"] == "hung up")
        if not each["connected"]:
            continue
        due, lost = each["seconds"] * 50, each["packets_lost"] + each["remote_lost"]
        bot = heard[name]
        lines.append(row([
            name, each["packets_received"], f"{due:.0f}", lost, each["latency_ms"], each["latency_end_ms"], bot.samples,
            f"{bot.drift:+.1f}",
        ]))
        hold(f"{name}: packets a second", abs(each["packets_received"] - due) <= max(due * RATE_ERROR, 25))
        hold(f"{name}: lost packets", lost == 0)
        hold(
            f"{name}: the delay has changed, or is not known",
            None not in (each["latency_ms"], each["latency_end_ms"]) and abs(each["latency_end_ms"] - each["latency_ms"]) <= DELAY)
        hold(f"{name}: what the bot got", abs(bot.drift) <= DRIFT)

    # The first tenth is for what is loaded late.
    early, late = looks[6:12], looks[-6:]

    def middle(looks: list[dict], name: str) -> float:
        return statistics.median(each[name] for each in looks)

    def cost(looks: list[dict]) -> float:
        return (looks[-1]["processor"] - looks[0]["processor"]) / (looks[-1]["seconds"] - looks[0]["seconds"]) * 100

    growth = middle(late, "resident") - middle(early, "resident")
    lines += [
        "",
        f"Of the gateway, in the second tenth of the time and in the last: {middle(early, 'resident') / 1024:.0f} and"
        f" {middle(late, 'resident') / 1024:.0f} KiB resident, {middle(early, 'descriptors'):.0f} and"
        f" {middle(late, 'descriptors'):.0f} descriptors, {cost(early):.1f} and {cost(late):.1f} % of a core, at most"
        f" {max(each['queued_ms'] for each in early):.0f} and {max(each['queued_ms'] for each in late):.0f} ms queued for a caller.",
    ]
    hold("memory", growth <= GROWTH)
    hold("descriptors", middle(late, "descriptors") <= middle(early, "descriptors"))
    return lines, faults


async def soak(minutes: float) -> int:
    heard: dict[str, Heard] = {}
    runner, port = await serve_bots(heard)
    with tempfile.TemporaryDirectory() as directory:
        said = speech.read(speech.make(Path(directory))["harbour"])
        noisy = speech.write(Path(directory) / "noisy.wav", said + speech.noise(len(said) / speech.RATE))
        gateway = await asyncio.to_thread(start_gateway, Path(directory), port, minutes)
        try:
            # A little longer than the looks, so that the last of these has all calls.
            placed = [call(gateway, 10 + number, minutes * 60 + 5, noisy) for number in range(len(DIALECTS))]
            *ended, looks = await asyncio.gather(*placed, watch(gateway, minutes))
            await asyncio.to_thread(gateway.await_idle)
        finally:
            await asyncio.to_thread(gateway.stop)
    await runner.cleanup()
    lines, faults = report(minutes, dict(zip(DIALECTS, ended)), heard, looks)
    print("\n".join([*lines, "", *(f"Does not hold: {each}" for each in faults or ["nothing; all is well"])]))
    return 1 if faults else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/soak")
    parser.add_argument("--minutes", type=float, default=30, help="how long; 30 where nothing is said, 1 at least")
    arguments = parser.parse_args()
    if arguments.minutes < 1:
        parser.error("less than a minute shows nothing")
    return asyncio.run(soak(arguments.minutes))


if __name__ == "__main__":
    sys.exit(main())
