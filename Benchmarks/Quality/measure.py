"""Measures one voice through the cells of one encoding."""

import hashlib
import subprocess
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

import network
import receivers
import score
import speech
from cells import BLACKOUT, Cell, Encoding


@dataclass(frozen=True)
class Task:
    binary: str
    voice: str
    encoding: Encoding
    seed: int
    cells: tuple[Cell, ...]


def packets_of(binary: str, samples: np.ndarray, encoding: Encoding) -> list[speech.Packet]:
    with tempfile.TemporaryDirectory() as folder:
        pcm, trace = Path(folder, "pcm"), Path(folder, "trace")
        pcm.write_bytes(speech.to_pcm(samples))
        subprocess.run(
            [binary, "encode", pcm, trace, "--bitrate", str(encoding.bitrate), "--loss-percent", str(encoding.loss)]
            + ["--dtx"] * encoding.dtx, check=True)
        return speech.read_trace(str(trace))


def run(task: Task) -> list[tuple[str, dict]]:
    """Of each cell, the figures of each receiver."""
    samples = speech.speak(task.voice)
    packets = packets_of(task.binary, samples, task.encoding)
    decoded = receivers.ideal(packets, len(samples) // 960).samples
    reference = score.Reference(speech.to_16k(samples), decoded)
    return [(cell.name, measure(task, cell, packets, reference)) for cell in task.cells]


def measure(task: Task, cell: Cell, packets: list[speech.Packet], reference: score.Reference) -> dict:
    # Not the encoding: with and without FEC the same packets are lost.
    seed = hashlib.sha256(f"{cell.network} {task.voice} {task.seed}".encode()).digest()
    apply, end = cell.apply, None
    if apply is None:
        first, last = outage(reference, packets, cell.seconds)
        apply, end = partial(network.blackout, first, last), packets[last].sent + network.BASE_DELAY
    arriving = apply(packets, np.random.default_rng(list(seed)))
    count = len(reference.decoded) // score.FRAME
    sent = np.arange(1, count + 1) * speech.FRAME
    result = {}
    for name, heard in (
        ("ideal", receivers.ideal(arriving, count)), ("ours", receivers.ours(task.binary, arriving)),
        ("aiortc", receivers.aiortc(arriving)),
    ):
        # What an outage takes away is no question of quality.
        sound = score.placed(heard, count) if heard.numbers is not None else heard.samples
        figures = {} if cell.group == BLACKOUT else dict(reference.score(sound))
        if heard.delivered is not None:
            numbers = heard.numbers
            if numbers is None:
                numbers = reference.numbers(heard.samples, heard.delivered, sent)
            times, delays = score.delays(reference, heard.delivered, numbers, sent, network.BASE_DELAY)
            figures["late"] = 100 * heard.figures["late"] / heard.figures["packets"]
            figures["p50"], figures["p95"] = np.percentile(delays, [50, 95])
            figures["lost"] = score.lost_time(numbers)
            if end is not None:
                figures["recovery"] = score.recovery(times, delays, end)
        result[name] = figures
    return result


def outage(reference: score.Reference, packets: list[speech.Packet], seconds: float) -> tuple[int, int]:
    """The frames an outage takes away, from about 6 s on: it ends in the middle of speech."""
    length, count = int(seconds * 50), len(packets)
    voiced = reference.active[: count * 2].reshape(-1, 2).all(axis=1)
    last = next(last for last in range(300 + length, count) if voiced[last : last + 10].all())
    return last - length, last


def drift(binary: str, seconds: float, parts_per_million: float) -> dict:
    """What our receiver counts when the sender's clock is fast by so much."""
    packets = packets_of(binary, speech.speak(speech.VOICES[0]), Encoding())
    heard = receivers.ours(binary, network.drift(packets, parts_per_million, seconds))
    return heard.figures
