"""What is measured: which packets go through which network."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import network


@dataclass(frozen=True)
class Encoding:
    bitrate: int = 24_000
    # What libopus is told of the loss, in per cent; above 0 it puts forward error correction in.
    loss: int = 0
    dtx: bool = False

    @property
    def name(self) -> str:
        fec, dtx = ", FEC" if self.loss else "", ", DTX" if self.dtx else ""
        return f"{self.bitrate // 1000}k{fec}{dtx}"


@dataclass(frozen=True)
class Cell:
    group: str
    network: str
    encoding: Encoding
    apply: Callable | None  # None: a blackout of `seconds`, which depends on the speech
    seconds: float = 0
    is_random: bool = True  # else one seed is enough

    @property
    def name(self) -> str:
        return f"{self.network}, {self.encoding.name}"


PLAIN = Encoding()


def protected(per_cent: int, bitrate: int = 24_000) -> Encoding:
    """As the gateway encodes when that much is lost: see `LossFollower`."""
    return Encoding(bitrate, min(max(per_cent, 8), 15))


RANDOM_LOSS = [1, 3, 5, 10, 20, 30]
BURSTS = [(5, 2), (5, 3), (5, 5), (10, 2), (10, 3), (10, 5), (20, 3)]
LOSS, BURST, PAUSES, JITTER = "loss", "burst", "pauses", "jitter"
REORDER, DUPLICATE, BLACKOUT = "reorder", "duplicate", "blackout"
CLEAN = Cell(LOSS, "no loss", PLAIN, network.clean, is_random=False)


def random_loss(per_cent: int, encoding: Encoding) -> Cell:
    return Cell(LOSS, f"{per_cent} % loss", encoding, partial(network.loss, per_cent / 100))


def burst_loss(per_cent: int, mean: int, encoding: Encoding) -> Cell:
    return Cell(BURST, f"{per_cent} % in bursts of {mean}", encoding, partial(network.bursts, per_cent / 100, mean))


def jitter(milliseconds: int) -> Cell:
    return Cell(JITTER, f"± {milliseconds} ms", PLAIN, partial(network.jitter, milliseconds))


def spikes(milliseconds: int) -> Cell:
    return Cell(JITTER, f"spikes to {2 * milliseconds} ms", PLAIN, partial(network.spikes, milliseconds))


def reorder(per_cent: int) -> Cell:
    return Cell(REORDER, f"{per_cent} % by 1 to 5 places", PLAIN, partial(network.reorder, per_cent / 100))


def duplicate(per_cent: int) -> Cell:
    return Cell(DUPLICATE, f"{per_cent} % twice", PLAIN, partial(network.duplicate, per_cent / 100))


def matrix() -> list[Cell]:
    cells = [CLEAN, Cell(PAUSES, "no loss", Encoding(dtx=True), network.clean, is_random=False)]
    cells += [Cell(PAUSES, "5 % loss", Encoding(dtx=True), partial(network.loss, 0.05))]
    for per_cent in RANDOM_LOSS:
        cells += [random_loss(per_cent, PLAIN), random_loss(per_cent, protected(per_cent))]
    cells += [random_loss(5, Encoding(32_000)), random_loss(5, protected(5, 32_000))]
    for per_cent, mean in BURSTS:
        cells += [burst_loss(per_cent, mean, PLAIN), burst_loss(per_cent, mean, protected(per_cent))]
    cells += [make(level) for make in (jitter, spikes) for level in (10, 30, 60, 100)]
    cells += [reorder(per_cent) for per_cent in (1, 5, 20)]
    cells += [duplicate(per_cent) for per_cent in (1, 10, 50)]
    cells += [Cell(BLACKOUT, f"nothing for {level} s", PLAIN, None, level, is_random=False) for level in (1, 3, 10)]
    return cells


def quick() -> list[Cell]:
    return [CLEAN, random_loss(5, PLAIN), random_loss(5, protected(5)), burst_loss(10, 3, PLAIN), jitter(30),
            reorder(5)]
