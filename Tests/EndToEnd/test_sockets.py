"""Sockets that come and go without a call leave nothing behind."""

import asyncio
import os
import struct
import time
from urllib.parse import urlsplit

import pytest

ADDRESSES = [f"127.0.1.{last}" for last in range(1, 11)]
AT_ONCE = 18  # of an address; the gateway bears 20 without a call
SOCKETS, LEAK = 10_000, 2 * 2**20


async def open_and_close(url, address: str, rudely: bool):
    """A handshake, and a close as it should be, or none: the connection is just dropped."""
    key = os.urandom(4)
    request = (
        f"GET {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(url.hostname, url.port, local_addr=(address, 0))
    try:
        writer.write(request.encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        assert head.startswith(b"HTTP/1.1 101 "), head
        if not rudely:
            code = struct.pack("!H", 1000)
            writer.write(b"\x88\x82" + key + bytes(a ^ b for a, b in zip(code, key)))
            assert await asyncio.wait_for(reader.read(), 20) == b"\x88\x02" + code
    finally:
        writer.close()


async def many(gateway, count: int):
    places = asyncio.Queue()
    for place in range(len(ADDRESSES) * AT_ONCE):
        places.put_nowait(ADDRESSES[place % len(ADDRESSES)])

    async def one(number: int):
        address = await places.get()
        try:
            await open_and_close(url, address, rudely=number % 2 == 0)
        finally:
            places.put_nowait(address)

    # One token for all: making them is not what this is about.
    url = urlsplit(gateway.signaling())
    for first in range(0, count, 500):
        await asyncio.gather(*(one(number) for number in range(first, first + 500)))
        await asyncio.to_thread(gateway.await_idle)


@pytest.mark.alone
@pytest.mark.long
def test_ten_thousand_sockets_leave_nothing_behind(start):
    gateway = start()
    with gateway.nothing_started():
        # As many before, for the heap is as large as it ever had to be.
        asyncio.run(many(gateway, SOCKETS))
        gateway.await_idle()
        time.sleep(1)
        descriptors, resident = gateway.descriptors(), gateway.resident()
        began = time.monotonic()
        asyncio.run(many(gateway, SOCKETS))
        took = time.monotonic() - began
    gateway.await_descriptors(descriptors)
    grown = gateway.resident() - resident
    print(
        f"{SOCKETS} sockets in {took:.0f} s; {descriptors} descriptors before, {gateway.descriptors()} after; resident"
        f" memory {resident / 2**20:.1f} MiB before, and {grown / 2**10:+.0f} KiB"
    )
    assert grown < LEAK
