"""A network that loses every twentieth packet, both ways: a relay between `patchbay call` and the echo."""

import asyncio
import json
import random
import re
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

import speech
from gateway import patchbay

LOSS, SECONDS = 0.05, 30
CANDIDATE = re.compile(r"(candidate:\S+ \d+ udp \d+ )(\S+) (\d+)", re.IGNORECASE)


class Way(asyncio.DatagramProtocol):
    """One way through the relay: what comes in here goes out of the other one's port."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.lost = self.passed = 0
        self.port = self.transport = self.other = self.target = None

    def connection_made(self, transport):
        self.transport, self.port = transport, transport.get_extra_info("sockname")[1]

    def datagram_received(self, data, _):
        is_media = data[0] & 0xC0 == 0x80  # RTP and RTCP (RFC 7983): a lost handshake would only take longer
        if is_media and self.random.random() < LOSS:
            self.lost += 1
        elif self.target:
            self.passed += is_media
            self.other.transport.sendto(data, self.target)


class Relay:
    """A signaling server and a pair of UDP ports, which both sides take for each other's."""

    def __init__(self, gateway):
        self.gateway = gateway.url
        self.ways = self.up, self.down = Way(1), Way(2)
        self.up.other, self.down.other = self.down, self.up

    def rewrite(self, text: str, comes_by: Way, goes_by: Way) -> str:
        """A side's candidates become the relay's; the one on loopback is where the relay sends what comes for them."""

        def replace(match):
            if match[2] == "127.0.0.1":
                goes_by.target = match[2], int(match[3])
            return f"{match[1]}127.0.0.1 {comes_by.port}"

        return CANDIDATE.sub(replace, text)

    async def signaling(self, request):
        client = web.WebSocketResponse()
        await client.prepare(request)
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{self.gateway}{request.path_qs}") as server:

            async def copy(source, destination, comes_by, goes_by):
                async for message in source:
                    await destination.send_str(self.rewrite(message.data, comes_by, goes_by))
                await destination.close()

            # The gateway is to send to the port where what is for the caller comes in.
            await asyncio.gather(copy(client, server, self.down, self.down), copy(server, client, self.up, self.up))
        return client


@asynccontextmanager
async def relay(gateway):
    """Yields a relay and the address of its signaling server."""
    relay, loop = Relay(gateway), asyncio.get_running_loop()
    for way in relay.ways:
        await loop.create_datagram_endpoint(lambda way=way: way, local_addr=("127.0.0.1", 0))
    app = web.Application()
    app.router.add_get("/{path:.*}", relay.signaling)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield relay, f"ws://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
        for way in relay.ways:
            way.transport.close()


@pytest.mark.alone
@pytest.mark.long
def test_one_packet_in_twenty_is_lost_and_the_words_are_not(gateway, sentences, noisy, tmp_path):
    heard = tmp_path / "heard.wav"

    async def main():
        seen = []
        async with relay(gateway) as (path, url):
            words = [gateway.signaling().replace(gateway.url.replace("http", "ws", 1), url), "--in", noisy["harbour"]]
            words += ["--out", heard, "--seconds", SECONDS, "--json"]
            report = asyncio.ensure_future(asyncio.to_thread(patchbay, "call", *words))
            while not report.done():
                seen += [each["media"] for each in (await asyncio.to_thread(gateway.look))["calls"] if "media" in each]
                await asyncio.wait([report], timeout=1)
            return json.loads((await report).stdout)["calls"][0], seen, [(way.passed, way.lost) for way in path.ways]

    report, seen, relayed = asyncio.run(main())
    gateway.await_idle()
    last = seen[-1]
    print(report, last, relayed, [each["sends_fec"] for each in seen])
    assert all(lost > SECONDS for _, lost in relayed), "the relay was passed by"
    for loss in last["loss"], last["remote_packets_lost"] / last["packets_sent"]:
        assert LOSS / 2 < loss < LOSS * 2
    assert last["frames_recovered"] > 0 and last["frames_concealed"] > 0
    assert last["frames_recovered"] + last["frames_concealed"] < 2 * last["packets_lost"]
    assert any(each["sends_fec"] for each in seen), "the encoder was never told"
    assert 2 < last["mos_received"] < 4.3 and 2 < last["mos_sent"] < 4.3
    assert report["packets_lost"] > 0 and report["remote_lost"] > 0
    second_time = speech.read(heard)[12 * speech.RATE : 20 * speech.RATE]
    speech.assert_heard("harbour", sentences, second_time)
