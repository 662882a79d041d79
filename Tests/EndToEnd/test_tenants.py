"""Two tenants of one gateway: what belongs to one is, at the other, what belongs to nobody.

Each row of the tables below is an endpoint or a message, and what can be named in it: a token, a session, a call. It is asked of one
tenant by who has these at the other, and by who has made them up. The answers must be the same to the byte, and to the
clock, and no live call may notice. Each row is asked at home too, where it must make a difference: else it would show nothing.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import re
import secrets
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import numpy as np
import pytest

import leaks
import speech
from bot import Bot
from gateway import CONFIG, FRESH_RUNS, ROOT, http, jwt, upgrade
from peer import Caller, calling, in_call
from test_auth import Server
from test_never_dialled import request
from test_reload import change, reload
from test_wire_messages import MISSING, OWNED, trickled

NAMES = "acme", "bolt"
PAGE, EVIL = "https://shop.example", "https://evil.example"
EMBED = "/api/v1/public/embed"
ECHO, PHONE, BOT, SHARED_PHONE = 2, 4, 5, 6  # workflows, the same for both tenants, as are users, runs and names
SEATS = {"acme": 12, "bolt": 13}  # and hours
EVENTS = {"acme": "all", "bolt": "{{ bolt-users: all, bolt-embeds: none }}"}


# MARK: - The configuration: as much alike as it can be


def of_tenant(name: str) -> dict[str, str]:
    """The entries of one tenant, by section."""
    return {
        "auth": f"""\
  {name}-users: {{{{ type: jwt, secret: {{{{ file: {{secrets}}/{name}.jwt }}}} }}}}
  {name}-machines: {{{{ type: api_key, store: local, keys: [{{{{ id: one, user: "7", hash: "{{{name}_hash}}" }}}}] }}}}
  {name}-embeds:
    type: embed_token
    store: local
    starts_per_token: 900
    starts_per_address: 100000
    tokens:
      - {{{{ token: emb_same, workflow: {ECHO} }}}}
      - {{{{ token: emb_once, workflow: {ECHO}, usage_limit: 1 }}}}
      - {{{{ token: emb_{name}, workflow: {ECHO}, allowed_domains: [shop.example] }}}}
""",
        "quotas": f"  {name}-seats: {{{{ type: concurrency, limit: {SEATS[name]}, store: local }}}}\n",
        "pipelines": f"""\
  {name}-phone:
    type: websocket
    dialect: twilio
    url: "{{bot}}"
    twilio: {{{{ account_sid: AC7, auth_token: {{{{ file: {{secrets}}/{name}.phone }}}} }}}}
""",
        "tenants": f"""\
  {name}:
    match: {{{{ {{match}}: {{{name}}} }}}}
    auth: [{name}-users, {name}-machines, {name}-embeds]
    quotas: [{name}-seats, each]
    pipeline: echo
    pipelines: {{{{ "{PHONE}": {name}-phone, "{BOT}": bot, "{SHARED_PHONE}": phone }}}}
    ice: {{{{ inbound: none, outbound: none }}}}
    playground: emb_{name}
    events: {EVENTS[name]}
    limits: {{{{ call: {SEATS[name]}h, connect: 60s, idle: 12h }}}}
""",
    }


def configuration() -> str:
    shared = {
        "auth": "",
        "quotas": "  each: {{ type: concurrency, limit: 5, per: user, store: local }}\n",
        "pipelines": """\
  echo: {{ type: echo }}
  bot: {{ type: websocket, dialect: pcm, url: "{bot}" }}
  phone:
    type: websocket
    dialect: twilio
    url: "{bot}"
    twilio: {{ account_sid: AC8, auth_token: {{ file: {secrets}/shared.phone }} }}
""",
        "tenants": "",
    }
    text = CONFIG[: CONFIG.index("auth:")]
    text += 'ice_servers:\n  - {{ urls: ["turn:turn.example.org:3478"], secret: {{ file: {directory}/turn.secret }} }}\n'
    both = [of_tenant(name) for name in NAMES]
    for section, entries in shared.items():
        text += f"{section}:\n{entries}{''.join(each[section] for each in both)}"
    return text


# MARK: - What somebody has


def token_of(name: str, user="7") -> str:
    return jwt(user=user, secret=f"{name}'s own secret, of no use to anybody else", org="9")


def key_of(name: str) -> str:
    return leaks.secret("an API key", f"key_{digest(name)}")


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def address_of(name: str, match: str) -> str:
    return f"{name}.example" if match == "host" else f"/t/{name}"


def phone_of(name: str) -> str:
    """The field by which a bot hangs up."""
    return "Basic " + base64.b64encode(f"AC7:{name}'s own token for phones".encode()).decode()


@dataclass
class Belongings:
    """Of a tenant, or what nobody has and looks the same."""

    token: str  # a JWT
    key: str  # an API key of the configuration
    saved_key: str  # one in the store
    button: str  # an embed token of the configuration
    saved_button: str  # one in the store
    phone: str  # what its own bot for phones shows to hang up
    address: str  # what requests to it have for a host, or before their path
    session: str = ""  # an embed session, in a call
    unused_session: str = ""  # one that is in none
    run: int = 0  # in a call
    ended: int = 0  # whose call is over
    pc_id: str = ""  # of the call of `run`
    call: str = ""  # of the caller at its own bot for phones, as that bot knows it
    shared_call: str = ""  # at the bot that serves both tenants
    credentials: tuple[str, str] = ("", "")  # ICE user fragment and password


def of_nobody(match: str) -> Belongings:
    return Belongings(
        token=token_of("nobody"),
        key=key_of("nobody"),
        saved_key=key_of("nobody, saved"),
        button="emb_none",
        saved_button="emb_saved_none",
        phone=phone_of("none"),
        address=address_of("none", match),
        session=f"emb_session_{secrets.token_urlsafe(32)}",
        unused_session=f"emb_session_{secrets.token_urlsafe(32)}",
        run=next(FRESH_RUNS),
        ended=next(FRESH_RUNS),
        pc_id=f"PC-{secrets.token_hex(16)}",
        call=f"CA{secrets.token_hex(16)}",
        shared_call=f"CA{secrets.token_hex(16)}",
        credentials=(secrets.token_urlsafe(3), secrets.token_urlsafe(18)),
    )


Answer = tuple[int, dict[str, str], bytes]


def header_fields(arguments: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in arguments.items()}


@dataclass
class Tenant:
    """One tenant of a gateway, as its callers find it."""

    name: str
    has: Belongings
    url: str
    headers: dict[str, str]

    def http(self, method: str, path: str, body=None, **headers) -> Answer:
        """Status, header fields and body. The order of the fields is the hash table's, another each time."""
        return http(method, self.url + path, body, {**self.headers, **header_fields(headers)})

    def upgrade(self, path: str, **headers) -> Answer:
        """The same, of an attempt to open a socket."""
        return upgrade(self.url + path, {**self.headers, **header_fields(headers)})

    def calling(self, run=None, workflow=ECHO, token=None, **options):
        """A signed-in caller with an open socket."""
        url = f"{self.url}/api/v1/ws/signaling/{workflow}/{run or next(FRESH_RUNS)}?token={token or self.has.token}"
        return calling(url, headers=self.headers, **options)

    def in_call(self, run=None, workflow=ECHO, said=None):
        url = f"{self.url}/api/v1/ws/signaling/{workflow}/{run or next(FRESH_RUNS)}?token={self.has.token}"
        return in_call(url, said, headers=self.headers)

    def begin(self, button: str) -> str:
        """A new embed session."""
        status, _, body = self.http("POST", f"{EMBED}/init", {"token": button}, Origin=PAGE)
        assert status == 200, body
        return json.loads(body)["session_token"]


# MARK: - The world


class World:
    """A gateway with two tenants. Callers live in a thread of their own, so that they speak while a test asks."""

    def __init__(self, gateway, match: str, folder: Path):
        self.gateway, self.match, self.folder = gateway, match, folder
        self.nobody = of_nobody(match)
        self.tenants = {name: self._tenant(name) for name in NAMES}
        self.live: list[Caller] = []
        self.listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)  # to which nobody is to lead the gateway
        self.listener.bind(("127.0.0.1", 0))
        self.listener.settimeout(0)
        self._stack = contextlib.AsyncExitStack()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def _tenant(self, name: str) -> Tenant:
        address = address_of(name, self.match)
        has = replace(
            of_nobody(self.match), token=token_of(name), key=key_of(name), saved_key=key_of(f"{name}, saved"),
            button=f"emb_{name}", saved_button=f"emb_saved_{name}", phone=phone_of(name), address=address,
        )
        self.gateway.change(f"api_key:{digest(has.saved_key)}", id="two", user="7", instance=f"{name}-machines")
        button = {"workflow": ECHO, "owner": "7", "allowed_domains": ["shop.example"], "instance": f"{name}-embeds"}
        self.gateway.change(f"embed_token:token:{has.saved_button}", **button)
        where = (self.gateway.url, {"Host": address}) if self.match == "host" else (self.gateway.url + address, {})
        tenant = Tenant(name, has, *where)
        has.session, has.unused_session = (tenant.begin(has.button) for _ in range(2))
        return tenant

    def run(self, work: Awaitable):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def place_calls(self):
        """Of each tenant: a signed-in caller, the visitor of a page, and a caller at a bot that talks to clients.

        The first has the same run at both."""
        for tenant in self.tenants.values():
            has = tenant.has
            await self.end_a_call(tenant)
            page = f"{tenant.url}/api/v1/ws/public/signaling/{has.session}"
            for call in (
                tenant.in_call(501),
                in_call(page, headers={**tenant.headers, "Origin": PAGE}),
                tenant.in_call(has.run, BOT),
            ):
                self.live.append(await self._stack.enter_async_context(call))
            has.pc_id = self.live[-1].pc_id
            has.credentials = ice_credentials(self.live[-3])

    async def end_a_call(self, tenant: Tenant):
        """Of the run that is to be over."""
        async with tenant.calling(tenant.has.ended, BOT) as caller:
            await unheard(caller)

    def of(self, tenant: Tenant) -> list[Caller]:
        """Its live callers."""
        return self.live[:3] if tenant.name == NAMES[0] else self.live[3:]

    @contextlib.asynccontextmanager
    async def on_the_phone(self, tenant: Tenant):
        """Two callers at bots for phones, without media; they have half a minute."""
        async with tenant.calling(workflow=PHONE) as own, tenant.calling(workflow=SHARED_PHONE) as shared:
            for caller, name in (own, "call"), (shared, "shared_call"):
                before = await self.call_ids()
                await unheard(caller)
                [call] = await self.call_ids() - before
                setattr(tenant.has, name, "CA" + call.replace("-", ""))
            yield own, shared

    async def call_ids(self) -> set[str]:
        return {each["id"] for each in (await asyncio.to_thread(self.gateway.look))["calls"]}

    @contextlib.contextmanager
    def beside(self, context):
        """An asynchronous context around a test that is not."""
        stack = contextlib.AsyncExitStack()
        self.run(stack.enter_async_context(context))
        try:
            yield
        finally:
            self.run(stack.aclose())

    def look(self) -> dict:
        """What there is, and whose."""
        now = self.gateway.look()
        with self.gateway.database() as database:
            count = "SELECT name, count(*) FROM leases WHERE expires > ? GROUP BY name"
            leases = dict(database.execute(count, [time.time() * 1000]).fetchall())
        calls = {each["id"]: (each["tenant"], each["workflow"], each["run"], each["state"]) for each in now["calls"]}
        return {"calls": calls, "leases": (now["leases"], leases), "connections": now["peer_connections"], "sockets": now["sockets"]}

    def await_look(self, wanted: dict, patience=5.0):
        """Waits until there is what there was: what a test has closed may take a moment to be gone."""
        deadline = time.monotonic() + patience
        while (now := self.look()) != wanted:
            assert time.monotonic() < deadline, f"{wanted}\nbecame\n{now}"
            time.sleep(0.02)

    @contextlib.contextmanager
    def untouched(self, patience=5.0):
        """What happens inside, live calls do not notice: they hear nothing of it, and go on to hear what is said in them."""
        before, told = self.look(), [told_of(each) for each in self.live]
        yield
        self.await_look(before, patience)
        assert [told_of(each) for each in self.live] == told
        assert all(each.close_code is None and each.pc.connectionState == "connected" for each in self.live)
        self.flow()
        # What was answered may only now have been done.
        self.await_look(before, patience)
        with pytest.raises(BlockingIOError):
            self.listener.recv(2048)

    def forget(self):
        """What has come to the listener."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.listener.recv(2048)

    def flow(self):
        """Waits until sound has come to and from each live call, without a loss."""
        speaking = [each for index, each in enumerate(self.live) if index % 3 < 2]  # the bot is silent
        frames = [len(each.frames) for each in speaking]
        received = self._received()
        deadline = time.monotonic() + 5
        while any(len(each.frames) < count + 5 for each, count in zip(speaking, frames)) or any(
            count < received[call] + 5 for call, count in self._received().items()
        ):
            assert time.monotonic() < deadline, "no sound in 5 s"
            time.sleep(0.02)

    def _received(self) -> dict[str, int]:
        calls = self.gateway.look()["calls"]
        assert all(each["media"]["packets_lost"] == 0 for each in calls)
        return {each["id"]: each["media"]["packets_received"] for each in calls if each["state"] == "connected"}

    def close(self):
        try:
            self.run(self._stack.aclose())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self.listener.close()


def told_of(caller: Caller) -> list[dict]:
    """What a caller was told, but for when its bot is heard, which is its own doing."""
    own = "rtf-bot-started-speaking", "rtf-bot-stopped-speaking", "rtf-latency-measured"
    return caller.messages + [each for each in caller.events if each["type"] not in own]


def ice_credentials(caller: Caller) -> tuple[str, str]:
    """The gateway's, for this call."""
    return tuple(re.search(rf"a=ice-{name}:(\S+)", caller.pc.remoteDescription.sdp)[1] for name in ("ufrag", "pwd"))


async def unheard(caller: Caller) -> dict:
    """Offers, and takes the answer, without any media after it."""
    sdp = (await caller.description())["sdp"]
    sdp = re.sub(r"a=(candidate|end-of-candidates).*\r\n", "", sdp)
    await caller.send("offer", pc_id=caller.pc_id, type="offer", sdp=sdp)
    return await caller.message("answer")


@pytest.fixture(scope="module")
def make_world(_gateways, tmp_path_factory):
    @contextlib.contextmanager
    def make(match: str):
        folder = tmp_path_factory.mktemp("secrets")
        for name in NAMES:
            (folder / f"{name}.jwt").write_text(f"{name}'s own secret, of no use to anybody else")
            (folder / f"{name}.phone").write_text(f"{name}'s own token for phones")
        (folder / "shared.phone").write_text("shared's own token for phones")
        hashes = {f"{name}_hash": f"sha256:{digest(key_of(name))}" for name in NAMES}
        names = {name: address_of(name, match) for name in NAMES}
        with Bot("tell") as bot:
            for gateway in _gateways(template=configuration(), bot=bot.url, match=match, secrets=folder, **hashes, **names):
                world = World(gateway, match, folder)
                try:
                    yield world
                finally:
                    world.close()

    return make


@pytest.fixture(scope="module", params=["host", "path"])
def world(request, make_world):
    with make_world(request.param) as world:
        world.run(world.place_calls())
        yield world


# MARK: - Endpoints


@dataclass
class Row:
    """An endpoint, and something in a request to it that may be another tenant's."""

    name: str
    covers: str  # as the documents have it
    ask: Callable[[Tenant, Belongings], Answer]
    at_home: bool | None = True  # whether one's own makes a difference; None where it makes none while a call is live
    is_stored: bool = False  # whether it stands in a store that both tenants share
    status: int | None = None  # where it is always the same


SOCKET = "WS /api/v1/ws/signaling/{workflow}/{run}"
PAGE_SOCKET = "WS /api/v1/ws/public/signaling/{session_token}"
INIT, CONFIG_OF, TURN_OF = (f"{each} {EMBED}/{rest}" for each, rest in (
    ("POST", "init"), ("GET", "config/{token}"), ("GET", "turn-credentials/{session_token}"),
))
CHAT = "chat/{session_token}"
TURN, HEALTH, SCRIPT = "GET /api/v1/turn/credentials", "GET /api/v1/health", "GET /embed/patchbay.js"
HANG_UP = "POST /2010-04-01/Accounts/{account_sid}/Calls/{call_sid}.json"
PLAYGROUND, ADMIN = "GET /", "the admin listener"


def socket_path(has: Belongings, query="", workflow=BOT) -> str:
    return f"/api/v1/ws/signaling/{workflow}/{has.run}?{query}"


def preflight(at: Tenant, path: str, origin=EVIL) -> Answer:
    return at.http("OPTIONS", f"{EMBED}/{path}", Origin=origin, Access_Control_Request_Method="GET")


def hang_up(at: Tenant, account: str, authorization: str, call: str) -> Answer:
    form = {"Authorization": authorization, "Content_Type": "application/x-www-form-urlencoded"}
    return at.http("POST", f"/2010-04-01/Accounts/{account}/Calls/{call}.json", b"Status=completed", **form)


SHARED = "Basic " + base64.b64encode(b"AC8:shared's own token for phones").decode()
ROWS = [
    Row("a socket by ?token=", SOCKET, lambda at, has: at.upgrade(socket_path(has, f"token={has.token}"))),
    Row("a socket by Authorization", SOCKET, lambda at, has: at.upgrade(socket_path(has), Authorization=f"Bearer {has.token}")),
    Row(
        "a socket by subprotocol", SOCKET,
        lambda at, has: at.upgrade(socket_path(has), Sec_WebSocket_Protocol=f"bearer, {has.token}"),
    ),
    Row("a socket by ?api_key=", SOCKET, lambda at, has: at.upgrade(socket_path(has, f"api_key={has.key}"))),
    Row("a socket by X-API-Key", SOCKET, lambda at, has: at.upgrade(socket_path(has), X_API_Key=has.key)),
    Row("a socket by a key in the store", SOCKET, lambda at, has: at.upgrade(socket_path(has), X_API_Key=has.saved_key), is_stored=True),
    Row(
        "a socket for a run of another workflow there", SOCKET,
        lambda at, has: at.upgrade(f"/api/v1/ws/signaling/{PHONE}/{has.ended}?token={at.has.token}"),
    ),
    Row(
        "a socket for a live run there", SOCKET,
        lambda at, has: at.upgrade(socket_path(has, f"token={at.has.token}")), at_home=False,
    ),
    Row(
        "a page's socket", PAGE_SOCKET,
        lambda at, has: at.upgrade(f"/api/v1/ws/public/signaling/{has.unused_session}", Origin=PAGE),
    ),
    Row(
        "a page's socket, while its call is live", PAGE_SOCKET,
        lambda at, has: at.upgrade(f"/api/v1/ws/public/signaling/{has.session}", Origin=PAGE), at_home=None,
    ),
    Row("a page begins", INIT, lambda at, has: at.http("POST", f"{EMBED}/init", {"token": has.button}, Origin=PAGE)),
    Row(
        "a page begins, by a token in the store", INIT,
        lambda at, has: at.http("POST", f"{EMBED}/init", {"token": has.saved_button}, Origin=PAGE), is_stored=True,
    ),
    Row("a page's looks", CONFIG_OF, lambda at, has: at.http("GET", f"{EMBED}/config/{has.button}", Origin=PAGE)),
    Row(
        "a page's looks, by a token in the store", CONFIG_OF,
        lambda at, has: at.http("GET", f"{EMBED}/config/{has.saved_button}", Origin=PAGE), is_stored=True,
    ),
    Row("a preflight for a page's looks", CONFIG_OF, lambda at, has: preflight(at, f"config/{has.button}", PAGE)),
    Row(
        "a page's TURN credentials", TURN_OF,
        lambda at, has: at.http("GET", f"{EMBED}/turn-credentials/{has.session}", Origin=PAGE),
    ),
    Row("a preflight for a page's TURN credentials", TURN_OF, lambda at, has: preflight(at, f"turn-credentials/{has.session}")),
    Row("a page's chat", CHAT, lambda at, has: at.http("GET", f"{EMBED}/chat/{has.session}", Origin=PAGE)),
    Row(
        "a message of a page's chat", CHAT,
        lambda at, has: at.http("POST", f"{EMBED}/chat/{has.session}/messages", {"text": "Hello"}, Origin=PAGE),
    ),
    Row("the end of a page's chat", CHAT, lambda at, has: at.http("POST", f"{EMBED}/chat/{has.session}/end", {}, Origin=PAGE)),
    Row("a preflight for a page's chat", CHAT, lambda at, has: preflight(at, f"chat/{has.session}")),
    Row("TURN credentials by a token", TURN, lambda at, has: at.http("GET", "/api/v1/turn/credentials", Authorization=f"Bearer {has.token}")),
    Row("TURN credentials by a key", TURN, lambda at, has: at.http("GET", "/api/v1/turn/credentials", X_API_Key=has.key)),
    Row(
        "TURN credentials by a key in the store", TURN,
        lambda at, has: at.http("GET", "/api/v1/turn/credentials", X_API_Key=has.saved_key), is_stored=True,
    ),
    Row("a bot hangs up", HANG_UP, lambda at, has: hang_up(at, "AC7", has.phone, has.call)),
    Row("a bot hangs up a call at another bot", HANG_UP, lambda at, has: hang_up(at, "AC7", at.has.phone, has.shared_call), at_home=False),
    Row("a bot that serves both hangs up", HANG_UP, lambda at, has: hang_up(at, "AC8", SHARED, has.shared_call)),
    Row("health", HEALTH, lambda at, has: at.http("GET", "/api/v1/health", Authorization=f"Bearer {has.token}"), at_home=False, status=200),
    Row("the script of pages", SCRIPT, lambda at, has: at.http("GET", "/embed/patchbay.js", Referer=f"{PAGE}/{has.button}"), at_home=False, status=200),
    Row("the playground", PLAYGROUND, lambda at, has: at.http("GET", f"/?token={has.button}"), at_home=False, status=200),
    *(
        Row(
            f"{method} {path}, which is for operators", ADMIN,
            lambda at, has, method=method, path=path: at.http(method, path, Authorization=f"Bearer {has.token}", X_API_Key=has.key),
            at_home=False, status=404,
        )
        for method, path in (("GET", "/calls"), ("GET", "/quotas?tenant=acme"), ("POST", "/reload"), ("GET", "/livez"), ("GET", "/readyz"), ("GET", "/metrics"))
    ),
    Row(
        "the way to another tenant by what proxies add", TURN,
        lambda at, has: at.http(
            "GET", "/api/v1/turn/credentials", Authorization=f"Bearer {has.token}", X_Forwarded_Host=has.address,
            X_Forwarded_Prefix=has.address, Forwarded=f"host={has.address}", X_Original_URL=f"{has.address}/api/v1/health",
        ),
    ),
    Row(
        "the way to another tenant by a path within a path", HEALTH,
        lambda at, has: at.http("GET", f"/..{has.address if has.address[0] == '/' else '/' + has.address}/api/v1/health"),
        at_home=False, status=404,
    ),
]


# Of two tenants that are alike it is often the first where they are matched by host, and the second where it is by path.
INTRUDERS = ["one", pytest.param("the other", marks=pytest.mark.rare)]


def intruder_in(world, param: str) -> Tenant:
    """Whose belongings are used at the other tenant."""
    return world.tenants[NAMES[(param == "the other") != (world.match == "path")]]


@pytest.fixture(params=INTRUDERS)
def intruder(request, world) -> Tenant:
    before = world.look()
    yield intruder_in(world, request.param)
    world.await_look(before)
    world.forget()  # what a call that is gone now has sent at its end


@pytest.fixture
def host(world, intruder) -> Tenant:
    """At whom they are used."""
    return next(each for each in world.tenants.values() if each is not intruder)


def telephones(world, row: Row, tenant: Tenant):
    """Callers at the tenant's bots for phones, where a row is about such."""
    return world.beside(world.on_the_phone(tenant)) if row.covers == HANG_UP else contextlib.nullcontext()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_belongs_to_another_tenant_is_what_belongs_to_nobody(world, intruder, host, row):
    """At every endpoint the answers are the same, and no live call is touched."""
    with telephones(world, row, intruder), world.untouched():
        answer = row.ask(host, intruder.has)
        assert answer == row.ask(host, world.nobody)
        assert row.status in (None, answer[0])


@pytest.mark.parametrize("row", [row for row in ROWS if row.at_home is not None], ids=lambda row: row.name)
def test_it_would_have_been_seen(world, intruder, row):
    """What belongs to a tenant makes a difference at home, so that none elsewhere means something."""
    with telephones(world, row, intruder):
        assert (row.ask(intruder, intruder.has) != row.ask(intruder, world.nobody)) == row.at_home


def test_a_playground_calls_with_the_token_of_its_own_tenant(intruder, host):
    status, _, page = intruder.http("GET", "/")
    assert status == 200 and f'data-token="emb_{intruder.name}"'.encode() in page
    assert f"emb_{host.name}".encode() not in page


def test_a_call_that_was_touched_would_have_been_seen(world, intruder):
    """One that is hung up, and one that is told something."""
    row = next(row for row in ROWS if row.covers == HANG_UP)
    with telephones(world, row, intruder), pytest.raises(AssertionError, match="became"), world.untouched(patience=1):
        before, deadline = world.look(), time.monotonic() + 20
        row.ask(intruder, intruder.has)
        while world.look() == before and time.monotonic() < deadline:
            time.sleep(0.02)
    with pytest.raises(AssertionError), world.untouched():
        world.run(is_told(world, intruder))


# MARK: - Messages


@dataclass
class Message:
    """What a client says on its socket, and what of that may be another tenant's."""

    name: str
    covers: str  # as the document has it
    say: Callable[[World, Caller, Belongings], Awaitable]
    at_home: Callable[[World, Tenant], Awaitable]  # sees that it does something
    run: Callable[[Belongings], int | None] = lambda has: None  # of the socket
    timed: dict | None = None  # what it has beside the name and a description, where the time of its answer is measured


async def offers(world, caller, has):
    caller.pc_id = has.pc_id
    await unheard(caller)


async def offers_its_own(world, caller, has):
    await unheard(caller)


async def trickles(world, caller, has):
    port = world.listener.getsockname()[1]
    await caller.socket.send_json(trickled({"candidate": f"candidate:1 1 udp 2122260223 127.0.0.1 {port} typ host"}, has.pc_id))


async def trickles_the_end(world, caller, has):
    await caller.send("ice-candidate", pc_id=has.pc_id, candidate=None)


def negotiates(restart: bool):
    async def say(world, caller, has):
        await caller.send("renegotiate", **await caller.description(pc_id=has.pc_id, restart_pc=restart))

    return say


async def asks(world, caller, has):
    await caller.send("get-statistics", pc_id=has.pc_id)


async def tells_the_bot(world, caller, has):
    await caller.send("pipeline-message", pc_id=has.pc_id, please="stop")


async def tells_the_bot_by_rtvi(world, caller, has):
    message = {"label": "rtvi-ai", "type": "send-text", "id": has.pc_id, "payload": {"pc_id": has.pc_id}}
    await caller.socket.send_json(message)


async def hangs_up(world, caller, has):
    await caller.send("hang-up", pc_id=has.pc_id, run=has.run)


async def is_refused(tenant: Tenant, code: str | None, run=None, pc_id=None):
    """Another socket of the same caller."""
    async with tenant.calling(run, BOT) as caller:
        caller.pc_id = pc_id or caller.pc_id
        await caller.send("offer", **await caller.description())
        error = await caller.message("error")
        assert error.get("error_type") == code and (code or error == OWNED)


async def leads_somewhere(world, tenant):
    """To the address of the candidate."""
    async with tenant.calling() as caller:
        await unheard(caller)
        await trickles(world, caller, replace(tenant.has, pc_id=caller.pc_id))
        await receive(world.listener)
    world.forget()


async def receive(listener: socket.socket, timeout=2.0) -> bytes:
    deadline = time.monotonic() + timeout
    while True:
        with contextlib.suppress(BlockingIOError):
            return listener.recv(2048)
        assert time.monotonic() < deadline, f"nothing came in {timeout} s"
        await asyncio.sleep(0.01)


async def is_in_nobodys_way(world, tenant):
    """There is no reply to it from anybody."""


async def is_answered(world, tenant):
    await world.of(tenant)[2].offer(message="renegotiate", restart_pc=False)


async def is_answered_anew(world, tenant):
    caller = world.of(tenant)[2]
    await caller.restart()
    await caller.connected()


async def is_told(world, tenant):
    caller = world.of(tenant)[2]
    after = len(caller.messages)
    await asks(world, caller, tenant.has)
    assert (await caller.message("statistics", after=after))["pc_id"] == caller.pc_id


def is_heard(say):
    async def at_home(world, tenant):
        """The bot says what it heard."""
        caller = world.of(tenant)[2]
        after = len(caller.messages)
        await say(world, caller, tenant.has)
        await caller.until(lambda: [each for each in caller.messages[after:] if "heard" in each], what="the bot")

    return at_home


MESSAGES = [
    Message("an offer with the name of a live call", "offer", offers, lambda world, at: is_refused(at, None, pc_id=at.has.pc_id)),
    Message(
        "an offer for a run in a call", "offer", offers_its_own,
        lambda world, at: is_refused(at, "workflow_run_already_active", at.has.run), lambda has: has.run,
    ),
    Message(
        "an offer for a run whose call is over", "offer", offers_its_own,
        lambda world, at: is_refused(at, "workflow_run_already_completed", at.has.ended), lambda has: has.ended,
    ),
    Message("a candidate", "ice-candidate", trickles, leads_somewhere),
    Message("the end of candidates", "ice-candidate", trickles_the_end, is_in_nobodys_way),
    Message("a renegotiation", "renegotiate", negotiates(False), is_answered, timed={"restart_pc": False}),
    Message("another peer connection", "renegotiate", negotiates(True), is_answered_anew, timed={"restart_pc": True}),
    Message("how a call goes", "get-statistics", asks, is_told, timed={}),
    Message("a message to a bot", "pipeline-message", tells_the_bot, is_heard(tells_the_bot)),
    Message("a message to a bot, by RTVI", "pipeline-message", tells_the_bot_by_rtvi, is_heard(tells_the_bot_by_rtvi)),
    Message("a message that there is not", "", hangs_up, is_in_nobodys_way),
]


def alike(message: dict, has: Belongings) -> dict:
    """Without what is drawn at random, and the name that the client itself has chosen."""
    text = json.dumps(message).replace(has.pc_id, "PC")
    text = re.sub(r"(o=|a=(?:ice-ufrag|ice-pwd|fingerprint|candidate|ssrc|msid)\b)(?:(?!\\r\\n).)*", r"\1", text)
    return json.loads(re.sub(r"m=audio \d+", "m=audio", text))


async def answers(world, at: Tenant, message: Message, has: Belongings) -> list[dict]:
    """All that a caller is told who says that, and then something that is refused."""
    async with at.calling(message.run(has), BOT) as caller:
        chosen = caller.pc_id
        await message.say(world, caller, has)
        await caller.send("offer")
        await caller.until(lambda: MISSING in [each.get("payload") for each in caller.messages], what="an answer")
        return [alike(each, replace(has, pc_id=chosen if message.run(has) else has.pc_id)) for each in caller.messages]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.name)
def test_a_message_about_another_tenants_call_is_one_about_nobodys(world, intruder, host, message):
    """The socket is that of a caller of one tenant, and what it names belongs to the other."""
    with world.untouched():
        told = world.run(answers(world, host, message, intruder.has))
        assert told == world.run(answers(world, host, message, world.nobody))


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.name)
def test_a_message_about_a_call_at_home_does_something(world, intruder, message):
    world.run(message.at_home(world, intruder))


async def negotiates_again(world, tenant):
    await world.of(tenant)[0].offer()


async def errs(world, tenant):
    caller = world.of(tenant)[0]
    after = len(caller.messages)
    await caller.send("offer")
    await caller.message("error", after=after)


async def ends(world, tenant):
    async with tenant.in_call() as caller:
        await caller.pc.close()
        await caller.message("call-ended")


async def speaks(world, tenant):
    """To a bot that tells of it."""
    tone = 0.3 * np.sin(np.arange(2 * speech.RATE) / 20)
    async with tenant.in_call(workflow=BOT, said=tone) as caller:
        await caller.until(lambda: [each for each in caller.events if each["type"] == "rtf-bot-text"], what="events")


TOLD = {
    "answer": negotiates_again,
    "ice-candidate": negotiates_again,
    "error": errs,
    "statistics": is_told,
    "call-ended": ends,
    "rtf-…": speaks,
    "anything else": is_heard(tells_the_bot),
}


@pytest.mark.parametrize("type", TOLD)
def test_what_one_tenant_is_told_the_other_is_not(world, intruder, host, type):
    before = [told_of(each) for each in world.of(host)]
    world.run(TOLD[type](world, intruder))
    world.flow()
    assert [told_of(each) for each in world.of(host)] == before


# MARK: - Media, limits, reloads


def test_a_call_is_not_open_to_who_has_the_credentials_of_another(world, intruder, host):
    """ICE's: neither to those of a call of another tenant, nor to any that were made up; only to its own."""

    async def main():
        async with host.calling() as caller:
            answer = (await unheard(caller))["sdp"]
            name, password = (re.search(rf"a=ice-{each}:(\S+)", answer)[1] for each in ("ufrag", "pwd"))
            theirs = re.search(r"a=ice-ufrag:(\S+)", caller.pc.localDescription.sdp)[1]
            port = int(re.search(r"a=candidate:.* 127\.0\.0\.1 (\d+) typ host", answer)[1])
            other, others = intruder.has.credentials
            made_up, nobodys = world.nobody.credentials
            for user, key in (name, others), (name, nobodys), (other, password), (made_up, password):
                world.listener.sendto(request(f"{user}:{theirs}", key), ("127.0.0.1", port))
            with pytest.raises(AssertionError, match="nothing came"):
                await receive(world.listener, 0.3)
            world.listener.sendto(request(f"{name}:{theirs}", password), ("127.0.0.1", port))
            await receive(world.listener)

    world.run(main())
    world.forget()


def test_users_of_two_tenants_are_two_at_the_turn_server(world):
    """It gives each so many allocations, by the names in their credentials."""
    for ask in (
        lambda at: at.http("GET", "/api/v1/turn/credentials", Authorization=f"Bearer {at.has.token}"),
        lambda at: at.http("GET", "/api/v1/turn/credentials", X_API_Key=at.has.key),
        lambda at: at.http("GET", f"{EMBED}/turn-credentials/{at.has.unused_session}", Origin=PAGE),
    ):
        names = [json.loads(ask(tenant)[2])["username"].partition(":")[2] for tenant in world.tenants.values()]
        assert len(set(names)) == 2, names


# MARK: - An endpoint that decides

QUESTIONS = 32  # that may be open at once


class AskedWorld:
    """A gateway whose two tenants ask one endpoint by one instance, which remembers its answers.

    The endpoint lets each token and key in at one tenant only.
    """

    def __init__(self, gateways, match: str):
        self.gateways, self.match = gateways, match
        self.nobody = of_nobody(match)
        self.slow_token = token_of("nobody", "slow")
        self._goes_on = threading.Event()
        self._goes_on.set()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.endpoint = stack.enter_context(Server(self._answer))
            start = contextlib.contextmanager(self.gateways)
            gateway = stack.enter_context(start(template=self._configuration(), endpoint=self.endpoint.url))
            self.tenants = {}
            for name in NAMES:
                address = address_of(name, self.match)
                # The run is of the same number at both.
                has = replace(self.nobody, token=token_of(name), key=key_of(name), address=address)
                where = (gateway.url, {"Host": address}) if self.match == "host" else (gateway.url + address, {})
                self.tenants[name] = Tenant(name, has, *where)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def _configuration(self) -> str:
        text = CONFIG[: CONFIG.index("auth:")].replace("  playground: emb_demo\n", "")
        text += 'ice_servers:\n  - {{ urls: ["turn:turn.example.org:3478"], secret: {{ file: {directory}/turn.secret }} }}\n'
        limits = f"timeout: 10s, cache: 5m, questions_at_once: {QUESTIONS}, refusals_per_address: 100000"
        text += f'auth:\n  app: {{{{ type: http, url: "{{endpoint}}", {limits} }}}}\npipelines:\n  echo: {{{{ type: echo }}}}\ntenants:\n'
        for name in NAMES:
            text += f"  {name}: {{{{ match: {{{{ {self.match}: {address_of(name, self.match)} }}}}, auth: [app], pipeline: echo }}}}\n"
        return text

    def _answer(self, body: str):
        question = json.loads(body)
        if question["token"] == self.slow_token:
            self._goes_on.wait(30)
        if (question["token"] or question["api_key"]) in (self.tenants[question["tenant"]].has.token, key_of(question["tenant"])):
            return 200, {}, b'{"user":"7","organization":"9"}'
        return 403, {}, b"{}"

    def questions(self) -> int:
        return len(self.endpoint.requests)

    @contextlib.contextmanager
    def slow(self):
        """Until this is over there is no answer about the slow token, which is good at neither tenant."""
        self._goes_on.clear()
        try:
            yield
        finally:
            self._goes_on.set()


# By a token or a key that is shown.
ASKED = [row for row in ROWS if row.covers in (SOCKET, TURN) and not row.is_stored and " by " in row.name]


@pytest.fixture(scope="module", params=["host", "path"])
def asked(request, _gateways):
    with AskedWorld(_gateways, request.param) as world:
        yield world


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("row", ASKED, ids=lambda row: row.name)
def test_who_is_remembered_at_one_tenant_is_asked_about_at_the_other(asked, row, name):
    """The question of before, but for the tenant: its answer is not good for another's."""
    home = asked.tenants[name]
    [host] = (each for each in asked.tenants.values() if each is not home)
    let_in = row.ask(home, home.has)[0]
    assert let_in in (101, 200)
    before = asked.questions()
    assert row.ask(home, home.has)[0] == let_in
    assert asked.questions() == before, "nobody was remembered, so that this would show nothing"
    answer = row.ask(host, home.has)
    assert asked.questions() == before + 1
    assert answer == row.ask(host, asked.nobody) and answer[0] in (401, 403)
    assert [json.loads(body)["tenant"] for *_, body in asked.endpoint.requests[before:]] == [host.name] * 2
    assert row.ask(home, asked.nobody)[0] == answer[0]
    assert row.ask(home, home.has)[0] == let_in
    assert asked.questions() == before + 3, "at home it is still remembered"


def test_questions_that_are_open_at_one_tenant_leave_room_for_those_of_the_other(asked):
    """Of each address, and of all: one of two has three quarters of what there is for both."""
    first, second = asked.tenants.values()
    addresses = [f"127.0.0.{number}" for number in range(81, 89)]

    def opened(tenant: Tenant, token: str, address: str) -> int:
        url = f"{tenant.url}/api/v1/ws/signaling/{ECHO}/{next(FRESH_RUNS)}?token={token}"
        return upgrade(url, tenant.headers, source=address)[0]

    before, most = asked.questions(), QUESTIONS * 3 // 4
    with ThreadPoolExecutor(most) as pool, asked.slow():
        waiting = [pool.submit(opened, first, asked.slow_token, each) for each in addresses * (most // len(addresses))]
        deadline = time.monotonic() + 8
        while asked.questions() < before + most:
            assert time.monotonic() < deadline, "not as many are asked at once as may be"
            time.sleep(0.02)
        for each in [*addresses, "127.0.0.89"]:
            assert opened(first, asked.slow_token, each) == 429
        for each in addresses:
            assert opened(second, second.has.token, each) == 101
        assert asked.questions() == before + most + len(addresses)
    assert {each.result() for each in waiting} == {403}
    assert opened(first, first.has.token, addresses[0]) == 101


# MARK: - What one uses up


async def offered(stack, tenant: Tenant, user: str) -> str:
    """What one more caller's offer is answered with."""
    caller = await stack.enter_async_context(tenant.calling(token=token_of(tenant.name, user)))
    await caller.send("offer", **await caller.description(sdp=re.sub("a=candidate.*\r\n", "", (await caller.description())["sdp"])))
    await caller.until(lambda: caller.messages, what="an answer")
    return caller.messages[0]["type"]


async def seats(first, second):
    async with contextlib.AsyncExitStack() as stack:
        said = [await offered(stack, first, f"user {number}") for number in range(SEATS[first.name] - 2)]
        assert said == ["answer"] * (SEATS[first.name] - 3) + ["error"], "three have calls already"
        assert await offered(stack, second, "user 0") == "answer"


async def seats_of_a_user(first, second):
    async with contextlib.AsyncExitStack() as stack:
        assert [await offered(stack, first, "of many calls") for _ in range(6)] == ["answer"] * 5 + ["error"]
        assert await offered(stack, second, "of many calls") == "answer"


async def sockets_of_an_address(first, second):
    async with contextlib.AsyncExitStack() as stack:

        async def opened(tenant) -> int:
            connector = aiohttp.TCPConnector(local_addr=("127.0.0.77", 0))
            session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
            url = f"{tenant.url}/api/v1/ws/signaling/{ECHO}/{next(FRESH_RUNS)}?token={tenant.has.token}"
            try:
                await stack.enter_async_context(session.ws_connect(url, headers=tenant.headers))
            except aiohttp.WSServerHandshakeError as error:
                return error.status
            return 101

        assert [await opened(first) for _ in range(21)] == [101] * 20 + [429]
        assert await opened(second) == 101


async def uses_of_a_page(first, second):
    def begin(tenant):
        return tenant.http("POST", f"{EMBED}/init", {"token": "emb_once"})[0]

    assert [begin(first), begin(first), begin(second)] == [200, 403, 200]


async def starts_of_a_page(first, second):
    def begin(tenant):
        return tenant.http("POST", f"{EMBED}/init", {"token": "emb_same"})[0]

    assert 429 in (begin(first) for _ in range(600))
    assert begin(second) == 200


async def turn_credentials(first, second):
    def ask(tenant):
        token = token_of(tenant.name, "of many credentials")
        return tenant.http("GET", "/api/v1/turn/credentials", Authorization=f"Bearer {token}")[0]

    assert 429 in (ask(first) for _ in range(40))
    assert ask(second) == 200


async def numbers_of_runs(first, second):
    def begin(tenant) -> int:
        return json.loads(tenant.http("POST", f"{EMBED}/init", {"token": tenant.has.button}, Origin=PAGE)[2])["workflow_run_id"]

    number = begin(second)
    assert begin(first) < begin(first)
    assert begin(second) == number + 1, "one could count what the other does"


@pytest.mark.parametrize(
    "use",
    [seats, seats_of_a_user, sockets_of_an_address, uses_of_a_page, starts_of_a_page, turn_credentials, numbers_of_runs],
    ids=lambda use: use.__name__.replace("_", " "),
)
def test_what_one_tenant_uses_up_the_other_still_has(world, use):
    with world.untouched():
        world.run(use(*world.tenants.values()))


def test_a_reload_for_one_tenant_is_none_for_the_other(world):
    """One gets another secret; what the other has is kept, and both have their calls."""
    first, second = world.tenants.values()
    path = f"/api/v1/ws/signaling/{ECHO}/{next(FRESH_RUNS)}?token="

    def statuses() -> list[int]:
        return [tenant.upgrade(path + tenant.has.token)[0] for tenant in (first, second)]

    secret = world.folder / f"{first.name}.jwt"
    before = secret.read_text()
    with world.untouched():
        try:
            secret.write_text(leaks.secret("another JWT secret", f"another secret of {first.name}'s, of no use elsewhere"))
            status, answer = reload(world.gateway)
            assert (status, answer["made"]) == (200, 1)
            assert statuses() == [403, 101]
        finally:
            secret.write_text(before)
            assert reload(world.gateway)[0] == 200
        assert statuses() == [101, 101]
        change(world.gateway, f"limits: {{ call: {SEATS[first.name]}h", "limits: { call: never")
        try:
            assert reload(world.gateway)[0] == 422
            assert statuses() == [101, 101]
        finally:
            change(world.gateway, "limits: { call: never", f"limits: {{ call: {SEATS[first.name]}h")


# MARK: - Nothing is left out


def section(document: str, heading: str) -> str:
    text = (ROOT / "docs" / document).read_text()
    return re.search(rf"^(#+) {re.escape(heading)}\n(.*?)(?=^#{{1,3}} |\Z)", text, re.MULTILINE | re.DOTALL)[2]


def test_every_endpoint_that_is_documented_has_a_row():
    documented = set(re.findall(r"^\| `((?:WS|GET|POST) \S+)`", section("wire.md", "Addresses"), re.MULTILINE))
    for rest in re.findall(r"^\*\*`([\w-]+/\{\w+\})`\*\*", section("wire.md", "Embed pages"), re.MULTILINE):
        if not any(each.endswith(rest) for each in documented):
            documented.add(rest)
    for call in re.findall(r"^POST /\S+", section("bots.md", "Hanging up"), re.MULTILINE):
        documented.add(re.sub("CA[0-9a-f]{32}", "{call_sid}", re.sub("AC[0-9a-f]{32}", "{account_sid}", call)))
    assert len(documented) >= 10
    assert documented | {PLAYGROUND, ADMIN} == {row.covers for row in ROWS}


def test_every_path_that_the_code_serves_has_a_row():
    """As far as its source says so: a document may have forgotten one."""
    asked = set()

    class Recorder(Tenant):
        def http(self, method: str, path: str, body=None, **headers) -> Answer:
            asked.add(path.partition("?")[0])
            return 200, {}, b""

        def upgrade(self, path: str, **headers) -> Answer:
            return self.http("GET", path)

    nobody = of_nobody("path")
    for row in ROWS:
        row.ask(Recorder("nobody", nobody, "", {}), nobody)

    def is_asked(path: str) -> bool:
        """A name in it stands for one segment."""
        pattern = "[^/]+".join(map(re.escape, re.split(r"\{\w+\}|\\\(\w+\)", path)))
        return any(re.fullmatch(pattern, each) for each in asked)

    served = set()
    for file in ROOT.glob("Plugins/*/*/Sources/**/*.swift"):
        text = file.read_text()
        routes = re.findall(r'\bRoute\(\s*\.\w+, "([^"]+)"', text)
        assert bool(routes) == ("RouteProvider" in text), f"{file.name} says in another way what it serves"
        served.update(routes)
    # One route is for all that pages ask for.
    served.remove(f"{EMBED}/{{path*}}")
    text = (ROOT / "Plugins/Auth/EmbedTokenAuth/Sources/Endpoint.swift").read_text()
    pages = re.findall(r'parts == \["([\w-]+)"\]', text)
    pages += [f"{first}/{{name}}/{last}".rstrip("/") for first, last in re.findall(r'case \("([\w-]+)", \d, (?:_|"([\w-]+)")\)', text)]
    assert len(pages) == text.count("self = .") >= 6
    served.update(f"{EMBED}/{rest}" for rest in pages)
    assert [path for path in served if not is_asked(path)] == []

    # What the gateway serves itself it compares with lists of segments.
    lists = {
        "/" + "/".join(re.findall('"([^"]+)"', segments))
        for file in (ROOT / "Sources/PatchbayKit/Routing").glob("*.swift")
        for segments in re.findall(r'(?:== |case |\+ |\], )\[((?:"[\w.-]+"(?:, )?)+)\]', file.read_text())
    }
    assert len(lists) >= 9
    assert [path for path in lists if not any(path in each for each in asked)] == []
    assert "/" in asked, "the playground"


def test_every_message_that_is_documented_has_a_row():
    documented = set(re.findall(r"^\*\*`([\w-]+)`\*\*", section("wire.md", "From the client"), re.MULTILINE))
    assert len(documented) >= 5
    assert documented | {""} == {message.covers for message in MESSAGES}
    [known] = re.findall(r"guard \[(.*)\]\.contains\(type\)", (ROOT / "Sources/Signaling/ClientMessage.swift").read_text())
    assert documented == set(re.findall('"([^"]+)"', known)), "the code knows others"
    table = section("wire.md", "From the gateway").split("\n\n")[0]
    documented = {re.sub("`", "", name) for name in re.findall(r"^\| (`\S+`|anything else) \|", table, re.MULTILINE)}
    assert documented - {"type"} == set(TOLD)
