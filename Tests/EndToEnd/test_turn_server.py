"""docs/turn.md as it stands, run with the real coturn: callers reach the gateway through it, and nothing else."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import ipaddress
import json
import os
import re
import shlex
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from aioice import stun, turn
from aiortc import RTCConfiguration, RTCIceServer, RTCIceTransportPolicy, RTCPeerConnection

import speech
from gateway import ROOT, TURN_SECRET, Gateway, changed_config, http, patchbay, write_config
from network import network
from packets import UDP, capturing
from peer import Microphone, calling
from test_docs import FENCE

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

GATEWAY, SERVER, CALLER = "203.0.113.5", "203.0.113.9", "203.0.113.7"
GATEWAY6, SERVER6, CALLER6 = "2001:db8::5", "2001:db8::9", "2001:db8::7"
PASSWORD = "a5d1c0ffee0b5c3e7f90a1b2c3d4e5f6"
DOCUMENT = ROOT / "docs/turn.md"
BLOCKS = FENCE.findall(DOCUMENT.read_text())


def block(language: str, sign: str) -> str:
    """The document's block in a language that has `sign` in it."""
    found = [text for each, text in BLOCKS if each == language and sign in text]
    assert len(found) == 1, sign
    return found[0]


def configuration(directory) -> str:
    """turnserver.conf of the document, with a secret and a certificate."""
    made = block("text", "static-auth-secret=")
    replacements = {
        r"static-auth-secret=.*": f"static-auth-secret={TURN_SECRET}",
        r"cert=.*": f"cert={directory}/turn.pem",
        r"pkey=.*": f"pkey={directory}/turn.key",
    }
    for pattern, value in replacements.items():
        made, count = re.subn(f"(?m)^{pattern}$", value, made)
        assert count == 1, pattern
    return made


REPLACED = "use-auth-secret", "static-auth-secret", "allowed-peer-ip", "denied-peer-ip", "user-quota", "max-bps"


def configuration_for_the_gateway(directory) -> str:
    """The same with the document's lines for a gateway that relays, in the place of those that it names."""
    kept = [line for line in configuration(directory).splitlines() if line.partition("=")[0] not in REPLACED]
    changed, count = re.subn("(?m)^user=gateway:.*$", f"user=gateway:{PASSWORD}", block("text", "lt-cred-mech"))
    assert count == 1
    return "\n".join(kept) + "\n" + changed


class Machines:
    """The gateway's, the TURN server's and a caller's, all on one network."""

    def __init__(self, net, directory):
        self.directory = directory
        self.interfaces = {}
        self.gateway, self.server, self.caller, switch = (net.add(name) for name in ("gateway", "turn", "caller", "switch"))
        switch.ip("link", "add", "bridge", "type", "bridge")
        switch.ip("link", "set", "bridge", "up")
        hosts = (self.gateway, GATEWAY, GATEWAY6), (self.server, SERVER, SERVER6), (self.caller, CALLER, CALLER6)
        for machine, address, address6 in hosts:
            self.interfaces[machine], far = net.connect(machine, [f"{address}/24", f"{address6}/64"], switch, [])
            switch.ip("link", "set", far, "master", "bridge")
        # Addresses that are elsewhere lead to a machine that has none of them.
        for family, router in ("-4", GATEWAY), ("-6", GATEWAY6):
            self.server.ip(family, "route", "add", "default", "via", router)
        self.make_certificate()

    def move_caller(self, address: str):
        """Gives it this address and no other, in a network that all others know the way to."""
        interface = self.interfaces[self.caller]
        self.caller.ip("address", "flush", "dev", interface)
        host = ipaddress.ip_interface(address).network
        self.caller.ip("address", "add", host, "dev", interface, *["nodad"] * (host.version == 6))
        others = f"{GATEWAY}/24" if host.version == 4 else f"{GATEWAY6}/64"
        for machine, to in (self.caller, others), (self.gateway, address), (self.server, address):
            network = ipaddress.ip_interface(to).network
            machine.ip(f"-{host.version}", "route", "replace", network, "dev", self.interfaces[machine])

    def make_certificate(self):
        directory = self.directory
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj"]
            + ["/CN=turn.example.org", "-keyout", directory / "turn.key", "-out", directory / "turn.pem"],
            check=True,
            capture_output=True,
        )
        shutil.chown(directory / "turn.key", "turnserver")

    @contextlib.contextmanager
    def serving(self, text: str):
        """A coturn with this configuration; its log, once it has ended, is in the list."""
        file, log = self.directory / "turnserver.conf", []
        file.write_text(text)
        # The user from the start, as Debian's unit has it: the firewall knows it by that.
        user = ["setpriv", "--reuid", "turnserver", "--regid", "turnserver", "--init-groups"]
        words = self.server.command(*user, "turnserver", "-c", file, "--pidfile", self.directory / "turnserver.pid")
        said = self.directory / "turnserver.log"
        with said.open("wb") as output:
            process = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT)
        try:
            self.await_service(process, said)
            yield log
        finally:
            process.terminate()
            process.wait(20)
            log.append(said.read_text())

    def await_service(self, process, said: Path, timeout=10.0):
        """Each of coturn's threads has sockets of its own, and which of them a client's datagrams come to is another with each
        that is added. Those of UDP are all there when this thread begins, those of TCP may come later."""
        deadline = time.monotonic() + timeout
        listening = self.server.command("ss", "-Hltn", "src", f"{SERVER}:5349")
        while "IO method (admin thread)" not in said.read_text() or not subprocess.run(listening, capture_output=True, check=True).stdout:
            assert process.poll() is None and time.monotonic() < deadline, f"coturn does not serve: {said.read_text()}"
            time.sleep(0.05)


@pytest.fixture
def machines():
    # Not pytest's own, which only root may enter.
    with tempfile.TemporaryDirectory(prefix="patchbay-turn-") as directory, network() as net:
        shutil.chown(directory, "turnserver")
        yield Machines(net, Path(directory))


# MARK: - A client


FAMILY = 0x0017, "REQUESTED-ADDRESS-FAMILY", stun.pack_unsigned, stun.unpack_unsigned
stun.ATTRIBUTES_BY_TYPE[FAMILY[0]] = stun.ATTRIBUTES_BY_NAME[FAMILY[1]] = FAMILY


def credentials(id="default/users/7", lifetime=600, secret=TURN_SECRET) -> tuple[str, str]:
    name = f"{int(time.time()) + lifetime}:{id}"
    return name, base64.b64encode(hmac.digest(secret.encode(), name.encode(), hashlib.sha1)).decode()


class Client:
    """An allocation by UDP, and what the server says of its wishes: 200 or the code of an error."""

    @classmethod
    async def connect(cls, name: str | None, password: str | None) -> "Client":
        made, server = cls(), (SERVER, 3478)

        def protocol():
            return turn.TurnClientUdpProtocol(server, username=name, password=password, lifetime=600, channel_refresh_time=500)

        _, made.protocol = await asyncio.get_running_loop().create_datagram_endpoint(protocol, remote_addr=server)
        return made

    async def ask(self, method: stun.Method, **attributes) -> int:
        request = stun.Message(method, stun.Class.REQUEST)
        for name, value in attributes.items():
            request.attributes[name.replace("_", "-")] = value
        try:
            self.response, _ = await self.protocol.request_with_retry(request)
        except stun.TransactionFailed as refusal:
            return refusal.response.error_code
        return 200

    async def allocate(self, ipv6=False, transport=turn.UDP_TRANSPORT) -> int:
        family = {"REQUESTED_ADDRESS_FAMILY": 0x02000000} if ipv6 else {}
        return await self.ask(stun.Method.ALLOCATE, LIFETIME=600, REQUESTED_TRANSPORT=transport, **family)

    async def permit(self, host: str) -> int:
        return await self.ask(stun.Method.CREATE_PERMISSION, XOR_PEER_ADDRESS=(host, 40_000))

    async def bind(self, host: str, number: int) -> int:
        return await self.ask(stun.Method.CHANNEL_BIND, CHANNEL_NUMBER=number, XOR_PEER_ADDRESS=(host, 40_000))

    async def refresh(self) -> int:
        return await self.ask(stun.Method.REFRESH, LIFETIME=600)


async def allocation(*how, ipv6=False) -> Client:
    client = await Client.connect(*(how or credentials()))
    assert await client.allocate(ipv6) == 200
    return client


def run(machines, main):
    with machines.caller.entered():
        return asyncio.run(main)


# MARK: - To whom

# Every one is refused by both lists.
INSIDE = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "169.254.169.254",
    "168.63.129.16", "172.16.0.1", "172.31.255.254", "192.0.0.192", "192.168.1.1", "198.18.0.1", "224.0.0.1", "239.255.255.250",
    "240.0.0.1", "255.255.255.255", SERVER, CALLER,
    "::1", "::", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2002:7f00:1::", "2001:0:1:2:3:4:80ff:fffe", "100::1", "fe80::1", "fec0::1", "fc00::1",
    "fd00::1", "fd00:ec2::254", "fd20:ce::254", "ff02::1", "ff0e::1", SERVER6, CALLER6,
]
OUTSIDE = ["51.15.8.8", "1.1.1.1", "::ffff:51.15.8.8", "2a05:d018:100::1", "2620:fe::9"]


async def answers(hosts: list[str], how=("permit", "bind"), user=()) -> dict[tuple[str, str], int]:
    """By host and way of asking; IPv6 peers need an allocation of their own kind."""
    four, six = await allocation(*user or credentials("four")), await allocation(*user or credentials("six"), ipv6=True)
    found = {}
    for number, host in enumerate(hosts):
        client = six if ":" in host else four
        if "permit" in how:
            found[host, "permit"] = await client.permit(host)
        if "bind" in how:
            found[host, "bind"] = await client.bind(host, 0x4000 + number)
    return found


def test_only_the_gateway_can_be_a_peer(machines):
    near = [str(ipaddress.ip_address(each) + step) for each in (GATEWAY, GATEWAY6) for step in (-1, 1)]
    others = INSIDE + OUTSIDE + near + [f"::ffff:{GATEWAY}", f"::{GATEWAY}", f"64:ff9b::{GATEWAY}"]
    with machines.serving(configuration(machines.directory)) as log:
        found = run(machines, answers([GATEWAY, GATEWAY6, *others]))
        assert {found[host, way] for host in (GATEWAY, GATEWAY6) for way in ("permit", "bind")} == {200}
        assert {each: code for each, code in found.items() if each[0] not in (GATEWAY, GATEWAY6) and code != 403} == {}
    print(f"{len(others)} other addresses, each asked for in two ways")
    assert "Black listing: 0.0.0.0-255.255.255.255" in "".join(log)


def test_the_list_for_a_gateway_that_relays_leaves_the_internet(machines):
    with machines.serving(configuration_for_the_gateway(machines.directory)):
        found = run(machines, answers(INSIDE + OUTSIDE + [GATEWAY, GATEWAY6], user=("gateway", PASSWORD)))
    internet = [host for host in OUTSIDE if "ffff" not in host]
    assert {found[host, way] for host in internet for way in ("permit", "bind")} == {200}, found
    assert {each: code for each, code in found.items() if each[0] not in internet and code != 403} == {}


def test_without_the_list_peers_are_anywhere(machines):
    """The tests above could fail: it is these lines that refuse."""
    text = "\n".join(line for line in configuration(machines.directory).splitlines() if "-peer-ip=" not in line)
    with machines.serving(text):
        found = run(machines, answers([GATEWAY, "10.0.0.1", "169.254.169.254", SERVER, "fd00:ec2::254"]))
        assert set(found.values()) == {200}


def test_the_firewall_holds_what_coturn_would_let_out(machines):
    """Its rules beside a coturn that refuses nobody: datagrams leave for the gateway, and for nowhere else."""
    text = "\n".join(line for line in configuration(machines.directory).splitlines() if "-peer-ip=" not in line)

    async def send():
        hosts = [GATEWAY, CALLER, "10.0.0.1", "169.254.169.254", GATEWAY6, CALLER6, "fd00:ec2::254"]
        four, six = await allocation(*credentials("four")), await allocation(*credentials("six"), ipv6=True)
        for host in hosts:
            client = six if ":" in host else four
            assert await client.permit(host) == 200
            indication = stun.Message(stun.Method.SEND, stun.Class.INDICATION)
            indication.attributes["XOR-PEER-ADDRESS"] = host, 40_000
            indication.attributes["DATA"] = b"hello"
            client.protocol.send_stun(indication, client.protocol.server)
        await asyncio.sleep(2)

    def reached() -> set[str]:
        with machines.serving(text), capturing(machines.server) as capture:
            run(machines, send())
            time.sleep(0.3)
            sent = capture.close()
        return {each.destination for each in sent if each.protocol == UDP and each.port == 40_000}

    assert len(reached()) == 7
    machines.server.filter(block("text", "table inet turn"))
    assert reached() == {GATEWAY, GATEWAY6}


def test_tcp_is_not_relayed(machines):
    async def main():
        client = await Client.connect(*credentials())
        return await client.allocate(transport=turn.TCP_TRANSPORT)

    with machines.serving(configuration(machines.directory)):
        assert run(machines, main()) in (400, 403, 442)


# MARK: - Who, and how much


def test_credentials_are_good_until_they_expire(machines):
    async def main():
        for what, (name, password) in {
            "another secret": credentials(secret="f" * 32),
            "expired": credentials(lifetime=-5),
            "a later time than was signed": (credentials(lifetime=9000)[0], credentials()[1]),
            "another id than was signed": (credentials("8")[0], credentials()[1]),
            "no password": (credentials()[0], ""),
            "nothing": (None, None),
        }.items():
            client = await Client.connect(name, password)
            assert await client.allocate() == 401, what
        short = credentials(lifetime=3)
        client = await allocation(*short)
        await asyncio.sleep(5)
        late = await Client.connect(*short)
        assert await late.allocate() == 401
        assert await client.refresh() == 200 and await client.permit(GATEWAY) == 200, "what exists goes on"

    with machines.serving(configuration(machines.directory)) as log:
        run(machines, main())
    log = "".join(log)
    assert TURN_SECRET not in log and credentials()[1] not in log


def test_two_secrets_may_stand_side_by_side(machines):
    async def main():
        return [await (await Client.connect(*credentials(secret=each))).allocate() for each in (TURN_SECRET, "f" * 32, "e" * 32)]

    with machines.serving(configuration(machines.directory) + f"\nstatic-auth-secret={'f' * 32}\n"):
        assert run(machines, main()) == [200, 200, 401]


def test_a_caller_has_so_many_allocations(machines):
    """Counted by id, not by name: credentials asked for again make no new caller."""

    async def main() -> list[int]:
        clients = [await Client.connect(*credentials(lifetime=600 + number)) for number in range(16)]
        codes = [await client.allocate() for client in clients]
        other = await Client.connect(*credentials("8"))
        assert await other.allocate() == 200
        return codes

    with machines.serving(configuration(machines.directory)):
        codes = run(machines, main())
    # coturn sometimes admits one more than the quota.
    assert codes[:12] == [200] * 12 and set(codes[13:]) == {486}, codes


def test_all_have_so_many_allocations(machines):
    text = configuration(machines.directory).replace("total-quota=1000", "total-quota=20")

    async def main() -> list[int]:
        return [await (await Client.connect(*credentials(str(number)))).allocate() for number in range(30)]

    with machines.serving(text):
        codes = run(machines, main())
    print(codes)
    assert codes[:20] == [200] * 20 and set(codes[22:]) == {486}


def test_turns_is_tls_of_today(machines):
    async def main():
        trust = ssl.create_default_context(cafile=machines.directory / "turn.pem")
        trust.check_hostname = False
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_connection(
            lambda: turn.TurnClientTcpProtocol(
                (SERVER, 5349), username=name, password=password, lifetime=600, channel_refresh_time=500
            ),
            SERVER, 5349, ssl=trust,
        )
        await protocol.connect()
        version = transport.get_extra_info("ssl_object").version()
        await protocol.delete()
        return protocol.relayed_address[0], version

    name, password = credentials()
    with machines.serving(configuration(machines.directory)):
        address, version = run(machines, main())
        assert address == SERVER and version in ("TLSv1.2", "TLSv1.3")
        # A new certificate, which is trusted alone from here on.
        machines.make_certificate()
        with pytest.raises(ssl.SSLCertVerificationError):
            run(machines, main())
        os.kill(int((machines.directory / "turnserver.pid").read_text()), signal.SIGUSR2)
        deadline = time.monotonic() + 20
        while True:
            try:
                assert run(machines, main())[0] == SERVER
                break
            except ssl.SSLCertVerificationError:
                assert time.monotonic() < deadline, "the new certificate is not shown"
                time.sleep(0.1)
        udp = subprocess.run(machines.server.command("ss", "-Hlun"), capture_output=True, text=True, check=True).stdout
        tcp = subprocess.run(machines.server.command("ss", "-Hltn"), capture_output=True, text=True, check=True).stdout
    # 5349 by UDP would be DTLS; what else listens would be the console or the web interface.
    assert {int(line.split()[3].rpartition(":")[2]) for line in tcp.splitlines()} == {3478, 5349}
    assert {int(line.split()[3].rpartition(":")[2]) for line in udp.splitlines()} <= {3478, 5349}


# MARK: - With the gateway


NO_UDP = f"""
table inet firewall {{
  chain out {{
    type filter hook output priority 0
    ip daddr {GATEWAY} meta l4proto udp drop
    ip6 daddr {GATEWAY6} meta l4proto udp drop
  }}
}}
"""


@pytest.fixture
def gateway(machines):
    """A gateway with the document's `ice_servers`, that callers cannot reach directly by UDP."""
    servers = block("yaml", "data/turn.secret").replace("data/turn.secret", str(machines.directory / "turn.secret"))
    servers = re.sub(r"secret: \{ (.*) \}", r"secret: {{ \1 }}", servers.replace("turn.example.org", SERVER))
    template = changed_config(
        ("  addresses: [127.0.0.1]\n", f'  addresses: [{GATEWAY}, "{GATEWAY6}"]\n'),
        ("admin: 127.0.0.1:0", f"admin: {GATEWAY}:0"),
        ("  player: {{ type: player, path: {player} }}\n", ""),
        (', "3": player', ""),
        ("stores:\n", f"{servers}stores:\n"),
    )
    machines.caller.filter(NO_UDP)
    with machines.gateway.entered():
        made = Gateway(write_config(machines.directory, template, listen=f"{GATEWAY}:8080"))
    try:
        yield made
    finally:
        assert made.stop() == 0, made.log.read_text()[-4000:]


@pytest.mark.alone
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_call_through_it_has_sound_both_ways(machines, gateway, sentences, noisy, transport):
    said = speech.read(noisy["harbour"])[: 7 * speech.RATE]

    async def main():
        url = gateway.embed_session("emb_echo")
        asked = f"{gateway.url}/api/v1/public/embed/turn-credentials/{url.rpartition('/')[2]}"
        status, _, body = http("GET", asked, headers={"Origin": "http://localhost"})
        assert status == 200, body
        given = json.loads(body)
        assert int(given["username"].partition(":")[0]) - time.time() <= 3600
        uris = [uri for uri in given["uris"] if uri == f"turn:{SERVER}:3478?transport={transport}"]
        servers = [RTCIceServer(uris, given["username"], given["password"])]
        async with calling(url, said) as caller:
            caller.pc = RTCPeerConnection(RTCConfiguration(servers, iceTransportPolicy=RTCIceTransportPolicy.RELAY))
            caller.microphone = Microphone(said)
            caller._wire()
            await caller.offer()
            await caller.connected()
            await asyncio.sleep(7)
            ice = caller.pc.getTransceivers()[0].sender.transport.transport._connection
            kinds = {each.type for each in ice.local_candidates}
            pair = ice._nominated[1]
            return kinds, (pair.local_candidate.host, pair.remote_candidate.host), caller.heard(), await caller.packets(), given

    with machines.serving(configuration(machines.directory)) as log:
        kinds, pair, heard, packets, given = run(machines, main())
        with machines.caller.entered():
            gateway.await_idle()
    assert kinds == {"relay"} and pair == (SERVER, GATEWAY)
    print(packets)
    speech.assert_heard("harbour", sentences, heard)
    print(packets)
    assert packets["sent"] > 300 and packets["received"] > 300
    assert packets["lost"] == packets["remote_lost"] == 0
    assert given["password"] not in "".join(log)


def test_without_it_the_call_does_not_connect(machines, gateway):
    """The call above did go through the TURN server: it is the only way there is."""

    async def main():
        async with calling(gateway.embed_session("emb_echo")) as caller:
            await caller.offer()
            await asyncio.sleep(4)
            return caller.pc.connectionState

    assert run(machines, main()) != "connected"


def test_what_the_document_does_to_see_whether_it_works(machines):
    """`turnutils_uclient` on the caller's machine: the gateway is let through, and this machine is not."""
    lines = [line for line in block("sh", "turnutils_uclient").splitlines() if line]
    (machines.directory / "data").mkdir()
    make = block("sh", "openssl rand").partition(" #")[0]
    subprocess.run(make, shell=True, cwd=machines.directory, check=True)
    secret = machines.directory / "data/turn.secret"
    assert secret.stat().st_mode & 0o777 == 0o600
    said = []
    with machines.serving(configuration(machines.directory).replace(TURN_SECRET, secret.read_text().strip())):
        for line in lines:
            words = shlex.join(machines.caller.command("sh", "-c", line.replace("turn.example.org", SERVER)))
            run = subprocess.run(
                words, shell=True, cwd=machines.directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60
            )
            said.append(run.stdout)
    assert re.search(r"channel bind sent\n.*cb response received: \n.*success", said[0]), said[0]
    assert "error 403" not in said[0]
    assert "error 403 (Forbidden IP)" in said[1], said[1]


# MARK: - For a gateway that relays


@contextlib.contextmanager
def relayed(machines, directory, loops: int, port=20_000, listen=GATEWAY):
    """A gateway with the document's user of its own that can be reached by its relays only, with so many media loops."""
    directory.mkdir()
    (directory / "relay.password").write_text(PASSWORD)
    (directory / "relay.password").chmod(0o600)
    servers = block("yaml", "data/relay.password").replace("data/", f"{directory}/").replace("relay.example.org", SERVER)
    template = changed_config(
        ("  addresses: [127.0.0.1]\n", f'  addresses: [{GATEWAY}, "{GATEWAY6}"]\n  loops: {loops}\n'),
        ("{ports}", f"{port}-{port + loops - 1}"),
        ("outbound: none", "outbound: all"),
        ("  player: {{ type: player, path: {player} }}\n", ""),
        (', "3": player', ""),
        ("stores:\n", servers.replace("{", "{{").replace("}", "}}") + "stores:\n"),
    )
    with machines.gateway.entered():
        config = write_config(directory, template, listen=f"'{listen}:0'")
        made = Gateway(config, namespace=machines.gateway)
    try:
        yield made
    finally:
        assert made.stop() == 0, made.log.read_text()[-4000:]


def await_relays(gateway, count: int) -> str:
    """Its log, when so many allocations are there or are refused."""
    deadline = time.monotonic() + 60
    while len(re.findall("relays to this gateway|refuses: 486", log := gateway.log.read_text())) < count and time.monotonic() < deadline:
        time.sleep(0.1)
    return log


@pytest.mark.alone
@pytest.mark.parametrize("caller, listen", [(OUTSIDE[0], GATEWAY), (OUTSIDE[3], f"[{GATEWAY6}]")], ids=["IPv4", "IPv6"])
def test_six_calls_share_one_allocation_of_a_gateway_that_relays(machines, noisy, caller, listen):
    machines.move_caller(caller)
    machines.caller.filter(NO_UDP)
    with machines.serving(configuration_for_the_gateway(machines.directory)):
        with relayed(machines, machines.directory / "gateway", loops=1, listen=listen) as gateway:
            await_relays(gateway, 2)
            words = "call", f"{gateway.url}/", "--token", "emb_echo", "--in", noisy["harbour"], "--seconds", 8, "--calls", 6, "--json"
            run = patchbay(*words, machine=machines.caller)
    calls = json.loads(run.stdout)["calls"]
    for call in calls:
        print({name: call[name] for name in ("connected", "packets_sent", "packets_received", "packets_lost", "remote_lost")})
    assert len(calls) == 6 and all(call["connected"] and call["packets_received"] > 350 for call in calls), run.stdout + run.stderr
    assert sum(call["packets_lost"] + call["remote_lost"] for call in calls) <= 6, run.stdout


def test_a_gateway_that_relays_has_an_allocation_for_each_loop_and_ip_version_beside_those_of_one_that_was_killed(machines):
    """Which is still there, as its allocations would be."""
    with machines.serving(configuration_for_the_gateway(machines.directory)), contextlib.ExitStack() as stack:
        for name, port in ("before", 20_000), ("after", 21_000):
            gateway = stack.enter_context(relayed(machines, machines.directory / name, loops=16, port=port))
            log = await_relays(gateway, 32)
            assert log.count("a TURN server relays to this gateway") == 32 and "refuses: 486" not in log, log
