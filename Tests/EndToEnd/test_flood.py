"""Floods of strangers at every open media port while calls are set up: no call fails, and no stranger is sent a byte."""

import asyncio
import contextlib
import json
import os
import random
import re
import struct
import subprocess
import sys
import time
from pathlib import Path

import aioice.ice
import pytest
from aiortc import RTCDtlsTransport, RTCSessionDescription
from OpenSSL import SSL

import peer
from gateway import patchbay
from hostile import DESK, HERE, HERE6, HTTP, outpost
from packets import datagram, processor_time
from test_never_dialled import request

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"), pytest.mark.long, pytest.mark.alone]

CALLER = "10.77.0.2"
CHANCE = random.Random(20_231_117)

# MARK: - What strangers send


def record(kind: int, body: bytes, epoch=0, number=0, version=0xFEFD) -> bytes:
    return struct.pack("!BHHHIH", kind, version, epoch, number >> 32, number & 0xFFFFFFFF, len(body)) + body


def handshake(kind: int, body: bytes, number=0, fragment: tuple[int, int] | None = None) -> bytes:
    begin, end = fragment or (0, len(body))
    lengths = [struct.pack("!I", each)[1:] for each in (len(body), begin, end - begin)]
    return bytes([kind]) + lengths[0] + struct.pack("!H", number) + lengths[1] + lengths[2] + body[begin:end]


def genuine() -> bytes:
    """As a caller's own, by the same library as aiortc's."""
    context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
    context.set_tlsext_use_srtp(b"SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM")
    connection = SSL.Connection(context, None)
    connection.set_connect_state()
    with contextlib.suppress(SSL.WantReadError):
        connection.do_handshake()
    return connection.bio_read(4096)


def hello(ciphers: list[int], version=0xFEFD) -> bytes:
    suites = b"".join(struct.pack("!H", each) for each in ciphers)
    return struct.pack("!H", version) + CHANCE.randbytes(32) + b"\0\0" + struct.pack("!H", len(suites)) + suites + b"\1\0"


def hellos() -> dict[str, list[bytes]]:
    whole = hello([0xC02B, 0xC02F, 0x009E])
    return {
        "a ClientHello with the null cipher": [record(22, handshake(1, hello([0])))],  # CVE-2023-49786
        "one with null ciphers that sign": [record(22, handshake(1, hello([0x0001, 0x0002, 0x003B, 0xC006])))],
        "one without a cipher": [record(22, handshake(1, hello([])))],
        "one of an old version": [record(22, handshake(1, hello([0xC02B], version=0xFEFF)), version=0xFEFF)],
        "one of no version": [record(22, handshake(1, hello([0xC02B], version=0x0303)), version=0x0303)],
        "a caller's own": [genuine()],
        "in fragments": [
            record(22, handshake(1, whole, fragment=part), number=number)
            for number, part in enumerate([(0, 1), (1, 20), (20, len(whole)), (0, 0), (len(whole), len(whole))])
        ],
        "a fragment of a large one": [record(22, handshake(1, bytes(0xFFFFF), fragment=(0x80000, 0x80400)))],
        "a later one": [record(22, handshake(1, whole, number=1), number=1)],
    }


def other_records() -> dict[str, list[bytes]]:
    return {
        "fatal alerts": [record(21, bytes([2, code])) for code in (0, 10, 20, 40, 47, 50, 80)],
        "close_notify": [record(21, b"\1\0"), record(21, b"\1\0", epoch=1), record(21, CHANCE.randbytes(24), epoch=1)],
        "handshake junk": [record(22, CHANCE.randbytes(size)) for size in (0, 1, 12, 100, 1200)],
        "handshake messages out of turn": [record(22, handshake(kind, CHANCE.randbytes(60))) for kind in (0, 2, 11, 14, 16, 20)],
        "a wrong epoch": [record(22, handshake(1, hello([0xC02B])), epoch=epoch) for epoch in (1, 2, 0xFFFF)],
        "ChangeCipherSpec": [record(20, b"\1")],
        "application data": [record(23, CHANCE.randbytes(64)), record(23, CHANCE.randbytes(1200), epoch=1)],
        "records of no kind": [record(kind, CHANCE.randbytes(30)) for kind in (24, 25, 63)],
        "cut short": [b"\x16", b"\x16\xfe\xfd", record(22, bytes(40))[:-30]],
        "RTP and RTCP": [b"\x80\x6f" + CHANCE.randbytes(170), b"\x80\xc8" + CHANCE.randbytes(26)],
    }


def strangers(payloads: list[bytes], ports: list[int], count=4000) -> list[bytes]:
    """Datagrams from as many sources: every fourth has a caller's address and another port, every fifth is IPv6."""
    made = []
    for number in range(count):
        port, payload = ports[number % len(ports)], payloads[number // len(ports) % len(payloads)]
        source = CHANCE.randrange(1024, 32_000)
        if number // len(ports) % 5 == 4:
            made.append(datagram((f"2a05:d018:{CHANCE.randrange(0x100, 0xFFFF):x}::1", source), (HERE6, port), payload))
        else:
            host = CALLER if number // len(ports) % 4 == 3 else f"45.{'.'.join(str(CHANCE.randrange(1, 255)) for _ in range(3))}"
            made.append(datagram((host, source), (HERE, port), payload))
    return made


# MARK: - What came, and what went


METER = """
table inet strangers {{
  counter came {{}}
  counter went {{}}
  set went4 {{ type ipv4_addr . inet_service; flags dynamic; counter; size 65535; }}
  set went6 {{ type ipv6_addr . inet_service; flags dynamic; counter; size 65535; }}
  chain in {{ type filter hook input priority 0; iifname {near} meta l4proto udp counter name came; }}
  chain out {{
    type filter hook output priority 0;
    icmpv6 type {{ 130-136, 143 }} return
    meta l4proto igmp return
    oifname {near} counter name went
    oifname {near} update @went4 {{ ip daddr . udp dport }}
    oifname {near} update @went6 {{ ip6 daddr . udp dport }}
    ip daddr {caller} udp dport 1024-31999 counter name went update @went4 {{ ip daddr . udp dport }}
  }}
}}
"""


class Flood:
    """Sends to a gateway for as long as it is entered; afterwards, what that came to."""

    def __init__(self, post, packets: list[bytes], rate: int):
        self.post, self.rate = post, rate
        self.frames = b"".join(struct.pack("!H", len(each)) + each for each in map(post.cable.frame, packets))

    def __enter__(self):
        words = [sys.executable, Path(__file__).with_name("flood.py"), self.post.void_end, self.rate]
        self.process = subprocess.Popen(self.post.void.command(*words), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.process.stdin.write(self.frames)
        self.process.stdin.close()
        assert self.process.stdout.readline() == b"sending\n"
        self.begin()
        return self

    def begin(self):
        """Measures from here on."""
        self.before = self.now()

    def now(self) -> dict:
        media = self.post.look()["media"]
        return {
            "at": time.monotonic(),
            "computed": processor_time(self.post.gateway.pid),
            "received": media["received"],
            "unknown": media["unknown_source"],
            **meter(self.post),
        }

    def figures(self) -> dict:
        now = self.now()
        taken = {name: now[name] - self.before[name] for name in now}
        seconds = taken.pop("at")
        return {
            "seconds": round(seconds, 1),
            "arrived_per_second": round(taken["came"] / seconds),
            "read_per_second": round(taken["received"] / seconds),
            "unknown_per_second": round(taken["unknown"] / seconds),
            "cpu_percent_of_a_core": round(100 * taken["computed"] / seconds),
            "bytes_in": taken["came_bytes"],
            "bytes_out": taken["went_bytes"],
        }

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        finally:
            self.process.kill()
            self.process.stdout.close()


def meter(post) -> dict[str, int]:
    listed = subprocess.run(
        post.gateway_machine.command("nft", "-j", "list", "counters", "table", "inet", "strangers"), capture_output=True, check=True
    )
    counters = [each["counter"] for each in json.loads(listed.stdout)["nftables"] if "counter" in each]
    found = {each["name"]: each["packets"] for each in counters}
    return {**found, **{f"{each['name']}_bytes": each["bytes"] for each in counters}}


def answered(post) -> str:
    """Which strangers were sent anything, as nftables lists them."""
    listed = [
        subprocess.run(
            post.gateway_machine.command("nft", "list", "set", "inet", "strangers", name), capture_output=True, text=True, check=True
        ).stdout
        for name in ("went4", "went6")
    ]
    return "\n".join(each for each in listed if "elements" in each)


@pytest.fixture
def post(tmp_path):
    with outpost(tmp_path, callers=[CALLER]) as made:
        made.gateway_machine.filter(METER.format(near=made.near, caller=CALLER))
        yield made


def assert_metered(post):
    """The meter counts what goes to a stranger: here to one who knows a call's password."""

    async def main():
        async with post.stranger() as call:
            await call.offer()
            ours, password = call.credentials
            asked = request(f"{ours}:{call.ufrag}", password)
            for source in ("45.1.1.1", 1024), ("2a05:d018:100::1", 1024), (CALLER, 1024):
                here = HERE6 if ":" in source[0] else HERE
                before = meter(post)["went_bytes"]
                post.cable.send(source, (here, call.port(here)), asked)
                await asyncio.sleep(0.2)
                assert meter(post)["went_bytes"] > before, source
                assert f"{source[0]} . {source[1]}" in answered(post)

    with post.caller.entered():
        asyncio.run(main())
    for name in "went4", "went6":
        subprocess.run(post.gateway_machine.command("nft", "flush", "set", "inet", "strangers", name), check=True)


# MARK: - Calls


def calls(post, count: int, rate: int, seconds: int) -> list[dict]:
    """Set-ups by `patchbay call`, whose DTLS server is the caller."""
    words = ["call", f"http://{DESK}:{HTTP}/", "--token", "emb_echo", "--calls", count, "--rate", rate]
    words += ["--seconds", seconds, "--count-only", "--json"]
    run = patchbay(*words, machine=post.caller, timeout=count / rate + seconds + 60)
    return json.loads(run.stdout)["calls"]


def calls_to_a_server(post, count: int, at_once=3) -> list[float]:
    """Set-ups by aiortc, each to a gateway that is the DTLS server and so waits for a ClientHello. Seconds of each."""

    async def call(room) -> float:
        async with room, peer.calling(post.signaling()) as caller:
            began = time.monotonic()
            description = await caller.description()
            assert "a=setup:actpass" in description["sdp"]
            description["sdp"] = description["sdp"].replace("a=setup:actpass", "a=setup:active")
            await caller.send("offer", **description)
            answer = await caller.message("answer")
            assert "a=setup:passive" in answer["sdp"]
            await caller.pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
            await caller.connected()
            taken = time.monotonic() - began
            await caller.hears(10)
            return taken

    async def main():
        room = asyncio.Semaphore(at_once)
        return await asyncio.gather(*(call(room) for _ in range(count)))

    with post.caller.entered():
        return asyncio.run(main())


@pytest.fixture
def here(monkeypatch):
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: [CALLER])


# MARK: - Tests

A_PORT = 5_000  # a second


@pytest.mark.parametrize("kind", ["ClientHellos", pytest.param("other records", marks=pytest.mark.rare)])
def test_a_hundred_calls_are_set_up_in_a_flood_of_records(post, here, kind):
    assert_metered(post)
    ports = post.media_ports()
    payloads = [each for group in (hellos() if kind == "ClientHellos" else other_records()).values() for each in group]
    alone = calls(post, count=10, rate=10, seconds=1)
    print(f"\nwithout a flood, set up in {sorted(each['setup_ms'] for each in alone)[5]:.0f} ms (median)")
    with Flood(post, strangers(payloads, ports), rate=round(1.1 * A_PORT * len(ports))) as flood:
        time.sleep(3)
        print(f"nothing but {kind} at {len(ports)} ports: {json.dumps(flood.figures())}")
        flood.begin()
        called = calls(post, count=100, rate=10, seconds=3)
        print(f"with 100 calls, 10 a second: {json.dumps(flood.figures())}")
        served = calls_to_a_server(post, count=20)
        figures = flood.figures()
        print(f"and 20 to a DTLS server: {json.dumps(figures)}")
    times = sorted(each["setup_ms"] for each in called if each["connected"])
    print(f"set up in {times[50]:.0f} ms (median), {times[-1]:.0f} (slowest); the 20 in {max(served) * 1000:.0f} at most")
    assert [each["error"] for each in called if not each["connected"]] == []
    assert len(called) == 100 and len(served) == 20
    # At each port, where nothing else wants the processors; never less than this.
    assert figures["unknown_per_second"] >= A_PORT, "too few arrived"
    assert figures["bytes_out"] == 0, answered(post)
    assert answered(post) == ""


PASSWORD_OF_NOBODY = "x" * 24


@pytest.mark.parametrize("kind", [pytest.param("wrong name", marks=pytest.mark.rare), "wrong password"])
def test_binding_requests_of_strangers_are_not_answered(post, kind):
    """Neither those for no call, nor those for a live one by who does not know its password; beside a call that loses nothing."""
    assert_metered(post)

    async def main():
        async with post.stranger() as live:
            await live.offer()
            # Those for a live call all go to its port, where each has to be proven false.
            ports = [live.port(HERE)] if kind == "wrong password" else post.media_ports()
            name = live.credentials[0] if kind == "wrong password" else "nobody"
            payloads = [request(f"{name}:{live.ufrag}", PASSWORD_OF_NOBODY) for _ in range(200)]
            with Flood(post, strangers(payloads, ports), rate=22_000) as flood:
                await asyncio.sleep(3)
                print(f"\n{kind} at {len(ports)} ports: {json.dumps(flood.figures())}")
                flood.begin()
                called = await asyncio.to_thread(calls, post, count=4, rate=4, seconds=10)
                return called, flood.figures()

    with post.caller.entered():
        called, figures = asyncio.run(main())
    lost = sum(each["packets_lost"] + each["remote_lost"] for each in called)
    print(f"with 4 calls of 10 s, which lost {lost} packets: {json.dumps(figures)}")
    assert all(each["connected"] for each in called), called
    assert figures["read_per_second"] >= A_PORT, "too few arrived"
    assert figures["bytes_out"] == 0 and answered(post) == "", answered(post)


FORGED = {
    "a ClientHello with the null cipher": ("active", record(22, handshake(1, hello([0])))),
    "a ServerHello with a cipher not offered": ("actpass", record(22, handshake(2, hello([0])[:35] + b"\0\0\0"))),
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_record_forged_from_a_callers_own_address_and_port_does_not_end_the_call(post, here, monkeypatch, kind):
    """Who knows where a caller is can have it look as if a record came from there, until the handshake is over."""
    setup, forged = FORGED[kind]
    begin = RTCDtlsTransport.start

    async def late(transport, parameters):
        await asyncio.sleep(0.6)
        await begin(transport, parameters)

    monkeypatch.setattr(RTCDtlsTransport, "start", late)

    async def main():
        async with peer.calling(post.signaling()) as caller:
            description = await caller.description()
            description["sdp"] = description["sdp"].replace("a=setup:actpass", f"a=setup:{setup}")
            await caller.send("offer", **description)
            answer = (await caller.message("answer"))["sdp"]
            ours, theirs = (
                int(re.search(rf"a=candidate:.* {re.escape(host)} (\d+) typ host", sdp)[1])
                for host, sdp in ((CALLER, description["sdp"]), (HERE, answer))
            )
            await caller.pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            while caller.pc.iceConnectionState != "completed":
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.2)
            assert caller.pc.connectionState == "connecting"
            for _ in range(3):
                post.cable.send((CALLER, ours), (HERE, theirs), forged)
            await caller.connected()

    with post.caller.entered():
        asyncio.run(main())
