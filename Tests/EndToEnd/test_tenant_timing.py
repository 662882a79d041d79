"""How long an answer takes does not tell what another tenant has: the rows of `test_tenants.py`, by the clock.

For each row, medians of requests that name what belongs to the other tenant and of requests that name what belongs to nobody, in random
order. They may differ by no more than medians of two halves of one kind do, measured in the same requests. What stands in a store that
both share may take longer by the time in which it is read and passed over, which was 10 µs when 4000 of each kind were compared.
"""

import json
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import fields
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from gateway import UPGRADE
from test_tenants import (
    ASKED, EMBED, INTRUDERS, MESSAGES, ROWS, Answer, AskedWorld, Tenant, header_fields, intruder_in, make_world, telephones, unheard,
)

__all__ = ["make_world"]
pytestmark = pytest.mark.alone
REQUESTS = 300  # of each kind
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
        return response.status, dict(response.headers), response.read()

    def upgrade(self, path: str, **headers) -> Answer:
        return self.http("GET", path, None, **UPGRADE, **headers)


@pytest.fixture(scope="module")
def world(make_world):
    """Without sound in it, which would keep the processors busy."""
    with make_world("path") as world:
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


@pytest.mark.parametrize("row", [row for row in ROWS if row.at_home and row.is_timed], ids=lambda row: row.name)
def test_an_answer_about_another_tenant_takes_as_long_as_one_about_nobody(world, intruder, host, row):
    with telephones(world, row, intruder):
        kinds = {"another's": lambda: row.ask(host, intruder.has), "nobody's": lambda: row.ask(host, world.nobody)}
        # Chance may make a difference once; what is there is there each time.
        assert not all(differ(row.name, measured(kinds), READ if row.is_stored else 0) for _ in range(3))


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


async def measured_on_sockets(message, at: Tenant, names: dict[str, str]) -> dict[str, list[float]]:
    """The same, of messages about calls of these names."""
    took = {kind: [] for kind in names}
    kinds = in_random_order(names)
    while kinds:
        async with at.calling() as caller:
            offer = await caller.description()
            for kind in kinds[:AT_ONCE]:
                after, begun = len(caller.messages), time.perf_counter()
                await caller.send(message.covers, **{**offer, **message.timed, "pc_id": names[kind]})
                await caller.message("error", after=after)
                took[kind].append(time.perf_counter() - begun)
        del kinds[:AT_ONCE]
    return took


@pytest.mark.parametrize("message", [message for message in MESSAGES if message.timed is not None], ids=lambda message: message.name)
def test_a_message_about_another_tenants_call_takes_as_long_as_one_about_nobodys(world, intruder, host, message):
    async def main() -> bool:
        async with intruder.calling() as caller:
            await unheard(caller)
            names = {"another's": caller.pc_id, "nobody's": world.nobody.pc_id}
            for _ in range(3):
                if not differ(message.name, await measured_on_sockets(message, host, names)):
                    return True
            return False

    assert world.run(main())
