"""What gateways share in Redis: one limit, runs, sessions; and what becomes of calls when Redis, or a gateway, is not there."""

import asyncio
import contextlib
import itertools
import json
import os
import random
import signal
import subprocess
import time
import uuid

import aiohttp
import pytest
from aiortc import RTCPeerConnection

from gateway import Gateway, begin, changed_config, finish, free_port, http, jwt, patchbay, upgrade, write_config
from peer import Microphone, in_call
from redis_server import Redis, SlowWay

REFUSED = {"error_type": "concurrency_limit_exceeded", "message": "Concurrent call limit reached"}
UNVERIFIED = {"error_type": "quota_check_failed", "message": "Could not verify the call's quota. Please try again."}
# As soon as a new call must be answered, whatever ails Redis; and counts be right again when it is well.
ANSWER, CONVERGENCE = 2.0, 30.0
# Longer than the time between two renewals of a lease.
OUTAGE = 12.0

SHARED = (
    ("stores:\n", "stores:\n  shared: {{ type: redis, url: 'redis://127.0.0.1:{redis}' }}\n"),
    ("match: any\n", "match: any\n    store: local\n"),
)
SEATS = changed_config(*SHARED, ("limit: {seats} }}", "limit: {seats}, store: shared, on_unavailable: {rule} }}"))
SLOTS = changed_config(
    *SHARED,
    ("type: concurrency, limit: {seats} }}", "type: dograh_slots, store: shared, limit: {seats}, organization: 9 }}"),
)
QUOTAS = {"concurrency": SEATS, "dograh_slots": SLOTS}
RESERVE = 3
MINUTES = changed_config(
    *SHARED,
    ("type: concurrency, limit: {seats} }}", f"type: call_minutes, limit: 600m, reserve: {RESERVE}s, store: shared, on_unavailable: {{rule}} }}}}"),
)


# A tenant whose sessions and runs are in the Redis that fails, beside the one that only counts there.
ELSEWHERE = """\
  elsewhere:
    match: {{ path: /t/elsewhere }}
    auth: [users, visitors]
    pipeline: echo
    store: shared
    runs: registered
"""
ORIGIN = {"Origin": "http://localhost"}
VISITORS = "{{ type: embed_token, store: shared, tokens: [{{ token: emb_elsewhere, workflow: 2, allowed_domains: [localhost] }}] }}"


def with_elsewhere(template: str) -> str:
    for name, what in ("auth", f"  visitors: {VISITORS}\n"), ("tenants", ELSEWHERE):
        assert template.count(f"\n{name}:\n") == 1
        template = template.replace(f"\n{name}:\n", f"\n{name}:\n{what}")
    return template


def patient(template: str) -> str:
    """For tests that are not about time, beside which others run: with all that a call has, not a third of it."""
    address = "url: 'redis://127.0.0.1:{redis}'"
    assert template.count(address) == 1
    return template.replace(address, f"{address}, timeout: 5s")


@pytest.fixture
def redis():
    with Redis() as server:
        yield server


def counted(redis: Redis, quota: str) -> int:
    """The calls that count, in every place where they stand."""
    if quota == "concurrency":
        return redis.seats()
    counts = set(redis.slots())
    return counts.pop() if len(counts) == 1 else -1


@pytest.fixture
def share(start, redis):
    """Starts a gateway that counts in the test's Redis, or by another way to it."""

    def make(quota="concurrency", seats=50, rule="deny", port=None, change=lambda template: template):
        return start(template=change(QUOTAS[quota]), seats=seats, rule=rule, redis=port or redis.port)

    return make


class Callers:
    """Many sockets that offer one description, and never send sound: what is asked about is who gets in.

    They come from several addresses, for the gateway bears 20 sockets without a call from each.
    """

    def __init__(self):
        self.addresses = itertools.cycle(f"127.0.1.{last}" for last in range(1, 9))

    async def __aenter__(self):
        self.sessions = {}
        self.sockets = []
        connection = RTCPeerConnection()
        connection.addTrack(Microphone())
        await connection.setLocalDescription(await connection.createOffer())
        self.description = connection.localDescription.sdp
        await connection.close()
        return self

    async def __aexit__(self, *_):
        await self.hang_up()
        for session in self.sessions.values():
            await session.close()

    async def open(self, url: str):
        address = next(self.addresses)
        if address not in self.sessions:
            connector = aiohttp.TCPConnector(local_addr=(address, 0), limit=0)
            self.sessions[address] = aiohttp.ClientSession(connector=connector)
        self.sockets.append(await self.sessions[address].ws_connect(url))
        return self.sockets[-1]

    async def send_offer(self, socket):
        offer = {"pc_id": f"PC-{uuid.uuid4().hex}", "type": "offer", "sdp": self.description}
        await socket.send_json({"type": "offer", "payload": offer})

    async def offer(self, socket) -> dict:
        """The answer to an offer, or the refusal."""
        await self.send_offer(socket)
        while True:
            message = await socket.receive_json(timeout=20)
            if message["type"] in ("answer", "error"):
                return message

    async def call(self, gateway: Gateway) -> dict:
        return await self.offer(await self.open(gateway.signaling()))

    async def calls(self, gateway: Gateway, count: int):
        """Places calls, all of which must get in."""
        for message in [await self.call(gateway) for _ in range(count)]:
            assert message["type"] == "answer", message

    async def hang_up(self, *sockets):
        for socket in sockets or self.sockets:
            await socket.close()


def is_refusal(message: dict) -> bool:
    return message == {"type": "error", "payload": REFUSED}


# Two gateways


@pytest.mark.parametrize("quota", QUOTAS)
def test_two_gateways_share_one_limit(share, redis, quota):
    one, other = (share(quota, seats=3, change=patient) for _ in range(2))

    async def main():
        async with Callers() as callers:
            await callers.calls(one, 2)
            await callers.calls(other, 1)
            assert counted(redis, quota) == 3
            for gateway in one, other:
                assert is_refusal(await callers.call(gateway))
            await callers.hang_up(callers.sockets[0])
            await asyncio.to_thread(one.await_state, lambda now: now["leases"] == 1)
            await callers.calls(other, 1)
            assert is_refusal(await callers.call(one))

    asyncio.run(main())
    for gateway in one, other:
        gateway.await_idle(10)
    assert counted(redis, quota) == 0


async def race(gateways, callers: Callers, racers=64) -> list[dict]:
    """Offers that come at one moment, from sockets that are open already."""
    sockets = await asyncio.gather(
        *(callers.open(gateways[number % len(gateways)].signaling()) for number in range(racers))
    )
    messages = await asyncio.gather(*map(callers.offer, sockets))
    await asyncio.gather(*(socket.close() for socket in sockets))
    return messages


@pytest.mark.parametrize(
    ("quota", "rounds"),
    [
        ("concurrency", 5),
        ("dograh_slots", 5),
        pytest.param("concurrency", 1000, marks=[pytest.mark.long, pytest.mark.rare]),
        pytest.param("dograh_slots", 1000, marks=[pytest.mark.long, pytest.mark.rare]),
    ],
)
def test_of_64_racers_for_the_last_seat_at_two_gateways_one_wins(share, redis, quota, rounds):
    gateways = [share(quota, seats=3, change=patient) for _ in range(2)]

    async def main():
        async with Callers() as callers:
            for number in range(rounds):
                messages = await race(gateways, callers)
                assert [message["type"] for message in messages].count("answer") == 1, f"round {number}: {messages}"
                assert sum(map(is_refusal, messages)) == 63, f"round {number}"
                await asyncio.to_thread(redis.await_state, lambda redis: counted(redis, quota) == 2, 10)

    # Calls that have sound, for others end after half a minute, and from a program that has time for it.
    others = [begin("call", gateways[0].signaling(), "--seconds", 3600, "--json") for _ in range(2)]
    try:
        redis.await_state(lambda redis: counted(redis, quota) == 2, 10)
        asyncio.run(main())
    finally:
        for other in others:
            other.terminate()
            finish(other, "call")


def test_a_run_and_an_embed_session_of_one_gateway_are_good_at_the_other(start, redis):
    """What stands in the store stands there for all."""
    template = changed_config(
        ("stores:\n", "stores:\n  shared: {{ type: redis, url: 'redis://127.0.0.1:{redis}' }}\n"),
        ("match: any\n", "match: any\n    store: shared\n    runs: registered\n"),
        ("type: embed_token\n    store: local", "type: embed_token\n    store: shared"),
    )
    one, other = (start(template=patient(template), redis=redis.port) for _ in range(2))
    words = ["--tenant", "default", "--workflow", 33, "--run", 501, "--organization", 9]
    done = patchbay("run", "add", "-c", one.config, *words, cwd=one.config.parent)
    assert done.returncode == 0, done.stderr
    url = {gateway: gateway.signaling(workflow=33, run=501, token=jwt(org="9")) for gateway in (one, other)}

    async def main():
        async with Callers() as callers:
            first, second = await callers.open(url[one]), await callers.open(url[other])
            assert (await callers.offer(first))["type"] == "answer"
            refusal = await callers.offer(second)
            assert refusal["payload"]["error_type"] == "workflow_run_already_active"
            await callers.hang_up(first)
            await asyncio.to_thread(one.await_state, lambda now: not now["leases"])
            refusal = await callers.offer(second)
            assert refusal["payload"]["error_type"] == "workflow_run_already_completed"
            session = one.embed_session("emb_echo").rpartition("/")[2]
            embed = f"{other.url.replace('http', 'ws', 1)}/api/v1/ws/public/signaling/{session}"
            assert (await callers.offer(await callers.open(embed)))["type"] == "answer"

    asyncio.run(main())
    assert all(key.startswith("patchbay:") for key in redis.keys())


def test_an_embed_session_has_one_live_socket_at_two_gateways(start, redis):
    template = changed_config(
        ("stores:\n", "stores:\n  shared: {{ type: redis, url: 'redis://127.0.0.1:{redis}' }}\n"),
        ("match: any\n", "match: any\n    store: shared\n"),
        ("type: embed_token\n    store: local", "type: embed_token\n    store: shared"),
    )
    one, other = (start(template=patient(template), redis=redis.port) for _ in range(2))
    session = one.embed_session("emb_echo").rpartition("/")[2]
    at = {each: f"{each.url.replace('http', 'ws', 1)}/api/v1/ws/public/signaling/{session}" for each in (one, other)}

    def leases() -> list[str]:
        return [key for key in redis.keys() if key.endswith(":socket")]

    async def refused(callers, url) -> bool:
        try:
            await callers.open(url)
            return False
        except aiohttp.WSServerHandshakeError as refusal:
            assert refusal.status == 403
            return True

    async def main():
        async with Callers() as callers:
            socket = await callers.open(at[one])
            assert await refused(callers, at[other])
            # Whatever Redis forgets, the gateway that has the socket says again.
            [lease] = leases()
            redis.ask("DEL", lease)
            await asyncio.to_thread(redis.await_state, lambda _: leases() == [lease], 15)
            assert await refused(callers, at[other])
            await socket.close()
            await asyncio.to_thread(redis.await_state, lambda _: leases() == [], 10)
            socket = await callers.open(at[other])
            assert await refused(callers, at[one])
            assert (await callers.offer(socket))["type"] == "answer"

    asyncio.run(main())
    for gateway, refusals in (one, 1), (other, 2):
        gateway.await_state(lambda now: now["refused"] == {"session_in_use": refusals})


def test_dograh_sees_the_calls_and_its_own_are_seen(share, redis):
    gateway = share("dograh_slots", seats=2, change=patient)
    now = int(redis.ask("TIME")[0])
    redis.ask("ZADD", "concurrent_calls:9", now, "by-telephone")
    redis.ask("ZADD", "concurrent_calls_fleet", now, "9:by-telephone")

    async def main():
        async with Callers() as callers:
            socket = await callers.open(gateway.signaling(run=77))
            assert (await callers.offer(socket))["type"] == "answer"
            assert set(redis.ask("HGETALL", "workflow_slot_mapping:77")[::2]) == {"org_id", "slot_id"}
            assert is_refusal(await callers.call(gateway))
            redis.ask("HSET", "workflow_slot_mapping:78", "org_id", 9, "slot_id", "by-telephone")
            redis.ask("ZREM", "concurrent_calls:9", "by-telephone")
            message = await callers.offer(await callers.open(gateway.signaling(run=78)))
            assert message["payload"] == {
                "error_type": "workflow_run_already_active",
                "message": "Workflow run already has an active call",
            }
            assert redis.slots()[:2] == (1, 2)

    asyncio.run(main())
    gateway.await_idle(10)
    assert redis.slots() == (0, 1, 1, 0)


# When Redis is not as it should be


@contextlib.contextmanager
def killed(redis: Redis, way: SlowWay):
    redis.kill()
    yield
    redis.start()


@contextlib.contextmanager
def stopped(redis: Redis, way: SlowWay):
    redis.pause()
    yield
    redis.resume()


@contextlib.contextmanager
def slow(redis: Redis, way: SlowWay):
    way.delay = 3.0
    yield
    way.delay = 0.0


@contextlib.contextmanager
def read_only(redis: Redis, way: SlowWay):
    redis.ask("REPLICAOF", "127.0.0.1", free_port())
    yield
    redis.ask("REPLICAOF", "NO", "ONE")


@contextlib.contextmanager
def flushed(redis: Redis, way: SlowWay):
    redis.ask("FLUSHALL")
    yield


FAULTS = [killed, stopped, slow, read_only, flushed]


class Elsewhere:
    """A page and a signed-in user of the tenant whose sessions and runs are in the Redis that fails."""

    # What a page's `init`, its socket and the user's are answered: a replica can be asked, and one that has forgotten them, too.
    EXPECTED = {
        killed: [500, 503, 503], stopped: [500, 503, 503], slow: [500, 503, 503], read_only: [500, 101, 101], flushed: [200, 403, 400],
    }

    def __init__(self, gateway: Gateway):
        words = ["--tenant", "elsewhere", "--workflow", 2, "--run", 501, "--organization", 9]
        done = patchbay("run", "add", "-c", gateway.config, *words, cwd=gateway.config.parent)
        assert done.returncode == 0, done.stderr
        self.api = f"{gateway.url}/t/elsewhere/api/v1"
        status, session = self.init()
        assert status == 200, session
        self.sockets = [
            (f"{self.api}/ws/public/signaling/{json.loads(session)['session_token']}", ORIGIN),
            (f"{self.api}/ws/signaling/2/501?token={jwt(org='9')}", {}),
        ]
        assert [upgrade(*socket)[0] for socket in self.sockets] == [101, 101]

    def init(self) -> tuple[int, bytes]:
        status, _, body = http("POST", f"{self.api}/public/embed/init", {"token": "emb_elsewhere"}, ORIGIN)
        return status, body

    async def statuses(self) -> list[int]:
        """What they are answered, all at once, and each in time."""

        def timed(ask, *arguments) -> int:
            asked = time.monotonic()
            status = ask(*arguments)[0]
            took = time.monotonic() - asked
            assert took < ANSWER, f"{ask.__name__} was answered after {took:.1f} s: {status}"
            return status

        return await asyncio.gather(
            asyncio.to_thread(timed, self.init), *(asyncio.to_thread(timed, upgrade, *socket) for socket in self.sockets)
        )


RULES = [("concurrency", "deny"), ("concurrency", "allow"), ("dograh_slots", "deny")]
# Of the others each is much like one of these. Who is let in uncounted has tests of his own, below.
OFTEN = [(killed, *RULES[0]), (stopped, *RULES[0]), (slow, *RULES[0]), (read_only, *RULES[2]), (flushed, *RULES[2])]


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.parametrize(
    ("fault", "quota", "rule"),
    [
        pytest.param(fault, *rule, id="-".join((fault.__name__, *rule)), marks=[] if (fault, *rule) in OFTEN else pytest.mark.rare)
        for fault in FAULTS
        for rule in RULES
    ],
)
def test_calls_live_through_it_new_ones_are_answered_and_all_are_counted_afterwards(share, redis, fault, quota, rule):
    """`dograh_slots` always refuses; and where Redis forgets, there is room for the moment.

    Whose session or run is there is told in the same time that nobody knows.
    """
    gets_in = fault is flushed or (quota, rule) == ("concurrency", "allow")
    with SlowWay(redis.port) as way:
        gateway = share(quota, seats=20, rule=rule, port=way.port, change=with_elsewhere)
        elsewhere = Elsewhere(gateway)

        async def main():
            async with in_call(gateway.signaling()) as first, in_call(gateway.signaling()) as second, Callers() as callers:
                live = 2
                assert counted(redis, quota) == live
                with fault(redis, way):
                    began = time.monotonic()
                    while time.monotonic() < began + OUTAGE:
                        heard = [len(caller.frames) for caller in (first, second)]
                        asked = time.monotonic()
                        socket = await callers.open(gateway.signaling())
                        assert time.monotonic() - asked < ANSWER, "the socket took too long"
                        elsewhere_too = asyncio.create_task(elsewhere.statuses())
                        asked = time.monotonic()
                        message = await callers.offer(socket)
                        took = time.monotonic() - asked
                        assert took < ANSWER, f"answered after {took:.1f} s: {message}"
                        assert message["type"] == "answer" if gets_in else is_refusal(message), message
                        assert await elsewhere_too == Elsewhere.EXPECTED[fault]
                        live += gets_in
                        await asyncio.sleep(1.5)
                        for caller, before in zip((first, second), heard, strict=True):
                            assert len(caller.frames) > before + 50, "the call has lost its sound"
                            assert caller.close_code is None and not [m for m in caller.messages if m["type"] == "error"]
                took = await asyncio.to_thread(redis.await_state, lambda redis: counted(redis, quota) == live, CONVERGENCE)
                print(f"{fault.__name__}, {quota}, {rule}: {live} calls are counted {took:.1f} s later")
                await asyncio.to_thread(gateway.await_state, lambda now: now["leases"] == live)
                recovered = time.monotonic()
                while (await callers.call(gateway))["type"] != "answer":
                    assert time.monotonic() < recovered + 10, "new calls are still refused"
                    await asyncio.sleep(0.5)

        asyncio.run(main())
        gateway.await_idle(10)
        redis.await_state(lambda redis: counted(redis, quota) == 0, CONVERGENCE)


def seconds_counted(redis: Redis) -> float:
    """What calls have taken of their minutes, or have used."""
    return sum(int(redis.ask("GET", key)) for key in redis.ask("KEYS", "patchbay:counter:call_minutes:*")) / 1000


OFTEN_FOR_MINUTES = [(killed, "allow"), (slow, "deny")]


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        pytest.param(fault, rule, id=f"{fault.__name__}-{rule}", marks=[] if (fault, rule) in OFTEN_FOR_MINUTES else pytest.mark.rare)
        for fault in FAULTS
        for rule in ("deny", "allow")
    ],
)
def test_minutes_are_counted_once_whatever_ails_redis(start, redis, fault, rule):
    """In the end the count is what all calls have talked: those of before, those that came in meanwhile, those of afterwards.

    Not in it is what a slow Redis has taken for a call that was refused, and what it was asked for again. One that has forgotten
    everything is told anew of the calls that live, and there was none that was over.
    """
    gets_in = fault is flushed or rule == "allow"
    with SlowWay(redis.port) as way:
        gateway = start(template=MINUTES, rule=rule, redis=way.port)

        async def main() -> tuple[float, int]:
            async with in_call(gateway.signaling()) as caller, Callers() as callers:
                answered = [caller.offered_at]

                async def call() -> dict:
                    socket = await callers.open(gateway.signaling())
                    asked = time.monotonic()
                    message = await callers.offer(socket)
                    took = time.monotonic() - asked
                    assert took < ANSWER, f"answered after {took:.1f} s: {message}"
                    if message["type"] == "answer":
                        answered.append(time.monotonic())
                    else:
                        await callers.hang_up(socket)
                    return message

                assert (await call())["type"] == "answer"
                assert seconds_counted(redis) >= 2 * RESERVE - 0.1, "they take it in advance"
                with fault(redis, way):
                    began = time.monotonic()
                    while time.monotonic() < began + 2 * RESERVE:
                        heard = len(caller.frames)
                        message = await call()
                        assert message["type"] == "answer" if gets_in else message.get("payload") == UNVERIFIED, message
                        await asyncio.sleep(1)
                        assert len(caller.frames) > heard + 30 and caller.close_code is None, "the call has lost its sound"
                recovered = time.monotonic()
                while not gets_in and (await call())["type"] != "answer":
                    assert time.monotonic() < recovered + 10, "new calls are still refused"
                    await asyncio.sleep(0.5)
                # Who came in uncounted is counted within ten seconds; others have to be renewed.
                await asyncio.sleep(RESERVE + (10 if rule == "allow" else 0))
                assert caller.close_code is None and not [each for each in caller.messages if each["type"] == "error"]
                await callers.hang_up()
                await caller.close()
                return sum(time.monotonic() - each for each in answered), len(answered)

        talked, calls = asyncio.run(main())
        gateway.await_idle(10)
        try:
            # Each answer and each end takes a moment to be heard of; what is counted twice, or not at all, is longer.
            took = redis.await_state(lambda redis: abs(seconds_counted(redis) - talked) < RESERVE / 2, CONVERGENCE)
        finally:
            print(f"{fault.__name__}, {rule}: {calls} calls talked for {talked:.1f} s, and {seconds_counted(redis):.1f} s are counted")
        print(f"right {took:.1f} s after the last")


@pytest.mark.long
def test_a_call_that_ends_while_redis_is_away_is_not_counted_afterwards(share, redis):
    """With `dograh_slots`, where nothing expires for 1200 s."""
    gateway = share("dograh_slots", change=patient)

    async def main():
        async with Callers() as callers:
            await callers.calls(gateway, 3)
            redis.ask("REPLICAOF", "127.0.0.1", free_port())
            await callers.hang_up()
            await asyncio.to_thread(gateway.await_idle, 15)
            assert redis.slots() == (3, 3, 3, 3)
            redis.ask("REPLICAOF", "NO", "ONE")
            await asyncio.to_thread(redis.await_state, lambda redis: redis.slots() == (0, 0, 0, 0), CONVERGENCE)

    asyncio.run(main())


def test_calls_that_were_let_in_uncounted_count_afterwards_beyond_the_limit(share, redis):
    gateway = share(seats=2, rule="allow", change=patient)

    async def main():
        async with Callers() as callers:
            await callers.calls(gateway, 1)
            redis.kill()
            await callers.calls(gateway, 3)
            redis.start()
            await asyncio.to_thread(redis.await_state, lambda redis: redis.seats() == 4, CONVERGENCE)
            for left in 3, 2:
                assert is_refusal(await callers.call(gateway))
                await callers.hang_up(callers.sockets.pop(0))
                await asyncio.to_thread(gateway.await_state, lambda now, left=left: now["leases"] == left)
            assert is_refusal(await callers.call(gateway))
            await callers.hang_up(callers.sockets.pop(0))
            await asyncio.to_thread(gateway.await_state, lambda now: now["leases"] == 1)
            await callers.calls(gateway, 1)

    asyncio.run(main())
    gateway.await_idle(10)
    assert redis.seats() == 0


@pytest.mark.alone
def test_a_call_is_answered_in_time_though_everything_that_it_needs_is_slow(start, redis):
    """Its run is in Redis too, so that five questions come one after another."""
    template = changed_config(
        ("stores:\n", "stores:\n  shared: {{ type: redis, url: 'redis://127.0.0.1:{redis}' }}\n"),
        ("match: any\n", "match: any\n    store: shared\n"),
        ("limit: {seats} }}", "limit: {seats}, store: shared }}"),
    )
    with SlowWay(redis.port) as way:
        gateway = start(template=template, redis=way.port)

        async def main():
            async with Callers() as callers:
                for delay in 0.1, 0.3, 0.55, 1.5:  # a third of `timeout` is 0.2
                    socket = await callers.open(gateway.signaling())
                    way.delay = delay
                    asked = time.monotonic()
                    message = await callers.offer(socket)
                    took = time.monotonic() - asked
                    way.delay = 0.0
                    assert took < ANSWER, f"answered after {took:.1f} s, with {delay} s for a reply: {message}"
                    if delay < 0.2:
                        assert message["type"] == "answer", message
                    else:
                        code = message["payload"]["error_type"]
                        assert code in ("concurrency_limit_exceeded", "workflow_run_unavailable", "workflow_run_already_active"), message
                    # That it is well again is found out within a second or so.
                    await asyncio.sleep(4)
                    await callers.calls(gateway, 1)

        asyncio.run(main())
        gateway.await_idle(10)
        redis.await_state(lambda redis: redis.seats() == 0, CONVERGENCE)


@pytest.mark.alone
def test_a_call_is_answered_in_time_however_many_questions_it_takes(start, redis):
    """Each is answered in time, all together are not."""
    names = [f"seats-{number}" for number in range(14)]
    quotas = "".join(f"\n  {name}: {{{{ type: concurrency, limit: 9, store: shared }}}}" for name in names)
    template = changed_config(
        *SHARED,
        ("\n  seats: {{ type: concurrency, limit: {seats} }}", quotas),
        ("quotas: [seats]", f"quotas: [{', '.join(names)}]"),
    )
    with SlowWay(redis.port) as way:
        gateway = start(template=template, redis=way.port)

        async def main():
            async with Callers() as callers:
                await callers.calls(gateway, 1)
                socket = await callers.open(gateway.signaling())
                way.delay = 0.15
                asked = time.monotonic()
                message = await callers.offer(socket)
                took = time.monotonic() - asked
                way.delay = 0.0
                assert 1.5 < took < ANSWER and is_refusal(message), f"answered after {took:.1f} s: {message}"
                assert "its earlier answers took all the time that a new call has" in gateway.log.read_text()
                # What it held until then is given back, and the live call was not harmed.
                await asyncio.to_thread(redis.await_state, lambda redis: {redis.seats(name) for name in names} == {1}, CONVERGENCE)
                # What was asked of a slow Redis may still make the next one wait.
                deadline = time.monotonic() + CONVERGENCE
                while is_refusal(message := await callers.call(gateway)) and time.monotonic() < deadline:
                    await asyncio.sleep(0.5)
                assert message["type"] == "answer", message

        asyncio.run(main())
        gateway.await_idle(10)
        redis.await_state(lambda redis: {redis.seats(name) for name in names} == {0}, CONVERGENCE)


def test_a_lost_connection_is_made_again_and_nobody_notices(share, redis):
    gateway = share(seats=20, change=patient)

    async def main():
        async with Callers() as callers:
            for _ in range(10):
                redis.ask("CLIENT", "KILL", "TYPE", "normal")
                await callers.calls(gateway, 1)

    asyncio.run(main())
    assert "Redis is away" not in gateway.log.read_text()


# When a gateway is not there any more


def kill_and_count(tmp_path, sentences, redis, quota: str, number: int, restarts: bool):
    """Kills a gateway in twenty calls: 30 s later none of them is counted.

    Nineteen stay and are renewed; the twentieth seat is given back and taken all the time. The moment is drawn from `number`.
    """
    moment = random.Random(number).uniform(0, 12)
    changes = {"template": patient(QUOTAS[quota]), "seats": 20, "rule": "deny", "redis": redis.port, "player": sentences["winter"]}
    victim = Gateway(write_config(tmp_path, **changes))

    came = 0

    async def come_and_go(callers: Callers):
        nonlocal came
        while True:
            await callers.hang_up(callers.sockets.pop())
            message = await callers.call(victim)
            # Who comes at once may come before the seat is free again.
            assert message["type"] == "answer" or is_refusal(message), message
            came += message["type"] == "answer"

    async def main() -> float:
        async with Callers() as callers:
            await callers.calls(victim, 20)
            assert counted(redis, quota) == 20
            assert is_refusal(await callers.call(victim))
            await callers.hang_up(callers.sockets.pop())
            coming = asyncio.create_task(come_and_go(callers))
            await asyncio.wait([coming], timeout=moment)
            assert not coming.done(), coming.exception()
            os.kill(victim.pid, signal.SIGKILL)
            killed = time.monotonic()
            coming.cancel()
            await asyncio.wait([coming])
            return killed

    try:
        killed = asyncio.run(main())
    finally:
        victim.stop()
    # Else it would have shown nothing.
    assert came >= moment // 2, f"only {came} came in {moment:.1f} s"
    survivor = Gateway(write_config(tmp_path, **changes)) if restarts else None
    try:
        if survivor:
            assert time.monotonic() - killed < 5, "it was slow to start"
        redis.await_state(lambda redis: counted(redis, quota) == 0, killed + CONVERGENCE - time.monotonic())
        free = time.monotonic() - killed
        print(f"killed after {moment:.2f} s, in which {came} came and went; free {free:.1f} s later")
        assert free <= CONVERGENCE
    finally:
        if survivor:
            assert survivor.stop() == 0


# PATCHBAY_KILLS=50 does it so often, each time at another moment, and the next time at the same ones.
KILLS = range(int(os.environ.get("PATCHBAY_KILLS", "1")))


@pytest.mark.long
@pytest.mark.parametrize("number", KILLS)
def test_a_gateway_that_is_killed_in_twenty_calls_leaves_no_seat(tmp_path, sentences, redis, number):
    """Nobody has to do anything for that: its leases end."""
    kill_and_count(tmp_path, sentences, redis, "concurrency", number, restarts=False)


@pytest.mark.long
@pytest.mark.parametrize("number", KILLS)
def test_a_gateway_that_is_killed_in_twenty_calls_leaves_no_slot_to_who_comes_after(tmp_path, sentences, redis, number):
    """Dograh's keys alone would hold them for 1200 s; the next gateway gives them back."""
    kill_and_count(tmp_path, sentences, redis, "dograh_slots", number, restarts=True)


# Starting


def test_whoever_only_tries_a_configuration_changes_nothing_in_redis(tmp_path, sentences, redis):
    """Not even what a gateway would give back."""
    config = write_config(tmp_path, SLOTS, player=sentences["winter"], seats=1, rule="deny", redis=redis.port)
    case = 'connect: { path: /api/v1/ws/signaling/2/501, token: { mint: users, user: "7" } }, expect: { outcome: accepted }'
    config.write_text(f"{config.read_text()}tests:\n  - {{ name: a user, {case} }}\n")
    now = int(redis.ask("TIME")[0])
    redis.ask("ZADD", "concurrent_calls:9", now, "left")
    redis.ask("ZADD", "concurrent_calls_fleet", now, "9:left")
    redis.ask("HSET", "workflow_slot_mapping:501", "org_id", 9, "slot_id", "left")
    redis.ask("ZADD", "patchbay:dograh_slots", 1, "9|left|501")
    before = redis.keys()
    for words in ("check", "--connect"), ("test",):
        done = patchbay(*words, "-c", config)
        assert done.returncode == 0, done.stdout + done.stderr
        assert redis.slots() == (1, 1, 1, 1) and redis.keys() == before


def refuses(tmp_path, sentences, *changes, **values) -> str:
    """Runs `serve`, which must end by itself. What it said."""
    template = changed_config(*SHARED, *changes)
    config = write_config(tmp_path, template, player=sentences["winter"], **values)
    run = patchbay("serve", "-c", config, timeout=20)
    assert run.returncode == 70 and "listening" not in run.stdout, run.stdout + run.stderr
    return run.stderr


def test_a_gateway_does_not_start_without_its_redis_and_says_why(tmp_path, sentences):
    port = free_port()
    said = refuses(tmp_path, sentences, redis=port)
    assert f"stores.shared could not start: Redis at 127.0.0.1:{port} cannot be reached: Connection refused" in said


def test_a_gateway_does_not_start_with_a_replica(tmp_path, sentences):
    with Redis("--replicaof", "127.0.0.1", str(free_port())) as redis:
        assert "refuses: READONLY" in refuses(tmp_path, sentences, redis=redis.port)


def test_a_password_is_asked_for_and_never_shown(tmp_path, sentences, start):
    password = "correct-horse-battery"
    (tmp_path / "redis.secret").write_text(password + "\n")
    (tmp_path / "other.secret").write_text("another-horse")
    with Redis("--requirepass", password) as redis:
        address = "url: 'redis://127.0.0.1:{redis}' }}"

        def with_password(name):
            return "url: 'redis://127.0.0.1:{redis}', password: {{ file: " + f"{tmp_path}/{name}" + " }} }}"

        assert "wants a password, and none is set" in refuses(tmp_path, sentences, redis=redis.port)
        template = changed_config(*SHARED)
        assert template.count(address) == 1
        config = write_config(
            tmp_path, template.replace(address, with_password("other.secret")), player=sentences["winter"], redis=redis.port
        )
        said = patchbay("serve", "-c", config, timeout=20)
        assert said.returncode == 70 and "does not take the user name and password (WRONGPASS)" in said.stderr
        assert "another-horse" not in said.stdout + said.stderr
        gateway = start(template=template.replace(address, with_password("redis.secret")), redis=redis.port)
        redis.ask("CONFIG", "SET", "requirepass", "changed-in-the-meantime")
        redis.password = "changed-in-the-meantime"
        redis.ask("CLIENT", "KILL", "TYPE", "normal")
        gateway.await_log("Redis is away")
        log = gateway.log.read_text()
        assert "WRONGPASS" in log and password not in log


def test_a_url_with_a_password_in_it_is_refused_and_not_repeated(tmp_path, sentences):
    template = changed_config(*SHARED).replace("redis://127.0.0.1", "redis://:correct-horse@127.0.0.1")
    config = write_config(tmp_path, template, player=sentences["winter"], redis=6379)
    run = patchbay("check", "-c", config)
    assert run.returncode == 78 and "do not belong into the address" in run.stdout + run.stderr
    assert "correct-horse" not in run.stdout + run.stderr


def test_over_tls(tmp_path, start):
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=redis -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(["openssl", *words.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    address = "url: 'redis://127.0.0.1:{redis}' }}"
    secure = "url: 'rediss://127.0.0.1:{redis}', timeout: 5s, trust_roots: " + str(certificate) + " }}"
    with Redis(tls=(certificate, key)) as redis:
        gateway = start(template=SEATS.replace(address, secure), redis=redis.port, seats=1, rule="deny")

        async def main():
            async with Callers() as callers:
                await callers.calls(gateway, 1)
                assert is_refusal(await callers.call(gateway))

        asyncio.run(main())
        gateway.await_idle(10)
