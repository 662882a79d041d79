"""No secret is in what a gateway writes, whoever says it back to the gateway.

Each gateway of each test logs all that there is to log, and what it has written is searched for every secret when it ends
(`leaks.py`). Here is that the search finds something, and who would have secrets written.
"""

import asyncio
import base64
import json
import os
import re

import pytest

import leaks
from bot import Bot
from browser import await_state, chromium
from gateway import (
    BINARY, PASSPHRASE, SECRET, TURN_SECRET, Gateway, begin, changed_config, finish, http, jwt, patchbay, upgrade, with_turn, write_config,
)
from peer import calling
from test_auth import ENDPOINT, Server, status
from test_docs import run_shown, served
from test_embed_page import SPY

PLANTED, CHEESE = "a secret that a test has planted", "the-moon-is-made-of-cheese"


@pytest.fixture
def of_this_test(monkeypatch):
    """What this test calls a secret is none for the tests to come."""
    monkeypatch.setattr(leaks, "_names", dict(leaks._names))


def test_a_secret_in_the_log_is_found(of_this_test, tmp_path, sentences):
    """An endpoint that decides has its reason logged."""
    leaks.secret(PLANTED, CHEESE)
    with Server(lambda _: (403, {}, f'{{"message":"Yes, {CHEESE}."}}'.encode())) as endpoint:
        config = write_config(tmp_path, ENDPOINT, player=sentences["winter"], endpoint=endpoint.url, cache="0s")
        gateway = Gateway(config)
        assert status(gateway, "somebody's") == 403
        with pytest.raises(AssertionError, match=f"the gateway has written {PLANTED}:\n.*Yes, <{PLANTED}>.") as found:
            gateway.stop()
        assert "cheese" not in str(found.value), "it is told by its name only"


def test_a_secret_on_standard_output_is_found(of_this_test, tmp_path, sentences):
    gateway = Gateway(write_config(tmp_path, player=sentences["winter"]))
    leaks.secret(PLANTED, gateway.url)
    with pytest.raises(AssertionError, match=PLANTED):
        gateway.stop()


def checks(config):
    patchbay("check", "-c", config)


def serves_in_vain(config):
    config.write_text(config.read_text().replace("listen: 127.0.0.1:0", "listen: 192.0.2.1:1"))
    patchbay("serve", "-c", config, timeout=20)


def calls(config):
    patchbay("call", "http://127.0.0.1:1/", "--seconds", 1, "--json")


def calls_beside_the_test(config):
    finish(begin("call", "http://127.0.0.1:1/", "--seconds", 1, "--json"), "call")


def runs_what_a_document_shows(config):
    run_shown(f"echo {CHEESE}")


def starts_as_script_server_does(config):
    with served(["sh", "-c", f"echo {CHEESE}; exec {BINARY} serve -c {config}"], config.with_suffix(".log")):
        pass


def starts_as_script_server_does_and_says_it_on_standard_error(config):
    with served(["sh", "-c", f"echo {CHEESE} >&2; exec {BINARY} serve -c {config}"], config.with_suffix(".log")):
        pass


WRITTEN = {
    checks: "config.yaml is fine",
    serves_in_vain: "cannot listen on 192.0.2.1",
    calls: '"packets_received":0',
    calls_beside_the_test: '"packets_received":0',
    runs_what_a_document_shows: CHEESE,
    starts_as_script_server_does: CHEESE,
    starts_as_script_server_does_and_says_it_on_standard_error: CHEESE,
}


@pytest.mark.parametrize("run", WRITTEN, ids=lambda run: run.__name__.replace("_", " "))
def test_a_secret_that_a_command_prints_is_found(of_this_test, tmp_path, sentences, run):
    config = write_config(tmp_path, player=sentences["winter"])
    leaks.secret(PLANTED, WRITTEN[run])
    with pytest.raises(AssertionError, match=f"has written {PLANTED}"):
        run(config)


@pytest.mark.parametrize("asked", ["GET /calls", "POST /reload"])
def test_a_secret_in_an_answer_of_the_admin_port_is_found(of_this_test, tmp_path, sentences, asked):
    gateway = Gateway(write_config(tmp_path, player=sentences["winter"]))
    gateway.config.write_text(f"{gateway.config.read_text()}{CHEESE}: 1\n")
    gateway.ask(*asked.split())
    leaks.secret(PLANTED, CHEESE if asked == "POST /reload" else '"unknown_source"')
    with pytest.raises(AssertionError, match=f"{asked} has written {PLANTED}"):
        gateway.stop()


def test_what_a_command_has_from_files_and_from_the_environment_is_a_secret(of_this_test, tmp_path, sentences):
    """Also where no gateway has it."""
    config = write_config(tmp_path, player=sentences["winter"])
    (tmp_path / "jwt.secret").write_text(f"{CHEESE}, says a file, and it is long enough")
    config.write_text(f"{config.read_text()}ice_servers:\n  - {{ urls: ['turn:192.0.2.1'], secret: {{ env: CHEESE }} }}\n")
    said = f"{CHEESE}, says a variable, and it is long enough"
    run = patchbay("check", "-c", "config.yaml", cwd=tmp_path, env={**os.environ, "CHEESE": said})
    assert run.returncode == 0, run.stderr
    assert leaks.found((tmp_path / "jwt.secret").read_text()) == {"what is in jwt.secret"}
    assert leaks.found(said) == {"what is in $CHEESE"}


def test_whatever_tests_use_as_a_secret_is_looked_for(of_this_test, start, turn_server):
    """In each way to write it."""
    gateway = start(template=with_turn(turn_server))
    token, key = jwt(user="of test_secrets"), "a key of test_secrets"
    basic = base64.b64encode(b"AC7:of test_secrets").decode()
    http("GET", gateway.url, headers={"Authorization": f"Basic {basic}"})
    upgrade(gateway.signaling(query=f"api_key={key}".replace(" ", "%20")))
    upgrade(gateway.signaling(query=""), {"Sec-WebSocket-Protocol": "bearer, subprotocol-of-test_secrets"})
    session = gateway.embed_session("emb_echo").rpartition("/")[2]
    turn = json.loads(http("GET", f"{gateway.url}/api/v1/public/embed/turn-credentials/{session}")[2])
    made = patchbay("token", "jwt", "-c", gateway.config, "--user", "7", cwd=gateway.config.parent).stdout.strip()

    async def passwords():
        async with calling(gateway.signaling()) as caller:
            answer = await caller.offer()
            return re.findall(r"a=ice-pwd:(\S+)", answer["sdp"] + caller.pc.localDescription.sdp)

    used = [SECRET, TURN_SECRET, token.rpartition(".")[2], key, basic, "subprotocol-of-test_secrets", session, turn["password"], made]
    passwords = asyncio.run(passwords())
    assert len(set(passwords)) == 2
    for each in used + passwords:
        assert leaks.found(f"x{each}x"), each
    assert leaks.found("a%20key%20of%20test_secrets") and leaks.found(f'"{json.dumps(SECRET)}"')
    assert not leaks.found(token.rpartition(".")[0]), "claims are no secret"


def test_whatever_a_page_in_chromium_uses_as_a_secret_is_looked_for(of_this_test, start, noisy):
    """Nobody but the page knows any of them before."""
    gateway = start()
    shown = "what-a-page-of-test_secrets-shows"
    with chromium(noisy["kitchen"]) as browser:
        page = browser.new_page()
        page.add_init_script(SPY)
        page.goto(gateway.url)
        page.get_by_role("button", name="Talk").click()
        await_state(page, "connected")
        page.evaluate("shown => fetch('/', { headers: { Authorization: `Bearer ${shown}` } }).then(() => null)", shown)
        urls = page.evaluate("sockets.map(({ url }) => url)")
        descriptions = page.evaluate("connections.flatMap((each) => [each.localDescription.sdp, each.remoteDescription.sdp])")
        page.get_by_role("button", name="Hang up").click()
        gateway.await_idle()
    [session] = set(re.findall(r"emb_session_[^/? ]+", " ".join(urls)))
    passwords = re.findall(r"a=ice-pwd:(\S+)", "".join(descriptions))
    assert len(set(passwords)) == 2
    for each in shown, session, *passwords:
        assert leaks.found(f"x{each}x"), each


# MARK: - Those who say secrets back

BOT = (
    "echo: {{ type: websocket, dialect: pcm, url: '{bot}', token: {{ file: {directory}/ada.secret }}, "
    "secret_headers: {{ x-more: {{ file: {directory}/turn.secret }} }} }}"
)
WITH_BOT = changed_config(("echo: {{ type: echo }}", BOT))


def call_that_fails(gateway):
    async def call():
        async with calling(gateway.signaling()) as caller:
            await caller.offer()
            assert (await caller.message("call-ended"))["reason"] == "pipeline_failed"

    asyncio.run(call())
    gateway.await_log("pipeline failed")


@pytest.mark.parametrize(("before", "shown"), [(0, "Bearer <secret>; <secret>"), (498, "Bearer <secret")], ids=["short", "cut"])
def test_a_bot_that_refuses_and_says_what_it_was_sent(start, before, shown):
    """Its words are for the log, but for the secrets among them; also where the log has no room for all of them."""
    told = []
    with Server(lambda _: (401, {}, f"{'x' * before}{told[0].requests[-1][2]['Authorization']}; {TURN_SECRET}".encode())) as bot:
        told.append(bot)
        gateway = start(template=WITH_BOT, bot=bot.url.replace("http", "ws"))
        call_that_fails(gateway)
        headers = bot.requests[-1][2]
        assert (headers["Authorization"], headers["X-More"]) == (f"Bearer {PASSPHRASE}", TURN_SECRET)
    log = gateway.log.read_text()
    assert f"HTTP 401: {'x' * before}{shown}" in log
    assert PASSPHRASE[:6] not in log


def test_a_bot_that_closes_and_says_what_it_was_sent(start):
    with Bot("telltale") as bot:
        gateway = start(template=WITH_BOT, bot=bot.url)
        call_that_fails(gateway)
    assert "closed with 4000: Nobody knows Bearer <secret>" in gateway.log.read_text()


@pytest.mark.parametrize("before", [0, 195], ids=["short", "cut"])
@pytest.mark.parametrize("shown", ["a token", "a key"])
def test_an_endpoint_that_refuses_and_says_what_it_was_asked(start, shown, before):
    """Its message is the reason in the log."""
    token, key = jwt(user="told"), f"key_{'7' * 64}"

    def refuse(body):
        asked = json.loads(body)
        return 403, {}, json.dumps({"message": f"{'x' * before}{asked['token'] or asked['api_key']}; {SECRET}"}).encode()

    with Server(refuse) as endpoint:
        gateway = start(template=ENDPOINT, endpoint=endpoint.url, cache="0s")
        query = f"token={token}" if shown == "a token" else f"api_key={key}"
        assert upgrade(gateway.signaling(query=query))[0] == 403
        gateway.await_log("socket refused")
    log = gateway.log.read_text()
    assert f"reason={'x' * before}" + ("<secr" if before else "<secret>; <secret> ") in log
    assert token[:5] not in log and key[:5] not in log
