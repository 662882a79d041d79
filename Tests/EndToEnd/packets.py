"""Packets as they are on a cable: made byte by byte, with whatever source address, and seen by whoever listens there."""

import contextlib
import ipaddress
import socket
import struct
import threading
from dataclasses import dataclass
from pathlib import Path

from network import Namespace

EVERYTHING = 0x0003  # ETH_P_ALL
PACKET_OUTGOING = 4
SOL_PACKET, PACKET_STATISTICS = 263, 6
IPV4, IPV6 = 0x0800, 0x86DD
ICMP, IGMP, TCP, UDP, ICMPV6, HOP_BY_HOP = 1, 2, 6, 17, 58, 0


def checksum(data: bytes) -> int:
    """RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def datagram(source: tuple[str, int], destination: tuple[str, int], payload: bytes) -> bytes:
    """A UDP datagram in IP, from any source."""
    left, right = (ipaddress.ip_address(host).packed for host, _ in (source, destination))
    length = 8 + len(payload)
    udp = struct.pack("!HHHH", source[1], destination[1], length, 0)
    if len(left) == 4:  # where the checksum may be left out (RFC 768)
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + length, 0, 0, 64, UDP, 0, left, right)
        return ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + udp + payload
    pseudo = left + right + struct.pack("!II", length, UDP)
    udp = udp[:6] + struct.pack("!H", checksum(pseudo + udp + payload) or 0xFFFF)
    return struct.pack("!IHBB16s16s", 6 << 28, length, UDP, 64, left, right) + udp + payload


def hardware_address(namespace: Namespace, interface: str) -> bytes:
    with namespace.entered(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as probe:
        probe.bind((interface, 0))
        return probe.getsockname()[4]


class Cable:
    """The near end of a cable, from which whole frames go to the other end."""

    def __init__(self, near: Namespace, near_end: str, far: Namespace, far_end: str):
        with near.entered():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.socket.bind((near_end, 0))
        self.addresses = hardware_address(far, far_end) + hardware_address(near, near_end)

    def frame(self, packet: bytes) -> bytes:
        return self.addresses + struct.pack("!H", IPV4 if packet[0] >> 4 == 4 else IPV6) + packet

    def send(self, source: tuple[str, int], destination: tuple[str, int], payload: bytes) -> None:
        self.socket.send(self.frame(datagram(source, destination, payload)))

    def close(self) -> None:
        self.socket.close()


@dataclass(frozen=True)
class Packet:
    """What was seen of one."""

    source: str
    destination: str
    protocol: int
    source_port: int
    port: int
    payload: bytes

    @property
    def is_housekeeping(self) -> bool:
        """The kernel's own: who has this address, and which groups are listened to."""
        kind = self.payload[0] if self.payload else -1
        return self.protocol == IGMP or (self.protocol == ICMPV6 and (130 <= kind <= 136 or kind == 143))


def parse(kind: int, packet: bytes) -> Packet | None:
    if kind == IPV4:
        protocol, rest = packet[9], packet[(packet[0] & 15) * 4 :]
        source, destination = packet[12:16], packet[16:20]
    elif kind == IPV6:
        protocol, rest = packet[6], packet[40:]
        source, destination = packet[8:24], packet[24:40]
        if protocol == HOP_BY_HOP:  # in multicast listener reports
            protocol, rest = rest[0], rest[8 * (rest[1] + 1) :]
    else:
        return None
    ports = struct.unpack("!HH", rest[:4]) if protocol in (TCP, UDP) else (0, 0)
    names = [str(ipaddress.ip_address(each)) for each in (source, destination)]
    return Packet(*names, protocol, *ports, rest[{UDP: 8}.get(protocol, 0) :])


class Capture:
    """Every IP packet that arrives at an end of a cable, or that a namespace sends by whatever interface."""

    def __init__(self, namespace: Namespace, interface: str | None = None):
        self.packets: list[Packet] = []
        self._sent = interface is None
        with namespace.entered():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERYTHING))
        self._socket.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        if interface:
            self._socket.bind((interface, EVERYTHING))
        self._socket.settimeout(0.1)
        self._running = True
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while True:
            try:
                frame, (_, kind, direction, *_) = self._socket.recvfrom(65536)
            except TimeoutError:
                if not self._running:
                    return
                continue
            if (direction == PACKET_OUTGOING) == self._sent and (packet := parse(kind, frame[14:])):
                if not packet.is_housekeeping:
                    self.packets.append(packet)

    def close(self) -> list[Packet]:
        """Waits until it is quiet; what there was, all of it."""
        self._running = False
        self._thread.join()
        seen, dropped = struct.unpack("II", self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        self._socket.close()
        assert dropped == 0, f"of {seen} packets {dropped} were not looked at"
        return self.packets


@contextlib.contextmanager
def capturing(namespace: Namespace, interface: str | None = None):
    capture = Capture(namespace, interface)
    try:
        yield capture
    finally:
        if capture._running:
            capture.close()


def processor_time(pid: int) -> float:
    """Seconds that a process has computed, in all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
