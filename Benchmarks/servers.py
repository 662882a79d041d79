"""The servers: the gateway, its sibling with a pipeline that burns CPU, its bot, Pion, and pipecat with aiortc."""

import json
import statistics
import urllib.request
from pathlib import Path

from process import LOAD_CORE, ROOT, SERVER_CORE, Server, free_ports

CONFIGURATION = """\
version: 1
server: {{ listen: "127.0.0.1:0", admin: "127.0.0.1:0", drain: 0s }}
media: {{ addresses: [127.0.0.1], ports: {ports}{loops}, opus: {{ minimum_complexity: {complexity} }} }}
quotas:
  seats: {{ type: concurrency, limit: 10000 }}
pipelines:
  echo: {{ type: echo }}
  parrot: {{ type: parrot }}
{pipelines}
tenants:
  default:
    match: any
    allow_anonymous: true
    quotas: [seats]
    pipeline: echo
    pipelines: {{ "1": echo, "3": parrot{workflows} }}
    ice: {{ inbound: none, outbound: none }}
"""

BURNING = "  burn: { type: burn }"
# One bot: as calls have it by default, without resampling, and with probes.
BOTS = """\
  pcm: {{ type: websocket, dialect: pcm, url: 'ws://{bot}/' }}
  full: {{ type: websocket, dialect: pcm, url: 'ws://{bot}/', pcm: {{ input_rate: 48000, output_rate: 48000 }} }}
  probed: {{ type: websocket, dialect: pcm, url: 'ws://{bot}/probe' }}"""


class Gateway(Server):
    """Ours, with one media loop on one core, or as it comes, on all of them; also with something that burns these.

    `complexity` is what the encoder's may come down to under load. With a bot, workflows 4 to 6 are its.
    """

    def __init__(
        self, directory: Path, binary: Path, complexity: int = 5, burning: bool = False, bot: "Bot | None" = None,
        core: int | None = SERVER_CORE,
    ):
        name = "burn" if burning else "gateway"
        core = None if burning else core
        configuration = directory / f"{name}.yaml"
        configuration.write_text(
            CONFIGURATION.format(
                ports=free_ports(8),
                complexity=complexity,
                loops="" if core is None else ", loops: 1",
                pipelines=BURNING if burning else BOTS.format(bot=bot.address) if bot else "",
                workflows=', "2": burn' if burning else ', "4": pcm, "5": full, "6": probed' if bot else "",
            )
        )
        super().__init__(
            name, [binary, "serve", "-c", configuration], directory / f"{name}.log", "Patchbay is listening on ",
            core=core)
        self.admin = self.announced("Admin is listening on ")

    def calls(self) -> dict:
        """What the admin listener says."""
        with urllib.request.urlopen(f"http://{self.admin}/calls", timeout=5) as answer:
            return json.load(answer)

    def complexity(self) -> float | None:
        """At which calls are encoded now, on average."""
        levels = [call["media"]["complexity"] for call in self.calls()["calls"] if call.get("media")]
        return statistics.mean(levels) if levels else None


class Bot(Server):
    """A bot that echoes, beside the callers. It comes first there: how long it lets messages lie is no figure of the gateway's."""

    def __init__(self, directory: Path):
        command = ["nice", "-n", "-10", directory / "bot-echo"]
        super().__init__("bot", command, directory / "bot.log", "listening on ", core=LOAD_CORE)

    def figures(self) -> dict:
        """What it measured since it was last asked, in milliseconds."""
        with urllib.request.urlopen(f"http://{self.address}/figures", timeout=10) as answer:
            return json.load(answer)


def pion(directory: Path) -> Server:
    command = [directory / "pion-echo", "-ports", free_ports(512)]
    return Server("pion", command, directory / "pion.log", "listening on ")


def pipecat(directory: Path) -> Server:
    command = [ROOT / ".venv-bench/bin/python", ROOT / "Benchmarks/Pipecat/echo.py"]
    return Server("pipecat", command, directory / "pipecat.log", "listening on ")
