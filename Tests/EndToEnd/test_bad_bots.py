"""Calls with good bots and with none, while the bots of other calls die, stop, lie, flood and never read."""

import itertools
import json
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from bot import Bot
from gateway import BINARY, changed_config, patchbay

RELEASE = "release" in BINARY.parts
# Milliseconds between two packets of a good call, in 99 of 100 cases; and from saying to hearing by way of an echo.
GAP = 30 if RELEASE else 60
LATENCY = 90 if RELEASE else 200
CONTROL, SECONDS = 8, 14
# What a bad bot is, what is done to it, and whether its call ends before the caller leaves.
BAD = {
    "killed": ("echo", signal.SIGKILL, True),
    "stopped": ("echo", signal.SIGSTOP, True),
    "crash": ("crash", None, True),
    "garbage": ("garbage", None, True),
    "deaf": ("deaf", None, True),
    "flood": ("flood", None, False),
    "torrent": ("torrent", None, False),
    "grains": ("grains", None, False),
    "chaff": ("chaff", None, False),
}
BAD_SECONDS = 4
# Several calls of one process count up from a run.
RUNS = itertools.count(1_000_000, 100)


def place(gateway, workflow: int, seconds: float, *options, calls=1) -> list[dict]:
    url = gateway.signaling(workflow, next(RUNS))
    run = patchbay("call", url, "--calls", calls, "--seconds", seconds, "--json", *options, timeout=seconds + 30)
    assert run.stdout, run.stderr
    return json.loads(run.stdout)["calls"]


def good_calls(gateway, seconds: float, said) -> dict[str, list[dict]]:
    """Three calls through the echo in the gateway, three through a bot that echoes."""
    with ThreadPoolExecutor() as pool:
        workflows = {"echo": 2, "bot": 10}
        calls = {name: pool.submit(place, gateway, workflow, seconds, "--in", said, calls=3) for name, workflow in workflows.items()}
        return {name: each.result() for name, each in calls.items()}


class BadCalls(threading.Thread):
    """One call after another to one bad bot, which is there again for each."""

    def __init__(self, gateway, name: str, workflow: int, bot: Bot, said):
        super().__init__()
        self.gateway, self.name, self.workflow, self.bot, self.said = gateway, name, workflow, bot, said
        self.until = time.monotonic() + SECONDS - BAD_SECONDS
        self.ends: list[str] = []
        self.error = None

    def run(self):
        behaviour, fate, _ = BAD[self.name]
        try:
            while time.monotonic() < self.until:
                timer = threading.Timer(1.5, self.bot.signal, [fate] if fate else [0])
                timer.start()
                [call] = place(self.gateway, self.workflow, BAD_SECONDS, "--in", self.said, "--count-only")
                timer.join()
                self.ends.append(call["error"] or call["end"])
                if behaviour == "crash" or fate:
                    self.bot.__exit__()
                    self.bot = Bot(behaviour, port=self.bot.port, politeness=19)
        except Exception as error:
            self.error = error


@pytest.fixture
def bots():
    """A good bot, and the bad ones by name. They have a machine of their own as a rule: here the others' work comes first."""
    with ThreadPoolExecutor() as pool:
        bad = {name: pool.submit(Bot, behaviour, politeness=19) for name, (behaviour, *_) in BAD.items()}
        good, bad = Bot("echo"), {name: each.result() for name, each in bad.items()}
    yield good, bad
    for each in [good, *bad.values()]:
        each.__exit__()


@pytest.mark.alone
@pytest.mark.long
def test_good_calls_keep_their_time_beside_bad_bots(start, bots, noisy):
    good, bad = bots
    workflows = {name: 20 + number for number, name in enumerate(bad)}
    pipelines = {"good": (10, good), **{name: (workflows[name], bot) for name, bot in bad.items()}}
    lines = [f"  {name}: {{{{ type: websocket, dialect: pcm, url: '{bot.url}' }}}}" for name, (_, bot) in pipelines.items()]
    routes = "".join(f', "{workflow}": {name}' for name, (workflow, _) in pipelines.items())
    gateway = start(template=changed_config(
        ("echo: {{ type: echo }}", "\n".join(["echo: {{ type: echo }}", *lines])), ('"3": player', f'"3": player{routes}')))

    control = good_calls(gateway, CONTROL, noisy["harbour"])
    # The store opens what it needs for so many at once, and keeps it.
    place(gateway, 2, 1, calls=20)
    gateway.await_idle()
    descriptors = gateway.descriptors()
    threads = [BadCalls(gateway, name, workflows[name], bot, noisy["winter"]) for name, bot in bad.items()]
    for each in threads:
        each.start()
    beside = good_calls(gateway, SECONDS, noisy["harbour"])
    for each in threads:
        each.join()
        bad[each.name] = each.bot
    ends = {each.name: each.ends for each in threads}
    print("bad calls:", json.dumps(ends))

    for when, found in ("alone", control), ("beside bad bots", beside):
        for kind, calls in found.items():
            figures = {name: [each[name] for each in calls] for name in ("gap_p99_ms", "gap_max_ms", "latency_ms", "latency_end_ms")}
            print(f"{kind}, {when}:", json.dumps(figures))
    for kind, calls in [*control.items(), *beside.items()]:
        for each in calls:
            assert each["connected"] and each["error"] is None and each["end"] == "hung up", (kind, each)
            assert each["packets_lost"] == each["remote_lost"] == 0, (kind, each)
            assert abs(each["packets_received"] / each["seconds"] - 50) < 2, (kind, each)
            assert each["gap_p99_ms"] <= GAP, (kind, each)
            assert max(each["latency_ms"], each["latency_end_ms"]) < LATENCY, (kind, each)
    for each in threads:
        assert each.error is None, (each.name, each.error)
        good = set(each.ends) == {"pipeline_failed"} if BAD[each.name][2] else "hung up" in each.ends
        assert len(each.ends) >= 2 and good, (each.name, each.ends)
    gateway.await_idle(timeout=5)
    gateway.await_descriptors(descriptors)
    lost = sum(len(each.ends) for each in threads if BAD[each.name][2])
    assert gateway.log.read_text().count(" reason=pipeline_failed ") == lost
