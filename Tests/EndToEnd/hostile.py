"""A gateway between two cables, one to its callers and one to everywhere else, and callers who know no manners."""

import contextlib
import ipaddress
import itertools
import re
import socket
import uuid
from pathlib import Path

import aiohttp

import leaks
from gateway import FRESH_RUNS, Gateway, changed_config, jwt, write_config
from network import network
from packets import Cable

# Addresses that no policy takes for private, unlike those that are kept for examples. No packet leaves the namespaces.
HERE, HERE6, PUBLIC = "51.15.7.2", "2a05:d018:7::2", "51.15.8.8"
HARMLESS, HARMLESS6 = "51.15.100.1", "2a05:d018:100::1"
DESK = "10.77.0.1"  # signaling goes by a cable of its own
CALLERS = [f"10.77.0.{number}" for number in range(2, 18)]  # one address may have 20 sockets without a call
HTTP, ADMIN = 8080, 9090

OFFER = (Path(__file__).parents[1] / "Vectors/offers/chromium-156-audio-gathered.sdp").read_text()
OFFER = re.sub(r"(?m)^a=candidate:.*\n", "", OFFER.replace("\r\n", "\n"))
UFRAG = "ufragOf0"
PASSWORD = re.search(r"a=ice-pwd:(.*)", OFFER)[1]

TENANTS = """\
tenants:
  default:
    match: any
    auth: [users, embeds]
    quotas: [seats]
    pipeline: echo
    ice: {{ inbound: none, outbound: none }}
  private:
    match: {{ path: /t/private }}
    auth: [users]
    quotas: [seats]
    pipeline: echo
    ice: {{ inbound: private, outbound: private }}
  all:
    match: {{ path: /t/all }}
    auth: [users]
    quotas: [seats]
    pipeline: echo
    ice: {{ inbound: all, outbound: none }}
"""


def config(*changes: tuple[str, str]) -> str:
    """A gateway that listens everywhere, for tenants of three policies."""
    text = changed_config(
        ("admin: 127.0.0.1:0", f"admin: 0.0.0.0:{ADMIN}"),
        ("  addresses: [127.0.0.1]\n", f'  addresses: [{HERE}, "{HERE6}"]\n  public_address: {PUBLIC}\n'),
        ("  player: {{ type: player, path: {player} }}\n", ""),
    )
    text = text[: text.index("tenants:")] + TENANTS
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


class Outpost:
    """The machines, the gateway on its own, and the far end of its default route, where nobody answers."""

    def __init__(self, net, directory: Path, template: str, callers: list[str], **settings):
        self.sources = itertools.cycle(callers)
        self.gateway_machine, self.caller, self.void = (net.add(name) for name in ("gateway", "caller", "void"))
        net.connect(self.gateway_machine, [f"{DESK}/24"], self.caller, [f"{each}/24" for each in callers])
        self.caller.ip("route", "add", "default", "via", DESK)
        self.near, self.void_end = net.connect(
            self.gateway_machine, [f"{HERE}/24", f"{HERE6}/64"], self.void, ["51.15.7.1/24", "2a05:d018:7::1/64"]
        )
        for family, router in ("-4", "51.15.7.1"), ("-6", "2a05:d018:7::1"):
            self.gateway_machine.ip(family, "route", "add", "default", "via", router)
        self.void.filter(SWALLOW)
        for interface in "all", self.near:
            self.gateway_machine.sysctl(f"net/ipv4/conf/{interface}/rp_filter", 0)
        self.cable = Cable(self.void, self.void_end, self.gateway_machine, self.near)
        with self.gateway_machine.entered():
            configuration = write_config(directory, template, listen=f"0.0.0.0:{HTTP}", seats=500, **settings)
            self.gateway = Gateway(configuration)
        self.gateway.url, self.gateway.admin = f"http://{DESK}:{HTTP}", f"http://{DESK}:{ADMIN}"

    def media_ports(self) -> list[int]:
        """Those that are open."""
        lines = Path(f"/proc/{self.gateway.pid}/net/udp").read_text().splitlines()[1:]
        address = socket.inet_aton(HERE)[::-1].hex().upper()
        return sorted(int(port, 16) for host, port in (line.split()[1].split(":") for line in lines) if host == address)

    def look(self) -> dict:
        with self.caller.entered():
            return self.gateway.look()

    def signaling(self, policy="none", workflow=2) -> str:
        path = "" if policy == "none" else f"/t/{policy}"
        return f"ws://{DESK}:{HTTP}{path}/api/v1/ws/signaling/{workflow}/{next(FRESH_RUNS)}?token={jwt()}"

    @contextlib.asynccontextmanager
    async def stranger(self, policy="none"):
        """A caller with an open socket. To be called in the callers' machine."""
        connector = aiohttp.TCPConnector(local_addr=(next(self.sources), 0))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.ws_connect(self.signaling(policy), max_msg_size=0) as socket,
        ):
            yield Stranger(socket)

    def at(self, address: str, port: int) -> socket.socket:
        """A socket of the gateway's own machine, for those source addresses that its kernel takes from nowhere else."""
        with self.gateway_machine.entered():
            made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((address, port))
        return made


# Only who has which IPv6 address is answered, so that packets to anywhere find the cable. ARP is not asked here.
SWALLOW = """
table inet void {
  chain in {
    type filter hook prerouting priority raw; policy drop;
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
  }
}
"""


@contextlib.contextmanager
def outpost(directory: Path, template: str | None = None, callers=CALLERS, **settings):
    with network() as net:
        post = Outpost(net, directory, template or config(), callers, **settings)
        try:
            yield post
            code = post.gateway.stop()
            log = post.gateway.log.read_text()
            assert code == 0 and "Fatal error" not in log, f"the gateway ended with {code}:\n{log[-4000:]}"
        finally:
            post.cable.close()
            if post.gateway.process.poll() is None:
                post.gateway.process.kill()
                post.gateway.process.wait()


class Stranger:
    """A caller who writes each word of its messages."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse):
        self.socket = socket
        self.pc_id = f"PC-{uuid.uuid4().hex}"
        self.ufrag = self.gateways = ""

    def description(self, candidates=(), *, ufrag: str | None = None, end=False, change=lambda sdp: sdp) -> str:
        self.ufrag = ufrag or self.ufrag or UFRAG
        lines = [f"a={text.removeprefix('a=')}" for text in candidates] + ["a=end-of-candidates"] * end
        sdp = re.sub(r"a=ice-ufrag:.*", f"a=ice-ufrag:{self.ufrag}", OFFER)
        sdp = sdp.replace("a=ice-ufrag", "".join(f"{line}\n" for line in lines) + "a=ice-ufrag", 1)
        return change(sdp).replace("\n", "\r\n")

    async def send(self, type: str, /, **payload) -> None:
        await self.socket.send_json({"type": type, "payload": {"pc_id": self.pc_id, **payload}})

    async def offer(self, *candidates: str, message="offer", extra=None, **how) -> str:
        """Offers, and takes the answer."""
        await self.send(message, sdp=self.description(candidates, **how), type="offer", **(extra or {}))
        return await self.answer()

    async def answer(self) -> str:
        while True:
            content = await self.socket.receive_json(timeout=20)
            assert content["type"] != "error", content
            if content["type"] == "answer":
                self.gateways = content["payload"]["sdp"]
                leaks.in_description(self.gateways)
                return self.gateways

    async def trickle(self, *candidates: str | None) -> None:
        for text in candidates:
            candidate = text and {"candidate": text, "sdpMid": "0", "sdpMLineIndex": 0}
            await self.send("ice-candidate", candidate=candidate)

    @property
    def credentials(self) -> tuple[str, str]:
        """The gateway's user fragment and password."""
        return tuple(re.search(rf"a=ice-{name}:(\S+)", self.gateways)[1] for name in ("ufrag", "pwd"))

    def port(self, address: str) -> int:
        """Where the gateway has this call's media."""
        return int(re.search(rf"a=candidate:.* {re.escape(address)} (\d+) typ host", self.gateways)[1])


def is_ipv6(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host.partition("%")[0]).version == 6
    return False
