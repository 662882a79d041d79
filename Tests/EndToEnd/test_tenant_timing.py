"""How long an answer takes does not tell what another tenant has: the rows of `test_tenants.py`, by the clock.

For each row, medians of requests that name what belongs to the other tenant and of requests that name what belongs to nobody, in random
order. They may differ by no more than medians of two halves of one kind do, measured in the same requests. What stands in a store that
both share may take longer by the time in which it is read and passed over, which was 10 µs when 4000 of each kind were compared.
"""

import contextlib
import json
import random
import re
import statistics
import time
from collections.abc import Callable
from dataclasses import fields, replace
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from gateway import FRESH_RUNS, UPGRADE
from peer import calling
from test_tenants import (
    ASKED, BOT, EMBED, INIT, INTRUDERS, MESSAGES, PAGE, PAGE_SOCKET, ROWS, SOCKET, TURN, Answer, AskedWorld, Tenant, header_fields, intruder_in,
    make_world, telephones, token_of, unheard,
)
from test_wire_messages import MISSING

__all__ = ["make_world"]
pytestmark = pytest.mark.alone
REQUESTS = 300  # of each kind
OFFERS = 100  # of each kind: calls come of them
AT_ONCE = 50  # messages of a socket, which may say 60
READ = 50e-6  # what is read and passed over takes less


class QuickTenant(Tenant):
    """One that is asked on a connection that stays open: what a client does itself takes time, too."""

    def __init__(self, tenant: Tenant):
        super().__init__(*(getattr(tenant, each.name) for each in fields(tenant)))
        where = urlsplit(self.url)
        self.path = where.path
        self.connection = HTTPConnection(where.hostname, where.port, timeout=10)

    def http(self, method: str, path: str, body=None, **headers) -> Answer:
        body = json.dumps(body) if isinstance(body, dict) else body
        self.connection.request(method, self.path + path, body, {**self.headers, **header_fields(headers)})
        response = self.connection.getresponse()
        answer = response.status, dict(response.headers), response.read()
        if response.status == 101:
            self.connection.close()
        return answer

    def upgrade(self, path: str, **headers) -> Answer:
        return self.http("GET", path, None, **UPGRADE, **headers)


@pytest.fixture(scope="module")
def world(make_world):
    """Without sound in it, which would keep the processors busy."""
    with make_world("path") as world:
        for tenant in world.tenants.values():
            world.run(world.end_a_call(tenant))
        yield world


@pytest.fixture(params=INTRUDERS)
def intruder(request, world) -> Tenant:
    return intruder_in(world, request.param)


@pytest.fixture
def host(world, intruder) -> Tenant:
    return QuickTenant(next(each for each in world.tenants.values() if each is not intruder))


def in_random_order(kinds, requests=REQUESTS) -> list:
    return [kind for _ in range(requests) for kind in random.sample(list(kinds), len(kinds))]


def measured(kinds: dict[str, Callable], requests=REQUESTS) -> dict[str, list[float]]:
    """How long each kind of request takes, in seconds."""
    took = {kind: [] for kind in kinds}
    for kind in in_random_order(kinds, requests):
        begun = time.perf_counter()
        kinds[kind]()
        took[kind].append(time.perf_counter() - begun)
    return took


def differ(name: str, took: dict[str, list[float]], slack=0.0) -> bool:
    """Whether the medians of two kinds are further apart than those of halves of either, drawn 200 times, ever are."""

    def distance(left, right) -> float:
        return abs(statistics.median(left) - statistics.median(right))

    def halves(values):
        shuffled = random.sample(values, len(values))
        return shuffled[::2], shuffled[1::2]

    noise = max(distance(*halves(kind)) for kind in took.values() for _ in range(200))
    found = distance(*took.values())
    medians = ", ".join(f"{kind} {statistics.median(values) * 1e6:.0f} µs" for kind, values in took.items())
    print(f"{name}: {medians}; apart {found * 1e6:.0f} µs, halves up to {noise * 1e6:.0f} µs")
    return found > max(noise, slack)


@contextlib.asynccontextmanager
async def in_calls(tenant: Tenant):
    """Callers of `has.run` and `has.session`, without media; they have half a minute."""
    has = tenant.has
    has.run, has.session = next(FRESH_RUNS), tenant.begin(has.button)
    page = f"{tenant.url}/api/v1/ws/public/signaling/{has.session}"
    async with tenant.calling(has.run, BOT) as user, calling(page, headers={**tenant.headers, "Origin": PAGE}) as visitor:
        for caller in user, visitor:
            await unheard(caller)
        yield
        for caller in user, visitor:
            assert caller.close_code is None and "call-ended" not in [each["type"] for each in caller.messages], "it has ended meanwhile"


def live(world, row, tenant: Tenant):
    """The calls that a row is about."""
    return world.beside(in_calls(tenant)) if row.covers in (SOCKET, PAGE_SOCKET) and "live" in row.name else telephones(world, row, tenant)


def takes_as_long(world, row, intruder: Tenant, host: Tenant) -> bool:
    with live(world, row, intruder):
        kinds = {"another's": lambda: row.ask(host, intruder.has), "nobody's": lambda: row.ask(host, world.nobody)}
        # Chance may make a difference once; what is there is there each time.
        return not all(differ(row.name, measured(kinds), READ if row.is_stored else 0) for _ in range(3))


# Where the answer is the same to everybody, nothing that somebody has is looked up: the script, what operators ask for, and the like.
@pytest.mark.parametrize("row", [row for row in ROWS if row.status is None], ids=lambda row: row.name)
def test_an_answer_about_another_tenant_takes_as_long_as_one_about_nobody(world, intruder, host, row):
    assert takes_as_long(world, row, intruder, host)


@pytest.fixture(scope="module")
def world_by_host(make_world):
    with make_world("host") as world:
        yield world


# What follows the choice of the tenant is as above: one row of each kind is enough.
@pytest.mark.parametrize("covers", [SOCKET, PAGE_SOCKET, INIT, TURN])
def test_it_takes_as_long_where_tenants_are_matched_by_host(world_by_host, covers):
    intruder = intruder_in(world_by_host, "one")
    [host] = (each for each in world_by_host.tenants.values() if each is not intruder)
    assert takes_as_long(world_by_host, next(row for row in ROWS if row.covers == covers), intruder, QuickTenant(host))


@pytest.fixture(scope="module")
def asked(_gateways):
    with AskedWorld(_gateways, "path") as world:
        yield world


# The endpoint is in this process, and takes most of the time; each question about a token or a key is the same to it.
@pytest.mark.parametrize("row", [row for row in ASKED if "?" in row.name or row.name.startswith("TURN")], ids=lambda row: row.name)
def test_an_answer_about_who_is_remembered_at_another_tenant_takes_as_long(asked, row):
    """As one about who is remembered at none: both are asked about."""
    home, host = asked.tenants.values()
    assert row.ask(home, home.has)[0] in (101, 200)
    host = QuickTenant(host)
    kinds = {"another's": lambda: row.ask(host, home.has), "nobody's": lambda: row.ask(host, asked.nobody)}
    assert not all(differ(row.name, measured(kinds, 90)) for _ in range(3))


def test_the_clock_would_tell(host):
    """To begin a session takes longer than to be refused one."""
    kinds = {
        token: lambda token=token: host.http("POST", f"{EMBED}/init", {"token": token}) for token in ("emb_same", "emb_none")
    }
    assert any(differ("a page begins, at home", measured(kinds, 90)) for _ in range(3))


async def measured_on_sockets(world, message, at: Tenant, names: dict[str, str]) -> dict[str, list[float]]:
    """The same, of messages about calls of these names; to what has no answer of its own, until that to the next message."""
    took = {kind: [] for kind in names}
    kinds = in_random_order(names)
    at_once = AT_ONCE if message.timed is not None else AT_ONCE // 2
    while kinds:
        async with at.calling() as caller:
            offer = await caller.description()

            def refused() -> int:
                return sum(each.get("payload") == MISSING for each in caller.messages)

            for kind in kinds[:at_once]:
                after, before, begun = len(caller.messages), refused(), time.perf_counter()
                if message.timed is not None:
                    await caller.send(message.covers, **{**offer, **message.timed, "pc_id": names[kind]})
                    await caller.message("error", after=after)
                else:
                    await message.say(world, caller, replace(at.has, pc_id=names[kind]))
                    await caller.send("offer")
                    await caller.until(lambda before=before: refused() > before, what="an answer")
                took[kind].append(time.perf_counter() - begun)
        del kinds[:at_once]
    return took


async def measured_in_offers(world, message, at: Tenant, names: dict[str, str]) -> dict[str, list[float]]:
    """The same, of offers that name their calls so, each on a socket of its own."""
    took = {kind: [] for kind in names}
    async with at.calling() as caller:
        sdp = re.sub(r"a=(candidate|end-of-candidates).*\r\n", "", (await caller.description())["sdp"])
    for number, kind in enumerate(in_random_order(names, OFFERS)):
        # A user may have five calls, and one that is hung up ends a moment later.
        async with at.calling(token=token_of(at.name, f"caller {number}")) as caller:
            begun = time.perf_counter()
            await caller.send("offer", pc_id=names[kind], type="offer", sdp=sdp)
            await caller.message("answer")
            took[kind].append(time.perf_counter() - begun)
    return took


# An offer for a run is not among them: a run is called once, so that its second offer would be answered otherwise than the first.
@pytest.mark.parametrize(
    "message", [message for message in MESSAGES if message.covers != "offer" or "name" in message.name], ids=lambda message: message.name
)
def test_a_message_about_another_tenants_call_takes_as_long_as_one_about_nobodys(world, intruder, host, message):
    measured_by = measured_in_offers if message.covers == "offer" else measured_on_sockets

    async def main() -> bool:
        for _ in range(3):
            async with intruder.calling() as caller:
                await unheard(caller)
                names = {"another's": caller.pc_id, "nobody's": world.nobody.pc_id}
                if not differ(message.name, await measured_by(world, message, host, names)):
                    return True
                assert "call-ended" not in [each["type"] for each in caller.messages], "it has ended meanwhile"
        return False

    assert world.run(main())
