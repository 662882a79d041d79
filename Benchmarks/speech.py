"""What the callers say: speech without a pause, faint room noise, and nothing at all."""

import array
import random
import subprocess
import wave
from pathlib import Path

RATE = 48_000
TEXT = (
    "The old harbour master counts seven small boats before the evening tide comes in. "
    "Nobody asked the cook why his blue kettle whistles twice on every second Thursday. "
    "Eleven wool blankets were folded, numbered, and carried up to the cold attic room. "
    "Please tell me when the next train leaves, and whether I could still change my seat. "
)
NOISE = -65  # dBFS, of a quiet room through a good microphone
QUIET = -57  # the same through a bad one: just what `patchbay call` does not take for silence


def noise(seconds: float, level: float) -> array.array:
    """White noise of a level in dBFS, the same each time."""
    source, deviation = random.Random(1), 32768 * 10 ** (level / 20)
    return array.array("h", (round(source.gauss(0, deviation)) for _ in range(int(RATE * seconds))))


def write(path: Path, samples: array.array):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())


def read(path: Path) -> array.array:
    with wave.open(str(path)) as file:
        return array.array("h", file.readframes(file.getnframes()))


def make(directory: Path) -> dict[str, Path]:
    """Writes `speech`, with the noise of a room under it; `quiet`, the room alone; `nothing`, digital silence."""
    directory.mkdir(parents=True, exist_ok=True)
    files = {name: directory / f"{name}.wav" for name in ("speech", "quiet", "nothing")}
    if all(file.exists() for file in files.values()):
        return files
    raw, spoken = directory / "raw.wav", directory / "spoken.wav"
    subprocess.run(["espeak-ng", "-v", "en-gb", "-s", "170", "-w", raw, TEXT], check=True)
    # No pause longer than a tenth of a second, so that whoever listens has speech to code all the time.
    subprocess.run(
        ["sox", "-V1", raw, "-r", str(RATE), "-c", "1", "-b", "16", spoken]
        + ["gain", "-n", "-6", "silence", "-l", "1", "0", "0.5%", "-1", "0.1", "0.5%"],
        check=True,
    )
    samples = read(spoken)
    samples = samples[: len(samples) // 960 * 960]
    room = noise(len(samples) / RATE, NOISE)
    write(files["speech"], array.array("h", (max(-32768, min(32767, a + b)) for a, b in zip(samples, room))))
    write(files["quiet"], noise(10, QUIET))
    write(files["nothing"], array.array("h", bytes(2 * RATE * 10)))
    return files
