"""Processes under test and beside it: started on a core, sampled, stopped."""

import itertools
import json
import os
import random
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TICKS = os.sysconf("SC_CLK_TCK")
SERVER_CORE, LOAD_CORE = 0, 1
# A run is called once.
RUNS = itertools.count(1_000, 1_000)


def on_core(core: int | None, command: list) -> list[str]:
    """The command, on one core or on all of them."""
    return [*([] if core is None else ["taskset", "-c", str(core)]), *map(str, command)]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def busy_seconds() -> float:
    """What all processes of this machine have spent."""
    user, nice, system, _, _, irq, softirq, *_ = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:])
    return (user + nice + system + irq + softirq) / TICKS


def resident(pid: int) -> int:
    """Resident memory in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def free_ports(count: int) -> str:
    """A range of UDP ports that nobody has right now."""
    while True:
        first = random.randrange(20_000, 30_000)
        sockets = []
        try:
            for port in range(first, first + count):
                sockets.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                sockets[-1].bind(("127.0.0.1", port))
            return f"{first}-{first + count - 1}"
        except OSError:
            continue
        finally:
            for each in sockets:
                each.close()


class Server:
    """A server under test. It is ready when it has printed `announcement` and its address."""

    def __init__(self, name: str, command: list, log: Path, announcement: str, core: int | None = SERVER_CORE):
        self.name, self.log = name, log
        with log.open("w") as output:
            self.process = subprocess.Popen(on_core(core, command), stdout=output, stderr=subprocess.STDOUT, cwd=log.parent)
        self.pid = self.process.pid
        self.address = self.announced(announcement)

    def announced(self, announcement: str, timeout: float = 60) -> str:
        """What follows a text in what it prints."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and self.process.poll() is None:
            for line in self.log.read_text().splitlines():
                if announcement in line:
                    return line.partition(announcement)[2].strip().removeprefix("http://").rstrip("/")
            time.sleep(0.1)
        self.stop()
        raise SystemExit(f"{self.name} did not start:\n{self.log.read_text()[-2000:]}")

    def signaling(self, workflow: int = 1) -> str:
        return f"ws://{self.address}/api/v1/ws/signaling/{workflow}/{next(RUNS)}"

    def complexity(self) -> float | None:
        """At which calls are encoded now, where the server tells."""
        return None

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


# Without the right to real-time priority, and only when nobody else wants the core.
YIELDING = ["setpriv", "--bounding-set=-sys_nice", "--inh-caps=-sys_nice", "chrt", "--idle", "0"]


class Load:
    """Calls of `patchbay call`, from one process. Its encoder is set to the cheapest: it is not what is measured.

    Those that `yields` are on all cores, and in nobody's way, as if they were on a machine of their own.
    """

    def __init__(
        self, binary: Path, url: str, speech: Path, calls: int, seconds: float, rate: float, core: int | None = LOAD_CORE,
        decodes: bool = True, yields: bool = False,
    ):
        self.limit = calls / rate + seconds + 60
        command = [binary, "call", url, "--in", speech, "--calls", calls, "--seconds", seconds, "--rate", rate]
        command += ["--complexity", 0, "--json", *([] if decodes else ["--count-only"])]
        command = on_core(None, [*YIELDING, *command]) if yields else on_core(core, command)
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.pid = self.process.pid

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.pid)

    def finish(self) -> list[dict]:
        """One report a call."""
        try:
            out, errors = self.process.communicate(timeout=self.limit)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise SystemExit("the calls did not end") from None
        try:
            return json.loads(out)["calls"]
        except ValueError:
            raise SystemExit(f"patchbay call: {errors or out}") from None


@dataclass
class Window:
    """What was spent in a stretch of time, in percent of one core."""

    server: float
    load: float
    bot: float
    others: float


def watch(server: Server, loads: list[Load], seconds: float, bot: Server | None = None) -> Window:
    """Samples for so long."""

    def sample() -> tuple[float, ...]:
        load = sum(each.cpu_seconds() for each in loads)
        bots = cpu_seconds(bot.pid) if bot else 0.0
        return time.monotonic(), cpu_seconds(server.pid), load, bots, busy_seconds()

    before = sample()
    time.sleep(seconds)
    wall, ours, load, bots, all_of_it = (after - earlier for after, earlier in zip(sample(), before))
    return Window(*(each / wall * 100 for each in (ours, load, bots, max(0.0, all_of_it - ours - load - bots))))
