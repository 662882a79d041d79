"""How good it sounds, what is missing from it, and how late it is."""

import hashlib

import numpy as np
from pesq import pesq
from pystoi import stoi

from receivers import Heard

RATE = 16_000
FRAME = RATE // 50
MS = 1_000_000


def level(samples: np.ndarray, step: int) -> np.ndarray:
    """dBFS of each `step` samples."""
    whole = samples[: len(samples) // step * step].reshape(-1, step)
    return 10 * np.log10(np.mean(whole**2, axis=1) + 1e-12)


class Reference:
    """The speech as it was spoken, and its phrases: the parts between pauses of 250 ms and more."""

    def __init__(self, samples: np.ndarray, decoded: np.ndarray):
        self.samples, self.decoded = samples, decoded
        self.level = level(samples, RATE // 100)
        self.active = self.level > self.level.max() - 35
        self.phrases = self._phrases()
        self.cache: dict[bytes, dict] = {}

    def _phrases(self) -> list[tuple[int, int]]:
        places = np.flatnonzero(self.active)
        breaks = np.flatnonzero(np.diff(places) > 25)
        starts = [places[0], *places[breaks + 1]]
        ends = [*places[breaks], places[-1]]
        cuts = [0, *((end + start) // 2 for end, start in zip(ends, starts[1:])), len(self.active)]
        return [(int(first) * 160, int(last) * 160) for first, last in zip(cuts, cuts[1:])]

    def align(self, heard: np.ndarray) -> np.ndarray:
        """Puts each phrase where it belongs: what was lengthened or left out in pauses is not held against anyone."""
        result = np.zeros(len(self.samples))
        # Room to find the last phrase in, also where the sound ends early or comes late.
        heard = np.pad(heard, (0, max(len(self.samples) - len(heard), 0) + 2 * RATE))
        lag = 0
        for first, last in self.phrases:
            start = max(first + lag - 3 * RATE, 0)
            window = heard[start : last + lag + RATE]
            phrase = self.samples[first:last]
            window = np.pad(window, (0, max(len(phrase) - len(window), 0)))
            size = 1 << (len(window) + len(phrase)).bit_length()
            product = np.fft.irfft(np.fft.rfft(window, size) * np.conj(np.fft.rfft(phrase, size)), size)
            place = int(np.argmax(product[: len(window) - len(phrase) + 1]))
            lag = start + place - first
            result[first:last] = window[place : place + last - first]
        return result

    def score(self, heard: np.ndarray) -> dict:
        key = hashlib.sha1(heard.tobytes()).digest()
        if key not in self.cache:
            aligned = self.align(heard)
            self.cache[key] = {
                "pesq": pesq(RATE, self.samples, aligned, "wb"), "stoi": float(stoi(self.samples, aligned, RATE)),
                **self.holes(aligned),
            }
        return self.cache[key]

    def holes(self, aligned: np.ndarray) -> dict:
        """Where there was speech and is 25 dB less of it: of 40 ms and more, by their number and in all, a minute."""
        missing = self.active & (level(aligned, RATE // 100) < np.minimum(self.level - 25, -50))
        edges = np.flatnonzero(np.diff(np.concatenate([[0], missing.astype(int), [0]])))
        lengths = edges[1::2] - edges[::2]
        minutes = self.active.sum() / 6000
        return {"holes": (lengths >= 4).sum() / minutes, "silence": lengths.sum() * 10 / minutes}

    def numbers(self, heard: np.ndarray, delivered: np.ndarray, sent: np.ndarray) -> np.ndarray:
        """Which of the sender's frames each frame that came out is, by its sound; -1 where that cannot be told."""
        offset = self._offset(heard)
        source = np.pad(self.decoded, (offset, FRAME))
        count = len(sent)
        source = source[: count * FRAME].reshape(count, FRAME)
        frames = heard[: len(delivered) * FRAME].reshape(-1, FRAME)
        loud = np.mean(frames**2, axis=1) > 10 ** (-45 / 10)
        unit = lambda rows: rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9)
        likeness = unit(frames) @ unit(source).T
        age = delivered[:, None] - sent[None, :]
        likeness[(age < 0) | (age > 1500 * MS)] = -1
        numbers = np.full(len(frames), -1)
        expected = 0
        for frame in np.flatnonzero(loud):
            # A voice repeats itself: of two that are much alike, the one whose turn it is.
            best = int(np.argmax(likeness[frame] - 0.004 * np.minimum(np.abs(np.arange(count) - expected), 50)))
            if likeness[frame, best] > 0.8:
                numbers[frame] = best
                expected = best
            expected += 1
        return numbers

    def _offset(self, heard: np.ndarray) -> int:
        """How many samples of a frame the sound lags behind: a resampler's delay, the same all the time."""
        first, last = self.phrases[0]
        length = min(last, len(heard))
        size = 1 << (2 * length).bit_length()
        product = np.fft.irfft(
            np.fft.rfft(heard[:length], size) * np.conj(np.fft.rfft(self.decoded[:length], size)), size)
        lag = int(np.argmax(product))
        return (lag if lag < size // 2 else lag - size) % FRAME


def delays(
    reference: Reference, delivered: np.ndarray, numbers: np.ndarray, sent: np.ndarray, base: int
) -> tuple[np.ndarray, np.ndarray]:
    """Of each frame of speech that came through: when it came, and how many ms after the network's least delay."""
    known = numbers >= 0
    known[known] = reference.active[np.minimum(numbers[known] * 2, len(reference.active) - 1)]
    return delivered[known], (delivered[known] - sent[numbers[known]] - base) / MS


def lost_time(numbers: np.ndarray) -> float:
    """By how many ms a minute of what is said has become shorter on its way; below 0 when longer."""
    places = np.flatnonzero(numbers >= 0)
    said, heard = np.ptp(numbers[places[[0, -1]]]), np.ptp(places[[0, -1]])
    return 60_000 * float(said - heard) / said


def placed(heard: Heard, count: int) -> np.ndarray:
    """Each frame where its timestamp says, with nothing where none is.

    End to end they would be too short to be judged: PESQ then compares what does not belong together.
    """
    frames = np.zeros((count, FRAME))
    frames[heard.numbers] = heard.samples[: len(heard.numbers) * FRAME].reshape(-1, FRAME)
    return frames.ravel()


def recovery(times: np.ndarray, late: np.ndarray, end: int) -> float:
    """How many ms after the end of an outage sound comes through, and again as early as before it."""
    usual = np.median(late[times < end])
    after = times >= end
    if not after.any():
        return float("inf")
    slow = times[after & (late > usual + 20)]
    return float(max(times[after].min(), slow.max(initial=0)) - end) / MS

