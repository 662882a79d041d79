"""What is measured of a server."""

import json
import math
import statistics
import subprocess
import time
from pathlib import Path

from process import LOAD_CORE, SERVER_CORE, Load, Server, on_core, resident, watch

RATE = 10  # new calls a second
SETTLE = 3.0  # seconds from the last call's start until sampling
# A call that has all its packets within this and loses none is held.
LONGEST_GAP = 30.0


def percentile(values: list[float], share: float) -> float | None:
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)] if ordered else None


def told(reports: list[dict], name: str) -> list[float]:
    """A figure of every call that has it."""
    return [each[name] for each in reports if each.get(name) is not None]


def spread(reports: list[dict], name: str) -> dict[str, float | None]:
    return spread_of(told(reports, name))


def spread_of(values: list[float]) -> dict[str, float | None]:
    return {"p50": percentile(values, 0.5), "p99": percentile(values, 0.99), "of": len(values)}


def floor(directory: Path, speech: Path, calls: int, seconds: int, passes: int) -> dict[str, list[float]]:
    """Percent of a core a call, with and without resampling and forward error correction; a figure for each pass.

    For comparison only: `paced` is the plain one asleep until each frame is due, as a server has to be; `busy` is the
    plain one while the other core works too, as it does when callers are there. Two cores may share more than memory.
    """
    lines = {
        "plain": (0, 0, 0, 0), "plain_fec": (0, 5, 0, 0), "resampled": (1, 0, 0, 0), "resampled_fec": (1, 5, 0, 0),
        "wideband": (1, 0, 0, 1), "wideband_fec": (1, 5, 0, 1), "plain_paced": (0, 0, 1, 0), "plain_busy": (0, 0, 0, 0),
    }
    found = {name: [] for name in lines}
    for _ in range(passes):
        for name, (resample, loss, paced, wideband) in lines.items():
            command = [directory / "floor", speech, calls, seconds, 0, resample, loss, paced, wideband]
            beside = None
            if name == "plain_busy":
                longer = [*command[:3], seconds * 20, *command[4:]]
                beside = subprocess.Popen(on_core(LOAD_CORE, longer), stdout=subprocess.DEVNULL)
                time.sleep(1 + seconds / 4)  # it prepares its packets first
            try:
                run = subprocess.run(on_core(SERVER_CORE, command), capture_output=True, text=True, check=True)
            finally:
                if beside:
                    beside.kill()
                    beside.wait()
            found[name].append(json.loads(run.stdout)["cpu_percent_per_call"])
    return found


def floor_of(passes: dict[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(values) for name, values in passes.items()}


def steady(
    server: Server, load_binary: Path, speech: Path, calls: int, window: float, workflow: int = 1, decodes: bool = True,
    bot=None, yields: bool = False,
) -> dict:
    """So many calls, placed one after another, and a look while all of them talk; without latency if none `decodes`."""
    ramp = calls / RATE
    load = Load(
        load_binary, server.signaling(workflow), speech, calls, ramp + SETTLE + window + 1, RATE, decodes=decodes, yields=yields)
    time.sleep(ramp + SETTLE)
    if bot:
        bot.figures()
    spent = watch(server, [load], window, bot)
    asked = bot and bot.figures()
    memory, complexity = resident(server.pid), server.complexity()
    reports = load.finish()
    connected = [each for each in reports if each["connected"] and each["error"] is None]
    expected = sum(each["seconds"] for each in connected) * 50
    result = {
        "calls": calls,
        "connected": len(connected),
        "cpu_percent": spent.server,
        "cpu_percent_per_call": spent.server / calls,
        "load_cpu_percent": spent.load,
        "others_cpu_percent": spent.others,
        "resident_bytes": memory,
        "complexity": complexity,
        "packets_lost": sum(told(reports, "packets_lost")) + sum(told(reports, "remote_lost")),
        "packets_sent_share": sum(told(connected, "packets_sent")) / expected if expected else 0,
        "packets_received_share": sum(told(connected, "packets_received")) / expected if expected else 0,
        "gap_p99_ms": percentile(told(connected, "gap_p99_ms"), 0.99),
        "gap_p99_median_ms": percentile(told(connected, "gap_p99_ms"), 0.5),
        "gap_max_ms": max(told(connected, "gap_max_ms"), default=None),
        "latency_ms": spread(connected, "latency_ms"),
        "setup_ms": spread(connected, "setup_ms"),
        "errors": sorted({str(each["error"]) for each in reports if each["error"]})[:5],
    }
    if bot:
        result |= {
            "bot_cpu_percent": spent.bot,
            "bot_held_ms": spread_of(asked["held"]),
            "answered_ms": spread_of(asked["answered"]),
            "answered_late": asked["late"],
        }
    result["held"] = held(result)
    return result


def served(result: dict) -> bool:
    """Nearly all there was to say was said and heard: what was spent is the cost of calls, not of a part of them."""
    return result["connected"] == result["calls"] and min(
        result["packets_sent_share"], result["packets_received_share"]) > 0.98


def held(result: dict) -> bool:
    """All calls are there, none lost a packet, and 99 of 100 calls have 99 of 100 gaps within bounds."""
    return (
        served(result)
        and result["packets_lost"] == 0
        and (result["gap_p99_ms"] or math.inf) <= LONGEST_GAP
    )


def setup(server: Server, load_binary: Path, speech: Path, calls: int) -> dict:
    """New calls at a steady rate, each for a few seconds."""
    reports = Load(load_binary, server.signaling(), speech, calls, 4, RATE).finish()
    return {
        "calls": calls,
        "connected": sum(each["connected"] for each in reports),
        "rate": RATE,
        # From the opened WebSocket: until the first packet is there, and until media is connected.
        "first_packet_ms": spread(reports, "first_packet_ms"),
        "connected_ms": spread(reports, "connected_ms"),
        # From the first byte, the WebSocket's own handshake included.
        "setup_ms": spread(reports, "setup_ms"),
    }


def bots(gateway, bot, load_binary: Path, speech: Path, calls: int, window: float) -> dict:
    """The same calls through the echo in the gateway, and through a bot that echoes: one after another."""

    def run(workflow: int, bot=bot) -> dict:
        return steady(gateway, load_binary, speech, calls, window, workflow, bot=bot)

    warm_up(gateway, load_binary, speech)
    found = {"echo": run(1, None), "pcm": run(4), "full": run(5), "probed_on_one_core": run(6)}
    for name in "pcm", "full":
        found[f"{name}_more_ms"] = {
            share: found[name]["latency_ms"][share] - found["echo"]["latency_ms"][share]
            for share in ("p50", "p99") if found[name]["latency_ms"][share] and found["echo"]["latency_ms"][share]
        }
    return found


def memory(idle: int, warm: int, result: dict) -> dict:
    """What a call takes: the growth over a server that has had one."""
    return {
        "idle_bytes": idle,
        "after_one_call_bytes": warm,
        "bytes_per_call": (result["resident_bytes"] - warm) / result["calls"],
    }


def warm_up(server: Server, load_binary: Path, speech: Path) -> tuple[int, int]:
    """Resident memory before and after a first call, which loads what loads late."""
    idle = resident(server.pid)
    Load(load_binary, server.signaling(), speech, 1, 3, RATE).finish()
    time.sleep(1)
    return idle, resident(server.pid)


def lateness(gateway, load_binary: Path, speech: Path, window: float, burning: int = 4, echoing: int = 8) -> dict:
    """Echo calls beside calls whose pipeline burns CPU, all on all cores."""
    seconds = window + SETTLE + 2
    loads = [
        Load(load_binary, gateway.signaling(workflow), speech, calls, seconds, RATE, core=None)
        for workflow, calls in ((2, burning), (1, echoing))
    ]
    time.sleep(SETTLE)
    spent = watch(gateway, loads, window)
    media = gateway.calls()["media"]
    burned, echoed = (load.finish() for load in loads)
    return {
        "burning": burning,
        "echoing": echoing,
        "connected": sum(each["connected"] for each in burned + echoed),
        "cpu_percent": spent.server,
        "tick_lateness_p99_ms": media.get("tick_lateness_p99_ms"),
        "media": media,
        "gap_p99_ms": percentile(told(echoed, "gap_p99_ms"), 0.99),
        "gap_max_ms": max(told(echoed, "gap_max_ms"), default=None),
        "packets_lost": sum(told(echoed, "packets_lost")) + sum(told(echoed, "remote_lost")),
    }
