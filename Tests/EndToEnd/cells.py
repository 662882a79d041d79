"""The matrix of networks: which cells there are, a gateway's settings in each, and who gets through and why."""

import contextlib
import dataclasses
import functools
import itertools
import json
import subprocess
import sys
import time
from pathlib import Path

import leaks
from gateway import TURN_SECRET, Gateway, changed_config, embed_session, write_config
from network import Internet, Namespace, network

HTTP, ICE_TCP = 8080, 41000
CALLERS = ["none", "full cone", "address-restricted", "port-restricted", "symmetric"]
GATEWAYS = ["none", "1:1", "port-restricted", "symmetric"]
STUN = f"stun:{Internet.TURN}:3478"
TURN = [
    f"turn:{Internet.TURN}:3478?transport=udp",
    f"turn:{Internet.TURN}:3478?transport=tcp",
    f"turns:{Internet.TURN}:5349?transport=tcp",
]


@dataclasses.dataclass(frozen=True)
class Cell:
    caller: str  # the NAT before the caller
    gateway: str  # the NAT before the gateway
    udp: bool = True  # whether the caller's router lets UDP out
    caller_turn: bool = False  # whether the gateway hands out credentials of a TURN server, and callers take them
    gateway_turn: bool = False  # whether it has relayed candidates of its own
    tcp: bool = False  # whether it has a TCP port for media

    @property
    def behind(self) -> bool:
        """Whether nobody reaches the gateway to whom it has not sent."""
        return self.gateway not in ("none", "1:1")

    @property
    def turn(self) -> str:
        return {(False, False): "no", (True, False): "callers", (False, True): "gateway", (True, True): "both"}[
            self.caller_turn, self.gateway_turn
        ]

    def __str__(self) -> str:
        """Its name, as caller/gateway/udp/turn-both."""
        words = [self.caller, self.gateway, "udp" if self.udp else "no-udp", f"turn-{self.turn}", *["ice-tcp"] * self.tcp]
        return "/".join(words).replace(" ", "-")


def matrix() -> list[Cell]:
    """Relayed candidates are for a gateway that others do not reach, and a TCP port for media is where nothing else helps."""
    cells = []
    for gateway, udp, caller in itertools.product(GATEWAYS, (True, False), CALLERS):
        cell = Cell(caller, gateway, udp)
        more = functools.partial(dataclasses.replace, cell)
        cells.append(cell)
        if not udp:
            cells.append(more(tcp=True))
        if cell.behind and udp:
            cells += [more(gateway_turn=True), more(caller_turn=True)]
        cells.append(more(caller_turn=True, gateway_turn=cell.behind))
    return cells


@dataclasses.dataclass(frozen=True)
class Program:
    """What a caller is capable of."""

    stun: bool  # learns its public address where it is given a STUN server
    stun_of_turn: bool  # and where it is given a TURN server only
    turn: bool
    tcp: bool  # connects to TCP candidates


PROGRAMS = {
    "chromium": Program(stun=True, stun_of_turn=True, turn=True, tcp=True),
    "aiortc": Program(stun=True, stun_of_turn=False, turn=True, tcp=False),
    "call": Program(stun=True, stun_of_turn=True, turn=True, tcp=False),
}
# Nothing gets through directly between these, though both know where they are seen: one of them has another port for the other.
NO_WAY = {("symmetric", "port-restricted"), ("symmetric", "symmetric"), ("port-restricted", "symmetric")}


def expected(cell: Cell, program: str) -> tuple[bool, str]:
    """Whether a caller gets through, and why."""
    can = PROGRAMS[program]
    if not cell.udp:
        if cell.tcp and can.tcp:
            return True, "ICE-TCP"
        if cell.caller_turn and can.turn:
            return True, "the caller's relay, over TCP or TLS"
        return False, "no UDP, and neither TURN nor ICE-TCP"
    if not cell.behind:
        return True, "the gateway's public address"
    known = cell.caller in ("none", "firewall") or (can.stun_of_turn if cell.caller_turn and can.turn else can.stun)
    if known and (cell.caller, cell.gateway) not in NO_WAY:
        return True, "the gateway sends first, and its NAT lets the answer in"
    if cell.caller_turn and can.turn:
        return True, "the caller's relay"
    if cell.gateway_turn:
        return True, "the gateway's relay, which lets in where the signaling comes from"
    if not known:
        return False, "the gateway is not told where to send first"
    return False, "no NAT keeps the port that the other side was told"


def settings(cell: Cell, at: str, public: str, directory: str = "{directory}") -> tuple[list[str], list[str]]:
    """The lines of `media` and of `ice_servers` for a gateway at `at`, which is known as `public`."""
    media, servers = [f"addresses: [{at}]"], []
    if cell.gateway == "1:1":
        media.append(f"public_address: {public}")
    if cell.behind:
        servers.append(f"- urls: ['{STUN}']")
    if cell.gateway_turn:
        media.append("relay: true")
    if cell.tcp:
        media.append(f"tcp_port: {ICE_TCP}")
    if cell.caller_turn or cell.gateway_turn:
        servers += [f"- urls: {TURN}", f"  secret: {{{{ file: {directory}/turn.secret }}}}", "  ttl: 1h"]
    return media, servers


def template(media: list[str], servers: list[str]) -> str:
    """A configuration with an echo and a parrot, for write_config."""
    return changed_config(
        ("  addresses: [127.0.0.1]\n", "".join(f"  {line}\n" for line in media)),
        ("  player: {{ type: player, path: {player} }}\n", ""),
        (', "3": player', ""),
    ) + ("ice_servers:\n" + "".join(f"  {line}\n" for line in servers) if servers else "")


class Processes:
    """Those that run now, so that all of them can be ended before their time."""

    def __init__(self):
        self.live: set[subprocess.Popen] = set()
        self.stopped = False

    @contextlib.contextmanager
    def start(self, command: list[str], **options):
        """A process that does not outlive what happens inside; a terminal's Ctrl-C is not for it."""
        if self.stopped:
            raise InterruptedError("stopped")
        process = subprocess.Popen(command, process_group=0, **options)
        self.live.add(process)
        try:
            yield process
        finally:
            self.live.discard(process)
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def stop(self) -> None:
        self.stopped = True
        for each in list(self.live):
            each.terminate()


PROCESSES = Processes()


def certificates(directory: Path) -> None:
    """`ca.pem`, and `turn.pem` with `turn.key` that it has signed for the TURN server's address."""
    new_key = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    (directory / "turn.ext").write_text(f"subjectAltName=IP:{Internet.TURN}\n")
    for command in (
        [*new_key, "-x509", "-days", "2", "-subj", "/CN=a test's own CA", "-keyout", "ca.key", "-out", "ca.pem"],
        [*new_key, "-subj", f"/CN={Internet.TURN}", "-keyout", "turn.key", "-out", "turn.csr"],
        ["openssl", "x509", "-req", "-days", "2", "-in", "turn.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
         "-extfile", "turn.ext", "-out", "turn.pem"],
    ):
        subprocess.run(command, cwd=directory, check=True, capture_output=True)


@contextlib.contextmanager
def coturn(where: Namespace, directory: Path, *options: str):
    """A STUN and TURN server over UDP, TCP and TLS; it makes its certificate, of a CA of its own, when it first starts there."""
    if not (directory / "turn.pem").exists():
        certificates(directory)
    log = directory / "turn.log"
    command = where.command(
        "turnserver", "-n", "-m", "1", "--no-cli", "--no-dtls", "--log-file", "stdout", "--realm", "patchbay",
        "--listening-ip", Internet.TURN, "--relay-ip", Internet.TURN, "--use-auth-secret", "--static-auth-secret", TURN_SECRET,
        "--cert", directory / "turn.pem", "--pkey", directory / "turn.key",
        "--pidfile", directory / "turn.pid", "--userdb", directory / "turn.db", *options,
    )
    with log.open("wb") as output, PROCESSES.start(command, stdout=output, stderr=subprocess.STDOUT, cwd=directory) as process:
        deadline = time.monotonic() + 15
        # Its relay threads are there before its sockets, and this one is there after them.
        while "IO method (admin thread)" not in log.read_text(errors="replace"):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text(errors="replace")
            time.sleep(0.05)
        yield process


@dataclasses.dataclass
class Running:
    """A cell with its machines up, its NATs proven, and its gateway and TURN server serving."""

    cell: Cell
    internet: Internet
    gateway: Gateway
    directory: Path
    turn: contextlib.ExitStack  # which ends the TURN server

    @property
    def url(self) -> str:
        return f"http://{self.internet.gateway.public}:{HTTP}/"

    def start_turn(self) -> None:
        self.turn.enter_context(coturn(self.internet.turn, self.directory))

    def restart_turn(self, pause=1.0) -> None:
        """Ends the TURN server, and with it all that it relays; after `pause` seconds there is another."""
        self.turn.close()
        time.sleep(pause)
        self.start_turn()

    def session(self, token="emb_echo") -> tuple[str, list[dict]]:
        """The address of an embed session's socket, and the TURN servers, as a browser wants them, that its page is given."""
        with self.internet.caller.machine.entered():
            return embed_session(self.url, token)

    def call(self, runs=1, rate: float | None = None, seconds=1) -> list[dict]:
        """Our own caller's figures."""
        words = [self.gateway.binary, "call", self.url, "--token", "emb_echo", "--seconds", seconds, "--calls", runs, "--json"]
        words += [] if self.cell.caller_turn else ["--no-turn", "--stun", STUN]
        words += ["--rate", rate] if rate else []
        with self.start(*words) as process:
            said, _ = process.communicate(timeout=seconds + 90 + runs / (rate or runs))
            leaks.check("patchbay call", said)
            return json.loads(said)["calls"]

    def start(self, *words, **options):
        """Starts a program at the caller's."""
        command = self.internet.caller.machine.command(*words)
        return PROCESSES.start(command, stdout=subprocess.PIPE, text=True, cwd=self.directory, **options)

    @contextlib.contextmanager
    def caller(self, program: str):
        """A program that places calls from the caller's machine: what it says of each, when asked for `runs`."""
        words = [sys.executable, Path(__file__).with_name("callers.py"), program, self.url, self.directory]
        with self.start(*words, stdin=subprocess.PIPE) as process:

            def ask(runs=1, at_once=1, **options) -> list[dict]:
                servers = {"turn": True} if self.cell.caller_turn else {"stun": STUN}
                request = {"runs": runs, "at_once": at_once, "udp": self.cell.udp, **servers, **options}
                print(json.dumps(request), file=process.stdin, flush=True)
                lines = [process.stdout.readline() for _ in range(runs)]
                assert all(lines), f"{program} ended with {process.wait()}"
                return [json.loads(line) for line in lines]

            yield ask


@contextlib.contextmanager
def running(cell: Cell, directory: Path, config: str | None = None, changes: dict | None = None, also=()):
    """Builds a cell and starts what serves in it.

    The gateway gets `config` instead of the cell's own, `changes` to it, and public addresses that it has `also`.
    """
    with network() as net, contextlib.ExitStack() as stack:
        internet = Internet(net, cell.caller, cell.gateway, [HTTP, *[ICE_TCP] * cell.tcp])
        internet.verify()
        if not cell.udp:
            internet.block_udp()
        site = internet.gateway
        for address in also:
            site.machine.ip("address", "add", f"{address}/25", "dev", site.interface)
        config = config or template(*settings(cell, site.private, site.public))
        path = write_config(directory, config, **{"listen": f"0.0.0.0:{HTTP}", **(changes or {})})
        turn = stack.enter_context(contextlib.ExitStack())
        turn.enter_context(coturn(internet.turn, directory))
        gateway = Gateway(path, namespace=site.machine)
        stack.callback(gateway.stop)
        if cell.behind and STUN in config:
            gateway.await_log("a STUN server sees this gateway")
        if cell.gateway_turn and "relay: true" in config:
            gateway.await_log("a TURN server relays to this gateway")
        yield Running(cell, internet, gateway, directory, turn)
        code, log = gateway.stop(), gateway.log.read_text()
        assert code == 0 and "Fatal error" not in log, f"the gateway ended with {code}:\n{log[-4000:]}"
