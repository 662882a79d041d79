"""Whatever a stranger sends, the stranger hears a clear answer, and a call that goes on beside it hears nothing of it."""

import asyncio
import json
import os
import random
import re
import socket
import struct
import time
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

import speech
from gateway import begin, finish, http, jwt
from peer import calling, in_call

pytestmark = pytest.mark.alone
OFFERS = Path(__file__).parents[1] / "Vectors/offers"
GOOD = (OFFERS / "chromium-156-audio-gathered.sdp").read_text().replace("\r\n", "\n").replace("\n", "\r\n")


@pytest.fixture
def good_call(request, gateway, sentences, tmp_path):
    """A call through the echo, in a process of its own: it must outlast the test and come out unharmed, each packet, each word.

    It takes 8 s, or as many as the test says."""
    heard = tmp_path / "heard.wav"
    words = ["--in", sentences["harbour"], "--out", heard, "--seconds", getattr(request, "param", 8), "--json"]
    process = begin("call", gateway.signaling(), *words)
    try:
        gateway.await_state(lambda now: [each["state"] for each in now["calls"]] == ["connected"], timeout=5)
        yield
        assert process.poll() is None, "the good call was over before the bad ones"
        report = json.loads(finish(process, "call", timeout=20).stdout)
    finally:
        process.kill()
        process.wait()
    print(json.dumps(report["calls"][0]))
    assert process.returncode == 0
    assert report["summary"]["packets_lost"] == report["summary"]["remote_lost"] == 0
    assert report["summary"]["gap_p99_ms"] < 40
    speech.assert_heard("harbour", sentences, speech.read(heard))
    gateway.await_idle()


async def handshake(url: str, headers=None) -> tuple[int, bytes]:
    """Status and body of an attempt to open a socket."""
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    async with aiohttp.ClientSession() as session:
        request = session.get(url.replace("ws", "http", 1), headers={**upgrade, **(headers or {})})
        async with request as response:
            return response.status, b"" if response.status == 101 else await response.read()


async def final_word(caller, timeout=6.0) -> tuple[list[str], int | None]:
    """The error messages that came, and the close code, if the socket closed."""
    try:
        await caller.until(
            lambda: caller.close_code is not None or any(each["type"] == "error" for each in caller.messages), timeout
        )
        await asyncio.sleep(0.2)
    except AssertionError:
        pass
    errors = [each["payload"]["message"] for each in caller.messages if each["type"] == "error"]
    return errors, caller.close_code


SIGNED_IN = {
    "no token": ("/api/v1/ws/signaling/2/1", 403),
    "an empty token": ("/api/v1/ws/signaling/2/1?token=", 403),
    "a token of nonsense": ("/api/v1/ws/signaling/2/1?token=abc.def.ghi", 403),
    "an expired token": (f"/api/v1/ws/signaling/2/1?token={jwt(lifetime=-3600)}", 403),
    "a token of another key": (f"/api/v1/ws/signaling/2/1?token={jwt(secret='another key altogether, of no use')}", 403),
    "a token of no algorithm": (f"/api/v1/ws/signaling/2/1?token={jwt(algorithm='none')}", 403),
    "a token cut short": (f"/api/v1/ws/signaling/2/1?token={jwt()[:-9]}", 403),
    "a workflow that is no number": (f"/api/v1/ws/signaling/x/1?token={jwt()}", 403),
    "a run that is no number": (f"/api/v1/ws/signaling/2/x?token={jwt()}", 403),
    "an unknown session": ("/api/v1/ws/public/signaling/emb_session_nobody-knows-this-one", 403),
}


@pytest.mark.parametrize("case", SIGNED_IN)
def test_a_refused_socket_gets_its_status_and_leaves_nothing(gateway, case):
    path, status = SIGNED_IN[case]
    answered, body = asyncio.run(handshake(gateway.url.replace("http", "ws", 1) + path))
    assert answered == status, body
    if status == 403:
        assert body == b""
    gateway.await_idle()


def test_an_embed_page_of_another_domain_is_refused(gateway):
    init = f"{gateway.url}/api/v1/public/embed/init"
    wrong, right = "https://evil.example", "http://localhost:3000"
    status, headers, body = http("POST", init, {"token": "emb_demo"}, {"Origin": wrong})
    assert status == 403 and json.loads(body) == {"detail": f"Domain not allowed: {wrong}"}
    assert headers.get("access-control-allow-origin") == wrong, "the page cannot read why it was refused"

    url = gateway.embed_session("emb_demo", origin=right)
    assert asyncio.run(handshake(url, {"Origin": wrong})) == (403, b"")
    assert asyncio.run(handshake(url)) == (403, b"")
    assert asyncio.run(handshake(url, {"Origin": right}))[0] == 101


@pytest.mark.parametrize(
    ("body", "status"),
    [({"token": "emb_unknown"}, 404), ({}, 422), ([], 422), (b"{", 422), ({"token": 7}, 422)],
    ids=["unknown token", "no token", "a list", "no JSON", "a number"],
)
def test_embed_init_refuses_what_it_cannot_read(gateway, body, status):
    answered, _, text = http("POST", f"{gateway.url}/api/v1/public/embed/init", body, {"Origin": "http://localhost"})
    assert answered == status, text
    assert json.loads(text)["detail"]


MALFORMED = {
    "no JSON": "{",
    "a number": "7",
    "a list": "[]",
    "null": "null",
    "a payload of null": '{"type":"offer","payload":null}',
    "a payload of text": '{"type":"offer","payload":"sdp"}',
    "deep nesting": "[" * 20_000,
    "a binary frame": b"\x00\x01\x02",
    "broken UTF-8 in a binary frame": b"\xff\xfe{",
}


def test_malformed_frames_are_answered_and_closed(gateway, good_call):
    async def main():
        for case, frame in MALFORMED.items():
            async with calling(gateway.signaling(run=20)) as caller:
                await (caller.socket.send_bytes if isinstance(frame, bytes) else caller.socket.send_str)(frame)
                errors, code = await final_word(caller)
                assert code in (1003, 1007, 1008), f"{case}: closed with {code}, errors {errors}"
                assert errors and all(errors), f"{case}: no word of why"

    asyncio.run(main())


def test_a_message_beyond_all_measure_closes_1009(gateway):
    async def main():
        async with calling(gateway.signaling(run=20)) as caller:
            await caller.send("offer", pc_id="PC-1", type="offer", sdp="x" * 2_000_000)
            _, code = await final_word(caller)
            assert code == 1009

    asyncio.run(main())


def test_what_the_protocol_ignores_leaves_the_socket_usable(gateway):
    """Unknown types, candidates of nobody or of no sense: no reply, and a good offer after them is answered."""

    async def main():
        async with calling(gateway.signaling(run=21)) as caller:
            await caller.send("unheard-of", x=1)
            await caller.socket.send_json({"payload": {}})
            for pc_id in ("PC-nobody", caller.pc_id, None):
                for candidate in (None, {}, {"candidate": ""}, {"candidate": "candidate:nonsense"}):
                    await caller.send("ice-candidate", pc_id=pc_id, candidate=candidate)
            assert caller.messages == []
            await caller.offer()
            for text in CANDIDATES:
                candidate = {"candidate": text, "sdpMid": "0", "sdpMLineIndex": 0}
                await caller.send("ice-candidate", pc_id=caller.pc_id, candidate=candidate)
            await caller.connected()
            await caller.hears(20)
            assert not [each for each in caller.messages if each["type"] == "error"]

    asyncio.run(main())
    gateway.await_idle()


CANDIDATES = [
    "candidate:1 1 udp 1 127.0.0.1 99999 typ host",
    "candidate:1 1 udp 99999999999999999999 127.0.0.1 9 typ host",
    "candidate:1 1 udp 1 0.0.0.0 9 typ host",
    "candidate:1 1 udp 1 255.255.255.255 9 typ host",
    "candidate:1 1 udp 1 224.0.0.1 9 typ host",
    "candidate:1 1 udp 1 169.254.169.254 80 typ host",
    "candidate:1 1 udp 1 ::ffff:127.0.0.1 9 typ host",
    "candidate:1 1 udp 1 not.a.name 9 typ host",
    "candidate:1 1 tcp 1 127.0.0.1 9 typ host tcptype active",
    "candidate:1 2 udp 1 127.0.0.1 9 typ host",
    "candidate:" + "1" * 5000 + " 1 udp 1 127.0.0.1 9 typ host",
    "candidate:1 1 udp 1 127.0.0.1 9 typ",
    "\x00\x01\x02",
]

DESCRIPTIONS = {
    "text": "hello",
    "an empty line": "\r\n",
    "only a version": "v=0\r\n",
    "no fingerprint": re.sub(r"a=fingerprint:.*\r\n", "", GOOD),
    "a fingerprint of no sense": re.sub(r"(a=fingerprint:sha-256) .*", r"\1 ZZ:00", GOOD),
    "an unknown hash": GOOD.replace("a=fingerprint:sha-256", "a=fingerprint:sha-9"),
    "no credentials": re.sub(r"a=ice-(ufrag|pwd):.*\r\n", "", GOOD),
    "credentials too short": re.sub(r"a=ice-pwd:.*", "a=ice-pwd:x", GOOD),
    "no audio": re.sub(r"m=audio (.*)", r"m=video \1", GOOD),
    "no Opus": re.sub(r"(?i)opus/48000/2", "PCMU/8000", GOOD),
    "a port of no sense": re.sub(r"m=audio \d+", "m=audio 99999999999999999999", GOOD),
    "too many lines": GOOD + "a=x\r\n" * 5_000,
    "a line too long": GOOD + "a=" + "x" * 20_000 + "\r\n",
    "too many m-lines": GOOD + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" * 200,
    "other bytes": "v=0\r\no=\u0000\ud7ff\uffff\r\n",
}


def test_descriptions_of_no_sense_are_refused_in_words(gateway, good_call):
    """Each gets an error message; no lease, no peer connection stays; the good call does not notice."""

    async def main():
        for case, sdp in DESCRIPTIONS.items():
            async with calling(gateway.signaling(run=22)) as caller:
                await caller.send("offer", pc_id=caller.pc_id, type="offer", sdp=sdp)
                errors, _ = await final_word(caller)
                assert errors and all(errors), f"{case}: {caller.messages}"
                state = await asyncio.to_thread(gateway.look)
                assert state["leases"] == state["peer_connections"] == 1, f"{case}: {state}"

    asyncio.run(main())


@pytest.mark.parametrize("good_call", [18], indirect=True)
def test_mutated_offers_do_no_harm(gateway, good_call):
    """Three hundred offers with a few bytes changed each: answered, refused or closed, as long as it goes on."""
    seed = int(os.environ.get("SEED", random.randrange(2**32)))
    print(f"SEED={seed}")
    chance = random.Random(seed)
    offers = [path.read_text() for path in sorted(OFFERS.glob("*.sdp"))]

    def mutated() -> str:
        text = list(chance.choice(offers).replace("\r\n", "\n").replace("\n", "\r\n"))
        for _ in range(chance.randrange(1, 12)):
            at = chance.randrange(len(text))
            what = chance.randrange(4)
            if what == 0:
                text[at] = chr(chance.randrange(1, 128))
            elif what == 1:
                del text[at : at + chance.randrange(1, 40)]
            elif what == 2:
                text[at:at] = text[at : at + chance.randrange(1, 40)]
            else:
                text[at:at] = str(chance.choice([-1, 0, 2**16, 2**31, 2**32, 2**63, 2**64]))
        return "".join(text)

    async def attempt():
        async with calling(gateway.signaling()) as caller:
            await caller.send("offer", pc_id=caller.pc_id, type="offer", sdp=mutated())
            try:
                await caller.until(lambda: caller.messages or caller.close_code is not None, 6, "any answer")
            except ConnectionError:
                pass

    async def main():
        for _ in range(300):
            await attempt()

    asyncio.run(main())


def test_offers_that_lack_a_field_are_told_so(gateway):
    async def main():
        async with calling(gateway.signaling(run=24)) as caller:
            fields = {"pc_id": caller.pc_id, "sdp": GOOD, "type": "offer"}
            for field in fields:
                await caller.send("offer", **{**fields, field: ""})
            await caller.send("renegotiate", pc_id="PC-nobody", sdp=GOOD, type="offer")
            await caller.until(lambda: len(caller.messages) == 4, what="four errors")
            texts = [each["payload"] for each in caller.messages]
            assert texts == [{"message": "Missing offer fields"}] * 3 + [{"message": "Peer connection not found"}]

    asyncio.run(main())


def test_a_peer_connection_belongs_to_its_socket(gateway):
    async def main():
        async with in_call(gateway.signaling(run=25)) as owner, calling(gateway.signaling(run=26)) as thief:
            thief.pc_id = owner.pc_id
            await thief.send("offer", pc_id=owner.pc_id, sdp=GOOD, type="offer")
            assert await thief.message("error") == {"message": "Peer connection already owned"}
            await owner.hears(len(owner.frames) + 20)

    asyncio.run(main())
    gateway.await_idle()


def test_a_socket_that_offers_no_call_is_closed(gateway):
    async def main():
        async with calling(gateway.signaling(run=27)) as caller:
            await caller.until(lambda: caller.close_code is not None, timeout=40, what="the close")
            assert (caller.close_code, caller.close_reason) == (1008, "no call")

    asyncio.run(main())
    gateway.await_idle()


def test_handshakes_broken_off_take_nobodys_place(gateway):
    """Twenty sockets of an address may be without a call. A client that is gone before it is accepted is not one."""
    url = urlsplit(gateway.signaling(run=28))
    request = (
        f"GET {url.path}?{url.query} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    for _ in range(100):
        with socket.create_connection((url.hostname, url.port)) as stranger:
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close by RST
            stranger.sendall(request.encode())
    time.sleep(0.5)

    async def main():
        async with AsyncExitStack() as stack:
            for _ in range(20):
                await stack.enter_async_context(calling(gateway.signaling(run=29)))
        assert (await handshake(gateway.signaling(run=29)))[0] == 101

    asyncio.run(main())
    gateway.await_idle()


def test_datagrams_of_no_sense_at_the_media_port(gateway, good_call):
    """Noise of every kind that a first byte can announce, aimed at the port of a call that goes on."""
    chance = random.Random(7)
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def noise():
        kind = chance.choice([0, 1, 20, 22, 23, 63, 64, 128, 144, 200, 255])
        body = bytearray([kind]) + chance.randbytes(chance.choice([0, 1, 7, 19, 40, 200, 1400, 9000]))
        if kind < 4 and len(body) >= 8:  # a STUN header in earnest
            body[:8] = b"\x00\x01" + (max(0, len(body) - 20) & 0xFFFC).to_bytes(2, "big") + b"\x21\x12\xa4\x42"
        return bytes(body)

    first, last = map(int, re.search(r"ports: (\d+)-(\d+)", gateway.config.read_text()).groups())
    with stranger:
        for _ in range(200):
            for port in range(first, last + 1):
                for _ in range(5):
                    stranger.sendto(noise(), ("127.0.0.1", port))
            time.sleep(0.01)
