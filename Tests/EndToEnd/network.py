"""Networks of a test's own: namespaces, the cables between them, and what stands in the way."""

import contextlib
import ctypes
import itertools
import os
import subprocess

NUMBERS = itertools.count(1)
LIBC = ctypes.CDLL(None, use_errno=True)


def run(*words, stdin: str | None = None) -> None:
    subprocess.run([str(word) for word in words], input=stdin, text=True, check=True, capture_output=True)


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
            self._enter(inside)
            try:
                yield self
            finally:
                self._enter(outside)

    @staticmethod
    def _enter(namespace) -> None:
        if LIBC.setns(namespace.fileno(), 0):
            raise OSError(ctypes.get_errno(), "setns")

    def filter(self, rules: str) -> None:
        """Loads an nftables rule set."""
        run(*self.command("nft", "-f", "-"), stdin=rules)

    def forward(self) -> None:
        self.sysctl("net/ipv4/ip_forward", 1)

    def sysctl(self, name: str, value) -> None:
        run(*self.command("sh", "-c", f"echo {value} > /proc/sys/{name}"))

    def remove(self) -> None:
        run("ip", "netns", "del", self.name)


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
        for namespace in made.namespaces:
            namespace.remove()


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


def port_restricted(public: str, private: str, service: int) -> str:
    """The rules of a router with one address for all: datagrams get in from where some went, and TCP at one port always."""
    return f"""
table ip nat {{
  chain in {{ type nat hook prerouting priority dstnat; ip daddr {public} tcp dport {service} dnat to {private}; }}
  chain out {{ type nat hook postrouting priority srcnat; ip saddr {private} snat to {public}; }}
}}
table ip firewall {{
  chain input {{ type filter hook input priority 0; ip daddr {public} drop; }}
}}
"""


def one_to_one(public: str, private: str) -> str:
    """The rules by which `private` is known as `public` outside, port by port, as a cloud does it."""
    return f"""
table ip nat {{
  chain in {{ type nat hook prerouting priority dstnat; ip daddr {public} dnat to {private}; }}
  chain out {{ type nat hook postrouting priority srcnat; ip saddr {private} snat to {public}; }}
}}
"""
