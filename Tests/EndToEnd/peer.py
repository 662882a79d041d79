"""A caller without a browser: aiortc, and the wire's messages over aiohttp. As a program: `peer.py URL [SECONDS]`."""

import asyncio
import fractions
import json
import sys
import time
import uuid
from contextlib import asynccontextmanager

import aiohttp
import aioice.ice
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from aiortc.sdp import candidate_from_sdp
from av import AudioFrame

import leaks
import speech

# aioice leaves loopback out of its host candidates; unless a test makes another, it is the only network there is.
ADDRESSES = ["127.0.0.1"]
HOST_ADDRESSES = aioice.ice.get_host_addresses
aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ADDRESSES

RATE = 48_000
FRAME = RATE // 50


class Microphone(MediaStreamTrack):
    """Plays samples once, in real time, then silence; without samples, the noise of a room."""

    kind = "audio"

    def __init__(self, samples: np.ndarray | None = None):
        super().__init__()
        self.loops = samples is None
        self.samples = ((speech.noise(1) if samples is None else samples) * 32767).astype("<i2")
        self.position = 0
        self.began = None

    async def recv(self) -> AudioFrame:
        now = time.monotonic()
        self.began = self.began or now
        await asyncio.sleep(max(0.0, self.began + self.position / RATE - now))
        begin = self.position % len(self.samples) if self.loops else self.position
        chunk = self.samples[begin : begin + FRAME]
        frame = AudioFrame.from_ndarray(np.pad(chunk, (0, FRAME - len(chunk)))[np.newaxis], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self.position, fractions.Fraction(1, RATE)
        self.position += FRAME
        return frame


class Caller:
    """One call: its socket, its peer connection, and what came back."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, said: np.ndarray | None = None, servers=()):
        self.socket = socket
        self.pc_id = f"PC-{uuid.uuid4().hex}"
        self.servers = RTCConfiguration(iceServers=list(servers))
        self.pc = RTCPeerConnection(self.servers)
        self.microphone = Microphone(said)
        self.messages: list[dict] = []
        self.events: list[dict] = []
        self.remote_candidates = 0
        self.candidates_end = False
        self.pings: list[float] = []  # when they came; only with `autoping=False`
        self.answers_pings = True
        self.close_code = self.close_reason = None
        self.frames: list[tuple[int, np.ndarray]] = []  # media time in samples, and samples
        self.arrivals: list[float] = []  # when each came
        self.offered_at = self.first_frame_at = 0.0
        self._changed = asyncio.Condition()
        self._tasks = [asyncio.ensure_future(self._read_socket())]
        self._wire()

    def _wire(self):
        self.pc.addTrack(self.microphone)
        self.pc.on("track", lambda track: self._tasks.append(asyncio.ensure_future(self._listen(track))))
        self.pc.on("connectionstatechange", self._notify)

    async def _notify(self):
        async with self._changed:
            self._changed.notify_all()

    async def _read_socket(self):
        while True:
            message = await self.socket.receive()
            if message.type == aiohttp.WSMsgType.TEXT:
                content = json.loads(message.data)
                if content.get("type") == "ice-candidate":
                    await self._add_candidate(content["payload"]["candidate"])
                elif content.get("type") == "answer":
                    leaks.in_description(content["payload"]["sdp"])
                # What happens in a call may come between any two of the messages that answer something.
                if content.get("type", "").startswith("rtf-"):
                    self.events.append({**content, "at": time.monotonic()})
                else:
                    self.messages.append(content)
                await self._notify()
                continue
            if message.type == aiohttp.WSMsgType.PING:
                self.pings.append(time.monotonic())
                if self.answers_pings:
                    await self.socket.pong(message.data)
                await self._notify()
                continue
            if message.type == aiohttp.WSMsgType.CLOSE:
                self.close_reason = message.extra
            break
        self.close_code = self.socket.close_code
        await self._notify()

    async def _add_candidate(self, candidate):
        if candidate and candidate["candidate"]:
            parsed = candidate_from_sdp(candidate["candidate"].removeprefix("candidate:"))
            parsed.sdpMid, parsed.sdpMLineIndex = candidate.get("sdpMid"), candidate.get("sdpMLineIndex")
            await self.pc.addIceCandidate(parsed)
            self.remote_candidates += 1
        else:
            self.candidates_end = True
            await self._end_candidates()

    async def _end_candidates(self):
        """Tells aiortc that no more will come; before it has the answer that would mean none at all."""
        if self.candidates_end and self.pc.remoteDescription:
            await self.pc.addIceCandidate(None)

    async def _listen(self, track):
        try:
            while True:
                frame = await track.recv()
                self.arrivals.append(time.monotonic())
                self.first_frame_at = self.first_frame_at or time.monotonic()
                self.frames.append((frame.pts, frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0]))
        except Exception:  # aiortc's way to say that the track has ended
            pass

    async def until(self, reached, timeout=10.0, what="it"):
        """Waits until `reached()` is true, asking after each message and each change of state."""
        try:
            async with self._changed, asyncio.timeout(timeout):
                await self._changed.wait_for(reached)
        except TimeoutError:
            raise AssertionError(
                f"waited {timeout} s for {what}; connection {self.pc.connectionState}, close code {self.close_code},"
                f" messages {[message['type'] for message in self.messages]}"
            ) from None

    async def send(self, type: str, /, **payload):
        leaks.in_description(payload.get("sdp"))
        await self.socket.send_json({"type": type, "payload": payload})

    async def message(self, type: str, timeout=10.0, after=0) -> dict:
        """The payload of the first message of `type`, beyond the first `after` messages."""

        def found():
            return next((each for each in self.messages[after:] if each["type"] == type), None)

        await self.until(lambda: found() or self.close_code is not None, timeout, f"a message '{type}'")
        assert found(), f"the socket closed with {self.close_code}, without '{type}': {self.messages}"
        return found()["payload"]

    async def offer(self, trickle=True, message="offer", **extra) -> dict:
        """Offers, trickles the candidates in messages of their own, and takes the answer."""
        after = len(self.messages)
        await self.pc.setLocalDescription(await self.pc.createOffer())
        lines = self.pc.localDescription.sdp.splitlines(keepends=True)
        candidates = [line.removeprefix("a=").strip() for line in lines if line.startswith("a=candidate:")]
        if trickle:
            lines = [line for line in lines if not line.startswith(("a=candidate:", "a=end-of-candidates"))]
        self.candidates_end = False
        self.offered_at = time.monotonic()
        await self.send(message, pc_id=self.pc_id, sdp="".join(lines), type="offer", **extra)
        for candidate in candidates if trickle else []:
            await self.send(
                "ice-candidate",
                pc_id=self.pc_id,
                candidate={"candidate": candidate, "sdpMid": "0", "sdpMLineIndex": 0},
            )
        if trickle:
            await self.send("ice-candidate", pc_id=self.pc_id, candidate=None)
        answer = await self.message("answer", after=after)
        assert answer["pc_id"] == self.pc_id and answer["type"] == "answer"
        await self.pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
        await self._end_candidates()
        return answer

    async def description(self, **changes) -> dict:
        """The payload of an offer that has its candidates, to be sent as it is or with `changes`."""
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return {"pc_id": self.pc_id, "sdp": self.pc.localDescription.sdp, "type": "offer", **changes}

    async def restart(self):
        """Another peer connection in the place of the first, within the same call."""
        first, self.pc = self.pc, RTCPeerConnection(self.servers)
        self.microphone = Microphone()
        self._wire()
        await self.offer(message="renegotiate", restart_pc=True)
        await first.close()

    async def move(self, socket: aiohttp.ClientWebSocketResponse):
        """Goes on with another socket in the place of the first."""
        self._tasks[0].cancel()
        await asyncio.wait(self._tasks[:1])
        self.socket, self.close_code, self.close_reason = socket, None, None
        self._tasks[0] = asyncio.ensure_future(self._read_socket())

    async def closed(self, timeout=5.0) -> tuple[int, str]:
        """Waits for the socket's end: the code and reason of the close."""
        await self.until(lambda: self.close_code is not None, timeout, "the close")
        return self.close_code, self.close_reason

    async def connected(self, timeout=15.0):
        await self.until(lambda: self.pc.connectionState in ("connected", "failed", "closed"), timeout, "media")
        assert self.pc.connectionState == "connected", self.pc.connectionState

    async def hears(self, frames: int, timeout=5.0):
        """Waits until that many frames of 20 ms have come. While a pipeline is silent, none do."""
        deadline = time.monotonic() + timeout
        while len(self.frames) < frames:
            assert time.monotonic() < deadline, f"heard {len(self.frames)} frames in {timeout} s, not {frames}"
            await asyncio.sleep(0.01)

    def heard(self) -> np.ndarray:
        """Everything heard so far, samples between -1 and 1; silence where nothing was sent."""
        if not self.frames:
            return np.zeros(0)
        first, last = self.frames[0][0], self.frames[-1][0]
        heard = np.zeros(last - first + FRAME)
        for time, samples in self.frames:
            heard[time - first : time - first + len(samples)] = samples / 32768
        return heard

    async def packets(self) -> dict[str, int]:
        """Sent, received and lost, and lost on the way there as the gateway reports it."""
        stats = (await self.pc.getStats()).values()
        inbound = [each for each in stats if each.type == "inbound-rtp"]
        outbound = [each for each in stats if each.type == "outbound-rtp"]
        remote = [each for each in stats if each.type == "remote-inbound-rtp"]
        return {
            "sent": sum(each.packetsSent for each in outbound),
            "received": sum(each.packetsReceived for each in inbound),
            "lost": sum(each.packetsLost for each in inbound),
            "remote_lost": sum(each.packetsLost for each in remote),
        }

    def cut_media(self):
        """Lets the network die: from here on no datagram leaves or arrives, and nobody is told."""
        ice = self.pc.getTransceivers()[0].sender.transport.transport
        for protocol in ice._connection._protocols:
            protocol.transport.pause_reading()
            protocol.transport.sendto = lambda *_: None

    async def close(self):
        await self.pc.close()
        await self.socket.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def calling(url: str, said: np.ndarray | None = None, servers=(), **options):
    """A caller with an open socket, which has not offered yet; `servers` are its STUN and TURN ones."""
    leaks.in_request(url, options.get("headers"))
    async with aiohttp.ClientSession() as session, session.ws_connect(url, max_msg_size=0, **options) as socket:
        caller = Caller(socket, said, servers)
        try:
            yield caller
        finally:
            await caller.close()


@asynccontextmanager
async def in_call(url: str, said: np.ndarray | None = None, **options):
    """A caller with media both ways."""
    async with calling(url, said, **options) as caller:
        await caller.offer()
        await caller.connected()
        yield caller


async def main(url: str, seconds: float = 3600):
    async with in_call(url) as caller:
        await caller.hears(5)
        print("connected", flush=True)
        await asyncio.sleep(seconds)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], *map(float, sys.argv[2:])))
