"""Networks of a test's own: namespaces, the cables between them, and what stands in the way."""

import contextlib
import ctypes
import itertools
import os
import select
import socket
import struct
import subprocess
from pathlib import Path

NUMBERS = itertools.count(1)
NEW_NETWORK = 0x40000000  # CLONE_NEWNET, which Python knows from 3.12 on
NETLINK_NETFILTER, DELETE_CONNECTIONS, REQUEST_ACKNOWLEDGED = 12, 0x0102, 0x05
LIBC = ctypes.CDLL(None, use_errno=True)


def run(*words, stdin: str | None = None) -> None:
    done = subprocess.run([str(word) for word in words], input=stdin, text=True, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stderr}{stdin or ''}")


class Namespace:
    """A machine with a network stack of its own."""

    def __init__(self, name: str):
        self.name = f"pb{os.getpid()}-{next(NUMBERS)}-{name}"
        run("ip", "netns", "add", self.name)
        self.ip("link", "set", "lo", "up")

    def ip(self, *words) -> None:
        run("ip", "-n", self.name, *words)

    def command(self, *words) -> list[str]:
        """What runs `words` in here."""
        return ["ip", "netns", "exec", self.name, *map(str, words)]

    @contextlib.contextmanager
    def entered(self):
        """What this thread opens and starts inside is in here: sockets, and processes with theirs."""
        with open("/proc/thread-self/ns/net") as outside, open(f"/run/netns/{self.name}") as inside:
            enter(inside)
            try:
                yield self
            finally:
                enter(outside)

    def filter(self, rules: str) -> None:
        """Loads an nftables rule set."""
        run(*self.command("nft", "-f", "-"), stdin=rules)

    def forward(self) -> None:
        self.sysctl("net/ipv4/ip_forward", 1)

    def sysctl(self, name: str, value) -> None:
        run(*self.command("sh", "-c", f"echo {value} > /proc/sys/{name}"))

    def udp(self, address: str = "0.0.0.0", port: int = 0) -> socket.socket:
        with self.entered():
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((address, port))
        return made

    def route(self, to: str, via: str) -> None:
        self.ip("route", "add", to, "via", via)

    def forget(self) -> None:
        """Empties the table of connections: what comes next gets a new mapping, as after a router's restart."""
        with self.entered(), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as netlink:
            netlink.sendto(struct.pack("=IHHIIBBH", 20, DELETE_CONNECTIONS, REQUEST_ACKNOWLEDGED, 1, 0, 0, 0, 0), (0, 0))
            error = struct.unpack_from("=i", netlink.recv(4096), 16)[0]
        assert error == 0, os.strerror(-error)

    def remove(self) -> None:
        run("ip", "netns", "del", self.name)


def enter(namespace) -> None:
    if LIBC.setns(namespace.fileno(), NEW_NETWORK):
        raise OSError(ctypes.get_errno(), "setns")


class Network:
    """Namespaces that go when the test ends, and their cables with them."""

    def __init__(self):
        self.namespaces: list[Namespace] = []

    def add(self, name: str) -> Namespace:
        self.namespaces.append(Namespace(name))
        return self.namespaces[-1]

    def connect(self, left: Namespace, left_addresses: list[str], right: Namespace, right_addresses: list[str]) -> list[str]:
        """Lays a cable between two; addresses with the length of their prefix, as 192.0.2.1/24. The names of its ends."""
        ends = [f"c{os.getpid() % 100_000}x{next(NUMBERS)}" for _ in range(2)]
        run("ip", "link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for end, namespace, addresses in zip(ends, (left, right), (left_addresses, right_addresses)):
            run("ip", "link", "set", end, "netns", namespace.name)
            for address in addresses:
                # Nobody else has it: the kernel need not ask around for seconds.
                namespace.ip("address", "add", address, "dev", end, *["nodad"] * (":" in address))
            namespace.ip("link", "set", end, "up")
        return ends


@contextlib.contextmanager
def network():
    made = Network()
    try:
        yield made
    finally:
        with contextlib.ExitStack() as removals:  # all of them, though one fails
            for namespace in made.namespaces:
                removals.callback(namespace.remove)


def sweep() -> None:
    """Removes what a process left behind that was killed."""
    for path in Path("/run/netns").glob("pb*-*-*"):
        owner = path.name[2:].split("-")[0]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            run("ip", "netns", "del", path.name)


# Lets nothing in that was not asked for, as the firewall of most callers does.
STATEFUL = """
table inet firewall {
  chain input {
    type filter hook input priority 0; policy drop;
    iif lo accept
    ct state established,related accept
  }
}
"""

# Lets no UDP through, as the firewall of a company may do.
NO_UDP = """
table inet no_udp {
  chain forward { type filter hook forward priority 0; meta l4proto udp drop; }
}
"""

# Each NAT and how it behaves, in the words of RFC 4787: which destinations share a mapping, and from where one lets in.
ALL, ADDRESS, PORT = "endpoint-independent", "address-dependent", "address and port-dependent"
BEHAVIOUR = {
    "none": (ALL, ALL),
    "firewall": (ALL, PORT),
    "1:1": (ALL, ALL),
    "full cone": (ALL, ALL),
    "address-restricted": (ALL, ADDRESS),
    "port-restricted": (ALL, PORT),
    "symmetric": (PORT, PORT),
}
# What a router has to remember of a datagram on its way out to let one in, where more may come in than answers.
REMEMBERED = {
    "full cone": ("inet_service", "udp sport", "udp dport"),
    "address-restricted": ("ipv4_addr . inet_service", "ip daddr . udp sport", "ip saddr . udp dport"),
}


def one_to_one(public: str, private: str) -> str:
    """The rules by which `private` is known as `public` outside, port by port, as a cloud does it."""
    return f"""
table ip nat {{
  chain in {{ type nat hook prerouting priority dstnat; ip daddr {public} dnat to {private}; }}
  chain out {{ type nat hook postrouting priority srcnat; ip saddr {private} snat to {public}; }}
}}
"""


def address_for_all(kind: str, public: str, private: str, services=()) -> str:
    """The rules of a router with one address for all who are behind it. TCP to the ports of `services` is let in.

    The kernel keeps a port where it can, and translates each datagram of a socket alike. With `fully-random` each destination
    gets a port of its own. What is for nobody is dropped before it makes an entry in the kernel's table of connections,
    for that would have the next datagram out get another port.
    """
    forwarded = f"ip daddr {public} tcp dport {{ {', '.join(map(str, services))} }} dnat to {private};" if services else ""
    memory = let_in = note = ""
    if kind in REMEMBERED:
        type, leaving, coming = REMEMBERED[kind]
        memory = f"set seen {{ type {type}; size 65535; flags dynamic,timeout; timeout 5m; }}"
        let_in = f"ip daddr {public} {coming} @seen dnat to {private};"
        note = f"ip saddr {public} meta l4proto udp update @seen {{ {leaving} }};"
    return f"""
table ip nat {{
  {memory}
  chain in {{ type nat hook prerouting priority dstnat; {forwarded} {let_in} }}
  chain out {{
    type nat hook postrouting priority srcnat;
    ip saddr {private} snat to {public} {'fully-random' if kind == 'symmetric' else ''};
  }}
  chain note {{ type filter hook postrouting priority srcnat + 10; {note} }}
}}
table ip firewall {{
  chain input {{ type filter hook input priority 0; ip daddr {public} drop; }}
}}
"""


def translation(kind: str, public: str, private: str, services=()) -> str:
    if kind == "1:1":
        return one_to_one(public, private)
    return address_for_all(kind, public, private, services)


def behaviour(client: Namespace, outside: Namespace, addresses: list[str], ports=(7001, 7002), wait=0.25) -> tuple[str, str]:
    """How what is between two treats UDP: mapping and filtering, found by sending between one and two addresses of the other."""
    with contextlib.ExitStack() as open_sockets:
        servers = {
            (address, port): open_sockets.enter_context(outside.udp(address, port)) for address in addresses for port in ports
        }
        first, other_port, other_address, neither = [(address, port) for address in addresses for port in ports]
        one = open_sockets.enter_context(client.udp())
        seen = {}
        for where, server in servers.items():
            one.sendto(b"who am I?", where)
            seen[where] = source(server, wait)
        if seen[first] == seen[other_port] == seen[other_address] == seen[neither]:
            mapping = ALL
        elif seen[first] == seen[other_port] and seen[other_address] == seen[neither]:
            mapping = ADDRESS
        else:
            mapping = PORT

        # A socket that only ever sent to `first` is sent to from elsewhere.
        another = open_sockets.enter_context(client.udp())
        another.sendto(b"who am I?", first)
        where = source(servers[first], wait)
        for server in servers:
            servers[server].sendto(b"may I?", where)
        come = {source(another, wait)}  # the first of them may take its time
        while (sender := source(another, wait, must=first not in come)) is not None:
            come.add(sender)
        filters = {frozenset(servers): ALL, frozenset([first, other_port]): ADDRESS, frozenset([first]): PORT}
        return mapping, filters[frozenset(come)]


def source(receiver: socket.socket, wait: float, must=True) -> tuple[str, int] | None:
    """From where the next datagram comes."""
    if select.select([receiver], [], [], wait * 8 if must else wait)[0]:
        return receiver.recvfrom(100)[1]
    assert not must, "a datagram did not arrive"
    return None


def reaches(client: Namespace, server: Namespace, address: str, kind=socket.SOCK_STREAM, port=7003) -> bool:
    """Whether one may send to an address of another, over TCP or UDP."""
    with server.entered(), socket.socket(socket.AF_INET, kind) as listener:
        listener.bind((address, port))
        with client.entered(), socket.socket(socket.AF_INET, kind) as caller:
            caller.settimeout(0.5)
            try:
                if kind == socket.SOCK_STREAM:
                    listener.listen()
                caller.connect((address, port))
                caller.send(b"hello")
            except OSError:
                return False
        return bool(select.select([listener], [], [], 0.5)[0])


class Site:
    """A machine and the router between it and the internet, which knows both by `public`."""

    def __init__(
        self, net: Network, internet: Namespace, name: str, outside: str, inside: str, nat: str, services=(),
        machine: Namespace | None = None,
    ):
        """`outside` is a network of public addresses, given by its first three numbers, and `inside` one of private ones.

        A `machine` that there is already gets one more interface, for what is sent from its address there.
        """
        self.machine, self.router, self.nat = machine or net.add(name), net.add(f"{name}-router"), nat
        self.private = f"{outside}.130" if nat in ("none", "firewall") else f"{inside}.2"
        self.public = self.private if nat in ("none", "firewall") else f"{outside}.5"
        way_out = self.private.rpartition(".")[0] + (".129" if self.private == self.public else ".1")
        net.connect(self.router, [f"{outside}.5/25"], internet, [f"{outside}.1/25"])
        [self.interface, _] = net.connect(self.machine, [f"{self.private}/25"], self.router, [f"{way_out}/25"])
        table = 1000 + next(NUMBERS) if machine else "main"
        self.machine.ip("route", "add", "default", "via", way_out, "table", table)
        if machine:
            self.machine.ip("rule", "add", "from", self.private, "table", table)
        self.router.route("default", f"{outside}.1")
        internet.route(f"{outside}.128/25", f"{outside}.5")
        self.router.forward()
        if nat == "firewall":
            self.machine.filter(STATEFUL)
        elif nat != "none":
            self.router.filter(translation(nat, self.public, self.private, services))


class Internet:
    """A gateway and a caller, each behind a router of its own, and a machine with two public addresses for a TURN server."""

    TURN, TURN_TOO = "192.0.2.9", "192.0.2.10"

    def __init__(self, net: Network, caller: str, gateway: str, services=()):
        """`caller` and `gateway` are kinds of NAT; `services` are the gateway's TCP ports, which its router lets in."""
        self.net = net
        self.core, self.turn = net.add("internet"), net.add("turn")
        self.core.forward()
        net.connect(self.turn, [f"{self.TURN}/24", f"{self.TURN_TOO}/24"], self.core, ["192.0.2.1/24"])
        self.turn.route("default", "192.0.2.1")
        self.caller = Site(net, self.core, "caller", "203.0.113", "192.168.1", caller)
        self.gateway = Site(net, self.core, "gateway", "198.51.100", "10.0.0", gateway, services)

    def add_way(self, outside: str, inside: str, nat="port-restricted") -> Site:
        """Gives the caller one more interface, with a router of its own."""
        return Site(self.net, self.core, "way", outside, inside, nat, machine=self.caller.machine)

    def verify(self) -> None:
        """Sends datagrams through both NATs, and fails where one does not behave as it should."""
        for site in self.caller, self.gateway:
            found = behaviour(site.machine, self.turn, [self.TURN, self.TURN_TOO])
            assert found == BEHAVIOUR[site.nat], f"{site.nat} was expected, and is {found}"

    def block_udp(self) -> None:
        """Lets only TCP through the caller's router, and sees to it that it is so."""
        self.caller.router.filter(NO_UDP)
        assert reaches(self.caller.machine, self.turn, self.TURN)
        assert not reaches(self.caller.machine, self.turn, self.TURN, socket.SOCK_DGRAM)
