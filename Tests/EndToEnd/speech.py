"""Speech to call with, and measures of how much what was heard is what was said."""

import subprocess
import wave
from pathlib import Path

import numpy as np

RATE = 48_000
SENTENCES = {
    "harbour": "The old harbour master counts seven small boats before the evening tide comes in.",
    "kitchen": "Nobody asked the cook why his blue kettle whistles twice on every second Thursday.",
    "winter": "Eleven wool blankets were folded, numbered, and carried up to the cold attic room.",
}


def make(directory: Path) -> dict[str, Path]:
    """Writes one file a sentence: a second of silence, the sentence in about five, and silence up to twelve.

    The silence lets a pipeline that waits for the caller's pause answer before a microphone that plays in a loop speaks again.
    """
    files = {}
    for name, sentence in SENTENCES.items():
        spoken, file = directory / f"{name}.spoken.wav", directory / f"{name}.wav"
        subprocess.run(["espeak-ng", "-v", "en-gb", "-s", "150", "-w", spoken, sentence], check=True)
        subprocess.run(
            ["sox", "-V1", "-G", spoken, "-r", str(RATE), "-c", "1", "-b", "16", file]
            + ["gain", "-n", "-6", "pad", "1", "12", "trim", "0", "12"],
            check=True,
        )
        files[name] = file
    return files


def read(file: Path) -> np.ndarray:
    """Samples between -1 and 1 of a mono 16-bit file at 48 kHz, or of any rate that divides it."""
    with wave.open(str(file)) as source:
        assert source.getnchannels() == 1 and source.getsampwidth() == 2, file
        samples = np.frombuffer(source.readframes(source.getnframes()), "<i2") / 32768
        return np.repeat(samples, RATE // source.getframerate())


def write(file: Path, samples: np.ndarray) -> Path:
    """Mono, 16 bits, at 48 kHz."""
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return file


def noise(seconds: float, level=-45.0) -> np.ndarray:
    """White noise of a level in dBFS, the same each time. Unlike silence it is sent, fifty packets a second."""
    return np.random.default_rng(1).normal(0, 10 ** (level / 20), int(RATE * seconds))


def spoken_part(samples: np.ndarray) -> np.ndarray:
    """Without the silence before and after."""
    loud = np.flatnonzero(np.abs(samples) > 0.02)
    return samples[loud[0] : loud[-1] + 1]


HOP = RATE // 100
BANDS = np.geomspace(150, 4000, 25)


def spectrogram(samples: np.ndarray) -> np.ndarray:
    """Decibels in 24 bands from 150 Hz to 4 kHz, every 10 ms, no lower than 45 dB below the loudest."""
    window = np.hanning(2 * HOP)
    frames = np.lib.stride_tricks.sliding_window_view(samples, 2 * HOP)[::HOP] * window
    power = np.abs(np.fft.rfft(frames, 2048)) ** 2
    edges = np.searchsorted(np.fft.rfftfreq(2048, 1 / RATE), BANDS)
    bands = 10 * np.log10(np.add.reduceat(power, edges, axis=1)[:, :-1] + 1e-12)
    return np.maximum(bands, bands.max() - 45)


def likeness(said: np.ndarray, heard: np.ndarray) -> tuple[float, float]:
    """How like `said` the likest stretch of `heard` is, from 0 to 1, and where it begins, in seconds.

    The normalised correlation of their spectrograms: blind to level, codec and clock phase, not to words. The same
    sentence scores above 0.9, another of the same voice, or itself backwards, below 0.4.
    """
    if len(heard) < len(said):
        heard = np.pad(heard, (0, len(said) - len(heard)))
    heard = np.pad(heard, RATE // 5)  # a stretch may begin before the first sample that was kept
    pattern, text = spectrogram(said), spectrogram(heard)
    pattern = pattern - pattern.mean()
    best, at = 0.0, 0
    for lag in range(len(text) - len(pattern) + 1):
        stretch = text[lag : lag + len(pattern)]
        stretch = stretch - stretch.mean()
        norm = np.linalg.norm(stretch) * np.linalg.norm(pattern)
        score = float((stretch * pattern).sum() / norm) if norm else 0.0
        if score > best:
            best, at = score, lag
    return best, at * HOP / RATE - 0.2


def waveform_likeness(said: np.ndarray, heard: np.ndarray) -> tuple[float, float]:
    """The peak of the normalised cross-correlation of two waveforms, and the lag there in seconds."""
    size = 1 << (len(said) + len(heard)).bit_length()
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(said, size)), size)[: len(heard)]
    energy = np.concatenate([[0], np.cumsum(heard**2)])
    stretches = energy[np.minimum(np.arange(len(heard)) + len(said), len(heard))] - energy[: len(heard)]
    scores = product / np.sqrt(np.maximum(stretches, energy[-1] * 0.2) * (said**2).sum() + 1e-12)
    lag = int(scores.argmax())
    return float(scores[lag]), lag / RATE


SAME, OTHER = 0.8, 0.5


def assert_heard(name: str, files: dict[str, Path], heard: np.ndarray, change=lambda samples: samples) -> float:
    """Fails unless what was heard is the sentence `name`, and clearly none of the others. Returns where it begins, in seconds."""
    scores = {each: likeness(change(spoken_part(read(file))), heard) for each, file in files.items()}
    text = ", ".join(f"{each} {score:.2f}" for each, (score, _) in scores.items())
    print(f"{name} was said; likeness: {text}")
    assert scores[name][0] >= SAME, f"{name} was said, and this was heard: {text}"
    for each, (score, _) in scores.items():
        assert each == name or score <= OTHER, f"the measure cannot tell sentences apart: {text}"
    return scores[name][1]
