"""The table."""

from dataclasses import dataclass

COLUMNS = {"gateway": "gateway", "pion": "Pion", "pipecat": "pipecat + aiortc"}
# In percent of a core: from here on the generator or the neighbours are what was measured.
LOAD_LIMIT, OTHERS_LIMIT = 90, 10
STEP_HEADS = [
    "calls", "connected", "complexity", "CPU, %", "a call", "gap p99", "gap max", "lost", "latency p50", "p99", "held", "generator's CPU",
    "others'",
]
BOT_HEADS = [
    "", "calls", "connected", "CPU, %", "a call", "gap p99", "gap max", "lost", "latency p50", "p99", "the bot had it p50", "p99",
    "answered p50", "p99", "of", "bot's CPU", "generator's", "others'",
]
BOTS = {
    "echo": "echo in the gateway, 48 kHz",
    "full": "bot, 48 kHz",
    "pcm": "bot, 16 kHz",
    "probed_on_one_core": "bot, 16 kHz, with probes",
    "probed": "bot, 16 kHz, with probes, all cores",
}
FLOORS = [
    ("SRTP, Opus", "plain", "plain_fec"),
    ("SRTP, Opus, 48 → 16 → 48 kHz", "resampled", "resampled_fec"),
    ("SRTP, Opus at 16 kHz out, 48 → 16 → 48 kHz", "wideband", "wideband_fec"),
    ("SRTP, Opus, asleep until each frame is due", "plain_paced", None),
    ("SRTP, Opus, the other core busy", "plain_busy", None),
]


@dataclass
class Line:
    """A figure of a server's results, and within which bound it must be, if any."""

    what: str
    path: str
    most: float | None = None
    least: float | None = None
    digits: int = 1
    # What the figure is divided by: a number, or the name of a floor.
    by: float | str = 1

    def figure(self, results: dict, floor: dict | None) -> float | None:
        for name in self.path.split("."):
            results = results.get(name) if isinstance(results, dict) else None
        divisor = self.by if not isinstance(self.by, str) else floor and floor[self.by]
        return None if results is None or not divisor else results / divisor

    @property
    def bound(self) -> str:
        return f"≤ {self.most:g}" if self.most is not None else f"≥ {self.least:g}" if self.least is not None else ""

    def verdict(self, value: float | None) -> str:
        if value is None or not self.bound:
            return ""
        good = value <= self.most if self.most is not None else value >= self.least
        return "yes" if good else "**no**"


CPU = "echo.cpu_percent_per_call"
LINES = [
    Line("CPU of an echoing call, % of a core", CPU, digits=2),
    Line("the same, × floor", CPU, most=1.25, digits=2, by="plain"),
    Line("the same, × floor with resampling", CPU, digits=2, by="resampled"),
    Line("the same, × floor with resampling and FEC", CPU, digits=2, by="resampled_fec"),
    Line("the same, × floor that sleeps until each frame is due", CPU, digits=2, by="plain_paced"),
    Line("the same, × floor while the other core is busy", CPU, digits=2, by="plain_busy"),
    Line("calls held on one core, complexity 5 throughout", "held_calls", digits=0),
    Line("calls held on one core, as the gateway comes", "eased.held_calls", least=100, digits=0),
    Line("CPU of a call in which nobody speaks, × floor", "nothing.cpu_percent_per_call", most=0.15, digits=2, by="plain"),
    Line("the same, × floor that sleeps until each frame is due", "nothing.cpu_percent_per_call", digits=2, by="plain_paced"),
    Line("the same where the caller's noise is sent all the same, × floor", "quiet.cpu_percent_per_call", digits=2, by="plain"),
    Line("latency through the echo, p50, ms", "echo.latency_ms.p50", most=30),
    Line("latency through the echo, p99, ms", "echo.latency_ms.p99", most=45),
    Line("gap between packets, p99, ms", "echo.gap_p99_ms", most=30),
    Line("longest gap, ms", "echo.gap_max_ms"),
    Line("set-up until connected, p50, ms", "setup.connected_ms.p50"),
    Line("set-up until the first packet, p50, ms", "setup.first_packet_ms.p50", most=20),
    Line("set-up until the first packet, p99, ms", "setup.first_packet_ms.p99", most=100),
    Line("memory a call, KiB", "memory.bytes_per_call", most=300, digits=0, by=1024),
    Line("memory without calls, MiB", "memory.idle_bytes", by=1024 * 1024),
    Line("CPU of a call with a bot, % of a core", "bots.pcm.cpu_percent_per_call", digits=2),
    Line("the same, × floor with resampling", "bots.pcm.cpu_percent_per_call", most=1.5, digits=2, by="resampled"),
    Line("the same, × floor that encodes what a pipeline at 16 kHz has", "bots.pcm.cpu_percent_per_call", digits=2, by="wideband"),
    Line("the same, × floor", "bots.pcm.cpu_percent_per_call", digits=2, by="plain"),
    Line("the same, × floor that sleeps until each frame is due", "bots.pcm.cpu_percent_per_call", digits=2, by="plain_paced"),
    Line("round trip to the bot, without the bot's part, p50, ms", "bots.probed.answered_ms.p50", digits=2),
    Line("round trip to the bot, without the bot's part, p99, ms", "bots.probed.answered_ms.p99", most=5, digits=2),
    Line("the same on one core, p50, ms", "bots.probed_on_one_core.answered_ms.p50", digits=2),
    Line("the same on one core, p99, ms", "bots.probed_on_one_core.answered_ms.p99", digits=2),
    Line("latency through a bot's echo beyond the gateway's own, both at 48 kHz, p50, ms", "bots.full_more_ms.p50"),
    Line("the same, p99, ms", "bots.full_more_ms.p99"),
    Line("latency through a bot's echo at 16 kHz beyond the gateway's own, p50, ms", "bots.pcm_more_ms.p50"),
    Line("send tick's lateness beside four burning pipelines, p99, ms", "burn.tick_lateness_p99_ms", most=5, digits=2),
    Line("gap between packets of echoing calls beside them, p99, ms", "burn.gap_p99_ms"),
]


def number(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def row(cells: list) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def rule(count: int) -> str:
    return "|---" * count + "|"


def table(results: dict) -> str:
    """Markdown: the floor, what must hold, each step, and what makes figures of this run doubtful."""
    floor, servers = results.get("floor"), results["servers"]
    text = [f"{results['date']}, {results['machine']}, {results['cores']} cores, Linux {results['kernel']}", ""]
    if floor:
        text += [row(["floor, % of a core a call", "without FEC", "with FEC"]), rule(3)]
        text += [row([label, number(floor[plain], 3), number(floor.get(fec), 3)]) for label, plain, fec in FLOORS] + [""]
    shown = [name for name in COLUMNS if name in servers]
    if shown:
        peers = [name for name in shown if name != "gateway"]
        heads = ["", "must hold", *(COLUMNS[name] for name in shown), "the gateway's holds"]
        heads += [f"gateway : {COLUMNS[name]}" for name in peers if "gateway" in shown]
        text += [row(heads), rule(len(heads))]
        for line in LINES:
            values = {name: line.figure(servers[name], floor) for name in shown}
            if any(value is not None for value in values.values()):
                figures = [number(value, line.digits) for value in values.values()]
                ours = values.get("gateway")
                ratios = [ours / values[name] if ours and values[name] else None for name in peers if "gateway" in shown]
                text.append(row([line.what, line.bound, *figures, line.verdict(ours), *(number(each, 2) for each in ratios)]))
        text.append("")
    for name in shown:
        if steps := servers[name].get("steps"):
            text += [f"{COLUMNS[name]}, step by step:", "", row(STEP_HEADS), rule(len(STEP_HEADS)), *map(step, steps), ""]
        if steps := servers[name].get("eased", {}).get("steps"):
            text += [f"{COLUMNS[name]} as it comes, step by step:", "", row(STEP_HEADS), rule(len(STEP_HEADS)), *map(step, steps), ""]
        if bots := servers[name].get("bots"):
            text += [f"{COLUMNS[name]} with bots:", "", row(BOT_HEADS), rule(len(BOT_HEADS))]
            text += [with_bot(label, bots[kind]) for kind, label in BOTS.items()] + [""]
    return "\n".join(text + [f"Note: {each}" for each in remarks(servers)])


def step(run: dict) -> str:
    return row([
        run["calls"], run["connected"], number(run["complexity"]), number(run["cpu_percent"]), number(run["cpu_percent_per_call"], 2),
        number(run["gap_p99_ms"]), number(run["gap_max_ms"]), number(run["packets_lost"], 0),
        number(run["latency_ms"]["p50"]), number(run["latency_ms"]["p99"]), "yes" if run["held"] else "no",
        number(run["load_cpu_percent"], 0), number(run["others_cpu_percent"], 0),
    ])


def with_bot(label: str, run: dict) -> str:
    held, answered = run.get("bot_held_ms", {}), run.get("answered_ms", {})
    return row([
        label, run["calls"], run["connected"], number(run["cpu_percent"]), number(run["cpu_percent_per_call"], 2),
        number(run["gap_p99_ms"]), number(run["gap_max_ms"]), number(run["packets_lost"], 0),
        number(run["latency_ms"]["p50"]), number(run["latency_ms"]["p99"]),
        number(held.get("p50"), 2), number(held.get("p99"), 2), number(answered.get("p50"), 2), number(answered.get("p99"), 2),
        answered.get("of") or "–", number(run.get("bot_cpu_percent"), 0), number(run["load_cpu_percent"], 0),
        number(run["others_cpu_percent"], 0),
    ])


def remarks(servers: dict) -> list[str]:
    found = []
    for name, server in servers.items():
        runs = {f"{each['calls']} calls": each for each in server.get("steps", [])}
        runs |= {f"{each['calls']} calls as it comes": each for each in server.get("eased", {}).get("steps", [])}
        runs |= {kind: server[kind] for kind in ("quiet", "nothing") if kind in server}
        runs |= {BOTS[kind]: run for kind, run in server.get("bots", {}).items() if kind in BOTS}
        for label, run in runs.items():
            where = f"{name}, {label}:"
            if (load := run["load_cpu_percent"] + run.get("bot_cpu_percent", 0)) > LOAD_LIMIT:
                found.append(f"{where} the generator took {load:.0f} % of its core; gaps and latency may be its own.")
            if run["others_cpu_percent"] > OTHERS_LIMIT:
                others = f"{run['others_cpu_percent']:.0f} % of a core"
                found.append(f"{where} the machine was not quiet, others took {others}.")
            if late := run.get("answered_late"):
                found.append(f"{where} {late} probes of the round trip had no answer within half a second.")
            shares = [run[f"packets_{way}_share"] for way in ("sent", "received")]
            if kind_of_speech(label) and min(shares) <= 0.98:
                found.append(
                    f"{where} {shares[0]:.0%} of the packets were sent and {shares[1]:.0%} came back; the CPU is not that of "
                    "so many calls.")
            found += [f"{where} {error}" for error in run["errors"]]
    return found


def kind_of_speech(label: str) -> bool:
    """Whether packets flow all the time."""
    return label not in ("quiet", "nothing")
