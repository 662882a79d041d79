"""Whatever strangers and callers say, the log has it on a line of ours or nowhere, and every refusal has its line or is counted."""

import asyncio
import contextlib
import itertools
import json
import os
import random
import re
import time
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from urllib.parse import quote, urlsplit

import aiohttp
import pytest

from gateway import UPGRADE, Gateway, changed_config, jwt
from hostile import Stranger
from test_auth import Key

TEXTS = 10_000
TEMPLATE = changed_config(
    ("  drain:", "  trusted_proxies: [127.0.9.1]\n  drain:"),
    (
        "  embeds:",
        "  machines: {{ type: api_key, store: local }}\n  partner:\n    type: jwt\n    issuer: us\n    audience: voice\n"
        "    keys: [{{ kid: a, algorithm: ES256, file: {key} }}]\n  embeds:",
    ),
    ("[users, embeds]", "[users, machines, embeds]"),
    ("tenants:\n", "tenants:\n  partner: {{ match: {{ path: /t/partner }}, auth: [partner], pipeline: echo }}\n"),
    ("match: any", "match: {{ host: 127.0.0.1 }}\n    origins: [app.example.org]"),
)

# As the log has them: a time, a level, fields in the order of their names, who says it, and what. A value that could be taken for
# more than one is quoted.
LINE = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}) (trace|debug|info|notice|warning|error|critical) patchbay:"
    r'((?: [a-z][A-Za-z_.-]*=(?:"(?:[^"\\]|\\.)*"|[^]["=]*))*) \[([A-Za-z]+)\] ([^][=]+)'
)
FIELD = re.compile(r' ([a-z][A-Za-z_.-]*)=("(?:[^"\\]|\\.)*"|[^]["=]*)(?= [a-z][A-Za-z_.-]*=|$)')
REFUSED = {f"{what} refused" for what in ("socket", "offer", "message", "request", "TURN credentials")}
UNTOLD = "refusals without a line of their own"
SAID = REFUSED | {UNTOLD, "call ended"}
# What wire.md says that a refusal's line has.
FIELDS = set("code reason tenant host auth quota workflow run user address origin detail".split())
LONGEST = 256

ENTRY = "1999-12-31T23:59:59+0000 critical patchbay: tenant=forged [PatchbayKit] call ended"
HOSTILE = [
    # Ends of lines, and what some take for them
    *(f"{end}{ENTRY}" for end in ("\n", "\r\n", "\r", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029")),
    f"\r\nX-More: 1\r\n{ENTRY}", f"\r\n\r\n{ENTRY}\n",
    # What terminals obey
    "\0", "\a", "\b" * 80, "\t", "\x7f", "\x1b[2J\x1b[31m", "\x1b]0;title\a", "\x1b]8;;http:x.example\x1b\\link", "\x9b31m", "\x9d0;x\x9c",
    # What turns text round, or is not seen
    "\u202egpj.exe", "\u2066\u2067\u2069", "\u200e\u200f\u061c", "\u200b\u2060\ufeff", "\xad", "\U000e0041\U000e007f", "\ufff9\ufffb",
    # Halves of pairs, heaps of accents, characters that are none, those whose small letters are more
    "\ud800", "\udfff\ud800", "Z" + "\u0335" * 200, "e\u0301", "\ufffd\uffff\U0010ffff", "İßΣ", "👩‍👩‍👧",
    # Fields of ours
    " tenant=forged", " quota=forged run=1999 workflow=1999", ' code=ok reason="let in" auth=forged', f" [PatchbayKit] call ended {ENTRY}",
    "=", '"', "'", "\\", "\\n\\u{a}\\x0a", ", ", ";", '","code":"ok',
    # Formats, templates, commands
    "%s%n%p%08x%", "%00%0a%0D", "+", "${jndi:ldap:x.example}", "{{7*7}}", "$(reboot)`reboot`|reboot",
    # Markup and paths
    "<script>alert(1)</script>", "<!-- ]]>&#10;", "'; DROP TABLE entries; --", "../../etc/passwd", "?a=b#c",
    # Lengths
    "x" * 300, "\u202e" * 300, "ä" * 3_000, "x" * 7_000, "x" * 10_240,
]  # fmt: skip
# No text of ours: half a pair, and over 30 accents on one letter. And what HTTP has no room for.
UNFIT, UNFIT_HTTP = re.compile("[\ud800-\udfff]|\u0335{31}"), re.compile("[\0-\x1f\x7f\ud800-\udfff]|\u0335{31}")
MARK = re.compile("([a-z]+)~[0-9]+~")
# Those who do not stop. All others are refused ten times at most.
LOUD = [f"127.0.1.{last}" for last in range(1, 5)]


# Where text goes


def octets(text: str) -> bytes:
    """UTF-8, or what comes near it."""
    return text.encode(errors="surrogatepass")


def request(method: str, target: str, body=b"", **fields: str) -> bytes:
    """What is hostile comes last: should it end the head, all else has been said."""
    others = {"Connection": "close", "Content-Length": len(body), "Host": "127.0.0.1"}
    lines = {name: value for name, value in others.items() if name not in fields} | fields
    return octets("\r\n".join([f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in lines.items()), "\r\n"])) + body


def handshake(target: str, **fields: str) -> bytes:
    return request("GET", target, **UPGRADE, **fields)


SOCKET, EMBED = "/api/v1/ws/signaling/2/1", "/api/v1/public/embed"


def signed_in(**fields: str) -> bytes:
    return handshake(SOCKET, **{name.replace("_", "-"): text for name, text in fields.items()})


def partner(kid="a", **claims) -> bytes:
    return handshake(f"/t/partner{SOCKET}", Authorization=f"Bearer {Key('ES256', kid).token(**claims)}")


def escaped(text: str) -> str:
    return quote(octets(text), safe="")


def start(token: str) -> bytes:
    return request("POST", f"{EMBED}/init", json.dumps({"token": token}).encode())


# Who a proxy says that it is, and the proxy, to whom it falls where the text is the end of that field.
HONEST, PROXY = itertools.cycle(f"192.0.2.{last}" for last in range(1, 255)), "127.0.9.1"


@dataclass
class Place:
    """Where a text may stand, the refusal that it gets, and which field of the line has the text."""

    request: Callable[[str], bytes]
    status: int
    code: str
    field: str | None = None
    is_json: bool = False
    source: str | None = None


PLACES = {
    "workflow": Place(lambda text: handshake(f"/api/v1/ws/signaling/{escaped(text)}/1"), 403, "no_socket"),
    "run": Place(lambda text: handshake(f"/api/v1/ws/signaling/2/{escaped(text)}"), 403, "no_socket"),
    "session": Place(lambda text: handshake(f"/api/v1/ws/public/signaling/{escaped(text)}"), 403, "invalid_session_token"),
    "token": Place(lambda text: handshake(f"{SOCKET}?token={escaped(text)}"), 403, "invalid_token"),
    "key": Place(lambda text: handshake(f"{SOCKET}?api_key={escaped(text)}"), 403, "invalid_api_key"),
    "bearer": Place(lambda text: signed_in(Authorization=f"Bearer {text}"), 403, "invalid_token"),
    "subprotocol": Place(lambda text: signed_in(Sec_WebSocket_Protocol=f"bearer, {text}"), 403, "invalid_token"),
    "xkey": Place(lambda text: signed_in(X_API_Key=text), 403, "invalid_api_key"),
    "agent": Place(lambda text: signed_in(User_Agent=text), 403, "no_credential"),
    "host": Place(lambda text: signed_in(Host=text), 403, "no_tenant", "host"),
    "origin": Place(lambda text: signed_in(Origin=text), 403, "origin_not_allowed", "origin"),
    "referrer": Place(lambda text: signed_in(Referer=text), 403, "no_credential", "origin"),
    "forwarded": Place(
        lambda text: signed_in(X_Forwarded_For=f"{text}, {next(HONEST)}"), 403, "no_credential", source=PROXY
    ),
    "iss": Place(lambda text: partner(iss=text), 403, "invalid_token", "detail", is_json=True),
    "aud": Place(lambda text: partner(aud=text), 403, "invalid_token", "detail", is_json=True),
    "kid": Place(lambda text: partner(octets(text)[:64].decode(errors="ignore")), 403, "invalid_token", "detail", is_json=True),
    "embed": Place(start, 404, "invalid_embed_token", is_json=True),
    "page": Place(lambda text: request("GET", f"{EMBED}/config/emb_demo", Origin=text), 403, "domain_not_allowed", "origin"),
    # A slash makes it another path, and that is nowhere.
    "config": Place(lambda text: request("GET", f"{EMBED}/config/{escaped(text.replace('/', '.'))}"), 404, "invalid_embed_token"),
    "turnsession": Place(
        lambda text: request("GET", f"{EMBED}/turn-credentials/{escaped(text.replace('/', '.'))}"), 404, "invalid_session_token"
    ),
    "turn": Place(lambda text: request("GET", "/api/v1/turn/credentials", Authorization=f"Bearer {text}"), 401, "invalid_token"),
    "nowhere": Place(lambda text: request("POST", "/", Host=text), 404, "no_tenant", "host"),
}
# To sign a token takes longer than all else, and who comes from elsewhere is somebody else.
QUICK = [name for name, place in PLACES.items() if place.field != "detail" and not place.source]


def messages(said: Callable[[str], str]):
    """Each is passed over or refused, and the last closes the socket."""
    good = {"pc_id": "PC-1", "sdp": "v=0", "type": "offer"}
    yield json.dumps({"type": said("type")})
    for type, payload in (
        ("ice-candidate", {"pc_id": said("candidate"), "candidate": {"candidate": said("candidate")}}),
        ("renegotiate", {"pc_id": said("renegotiate"), "sdp": said("renegotiate")}),
        ("get-statistics", {"pc_id": said("statistics")}),
        ("pipeline-message", {said("pipeline"): said("pipeline")}),
        ("offer", good | {"type": said("kind")}),
        ("offer", good | {"pc_id": said("name")}),
        ("offer", good | {"sdp": said("sdp")}),
    ):
        yield json.dumps({"type": type, "payload": payload})
    twice = said("twice")
    yield MARK.match(twice)[0], f"{{{json.dumps(twice)}:1,{json.dumps(twice)}:2}}"


REFUSED_MESSAGES = ["missing_offer_fields", "offer_not_answered", "malformed_message"]


# Those who say it


@dataclass
class Crowd:
    """Strangers and callers, what they have said, and what must have become of it."""

    gateway: Gateway
    # In whole seconds, as the log has them.
    began: int = field(default_factory=lambda: int(time.time()))
    ended: float = 0
    # What it has written, and what its admin port said in the end.
    log: str = ""
    admin: dict = field(default_factory=dict)
    texts: int = 0
    calls: int = 0
    # Refusals, by code; and by address and code, of all but the loud.
    refused: Counter = field(default_factory=Counter)
    quiet: Counter = field(default_factory=Counter)
    # Marks of what the log must have.
    shown: set[str] = field(default_factory=set)
    heads: list[tuple[str, str, str]] = field(default_factory=list)

    def say(self, place: str, text: str) -> str:
        """Says who says it where, so that it can be told wherever it turns up."""
        self.texts += 1
        return f"{place}~{self.texts}~{text}"

    def count(self, address: str, *codes: str):
        self.refused.update(codes)
        self.quiet.update((address, code) for code in codes)

    async def ask(self, name: str, text: str, address: str) -> str | None:
        """The code with which it is refused, if it gets so far."""
        place, text = PLACES[name], self.say(name, text)
        where, sent = urlsplit(self.gateway.url), place.request(text)
        reader, writer = await asyncio.open_connection(where.hostname, where.port, local_addr=(place.source or address, 0))
        writer.write(sent)
        head = (await asyncio.wait_for(reader.read(), 20)).partition(b"\r\n\r\n")[0].decode()
        writer.close()
        if not head:
            assert "\r\n\r\n" in text, "only what is no request behind one takes the answer to that one with it"
            return place.code
        self.heads.append((name, text, head))
        status = int(head.split()[1])
        if status != place.status:
            unfit = status == 400 and UNFIT_HTTP.search(text) or status == 422 and place.is_json and UNFIT.search(text)
            assert unfit or status == 431 and len(sent) > 8_000, f"{name} {text[:300]!a}: {head}"
            return None
        return place.code

    async def visit(self, cases: list[tuple[str, str]], address: str):
        """A stranger who comes ten times."""
        for name, text in cases:
            place, number = PLACES[name], self.texts + 1
            if code := await self.ask(name, text, address):
                self.count(place.source or address, code)
                if place.field and not (place.is_json and UNFIT.search(text)):
                    self.shown.add(f"{name}~{number}~")

    async def flood(self, chance: random.Random, count: int, address: str):
        for _ in range(count):
            text = "".join(chance.choices(HOSTILE, k=chance.randrange(1, 4)))
            # Long ones behind the end of a head can cost the answer.
            code = await self.ask(chance.choice(QUICK), text.replace("\r\n\r\n", "\r\n"), address)
            self.refused.update([code] if code else [])

    async def talk(self, text: str, address: str):
        """A caller with a socket for nonsense, and one for a call that comes about."""
        fits = not UNFIT.search(text)
        connector = aiohttp.TCPConnector(local_addr=(address, 0))
        async with aiohttp.ClientSession(connector=connector) as session:
            # Each as a user of his own: to one user's two sockets, `PC-1` is one call.
            async with session.ws_connect(self.gateway.signaling(token=jwt(user=address))) as socket:
                *others, (twice, last) = messages(lambda place: self.say(place, text))
                for message in *others, last:
                    await socket.send_str(message)
                async for _ in socket:
                    pass
                assert socket.close_code == 1007
            self.count(address, *(REFUSED_MESSAGES if fits else ["malformed_message"]))
            if fits:
                self.shown.add(twice)
            claims = {name: self.say("claim", text[:100]) for name in ("user", "org", "email", "name")}
            try:
                async with session.ws_connect(self.gateway.signaling(token=jwt(**claims))) as socket:
                    await Stranger(socket).offer(extra={"call_context_vars": {self.say("variable", text): self.say("variable", text)}})
                    await socket.close(code=4000, message=octets(self.say("close", text))[:123])
                self.calls += 1
            except aiohttp.WSServerHandshakeError as refusal:
                assert refusal.status == 403 and not fits
                self.count(address, "invalid_token")

    async def come(self, chance: random.Random):
        """All of them; each text at each place by somebody who has lines left, then whatever is left of them."""
        cases = list(itertools.product(PLACES, HOSTILE))
        chance.shuffle(cases)
        visits = [self.visit(cases[at : at + 10], f"127.0.2.{at // 10 + 1}") for at in range(0, len(cases), 10)]
        talks = [self.talk(text, f"127.0.3.{last}") for last, text in enumerate(HOSTILE, 1)]
        at_once = asyncio.Semaphore(16)

        async def wait_for(one):
            async with at_once:
                await one

        await asyncio.gather(*map(wait_for, visits + talks))
        rest = TEXTS - self.texts
        await asyncio.gather(*(self.flood(chance, rest // 16 + 1, LOUD[number % 4]) for number in range(16)))
        # Those without a line are told of in the next second's first.
        await asyncio.sleep(1.1)
        await self.visit([("host", "last")], "127.0.1.9")


# What they left


class Line:
    def __init__(self, text: str):
        match = LINE.fullmatch(text)
        assert match, f"no line of ours: {text!a}"
        time, self.level, fields, self.module, self.message = match.groups()
        self.time = datetime.fromisoformat(time).timestamp()
        self.fields = FIELD.findall(fields)
        self.text = text

    def __repr__(self) -> str:
        return ascii(self.text)

    def __getitem__(self, name: str) -> str:
        """Of several of one name the first, which is ours: what strangers say comes behind `address` and `code`."""
        return next(value for each, value in self.fields if each == name)


@pytest.fixture(scope="module")
def crowd(_gateways, tmp_path_factory):
    """They have been, and their gateway has ended."""
    seed = int(os.environ.get("SEED", random.randrange(2**32)))
    print(f"SEED={seed}")
    key = tmp_path_factory.mktemp("partner") / "key.pem"
    key.write_bytes(Key("ES256", "a").pem())
    with contextlib.contextmanager(_gateways)(template=TEMPLATE, key=key) as gateway:
        crowd = Crowd(gateway)
        asyncio.run(crowd.come(random.Random(seed)))
        gateway.await_idle()
        crowd.admin = gateway.look()
        crowd.ended = time.time()
    crowd.log = gateway.log.read_bytes().decode()
    print(f"{crowd.texts} texts in {crowd.ended - crowd.began:.1f} s, {len(crowd.log)} bytes of log, {crowd.refused}")
    return crowd


@pytest.fixture(scope="module")
def lines(crowd) -> list[Line]:
    return [Line(text) for text in crowd.log.removesuffix("\n").split("\n")]


def test_each_entry_is_a_line_and_each_line_an_entry(crowd, lines):
    assert crowd.texts >= TEXTS
    assert len(crowd.log.splitlines()) == len(lines), "some see more lines in it"
    for line in lines:
        if line.module == "ServiceLifecycle":
            assert line.level == "debug"
            continue
        assert (line.module, line.level) == ("PatchbayKit", "notice" if line.message == UNTOLD else "info"), line
        assert line.message in SAID and crowd.began <= line.time <= crowd.ended, line
    assert sum(line.message == "call ended" for line in lines) == crowd.calls > 50


def test_nothing_in_it_is_a_control_or_cannot_be_seen(crowd):
    unprintable = {each for each in set(crowd.log) if unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    assert unprintable == {"\n"}


def test_every_refusal_has_a_line_or_is_counted(crowd, lines):
    assert crowd.admin["refused"] == crowd.refused
    told = [line for line in lines if line.message in REFUSED]
    untold = sum(int(line["count"]) for line in lines if line.message == UNTOLD)
    assert len(told) + untold == crowd.refused.total()
    who = [PROXY if line["address"].startswith("192.0.2.") else line["address"] for line in told]
    assert crowd.quiet == Counter((each, line["code"]) for each, line in zip(who, told, strict=True) if each not in LOUD)
    # A second of the clock has parts of two of the budget.
    most = max(Counter((each, line.time) for each, line in zip(who, told, strict=True) if each in LOUD).values())
    assert untold > 1_000 and 10 <= most <= 20


def test_no_value_is_longer_than_a_field(lines):
    values = [value for line in lines if line.message in REFUSED for _, value in line.fields]
    lengths = [len(re.sub(r"\\u\{[0-9a-f]+\}|\\(.)", "x", value.removeprefix('"').removesuffix('"'))) for value in values]
    assert max(lengths) == LONGEST


def test_only_what_the_log_is_to_have_of_what_they_say_stands_there(crowd, lines):
    """Hosts, origins, what a claim or a message is refused for, and whom a good token names: not a word of a credential, of an address, of any other field."""
    found = {(name, mark[1]) for line in lines for name, value in line.fields for mark in MARK.finditer(value)}
    assert found == {(place.field, name) for name, place in PLACES.items() if place.field} | {("reason", "twice"), ("user", "claim")}
    marks = {mark[0] for mark in MARK.finditer(crowd.log)}
    assert marks >= crowd.shown and {MARK.match(mark)[1] for mark in marks} == {place for _, place in found}
    assert "~" not in json.dumps(crowd.admin), "neither is it on the admin port"


def test_nobody_adds_a_field_to_a_line(lines):
    """Each field stands there once, in the order of their names, as the gateway writes them."""
    names = {line: [name for name, _ in line.fields] for line in lines if line.message in REFUSED}
    forged = [line for line, each in names.items() if each != sorted(set(each)) or not FIELDS.issuperset(each)]
    assert not forged, f"{len(forged)} of {len(names)} lines, these among them: {forged[:5]}"


def test_no_answer_says_it_in_its_status_line_or_a_header_field(crowd):
    """But for `Access-Control-Allow-Origin`, which a browser wants to have back as it was."""
    for name, text, head in crowd.heads:
        first, *fields = head.split("\r\n")
        status = int(first.split()[1])
        assert first == f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"
        for line in fields:
            field, value = line.split(": ", 1)
            if field == "access-control-allow-origin":
                assert name == "page" and value in octets(text).decode(errors="replace"), line
            else:
                assert "~" not in line, line
