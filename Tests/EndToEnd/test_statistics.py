"""How a call goes, in the gateway's own figures: on the wire, on the admin listener and in the log."""

import asyncio
import re

import pytest

from gateway import ROOT, jwt
from peer import in_call

REASONS = {"unvalidated", "early", "unauthentic", "malformed", "too_many", "unknown_stream", "stun"}


def documented() -> set[str]:
    """The names in the table of the description of the wire."""
    section = (ROOT / "docs/wire.md").read_text().split("### Statistics\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


async def ask(caller) -> dict:
    after = len(caller.messages)
    await caller.send("get-statistics", pc_id=caller.pc_id)
    return await caller.message("statistics", after=after)


@pytest.mark.alone
def test_the_wire_the_admin_listener_and_the_log_say_the_same(gateway):
    async def main():
        async with in_call(gateway.signaling()) as caller:
            await caller.hears(300, timeout=10)
            first = await ask(caller)
            [call] = (await asyncio.to_thread(gateway.look))["calls"]
            return caller.pc_id, first, call["media"], await ask(caller)

    pc_id, first, admin, last = asyncio.run(main())
    gateway.await_idle()
    print(last)
    assert first.pop("pc_id") == last.pop("pc_id") == pc_id
    assert set(first) == set(last) == set(admin) == documented()
    assert set(last["dropped"]) == REASONS and not any(last["dropped"].values())
    counts = [name for name in last if name.startswith(("packets_", "frames_"))]
    for name in counts:
        assert first[name] <= admin[name] <= last[name] <= first[name] + 50, name
    for name in "bitrate_bps", "sends_fec", "loss", "playout_clears", "playout_marks", "packets_lost":
        assert first[name] == admin[name] == last[name], name

    assert last["packets_received"] >= 300 and last["packets_sent"] >= 300
    assert last["loss"] == last["packets_lost"] == last["remote_packets_lost"] == last["input_frames_dropped"] == 0
    assert 4 < last["mos_received"] <= 4.5 and 4 < last["mos_sent"] <= 4.5
    assert 15 < last["gap_p50_ms"] < 25 and last["gap_p50_ms"] <= last["gap_p99_ms"] <= last["gap_max_ms"]
    assert 0 < last["round_trip_ms"] < 50 and last["jitter_ms"] < 20 and last["remote_jitter_ms"] < 20
    assert last["sends_fec"] is False and 16_000 <= last["bitrate_bps"] <= 64_000

    [line] = [line for line in gateway.log.read_text().splitlines() if line.endswith("call ended")]
    logged = dict(re.findall(r"(\w+)=(\S+)", line))
    assert set(logged) >= documented() - {"dropped", "audio_level_dbov"}
    assert int(logged["packets_received"]) >= last["packets_received"] and float(logged["mos_received"]) > 4


def test_operators_see_whose_a_call_is_but_of_a_visitor_no_token(start):
    gateway = start()

    async def main(url: str) -> dict:
        async with in_call(url):
            [call] = (await asyncio.to_thread(gateway.look))["calls"]
            return call

    users, embeds = (asyncio.run(main(url)) for url in (gateway.signaling(run=77, token=jwt(user="grace")), gateway.embed_session("emb_echo")))
    assert users.items() >= {"tenant": "default", "workflow": 2, "run": 77, "auth": "users", "user": "grace"}.items()
    assert embeds["auth"] == "embeds" and "user" not in embeds
    gateway.await_idle()
    ended = [dict(re.findall(r"(\w+)=(\S+)", line)) for line in gateway.log.read_text().splitlines() if line.endswith("call ended")]
    assert [(each["call"], each["run"], each["auth"], each.get("user")) for each in ended] == [
        (users["id"], "77", "users", "grace"), (embeds["id"], str(embeds["run"]), "embeds", None)]


def test_nobody_is_told_of_a_call_that_is_not_theirs(gateway):
    async def main():
        async with in_call(gateway.signaling()) as owner, in_call(gateway.signaling()) as other:
            await other.send("get-statistics", pc_id=owner.pc_id)
            assert await other.message("error") == {"message": "Peer connection not found"}

    asyncio.run(main())
    gateway.await_idle()


@pytest.mark.alone
def test_the_media_loops_keep_time(gateway):
    async def main():
        async with in_call(gateway.signaling()) as caller:
            await caller.hears(100)
            return (await asyncio.to_thread(gateway.look))["media"]

    media = asyncio.run(main())
    gateway.await_idle()
    assert 0 <= media["tick_lateness_p50_ms"] <= media["tick_lateness_p99_ms"] < 40
