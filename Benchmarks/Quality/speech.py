"""Speech to measure with: three voices of espeak-ng, and what is sent of it."""

import io
import struct
import subprocess
import wave
from dataclasses import dataclass

import numpy as np
from scipy.signal import resample_poly

FRAME = 20_000_000  # ns
VOICES = ["en-us", "en-gb+f3", "en-gb-scotland+m3"]
TEXT = """
Good morning, this is the service desk. How may I help you today? <break time='700ms'/>
I would like to move my appointment to Thursday, the fourteenth of March, at a quarter past nine. <break time='900ms'/>
Of course. Please tell me your customer number, and the last four digits of your telephone. <break time='600ms'/>
Thank you very much. The reference is seven, five, zero, two, and the price is thirty six dollars.
"""


@dataclass(frozen=True)
class Packet:
    arrival: int  # ns
    sent: int  # ns: when its sound was all spoken
    number: int  # of the frame, from 0
    sequence: int
    timestamp: int
    payload: bytes


def speak(voice: str) -> np.ndarray:
    """About 25 s at 48 kHz, peak at half of full scale, in a room's noise of -66 dBFS."""
    said = subprocess.run(
        ["espeak-ng", "-m", "-v", voice, "-s", "160", "--stdout", TEXT], capture_output=True, check=True).stdout
    rate = wave.open(io.BytesIO(said)).getframerate()
    samples = np.frombuffer(said[44 : len(said) & ~1], "<i2") / 32768
    divisor = np.gcd(48_000, rate)
    samples = resample_poly(samples, 48_000 // divisor, rate // divisor)
    samples = np.concatenate([np.zeros(24_000), samples * 0.5 / np.abs(samples).max(), np.zeros(36_000)])
    samples = samples[: len(samples) // 960 * 960]
    return samples + np.random.default_rng(1).normal(0, 0.0005, len(samples))


def to_pcm(samples: np.ndarray) -> bytes:
    return (np.clip(samples, -1, 1 - 1 / 32768) * 32768).astype("<i2").tobytes()


def from_pcm(pcm: bytes) -> np.ndarray:
    return np.frombuffer(pcm, "<i2") / 32768


def to_16k(samples: np.ndarray) -> np.ndarray:
    return resample_poly(samples, 1, 3)


def read_trace(path: str) -> list[Packet]:
    with open(path, "rb") as file:
        data = file.read()
    packets, place = [], 0
    while place < len(data):
        arrival, sent, sequence, timestamp, length = struct.unpack_from("<QQHIH", data, place)
        place += 24
        payload = data[place : place + length]
        packets.append(Packet(arrival, sent, sent // FRAME - 1, sequence, timestamp, payload))
        place += length
    return packets


def write_trace(path: str, packets: list[Packet]) -> None:
    with open(path, "wb") as file:
        for packet in packets:
            file.write(struct.pack(
                "<QQHIH", packet.arrival, packet.sent, packet.sequence, packet.timestamp, len(packet.payload)))
            file.write(packet.payload)
