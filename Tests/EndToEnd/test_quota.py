"""Quotas as a caller meets them: seats of a gateway that is killed, call minutes, Dograh's billing service."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gateway import Gateway, changed_config, jwt, write_config
from peer import calling, in_call

PEER = Path(__file__).parent / "peer.py"
NO_ROOM = {"error_type": "concurrency_limit_exceeded", "message": "Concurrent call limit reached"}


async def reply(caller) -> tuple[str, dict]:
    """Offers, and what is said to that: `answer` or `error`, and its payload."""
    after = len(caller.messages)
    await caller.send("offer", **await caller.description())
    await caller.until(lambda: len(caller.messages) > after, what="a reply to the offer")
    return caller.messages[after]["type"], caller.messages[after]["payload"]


@pytest.mark.alone
def test_a_gateway_that_is_killed_gives_its_seats_back(start, sentences, tmp_path):
    """To a gateway that shares the store, when the time to live is over: 3 s here, 30 unless it is written."""
    template = changed_config(
        ("path: {directory}/patchbay.db", f"path: {tmp_path}/shared.db"),
        ("limit: {seats} }}", "limit: {seats}, store: local, time_to_live: 3s }}"),
    )
    living = start(template=template, seats=1)
    (tmp_path / "doomed").mkdir()
    doomed = Gateway(write_config(tmp_path / "doomed", template, player=sentences["winter"], seats=1))
    process = subprocess.Popen([sys.executable, PEER, doomed.signaling(run=41)], stdout=subprocess.PIPE, text=True)

    async def main():
        async with calling(living.signaling(run=42)) as second:
            await asyncio.sleep(5)  # longer than the time to live: the first call's seat is renewed
            assert await reply(second) == ("error", NO_ROOM)
            doomed.process.kill()
            doomed.process.wait()
            killed = time.monotonic()
            assert await reply(second) == ("error", NO_ROOM)
            while (said := await reply(second))[0] == "error":
                assert said[1] == NO_ROOM and time.monotonic() - killed < 6
                await asyncio.sleep(0.3)
            assert said[0] == "answer" and time.monotonic() - killed < 6

    try:
        assert process.stdout.readline() == "connected\n"
        asyncio.run(main())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        if doomed.process.poll() is None:
            doomed.process.kill()
            doomed.process.wait()
        doomed.stop()


def with_minutes(settings: str) -> str:
    return changed_config(
        ("pipelines:\n  parrot", f"  minutes: {{{{ type: call_minutes, store: local, {settings} }}}}\npipelines:\n  parrot"),
        ("quotas: [seats]", "quotas: [minutes, seats]"),
    )


def test_a_call_ends_when_the_minutes_do_and_the_next_is_told_when_there_are_more(start):
    gateway = start(template=with_minutes("limit: 4s, per: user, period: month, reserve: 3s"))

    async def main():
        began = time.monotonic()
        async with in_call(gateway.signaling(run=51)) as caller:
            ended = await caller.message("call-ended", timeout=12)
            assert ended["reason"] in ("time_limit", "call_minutes_exceeded")
            assert 3.5 < time.monotonic() - began < 10
            assert await caller.closed() == (1000, "call ended")
        await asyncio.to_thread(gateway.await_idle)
        async with calling(gateway.signaling(run=52)) as caller:
            kind, payload = await reply(caller)
            assert (kind, payload["error_type"]) == ("error", "call_minutes_exceeded")
            assert payload["message"].startswith("No call minutes are left. There are new ones from 20")
        async with in_call(gateway.signaling(run=53, token=jwt(user="8"))) as other:
            await other.hears(5)

    asyncio.run(main())
    gateway.await_idle()


@pytest.mark.alone
def test_two_calls_at_once_use_the_same_minutes(start):
    """Each could have had them all: a renewal ends both when they have had them together."""
    gateway = start(template=with_minutes("limit: 8s, per: user, reserve: 3s"))

    async def main():
        async with in_call(gateway.signaling(run=54)) as first, in_call(gateway.signaling(run=55)) as second:
            for caller in first, second:
                ended = await caller.message("call-ended", timeout=12)
                assert ended["reason"] in ("call_minutes_exceeded", "time_limit")
                if caller is first:
                    assert ended["reason"] == "call_minutes_exceeded"
                    assert ended["detail"].startswith("No call minutes are left.")

    began = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - began < 10
    gateway.await_idle()


def test_an_operator_is_told_how_much_is_used_by_whom(start):
    template = changed_config(
        (
            "pipelines:\n  parrot",
            "  minutes: {{ type: call_minutes, store: local, limit: 10m, per: user, period: day, reserve: 30s }}\n"
            "  own: {{ type: concurrency, limit: 2, per: user, store: local }}\n"
            "  pages: {{ type: concurrency, limit: 5, per: embed_token }}\npipelines:\n  parrot",
        ),
        ("quotas: [seats]", "quotas: [minutes, own, seats, pages]"),
    )
    gateway = start(template=template, seats=3)

    def used(query: str) -> list:
        status, body = gateway.ask("GET", f"/quotas?tenant=default{query}")
        assert status == 200, body
        answer = json.loads(body)
        assert answer["tenant"] == "default"
        assert [each["quota"] for each in answer["quotas"]] == ["minutes", "own", "seats", "pages"]
        assert [each["type"] for each in answer["quotas"]] == ["call_minutes"] + ["concurrency"] * 3
        for each in answer["quotas"]:
            assert each["used"] is None or each["left"] == each["limit"] - each["used"]
        minutes = answer["quotas"][0]
        if minutes["used"] is not None:
            assert (minutes["unit"], minutes["limit"]) == ("seconds", 600) and minutes["renewal"].endswith("T00:00:00Z")
        return [each["used"] for each in answer["quotas"]]

    async def main():
        async with in_call(gateway.signaling(run=61)), in_call(gateway.signaling(run=62, token=jwt(user="8"))):
            assert used("&auth=users&user=7") == used("&auth=users&user=8") == [30, 1, 2, None]
            assert used("&auth=users&user=9") == used("&auth=embeds&user=7") == used("") == [0, 0, 2, None]
            assert used("&embed_token=some") == [None, None, 2, 0]
            await asyncio.sleep(1.5)

    assert used("&auth=users&user=7") == [0, 0, 0, None]
    asyncio.run(main())
    gateway.await_idle()
    [seconds, *calls] = used("&auth=users&user=7")
    assert calls == [0, 0, None] and 0 < seconds < 30, "what was taken in advance is given back"
    for status, query in (
        (400, ""), (404, "?tenant=other"), (404, "?tenant=default&auth=other&user=7"), (400, "?tenant=default&user=7"),
        (400, "?tenant=default&auth=users"), (400, "?tenant=default&usr=7"),
    ):  # fmt: skip
        assert gateway.ask("GET", f"/quotas{query}")[0] == status, query


class Billing(ThreadingHTTPServer):
    """Dograh's billing service, as far as one question goes; says `verdict`, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self):
        self.verdict, self.asked = {}, []
        super().__init__(("127.0.0.1", 0), self.Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.asked.append((self.path, self.headers["X-Organization-Id"], json.loads(body)))
            answer = json.dumps(self.server.verdict).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass


@pytest.fixture
def billing():
    with Billing() as server:
        yield server
        server.shutdown()


def test_dograhs_billing_service_decides(start, billing):
    directory = (
        "{{ organizations: {{ '9': {{ members: ['7'], workflows: {{ '2': {{ owner: '123', managed_service_version: 2, "
        "llm: {{ provider: dograh, service_keys: [{{ file: {directory}/ada.secret }}] }} }} }} }} }} }}"
    )
    credits = f"credits: {{{{ type: dograh, mode: hosted, url: 'http://127.0.0.1:{billing.server_port}', directory: {directory} }}}}"
    gateway = start(
        template=changed_config(
            ("pipelines:\n  parrot", f"  {credits}\npipelines:\n  parrot"), ("quotas: [seats]", "quotas: [credits, seats]")
        )
    )
    allowed = {"allowed": True, "billing_mode": "v2", "remaining_credits": "25.0000", "correlation_id": "mps-corr-123"}

    async def main():
        async with calling(gateway.signaling(run=61, token=jwt(org="9"))) as caller:
            billing.verdict = {**allowed, "allowed": False, "remaining_credits": "0.0000", "error": "insufficient_credits"}
            kind, payload = await reply(caller)
            assert (kind, payload["error_type"]) == ("error", "insufficient_credits")
            assert "/billing" in payload["message"]
            billing.verdict = {**allowed, "correlation_id": None}
            kind, payload = await reply(caller)
            assert (kind, payload["error_type"]) == ("error", "quota_check_failed")
            assert payload["message"] == "Could not verify Dograh credits. Please try again."
            assert (await asyncio.to_thread(gateway.look))["leases"] == 0
            billing.verdict = allowed
            assert (await reply(caller))[0] == "answer"
        for token in jwt(org="8"), jwt(user="8", org="9"), jwt():
            async with calling(gateway.signaling(run=62, token=token)) as stranger:
                assert await reply(stranger) == ("error", {"error_type": "workflow_not_found", "message": "Workflow not found"})

    asyncio.run(main())
    gateway.await_idle()
    path, organization, body = billing.asked[-1]
    assert len(billing.asked) == 3, "nobody is asked about strangers"
    assert (path, organization) == ("/api/v1/billing/accounts/9/run-authorization", "9")
    key = (gateway.config.parent / "ada.secret").read_text()
    assert body == {
        "workflow_run_id": 61,
        "service_key": key,
        "require_correlation_id": True,
        "metadata": {"dograh_user_id": "123", "workflow_id": 2},
        "minimum_credits": 0.1,
    }
    assert key not in gateway.log.read_text()
