"""What a network does to packets: each of these takes its own measure, the packets, and a seeded generator."""

from dataclasses import replace

import numpy as np

from speech import FRAME, Packet

MS = 1_000_000
BASE_DELAY = 40 * MS
# The first half second is pause: calls do not begin in the middle of a loss.
SPARED = 10


def clean(packets: list[Packet], _: np.random.Generator) -> list[Packet]:
    return [replace(packet, arrival=packet.sent + BASE_DELAY) for packet in packets]


def loss(share: float, packets: list[Packet], random: np.random.Generator) -> list[Packet]:
    lost = random.random(packets[-1].number + 1) < share
    return [packet for packet in clean(packets, random) if packet.number < SPARED or not lost[packet.number]]


def bursts(share: float, mean: float, packets: list[Packet], random: np.random.Generator) -> list[Packet]:
    """The model of Gilbert: in the bad state every packet is lost."""
    begin, end = share / (mean * (1 - share)), 1 / mean
    survivors, is_bad = [], False
    for packet in clean(packets, random):
        is_bad = random.random() >= end if is_bad else random.random() < begin
        if packet.number < SPARED or not is_bad:
            survivors.append(packet)
    return survivors


def jitter(milliseconds: float, packets: list[Packet], random: np.random.Generator) -> list[Packet]:
    """Each packet's delay by itself within ± so much, as `tc netem delay … …` has it: packets overtake each other."""
    extra = random.uniform(0, 2 * milliseconds * MS, packets[-1].number + 1)
    return [replace(packet, arrival=packet.arrival + int(extra[packet.number]))
            for packet in clean(packets, random)]


def spikes(milliseconds: float, packets: list[Packet], random: np.random.Generator) -> list[Packet]:
    """About every second nothing comes for up to twice so long, and then all at once, in order, as on Wi-Fi."""
    held, result = 0, []
    for packet in clean(packets, random):
        if random.random() < 0.02:
            held = packet.arrival + int(random.uniform(0.5, 2) * milliseconds * MS)
        held = max(held, packet.arrival)
        result.append(replace(packet, arrival=held))
    return result


def reorder(share: float, packets: list[Packet], random: np.random.Generator) -> list[Packet]:
    """Packets that come after one to five of those behind them."""
    result = []
    for packet in clean(packets, random):
        places = int(random.integers(1, 6)) if random.random() < share else 0
        result.append(replace(packet, arrival=packet.arrival + places * FRAME + (MS if places else 0)))
    return result


def duplicate(share: float, packets: list[Packet], random: np.random.Generator) -> list[Packet]:
    """Second copies, up to 30 ms after the first."""
    result = clean(packets, random)
    return result + [replace(packet, arrival=packet.arrival + int(random.integers(0, 30 * MS)))
                     for packet in result if random.random() < share]


def blackout(first: int, last: int, packets: list[Packet], random: np.random.Generator) -> list[Packet]:
    """Nothing from frame `first` until frame `last`."""
    return [packet for packet in clean(packets, random) if not first <= packet.number < last]


def drift(packets: list[Packet], parts_per_million: float, seconds: float) -> list[Packet]:
    """The same speech over and over, to its last pause, by a sender whose clock is fast by so much."""
    count = -(-int(seconds * 50) // len(packets)) * len(packets)
    first = packets[0]
    result = []
    for number in range(count):
        sent = int((number + 1) * FRAME / (1 + parts_per_million / 1e6))
        result.append(Packet(
            sent + BASE_DELAY, sent, number, (first.sequence + number) & 0xFFFF,
            (first.timestamp + number * 960) & 0xFFFFFFFF, packets[number % len(packets)].payload))
    return result
