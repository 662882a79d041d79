"""Three receivers that are given the same packets: ours, libopus with ideal playout, and aiortc's."""

import ctypes
import json
import os
import subprocess
import tempfile
from dataclasses import dataclass, field

import numpy as np
from aiortc.codecs.opus import OpusDecoder
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcrtpreceiver import TimestampMapper
from aiortc.rtp import RtpPacket

from speech import Packet, from_pcm, to_16k, write_trace

_opus = ctypes.CDLL("libopus.so.0")
_opus.opus_decoder_create.restype = ctypes.c_void_p
_opus.opus_decode.argtypes = [
    ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32, ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
_opus.opus_decoder_destroy.argtypes = [ctypes.c_void_p]


@dataclass
class Heard:
    """What comes out, in the order in which a pipeline gets it."""

    samples: np.ndarray  # 16 kHz
    delivered: np.ndarray | None = None  # ns, of each frame of 20 ms
    numbers: np.ndarray | None = None  # which frame of the sender each is, where the receiver tells
    figures: dict = field(default_factory=dict)


def ours(binary: str, packets: list[Packet]) -> Heard:
    with tempfile.TemporaryDirectory() as folder:
        trace, pcm, frames = (os.path.join(folder, name) for name in ("trace", "pcm", "frames"))
        write_trace(trace, packets)
        said = subprocess.run([binary, "receive", trace, pcm, frames], capture_output=True, check=True, text=True)
        with open(pcm, "rb") as file:
            samples = from_pcm(file.read())
        records = np.fromfile(frames, dtype=[("delivered", "<u8"), ("flags", "u1")])
    return Heard(samples, records["delivered"].astype(np.int64), figures=json.loads(said.stdout))


def ideal(packets: list[Packet], count: int) -> Heard:
    """Every packet at its turn, however late it came; for a missing one the next one's FEC, else concealment."""
    payloads = {packet.number: packet.payload for packet in packets}
    decoder = _opus.opus_decoder_create(48_000, 1, ctypes.byref(ctypes.c_int()))
    pcm = np.zeros(960, np.int16)
    sound = []
    for number in range(count):
        payload, is_copy = payloads.get(number), 0
        if payload is None and number + 1 in payloads:
            payload, is_copy = payloads[number + 1], 1
        made = _opus.opus_decode(decoder, payload, len(payload or b""), pcm.ctypes.data, 960, is_copy)
        assert made == 960, made
        sound.append(pcm / 32768)
    _opus.opus_decoder_destroy(decoder)
    return Heard(to_16k(np.concatenate(sound)))


def aiortc(packets: list[Packet]) -> Heard:
    """aiortc's own classes, put together as its RTCRtpReceiver has them for audio."""
    buffer, decoder, mapper = JitterBuffer(capacity=16, prefetch=4), OpusDecoder(), TimestampMapper()
    by_timestamp = {packet.timestamp: packet.number for packet in packets}
    sound, delivered, numbers = [], [], []
    for packet in sorted(packets, key=lambda packet: packet.arrival):
        rtp = RtpPacket(payload_type=111, sequence_number=packet.sequence, timestamp=packet.timestamp)
        rtp._data = packet.payload
        _, frame = buffer.add(rtp)
        if frame is None:
            continue
        number = by_timestamp[frame.timestamp]
        frame.timestamp = mapper.map(frame.timestamp)
        for decoded in decoder.decode(frame):
            sound.append(decoded.to_ndarray().reshape(-1, 2)[:, 0] / 32768)
            delivered.append(packet.arrival)
            numbers.append(number)
    missed = len({packet.number for packet in packets if packet.number < max(by_timestamp.values()) - 25}
                 - set(numbers))
    return Heard(
        to_16k(np.concatenate(sound)), np.array(delivered), np.array(numbers),
        {"late": missed, "packets": len(by_timestamp)})
