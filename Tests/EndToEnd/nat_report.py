"""What the matrix of networks comes to: each program's results in a cell, and the tables of the document."""

import collections
import dataclasses
import datetime
import importlib.metadata
import itertools
import re
import statistics
import subprocess

from cells import GATEWAYS, PROGRAMS, Cell
from gateway import patchbay

PATIENCE = 45.0  # seconds until whoever does not get through has been told why
HEADINGS = {
    "none": "A gateway with a public address",
    "1:1": "A gateway behind 1:1 NAT, with `public_address`",
    "port-restricted": "A gateway behind a port-restricted NAT, with a STUN server",
    "symmetric": "A gateway behind a symmetric NAT, with a STUN server",
}
HELP = {
    (False, False, False): "–",
    (False, False, True): "ICE-TCP",
    (True, False, False): "TURN for callers",
    (False, True, False): "TURN for the gateway",
    (True, True, False): "TURN for both",
}
NAMES = {"chromium": "Chromium", "aiortc": "aiortc", "call": "`patchbay call`"}


@dataclasses.dataclass
class Result:
    """What became of a program's calls in a cell."""

    cell: str
    program: str
    should: bool
    why: str
    outcomes: list[dict]
    logged: dict[str, int]  # how the calls ended, in the words of the gateway's log

    @property
    def connected(self) -> list[dict]:
        return [each for each in self.outcomes if each["connected"]]

    @property
    def failed(self) -> list[dict]:
        return [each for each in self.outcomes if not each["connected"]]

    def faults(self) -> list[str]:
        """What is not as it should be."""
        faults = []
        if self.should and self.failed:
            faults.append(f"{len(self.failed)} of {len(self.outcomes)} did not connect: {self.reasons()}")
        if not self.should and self.connected:
            faults.append(f"{len(self.connected)} of {len(self.outcomes)} connected, over {self.paths()}")
        if self.failed and self.slowest() > PATIENCE:
            faults.append(f"a caller waited {self.slowest():.1f} s")
        if any(not each["reason"] for each in self.failed):
            faults.append("a caller was not told why")
        return faults

    def reasons(self) -> str:
        return common((each["reason"] for each in self.failed), "; ")

    def paths(self) -> str:
        """The kinds of the candidates that were selected, the caller's first; with its relay's transport where it is not UDP."""
        return common(
            ("–".join([each["local"] + ("/" + over if (over := each.get("over", "udp")) != "udp" else ""), each["remote"]])
             for each in self.connected if "local" in each), ", ")

    def slowest(self) -> float:
        return max(each["seconds"] for each in self.failed)

    def words(self) -> list[str]:
        """How many connected, and how soon and how; how long the others waited."""
        words = [f"{len(self.connected)}/{len(self.outcomes)}"]
        if self.connected:
            words += [f"{statistics.median(each['seconds'] for each in self.connected):.2f} s", *filter(None, [self.paths()])]
        return words

    def __str__(self) -> str:
        return ", ".join([*self.words(), *([f"{self.reasons()} after {self.slowest():.1f} s"] if self.failed else [])])


def common(words, separator: str) -> str:
    """Each once, the most frequent first."""
    return separator.join(word for word, _ in collections.Counter(words).most_common())


def versions() -> str:
    def first(pattern: str, *command: str) -> str:
        said = subprocess.run(command, capture_output=True, text=True)
        return re.search(pattern, said.stdout + said.stderr)[0]

    kernel = first(r"^\d+\.\d+", "uname", "-r")
    return ", ".join([
        f"Patchbay {patchbay('--version').stdout.strip()}",
        first(r"Chromium \d+(\.\d+)*", "chromium", "--version"),
        f"aiortc {importlib.metadata.version('aiortc')}",
        f"coturn {first(r'[0-9][0-9.]+', 'turnserver', '--version')}",
        f"nftables on Linux {kernel}",
    ])


def heading(command: str, runs: int) -> str:
    return f"{datetime.date.today()}, `{command}`, {runs} calls of each caller in each cell. {versions()}."


def checks(results: list[Result]) -> list[tuple[bool, str]]:
    should, should_not = ([each for each in results if each.should is wanted] for wanted in (True, False))
    connected, of = sum(len(each.connected) for each in should), sum(len(each.outcomes) for each in should)
    failed, calls = [each for each in results if each.failed], sum(len(each.outcomes) for each in should_not)
    slowest = max((each.slowest() for each in failed), default=0)
    return [
        (connected == of, f"who can connect does: {connected} of {of} calls"),
        (not any(each.connected for each in should_not), f"who cannot does not, so that NATs are NATs: {calls} calls"),
        (slowest <= PATIENCE, f"who does not connect is told why within {PATIENCE:.0f} s: the last after {slowest:.1f} s"),
        (not any(each.faults() for each in results), "nothing else was amiss"),
    ]


def tables(cells: list[Cell], results: list[Result]) -> str:
    found = {(each.cell, each.program): each for each in results}
    cells = [cell for cell in cells if any((str(cell), name) in found for name in PROGRAMS)]
    numbers = collections.defaultdict(itertools.count(1).__next__)

    def entry(cell: Cell, program: str) -> str:
        if not (result := found.get((str(cell), program))):
            return ""
        return ", ".join([*result.words(), *([f"{result.slowest():.1f} s ({numbers[result.why]})"] if result.failed else [])])

    lines = ["| holds | what |", "|---|---|"]
    lines += [f"| {'yes' if holds else '**no**'} | {claim} |" for holds, claim in checks(results)]
    for gateway in GATEWAYS:
        some = [cell for cell in cells if cell.gateway == gateway]
        if not some:
            continue
        lines += ["", f"### {HEADINGS[gateway]}", ""]
        lines += ["| caller's NAT | UDP | with | " + " | ".join(NAMES[name] for name in PROGRAMS) + " |", "|---" * 6 + "|"]
        for cell in some:
            words = [cell.caller, "open" if cell.udp else "blocked", HELP[cell.caller_turn, cell.gateway_turn, cell.tcp]]
            lines.append("| " + " | ".join([*words, *(entry(cell, name) for name in PROGRAMS)]) + " |")
    if numbers:
        lines += ["", "Why calls did not connect:", "", *(f"{number}. {why}" for why, number in numbers.items())]
        lines += ["", "And what was said then:", "", "| caller | its words | after | the gateway's log |", "|---|---|---|---|"]
    for name in PROGRAMS:
        failed = [each for each in results if each.program == name and each.failed]
        if failed:
            said = common((outcome["reason"] for each in failed for outcome in each.failed), "; ")
            took = [outcome["seconds"] for each in failed for outcome in each.failed]
            logged = common((ending for each in failed for ending in each.logged), "; ")
            lines.append(f"| {NAMES[name]} | {said} | {min(took):.1f} to {max(took):.1f} s | {logged} |")
    return "\n".join(lines)
