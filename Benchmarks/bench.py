"""Measures the floor and the servers in one run; prints a table, writes everything as JSON. script/bench prepares it."""

import argparse
import json
import os
import platform
import sys
import time
from datetime import date
from pathlib import Path

import measures
import speech
from process import ROOT, Server
from report import table
from servers import Bot, Gateway, pion, pipecat

PARTS = ("floor", "gateway", "bots", "pion", "pipecat", "burn")


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), platform.machine())


class Bench:
    def __init__(self, directory: Path, binary: Path, quick: bool):
        self.directory, self.binary, self.quick = directory, binary, quick
        self.window = 8.0 if quick else 20.0
        self.passes = 1 if quick else 3
        self.speech = speech.make(directory / "speech")

    def floor(self) -> dict[str, list[float]]:
        return measures.floor(self.directory, self.speech["speech"], calls=60, seconds=6, passes=self.passes)

    def steps(self, server: Server, calls: list[int], stop_early: bool = True, decodes: bool = True) -> list[dict]:
        """One step after another, until one is not held."""
        found = []
        for each in calls:
            run = measures.steady(server, self.binary, self.speech["speech"], each, self.window, decodes=decodes)
            found.append(run)
            say(f"{server.name}: {each} calls, {run['cpu_percent']:.0f} % of the core, {'' if run['held'] else 'not '}held")
            if stop_early and not run["held"]:
                break
        return found

    def echo(self, server: Server, calls: list[int], setups: int, stop_early: bool = True) -> dict:
        """What is asked of every server: the first step's figures, set-up, memory, and how far it goes."""
        speaking = self.speech["speech"]
        idle, warm = measures.warm_up(server, self.binary, speaking)
        first = self.steps(server, calls[:1])
        memory = measures.memory(idle, warm, first[0])
        result = {"memory": memory, "setup": measures.setup(server, self.binary, speaking, setups)}
        # Many callers that decode would be what is measured.
        rest = self.steps(server, calls[1:], stop_early, decodes=not stop_early) if first[0]["held"] or not stop_early else []
        result["steps"] = first + rest
        result["echo"] = result["steps"][0] if stop_early else result["steps"][-1]
        if not measures.served(result["echo"]):
            result["echo"] = {**result["echo"], "cpu_percent_per_call": None}
        result["held_calls"] = max((each["calls"] for each in result["steps"] if each["held"]), default=0)
        return result

    def gateway(self) -> dict:
        server = Gateway(self.directory, self.binary)
        try:
            calls = [60] if self.quick else [60, 70, 80, 90, 100, 110, 120]
            result = self.echo(server, calls, setups=30 if self.quick else 100)
            for kind, workflow in (("nothing", 1), ("quiet", 3)):
                result[kind] = measures.steady(server, self.binary, self.speech[kind], 60, self.window, workflow)
                say(f"gateway: {kind}, {result[kind]['cpu_percent_per_call']:.3f} % of a core a call")
        finally:
            server.stop()
        result["eased"] = self.eased()
        return result

    def eased(self) -> dict:
        """How far the gateway goes as it comes: with encoders that work less hard when there is no time."""
        server = Gateway(self.directory, self.binary, complexity=0)
        try:
            steps = self.steps(server, [100] if self.quick else [80, 90, 100, 110, 120, 130, 140], decodes=False)
            return {"steps": steps, "held_calls": max((each["calls"] for each in steps if each["held"]), default=0)}
        finally:
            server.stop()

    def bots(self) -> dict:
        calls, speaking = 50, self.speech["speech"]
        bot = Bot(self.directory)
        try:
            server = Gateway(self.directory, self.binary, bot=bot)
            try:
                found = measures.bots(server, bot, self.binary, speaking, calls, self.window)
            finally:
                server.stop()
            server = Gateway(self.directory, self.binary, bot=bot, core=None)
            try:
                measures.warm_up(server, self.binary, speaking)
                found["probed"] = measures.steady(
                    server, self.binary, speaking, calls, self.window, workflow=6, bot=bot, yields=True)
            finally:
                server.stop()
            return found
        finally:
            bot.stop()

    def pion(self) -> dict:
        server = pion(self.directory)
        try:
            return self.echo(server, [60] if self.quick else [60, 70, 80, 90, 100, 110, 120], setups=30 if self.quick else 100)
        finally:
            server.stop()

    def pipecat(self) -> dict:
        server = pipecat(self.directory)
        try:
            return self.echo(server, [1, 4] if self.quick else [1, 4, 8], setups=4, stop_early=False)
        finally:
            server.stop()

    def burn(self) -> dict:
        server = Gateway(self.directory, self.directory / "burn", burning=True)
        try:
            return measures.lateness(server, self.binary, self.speech["speech"], self.window)
        finally:
            server.stop()


def say(text: str):
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(prog="script/bench")
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all of them by default")
    parser.add_argument("--quick", action="store_true", help="shorter windows, fewer steps: not for figures to keep")
    parser.add_argument("--binary", type=Path, default=ROOT / ".build/release/patchbay")
    parser.add_argument("--directory", type=Path, default=ROOT / ".build-bench")
    arguments = parser.parse_args()
    parts = arguments.parts or list(PARTS)
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no part is called {', '.join(sorted(unknown))}")

    bench = Bench(arguments.directory.resolve(), arguments.binary.resolve(), arguments.quick)
    results = {
        "date": date.today().isoformat(), "machine": machine(), "cores": os.cpu_count(), "kernel": platform.release(),
        "quick": arguments.quick, "servers": {},
    }
    passes = bench.floor() if "floor" in parts else None
    for part in PARTS[1:]:
        if part in parts:
            say(f"{part} …")
            found = getattr(bench, part)()
            if part in ("burn", "bots"):
                results["servers"].setdefault("gateway", {})[part] = found
            else:
                results["servers"][part] = found
    if passes:
        # Before and after the servers: a machine's speed may change meanwhile.
        for name, values in bench.floor().items():
            passes[name] += values
        results["floor_passes"], results["floor"] = passes, measures.floor_of(passes)
    (bench.directory / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))


main()
