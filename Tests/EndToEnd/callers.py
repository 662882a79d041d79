"""Places calls from the machine it runs on, and says how each went. As a program: `callers.py chromium|aiortc URL DIRECTORY`.

It reads requests, one a line of JSON, and answers with a line for each run.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

from aiortc import RTCIceServer

import peer
import speech
from browser import chromium, open_documented
from gateway import embed_session

LIMIT = 60.0


def relays(uris: list[str], number: int, udp: bool) -> list[str]:
    """Which of the TURN server's addresses a run uses. Where UDP is blocked, TCP and TLS take turns."""
    return uris if udp else [uri for uri in uris if uri.startswith("turn:" if number % 2 else "turns:") and "=tcp" in uri]


def answer(**outcome) -> None:
    print(json.dumps(outcome), flush=True)


async def attempt(gateway: str, number: int, udp: bool, stun="", turn=False) -> dict:
    """One call of aiortc's, until the first sound or until it is known that none will come."""
    url, given = await asyncio.to_thread(embed_session, gateway)
    servers, uris = [RTCIceServer(stun)] if stun else [], []
    for each in given if turn else []:
        uris = relays(each["urls"], number, udp)
        servers.append(RTCIceServer(uris, each["username"], each["credential"]))
    began = time.monotonic()

    def failed(reason: str) -> dict:
        return {"connected": False, "reason": reason, "seconds": time.monotonic() - (caller.offered_at or began)}

    async with peer.calling(url, servers=servers) as caller:
        try:
            await caller.offer()
            over = lambda: caller.frames or caller.close_code or caller.pc.connectionState == "failed"  # noqa: E731
            while not over() and time.monotonic() < began + LIMIT:
                await asyncio.sleep(0.005)
        except Exception as error:
            return failed(f"{type(error).__name__}: {error}")
        if caller.frames:
            [pair] = caller.pc.getTransceivers()[0].sender.transport.transport._connection._nominated.values()
            kinds = {"local": pair.local_candidate.type, "remote": pair.remote_candidate.type}
            if kinds["local"] == "relay":
                kinds["over"] = "tls" if uris[0].startswith("turns:") else uris[0].rpartition("=")[2]
            return {"connected": True, "seconds": caller.first_frame_at - began, **kinds}
        if caller.pc.connectionState == "failed":
            return failed("ICE failed")
        told = [each["payload"] for each in caller.messages if each["type"] in ("error", "call-ended")]
        return failed("; ".join(each.get("reason") or each["message"] for each in told) or f"socket closed: {caller.close_code}")


async def serve_aiortc(gateway: str, requests) -> None:
    peer.ADDRESSES[:] = peer.HOST_ADDRESSES(use_ipv4=True, use_ipv6=False)
    for request in requests:
        allowed = asyncio.Semaphore(request.pop("at_once"))

        async def one(number: int) -> None:
            async with allowed:
                answer(**await attempt(gateway, number, **request))

        await asyncio.gather(*map(one, range(request.pop("runs"))))


ATTEMPT = """async ({ gateway, number, udp, stun, turn, limit }) => {
  const { url, rtc } = await embed(gateway, "emb_echo");
  if (!turn) rtc.iceServers = [];
  for (const server of rtc.iceServers) {
    if (!udp) server.urls = server.urls.filter((uri) => uri.startsWith(number % 2 ? "turn:" : "turns:") && uri.includes("=tcp"));
  }
  if (stun) rtc.iceServers.push({ urls: stun });
  const began = performance.now();
  const passed = () => (performance.now() - began) / 1000;
  let reason;
  const made = await call(url, { rtc, onState: (state, why) => { if (state === "ended") reason ??= why; } }).catch((error) => {
    reason ??= error.message;
  });
  while (!reason && passed() < limit) {
    const stats = await made.pc.getStats();
    const all = [...stats.values()];
    if (all.some(({ type, packetsReceived }) => type === "inbound-rtp" && packetsReceived > 0)) {
      const seconds = passed();
      const pair = stats.get(all.find(({ type }) => type === "transport").selectedCandidatePairId);
      const [local, remote] = [stats.get(pair.localCandidateId), stats.get(pair.remoteCandidateId)];
      made.hangUp();
      const over = local.relayProtocol ?? local.protocol;
      return { connected: true, seconds, local: local.candidateType, remote: remote.candidateType, over };
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const seconds = passed();
  made?.hangUp();
  return { connected: false, reason: reason ?? "nothing", seconds };
}"""

ALL = """async ({ runs, at_once, ...options }) => {
  let next = 0;
  const attempt = %s;
  const one = async () => {
    while (next < runs) {
      const number = next++;
      const failed = ({ message }) => ({ connected: false, reason: message, seconds: 0 });
      await done(await attempt({ number, ...options }).catch(failed));
    }
  };
  await Promise.all(Array.from({ length: Math.min(at_once, runs) }, one));
}""" % ATTEMPT


def serve_chromium(gateway: str, directory: Path, requests) -> None:
    noise = speech.write(directory / "noise.wav", speech.noise(10))
    with chromium(noise, "--ignore-certificate-errors") as browser:
        page = open_documented(browser)
        page.expose_function("done", lambda outcome: answer(**outcome))
        for request in requests:
            page.evaluate(ALL, {"gateway": gateway.rstrip("/"), "limit": LIMIT, **request})


def main(program: str, gateway: str, directory: str) -> None:
    requests = map(json.loads, iter(sys.stdin.readline, ""))
    if program == "chromium":
        serve_chromium(gateway, Path(directory), requests)
    else:
        os.environ["SSL_CERT_FILE"] = f"{directory}/ca.pem"
        asyncio.run(serve_aiortc(gateway, requests))


if __name__ == "__main__":
    main(*sys.argv[1:])
