"""The configuration changes under a gateway that serves calls: by SIGHUP and by the admin port."""

import asyncio
import contextlib
import json
import math
import os
import random
import re
import signal
import time
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web

from gateway import begin, changed_config, finish, http, jwt, upgrade, with_turn
from peer import in_call
from test_redis import Callers, is_refusal


def change(gateway, old: str, new: str):
    text = gateway.config.read_text()
    assert text.count(old) == 1, old
    gateway.config.write_text(text.replace(old, new))


def reload(gateway, headers=None) -> tuple[int, dict]:
    status, body = gateway.ask("POST", "/reload", headers)
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
    # Once for each way: the file may change again when both have read it.
    log = gateway.await_log("configuration not reloaded: it has faults", times=2)
    assert "config.yaml:" in log and "expected a whole number" in log and "unknown key 'nonsense'" in log, log
    gateway.config.write_text(text.replace("limit: 50", "limit: 0"))
    status, answer = reload(gateway)
    assert (status, answer["status"], answer["instances_made"], answer["tenants_changed"]) == (200, "reloaded", ["quotas.seats"], [])
    assert [(each["path"], each["severity"]) for each in answer["warnings"]] == [("quotas.seats.limit", "warning")], answer
    assert "setting=quotas.seats.limit" in gateway.log.read_text()
    gateway.config.write_text(text)
    status, answer = reload(gateway)
    assert (status, answer["status"], answer["made"], answer["warnings"]) == (200, "reloaded", 1, [])

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


def test_a_policy_that_leaves_relays_only_has_turn_servers_asked(start, turn_server):
    gateway = start(template=with_turn(turn_server))
    turn_server.settimeout(1)
    with pytest.raises(TimeoutError):
        turn_server.recv(2000)
    change(gateway, "outbound: none", "outbound: all")
    assert reload(gateway)[0] == 200
    turn_server.settimeout(5)
    assert turn_server.recv(2000)[:2] == b"\0\3"  # Allocate


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


# MARK: - Under load

PACE = 0.1  # from one reload to the next, in seconds
# The longest, in milliseconds: the machine has all the callers too, and 280 were seen while it also compiled on every core.
GAP = 500
BATCH = 5  # seconds for which one process begins new calls
# Two configurations of which each is of one piece: its secret, its pipelines, its limits, what its pages are given and a tenant go together.
WORLDS = "world-a", "world-b"
WITHDRAWN = {"error_type": "credential_withdrawn", "message": "The credential is no longer good"}
ROOM = {"world-a": 0, "world-b": 400}  # for calls, at the world's own tenant
PHONE = 4  # the workflow whose calls a world's own bot takes
WORLD = changed_config(
    ("{directory}/jwt.secret", "{secrets}/world-a.secret"),
    (
        "echo: {{ type: echo }}",
        "world-a-echo: {{ type: echo }}\n"
        "  world-a: {{ type: websocket, dialect: pcm, url: '{bot}/world-a', token: {{ file: {secrets}/world-a.secret }} }}",
    ),
    ('"2": echo, "3": player', '"2": world-a-echo, "3": player, "4": world-a'),
    ("token: emb_echo, workflow: 2 }}", "token: emb_echo, workflow: 2, settings: {{ whose: world-a }} }}"),
    ("quotas:\n", f"quotas:\n  room: {{{{ type: concurrency, limit: {ROOM['world-a']} }}}}\n"),
    (
        "tenants:\n",
        "tenants:\n  world-a: {{ match: {{ path: /t/world-a }}, auth: [users, embeds], quotas: [room], pipeline: world-a,"
        " ice: {{ inbound: none, outbound: none }} }}\n",
    ),
)


def secret_of(world: str) -> str:
    return f"{world}'s own secret, of no use to anybody else"


@dataclass
class Change:
    """To another world at some instant between two."""

    world: str
    begun: float
    done: float = math.inf


@dataclass
class Sight:
    """Of a world at some instant between two: its token was let in, or the other's was not."""

    world: str
    begun: float
    done: float


def contradictions(first: str, changes: list[Change], sights: list[Sight]) -> tuple[list, int]:
    """What cannot be, at whatever instant in its time each change took place; and how many sights have shown something."""
    faults, shown = [], 0
    earliest, latest = [change.begun for change in changes], [change.done for change in changes]
    for sight in sights:
        before = first
        during = [number for number, change in enumerate(changes) if change.done >= sight.begun and change.begun <= sight.done]
        for change in changes[: during[0]] if during else changes:
            before = change.world if change.done < sight.begun else before
        if not during:
            shown += 1
            if sight.world != before:
                faults.append(sight)
        elif len(during) == 1:
            # Who has seen the new one was answered after the change, and who has seen the old one asked before it.
            shown += 1
            [number] = during
            if sight.world == changes[number].world:
                latest[number] = min(latest[number], sight.done)
            else:
                earliest[number] = max(earliest[number], sight.begun)
    return faults + [change for change, low, high in zip(changes, earliest, latest) if low > high], shown


@pytest.mark.parametrize(
    ("sights", "faults"),
    [
        ([("a", 0.0, 0.5), ("a", 0.6, 1.4), ("b", 1.5, 2.5), ("b", 3, 4)], 0),
        ([("b", 0.0, 0.5)], 1),  # before it was there
        ([("a", 2.1, 3)], 1),  # when it was there no more
        ([("b", 1.1, 1.2), ("a", 1.3, 1.4)], 1),  # back again
        ([("b", 1.1, 1.3), ("a", 1.2, 1.4)], 0),
        ([("a", 1.1, 4.5), ("b", 5.5, 6)], 1),
    ],
)
def test_what_cannot_be_is_found(sights, faults):
    """From a to b between 1 and 2, and back between 4 and 5."""
    assert len(contradictions("a", [Change("b", 1, 2), Change("a", 4, 5)], [Sight(*each) for each in sights])[0]) == faults


@contextlib.asynccontextmanager
async def bots_of_worlds():
    """The address of bots that tell a caller's client whose they are, by address and by what they are shown, and who is calling."""

    async def answer(request):
        socket = web.WebSocketResponse(protocols=["audio.jambonz.org"])
        await socket.prepare(request)
        user = (await socket.receive_json())["from"]
        secret = request.headers["Authorization"].removeprefix("Bearer ")
        data = {"type": "greeting", "whose": request.path[1:], "shown": [each for each in WORLDS if secret_of(each) == secret], "user": user}
        await socket.send_json({"type": "message", "data": data})
        async for _ in socket:
            pass
        return socket

    app = web.Application()
    app.router.add_get("/{world}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"ws://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def look_at_page(client: aiohttp.ClientSession, gateway, sights: list[Sight]):
    """What pages are given, by a tenant that both worlds have, or by one that only its own has: he must have that one's."""
    [(world, other)] = random.sample((WORLDS, WORLDS[::-1]), 1)
    tenant = random.choice(["", f"/t/{world}"])
    begun = time.monotonic()
    async with client.get(f"{gateway.url}{tenant}/api/v1/public/embed/config/emb_echo") as response:
        given = (await response.json()).get("settings") if response.status == 200 else None
    if not tenant:
        assert given in [{"whose": each} for each in WORLDS], given
        world = given["whose"]
    elif given is None:
        assert response.status == 404, response
        world = other
    else:
        assert given == {"whose": world}, given
    sights.append(Sight(world, begun, time.monotonic()))


async def try_both(callers: Callers, gateway, sights: list[Sight]) -> list[str]:
    """Shows both worlds' tokens. Whose is let in waits, for up to two reloads, and calls: he must get all of one world.

    Half of them come to the tenant of their world, and find as much room there as that has.
    """
    let_in = {}
    tenant = random.choice(["", "/t/{world}"])
    for world, other in random.sample((WORLDS, WORLDS[::-1]), 2):
        url = gateway.signaling(PHONE, token=jwt(user=world, secret=secret_of(world)))
        url = url.replace("/api/", f"{tenant.format(world=world)}/api/", 1)
        begun = time.monotonic()
        try:
            let_in[world] = await callers.open(url)
        except aiohttp.WSServerHandshakeError as error:
            assert error.status == 403, error
        sights.append(Sight(world if world in let_in else other, begun, time.monotonic()))
    for world, socket in let_in.items():
        await asyncio.sleep(random.uniform(0, 2 * PACE))
        asked, told = time.monotonic(), {}
        await callers.send_offer(socket)
        while "error" not in told and not {"answer", "greeting"} <= told.keys():
            message = await socket.receive_json(timeout=10)
            told[message["type"]] = message
        seen = world
        if tenant and told.get("error", {}).get("payload") == WITHDRAWN:
            # He was let in by a tenant that is there no more.
            [seen] = set(WORLDS) - {world}
        elif tenant and not ROOM[world]:
            assert is_refusal(told.get("error")), told
        else:
            assert told.get("greeting") == {"type": "greeting", "whose": world, "shown": [world], "user": world}, told
        if tenant:
            sights.append(Sight(seen, asked, time.monotonic()))
        await callers.hang_up(socket)
    return list(let_in)


async def change_worlds(gateway, reloads: int) -> list[Change]:
    """Reloads one world after the other; in between, files that are faulty, and signals."""
    first = gateway.config.read_text()
    texts = {"world-a": first, "world-b": first.replace("world-a", "world-b").replace("limit: 500", "limit: 501")}
    texts["world-b"] = texts["world-b"].replace(*(f"limit: {ROOM[each]} }}" for each in WORLDS))

    def write(text: str):
        new = gateway.config.with_suffix(".new")
        new.write_text(text)
        new.rename(gateway.config)

    async def asked(*, signals: bool) -> int:
        if signals:
            os.kill(gateway.pid, signal.SIGHUP)
        return (await asyncio.to_thread(reload, gateway))[0]

    changes, begun = [], time.monotonic()
    for number in range(reloads):
        world = WORLDS[(number + 1) % 2]
        if number % 5 == 4:
            # It would bring the other world, but for a limit.
            write(re.sub("limit: 50[01]", "limit: many", texts[world]))
            assert await asked(signals=number % 2 == 0) == 422
        # From here on: a signal of before may have this file read, too.
        changes.append(Change(world, time.monotonic()))
        write(texts[world])
        assert await asked(signals=number % 3 == 2) == 200
        changes[-1].done = time.monotonic()
        await asyncio.sleep(max(PACE / 2, begun + (number + 1) * PACE - time.monotonic()))
    return changes


def assert_whole(calls: list[dict], seconds: float):
    """Each was over because its time was, and got all that there was to hear."""
    for call in calls:
        assert call["connected"] and call["error"] is None and call["end"] == "hung up", call
        assert seconds <= call["seconds"] < seconds + 1, call
        assert call["packets_lost"] == call["remote_lost"] == 0, call
        # The first and the last few are on the way.
        assert abs(call["packets_received"] - 50 * call["seconds"]) < 15 + call["seconds"] / 2, call
        assert call["gap_max_ms"] < GAP, call


@pytest.mark.alone
@pytest.mark.long
def test_reloads_under_load(start, noisy, tmp_path):
    """The configuration changes from one world to another and back again, faster than anybody can call.

    Twenty calls live on over all of it, ten a second begin and are heard for a second, and ten a second meet what changes: none is
    lost, and each is in one world. PATCHBAY_RELOADS=1000 is the long run.
    """
    reloads = int(os.environ.get("PATCHBAY_RELOADS", "40"))
    for world in WORLDS:
        (tmp_path / f"{world}.secret").write_text(secret_of(world))

    def calls(gateway, count: int, rate: float, seconds: float):
        # Noise is sent without a pause.
        words = ["--in", noisy["harbour"], "--complexity", 0, "--calls", count, "--rate", rate, "--seconds", seconds]
        words += ["--count-only", "--json"]
        return begin("call", f"{gateway.url}/", "--token", "emb_echo", *words)

    async def main():
        async with bots_of_worlds() as bot, Callers() as callers, aiohttp.ClientSession() as client, asyncio.TaskGroup() as group:
            gateway = await asyncio.to_thread(lambda: start(template=WORLD, seats=500, bot=bot, secrets=tmp_path))
            lasts = 2 * reloads * PACE + 4  # where the machine is slow, so are reloads
            live = calls(gateway, 20, 20, lasts)
            await asyncio.to_thread(gateway.await_state, lambda now: len(now["calls"]) == 20, 10)
            new, sights, trying, seen, looking = [], [], [], [], []
            changing = group.create_task(change_worlds(gateway, reloads))
            begun = time.monotonic()
            while not changing.done():
                # However long the reloads take: some begin until the last is done.
                if time.monotonic() >= begun + len(new) * BATCH:
                    new.append(calls(gateway, 10 * BATCH, 10, 1))
                trying.append(group.create_task(try_both(callers, gateway, sights)))
                looking.append(group.create_task(look_at_page(client, gateway, seen)))
                await asyncio.sleep(0.1)
            assert live.poll() is None, "live calls were over before the last reload"
            assert new[-1].poll() is None, "new calls were over before the last reload"
            let_in = await asyncio.gather(*trying)
            await asyncio.gather(*looking)
            reports = [json.loads((await asyncio.to_thread(finish, each, "call", lasts + 60)).stdout) for each in (live, *new)]
            return gateway, changing.result(), sights, seen, let_in, reports, lasts

    gateway, changes, sights, seen, let_in, reports, lasts = asyncio.run(main())
    took = sorted(change.done - change.begun for change in changes)
    (_, shown), (_, shown_by_pages) = (contradictions(WORLDS[0], changes, each) for each in (sights, seen))
    faults, _ = contradictions(WORLDS[0], changes, sights + seen)
    print(
        f"{reloads} reloads, each in {1000 * took[len(took) // 2]:.0f} ms, {1000 * took[-1]:.0f} at most; {len(let_in)} callers tried both"
        f" worlds, {sum(map(len, let_in))} were let in, {shown} of {len(sights)} answers prove something, and {shown_by_pages} of"
        f" {len(seen)} to pages"
    )
    assert not faults, faults
    # Else it would have shown nothing.
    assert shown > len(sights) / 3 and shown_by_pages > len(seen) / 3 and {world for each in let_in for world in each} == set(WORLDS)
    assert sum(len(each) == 1 for each in let_in) > len(let_in) / 4
    live, *batches = (report["calls"] for report in reports)
    new = [call for batch in batches for call in batch]
    assert len(live) == 20 and [len(batch) for batch in batches] == [10 * BATCH] * len(batches)
    assert_whole(live, lasts)
    assert_whole(new, 1)
    for name, placed in ("live", live), ("new", new):
        packets, gap = sum(call["packets_received"] for call in placed), max(call["gap_max_ms"] for call in placed)
        print(f"{len(placed)} {name} calls heard {packets} packets, none lost, no gap beyond {gap:.0f} ms")
    assert gateway.log.read_text().count("configuration not reloaded: it has faults") >= reloads // 5
    gateway.await_idle(10)
