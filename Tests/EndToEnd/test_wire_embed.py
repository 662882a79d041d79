"""What embed pages and dashboards ask over HTTP, as they ask it: rows in order, bodies, and what a page may read of them."""

import asyncio
import base64
import hashlib
import hmac
import json
import time

import pytest

from gateway import TURN_SECRET, changed_config, http, jwt, upgrade
from peer import in_call

URIS = ["turn:turn.example.org:3478", "turn:turn.example.org:3478?transport=tcp"]
PAGE, EVIL = "https://shop.example", "https://evil.example"
TOKENS = """\
      - {{ token: emb_echo, workflow: 2 }}
      - token: emb_shop
        workflow: 2
        allowed_domains: [shop.example]
        settings: {{ buttonText: Call us, position: top-left, voiceRetryText: Once more, workflow_id: 77, extra: [1, 2] }}
      - {{ token: emb_off, workflow: 2, active: false }}
      - {{ token: emb_off_shop, workflow: 2, active: false, allowed_domains: [shop.example] }}
      - {{ token: emb_old, workflow: 2, expires: "2020-01-01T00:00:00Z", allowed_domains: [shop.example] }}
      - {{ token: emb_once, workflow: 2, usage_limit: 1 }}
"""
ECHO = "      - {{ token: emb_echo, workflow: 2 }}\n"
SERVERS = """\
ice_servers:
  - urls: ["stun:stun.example.org:3478"]
  - urls: ["{uris[0]}", "{uris[1]}"]
    secret: {{ file: {directory}/turn.secret }}
    ttl: 1h
stores:
"""
WITHOUT_TURN = changed_config((ECHO, TOKENS))
WITH_TURN = changed_config((ECHO, TOKENS), ("stores:\n", SERVERS))
EMBED = "/api/v1/public/embed"


@pytest.fixture(scope="module")
def shop(_gateways):
    """A gateway with tokens of every kind, and a TURN server."""
    yield from _gateways(template=WITH_TURN, uris=URIS)


@pytest.fixture(scope="module")
def without_turn(_gateways):
    yield from _gateways(template=WITHOUT_TURN)


def ask(gateway, path: str, origin=PAGE, method="GET", body=None, **headers):
    """Status, header fields, and the body read as JSON."""
    if origin is not None:
        headers["Origin"] = origin
    status, fields, text = http(method, f"{gateway.url}{path}", body, headers)
    return status, fields, json.loads(text) if text else None


def begin(gateway, token="emb_shop", origin=PAGE, **body):
    return ask(gateway, f"{EMBED}/init", origin, "POST", {"token": token, **body})


def session(gateway, token="emb_shop") -> str:
    status, _, body = begin(gateway, token)
    assert status == 200, body
    return body["session_token"]


def session_key(token: str) -> str:
    return f"embed_token:session:default:{hashlib.sha256(token.encode()).hexdigest()}"


def assert_readable(headers: dict, origin=PAGE):
    """The page can read the answer, and a cache does not give it to another page. Cookies are nobody's business."""
    assert headers["access-control-allow-origin"] == origin
    assert "origin" in headers["vary"].lower().replace(" ", "").split(",")
    assert "access-control-allow-credentials" not in headers


# MARK: - init

REFUSED_STARTS = [
    pytest.param("emb_nobody", EVIL, 404, "Invalid embed token", id="1 unknown"),
    pytest.param("emb_off", PAGE, 403, "Embed token is inactive", id="2 inactive"),
    pytest.param("emb_off_shop", EVIL, 403, "Embed token is inactive", id="2 before 4"),
    pytest.param("emb_old", PAGE, 403, "Embed token has expired", id="3 expired"),
    pytest.param("emb_old", EVIL, 403, "Embed token has expired", id="3 before 4"),
    pytest.param("emb_shop", EVIL, 403, f"Domain not allowed: {EVIL}", id="4 another page"),
    pytest.param("emb_shop", None, 403, "Domain not allowed: ", id="4 no origin"),
]


@pytest.mark.parametrize(("token", "origin", "status", "detail"), REFUSED_STARTS)
def test_a_start_that_is_refused(shop, token, origin, status, detail):
    with shop.nothing_started():
        answered, headers, body = begin(shop, token, origin)
        assert (answered, body) == (status, {"detail": detail})
        if origin:
            assert_readable(headers, origin)
        else:
            assert "access-control-allow-origin" not in headers


def test_the_referer_stands_in_for_an_origin(shop):
    body = {"token": "emb_shop"}
    path = f"{EMBED}/init"
    assert ask(shop, path, None, "POST", body, Referer=f"{PAGE}/a/page")[0] == 200
    status, _, refused = ask(shop, path, None, "POST", body, Referer=f"{EVIL}/a/page")
    assert (status, refused) == (403, {"detail": f"Domain not allowed: {EVIL}/a/page"})


def test_row_6_a_token_is_used_up(shop):
    assert begin(shop, "emb_once")[0] == 200
    for _ in range(2):
        status, headers, body = begin(shop, "emb_once")
        assert (status, body) == (403, {"detail": "Embed token usage limit exceeded"})
        assert_readable(headers)


@pytest.mark.parametrize(
    ("settings", "body"),
    [
        pytest.param("starts_per_token: 100000", {"token": "emb_shop"}, id="a token's"),
        pytest.param("starts_per_address: 100000", {"token": "emb_echo"}, id="an address's"),
    ],
)
def test_row_5_starts_have_a_limit(settings, body, start):
    gateway = start(template=WITHOUT_TURN.replace(settings, settings.replace("100000", "9")))
    for _ in range(3):  # a third of them at once
        assert ask(gateway, f"{EMBED}/init", PAGE, "POST", body)[0] == 200
    with gateway.nothing_started():
        status, headers, body = ask(gateway, f"{EMBED}/init", PAGE, "POST", body)
    assert status == 429 and body == {"detail": "Too many sessions. Please try again shortly"}
    assert_readable(headers)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="no token"),
        pytest.param({"token": 7}, id="a token that is a number"),
        pytest.param({"token": None}, id="a token of null"),
        pytest.param({"token": "emb_shop", "context_variables": []}, id="variables that are a list"),
        pytest.param({"token": "emb_shop", "context_variables": "x"}, id="variables that are a string"),
        pytest.param([], id="a list"),
        pytest.param(b"{", id="no JSON"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_a_body_of_the_wrong_shape_is_422(shop, body):
    status, headers, answer = ask(shop, f"{EMBED}/init", PAGE, "POST", body)
    assert status == 422 and answer["detail"]
    assert_readable(headers)


def test_a_good_start_has_all_that_a_page_reads(shop):
    with shop.nothing_started():
        status, headers, body = begin(shop, context_variables={"customer_name": "Ada"})
        assert status == 200
        assert_readable(headers)
        run = body["workflow_run_id"]
        token = body["session_token"]
        assert token.startswith("emb_session_") and len(token) == len("emb_session_") + 43
        assert body == {
            "session_token": token,
            "workflow_run_id": run,
            "config": {
                "workflow_id": 77,  # settings may override the ids
                "workflow_run_id": run,
                "buttonText": "Call us",
                "position": "top-left",
                "voiceRetryText": "Once more",
                "extra": [1, 2],
            },
            "widget_type": "voice",
            "chat_session": None,
        }
        assert begin(shop)[2]["workflow_run_id"] != run


def test_what_a_page_started_can_be_called(shop):
    """The run that `init` names is the one that the call is of, and it is over with its call."""
    _, _, body = begin(shop)
    url = f"{shop.url.replace('http', 'ws', 1)}/api/v1/ws/public/signaling/{body['session_token']}"
    run = f"run:default:embed:emb_shop:{body['workflow_run_id']}"
    assert shop.entry(run)["has_ended"] is False

    async def main():
        async with in_call(url, headers={"Origin": PAGE}) as caller:
            await caller.hears(10)
            assert [each["run"] for each in shop.look()["calls"]] == [body["workflow_run_id"]]

    asyncio.run(main())
    shop.await_idle()
    assert shop.entry(run)["has_ended"] is True


def variables_of(gateway, variables) -> dict:
    """What is left of context variables, in the store."""
    status, _, body = begin(gateway, context_variables=variables)
    assert status == 200, body
    kept = gateway.entry(session_key(body["session_token"]))["context_variables"]
    assert kept.pop("provider") == "smallwebrtc" and kept.pop("direction") == "inbound"
    return kept


LONG = "x" * 3000


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        pytest.param(None, {}, id="null"),
        pytest.param({}, {}, id="none"),
        pytest.param({" name ": "Ada"}, {"name": "Ada"}, id="a key is trimmed"),
        pytest.param({"": 1, "  ": 2}, {}, id="a key that is empty"),
        pytest.param({"k" * 64: 1, "k" * 65: 2}, {"k" * 64: 1}, id="a key that is too long"),
        pytest.param({key: 1 for key in ("a.b", "a b", "a|b", "a{b", "a}b", "a\tb")}, {}, id="a key with a sign"),
        pytest.param({"customer-name": 1}, {"customer-name": 1}, id="a key with a hyphen"),
        pytest.param(
            {"provider": "x", "runtime_configuration": {}, "mps_correlation_id": "x"}, {}, id="keys of the server's"
        ),
        pytest.param({"direction": "outbound"}, {}, id="the server's value wins"),
        pytest.param({f"k{n:02}": n for n in range(60)}, {f"k{n:02}": n for n in range(50)}, id="fifty at most"),
        pytest.param({"text": LONG}, {"text": LONG[:2000]}, id="a text is cut"),
        pytest.param({"a": 1.5, "b": True, "c": None}, {"a": 1.5, "b": True, "c": None}, id="plain values"),
        pytest.param({"a": [1], "b": {"c": 2}}, {"a": [1], "b": {"c": 2}}, id="small objects"),
        pytest.param({"a": [LONG], "b": {"c": LONG}, "d": 1}, {"d": 1}, id="large objects"),
        pytest.param(
            {**{key: LONG for key in "abcde"}, "f": "small"},
            {**{key: LONG[:2000] for key in "abcd"}, "f": "small"},
            id="8 KiB in all, and a later one may fit",
        ),
    ],
)
def test_context_variables_are_cleaned_and_never_refused(shop, given, kept):
    assert variables_of(shop, given) == kept


# MARK: - config

TEXTS = """endChatText conversationEndedText startNewChatText chatRetryText chatInputPlaceholder sendMessageLabel
closeChatLabel voiceConnectingText voiceEndCallText voiceRetryText voiceReadyTitle voiceConnectingSubtext
voiceConnectedTitle voiceConnectedSubtext voiceCallEndedTitle voiceCallEndedSubtext voiceConnectionFailedTitle
voiceConnectionFailedSubtext voiceConnectionLostTitle voiceConnectionLostSubtext""".split()


def test_the_configuration_of_a_page(shop, without_turn):
    for gateway, turn in (shop, True), (without_turn, False):
        status, headers, body = ask(gateway, f"{EMBED}/config/emb_echo")
        assert status == 200
        assert_readable(headers)
        texts = body.pop("texts")
        assert sorted(texts) == sorted(TEXTS) and all(text and isinstance(text, str) for text in texts.values())
        assert (texts["endChatText"], texts["voiceRetryText"]) == ("End chat", "Retry")
        assert body == {
            "workflow_id": 2,
            "settings": {},
            "theme": "light",
            "position": "bottom-right",
            "button_text": "Start Voice Call",
            "button_color": "#3B82F6",
            "size": "medium",
            "auto_start": False,
            "turn_enabled": turn,
            "force_turn_relay": False,
        }


def test_settings_of_the_token_show_in_its_configuration(shop):
    _, _, body = ask(shop, f"{EMBED}/config/emb_shop")
    assert (body["button_text"], body["position"]) == ("Call us", "top-left")
    assert body["texts"]["voiceRetryText"] == "Once more" and body["texts"]["endChatText"] == "End chat"
    assert body["settings"]["extra"] == [1, 2]


@pytest.mark.parametrize(
    ("token", "origin", "status", "detail"),
    [
        pytest.param("emb_nobody", EVIL, 404, "Invalid embed token", id="unknown"),
        pytest.param("emb_off", PAGE, 403, "Embed token is inactive", id="inactive"),
        pytest.param("emb_off_shop", EVIL, 403, "Embed token is inactive", id="inactive, for another page"),
        pytest.param("emb_shop", EVIL, 403, f"Domain not allowed: {EVIL}", id="another page"),
        pytest.param("emb_shop", None, 403, "Domain not allowed: ", id="no origin"),
    ],
)
def test_a_configuration_that_is_refused(shop, token, origin, status, detail):
    answered, headers, body = ask(shop, f"{EMBED}/config/{token}", origin)
    assert (answered, body) == (status, {"detail": detail})
    if origin:
        assert_readable(headers, origin)


def test_the_configuration_of_an_expired_token_is_there(shop):
    assert ask(shop, f"{EMBED}/config/emb_old")[0] == 200


# MARK: - TURN credentials


def assert_credentials(body: dict, most: int) -> str:
    """What a TURN server would check, worked out here (draft-uberti-behave-turn-rest-00 §2.2). Returns the user's id."""
    assert set(body) == {"username", "password", "ttl", "uris"}
    assert body["uris"] == URIS
    expiry, _, user = body["username"].partition(":")
    digest = hmac.new(TURN_SECRET.encode(), body["username"].encode(), hashlib.sha1).digest()
    assert body["password"] == base64.b64encode(digest).decode()
    assert most - 60 < body["ttl"] <= most
    assert abs(int(expiry) - time.time() - body["ttl"]) < 5
    return user


def test_a_page_gets_turn_credentials(shop):
    """As long as its session lives at the most, and nothing of the session's token is in them."""
    token = session(shop)
    status, headers, body = ask(shop, f"{EMBED}/turn-credentials/{token}")
    assert status == 200
    assert_readable(headers)
    assert assert_credentials(body, 3600)

    def tells(token: str) -> bool:
        user, secret = assert_credentials(ask(shop, f"{EMBED}/turn-credentials/{token}")[2], 3600), token.removeprefix("emb_session_")
        return any(secret[at : at + 4] in user for at in range(len(secret) - 3))

    # Both are drawn, and four letters may be the same by chance; but not each time.
    assert not all(tells(each) for each in (token, session(shop), session(shop)))
    shop.change(session_key(token), expires=int(time.time()) + 120)
    assert_credentials(ask(shop, f"{EMBED}/turn-credentials/{token}")[2], 120)


@pytest.mark.parametrize(
    ("spoil", "origin", "status", "detail"),
    [
        pytest.param("unknown", EVIL, 404, "Invalid session token", id="session unknown"),
        pytest.param({"token": "emb_gone"}, EVIL, 404, "Invalid embed token", id="token gone"),
        pytest.param({"expires": 1}, EVIL, 403, "Session expired", id="session expired"),
        pytest.param({"token": "emb_off_shop", "expires": 1}, EVIL, 403, "Session expired", id="expired and inactive"),
        pytest.param({"token": "emb_off_shop"}, EVIL, 403, "Embed token is inactive", id="token inactive"),
        pytest.param({}, EVIL, 403, f"Domain not allowed: {EVIL}", id="another page"),
        pytest.param({}, None, 403, "Domain not allowed: ", id="no origin"),
    ],
)
def test_a_page_that_gets_no_turn_credentials(shop, spoil, origin, status, detail):
    token = session(shop)
    if spoil == "unknown":
        token += "x"
    elif spoil:
        shop.change(session_key(token), **spoil)
    answered, headers, body = ask(shop, f"{EMBED}/turn-credentials/{token}", origin)
    assert (answered, body) == (status, {"detail": detail})
    if origin:
        assert_readable(headers, origin)


def test_turn_credentials_are_for_the_page_that_started_the_session_and_its_one_call(shop):
    token = session(shop, "emb_echo")  # which any page may use
    path = f"{EMBED}/turn-credentials/{token}"
    for origin in EVIL, f"{PAGE}:8443", PAGE.replace("https", "http"):
        status, headers, body = ask(shop, path, origin)
        assert (status, body) == (403, {"detail": f"Domain not allowed: {origin}"})
        assert_readable(headers, origin)
    assert ask(shop, path, None, Referer=f"{PAGE}/a/page")[0] == 200

    async def main():
        async with in_call(f"{shop.url.replace('http', 'ws', 1)}/api/v1/ws/public/signaling/{token}", headers={"Origin": PAGE}) as caller:
            await caller.hears(10)
            assert ask(shop, path)[0] == 200

    asyncio.run(main())
    shop.await_idle()
    status, headers, body = ask(shop, path)
    assert (status, body) == (403, {"detail": "Session expired"})
    assert_readable(headers)


def test_without_a_turn_server_there_are_no_credentials(without_turn):
    token = session(without_turn)
    expected = (503, {"detail": "TURN server not configured"})
    status, headers, body = ask(without_turn, f"{EMBED}/turn-credentials/{token}")
    assert (status, body) == expected
    assert_readable(headers)
    status, _, body = ask(without_turn, "/api/v1/turn/credentials", Authorization=f"Bearer {jwt()}")
    assert (status, body) == expected


def test_who_is_signed_in_gets_turn_credentials(shop):
    status, headers, body = ask(shop, "/api/v1/turn/credentials", Authorization=f"Bearer {jwt(user='4711')}")
    assert status == 200
    assert_readable(headers)
    assert assert_credentials(body, 3600) == "default/users/4711"


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        pytest.param({}, "Missing authentication token", id="no token"),
        pytest.param({"Authorization": "Bearer nonsense"}, "Invalid or expired token", id="nonsense"),
        pytest.param({"Authorization": f"Bearer {jwt(lifetime=-3600)}"}, "Invalid or expired token", id="expired"),
        pytest.param({"Authorization": f"Bearer {jwt(secret='x' * 32)}"}, "Invalid or expired token", id="another key"),
    ],
)
def test_who_is_not_signed_in_gets_none(shop, headers, detail):
    status, answered, body = ask(shop, "/api/v1/turn/credentials", **headers)
    assert (status, body) == (401, {"detail": detail})
    assert_readable(answered)


def test_a_token_in_the_query_is_for_sockets_only(shop):
    """Addresses end up in logs."""
    assert ask(shop, f"/api/v1/turn/credentials?token={jwt()}")[0] == 401


# MARK: - CORS

PREFLIGHT = {"Access-Control-Request-Method": "GET"}


@pytest.mark.parametrize(
    ("path", "method", "origin", "status", "allowed"),
    [
        pytest.param("init", "POST", EVIL, 200, "POST, OPTIONS", id="init, from any page"),
        pytest.param("init", "GET", PAGE, 405, None, id="init by GET"),
        pytest.param("init", "DELETE", PAGE, 405, None, id="init by DELETE"),
        pytest.param("config/emb_shop", "GET", PAGE, 200, "GET, OPTIONS", id="config"),
        pytest.param("config/emb_shop", "POST", PAGE, 405, None, id="config by POST"),
        pytest.param("config/emb_shop", "GET", EVIL, 403, None, id="config, another page"),
        pytest.param("config/emb_nobody", "GET", PAGE, 403, None, id="config, unknown token"),
        pytest.param("config/emb_off", "GET", PAGE, 403, None, id="config, inactive token"),
        pytest.param("config/emb_old", "GET", PAGE, 200, "GET, OPTIONS", id="config, expired token"),
        pytest.param("turn-credentials/SESSION", "GET", PAGE, 200, "GET, OPTIONS", id="TURN"),
        pytest.param("turn-credentials/SESSION", "POST", PAGE, 405, None, id="TURN by POST"),
        pytest.param("turn-credentials/SESSION", "GET", EVIL, 403, None, id="TURN, another page"),
        pytest.param("turn-credentials/nobody", "GET", EVIL, 200, "GET, OPTIONS", id="TURN, unknown session"),
        pytest.param("turn-credentials/EXPIRED", "GET", EVIL, 200, "GET, OPTIONS", id="TURN, expired session"),
        pytest.param("chat/SESSION", "GET", PAGE, 200, "GET, POST, OPTIONS", id="chat"),
        pytest.param("chat/SESSION/messages", "POST", PAGE, 200, "GET, POST, OPTIONS", id="chat messages"),
        pytest.param("chat/SESSION/end", "POST", PAGE, 200, "GET, POST, OPTIONS", id="chat end"),
        pytest.param("chat/SESSION", "PUT", PAGE, 405, None, id="chat by PUT"),
        pytest.param("chat/SESSION", "GET", EVIL, 403, None, id="chat, another page"),
        pytest.param("chat/nobody", "GET", EVIL, 200, "GET, POST, OPTIONS", id="chat, unknown session"),
    ],
)
def test_a_preflight(shop, path, method, origin, status, allowed):
    if "SESSION" in path or "EXPIRED" in path:
        token = session(shop)
        if "EXPIRED" in path:
            shop.change(session_key(token), expires=1)
        path = path.replace("SESSION", token).replace("EXPIRED", token)
    answered, headers, _ = http(
        "OPTIONS",
        f"{shop.url}{EMBED}/{path}",
        headers={"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": "content-type"},
    )
    assert answered == status
    if allowed is None:
        if status == 403:
            assert not [name for name in headers if name.startswith("access-control-")], "a page may read nothing"
        return
    assert_readable(headers, origin)
    assert headers["access-control-allow-methods"] == allowed
    assert headers["access-control-allow-headers"] == "Content-Type, Origin"
    assert headers["access-control-max-age"] == "86400"


@pytest.mark.parametrize(
    ("path", "method", "body", "status"),
    [
        pytest.param(f"{EMBED}/init", "POST", b"x" * 65_537, 413, id="a body that is too long"),
        pytest.param(f"{EMBED}/config/%zz", "GET", None, 400, id="a path that is none"),
        pytest.param(f"/t/nobody{EMBED}/config/emb_shop", "GET", None, 404, id="a tenant that is none"),
    ],
)
def test_what_comes_to_no_plugin_can_be_read_too(shop, path, method, body, status):
    answered, headers, _ = http(method, shop.url + path, body, {"Origin": PAGE})
    assert answered == status
    assert_readable(headers)
    _, headers, _ = http(method, shop.url + path, body)
    assert not [name for name in headers if name.startswith("access-control-")]


def test_options_that_is_no_preflight(shop):
    """Without an origin there is none to echo."""
    status, headers, _ = http("OPTIONS", f"{shop.url}{EMBED}/init")
    assert status == 200 and headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("path", ["health", "turn/credentials"])
def test_a_dashboard_of_any_origin_may_ask(shop, path):
    status, headers, _ = http(
        "OPTIONS",
        f"{shop.url}/api/v1/{path}",
        headers={**PREFLIGHT, "Origin": PAGE, "Access-Control-Request-Headers": "authorization"},
    )
    assert status in (200, 204)
    assert_readable(headers)
    assert "GET" in headers["access-control-allow-methods"]
    assert "authorization" in headers["access-control-allow-headers"].lower()


# MARK: - Chat, which is not served, and health


@pytest.mark.parametrize(
    ("path", "method", "body"),
    [
        pytest.param("", "GET", None, id="look"),
        pytest.param("/messages", "POST", {"text": "Hello", "expected_revision": None}, id="say"),
        pytest.param("/end", "POST", {"expected_revision": None}, id="end"),
    ],
)
@pytest.mark.parametrize(
    ("spoil", "origin", "status", "detail"),
    [
        pytest.param({}, PAGE, 400, "Not a chat session", id="a voice session"),
        pytest.param("unknown", PAGE, 404, "Invalid session token", id="session unknown"),
        pytest.param({"token": "emb_gone"}, PAGE, 404, "Invalid embed token", id="token gone"),
        pytest.param({"expires": 1}, PAGE, 403, "Session expired", id="session expired"),
        pytest.param({"token": "emb_off_shop"}, PAGE, 403, "Embed token is inactive", id="token inactive"),
        pytest.param({}, EVIL, 403, f"Domain not allowed: {EVIL}", id="another page"),
    ],
)
def test_chat_is_refused_in_the_words_of_the_wire(shop, path, method, body, spoil, origin, status, detail):
    token = session(shop)
    if spoil == "unknown":
        token += "x"
    elif spoil:
        shop.change(session_key(token), **spoil)
    with shop.nothing_started():
        answered, headers, answer = ask(shop, f"{EMBED}/chat/{token}{path}", origin, method, body)
        assert (answered, answer) == (status, {"detail": detail})
        assert_readable(headers, origin)


def test_health_has_all_that_clients_read(shop, without_turn):
    for gateway, turn in (shop, True), (without_turn, False):
        status, headers, body = ask(gateway, "/api/v1/health")
        assert status == 200
        assert_readable(headers)
        assert body.pop("version")
        assert body == {
            "status": "ok",
            "backend_api_endpoint": gateway.url,
            "tunnel_url": None,
            "deployment_mode": "oss",
            "auth_provider": "local",
            "turn_enabled": turn,
            "force_turn_relay": False,
            "signup_enabled": False,
            "stack_project_id": None,
            "stack_publishable_client_key": None,
        }


def test_secrets_and_sessions_are_not_logged(shop):
    token = session(shop)
    ask(shop, f"{EMBED}/turn-credentials/{token}")
    upgrade(f"{shop.url}/api/v1/ws/public/signaling/{token}", {"Origin": EVIL})
    shop.await_idle()
    log = shop.log.read_text()
    assert token not in log and TURN_SECRET not in log
