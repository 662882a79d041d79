"""No caller makes the gateway send to an address that is never dialled: a packet capture on a cable to everywhere.

A case is an address, how it is written, the way by which it gets in, and the tenant's policy. Each has a port of its own, so
that a packet says whose it is wherever it went. Beside each, in the same messages, is an address that is dialled.
"""

import asyncio
import ipaddress
import itertools
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from aioice import stun

from hostile import ADMIN, DESK, HARMLESS, HARMLESS6, HERE, HERE6, HTTP, PASSWORD, PUBLIC, UFRAG, config, is_ipv6, outpost
from packets import TCP, capturing

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

# MARK: - Addresses, and how they are written

# The first of each in every spelling, the others as they are and mapped.
RANGES = {
    "loopback": ["127.0.0.1", "127.0.0.2", "127.255.255.254", "127.255.255.255"],
    "unspecified": ["0.0.0.0", "0.1.2.3", "0.255.255.255"],
    "link-local": ["169.254.169.254", "169.254.0.1", "169.254.170.2", "169.254.255.255"],
    "multicast": ["224.0.0.1", "224.0.0.251", "239.255.255.250"],
    "broadcast": ["255.255.255.255"],
    "reserved": ["240.0.0.1", "254.1.2.3", "255.255.255.254"],
    "Alibaba's metadata": ["100.100.100.200"],
    "Oracle's metadata": ["192.0.0.192"],
    "Azure's metadata": ["168.63.129.16"],
}
RANGES6 = {
    "loopback": ["::1"],
    "unspecified": ["::"],
    "link-local": ["fe80::1", "febf:ffff::1", "fe80::a9fe:a9fe"],
    "site-local": ["fec0::1", "feff::1"],
    "multicast": ["ff02::1", "ff02::fb", "ff05::1:3", "ff0e::1", "ffff::1"],
    "Amazon's metadata": ["fd00:ec2::254"],
    "Google's metadata": ["fd20:ce::254"],
    "discard": ["100::1", "100::ffff:ffff:ffff:ffff"],
}
SERVICES = [(host, port) for host in (HERE, PUBLIC, "127.0.0.1") for port in (HTTP, ADMIN)]
SERVICES6 = [(host, port) for host in (HERE6, "::1") for port in (HTTP, ADMIN)]
LOW_PORTS = [1, 19, 22, 53, 80, 111, 123, 161, 389, 443, 1023]


def halves(address: str) -> str:
    """The last two groups of an IPv6 address that has this IPv4 address in it."""
    number = int(ipaddress.ip_address(address))
    return f"{number >> 16:x}:{number & 0xFFFF:x}"


def teredo(address: str) -> str:
    number = ~int(ipaddress.ip_address(address)) & 0xFFFFFFFF
    return f"2001:0:4136:e378:8000:63bf:{number >> 16:x}:{number & 0xFFFF:x}"


def expanded(address: str) -> str:
    return ipaddress.ip_address(address).exploded


SPELLINGS = {
    "plain": str,
    "mapped": lambda address: f"::ffff:{address}",
    "mapped, capitals": lambda address: f"::FFFF:{halves(address).upper()}",
    "mapped, hex": lambda address: f"::ffff:{halves(address)}",
    "mapped, not compressed": lambda address: f"0:0:0:0:0:ffff:{halves(address)}",
    "mapped, in full": lambda address: expanded(f"::ffff:{address}"),
    "mapped, compressed elsewhere": lambda address: f"0::0:ffff:{address}",
    "compatible": lambda address: f"::{address}",
    "compatible, hex": lambda address: f"::{halves(address)}",
    "6to4": lambda address: f"2002:{halves(address)}::",
    "6to4, a host": lambda address: expanded(f"2002:{halves(address)}::1"),
    "NAT64": lambda address: f"64:ff9b::{address}",
    "NAT64, capitals": lambda address: f"64:FF9B::{halves(address).upper()}",
    "NAT64, in full": lambda address: expanded(f"64:ff9b::{address}"),
    "local NAT64": lambda address: f"64:ff9b:1::{halves(address)}",
    "local NAT64, elsewhere": lambda address: f"64:ff9b:1:ffff:1:2:{halves(address)}",
    "Teredo": teredo,
    "Teredo, capitals": lambda address: teredo(address).upper(),
    "SIIT": lambda address: f"::ffff:0:{address}",
    "SIIT, hex": lambda address: f"::ffff:0:{halves(address)}",
    "ISATAP": lambda address: f"2a05:d018:9::5efe:{address}",
    "ISATAP, global": lambda address: f"2a05:d018:9::200:5efe:{halves(address)}",
    "ISATAP, link-local": lambda address: f"fe80::5efe:{address}",
}
SPELLINGS6 = {
    "plain": str,
    "capitals": str.upper,
    "in full": expanded,
    "in full, capitals": lambda address: expanded(address).upper(),
    "a zone": lambda address: f"{address}%lo",
}
# What inet_aton, or a resolver, takes for an address.
TRICKS = [
    "0177.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "017700000001", "127.0.0.1.", "127.000.000.001", "[::1]",
    "localhost", "localhost.", "ip6-localhost", "metadata.google.internal", "instance-data", "169.254.43518", "0xa9fea9fe",
    "2852039166", "0251.0376.0251.0376", "4f3c2a.local", "１２７.0.0.1", "127。0。0。1", "::ffff:0x7f.0.0.1", "0",
]


@dataclass(frozen=True)
class Target:
    """Where a caller wants packets sent."""

    name: str
    host: str
    port: int | None = None  # where it is the port that matters


def targets() -> list[Target]:
    found = []
    for name, addresses in RANGES.items():
        for number, address in enumerate(addresses):
            spellings = SPELLINGS if number == 0 else ["plain", "mapped"]
            found += [Target(f"{name}, {spelling}", SPELLINGS[spelling](address)) for spelling in spellings]
    for name, addresses in RANGES6.items():
        found += [Target(f"{name}, {way}", write(host)) for host in addresses for way, write in SPELLINGS6.items()]
    for host, port in SERVICES:
        found += [Target(f"own service, {way}", write(host), port) for way, write in SPELLINGS.items()]
    found += [Target("own service", write(host), port) for host, port in SERVICES6 for write in SPELLINGS6.values()]
    found += [Target("low port", host, port) for host in (HARMLESS, f"64:ff9b::{HARMLESS}", HARMLESS6) for port in LOW_PORTS]
    found += [Target("port 0", host, 0) for host in (HARMLESS, HARMLESS6)]
    return found + [Target("no address", host) for host in TRICKS]


# MARK: - Lines


@dataclass(frozen=True)
class Form:
    """A way to write a candidate. `dials` is whether one with a harmless address is dialled, under which policies."""

    text: str
    dials: tuple[str, ...] = ("none", "private")
    trickled_only: bool = False


HOST = Form("candidate:1 1 udp 2122260223 {host} {port} typ host")
RELAY = Form("candidate:4 1 udp 8191 {host} {port} typ relay raddr 0.0.0.0 rport 9", ("none", "private", "all"))
FORMS = [
    Form("candidate:2 1 udp 1686052607 {host} {port} typ srflx raddr 10.0.0.1 rport 9"),
    Form("candidate:3 1 udp 1677729535 {host} {port} typ prflx raddr 10.0.0.1 rport 9"),
    RELAY,
    Form("candidate:5 1 UDP 4294967295 {host} {port} TYP HOST generation 0 network-id 1 network-cost 10"),
    Form("candidate:6 1 udp 1 {host} {port} typ  relay", ("none", "private", "all")),
    Form("candidate:7 1 udp 1 {host} {port} typ RELAY", ("none", "private", "all")),
    Form("candidate:8 1 udp 1 {host} {port} typ host ufrag typ relay", ()),  # of another generation
    Form("candidate:8 1 udp 1 {host} {port} typ host generation typ relay x"),
    Form("candidate: typ relay 1 udp 1 {host} {port} typ host", ()),
    Form("candidate:relay 1 udp 1 {host} {port} typ host raddr typ rport relay"),
    Form("candidate:9 1 udp 0 {host} {port} typ host ufrag {ufrag}"),
    Form("candidate:9 1 udp 0 {host} {port} typ host ufrag stranger", ()),
    Form("candidate:10 2 udp 1 {host} {port} typ host", ()),
    Form("candidate:10 256 udp 1 {host} {port} typ relay", ()),
    Form("candidate:11 1 tcp 1518280447 {host} {port} typ host tcptype active", ()),
    Form("candidate:11 1 tcp 1518280447 {host} {port} typ host tcptype passive", ()),
    Form("candidate:11 1 tcp 1518280447 {host} {port} typ relay tcptype so", ()),
    Form("candidate:12 1 udp 1 {harmless} {other} typ srflx raddr {host} rport {port}", ()),
    Form("candidate:12 1 udp 1 {harmless} {other} typ relay rport {port} raddr {host}", ()),
    Form("candidate:13 1 udp 1 {host} {port} typ token", ()),
    Form("CANDIDATE:14 1 udp 1 {host} {port} typ host", trickled_only=True),
    Form("a=candidate:14 1 udp 1 {host} {port} typ host", trickled_only=True),
    Form("14 1 udp 1 {host} {port} typ host\r\n", trickled_only=True),
]
FORMED = ["169.254.169.254", "::ffff:127.0.0.1", "fd00:ec2::254", "64:ff9b::a9fe:a9fe"]


# MARK: - Ways in


async def in_offer(call, lines):
    await call.offer(*lines)


async def in_offer_with_end(call, lines):
    await call.offer(*lines, end=True)


async def trickled(call, lines):
    await call.offer()
    await call.trickle(*lines, None)


async def trickled_after_the_end(call, lines):
    await call.offer(end=True)
    await call.trickle(None, *lines)


async def trickled_before_the_answer(call, lines):
    await call.send("offer", sdp=call.description(), type="offer")
    await call.trickle(*lines)
    await call.answer()


async def in_another_offer(call, lines):
    await call.offer()
    await call.offer(*lines)


async def in_an_offer_that_restarts_ice(call, lines):
    await call.offer(ufrag="first000")
    await call.offer(*lines, ufrag=UFRAG)


async def renegotiated(call, lines):
    await call.offer()
    await call.offer(*lines, message="renegotiate", extra={"restart_pc": False})


async def renegotiated_with_an_ice_restart(call, lines):
    await call.offer(ufrag="first000")
    await call.offer(*lines, message="renegotiate", ufrag=UFRAG)


async def renegotiated_with_restart_pc(call, lines):
    await call.offer()
    await call.offer(*lines, message="renegotiate", extra={"restart_pc": True})


async def trickled_after_restart_pc(call, lines):
    await call.offer(ufrag="first000")
    await call.offer(message="renegotiate", extra={"restart_pc": True}, ufrag=UFRAG)
    await call.trickle(*lines)


WAYS = [
    in_offer, in_offer_with_end, trickled, trickled_after_the_end, trickled_before_the_answer, in_another_offer,
    in_an_offer_that_restarts_ice, renegotiated, renegotiated_with_an_ice_restart, renegotiated_with_restart_pc,
    trickled_after_restart_pc,
]
POLICIES = {"none": WAYS, "private": [in_offer, trickled, renegotiated], "all": [in_offer, trickled, renegotiated]}


@dataclass(frozen=True)
class Case:
    target: Target
    form: Form
    way: Callable
    policy: str
    port: int  # its own
    beside: int  # of the harmless address in the same line, where there is one

    def line(self, harmless: bool) -> str:
        host, port = self.target.host, self.port if self.target.port is None else self.target.port
        if harmless:
            host, port = HARMLESS6 if is_ipv6(host) else HARMLESS, self.port
        text = self.form.text.format(host=host, port=port, ufrag=UFRAG, harmless=HARMLESS, other=self.beside)
        return text

    @property
    def dials(self) -> bool:
        """Whether its line, with a harmless address in it, has that dialled."""
        return self.policy in self.form.dials

    def __str__(self):
        return f"{self.target.name}: '{self.line(False)}' {self.way.__name__}, policy {self.policy}"


def cases() -> list[Case]:
    found, ports = [], itertools.count(10_000)

    def add(target, form, way, policy):
        if not form.trickled_only or way in (trickled, trickled_after_the_end):
            found.append(Case(target, form, way, policy, next(ports), next(ports)))

    for policy, ways in POLICIES.items():
        for way in ways:
            for target in targets():
                add(target, RELAY if policy == "all" else HOST, way, policy)
            for form, host in itertools.product(FORMS, FORMED):
                add(Target("form", host), form, way, policy)
    assert next(ports) < 65_000
    return found


# MARK: - Together

AT_ONCE = 130
IN_A_CALL = 28
# Checks leave every 50 ms, those of candidates that were not checked yet first: thirty of them in 1.5 s, or a little later.
PATIENCE = 4.0


async def play(post, cases: list[Case], harmless: bool) -> dict[int, int]:
    """Tries them all, many in a call. By a case's number: the port of the harmless address that stood beside it."""
    calls, beside, room = [], {}, asyncio.Semaphore(AT_ONCE)
    ports = itertools.count(40_000)
    for _, group in itertools.groupby(range(len(cases)), lambda index: (cases[index].policy, cases[index].way)):
        for numbers in batched(group, IN_A_CALL):
            port = next(ports)
            beside.update(dict.fromkeys(numbers, port))
            calls.append(([cases[number] for number in numbers], port))

    async def call(cases: list[Case], port: int):
        form = RELAY if cases[0].policy == "all" else HOST
        lines = [case.line(harmless) for case in cases]
        lines += [form.text.format(host=host, port=port) for host in (HARMLESS, HARMLESS6)]
        async with room, post.stranger(cases[0].policy) as made:
            await cases[0].way(made, lines)
            await asyncio.sleep(PATIENCE)

    await asyncio.gather(*(call(*each) for each in calls))
    return beside


def batched(items, count: int):
    items = iter(items)
    while batch := list(itertools.islice(items, count)):
        yield batch


def watch(post, cases: list[Case], harmless: bool) -> tuple[Counter, dict[int, int], int]:
    """Packets by address and port, wherever they were seen; what stood beside each case; what the kernel did not send."""
    unsent = post.look()["media"]["unsent"]
    with capturing(post.void, post.void_end) as cable, capturing(post.gateway_machine) as machine:
        with post.caller.entered():
            beside = asyncio.run(play(post, cases, harmless))
        packets = cable.close() + machine.close()
    # Signaling goes from our side; what the gateway might open by itself, does not.
    sent = [each for each in packets if each.protocol != TCP or each.payload[13] & 0x12 == 0x02]
    return Counter((each.destination, each.port) for each in sent), beside, post.look()["media"]["unsent"] - unsent


def by_port(sent: Counter) -> Counter:
    ports = Counter()
    for (_, port), count in sent.items():
        ports[port] += count
    return ports


def others(sent: Counter) -> set[tuple[str, int]]:
    return {where for where in sent if where[0] not in (HARMLESS, HARMLESS6)}


def test_nothing_goes_to_addresses_that_are_never_dialled(tmp_path):
    began = time.monotonic()
    tried = cases()
    with outpost(tmp_path) as post:
        sent, beside, unsent = watch(post, tried, harmless=False)
    ports = by_port(sent)
    print(f"{len(tried)} cases, {len(set(beside.values()))} calls, {sum(sent.values())} packets, {time.monotonic() - began:.0f} s")
    assert len(tried) >= 400
    for number, case in enumerate(tried):
        assert sent[HARMLESS, beside[number]] and sent[HARMLESS6, beside[number]], f"nothing was dialled beside {case}"
    reached = [str(case) for case in tried if ports[case.port if case.target.port is None else case.target.port]]
    assert not reached, "\n".join(reached)
    assert not unsent, f"the kernel was asked for {unsent} packets more, which it did not send"
    assert not others(sent), "sent where nobody asked for it, as to a name server"


def test_the_same_messages_reach_addresses_that_are_harmless(tmp_path):
    """The test above could fail: wherever a line has an address dialled, this one sees it."""
    tried = cases()
    with outpost(tmp_path) as post:
        sent, _, unsent = watch(post, tried, harmless=True)
    wrong = [
        f"{'not ' if case.dials else ''}dialled: {case}"
        for case in tried
        if bool(sent[HARMLESS6 if is_ipv6(case.target.host) else HARMLESS, case.port]) != case.dials
    ]
    print(f"{sum(case.dials for case in tried)} of {len(tried)} cases are dialled with a harmless address")
    assert not wrong, "\n".join(wrong)
    assert not unsent


# MARK: - Default candidates


def test_nothing_goes_to_an_offers_default_candidate(tmp_path):
    """Neither to that of `c=` and `m=` (RFC 8839 §4.2.1.2), nor to what `a=rtcp` and `a=remote-candidates` name."""
    hosts = [each.host for each in targets() if each.port is None and "no address" not in each.name] + [HARMLESS, HARMLESS6]
    hosts = hosts[::3] + hosts[-2:]

    def change(host: str, number: int):
        family = "IP6" if ":" in host else "IP4"

        def changed(sdp: str) -> str:
            sdp = sdp.replace("c=IN IP4 192.0.2.2", f"c=IN {family} {host}").replace("m=audio 56002", f"m=audio {number}")
            sdp = sdp.replace("t=0 0", f"c=IN {family} {host}\nt=0 0").replace("o=- 8859", f"o=- {number}8859")
            sdp = sdp.replace("a=rtcp:9 IN IP4 0.0.0.0", f"a=rtcp:{number + 1} IN {family} {host}")
            return sdp.replace("a=mid:0", f"a=mid:0\na=remote-candidates:1 {host} {number + 2}")

        return changed

    async def main(post):
        room = asyncio.Semaphore(AT_ONCE)

        async def call(host: str, number: int):
            beside = [HOST.text.format(host=each, port=number + 3) for each in (HARMLESS, HARMLESS6)]
            async with room, post.stranger() as made:
                await made.offer(*beside, change=change(host, number), end=True)
                await asyncio.sleep(1)

        await asyncio.gather(*(call(host, 10_000 + 4 * number) for number, host in enumerate(hosts)))

    with outpost(tmp_path) as post:
        with capturing(post.void, post.void_end) as cable, capturing(post.gateway_machine) as machine:
            with post.caller.entered():
                asyncio.run(main(post))
            packets = cable.close() + machine.close()
        assert not post.look()["media"]["unsent"]
    sent = Counter((each.destination, each.port) for each in packets if each.protocol != TCP)
    print(f"{3 * len(hosts)} cases, {sum(sent.values())} packets")
    for number, host in enumerate(hosts):
        first = 10_000 + 4 * number
        assert sent[HARMLESS, first + 3] and sent[HARMLESS6, first + 3], f"nothing was dialled beside {host}"
        assert not any(by_port(sent)[port] for port in range(first, first + 3)), host
    assert not others(sent)


# MARK: - Datagrams that say they come from there

# What the gateway's kernel takes from a cable. It drops 0.0.0.0/8, multicast, broadcast, loopback and mapped sources.
FORGED = [
    ("169.254.169.254", 40_000), ("169.254.0.1", 40_000), ("100.100.100.200", 40_000), ("192.0.0.192", 40_000),
    ("168.63.129.16", 40_000), ("240.0.0.1", 40_000), ("254.1.2.3", 40_000), (PUBLIC, HTTP), (PUBLIC, ADMIN),
    *((HARMLESS, port) for port in (1, 19, 53, 123, 389, 1023)), *((HARMLESS6, port) for port in (53, 123, 1023)),
    ("fe80::1", 40_000), ("febf::1", 40_000), ("fec0::1", 40_000), ("feff::1", 40_000), ("fd00:ec2::254", 40_000),
    ("fd20:ce::254", 40_000), ("100::1", 40_000),
    *((write(address), 40_000) for name, write in SPELLINGS.items() if name not in ("plain", "ISATAP, link-local")
      and "mapped" not in name and not name.endswith(("capitals", "hex", "in full"))
      for address in ("127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1", "255.255.255.255", "100.100.100.200")
      if write(address) not in ("::0.0.0.0",)),
]
# And what is taken from the machine itself: a neighbour process, or the gateway's own listeners.
NEIGHBOURS = [("127.0.0.1", 40_000), ("127.9.9.9", 40_000), ("::1", 40_000)]
NEIGHBOURS += [(host, port) for host in (HERE, HERE6) for port in (HTTP, ADMIN)]


KINDS = 9  # of datagrams, below


def request(user: str, password: str | None, **attributes) -> bytes:
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes["USERNAME"] = user
    message.attributes["PRIORITY"] = 1853824767
    message.attributes["ICE-CONTROLLING"] = 1
    for name, value in attributes.items():
        message.attributes[name.replace("_", "-")] = value
    if password:
        message.add_message_integrity(password.encode())
    return bytes(message)


def pretended(call) -> dict[str, bytes]:
    """What a stranger sends in another's name; the first three by somebody who has the call's password."""
    ours, password = call.credentials
    both = f"{ours}:{call.ufrag}"
    answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE)
    answer.attributes["XOR-MAPPED-ADDRESS"] = (HERE, 40_000)
    answer.add_message_integrity(PASSWORD.encode())
    return {
        "authenticated": request(both, password),
        "nominating": request(both, password, USE_CANDIDATE=None),
        "in our role": request(both, password, ICE_CONTROLLED=1),
        "wrong password": request(both, "of somebody else's call"),
        "no password": request(both, None),
        "wrong name": request(f"somebody:{call.ufrag}", password),
        "a response": bytes(answer),
        "ClientHello": bytes.fromhex("16fefd00000000000000000010") + bytes(16),
        "RTP": bytes.fromhex("806f0001000000010000000a") + bytes(40),
    }


@pytest.mark.alone
@pytest.mark.parametrize("lite", [False, True], ids=["full", "lite"])
def test_nothing_goes_to_whom_a_datagram_pretends_to_be_from(tmp_path, lite):
    sources, controls = FORGED + NEIGHBOURS, [(HARMLESS, 40_001), (HARMLESS6, 40_001)]

    async def main(post) -> tuple[int, int]:
        """How many datagrams were sent, and how many arrived."""
        count, before = 0, post.look()["media"]["received"]
        async with post.stranger() as first, post.stranger() as second:
            for call, order in (first, 1), (second, -1):
                await call.offer()
                datagrams = list(pretended(call).values())[::order]
                assert len(datagrams) == KINDS
                for source in sources + controls:
                    here = HERE6 if ":" in source[0] else HERE
                    place = here, call.port(here)
                    for datagram in datagrams:
                        count += 1
                        if source in NEIGHBOURS:
                            with post.at(*source) as neighbour:
                                neighbour.sendto(datagram, place)
                        else:
                            post.cable.send(source, place, datagram)
                    await asyncio.sleep(0.005)
            await asyncio.sleep(PATIENCE)
            return count, post.look()["media"]["received"] - before

    template = config(("media:\n", f"media:\n  ice_lite: {str(lite).lower()}\n"))
    with outpost(tmp_path, template) as post:
        with capturing(post.void, post.void_end) as cable, capturing(post.gateway_machine) as machine:
            with post.caller.entered():
                count, arrived = asyncio.run(main(post))
            packets = cable.close() + machine.close()
        assert not post.look()["media"]["unsent"]
    sent = Counter(
        (each.destination, each.port)
        for each in packets
        if each.protocol != TCP and (each.source, each.source_port) not in NEIGHBOURS
    )
    print(f"{2 * KINDS * len(sources)} cases, {count} datagrams, {arrived} arrived; {sum(sent.values())} packets")
    assert arrived == count, "what did not reach the gateway proves nothing"
    # By each of the two calls: three answers to who knows the password, and a full agent's own checks.
    for control in controls:
        assert sent[control] >= (6 if lite else 8), control
    assert set(sent) == set(controls)


def test_nothing_goes_to_the_gateways_listeners_at_its_other_addresses(tmp_path):
    tried = [Case(Target("own service", DESK, port), HOST, in_offer, "none", port, 0) for port in (HTTP, ADMIN)]
    with outpost(tmp_path) as post:
        sent, _, _ = watch(post, tried, harmless=False)
    assert others(sent) == set()
