"""The configuration changes under a gateway that serves calls: by SIGHUP and by the admin port."""

import asyncio
import json
import os
import signal
import subprocess
import time

import pytest

from gateway import BINARY, http, upgrade
from peer import in_call


def change(gateway, old: str, new: str):
    text = gateway.config.read_text()
    assert text.count(old) == 1, old
    gateway.config.write_text(text.replace(old, new))


def reload(gateway, headers=None) -> tuple[int, dict]:
    status, _, body = http("POST", f"{gateway.admin}/reload", headers=headers)
    return status, json.loads(body)


@pytest.mark.parametrize("way", ["SIGHUP", "admin"])
def test_a_live_call_keeps_its_pipeline_and_a_new_one_gets_the_new(start, way):
    gateway = start()

    async def call():
        async with in_call(gateway.signaling()) as old:
            await old.hears(50)
            # The echo of noise is sent all the time; a parrot says nothing to it.
            change(gateway, '"2": echo', '"2": parrot')
            if way == "SIGHUP":
                os.kill(gateway.pid, signal.SIGHUP)
                gateway.await_log("configuration reloaded")
            else:
                assert (await asyncio.to_thread(reload, gateway))[0] == 200
            await old.hears(50)
            async with in_call(gateway.signaling()) as new:
                before = len(new.frames)
                await old.hears(50)
                assert len(new.frames) == before == 0

    asyncio.run(call())
    gateway.await_idle()


def test_a_faulty_file_changes_nothing_and_all_its_faults_are_told(start):
    gateway = start()
    text = gateway.config.read_text()
    gateway.config.write_text(text.replace("limit: 50", "limit: many") + "nonsense: 1\n")
    status, answer = reload(gateway)
    assert status == 422 and {fault["path"] for fault in answer["faults"]} == {"quotas.seats.limit", ""}, answer
    os.kill(gateway.pid, signal.SIGHUP)
    gateway.await_log("configuration not reloaded: it has faults")
    log = gateway.log.read_text()
    assert "config.yaml:" in log and "expected a whole number" in log and "unknown key 'nonsense'" in log, log
    gateway.config.write_text(text)
    status, answer = reload(gateway)
    assert (status, answer["status"], answer["made"]) == (200, "reloaded", 0)

    async def call():
        async with in_call(gateway.signaling()) as caller:
            await caller.hears(10)

    asyncio.run(call())
    gateway.await_idle()


def test_what_takes_a_restart_is_named(start):
    gateway = start()
    change(gateway, "addresses: [127.0.0.1]", "addresses: [127.0.0.1]\n  loops: 1")
    change(gateway, "limit: 50", "limit: 1")
    assert reload(gateway) == (409, {"status": "needs a restart", "settings": ["media.loops"]})


def test_a_page_cannot_reload(start):
    gateway = start()
    assert reload(gateway, {"Origin": "http://127.0.0.1:9090"})[0] == 403
    assert http("GET", f"{gateway.admin}/reload")[0] == 405


def test_a_secret_is_read_again(start):
    """An old token is refused from then on, and who came in with it stays."""
    gateway = start()

    async def call():
        old = gateway.signaling()
        async with in_call(gateway.signaling()) as caller:
            gateway.config.with_name("jwt.secret").write_text("another secret of an end-to-end test, no use elsewhere")
            assert (await asyncio.to_thread(reload, gateway))[1]["made"] == 1
            await caller.hears(50)
            assert (await asyncio.to_thread(upgrade, old))[0] == 403

    asyncio.run(call())
    gateway.await_idle()


def test_reloads_under_load(start):
    """Twenty calls live on and ten a second begin, while the configuration changes again and again: none is lost.

    PATCHBAY_RELOADS=1000 is the long run.
    """
    gateway = start(seats=500)
    reloads = int(os.environ.get("PATCHBAY_RELOADS", "40"))
    command = [BINARY, "call", f"{gateway.url}/", "--token", "emb_echo", "--json", "--count-only"]

    def calls(count: int, rate: float, seconds: float):
        options = ["--calls", str(count), "--rate", str(rate), "--seconds", str(seconds)]
        return subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True)

    pace = 0.1
    length = reloads * pace
    live = calls(20, 20, length + 6)
    time.sleep(2)
    new = calls(int(10 * length), 10, 1)
    begun = time.monotonic()
    for number in range(reloads):
        # Another pipeline, another quota, another limit of the tenant's: each makes something anew.
        limit, call, pause = 500 + number % 2, 1800 - number % 3, 600 + number % 5
        text = gateway.config.read_text()
        lines = [
            f"  seats: {{ type: concurrency, limit: {limit} }}" if line.startswith("  seats:")
            else f"  parrot: {{ type: parrot, pause: {pause}ms }}" if line.startswith("  parrot:")
            else line.replace(line.split("call: ")[1].split(",")[0], f"{call}s") if line.startswith("    limits:") else line
            for line in text.splitlines()
        ]
        gateway.config.write_text("\n".join(lines) + "\n")
        status, answer = reload(gateway)
        assert status == 200, answer
        time.sleep(max(0, begun + (number + 1) * pace - time.monotonic()))
    for name, run in ("live", live), ("new", new):
        output, _ = run.communicate(timeout=60)
        report = json.loads(output)
        print(name, json.dumps(report["summary"]))
        bad = [each for each in report["calls"] if not each["connected"] or each["error"]]
        assert not bad, bad[:3]
        assert all(each["packets_received"] > 0 for each in report["calls"])
    gateway.await_idle(10)
