"""Who may open a socket: each row its status, its body to the byte, and nothing that was started by it."""

import asyncio
import contextlib
import hashlib
import json
from urllib.parse import urlsplit

import pytest

from gateway import changed_config, jwt, patchbay, upgrade
from peer import calling

OTHER_KEY = "another key altogether, of no use elsewhere"
REGISTERED = changed_config(("match: any\n", "match: any\n    runs: registered\n"))


@pytest.fixture(scope="module")
def registered(_gateways):
    """A gateway whose signed-in callers call runs that were put in before."""
    for gateway in _gateways(template=REGISTERED):
        add_run(gateway, workflow=33, run=501, organization=9)
        yield gateway


def add_run(gateway, *, workflow: int, run: int, organization: int):
    words = ["--tenant", "default", "--workflow", workflow, "--run", run, "--organization", organization]
    done = patchbay("run", "add", "-c", gateway.config, *words, cwd=gateway.config.parent)
    assert done.returncode == 0, done.stdout + done.stderr


def refused(detail: str) -> tuple[int, bytes]:
    return 400, json.dumps({"detail": detail}, separators=(",", ":")).encode()


FORBIDDEN = (403, b"")


def answer(url: str, headers=None) -> tuple[int, bytes]:
    status, _, body = upgrade(url, headers)
    return status, body


@pytest.mark.parametrize(
    ("path", "query"),
    [
        pytest.param("x/1", f"token={jwt()}", id="a workflow that is no integer"),
        pytest.param("2/x", f"token={jwt()}", id="a run that is no integer"),
        pytest.param("2/1.0", f"token={jwt()}", id="a run with a fraction"),
        pytest.param("2/99999999999999999999", f"token={jwt()}", id="a run beyond all integers"),
        pytest.param("x/y", "", id="no integers and no credential"),
        pytest.param("2/1", "", id="no credential"),
        pytest.param("2/1", "token=", id="an empty token"),
        pytest.param("2/1", "api_key=", id="an empty key"),
        pytest.param("2/1", "token=abc.def.ghi", id="a token of nonsense"),
        pytest.param("2/1", f"token={jwt(lifetime=-3600)}", id="an expired token"),
        pytest.param("2/1", f"token={jwt(secret=OTHER_KEY)}", id="a token of another key"),
        pytest.param("2/1", f"token={jwt(algorithm='none')}", id="a token of no algorithm"),
        pytest.param("2/1", f"token={jwt()[:-9]}", id="a token cut short"),
        pytest.param("2/1", f"token={jwt(exp='never')}", id="a token without an end"),
        pytest.param("2/1", f"token={jwt(sub='')}", id="a token of nobody"),
        pytest.param("2/1", f"token={jwt(aud='elsewhere')}", id="a token for another audience"),
        pytest.param("2/1", "api_key=nonsense", id="a key that nobody knows"),
        pytest.param("2/1", f"api_key=nonsense&token={jwt()}", id="a key beside a good token: the key wins"),
    ],
)
@pytest.mark.parametrize("runs", ["gateway", "registered"], ids=["open", "registered"])
def test_a_credential_that_is_missing_or_refused_is_403_without_a_body(request, runs, path, query):
    gateway = request.getfixturevalue(runs)
    with gateway.nothing_started():
        assert answer(f"{gateway.url}/api/v1/ws/signaling/{path}?{query}") == FORBIDDEN


def test_a_key_in_the_header_wins_over_a_good_token(gateway):
    with gateway.nothing_started():
        assert answer(gateway.signaling(), {"X-API-Key": "nonsense"}) == FORBIDDEN


@pytest.mark.parametrize(
    ("claims", "path", "expected"),
    [
        pytest.param({}, "33/501", refused("No organization selected"), id="4 no organisation"),
        pytest.param({}, "33/502", refused("No organization selected"), id="4 before 5"),
        pytest.param({"org": "9"}, "33/502", refused("Bad workflow_run_id"), id="5 no such run"),
        pytest.param({"org": "8"}, "33/501", refused("Bad workflow_run_id"), id="5 another organisation's run"),
        pytest.param({"org": "8"}, "34/501", refused("Bad workflow_run_id"), id="5 before 6"),
        pytest.param({"org": "9"}, "34/501", refused("workflow_run_workflow_mismatch"), id="6 another workflow's run"),
        pytest.param({"org": "9"}, "33/501", (101, b""), id="7 the run of the organisation and of the workflow"),
        pytest.param({"org": 9}, "33/501", (101, b""), id="7 an organisation written as a number"),
        pytest.param({"org": "9", "user": "8"}, "33/501", (101, b""), id="7 another user of the organisation"),
    ],
)
def test_a_registered_run_is_looked_for_before_the_socket_opens(registered, claims, path, expected):
    with registered.nothing_started():
        assert answer(f"{registered.url}/api/v1/ws/signaling/{path}?token={jwt(**claims)}") == expected


def test_a_refusal_is_json_with_its_length(registered):
    _, headers, body = upgrade(registered.signaling(33, 502, token=jwt(org="9")))
    assert headers["content-type"].startswith("application/json")
    assert headers["content-length"] == str(len(body))


def test_a_registered_run_is_called_once(registered):
    add_run(registered, workflow=33, run=601, organization=9)
    url = registered.signaling(33, 601, token=jwt(org="9"))

    async def main():
        async with calling(url) as caller:
            await caller.offer()
        await asyncio.to_thread(registered.await_idle)
        assert registered.entry("run:default:organization:9:601")["has_ended"] is True
        async with calling(url) as caller:
            await caller.send("offer", **await caller.description())
            assert (await caller.message("error"))["error_type"] == "workflow_run_already_completed"

    asyncio.run(main())
    registered.await_idle()


def test_in_the_open_a_run_belongs_to_the_workflow_it_was_started_with(gateway):
    """Each caller has runs of its own: the same number is another's other run."""
    run = 71

    async def main():
        async with calling(gateway.signaling(2, run)) as caller:
            await caller.offer()

    asyncio.run(main())
    gateway.await_idle()
    with gateway.nothing_started():
        assert answer(gateway.signaling(3, run)) == refused("workflow_run_workflow_mismatch")
        assert answer(gateway.signaling(2, run)) == (101, b"")
        assert answer(gateway.signaling(3, run, token=jwt(user="8"))) == (101, b"")
        assert answer(gateway.signaling(3, run, token=jwt(org="9"))) == (101, b"")
        assert answer(gateway.signaling(3, run + 1)) == (101, b"")


# Made before the first test runs, and good for longer than all of them take.
LASTING = jwt(lifetime=86_400)


@pytest.mark.parametrize(
    ("query", "headers", "protocol"),
    [
        pytest.param(f"token={LASTING}", {}, None, id="in the query"),
        pytest.param("", {"Authorization": f"Bearer {LASTING}"}, None, id="as Authorization"),
        pytest.param("", {"Sec-WebSocket-Protocol": f"bearer, {LASTING}"}, "bearer", id="as a subprotocol"),
        pytest.param(f"token={LASTING}", {"Origin": "https://anybody.example"}, None, id="from any origin"),
    ],
)
def test_a_token_is_taken(gateway, query, headers, protocol):
    with gateway.nothing_started():
        status, answered, _ = upgrade(gateway.signaling(query=query), headers)
        assert status == 101
        assert answered.get("sec-websocket-protocol") == protocol


def test_no_token_is_ever_logged(gateway):
    token = jwt(user="4711")
    assert upgrade(gateway.signaling(token=token))[0] == 101
    assert upgrade(gateway.signaling(token=token + "x"))[0] == 403
    assert upgrade(gateway.signaling(query=""), {"Sec-WebSocket-Protocol": f"bearer, {token}x"})[0] == 403
    gateway.await_idle()
    assert token.rpartition(".")[2] not in gateway.log.read_text()


TOKEN = "embed_token:token:emb_kept"


class Session:
    """An embed session of a token that is in the store, and where everything of it stands."""

    def __init__(self, gateway):
        with contextlib.suppress(AssertionError):
            gateway.delete(TOKEN)
        gateway.change(TOKEN, workflow=2, owner="7", organization="9")
        self.url = gateway.embed_session("emb_kept")
        token = urlsplit(self.url).path.rpartition("/")[2]
        self.key = f"embed_token:session:default:{hashlib.sha256(token.encode()).hexdigest()}"
        self.run = f"run:default:embed:emb_kept:{gateway.entry(self.key)['workflow_run_id']}"


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda gateway, session: gateway.delete(session.key), id="1 unknown session"),
        pytest.param(lambda gateway, session: gateway.change(session.key, tenant="other"), id="1 another tenant's"),
        pytest.param(lambda gateway, session: gateway.change(session.key, expires=1), id="2 expired session"),
        pytest.param(lambda gateway, session: gateway.delete(TOKEN), id="3 token gone"),
        pytest.param(lambda gateway, session: gateway.change(session.key, token="emb_gone"), id="3 unknown token"),
        pytest.param(lambda gateway, session: gateway.change(TOKEN, active=False), id="inactive token"),
        pytest.param(lambda gateway, session: gateway.change(TOKEN, expires="2020-01-01"), id="expired token"),
        pytest.param(lambda gateway, session: gateway.delete(session.run), id="4 run gone"),
        pytest.param(lambda gateway, session: gateway.change(session.run, workflow_id=5), id="5 another workflow's run"),
        pytest.param(lambda gateway, session: gateway.change(TOKEN, workflow=5), id="5 another workflow's token"),
        pytest.param(lambda gateway, session: gateway.change(session.run, mode="textchat"), id="6 text chat"),
        pytest.param(lambda gateway, session: gateway.change(TOKEN, allowed_domains=["x.example"]), id="7 domain"),
        pytest.param(lambda gateway, session: gateway.change(TOKEN, alowed_domains=["x.example"]), id="a slip in the token"),
        pytest.param(lambda gateway, session: gateway.change(TOKEN, owner=None), id="8 nobody's token"),
    ],
)
def test_an_embed_session_that_is_not_good_is_403_without_a_body(gateway, spoil):
    """Good first; then one thing is changed in the store."""
    session = Session(gateway)
    with gateway.nothing_started():
        assert answer(session.url) == (101, b"")
        spoil(gateway, session)
        assert answer(session.url) == FORBIDDEN


def test_a_slip_in_a_stored_credential_is_in_the_log(gateway):
    session = Session(gateway)
    gateway.change(TOKEN, alowed_domains=["x.example"])
    assert answer(session.url) == FORBIDDEN
    gateway.await_log("unknown key 'alowed_domains'")
    gateway.delete(TOKEN)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({"Origin": "http://evil.example"}, 403, id="another page"),
        pytest.param({}, 403, id="no origin"),
        pytest.param({"Referer": "http://evil.example/page"}, 403, id="another page by Referer"),
        pytest.param({"Origin": "http://evil.example", "Referer": "http://localhost/"}, 403, id="Origin before Referer"),
        pytest.param({"Origin": "http://127.0.0.1"}, 403, id="another page of the token's"),
        pytest.param({"Origin": "http://localhost:3000"}, 403, id="another port"),
        pytest.param({"Origin": "https://localhost"}, 403, id="another scheme"),
        pytest.param({"Origin": "http://localhost"}, 101, id="the page"),
        pytest.param({"Referer": "http://localhost/page"}, 101, id="the page by Referer"),
    ],
)
def test_row_7_the_socket_of_a_session_opens_for_the_page_that_started_it_only(gateway, headers, status):
    url = gateway.embed_session("emb_demo")
    with gateway.nothing_started():
        assert answer(url, headers) == (status, b"")


def test_a_session_opens_sockets_again_until_it_expires(gateway):
    url = gateway.embed_session("emb_echo")
    with gateway.nothing_started():
        assert [answer(url)[0] for _ in range(3)] == [101] * 3


def test_a_session_has_one_socket_at_a_time(gateway):
    url, another = gateway.embed_session("emb_echo"), gateway.embed_session("emb_echo")

    async def main():
        async with calling(url) as caller:
            assert await asyncio.to_thread(answer, url) == FORBIDDEN
            await caller.offer()
            assert await asyncio.to_thread(answer, url) == FORBIDDEN
            assert await asyncio.to_thread(answer, another) == (101, b"")
            await caller.connected()
            await caller.hears(len(caller.frames) + 20)
        # Closed, though its call may not be quite over yet.
        assert await asyncio.to_thread(answer, url) == (101, b"")

    asyncio.run(main())
    gateway.await_idle()


def test_a_session_is_for_one_call(gateway):
    """When that is over the socket opens, so that its client can be told."""
    url = gateway.embed_session("emb_echo")

    async def main():
        async with calling(url) as caller:
            await caller.offer()
        await asyncio.to_thread(gateway.await_idle)
        async with calling(url) as caller:
            await caller.send("offer", **await caller.description())
            assert (await caller.message("error"))["error_type"] == "workflow_run_already_completed"

    asyncio.run(main())
    gateway.await_idle()


@pytest.mark.parametrize(
    ("withdraw", "error"),
    [
        pytest.param(lambda gateway: gateway.change(TOKEN, active=False), ("embed_token_inactive", "Embed token is inactive"), id="inactive"),
        pytest.param(lambda gateway: gateway.change(TOKEN, expires="2020-01-01"), ("embed_token_expired", "Embed token has expired"), id="expired"),
        pytest.param(lambda gateway: gateway.delete(TOKEN), ("invalid_embed_token", "Invalid embed token"), id="gone"),
    ],
)
def test_a_token_is_looked_at_again_at_each_offer(gateway, withdraw, error):
    code, message = error

    async def main():
        session = Session(gateway)
        async with calling(session.url) as caller:
            withdraw(gateway)
            started = gateway.look()["started"]
            await caller.send("offer", **await caller.description())
            assert await caller.message("error") == {"error_type": code, "message": message}
            assert gateway.look()["started"] == started
        session = Session(gateway)
        async with calling(session.url) as caller:
            await caller.offer()
            await caller.connected()
            withdraw(gateway)
            await caller.send("offer", **await caller.description())
            assert await caller.message("error") == {"error_type": code, "message": message}
            await caller.hears(len(caller.frames) + 50)  # the call goes on

    asyncio.run(main())
    gateway.await_idle()


def test_a_session_takes_no_credential_of_another_kind(gateway):
    with gateway.nothing_started():
        assert answer(f"{gateway.url}/api/v1/ws/public/signaling/nobody?token={jwt()}") == FORBIDDEN
        assert answer(f"{gateway.url}/api/v1/ws/public/signaling/?token={jwt()}")[0] in (403, 404)
